//! The request target and its forms (RFC 9112, section 3.2).

use memchr::memchr;

use crate::http::{Authority, Method, Refusal, escaped, has_dot_segments};
use crate::reason::Reason;

/// A request target in parts. Each part is an unchanged piece of its bytes.
#[derive(Debug)]
pub(super) struct Target<'b> {
    /// The authority, which only the absolute form has.
    pub(super) authority: Option<Authority<'b>>,
    pub(super) path: &'b [u8],
    /// The query without the question mark.
    pub(super) query: Option<&'b [u8]>,
    /// Path and query. If an absolute form has no path, `?` and the query alone.
    pub(super) path_and_query: &'b [u8],
}

impl<'b> Target<'b> {
    /// Splits a target whose bytes are printable ASCII without `#`.
    pub(super) fn parse(target: &'b [u8], method: Method) -> Result<Target<'b>, Refusal> {
        match target {
            [b'/', ..] => Target::of_path(None, target),
            b"*" if method == Method::Options => Ok(Target::whole(None, b"*")),
            b"*" => Err(refused("only OPTIONS can ask for *")),
            _ => Target::parse_absolute(target, method),
        }
    }

    fn parse_absolute(target: &'b [u8], method: Method) -> Result<Target<'b>, Refusal> {
        let Some(rest) = strip_scheme(target) else {
            return Err(refused(format!("the target {} starts with neither / nor http://", escaped(target))));
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, path_and_query) = rest.split_at(end);
        let authority = Authority::parse(authority).map_err(|fault| {
            let detail = format!("the authority of the target ({}): {fault}", escaped(authority));
            Refusal::new(Reason::RequestHost, detail)
        })?;
        match path_and_query {
            [b'/', ..] => Target::of_path(Some(authority), path_and_query),
            // So an OPTIONS through a proxy reaches the server as `*` (RFC 9112, section 3.2.4).
            [] if method == Method::Options => Ok(Target::whole(Some(authority), b"*")),
            [] => Ok(Target::whole(Some(authority), b"/")),
            // An empty path is `/` (RFC 9110, section 4.2.3).
            query => Ok(Target {
                authority: Some(authority),
                path: b"/",
                query: Some(&query[1..]),
                path_and_query,
            }),
        }
    }

    fn of_path(authority: Option<Authority<'b>>, path_and_query: &'b [u8]) -> Result<Target<'b>, Refusal> {
        let (path, query) = match memchr(b'?', path_and_query) {
            Some(mark) => (&path_and_query[..mark], Some(&path_and_query[mark + 1..])),
            None => (path_and_query, None),
        };
        if has_dot_segments(path) {
            return Err(refused("the path has dot segments"));
        }
        Ok(Target { authority, path, query, path_and_query })
    }

    fn whole(authority: Option<Authority<'b>>, path: &'b [u8]) -> Target<'b> {
        Target { authority, path, query: None, path_and_query: path }
    }
}

/// The part after `http://` or `https://`. The scheme is only a claim of the client: the listener knows
/// whether there is TLS.
pub(super) fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    [&b"http://"[..], b"https://"].into_iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

#[cold]
fn refused(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::RequestTarget, detail)
}
