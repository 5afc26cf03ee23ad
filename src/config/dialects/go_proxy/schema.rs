//! A JSON Schema of the files.

use serde_json::Value;

use crate::config::keys::Form::{self, List, Mapping as Map, Number, Text};
use crate::config::schema;
use crate::config::schema::by_hand::{ByHand, REQUIRED};
use crate::config::schema::mappings::Mapping;

const COUNT: Form = Number(0, 1_000_000);
const SECONDS: Form = Number(0, 31_536_000);

const FILE: &[ByHand] = &[
    ("version", Text, "1.0.0", "Shown by /health."),
    ("listen", Text, ":80", "The address: \":80\", \"127.0.0.1:8080\"."),
    ("routes", List(&Map("a route")), REQUIRED, "Paths and their targets. The longest path wins."),
    ("cors", Map("`cors`"), "", "Pages of other origins that may read responses."),
    ("transport", Map("`transport`"), "", "Connections to targets."),
    ("proxy", Map("`proxy`"), "", "Limits."),
    (
        "trusted_proxies",
        Form::OneOrMany(&Text),
        "",
        "Peers whose X-Forwarded-* fields are trusted. Not of go-proxy.",
    ),
];

const ROUTE: &[ByHand] = &[
    ("path", Text, REQUIRED, "A path; with a slash at its end, everything below it."),
    (
        "target",
        Text,
        REQUIRED,
        "http://host:port or https://host:port, with a path before that of the request.",
    ),
];

const CORS: &[ByHand] = &[("allowed_origins", List(&Text), "", "Origins, or \"*\" for all.")];

const TRANSPORT: &[ByHand] = &[
    ("dial_timeout", SECONDS, "10", "Seconds for a connection to open."),
    ("dial_keep_alive", Form::Text, "30", "Seconds between probes of a silent connection."),
    ("max_idle_conns", COUNT, "10", "Idle connections to all targets. 0: no limit."),
    ("max_idle_conns_per_host", COUNT, "2", "Idle connections to one target."),
    ("max_conns_per_host", COUNT, "20", "Connections to one target. 0: no limit."),
    ("idle_conn_timeout", SECONDS, "30", "Seconds that an idle connection is kept."),
    ("response_header_timeout", SECONDS, "30", "Seconds until the head of a response."),
    ("read_buffer_size", COUNT, "4096", "Without effect here."),
    ("write_buffer_size", COUNT, "4096", "Without effect here."),
];

const PROXY: &[ByHand] = &[(
    "max_concurrent_requests",
    Number(1, 1_000_000),
    "100",
    "Requests that are forwarded at the same time.",
)];

const MAPPINGS: &[Mapping] = &[
    Mapping { what: "a go-proxy file", by_hand: &[FILE], settings: &[] },
    Mapping { what: "a route", by_hand: &[ROUTE], settings: &[] },
    Mapping { what: "`cors`", by_hand: &[CORS], settings: &[] },
    Mapping { what: "`transport`", by_hand: &[TRANSPORT], settings: &[] },
    Mapping { what: "`proxy`", by_hand: &[PROXY], settings: &[] },
];

pub(super) fn schema() -> Value {
    schema::file((MAPPINGS[0].what, MAPPINGS))
}
