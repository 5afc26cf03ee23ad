//! Work of a listener before its rules, in words.

use std::fmt::Display;

use super::listener::{
    AmbiguousPaths, CertificateFiles, CertificateSource, ClientAuth, ClientAuthMode, ClientGone,
    HttpListener, HttpSettings, Listener, ListenerTls, Protocol, RedirectToHttps, TlsSettings, TlsVersion,
};
use super::policies::RequestLimit;
use super::rule::Rule;

/// The steps of a connection and a request before the first rule is tried, in their order, one line each.
pub fn steps(listener: &Listener) -> Vec<String> {
    let Listener { name: _, origin: _, binds: _, protocol, tls, accept_proxy_protocol, shutdown_timeout: _ } =
        listener;
    let mut said = Vec::new();
    if !accept_proxy_protocol.is_empty() {
        said.push(format!("PROXY header required from {}", list(accept_proxy_protocol)));
    }
    if let Some(tls) = tls {
        if listener.rules().iter().any(Rule::decides_by_name) {
            said.push("server name: rules with `pass` or `drop` decide before TLS".to_owned());
        }
        said.extend(of_tls(tls));
    }
    if let Protocol::Http(http) = protocol {
        said.extend(of_http(http));
    }
    said
}

fn of_tls(tls: &ListenerTls) -> Vec<String> {
    let ListenerTls {
        certificates,
        default_certificate,
        ordered,
        client_auth: common,
        settings: TlsSettings { min_version, handshake_timeout },
    } = tls;
    let version = if *min_version == TlsVersion::V13 { "TLS 1.3" } else { "TLS 1.2 or 1.3" };
    let all: Vec<&CertificateSource> = certificates.iter().chain(default_certificate).collect();
    let mut files = all.iter().map(|source| file(source)).collect::<Vec<_>>();
    files.extend(ordered.iter().map(|_| "ordered ones for the other hosts".to_owned()));
    let certificates = if files.is_empty() { "none".to_owned() } else { files.join(", ") };
    let mut said = vec![format!("{version} within {handshake_timeout:?}, certificates: {certificates}")];
    said.extend(common.as_ref().map(|auth| client_auth(auth)));
    // Certificates without a `client_auth` of their own have that of the listener.
    let own = all.iter().filter(|source| source.client_auth != *common);
    said.extend(own.map(|source| {
        let demand = source.client_auth.as_ref().map(|auth| client_auth(auth));
        let demand = demand.unwrap_or_else(|| "no client certificate".to_owned());
        format!("{demand}, for the names of {}", file(source))
    }));
    said
}

fn of_http(http: &HttpListener) -> Vec<String> {
    let HttpListener {
        rules: _,
        settings,
        trusted_proxies,
        client_gone,
        redirect_to_https,
        max_requests,
        pages,
    } = http;
    let HttpSettings {
        header_timeout,
        idle_timeout,
        head_bytes_max: bytes,
        head_fields_max: fields,
        target_bytes_max: target,
        ambiguous_paths,
        http2,
    } = settings;
    let mut said = vec![format!(
        "limits: head of {bytes} bytes and {fields} fields within {header_timeout:?}, target of {target} bytes, idle for {idle_timeout:?}",
    )];
    if !trusted_proxies.is_empty() {
        said.push(format!("X-Forwarded-* and Forwarded kept from {}", list(trusted_proxies)));
    }
    if *ambiguous_paths == AmbiguousPaths::Allow {
        said.push("paths that a target may read as guarded ones are forwarded".to_owned());
    }
    if !*http2 {
        said.push("no HTTP/2".to_owned());
    }
    if *client_gone == ClientGone::Fin {
        said.push("a client that ends its side is gone".to_owned());
    }
    if let Some(RedirectToHttps { status, port }) = redirect_to_https {
        said.push(format!(
            "redirect_to_https {status} to port {port}, except for ACME challenges and `in_the_clear` rules"
        ));
    }
    if let Some(pages) = pages {
        said.push(format!("pages for browsers: {pages}"));
    }
    if let Some(limit) = max_requests {
        let RequestLimit { requests, waiting, timeout } = &**limit;
        said.push(match waiting {
            0 => format!("at most {requests} requests at once"),
            _ => format!("at most {requests} requests at once, and {waiting} that wait for {timeout:?}"),
        });
    }
    said
}

fn client_auth(auth: &ClientAuth) -> String {
    let ClientAuth { origin: _, ca, mode } = auth;
    let mode = if *mode == ClientAuthMode::Required { "required" } else { "optional" };
    format!("client certificate {mode}, authorities: {}", ca.display())
}

fn file(source: &CertificateSource) -> String {
    let (CertificateFiles::Pair { cert: file, .. } | CertificateFiles::Path(file)) = &source.files;
    file.display().to_string()
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
