//! The keys of a file, with their defaults.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::route::{Route, route};
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Report, Spanned};
use crate::config::dialects::plain::{networks, seconds};
use crate::config::plan::{Bind, Cors, OriginPattern};
use crate::config::syntax::Node;
use crate::config::values::{ValueError, policies, target};

/// A file.
pub(super) struct Keys {
    /// Its version, which `/health` shows.
    pub(super) version: String,
    pub(super) listen: Spanned<Bind>,
    pub(super) routes: Vec<Route>,
    pub(super) cors: Option<Cors>,
    pub(super) transport: Transport,
    /// Requests that are forwarded at the same time.
    pub(super) max_requests: usize,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// `transport`.
pub(super) struct Transport {
    pub(super) dial_timeout: Duration,
    /// Zero: none are sent.
    pub(super) dial_keep_alive: Duration,
    /// 0: no limit.
    pub(super) max_idle_conns: usize,
    pub(super) max_idle_conns_per_host: usize,
    /// `None`: no limit.
    pub(super) max_conns_per_host: Option<u32>,
    pub(super) idle_conn_timeout: Duration,
    pub(super) response_header_timeout: Duration,
}

impl Default for Transport {
    fn default() -> Self {
        let thirty = Duration::from_secs(30);
        Self {
            dial_timeout: Duration::from_secs(10),
            dial_keep_alive: thirty,
            max_idle_conns: 10,
            max_idle_conns_per_host: 2,
            max_conns_per_host: Some(20),
            idle_conn_timeout: thirty,
            response_header_timeout: thirty,
        }
    }
}

/// How long go-proxy waits for the head of a request, and here the longest wait for a place.
pub(super) const WAIT: Duration = Duration::from_secs(30);

/// The time that stands for none.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

/// The period of keep-alive probes that Go has for 0.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Requests at the same time, if the file does not say.
const REQUESTS: usize = 100;

/// The methods and the fields that go-proxy allows, and how long browsers may keep that.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
const FIELDS: [&str; 3] = ["Content-Type", "Authorization", "X-Requested-With"];
const PREFLIGHTS_KEPT: Duration = Duration::from_secs(24 * 3_600);

/// Reads a file. `None` if it is no mapping, which was reported.
pub(super) fn keys(decoder: &mut Decoder<'_>, root: Node) -> Option<Keys> {
    let mut fields = MappingReader::open(decoder, root, "a go-proxy file")?;
    let span = fields.span;
    fields.ignore(|key| key.starts_with("x-"));
    fields.require(&["routes"]);
    let version = fields.field("version", Decoder::text).map_or_else(|| "1.0.0".to_owned(), |text| text.text);
    let listen = fields.parsed("listen", |text| target::bind(if text.is_empty() { ":80" } else { text }));
    let keys = Keys {
        version,
        listen: listen.unwrap_or(Spanned { value: Bind::Any(80), span }),
        routes: fields.field("routes", routes).unwrap_or_default(),
        cors: fields.field("cors", cors).flatten(),
        transport: fields.field("transport", transport).unwrap_or_default(),
        max_requests: fields.field("proxy", proxy).unwrap_or(REQUESTS),
        trusted_proxies: networks(&mut fields, "trusted_proxies"),
    };
    fields.close();
    Some(keys)
}

fn routes(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Route>> {
    let span = node.span;
    let items = decoder.list(node, "a list of routes");
    if items.is_empty() && !decoder.report.has_errors() {
        let hint = "write for example `routes: [{ path: /, target: \"http://host:port\" }]`";
        decoder.report.error_hint(span, "`routes` is empty", hint);
    }
    let routes: Vec<Route> = items.into_iter().filter_map(|item| route(decoder, item)).collect();
    refuse_twice(&routes, decoder.report);
    Some(routes)
}

fn refuse_twice(routes: &[Route], report: &mut Report) {
    let mut seen = HashMap::new();
    for route in routes {
        let span = route.written.span;
        if let Some(first) = seen.insert((route.path.clone(), route.is_subtree()), span) {
            let first = report.place(first);
            let message = format!("two routes have the path `{}`", route.written.value);
            report.error_hint(span, message, format!("the first one is at {first}"));
        }
    }
}

/// `allowed_origins`. `*` anywhere stands for every origin.
fn cors(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<Cors>> {
    let mut fields = MappingReader::open(decoder, node, "`cors`")?;
    let origins = fields.field("allowed_origins", |decoder, node| {
        let items = decoder.list(node, "a list of origins");
        Some(items.into_iter().filter_map(|item| decoder.parsed(item, policies::origin)).collect::<Vec<_>>())
    });
    fields.close();
    let mut origins: Vec<_> = origins.into_iter().flatten().map(|origin| origin.value).collect();
    if origins.contains(&OriginPattern::Any) {
        origins = vec![OriginPattern::Any];
    }
    Some((!origins.is_empty()).then(|| Cors {
        origins,
        methods: METHODS.map(Arc::from).into(),
        headers: FIELDS.map(Arc::from).into(),
        max_age: Some(PREFLIGHTS_KEPT),
        ..Cors::default()
    }))
}

fn transport(decoder: &mut Decoder<'_>, node: Node) -> Option<Transport> {
    let usual = Transport::default();
    let mut fields = MappingReader::open(decoder, node, "`transport`")?;
    let mut time = |name, usual| {
        let written = fields.parsed(name, seconds).map_or(usual, |written| written.value);
        if written.is_zero() { NEVER } else { written }
    };
    let dial_timeout = time("dial_timeout", usual.dial_timeout);
    let idle_conn_timeout = time("idle_conn_timeout", usual.idle_conn_timeout);
    let response_header_timeout = time("response_header_timeout", usual.response_header_timeout);
    let dial_keep_alive = fields.parsed("dial_keep_alive", keep_alive);
    let mut count = |name, usual| fields.parsed(name, count).map_or(usual, |written| written.value);
    let transport = Transport {
        dial_timeout,
        idle_conn_timeout,
        response_header_timeout,
        dial_keep_alive: dial_keep_alive.map_or(usual.dial_keep_alive, |written| written.value),
        max_idle_conns: count("max_idle_conns", usual.max_idle_conns),
        max_idle_conns_per_host: match count("max_idle_conns_per_host", usual.max_idle_conns_per_host) {
            0 => usual.max_idle_conns_per_host,
            number => number,
        },
        max_conns_per_host: Some(count("max_conns_per_host", 20) as u32).filter(|most| *most > 0),
    };
    // The size of buffers is nothing that can be chosen here.
    count("read_buffer_size", 0);
    count("write_buffer_size", 0);
    fields.close();
    Some(transport)
}

/// Seconds; Go's own for 0, none below.
fn keep_alive(text: &str) -> Result<Duration, ValueError> {
    match text.strip_prefix('-') {
        Some(number) => seconds(number).map(|_| Duration::ZERO),
        None => seconds(text).map(|period| if period.is_zero() { KEEP_ALIVE } else { period }),
    }
}

fn count(text: &str) -> Result<usize, ValueError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number <= 1_000_000);
    number.ok_or(ValueError::new("is not a number between 0 and 1000000"))
}

/// `max_concurrent_requests`.
fn proxy(decoder: &mut Decoder<'_>, node: Node) -> Option<usize> {
    let mut fields = MappingReader::open(decoder, node, "`proxy`")?;
    let most = fields.parsed("max_concurrent_requests", |text| match count(text) {
        Ok(most @ 1..) => Ok(most),
        _ => {
            let hint = "no request would ever pass; leave it out for 100";
            Err(ValueError::hint("is not a number between 1 and 1000000", hint))
        }
    });
    fields.close();
    Some(most.map_or(REQUESTS, |most| most.value))
}
