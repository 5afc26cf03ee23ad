//! Certificates that are ordered, with everything filled in.

use std::sync::Arc;

use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::{
    AUTHORITIES, CertificateAuthority, ChallengeKind, ExternalAccount, Listener, Orders, STORE, StorePlace,
    WhileWaiting,
};
use crate::config::source::{AcmeSource, AuthoritySource, ListenerSource, ProtocolSource};

/// Reports errors that show in the file as a whole, and fills in what was left out.
pub(super) fn lower(
    source: Option<Spanned<AcmeSource>>,
    store: Option<Spanned<StorePlace>>,
    listeners: &[ListenerSource],
    report: &mut Report,
) -> Option<Spanned<Orders>> {
    let is_wanted = check_listeners(listeners, source.is_some(), report);
    let Some(Spanned { value: source, span }) = source else {
        if let Some(store) = store {
            report.warning(
                Some(store.span),
                "`store` changes nothing without `acme`",
                "leave it out, or add `acme`",
            );
        }
        return None;
    };
    if !is_wanted {
        let message = "`acme` orders nothing: no listener asks for certificates";
        report.warning(Some(span), message, "write `tls: { acme: true }` on a listener");
    }
    let challenges = match (source.challenges.is_empty(), &source.dns) {
        (true, None) => vec![ChallengeKind::Http, ChallengeKind::Tls],
        (true, Some(_)) => vec![ChallengeKind::Dns],
        (false, _) => source.challenges.into_iter().map(|kind| kind.value).collect(),
    };
    let cas = match source.cas.is_empty() {
        true => vec![AuthoritySource::new(span, Ok(0))],
        false => source.cas,
    };
    let cas = authorities(cas, source.staging, report);
    let orders = Orders {
        email: source.email,
        self_check: source.self_check.unwrap_or(cas.iter().all(CertificateAuthority::is_public)),
        self_check_at: source.self_check_at,
        cas,
        challenges,
        dns: source.dns,
        key: source.key.unwrap_or_default(),
        on_event: source.on_event,
        while_waiting: source.while_waiting.unwrap_or(WhileWaiting::SelfSigned),
        store: store.map_or_else(|| StorePlace::Folder(STORE.into()), |store| store.value),
    };
    Some(Spanned { value: orders, span })
}

/// The authorities, each once: they are told apart by their folders in the store.
fn authorities(
    sources: Vec<AuthoritySource>,
    staging: Option<Span>,
    report: &mut Report,
) -> Vec<CertificateAuthority> {
    let mut cas: Vec<CertificateAuthority> = Vec::new();
    for source in sources {
        let span = source.span;
        let ca = authority(source, staging, report);
        if cas.iter().any(|known| known.folder() == ca.folder()) && !report.has_errors() {
            let message = format!("{} is in the list twice", ca.name());
            report.error_hint(span, message, "another authority is asked if the one before it is in trouble");
        }
        cas.push(ca);
    }
    cas
}

fn authority(written: AuthoritySource, wanted: Option<Span>, report: &mut Report) -> CertificateAuthority {
    let known = match (&written.directory, wanted) {
        // An account with `eab` is one at the CA itself.
        (Ok(known), None) if written.external_account.is_none() => AUTHORITIES[*known].2.map(Arc::from),
        _ => None,
    };
    let staging = written.staging.or(known);
    let directory = match (written.directory, wanted) {
        (Ok(known), None) => AUTHORITIES[known].1.into(),
        (Ok(known), Some(staging)) => match AUTHORITIES[known].2 {
            Some(url) => url.into(),
            None => {
                let message = format!("{} has no staging", AUTHORITIES[known].0);
                report.error_hint(staging, message, "leave `staging` out");
                Arc::default()
            }
        },
        (Err(url), None) => url,
        (Err(url), Some(staging)) => {
            report.error_hint(
                staging,
                "`staging` means nothing beside a URL",
                "write the URL of the staging in `ca`",
            );
            url
        }
    };
    let external = written.external_account.map(|(kid, hmac)| ExternalAccount { kid, hmac });
    CertificateAuthority {
        directory,
        staging,
        profile: written.profile,
        root: written.root,
        external_account: external,
    }
}

/// Whether a listener asks for certificates. Those that ask in vain are reported.
fn check_listeners(listeners: &[ListenerSource], has_acme: bool, report: &mut Report) -> bool {
    let mut is_wanted = false;
    for listener in listeners {
        let Some(wants) = listener.tls.as_ref().and_then(|tls| tls.acme) else { continue };
        is_wanted = true;
        if let ProtocolSource::Tcp(_) = listener.protocol {
            let hint = "name certificate files, or let an HTTP listener with `pass` rules decide by the name";
            report.error_hint(wants, "a TCP listener has no hosts to order certificates for", hint);
        } else if !has_acme {
            let hint = "write for example `acme: ops@example.com` at the top of the file";
            report.error_hint(wants, "`acme: true` needs `acme` at the top, which says how to order", hint);
        }
    }
    is_wanted
}

/// Warns if no listener is on a port at which an authority asks.
pub(super) fn check_ports(orders: &Spanned<Orders>, listeners: &[Listener], report: &mut Report) {
    let Spanned { value: orders, span } = orders;
    let asks = |kind: ChallengeKind, listener: &Listener| {
        let port = match (kind, &listener.tls) {
            (ChallengeKind::Http, None) => 80,
            (ChallengeKind::Tls, Some(_)) => 443,
            (kind, _) => return kind == ChallengeKind::Dns,
        };
        listener.binds.iter().any(|bind| bind.port() == port)
    };
    let can_ask = orders.challenges.iter().any(|kind| listeners.iter().any(|one| asks(*kind, one)));
    let orders_any =
        listeners.iter().filter_map(|listener| listener.tls.as_ref()).any(|tls| tls.ordered.is_some());
    // An error often causes such a warning.
    if orders.is_public() && orders_any && !can_ask && !report.has_errors() {
        report.warning(
            Some(*span),
            "certificates are to be ordered, and no listener is on port 80 or 443, where the authority asks",
            "this is fine if a port mapping or a balancer leads from there to a listener of this gate",
        );
    }
}
