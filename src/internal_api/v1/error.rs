//! The form of errors.

use http_types::Response;

use crate::internal_api::message::{JSON, typed};

/// An error, which is one line or a whole diagnostic.
pub(super) fn error(status: u16, text: &str) -> Response {
    typed(status, JSON, format!("{}\n", serde_json::json!({ "error": text.trim_end() })))
}
