//! Connections of one worker to one target: idle ones, and how a new one comes to be.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::connection::TargetConnection;
use crate::config::plan::{Target, TargetHost};
use crate::reason::Reason;
use crate::tls::{Connector, Input, Stream};
use crate::upstream::attempts::{Attempts, Order};
use crate::upstream::name_cache::ResolvedName;
use crate::worker::{TcpStream, Worker};

/// Idle connections kept to one target by one worker; further ones are closed.
const IDLE_MAX: usize = 1024;

/// The connections of one worker to one target.
pub struct Pool {
    target: Target,
    authority: Box<str>,
    /// For `https://`: how to shake hands, and which name to ask for.
    tls: Option<(Connector, ServerName<'static>)>,
    name: Option<Arc<ResolvedName>>,
    /// The last used is the last here, and the first to be used again: the others get to be idle
    /// long enough to be closed.
    idle: RefCell<Vec<Idle>>,
    /// The version of the name's answer that `idle` is known to agree with.
    name_version: Cell<u64>,
    order: Order,
}

struct Idle {
    connection: Box<TargetConnection>,
    until: Instant,
}

/// Why there is no connection.
#[derive(Debug)]
pub struct ConnectError {
    /// The code of it.
    pub reason: Reason,
    /// The last address that was tried.
    pub address: Option<SocketAddr>,
    /// What the system, the resolver or TLS said.
    pub error: io::Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{address}: {}", self.error),
            None => self.error.fmt(f),
        }
    }
}

impl Pool {
    /// `connector` is for `https://` targets.
    pub(super) fn new(target: Target, connector: Option<Connector>, name: Option<Arc<ResolvedName>>) -> Self {
        let authority = target.authority().into();
        let tls = connector.map(|connector| {
            let name = connector.server_name(&target);
            (connector, name.expect("invariant: the directory has refused hosts that are no server name"))
        });
        let (idle, name_version, order) = Default::default();
        Self { target, authority, tls, name, idle, name_version, order }
    }

    /// What `Host` says to this target, and what is put before the path.
    pub fn origin(&self) -> (&str, &str) {
        (&self.authority, &self.target.base_path)
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// An idle connection of which nothing bad is known. With `verify` the kernel is asked as well
    /// whether the target has closed it: for requests that could not be sent twice.
    pub fn take_idle(&self, now: Instant, verify: bool) -> Option<Box<TargetConnection>> {
        self.close_stale(now);
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, until }) = idle.pop() {
            if now < until
                && !connection.stream.has_pending_event()
                && (!verify || connection.stream.is_open_and_idle())
            {
                (connection.reused, connection.name_version) = (true, self.name_version.get());
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange ended cleanly, until `until`. Not when the name has left
    /// its address meanwhile: used again and again, it would never be idle long enough to be closed.
    pub fn put_back(&self, connection: Box<TargetConnection>, until: Instant) {
        let mut idle = self.idle.borrow_mut();
        let left =
            connection.name_version != self.name_version.get() && self.is_stale(connection.address.ip());
        if !left
            && connection.input.is_empty()
            && !connection.stream.has_pending_event()
            && idle.len() < IDLE_MAX
        {
            idle.push(Idle { connection, until });
        }
    }

    /// Opens a connection, to whichever address of the target answers first. `timeout` is for all of it: the
    /// name, every address, TLS.
    ///
    /// # Errors
    /// [`ConnectError`], of the address that failed last.
    pub async fn open(
        &self,
        worker: &Worker,
        timeout: Duration,
    ) -> Result<Box<TargetConnection>, ConnectError> {
        let attempts = Attempts::default();
        let opening = async { Ok(self.open_somewhere(worker, &attempts).await) };
        let error = match worker.timer().within(timeout, opening).await {
            Ok(Some(connection)) => return Ok(connection),
            Ok(None) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            Err(late) => late,
        };
        let (address, error) = match (attempts.trying.get(), attempts.failed.take()) {
            (Some(address), _) => (address, error),
            (None, Some(failed)) => failed,
            (None, None) => return Err(not_resolved(error)),
        };
        Err(ConnectError { reason: reason_of(&error), address: Some(address), error })
    }

    async fn open_somewhere(&self, worker: &Worker, attempts: &Attempts) -> Option<Box<TargetConnection>> {
        let name = match (&self.target.host, &self.name) {
            (TargetHost::Address(address), _) => {
                return self.open_one_of(worker, &[*address], attempts).await;
            }
            (TargetHost::Name(_), name) => name.as_ref()?,
        };
        let answer = name.current(worker).await;
        if let Some(connection) = self.open_one_of(worker, &answer.addresses, attempts).await {
            return Some(connection);
        }
        // The container may have moved since: ask now, and go there if so.
        let again = name.renewed().await;
        let moved = again.version != answer.version;
        if moved { self.open_one_of(worker, &again.addresses, attempts).await } else { None }
    }

    async fn open_one_of(
        &self,
        worker: &Worker,
        addresses: &[IpAddr],
        attempts: &Attempts,
    ) -> Option<Box<TargetConnection>> {
        let order = self.order.next(addresses, Instant::now());
        let order = order.into_iter().map(|address| SocketAddr::new(address, self.target.port));
        let connect = |address| self.connect(worker, address);
        let (address, stream) = attempts.race(order, &self.order, worker.timer(), connect).await?;
        let (input, name_version) = (Input::default(), self.name_version.get());
        Some(Box::new(TargetConnection { stream, input, address, name_version, reused: false }))
    }

    /// Closes what is too old, closed by the target, or at an address that the name has left.
    /// Whether any connection is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| now < idle.until && !idle.connection.stream.has_pending_event());
        if idle.is_empty() {
            idle.shrink_to(0);
        }
        !idle.is_empty()
    }

    async fn connect(&self, worker: &Worker, address: SocketAddr) -> io::Result<Stream> {
        let stream = TcpStream::connect(worker, address).await?;
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                connector.connect(name.clone(), stream).await.map_err(during_handshake)
            }
        }
    }

    fn is_stale(&self, address: IpAddr) -> bool {
        self.name.as_ref().is_some_and(|name| !name.last().addresses.contains(&address))
    }

    /// Closes idle connections to addresses that the name does not stand for any more.
    fn close_stale(&self, now: Instant) {
        let Some(name) = &self.name else { return };
        let version = name.version(now);
        if self.name_version.replace(version) != version {
            let answer = name.last();
            self.idle.borrow_mut().retain(|idle| answer.addresses.contains(&idle.connection.address.ip()));
        }
    }
}

