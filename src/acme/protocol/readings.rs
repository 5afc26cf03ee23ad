//! Everything that is read from a CA, for a search of bytes that break a reader (`fuzz/`).

use std::time::Duration;

use super::ari::Window;
use super::base64;
use super::jws::{AccountKey, Signer};
use super::messages::{self, Authorization, DirectoryUrls};
use super::problem::Problem;

/// The results of all readers for some bytes.
#[derive(Debug, Default)]
pub struct Readings {
    /// Whether they are a directory.
    pub is_directory: bool,
    /// The number of authorizations of an order.
    pub authorizations: Option<usize>,
    /// The tokens of challenges that would be answered.
    pub tokens: Vec<String>,
    /// The name of the CA in a challenge by a record that stays.
    pub issuer: Option<String>,
    /// The text of the problem. Any answer that is no success is one.
    pub problem: String,
    /// The start and the end of a window of renewal, and the time of the next look, at the time 0.
    pub window: Option<[u64; 3]>,
    /// The bytes as text in base64, read.
    pub decoded: Option<Vec<u8>>,
}

impl Readings {
    /// Reads the bytes as each answer of a CA.
    pub fn of(bytes: &[u8]) -> Self {
        let authorization: Option<Authorization> = messages::read(bytes, "authorization").ok();
        let kinds = ["http-01", "tls-alpn-01", "dns-01"];
        let challenges = kinds.iter().filter_map(|kind| authorization.as_ref()?.challenge(kind));
        let persistent = authorization.as_ref().and_then(Authorization::persistent);
        let window = Window::read("id", bytes, 0, Some(Duration::ZERO)).ok();
        Self {
            is_directory: messages::read::<DirectoryUrls>(bytes, "directory").is_ok(),
            authorizations: messages::read_order(bytes).ok().map(|order| order.authorizations.len()),
            tokens: challenges.map(|challenge| challenge.token.clone()).collect(),
            issuer: persistent.map(|(_, issuer)| issuer.to_owned()),
            problem: Problem::read(400, bytes).text(),
            window: window.map(|window| [window.start, window.end, window.look]),
            decoded: std::str::from_utf8(bytes).ok().and_then(base64::decode_url),
        }
    }

    /// The text of bytes in base64.
    pub fn encoded(bytes: &[u8]) -> String {
        base64::url(bytes)
    }

    /// A signed request to `url` with this nonce and payload. `None` if no key can be made.
    pub fn signed(nonce: &str, url: &str, payload: &str) -> Option<String> {
        let (key, _) = AccountKey::generate().ok()?;
        key.request(&Signer::Account(url), nonce, url, Some(&payload.into())).ok()
    }
}
