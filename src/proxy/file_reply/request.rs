//! A request for a file, copied from its head.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::plan::{Files, Rule};
use crate::file_server::{Accepted, FilePath, Preconditions, Wanted, date};
use crate::http::{Method, Name, RequestHead, behind_prefix, named_weight};
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// A request for a file.
pub(in crate::proxy) struct FileRequest {
    pub(super) wanted: Wanted,
    pub(super) conditions: Preconditions,
    /// `Range`, of a GET.
    pub(super) range: Option<Vec<u8>>,
    /// The place of the folder, if the path leads to one: path and query with a slash between them.
    pub(super) location: Vec<u8>,
}

/// Copies a request for a file. In a box, so that the futures of other exchanges have no room for it.
///
/// # Errors
/// If its method is not that of a file.
pub(in crate::proxy) fn act(
    rule: &Rule,
    files: &Arc<Files>,
    head: &RequestHead<'_>,
) -> Result<Box<FileRequest>, Failure> {
    if !matches!(head.known_method, Method::Get | Method::Head) {
        return Err(Failure::new(Reason::RequestMethod));
    }
    let path = FilePath::decode(behind_prefix(head.path, rule.stripped_prefix()));
    let may_be_file = path.as_ref().is_some_and(|path| !path.is_folder());
    let encodings = || head.fields.find_list(b"accept-encoding").map(|field| Accepted::of(&field));
    Ok(Box::new(FileRequest {
        wanted: Wanted {
            files: files.clone(),
            path,
            accepted: files.precompressed.first().and_then(|_| encodings()).unwrap_or_default(),
            is_navigation: files.fallback.is_some() && accepts_html(head),
        },
        conditions: conditions(head),
        range: head.fields.get(Name::Range).filter(|_| head.known_method == Method::Get).map(<[u8]>::to_vec),
        location: if may_be_file { folder_location(head.path, head.query) } else { Vec::new() },
    }))
}

/// Whether `Accept` names HTML, as browsers do for a page, and for nothing else. A range such as `*/*` does not.
fn accepts_html(head: &RequestHead<'_>) -> bool {
    let accept = head.fields.list(Name::Accept).unwrap_or_default();
    named_weight(&accept, &["text/html"]).is_some_and(|weight| weight > 0)
}

fn conditions(head: &RequestHead<'_>) -> Preconditions {
    let time = |name| -> Option<SystemTime> { head.fields.get(name).and_then(date) };
    Preconditions {
        if_match: head.fields.list(Name::IfMatch).map(Cow::into_owned),
        if_unmodified_since: time(Name::IfUnmodifiedSince),
        if_none_match: head.fields.list(Name::IfNoneMatch).map(Cow::into_owned),
        if_modified_since: time(Name::IfModifiedSince),
        if_range: head.fields.get(Name::IfRange).map(<[u8]>::to_vec),
    }
}

/// The path with a slash at its end. Browsers take `\` for `/`, and `//` at the start for a host, so `\` is escaped.
fn folder_location(path: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    let mut location = Vec::with_capacity(path.len() + 1 + query.map_or(0, |query| 1 + query.len()));
    for byte in path {
        match byte {
            b'\\' => location.extend_from_slice(b"%5C"),
            byte => location.push(*byte),
        }
    }
    location.push(b'/');
    if let Some(query) = query {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_on_this_host() {
        for (path, query, location) in [
            ("/a", None, "/a/"),
            ("/a", Some("b=c"), "/a/?b=c"),
            ("", Some(""), "/?"),
            ("/\\evil.example", None, "/%5Cevil.example/"),
        ] {
            let location_of = folder_location(path.as_bytes(), query.map(str::as_bytes));
            assert_eq!(location_of, location.as_bytes(), "{path}");
        }
    }
}
