//! The keys at the top of a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::listener::{self, ListenerSource, ProtocolSource};
use super::rule::{self, RuleSource};
use super::upstream::{self, UpstreamSource};
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Report, Spanned};
use crate::config::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, InternalBind, LogFormat, LogLevel, Secret,
};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::{ValueError, scalar, target};

/// All files together.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) log_level: Option<Spanned<LogLevel>>,
    pub(crate) log_format: Option<Spanned<LogFormat>>,
    /// The inner `None` stands for `off`.
    pub(crate) access_log: Option<Spanned<Option<AccessLog>>>,
    pub(crate) workers: Option<Spanned<usize>>,
    pub(crate) max_connections: Option<Spanned<usize>>,
    pub(crate) shutdown_timeout: Option<Spanned<Duration>>,
    pub(crate) internal_api: Option<Spanned<InternalSource>>,
    /// The inner `None` stands for a wrong value, which was reported.
    http_config: Option<Spanned<Option<ListenerSource>>>,
    /// The rules of every file's `http_routes`, and the place of the first.
    http_routes: Option<Spanned<Vec<RuleSource>>>,
    tcp: Option<Spanned<ListenerSource>>,
    pub(crate) listeners: Vec<ListenerSource>,
    pub(crate) upstreams: Vec<UpstreamSource>,
    pub(crate) watch: Option<Spanned<bool>>,
    /// Every file that was read, in order.
    pub(crate) files: Vec<PathBuf>,
    /// Services that are not served as they ask to be, because their dialect has rejected them.
    pub(crate) rejected_services: usize,
}

/// `internal_api:`
pub(crate) struct InternalSource {
    pub(crate) bind: Option<Spanned<InternalBind>>,
    pub(crate) token: Option<Secret>,
}

impl Source {
    /// Reads one file and adds it.
    pub(crate) fn read(&mut self, decoder: &mut Decoder<'_>, root: Node) {
        if let Value::Null = root.value {
            return;
        }
        let Some(mut fields) = MappingReader::open(decoder, root, "a configuration") else {
            return;
        };
        // These keys hold anchors.
        fields.ignore(|key| key.starts_with("x-"));
        let level = fields.parsed("log_level", scalar::log_level);
        once(&mut self.log_level, level, "log_level", fields.decoder.report);
        let format = fields.parsed("log_format", scalar::log_format);
        once(&mut self.log_format, format, "log_format", fields.decoder.report);
        let access = fields.field("access_log", access_log);
        once(&mut self.access_log, access, "access_log", fields.decoder.report);
        let workers = fields.parsed("workers", scalar::worker_count);
        once(&mut self.workers, workers, "workers", fields.decoder.report);
        let connections = fields.parsed("max_connections", scalar::connection_count);
        once(&mut self.max_connections, connections, "max_connections", fields.decoder.report);
        let shutdown = fields.parsed("shutdown_timeout", scalar::duration);
        once(&mut self.shutdown_timeout, shutdown, "shutdown_timeout", fields.decoder.report);
        let watch = fields.field("watch", Decoder::flag);
        once(&mut self.watch, watch, "watch", fields.decoder.report);
        let internal = fields.field("internal_api", internal_api);
        once(&mut self.internal_api, internal, "internal_api", fields.decoder.report);
        self.read_listeners(&mut fields);
        self.upstreams.extend(fields.field("upstreams", upstream::upstreams).unwrap_or_default());
        fields.close();
    }

    fn read_listeners(&mut self, fields: &mut MappingReader<'_, '_>) {
        let key = fields.at("http_config");
        let http = fields.field("http_config", listener::http_config);
        let http = key.map(|span| Spanned { value: http, span });
        once(&mut self.http_config, http, "http_config", fields.decoder.report);
        let key = fields.at("http_routes");
        let rules = fields.field("http_routes", rule::rules);
        match (key, rules, &mut self.http_routes) {
            (_, Some(rules), Some(before)) => before.value.extend(rules),
            (Some(span), Some(value), before) => *before = Some(Spanned { value, span }),
            _ => {}
        }
        let key = fields.at("tcp");
        let tcp = fields.field("tcp", listener::tcp);
        let tcp = key.zip(tcp).map(|(span, value)| Spanned { value, span });
        once(&mut self.tcp, tcp, "tcp", fields.decoder.report);
        self.listeners.extend(fields.field("listeners", listener::listeners).unwrap_or_default());
    }

