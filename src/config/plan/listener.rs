//! Listeners in a plan, without their rules.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::bind::Bind;
use super::origin::Origin;
use super::policies::{Pages, RateKey, RequestLimit};
use super::rule::{Pass, Rule};
use crate::config::keys::shape::{FIELDS, FLAG, HEAD_SIZE, TARGET_SIZE, TIMEOUT};
use crate::config::keys::{Form, Shape, ValueError, settings};
use crate::http::HeadLimits;

settings! {
    /// Settings of an HTTP listener that its rules cannot change.
    HttpSettings, HttpWritten {
        /// The time for a request head, from its first byte to its last; else 408.
        header_timeout: Duration = Duration::from_secs(10), TIMEOUT;
        /// How long a connection may be open without a request.
        idle_timeout: Duration = Duration::from_secs(60), TIMEOUT;
        /// Bytes of a request's head, from 1KiB to 1MiB; else 431.
        head_bytes_max: usize = 64 << 10, HEAD_SIZE;
        /// Header fields of a request; else 431.
        head_fields_max: usize = 128, FIELDS;
        /// Bytes of a request's target, from 64 to head_bytes_max; else 414.
        target_bytes_max: usize = 8 << 10, TARGET_SIZE;
        /// Paths that a target may read as one that a rule guards: refuse or allow.
        ambiguous_paths: AmbiguousPaths = AmbiguousPaths::Refuse, AMBIGUOUS_PATHS;
        /// Whether clients may speak HTTP/2: under TLS when both sides agree on it, in the clear by prior knowledge.
        http2: bool = true, FLAG;
    }
}

settings! {
    /// Settings of handshakes with clients.
    TlsSettings, TlsWritten {
        /// The oldest version of TLS that is accepted.
        min_version: TlsVersion = TlsVersion::V12, TLS_VERSION;
        /// The time from the connection to the end of the handshake.
        handshake_timeout: Duration = Duration::from_secs(10), TIMEOUT;
    }
}

/// A listener: its addresses, and the handling of connections to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// The name, unique among listeners; a metric label.
    pub name: Arc<str>,
    /// The place where it was written.
    pub origin: Origin,
    /// The addresses: at least one, and unique among all listeners.
    pub binds: Vec<Bind>,
    /// The protocol of its connections.
    pub protocol: Protocol,
    /// TLS termination, if any. Then `protocol` is spoken inside.
    pub tls: Option<ListenerTls>,
    /// Peers that must send a PROXY header, which names their client, before anything else.
    pub accept_proxy_protocol: Vec<IpNet>,
    /// The time that connections of a removed listener may go on: `shutdown_timeout` of the listener, or that of
    /// the plan.
    pub shutdown_timeout: Duration,
}

/// The protocol of a listener.
#[derive(Clone, Debug, PartialEq)]
pub enum Protocol {
    /// HTTP/1.x, routed by rules.
    Http(HttpListener),
    /// Bytes: every connection is passed on.
    Tcp(Pass),
}

/// Settings of an HTTP listener.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpListener {
    /// The rules in the order in which they are tried. The first match wins.
    pub rules: Vec<Rule>,
    /// Limits and timeouts.
    pub settings: HttpSettings,
    /// Peers whose `X-Forwarded-*` and `Forwarded` fields are kept and extended.
    pub trusted_proxies: Vec<IpNet>,
    /// How a client tells that it is gone before its response has ended.
    pub client_gone: ClientGone,
    /// Redirects requests to the same URL under `https`, except those that [`RedirectToHttps::exempts`] leaves to
    /// the rules. Never set on a listener with TLS.
    pub redirect_to_https: Option<RedirectToHttps>,
    /// The limit on all requests together. Those of rules are further ones.
    pub max_requests: Option<Arc<RequestLimit>>,
    /// The pages for answers to requests that no rule takes.
    pub pages: Option<Arc<Pages>>,
}

impl HttpListener {
    /// Limits on a request's head.
    #[inline]
    pub fn head_limits(&self) -> HeadLimits {
        let HttpSettings { head_bytes_max, head_fields_max, target_bytes_max, .. } = self.settings;
        HeadLimits { bytes: head_bytes_max, fields: head_fields_max, target: target_bytes_max }
    }

