//! The keys at the top of a file.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::acme::{self, AcmeSource};
use super::listener::{self, ListenerSource, ProtocolSource};
use super::plugins::{self, PluginSource};
use super::policies::{self, PolicySetSource};
use super::rule::{self, RuleSource};
use super::store;
use super::upstream::{self, UpstreamSource};
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, Bind, GlobalSettings, GlobalWritten, InternalBind, Mode,
    OverlayPlace, Pages, ReadPolicy, Secret, StorePlace,
};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::{ValueError, access_log, target};

/// Keys that are read by hand, and that only one file may set.
const ONCE: [&str; 7] = ["access_log", "internal_api", "acme", "store", "pages", "http_config", "tcp"];

/// All files together.
#[derive(Default)]
pub(crate) struct Source {
    /// Settings of all files so far, and defaults.
    pub(crate) settings: GlobalSettings,
    /// The place of each key that only one file may set.
    set: HashMap<&'static str, Span>,
    /// The inner `None` stands for `off`.
    pub(crate) access_log: Option<Spanned<Option<AccessLog>>>,
    pub(crate) internal_api: Option<Spanned<InternalSource>>,
    pub(crate) acme: Option<Spanned<AcmeSource>>,
    pub(crate) store: Option<Spanned<StorePlace>>,
    http_config: Option<ListenerSource>,
    /// The rules of every file's `http_routes`, and the place of the first.
    http_routes: Option<Spanned<Vec<RuleSource>>>,
    tcp: Option<ListenerSource>,
    pub(crate) listeners: Vec<ListenerSource>,
    pub(crate) upstreams: Vec<UpstreamSource>,
    /// The names of upstreams that changes of the control API will add.
    #[allow(dead_code, reason = "a dialect that uses the names of others reads it")]
    pub(crate) added_upstreams: Vec<Arc<str>>,
    /// The plugins of all files.
    pub(crate) plugins: Vec<PluginSource>,
    /// Named sets of policies.
    pub(crate) policies: Vec<PolicySetSource>,
    /// The pages of listeners and rules that have no other.
    pub(crate) pages: Option<Option<Arc<Pages>>>,
    /// Every file that was read, in order.
    pub(crate) files: Vec<PathBuf>,
    /// The mode in the place of that of a file with modes. A dialect that has some takes it.
    pub(crate) mode: Option<String>,
    /// The start of the gate, as RFC 3339 writes it.
    #[allow(dead_code, reason = "a dialect that tells clients of it reads it")]
    pub(crate) started: Option<String>,
    /// The mode of the file that has modes.
    pub(crate) chosen_mode: Option<Mode>,
    /// The connect timeout of upstreams that the control API adds.
    #[allow(dead_code, reason = "the overlay alone reads it")]
    pub(crate) connect_timeout: Option<Duration>,
    /// Services that are not served as they ask to be, because their dialect has rejected them.
    pub(crate) rejected_services: usize,
}

/// `internal_api:`
#[derive(Default)]
pub(crate) struct InternalSource {
    pub(crate) bind: Option<Spanned<InternalBind>>,
    pub(crate) token: Option<Secret>,
    /// The place of the changes of the control API.
    pub(crate) edits: Option<Spanned<OverlayPlace>>,
}

impl InternalSource {
    /// The address or the socket that was `written` as `text`.
    pub(crate) fn bind(
        decoder: &mut Decoder<'_>,
        text: &Text,
        written: &str,
    ) -> Option<Spanned<InternalBind>> {
        match internal_bind(written, |path| decoder.resolve(path, text.span)) {
            Ok(value) => Some(Spanned { value, span: text.span }),
            Err(error) => {
                decoder.value_error(text, error);
                None
            }
        }
    }

    /// The token. An empty one is an error: a variable without a value must not open the internal API.
    pub(crate) fn token(decoder: &mut Decoder<'_>, node: Node) -> Option<Secret> {
        mask_secret(&node, decoder.report);
        let text = decoder.text(node)?;
        if text.text.is_empty() {
            let message = format!("the token is empty: {}", text.shown());
            let hint = "give the variable or the file a value, or leave `token` out";
            decoder.report.error_hint(text.span, message, hint);
            return None;
        }
        // A client can send only these characters (RFC 6750, 2.1). The message does not quote the token.
        if !text.text.bytes().all(|byte| byte.is_ascii_graphic()) {
            decoder.report.error(text.span, "a token is made of visible ASCII characters, without spaces");
            return None;
        }
        Some(Secret(Arc::from(text.text)))
    }

