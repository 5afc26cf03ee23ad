//! A certificate authority, and the address of mail that it is told.

use std::sync::Arc;

use crate::config::keys::ValueError;
use crate::config::plan::AUTHORITIES;

/// The index of an authority in [`AUTHORITIES`] by its name, or the URL of a directory.
pub(crate) fn directory(text: &str) -> Result<Result<usize, Arc<str>>, ValueError> {
    if let Some(known) = AUTHORITIES.iter().position(|(name, ..)| *name == text) {
        return Ok(Ok(known));
    }
    url(text).map(Err).map_err(|_| {
        let hint = "write letsencrypt, zerossl, google, or the https:// URL of a directory";
        ValueError::hint("is not a certificate authority", hint)
    })
}

/// A URL of a server elsewhere. `http://` is for this machine alone.
pub(crate) fn url(text: &str) -> Result<Arc<str>, ValueError> {
    let rest = |scheme: &str| text.strip_prefix(scheme).filter(|rest| !rest.is_empty());
    let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    let is_here = here.iter().any(|start| rest(start).is_some_and(|rest| rest.starts_with([':', '/'])));
    let is_url = (rest("https://").is_some() || is_here) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_url {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is not a URL", "write one that begins with https://"))
    }
}

/// An address, as far as it can be told: the authority decides.
pub(crate) fn email(text: &str) -> Result<Arc<str>, ValueError> {
    let is_address = text
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'));
    if is_address && text.bytes().all(|byte| byte.is_ascii_graphic() && !b",;<>?\"".contains(&byte)) {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is not an address of mail", "write for example ops@example.com"))
    }
}
