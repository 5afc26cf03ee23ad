//! Connections of one worker to one target: idle ones, and how a new one comes to be.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::link::Link;
use super::names::Name;
use crate::config::plan::{Target, TargetHost};
use crate::log::Reason;
use crate::tls::{Connector, Input, Stream};
use crate::worker::{TcpStream, Worker};

/// Idle connections kept to one target by one worker; further ones are closed.
const IDLE_MAX: usize = 1024;

/// Addresses of one target tried for one connection.
const ADDRESS_TRIES: usize = 3;

/// The connections of one worker to one target.
pub struct Pool {
    target: Target,
    authority: Box<str>,
    /// For `https://`: how to shake hands, and which name to ask for.
    tls: Option<(Connector, ServerName<'static>)>,
    name: Option<Arc<Name>>,
    /// The last used is the last here, and the first to be used again: the others get to be idle
    /// long enough to be closed.
    idle: RefCell<Vec<Idle>>,
    /// The version of the name's answer that `idle` is known to agree with.
    agreed: Cell<u64>,
    /// Which address is tried first: all of them get their turn.
    turn: Cell<usize>,
}

struct Idle {
    link: Box<Link>,
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
    pub(super) fn new(target: Target, connector: Option<Connector>, name: Option<Arc<Name>>) -> Self {
        let authority = target.authority().into();
        let tls = connector.map(|connector| {
            let name = connector.server_name(&target);
            (connector, name.expect("invariant: the directory has refused hosts that are no server name"))
        });
        let (idle, agreed, turn) = Default::default();
        Self { target, authority, tls, name, idle, agreed, turn }
    }

    /// What `Host` says to this target, and what is put before the path.
    pub fn origin(&self) -> (&str, &str) {
        (&self.authority, &self.target.base_path)
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// An idle connection of which nothing bad is known. With `careful` the kernel is asked as well
    /// whether the target has closed it: for requests that could not be sent twice.
    pub fn reuse(&self, now: Instant, careful: bool) -> Option<Box<Link>> {
        self.agree_with_name(now);
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut link, until }) = idle.pop() {
            if now < until && !link.stream.has_news() && (!careful || link.stream.is_quiet()) {
                (link.reused, link.agreed) = (true, self.agreed.get());
                return Some(link);
            }
        }
        None
    }

    /// Keeps a connection whose last exchange ended cleanly, until `until`. Not when the name has left
    /// its address meanwhile: used again and again, it would never be idle long enough to be closed.
    pub fn keep(&self, link: Box<Link>, until: Instant) {
        let mut idle = self.idle.borrow_mut();
        let left = link.agreed != self.agreed.get() && self.has_left(link.address.ip());
        if !left && link.input.is_empty() && !link.stream.has_news() && idle.len() < IDLE_MAX {
            idle.push(Idle { link, until });
        }
    }

    /// Opens a connection, to whichever address of the target answers.
    ///
    /// # Errors
    /// [`ConnectError`], of the last address that was tried.
    pub async fn open(&self, worker: &Worker, timeout: Duration) -> Result<Box<Link>, ConnectError> {
        let name = match (&self.target.host, &self.name) {
            (TargetHost::Address(address), _) => return self.open_one_of(worker, timeout, &[*address]).await,
            (TargetHost::Name(_), Some(name)) => name,
            (TargetHost::Name(_), None) => return Err(name_not_found()),
        };
        let answer = name.fresh().await;
        let failed = match self.open_one_of(worker, timeout, &answer.addresses).await {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        // The container may have moved since: ask now, and go there if so.
        let again = name.ask_and_wait().await;
        if again.version == answer.version {
            return Err(failed);
        }
        self.open_one_of(worker, timeout, &again.addresses).await
    }

    /// Closes what is too old, closed by the target, or at an address that the name has left.
    /// Whether any connection is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| now < idle.until && !idle.link.stream.has_news());
        if idle.is_empty() {
            idle.shrink_to(0);
        }
        !idle.is_empty()
    }

    async fn open_one_of(
        &self,
        worker: &Worker,
        timeout: Duration,
        addresses: &[IpAddr],
    ) -> Result<Box<Link>, ConnectError> {
        let first = self.turn.replace(self.turn.get().wrapping_add(1));
        let mut failed = name_not_found();
        for number in 0..addresses.len().min(ADDRESS_TRIES) {
            let address = SocketAddr::new(
                addresses[(first % addresses.len() + number) % addresses.len()],
                self.target.port,
            );
            match worker.timer().within(timeout, self.connect(worker, address)).await {
                Ok(stream) => {
                    let (input, agreed) = (Input::default(), self.agreed.get());
                    return Ok(Box::new(Link { stream, input, address, agreed, reused: false }));
                }
                Err(error) => {
                    failed = ConnectError { reason: reason_of(&error), address: Some(address), error }
                }
            }
        }
        Err(failed)
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

    fn has_left(&self, address: IpAddr) -> bool {
        self.name.as_ref().is_some_and(|name| !name.last().addresses.contains(&address))
    }

    /// Closes idle connections to addresses that the name does not stand for any more.
    fn agree_with_name(&self, now: Instant) {
        let Some(name) = &self.name else { return };
        let version = name.version(now);
        if self.agreed.replace(version) != version {
            let answer = name.last();
            self.idle.borrow_mut().retain(|idle| answer.addresses.contains(&idle.link.address.ip()));
        }
    }
}

fn name_not_found() -> ConnectError {
    let error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
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
    use super::*;
    use crate::config::plan::Scheme;
    use crate::upstream::Names;

    #[test]
    fn a_link_to_an_address_that_the_name_has_left_is_neither_handed_out_nor_kept() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let name = Names::default().get(&"moving.test".into());
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        name.take_in(Ok(vec![here]));
        let host = TargetHost::Name("moving.test".into());
        let target = Target { scheme: Scheme::Http, host, port, base_path: "".into() };
        let pool = Pool::new(target, None, Some(name.clone()));
        let done = crate::worker::run(|worker| async move {
            let far = Instant::now() + Duration::from_secs(3600);
            let open = || pool.open(&worker, Duration::from_secs(5));
            let (idle, busy) = (open().await.unwrap(), open().await.unwrap());
            pool.keep(idle, far);
            let idle = pool.reuse(Instant::now(), false).expect("nothing has happened to it");
            pool.keep(idle, far);
            name.take_in(Ok(vec![there]));
            assert!(pool.reuse(Instant::now(), false).is_none(), "it was idle when the name left");
            pool.keep(busy, far);
            assert!(pool.reuse(Instant::now(), false).is_none(), "it was in use when the name left");
        });
        done.unwrap();
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