    /// Called after the last file: the short forms become listeners like the others, in front of them.
    pub(crate) fn join_short_forms(&mut self, report: &mut Report) {
        let mut http = self.http_config.take().map(|http| http.value);
        let tcp = self.tcp.take().map(|tcp| tcp.value);
        match (&mut http, self.http_routes.take()) {
            (Some(Some(ListenerSource { protocol: ProtocolSource::Http(http), .. })), Some(routes)) => {
                http.rules = routes.value;
            }
            (None, Some(routes)) => {
                let hint = "add for example `http_config: { port: \":8021\" }`";
                report.error_hint(routes.span, "`http_routes` stands without `http_config`", hint);
            }
            _ => {}
        }
        let long = std::mem::take(&mut self.listeners);
        self.listeners = http.flatten().into_iter().chain(tcp).chain(long).collect();
    }
}

/// Sets a key that only one file may set.
fn once<T>(slot: &mut Option<Spanned<T>>, new: Option<Spanned<T>>, name: &str, report: &mut Report) {
    match (&slot, new) {
        (Some(first), Some(new)) => {
            let first = report.place(first.span);
            report.error_hint(new.span, format!("`{name}` is set in two files"), format!("first at {first}"));
        }
        (None, Some(new)) => *slot = Some(new),
        (_, None) => {}
    }
}

/// `stdout`, `off`, a path, or `{to, format}`.
fn access_log(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<Option<AccessLog>>> {
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let to = access_log_to(decoder, node)?;
        return Some(Spanned { value: to.map(|to| AccessLog { to, format: AccessLogFormat::Json }), span });
    }
    let mut fields = MappingReader::open(decoder, node, "an access log")?;
    fields.require(&["to"]);
    let to = fields.field("to", access_log_to);
    let format = fields.parsed("format", |text| match text {
        "json" => Ok(AccessLogFormat::Json),
        "combined" => Ok(AccessLogFormat::Combined),
        "human" => Ok(AccessLogFormat::Human),
        _ => Err(ValueError::hint("is not a format of an access log", "write json, combined or human")),
    });
    fields.close();
    let format = format.map_or(AccessLogFormat::Json, |format| format.value);
    Some(Spanned { value: to?.map(|to| AccessLog { to, format }), span })
}

fn access_log_to(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<AccessLogTo>> {
    let text = decoder.text(node.clone())?;
    match text.text.as_str() {
        "stdout" => Some(Some(AccessLogTo::Stdout)),
        "off" | "false" => Some(None),
        _ => decoder.path(node).map(|path| Some(AccessLogTo::File(path.value))),
    }
}

fn internal_api(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<InternalSource>> {
    let span = node.span;
    let mut fields = MappingReader::open(decoder, node, "the internal API")?;
    let bind = fields.field("bind", |decoder, node| {
        let text = decoder.text(node)?;
        match internal_bind(&text.text, |path| decoder.resolve(path, text.span)) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                decoder.value_error(&text, error);
                None
            }
        }
    });
    let token = fields.field("token", |decoder, node| {
        mask_secret(&node, decoder.report);
        let text = decoder.text(node)?;
        // A client can send only these characters (RFC 6750, 2.1). The message does not quote the token.
        if text.text.is_empty() || !text.text.bytes().all(|byte| byte.is_ascii_graphic()) {
            decoder.report.error(text.span, "a token is made of visible ASCII characters, without spaces");
            return None;
        }
        Some(Secret(Arc::from(text.text)))
    });
    fields.close();
    Some(Spanned { value: InternalSource { bind, token }, span })
}

/// `unix:/path`, or the value of a listener's `bind`.
pub(crate) fn internal_bind(
    text: &str,
    resolve: impl Fn(&str) -> PathBuf,
) -> Result<InternalBind, ValueError> {
    match text.strip_prefix("unix:") {
        Some("") => Err(ValueError::hint("has no path", "write \"unix:/run/smolgate.sock\"")),
        Some(path) => Ok(InternalBind::Unix(resolve(path))),
        None => target::bind(text).map(InternalBind::Tcp),
    }
}
