//! The resources of a CA, as it describes them in JSON (RFC 8555, section 7.1).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use crate::tls::address_of;

/// Authorizations of one order, and challenges of one authorization. An order of smolgate has one name.
const ITEMS_MAX: usize = 32;
/// The challenge that a record answers which a person has written once (draft-ietf-acme-dns-persist).
const PERSISTENT: &str = "dns-persist-01";
/// Characters of a token (RFC 8555, section 8.1, asks for 22 at least).
const TOKEN_MAX: usize = 128;

/// The addresses of a CA.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::acme) struct DirectoryUrls {
    pub(in crate::acme) new_nonce: String,
    pub(in crate::acme) new_account: String,
    pub(in crate::acme) new_order: String,
    pub(in crate::acme) revoke_cert: Option<String>,
    pub(in crate::acme) key_change: Option<String>,
    /// Where windows of renewal are asked for (RFC 9773).
    pub(in crate::acme) renewal_info: Option<String>,
    #[serde(default)]
    pub(in crate::acme) meta: Meta,
}

/// Facts about a CA.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::acme) struct Meta {
    #[serde(default)]
    pub(in crate::acme) external_account_required: bool,
    /// The names by which records of CAA allow this CA.
    #[serde(default)]
    pub(in crate::acme) caa_identities: Vec<String>,
    /// Kinds of certificates, each with a text.
    #[serde(default)]
    pub(in crate::acme) profiles: BTreeMap<String, serde_json::Value>,
}

/// The state of an order, an authorization or a challenge.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(in crate::acme) enum Status {
    Pending,
    Ready,
    Processing,
    Valid,
    Invalid,
    #[serde(other)]
    Other,
}

/// An order.
#[derive(Debug, Deserialize)]
pub(in crate::acme) struct Order {
    pub(in crate::acme) status: Status,
    #[serde(default)]
    pub(in crate::acme) authorizations: Vec<String>,
    pub(in crate::acme) finalize: String,
    pub(in crate::acme) certificate: Option<String>,
    pub(in crate::acme) error: Option<Problem>,
}

/// An authorization: the proof that one name is ours.
#[derive(Debug, Deserialize)]
pub(in crate::acme) struct Authorization {
    pub(in crate::acme) status: Status,
    pub(in crate::acme) identifier: Identifier,
    #[serde(default)]
    pub(in crate::acme) challenges: Vec<Challenge>,
}

/// The name of an authorization.
#[derive(Debug, Deserialize)]
pub(in crate::acme) struct Identifier {
    value: String,
}

impl Identifier {
    /// Whether it is this name. An IPv6 address may have several spellings.
    pub(in crate::acme) fn is_of(&self, name: &str) -> bool {
        self.value == name || address_of(name).is_some_and(|address| address_of(&self.value) == Some(address))
    }
}

/// One way to prove an authorization.
#[derive(Clone, Debug, Deserialize)]
pub(in crate::acme) struct Challenge {
    #[serde(rename = "type")]
    pub(in crate::acme) kind: String,
    pub(in crate::acme) url: String,
    pub(in crate::acme) status: Status,
    #[serde(default)]
    pub(in crate::acme) token: String,
    /// The names of the CA that a record which stays may have (dns-persist-01).
    #[serde(default, rename = "issuer-domain-names")]
    pub(in crate::acme) issuers: Vec<String>,
    pub(in crate::acme) error: Option<Problem>,
}

impl Challenge {
    /// Whether the token may stand in a path and in a header. Any other is refused.
    fn is_sound(&self) -> bool {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=TOKEN_MAX).contains(&self.token.len()) && self.token.bytes().all(is_digit)
    }
}

impl Authorization {
    /// The challenge of a kind, if the CA offers it and its token is sound.
    pub(in crate::acme) fn challenge(&self, kind: &str) -> Option<&Challenge> {
        let mut offered = self.challenges.iter().take(ITEMS_MAX);
        offered.find(|challenge| challenge.kind == kind && challenge.is_sound())
    }

    /// The challenge for a record that stays, and the name of the CA that the record has.
    pub(in crate::acme) fn persistent(&self) -> Option<(&Challenge, &str)> {
        let mut offered = self.challenges.iter().take(ITEMS_MAX);
        let challenge = offered.find(|challenge| challenge.kind == PERSISTENT)?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let mut issuers = challenge.issuers.iter().map(|issuer| &**issuer);
        let issuer = issuers.find(|issuer| !issuer.is_empty() && issuer.bytes().all(is_name))?;
        Some((challenge, issuer))
    }

