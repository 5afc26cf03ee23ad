//! Sockets before they are streams: binding, options, ports that are already taken.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::plan::Bind;

/// Connections that the kernel queues between two accepts.
pub const BACKLOG: u16 = 4096;

/// Opens a listening socket whose address other workers can share (`SO_REUSEPORT`).
///
/// # Errors
/// Any error of the system; `AddrInUse` if another program listens there without sharing.
pub fn listen(bind: Bind) -> io::Result<TcpListener> {
    let socket = bound(bind, true)?;
    // Accepted connections inherit the option, which saves one system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}

/// Checks that no socket listens on this address yet.
///
/// With sharing, two gates of one user could take turns on a port unnoticed. So the first bind of an address
/// tries it without sharing.
///
/// # Errors
/// `AddrInUse`, or any other error of the system.
pub fn is_free(bind: Bind) -> io::Result<()> {
    bound(bind, false).map(drop)
}

fn bound(bind: Bind, shared: bool) -> io::Result<Socket> {
    let (socket, address) = match bind {
        Bind::Address(address) => (socket(Domain::for_address(address))?, address),
        Bind::Any(port) => match socket(Domain::IPV6).and_then(|socket| {
            socket.set_only_v6(false)?;
            Ok(socket)
        }) {
            Ok(socket) => (socket, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            // The machine has no IPv6.
            Err(_) => (socket(Domain::IPV4)?, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        },
    };
    // Without this option, a restart would wait for the old connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
