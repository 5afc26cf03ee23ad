//! How a rule knows its users.

use std::sync::Arc;

use super::basic::{BasicAuth, PasswordCheck};
use super::jwt::{KeySets, TokenAuth};
use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::config::plan::{Auth, AuthServer};
use crate::jwt::KeysAsked;
use crate::reason::Reason;

/// How a rule in force knows its users.
pub(super) enum Authenticator {
    /// By passwords.
    Basic(BasicAuth),
    /// By tokens.
    Token(TokenAuth),
    /// By a server.
    Server(Arc<Auth>),
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
pub struct AuthServerQuestion(Arc<Auth>);

impl AuthServerQuestion {
    /// The server.
    pub fn server(&self) -> Option<&AuthServer> {
        match &*self.0 {
            Auth::Server(server) => Some(server),
            Auth::Basic(_) | Auth::Jwt(_) => None,
        }
    }

    /// Records that the server lets the request in, with lines for the target and for the client.
    pub fn let_in(&self, state: &mut PolicyState, request: &[u8], response: &[u8]) {
        state.let_in(&self.0, request, response);
    }
}

impl Authenticator {
    /// The users. `before` are those until now. `keys` are the sets that are fetched.
    pub(super) fn new(auth: &Arc<Auth>, before: Option<&Authenticator>, keys: &KeySets) -> Self {
        let basic = before.and_then(|before| match before {
            Authenticator::Basic(basic) => Some(basic),
            Authenticator::Token(_) | Authenticator::Server(_) => None,
        });
        match &**auth {
            Auth::Basic(_) => Self::Basic(BasicAuth::new(auth, basic)),
            Auth::Jwt(jwt) => Self::Token(TokenAuth::new(auth, jwt, keys)),
            Auth::Server(_) => Self::Server(auth.clone()),
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
            Self::Server(auth) => Ok(Some(AuthQuestion::Server(AuthServerQuestion(auth.clone())))),
        }
    }
}
