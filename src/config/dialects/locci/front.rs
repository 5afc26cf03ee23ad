//! A file becomes a listener, upstreams and the internal API.

use std::path::PathBuf;
use std::sync::Arc;

use super::keys::{Keys, Server};
use super::{environment, keys, rules};
use crate::config::decode::Decoder;
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::plain;
use crate::config::inputs::Inputs;
use crate::config::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, AmbiguousPaths, CertificateFiles, HeadersWritten, HttpWritten,
    LimitsWritten, LogLevel, Mode, RequestId, TlsWritten,
};
use crate::config::source::{CertificateWritten, HttpSource, ListenerSource, Source, TlsSource};
use crate::config::syntax::Node;

/// The field that each request to a target has.
const REQUEST_ID: &str = "X-Request-Id";

/// Adds a file.
pub(super) fn read(decoder: &mut Decoder<'_>, root: Node, source: &mut Source, inputs: &dyn Inputs) {
    let instead = source.mode.take();
    let Some(keys) = keys::keys(decoder, root, instead.as_deref()) else { return };
    logs(source, &keys, inputs);
    let Keys { span: _, mode, server, level: _, groups, balanced, gateway, control } = keys;
    source.internal_api = source.internal_api.take().or(control);
    source.chosen_mode = mode;
    let Some(Server { bind, workers, tls, connect_timeout, read_timeout, trusted_proxies }) = server else {
        return;
    };
    source.settings.workers = source.settings.workers.or(workers);
    source.connect_timeout = connect_timeout;
    source.upstreams.extend(groups.into_iter().map(|group| group.upstream(connect_timeout)));
    let (rules, middlewares) = match mode {
        Some(Mode::LoadBalancer) => (balanced.map(rules::of_balancer), Vec::new()),
        Some(Mode::ApiGateway) => {
            let middlewares = gateway.as_ref().map(|gateway| rules::named_policies(gateway, decoder));
            (gateway.map(|gateway| rules::of_gateway(gateway, decoder)), middlewares.unwrap_or_default())
        }
        None => (None, Vec::new()),
    };
    let rules = rules.unwrap_or_default();
    // The rules for other methods are no guards of paths, and would refuse each path that servers may read in two ways.
    let is_guarded = rules.iter().any(|rule| rule.policies.auth.is_some());
    let ambiguous_paths = (!is_guarded).then_some(AmbiguousPaths::Allow);
    let http = HttpSource {
        rules,
        settings: HttpWritten { ambiguous_paths, ..HttpWritten::default() },
        trusted_proxies,
        middlewares,
        limits: LimitsWritten {
            response_timeout: read_timeout,
            body_timeout: read_timeout,
            ..LimitsWritten::default()
        },
        headers: HeadersWritten {
            request_id: Some(Some(Arc::new(RequestId { field: REQUEST_ID.into() }))),
            ..HeadersWritten::default()
        },
        ..HttpSource::default()
    };
    let Some(bind) = bind else { return };
    let listener = plain::listener(bind, http);
    source.listeners.push(ListenerSource { tls: tls.map(pair), ..listener });
}

/// A level in `RUST_LOG` comes before that of the file. Down to `info` each request has a line on standard output.
fn logs(source: &mut Source, keys: &Keys, inputs: &dyn Inputs) {
    let level = environment::log_level(inputs).or(keys.level).unwrap_or(LogLevel::Info);
    if source.settings.log_level == LogLevel::Info {
        source.settings.log_level = level;
    }
    if !matches!(level, LogLevel::Warn | LogLevel::Error) {
        let log = AccessLog { to: AccessLogTo::Stdout, format: AccessLogFormat::Json };
        source.access_log.get_or_insert(Spanned { value: Some(log), span: keys.span });
    }
}

/// A certificate, which clients that name no host get too.
fn pair((span, cert, key): (Span, PathBuf, PathBuf)) -> TlsSource {
    let written = |files| CertificateWritten { span, files, client_auth: None };
    TlsSource {
        span,
        names_none: false,
        acme: None,
        certificates: vec![written(CertificateFiles::Pair { cert: cert.clone(), key: key.clone() })],
        default_certificate: Some(written(CertificateFiles::Pair { cert, key })),
        client_auth: None,
        settings: TlsWritten::default(),
    }
}
