//! A file becomes a listener.

use std::sync::Arc;

use super::keys::{self, WAIT};
use super::rules;
use crate::config::decode::Decoder;
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::plain;
use crate::config::inputs::Inputs;
use crate::config::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, HttpWritten, LimitsWritten, LogFormat, LogLevel,
    PoliciesWritten, RequestLimit,
};
use crate::config::source::{HttpSource, Source};
use crate::config::syntax::Node;

/// Requests that wait for one of `max_concurrent_requests` to end. In go-proxy they wait without an end.
const WAITING: usize = 10_000;

/// Threads, if neither a file nor `GOMAXPROCS` says how many.
const WORKERS: usize = 2;

/// Times of go-proxy that no key changes.
const SETTINGS: HttpWritten = HttpWritten {
    header_timeout: Some(WAIT),
    idle_timeout: Some(WAIT),
    head_bytes_max: None,
    head_fields_max: None,
    target_bytes_max: None,
    ambiguous_paths: None,
    http2: None,
};

/// Adds a file.
pub(super) fn read(decoder: &mut Decoder<'_>, root: Node, source: &mut Source, inputs: &dyn Inputs) {
    let span = root.span;
    let Some(keys) = keys::keys(decoder, root) else { return };
    let workers = *source.settings.workers.get_or_insert_with(|| threads(inputs));
    logs(source, span, inputs);
    let http = HttpSource {
        rules: rules::rules(&keys, workers, span, source.started.as_deref()),
        settings: SETTINGS,
        trusted_proxies: keys.trusted_proxies,
        limits: LimitsWritten {
            response_timeout: Some(keys.transport.response_header_timeout),
            ..LimitsWritten::default()
        },
        max_requests: Some(Arc::new(RequestLimit {
            requests: keys.max_requests,
            waiting: WAITING,
            timeout: WAIT,
        })),
        policies: PoliciesWritten { cors: keys.cors.map(|cors| Some(Arc::new(cors))), ..Default::default() },
        ..HttpSource::default()
    };
    source.listeners.push(plain::listener(keys.listen, http));
}

fn threads(inputs: &dyn Inputs) -> usize {
    let written = inputs.env("GOMAXPROCS").and_then(|text| text.parse().ok());
    written.filter(|number| (1..=1_024).contains(number)).unwrap_or(WORKERS)
}

/// `DEBUG=true` has a line for each request, and `LOG_FORMAT` is the form of all lines. A file that says more comes before.
fn logs(source: &mut Source, span: Span, inputs: &dyn Inputs) {
    let is_json = inputs.env("LOG_FORMAT").is_some_and(|format| format == "json");
    if is_json && source.settings.log_format == LogFormat::Human {
        source.settings.log_format = LogFormat::Json;
    }
    if inputs.env("DEBUG").is_none_or(|debug| debug != "true") {
        return;
    }
    if source.settings.log_level == LogLevel::Info {
        source.settings.log_level = LogLevel::Debug;
    }
    let format = if is_json { AccessLogFormat::Json } else { AccessLogFormat::Human };
    let log = AccessLog { to: AccessLogTo::Stdout, format };
    source.access_log.get_or_insert(Spanned { value: Some(log), span });
}
