//! `/api/v1` of a program without the feature `control`: nothing is there.

use http_types::Response;

use crate::config::plan::Change;
use crate::internal_api::control::{ChangeError, Changed, Control};
use crate::internal_api::message::{Answer, Received, text};

/// Lines of the list of paths.
pub(super) const ROWS: [(&str, &str); 0] = [];

/// Whether the body of a request to this path is read.
pub(super) fn takes_body(_: &str) -> bool {
    false
}

/// The answer to a request without the token.
pub(super) fn unauthorized(_: &str) -> Option<Response> {
    None
}

/// The answer to a request of this API.
pub(super) async fn answer(_: &Received, _: bool, _: &dyn Control) -> Option<Answer> {
    None
}

/// Is never asked: there is no [`Answer::Change`].
pub(super) fn changed(_: &Change, _: Result<Changed, ChangeError>) -> Response {
    text(404, "there is no control API")
}

/// Is never asked.
pub(super) fn too_many() -> Response {
    text(404, "there is no control API")
}
