//! One route: a host, a path, and where they lead.

use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::HostPattern;
use crate::config::source::{PassSource, ProxySource, RuleSource};

/// A service, by the number of its project and its own number.
pub(crate) type ServiceId = (usize, usize);

/// The host of a route. `None` for any host.
pub(crate) type Host = Option<HostPattern>;

/// One host and path, and its destination.
pub(crate) struct Route {
    /// The place of the label with the host.
    pub(crate) span: Span,
    pub(crate) host: Host,
    /// The rule without its host and its action.
    pub(crate) rule: RuleSource,
    /// Hosts that are redirected to `host`.
    pub(crate) redirect_from: Vec<Spanned<HostPattern>>,
    /// Whether it asks for whole connections, TLS included. This is set for unavailable routes too.
    pub(crate) passthrough: bool,
    pub(crate) destination: Destination,
    /// The labels that every service of the route has, if several share it by their `weight`.
    pub(crate) shared: Option<Vec<(&'static str, String)>>,
    pub(crate) service: ServiceId,
    /// The service, and the route if it has a name, for messages.
    pub(crate) what: String,
}

/// The destination of a route.
#[derive(Clone)]
pub(crate) enum Destination {
    Target(Box<ProxySource>),
    /// Whole connections. Those with TLS go to one port, those in the clear to another.
    Passthrough {
        tls: Box<PassSource>,
        clear: Box<PassSource>,
    },
    /// An error. The response tells it.
    Unavailable(String),
}
