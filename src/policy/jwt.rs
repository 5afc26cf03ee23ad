//! Tokens (RFC 6750).
//!
//! A token is verified once by each worker. The worker remembers it by a fingerprint until it expires or the keys change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::config::plan::{Auth, HttpListener, Jwt, JwtKeys, Plan, Protocol, TokenPlace};
use crate::http::{Claim, Name};
use crate::jwt::{Claims, Demands, FetchedKeys, KeySet, KeysAsked, TokenError, verify};
use crate::reason::Reason;

/// Tokens that a worker remembers.
const TOKENS_MAX: usize = 1_024;
/// How long it remembers one at most.
const REMEMBERED_MAX: Duration = Duration::from_secs(300);

thread_local! {
    /// The tokens of a worker, by fingerprints.
    static TOKENS: RefCell<HashMap<[u8; 32], Rc<KnownToken>>> = RefCell::default();
}

/// Numbers of rules, so that a token of one is not that of another.
static RULES: AtomicU64 = AtomicU64::new(0);

/// The tokens of a rule in force.
pub(super) struct TokenAuth {
    auth: Arc<Auth>,
    /// No other rule has it.
    number: u64,
    keys: Keys,
}

enum Keys {
    Written(Arc<KeySet>),
    Fetched(Arc<FetchedKeys>),
    /// The configuration refuses keys that are none.
    None,
}

/// A token that was verified.
struct KnownToken {
    until: Instant,
    /// It has the claims that the rule wants.
    is_enough: bool,
    /// `sub`.
    user: Box<[u8]>,
    claims: Arc<[Claim]>,
    /// Field lines for the target.
    lines: Box<[u8]>,
}

/// The sets of keys that a plan has fetched.
#[derive(Default)]
pub struct KeySets(HashMap<Arc<str>, Arc<FetchedKeys>>);

impl KeySets {
    /// The sets of a plan. Those that are in `before` too stay as they are.
    pub fn of(plan: &Plan, before: Option<&KeySets>) -> Self {
        let http = plan.listeners.iter().filter_map(|listener| match &listener.protocol {
            Protocol::Http(http) => Some(http),
            Protocol::Tcp(_) => None,
        });
        let sets = http.flat_map(urls).map(|url| {
            let known = before.and_then(|before| before.0.get(url)).cloned();
            (url.clone(), known.unwrap_or_else(|| Arc::new(FetchedKeys::new(url.clone()))))
        });
        Self(sets.collect())
    }

    /// Each set.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<FetchedKeys>> {
        self.0.values()
    }
}

/// The URLs of the keys of a listener's rules.
fn urls(http: &HttpListener) -> impl Iterator<Item = &Arc<str>> {
    http.rules.iter().filter_map(|rule| match rule.policies.as_ref()?.auth.as_deref()? {
        Auth::Jwt(Jwt { keys: JwtKeys::Url(url), .. }) => Some(url),
        Auth::Jwt(_) | Auth::Basic(_) | Auth::Server(_) => None,
    })
}

impl TokenAuth {
    /// The tokens. `sets` are the keys that are fetched.
    pub(super) fn new(auth: &Arc<Auth>, jwt: &Jwt, sets: &KeySets) -> Self {
        let written = |set: Result<KeySet, _>| set.map_or(Keys::None, |set| Keys::Written(Arc::new(set)));
        let keys = match &jwt.keys {
            JwtKeys::Url(url) => sets.0.get(url).map_or(Keys::None, |keys| Keys::Fetched(keys.clone())),
            JwtKeys::Public { text, .. } => written(KeySet::of_text(text.as_bytes())),
            JwtKeys::Secret(secret) => written(KeySet::of_secret(secret.0.as_bytes())),
        };
        Self { auth: auth.clone(), number: RULES.fetch_add(1, Ordering::Relaxed), keys }
    }

