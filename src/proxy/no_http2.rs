//! Without HTTP/2, no client is a stream.

use std::future::Future;
use std::rc::Rc;

use super::client::Client;
use super::record::Failure;
use crate::config::plan::HttpListener;

/// The tasks of streams: there are none.
#[derive(Default)]
pub(super) struct StreamTasks;

/// The next step after a head was refused for its version.
#[expect(dead_code, reason = "no head is a preface here")]
pub(super) enum Next {
    Refuse(Failure),
    Http2,
    Incomplete,
}

#[inline(always)]
pub(super) fn next(_: &Client, _: &HttpListener, refused: Failure) -> Next {
    Next::Refuse(refused)
}

#[inline(always)]
pub(super) fn begins(_: &Client) -> bool {
    false
}

pub(super) async fn serve<S, F>(_: Client, _: Rc<StreamTasks>, _: S)
where
    S: Fn(Client) -> F,
    F: Future<Output = ()>,
{
}
