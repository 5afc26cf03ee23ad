//! The mappings of the native format, and the keys that are read by hand.

use super::acme::{ACME, ACME_CA, ACME_DNS, EAB, ON_EVENT, SELF_CHECK, STORE, STORE_S3};
use super::by_hand::{ByHand, PATH, REQUIRED};
use super::files::FILES;
use super::headers::{BOTH_MESSAGES, CHANGES, HEADERS, HSTS};
use super::operation::{ACCESS_LOG, INTERNAL_API};
use super::policies::{
    AUTH, BASIC, CHAIN, COMPRESS, CORS, FORWARD, JWT, JWT_KEYS, MAX_REQUESTS, MIRROR, PAGES, PLUGIN,
    POLICIES, POLICY, RATE_LIMIT, SPEED, SPEED_KEYS,
};
use super::tls::{CERTIFICATES, CLIENT_AUTH, LISTENER_TLS};
use super::upstreams::{
    BALANCE, EJECT, HASH, HEALTH, HEALTH_CHECK, QUEUE, STARTING, STICKY, TARGET, TARGETS, UPSTREAM,
    UPSTREAM_TLS,
};
use crate::config::keys::{Form, Row};
use crate::config::plan::{
    GlobalWritten, HttpWritten, LimitsWritten, PluginWritten, TlsWritten, UpstreamWritten,
};
use Form::{
    Duration, Either, Flag, List, Mapping as Map, Names, Number, OneOrMany, Size, Text, Timeout, Words,
};

/// A mapping of the configuration.
pub(crate) struct Mapping {
    /// The mapping, as messages name it.
    pub(crate) what: &'static str,
    /// Keys that are read by hand.
    pub(crate) by_hand: &'static [&'static [ByHand]],
    /// Keys that a table of settings has.
    pub(crate) settings: &'static [fn() -> Vec<Row>],
}

impl Mapping {
    /// All of its keys.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let by_hand = self.by_hand.iter().copied().flatten().map(row);
        by_hand.chain(self.settings.iter().flat_map(|rows| rows())).collect()
    }
}

fn row(&(name, form, default, about): &ByHand) -> Row {
    Row { name, form, default: default.into(), about }
}

/// The mapping of a whole file, and every mapping.
pub(crate) fn native() -> (&'static str, &'static [Mapping]) {
    (MAPPINGS[0].what, MAPPINGS)
}

/// The keys at the top of a file.
pub(crate) fn top_keys() -> impl Iterator<Item = &'static str> {
    MAPPINGS[0].rows().into_iter().map(|row| row.name)
}

const TEXTS: Form = OneOrMany(&Text);
const CONDITIONS: Form = Names(&TEXTS);
const RULES: Form = List(&Map("a rule"));
const PROXY_VERSION: Form = Words(&["v1", "v2"]);
/// A port is a number of an address too.
const ADDRESSES: Form = TEXTS;

const TOP: &[ByHand] = &[
    (
        "access_log",
        Either(&[PATH, Map("an access log")]),
        "off",
        "One line per exchange or connection: stdout, a path, off, or { to, format }.",
    ),
    (
        "internal_api",
        Map("the internal API"),
        "",
        "The HTTP API for operators: reload, metrics, health, views.",
    ),
    (
        "acme",
        Either(&[Text, Map("`acme`")]),
        "",
        "How certificates are ordered from a certificate authority: an address of mail, or a mapping.",
    ),
    (
        "store",
        Either(&[PATH, Map("`store`")]),
        "/var/lib/smolgate",
        "The place in which ordered certificates are kept: a folder, or a bucket that several gates share.",
    ),
    PAGES,
    ("http_config", Map("`http_config`"), "", "The short form of an HTTP listener, which is named http."),
    ("http_routes", RULES, "", "The rules of http_config. The first match wins."),
    ("tcp", Map("`tcp`"), "", "The short form of a TCP listener, which is named tcp."),
    (
        "listeners",
        List(&Either(&[Map("an HTTP listener"), Map("a TCP listener")])),
        "",
        "Listeners, with rules or with a target.",
    ),
    ("upstreams", Names(&Map("an upstream")), "", "Upstreams by name. Rules and TCP listeners use them."),
    ("plugins", Names(&Map("a plugin")), "", "Processes that are asked about requests, by name."),
    (
        "policies",
        Names(&Map("a set of policies")),
        "",
        "Sets of policies by name. Rules and listeners use them.",
    ),
];

