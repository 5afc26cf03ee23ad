//! A plan as native YAML, in the long form.
//!
//! Each function names every field of what it writes, so that the compiler finds it when there is another.

use super::keys::yaml::{list, quote};
use super::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, Action, CertificateFiles, CertificateSource, ClientAuth,
    ClientAuthMode, ClientGone, Files, HttpListener, InternalApi, Listener, ListenerTls, Pass, Plan,
    Protocol, Proxy, ProxyProtocol, Redirect, RedirectToHttps, Respond, Rule,
};
use super::rules_view::write_conditions;
use super::values::scalar::{show_duration, show_size};
use super::view_orders;
use super::view_upstreams::{write_plugin, write_upstream};
use super::yaml_writer::{Yaml, list_or_none, path, write_headers};

/// The whole plan, defaults included. Loading the result gives an equal plan, except for places and for secrets,
/// which are not shown.
pub fn view(plan: &Plan) -> String {
    let Plan {
        files: _,
        settings,
        access_log: access,
        access_log_origin: _,
        internal_api: InternalApi { bind, token, edits },
        orders,
        listeners,
        upstreams,
        plugins,
        // They are in no file: this many services are missing.
        rejected_services: _,
        // The rules say what it means.
        mode: _,
    } = plan;
    let mut out = Yaml::default();
    out.settings(0, settings.lines());
    out.line(0, "access_log", access.as_ref().map_or_else(|| "off".to_owned(), access_log));
    out.open(0, "internal_api");
    out.line(1, "bind", quote(&bind.to_string()));
    if token.is_some() {
        out.line(1, "token", quote("[redacted]"));
    }
    if let Some(edits) = edits {
        let place =
            edits.file().map_or_else(|| "memory".to_owned(), |path| quote(&path.display().to_string()));
        out.line(1, "edits", place);
    }
    if let Some(orders) = orders {
        view_orders::write(&mut out, orders);
    }
    out.list(0, "listeners", listeners, |out, listener| write_listener(out, listener, plan));
    if !upstreams.is_empty() {
        out.open(0, "upstreams");
        upstreams.iter().for_each(|upstream| write_upstream(&mut out, upstream));
    }
    if !plugins.is_empty() {
        out.open(0, "plugins");
        plugins.iter().for_each(|plugin| write_plugin(&mut out, plugin));
    }
    out.0
}

fn write_listener(out: &mut Yaml, listener: &Listener, plan: &Plan) {
    let Listener { name, origin: _, binds, protocol, tls, accept_proxy_protocol, shutdown_timeout } =
        listener;
    out.line(2, "name", quote(name));
    out.line(2, "bind", list(binds.iter()));
    out.line(2, "protocol", if matches!(protocol, Protocol::Tcp(_)) { "tcp" } else { "http" });
    out.line(2, "shutdown_timeout", show_duration(*shutdown_timeout));
    if !accept_proxy_protocol.is_empty() {
        out.line(2, "accept_proxy_protocol", list(accept_proxy_protocol.iter()));
    }
    if let Some(tls) = tls {
        write_tls(out, tls);
    }
    match protocol {
        Protocol::Tcp(Pass { upstream, send_proxy_protocol, idle_timeout, speed, plugins: _ }) => {
            out.line(2, "upstream", quote(&plan.upstreams[upstream.0].name));
            write_proxy_protocol(out, 2, *send_proxy_protocol);
            out.line(2, "idle_timeout", show_duration(*idle_timeout));
            speed.iter().for_each(|speed| out.line(2, "speed", speed));
        }
        Protocol::Http(http) => write_http(out, http, plan),
    }
}

fn write_tls(out: &mut Yaml, tls: &ListenerTls) {
    let ListenerTls { certificates, default_certificate, ordered, client_auth, settings } = tls;
    out.open(2, "tls");
    if ordered.is_some() {
        out.line(3, "acme", true);
    }
    out.list(3, "certificates", certificates, |out, one| {
        let CertificateSource { origin: _, files, client_auth: own } = one;
        match files {
            CertificateFiles::Path(file) => out.line(5, "path", path(file)),
            CertificateFiles::Pair { cert, key } => {
                out.line(5, "cert", path(cert));
                out.line(5, "key", path(key));
            }
        }
        if let Some(auth) = own.as_deref().filter(|own| Some(*own) != client_auth.as_deref()) {
            out.line(5, "client_auth", write_client_auth(auth));
        }
    });
    // Its `client_auth` is that of the listener.
    if let Some(CertificateSource { origin: _, files, client_auth: _ }) = default_certificate {
        let files = match files {
            CertificateFiles::Path(file) => path(file),
            CertificateFiles::Pair { cert, key } => format!("{{ cert: {}, key: {} }}", path(cert), path(key)),
        };
        out.line(3, "default_certificate", files);
    }
    if let Some(auth) = client_auth {
        out.line(3, "client_auth", write_client_auth(auth));
    }
    out.settings(3, settings.lines());
}

fn write_client_auth(auth: &ClientAuth) -> String {
    let ClientAuth { origin: _, ca, mode } = auth;
    let mode = if *mode == ClientAuthMode::Required { "required" } else { "optional" };
    format!("{{ ca: {}, mode: {mode} }}", path(ca))
}

