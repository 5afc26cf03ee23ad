//! Records of CAA, which say which CAs may issue for a name (RFC 8659, RFC 8657).

use super::finding::Finding;
use crate::net::dns::{Data, Kind, Lookup, Message};

/// The CA, as records name it.
pub(super) struct Asked<'a> {
    /// The name without `*.`.
    pub(super) host: &'a str,
    pub(super) is_wildcard: bool,
    /// The names of the CA. Empty: it tells none.
    pub(super) identities: &'a [String],
    /// The URL of the account, if it is known.
    pub(super) account: Option<&'a str>,
    /// The challenges that may be used.
    pub(super) methods: &'a [&'static str],
}

/// Looks for the records, from the name upwards. The first that has any decides (RFC 8659, section 3).
pub(super) async fn look(lookup: &Lookup, asked: &Asked<'_>) -> Finding {
    if asked.identities.is_empty() {
        return Finding::unclear("caa", "the CA does not tell the names that records of CAA have for it");
    }
    let mut at = asked.host;
    loop {
        let answer = match lookup.resolve(at, Kind::Caa).await {
            Ok(answer) => answer,
            Err(error) => {
                return Finding::unclear("caa", format!("records of CAA cannot be looked up: {error}"));
            }
        };
        let records = records(&answer);
        if !records.is_empty() {
            return match allows(&records, asked) {
                Ok(()) => Finding::fine("caa", format!("CAA of {at} allows the CA")),
                Err(why) => Finding::bad("caa", format!("CAA of {at} {why}")),
            };
        }
        match at.split_once('.') {
            Some((_, parent)) if !parent.is_empty() => at = parent,
            _ => return Finding::fine("caa", "no record of CAA restricts the CAs"),
        }
    }
}

/// One record: whether it is critical, its tag and its value.
type Line<'a> = (bool, &'a str, &'a str);

fn records(answer: &Message) -> Vec<Line<'_>> {
    answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            Data::Caa { is_critical, tag, value } => Some((*is_critical, &**tag, &**value)),
            _ => None,
        })
        .collect()
}

/// Whether the records allow the CA to issue. The error is half a sentence.
fn allows(records: &[Line<'_>], asked: &Asked<'_>) -> Result<(), String> {
    let known = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];
    if let Some((_, tag, _)) =
        records.iter().find(|(is_critical, tag, _)| *is_critical && !known.contains(tag))
    {
        return Err(format!("has the critical tag `{tag}`, which CAs do not know"));
    }
    let with = |wanted: &str| -> Vec<&str> {
        records.iter().filter(|(_, tag, _)| *tag == wanted).map(|(.., value)| *value).collect()
    };
    // RFC 8659, section 4.3: `issue` counts for a wildcard if there is no `issuewild`.
    let wild = if asked.is_wildcard { with("issuewild") } else { Vec::new() };
    let values = if wild.is_empty() { with("issue") } else { wild };
    if values.is_empty() {
        return Ok(());
    }
    let ours = &asked.identities.join(" or ");
    let issuer = |value: &&str| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut those = values.iter().filter(|value| asked.identities.iter().any(|one| *one == issuer(value)));
    let mut refused = None;
    for value in those.by_ref() {
        match parameters_allow(value, asked) {
            Ok(()) => return Ok(()),
            Err(why) => refused = Some(why),
        }
    }
    Err(refused.unwrap_or_else(|| {
        let others: Vec<String> = values.iter().map(issuer).filter(|issuer| !issuer.is_empty()).collect();
        match others.is_empty() {
            true => "allows no CA".to_owned(),
            false => format!("allows {} only; {ours} is not in it", others.join(", ")),
        }
    }))
}

/// RFC 8657: the account and the challenges to which a record restricts the CA.
fn parameters_allow(value: &str, asked: &Asked<'_>) -> Result<(), String> {
    for parameter in value.split(';').skip(1) {
        let Some((name, wanted)) = parameter.split_once('=') else { continue };
        match (name.trim().to_ascii_lowercase().as_str(), wanted.trim()) {
            ("accounturi", wanted) if asked.account.is_some_and(|account| account != wanted) => {
                return Err(format!("allows the account {wanted} only, and that of this gate is another"));
            }
            ("validationmethods", wanted) => {
                let allowed: Vec<&str> = wanted.split(',').map(str::trim).collect();
                if !asked.methods.iter().any(|method| allowed.contains(method)) {
                    return Err(format!("allows the challenges {wanted} only: change `challenges`"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows_for(lines: &[(bool, &str, &str)], is_wildcard: bool) -> Result<(), String> {
        let asked = Asked {
            host: "a.example",
            is_wildcard,
            identities: &["ca.example".to_owned()],
            account: Some("https://ca.example/1"),
            methods: &["http-01"],
        };
        allows(lines, &asked)
    }

    #[test]
    fn the_rules_of_the_rfc_decide() {
        for (lines, host, wildcard) in [
            (&[(false, "issue", "ca.example")][..], true, true),
            (&[(false, "issue", "CA.example ; a=b")], true, true),
            (&[(false, "issue", "other.example")], false, false),
            (&[(false, "issue", "other.example"), (false, "issue", "ca.example")], true, true),
            (&[(false, "issue", ";")], false, false),
            (&[(false, "iodef", "mailto:a@b.c")], true, true),
            (&[(true, "iodef", "mailto:a@b.c")], true, true),
            (&[(true, "tbs", "x"), (false, "issue", "ca.example")], false, false),
            (&[(false, "tbs", "x")], true, true),
            (&[(false, "issuewild", ";"), (false, "issue", "ca.example")], true, false),
            (&[(false, "issuewild", "ca.example"), (false, "issue", ";")], false, true),
            (&[(false, "issue", "ca.example; accounturi=https://ca.example/1")], true, true),
            (&[(false, "issue", "ca.example; accounturi=https://ca.example/2")], false, false),
            (&[(false, "issue", "ca.example; validationmethods=dns-01,http-01")], true, true),
            (&[(false, "issue", "ca.example; validationmethods=dns-01")], false, false),
        ] {
            let found = (allows_for(lines, false).is_ok(), allows_for(lines, true).is_ok());
            assert_eq!(found, (host, wildcard), "{lines:?}");
        }
    }

    #[test]
    fn a_refusal_names_those_that_may() {
        let why = allows_for(&[(false, "issue", "digicert.com")], false).unwrap_err();
        assert_eq!(why, "allows digicert.com only; ca.example is not in it");
        assert_eq!(allows_for(&[(false, "issue", ";")], false).unwrap_err(), "allows no CA");
    }
}
