//! All looks at a name.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use futures_lite::future::zip;
use smol::Timer;

use super::caa;
use super::finding::{Finding, State};
use super::place;
use super::reach;
use crate::acme::ca::Ca;
use crate::acme::context::{Context, client};
use crate::acme::failure::FaultOf;
use crate::acme::fleet::Proofs;
use crate::acme::order::challenges;
use crate::acme::protocol::messages::DirectoryUrls;
use crate::config::plan::{ChallengeKind, UpstreamTls};
use crate::net::dns::Lookup;
use crate::tls::address_of;

/// The time for all looks at a name.
const TIME_MAX: Duration = Duration::from_secs(30);
/// The error of a clock with which no certificate can be told valid.
const CLOCK_ERROR_MAX: u64 = 24 * 60 * 60;

/// The first reason why the CA would refuse the name.
pub(in crate::acme) async fn first_reason(context: &Context, name: &Arc<str>) -> Option<String> {
    let found = look_at(context, name).await;
    found.into_iter().find(|finding| finding.state == State::Bad).map(|finding| finding.text)
}

/// Looks at everything that an order needs.
pub(in crate::acme) async fn look_at(context: &Context, name: &Arc<str>) -> Vec<Finding> {
    let looks = async {
        let (mut of_ca, of_address) = zip(look_at_ca(context, name), look_at_addresses(context, name)).await;
        of_ca.extend(of_address);
        of_ca
    };
    let late = async {
        Timer::after(TIME_MAX).await;
        vec![Finding::unclear("time", format!("the looks were not over within {TIME_MAX:?}"))]
    };
    looks.or(late).await
}

/// The store, the CA, its clock, and what records of CAA say of it.
async fn look_at_ca(context: &Context, name: &str) -> Vec<Finding> {
    let opened = match context.folder().await {
        Ok(opened) => opened,
        // The CA and its records are looked at by the gate that orders.
        Err(failure) if failure.of == FaultOf::Turn => return vec![Finding::fine("store", failure.reason)],
        Err(failure) => return vec![Finding::bad("store", failure.reason)],
    };
    let mut found = vec![place::look(&context.orders.store)];
    let ca = context.authority().name();
    let directory = match opened.ca.directory().await {
        Ok(directory) => directory,
        Err(failure) => {
            found.push(Finding::bad("ca", failure.reason));
            return found;
        }
    };
    found.push(Finding::fine("ca", format!("{ca} answers")));
    found.push(match opened.ca.ahead() {
        None => Finding::unclear("clock", "the CA does not tell the time"),
        Some(ahead) if ahead.unsigned_abs() < 300 => Finding::fine("clock", "it is that of the CA"),
        Some(ahead) if ahead.unsigned_abs() < CLOCK_ERROR_MAX => Finding::unclear("clock", clock_text(ahead)),
        Some(ahead) => Finding::bad("clock", clock_text(ahead)),
    });
    found.extend(look_at_profile(context, name, &opened.ca, &directory));
    if address_of(name).is_some() {
        // RFC 8659 is about domains.
        found.push(Finding::fine("caa", "no record of CAA concerns an address"));
        return found;
    }
    let session = opened.ca.session().await.ok();
    let methods: Vec<&'static str> =
        challenges(name, &context.orders, 0).into_iter().map(ChallengeKind::word).collect();
    let asked = caa::Asked {
        host: host(name),
        is_wildcard: name.starts_with("*."),
        identities: &directory.meta.caa_identities,
        account: session.as_ref().map(|session| &*session.account),
        methods: &methods,
    };
    found.push(caa::look(&lookup(context).await, &asked).await);
    found
}

/// The profile that an order asks for. Nothing is told of names without one.
fn look_at_profile(context: &Context, name: &str, ca: &Ca, directory: &DirectoryUrls) -> Option<Finding> {
    let wanted = context.authority().profile.as_deref();
    match (ca.profile(directory, name), wanted) {
        (Some(profile), _) => Some(Finding::fine("profile", format!("{profile} is asked for"))),
        (None, _) if address_of(name).is_some() => {
            let text =
                "the CA does not have the profile `shortlived`: it may not issue certificates for addresses";
            Some(Finding::unclear("profile", text))
        }
        (None, Some(wanted)) => {
            let text = format!("the CA does not have the profile `{wanted}`, so it is not asked for");
            Some(Finding::unclear("profile", text))
        }
        (None, None) => None,
    }
}

async fn look_at_addresses(context: &Context, name: &str) -> Vec<Finding> {
    let kinds = challenges(name, &context.orders, 0);
    let in_clear = kinds.contains(&ChallengeKind::Http);
    if !in_clear && !kinds.contains(&ChallengeKind::Tls) {
        return Vec::new();
    }
    let settings = UpstreamTls { insecure_skip_verify: true, ..UpstreamTls::default() };
    let client = match smol::unblock(move || client(settings)).await {
        Ok(client) => client,
        Err(failure) => return vec![Finding::unclear("address", failure.reason)],
    };
    let proofs = Proofs::new(&context.orders.store);
    let asked = reach::Asked {
        host: host(name),
        proofs: proofs.as_ref(),
        at: &context.orders.self_check_at,
        in_clear,
        is_public: context.authority().is_public(),
        client: &client,
        issued: &context.shared.issued,
    };
    reach::look(&lookup(context).await, &asked).await
}

async fn lookup(context: &Context) -> Lookup {
    let of_dns = context.orders.dns.iter().flat_map(|dns| dns.resolvers.iter().copied());
    let mut resolvers = context.orders.self_check_at.resolvers.clone();
    if resolvers.is_empty() {
        resolvers = of_dns.collect();
    }
    smol::unblock(move || Lookup::new(&resolvers, &[])).await
}

/// The name without `*.`.
fn host(name: &str) -> &str {
    name.strip_prefix("*.").unwrap_or(name)
}

/// The error of the clock, which is `ahead` seconds ahead of that of the CA.
pub(in crate::acme) fn clock_text(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let (count, unit) = match seconds {
        0..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    match ahead > 0 {
        true => format!(
            "the clock is {count} {unit} ahead of the CA's: certificates would look expired to us; set it"
        ),
        false => format!(
            "the clock is {count} {unit} behind the CA's: certificates would look \"not yet valid\" to us; set it"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_clock_is_told_in_words() {
        assert!(
            clock_text(-3 * 3_600).starts_with("the clock is 3 h behind the CA's: certificates would look")
        );
        assert!(clock_text(400 * 86_400).starts_with("the clock is 400 days ahead"));
        assert!(clock_text(-600).starts_with("the clock is 10 min behind"));
    }
}
