//! Names and passwords (RFC 7617).
//!
//! A password is compared with its hash once, in a thread of its own. The result is remembered by a fingerprint, so that
//! neither the password nor anything that could be tried against it stays in memory.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::limits::{ConcurrencyLimit, SHARDS, Shards};
use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::auth::{FingerprintKey, decode, is_right};
use crate::config::plan::{Auth, Basic, RequestLimit};
use crate::http::Name;
use crate::reason::Reason;

/// Results that each part remembers at once, so that a rule has 4,096.
const RESULTS_MAX: usize = 4_096 / SHARDS;
/// How long a right password is remembered.
const RIGHT: Duration = Duration::from_secs(600);
/// How long a wrong one is.
const WRONG: Duration = Duration::from_secs(10);

/// The limit on comparisons in the whole process, since each takes a core for a tenth of a second.
static COMPARISONS: LazyLock<ConcurrencyLimit> = LazyLock::new(|| {
    let limit = RequestLimit { requests: 2, waiting: 32, timeout: Duration::from_secs(10) };
    ConcurrencyLimit::new(&Arc::new(limit), None)
});

/// The users of a rule in force.
pub(super) struct BasicAuth {
    auth: Arc<Auth>,
    known: Arc<KnownPasswords>,
}

/// The results of comparisons, by fingerprints.
#[derive(Default)]
struct KnownPasswords {
    key: FingerprintKey,
    results: Shards<HashMap<[u8; 32], KnownResult>>,
}

struct KnownResult {
    is_right: bool,
    until: Instant,
}

/// A password that has to be compared with a hash.
pub struct PasswordCheck {
    hash: Arc<str>,
    password: Vec<u8>,
    /// There is such a user. For another one the time is spent too, so that it says nothing.
    is_user: bool,
    fingerprint: [u8; 32],
    known: Arc<KnownPasswords>,
    now: Instant,
}

impl PasswordCheck {
    /// The limit on comparisons in the whole process.
    pub fn limit() -> &'static ConcurrencyLimit {
        &COMPARISONS
    }

    /// Compares, which takes from a tenth of a second to seconds, and remembers the result.
    pub fn run(self) {
        let is_right = is_right(&self.hash, &self.password) && self.is_user;
        let until = self.now + if is_right { RIGHT } else { WRONG };
        self.known.insert(self.fingerprint, KnownResult { is_right, until }, self.now);
    }
}

impl BasicAuth {
    /// The users. `before` are those until now. What is remembered of them holds for users that have the same hash.
    pub(super) fn new(auth: &Arc<Auth>, before: Option<&BasicAuth>) -> Self {
        let known = before.map(|before| before.known.clone()).unwrap_or_default();
        Self { auth: auth.clone(), known }
    }

    /// Finds the user of a request. The result is a password that has to be compared first.
    ///
    /// # Errors
    /// `Unauthorized` if there is no user with this password.
    pub(super) fn identify(
        &self,
        request: &PolicyRequest<'_>,
        state: &mut PolicyState,
    ) -> Result<Option<Box<PasswordCheck>>, Reason> {
        let Auth::Basic(basic) = &*self.auth else { return Err(Reason::Unauthorized) };
        let mut fields = request.head.fields.iter().filter(|field| field.known() == Name::Authorization);
        let field = fields.next();
        if fields.next().is_some() {
            return Err(Reason::RequestMalformed);
        }
        let Some((name, password)) = field.and_then(|field| credentials(field.value())) else {
            return Err(challenge(basic, state));
        };
        let found = basic.users.binary_search_by(|(user, _)| user.as_bytes().cmp(&name));
        let at = found.unwrap_or_else(|_| self.known.stand_in(&name, basic.users.len()));
        let Some((user, hash)) = basic.users.get(at) else {
            return Err(challenge(basic, state));
        };
        // With another user's hash, the result for this name is another one.
        let is_user = [u8::from(found.is_ok())];
        let fingerprint = self.known.key.of(&[&is_user, &name, hash.0.as_bytes(), &password]);
        match self.known.result(&fingerprint, request.now) {
            Some(true) => {
                state.identify(&self.auth, user, basic.forward_user.as_deref());
                Ok(None)
            }
            Some(false) => Err(challenge(basic, state)),
            None => Ok(Some(Box::new(PasswordCheck {
                hash: hash.0.clone(),
                password,
                is_user: found.is_ok(),
                fingerprint,
                known: self.known.clone(),
                now: request.now,
            }))),
        }
    }
}

/// The name and the password of a field, if it has any. The name has no colon, and neither has a control character.
fn credentials(value: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, token) = value.split_at_checked(6)?;
    let text = Some(token)
        .filter(|_| scheme.eq_ignore_ascii_case(b"basic "))
        .and_then(|token| decode(token.trim_ascii()))?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    let has_control = text.iter().any(u8::is_ascii_control);
    (!has_control).then(|| (text[..colon].to_vec(), text[colon + 1..].to_vec()))
}

/// Asks for a name and a password.
fn challenge(basic: &Basic, state: &mut PolicyState) -> Reason {
    state
        .respond_with("WWW-Authenticate", format_args!("Basic realm=\"{}\", charset=\"UTF-8\"", basic.realm));
    Reason::Unauthorized
}

impl KnownPasswords {
    /// The user whose hash is compared for a name that is no user's. It is another one for another name, so that the time
    /// tells no user by a cost that the others do not have.
    fn stand_in(&self, name: &[u8], users: usize) -> usize {
        let [one, two, ..] = self.key.of(&[name]);
        usize::from(u16::from_be_bytes([one, two])) % users.max(1)
    }

    fn result(&self, fingerprint: &[u8; 32], now: Instant) -> Option<bool> {
        let results = self.results.of(part(fingerprint));
        results.get(fingerprint).filter(|result| now < result.until).map(|result| result.is_right)
    }

    /// Remembers a result. If there is no room, wrong passwords are forgotten first.
    fn insert(&self, fingerprint: [u8; 32], result: KnownResult, now: Instant) {
        let mut results = self.results.of(part(&fingerprint));
        if results.len() >= RESULTS_MAX {
            results.retain(|_, result| result.is_right && now < result.until);
        }
        if results.len() >= RESULTS_MAX {
            results.clear();
        }
        results.insert(fingerprint, result);
    }
}

/// The part that has a fingerprint. Its bytes are those of an HMAC, so any of them do.
fn part(fingerprint: &[u8; 32]) -> u64 {
    u64::from(fingerprint[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hash;

    #[test]
    fn unknown_names_are_compared_with_the_hashes_of_all_users() {
        let known = KnownPasswords::default();
        let stand_in = |name: u32| known.stand_in(&name.to_be_bytes(), 3);
        assert!((0..300).all(|name| stand_in(name) == stand_in(name)), "a name has one user");
        assert_eq!((known.stand_in(b"a", 1), known.stand_in(b"a", 0)), (0, 0));
        let mut counts = [0; 3];
        (0..300).for_each(|name| counts[stand_in(name)] += 1);
        // A program without passwords has no fingerprints.
        assert!(counts.iter().all(|count| *count > 30) || hash(b"").is_none(), "{counts:?}");
    }
}
