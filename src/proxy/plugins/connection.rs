//! The question about a connection that is passed on.

use super::info::{client_text, failed};
use crate::config::plan::PluginChain;
use crate::generation::ListenerSnapshot;
use crate::plugin::messages::ConnectionInfo;
use crate::plugin::on_connect;
use crate::proxy::client::Client;
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// Asks the plugins of a rule whether a connection is passed on. `name` is the server name that the client asked for.
///
/// # Errors
/// `PluginRefused`, and `PluginFailed`.
pub(in crate::proxy) async fn connect(
    client: &Client,
    snapshot: &ListenerSnapshot,
    rule: Option<usize>,
    chain: &PluginChain,
    name: &[u8],
) -> Result<(), Failure> {
    let route = rule.and_then(|rule| snapshot.rule(rule)).map_or(&b""[..], |rule| rule.name.as_bytes());
    let info = ConnectionInfo {
        route: route.into(),
        domain: name.into(),
        client: client_text(&client.stream, client.peer),
        ..ConnectionInfo::default()
    };
    let deadline = snapshot.worker().now() + chain.timeout;
    let plugins = snapshot.generation.plugins.chain(chain);
    let at = (snapshot.worker(), &snapshot.state.plugin_links);
    match on_connect(&plugins, at, &info, deadline).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(Reason::PluginRefused)),
        Err(failure) => Err(failed(failure.to_string())),
    }
}
