//! What a configuration means, once it has been checked.
//!
//! A [`Plan`] is the second of the three lives of a configuration: the `Source` mirrors what was
//! written, the plan is what it says, a generation is what was built from it. Nothing here is
//! optional that "must be there": names are resolved, durations and sizes are typed, rules stand in
//! the order in which they are tried. Every front end only produces a `Plan`.

mod changes;

mod identity;

mod top_level;

mod listener;

mod rule;

mod upstream;

mod bind;
mod origin;

pub use bind::Bind;
pub use changes::{FileChanges, changes};
pub use identity::{RuleIdentities, RuleIdentity};
pub use listener::{
    ACME_CHALLENGES, CertificateFiles, CertificateSource, ClientAuth, ClientAuthMode, HttpListener, Listener,
    ListenerTls, Protocol, RedirectToHttps, TlsVersion,
};
pub use origin::Origin;
pub use rule::{Action, HostPattern, Pass, Proxy, ProxyProtocol, Redirect, Respond, Rule};
pub use top_level::{
    AccessLog, AccessLogFormat, AccessLogTo, InternalApi, InternalBind, Log, LogFormat, LogLevel, Plan,
    Secret,
};
pub use upstream::{Scheme, Target, TargetHost, Upstream, UpstreamId, UpstreamTls};
