//! The watch over addresses of clients: many requests of one private address are probably those of a proxy that is not
//! trusted, or of the gateway of a network of containers. Then limits on clients and networks see one client.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Requests that are counted together.
const WINDOW: u32 = 1_000;

/// The addresses of the last requests of a listener on one worker.
pub struct ClientCensus {
    window: Cell<Window>,
    /// It was told once, which is enough for the process.
    told: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Default)]
struct Window {
    /// The first private address of the window. If one address has most requests, it is that one in most windows.
    address: Option<IpAddr>,
    /// The requests of this address.
    same: u32,
    /// All requests.
    all: u32,
}

impl ClientCensus {
    pub(super) fn new(told: &Arc<AtomicBool>) -> Self {
        Self { window: Cell::default(), told: told.clone() }
    }

    /// Counts a request of a client whose address no trusted proxy tells. Returns, once in the process, the private address
    /// that more than half of the requests had.
    pub fn count(&self, client: IpAddr) -> Option<IpAddr> {
        if self.told.load(Ordering::Relaxed) {
            return None;
        }
        let mut window = self.window.get();
        let most = window.count(client);
        self.window.set(window);
        most.filter(|_| !self.told.swap(true, Ordering::Relaxed))
    }
}

impl Window {
    fn count(&mut self, client: IpAddr) -> Option<IpAddr> {
        self.all += 1;
        if self.address.is_none() && is_private(client) {
            self.address = Some(client);
        }
        self.same += u32::from(self.address == Some(client));
        if self.all < WINDOW {
            return None;
        }
        std::mem::take(self).most()
    }

    /// The private address of more than half of the requests.
    fn most(self) -> Option<IpAddr> {
        self.address.filter(|_| self.same > WINDOW / 2)
    }
}

/// Whether strangers cannot have the address: a private one (RFC 1918, RFC 4193), one of this machine, or one of a single
/// segment of the network (RFC 3927, RFC 4291).
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often it is told of requests of these addresses.
    fn told<'a>(clients: impl Iterator<Item = &'a str>) -> usize {
        let census = ClientCensus::new(&Arc::default());
        clients.filter_map(|client| census.count(client.parse().unwrap())).count()
    }

    #[test]
    fn one_private_address_with_most_requests_is_told_once() {
        let gateway = |count| std::iter::repeat_n("172.17.0.1", count);
        let mixed = |parts: [&'static str; 2]| parts.into_iter().cycle().take(10_000);
        assert_eq!((told(gateway(999)), told(gateway(1_000)), told(gateway(5_000))), (0, 1, 1));
        assert_eq!(told(["fd00::1", "fd00::1", "192.0.2.7"].into_iter().cycle().take(10_000)), 1);
        assert_eq!(told(mixed(["172.17.0.1", "172.17.0.2"])), 0);
        assert_eq!(told(mixed(["192.0.2.7", "192.0.2.7"])), 0);
        // The first private address of a window may be another one. That of a later window is not.
        assert_eq!(told(["10.0.0.9"].into_iter().chain(gateway(1_999))), 1);
    }
}
