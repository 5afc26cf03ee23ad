//! A plan as native YAML, in the long form.

use std::fmt::{Display, Write};
use std::path::Path;

use super::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, Action, CertificateFiles, ClientAuth, ClientAuthMode,
    HttpListener, Listener, ListenerTls, LogFormat, LogLevel, Pass, Plan, Protocol, Proxy, ProxyProtocol,
    RedirectToHttps, Rule, Scheme, Target, TlsVersion, Upstream,
};
use super::values::scalar::{show_duration, show_size};

/// The whole plan, defaults included. Loading the result gives an equal plan, except for places and for the token,
/// which is not shown.
pub fn view(plan: &Plan) -> String {
    let mut out = Yaml::default();
    out.line(0, "log_level", level(plan.log.level));
    out.line(0, "log_format", if plan.log.format == LogFormat::Json { "json" } else { "human" });
    if let Some(log) = &plan.log.access {
        out.line(0, "access_log", access_log(log));
    }
    if let Some(workers) = plan.workers {
        out.line(0, "workers", workers);
    }
    out.line(0, "max_connections", plan.max_connections);
    out.line(0, "shutdown_timeout", show_duration(plan.shutdown_timeout));
    if plan.watch {
        out.line(0, "watch", true);
    }
    out.open(0, "internal_api");
    out.line(1, "bind", quote(&plan.internal_api.bind.to_string()));
    if plan.internal_api.token.is_some() {
        out.line(1, "token", quote("[redacted]"));
    }
    out.list(0, "listeners", &plan.listeners, |out, listener| write_listener(out, listener, plan));
    if !plan.upstreams.is_empty() {
        out.open(0, "upstreams");
        plan.upstreams.iter().for_each(|upstream| write_upstream(&mut out, upstream));
    }
    out.0
}

/// The text, and the one way to write a line.
#[derive(Default)]
struct Yaml(String);

impl Yaml {
    fn line(&mut self, depth: usize, key: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:1$}{key}: {value}", "", depth * 2);
    }

    fn open(&mut self, depth: usize, key: &str) {
        let _ = writeln!(self.0, "{:1$}{key}:", "", depth * 2);
    }

    /// `key:` and one `- ` for each item. `write` puts the lines of an item two levels deeper.
    fn list<T>(&mut self, depth: usize, key: &str, items: &[T], write: impl Fn(&mut Yaml, &T)) {
        if items.is_empty() {
            return;
        }
        self.open(depth, key);
        for item in items {
            let start = self.0.len();
            write(self, item);
            let dash = start + depth * 2 + 2;
            self.0.replace_range(dash..dash + 1, "-");
        }
    }
}

fn write_listener(out: &mut Yaml, listener: &Listener, plan: &Plan) {
    out.line(2, "name", quote(&listener.name));
    out.line(2, "bind", list(listener.binds.iter()));
    out.line(2, "protocol", if matches!(listener.protocol, Protocol::Tcp(_)) { "tcp" } else { "http" });
    out.line(2, "shutdown_timeout", show_duration(listener.shutdown_timeout));
    if !listener.accept_proxy_protocol.is_empty() {
        out.line(2, "accept_proxy_protocol", list(listener.accept_proxy_protocol.iter()));
    }
    if let Some(tls) = &listener.tls {
        write_tls(out, tls);
    }
    match &listener.protocol {
        Protocol::Tcp(tcp) => {
            out.line(2, "upstream", quote(&plan.upstreams[tcp.upstream.0].name));
            write_proxy_protocol(out, 2, tcp);
            out.line(2, "idle_timeout", show_duration(tcp.idle_timeout));
        }
        Protocol::Http(http) => write_http(out, http, plan),
    }
}

fn write_tls(out: &mut Yaml, tls: &ListenerTls) {
    out.open(2, "tls");
    out.list(3, "certificates", &tls.certificates, |out, one| {
        match &one.files {
            CertificateFiles::Path(file) => out.line(5, "path", path(file)),
            CertificateFiles::Pair { cert, key } => {
                out.line(5, "cert", path(cert));
                out.line(5, "key", path(key));
            }
        }
        if let Some(auth) =
            one.client_auth.as_deref().filter(|auth| Some(*auth) != tls.client_auth.as_deref())
        {
            out.line(5, "client_auth", client_auth(auth));
        }
    });
    match tls.default_certificate.as_ref().map(|one| &one.files) {
        Some(CertificateFiles::Path(file)) => out.line(3, "default_certificate", path(file)),
        Some(CertificateFiles::Pair { cert, key }) => {
            let pair = format!("{{ cert: {}, key: {} }}", path(cert), path(key));
            out.line(3, "default_certificate", pair);
        }
        None => {}
    }
    out.line(3, "min_version", quote(if tls.min_version == TlsVersion::V13 { "1.3" } else { "1.2" }));
    if let Some(auth) = &tls.client_auth {
        out.line(3, "client_auth", client_auth(auth));
    }
    out.line(3, "handshake_timeout", show_duration(tls.handshake_timeout));
}

fn client_auth(auth: &ClientAuth) -> String {
    let mode = if auth.mode == ClientAuthMode::Required { "required" } else { "optional" };
    format!("{{ ca: {}, mode: {mode} }}", path(&auth.ca))
}

