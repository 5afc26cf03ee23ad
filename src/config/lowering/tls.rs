//! TLS of listeners with everything filled in.

use std::sync::Arc;

use crate::config::diagnostics::Report;
use crate::config::plan::{CertificateSource, ClientAuth, ListenerTls, Protocol, Rule, TlsSettings};
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
        report.error_hint(tls.span, "`tls` of a listener needs `certificates`", hint);
    }
}

pub(super) fn lower(source: TlsSource, report: &Report) -> ListenerTls {
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
    ListenerTls {
        certificates: source.certificates.into_iter().map(certificate).collect(),
        default_certificate: source.default_certificate.map(certificate),
        client_auth,
        settings: TlsSettings::default().with(&source.settings),
    }
}