fn not_resolved(error: io::Error) -> ConnectError {
    let error = match error.kind() {
        io::ErrorKind::TimedOut => io::Error::new(error.kind(), "the resolver did not answer in time"),
        _ => error,
    };
    ConnectError { reason: Reason::NameNotFound, address: None, error }
}

/// Marks errors of the handshake that do not look like ones: the peer hung up in the middle of it.
fn during_handshake(error: io::Error) -> io::Error {
    let of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    if of_tls { error } else { io::Error::new(error.kind(), rustls::Error::General(error.to_string())) }
}

fn reason_of(error: &io::Error) -> Reason {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return match error {
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
                Reason::TlsCertificate
            }
            _ => Reason::TlsFailed,
        };
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reason::ConnectRefused,
        io::ErrorKind::TimedOut => Reason::ConnectTimeout,
        _ => Reason::ConnectFailed,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::plan::Scheme;
    use crate::upstream::{NameCache, Resolver, Unresolved};

    /// A pool of a target with that name.
    fn pool_of(name: &Arc<ResolvedName>, port: u16) -> Pool {
        let host = TargetHost::Name("moving.test".into());
        let target = Target { scheme: Scheme::Http, host, port, base_path: "".into() };
        Pool::new(target, None, Some(name.clone()))
    }

    #[test]
    fn a_link_to_an_address_that_the_name_has_left_is_neither_handed_out_nor_kept() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = NameCache::default().get(&"moving.test".into());
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        name.store(Ok(vec![here]), Instant::now());
        let pool = pool_of(&name, server.local_addr().unwrap().port());
        let done = crate::worker::run(|worker| async move {
            let far = Instant::now() + Duration::from_secs(3600);
            let open = || pool.open(&worker, Duration::from_secs(5));
            let (idle, busy) = (open().await.unwrap(), open().await.unwrap());
            pool.put_back(idle, far);
            let idle = pool.take_idle(Instant::now(), false).expect("nothing has happened to it");
            pool.put_back(idle, far);
            name.store(Ok(vec![there]), Instant::now());
            assert!(pool.take_idle(Instant::now(), false).is_none(), "it was idle when the name left");
            pool.put_back(busy, far);
            assert!(pool.take_idle(Instant::now(), false).is_none(), "it was in use when the name left");
        });
        done.unwrap();
    }

    /// Answers nothing, for as long as the channel that the test holds the other end of is open.
    struct Hanging(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

    impl Resolver for Hanging {
        fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
            let _ = self.0.lock().unwrap().recv();
            Err(Unresolved::Temporary(io::ErrorKind::TimedOut.into()))
        }
    }

    #[test]
    fn one_deadline_is_for_the_name_and_all_addresses() {
        let (_hangs, receiver) = std::sync::mpsc::channel();
        let names = NameCache::new(Hanging(receiver.into()));
        let name = names.get(&"moving.test".into());
        // An address where something listens, and one of the network for examples: no answer, or that it
        // cannot be reached.
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = pool_of(&name, server.local_addr().unwrap().port());
        let ended = crate::worker::run(|worker| async move {
            let short = Duration::from_millis(50);
            let error = pool.open(&worker, short).await.err().unwrap();
            assert_eq!((error.reason, error.address), (Reason::NameNotFound, None), "{error}");
            name.store(Ok(vec![[192, 0, 2, 1].into()]), Instant::now());
            let error = pool.open(&worker, short).await.err().unwrap();
            let expected = [Reason::ConnectTimeout, Reason::ConnectFailed, Reason::ConnectRefused];
            assert!(expected.contains(&error.reason) && error.address.is_some(), "{error}");
            // However long the name may take that is asked for anew: the deadline is far.
            name.store(Ok(vec![[192, 0, 2, 1].into(), [127, 0, 0, 1].into()]), Instant::now());
            let connection = pool.open(&worker, Duration::from_secs(3600)).await.unwrap();
            assert_eq!(connection.address.ip(), IpAddr::from([127, 0, 0, 1]));
        });
        ended.unwrap();
    }

    #[test]
    fn each_way_to_fail_has_its_reason() {
        let of = |error: rustls::Error| reason_of(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(reason_of(&io::ErrorKind::ConnectionRefused.into()), Reason::ConnectRefused);
        assert_eq!(reason_of(&io::ErrorKind::TimedOut.into()), Reason::ConnectTimeout);
        assert_eq!(reason_of(&io::ErrorKind::HostUnreachable.into()), Reason::ConnectFailed);
        assert_eq!(of(rustls::CertificateError::Expired.into()), Reason::TlsCertificate);
        assert_eq!(of(rustls::Error::HandshakeNotComplete), Reason::TlsFailed);
        assert_eq!(reason_of(&during_handshake(io::ErrorKind::UnexpectedEof.into())), Reason::TlsFailed);
    }
}
