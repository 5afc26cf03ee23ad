//! Challenges that are answered by a record of DNS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::Secret;

/// How records are written, and how long they are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsChallenge {
    /// The way to write a record.
    pub provider: DnsProvider,
    /// The wait for a record if no name server can be asked.
    pub wait: Duration,
    /// The longest wait until all name servers have a record.
    pub timeout: Duration,
    /// The resolvers to ask. Those of the system if there are none.
    pub resolvers: Vec<SocketAddr>,
    /// The name servers to ask in place of those of the zone, if there are any.
    pub servers: Vec<SocketAddr>,
}

/// The way to write a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsProvider {
    /// A program, called as lego calls one.
    Exec {
        /// The program and its first arguments.
        command: Vec<Arc<str>>,
        /// The variables of the gate's environment that it gets.
        environment: Vec<Arc<str>>,
    },
    /// A server that writes records, asked as lego's `httpreq` asks one.
    HttpReq {
        /// Its URL.
        url: Arc<str>,
        /// The login.
        login: Option<(Arc<str>, Secret)>,
    },
    /// An acme-dns server, to which an alias of the name leads.
    AcmeDns {
        /// Its URL.
        url: Arc<str>,
        /// The login.
        login: (Arc<str>, Secret),
        /// The name at the server.
        subdomain: Arc<str>,
    },
    /// A name server that takes updates (RFC 2136).
    Rfc2136 {
        /// Its host and port.
        server: Arc<str>,
        /// The name of the key, and the key in base64. None: updates are not signed.
        key: Option<(Arc<str>, Secret)>,
        /// The way in which updates are signed.
        algorithm: SignatureAlgorithm,
        /// The zone. None: the server is asked.
        zone: Option<Arc<str>>,
    },
    /// None: a person has written the record, which stays (dns-persist-01).
    Static,
    /// Cloudflare.
    Cloudflare {
        /// The URL of its API.
        url: Arc<str>,
        /// A token that may read zones and edit records.
        token: Secret,
    },
}

/// The way in which an update is signed (RFC 8945).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

impl SignatureAlgorithm {
    /// All, with their names in a configuration.
    pub const ALL: [(&'static str, Self); 3] = [
        ("hmac-sha256", Self::HmacSha256),
        ("hmac-sha384", Self::HmacSha384),
        ("hmac-sha512", Self::HmacSha512),
    ];
}

/// The URL of Cloudflare's API.
pub const CLOUDFLARE: &str = "https://api.cloudflare.com/client/v4";
