//! Connections of one worker to one endpoint: reuse of idle ones, and opening of new ones.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;

use super::connection::TargetConnection;
use super::own::{self, LeadsBack};
use super::shared::{Opening, SharedConnections, timeouts};
use crate::config::plan::{HttpVersions, Target, TargetAddress};
use crate::mux::{SharedConnection, WorkerSpace};
use crate::reason::Reason;
use crate::tls::{self, Connector, Input, Stream};
use crate::upstream::limits::{Busy, OpenConnection};
use crate::upstream::names::ResolvedName;
use crate::worker::{TcpStream, Worker};

/// A target, ready to be connected to.
pub(in crate::upstream) struct Destination {
    target: Target,
    authority: Box<str>,
    /// For `https://`: the connector and the server name to ask for.
    tls: Option<(Connector, ServerName<'static>)>,
    pub(in crate::upstream) name: Option<Arc<ResolvedName>>,
    /// The upstream that shares its connections with no other.
    owner: Option<Arc<str>>,
    keepalive: Duration,
    protocol: Protocol,
}

/// The protocol of connections to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::upstream) struct Protocol {
    pub(in crate::upstream) versions: HttpVersions,
    /// For HTTP/2: the time without a stream after which a connection is closed, and the time for an answer to a PING.
    pub(in crate::upstream) times: (Duration, Duration),
}

impl Destination {
    /// `connector` is for `https://` targets.
    pub(in crate::upstream) fn new(
        target: Target,
        connector: Option<Connector>,
        name: Option<Arc<ResolvedName>>,
        owner: Option<Arc<str>>,
        keepalive: Duration,
        protocol: Protocol,
    ) -> Self {
        let authority = target.authority().into();
        let tls = connector.map(|connector| {
            let name = connector.server_name(&target);
            (connector, name.expect("invariant: `UpstreamTable` refuses hosts that are no server name"))
        });
        Self { target, authority, tls, name, owner, keepalive, protocol }
    }

    /// The value of `Host` for this target, and the prefix of the path.
    pub(in crate::upstream) fn origin(&self) -> (&str, &str) {
        (&self.authority, &self.target.base_path)
    }

    /// Whether HTTP/1.1 may be spoken beside HTTP/2.
    pub(in crate::upstream) fn may_speak_http1(&self) -> bool {
        self.protocol.versions == HttpVersions::Either
    }

    pub(super) fn key(&self, address: Option<TargetAddress>) -> Key {
        let connector = self.tls.as_ref().map(|(connector, _)| connector.clone());
        (self.target.clone(), connector, address, self.owner.clone(), self.keepalive, self.protocol)
    }
}

/// The key of a pool: connections of one pool are interchangeable. It has the connector for `https://`,
/// because after a reload with other authorities the connections that the old ones verified must not be used.
pub(super) type Key =
    (Target, Option<Connector>, Option<TargetAddress>, Option<Arc<str>>, Duration, Protocol);

/// The connections of one worker to one endpoint.
pub(in crate::upstream) struct Pool {
    pub(in crate::upstream) destination: Rc<Destination>,
    /// `None` for a name that has no address yet. Then there are no connections.
    pub(in crate::upstream) address: Option<TargetAddress>,
    /// The connection that was used last is the last here and is reused first. So the others stay idle long
    /// enough to be closed.
    idle: RefCell<Vec<Idle>>,
    /// Connections of HTTP/2, whether they are idle or not.
    shared: SharedConnections,
    space: Rc<WorkerSpace>,
    /// The address is one of its target.
    is_current: Cell<bool>,
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
    pub address: Option<TargetAddress>,
    /// The error of the system, the resolver or TLS.
    pub error: io::Error,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = &self.address {
            write!(f, "{address}: ")?;
        }
        f.write_str(&tls::explained(&self.error))
    }
}

impl Pool {
    pub(super) fn new(
        destination: Rc<Destination>,
        address: Option<TargetAddress>,
        space: &Rc<WorkerSpace>,
    ) -> Self {
        let (idle, shared) = Default::default();
        Self { destination, address, idle, shared, space: space.clone(), is_current: Cell::new(true) }
    }

