//! The keys of certificates that are ordered, as those of `keys`.

use super::keys::Row;

pub const ACME: &[Row] = &[
    ("accept_terms", "accept_terms: true", "accept_terms: true, email: a@b.c"),
    ("email", "accept_terms: true", "accept_terms: true, email: a@b.c"),
    ("ca", "accept_terms: true", "accept_terms: true, ca: google"),
    ("staging", "accept_terms: true", "accept_terms: true, staging: true"),
    ("challenges", "accept_terms: true", "accept_terms: true, challenges: tls"),
    (
        "dns",
        "accept_terms: true",
        "accept_terms: true, challenges: [http, tls], dns: { provider: exec, command: a }",
    ),
    ("key", "accept_terms: true", "accept_terms: true, key: rsa2048"),
    ("on_event", "accept_terms: true", "accept_terms: true, on_event: a"),
    ("while_waiting", "accept_terms: true", "accept_terms: true, while_waiting: refuse"),
    ("self_check", "accept_terms: true", "accept_terms: true, self_check: false"),
];

pub const ON_EVENT: &[Row] = &[
    ("command", "command: a", "command: [a, b]"),
    ("environment", "command: a", "command: a, environment: A"),
];

pub const SELF_CHECK: &[Row] = &[
    ("resolvers", "", "resolvers: 192.0.2.1"),
    ("http_port", "", "http_port: 8080"),
    ("https_port", "", "https_port: 8443"),
];

pub const ACME_DNS: &[Row] = &[
    (
        "provider",
        "provider: httpreq, url: \"https://a\"",
        "provider: cloudflare, token: a, url: \"https://a\"",
    ),
    ("command", "provider: exec, command: a", "provider: exec, command: [a, b]"),
    ("environment", "provider: exec, command: a", "provider: exec, command: a, environment: A"),
    ("url", "provider: httpreq, url: \"https://a\"", "provider: httpreq, url: \"https://b\""),
    (
        "username",
        "provider: acme_dns, url: \"https://a\", username: a, password: b, subdomain: c",
        "provider: acme_dns, url: \"https://a\", username: x, password: b, subdomain: c",
    ),
    (
        "password",
        "provider: httpreq, url: \"https://a\"",
        "provider: httpreq, url: \"https://a\", username: a, password: x",
    ),
    (
        "subdomain",
        "provider: acme_dns, url: \"https://a\", username: a, password: b, subdomain: c",
        "provider: acme_dns, url: \"https://a\", username: a, password: b, subdomain: x",
    ),
    ("server", "provider: rfc2136, server: a", "provider: rfc2136, server: \"b:5353\""),
    (
        "key_name",
        "provider: rfc2136, server: a, key_name: k, secret: c2U=",
        "provider: rfc2136, server: a, key_name: l, secret: c2U=",
    ),
    ("secret", "provider: rfc2136, server: a", "provider: rfc2136, server: a, key_name: k, secret: c2U="),
    ("algorithm", "provider: rfc2136, server: a", "provider: rfc2136, server: a, algorithm: hmac-sha512"),
    ("zone", "provider: rfc2136, server: a", "provider: rfc2136, server: a, zone: a.test"),
    ("token", "provider: exec, command: a", "provider: cloudflare, token: b"),
    ("wait", "provider: exec, command: a", "provider: exec, command: a, wait: 0s"),
    ("timeout", "provider: exec, command: a", "provider: exec, command: a, timeout: 1m"),
    ("resolvers", "provider: exec, command: a", "provider: exec, command: a, resolvers: 192.0.2.1"),
    ("servers", "provider: exec, command: a", "provider: exec, command: a, servers: [\"[2001:db8::1]:54\"]"),
];

pub const ACME_CA: &[Row] = &[
    ("directory", "directory: \"https://a\"", "directory: \"https://b\""),
    (
        "staging_directory",
        "directory: \"https://a\"",
        "directory: \"https://a\", staging_directory: \"https://b\"",
    ),
    ("profile", "directory: \"https://a\"", "directory: \"https://a\", profile: shortlived"),
    ("root", "directory: \"https://a\"", "directory: \"https://a\", root: a.pem"),
    ("eab", "directory: \"https://a\"", "directory: \"https://a\", eab: { kid: a, hmac: b }"),
];

pub const EAB: &[Row] =
    &[("kid", "kid: a, hmac: b", "kid: c, hmac: b"), ("hmac", "kid: a, hmac: b", "kid: a, hmac: c")];
