//! Sockets before they are streams: binding, options, the port that is already taken.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::plan::Bind;

/// Connections the kernel holds for us between two accepts.
pub const BACKLOG: u16 = 4096;

/// Opens a listening socket that other workers can share the address of (`SO_REUSEPORT`).
///
/// # Errors
/// What the system says; `AddrInUse` when someone listens there without sharing.
pub fn listen(bind: Bind) -> io::Result<TcpListener> {
    let socket = bound(bind, true)?;
    // Accepted connections inherit it: one system call less for each.
    socket.set_tcp_nodelay(true)?;
    socket.listen(BACKLOG.into())?;
    Ok(socket.into())
}

/// Whether nobody listens there yet.
///
/// Sharing would let two gates of one user take turns on a port without either of them noticing, so
/// the first bind of an address asks, without sharing.
///
/// # Errors
/// `AddrInUse`, or what else the system says.
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
            // A machine without IPv6.
            Err(_) => (socket(Domain::IPV4)?, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))),
        },
    };
    // Else a restart would wait for the old connections' TIME_WAIT.
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