const LONG: &[ByHand] = &[
    ("name", Text, REQUIRED, "A unique name, for logs and metrics."),
    ("bind", ADDRESSES, REQUIRED, "One or many addresses: \":8021\", \"127.0.0.1:8021\", a port."),
];

const HTTP_PROTOCOL: &[ByHand] =
    &[("protocol", Words(&["http"]), "http", "http, with rules, or tcp, with a target.")];

const TCP_PROTOCOL: &[ByHand] =
    &[("protocol", Words(&["tcp"]), REQUIRED, "http, with rules, or tcp, with a target.")];

const SHORT: &[ByHand] =
    &[("port", ADDRESSES, REQUIRED, "One or many addresses: \":8021\", \"127.0.0.1:8021\", a port.")];

const LISTENER: &[ByHand] = &[
    ("shutdown_timeout", Duration, "", "As at the top, for this listener alone."),
    ("tls", Map("`tls` of a listener"), "", "Terminates TLS on this listener."),
    (
        "accept_proxy_protocol",
        TEXTS,
        "",
        "Addresses or networks of peers that must announce their client with a PROXY header.",
    ),
];

const LONG_HTTP: &[ByHand] = &[("rules", RULES, "", "The rules of the listener. The first match wins.")];

const HTTP: &[ByHand] = &[
    (
        "trusted_proxies",
        TEXTS,
        "",
        "Addresses or networks of peers whose X-Forwarded-* and Forwarded fields are trusted; cloudflare, private.",
    ),
    (
        "client_gone",
        Words(&["reset", "fin"]),
        "reset",
        "How a client tells that it is gone before its response has ended.",
    ),
    (
        "redirect_to_https",
        Either(&[Flag, Map("`redirect_to_https`")]),
        "false",
        "Redirects every request to its URL under https: true, or { status, port }.",
    ),
];

const TCP: &[ByHand] = &[
    ("idle_timeout", Timeout, "1h", "How long a connection may be silent in both directions."),
    SEND_PROXY_PROTOCOL,
    SPEED,
];

const SEND_PROXY_PROTOCOL: ByHand = (
    "send_proxy_protocol",
    PROXY_VERSION,
    "",
    "Tells the target of a connection that is passed on the address of the client, in a PROXY header.",
);

const UPSTREAM_USE: Form = Either(&[Text, Map("an upstream")]);

/// The upstream of a rule or of a TCP listener.
const DESTINATION: &[ByHand] = &[
    ("target", Text, "", "One target: http://host:port, https://host, host:port."),
    ("targets", TARGETS, "", "Several targets, which are balanced."),
    ("upstream", UPSTREAM_USE, "", "The name of an upstream under upstreams, or an upstream in place."),
    ("connect_timeout", Timeout, "3s", "How long a connection to one target may take to open."),
    ("hold", Duration, "0s", "How long a request waits for an endpoint that works."),
    ("balance", BALANCE, "round_robin", "Which endpoint gets a request."),
    ("health", HEALTH, "", "Checks each endpoint: a path, tcp, or a mapping."),
];

const REDIRECT_TO_HTTPS: &[ByHand] = &[
    ("status", Words(&["301", "308"]), "308", "The status of the redirect."),
    ("port", Number(1, 65_535), "443", "The port of the TLS listener, as clients reach it."),
];

