//! `acme` as written.

use std::path::PathBuf;
use std::sync::Arc;

use super::acme_dns;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{
    ChallengeKind, CheckAt, DnsChallenge, EventProgram, KeyKind, Secret, WhileWaiting,
};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::ValueError;
use crate::config::values::authority::{directory, email, url};

/// `acme`, in the short form or in the long one.
#[derive(Default)]
pub(crate) struct AcmeSource {
    pub(crate) email: Option<Arc<str>>,
    /// Best first. Empty for the default.
    pub(crate) cas: Vec<AuthoritySource>,
    pub(crate) staging: Option<Span>,
    /// The challenges, each with its place.
    pub(crate) challenges: Vec<Spanned<ChallengeKind>>,
    pub(crate) dns: Option<DnsChallenge>,
    pub(crate) key: Option<KeyKind>,
    pub(crate) on_event: Option<EventProgram>,
    pub(crate) while_waiting: Option<WhileWaiting>,
    /// `None`: at public authorities.
    pub(crate) self_check: Option<bool>,
    pub(crate) self_check_at: CheckAt,
}

/// `ca`, or one of its list: a name, or `{directory, staging_directory, profile, root, eab}`.
pub(crate) struct AuthoritySource {
    pub(crate) span: Span,
    /// The index of a known one, or a URL.
    pub(crate) directory: Result<usize, Arc<str>>,
    pub(crate) staging: Option<Arc<str>>,
    pub(crate) profile: Option<Arc<str>>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) external_account: Option<(Arc<str>, Secret)>,
}

impl AuthoritySource {
    pub(crate) fn new(span: Span, directory: Result<usize, Arc<str>>) -> Self {
        Self { span, directory, staging: None, profile: None, root: None, external_account: None }
    }
}

/// An address of mail, or a mapping.
pub(super) fn acme(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<AcmeSource>> {
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let email = decoder.parsed(node, email)?;
        return Some(Spanned {
            value: AcmeSource { email: Some(email.value), ..AcmeSource::default() },
            span,
        });
    }
    let mut fields = MappingReader::open(decoder, node, "`acme`")?;
    fields.require(&["accept_terms"]);
    let accepts = fields.field("accept_terms", Decoder::flag);
    if let Some(accepts) = accepts.filter(|accepts| !accepts.value) {
        let hint = "a certificate authority issues nothing without it; leave `acme` out to order nothing";
        fields.decoder.report.error_hint(accepts.span, "`accept_terms` must be true", hint);
    }
    let email = fields.parsed("email", email).map(|email| email.value);
    let cas = fields.field("ca", |decoder, node| Some(decoder.one_or_many(node, authority)));
    let at = fields.at("staging");
    let staging = fields.flag("staging").then_some(at).flatten();
    let challenges = fields.field("challenges", |decoder, node| Some(decoder.parsed_many(node, challenge)));
    let has_dns = fields.at("dns");
    let dns = fields.field("dns", acme_dns::dns);
    let key = fields.parsed("key", key).map(|key| key.value);
    let on_event = fields.field("on_event", on_event);
    let while_waiting = fields.parsed("while_waiting", |text| match text {
        "self_signed" => Ok(WhileWaiting::SelfSigned),
        "refuse" => Ok(WhileWaiting::Refuse),
        _ => Err(ValueError::hint("is not known here", "write self_signed or refuse")),
    });
    let (self_check, self_check_at) = fields.field("self_check", self_check).unwrap_or_default();
    fields.close();
    let mut kinds: Vec<Spanned<ChallengeKind>> = Vec::new();
    for kind in challenges.into_iter().flatten() {
        if !kinds.iter().any(|known| known.value == kind.value) {
            kinds.push(kind);
        }
    }
    if let Some(kind) = kinds.iter().find(|kind| kind.value == ChallengeKind::Dns && has_dns.is_none()) {
        let hint = "write how records are written, for example `dns: { provider: exec, command: ./hook }`";
        decoder.report.error_hint(kind.span, "the challenge `dns` needs `dns` of `acme`", hint);
    }
    let while_waiting = while_waiting.map(|value| value.value);
    let source = AcmeSource {
        email,
        cas: cas.unwrap_or_default(),
        staging,
        challenges: kinds,
        dns,
        key,
        on_event,
        while_waiting,
        self_check,
        self_check_at,
    };
    Some(Spanned { value: source, span })
}

