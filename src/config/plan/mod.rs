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

mod headers;
mod location;
mod policies;
mod upstream;

mod plugins;

mod host;

mod conditions;

mod bind;
mod control;
mod origin;

pub use crate::config::keys::Secret;
pub use acme::{
    AUTHORITIES, Bucket, CLOUDFLARE, CertificateAuthority, ChallengeKind, CheckAt, DnsChallenge, DnsProvider,
    EventProgram, ExternalAccount, KeyKind, LEASE, Orders, REGION, STORE, SignatureAlgorithm, StorePlace,
    WhileWaiting,
};
pub use bind::Bind;
pub use changes::{CertificateChanges, FileChanges, changes};
pub use conditions::{
    Conditions, ExpressionError, NamedCondition, Networks, PathExpression, PathGlob, SegmentGlob, Share,
    ShareKey, ValuePattern, WHOLE_SHARE,
};
pub use control::{Change, Conflict, Mode, OverlayPlace};
pub use files::{Coding, Files, NameGlob, Symlinks};
pub use headers::{
    EDITS_MAX, Edits, FieldEdit, FieldPattern, Headers, Hsts, RequestId, RuleHeaders, SameName,
};
pub use host::{HostGlob, HostPattern, HostPlace, LabelGlob};
pub use identity::{RuleIdentities, RuleIdentity};
pub use listener::{
    ACME_CHALLENGES, AmbiguousPaths, CertificateFiles, CertificateSource, ClientAuth, ClientAuthMode,
    ClientGone, HttpListener, HttpSettings, Listener, ListenerTls, OrderedHosts, Protocol, RedirectToHttps,
    TlsSettings, TlsVersion,
};
pub use location::Location;
pub use origin::Origin;
pub use plugins::{OnFailure, Plugin, PluginChain, PluginEnvironment, PluginName, PluginSettings};
pub use policies::{
    Auth, AuthServer, AuthServerPlace, Basic, BitRate, Compress, Cors, Intercept, Jwt, JwtKeys, Mirror,
    OriginPattern, Page, PageKey, PageValues, Pages, Policies, PolicyUpstream, RateKey, RateLimit,
    RateLimits, RequestLimit, Speed, SpeedGroup, StatusPattern, TokenPlace,
};
pub use rule::{Action, Limits, Matcher, Pass, Proxy, ProxyProtocol, Redirect, Respond, Rule};
pub use steps::steps;
pub use top_level::{
    AccessLog, AccessLogFormat, AccessLogTo, GlobalSettings, InternalApi, InternalBind, LogFormat, LogLevel,
    Plan,
};
pub use upstream::{
    Balance, Eject, HashKey, Health, HealthRequest, HttpVersions, Queue, Scheme, Sticky, Target,
    TargetAddress, TargetHost, Upstream, UpstreamId, UpstreamPolicy, UpstreamSettings, UpstreamTls,
};

pub(crate) use headers::HeadersWritten;
pub(crate) use listener::{HttpWritten, TlsWritten};
pub(crate) use plugins::PluginWritten;
pub(crate) use policies::{PoliciesWritten, ReadPolicy};
pub(crate) use rule::LimitsWritten;
pub(crate) use top_level::GlobalWritten;
pub(crate) use upstream::UpstreamWritten;
