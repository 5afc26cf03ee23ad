//! Without HTTP/2, checks speak HTTP/1.1.

/// Whether checks speak HTTP/2.
pub(super) const SPEAKS_HTTP2: bool = false;

/// The connection as it is.
pub(super) fn http2<S>(stream: &mut S, _: bool) -> &mut S {
    stream
}
