//! A JSON Schema of the files.

use serde_json::Value;

use crate::config::keys::Form::{self, Flag, List, Mapping as Map, Names, Number, OneOrMany, Text, Words};
use crate::config::schema;
use crate::config::schema::by_hand::{ByHand, REQUIRED};
use crate::config::schema::mappings::Mapping;

const SECONDS: Form = Number(1, 31_536_000);
const REQUESTS: Form = Number(1, 1_000_000);
const TEXTS: Form = OneOrMany(&Text);

const FILE: &[ByHand] = &[
    (
        "mode",
        Words(&["load_balancer", "api_gateway", "lb", "gateway"]),
        REQUIRED,
        "Which of the two sections counts.",
    ),
    ("server", Map("`server`"), REQUIRED, "The address, and times."),
    ("logging", Map("`logging`"), "", "The log."),
    ("upstreams", Names(&Map("an upstream of locci-proxy")), REQUIRED, "Groups of servers by name."),
    ("load_balancer", Map("`load_balancer`"), "", "The upstream of all requests."),
    ("api_gateway", Map("`api_gateway`"), "", "Routes by expressions."),
    ("control_api", Map("`control_api`"), "", "The API for operators."),
];

const SERVER: &[ByHand] = &[
    ("bind_address", Text, REQUIRED, "Address and port."),
    ("workers", Number(1, 1_024), "", "Threads. One per core without it."),
    ("tls", Map("`tls` of `server`"), "", "A certificate, for HTTPS."),
    ("upstream_connect_timeout_secs", SECONDS, "", "Seconds for a connection to a server."),
    ("upstream_read_timeout_secs", SECONDS, "", "Seconds that a server may be silent."),
    ("trusted_proxies", TEXTS, "", "Peers whose X-Forwarded-* fields are trusted. Not of locci-proxy."),
];

const TLS: &[ByHand] = &[
    ("cert_path", Text, REQUIRED, "The file of the certificate."),
    ("key_path", Text, REQUIRED, "The file of its key."),
];

const LOGGING: &[ByHand] = &[("level", Text, "info", "trace, debug, info, warn or error, in any case.")];

const UPSTREAM: &[ByHand] = &[
    ("servers", TEXTS, REQUIRED, "host:port of each."),
    (
        "strategy",
        Words(&["round_robin", "weighted", "consistent"]),
        "round_robin",
        "Servers get requests in turn.",
    ),
    ("tls", Flag, "false", "Whether the servers speak TLS."),
    ("sni", Text, "", "The name that is asked for in TLS."),
    ("health_check", Map("`health_check`"), "", "Checks each server."),
];

const HEALTH_CHECK: &[ByHand] = &[
    ("interval_secs", SECONDS, REQUIRED, "Seconds from one check to the next."),
    ("timeout_secs", SECONDS, "2", "Seconds that a check may take."),
    (
        "path",
        Text,
        "",
        "The path of a GET, which must get a status of the class 2xx. A connection without it.",
    ),
];

const LOAD_BALANCER: &[ByHand] = &[("upstream", Text, REQUIRED, "The name of an upstream.")];

const GATEWAY: &[ByHand] = &[
    (
        "routes",
        Names(&Map("a route of locci-proxy")),
        REQUIRED,
        "Routes by name. The longest expression comes first.",
    ),
    ("middlewares", Map("`middlewares`"), "", "What routes may name."),
];

const ROUTE: &[ByHand] = &[
    ("path_pattern", Text, REQUIRED, "A regular expression, found anywhere in the path."),
    ("methods", List(&Text), "", "Other methods get 405. Any without it."),
    ("upstream", Text, REQUIRED, "The name of an upstream."),
    ("strip_prefix", Flag, "false", "Whether what the expression matches is taken off."),
    ("timeout_secs", SECONDS, "", "Seconds that the server may be silent."),
    ("middlewares", List(&Text), "", "rate_limiting, authentication, cors."),
];

const MIDDLEWARES: &[ByHand] = &[
    ("rate_limiting", Map("`rate_limiting`"), "", "Requests of a client."),
    ("authentication", Map("`authentication`"), "", "Tokens."),
    ("cors", Map("`cors`"), "", "Pages of other origins that may read responses."),
];

const RATE_LIMITING: &[ByHand] = &[
    ("requests_per_minute", REQUESTS, REQUIRED, "Requests in a minute."),
    ("burst_size", REQUESTS, "", "Requests that may come at once."),
    (
        "key_header",
        Text,
        "",
        "The field by which requests are counted, and not by the address of the client.",
    ),
];

const AUTHENTICATION: &[ByHand] = &[
    ("jwt_secret", Text, "", "The secret of the tokens."),
    ("excluded_paths", List(&Text), "", "Paths that need no token."),
];

const CORS: &[ByHand] = &[
    ("allowed_origins", TEXTS, REQUIRED, "Origins, or \"*\" for all."),
    ("allowed_methods", TEXTS, "", "Methods, or \"*\"."),
    ("allowed_headers", TEXTS, "", "Header fields, or \"*\"."),
];

const CONTROL: &[ByHand] = &[
    ("enabled", Flag, "false", "Whether it listens at this address."),
    ("bind_address", Text, "", "Address and port."),
    ("api_key", Text, "", "The token that each request needs."),
    ("edits", Text, "memory", "The file that keeps changes of the API. Not of locci-proxy."),
];

const fn mapping(what: &'static str, by_hand: &'static [&'static [ByHand]]) -> Mapping {
    Mapping { what, by_hand, settings: &[] }
}

const MAPPINGS: &[Mapping] = &[
    mapping("a locci file", &[FILE]),
    mapping("`server`", &[SERVER]),
    mapping("`tls` of `server`", &[TLS]),
    mapping("`logging`", &[LOGGING]),
    mapping("an upstream of locci-proxy", &[UPSTREAM]),
    mapping("`health_check`", &[HEALTH_CHECK]),
    mapping("`load_balancer`", &[LOAD_BALANCER]),
    mapping("`api_gateway`", &[GATEWAY]),
    mapping("a route of locci-proxy", &[ROUTE]),
    mapping("`middlewares`", &[MIDDLEWARES]),
    mapping("`rate_limiting`", &[RATE_LIMITING]),
    mapping("`authentication`", &[AUTHENTICATION]),
    mapping("`cors`", &[CORS]),
    mapping("`control_api`", &[CONTROL]),
];

pub(super) fn schema() -> Value {
    schema::file((MAPPINGS[0].what, MAPPINGS))
}
