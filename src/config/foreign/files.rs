//! Whole files of other proxies and in other languages. One error names the kind of file, instead of many about its
//! lines.

use std::path::Path;

use super::keys::PAGE;
use crate::config::diagnostics::Span;
use crate::config::syntax::{Node, Value};

/// A file that is no configuration of smolgate.
pub(crate) struct ForeignFile {
    pub(crate) message: String,
    pub(crate) hint: String,
    /// The bytes that tell it.
    start: usize,
    end: usize,
}

impl ForeignFile {
    /// The place that tells the kind of file.
    pub(crate) fn span(&self, file: u32) -> Span {
        Span { file, start: self.start as u32, end: self.end as u32 }
    }

    fn of_variables((start, end): (usize, usize)) -> Self {
        let message = "this is a file of environment variables, and no configuration of smolgate".to_owned();
        let hint =
            "start the gate with these variables; a configuration names one as `${env:NAME}`".to_owned();
        Self { message, hint, start, end }
    }

    fn of_proxy(kind: &str, (start, end): (usize, usize)) -> Self {
        let message = format!("this is {kind}, and no configuration of smolgate");
        Self { message, hint: format!("{PAGE} shows such a file and ours side by side"), start, end }
    }

    fn in_language(language: &str, (start, end): (usize, usize)) -> Self {
        let message = format!("this is {language}, and a configuration of smolgate is YAML");
        let hint = format!("write `key: value`; {PAGE} shows files of other proxies and ours side by side");
        Self { message, hint, start, end }
    }
}

/// The first words of a line in nginx.conf.
const NGINX: [&str; 18] = [
    "user",
    "worker_processes",
    "worker_rlimit_nofile",
    "error_log",
    "pid",
    "load_module",
    "events",
    "http",
    "stream",
    "server",
    "upstream",
    "location",
    "include",
    "map",
    "geo",
    "split_clients",
    "types",
    "mail",
];

/// Directives of Caddy that may follow an address without a block.
const CADDY: [&str; 14] = [
    "reverse_proxy",
    "file_server",
    "respond",
    "root",
    "redir",
    "encode",
    "tls",
    "php_fastcgi",
    "handle",
    "handle_path",
    "route",
    "import",
    "log",
    "header",
];

/// The sections of haproxy.cfg.
const HAPROXY: [&str; 7] = ["global", "defaults", "frontend", "backend", "listen", "resolvers", "userlist"];

/// Tells a file that is not YAML by its first line that is neither empty nor a comment, or by its name.
pub(crate) fn of_text(path: &Path, text: &str) -> Option<ForeignFile> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (first, second) = (lines.next()?, lines.next().unwrap_or_default());
    let start = first.as_ptr().addr() - text.as_ptr().addr();
    let place = (start, start + first.len());
    let word = first.split([' ', '\t']).next().unwrap_or_default();
    let is_key = word.ends_with(':') || word.contains(": ");
    let ends = |end: &str| first.ends_with(end);
    let has = |part: &str| text.contains(part);
    if first.starts_with('<') {
        return Some(ForeignFile::in_language("XML", place));
    }
    if first.starts_with("//")
        || first.starts_with("/*")
        || path.extension().is_some_and(|name| name == "json5")
    {
        return Some(ForeignFile::in_language("JSON5", place));
    }
    if is_variable(first) {
        return Some(ForeignFile::of_variables(place));
    }
    if is_toml(first) {
        let is_traefik = ["[http.routers", "[entryPoints", "[providers", "[tcp.routers", "[http.services"];
        return Some(match is_traefik.into_iter().any(has) {
            true => ForeignFile::of_proxy("a file of Traefik in TOML", place),
            false => ForeignFile::in_language("TOML", place),
        });
    }
    if is_key {
        return None;
    }
    let is_directive = word.chars().all(|char| char.is_ascii_lowercase() || char == '_');
    let is_nginx = NGINX.contains(&word) && (ends("{") || second == "{") || is_directive && ends(";");
    if is_nginx && word != first {
        return Some(ForeignFile::of_proxy("a file of nginx", place));
    }
    if HAPROXY.contains(&word) && !first.contains([':', '{']) && !second.starts_with('{') {
        return Some(ForeignFile::of_proxy("a file of HAProxy", place));
    }
    let is_caddyfile = path.file_name().is_some_and(|name| name == "Caddyfile");
    let opens_block = ends(" {") || first == "{" && !second.contains(':') && !second.starts_with(['"', '}']);
    let is_site = CADDY.contains(&second.split([' ', '\t']).next().unwrap_or_default());
    if is_caddyfile || is_site || opens_block && !second.is_empty() {
        return Some(ForeignFile::of_proxy("a Caddyfile", place));
    }
    None
}