    /// `memory`, or the path of a file.
    pub(crate) fn edits(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<OverlayPlace>> {
        let text = decoder.text(node.clone())?;
        if text.text == "memory" {
            return Some(Spanned { value: OverlayPlace::Memory, span: text.span });
        }
        let path = decoder.path(node)?;
        Some(Spanned { value: OverlayPlace::File(path.value), span: path.span })
    }
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
        self.refuse_twice(&mut fields);
        self.settings = self.settings.with(&GlobalWritten::read(&mut fields));
        self.access_log = self.access_log.take().or(fields.field("access_log", access_log));
        self.internal_api = self.internal_api.take().or(fields.field("internal_api", internal_api));
        self.acme = self.acme.take().or(fields.field("acme", acme::acme));
        self.store = self.store.take().or(fields.field("store", store::store));
        self.pages = self.pages.take().or(ReadPolicy::<Pages>::policy(&mut fields, "pages"));
        self.read_listeners(&mut fields);
        self.upstreams.extend(fields.field("upstreams", upstream::upstreams).unwrap_or_default());
        self.plugins.extend(fields.field("plugins", plugins::plugins).unwrap_or_default());
        self.policies.extend(fields.field("policies", policies::sets).unwrap_or_default());
        fields.close();
    }

    /// Reports keys that an earlier file has set, and that only one file may set.
    fn refuse_twice(&mut self, fields: &mut MappingReader<'_, '_>) {
        for key in GlobalWritten::KEYS.iter().chain(&ONCE) {
            let Some(span) = fields.at(key) else { continue };
            if let Some(first) = self.set.insert(key, span) {
                let report = &mut *fields.decoder.report;
                let first = report.place(first);
                report.error_hint(span, format!("`{key}` is set in two files"), format!("first at {first}"));
            }
        }
    }

    /// Puts an address in the place of those of the listener `http`. Returns whether there is one.
    pub(crate) fn bind_http(&mut self, value: Bind) -> bool {
        let is_it = |one: &&mut ListenerSource| one.name.as_ref().is_some_and(|name| &*name.value == "http");
        let Some(http) = self.listeners.iter_mut().find(is_it) else { return false };
        http.binds = vec![Spanned { value, span: http.span }];
        true
    }

    fn read_listeners(&mut self, fields: &mut MappingReader<'_, '_>) {
        self.http_config = self.http_config.take().or(fields.field("http_config", listener::http_config));
        let key = fields.at("http_routes");
        let rules = fields.field("http_routes", rule::rules);
        match (key, rules, &mut self.http_routes) {
            (_, Some(rules), Some(before)) => before.value.extend(rules),
            (Some(span), Some(value), before) => *before = Some(Spanned { value, span }),
            _ => {}
        }
        self.tcp = self.tcp.take().or(fields.field("tcp", listener::tcp));
        self.listeners.extend(fields.field("listeners", listener::listeners).unwrap_or_default());
    }

    /// Called after the last file: the short forms become listeners like the others, in front of them.
    pub(crate) fn join_short_forms(&mut self, report: &mut Report) {
        let mut http = self.http_config.take();
        match (&mut http, self.http_routes.take()) {
            (Some(ListenerSource { protocol: ProtocolSource::Http(http), .. }), Some(routes)) => {
                http.rules = routes.value;
            }
            (None, Some(routes)) if !self.set.contains_key("http_config") => {
                let hint = "add for example `http_config: { port: \":8021\" }`";
                report.error_hint(routes.span, "`http_routes` stands without `http_config`", hint);
            }
            _ => {}
        }
        let long = std::mem::take(&mut self.listeners);
        self.listeners = http.into_iter().chain(self.tcp.take()).chain(long).collect();
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
    match access_log::word(&text.text) {
        Ok(Some(to)) => Some(to),
        Ok(None) => decoder.path(node).map(|path| Some(AccessLogTo::File(path.value))),
        Err(error) => {
            decoder.value_error(&text, error);
            None
        }
    }
}

fn internal_api(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<InternalSource>> {
    let span = node.span;
    let mut fields = MappingReader::open(decoder, node, "the internal API")?;
    let bind = fields.field("bind", |decoder, node| {
        let text = decoder.text(node)?;
        InternalSource::bind(decoder, &text, &text.text)
    });
    let token = fields.field("token", InternalSource::token);
    let edits = fields.field("edits", InternalSource::edits);
    fields.close();
    Some(Spanned { value: InternalSource { bind, token, edits }, span })
}

/// `unix:/path`, or the value of a listener's `bind`.
pub(crate) fn internal_bind(
    text: &str,
    resolve: impl Fn(&str) -> PathBuf,
) -> Result<InternalBind, ValueError> {
    match text.strip_prefix("unix:") {
        Some("") => Err(ValueError::hint("has no path", "write \"unix:/run/smolgate.sock\"")),
        None if ["off", "false", "no", "none"].contains(&text) => Err(ValueError::hint(
            "is not an address: the internal API is always on",
            "leave it out for this machine alone, or write \"unix:/run/smolgate.sock\"",
        )),
        Some(path) => Ok(InternalBind::Unix(resolve(path))),
        None => target::bind(text).map(InternalBind::Tcp),
    }
}
