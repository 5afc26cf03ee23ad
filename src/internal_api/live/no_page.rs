//! No page: browsers get the list of paths, as curl does.

use http_types::Request;

use super::Page;

/// Always `None`.
pub(in crate::internal_api) fn page(_: &Request) -> Option<Page> {
    None
}
