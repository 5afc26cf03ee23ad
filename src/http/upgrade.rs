//! Protocols to which a connection may switch (RFC 9110, section 7.8).

use super::class::is_token;
use super::fields::Fields;
use super::list::list_items;
use super::name::Name;

/// Beginnings of the names of protocols to which no connection switches. Behind HTTP/2, HTTP/3 or TLS on the
/// connection, requests would pass that no rule has seen.
const REFUSED: &[&str] = &["h2", "h3", "http", "tls"];

/// The protocols in all `Upgrade` fields, in order, as written. Those that are not valid or not served are left out.
pub fn upgrade_protocols<'b>(fields: Fields<'b>) -> impl Iterator<Item = &'b [u8]> {
    let upgrades = fields.iter().filter(|field| field.known() == Name::Upgrade);
    upgrades.flat_map(|field| list_items(field.value())).filter(|protocol| may_switch_to(protocol))
}

/// Whether this is `name` or `name/version`, and the name is not refused.
fn may_switch_to(protocol: &[u8]) -> bool {
    let is_refused = |start: &&str| {
        let same = protocol.get(..start.len());
        same.is_some_and(|same| same.eq_ignore_ascii_case(start.as_bytes()))
    };
    protocol.splitn(2, |&byte| byte == b'/').all(is_token) && !REFUSED.iter().any(is_refused)
}

#[cfg(test)]
mod tests {
    use super::may_switch_to;

    #[test]
    fn versions_of_http_and_tls_are_no_protocols_to_switch_to() {
        for protocol in
            ["websocket", "WebSocket", "tcp", "DERP", "tailscale-control-protocol", "IRC/6.9", "h"]
        {
            assert!(may_switch_to(protocol.as_bytes()), "{protocol}");
        }
        for protocol in ["h2c", "H2C", "h2", "h2c-14", "h3", "HTTP/2.0", "http", "TLS/1.0", "tls", "TLS"] {
            assert!(!may_switch_to(protocol.as_bytes()), "{protocol}");
        }
        for protocol in ["", "/", "a/", "/1", "a/b/c", "a b", "a;b", "\"a\""] {
            assert!(!may_switch_to(protocol.as_bytes()), "{protocol}");
        }
    }
}