fn write_http(out: &mut Yaml, http: &HttpListener, plan: &Plan) {
    let HttpListener {
        rules,
        settings,
        trusted_proxies,
        client_gone,
        redirect_to_https,
        max_requests,
        pages,
    } = http;
    out.settings(2, settings.lines());
    if !trusted_proxies.is_empty() {
        out.line(2, "trusted_proxies", list(trusted_proxies.iter()));
    }
    if *client_gone == ClientGone::Fin {
        out.line(2, "client_gone", "fin");
    }
    if let Some(RedirectToHttps { status, port }) = redirect_to_https {
        out.line(2, "redirect_to_https", format_args!("{{ status: {status}, port: {port} }}"));
    }
    if let Some(limit) = max_requests {
        out.line(2, "max_requests", limit);
    }
    if let Some(pages) = pages {
        out.line(2, "pages", pages);
    }
    out.list(2, "rules", rules, |out, rule| {
        write_rule(out, rule, plan);
        let shows_pages = rule.policies.as_ref().is_some_and(|policies| policies.pages.is_some());
        let acts_on_requests = !matches!(rule.action, Action::Pass(_) | Action::Drop);
        if pages.is_some() && !shows_pages && acts_on_requests {
            out.line(4, "pages", false);
        }
    });
}

fn write_rule(out: &mut Yaml, rule: &Rule, plan: &Plan) {
    let Rule {
        name,
        origin: _,
        hosts,
        path_prefix,
        methods,
        conditions,
        in_the_clear,
        acme,
        access_log,
        headers,
        policies,
        action,
    } = rule;
    out.line(4, "name", quote(name));
    if !hosts.is_empty() {
        out.line(4, "host", list(hosts.iter()));
    }
    if !matches!(action, Action::Pass(_)) && !rule.has_path_patterns() {
        out.line(4, "path_prefix", quote(path_prefix));
    }
    if !methods.is_empty() {
        out.line(4, "methods", list(methods.iter()));
    }
    if let Some(conditions) = conditions {
        write_conditions(out, conditions);
    }
    if *in_the_clear {
        out.line(4, "in_the_clear", true);
    }
    if !*acme {
        out.line(4, "acme", false);
    }
    if !*access_log {
        out.line(4, "access_log", false);
    }
    if let Some(headers) = headers {
        out.settings(4, headers.lines());
    }
    if let Some(policies) = policies {
        out.settings(4, policies.lines());
    }
    match action {
        Action::Proxy(proxy) => write_proxy(out, proxy, plan),
        Action::Redirect(Redirect { to, status }) => {
            out.line(4, "redirect", format_args!("{{ to: {}, status: {status} }}", quote(&to.to_string())));
        }
        Action::Pass(Pass { upstream, send_proxy_protocol, idle_timeout, speed, plugins }) => {
            let upstream = quote(&plan.upstreams[upstream.0].name);
            out.line(4, "pass", format_args!("{{ upstream: {upstream} }}"));
            write_proxy_protocol(out, 4, *send_proxy_protocol);
            out.line(4, "tunnel_timeout", show_duration(*idle_timeout));
            speed.iter().for_each(|speed| out.line(4, "speed", speed));
            plugins.iter().for_each(|plugins| out.line(4, "plugins", plugins));
        }
        Action::Files(files) => write_files(out, files),
        Action::Drop => out.line(4, "drop", true),
        Action::Respond(respond) => write_respond(out, respond),
    }
}

fn write_respond(out: &mut Yaml, Respond { status, headers, body, page }: &Respond) {
    out.open(4, "respond");
    out.line(5, "status", status);
    if !headers.is_empty() {
        out.open(5, "headers");
        write_headers(out, 6, headers);
    }
    match page {
        Some(page) => out.line(5, "page", path(&page.path)),
        None => out.line(5, "body", quote(&body.to_string())),
    }
}

fn write_files(out: &mut Yaml, files: &Files) {
    let Files {
        root,
        index,
        fallback,
        precompressed,
        hidden,
        symlinks,
        list,
        immutable,
        strip_path_prefix,
        body_timeout,
    } = files;
    out.open(4, "files");
    out.line(5, "root", path(root));
    out.line(5, "index", list_or_none(index.iter()));
    if let Some(fallback) = fallback {
        out.line(5, "fallback", quote(fallback));
    }
    out.line(5, "precompressed", list_or_none(precompressed.iter().map(|coding| coding.word())));
    out.line(5, "hidden", list_or_none(hidden.iter()));
    out.line(5, "symlinks", symlinks.word());
    out.line(5, "list", list);
    out.line(5, "immutable", list_or_none(immutable.iter()));
    out.line(4, "strip_path_prefix", strip_path_prefix);
    out.line(4, "body_timeout", show_duration(*body_timeout));
}

fn write_proxy_protocol(out: &mut Yaml, depth: usize, version: Option<ProxyProtocol>) {
    if let Some(version) = version {
        out.line(depth, "send_proxy_protocol", version.word());
    }
}

fn write_proxy(out: &mut Yaml, proxy: &Proxy, plan: &Plan) {
    let Proxy { upstream, pass_host, strip_path_prefix, rewrite, buffer_request, limits } = proxy;
    out.line(4, "upstream", quote(&plan.upstreams[upstream.0].name));
    out.line(4, "pass_host", pass_host);
    if rewrite.is_none() {
        out.line(4, "strip_path_prefix", strip_path_prefix);
    }
    if let Some(rewrite) = rewrite {
        out.line(4, "rewrite", quote(&rewrite.to_string()));
    }
    if let Some(size) = buffer_request {
        out.line(4, "buffer_request", show_size(*size));
    }
    out.settings(4, limits.lines());
}

fn access_log(log: &AccessLog) -> String {
    let AccessLog { to, format } = log;
    let to = match to {
        AccessLogTo::Stdout => "stdout".to_owned(),
        AccessLogTo::File(file) => path(file),
    };
    let format = match format {
        AccessLogFormat::Json => "json",
        AccessLogFormat::Combined => "combined",
        AccessLogFormat::Human => "human",
    };
    format!("{{ to: {to}, format: {format} }}")
}
