//! Connections of one worker to one target: reuse of idle ones, and opening of new ones.

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
use crate::tls::{self, Connector, Input, Stream};
use crate::upstream::attempts::{Attempts, Order};
use crate::upstream::name_cache::ResolvedName;
use crate::upstream::own::{self, LeadsBack};
use crate::worker::{TcpStream, Worker};

/// Idle connections that one worker keeps to one target; further ones are closed.
const IDLE_MAX: usize = 1024;

/// The connections of one worker to one target.
pub struct Pool {
    target: Target,
    authority: Box<str>,
    /// For `https://`: the connector and the server name to ask for.
    tls: Option<(Connector, ServerName<'static>)>,
    name: Option<Arc<ResolvedName>>,
    /// The connection that was used last is the last here and is reused first. So the others stay idle long
    /// enough to be closed.
    idle: RefCell<Vec<Idle>>,
    /// The version of the name's answer that the addresses in `idle` were last compared with.
    name_version: Cell<u64>,
    order: Order,
}

struct Idle {
    connection: Box<TargetConnection>,
    until: Instant,
}

/// The reason why no connection could be opened.
#[derive(Debug)]
pub struct ConnectError {
    /// The reason's code.
    pub reason: Reason,
    /// The last address that was tried.
    pub address: Option<SocketAddr>,
    /// The error of the system, the resolver or TLS.
    pub error: io::Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}: ")?;
        }
        self.error.fmt(f)?;
        tls::advice(&self.error).map_or(Ok(()), |advice| write!(f, "; {advice}"))
    }
}

impl Pool {
    /// `connector` is for `https://` targets.
    pub(super) fn new(target: Target, connector: Option<Connector>, name: Option<Arc<ResolvedName>>) -> Self {
        let authority = target.authority().into();
        let tls = connector.map(|connector| {
            let name = connector.server_name(&target);
            (connector, name.expect("invariant: `UpstreamTable` refuses hosts that are no server name"))
        });
        let (idle, name_version, order) = Default::default();
        Self { target, authority, tls, name, idle, name_version, order }
    }

    /// The value of `Host` for this target, and the prefix of the path.
    pub fn origin(&self) -> (&str, &str) {
        (&self.authority, &self.target.base_path)
    }

    /// The target of all its connections.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes an idle connection without a pending event. With `verify` it also asks the kernel whether the
    /// target has closed the connection, for requests that must not be sent twice.
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

    /// Puts a connection back after a clean exchange; it may be reused until `until`. A connection to an
    /// address that DNS no longer returns is closed: under steady traffic it would never be idle long enough
    /// to be swept.
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

    /// Opens a connection to the address of the target that answers first. `timeout` covers everything: the
    /// name, every address and TLS. No connection is opened to an address of `own`, on which this gate listens.
    ///
    /// # Errors
    /// [`ConnectError`] of the address that failed last.
    pub async fn open(
        &self,
        worker: &Worker,
        timeout: Duration,
        own: &[SocketAddr],
    ) -> Result<Box<TargetConnection>, ConnectError> {
        let attempts = Attempts::default();
        let opening = async { Ok(self.open_somewhere(worker, own, &attempts).await) };
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

    async fn open_somewhere(
        &self,
        worker: &Worker,
        own: &[SocketAddr],
        attempts: &Attempts,
    ) -> Option<Box<TargetConnection>> {
        let name = match (&self.target.host, &self.name) {
            (TargetHost::Address(address), _) => {
                return self.open_one_of(worker, own, &[*address], attempts).await;
            }
            (TargetHost::Name(_), name) => name.as_ref()?,
        };
        let answer = name.current(worker).await;
        if let Some(connection) = self.open_one_of(worker, own, &answer.addresses, attempts).await {
            return Some(connection);
        }
        // The container may have moved in the meantime: resolve again, and try the new addresses if they
        // differ.
        let again = name.renewed().await;
        let moved = again.version != answer.version;
        if moved { self.open_one_of(worker, own, &again.addresses, attempts).await } else { None }
    }

    async fn open_one_of(
        &self,
        worker: &Worker,
        own: &[SocketAddr],
        addresses: &[IpAddr],
        attempts: &Attempts,
    ) -> Option<Box<TargetConnection>> {
        let order = self.order.next(addresses, Instant::now());
        let order = order.into_iter().map(|address| SocketAddr::new(address, self.target.port));
        let connect = |address| self.connect(worker, own, address);
        let (address, stream) = attempts.race(order, &self.order, worker.timer(), connect).await?;
        let (input, name_version) = (Input::default(), self.name_version.get());
        Some(Box::new(TargetConnection { stream, input, address, name_version, reused: false }))
    }

    /// Closes connections that are too old or have a pending event, such as a close by the target. Returns
    /// whether any connection is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| now < idle.until && !idle.connection.stream.has_pending_event());
        if idle.is_empty() {
            idle.shrink_to(0);
        }
        !idle.is_empty()
    }

