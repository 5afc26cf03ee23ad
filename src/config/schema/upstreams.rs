//! The keys of upstreams and of their targets.

use Form::{Duration, Either, Flag, Mapping as Map, Names, Number, OneOrMany, Text, Timeout, Words};

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;

pub(super) const TARGETS: Form = OneOrMany(&Either(&[Text, Map("a target")]));
pub(super) const BALANCE: Form =
    Either(&[Words(&["round_robin", "least_requests", "random", "strict_round_robin"]), Map("`balance`")]);
pub(super) const HEALTH: Form = Either(&[Text, Map("`health`")]);

pub(super) const UPSTREAM: &[ByHand] = &[
    ("targets", TARGETS, REQUIRED, "One or many targets. Each is text or { target, weight, backup }."),
    ("balance", BALANCE, "round_robin", "Which endpoint gets a request."),
    ("sticky", Map("`sticky`"), "", "A cookie that keeps each client at its endpoint."),
    (
        "eject",
        Either(&[Flag, Map("`eject`")]),
        "true",
        "An endpoint that fails gets no requests for a while.",
    ),
    ("health", HEALTH, "", "Checks each endpoint: a path, tcp, or a mapping."),
    ("slow_start", Duration, "0s", "How long the share of an endpoint that came back grows."),
    ("queue", Map("`queue`"), "", "Requests that wait while every endpoint has as many as it may have."),
    STARTING,
    (
        "retry_statuses",
        OneOrMany(&Number(400, 599)),
        "",
        "Statuses after which a request without a body is tried at another endpoint.",
    ),
    ("tls", Map("`tls`"), "", "TLS to https:// targets."),
];

pub(super) const STARTING: ByHand =
    ("starting", Flag, "false", "Whether browsers get a page that reloads itself while no endpoint works.");

pub(super) const TARGET: &[ByHand] = &[
    ("target", Text, REQUIRED, "One target: http://host:port, https://host, host:port."),
    ("weight", Number(1, 256), "1", "The share of each address of the target."),
    ("backup", Flag, "false", "Whether it is used only while no other endpoint is usable."),
];

pub(super) const HASH: &[ByHand] = &[
    ("hash", Text, REQUIRED, "client, header.NAME, cookie.NAME, path, host or sni."),
    ("bound", Number(100, 10_000), "", "The most open requests of an endpoint, in per cent of its share."),
];

pub(super) const STICKY: &[ByHand] = &[
    ("cookie", Text, REQUIRED, "The name of the cookie."),
    ("secret", Text, "", "The key of its values, at least 16 bytes. Never shown."),
    ("max_age", Timeout, "", "How long browsers keep the cookie. By default to the end of the session."),
];

pub(super) const QUEUE: &[ByHand] = &[
    ("max", Number(1, 100_000), REQUIRED, "Requests that wait at the same time."),
    ("timeout", Timeout, "5s", "How long a request waits."),
];

pub(super) const EJECT: &[ByHand] = &[
    ("failures", Number(1, 1_000), "3", "Failures in a row that eject an endpoint."),
    ("for", Timeout, "10s", "The first time for which it is ejected."),
    ("statuses", OneOrMany(&Number(400, 599)), "", "Statuses that count as failures too."),
];

pub(super) const HEALTH_CHECK: &[ByHand] = &[
    ("path", Text, "", "The path to ask for. Without it a connection is enough."),
    ("method", Words(&["GET", "HEAD"]), "GET", "The method of the request."),
    ("host", Text, "", "The value of Host. By default that of the target."),
    ("headers", Names(&OneOrMany(&Text)), "", "Further fields of the request."),
    ("status", OneOrMany(&Number(200, 599)), "", "Statuses that pass. By default any 2xx."),
    ("body", Text, "", "A text that the body must hold."),
    ("port", Number(1, 65_535), "", "Another port than that of the target."),
    ("interval", Timeout, "5s", "The time from one check to the next."),
    ("timeout", Timeout, "2s", "The longest time of a check."),
    ("rise", Number(1, 1_000), "2", "Passed checks in a row after which an endpoint is up."),
    ("fall", Number(1, 1_000), "3", "Failed checks in a row after which it is down."),
];

pub(super) const UPSTREAM_TLS: &[ByHand] = &[
    ("ca", PATH, "", "A PEM file of authorities to trust instead of those of the system."),
    ("insecure_skip_verify", Flag, "false", "Accepts any certificate. Every load warns about it."),
    ("sni", Text, "", "The name to ask for and to verify instead of the target's."),
];
