//! A TCP address to listen on.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A TCP address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `:port`: every address of the machine, with IPv6 and IPv4 on one socket if the system can do that.
    Any(u16),
    /// One address.
    Address(SocketAddr),
}

impl Bind {
    /// The port. 0 asks the system for a free one.
    pub fn port(self) -> u16 {
        match self {
            Bind::Any(port) => port,
            Bind::Address(address) => address.port(),
        }
    }

    /// Whether one socket would accept connections that are meant for the other.
    pub fn overlaps(self, other: Bind) -> bool {
        let on_one_port = self.port() == other.port();
        on_one_port
            && match (self, other) {
                (Bind::Any(_), _) | (_, Bind::Any(_)) => true,
                (Bind::Address(a), Bind::Address(b)) => {
                    let dual = |ip: IpAddr| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
                    let (a, b) = (a.ip(), b.ip());
                    // `[::]` accepts IPv4 too on most systems.
                    a == b
                        || dual(a)
                        || dual(b)
                        || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified()))
                }
            }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Any(port) => write!(f, ":{port}"),
            Bind::Address(address) => address.fmt(f),
        }
    }
}
