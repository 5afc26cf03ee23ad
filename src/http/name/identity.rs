//! Names of fields that identify the client. Programs believe them, so strangers may not send them.

use crate::http::class;

/// Prefixes of field names that identify the client or its connection, or that replace the target. Programs
/// believe such fields, because a proxy, or an authentication service in front of it, writes them. Some
/// prefixes are whole names.
const IDENTITY_PREFIXES: &[&str] = &[
    X_FORWARDED,
    "forwarded-",
    "x-original-forwarded-",
    "x-original-host",
    "x-original-method",
    "x-original-ur",
    "x-rewrite-url",
    "x-client-cert",
    "x-client-ip",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-cluster-client-ip",
    "x-remote-",
    "remote-",
    "true-client-",
    "client-cert",
    "client-ip",
    "cf-connecting-",
    "cf-ipcountry",
    "cf-access-",
    "cf-visitor",
    "fastly-client-",
    "fly-client-ip",
    "x-envoy-",
    "x-azure-client",
    "x-azure-socket",
    "x-arr-",
    "x-ms-client-principal",
    "x-amzn-oidc-",
    "x-amzn-mtls-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-auth-request-",
    "x-authenticated-",
    "x-authentik-",
    "x-webauth-",
    "x-ssl-client-",
    "ssl-client-",
    "tailscale-user-",
];

/// The prefix of names for things that only a proxy can know, and such a name itself.
const X_FORWARDED: &str = "x-forwarded";

/// Whether a name begins with an entry of `IDENTITY_PREFIXES`, in any case and with other marks in place of `-`.
/// The search goes through a list, so it is for rare names.
pub(crate) fn identifies_client(name: &[u8]) -> bool {
    IDENTITY_PREFIXES.iter().any(|text| begins_alike(name, text))
}

/// Whether a name begins with `X_FORWARDED`, in any case and with other marks in place of `-`.
/// [`identifies_client`] is true of all such names.
pub(crate) fn is_x_forwarded(name: &[u8]) -> bool {
    begins_alike(name, X_FORWARDED)
}

/// Whether a program such as CGI reads two names alike: in any case, and with `_` or another mark for `-`.
pub fn reads_alike(one: &[u8], two: &[u8]) -> bool {
    let folded = |byte: &u8| if class::is_mark(*byte) { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == two.len() && one.iter().map(folded).eq(two.iter().map(folded))
}

fn begins_alike(name: &[u8], text: &str) -> bool {
    name.get(..text.len()).is_some_and(|start| is_alike(start, text))
}

/// Whether `name` is `text`, in any case and with other marks in place of `-`.
pub(super) fn is_alike(name: &[u8], text: &str) -> bool {
    let same = |(byte, want): (&u8, u8)| {
        byte.to_ascii_lowercase() == want || (want == b'-' && class::is_mark(*byte))
    };
    name.len() == text.len() && name.iter().zip(text.bytes()).all(same)
}