    /// Finds the user of a request. The result is the end of a fetch of keys, which has to come first.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(super) fn identify(
        &self,
        request: &PolicyRequest<'_>,
        state: &mut PolicyState,
    ) -> Result<Option<KeysAsked>, Reason> {
        let Auth::Jwt(jwt) = &*self.auth else { return Err(Reason::Unauthorized) };
        let Some(token) = token(jwt, request)? else { return Err(challenge(None, state)) };
        let verified = match &self.keys {
            Keys::Written(set) => self.recall(jwt, set, token, request.now),
            Keys::Fetched(keys) => match &*keys.set() {
                Some(set) => match self.recall(jwt, set, token, request.now) {
                    // A newer set may have the key.
                    Err(TokenError::UnknownKey) => match keys.ask(request.now).filter(|_| !state.has_asked())
                    {
                        Some(asked) => return Ok(Some(asked)),
                        None => Err(TokenError::UnknownKey),
                    },
                    verified => verified,
                },
                None => {
                    let asked = keys.ask(request.now).filter(|_| !state.has_asked());
                    return asked.map(Some).ok_or(Reason::AuthUnavailable);
                }
            },
            Keys::None => return Err(Reason::AuthUnavailable),
        };
        let known = verified.map_err(|error| challenge(Some(error), state))?;
        if !known.is_enough {
            state.respond("WWW-Authenticate", b"Bearer error=\"insufficient_scope\"");
            return Err(Reason::InsufficientScope);
        }
        state.identify_by_token(&self.auth, &known.user, &known.claims, &known.lines);
        Ok(None)
    }

    /// The token as it was verified before, or verifies it.
    fn recall(
        &self,
        jwt: &Jwt,
        keys: &KeySet,
        token: &[u8],
        now: Instant,
    ) -> Result<Rc<KnownToken>, TokenError> {
        let fingerprint = keys.fingerprint(self.number, token);
        let known = TOKENS.with_borrow(|tokens| tokens.get(&fingerprint).cloned());
        if let Some(known) = known.filter(|known| now < known.until) {
            return Ok(known);
        }
        let demands = Demands {
            algorithms: &jwt.algorithms,
            issuer: jwt.issuer.as_deref(),
            audience: &jwt.audience,
            leeway: jwt.leeway,
        };
        let (claims, left) = verify(token, keys, &demands, SystemTime::now())?;
        let known = Rc::new(KnownToken::new(jwt, &claims, now + left.min(REMEMBERED_MAX))?);
        TOKENS.with_borrow_mut(|tokens| {
            if tokens.len() >= TOKENS_MAX {
                tokens.retain(|_, known| now < known.until);
            }
            if tokens.len() >= TOKENS_MAX {
                tokens.clear();
            }
            tokens.insert(fingerprint, known.clone());
        });
        Ok(known)
    }
}

impl KnownToken {
    fn new(jwt: &Jwt, claims: &Claims, until: Instant) -> Result<Self, TokenError> {
        let mut lines = Vec::new();
        for (name, claim) in &jwt.forward {
            if let Some(value) = claims.field(claim)? {
                // Writing to a vector cannot fail.
                let _ = write!(lines, "{name}: ");
                lines.extend_from_slice(&value);
                lines.extend_from_slice(b"\r\n");
            }
        }
        Ok(Self {
            until,
            is_enough: jwt.claims.iter().all(|(name, wanted)| claims.has(name, wanted)),
            user: claims.field("sub")?.unwrap_or_default().into(),
            claims: claims.texts().into(),
            lines: lines.into(),
        })
    }
}

/// The token of a request: the first one of the places in which it may be.
///
/// # Errors
/// `RequestMalformed`: two fields could hold it, of which a target may take the other one.
fn token<'b>(jwt: &Jwt, request: &PolicyRequest<'b>) -> Result<Option<&'b [u8]>, Reason> {
    for place in &jwt.from {
        let found = match place {
            TokenPlace::Bearer => {
                let mut fields =
                    request.head.fields.iter().filter(|field| field.known() == Name::Authorization);
                let field = fields.next();
                if fields.next().is_some() {
                    return Err(Reason::RequestMalformed);
                }
                field.and_then(|field| bearer(field.value()))
            }
            TokenPlace::Cookie(name) => request.head.fields.cookie(name.as_bytes()),
        };
        if found.is_some_and(|token| !token.is_empty()) {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The token of a field (RFC 6750, section 2.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Asks for a token, and says why the one that came is none (RFC 6750, section 3).
fn challenge(error: Option<TokenError>, state: &mut PolicyState) -> Reason {
    match error {
        None => state.respond("WWW-Authenticate", b"Bearer"),
        Some(error) => state.respond_with(
            "WWW-Authenticate",
            format_args!("Bearer error=\"invalid_token\", error_description=\"{}\"", error.explain()),
        ),
    }
    Reason::Unauthorized
}
