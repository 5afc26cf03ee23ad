//! A warning for listeners whose clients all have one address, that of a Docker network's gateway.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::generation::ListenerSnapshot;

/// Connections after which one address is no accident.
const CONNECTIONS: u32 = 100;

/// Whether the warning was written: once in a process is enough.
static SAID: AtomicBool = AtomicBool::new(false);

/// The only peer that a listener has had on one worker, as long as there is no other.
#[derive(Default)]
pub(in crate::proxy) struct SolePeer(Cell<Seen>);

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Seen {
    #[default]
    None,
    /// All connections came from this address, which looks like a gateway.
    One(IpAddr, u32),
    /// Nothing is left to find out.
    Done,
}

impl Seen {
    /// One connection later.
    fn after(self, peer: IpAddr) -> Self {
        match self {
            Self::None if is_gateway(peer) => Self::One(peer, 1),
            Self::One(sole, count) if sole == peer => Self::One(sole, count + 1),
            _ => Self::Done,
        }
    }
}

impl SolePeer {
    /// Records a connection, and warns if it is the one that leaves no doubt.
    #[inline]
    pub(in crate::proxy) fn observe(&self, peer: IpAddr, snapshot: &ListenerSnapshot) {
        if self.0.get() == Seen::Done {
            return;
        }
        self.0.set(self.0.get().after(peer));
        if let Seen::One(_, CONNECTIONS) = self.0.get() {
            self.0.set(Seen::Done);
            if !names_clients(peer, snapshot) && !SAID.swap(true, Relaxed) {
                warn(peer, snapshot);
            }
        }
    }
}

/// Whether this is the first address of a private network, which Docker gives to its bridge.
fn is_gateway(peer: IpAddr) -> bool {
    matches!(peer, IpAddr::V4(peer) if peer.is_private() && peer.octets()[3] == 1)
}

/// Whether the peer is known as a proxy that tells the addresses of its clients.
fn names_clients(peer: IpAddr, snapshot: &ListenerSnapshot) -> bool {
    let trusted = snapshot.http().into_iter().flat_map(|http| &http.trusted_proxies);
    trusted.chain(&snapshot.listener().accept_proxy_protocol).any(|network| network.contains(&peer))
}

#[cold]
fn warn(peer: IpAddr, snapshot: &ListenerSnapshot) {
    let listener = &*snapshot.listener().name;
    tracing::warn!(
        listener,
        client = %peer,
        "all of {CONNECTIONS} clients have the address {peer}: it seems to be the gateway of a Docker network, and the \
         addresses of the clients are lost. Logs, X-Forwarded-For and limits see one client. Use `network_mode: host`, or \
         turn `userland-proxy` off in Docker's daemon.json, or give the network IPv6 if clients have it. If it is a proxy, \
         name it in `trusted_proxies`"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peers: &[&str]) -> Seen {
        peers.iter().fold(Seen::None, |seen, peer| seen.after(peer.parse().unwrap()))
    }

    #[test]
    fn only_a_gateway_without_company_is_counted() {
        let gateway = "172.18.0.1";
        assert_eq!(seen(&[gateway; 100]), Seen::One(gateway.parse().unwrap(), 100));
        assert_eq!(seen(&[gateway, gateway, "172.18.0.2"]), Seen::Done);
        assert_eq!(seen(&["172.18.0.2", gateway, gateway]), Seen::Done);
        for other in ["127.0.0.1", "192.0.2.1", "10.0.0.2", "172.32.0.1", "fd00::1", "8.8.8.1"] {
            assert_eq!(seen(&[other]), Seen::Done, "{other}");
        }
        for gateway in ["10.0.0.1", "172.17.0.1", "192.168.1.1"] {
            assert_eq!(seen(&[gateway]), Seen::One(gateway.parse().unwrap(), 1));
        }
    }
}