    /// Takes an idle connection without a pending event, or a stream of one that is shared, unless only HTTP/1.1 is wanted.
    /// With `verify` it also asks the kernel whether the target has closed the connection, for requests that must not be
    /// sent twice.
    pub(in crate::upstream) fn take_idle(
        &self,
        now: Instant,
        verify: bool,
        only_http1: bool,
    ) -> Option<Box<TargetConnection>> {
        let mut idle = self.idle.borrow_mut();
        while let Some(Idle { mut connection, until }) = idle.pop() {
            if now < until
                && !connection.stream.has_pending_event()
                && (!verify || connection.stream.is_open_and_idle())
            {
                connection.reused = true;
                return Some(connection);
            }
        }
        if only_http1 { None } else { self.shared.take(self.address.as_ref(), true) }
    }

    /// Puts a connection back after a clean exchange; it may be reused until `until`. At most `most` are kept. A
    /// connection to an address that the target no longer has is closed: under steady traffic it would never be idle
    /// long enough to be swept.
    #[inline(always)]
    pub(in crate::upstream) fn put_back(
        &self,
        mut connection: Box<TargetConnection>,
        until: Instant,
        most: usize,
    ) {
        connection.counted = None;
        let mut idle = self.idle.borrow_mut();
        if self.is_current.get()
            && connection.input.is_empty()
            && !connection.stream.has_pending_event()
            && idle.len() < most
        {
            idle.push(Idle { connection, until });
        } else {
            drop(idle);
            self.end(connection, most);
        }
    }

    /// Closes a connection, or ends a stream. Of the connections that have no stream then, at most `most` are kept.
    #[cold]
    fn end(&self, connection: Box<TargetConnection>, most: usize) {
        drop(connection);
        self.shared.keep_idle(most);
    }

