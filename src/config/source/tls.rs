//! `tls` of a listener as written: certificates, versions, client authentication.

use std::path::PathBuf;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{CertificateFiles, ClientAuthMode, TlsWritten};
use crate::config::syntax::{Node, Value};
use crate::config::values::ValueError;

/// The keys of `tls` on a listener.
pub(crate) struct TlsSource {
    pub(crate) span: Span,
    /// Whether none of the next three was written.
    pub(crate) names_none: bool,
    /// The place of `acme: true`.
    pub(crate) acme: Option<Span>,
    pub(crate) certificates: Vec<CertificateWritten>,
    pub(crate) default_certificate: Option<CertificateWritten>,
    pub(crate) client_auth: Option<ClientAuthWritten>,
    pub(crate) settings: TlsWritten,
}

/// One entry of `certificates`.
pub(crate) struct CertificateWritten {
    pub(crate) span: Span,
    pub(crate) files: CertificateFiles,
    pub(crate) client_auth: Option<ClientAuthWritten>,
}

/// `client_auth: {ca, mode}`.
#[derive(Clone)]
pub(crate) struct ClientAuthWritten {
    pub(crate) ca: Spanned<PathBuf>,
    pub(crate) mode: ClientAuthMode,
}

/// The key `tls` of a listener.
pub(super) fn listener_tls(fields: &mut MappingReader<'_, '_>) -> Option<TlsSource> {
    fields.field("tls", |decoder, node| {
        let mut fields = MappingReader::open(decoder, node, "`tls` of a listener")?;
        fields.not_here(
            &["ca", "insecure_skip_verify", "sni"],
            "is about TLS to targets",
            "write it beside the `target`; for certificates of clients it is `client_auth: { ca: ... }`",
        );
        let certificates = fields.field("certificates", |decoder, node| {
            Some(decoder.one_or_many(node, |decoder, node| certificate(decoder, node, true)))
        });
        let default_certificate =
            fields.field("default_certificate", |decoder, node| certificate(decoder, node, false));
        let acme = fields.field("acme", Decoder::flag).filter(|acme| acme.value).map(|acme| acme.span);
        let names_none = fields.at("certificates").is_none()
            && fields.at("default_certificate").is_none()
            && acme.is_none();
        let mut source = TlsSource {
            span: fields.span,
            names_none,
            acme,
            certificates: certificates.unwrap_or_default(),
            default_certificate,
            client_auth: fields.field("client_auth", client_auth),
            settings: TlsWritten::read(&mut fields),
        };
        let before = fields.decoder.report.count();
        fields.close();
        // A key that seems to be misspelt is not reported as missing too.
        source.names_none &= decoder.report.count() == before;
        Some(source)
    })
}

/// A path, or `{cert, key}`, or `{path}`. A default certificate has no names that clients could ask for, so it has
/// no `client_auth` either: that of the listener counts.
fn certificate(decoder: &mut Decoder<'_>, node: Node, with_auth: bool) -> Option<CertificateWritten> {
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let path = decoder.path(node)?;
        let files = CertificateFiles::Path(path.value);
        return Some(CertificateWritten { span: path.span, files, client_auth: None });
    }
    let mut fields = MappingReader::open(decoder, node, "a certificate")?;
    let (with_path, with_key) = (fields.at("path").is_some(), fields.at("key").is_some());
    if with_path {
        fields.not_here(&["cert", "key"], "means nothing beside `path`", "keep `cert` and `key`, or `path`");
    } else {
        fields.require(&["cert"]);
        if !with_key {
            let hint = "or `path` for a `.crt` or `.pem` with the `.key` of the same name beside it";
            fields.missing(&["key"], "a certificate needs `key`".into(), hint);
        }
    }
    let path = fields.field("path", Decoder::path);
    let cert = fields.field("cert", Decoder::path);
    let key = fields.field("key", Decoder::path);
    if !with_auth {
        let hint = "the listener's `client_auth` applies to names without a certificate";
        fields.not_here(&["client_auth"], "means nothing on a default certificate", hint);
    }
    let client_auth = fields.field("client_auth", client_auth);
    fields.close();
    let span = path.as_ref().or(cert.as_ref()).map_or(span, |path| path.span);
    let files = match (path, cert, key) {
        (Some(path), ..) => CertificateFiles::Path(path.value),
        (None, Some(cert), Some(key)) => CertificateFiles::Pair { cert: cert.value, key: key.value },
        _ => return None,
    };
    Some(CertificateWritten { span, files, client_auth })
}

fn client_auth(decoder: &mut Decoder<'_>, node: Node) -> Option<ClientAuthWritten> {
    let mut fields = MappingReader::open(decoder, node, "`client_auth`")?;
    fields.require(&["ca"]);
    let ca = fields.field("ca", Decoder::path);
    let mode = fields.parsed("mode", |text| match text {
        "required" => Ok(ClientAuthMode::Required),
        "optional" => Ok(ClientAuthMode::Optional),
        _ => Err(ValueError::hint("is not a mode", "write required or optional")),
    });
    fields.close();
    Some(ClientAuthWritten { ca: ca?, mode: mode.map_or(ClientAuthMode::Required, |mode| mode.value) })
}
