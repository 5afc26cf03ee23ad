//! Keys of other proxies, each with what to write here.

/// The page that shows the files of other proxies and ours side by side. An image does not hold it.
pub(super) const PAGE: &str = "docs/migrate.md of the project";

/// A key of another proxy, and the text that says what to write here.
struct Foreign {
    /// The proxies that have it.
    of: &'static str,
    keys: &'static [&'static str],
    write: &'static str,
}

const fn row(of: &'static str, keys: &'static [&'static str], write: &'static str) -> Foreign {
    Foreign { of, keys, write }
}

/// The table. A key that is known where it stands is never looked up here.
const FOREIGN: &[Foreign] = &[
    // Where requests go.
    row("nginx", &["proxy_pass", "fastcgi_pass", "uwsgi_pass"], "a rule has `target: \"http://host:port\"`"),
    row(
        "nginx",
        &["upstream"],
        "write `upstreams: { NAME: { targets: [...] } }`; a rule names it with `upstream: NAME`",
    ),
    row(
        "HAProxy",
        &["use_backend", "default_backend"],
        "a rule has `target` or `upstream`, and the last rule may have no condition",
    ),
    row("HAProxy and Traefik", &["backend", "backends"], "write `upstreams`, each with `targets`"),
    row(
        "Traefik and Caddy",
        &["services", "service", "loadBalancer", "load_balancing"],
        "write `upstreams: { NAME: { targets: [...] } }`, or `target` in the rule",
    ),
    row(
        "nginx, HAProxy and Traefik",
        &["server", "servers"],
        "a host is `host` of a rule in `rules`; a destination is `target`",
    ),
    row("Caddy", &["reverse_proxy", "dial"], "a rule has `target: \"http://host:port\"`"),
    row(
        "Envoy",
        &["clusters", "cluster", "load_assignment", "lb_endpoints"],
        "write `upstreams`, each with `targets`",
    ),
    row(
        "several proxies",
        &["destination", "dest", "forward_to", "proxy", "proxy_to", "url"],
        "a rule has `target: \"http://host:port\"`",
    ),
    // Which requests a rule takes.
    row("nginx", &["server_name"], "a rule has `host: NAME` or `host: [NAME, ...]`"),
    row(
        "nginx",
        &["location", "locations"],
        "a rule has `path_prefix: \"/path\"`; each location is an entry of `rules`",
    ),
    row("Traefik", &["rule"], "a rule has `host`, `path_prefix` and `methods` instead of an expression"),
    row(
        "Traefik and Envoy",
        &["routers", "router", "routes", "route", "virtual_hosts", "domains"],
        "write a list `rules` on the listener, or `http_routes` at the top",
    ),
    row("Caddy", &["match", "handle", "matcher"], "a rule has `host`, `path_prefix` and `methods`"),
    row(
        "several proxies",
        &["hostname", "domain", "vhost"],
        "a rule has `host: NAME` or `host: [NAME, ...]`",
    ),
    row("several proxies", &["paths", "prefix", "pathPrefix", "uri"], "a rule has `path_prefix: \"/path\"`"),
    row("HAProxy", &["acl"], "a rule has `host`, `path_prefix` and `methods`"),
    row("Traefik", &["priority"], "rules are tried in the order in which they are written"),
    // Where clients come in.
    row("nginx and Caddy", &["listen"], "write `bind: \":80\"`; in `http_config` it is `port`"),
    row("Traefik", &["entryPoints", "entrypoints"], "write `listeners`, each with `name` and `bind`"),
    row("HAProxy", &["frontend", "frontends"], "write `listeners`, each with `name`, `bind` and `rules`"),
    row(
        "Envoy",
        &["filter_chains", "filters", "static_resources", "dynamic_resources"],
        "write `listeners`, each with `bind` and `rules`",
    ),
    row(
        "several proxies",
        &["address", "addr", "bind_address", "socket_address"],
        "a listener has `bind: \"ADDRESS:PORT\"`",
    ),
    row(
        "nginx, Traefik, HAProxy and Caddy",
        &["http", "stream", "apps", "global", "defaults", "events"],
        "there is no such level: `listeners` and `upstreams` stand at the top",
    ),
    // Changes on the way.
    row(
        "Traefik",
        &["middlewares", "middleware"],
        "there are none: `strip_path_prefix`, `redirect` and `redirect_to_https` are keys of rules and listeners",
    ),
    row("Traefik", &["stripPrefix"], "a rule with `path_prefix` has `strip_path_prefix: true`"),
    row(
        "Caddy",
        &["handle_path", "uri_strip_prefix"],
        "a rule with `path_prefix` has `strip_path_prefix: true`",
    ),
    row(
        "Traefik, Caddy and HAProxy",
        &[
            "headers",
            "header",
            "header_up",
            "header_down",
            "customRequestHeaders",
            "requestHeaders",
            "set_header",
        ],
        "rules change no headers; only `respond` has `headers`",
    ),
    row(
        "nginx",
        &["proxy_set_header", "add_header"],
        "`pass_host: true` keeps the Host; X-Forwarded-For and its like are always set; others cannot be set",
    ),
    row("Traefik", &["passHostHeader"], "write `pass_host: true` on the rule"),
    row("nginx", &["rewrite", "return"], "a rule has `redirect: { to: URL }` or `respond: { status: 404 }`"),
    row(
        "Traefik",
        &["redirectScheme", "redirectRegex", "redirections"],
        "a listener has `redirect_to_https: true`, a rule has `redirect`",
    ),
    row(
        "HAProxy",
        &["http-request", "http-response", "mode", "balance"],
        "`protocol` is `http` or `tcp`; a rule has `redirect`, `respond` or `drop`",
    ),
    // Files, certificates, limits.
    row(
        "nginx and Caddy",
        &["root", "file_server", "try_files", "index", "alias", "autoindex"],
        "a rule has `files: FOLDER`, or `files: { root: FOLDER, index: index.html, fallback: /index.html, list: true }`",
    ),
    row(
        "nginx",
        &["ssl_certificate", "ssl_certificate_key", "ssl"],
        "write `tls: { certificates: [{ cert: FILE, key: FILE }] }` on the listener",
    ),
    row(
        "Traefik",
        &["certResolver", "certresolver", "certificatesResolvers", "acme"],
        "certificates are read from files: `tls: { certificates: [...] }` on the listener",
    ),
    row(
        "Caddy",
        &["automatic_https", "issuer", "issuers"],
        "certificates are read from files: `tls: { certificates: [...] }` on the listener",
    ),
    row("nginx", &["client_max_body_size"], "write `max_body: 10MiB` on the listener or the rule"),
    row(
        "nginx",
        &[
            "proxy_read_timeout",
            "proxy_send_timeout",
            "proxy_connect_timeout",
            "send_timeout",
            "keepalive_timeout",
            "client_header_timeout",
        ],
        "write `response_timeout`, `body_timeout`, `connect_timeout`, `idle_timeout` or `header_timeout`",
    ),
    row(
        "HAProxy and Envoy",
        &["timeout", "timeouts", "connectTimeout"],
        "write `response_timeout`, `body_timeout`, `connect_timeout`, `idle_timeout` or `header_timeout`",
    ),
    row(
        "nginx and HAProxy",
        &["worker_processes", "nbthread", "worker_connections", "maxconn"],
        "write `workers` and `max_connections` at the top",
    ),
    row("Traefik", &["accessLog"], "write `access_log: stdout` at the top"),
    row("nginx", &["error_log"], "the log goes to standard error; write `log_level: info` at the top"),
    row(
        "Traefik and Envoy",
        &["providers", "api", "ping", "admin"],
        "files are named on the command line; the API is `internal_api`",
    ),
    row("nginx", &["include"], "name several files, or a folder, with `-c`"),
];

/// The hint for a key that is not known where it stands, if another proxy has it.
pub(crate) fn write_instead(key: &str) -> Option<String> {
    let Foreign { of, write, .. } = FOREIGN.iter().find(|row| row.keys.contains(&key))?;
    Some(format!("a key of {of}. Here {write}; see {PAGE}"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::{MemoryInputs, load};

    #[test]
    fn each_key_has_one_row_and_an_error_with_its_place() {
        let mut seen = HashSet::new();
        // None of them is a key of a certificate, and hardly any looks like one.
        for key in FOREIGN.iter().flat_map(|row| row.keys) {
            assert!(seen.insert(*key), "{key} twice");
            let text =
                format!("http_config:\n  port: 1\n  tls: {{ certificates: [{{ {key}: a, path: b }}] }}\n");
            let errors =
                load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", &text)).unwrap_err().to_string();
            assert!(
                errors.contains(&format!("`{key}` is not a key of a certificate\n --> a.yml:3:27\n")),
                "{errors}"
            );
            // `paths` is nearly one.
            let is_near = *key == "paths" && errors.contains("did you mean `path`?");
            assert!(is_near || errors.contains(&write_instead(key).unwrap()), "{errors}");
        }
    }
}
