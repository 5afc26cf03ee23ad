//! The keys of the configuration: those that its readers ask for, each with two values.

use std::collections::{BTreeMap, BTreeSet};

use super::acme_keys::{ACME, ACME_CA, ACME_DNS, EAB, ON_EVENT, SELF_CHECK};
use super::keys_of_headers::{BOTH_MESSAGES, CHANGES, HEADERS, HEADERS_OF_A_SET, HSTS};
use super::policy_keys::{
    self, AUTH, BASIC, CHAIN, COMPRESS, CORS, FORWARD, JWT, JWT_KEYS, MAX_REQUESTS, MIRROR, PLUGIN, POLICIES,
    RATE_LIMIT, SPEED,
};
use super::store_keys::{IN_S3, STORE, STORE_S3};
use smolgate::config::{Diagnostics, Loaded, MemoryInputs, load};

/// A mapping of the configuration.
pub struct Mapping {
    /// The mapping, as messages name it.
    pub what: &'static str,
    /// A configuration with `@` for the inside of the mapping.
    pub around: &'static str,
    /// The rows of its keys. Several mappings of one name have them together.
    pub rows: &'static [&'static [Row]],
}

/// A key, and two insides of the mapping that differ by it. The second has the key.
pub type Row = (&'static str, &'static str, &'static str);

const TOP: &[Row] = &[
    ("log_level", "", "log_level: debug"),
    ("log_format", "", "log_format: json"),
    ("access_log", "", "access_log: stdout"),
    ("workers", "", "workers: 3"),
    ("max_connections", "", "max_connections: 7"),
    ("max_streams", "", "max_streams: 7"),
    (
        "shutdown_timeout",
        "tcp: { port: 1, target: h:1 }",
        "tcp: { port: 1, target: h:1 }, shutdown_timeout: 7s",
    ),
    ("watch", "", "watch: true"),
    ("internal_api", "", "internal_api: { bind: 1 }"),
    ("acme", "tcp: { port: 1, target: h:1 }", "tcp: { port: 1, target: h:1 }, acme: ops@example.com"),
    (
        "store",
        "tcp: { port: 1, target: h:1 }, acme: ops@example.com",
        "tcp: { port: 1, target: h:1 }, acme: ops@example.com, store: /a",
    ),
    ("http_config", "", "http_config: { port: 1 }"),
    ("http_routes", "http_config: { port: 1 }", "http_config: { port: 1 }, http_routes: [{ target: h:1 }]"),
    ("tcp", "", "tcp: { port: 1, target: h:1 }"),
    ("listeners", "", "listeners: [{ name: a, bind: 1 }]"),
    (
        "upstreams",
        "upstreams: { a: { targets: h:1 } }, tcp: { port: 1, upstream: a }",
        "upstreams: { a: { targets: h:2 } }, tcp: { port: 1, upstream: a }",
    ),
    ("plugins", "", "plugins: { a: { run: b } }"),
    ("pages", "http_config: { port: 1 }", "http_config: { port: 1 }, pages: { 404: page }"),
    (
        "policies",
        "policies: { a: { cors: \"*\" } }, http_config: { port: 1 }, http_routes: [{ target: h:1, policy: a }]",
        "policies: { a: { max_body: 7 } }, http_config: { port: 1 }, http_routes: [{ target: h:1, policy: a }]",
    ),
];

const ACCESS_LOG: &[Row] = &[("to", "to: a", "to: b"), ("format", "to: a", "to: a, format: combined")];

const INTERNAL_API: &[Row] =
    &[("bind", "", "bind: 1"), ("token", "", "token: sesame"), ("edits", "", "edits: memory")];

const HTTP_LISTENER: &[Row] = &[
    ("name", "name: a, bind: 1", "name: b, bind: 1"),
    ("bind", "name: a, bind: 1", "name: a, bind: 2"),
    ("protocol", "name: a, bind: 1, protocol: tcp, target: h:1", "name: a, bind: 1, protocol: http"),
];

const TCP_LISTENER: &[Row] = &[
    ("name", "name: a, bind: 1, protocol: tcp, target: h:1", "name: b, bind: 1, protocol: tcp, target: h:1"),
    ("bind", "name: a, bind: 1, protocol: tcp, target: h:1", "name: a, bind: 2, protocol: tcp, target: h:1"),
    ("protocol", "name: a, bind: 1", "name: a, bind: 1, protocol: tcp, target: h:1"),
];

const HTTP_PORT: &[Row] = &[("port", "port: 1", "port: 2")];

const TCP_PORT: &[Row] = &[("port", "port: 1, target: h:1", "port: 2, target: h:1")];

/// Keys of an HTTP listener in both forms. `name` and `bind` are around.
const HTTP: &[Row] = &[
    ("shutdown_timeout", "", "shutdown_timeout: 7s"),
    ("tls", "", "tls: { certificates: a.crt }"),
    ("accept_proxy_protocol", "", "accept_proxy_protocol: 10.0.0.1"),
    ("header_timeout", "", "header_timeout: 7s"),
    ("idle_timeout", "", "idle_timeout: 7s"),
    ("head_bytes_max", "", "head_bytes_max: 16KiB"),
    ("head_fields_max", "", "head_fields_max: 7"),
    ("target_bytes_max", "", "target_bytes_max: 1KiB"),
    ("ambiguous_paths", "", "ambiguous_paths: allow"),
    ("http2", "", "http2: false"),
    ("trusted_proxies", "", "trusted_proxies: 10.0.0.1"),
    ("client_gone", "", "client_gone: fin"),
    ("redirect_to_https", "", "redirect_to_https: true"),
    ("max_requests", "", "max_requests: 7"),
];

/// The rules of an HTTP listener.
const OWN_RULES: &[Row] = &[("rules", "", "rules: [{ target: h:1 }]")];

/// Beside policies and fields. The rules are around.
const SETS: &[Row] = &[("policy", "", "policy: set")];

/// Keys of a TCP listener in both forms. `name` and `bind` are around.
const TCP: &[Row] = &[
    ("shutdown_timeout", "target: h:1", "target: h:1, shutdown_timeout: 7s"),
    ("tls", "target: h:1", "target: h:1, tls: { certificates: a.crt }"),
    ("accept_proxy_protocol", "target: h:1", "target: h:1, accept_proxy_protocol: 10.0.0.1"),
    ("target", "target: h:1", "target: h:2"),
    ("targets", "target: h:1", "targets: [h:1, h:2]"),
    ("upstream", "target: h:1", "upstream: other"),
    ("connect_timeout", "target: h:1", "target: h:1, connect_timeout: 7s"),
    ("balance", "target: h:1", "target: h:1, balance: random"),
    ("health", "target: h:1", "target: h:1, health: tcp"),
    ("hold", "target: h:1", "target: h:1, hold: 7s"),
    ("send_proxy_protocol", "target: h:1", "target: h:1, send_proxy_protocol: v1"),
    ("idle_timeout", "target: h:1", "target: h:1, idle_timeout: 7s"),
    ("speed", "target: h:1", "target: h:1, speed: { upload: 8kbit }"),
];

const LISTENER_TLS: &[Row] = &[
    ("certificates", "certificates: a.crt", "certificates: b.crt"),
    ("default_certificate", "certificates: a.crt", "certificates: a.crt, default_certificate: b.crt"),
    ("min_version", "certificates: a.crt", "certificates: a.crt, min_version: \"1.3\""),
    ("client_auth", "certificates: a.crt", "certificates: a.crt, client_auth: { ca: ca.pem }"),
    ("handshake_timeout", "certificates: a.crt", "certificates: a.crt, handshake_timeout: 7s"),
    ("acme", "certificates: a.crt", "certificates: a.crt, acme: true"),
];

const CERTIFICATE: &[Row] = &[
    ("path", "path: a.crt", "path: b.crt"),
    ("cert", "cert: a.crt, key: a.key", "cert: b.crt, key: a.key"),
    ("key", "cert: a.crt, key: a.key", "cert: a.crt, key: b.key"),
    ("client_auth", "path: a.crt", "path: a.crt, client_auth: { ca: ca.pem }"),
];

const CLIENT_AUTH: &[Row] = &[("ca", "ca: a", "ca: b"), ("mode", "ca: a", "ca: a, mode: optional")];

const REDIRECT_TO_HTTPS: &[Row] =
    &[("status", "port: 1", "port: 1, status: 301"), ("port", "port: 1", "port: 2")];

const PATH_REGEX: &str =
    if cfg!(feature = "regex") { "target: h:1, path_regex: ^/a" } else { "target: h:1, path: /a" };

const RULE: &[Row] = &[
    ("name", "target: h:1", "target: h:1, name: other"),
    ("host", "target: h:1", "target: h:1, host: a.test"),
    ("path_prefix", "target: h:1", "target: h:1, path_prefix: /a"),
    ("methods", "target: h:1", "target: h:1, methods: GET"),
    ("path", "target: h:1", "target: h:1, path: /a/*"),
    // Without its feature the key is an error, and another stands for it.
    ("path_regex", "target: h:1", PATH_REGEX),
    ("share", "target: h:1", "target: h:1, share: 5%"),
    ("by", "target: h:1, share: 5%", "target: h:1, share: 5%, by: cookie.a"),
    ("from", "target: h:1", "target: h:1, from: 10.0.0.0/8"),
    ("not_from", "target: h:1", "target: h:1, not_from: 10.0.0.0/8"),
    ("header", "target: h:1", "target: h:1, header: { A: b }"),
    ("cookie", "target: h:1", "target: h:1, cookie: { a: b }"),
    ("query", "target: h:1", "target: h:1, query: { a: b }"),
    ("in_the_clear", "target: h:1", "target: h:1, in_the_clear: true"),
    ("acme", "target: h:1", "target: h:1, acme: false"),
    ("target", "target: h:1", "target: h:2"),
    ("targets", "target: h:1", "targets: [h:1, h:2]"),
    ("upstream", "target: h:1", "upstream: other"),
    ("redirect", "target: h:1", "redirect: /a"),
    ("respond", "target: h:1", "respond: {}"),
    ("files", "target: h:1", "files: a"),
    ("pass", "target: h:1", "pass: h:1"),
    ("drop", "target: h:1", "drop: true"),
    ("pass_host", "target: h:1", "target: h:1, pass_host: true"),
    (
        "strip_path_prefix",
        "target: h:1, path_prefix: /a",
        "target: h:1, path_prefix: /a, strip_path_prefix: true",
    ),
    ("rewrite", "target: h:1", "target: h:1, rewrite: /a"),
    ("max_body", "target: h:1", "target: h:1, max_body: 7"),
    ("buffer_request", "target: h:1", "target: h:1, buffer_request: 7"),
    ("body_timeout", "target: h:1", "target: h:1, body_timeout: 7s"),
    ("response_timeout", "target: h:1", "target: h:1, response_timeout: 7s"),
    ("tunnel_timeout", "target: h:1", "target: h:1, tunnel_timeout: 7s"),
    ("access_log", "target: h:1", "target: h:1, access_log: false"),
    ("cors", "target: h:1", "target: h:1, cors: \"*\""),
    ("rate_limit", "target: h:1", "target: h:1, rate_limit: 7/1s"),
    ("auth", "target: h:1", "target: h:1, auth: { forward: http://a/b }"),
    ("max_requests", "target: h:1", "target: h:1, max_requests: 7"),
    ("compress", "target: h:1", "target: h:1, compress: true"),
    ("intercept", "target: h:1", "target: h:1, intercept: 502"),
    ("pages", "target: h:1", "target: h:1, pages: { 404: page }"),
    ("policy", "target: h:1", "target: h:1, policy: set"),
    ("connect_timeout", "target: h:1", "target: h:1, connect_timeout: 7s"),
    ("balance", "target: h:1", "target: h:1, balance: random"),
    ("health", "target: h:1", "target: h:1, health: /up"),
    ("hold", "target: h:1", "target: h:1, hold: 7s"),
    ("sticky", "target: h:1", "target: h:1, sticky: { cookie: at }"),
    ("starting", "target: h:1", "target: h:1, starting: true"),
    ("tls", "target: https://h", "target: https://h, tls: { sni: a.test }"),
    ("send_proxy_protocol", "pass: h:1", "pass: h:1, send_proxy_protocol: v1"),
    // Keys that both `files` and forwarding have.
    ("body_timeout", "files: a", "files: a, body_timeout: 7s"),
    ("strip_path_prefix", "files: a, path_prefix: /a", "files: a, path_prefix: /a, strip_path_prefix: true"),
    // Keys that both `pass` and forwarding have.
    ("tunnel_timeout", "pass: h:1", "pass: h:1, tunnel_timeout: 7s"),
    ("connect_timeout", "pass: h:1", "pass: h:1, connect_timeout: 7s"),
    ("balance", "pass: h:1", "pass: h:1, balance: random"),
    ("health", "pass: h:1", "pass: h:1, health: tcp"),
    ("hold", "pass: h:1", "pass: h:1, hold: 7s"),
];

const REDIRECT: &[Row] = &[("to", "to: /a", "to: /b"), ("status", "to: /a", "to: /a, status: 301")];

const RESPOND: &[Row] = &[
    ("status", "", "status: 404"),
    ("headers", "", "headers: { A: b }"),
    ("body", "", "body: a"),
    ("page", "", "page: page"),
];

const FILES: &[Row] = &[
    ("root", "root: a", "root: b"),
    ("index", "root: a", "root: a, index: b.html"),
    ("fallback", "root: a", "root: a, fallback: /b.html"),
    ("precompressed", "root: a", "root: a, precompressed: [br, gz]"),
    ("hidden", "root: a", "root: a, hidden: none"),
    ("symlinks", "root: a", "root: a, symlinks: none"),
    ("list", "root: a", "root: a, list: true"),
    ("immutable", "root: a", "root: a, immutable: /b/**"),
];

const PASS: &[Row] = &[("upstream", "upstream: other", "upstream: third")];

const UPSTREAM: &[Row] = &[
    ("targets", "targets: https://h", "targets: https://i"),
    ("tls", "targets: https://h", "targets: https://h, tls: { sni: a.test }"),
    ("connect_timeout", "targets: https://h", "targets: https://h, connect_timeout: 7s"),
    ("tries", "targets: https://h", "targets: https://h, tries: 7"),
    ("idle_timeout", "targets: https://h", "targets: https://h, idle_timeout: 7s"),
    ("balance", "targets: https://h", "targets: https://h, balance: random"),
    ("sticky", "targets: https://h", "targets: https://h, sticky: { cookie: at }"),
    ("starting", "targets: https://h", "targets: https://h, starting: true"),
    ("eject", "targets: https://h", "targets: https://h, eject: false"),
    ("health", "targets: https://h", "targets: https://h, health: /up"),
    ("hold", "targets: https://h", "targets: https://h, hold: 7s"),
    ("hold_max", "targets: https://h", "targets: https://h, hold_max: 7"),
    ("slow_start", "targets: https://h", "targets: https://h, slow_start: 7s"),
    ("max_idle", "targets: https://h", "targets: https://h, max_idle: 7"),
    ("max_connections", "targets: https://h", "targets: https://h, max_connections: 7"),
    ("max_requests", "targets: https://h", "targets: https://h, max_requests: 7"),
    (
        "queue",
        "targets: https://h, max_requests: 7",
        "targets: https://h, max_requests: 7, queue: { max: 7 }",
    ),
    ("retry_statuses", "targets: https://h", "targets: https://h, retry_statuses: [502, 503]"),
    ("tcp_keepalive", "targets: https://h", "targets: https://h, tcp_keepalive: 7s"),
    ("http2", "targets: https://h", "targets: https://h, http2: true"),
];

const TARGET: &[Row] = &[
    ("target", "target: https://h", "target: https://i"),
    ("weight", "target: https://h", "target: https://h, weight: 7"),
    ("backup", "target: https://h", "target: https://h, backup: true"),
];

const BALANCE: &[Row] =
    &[("hash", "hash: client", "hash: path"), ("bound", "hash: client", "hash: client, bound: 125")];

const STICKY: &[Row] = &[
    ("cookie", "cookie: a", "cookie: b"),
    ("max_age", "cookie: a", "cookie: a, max_age: 7s"),
    ("secret", "cookie: a", "cookie: a, secret: 0123456789abcdef"),
];

const HEALTH: &[Row] = &[
    ("path", "path: /a", "path: /b"),
    ("method", "path: /a", "path: /a, method: HEAD"),
    ("host", "path: /a", "path: /a, host: a.test"),
    ("headers", "path: /a", "path: /a, headers: { A: b }"),
    ("status", "path: /a", "path: /a, status: [200, 401]"),
    ("body", "path: /a", "path: /a, body: fine"),
    ("port", "", "port: 7"),
    ("interval", "", "interval: 7s"),
    ("timeout", "", "timeout: 7s"),
    ("rise", "", "rise: 7"),
    ("fall", "", "fall: 7"),
];

const QUEUE: &[Row] = &[("max", "max: 7", "max: 8"), ("timeout", "max: 7", "max: 7, timeout: 7s")];

const EJECT: &[Row] =
    &[("failures", "", "failures: 7"), ("for", "", "for: 7s"), ("statuses", "", "statuses: [502, 503]")];

const UPSTREAM_TLS: &[Row] = &[
    ("ca", "", "ca: a.pem"),
    ("insecure_skip_verify", "", "insecure_skip_verify: true"),
    ("sni", "", "sni: a.test"),
];

/// A mapping inside of a rule that forwards, beside upstreams that it may name.
macro_rules! of_rule {
    ($what:literal, $inside:literal, $rows:ident) => {
        Mapping {
            what: $what,
            around: concat!(
                "{ http_config: { port: 1 }, http_routes: [{ target: h:1, ",
                $inside,
                " }, { upstream: u }, { upstream: v }], plugins: { q: { run: q }, r: { run: r } }, upstreams: { u: { targets: h:8 }, v: { targets: h:9 } } }"
            ),
            rows: &[$rows],
        }
    };
}

/// Every mapping.
pub const MAPPINGS: &[Mapping] = &[
    Mapping { what: "a configuration", around: "{ @ }", rows: &[TOP] },
    Mapping { what: "an access log", around: "{ access_log: { @ } }", rows: &[ACCESS_LOG] },
    Mapping { what: "the internal API", around: "{ internal_api: { @ } }", rows: &[INTERNAL_API] },
    Mapping { what: "`acme`", around: "{ acme: { @ } }", rows: &[ACME] },
    Mapping {
        what: "`ca` of `acme`",
        around: "{ acme: { accept_terms: true, ca: { @ } } }",
        rows: &[ACME_CA],
    },
    Mapping {
        what: "`on_event` of `acme`",
        around: "{ acme: { accept_terms: true, on_event: { @ } } }",
        rows: &[ON_EVENT],
    },
    Mapping {
        what: "`self_check` of `acme`",
        around: "{ acme: { accept_terms: true, self_check: { @ } } }",
        rows: &[SELF_CHECK],
    },
    Mapping {
        what: "`eab`",
        around: "{ acme: { accept_terms: true, ca: { directory: google, eab: { @ } } } }",
        rows: &[EAB],
    },
    Mapping {
        what: "`dns` of `acme`",
        around: "{ acme: { accept_terms: true, dns: { @ } } }",
        rows: &[ACME_DNS],
    },
    Mapping { what: "`store`", around: "{ acme: { accept_terms: true }, store: { @ } }", rows: &[STORE] },
    Mapping { what: "`s3` of `store`", around: IN_S3, rows: &[STORE_S3] },
    Mapping { what: "an HTTP listener", around: "{ listeners: [{ @ }] }", rows: &[HTTP_LISTENER] },
    Mapping {
        what: "an HTTP listener",
        around: "{ listeners: [{ name: a, bind: 1, @ }], plugins: { q: { run: q }, r: { run: r } }, policies: { set: { max_requests: 7 } } }",
        rows: &[HTTP, OWN_RULES],
    },
    Mapping {
        what: "an HTTP listener",
        around: "{ listeners: [{ name: a, bind: 1, rules: [{ target: h:1 }], @ }], plugins: { q: { run: q }, r: { run: r } }, policies: { set: { max_requests: 7 } }, upstreams: { u: { targets: h:9 } } }",
        rows: &[POLICIES, HEADERS_OF_A_SET, SETS],
    },
    Mapping { what: "`http_config`", around: "{ http_config: { @ } }", rows: &[HTTP_PORT] },
    Mapping {
        what: "`http_config`",
        around: "{ http_config: { port: 1, @ }, http_routes: [{ target: h:1 }], plugins: { q: { run: q }, r: { run: r } }, policies: { set: { max_requests: 7 } }, upstreams: { u: { targets: h:9 } } }",
        rows: &[HTTP, POLICIES, HEADERS_OF_A_SET, SETS],
    },
    Mapping { what: "a TCP listener", around: "{ listeners: [{ @ }] }", rows: &[TCP_LISTENER] },
    Mapping {
        what: "a TCP listener",
        around: "{ listeners: [{ name: a, bind: 1, protocol: tcp, @ }], upstreams: { other: { targets: i:1 } } }",
        rows: &[TCP],
    },
    Mapping { what: "`tcp`", around: "{ tcp: { @ } }", rows: &[TCP_PORT] },
    Mapping {
        what: "`tcp`",
        around: "{ tcp: { port: 1, @ }, upstreams: { other: { targets: i:1 } } }",
        rows: &[TCP],
    },
    Mapping {
        what: "`tls` of a listener",
        around: "{ acme: { accept_terms: true }, listeners: [{ name: a, bind: 1, tls: { @ } }] }",
        rows: &[LISTENER_TLS],
    },
    Mapping {
        what: "a certificate",
        around: "{ listeners: [{ name: a, bind: 1, tls: { certificates: [{ @ }] } }] }",
        rows: &[CERTIFICATE],
    },
    Mapping {
        what: "`client_auth`",
        around: "{ listeners: [{ name: a, bind: 1, tls: { certificates: a, client_auth: { @ } } }] }",
        rows: &[CLIENT_AUTH],
    },
    Mapping {
        what: "`redirect_to_https`",
        around: "{ http_config: { port: 1, redirect_to_https: { @ } } }",
        rows: &[REDIRECT_TO_HTTPS],
    },
    Mapping {
        what: "a rule",
        around: "{ http_config: { port: 1 }, http_routes: [{ @ }], upstreams: { other: { targets: i:1 } }, \
                 plugins: { q: { run: q }, r: { run: r } }, policies: { set: { max_requests: 7 } } }",
        rows: &[RULE, policy_keys::OF_RULES, HEADERS],
    },
    of_rule!("`headers`", "headers: { @ }", BOTH_MESSAGES),
    of_rule!("a change of fields", "headers: { request: { @ } }", CHANGES),
    of_rule!("`hsts`", "hsts: { @ }", HSTS),
    Mapping {
        what: "a set of policies",
        around: "{ http_config: { port: 1 }, http_routes: [{ target: h:1, policy: a }, { upstream: u }], plugins: { q: { run: q }, r: { run: r } }, policies: { a: { @ } }, upstreams: { u: { targets: h:9 } } }",
        rows: &[POLICIES, HEADERS_OF_A_SET],
    },
    of_rule!("`cors`", "cors: { @ }", CORS),
    of_rule!("a rate limit", "rate_limit: { @ }", RATE_LIMIT),
    of_rule!("`auth`", "auth: { @ }", AUTH),
    of_rule!("`basic`", "auth: { basic: { @ } }", BASIC),
    of_rule!("`jwt`", "auth: { jwt: { @ } }", JWT),
    of_rule!("`keys`", "auth: { jwt: { keys: { @ } } }", JWT_KEYS),
    of_rule!("`forward`", "auth: { forward: { @ } }", FORWARD),
    of_rule!("`max_requests`", "max_requests: { @ }", MAX_REQUESTS),
    of_rule!("`plugins` of a rule", "plugins: { @ }", CHAIN),
    Mapping { what: "a plugin", around: "{ plugins: { a: { @ } } }", rows: &[PLUGIN] },
    of_rule!("`mirror`", "mirror: { @ }", MIRROR),
    of_rule!("`speed`", "speed: { @ }", SPEED),
    of_rule!("`compress`", "compress: { @ }", COMPRESS),
    Mapping {
        what: "a redirect",
        around: "{ http_config: { port: 1 }, http_routes: [{ redirect: { @ } }] }",
        rows: &[REDIRECT],
    },
    Mapping {
        what: "a response",
        around: "{ http_config: { port: 1 }, http_routes: [{ respond: { @ } }] }",
        rows: &[RESPOND],
    },
    Mapping {
        what: "`files`",
        around: "{ http_config: { port: 1 }, http_routes: [{ files: { @ } }] }",
        rows: &[FILES],
    },
    Mapping {
        what: "`pass`",
        around: "{ http_config: { port: 1 }, http_routes: [{ pass: { @ } }], \
                 upstreams: { other: { targets: i:1 }, third: { targets: j:1 } } }",
        rows: &[PASS],
    },
    Mapping {
        what: "an upstream",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], upstreams: { a: { @ } } }",
        rows: &[UPSTREAM],
    },
    Mapping {
        what: "a target",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: [{ @ }, h:1] } } }",
        rows: &[TARGET],
    },
    Mapping {
        what: "`balance`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: h:1, balance: { @ } } } }",
        rows: &[BALANCE],
    },
    Mapping {
        what: "`sticky`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: h:1, sticky: { @ } } } }",
        rows: &[STICKY],
    },
    Mapping {
        what: "`health`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: h:1, health: { @ } } } }",
        rows: &[HEALTH],
    },
    Mapping {
        what: "`queue`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: h:1, max_requests: 7, queue: { @ } } } }",
        rows: &[QUEUE],
    },
    Mapping {
        what: "`eject`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: h:1, eject: { @ } } } }",
        rows: &[EJECT],
    },
    Mapping {
        what: "`tls`",
        around: "{ http_config: { port: 1 }, http_routes: [{ upstream: a }], \
                 upstreams: { a: { targets: https://h, tls: { @ } } } }",
        rows: &[UPSTREAM_TLS],
    },
];

/// Loads the configuration of a mapping with this inside.
pub fn load_inside(around: &str, inside: &str) -> Result<Loaded, Diagnostics> {
    let text = around.replace("@", inside);
    load(
        &["smolgate.yml".into()],
        &MemoryInputs::new()
            .file("smolgate.yml", text)
            .file("users", policy_keys::USERS)
            .file("keys.pem", policy_keys::KEYS)
            .file("page", "a page"),
    )
}

/// The keys that the readers of the configuration ask for, by mapping. The message about an unknown key lists
/// them.
pub fn known_keys() -> BTreeMap<String, BTreeSet<String>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for Mapping { around, rows, .. } in MAPPINGS {
        for (_, _, inside) in rows.iter().copied().flatten() {
            let errors =
                load_inside(around, &format!("0000000000: x, {inside}")).expect_err("an unknown key");
            for hint in errors.errors().filter_map(|error| error.hint.as_deref()) {
                let list = hint.strip_prefix("the keys of ").and_then(|hint| hint.split_once(" are "));
                let (what, keys) = list.unwrap_or_else(|| panic!("{inside}: {errors}"));
                known.entry(what.to_owned()).or_default().extend(keys.split(", ").map(str::to_owned));
            }
        }
    }
    known
}
