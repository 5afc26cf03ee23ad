//! The socket of the internal API, and how many connections it has at once.
//!
//! A connection has a place. When all are taken, the oldest one that waits for its peer loses its
//! place to the new one: whoever opens a thousand connections and says nothing pushes out its own,
//! and a probe that speaks at once is answered. So it is too when the process has no descriptor left:
//! one is kept in reserve, and given up for one connection at a time.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_lite::future;
use rustix::io::Errno;
use smol::channel::{Receiver, Sender, bounded};
use smol::{Async, Task, Timer};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::plan::{Bind, InternalBind, Secret};
use crate::internal_api::connection;
use crate::internal_api::control::Control;
use crate::internal_api::endpoint::RELOADS_MAX;

/// Connections the system keeps for us until we accept them.
const BACKLOG: i32 = 1024;

/// How long to wait after `accept` failed: without descriptors it would fail again at once. One that was
/// accepted with the reserve has as long before it may lose its place to the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one peer, or many, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// From the accept to the last byte of the head.
    pub head_time: Duration,
    /// From there to the last byte of the body.
    pub body_time: Duration,
    /// From the first byte of the answer to its last. How long a reload takes is not in it.
    pub answer_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 64,
            head_time: Duration::from_secs(5),
            body_time: Duration::from_secs(5),
            answer_time: Duration::from_secs(10),
        }
    }
}

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
        let service = Arc::new(Service {
            token: Mutex::new(token),
            control,
            limits,
            slots: ConnectionSlots::default(),
            reserve: Reserve::default(),
            reloads: AtomicUsize::new(0),
        });
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
        *self.service.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
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

/// What all connections share.
pub(super) struct Service {
    token: Mutex<Option<Secret>>,
    pub(super) control: Arc<dyn Control>,
    pub(super) limits: Limits,
    slots: ConnectionSlots,
    reserve: Reserve,
    reloads: AtomicUsize,
}

impl Service {
    pub(super) fn token(&self) -> Option<Secret> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A turn to reload; `None` if too many wait already.
    pub(super) fn begin_reload(&self) -> Option<ReloadPermit<'_>> {
        let permit = ReloadPermit(&self.reloads);
        // The turn counts itself, so that dropping it is right in both cases.
        (self.reloads.fetch_add(1, Ordering::AcqRel) < RELOADS_MAX).then_some(permit)
    }
}

/// Held while a reload runs or waits.
pub(super) struct ReloadPermit<'a>(&'a AtomicUsize);

impl Drop for ReloadPermit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One descriptor, kept so that a probe can be accepted when there is none left.
#[derive(Default)]
struct Reserve(Mutex<Option<File>>);

impl Reserve {
    fn kept(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one again, if it is not there and there is one to be had.
    fn fill(&self) {
        let mut kept = self.kept();
        if kept.is_none() {
            *kept = File::open("/dev/null").ok();
        }
    }

    /// Gives it up. `false`: it is not there.
    fn spend(&self) -> bool {
        self.kept().take().is_some()
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

/// The connections that are there, oldest first.
#[derive(Default)]
struct ConnectionSlots(Mutex<SlotTable>);

#[derive(Default)]
struct SlotTable {
    entries: VecDeque<Entry>,
    next: u64,
}

impl SlotTable {
    /// Takes the place of the oldest connection that waits for its peer; `None` if none does.
    fn evict(&mut self) -> Option<Entry> {
        let oldest = self.entries.iter().position(|entry| !entry.held)?;
        self.entries.remove(oldest)
    }
}

struct Entry {
    id: u64,
    /// Not to be taken away: it works for its peer.
    held: bool,
    /// Dropped to tell the connection that its place is gone.
    _keep: Sender<()>,
}

impl ConnectionSlots {
    fn table(&self) -> MutexGuard<'_, SlotTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if need be that of the oldest connection that waits for its peer.
    fn take(service: &Arc<Service>) -> Option<ConnectionSlot> {
        let mut table = service.slots.table();
        if table.entries.len() >= service.limits.connections {
            table.evict()?;
        }
        let (keep, evicted) = bounded(1);
        let id = table.next;
        table.next += 1;
        table.entries.push_back(Entry { id, held: false, _keep: keep });
        Some(ConnectionSlot { service: service.clone(), id, evicted })
    }

    /// Ends the oldest connection that waits for its peer, for the sake of its descriptor.
    fn evict(&self) {
        self.table().evict();
    }

    fn hold(&self, id: u64, held: bool) {
        if let Some(entry) = self.table().entries.iter_mut().find(|entry| entry.id == id) {
            entry.held = held;
        }
    }
}

/// The place of one connection.
pub(super) struct ConnectionSlot {
    service: Arc<Service>,
    id: u64,
    evicted: Receiver<()>,
}

impl ConnectionSlot {
    /// The result of `work`, or `None` when the place is taken away first.
    pub(super) async fn or_evicted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let work = async { Some(work.await) };
        let evicted = async {
            // Nothing is ever sent: this ends when the other end is dropped.
            let _ = self.evicted.recv().await;
            None
        };
        future::or(work, evicted).await
    }

    /// Keeps the place safe until the result is dropped.
    pub(super) fn hold(&self) -> KeptSlot<'_> {
        self.service.slots.hold(self.id, true);
        KeptSlot(self)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.service.slots.table().entries.retain(|entry| entry.id != self.id);
    }
}

/// Keeps a place safe.
pub(super) struct KeptSlot<'a>(&'a ConnectionSlot);

impl Drop for KeptSlot<'_> {
    fn drop(&mut self) {
        self.0.service.slots.hold(self.0.id, false);
    }
}
