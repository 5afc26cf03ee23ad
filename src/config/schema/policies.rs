//! The keys of policies.

use Form::{Duration, Either, Flag, Mapping as Map, Names, Number, OneOrMany, Size, Text, Timeout, Words};

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;

const TEXTS: Form = OneOrMany(&Text);

/// The names of sets, on rules and listeners.
pub(super) const POLICY: &[ByHand] = &[(
    "policy",
    TEXTS,
    "",
    "The names of sets under policies. Of several, the first that has a key counts.",
)];

/// A policy of rules, and a key of TCP listeners.
pub(super) const SPEED: ByHand = (
    "speed",
    Either(&[Words(&["false"]), Map("`speed`")]),
    "",
    "How fast bodies and tunnels move: { download, upload, shared }.",
);

/// At the top too.
pub(super) const PAGES: ByHand = (
    "pages",
    Either(&[Words(&["false"]), Names(&PATH)]),
    "",
    "Files with HTML pages for answers of the gate to browsers, by status, class or reason.",
);

/// Policies of rules, and of listeners and sets for their rules.
pub(super) const POLICIES: &[ByHand] = &[
    (
        "cors",
        Either(&[Words(&["false"]), TEXTS, Map("`cors`")]),
        "",
        "Which pages of other origins may read responses: origins, or a mapping.",
    ),
    (
        "rate_limit",
        OneOrMany(&Either(&[Text, Map("a rate limit")])),
        "",
        "How many requests a client may send in a time: 100/1m, a mapping, or several.",
    ),
    (
        "auth",
        Either(&[Words(&["false"]), Map("`auth`")]),
        "",
        "Which users may send requests: { basic }, { jwt } or { forward }.",
    ),
    (
        "plugins",
        Either(&[Words(&["false"]), TEXTS, Map("`plugins` of a rule")]),
        "",
        "The plugins that are asked about requests: names, or { names, timeout }.",
    ),
    (
        "max_requests",
        Either(&[Words(&["false"]), Number(1, 10_000_000), Map("`max_requests`")]),
        "",
        "How many requests are open at once: a number, or { requests, waiting, timeout }.",
    ),
    (
        "mirror",
        Either(&[Words(&["false"]), Map("`mirror`")]),
        "",
        "An upstream that gets copies of requests without a body: { upstream, share }.",
    ),
    SPEED,
    (
        "compress",
        Either(&[Flag, Map("`compress`")]),
        "false",
        "Which responses are compressed: true, or { level, min, types, cookies }.",
    ),
    (
        "intercept",
        Either(&[Words(&["false"]), TEXTS]),
        "",
        "Statuses of targets, such as 502 or 5xx, whose answers a page stands in for.",
    ),
    PAGES,
];

pub(super) const CHAIN: &[ByHand] = &[
    ("names", TEXTS, REQUIRED, "The names of plugins, in the order in which they are asked."),
    ("timeout", Timeout, "5s", "How long all answers together may take."),
];

/// A plugin.
pub(super) const PLUGIN: &[ByHand] = &[
    ("run", TEXTS, REQUIRED, "The program, and its arguments. No shell reads them."),
    (
        "env",
        TEXTS,
        "",
        "Names of variables of the gate that the plugin gets beside PATH, HOME, LANG and TZ, or all.",
    ),
];

pub(super) const CORS: &[ByHand] = &[
    (
        "origins",
        TEXTS,
        REQUIRED,
        "Origins such as https://app.example.com or https://*.example.com, or * for any.",
    ),
    ("methods", TEXTS, "", "Methods that are allowed. By default the one that is asked for."),
    ("headers", TEXTS, "", "Header fields that are allowed. By default those that are asked for."),
    ("expose", TEXTS, "", "Header fields of responses that scripts may read."),
    ("credentials", Flag, "false", "Whether requests with cookies are allowed."),
    ("max_age", Duration, "", "How long a browser keeps the answer to a preflight."),
];

