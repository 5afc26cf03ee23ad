//! What a configuration means, once it has been checked.
//!
//! A [`Plan`] is the second of the three lives of a configuration: the `Source` mirrors what was
//! written, the plan is what it says, a generation is what was built from it. Nothing here is
//! optional that "must be there": names are resolved, durations and sizes are typed, rules stand in
//! the order in which they are tried. Every front end only produces a `Plan`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The files it was read from, in order.
    pub files: Vec<PathBuf>,
    /// What is logged, and how.
    pub log: Log,
    /// Number of worker threads; at least 1. `None`: one per core.
    pub workers: Option<usize>,
    /// Client connections held at once by the whole process; further ones wait in the accept queue.
    pub max_connections: usize,
    /// How long draining may take before what is left is closed.
    pub shutdown_timeout: Duration,
    /// The internal API.
    pub internal_api: InternalApi,
    /// Listeners, in written order; names are unique.
    pub listeners: Vec<Listener>,
    /// Upstreams; rules and TCP listeners refer to them by [`UpstreamId`]. Those that a `target:`
    /// made stand here too, named by their first target.
    pub upstreams: Vec<Upstream>,
    /// Whether a change of the files is to be a reload: `watch`; `SMOLGATE_WATCH` comes before it.
    pub watch: bool,
    /// Services of compose files that are not served as they ask to be, because something about them
    /// is wrong. Where their host is known it answers 503.
    pub rejected_services: usize,
}

impl Plan {
    /// The plan of a gate that has none yet: nothing is listened on.
    pub fn empty() -> Plan {
        Plan {
            files: Vec::new(),
            log: Log { level: LogLevel::Info, format: LogFormat::Human, access: None },
            workers: None,
            max_connections: 0,
            shutdown_timeout: Duration::ZERO,
            internal_api: InternalApi { bind: InternalBind::Tcp(Bind::Any(0)), token: None },
            listeners: Vec::new(),
            upstreams: Vec::new(),
            watch: false,
            rejected_services: 0,
        }
    }
}

/// Where a thing was written. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named on the command line.
    pub file: Arc<str>,
    /// Line of its first character.
    pub line: u32,
    /// Column of its first character, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A string that is never shown: `Debug` and every view print `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `log_level`; the command line and the environment come before it.
    pub level: LogLevel,
    /// `log_format`.
    pub format: LogFormat,
    /// `access_log`; `None` is off.
    pub access: Option<AccessLog>,
}

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// What a developer asks for.
    Debug,
    /// What an operator wants to know; the default.
    Info,
    /// What needs attention: every own answer of the 5xx class.
    Warn,
    /// What stopped something.
    Error,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where one line per exchange goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Standard output or a file.
    pub to: AccessLogTo,
    /// The form of a line.
    pub format: AccessLogFormat,
}

/// The place access log lines are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLogTo {
    /// Standard output.
    Stdout,
    /// A file, appended to; `USR1` opens it again.
    File(PathBuf),
}

/// The form of an access log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One JSON object a line.
    Json,
    /// The combined log format of Apache and nginx.
    Combined,
}

/// The internal API: reload, metrics, health, views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalApi {
    /// Where it listens.
    pub bind: InternalBind,
    /// When set, `Authorization: Bearer` must carry it everywhere but at the health endpoints.
    pub token: Option<Secret>,
}

/// Where the internal API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InternalBind {
    /// A TCP address; by default `127.0.0.1:42007`.
    Tcp(Bind),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A TCP address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bind {
    /// `:port`: every address of the machine, IPv6 and IPv4 on one socket where the system can.
    Any(u16),
    /// One address.
    Address(SocketAddr),
}

impl Bind {
    /// The port; 0 asks the system for a free one.
    pub fn port(self) -> u16 {
        match self {
            Bind::Any(port) => port,
            Bind::Address(address) => address.port(),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Any(port) => write!(f, ":{port}"),
            Bind::Address(address) => address.fmt(f),
        }
    }
}

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

/// Limits on a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// `head_bytes_max`: bytes of the whole head, request line to empty line.
    pub bytes: usize,
    /// `head_fields_max`: number of field lines.
    pub fields: usize,
    /// `target_bytes_max`: bytes of the request target.
    pub target: usize,
}

/// A match and one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// A metric label, and the name in views: `name:`, or the match in short, such as
    /// `admin.localhost/users`.
    pub name: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
    /// Any of these; empty means any host.
    pub hosts: Vec<HostPattern>,
    /// Whole segments, starting with `/`, without a slash at the end; `/` alone matches every path.
    pub path_prefix: Arc<str>,
    /// Any of these, upper case; empty means any method.
    pub methods: Vec<Arc<str>>,
    /// Requests in the clear stay here where the listener has `redirect_to_https`.
    pub in_the_clear: bool,
    /// What is done.
    pub action: Action,
}