    /// Whether the address of a client decides about requests: by a condition, or by a limit on clients.
    pub fn asks_for_clients(&self) -> bool {
        let is_limited = |rule: &Rule| {
            let limits = rule.policies.as_ref().and_then(|policies| policies.rate_limit.as_ref());
            limits.is_some_and(|limits| limits.0.iter().any(|limit| limit.by == RateKey::Client))
        };
        let is_condition =
            |rule: &Rule| rule.conditions.as_ref().is_some_and(|conditions| conditions.ask_for_address());
        self.rules.iter().any(|rule| is_limited(rule) || is_condition(rule))
    }
}

/// The treatment of a path that a target may read as another one, which a rule guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AmbiguousPaths {
    /// It gets 400.
    Refuse,
    /// It is forwarded.
    Allow,
}

const AMBIGUOUS_PATHS: Shape<AmbiguousPaths> = Shape {
    parse: |text| match text {
        "refuse" => Ok(AmbiguousPaths::Refuse),
        "allow" => Ok(AmbiguousPaths::Allow),
        _ => Err(ValueError::hint("is not a way to treat ambiguous paths", "write refuse or allow")),
    },
    show: |paths| Some(if *paths == AmbiguousPaths::Allow { "allow" } else { "refuse" }.to_owned()),
    form: Form::Words(&["refuse", "allow"]),
};

/// How a client tells that it is gone before its response has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientGone {
    /// By a reset. A client that has ended only its side waits for the response.
    #[default]
    Reset,
    /// By the end of its side (FIN), too.
    Fin,
}

/// The redirection of requests in the clear to `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectToHttps {
    /// 301 or 308. 301 is used for GET and HEAD only, because clients change any other method to GET.
    pub status: u16,
    /// The port of the TLS listener as clients reach it. 443 is not written out.
    pub port: u16,
}

/// The beginning of the paths of ACME challenges.
pub const ACME_CHALLENGES: &str = "/.well-known/acme-challenge";

/// The TLS termination of a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates, in written order. There is at least one or a default, unless every rule passes
    /// connections on, or certificates are ordered.
    pub certificates: Vec<CertificateSource>,
    /// The certificate for names that no other certificate has. `None` if such names get none.
    pub default_certificate: Option<CertificateSource>,
    /// The certificates that are ordered for the hosts that no file covers. `None` if none is ordered.
    pub ordered: Option<OrderedHosts>,
    /// The client authentication for names that no certificate has.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// The oldest version and the timeout.
    pub settings: TlsSettings,
}

/// The certificates that are ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderedHosts {
    /// The folder in which they are kept. `None` if it is a bucket.
    pub store: Option<Arc<Path>>,
    /// Whether wildcards are ordered too.
    pub wildcards: bool,
}

/// The place of one certificate or of a folder of certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSource {
    /// The place where it was written.
    pub origin: Origin,
    /// The files.
    pub files: CertificateFiles,
    /// The client authentication for the names of these certificates.
    pub client_auth: Option<Arc<ClientAuth>>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFiles {
    /// A chain and its key, both PEM.
    Pair {
        /// The chain. Its own certificate is the first.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A `.crt` or `.pem` with the `.key` of the same name beside it, or a folder as a client of certificate
    /// authorities leaves it.
    Path(PathBuf),
}

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    V12,
    /// TLS 1.3 only.
    V13,
}

const TLS_VERSION: Shape<TlsVersion> = Shape {
    parse: |text| match text {
        "1.2" => Ok(TlsVersion::V12),
        "1.3" => Ok(TlsVersion::V13),
        _ => Err(ValueError::hint("is not a version that is spoken", "write \"1.2\" or \"1.3\"")),
    },
    show: |version| Some(if *version == TlsVersion::V13 { "\"1.3\"" } else { "\"1.2\"" }.to_owned()),
    form: Form::Words(&["1.2", "1.3"]),
};

/// The authentication of clients by certificates. Two values are equal if they demand the same, wherever they were
/// written.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// The place where it was written.
    pub origin: Origin,
    /// A PEM file of the authorities for client certificates.
    pub ca: PathBuf,
    /// Whether clients must have a certificate.
    pub mode: ClientAuthMode,
}

impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        let ClientAuth { origin: _, ca, mode } = self;
        (ca, mode) == (&other.ca, &other.mode)
    }
}

impl Eq for ClientAuth {}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAuthMode {
    /// A certificate is required.
    Required,
    /// A certificate is optional. If a client shows one, it must be valid.
    Optional,
}