fn write_http(out: &mut Yaml, http: &HttpListener, plan: &Plan) {
    out.line(2, "header_timeout", show_duration(http.header_timeout));
    out.line(2, "idle_timeout", show_duration(http.idle_timeout));
    out.line(2, "head_bytes_max", show_size(http.head.bytes as u64));
    out.line(2, "head_fields_max", http.head.fields);
    out.line(2, "target_bytes_max", show_size(http.head.target as u64));
    if !http.trusted_proxies.is_empty() {
        out.line(2, "trusted_proxies", list(http.trusted_proxies.iter()));
    }
    if let Some(RedirectToHttps { status, port }) = http.redirect_to_https {
        out.line(2, "redirect_to_https", format_args!("{{ status: {status}, port: {port} }}"));
    }
    out.list(2, "rules", &http.rules, |out, rule| write_rule(out, rule, plan));
}

fn write_rule(out: &mut Yaml, rule: &Rule, plan: &Plan) {
    out.line(4, "name", quote(&rule.name));
    if !rule.hosts.is_empty() {
        out.line(4, "host", list(rule.hosts.iter()));
    }
    if !matches!(rule.action, Action::Pass(_)) {
        out.line(4, "path_prefix", quote(&rule.path_prefix));
    }
    if !rule.methods.is_empty() {
        out.line(4, "methods", list(rule.methods.iter()));
    }
    if rule.in_the_clear {
        out.line(4, "in_the_clear", true);
    }
    match &rule.action {
        Action::Proxy(proxy) => write_proxy(out, proxy, plan),
        Action::Redirect(redirect) => {
            out.line(
                4,
                "redirect",
                format_args!("{{ to: {}, status: {} }}", quote(&redirect.to), redirect.status),
            );
        }
        Action::Pass(pass) => {
            out.line(
                4,
                "pass",
                format_args!("{{ upstream: {} }}", quote(&plan.upstreams[pass.upstream.0].name)),
            );
            write_proxy_protocol(out, 4, pass);
            out.line(4, "tunnel_timeout", show_duration(pass.idle_timeout));
        }
        Action::Drop => out.line(4, "drop", true),
        Action::Respond(respond) => {
            out.open(4, "respond");
            out.line(5, "status", respond.status);
            if !respond.headers.is_empty() {
                out.open(5, "headers");
                write_headers(out, &respond.headers);
            }
            out.line(5, "body", quote(&respond.body));
        }
    }
}

fn write_proxy_protocol(out: &mut Yaml, depth: usize, pass: &Pass) {
    if let Some(version) = pass.send_proxy_protocol {
        out.line(depth, "send_proxy_protocol", if version == ProxyProtocol::V1 { "v1" } else { "v2" });
    }
}

/// Writes fields. Those of one name are side by side in a plan, because one key with a list wrote them.
fn write_headers(out: &mut Yaml, headers: &[(std::sync::Arc<str>, std::sync::Arc<str>)]) {
    for same in headers.chunk_by(|a, b| a.0 == b.0) {
        out.line(6, &quote_key(&same[0].0), list(same.iter().map(|(_, value)| value)));
    }
}

fn write_proxy(out: &mut Yaml, proxy: &Proxy, plan: &Plan) {
    out.line(4, "upstream", quote(&plan.upstreams[proxy.upstream.0].name));
    out.line(4, "pass_host", proxy.pass_host);
    out.line(4, "strip_path_prefix", proxy.strip_path_prefix);
    out.line(4, "max_body", proxy.max_body.map_or_else(|| "unlimited".into(), show_size));
    out.line(4, "body_timeout", show_duration(proxy.body_timeout));
    out.line(4, "response_timeout", show_duration(proxy.response_timeout));
    out.line(4, "tunnel_timeout", show_duration(proxy.tunnel_timeout));
}

fn write_upstream(out: &mut Yaml, upstream: &Upstream) {
    out.open(1, &quote_key(&upstream.name));
    out.line(2, "targets", list(upstream.targets.iter().map(target)));
    let tls = &upstream.tls;
    if *tls != Default::default() {
        out.open(2, "tls");
        if let Some(ca) = &tls.ca {
            out.line(3, "ca", path(ca));
        }
        if tls.insecure_skip_verify {
            out.line(3, "insecure_skip_verify", true);
        }
        if let Some(sni) = &tls.sni {
            out.line(3, "sni", quote(sni));
        }
    }
    out.line(2, "connect_timeout", show_duration(upstream.connect_timeout));
    out.line(2, "tries", upstream.tries);
    out.line(2, "idle_timeout", show_duration(upstream.idle_timeout));
}

/// A target with its scheme, even if the listener would give it.
fn target(target: &Target) -> String {
    if target.scheme == Scheme::Tcp { format!("tcp://{target}") } else { target.to_string() }
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

fn access_log(log: &AccessLog) -> String {
    let to = match &log.to {
        AccessLogTo::Stdout => "stdout".to_owned(),
        AccessLogTo::File(file) => path(file),
    };
    let format = if log.format == AccessLogFormat::Json { "json" } else { "combined" };
    format!("{{ to: {to}, format: {format} }}")
}

fn path(path: &Path) -> String {
    quote(&path.display().to_string())
}

fn list<T: Display>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| quote(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A value in double quotes. `$` is doubled, so that nothing is filled in.
fn quote(text: &str) -> String {
    quote_key(text).replace('$', "$$")
}

/// A key in double quotes. Nothing is ever filled in there.
fn quote_key(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}