/// A host that a rule asks for: lower case, without a port, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Arc<str>),
    /// `*.example.com`: exactly one label before this suffix, which is kept as `example.com`.
    Wildcard(Arc<str>),
}

impl HostPattern {
    /// `*.example.com` for `a.example.com`, which it takes as well; a wildcard has none.
    pub fn wildcard_over(&self) -> Option<HostPattern> {
        match self {
            HostPattern::Exact(host) => {
                host.split_once('.').map(|(_, suffix)| HostPattern::Wildcard(suffix.into()))
            }
            HostPattern::Wildcard(_) => None,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// What a matched rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to an upstream.
    Proxy(Proxy),
    /// Answer with a `Location`.
    Redirect(Redirect),
    /// Answer with what was written.
    Respond(Respond),
    /// Pass the whole connection on, byte for byte. Under TLS the name asked for decides, before a byte
    /// is answered; in the clear the first request does, and goes along unchanged.
    Pass(Pass),
    /// Close the connection without an answer. Under TLS before a byte is answered, if the rule asks for
    /// no more than a name.
    Drop,
}

/// Pass the whole connection on: what a rule says with `pass`, and all that a TCP listener does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Where to; its targets have no scheme.
    pub upstream: UpstreamId,
    /// Tell the target who the client is, before the client's first byte.
    pub send_proxy_protocol: Option<ProxyProtocol>,
    /// How long neither side may say anything.
    pub idle_timeout: Duration,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// Forward to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where to.
    pub upstream: UpstreamId,
    /// Forward the client's Host instead of the target's authority.
    pub pass_host: bool,
    /// Take `path_prefix` off the path before forwarding; an empty rest becomes `/`.
    pub strip_path_prefix: bool,
    /// Bytes a request body may have; `None`: no limit.
    pub max_body: Option<u64>,
    /// How long a body, either way, may make no progress.
    pub body_timeout: Duration,
    /// How long the upstream may be silent between the request and the response's head.
    pub response_timeout: Duration,
    /// How long an upgraded connection may be silent both ways.
    pub tunnel_timeout: Duration,
}

/// Answer with a `Location`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// An absolute URL or a path. Path and query of the request are kept when it is only an origin
    /// (`https://example.com`).
    pub to: Arc<str>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Answer with what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Fields, in written order; framing fields are not among them.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The body; empty for 204 and 304.
    pub body: Arc<str>,
}

/// Index into [`Plan::upstreams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// A named group of targets with one connection policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Unique among upstreams; a metric label.
    pub name: Arc<str>,
    /// Where it was written.
    pub origin: Origin,
    /// Used in turn. At least one.
    pub targets: Vec<Target>,
    /// How TLS to `https://` targets is done.
    pub tls: UpstreamTls,
    /// How long a connection may take to open, TLS included.
    pub connect_timeout: Duration,
    /// How many targets are tried for one exchange, while nothing was sent. At least 1.
    pub tries: usize,
    /// How long an idle connection is kept; `Keep-Alive: timeout` may shorten it.
    pub idle_timeout: Duration,
}

/// One address of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// `http://`, `https://` or, for TCP, nothing.
    pub scheme: Scheme,
    /// A name or an address.
    pub host: TargetHost,
    /// The port; 80 or 443 when the scheme gave it.
    pub port: u16,
    /// What is put before the path: empty, or `/base` without a slash at the end.
    pub base_path: Arc<str>,
}

impl Target {
    /// `host`, or `host:port` when the port is not the scheme's own: what `Host` says (RFC 9110, 7.2).
    pub fn authority(&self) -> String {
        match (self.scheme, self.port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => self.host.to_string(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http://",
            Scheme::Https => "https://",
            Scheme::Tcp => "",
        };
        write!(f, "{scheme}{}{}", self.authority(), self.base_path)
    }
}

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP/1.1 in the clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// Bytes.
    Tcp,
}

/// A name to resolve, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetHost {
    /// A name, lower case.
    Name(Arc<str>),
    /// An address.
    Address(IpAddr),
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetHost::Name(name) => f.write_str(name),
            TargetHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            TargetHost::Address(IpAddr::V4(address)) => address.fmt(f),
        }
    }
}

/// How TLS to a target is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// A PEM file of authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Accept any certificate. Said at every load with a warning.
    pub insecure_skip_verify: bool,
    /// The name to ask for and to check instead of the target's host.
    pub sni: Option<Arc<str>>,
}
