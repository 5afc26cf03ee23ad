//! The upstreams and the options of `reverse_proxy`.

use super::tree::Tree;
use crate::config::dialects::compose::foreign::adapted::{Adapted, Route, To, port, url};

/// Options that change no request, and the reason why they have no counterpart.
const LEFT_OUT: [(&str, &str); 6] = [
    ("header_up", "the gate sets `X-Forwarded-*` by itself, and no other fields"),
    ("header_down", "the gate sets no header fields"),
    ("flush_interval", "responses are never buffered"),
    ("health", "`smolgate.health` checks a service"),
    ("lb", "`smolgate.balance` says which replica gets a request"),
    ("fail", "a connection that fails is tried at the next target"),
];

/// The target of `{{upstreams ...}}`, or of one address.
pub(super) fn target(text: &str) -> Result<To, String> {
    let text = text.trim();
    if let Some(inside) = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}")) {
        return of_template(inside);
    }
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [one] if !one.contains("{{") => of_address(one),
        _ => Err("a label has one target".to_owned()),
    }
}

/// The containers of the service itself. Without a port, Caddy takes that of the scheme.
fn of_template(inside: &str) -> Result<To, String> {
    let words: Vec<&str> = inside.split_whitespace().collect();
    let (https, number) = match words.as_slice() {
        ["upstreams"] | ["upstreams", "http"] => (false, "80"),
        ["upstreams", "https"] => (true, "443"),
        ["upstreams", "http", number] => (false, *number),
        ["upstreams", "https", number] => (true, *number),
        ["upstreams", number] => (false, *number),
        _ => return Err(format!("the template `{{{{{inside}}}}}` is not known")),
    };
    Ok(To { port: Some(port(number)?), https, ..To::default() })
}

fn of_address(text: &str) -> Result<To, String> {
    let target = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    if ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| text.contains(own)) {
        return Err("this address is the container of Caddy itself".to_owned());
    }
    Ok(To { https: target.starts_with("https://"), target: Some(url(&target)?), ..To::default() })
}

/// Adds what the options of `reverse_proxy` say.
pub(super) fn options(adapted: &mut Adapted, route: &mut Route, tree: &Tree<'_>) {
    for one in &tree.below {
        let args: Vec<&str> = one.value.split_whitespace().collect();
        let left_out = LEFT_OUT.iter().find(|(word, _)| {
            one.word.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        });
        match (one.word, args.as_slice(), left_out) {
            ("header_up", ["host", to] | ["Host", to], _) if to.contains("upstream") => {
                route.target.own_host = true;
            }
            ("header_up", ["host" | "Host" | "-host" | "-Host" | "+Host", ..], _) => {
                route.withheld.push(format!("`{}` sets another Host", one.label));
            }
            ("transport", ["http"] | [], _) => transport(adapted, route, one),
            (_, _, Some((_, why))) => one.note(adapted, why),
            (word, ..) => {
                route.withheld.push(format!("the option `{word}` has no counterpart"));
                one.note(adapted, "no label means this: a route with it is not ready");
            }
        }
    }
}

/// TLS to the service. All other options of the transport are times and sizes.
fn transport(adapted: &mut Adapted, route: &mut Route, tree: &Tree<'_>) {
    for one in &tree.below {
        match one.word {
            "tls" if route.target.target.is_none() => route.target.https = true,
            "tls_insecure_skip_verify" if route.target.target.is_none() || route.target.https => {
                route.target.https = true;
                route.target.any_certificate = true;
            }
            "tls_server_name" | "tls_trust_pool" | "tls_trusted_ca_certs" => {
                one.note(adapted, "`smolgate.sni` and `smolgate.ca` say how to trust a service");
            }
            word if word.starts_with("tls") || word == "versions" || word == "proxy_protocol" => {
                route.withheld.push(format!("the option `{word}` of the transport has no counterpart"));
                one.note(adapted, "no label means this: a route with it is not ready");
            }
            _ => one.note(adapted, "`smolgate.connect_timeout` and `.response_timeout` limit times"),
        }
    }
}
