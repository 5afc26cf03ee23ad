//! Questions of an operator that take their time.

use std::fmt::Write;
use std::sync::Arc;

use super::check::{self, State};
use super::context::Context;
use super::dns::{persistent_name, persistent_text};
use super::failure::Failure;
use super::trial::trial;
use crate::config::plan::{ChallengeKind, DnsProvider};
use crate::tls::address_of;

/// A question of an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A look at a name as a CA looks at it.
    Check(String),
    /// The whole way at the test system of the CA.
    Test(String),
    /// The records of DNS that a person has to write for a name.
    Dns(String),
    /// New keys for the accounts.
    Rollover,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether everything is well.
    pub is_well: bool,
    /// Lines for a person.
    pub text: String,
}

impl Told {
    fn of(result: Result<String, Failure>) -> Self {
        let is_well = result.is_ok();
        Self { is_well, text: result.unwrap_or_else(|failure| failure.reason) }
    }
}

/// Looks at a name, at each CA.
pub(super) async fn check(contexts: &[Arc<Context>], name: &Arc<str>) -> Told {
    let (mut is_well, mut text) = (true, String::new());
    if let Some(why) = contexts.first().and_then(|context| check::in_vain(name, &context.orders)) {
        return Told { is_well: false, text: format!("{name}: {why}\n") };
    }
    for context in contexts {
        let ca =
            if contexts.len() > 1 { format!(" at {}", context.authority().name()) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}{ca}");
        for finding in check::look_at(context, name).await {
            is_well &= finding.state != State::Bad;
            let _ = writeln!(text, "  {:<8} {:<8} {}", finding.what, finding.state.word(), finding.text);
        }
    }
    Told { is_well, text }
}

/// The whole way at the test system of the first CA that has one.
pub(super) async fn test(contexts: &[Arc<Context>], name: &Arc<str>) -> Told {
    let with_test = contexts.iter().find(|context| context.authority().staging.is_some());
    let Some(context) = with_test.or(contexts.first()) else {
        return Told { is_well: false, text: "no CA is set up".to_owned() };
    };
    let ca = context.authority().name();
    let done = trial(context, name).await;
    Told::of(
        done.map(|()| format!("{name}: the test system of {ca} issues a certificate; it was thrown away")),
    )
}

/// The records that a person has to write, or may.
pub(super) async fn dns(contexts: &[Arc<Context>], name: &Arc<str>) -> Told {
    let (mut is_well, mut text) = (true, String::new());
    for context in contexts {
        match records(context, name).await {
            Ok(lines) => text.push_str(&lines),
            Err(failure) => {
                is_well = false;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{}: {}", context.authority().name(), failure.reason);
            }
        }
    }
    Told { is_well, text }
}

async fn records(context: &Context, name: &str) -> Result<String, Failure> {
    let (opened, session) = context.connect().await?;
    let (host, is_wildcard) = (name.strip_prefix("*.").unwrap_or(name), name.starts_with("*."));
    if address_of(name).is_some() {
        return Ok(format!("{name} needs no record of DNS: the CA asks the address itself\n"));
    }
    let identity = session.directory.meta.caa_identities.first().map(String::as_str);
    let mut text = String::new();
    let dns = context
        .orders
        .dns
        .as_ref()
        .filter(|_| is_wildcard || context.orders.challenges.contains(&ChallengeKind::Dns));
    let line = match dns.map(|dns| &dns.provider) {
        None => format!("{host}. A or AAAA: the addresses of this gate\n"),
        Some(DnsProvider::Static) => {
            let issuer = identity.unwrap_or("NAME-OF-THE-CA");
            let (record, value) =
                (persistent_name(host), persistent_text(issuer, &session.account, is_wildcard));
            format!("{record}. TXT \"{value}\"\n")
        }
        Some(_) => {
            let alias = match &opened.publisher {
                Some(publisher) => publisher.alias(host).await,
                None => None,
            };
            match alias {
                Some(alias) => format!("_acme-challenge.{host}. CNAME {alias}. (it is there)\n"),
                None => format!(
                    "_acme-challenge.{host}. TXT is written by the gate; a CNAME may lead to another zone\n"
                ),
            }
        }
    };
    text.push_str(&line);
    if let Some(identity) = identity {
        let tag = if is_wildcard { "issuewild" } else { "issue" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{host}. CAA 0 {tag} \"{identity}; accounturi={}\" (if no other may issue)",
            session.account
        );
    }
    Ok(text)
}

/// Gives the account at each CA a new key.
pub(super) async fn rollover(contexts: &[Arc<Context>]) -> Told {
    let (mut is_well, mut text) = (!contexts.is_empty(), String::new());
    for context in contexts {
        let ca = context.authority().name();
        let changed = async {
            let (opened, session) = context.connect().await?;
            // Challenges that are open are answered with the key.
            let _turn = context.turn.write().await;
            opened.change_key(&session).await
        };
        let changed: Result<(), Failure> = changed.await;
        // Writing to a String cannot fail.
        let _ = match changed {
            Ok(()) => {
                tracing::info!(%ca, "the account has a new key");
                writeln!(text, "{ca}: the account has a new key")
            }
            Err(failure) => {
                is_well = false;
                tracing::warn!(%ca, "the key of the account was not changed: {}", failure.reason);
                writeln!(text, "{ca}: {}", failure.reason)
            }
        };
    }
    if contexts.is_empty() {
        text.push_str("no certificates are ordered\n");
    }
    Told { is_well, text }
}
