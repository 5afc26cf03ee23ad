//! The socket of the internal API: binding it, and accepting from it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use smol::{Async, Task, Timer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::plan::{Bind, InternalBind, Secret};
use crate::internal_api::connection;
use crate::internal_api::control::Control;
use crate::internal_api::slots::{ConnectionSlots, Limits, Service};

/// Connections the system keeps for us until we accept them.
const BACKLOG: i32 = 1024;

/// How long to wait after `accept` failed: without descriptors it would fail again at once. One that was
/// accepted with the reserve has as long before it may lose its place to the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running internal API.
pub struct Server {
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
    listener: Arc<Listener>,
    service: Arc<Service>,
    _accepting: Task<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds and serves on smol's global executor.
    ///
    /// A file that stands at the path of a Unix socket is removed if it is a socket nobody listens
    /// on; the new one is for its owner alone.
    ///
    /// # Errors
    /// The address or path cannot be bound.
    pub fn start(
        bind: &InternalBind,
        token: Option<Secret>,
        control: Arc<dyn Control>,
    ) -> io::Result<Server> {
        Server::start_with(bind, token, control, Limits::default())
    }

    /// The same with other limits.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        bind: &InternalBind,
        token: Option<Secret>,
        control: Arc<dyn Control>,
        limits: Limits,
    ) -> io::Result<Server> {
        let (listener, address, path) = match bind {
            InternalBind::Tcp(bind) => {
                let listener = bind_tcp(*bind)?;
                let address = listener.local_addr()?;
                (Listener::Tcp(Async::new(listener)?), Some(address), None)
            }
            InternalBind::Unix(path) => {
                (Listener::Unix(Async::new(bind_unix(path)?)?), None, Some(path.clone()))
            }
        };
        let service = Arc::new(Service::new(token, control, limits));
        let listener = Arc::new(listener);
        let _accepting = smol::spawn(accept(listener.clone(), service.clone()));
        Ok(Server { address, path, listener, service, _accepting })
    }

    /// Starts a second server elsewhere, for the same gate and with the same limits. This one goes on.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn rebind(&self, bind: &InternalBind, token: Option<Secret>) -> io::Result<Server> {
        let (bind, control, limits) = (bind.clone(), self.service.control.clone(), self.service.limits);
        smol::unblock(move || Server::start_with(&bind, token, control, limits)).await
    }

    /// Where it listens, the port the system chose included; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Asks for another token, or for none, from the next request on.
    pub fn set_token(&self, token: Option<Secret>) {
        self.service.set_token(token);
    }

    /// Accepts no more and takes the socket's file away. Requests that are being answered get their
    /// answer, a reload among them, since that may be what stops this server.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closed here and now where the system can, so that another may listen; the task, which ends with
        // this, lets go of the socket a moment later, on the executor's thread.
        self.listener.close();
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn bind_tcp(bind: Bind) -> io::Result<TcpListener> {
    match bind {
        Bind::Address(address) => listen_tcp(address, false),
        Bind::Any(port) => {
            listen_tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), true).or_else(|error| {
                // A machine without IPv6 says so in one of several ways; a port in use is no such thing.
                if error.kind() == io::ErrorKind::AddrInUse {
                    return Err(error);
                }
                listen_tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), false)
            })
        }
    }
}

fn listen_tcp(address: SocketAddr, dual: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // The port of a process that just ended can be had again at once.
    socket.set_reuse_address(true)?;
    if dual {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before `listen` nobody can connect, so there is no moment at which a stranger could.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

enum Listener {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl Listener {
    /// Waits until a connection is there. Without a descriptor `accept` fails before it looks, so that it
    /// is not asked before.
    async fn readable(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.readable().await,
            Listener::Unix(listener) => listener.readable().await,
        }
    }

    /// Takes one connection without waiting, and serves it.
    fn accept(&self, service: &Arc<Service>) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => admit(listener.get_ref().accept()?.0, service),
            Listener::Unix(listener) => admit(listener.get_ref().accept()?.0, service),
        }
    }

    /// Fails on systems that cannot; then dropping the socket has to do.
    fn close(&self) {
        use rustix::net::{Shutdown, shutdown};
        let _ = match self {
            Listener::Tcp(listener) => shutdown(listener, Shutdown::Both),
            Listener::Unix(listener) => shutdown(listener, Shutdown::Both),
        };
    }
}

async fn accept(listener: Arc<Listener>, service: Arc<Service>) {
    let mut healthy = true;
    loop {
        service.reserve.fill();
        let ready = listener.readable().await;
        let accepted = ready.and_then(|()| match listener.accept(&service) {
            // Between the two no other task of this thread runs, so that the descriptor is most likely ours.
            Err(error) if is_out_of_descriptors(&error) && service.reserve.spend() => {
                listener.accept(&service)
            }
            accepted => accepted,
        });
        match accepted {
            Ok(()) => healthy = true,
            // Its peer has left, or it was never there.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
            // What `Listener::close` leaves behind says so, on Linux in these words.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) => {
                if std::mem::take(&mut healthy) {
                    tracing::warn!(%error, "internal API cannot accept");
                }
                Timer::after(ACCEPT_PAUSE).await;
                if is_out_of_descriptors(&error) {
                    service.slots.evict();
                }
            }
        }
    }
}

/// Of the process or of the system.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Gives the connection a place and a task, or closes it.
fn admit<T>(stream: T, service: &Arc<Service>) -> io::Result<()>
where
    T: rustix::fd::AsFd + Send + Sync + 'static,
    Async<T>: futures_lite::AsyncRead + futures_lite::AsyncWrite + rustix::fd::AsFd + Unpin,
{
    let Some(slot) = ConnectionSlots::take(service) else { return Ok(()) };
    let (stream, service) = (Async::new(stream)?, service.clone());
    smol::spawn(async move {
        connection::serve(stream, service.clone(), slot).await;
        // Its descriptor may have been the reserve.
        service.reserve.fill();
    })
    .detach();
    Ok(())
}