/// `self_check`: a flag, or `{resolvers, http_port, https_port}`, which means `true` too.
fn self_check(decoder: &mut Decoder<'_>, node: Node) -> Option<(Option<bool>, CheckAt)> {
    if !matches!(node.value, Value::Map(_)) {
        let flag = decoder.flag(node)?;
        return Some((Some(flag.value), CheckAt::default()));
    }
    let mut fields = MappingReader::open(decoder, node, "`self_check` of `acme`")?;
    let usual = CheckAt::default();
    let resolvers = acme_dns::addresses(&mut fields, "resolvers");
    let mut ports = ["http_port", "https_port"].map(|key| fields.parsed(key, port).map(|port| port.value));
    fields.close();
    let [http, https] = [ports[0].take(), ports[1].take()];
    let at = CheckAt {
        resolvers,
        http_port: http.unwrap_or(usual.http_port),
        https_port: https.unwrap_or(usual.https_port),
    };
    Some((Some(true), at))
}

/// `on_event`: a command, or `{command, environment}`.
fn on_event(decoder: &mut Decoder<'_>, node: Node) -> Option<EventProgram> {
    if !matches!(node.value, Value::Map(_)) {
        let command = acme_dns::command(decoder, node).filter(|command| !command.is_empty())?;
        return Some(EventProgram { command, environment: Vec::new() });
    }
    let mut fields = MappingReader::open(decoder, node, "`on_event` of `acme`")?;
    fields.require(&["command"]);
    let command = fields.field("command", acme_dns::command);
    let environment = acme_dns::environment(&mut fields);
    fields.close();
    Some(EventProgram { command: command.filter(|command| !command.is_empty())?, environment })
}

fn key(text: &str) -> Result<KeyKind, ValueError> {
    let known = KeyKind::ALL.into_iter().find(|kind| kind.word() == text);
    known.ok_or_else(|| ValueError::hint("is not a kind of key", "write p256, p384, rsa2048 or rsa4096"))
}

fn port(text: &str) -> Result<u16, ValueError> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| ValueError::hint("is not a port", "write a number from 1 to 65535"))
}

fn authority(decoder: &mut Decoder<'_>, node: Node) -> Option<AuthoritySource> {
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let directory = decoder.parsed(node, directory)?.value;
        return Some(AuthoritySource::new(span, directory));
    }
    let mut fields = MappingReader::open(decoder, node, "`ca` of `acme`")?;
    fields.require(&["directory"]);
    let directory = fields.parsed("directory", directory);
    let staging = fields.parsed("staging_directory", url).map(|url| url.value);
    let profile = fields.parsed("profile", profile).map(|profile| profile.value);
    let root = fields.field("root", Decoder::path).map(|root| root.value);
    let external_account = fields.field("eab", external_account);
    fields.close();
    Some(AuthoritySource { span, directory: directory?.value, staging, profile, root, external_account })
}

fn external_account(decoder: &mut Decoder<'_>, node: Node) -> Option<(Arc<str>, Secret)> {
    let mut fields = MappingReader::open(decoder, node, "`eab`")?;
    fields.require(&["kid"]);
    fields.require(&["hmac"]);
    let kid = fields.parsed("kid", |text| match text {
        "" => Err(ValueError::hint("is empty", "the certificate authority tells it")),
        text => Ok(Arc::from(text)),
    });
    let hmac = fields.field("hmac", |decoder, node| {
        mask_secret(&node, decoder.report);
        let text = decoder.text(node)?;
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
        // The message does not quote the key.
        if text.text.is_empty() || !text.text.bytes().all(is_digit) {
            decoder
                .report
                .error(text.span, "a key is written in base64 for URLs: letters, digits, `-` and `_`");
            return None;
        }
        Some(Secret(Arc::from(text.text)))
    });
    fields.close();
    Some((kid?.value, hmac?))
}

fn profile(text: &str) -> Result<Arc<str>, ValueError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match text.bytes().all(is_plain) && !text.is_empty() {
        true => Ok(text.into()),
        false => {
            Err(ValueError::hint("is not a profile", "the certificate authority names those that it has"))
        }
    }
}

fn challenge(text: &str) -> Result<ChallengeKind, ValueError> {
    match text {
        "http" | "http-01" => Ok(ChallengeKind::Http),
        "tls" | "tls-alpn-01" => Ok(ChallengeKind::Tls),
        "dns" | "dns-01" => Ok(ChallengeKind::Dns),
        _ => Err(ValueError::hint("is not a challenge", "write http, tls or dns")),
    }
}
