//! What a plan says of a listener, but for its rules.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::bind::Bind;
use super::origin::Origin;
use super::rule::{Pass, Rule};
use crate::http::HeadLimits;

/// An address we accept on and what is done with what comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Unique among listeners; a metric label.
    pub name: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
    /// At least one; unique among all listeners.
    pub binds: Vec<Bind>,
    /// What is spoken.
    pub protocol: Protocol,
    /// How TLS is ended, if it is: then `protocol` is spoken inside.
    pub tls: Option<ListenerTls>,
    /// Peers that say who their client is with a PROXY header, before anything else; they must.
    pub accept_proxy_protocol: Vec<IpNet>,
    /// `shutdown_timeout` of this listener, or the plan's: how long a removed listener's
    /// connections may go on.
    pub shutdown_timeout: Duration,
}

/// What a listener speaks.
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
    /// Tried in this order; the first match wins.
    pub rules: Vec<Rule>,
    /// Limits on a request's head.
    pub head: HeadLimits,
    /// How long a client may take from the first byte of a head to its last.
    pub header_timeout: Duration,
    /// How long a kept-alive connection may stay without a request.
    pub idle_timeout: Duration,
    /// Peers whose `X-Forwarded-*` and `Forwarded` fields are kept and extended.
    pub trusted_proxies: Vec<IpNet>,
    /// Answer requests with the same URL under `https`, but for those that it leaves to the rules. Never
    /// on a listener with TLS.
    pub redirect_to_https: Option<RedirectToHttps>,
}

/// How requests in the clear are sent to `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectToHttps {
    /// 301 or 308. 301 is for GET and HEAD only: clients make a GET of any other method then.
    pub status: u16,
    /// The port of the TLS listener as clients reach it; 443 is not written out.
    pub port: u16,
}

/// What the paths of ACME challenges begin with.
pub const ACME_CHALLENGES: &str = "/.well-known/acme-challenge";

/// How a listener ends TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// Where certificates are, in written order. At least one, or a default, unless every rule passes
    /// connections on.
    pub certificates: Vec<CertificateSource>,
    /// What is shown to who asks for a name that no certificate has; `None`: nothing is.
    pub default_certificate: Option<CertificateSource>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
    /// What clients have to show when they ask for a name that no certificate has.
    pub client_auth: Option<Arc<ClientAuth>>,
    /// How long a client may take from the connection to the end of the handshake.
    pub handshake_timeout: Duration,
}

/// Where one certificate, or a folder of them, is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSource {
    /// Where it was written.
    pub origin: Origin,
    /// The files.
    pub files: CertificateFiles,
    /// What clients that ask for one of their names have to show.
    pub client_auth: Option<Arc<ClientAuth>>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFiles {
    /// A chain and its key, both PEM.
    Pair {
        /// The chain, its own certificate first.
        cert: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// A `.crt` or `.pem` with the `.key` of the same name beside it, a folder of such, or a folder
    /// in certbot's layout.
    Path(PathBuf),
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, and 1.3 of course.
    V12,
    /// 1.3 only.
    V13,
}

/// What clients have to show. Two are equal when they demand the same, wherever they were written.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    /// Where it was written.
    pub origin: Origin,
    /// A PEM file of the authorities that may have signed their certificate.
    pub ca: PathBuf,
    /// Whether they must have one.
    pub mode: ClientAuthMode,
}

impl PartialEq for ClientAuth {
    fn eq(&self, other: &Self) -> bool {
        (&self.ca, self.mode) == (&other.ca, other.mode)
    }
}

impl Eq for ClientAuth {}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAuthMode {
    /// They must.
    Required,
    /// They need not; if they do, it must be a good one.
    Optional,
}
