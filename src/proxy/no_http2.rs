//! Without HTTP/2, no client is a stream.

use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;

use super::client::Client;
use super::record::Failure;
use crate::config::plan::HttpListener;
use crate::http::{FieldTable, HeadLimits, RequestHead};

/// The tasks of streams: there are none.
#[derive(Default)]
pub(super) struct StreamTasks;

/// The next step after a head was refused for its version.
pub(super) enum Next {
    Parse(Form),
    Http2,
    Incomplete,
}

/// The proof that a head is that of a stream. There is none.
pub(super) type Form = Infallible;

#[inline(always)]
pub(super) fn next(_: &mut Client, _: &HttpListener, refused: Failure) -> Result<Next, Failure> {
    Err(refused)
}

#[inline(always)]
pub(super) fn parse<'b>(
    _: &'b [u8],
    _: &HeadLimits,
    _: &'b mut FieldTable,
    form: Form,
) -> Result<Option<RequestHead<'b>>, Failure> {
    match form {}
}

#[inline(always)]
pub(super) fn is_stream(_: &Client) -> bool {
    false
}

#[inline(always)]
pub(super) fn begins(_: &Client) -> bool {
    false
}

pub(super) async fn serve<S, F>(_: Client, _: Rc<StreamTasks>, _: S)
where
    S: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
}