pub(super) const RATE_LIMIT: &[ByHand] = &[
    ("requests", Number(1, 1_000_000), REQUIRED, "Requests in the time."),
    ("per", Timeout, REQUIRED, "The time, at most a day."),
    ("burst", Number(1, 1_000_000), "", "Requests that may come at once. By default as many as requests."),
    (
        "by",
        Text,
        "client",
        "The key that is counted: client, header.NAME, cookie.NAME, user, claim.NAME, host or all.",
    ),
    ("else", Words(&["client", "host", "all"]), "client", "The key for requests without that one."),
    ("keys", Number(64, 16_777_216), "65536", "Keys that are remembered, 16 bytes each."),
    ("ipv6_prefix", Number(1, 128), "64", "Leading bits of an IPv6 address that tell clients apart."),
    ("status", Number(400, 599), "429", "The status of a request that is one too many."),
    ("fields", Flag, "false", "Whether responses have RateLimit and RateLimit-Policy."),
];

pub(super) const AUTH: &[ByHand] = &[
    ("basic", Either(&[TEXTS, Map("`basic`")]), "", "Users with passwords: name:hash, or a mapping."),
    (
        "jwt",
        Either(&[Text, Map("`jwt`")]),
        "",
        "Users with tokens: the URL or the file of the keys, or a mapping.",
    ),
    ("forward", Either(&[Text, Map("`forward`")]), "", "A server that is asked: its URL, or a mapping."),
];

pub(super) const FORWARD: &[ByHand] = &[
    ("url", Text, "", "The URL of the server."),
    ("upstream", Text, "", "In the place of url: the name of an upstream under upstreams."),
    ("path", Text, "/", "The path at that upstream."),
    ("copy", TEXTS, "", "Fields of its answer for the target. * at the end of a name takes every end."),
    ("sign_in", Text, "", "The URL where browsers sign in, with {url} for the one that they asked for."),
    ("timeout", Timeout, "5s", "The time for an answer."),
    ("cache", Duration, "0s", "How long an answer of 2xx holds for further requests that are alike."),
    ("preflights", Flag, "false", "Whether preflights go to the target without a question."),
];

pub(super) const JWT: &[ByHand] = &[
    ("keys", Either(&[Text, Map("`keys`")]), REQUIRED, "The URL or the file of the keys, or { secret }."),
    ("issuer", Text, "", "The issuer, the claim iss."),
    ("audience", TEXTS, "", "The audiences, one of which is in the claim aud."),
    ("claims", Names(&TEXTS), "", "Claims that a token must have, and their values."),
    ("algorithms", TEXTS, "", "Algorithms, such as RS256. By default all of the keys."),
    ("leeway", Duration, "60s", "The most by which two clocks differ."),
    ("from", TEXTS, "bearer", "Where the token is: bearer or cookie.NAME."),
    ("forward", Names(&Text), "", "Fields for the target, and the claims in them."),
];

pub(super) const JWT_KEYS: &[ByHand] =
    &[("secret", Text, REQUIRED, "The secret of HS256, HS384 and HS512: 32 bytes or more.")];

pub(super) const BASIC: &[ByHand] = &[
    ("users", Names(&Text), "", "Names of users, and hashes of their passwords."),
    ("users_file", PATH, "", "A file as htpasswd writes it."),
    ("realm", Text, "restricted", "The name of the protected place, which browsers show."),
    ("forward", Flag, "false", "Whether the target gets the field with the password."),
    ("forward_user", Text, "", "The field with the name of the user for the target."),
];

pub(super) const MIRROR: &[ByHand] = &[
    ("upstream", Text, REQUIRED, "The name of an upstream under upstreams."),
    ("share", Text, "100%", "The share of requests that are copied: 10%."),
];

pub(super) const SPEED_KEYS: &[ByHand] = &[
    ("download", Text, "", "Bits per second from targets to clients: 50Mbit."),
    ("upload", Text, "", "Bits per second from clients to targets."),
    (
        "shared",
        Text,
        "false",
        "Whether all connections to which it applies share it: true, or a name that several places share.",
    ),
];

pub(super) const COMPRESS: &[ByHand] = &[
    ("level", Number(1, 9), "3", "1 is the fastest, 9 makes the shortest bodies."),
    ("min", Size, "1KiB", "The length of the shortest body that is compressed, if it is known."),
    ("types", TEXTS, "", "Media types of bodies: a/b, a/* or */*+c. By default those of text."),
    ("cookies", Flag, "false", "Whether responses that set cookies are compressed too."),
];

pub(super) const MAX_REQUESTS: &[ByHand] = &[
    ("requests", Number(1, 10_000_000), REQUIRED, "Requests that are open at once."),
    ("waiting", Number(0, 100_000), "0", "Further requests that wait."),
    ("timeout", Timeout, "5s", "How long a request waits."),
];