const RULE: &[ByHand] = &[
    (
        "name",
        Text,
        "",
        "The name in logs and metrics, unique in its listener. By default, the match in short.",
    ),
    (
        "host",
        TEXTS,
        "",
        "One or many hosts. * takes one label or a part of one, ** one or more at the start or the end: *.NAME, \
         a*.NAME, **.NAME, a*.**. Default: any.",
    ),
    (
        "path_prefix",
        Text,
        "",
        "Whole segments of the path: /users takes /users and /users/7. Default: any path.",
    ),
    ("methods", TEXTS, "", "One or many methods. Default: any."),
    (
        "path",
        TEXTS,
        "",
        "One or many globs for the whole path: * or {name} takes one segment or a part of it, ** the rest.",
    ),
    (
        "path_regex",
        TEXTS,
        "",
        "One or many regular expressions, one of which matches in the path. Time is linear in the path's length.",
    ),
    ("share", Text, "", "A stable part of all clients, such as 5%."),
    ("by", Text, "client", "What tells the clients of share apart: client, cookie.NAME or header.NAME."),
    ("from", TEXTS, "", "Addresses or networks of clients. Default: any."),
    ("not_from", TEXTS, "", "Addresses or networks of clients whose requests the rule does not take."),
    ("header", CONDITIONS, "", "Header fields and their values. * at the end of a value takes every end."),
    ("cookie", CONDITIONS, "", "Cookies and their values, as with header."),
    ("query", CONDITIONS, "", "Parameters of the query and their values, as with header."),
    ("sticky", Map("`sticky`"), "", "A cookie that keeps each client at its endpoint."),
    STARTING,
    ("in_the_clear", Flag, "false", "Whether redirect_to_https leaves requests of this rule alone."),
    ("acme", Flag, "true", "Whether certificates are ordered for the hosts of this rule."),
    (
        "access_log",
        Flag,
        "true",
        "Whether requests and connections of this rule have lines in the access log.",
    ),
    (
        "redirect",
        Either(&[Text, Map("a redirect")]),
        "",
        "Responds with a Location: a URL, a path, or { to, status }.",
    ),
    ("respond", Map("a response"), "", "Responds by itself."),
    (
        "pass",
        Either(&[TEXTS, Map("`pass`")]),
        "",
        "Passes the whole connection on, byte for byte: host:port, several, or { upstream }.",
    ),
    ("files", Either(&[PATH, Map("`files`")]), "", "Serves the files below a folder."),
    ("drop", Words(&["true"]), "", "Closes the connection without a response."),
    ("pass_host", Flag, "false", "Whether the target gets the client's Host instead of its own name."),
    (
        "strip_path_prefix",
        Flag,
        "false",
        "Whether path_prefix is removed before forwarding, or before the file is looked up.",
    ),
    ("rewrite", Text, "", "The path that the target gets, with placeholders. The query is kept."),
    (
        "buffer_request",
        Size,
        "",
        "Bytes of a chunked body that is collected and sent with its length; a longer one gets 413.",
    ),
    ("tls", Map("`tls`"), "", "TLS to https:// targets."),
    SEND_PROXY_PROTOCOL,
];

const REDIRECT: &[ByHand] = &[
    (
        "to",
        Text,
        REQUIRED,
        "A URL or a path, with placeholders. Behind a scheme and a host alone, path and query are kept.",
    ),
    ("status", Words(&["301", "302", "303", "307", "308"]), "308", "The status of the redirect."),
];

const RESPONSE: &[ByHand] = &[
    ("status", Number(200, 599), "200", "The status of the response."),
    ("headers", Names(&TEXTS), "", "Names of fields and their values."),
    ("body", Text, "", "The body, with placeholders, at most 1MiB."),
    ("page", PATH, "", "A file with an HTML page of at most 64KiB, in the place of a body."),
];

const PASS: &[ByHand] = &[(
    "upstream",
    UPSTREAM_USE,
    REQUIRED,
    "The name of an upstream under upstreams, or an upstream in place.",
)];

const HTTP_SETTINGS: &[fn() -> Vec<Row>] = &[HttpWritten::rows, LimitsWritten::rows];

