//! Upstreams: each one, named or written in place, gets one number.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::{Names, made_name};
use super::upstream_policy;
use crate::config::decode::Text;
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::{
    Scheme, Target, Upstream, UpstreamId, UpstreamPolicy, UpstreamSettings, UpstreamTls, UpstreamWritten,
};
use crate::config::source::{Inline, UpstreamSource, UpstreamUse, no_upstream};
use crate::config::values::target::TargetText;

/// The upstreams of a plan while it is built.
pub(super) struct Upstreams {
    /// Named ones first, in written order. Then those in place, by first use.
    entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, UpstreamId>,
    in_place: HashMap<InPlace, UpstreamId>,
    names: Names,
}

struct Entry {
    source: UpstreamSource,
    span: Span,
    /// The protocol of the first user, for targets without a scheme.
    used: Option<TargetProtocol>,
}

/// The protocol of the rule or listener that uses an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetProtocol {
    Http,
    Tcp,
}

/// The key of an upstream that is written in place. Two upstreams with equal keys are one.
#[derive(PartialEq, Eq, Hash)]
struct InPlace {
    targets: Vec<Target>,
    tls: UpstreamTls,
    settings: UpstreamSettings,
    policy: UpstreamPolicy,
}

impl Upstreams {
    /// The upstreams under `upstreams:`.
    pub(super) fn named(sources: Vec<UpstreamSource>, report: &mut Report) -> Upstreams {
        let mut upstreams = Upstreams {
            entries: Vec::new(),
            by_name: HashMap::new(),
            in_place: HashMap::new(),
            names: Names::default(),
        };
        for source in sources {
            check_tls(source.tls.as_ref(), &source.targets, report);
            check_http2(&source.settings, source.name.span, &source.targets, report);
            let (name, span) = (source.name.value.clone(), source.name.span);
            if let Some(first) = upstreams.by_name.get(&name) {
                let first = report.place(upstreams.entries[first.0].span);
                report.error_hint(
                    span,
                    format!("the upstream `{name}` is written twice"),
                    format!("first at {first}"),
                );
                continue;
            }
            upstreams.names.take(name.clone());
            let written_in_place = written_in_place(&source);
            let id = upstreams.add(Entry { source, span, used: None });
            upstreams.by_name.insert(name, id);
            if let Some(key) = written_in_place {
                upstreams.in_place.insert(key, id);
            }
        }
        upstreams
    }

    /// The upstream of a rule or a TCP listener. `None` if it is wrong, which is reported.
    pub(super) fn use_one(
        &mut self,
        one: UpstreamUse,
        speaks: TargetProtocol,
        report: &mut Report,
    ) -> Option<UpstreamId> {
        match one {
            UpstreamUse::Named(name) => self.use_named(&name, speaks, report),
            UpstreamUse::Inline(inline) => self.use_inline(*inline, speaks, report),
        }
    }

    fn use_named(&mut self, name: &Text, speaks: TargetProtocol, report: &mut Report) -> Option<UpstreamId> {
        let Some(id) = self.by_name.get(name.text.as_str()).copied() else {
            no_upstream(name, self.known_names(), report);
            return None;
        };
        let entry = &mut self.entries[id.0];
        match entry.used {
            Some(before) if before != speaks => {
                let message = format!("the upstream {} is used for HTTP and for raw bytes", name.shown());
                report.error_hint(name.span, message, "write a second upstream for one of them");
            }
            Some(_) => {}
            None => {
                entry.used = Some(speaks);
                check_schemes(&entry.source.targets, speaks, report);
            }
        }
        Some(id)
    }

    /// The names in written order, so that of two equally near names, the hint always shows the same one.
    fn known_names(&self) -> impl Iterator<Item = &str> {
        let names = self.entries.iter().map(|entry| &*entry.source.name.value);
        names.filter(|name| self.by_name.contains_key(*name))
    }

    fn use_inline(
        &mut self,
        inline: Inline,
        speaks: TargetProtocol,
        report: &mut Report,
    ) -> Option<UpstreamId> {
        let Inline { span, targets, tls, settings, policy } = inline;
        check_schemes(&targets, speaks, report);
        check_tls(tls.as_ref(), &targets, report);
        check_http2(&settings, span, &targets, report);
        let key = InPlace {
            targets: targets.iter().map(|target| target.value.with(speaks.scheme())).collect(),
            tls: tls.as_ref().map(|tls| tls.value.clone()).unwrap_or_default(),
            settings: UpstreamSettings::default().with(&settings),
            policy: upstream_policy::lower(policy.clone()),
        };
        if let Some(id) = self.in_place.get(&key).copied() {
            self.entries[id.0].used.get_or_insert(speaks);
            return Some(id);
        }
        let name = self.names.take_free(key.targets.first()?.to_string());
        let name = Spanned { value: name, span };
        let source = UpstreamSource { name, targets, tls, settings, policy };
        let id = self.add(Entry { source, span, used: Some(speaks) });
        self.in_place.insert(key, id);
        Some(id)
    }

    fn add(&mut self, entry: Entry) -> UpstreamId {
        self.entries.push(entry);
        UpstreamId(self.entries.len() - 1)
    }

