//! The listeners for the rules of compose files: `http` in the clear, and `https` under TLS.

use std::path::PathBuf;

use super::route::Route;
use super::rules::{self, Side};
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::{Bind, CertificateFiles, RedirectToHttps, TlsWritten};
use crate::config::source::{
    ActionSource, CertificateWritten, HttpSource, ListenerSource, ProtocolSource, RuleSource, TlsSource,
};

/// The result of reading all compose files.
pub(super) struct Compose {
    /// The place of the first file.
    pub(super) span: Span,
    /// `*_HTTP_PORT`, if it is set.
    pub(super) http_port: Option<Bind>,
    /// The settings of HTTPS.
    pub(super) https: Https,
    /// The routes, in written order.
    pub(super) routes: Vec<Route>,
}

/// The settings of HTTPS in the environment.
pub(super) struct Https {
    /// `*_HTTPS_ENABLED`: the gate terminates TLS for every route without `passthrough`.
    pub(super) enabled: bool,
    /// `*_HTTPS_PORT`, if it is set.
    pub(super) port: Option<Bind>,
    /// `*_ACME_DIR`: the folder of certificates.
    pub(super) certificates: PathBuf,
    /// `*_ACME_EMAIL`: certificates that the folder has not are ordered.
    pub(super) orders: bool,
}

impl Https {
    /// The port in redirects to `https`.
    fn port_of_redirects(&self) -> u16 {
        self.port.map(Bind::port).filter(|port| *port != 0).unwrap_or(443)
    }
}

impl Compose {
    /// The rules of one listener, in the order in which they are tried. `https` tells that the gate terminates TLS
    /// for routes without `passthrough`. Then redirects lead to `https`.
    fn rules(&self, side: Side, https: bool) -> Vec<RuleSource> {
        rules::of(&self.routes, side, https, self.https.port_of_redirects())
    }
}

/// The names of the listeners for compose files.
const HTTP: &str = "http";
const HTTPS: &str = "https";

/// Adds the rules behind those of the listeners named `http` and `https`. If no file has them, it makes `http`,
/// and also `https` if there is a rule for it. A listener named `http` with TLS takes the rules for `https` too.
pub(super) fn add(listeners: &mut Vec<ListenerSource>, compose: &Compose, report: &mut Report) {
    let http = find(listeners, HTTP);
    let http_is_tls = http.is_some_and(|http| http.tls.is_some());
    let tls = find(listeners, HTTPS).and_then(|https| https.tls.as_ref());
    let https = compose.https.enabled || http_is_tls || tls.is_some_and(|tls| !tls.names_none);
    let needs_https = !http_is_tls && !compose.rules(Side::Tls, https).is_empty();
    if http.is_none() {
        listeners.push(listener(HTTP, 80, None, compose.span));
    }
    if needs_https && find(listeners, HTTPS).is_none() {
        listeners.push(listener(HTTPS, 443, Some(empty_tls(compose.span)), compose.span));
    }
    let builder = ListenerBuilder { compose, https };
    for one in listeners {
        match one.name.as_ref().map(|name| &*name.value) {
            Some(HTTP) => builder.of_http(one, report),
            Some(HTTPS) if needs_https || one.tls.is_some() => builder.of_https(one, report),
            _ => {}
        }
    }
}

fn find<'l>(listeners: &'l [ListenerSource], name: &str) -> Option<&'l ListenerSource> {
    listeners.iter().find(|listener| listener.name.as_ref().is_some_and(|known| &*known.value == name))
}

/// A listener that no file has.
fn listener(name: &str, port: u16, tls: Option<TlsSource>, span: Span) -> ListenerSource {
    ListenerSource {
        span,
        name: Some(Spanned { value: name.into(), span }),
        binds: vec![Spanned { value: Bind::Any(port), span }],
        shutdown_timeout: None,
        tls,
        accept_proxy_protocol: Vec::new(),
        protocol: ProtocolSource::Http(Box::default()),
    }
}

/// `tls: {}`.
fn empty_tls(span: Span) -> TlsSource {
    TlsSource {
        span,
        names_none: true,
        acme: None,
        certificates: Vec::new(),
        default_certificate: None,
        client_auth: None,
        settings: TlsWritten::default(),
    }
}

/// Adds rules to the two listeners.
struct ListenerBuilder<'c> {
    compose: &'c Compose,
    /// Whether the gate terminates TLS for routes without `passthrough`.
    https: bool,
}

impl ListenerBuilder<'_> {
    fn of_http(&self, listener: &mut ListenerSource, report: &mut Report) {
        self.bind(listener, self.compose.http_port);
        let ListenerSource { span, tls, protocol, .. } = listener;
        match (protocol, tls) {
            (ProtocolSource::Tcp(_), _) => tcp(HTTP, *span, report),
            (ProtocolSource::Http(http), Some(tls)) => self.under_tls(http, tls),
            (ProtocolSource::Http(http), None) => {
                if self.compose.https.enabled {
                    let port = self.compose.https.port_of_redirects();
                    http.redirect_to_https.get_or_insert(RedirectToHttps { status: 308, port });
                }
                let redirects = http.redirect_to_https.is_some();
                http.rules.extend(self.compose.rules(Side::Clear { redirects }, self.https));
            }
        }
    }

    fn of_https(&self, listener: &mut ListenerSource, report: &mut Report) {
        self.bind(listener, self.compose.https.port);
        let ListenerSource { span, tls, protocol, .. } = listener;
        match (protocol, tls) {
            (ProtocolSource::Tcp(_), _) => tcp(HTTPS, *span, report),
            (ProtocolSource::Http(http), Some(tls)) => self.under_tls(http, tls),
            (ProtocolSource::Http(_), None) => {
                let message = "the listener `https` has no `tls`, and the labels of compose files need it";
                report.error_hint(
                    *span,
                    message,
                    "add `tls: { certificates: ... }`, or give it another name",
                );
            }
        }
    }

    /// Sets the address. The environment comes before the file.
    fn bind(&self, listener: &mut ListenerSource, bind: Option<Bind>) {
        if let Some(value) = bind {
            listener.binds = vec![Spanned { value, span: self.compose.span }];
        }
    }

    /// Adds the rules under TLS. If no file names certificates and a rule needs them, they come from the folder
    /// that the environment names, or are ordered and kept there.
    fn under_tls(&self, http: &mut HttpSource, tls: &mut TlsSource) {
        let rules = self.compose.rules(Side::Tls, self.https);
        let is_ended = |rule: &&RuleSource| !matches!(rule.action, Some(ActionSource::Pass(_)));
        if self.compose.https.enabled && tls.names_none && rules.iter().any(|rule| is_ended(&rule)) {
            let files = CertificateFiles::Path(self.compose.https.certificates.clone());
            tls.certificates = vec![CertificateWritten { span: self.compose.span, files, client_auth: None }];
            tls.acme = self.compose.https.orders.then_some(self.compose.span);
            tls.names_none = false;
        }
        http.rules.extend(rules);
    }
}

fn tcp(name: &str, span: Span, report: &mut Report) {
    let message =
        format!("the listener `{name}` speaks TCP, and the labels of compose files need one for HTTP");
    report.error_hint(span, message, "give this one another name");
}
