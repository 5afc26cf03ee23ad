//! Upstreams as written: under `upstreams:`, and in place by `target:` or `targets:`.

use std::sync::Arc;

use super::upstream_policy::UpstreamPolicySource;
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Report, Span, Spanned, did_you_mean};
use crate::config::keys::ReadKey;
use crate::config::keys::shape::{DURATION, TIMEOUT};
use crate::config::plan::{UpstreamTls, UpstreamWritten};
use crate::config::syntax::{Node, Value};
use crate::config::values::target::{self, TargetText};
use crate::config::values::{balance, scalar};

/// One of `upstreams:`.
pub(crate) struct UpstreamSource {
    pub(crate) name: Spanned<Arc<str>>,
    pub(crate) targets: Vec<Spanned<TargetText>>,
    pub(crate) tls: Option<Spanned<UpstreamTls>>,
    pub(crate) settings: UpstreamWritten,
    pub(crate) policy: UpstreamPolicySource,
}

/// The upstream of a rule or a TCP listener.
#[derive(Clone)]
pub(crate) enum UpstreamUse {
    /// `upstream: name`.
    Named(Text),
    /// `target:`, `targets:`, or `upstream:` with a mapping.
    Inline(Box<Inline>),
}

/// Reports the name of an upstream that does not exist.
pub(crate) fn no_upstream<'n>(name: &Text, known: impl Iterator<Item = &'n str>, report: &mut Report) {
    let hint = match did_you_mean(&name.text, known) {
        Some(known) => format!("did you mean `{known}`?"),
        None if name.text.contains(':') => "it is an address: write `target` instead of `upstream`".into(),
        None => "write it under `upstreams`".into(),
    };
    report.error_hint(name.span, format!("there is no upstream {}", name.shown()), hint);
}

/// An upstream that is written where it is used.
#[derive(Clone)]
pub(crate) struct Inline {
    pub(crate) span: Span,
    pub(crate) targets: Vec<Spanned<TargetText>>,
    pub(crate) tls: Option<Spanned<UpstreamTls>>,
    pub(crate) settings: UpstreamWritten,
    pub(crate) policy: UpstreamPolicySource,
}

