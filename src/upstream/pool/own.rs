//! Addresses of this gate, to which no connection is passed on. Bytes have no `Via` that would end the loop.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The error of a connection that would come back to this gate.
#[derive(Debug)]
pub(super) struct LeadsBack;

impl fmt::Display for LeadsBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this gate listens there")
    }
}

impl std::error::Error for LeadsBack {}

/// Checks that a connection to `target` comes to none of the sockets that listen on `own`. It does so before the
/// connection is opened: else the gate would accept it, and open the next one meanwhile.
///
/// # Errors
/// [`LeadsBack`].
pub(super) fn check(target: SocketAddr, own: &[SocketAddr]) -> io::Result<()> {
    let to = match target.ip().to_canonical() {
        // A connection to the unspecified address goes to this machine.
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let accepts = |own: IpAddr| match own.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => to.is_ipv4() && is_of_this_machine(to),
        // `[::]` accepts IPv4 too on most systems.
        IpAddr::V6(ip) if ip.is_unspecified() => is_of_this_machine(to),
        ip => ip == to,
    };
    let leads_back = own.iter().any(|own| own.port() == target.port() && accepts(own.ip()));
    if leads_back { Err(io::Error::other(LeadsBack)) } else { Ok(()) }
}

/// Whether the system would send from this address to this address. A UDP socket looks the route up and sends
/// nothing.
fn is_of_this_machine(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        socket.local_addr()
    };
    address.is_loopback() || source().is_ok_and(|source: SocketAddr| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leads_back(target: &str, own: &[&str]) -> bool {
        let own: Vec<SocketAddr> = own.iter().map(|own| own.parse().unwrap()).collect();
        check(target.parse().unwrap(), &own).is_err()
    }

    #[test]
    fn an_own_address_is_known_by_any_name() {
        for (target, own) in [
            ("10.9.8.7:80", "10.9.8.7:80"),
            ("[::ffff:10.9.8.7]:80", "10.9.8.7:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.1.1:80", "0.0.0.0:80"),
            ("127.0.0.1:80", "[::]:80"),
            ("[::1]:80", "[::]:80"),
        ] {
            assert!(leads_back(target, &["127.0.0.1:1", own]), "{target} {own}");
        }
        for (target, own) in [
            ("10.9.8.7:81", "10.9.8.7:80"),
            ("127.0.0.1:80", "10.9.8.7:80"),
            ("127.0.0.2:80", "127.0.0.1:80"),
            ("[::1]:80", "0.0.0.0:80"),
            // An address for documentation (RFC 5737), which no machine has.
            ("192.0.2.7:80", "[::]:80"),
            ("192.0.2.7:80", "0.0.0.0:80"),
        ] {
            assert!(!leads_back(target, &[own]), "{target} {own}");
        }
        assert!(!leads_back("127.0.0.1:80", &[]));
    }
}
