//! What comes before the first request, or in place of requests: a PROXY header, a TLS handshake, a
//! connection that is passed on.

use std::future::Future;

use super::client::Client;
use super::connection::{self, ExchangeFutures};
use super::handshake;
use super::passthrough;
use super::proxy_header;
use super::record;
use crate::generation::{ListenerSnapshot, NameAction};

/// Whether nothing does: such a connection needs no task with room for more than requests.
pub(super) fn needs_no_setup(client: &Client, snapshot: &ListenerSnapshot) -> bool {
    snapshot.terminator().is_none()
        && snapshot.tcp().is_none()
        && !proxy_header::is_expected(client, snapshot)
}

/// Serves a connection from its first byte to its last.
///
/// No `async fn`, and the arrival is boxed: so that what stays of it once there are requests is nothing.
pub(super) fn serve<E, F>(client: Client, futures: ExchangeFutures<E, F>) -> impl Future<Output = ()>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    let setup = Box::pin(connection::until_closed(client, set_up));
    async move {
        if let Some(client) = setup.await {
            connection::serve(client, futures).await;
        }
    }
}

/// Gives the client back when requests are to follow; `None` when its connection is over.
pub(super) async fn set_up(mut client: Client) -> Option<Client> {
    let mut snapshot = client.listener_state.snapshot();
    if proxy_header::is_expected(&client, &snapshot) {
        proxy_header::read(&mut client, &snapshot).await?;
    }
    let mut name: Box<[u8]> = Box::default();
    if snapshot.terminator().is_some() {
        drop(snapshot);
        // Boxed, so that a connection that is passed on does not carry a handshake's size.
        let inspected = Box::pin(handshake::accept_tls(client)).await?;
        (client, name, snapshot) = (inspected.client, inspected.name, inspected.snapshot);
        match inspected.action {
            NameAction::Terminate => {}
            NameAction::Pass(rule) => {
                passthrough::serve(client, snapshot, Some(rule), name).await;
                return None;
            }
            NameAction::Drop(rule) => {
                record::log_dropped(&snapshot, client.peer, &client.stream, rule, &name);
                return None;
            }
        }
    }
    if snapshot.tcp().is_some() {
        passthrough::serve(client, snapshot, None, name).await;
        return None;
    }
    Some(client)
}
