//! Plugins where the feature is left out: no rule has any.

use std::sync::Arc;

use super::client::{Client, Exchange};
use super::local_reply::Reply;
use super::record::{ExchangeRecord, Failure};
use crate::config::plan::{HttpListener, PluginChain};
use crate::generation::ListenerSnapshot;
use crate::reason::Reason;
use crate::worker::Buffer;

/// The result of a question.
#[allow(dead_code, reason = "without the feature there is none")]
pub(super) enum Answered {
    Pass,
    Drop,
    Reply(Reply<'static>),
}

/// Refuses the request.
pub(super) async fn ask(
    _exchange: &mut Exchange<'_>,
    _http: &HttpListener,
    _chain: &Arc<PluginChain>,
) -> Result<Answered, Failure> {
    Err(Failure::new(Reason::PluginFailed))
}

/// Refuses the connection.
pub(super) async fn connect(
    _client: &Client,
    _snapshot: &ListenerSnapshot,
    _rule: Option<usize>,
    _chain: &PluginChain,
    _name: &[u8],
) -> Result<(), Failure> {
    Err(Failure::new(Reason::PluginFailed))
}

/// Leaves the response as it is.
pub(super) async fn change_response(
    _record: &ExchangeRecord<'_>,
    _status: &mut u16,
    _head: &mut Buffer,
) -> Result<(), Failure> {
    Ok(())
}
