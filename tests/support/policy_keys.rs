//! The keys of policies, as those of `keys`.

use super::keys::Row;

/// The hash of a password.
macro_rules! hash {
    () => {
        "$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O"
    };
}

/// A file of users.
pub(super) const USERS: &str = concat!("b:", hash!(), "\n");

pub(super) const POLICIES: &[Row] = &[
    ("plugins", "", "plugins: q"),
    ("cors", "", "cors: \"*\""),
    ("rate_limit", "", "rate_limit: 7/1s"),
    ("auth", "", "auth: { forward: http://a/b }"),
    ("max_requests", "", "max_requests: 7"),
    ("mirror", "", "mirror: { upstream: u }"),
    ("speed", "", "speed: { upload: 8kbit }"),
    ("compress", "", "compress: true"),
    ("intercept", "", "intercept: 502"),
    ("pages", "", "pages: { 404: page }"),
    ("max_body", "", "max_body: 7"),
    ("body_timeout", "", "body_timeout: 7s"),
    ("response_timeout", "", "response_timeout: 7s"),
    ("tunnel_timeout", "", "tunnel_timeout: 7s"),
];

/// Those of an HTTP listener.
pub(super) const OF_LISTENERS: &[Row] = &[
    ("plugins", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], plugins: q"),
    ("cors", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], cors: \"*\""),
    ("rate_limit", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], rate_limit: 7/1s"),
    ("auth", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], auth: { forward: http://a/b }"),
    ("mirror", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], mirror: { upstream: u }"),
    ("speed", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], speed: { upload: 8kbit }"),
    ("policy", "rules: [{ target: h:1 }]", "rules: [{ target: h:1 }], policy: set"),
];

/// Those of an HTTP listener in the short form: the rules are around.
pub(super) const OF_SHORT_LISTENERS: &[Row] = &[
    ("plugins", "", "plugins: q"),
    ("cors", "", "cors: \"*\""),
    ("rate_limit", "", "rate_limit: 7/1s"),
    ("auth", "", "auth: { forward: http://a/b }"),
    ("mirror", "", "mirror: { upstream: u }"),
    ("speed", "", "speed: { upload: 8kbit }"),
    ("policy", "", "policy: set"),
];

/// Those of a rule.
pub(super) const OF_RULES: &[Row] = &[
    ("plugins", "target: h:1", "target: h:1, plugins: q"),
    ("cors", "target: h:1", "target: h:1, cors: \"*\""),
    ("rate_limit", "target: h:1", "target: h:1, rate_limit: 7/1s"),
    ("auth", "target: h:1", "target: h:1, auth: { forward: http://a/b }"),
    ("mirror", "target: h:1", "target: h:1, mirror: { upstream: other }"),
    ("speed", "target: h:1", "target: h:1, speed: { upload: 8kbit }"),
    ("policy", "target: h:1", "target: h:1, policy: set"),
    ("max_requests", "target: h:1", "target: h:1, max_requests: 7"),
];

pub(super) const PLUGIN: &[Row] = &[
    ("run", "run: a", "run: [a, b]"),
    ("env", "run: a", "run: a, env: [A]"),
    ("timeout", "run: a", "run: a, timeout: 7s"),
    ("on_failure", "run: a", "run: a, on_failure: allow"),
    ("max_calls", "run: a", "run: a, max_calls: 7"),
    ("autostart", "run: a", "run: a, autostart: true"),
];

pub(super) const CHAIN: &[Row] =
    &[("names", "names: q", "names: [q, r]"), ("timeout", "names: q", "names: q, timeout: 7s")];

pub(super) const CORS: &[Row] = &[
    ("origins", "origins: https://a", "origins: https://b"),
    ("methods", "origins: https://a", "origins: https://a, methods: PUT"),
    ("headers", "origins: https://a", "origins: https://a, headers: X-A"),
    ("expose", "origins: https://a", "origins: https://a, expose: X-A"),
    ("credentials", "origins: https://a", "origins: https://a, credentials: true"),
    ("max_age", "origins: https://a", "origins: https://a, max_age: 7s"),
];

