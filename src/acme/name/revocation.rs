//! Revocation of a certificate (RFC 8555, section 7.6), which an operator asks for.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use crate::acme::attempts::Record;
use crate::acme::context::Context;
use crate::acme::events::{Event, EventKind};
use crate::acme::failure::Failure;
use crate::acme::protocol::base64;

/// Revokes the certificate that is served. It is served until there is another, because few clients ask whether a
/// certificate was revoked, and all of them miss one.
pub(super) async fn revoke(context: &Context, name: &Arc<str>, record: &mut Record) -> Result<(), Failure> {
    let none = || Failure::of_name("there is no certificate to revoke");
    let leaf = context.shared.issued.leaf(name).ok_or_else(none)?;
    let (opened, session) = context.connect().await?;
    opened.ca.revoke(&session, &leaf).await?;
    record.revoked = Some(fingerprint(&leaf));
    context.happened(Event::new(EventKind::Revoked, name));
    opened.write(name, record).await
}

/// Whether the certificate that is served was revoked.
pub(super) fn is_revoked(context: &Context, name: &str, record: &Record) -> bool {
    let is_it = |revoked: &String| {
        context.shared.issued.leaf(name).is_some_and(|leaf| fingerprint(&leaf) == *revoked)
    };
    record.revoked.as_ref().is_some_and(is_it)
}

fn fingerprint(leaf: &[u8]) -> String {
    base64::url(digest(&SHA256, leaf))
}
