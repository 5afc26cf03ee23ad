//! The PROXY header, with which a trusted peer announces the address of its client.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tracing::Level;

use crate::generation::ListenerSnapshot;
use crate::log::repeats::{self, Admitted, Subject};
use crate::proxy::client::{Client, IdleEnd, Unfinished, peer_address, wait_for_request};
use crate::proxy_protocol::{HEADER_BYTES_MAX, HeaderError, parse};
use crate::reason::Reason;

/// How long a peer may take to send its PROXY header.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the peer has to send a PROXY header.
pub(in crate::proxy) fn is_expected(client: &Client, snapshot: &ListenerSnapshot) -> bool {
    snapshot.listener().accept_proxy_protocol.iter().any(|network| network.contains(&client.peer))
}

/// Reads the header and gives the client the announced address. The bytes behind the header are served as if the
/// client had connected itself. `None`: the connection is over.
pub(in crate::proxy) async fn read(client: &mut Client, snapshot: &ListenerSnapshot) -> Option<()> {
    let timer = snapshot.worker().timer();
    let (listener_state, handle) = (client.listener_state.clone(), client.handle.clone());
    let mut unfinished = Unfinished::default();
    let header = unfinished.wait(&listener_state, &handle, take_header(client));
    match timer.within(PROXY_HEADER_TIMEOUT, header).await {
        Ok(Ok(())) => return Some(()),
        // A probe of the port, or a silent client whose connection drains.
        Err(error) if error.kind() != io::ErrorKind::TimedOut && client.input.is_empty() => {}
        Ok(Err(error)) => refuse(snapshot, client, error.explain()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            refuse(snapshot, client, "no PROXY header came in time");
        }
        Err(error) => refuse(snapshot, client, &error.to_string()),
    }
    None
}

/// Reads the header and removes it from the input. The outer result is for the timer.
async fn take_header(client: &mut Client) -> io::Result<Result<(), HeaderError>> {
    if !matches!(wait_for_request(client, Duration::MAX).await, IdleEnd::Request) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    loop {
        match parse(client.input.unread()) {
            Ok(Some(header)) => {
                client.input.consume(header.len);
                if let Some(addresses) = header.addresses {
                    client.peer = peer_address(addresses.0);
                    client.proxy_header_addresses = Some(Rc::new(addresses));
                }
                return Ok(Ok(()));
            }
            Ok(None) => {}
            Err(error) => return Ok(Err(error)),
        }
        if client.input.fill(&client.stream, HEADER_BYTES_MAX).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Counts and logs the refusal. The peer gets no answer, because the protocol of its client is unknown.
fn refuse(snapshot: &ListenerSnapshot, client: &Client, why: &str) {
    let reason = Reason::ProxyHeader;
    snapshot.state.counters.local_reply(reason);
    let (message, listener) = ("connection refused", &snapshot.listener().name);
    let subject = Subject { level: Level::WARN, message, reason, listener: listener.clone(), upstream: None };
    if let Some(Admitted(repeated)) = repeats::admit(subject) {
        tracing::warn!(reason = reason.code(), detail = why, client = %client.peer, %listener, repeated, "{message}");
    }
}