    async fn connect(&self, worker: &Worker, own: &[SocketAddr], address: SocketAddr) -> io::Result<Stream> {
        own::check(address, own)?;
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

    /// Closes idle connections to addresses that DNS no longer returns.
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

/// Marks an error as one of the handshake. If the peer hangs up in the middle of it, the error does not say
/// so.
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
        _ if error.get_ref().is_some_and(|inner| inner.is::<LeadsBack>()) => Reason::LoopDetected,
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

    /// A pool of one target with the given name.
    fn pool_of(name: &Arc<ResolvedName>, port: u16) -> Pool {
        let host = TargetHost::Name("moving.test".into());
        let target = Target { scheme: Scheme::Http, host, port, base_path: "".into() };
        Pool::new(target, None, Some(name.clone()))
    }

    #[test]
    fn a_connection_to_a_stale_address_is_neither_handed_out_nor_kept() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let name = NameCache::default().get(&"moving.test".into());
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        name.store(Ok(vec![here]), Instant::now());
        let pool = pool_of(&name, server.local_addr().unwrap().port());
        let done = crate::worker::run(|worker| async move {
            let far = Instant::now() + Duration::from_secs(3600);
            let open = || pool.open(&worker, Duration::from_secs(5), &[]);
            let (idle, busy) = (open().await.unwrap(), open().await.unwrap());
            pool.put_back(idle, far);
            let idle = pool.take_idle(Instant::now(), false).expect("the connection is open and idle");
            pool.put_back(idle, far);
            name.store(Ok(vec![there]), Instant::now());
            assert!(pool.take_idle(Instant::now(), false).is_none(), "idle when the name changed");
            pool.put_back(busy, far);
            assert!(pool.take_idle(Instant::now(), false).is_none(), "in use when the name changed");
        });
        done.unwrap();
    }

    /// A resolver that blocks until the test drops its end of the channel.
    struct Hanging(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

    impl Resolver for Hanging {
        fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
            let _ = self.0.lock().unwrap().recv();
            Err(Unresolved::Temporary(io::ErrorKind::TimedOut.into()))
        }
    }

    #[test]
    fn one_deadline_covers_the_name_and_all_addresses() {
        let (_hangs, receiver) = std::sync::mpsc::channel();
        let names = NameCache::new(Hanging(receiver.into()));
        let name = names.get(&"moving.test".into());
        // A listening address, and an address of the network for examples, which is silent or unreachable.
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = pool_of(&name, server.local_addr().unwrap().port());
        let ended = crate::worker::run(|worker| async move {
            let short = Duration::from_millis(50);
            let error = pool.open(&worker, short, &[]).await.err().unwrap();
            assert_eq!((error.reason, error.address), (Reason::NameNotFound, None), "{error}");
            name.store(Ok(vec![[192, 0, 2, 1].into()]), Instant::now());
            let error = pool.open(&worker, short, &[]).await.err().unwrap();
            let expected = [Reason::ConnectTimeout, Reason::ConnectFailed, Reason::ConnectRefused];
            assert!(expected.contains(&error.reason) && error.address.is_some(), "{error}");
            // The name is queried again and hangs. The deadline is far, so only the second address can end
            // the wait.
            name.store(Ok(vec![[192, 0, 2, 1].into(), [127, 0, 0, 1].into()]), Instant::now());
            let connection = pool.open(&worker, Duration::from_secs(3600), &[]).await.unwrap();
            assert_eq!(connection.address.ip(), IpAddr::from([127, 0, 0, 1]));
        });
        ended.unwrap();
    }

    #[test]
    fn each_connect_error_has_its_reason() {
        let of = |error: rustls::Error| reason_of(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(reason_of(&io::ErrorKind::ConnectionRefused.into()), Reason::ConnectRefused);
        assert_eq!(reason_of(&io::ErrorKind::TimedOut.into()), Reason::ConnectTimeout);
        assert_eq!(reason_of(&io::ErrorKind::HostUnreachable.into()), Reason::ConnectFailed);
        assert_eq!(of(rustls::CertificateError::Expired.into()), Reason::TlsCertificate);
        assert_eq!(of(rustls::Error::HandshakeNotComplete), Reason::TlsFailed);
        assert_eq!(reason_of(&during_handshake(io::ErrorKind::UnexpectedEof.into())), Reason::TlsFailed);
    }
}
