//! The socket of the internal API: binding it, and accepting from it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use smol::{Async, Task, Timer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::plan::{Bind, InternalBind, Secret};
use crate::files;
use crate::internal_api::connection;
use crate::internal_api::control::Control;
use crate::internal_api::slots::{ConnectionSlots, Limits, Service};

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// The pause after `accept` failed. Without a free descriptor it would fail again at once. A connection that was
/// accepted with the reserve has this time before it may lose its slot to the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The running internal API.
pub struct Server {
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
    listener: Arc<Listener>,
    service: Arc<Service>,
    /// Another process accepts from the socket too.
    is_shared: bool,
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
    /// If a file stands at the path of a Unix socket, it is removed if it is a socket without a listener. Only the
    /// owner may connect to the new socket.
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

    /// As [`Server::start`], with other limits.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(
        bind: &InternalBind,
        token: Option<Secret>,
        control: Arc<dyn Control>,
        limits: Limits,
    ) -> io::Result<Server> {
        let socket = match bind {
            InternalBind::Tcp(bind) => Socket::from(bind_tcp(*bind)?),
            InternalBind::Unix(path) => Socket::from(bind_unix(path)?),
        };
        Server::start_on(socket, bind, token, control, limits)
    }

    /// As [`Server::start`], on a socket that listens already.
    ///
    /// # Errors
    /// The socket cannot be used.
    pub fn start_on(
        socket: Socket,
        bind: &InternalBind,
        token: Option<Secret>,
        control: Arc<dyn Control>,
        limits: Limits,
    ) -> io::Result<Server> {
        let (listener, address, path) = match bind {
            InternalBind::Tcp(_) => {
                let listener = TcpListener::from(socket);
                let address = listener.local_addr()?;
                (Listener::Tcp(Async::new(listener)?), Some(address), None)
            }
            InternalBind::Unix(path) => {
                (Listener::Unix(Async::new(UnixListener::from(socket))?), None, Some(path.clone()))
            }
        };
        let service = Arc::new(Service::new(token, control, limits));
        let listener = Arc::new(listener);
        let _accepting = smol::spawn(accept(listener.clone(), service.clone()));
        Ok(Server { address, path, listener, service, is_shared: false, _accepting })
    }

    /// Another handle of the socket, for a process that will accept from it too.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn share(&self) -> io::Result<OwnedFd> {
        match &*self.listener {
            Listener::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Listener::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Starts a second server at another address, for the same gate and with the same limits. This server goes on.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn rebind(&self, bind: &InternalBind, token: Option<Secret>) -> io::Result<Server> {
        let (bind, control, limits) = (bind.clone(), self.service.control.clone(), self.service.limits);
        smol::unblock(move || Server::start_with(&bind, token, control, limits)).await
    }

    /// The address at which it listens, with the port that the system chose. `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Requires another token, or none, from the next request on.
    pub fn set_token(&self, token: Option<Secret>) {
        self.service.set_token(token);
    }

    /// Stops accepting and removes the file of a Unix socket. Open requests still get their response. This
    /// includes a reload, because a reload may be what stops this server.
    pub fn stop(self) {
        drop(self);
    }

    /// As [`Server::stop`], but another process accepts from the socket too, so it stays open.
    pub fn leave_socket(mut self) {
        self.is_shared = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Close the socket here, if the system can do that, so that another server may listen at once. The task
        // drops the socket only a moment later, on the executor's thread.
        if self.is_shared {
            return;
        }
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
                // A system without IPv6 reports one of several errors, but never that the address is in use.
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
    // Allows to bind the port of a process that has just ended.
    socket.set_reuse_address(true)?;
    if dual {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether a Unix socket could be created at `path`. A gate that is running already may listen there.
///
/// # Errors
/// As [`Server::start`].
pub fn may_bind_unix(path: &Path) -> io::Result<()> {
    SockAddr::unix(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => Err(not_a_socket()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => files::may_create(path),
        Err(error) => Err(error),
    }
}

fn not_a_socket() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is not a socket")
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(not_a_socket());
        }
        Ok(_) => match UnixStream::connect(path) {
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // No client can connect before `listen`, so the permissions hold from the first moment.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

enum Listener {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl Listener {
    /// Waits until a connection is there. `accept` must not be asked before: without a free descriptor it fails
    /// even if there is no connection.
    async fn readable(&self) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.readable().await,
            Listener::Unix(listener) => listener.readable().await,
        }
    }

    /// Accepts one connection without waiting, and serves it.
    fn accept(&self, service: &Arc<Service>) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => admit(listener.get_ref().accept()?.0, service),
            Listener::Unix(listener) => admit(listener.get_ref().accept()?.0, service),
        }
    }

    /// Closes the socket, if the system can do that. Otherwise dropping it has to do.
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
            // No other task of this thread runs in between, so this call most likely gets the descriptor that was
            // given up.
            Err(error) if is_out_of_descriptors(&error) && service.reserve.spend() => {
                listener.accept(&service)
            }
            accepted => accepted,
        });
        match accepted {
            Ok(()) => healthy = true,
            // The client has left, or there was none.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) => {}
            // The error after [`Listener::close`], at least on Linux.
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

/// Whether the process or the system has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Gives the connection a slot and a task, or closes it.
fn admit<T>(stream: T, service: &Arc<Service>) -> io::Result<()>
where
    T: rustix::fd::AsFd + Send + Sync + 'static,
    Async<T>: futures_lite::AsyncRead + futures_lite::AsyncWrite + rustix::fd::AsFd + Unpin,
{
    let Some(slot) = ConnectionSlots::take(service) else { return Ok(()) };
    let (stream, service) = (Async::new(stream)?, service.clone());
    smol::spawn(async move {
        connection::serve(stream, service.clone(), slot).await;
        // This connection may have used the descriptor of the reserve.
        service.reserve.fill();
    })
    .detach();
    Ok(())
}