pub(super) const RATE_LIMIT: &[Row] = &[
    ("requests", "requests: 7, per: 1s", "requests: 8, per: 1s"),
    ("per", "requests: 7, per: 1s", "requests: 7, per: 2s"),
    ("burst", "requests: 7, per: 1s", "requests: 7, per: 1s, burst: 8"),
    ("by", "requests: 7, per: 1s", "requests: 7, per: 1s, by: host"),
    ("else", "requests: 7, per: 1s, by: cookie.a", "requests: 7, per: 1s, by: cookie.a, else: all"),
    ("keys", "requests: 7, per: 1s", "requests: 7, per: 1s, keys: 77"),
    ("ipv6_prefix", "requests: 7, per: 1s", "requests: 7, per: 1s, ipv6_prefix: 56"),
    ("status", "requests: 7, per: 1s", "requests: 7, per: 1s, status: 503"),
    ("fields", "requests: 7, per: 1s", "requests: 7, per: 1s, fields: true"),
];

pub(super) const AUTH: &[Row] = &[
    ("basic", concat!("basic: \"a:", hash!(), "\""), concat!("basic: \"b:", hash!(), "\"")),
    ("jwt", "jwt: keys.pem", "jwt: { keys: { secret: 0123456789abcdef0123456789abcdef } }"),
    ("forward", "forward: http://a/b", "forward: http://a/c"),
];

/// A file of keys.
pub(super) const KEYS: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

pub(super) const JWT: &[Row] = &[
    ("keys", "keys: https://a/b, audience: a", "keys: https://a/c, audience: a"),
    ("issuer", "keys: keys.pem", "keys: keys.pem, issuer: https://a/"),
    ("audience", "keys: keys.pem", "keys: keys.pem, audience: [a, b]"),
    ("claims", "keys: keys.pem", "keys: keys.pem, claims: { role: [a, b], c: true }"),
    ("algorithms", "keys: keys.pem", "keys: keys.pem, algorithms: EdDSA"),
    ("leeway", "keys: keys.pem", "keys: keys.pem, leeway: 7s"),
    ("from", "keys: keys.pem", "keys: keys.pem, from: [bearer, cookie.a]"),
    ("forward", "keys: keys.pem", "keys: keys.pem, forward: { X-User: sub }"),
];

pub(super) const JWT_KEYS: &[Row] =
    &[("secret", "secret: 0123456789abcdef0123456789abcdef", "secret: 0123456789abcdef0123456789abcdeF")];

pub(super) const BASIC: &[Row] = &[
    ("users", concat!("users: { a: ", hash!(), " }"), concat!("users: { b: ", hash!(), " }")),
    (
        "users_file",
        concat!("users: { a: ", hash!(), " }"),
        concat!("users: { a: ", hash!(), " }, users_file: users"),
    ),
    ("realm", concat!("users: { a: ", hash!(), " }"), concat!("users: { a: ", hash!(), " }, realm: b")),
    (
        "forward",
        concat!("users: { a: ", hash!(), " }"),
        concat!("users: { a: ", hash!(), " }, forward: true"),
    ),
    (
        "forward_user",
        concat!("users: { a: ", hash!(), " }"),
        concat!("users: { a: ", hash!(), " }, forward_user: X-A"),
    ),
];

pub(super) const FORWARD: &[Row] = &[
    ("url", "url: http://a/b", "url: http://a/c"),
    ("copy", "url: http://a/b", "url: http://a/b, copy: X-A"),
    ("sign_in", "url: http://a/b", "url: http://a/b, sign_in: \"https://a/{url}\""),
    ("timeout", "url: http://a/b", "url: http://a/b, timeout: 7s"),
    ("upstream", "url: http://a/b", "upstream: u"),
    ("path", "upstream: u", "upstream: u, path: /b"),
    ("cache", "url: http://a/b", "url: http://a/b, cache: 7s"),
    ("preflights", "url: http://a/b", "url: http://a/b, preflights: true"),
];

pub(super) const MIRROR: &[Row] =
    &[("upstream", "upstream: u", "upstream: v"), ("share", "upstream: u", "upstream: u, share: 7%")];

pub(super) const SPEED: &[Row] = &[
    ("download", "download: 8kbit", "download: 9kbit"),
    ("upload", "download: 8kbit", "download: 8kbit, upload: 8kbit"),
    ("shared", "download: 8kbit", "download: 8kbit, shared: true"),
];

pub(super) const COMPRESS: &[Row] = &[
    ("level", "", "level: 7"),
    ("min", "", "min: 7"),
    ("types", "", "types: a/b"),
    ("cookies", "", "cookies: true"),
];

pub(super) const MAX_REQUESTS: &[Row] = &[
    ("requests", "requests: 7", "requests: 8"),
    ("waiting", "requests: 7", "requests: 7, waiting: 7"),
    ("timeout", "requests: 7, waiting: 7", "requests: 7, waiting: 7, timeout: 7s"),
];
