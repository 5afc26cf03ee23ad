//! Problem documents (RFC 7807, RFC 8555, section 6.7), and what to do about each kind.

use serde::Deserialize;

/// Characters of a detail that are kept: it stands in the log and in tables.
const DETAIL_MAX: usize = 400;

/// Advice for each type of RFC 8555, section 6.7, RFC 9773, section 7.4, and the profiles of ACME.
const ADVICE: &[(&[&str], &str)] = &[
    (&["accountDoesNotExist"], "the account is made anew with the next attempt"),
    (&["alreadyReplaced"], "the next order does not name the certificate that it replaces"),
    (&["alreadyRevoked"], "the certificate was revoked before"),
    (&["badCSR", "malformed", "orderNotReady"], "the CA does not understand smolgate: please report this"),
    (
        &["badPublicKey", "badSignatureAlgorithm"],
        "this CA does not take such keys: choose another `key` of `acme`",
    ),
    (&["badNonce", "serverInternal"], "the CA is in trouble: the order goes on later"),
    (&["badRevocationReason"], "the CA does not take this reason of a revocation"),
    (&["caa"], "a CAA record of the domain names other CAs: add this one, or choose another"),
    (&["compound"], "the CA has several reasons, which its text names"),
    (&["connection"], "the CA cannot connect to the name: does port 80 or 443 of its address lead here?"),
    (&["dns"], "the CA finds no address or no record for the name: look at its DNS"),
    (&["externalAccountRequired"], "this CA wants `eab` with a key that it gives to its customers"),
    (
        &["incorrectResponse", "unauthorized"],
        "another server answers for the name, or the CA refuses it: do all its addresses lead here?",
    ),
    (&["invalidContact", "unsupportedContact"], "`email` is not an address that the CA takes"),
    (&["invalidProfile"], "the CA does not have this `profile`, or not for this account"),
    (&["rateLimited"], "the next attempt has the time that the CA named"),
    (
        &["rejectedIdentifier", "unsupportedIdentifier"],
        "the CA issues no certificate for this name: choose another CA for it, or add a certificate file",
    ),
    (&["tls"], "the CA cannot complete a TLS handshake with the name: does port 443 lead here?"),
    (&["userActionRequired"], "the CA wants a person to agree to its terms anew"),
];

/// The reason why a CA did not do what it was asked for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(in crate::acme) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
}

impl Problem {
    /// Reads the body of a response that is no success. Anything but a problem document becomes a problem too.
    pub(in crate::acme) fn read(status: u16, body: &[u8]) -> Self {
        let read: Option<Self> = serde_json::from_slice(body).ok();
        let problem = read.filter(|problem| !problem.kind.is_empty());
        problem.unwrap_or_else(|| Self {
            kind: String::new(),
            detail: format!("the CA answered with status {status}"),
        })
    }

    /// The kind without the namespace: `badNonce`. Empty if the CA names none.
    pub(in crate::acme) fn kind(&self) -> &str {
        self.kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or_default()
    }

    /// Whether the request should be sent again at once, with a fresh nonce.
    pub(in crate::acme) fn is_bad_nonce(&self) -> bool {
        self.kind() == "badNonce"
    }

    /// Whether the CA does not know the account.
    pub(in crate::acme) fn is_unknown_account(&self) -> bool {
        self.kind() == "accountDoesNotExist"
    }

    /// Whether a limit was reached.
    pub(in crate::acme) fn is_rate_limit(&self) -> bool {
        self.kind() == "rateLimited"
    }

    /// The domain of which a limit of certificates was reached, for all names below it, in the words of Let's Encrypt.
    pub(in crate::acme) fn limited_domain(&self) -> Option<&str> {
        let (_, rest) = self.detail.split_once("already issued for \"").filter(|_| self.is_rate_limit())?;
        rest.split_once('"').map(|(domain, _)| domain)
    }

    /// Whether the CA itself is in trouble. The name has no part in it then.
    pub(in crate::acme) fn is_of_the_ca(&self, status: u16) -> bool {
        status >= 500 || self.kind() == "serverInternal" || self.is_bad_nonce()
    }

    /// Whether another CA may issue what this one does not: a limit, a policy, or terms of this one are the reason.
    pub(in crate::acme) fn is_of_this_ca(&self) -> bool {
        let kinds = [
            "rateLimited",
            "rejectedIdentifier",
            "unsupportedIdentifier",
            "caa",
            "externalAccountRequired",
            "userActionRequired",
            "badPublicKey",
        ];
        kinds.contains(&self.kind())
    }

    /// The detail and the advice, as one line.
    pub(in crate::acme) fn text(&self) -> String {
        let clean = |char: char| if char.is_control() { ' ' } else { char };
        let mut text: String = self.detail.chars().take(DETAIL_MAX).map(clean).collect();
        if !self.kind().is_empty() {
            text = format!("{}: {}", self.kind(), text.trim());
        }
        match self.advice() {
            "" => text,
            advice => format!("{text}; {advice}"),
        }
    }

    /// Advice for an operator. Empty if the type is not known.
    fn advice(&self) -> &'static str {
        ADVICE.iter().find(|(kinds, _)| kinds.contains(&self.kind())).map_or("", |(_, advice)| advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(kind: &str, detail: &str) -> Problem {
        let body =
            serde_json::json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail });
        Problem::read(403, body.to_string().as_bytes())
    }

    #[test]
    fn a_problem_says_what_to_do() {
        let text = problem("dns", "NXDOMAIN looking up A for a.example").text();
        assert!(text.starts_with("dns: NXDOMAIN looking up A for a.example; "), "{text}");
        assert!(text.contains("look at its DNS"), "{text}");
        assert!(
            ADVICE
                .iter()
                .all(|(kinds, advice)| kinds.iter().all(|kind| problem(kind, "").text().ends_with(advice)))
        );
        assert_eq!(problem("new", "x").text(), "new: x");
        assert!(problem("rateLimited", "too many").is_rate_limit());
        let limit = |detail: &str| problem("rateLimited", detail).limited_domain().map(str::to_owned);
        let of_domain =
            "too many certificates (50) already issued for \"a.example\" in the last 168h0m0s, retry after";
        assert_eq!(limit(of_domain).as_deref(), Some("a.example"));
        assert_eq!(limit("too many certificates (5) already issued for this exact set of identifiers"), None);
        assert_eq!(limit("too many failed authorizations (5) for \"a.example\" in the last 1h0m0s"), None);
        assert!(problem("badNonce", "").is_bad_nonce());
        assert!(problem("accountDoesNotExist", "").is_unknown_account());
    }

    #[test]
    fn any_other_answer_is_a_problem_too() {
        for body in ["", "<html>", "[]", "{}", "null", r#"{"type":7}"#] {
            let problem = Problem::read(502, body.as_bytes());
            assert_eq!(problem.text(), "the CA answered with status 502", "{body}");
            assert!(problem.is_of_the_ca(502) && !problem.is_of_the_ca(403));
        }
    }

    #[test]
    fn a_detail_is_one_short_line() {
        let text = problem("malformed", &format!("a\nb\u{1b}[31m{}", "x".repeat(10_000))).text();
        assert!(text.len() < 2 * DETAIL_MAX && !text.contains(['\n', '\u{1b}']), "{text}");
    }
}