/// Every mapping. The first is a whole file.
const MAPPINGS: &[Mapping] = &[
    Mapping { what: "a configuration", by_hand: &[TOP], settings: &[GlobalWritten::rows] },
    Mapping { what: "an access log", by_hand: &[ACCESS_LOG], settings: &[] },
    Mapping { what: "the internal API", by_hand: &[INTERNAL_API], settings: &[] },
    Mapping { what: "`acme`", by_hand: &[ACME], settings: &[] },
    Mapping { what: "`ca` of `acme`", by_hand: &[ACME_CA], settings: &[] },
    Mapping { what: "`on_event` of `acme`", by_hand: &[ON_EVENT], settings: &[] },
    Mapping { what: "`self_check` of `acme`", by_hand: &[SELF_CHECK], settings: &[] },
    Mapping { what: "`eab`", by_hand: &[EAB], settings: &[] },
    Mapping { what: "`dns` of `acme`", by_hand: &[ACME_DNS], settings: &[] },
    Mapping { what: "`store`", by_hand: &[STORE], settings: &[] },
    Mapping { what: "`s3` of `store`", by_hand: &[STORE_S3], settings: &[] },
    Mapping {
        what: "an HTTP listener",
        by_hand: &[LONG, HTTP_PROTOCOL, LISTENER, LONG_HTTP, HTTP, POLICIES, POLICY, HEADERS],
        settings: HTTP_SETTINGS,
    },
    Mapping {
        what: "`http_config`",
        by_hand: &[SHORT, LISTENER, HTTP, POLICIES, POLICY, HEADERS],
        settings: HTTP_SETTINGS,
    },
    Mapping {
        what: "a TCP listener",
        by_hand: &[LONG, TCP_PROTOCOL, LISTENER, TCP, DESTINATION],
        settings: &[],
    },
    Mapping { what: "`tcp`", by_hand: &[SHORT, LISTENER, TCP, DESTINATION], settings: &[] },
    Mapping { what: "`tls` of a listener", by_hand: &[LISTENER_TLS], settings: &[TlsWritten::rows] },
    Mapping { what: "a certificate", by_hand: &[CERTIFICATES], settings: &[] },
    Mapping { what: "`client_auth`", by_hand: &[CLIENT_AUTH], settings: &[] },
    Mapping { what: "`redirect_to_https`", by_hand: &[REDIRECT_TO_HTTPS], settings: &[] },
    Mapping {
        what: "a rule",
        by_hand: &[RULE, DESTINATION, POLICIES, POLICY, HEADERS],
        settings: &[LimitsWritten::rows],
    },
    Mapping { what: "a set of policies", by_hand: &[POLICIES, HEADERS], settings: &[LimitsWritten::rows] },
    Mapping { what: "`cors`", by_hand: &[CORS], settings: &[] },
    Mapping { what: "a rate limit", by_hand: &[RATE_LIMIT], settings: &[] },
    Mapping { what: "`auth`", by_hand: &[AUTH], settings: &[] },
    Mapping { what: "`basic`", by_hand: &[BASIC], settings: &[] },
    Mapping { what: "`jwt`", by_hand: &[JWT], settings: &[] },
    Mapping { what: "`keys`", by_hand: &[JWT_KEYS], settings: &[] },
    Mapping { what: "`forward`", by_hand: &[FORWARD], settings: &[] },
    Mapping { what: "`compress`", by_hand: &[COMPRESS], settings: &[] },
    Mapping { what: "`max_requests`", by_hand: &[MAX_REQUESTS], settings: &[] },
    Mapping { what: "`plugins` of a rule", by_hand: &[CHAIN], settings: &[] },
    Mapping { what: "a plugin", by_hand: &[PLUGIN], settings: &[PluginWritten::rows] },
    Mapping { what: "`mirror`", by_hand: &[MIRROR], settings: &[] },
    Mapping { what: "`speed`", by_hand: &[SPEED_KEYS], settings: &[] },
    Mapping { what: "`headers`", by_hand: &[BOTH_MESSAGES], settings: &[] },
    Mapping { what: "a change of fields", by_hand: &[CHANGES], settings: &[] },
    Mapping { what: "`hsts`", by_hand: &[HSTS], settings: &[] },
    Mapping { what: "a redirect", by_hand: &[REDIRECT], settings: &[] },
    Mapping { what: "a response", by_hand: &[RESPONSE], settings: &[] },
    Mapping { what: "`files`", by_hand: &[FILES], settings: &[] },
    Mapping { what: "`pass`", by_hand: &[PASS], settings: &[] },
    Mapping { what: "an upstream", by_hand: &[UPSTREAM], settings: &[UpstreamWritten::rows] },
    Mapping { what: "`tls`", by_hand: &[UPSTREAM_TLS], settings: &[] },
    Mapping { what: "a target", by_hand: &[TARGET], settings: &[] },
    Mapping { what: "`balance`", by_hand: &[HASH], settings: &[] },
    Mapping { what: "`sticky`", by_hand: &[STICKY], settings: &[] },
    Mapping { what: "`queue`", by_hand: &[QUEUE], settings: &[] },
    Mapping { what: "`eject`", by_hand: &[EJECT], settings: &[] },
    Mapping { what: "`health`", by_hand: &[HEALTH_CHECK], settings: &[] },
];
