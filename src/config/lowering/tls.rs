//! TLS of listeners with everything filled in.

use std::sync::Arc;

use crate::config::diagnostics::Report;
use crate::config::plan::{
    CertificateFiles, CertificateSource, ClientAuth, ListenerTls, OrderedHosts, Protocol, Rule, TlsSettings,
};
use crate::config::source::{CertificateWritten, ClientAuthWritten, TlsSource};

/// Reports missing certificates. They are needed to terminate TLS, but not if the name in the client hello is
/// enough for every rule.
pub(super) fn check_certificates(tls: &TlsSource, protocol: &Protocol, report: &mut Report) {
    let ends_none = match protocol {
        Protocol::Http(http) => !http.rules.is_empty() && http.rules.iter().all(Rule::decides_by_name),
        Protocol::Tcp(_) => false,
    };
    if tls.names_none && !ends_none {
        let hint = "write for example `certificates: ./certs`, a folder of `.crt` and `.key` files";
        report.error_hint(tls.span, "`tls` of a listener needs `certificates` or `acme: true`", hint);
    }
}

/// `ordered` tells of the certificates that are ordered.
pub(super) fn lower(source: TlsSource, ordered: &Option<OrderedHosts>, report: &Report) -> ListenerTls {
    let demand = |written: ClientAuthWritten| {
        let ClientAuthWritten { ca, mode } = written;
        Arc::new(ClientAuth { origin: report.origin(ca.span), ca: ca.value, mode })
    };
    let client_auth = source.client_auth.map(demand);
    let certificate = |written: CertificateWritten| CertificateSource {
        origin: report.origin(written.span),
        files: written.files,
        client_auth: written.client_auth.map(demand).or_else(|| client_auth.clone()),
    };
    let certificates: Vec<_> = source.certificates.into_iter().map(certificate).collect();
    let default_certificate = source.default_certificate.map(certificate).map(|default| CertificateSource {
        files: listed_pair(&certificates, &default.files).unwrap_or(default.files),
        ..default
    });
    ListenerTls {
        certificates,
        default_certificate,
        ordered: source.acme.and(ordered.clone()),
        client_auth,
        settings: TlsSettings::default().with(&source.settings),
    }
}

/// The pair among the listed certificates whose chain is this path. So a default that is listed already needs no key.
fn listed_pair(listed: &[CertificateSource], default: &CertificateFiles) -> Option<CertificateFiles> {
    let CertificateFiles::Path(path) = default else { return None };
    let is_it =
        |files: &&CertificateFiles| matches!(files, CertificateFiles::Pair { cert, .. } if cert == path);
    listed.iter().map(|source| &source.files).find(is_it).cloned()
}