/// Whether a line sets a variable in the usual form: `NAME=value`, in capitals and without spaces.
fn is_variable(line: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|char: char| char.is_ascii_uppercase())
            && name.chars().all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_')
    };
    let line = line.strip_prefix("export ").unwrap_or(line);
    line.split_once('=').is_some_and(|(name, value)| is_name(name) && !value.starts_with(' '))
}

/// Whether a line is a table or a pair of TOML.
fn is_toml(line: &str) -> bool {
    let is_name = |name: &str| {
        let name = name.trim();
        !name.is_empty() && name.chars().all(|char| char.is_alphanumeric() || "_-.\"'".contains(char))
    };
    let table = line.split('#').next().unwrap_or_default().trim();
    let table = table.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let table =
        table.map(|name| name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name));
    table.is_some_and(is_name) || line.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Keys at the top that tell a file, each with a key below it where the first alone is not enough.
const TREES: &[(&str, &[&str], &str)] = &[
    ("http", &["routers", "services", "middlewares", "serversTransports"], "a dynamic file of Traefik"),
    ("tcp", &["routers", "services", "middlewares"], "a dynamic file of Traefik"),
    ("udp", &["routers", "services"], "a dynamic file of Traefik"),
    ("tls", &["certificates", "options", "stores"], "a dynamic file of Traefik"),
    ("entryPoints", &[], "a static file of Traefik"),
    ("providers", &[], "a static file of Traefik"),
    ("certificatesResolvers", &[], "a static file of Traefik"),
    ("apps", &["http", "tls", "layer4"], "a file of Caddy in JSON"),
    ("static_resources", &[], "a file of Envoy"),
    ("dynamic_resources", &[], "a file of Envoy"),
    ("apiVersion", &[], "a manifest of Kubernetes"),
];

/// Tells a file of another proxy by its keys.
pub(crate) fn of_tree(root: &Node) -> Option<ForeignFile> {
    let Value::Map(entries) = &root.value else { return None };
    entries.iter().find_map(|(key, node)| {
        let has = |below: &[&str]| below.is_empty() || below.iter().any(|name| node.get(name).is_some());
        let (_, _, kind) = TREES.iter().find(|(name, below, _)| key.value == *name && has(below))?;
        Some(ForeignFile::of_proxy(kind, (key.span.start as usize, key.span.end as usize)))
    })
}

#[cfg(test)]
mod tests {
    use crate::config::dialects::DIALECTS;
    use crate::config::{MemoryInputs, load};

    fn errors(name: &str, text: &str) -> Option<String> {
        load(&[name.into()], &MemoryInputs::new().file(name, text)).err().map(|errors| errors.to_string())
    }