    /// Whether there is an idle connection, or one that has room. It may be found to be closed when it is taken.
    pub(in crate::upstream) fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty() || self.shared.has_room()
    }

    /// Closes the connection that is idle for the longest time. Returns whether there was one.
    pub(in crate::upstream) fn close_one(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let has_one = !idle.is_empty();
        if has_one {
            idle.remove(0);
        }
        has_one || self.shared.close_one()
    }

    /// Says whether the address is one of its target. If not, idle connections are closed, and those in use are not
    /// kept.
    pub(in crate::upstream) fn set_current(&self, is_current: bool) {
        self.is_current.set(is_current);
        if !is_current {
            self.idle.borrow_mut().clear();
            self.shared.leave();
        }
    }

    /// Opens a connection, whose place is `place` if their number has a limit. None is opened to an address of `own`, on
    /// which this gate listens. `accepted` is called when TLS begins. With `only_http1`, a target that takes both versions is
    /// offered HTTP/1.1. Has no deadline of its own.
    pub(in crate::upstream) async fn connect(
        &self,
        (worker, own): (&Worker, &[SocketAddr]),
        accepted: impl Fn(),
        place: Option<OpenConnection>,
        only_http1: bool,
    ) -> io::Result<Box<TargetConnection>> {
        let no_address = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let address = self.address.clone().ok_or_else(no_address)?;
        let versions = if only_http1 { HttpVersions::Http1 } else { self.destination.protocol.versions };
        if versions == HttpVersions::Http1 {
            let stream = self.connect_to(worker, &address, own, accepted, only_http1).await?;
            return Ok(own_connection(stream, address, place));
        }
        let _opening = match self.stream_or_opening().await {
            Ok(stream) => return Ok(stream),
            Err(opening) => opening,
        };
        let stream = self.connect_to(worker, &address, own, accepted, false).await?;
        match (versions, stream.protocol().as_deref()) {
            (HttpVersions::Either, protocol) if protocol != Some(tls::HTTP2_PROTOCOL) => {
                return Ok(own_connection(stream, address, place));
            }
            (_, None) if stream.is_encrypted() => {
                return Err(during_handshake(io::Error::new(io::ErrorKind::InvalidData, NO_HTTP2)));
            }
            _ => {}
        }
        let times = timeouts(self.destination.protocol.times);
        let connection = SharedConnection::new(stream, times, &self.space).await?;
        let refused = || io::Error::new(io::ErrorKind::ConnectionReset, "the target takes no streams");
        self.shared.add(connection, address, place).ok_or_else(refused)
    }

    /// A stream of a connection that is shared, which may be one that another request opens, or the right to open one.
    async fn stream_or_opening(&self) -> Result<Box<TargetConnection>, Opening<'_>> {
        loop {
            // As with a new connection: a target that ends each of them must not get the request for ever.
            if let Some(stream) = self.shared.take(self.address.as_ref(), false) {
                return Ok(stream);
            }
            match self.shared.open() {
                Ok(opening) => return Err(opening),
                Err(ended) => ended.await,
            }
        }
    }

    async fn connect_to(
        &self,
        worker: &Worker,
        address: &TargetAddress,
        own: &[SocketAddr],
        accepted: impl Fn(),
        only_http1: bool,
    ) -> io::Result<Stream> {
        let stream = match address {
            TargetAddress::Ip(address) => {
                own::check(*address, own)?;
                let stream = TcpStream::connect(worker, *address).await?;
                stream.set_keepalive(self.destination.keepalive)?;
                stream
            }
            TargetAddress::Unix(path) => TcpStream::connect_unix(worker, path).await?,
        };
        match &self.destination.tls {
            None => Ok(Stream::Plain(stream)),
            Some((connector, name)) => {
                accepted();
                let http1 = only_http1.then(|| connector.offering(HttpVersions::Http1));
                http1
                    .as_ref()
                    .unwrap_or(connector)
                    .connect(name.clone(), stream)
                    .await
                    .map_err(during_handshake)
            }
        }
    }

    /// Closes connections that are too old or have a pending event, such as a close by the target, and those whose places
    /// are wanted. Returns whether any connection is left.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|Idle { connection, until }| {
            let is_wanted = connection.place.as_ref().is_some_and(OpenConnection::is_wanted);
            now < *until && !is_wanted && !connection.stream.has_pending_event()
        });
        if idle.is_empty() {
            idle.shrink_to(0);
        }
        self.shared.sweep() || !idle.is_empty()
    }
}

/// A connection that carries one message after the other.
fn own_connection(
    stream: Stream,
    address: TargetAddress,
    place: Option<OpenConnection>,
) -> Box<TargetConnection> {
    let (stream, input) = (stream.widen(), Input::default());
    Box::new(TargetConnection { stream, input, address, reused: false, is_new: true, counted: None, place })
}

/// The error of a target that accepts a connection and does not answer the client hello.
const NO_HANDSHAKE: &str = "the target accepted the connection, but did not finish the TLS handshake within connect_timeout; does it \
     speak TLS?";

/// The error of a target that speaks TLS and not HTTP/2.
const NO_HTTP2: &str = "the target does not offer HTTP/2 in the handshake (ALPN): write `https://`";

impl ConnectError {
    /// There is no place for another request or connection.
    pub(in crate::upstream) fn busy() -> Self {
        Self { reason: Reason::TargetBusy, address: None, error: io::Error::other(Busy) }
    }

    /// The error of an attempt that ran out of time in the TLS handshake.
    pub(in crate::upstream) fn of_handshake(address: Option<TargetAddress>, late: &io::Error) -> Self {
        Self::of_attempt(address, during_handshake(io::Error::new(late.kind(), NO_HANDSHAKE)))
    }

    /// The error of an attempt, or of the wait for all of them if no attempt failed.
    pub(in crate::upstream) fn of_attempt(address: Option<TargetAddress>, error: io::Error) -> Self {
        match address {
            Some(_) => Self { reason: reason_of(&error), address, error },
            None => not_resolved(error),
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
    use super::*;

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