    /// The reason of the challenge that failed.
    pub(in crate::acme) fn error(&self) -> Option<&Problem> {
        self.challenges.iter().find_map(|challenge| challenge.error.as_ref())
    }
}

/// Reads a resource; `what` names it in the error.
pub(in crate::acme) fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| format!("the CA sent no valid {what}: {error}"))
}

/// Reads an order. One with more authorizations than names is refused, for an order of smolgate has one name.
pub(in crate::acme) fn read_order(body: &[u8]) -> Result<Order, String> {
    let order: Order = read(body, "order")?;
    if order.authorizations.len() > ITEMS_MAX {
        return Err("the CA sent an order with too many authorizations".to_owned());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_in_every_spelling_and_a_name_in_one() {
        let is_of = |value: &str, name: &str| Identifier { value: value.to_owned() }.is_of(name);
        assert!(is_of("2001:db8::1", "2001:db8::1") && is_of("2001:DB8:0:0::1", "2001:db8::1"));
        assert!(is_of("a.test", "a.test") && is_of("192.0.2.7", "192.0.2.7"));
        assert!(!is_of("2001:db8::2", "2001:db8::1") && !is_of("192.0.2.8", "192.0.2.7"));
        assert!(!is_of("a.test", "192.0.2.7") && !is_of("A.test", "a.test"));
    }

    /// Recorded from Pebble 2.4.
    const ORDER: &str = r#"{
        "status": "pending",
        "expires": "2026-12-01T12:00:00Z",
        "identifiers": [{ "type": "dns", "value": "a.example" }],
        "finalize": "https://localhost:14000/finalize-order/x",
        "authorizations": ["https://localhost:14000/authZ/y"]
    }"#;
    const AUTHORIZATION: &str = r#"{
        "status": "pending",
        "identifier": { "type": "dns", "value": "a.example" },
        "challenges": [
            { "type": "http-01", "url": "https://localhost:14000/chalZ/1", "token": "Lz_-9", "status": "pending" },
            { "type": "dns-01", "url": "https://localhost:14000/chalZ/2", "token": "../x", "status": "pending" },
            { "type": "new-02", "url": "https://localhost:14000/chalZ/3", "status": "pending" }
        ],
        "expires": "2026-11-30T13:00:00Z"
    }"#;

    #[test]
    fn recorded_answers_are_read() {
        let order = read_order(ORDER.as_bytes()).unwrap();
        assert_eq!((order.status, order.authorizations.len()), (Status::Pending, 1));
        let authorization: Authorization = read(AUTHORIZATION.as_bytes(), "authorization").unwrap();
        assert_eq!(authorization.identifier.value, "a.example");
        assert_eq!(authorization.challenge("http-01").unwrap().token, "Lz_-9");
        let directory =
            r#"{ "newNonce": "a", "newAccount": "b", "newOrder": "c", "keyChange": "d", "x": [1] }"#;
        let directory: DirectoryUrls = read(directory.as_bytes(), "directory").unwrap();
        assert_eq!((&*directory.new_order, directory.meta.external_account_required), ("c", false));
    }

    #[test]
    fn a_token_that_is_no_token_is_no_challenge() {
        let authorization: Authorization = read(AUTHORIZATION.as_bytes(), "authorization").unwrap();
        for kind in ["dns-01", "new-02", "none-01"] {
            assert!(authorization.challenge(kind).is_none(), "{kind}");
        }
        let long = AUTHORIZATION.replace("Lz_-9", &"a".repeat(TOKEN_MAX + 1));
        let authorization: Authorization = read(long.as_bytes(), "authorization").unwrap();
        assert!(authorization.challenge("http-01").is_none());
    }

    #[test]
    fn an_unknown_status_is_no_error_and_hostile_answers_are() {
        let order = ORDER.replace("\"pending\"", "\"on_hold\"");
        assert_eq!(read_order(order.as_bytes()).unwrap().status, Status::Other);
        let many = format!("[{}]", vec!["\"https://x/\""; ITEMS_MAX + 1].join(","));
        let many = ORDER.replace(r#"["https://localhost:14000/authZ/y"]"#, &many);
        for wrong in [&*many, "", "<html>", "[]", "{}", &"[".repeat(1000), r#"{"status":1,"finalize":"x"}"#] {
            assert!(read_order(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