    #[test]
    fn one_error_names_the_kind_of_file() {
        for (name, text, kind) in [
            ("nginx.conf", "user www-data;\nevents { }\nhttp { server { listen 80; } }\n", "a file of nginx"),
            (
                "a.yml",
                "# mine\n\nserver {\n    listen 80;\n    location / { proxy_pass http://a; }\n}\n",
                "a file of nginx",
            ),
            ("a.yml", "upstream app\n{\n  server 127.0.0.1:80;\n}\n", "a file of nginx"),
            ("a.yml", "map $http_upgrade $c {\n  default upgrade;\n}\n", "a file of nginx"),
            ("a.yml", "geo $x {\n  default 0;\n}\n", "a file of nginx"),
            ("a.yml", "gzip on;\nserver { listen 80; }\n", "a file of nginx"),
            ("a.yml", "limit_req_zone $binary_remote_addr zone=a:10m rate=1r/s;\n", "a file of nginx"),
            ("a.yml", "proxy_cache_path /a keys_zone=a:10m;\n", "a file of nginx"),
            ("a.yml", "a.test\n\nreverse_proxy localhost:80\n", "a Caddyfile"),
            ("a.yml", ":8080\nreverse_proxy localhost:80\n", "a Caddyfile"),
            ("a.yml", "localhost\nfile_server\n", "a Caddyfile"),
            ("a.yml", "tls:\n  certificates: [{ certFile: a, keyFile: b }]\n", "a dynamic file of Traefik"),
            ("Caddyfile", "a.test\nreverse_proxy localhost:80\n", "a Caddyfile"),
            ("a.yml", "a.test, b.test {\n\treverse_proxy localhost:80\n}\n", "a Caddyfile"),
            ("a.yml", ":80 {\n\trespond hello\n}\n", "a Caddyfile"),
            ("a.yml", "{\n\temail a@a.test\n}\na.test {\n\trespond hello\n}\n", "a Caddyfile"),
            ("haproxy.cfg", "global\n    maxconn 100\ndefaults\n    mode http\n", "a file of HAProxy"),
            ("a.yml", "frontend http\n    bind :80\n", "a file of HAProxy"),
            (
                "a.yml",
                "http:\n  routers:\n    a: { rule: Host(`a.test`), service: a }\n",
                "a dynamic file of Traefik",
            ),
            ("a.yml", "tcp: { services: { a: {} } }\n", "a dynamic file of Traefik"),
            ("a.yml", "log: {}\nentryPoints: { web: { address: ':80' } }\n", "a static file of Traefik"),
            ("a.toml", "[http.routers.a]\n  rule = \"Host(`a.test`)\"\n", "a file of Traefik in TOML"),
            (
                "a.yml",
                "# static\n[entryPoints]\n  [entryPoints.web]\n  address = \":80\"\n",
                "a file of Traefik in TOML",
            ),
            ("a.json", "{\"apps\": {\"http\": {\"servers\": {}}}}", "a file of Caddy in JSON"),
            ("a.yml", "admin: {}\nstatic_resources: { listeners: [] }\n", "a file of Envoy"),
            ("a.yml", "apiVersion: v1\nkind: Service\n", "a manifest of Kubernetes"),
            ("a.toml", "workers = 2\n", "TOML"),
            ("a.yml", "[[listeners]] # one\nname = \"http\"\n", "TOML"),
            ("a.xml", "<?xml version=\"1.0\"?>\n<a/>\n", "XML"),
            ("a.json5", "{ workers: 2 }\n", "JSON5"),
            ("a.yml", "// mine\n{ workers: 2 }\n", "JSON5"),
        ] {
            // A dialect with a syntax of its own reads it.
            if kind == "JSON5" && DIALECTS.iter().any(|dialect| dialect.syntax.is_some()) {
                continue;
            }
            let errors = errors(name, text).unwrap_or_else(|| panic!("{text}"));
            assert!(errors.starts_with(&format!("error: this is {kind}, and ")), "{text}: {errors}");
            assert_eq!(errors.matches("error: ").count(), 1, "{errors}");
            assert!(
                errors.contains(&format!("\n --> {name}:")) && errors.contains("docs/migrate.md"),
                "{errors}"
            );
        }
    }

    #[test]
    fn a_file_of_variables_is_named_as_one() {
        for text in ["# a\nSMOLGATE_WATCH=1\n", "export A_1=\"b c\"\n", "A=\n"] {
            let errors = errors(".env", text).unwrap();
            assert!(errors.starts_with("error: this is a file of environment variables, and "), "{errors}");
            assert!(errors.contains("${env:NAME}"), "{errors}");
        }
    }

    #[test]
    fn other_files_are_not_taken_for_them() {
        for text in [
            "# nginx {\nhttp_config: { port: 1 }\n",
            "{ http_config: { port: 1 } }",
            "{\n  http_config: { port: 1 }\n}\n",
            "{\n  \"http_config\": {\"port\": 1}\n}\n",
            "tcp: { port: 1, target: 'a:1' }\n",
            "\"workers\": 2\nhttp_config: { port: 1 }\n",
            "--- # one\nhttp_config: { port: 1 }\n",
            "%YAML 1.2\n---\nhttp_config: { port: 1 }\n",
            "x-a: &a { b: 'c = d' }\nhttp_config: { port: 1 }\n",
        ] {
            assert_eq!(errors("a.yml", text), None, "{text}");
        }
        for text in [
            "server: a\n",
            "- a\n",
            "a\n",
            "a;\n",
            "a\nb\n",
            "global: a\n",
            "upstream: {\n",
            "[a, b]\n",
            "x=\"y\": 1\n",
        ] {
            let errors = errors("a.yml", text).unwrap();
            assert!(!errors.contains("this is a"), "{text}: {errors}");
        }
    }
}
