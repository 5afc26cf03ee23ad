//! TLS of a listener: its setup, and the handshake with a client.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, ServerConnection, WebPkiClientVerifier};
use rustls::{ServerConfig, version};

use super::certificates::{
    self, AddressResolver, Certificates, Issued, Ordered, Problem, ProblemText, Resolver, address_of,
};
use super::client_auth::{Admission, ClientAuthKey, Demanded};
use super::hello::{Alert, refuse};
use super::input::Input;
use super::pinned::Pinned;
use super::shared_stream::SharedStream;
use super::stream::Stream;
use super::ticket_keys::TicketKeys;
use crate::config::plan::{ClientAuth, ClientAuthMode, ListenerTls, Rule, TlsVersion};
use crate::http::HostKey;
use crate::worker::{Slot, TcpStream};

/// The protocols inside TLS on an HTTP listener, best first.
const HTTP_PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];

/// Terminates TLS for one listener of one generation. All workers share it.
pub struct Terminator {
    certificates: Arc<Certificates>,
    /// The terms for each `client_auth` that a certificate has. A handshake has one set of terms, and the
    /// requested name selects it. A `client_auth` whose authorities could not be read has none.
    terms: Vec<Terms>,
    /// The requirements for a name that no certificate has.
    client_auth: Option<Arc<ClientAuth>>,
    requires_client_auth: bool,
    /// The names for which certificates are ordered, and those certificates.
    ordered: Option<Ordered>,
    /// The setup of handshakes for clients that name no host, for each ordered address, in the order of the rules.
    addresses: Vec<AtAddress>,
    issued: Arc<Issued>,
}

/// The setup of handshakes with clients that connected to one address.
struct AtAddress {
    address: IpAddr,
    /// The name of the certificate.
    name: Box<str>,
    client_auth: ClientAuthKey,
    config: Arc<ServerConfig>,
}

/// The setup of handshakes under one `client_auth`.
struct Terms {
    /// The `client_auth` as it was written.
    written: Option<Arc<ClientAuth>>,
    /// The `client_auth` as it was read.
    client_auth: ClientAuthKey,
    config: Arc<ServerConfig>,
}

