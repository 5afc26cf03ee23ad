//! Rules as written.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::conditions::{OF_REQUESTS, conditions};
use super::files::{FilesSource, files};
use super::messages::{headers, redirect, respond, rewrite};
use super::policies;
use super::upstream::{Inline, UpstreamUse, in_place, name_or_whole, upstream_use};
use super::upstream_policy::UpstreamPolicySource;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{
    Conditions, HeadersWritten, HostPattern, LimitsWritten, Location, PoliciesWritten, ProxyProtocol,
    Redirect, Respond, Rule, UpstreamWritten,
};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, pattern, scalar, target};
use crate::http::CaptureNames;

/// One rule.
#[derive(Clone)]
pub(crate) struct RuleSource {
    pub(crate) span: Span,
    pub(crate) name: Option<Spanned<Arc<str>>>,
    /// Empty for any.
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) path_prefix: Option<Arc<str>>,
    /// Empty for any.
    pub(crate) methods: Vec<Arc<str>>,
    pub(crate) conditions: Option<Arc<Conditions>>,
    /// Whether `redirect_to_https` exempts it.
    pub(crate) in_the_clear: bool,
    /// Whether certificates are ordered for its hosts.
    pub(crate) acme: bool,
    pub(crate) access_log: bool,
    pub(crate) headers: HeadersWritten,
    pub(crate) policies: PoliciesWritten,
    /// Names of sets of policies.
    pub(crate) policy: Vec<Spanned<Arc<str>>>,
    /// `None` if it was wrong, which was reported.
    pub(crate) action: Option<ActionSource>,
    /// Its rank in a dialect that tries rules of a higher rank first.
    #[allow(dead_code, reason = "the overlay alone reads it")]
    pub(crate) rank: Option<usize>,
}

impl RuleSource {
    /// A rule at this place that takes every request and says nothing else.
    pub(crate) fn at(span: Span) -> Self {
        Self {
            span,
            name: None,
            hosts: Vec::new(),
            path_prefix: None,
            methods: Vec::new(),
            conditions: None,
            in_the_clear: false,
            acme: true,
            access_log: true,
            headers: HeadersWritten::default(),
            policies: PoliciesWritten::default(),
            policy: Vec::new(),
            action: None,
            rank: None,
        }
    }
}

/// The action of a rule.
#[derive(Clone)]
pub(crate) enum ActionSource {
    Proxy(Box<ProxySource>),
    Redirect(Redirect),
    Respond(Respond),
    Files(Box<FilesSource>),
    Pass(PassSource),
    Drop,
}

/// Passing connections on unchanged.
#[derive(Clone)]
pub(crate) struct PassSource {
    pub(crate) upstream: UpstreamUse,
    pub(crate) send_proxy_protocol: Option<ProxyProtocol>,
    pub(crate) idle_timeout: Option<Spanned<Duration>>,
}

/// Forwarding to an upstream.
#[derive(Clone)]
pub(crate) struct ProxySource {
    pub(crate) upstream: UpstreamUse,
    pub(crate) pass_host: bool,
    pub(crate) strip_path_prefix: bool,
    pub(crate) rewrite: Option<Location>,
    pub(crate) buffer_request: Option<u64>,
    pub(crate) limits: LimitsWritten,
}