    /// The upstreams of the plan in the order of their ids, and the places of their targets. Reports the upstreams
    /// that are not used.
    pub(super) fn finish(self, report: &mut Report) -> (Vec<Upstream>, Vec<Vec<Span>>) {
        // A rule that was left out because of an error may use the upstream.
        let is_whole = !report.has_errors();
        let finish = |entry: Entry| {
            let Entry { source, span, used } = entry;
            if used.is_none() && is_whole {
                let message = format!("nothing uses the upstream `{}`", source.name.value);
                report.warning(Some(span), message, "name it in a rule, or leave it out");
            }
            let tls_span = source.tls.as_ref().map_or(span, |tls| tls.span);
            let tls = source.tls.map(|tls| tls.value).unwrap_or_default();
            if tls.insecure_skip_verify {
                let message =
                    format!("certificates of the upstream `{}` are not verified", source.name.value);
                report.warning(Some(tls_span), message, "`tls: { ca: ... }` trusts an authority of your own");
            }
            let speaks = used.unwrap_or(TargetProtocol::Http);
            check_twice(&source.targets, report);
            source.policy.check_ports(&source.targets, report);
            if source.targets.len() > 1 && source.policy.keeps_those_that_fail() {
                let message =
                    "an endpoint that is down keeps its share: `eject` is off, and there is no `health`";
                report.warning(Some(span), message, "leave `eject` out, or add `health`");
            }
            if used.is_some() {
                source.policy.check(speaks == TargetProtocol::Tcp, report);
            }
            let spans = source.targets.iter().map(|target| target.span).collect();
            let upstream = Upstream {
                name: source.name.value,
                origin: report.origin(span),
                targets: source.targets.iter().map(|target| target.value.with(speaks.scheme())).collect(),
                tls,
                settings: UpstreamSettings::default().with(&source.settings),
                policy: upstream_policy::lower(source.policy),
            };
            (upstream, spans)
        };
        self.entries.into_iter().map(finish).unzip()
    }
}

impl TargetProtocol {
    fn scheme(self) -> Scheme {
        match self {
            TargetProtocol::Http => Scheme::Http,
            TargetProtocol::Tcp => Scheme::Tcp,
        }
    }
}

/// The key of a named upstream that was written in place before `adapt` gave it its name. The URL of a server that is
/// asked about requests stands in its rule then, too, and is this upstream.
fn written_in_place(source: &UpstreamSource) -> Option<InPlace> {
    let targets: Option<Vec<Target>> =
        source.targets.iter().map(|target| Some(target.value.with(target.value.scheme?))).collect();
    let targets = targets?;
    let made = made_name(targets.first()?.to_string());
    let number = source.name.value.strip_prefix(made.as_str())?;
    (number.is_empty() || number.starts_with('#')).then(|| InPlace {
        targets,
        tls: source.tls.as_ref().map(|tls| tls.value.clone()).unwrap_or_default(),
        settings: UpstreamSettings::default().with(&source.settings),
        policy: upstream_policy::lower(source.policy.clone()),
    })
}

fn check_schemes(targets: &[Spanned<TargetText>], speaks: TargetProtocol, report: &mut Report) {
    for target in targets {
        match (speaks, target.value.scheme) {
            (TargetProtocol::Http, Some(Scheme::Tcp)) => {
                report.error_hint(
                    target.span,
                    "a rule does not speak `tcp://`",
                    "write `http://`, or use a TCP listener",
                );
            }
            (TargetProtocol::Tcp, Some(scheme)) if scheme.is_http() => {
                report.error_hint(
                    target.span,
                    "bytes are passed on here, not requests",
                    "write \"host:port\"",
                );
            }
            _ => {}
        }
    }
}

/// Warns of a target whose address is that of a target before it. Only the first is an endpoint.
fn check_twice(targets: &[Spanned<TargetText>], report: &mut Report) {
    for (index, target) in targets.iter().enumerate() {
        let is_same = |other: &&Spanned<TargetText>| other.value.has_address_of(&target.value);
        let Some(first) = targets[..index].iter().find(is_same) else { continue };
        if first.value.base_path == target.value.base_path {
            let hint = "leave it out; a `weight` gives the first a larger share";
            report.warning(Some(target.span), "this target is written twice, and counts once", hint);
        } else {
            let message = "two targets of one upstream have one address and different paths";
            report.error_hint(target.span, message, "write an upstream for each of the paths");
        }
    }
}

/// Refuses an offer of HTTP/2 that no handshake can make.
fn check_http2(settings: &UpstreamWritten, span: Span, targets: &[Spanned<TargetText>], report: &mut Report) {
    let can_offer = targets.iter().any(|target| target.value.scheme == Some(Scheme::Https));
    if settings.http2 == Some(true) && !can_offer && !targets.is_empty() {
        report.error_hint(
            span,
            "`http2` means nothing here: no target is `https://`",
            "write `h2c://` for HTTP/2 without TLS, `https://` to offer it, or leave it out",
        );
    }
}

fn check_tls(tls: Option<&Spanned<UpstreamTls>>, targets: &[Spanned<TargetText>], report: &mut Report) {
    let spoken = targets.iter().any(|target| target.value.scheme.is_some_and(Scheme::is_encrypted));
    if let (Some(tls), false, false) = (tls, spoken, targets.is_empty()) {
        report.error_hint(
            tls.span,
            "`tls` means nothing here: no target is `https://` or `h2://`",
            "write `https://`, or leave it out",
        );
    }
}