/// The reason why TLS did not begin with a client.
#[derive(Debug)]
pub enum HandshakeError {
    /// The client asks for a name that no certificate has, or for none.
    UnknownName,
    /// The client was a certificate authority that asked for an open challenge, and has its answer.
    ChallengeAnswered,
    /// The handshake had waited longest for its client, and a new one needed its slot.
    Displaced,
    /// The handshake failed.
    Failed(io::Error),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName => f.write_str("no certificate has the name that the client asks for"),
            Self::ChallengeAnswered => f.write_str("a challenge of a certificate authority was answered"),
            Self::Displaced => f.write_str("the handshake had waited longest for its client"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Terminator {
    /// Reads certificates and authorities, and returns the problems with them. Everything else is served. If
    /// the file of a certificate can no longer be used, its certificate from `before`, the terminator until
    /// now, is kept. With `rules`, HTTP is spoken inside TLS, with `http2` HTTP/2 too, and certificates for their hosts may be ordered,
    /// which come to `issued`. Blocks, so it is never called on the data plane.
    pub fn load(
        tls: &ListenerTls,
        rules: Option<&[Rule]>,
        http2: bool,
        tickets: &TicketKeys,
        issued: &Arc<Issued>,
        before: Option<&Terminator>,
    ) -> (Self, Vec<Problem>) {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut problems = Vec::new();
        let before = before.map(|before| &*before.certificates);
        let certificates = Arc::new(Certificates::load(tls, &provider, before, &mut problems));
        let wanted = tls.ordered.as_ref().zip(rules);
        let wanted = wanted.map(|(ordered, rules)| certificates::wanted(rules, &certificates, ordered));
        let ordered = wanted.map(|names| Ordered::new(names, issued.clone()));
        let sources = tls.certificates.iter().chain(&tls.default_certificate);
        let sources = sources.map(|source| (&source.client_auth, Some(&source.origin)));
        let ordering = ordered.iter().map(|_| (&tls.client_auth, None));
        let mut terms: Vec<Terms> = Vec::new();
        let mut tried: Vec<&Option<Arc<ClientAuth>>> = Vec::new();
        for (client_auth, origin) in sources.chain(ordering) {
            if tried.contains(&client_auth) {
                continue;
            }
            tried.push(client_auth);
            let resolver = Resolver {
                certificates: certificates.clone(),
                client_auth: client_auth.as_deref().cloned(),
                ordered: ordered.clone().filter(|_| *client_auth == tls.client_auth),
            };
            let protocols = match (rules, http2) {
                (None, _) => &[],
                (Some(_), true) => &HTTP_PROTOCOLS[..],
                (Some(_), false) => &HTTP_PROTOCOLS[1..],
            };
            match config(tls, client_auth.as_deref(), resolver, &provider, tickets, protocols) {
                Ok((read, config)) => {
                    terms.push(Terms {
                        written: client_auth.clone(),
                        client_auth: read,
                        config: Arc::new(config),
                    });
                }
                // A name is not served without its authorities, because no client may go unchecked.
                Err((message, hint)) => {
                    let origin = client_auth.as_ref().map(|client_auth| &client_auth.origin).or(origin);
                    problems.extend(origin.map(|origin| Problem::error(origin, message, hint)));
                }
            }
        }
        let requires_client_auth =
            tls.client_auth.is_some() || tried.iter().any(|client_auth| client_auth.is_some());
        let (client_auth, issued) = (tls.client_auth.clone(), issued.clone());
        let of_ordered = terms.iter().find(|terms| terms.written == client_auth);
        let addresses =
            ordered.iter().zip(of_ordered).flat_map(|(ordered, terms)| at_addresses(ordered, terms));
        let addresses = addresses.collect();
        (
            Self { certificates, terms, client_auth, requires_client_auth, ordered, addresses, issued },
            problems,
        )
    }

    /// Performs the handshake with a client. `input` holds its hello and nothing else, and is consumed.
    /// `name` is the name in the hello. The handshake has no deadline of its own, and ends if it loses
    /// `slot`.
    ///
    /// # Errors
    /// [`HandshakeError`]. If TLS has an alert for it, the client was sent that.
    pub async fn accept(
        &self,
        stream: TcpStream,
        name: Option<&HostKey>,
        input: &mut Input,
        slot: &Slot,
    ) -> Result<Stream, HandshakeError> {
        let challenge = self.issued.tls_answer(name, input.unread());
        let is_challenge = challenge.is_some();
        let local = || stream.local_address().ok().map(|local| local.ip().to_canonical());
        let at = if name.is_none() && !self.addresses.is_empty() { self.at(local()) } else { None };
        let at = at.map(|at| (at.config.clone(), at.client_auth.clone()));
        let terms = || self.terms_for(name).map(|terms| (terms.config.clone(), terms.client_auth.clone()));
        let found = challenge.map(|config| (config, None)).or(at).or_else(terms);
        let Some((config, client_auth)) = found else {
            input.consume(input.unread().len());
            refuse(&stream, Alert::UnrecognizedName);
            return Err(HandshakeError::UnknownName);
        };
        let tls = ServerConnection::new(config).map_err(io::Error::other);
        let stream = tls.map(|tls| Stream::encrypted(stream, tls.into(), client_auth));
        let stream = stream.map_err(HandshakeError::Failed)?;
        let fed = stream.feed_client_hello(input.unread());
        input.consume(input.unread().len());
        fed.map_err(HandshakeError::Failed)?;
        poll_fn(|cx| match stream.poll_handshake(cx, || slot.wait_anew()) {
            Poll::Ready(result) => Poll::Ready(result.map_err(HandshakeError::Failed)),
            Poll::Pending => slot.poll_lost(cx).map(|()| Err(HandshakeError::Displaced)),
        })
        .await?;
        if is_challenge { Err(HandshakeError::ChallengeAnswered) } else { Ok(stream) }
    }

    /// Whether a handshake for `name` can begin. Otherwise it ends with an alert.
    pub fn has_certificate(&self, name: Option<&HostKey>) -> bool {
        self.terms_for(name).is_some() || self.ordered_name(name).is_some()
    }

    /// The name of the certificate that is ordered for a host. If it is an address, for clients that connect to it. `None`
    /// if none is.
    pub fn ordered_name(&self, host: Option<&HostKey>) -> Option<&str> {
        let host = std::str::from_utf8(host?.as_bytes()).ok()?;
        match address_of(host) {
            Some(address) => self.choose(Some(address)).map(|at| &*at.name),
            None => self.ordered.as_ref()?.name_for(host),
        }
    }

    /// The setup for a client that names no host and connected to `local`, if there is a certificate.
    fn at(&self, local: Option<IpAddr>) -> Option<&AtAddress> {
        self.choose(local).filter(|at| self.issued.key(&at.name).is_some())
    }

    /// As [`Terminator::at`], before there is a certificate. Without a default certificate, the address may be that of a
    /// balancer or of a router in front: then it is the first of its kind.
    fn choose(&self, local: Option<IpAddr>) -> Option<&AtAddress> {
        let is_alike = |at: &&AtAddress| local.is_some_and(|local| local.is_ipv4() == at.address.is_ipv4());
        let exact = self.addresses.iter().find(|at| local == Some(at.address));
        let first = || self.addresses.iter().find(is_alike).or(self.addresses.first());
        exact.or_else(|| first().filter(|_| self.certificates.find(None).is_empty()))
    }

    /// The first name and the end of the certificate in a file for a client that asks for `name`.
    pub fn certificate_for(&self, name: Option<&HostKey>) -> Option<(String, i64)> {
        let index = *self.certificates.find(name.map(HostKey::as_bytes)).first()?;
        self.certificates.expiries().nth(index)
    }

    /// The names for which certificates are ordered.
    pub fn ordered(&self) -> impl Iterator<Item = &str> {
        self.ordered.iter().flat_map(Ordered::names)
    }

    fn terms_for(&self, name: Option<&HostKey>) -> Option<&Terms> {
        let is_ordered = self.ordered.as_ref().is_some_and(|ordered| ordered.key(name).is_some());
        let client_auth = if is_ordered {
            &self.client_auth
        } else {
            let index = *self.certificates.find(name.map(HostKey::as_bytes)).first()?;
            &self.certificates.entry(index).client_auth
        };
        self.terms.iter().find(|terms| terms.written == *client_auth)
    }

    /// Whether a client that connected for one name may ask for `host` on the same connection. It may not if
    /// that would bypass the client certificate that `host` requires (RFC 9110, section 15.5.20).
    pub fn may_serve_host(
        &self,
        host: Option<&[u8]>,
        stream: &Stream<impl SharedStream<Connection = Stream>>,
    ) -> bool {
        // If a reload has removed the last `client_auth`, the connection goes on.
        if !self.requires_client_auth {
            return true;
        }
        let host = host.and_then(|host| std::str::from_utf8(host).ok());
        self.is_enough(host.and_then(|host| self.certificates.find_named(host)), stream.client_auth())
    }

    /// Whether a client that was accepted before a reload would be accepted under the same requirements now.
    pub fn still_admits(&self, Admission { name, client_auth }: &Admission) -> bool {
        let name = name.as_ref().and_then(|name| HostKey::new(name.as_bytes()));
        let found = self.certificates.find(name.as_ref().map(HostKey::as_bytes));
        !self.requires_client_auth || self.is_enough(Some(found), client_auth.as_ref())
    }

    /// Whether `shown`, the requirements that the client has met, are those of the certificates `found`.
    fn is_enough(&self, found: Option<&[usize]>, shown: Option<&Arc<Demanded>>) -> bool {
        let first = found.and_then(<[usize]>::first);
        match first.map_or(&self.client_auth, |index| &self.certificates.entry(*index).client_auth) {
            None => shown.is_none(),
            written => {
                let mut terms = self.terms.iter().filter(|terms| terms.written == *written);
                terms.any(|terms| terms.client_auth.as_ref() == shown)
            }
        }
    }

    /// Whether the certificates differ from those of `before`, regardless of their files.
    pub fn shows_others_than(&self, before: &Terminator) -> bool {
        self.certificates.chains().ne(before.certificates.chains())
    }

    /// The names of the certificates that `before` does not have.
    pub fn certificates_not_in(&self, before: &Terminator) -> Vec<String> {
        self.certificates.names_not_in(&before.certificates)
    }

    /// Whether the requirements for client certificates differ from those of `before`.
    pub fn trusts_others_than(&self, before: &Terminator) -> bool {
        let read = |terms: &[Terms]| terms.iter().map(|terms| terms.client_auth.clone()).collect::<Vec<_>>();
        read(&self.terms) != read(&before.terms)
    }

    /// The problem of hosts in `rules` that no certificate has.
    pub fn missing(&self, tls: &ListenerTls, rules: &[Rule]) -> Option<Problem> {
        certificates::missing(tls, rules, &self.certificates)
    }

    /// The number of certificates that are served in place of their files' present content.
    pub fn served_instead(&self) -> usize {
        self.certificates.served_instead()
    }

    /// The name of each certificate and when it expires, in seconds since 1970.
    pub fn expiries(&self) -> impl Iterator<Item = (String, i64)> {
        let issued = |name: &str| Some((name.to_owned(), self.issued.validity(name)?.not_after));
        self.certificates.expiries().chain(self.ordered().filter_map(issued))
    }
}

/// A setup for each ordered address. A client that names no host cannot be told by its hello, so each has its own.
fn at_addresses(ordered: &Ordered, terms: &Terms) -> Vec<AtAddress> {
    let setup = |(address, name): &(IpAddr, Box<str>)| {
        let mut config = ServerConfig::clone(&terms.config);
        let issued = ordered.issued().clone();
        config.cert_resolver = Arc::new(AddressResolver { name: name.clone(), issued });
        let (address, name, client_auth) = (*address, name.clone(), terms.client_auth.clone());
        AtAddress { address, name, client_auth, config: Arc::new(config) }
    };
    ordered.addresses().iter().map(setup).collect()
}

fn config(
    tls: &ListenerTls,
    client_auth: Option<&ClientAuth>,
    resolver: Resolver,
    provider: &Arc<CryptoProvider>,
    tickets: &TicketKeys,
    protocols: &[&[u8]],
) -> Result<(ClientAuthKey, ServerConfig), ProblemText> {
    let versions: &[_] = match tls.settings.min_version {
        TlsVersion::V12 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V13 => &[&version::TLS13],
    };
    let settings = |error: rustls::Error| (format!("TLS cannot be set up: {error}"), "");
    let (verifier, demanded) = match client_auth {
        Some(client_auth) => {
            let (verifier, demanded) = verifier(client_auth, provider)?;
            (verifier, Some(Arc::new(demanded)))
        }
        None => (Arc::new(NoClientAuth) as Arc<dyn ClientCertVerifier>, None),
    };
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(settings)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(resolver));
    config.ticketer = tickets.of(&demanded).map_err(settings)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok((demanded, config))
}

/// The verifier of client certificates, and its requirements.
fn verifier(
    client_auth: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<(Arc<dyn ClientCertVerifier>, Demanded), ProblemText> {
    let fail = |why: String| {
        let message = format!("`client_auth.ca` {} {why}", client_auth.ca.display());
        (message, "until it can be read, the names it is for are not served")
    };
    let (roots, authorities) = certificates::authorities(&client_auth.ca).map_err(fail)?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    if client_auth.mode == ClientAuthMode::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| fail(format!("cannot be used: {error}")))?;
    let verifier: Pinned<dyn ClientCertVerifier> =
        Pinned::new(&authorities, provider.signature_verification_algorithms, verifier);
    Ok((Arc::new(verifier), Demanded::new(authorities, client_auth.mode)))
}