/// `http_routes:` or `rules:`, a list.
pub(super) fn rules(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<RuleSource>> {
    let items = decoder.list(node, "a list of rules");
    Some(items.into_iter().filter_map(|item| rule(decoder, item)).collect())
}

/// One rule, a mapping.
pub(crate) fn rule(decoder: &mut Decoder<'_>, node: Node) -> Option<RuleSource> {
    let mut fields = MappingReader::open(decoder, node, "a rule")?;
    let name = fields.parsed("name", scalar::name);
    if fields.at("pass").is_some() {
        let hint = "it decides before a request is read: by `host`, `from` and `not_from` alone";
        fields.not_here(&["path_prefix", "methods"], "means nothing beside `pass`", hint);
        fields.not_here(&OF_REQUESTS, "means nothing beside `pass`", hint);
    }
    if let Some(own) = ["pass", "drop"].into_iter().find(|own| fields.at(own).is_some()) {
        let why = format!("means nothing beside `{own}`");
        fields.not_here(&["in_the_clear"], &why, "leave it out: what it takes is never redirected");
        fields.not_here(&["acme"], &why, "leave it out: no certificate is ordered for what it takes");
        let but: &[&str] = if own == "pass" { &["speed", "plugins"] } else { &[] };
        policies::not_here(&mut fields, but, &why, "it acts on requests, and none is read");
        fields.not_here(HeadersWritten::KEYS, &why, "leave it out: no message is written");
    }
    let hosts = fields.field("host", |decoder, node| Some(decoder.parsed_many(node, pattern::host)));
    let path = fields.parsed("path_prefix", pattern::path_prefix);
    if let Some(path) = path.as_ref().filter(|path| path.value.contains('*')) {
        let message = "`*` in `path_prefix` stands for itself";
        let hint = "a prefix takes whole segments: `/users` takes `/users/7`; `path` takes a glob for the whole path";
        fields.decoder.report.warning(Some(path.span), message, hint);
    }
    let methods = fields.field("methods", |decoder, node| Some(decoder.parsed_many(node, pattern::method)));
    let conditions = conditions(&mut fields);
    let in_the_clear = fields.flag("in_the_clear");
    let acme = fields.field("acme", Decoder::flag).is_none_or(|flag| flag.value);
    let access_log = fields.field("access_log", Decoder::flag).is_none_or(|flag| flag.value);
    let (policies, policy) = (PoliciesWritten::read(&mut fields), policies::names(&mut fields));
    let whole = fields.at("path_prefix").is_none() || path.as_ref().is_some_and(|path| &*path.value == "/");
    let hosts = values(hosts);
    let captures = Rule::captures(&hosts, conditions.as_deref());
    let headers = headers(&mut fields, &captures);
    let action = action(&mut fields, whole, &captures);
    let span = fields.span;
    fields.close();
    Some(RuleSource {
        name,
        hosts,
        path_prefix: path.map(|path| path.value),
        methods: values(methods),
        conditions,
        in_the_clear,
        acme,
        access_log,
        headers,
        policies,
        policy,
        action,
        ..RuleSource::at(span)
    })
}

/// Every value once, in written order.
fn values<T: Clone + Eq + Hash>(list: Option<Vec<Spanned<T>>>) -> Vec<T> {
    let mut seen = HashSet::new();
    list.into_iter().flatten().map(|at| at.value).filter(|value| seen.insert(value.clone())).collect()
}

const ACTIONS: [&str; 8] = ["target", "targets", "upstream", "redirect", "respond", "files", "pass", "drop"];
const PROXY_ONLY: [&str; 12] = [
    "mirror",
    "intercept",
    "pass_host",
    "rewrite",
    "buffer_request",
    "tls",
    "connect_timeout",
    "balance",
    "sticky",
    "health",
    "hold",
    "starting",
];

/// The one action of a rule. `whole` tells that the rule takes every path, so that there is nothing to strip.
fn action(fields: &mut MappingReader<'_, '_>, whole: bool, captures: &CaptureNames) -> Option<ActionSource> {
    let written: Vec<(&str, Span)> = ACTIONS.iter().filter_map(|key| Some((*key, fields.at(key)?))).collect();
    match written[..] {
        [] => {
            let hint = "it needs one of `target`, `targets`, `upstream`, `redirect`, `respond`, `files`, `pass`, `drop`";
            fields.missing(&ACTIONS, "this rule does nothing".into(), hint);
        }
        [_] => {}
        [(first, _), (second, span), ..] => {
            let message = format!("`{first}` and `{second}` cannot stand in one rule");
            fields.decoder.report.error_hint(span, message, "a rule has one action");
        }
    }
    if let [("pass", _)] = written[..] {
        return pass(fields);
    }
    fields.not_here(&["send_proxy_protocol"], "means nothing without `pass`", "leave it out");
    // `pass` beside another action was reported. It still counts as a known key.
    fields.field("pass", |_, _| Some(()));
    let redirect = fields.field("redirect", |decoder, node| redirect(decoder, node, captures));
    let respond = fields.field("respond", |decoder, node| respond(decoder, node, captures));
    let files = fields.field("files", files);
    let drop = fields.parsed("drop", drop);
    if let [(own @ ("redirect" | "respond" | "files" | "drop"), _)] = written[..] {
        let why = format!("means nothing beside `{own}`");
        fields.not_here(&PROXY_ONLY, &why, "leave it out");
        let of_files: &[&str] = if own == "files" { &["strip_path_prefix", "body_timeout"] } else { &[] };
        let others = ["strip_path_prefix"].iter().chain(LimitsWritten::KEYS).copied();
        let others: Vec<_> = others.filter(|key| !of_files.contains(key)).collect();
        fields.not_here(&others, &why, "leave it out");
    }
    let strip_at = fields.at("strip_path_prefix");
    let pass_host = fields.flag("pass_host");
    let strip = fields.flag("strip_path_prefix");
    if let (true, true, Some(span)) = (strip, whole, strip_at) {
        let message = "`strip_path_prefix` means nothing without a `path_prefix`";
        fields.decoder.report.error_hint(span, message, "add the `path_prefix` to be taken off");
    }
    if let (Some(_), Some(span)) = (strip_at, fields.at("rewrite")) {
        let message = "`rewrite` and `strip_path_prefix` cannot stand in one rule";
        let hint = "`rewrite: \"{rest}\"` takes the `path_prefix` off";
        fields.decoder.report.error_hint(span, message, hint);
    }
    let rewrite = fields.field("rewrite", |decoder, node| rewrite(decoder, node, captures));
    let buffer_request = fields.parsed("buffer_request", scalar::buffer_size).map(|size| size.value);
    let limits = LimitsWritten::read(fields);
    let upstream = upstream_use(fields, true);
    if written.len() != 1 {
        return None;
    }
    let strip_path_prefix = strip;
    if let Some(files) = files {
        return Some(ActionSource::Files(Box::new(FilesSource { strip_path_prefix, limits, ..files })));
    }
    let proxy = |upstream| {
        ActionSource::Proxy(Box::new(ProxySource {
            upstream,
            pass_host,
            strip_path_prefix,
            rewrite,
            buffer_request,
            limits,
        }))
    };
    let answer = redirect.map(ActionSource::Redirect).or(respond.map(ActionSource::Respond));
    answer.or(drop.map(|_| ActionSource::Drop)).or(upstream.map(proxy))
}

/// `drop: true`.
fn drop(text: &str) -> Result<(), ValueError> {
    match scalar::flag(text)? {
        true => Ok(()),
        false => Err(ValueError::hint("drops nothing", "write `drop: true`, or leave the rule out")),
    }
}

/// `pass: "mail:443"`, or a list of targets, or `{upstream: ...}`, and the keys that go with it.
fn pass(fields: &mut MappingReader<'_, '_>) -> Option<ActionSource> {
    let unseen = "means nothing beside `pass`";
    fields.not_here(
        &["pass_host", "strip_path_prefix", "rewrite", "buffer_request", "tls", "sticky", "starting"],
        unseen,
        "nothing is changed on the way",
    );
    let limits: Vec<_> = LimitsWritten::KEYS.iter().copied().filter(|key| *key != "tunnel_timeout").collect();
    fields.not_here(&limits, unseen, "write `tunnel_timeout`");
    let span = fields.at("pass")?;
    let mut is_upstream = false;
    let one = fields.field("pass", |decoder, node| {
        if let Value::Map(_) = node.value {
            is_upstream = true;
            let mut fields = MappingReader::open(decoder, node, "`pass`")?;
            fields.require(&["upstream"]);
            let upstream = fields.field("upstream", name_or_whole);
            fields.close();
            return upstream;
        }
        let targets = decoder.parsed_many(node, target::target);
        let (settings, policy) = (UpstreamWritten::default(), UpstreamPolicySource::default());
        Some(UpstreamUse::Inline(Inline { span, targets, tls: None, settings, policy }.into()))
    });
    if is_upstream {
        fields.not_here(
            &["connect_timeout", "balance", "sticky", "health", "hold"],
            "means nothing beside `upstream`",
            "write it at the upstream itself",
        );
    }
    let settings = in_place(fields);
    let policy = UpstreamPolicySource::read_in_place(fields, false);
    let send_proxy_protocol = send_proxy_protocol(fields);
    let idle_timeout = fields.parsed("tunnel_timeout", scalar::timeout);
    let upstream = match one? {
        UpstreamUse::Inline(inline) if !is_upstream => {
            UpstreamUse::Inline(Inline { settings, policy, ..*inline }.into())
        }
        whole => whole,
    };
    Some(ActionSource::Pass(PassSource { upstream, send_proxy_protocol, idle_timeout }))
}

/// `send_proxy_protocol: v1` or `v2`.
pub(super) fn send_proxy_protocol(fields: &mut MappingReader<'_, '_>) -> Option<ProxyProtocol> {
    let version = fields.parsed("send_proxy_protocol", |text| match text {
        "v1" => Ok(ProxyProtocol::V1),
        "v2" => Ok(ProxyProtocol::V2),
        _ => Err(ValueError::hint("is not a version of the PROXY protocol", "write v1 or v2")),
    });
    version.map(|version| version.value)
}
