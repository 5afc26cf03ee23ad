//! The action `files` where the feature is left out: the request is refused, and the log says why.

use std::io;
use std::sync::Arc;

use super::client::{Exchange, KeepAlive};
use super::record::{Detail, Failure};
use crate::config::plan::{Files, Rule};
use crate::http::RequestHead;
use crate::reason::Reason;

/// Does not exist.
pub(super) enum FileRequest {}

/// Refuses the request.
pub(super) fn act(
    _rule: &Rule,
    _files: &Arc<Files>,
    _head: &RequestHead<'_>,
) -> Result<Box<FileRequest>, Failure> {
    let why = "this program was built without the feature `files`";
    Err(Failure { reason: Reason::FileFailed, detail: Detail::Io(io::Error::other(why)) })
}

/// Is never called.
pub(super) async fn send(
    _exchange: &mut Exchange<'_>,
    request: Box<FileRequest>,
) -> Result<KeepAlive, Failure> {
    match *request {}
}