/// `upstreams:`, a mapping of names.
pub(super) fn upstreams(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<UpstreamSource>> {
    let Value::Map(entries) = node.value else {
        decoder.report.error_hint(node.span, "`upstreams` is a mapping", "write `name: { targets: [...] }`");
        return None;
    };
    let mut upstreams = Vec::new();
    for (key, node) in entries {
        let name = match scalar::name(&key.value) {
            Ok(name) => Spanned { value: name, span: key.span },
            Err(error) => {
                decoder.report.error(key.span, format!("this {}", error.problem));
                continue;
            }
        };
        upstreams.extend(upstream(decoder, name, node));
    }
    Some(upstreams)
}

fn upstream(decoder: &mut Decoder<'_>, name: Spanned<Arc<str>>, node: Node) -> Option<UpstreamSource> {
    let mut fields = MappingReader::open(decoder, node, "an upstream")?;
    // An empty mapping has no key to point at.
    fields.span = name.span;
    let Inline { span: _, targets, tls, settings, policy } = whole(fields);
    Some(UpstreamSource { name, targets, tls, settings, policy })
}

/// All keys of an upstream.
fn whole(mut fields: MappingReader<'_, '_>) -> Inline {
    fields.require(&["targets"]);
    let upstream = Inline {
        span: fields.at("targets").unwrap_or(fields.span),
        targets: fields.field("targets", targets).unwrap_or_default(),
        tls: tls(&mut fields),
        settings: UpstreamWritten::read(&mut fields),
        policy: UpstreamPolicySource::read(&mut fields),
    };
    fields.close();
    upstream
}

/// The value of `upstream`: a name, or a whole upstream in place.
pub(super) fn name_or_whole(decoder: &mut Decoder<'_>, node: Node) -> Option<UpstreamUse> {
    if !matches!(node.value, Value::Map(_)) {
        return decoder.text(node).map(UpstreamUse::Named);
    }
    let fields = MappingReader::open(decoder, node, "an upstream")?;
    Some(UpstreamUse::Inline(whole(fields).into()))
}

/// The keys `target`, `targets`, `upstream`, and those that go with a target in place. `with_tls` tells whether
/// `tls` is one of them. The caller has checked that exactly one of the three is there.
pub(super) fn upstream_use(fields: &mut MappingReader<'_, '_>, with_tls: bool) -> Option<UpstreamUse> {
    let span = ["target", "targets"].iter().find_map(|key| fields.at(key));
    let one = fields.field("target", |decoder, node| {
        if let Value::List(_) = node.value {
            decoder.report.error_hint(node.span, "`target` is one address", "write `targets: [...]`");
            return None;
        }
        decoder.parsed(node, target::target)
    });
    let many = fields.field("targets", targets);
    let upstream = fields.field("upstream", name_or_whole);
    let policy = UpstreamPolicySource::read_in_place(fields, with_tls);
    if fields.at("upstream").is_some() {
        let keys = if with_tls {
            &["tls", "connect_timeout", "balance", "sticky", "health", "hold", "starting"][..]
        } else {
            &["connect_timeout", "balance", "sticky", "health", "hold"]
        };
        fields.not_here(keys, "means nothing beside `upstream`", "write it at the upstream itself");
        return upstream;
    }
    let targets = one.into_iter().chain(many.into_iter().flatten()).collect();
    let tls = if with_tls { tls(fields) } else { None };
    let settings = in_place(fields);
    Some(UpstreamUse::Inline(Inline { span: span?, targets, tls, settings, policy }.into()))
}

/// The settings of an upstream that may stand beside a target in place.
pub(super) fn in_place(fields: &mut MappingReader<'_, '_>) -> UpstreamWritten {
    UpstreamWritten {
        connect_timeout: fields.read("connect_timeout", &TIMEOUT),
        hold: fields.read("hold", &DURATION),
        ..UpstreamWritten::default()
    }
}

fn targets(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Spanned<TargetText>>> {
    match node.value {
        Value::List(ref items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
            Some(decoder.one_or_many(node, target_or_mapping))
        }
        Value::Map(_) => Some(target_or_mapping(decoder, node).into_iter().collect()),
        _ => Some(decoder.parsed_many(node, target::target)),
    }
}

/// A target as text, or `{target, weight, backup}`.
fn target_or_mapping(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<TargetText>> {
    if !matches!(node.value, Value::Map(_)) {
        return decoder.parsed(node, target::target);
    }
    let mut fields = MappingReader::open(decoder, node, "a target")?;
    fields.require(&["target"]);
    let target = fields.parsed("target", target::target);
    let weight = fields.parsed("weight", balance::weight).map_or(1, |weight| weight.value);
    let backup = fields.flag("backup");
    fields.close();
    target.map(|Spanned { value, span }| Spanned { value: TargetText { weight, backup, ..value }, span })
}

/// `tls: {ca, insecure_skip_verify, sni}`. Its place is that of the key.
fn tls(fields: &mut MappingReader<'_, '_>) -> Option<Spanned<UpstreamTls>> {
    let span = fields.at("tls");
    let tls = fields.field("tls", |decoder, node| {
        let mut fields = MappingReader::open(decoder, node, "`tls`")?;
        let ca = fields.field("ca", Decoder::path);
        let insecure = fields.field("insecure_skip_verify", Decoder::flag);
        let sni = fields.parsed("sni", target::server_name);
        if let (Some(ca), Some(Spanned { value: true, .. })) = (&ca, &insecure) {
            let message = "`ca` means nothing beside `insecure_skip_verify`";
            fields.decoder.report.error_hint(
                ca.span,
                message,
                "with `ca`, certificates can be verified: leave the other out",
            );
        }
        fields.close();
        Some(UpstreamTls {
            ca: ca.map(|ca| ca.value),
            insecure_skip_verify: insecure.is_some_and(|flag| flag.value),
            sni: sni.map(|name| name.value),
        })
    });
    Some(Spanned { value: tls?, span: span? })
}
