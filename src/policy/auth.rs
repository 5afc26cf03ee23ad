//! How a rule knows its users.

use std::sync::Arc;
use std::time::Instant;

use super::answers::{AnswerCache, AnswerKey};
use super::basic::{BasicAuth, PasswordCheck};
use super::cors::requested_method;
use super::jwt::{KeySets, TokenAuth};
use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::config::plan::{Auth, AuthServer};
use crate::http::{Name, RequestHead};
use crate::jwt::KeysAsked;
use crate::reason::Reason;

/// How a rule in force knows its users.
pub(super) enum Authenticator {
    /// By passwords.
    Basic(BasicAuth),
    /// By tokens.
    Token(TokenAuth),
    /// By a server.
    Server(AskedServer),
}

/// A server that is asked, and its answers that are remembered.
pub(super) struct AskedServer {
    auth: Arc<Auth>,
    answers: Option<Arc<AnswerCache>>,
}

/// A question that has to be answered before the user is known.
pub enum AuthQuestion {
    /// A password is compared with a hash.
    Password(Box<PasswordCheck>),
    /// The keys of tokens are fetched.
    Keys(KeysAsked),
    /// A server is asked.
    Server(AuthServerQuestion),
}

/// A question for a server.
pub struct AuthServerQuestion {
    auth: Arc<Auth>,
    /// The place for the answer, and its key there.
    remembered: Option<(Arc<AnswerCache>, AnswerKey)>,
}

impl AuthServerQuestion {
    /// The server.
    pub fn server(&self) -> Option<&AuthServer> {
        match &*self.auth {
            Auth::Server(server) => Some(server),
            Auth::Basic(_) | Auth::Jwt(_) => None,
        }
    }

    /// Records that the server lets the request in, with lines for the target and for the client. An answer with a line
    /// for the client, which begins or renews a session, is for this request alone.
    pub fn let_in(&self, state: &mut PolicyState, request: &[u8], response: &[u8], now: Instant) {
        if let Some((answers, key)) = self.remembered.as_ref().filter(|_| response.is_empty()) {
            answers.remember(*key, request, now);
        }
        state.let_in(&self.auth, request, response);
    }
}

impl Authenticator {
    /// The users. `before` are those until now. `keys` are the sets that are fetched.
    pub(super) fn new(auth: &Arc<Auth>, keys: &KeySets, before: Option<&Authenticator>) -> Self {
        match (&**auth, before) {
            (Auth::Basic(_), Some(Authenticator::Basic(before))) => {
                Self::Basic(BasicAuth::new(auth, Some(before)))
            }
            (Auth::Basic(_), _) => Self::Basic(BasicAuth::new(auth, None)),
            (Auth::Jwt(jwt), _) => Self::Token(TokenAuth::new(auth, jwt, keys)),
            (Auth::Server(server), before) => Self::Server(AskedServer::new(auth, server, before)),
        }
    }

    /// Whether preflights are let in without a question.
    fn lets_preflights_in(&self) -> bool {
        match self {
            Self::Basic(_) | Self::Token(_) => false,
            Self::Server(AskedServer { auth, .. }) => match &**auth {
                Auth::Server(server) => server.preflights,
                Auth::Basic(_) | Auth::Jwt(_) => false,
            },
        }
    }

    /// Finds the user of a request. The result is a question that has to be answered first.
    ///
    /// # Errors
    /// Why the request is refused.
    pub(super) fn identify(
        &self,
        request: &PolicyRequest<'_>,
        state: &mut PolicyState,
    ) -> Result<Option<AuthQuestion>, Reason> {
        match self {
            Self::Basic(basic) => Ok(basic.identify(request, state)?.map(AuthQuestion::Password)),
            Self::Token(token) => Ok(token.identify(request, state)?.map(AuthQuestion::Keys)),
            Self::Server(server) if self.lets_preflights_in() && is_bare_preflight(request.head) => {
                state.let_in(&server.auth, b"", b"");
                Ok(None)
            }
            Self::Server(server) => Ok(server.identify(request, state).map(AuthQuestion::Server)),
        }
    }
}

/// Whether a request is a preflight as browsers send it: it has no body, and upgrades to nothing. A target could act on
/// more, for which the server was not asked.
fn is_bare_preflight(head: &RequestHead<'_>) -> bool {
    let has_more = [Name::Upgrade, Name::TransferEncoding, Name::ContentLength];
    requested_method(head).is_some() && has_more.into_iter().all(|name| head.fields.get(name).is_none())
}

impl AskedServer {
    /// The server. Its answers until now hold, if nothing about it has changed.
    fn new(auth: &Arc<Auth>, server: &AuthServer, before: Option<&Authenticator>) -> Self {
        let known = before.and_then(|before| match before {
            Authenticator::Server(before) if before.auth == *auth => before.answers.clone(),
            _ => None,
        });
        Self { auth: auth.clone(), answers: known.or_else(|| AnswerCache::new(server.cache)) }
    }

    /// Lets a request in by an answer that still holds. The result is a question if there is none.
    fn identify(&self, request: &PolicyRequest<'_>, state: &mut PolicyState) -> Option<AuthServerQuestion> {
        let question = |remembered| AuthServerQuestion { auth: self.auth.clone(), remembered };
        let Some(answers) = &self.answers else { return Some(question(None)) };
        let key = answers.key(request);
        let is_known = answers.recall(&key, request.now, |lines| state.let_in(&self.auth, lines, b""));
        (!is_known).then(|| question(Some((answers.clone(), key))))
    }
}
