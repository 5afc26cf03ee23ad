//! A connection that is passed on as it is: to a target and back, byte for byte, with whatever was read
//! of it while it was decided where it goes.

use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::guests::UnlessSentAway;
use super::record;
use super::site::Site;
use super::tcp;
use super::transfer::write_all;
use crate::config::plan::{Action, Pass, ProxyProtocol};
use crate::proxy_protocol;

/// How long a target may take to accept the few bytes that say who the client is.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// Serves a connection that a rule passes on, to its end.
pub(super) async fn serve(mut client: Client, site: Rc<Site>, rule: usize) {
    let (guest, peer, of) = (client.guest.clone(), client.peer, site.clone());
    let serve = async move {
        let Some(Action::Pass(to)) = site.rule(rule).map(|rule| &rule.action) else { return };
        if let Err(Failure { reason, detail }) = pass(&mut client, &site, Some(rule), to).await {
            site.state.counters.own_answer(reason);
            let upstream = &*site.upstreams.get(to.upstream).name;
            tracing::warn!(reason = reason.code(), %detail, %peer, upstream, "connection not passed on");
        }
    };
    UnlessSentAway::new(guest, serve, move || record::sent_away(&of, peer)).await;
}

/// Passes a connection on, what was read of it first.
///
/// # Errors
/// When no target can be reached: then the client has been told nothing yet.
pub(super) async fn pass(
    client: &mut Client,
    site: &Rc<Site>,
    rule: Option<usize>,
    to: &Pass,
) -> Result<(), Failure> {
    let link = tcp::connect(site, to.upstream).await?;
    if let Some(version) = to.send_proxy_protocol {
        let header = header(client, version).map_err(Failure::of_client)?;
        let mut slices = [IoSlice::new(&header)];
        let timer = site.worker().timer();
        write_all(&link.stream, &mut slices, &timer, HEADER_TIME).await.map_err(Failure::of_target)?;
    }
    tcp::relay(client, site, rule, link, to.idle_timeout).await;
    Ok(())
}

/// Who the client is, as the target reads it.
fn header(client: &Client, version: ProxyProtocol) -> std::io::Result<Vec<u8>> {
    let tcp = client.stream.plain().ok_or(std::io::ErrorKind::InvalidInput)?;
    let (from, to) = match client.announced.as_deref() {
        Some(announced) => *announced,
        None => (tcp.peer_address()?, tcp.local_address()?),
    };
    let version = match version {
        ProxyProtocol::V1 => proxy_protocol::Version::V1,
        ProxyProtocol::V2 => proxy_protocol::Version::V2,
    };
    let mut header = Vec::new();
    let plain = |address: std::net::SocketAddr| (address.ip().to_canonical(), address.port()).into();
    proxy_protocol::write(version, plain(from), plain(to), &mut header);
    Ok(header)
}
