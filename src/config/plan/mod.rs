//! The meaning of a configuration that was checked.
//!
//! A [`Plan`] is the second of the three lives of a configuration. The `Source` mirrors what was written, the plan
//! is its meaning, and a generation is built from the plan. Nothing here is optional that must be there. Names are
//! resolved, durations and sizes are typed, and rules stand in the order in which they are tried. Every dialect
//! leads to the same `Plan`.

mod changes;
mod steps;

mod identity;

mod top_level;

mod acme;

mod listener;

mod rule;

mod files;

mod conditions;
mod location;
mod policies;
mod upstream;
mod upstream_policy;

mod bind;
mod origin;

pub use acme::{
    AUTHORITIES, CLOUDFLARE, CertificateAuthority, ChallengeKind, DnsChallenge, DnsProvider, ExternalAccount,
    Orders, STORE, Secret, SignatureAlgorithm, WhileWaiting,
};
pub use bind::Bind;
pub use changes::{CertificateChanges, FileChanges, changes};
pub use conditions::{Conditions, NamedCondition, Networks, PathGlob, SegmentGlob, ValuePattern};
pub use files::{Coding, Files, NameGlob, Symlinks};
pub use identity::{RuleIdentities, RuleIdentity};
pub use listener::{
    ACME_CHALLENGES, CertificateFiles, CertificateSource, ClientAuth, ClientAuthMode, ClientGone,
    HttpListener, HttpSettings, Listener, ListenerTls, OrderedHosts, Protocol, RedirectToHttps, TlsSettings,
    TlsVersion,
};
pub use location::{Location, LocationParts};
pub use origin::Origin;
pub use policies::{Cors, OriginPattern, Policies, RateKey, RateLimit, RateLimits, RequestLimit};
pub use rule::{Action, HostPattern, Limits, Matcher, Pass, Proxy, ProxyProtocol, Redirect, Respond, Rule};
pub use steps::steps;
pub use top_level::{
    AccessLog, AccessLogFormat, AccessLogTo, GlobalSettings, InternalApi, InternalBind, LogFormat, LogLevel,
    Plan,
};
pub use upstream::{Scheme, Target, TargetHost, Upstream, UpstreamId, UpstreamSettings, UpstreamTls};
pub use upstream_policy::{Balance, Eject, HashKey, Health, HealthRequest, UpstreamPolicy};

pub(crate) use listener::{HttpWritten, TlsWritten};
pub(crate) use policies::{PoliciesWritten, ReadPolicy};
pub(crate) use rule::LimitsWritten;
pub(crate) use top_level::GlobalWritten;
pub(crate) use upstream::UpstreamWritten;
