//! Users that may send requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::jwt::Jwt;
use super::upstream::PolicyUpstream;
use crate::config::keys::Secret;
use crate::config::keys::scalar::show_duration;
use crate::config::keys::yaml::{list, quote, quote_key};
use crate::http::{Name, reads_alike};

/// How a rule knows its users.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// By names and passwords (RFC 7617).
    Basic(Basic),
    /// By tokens.
    Jwt(Jwt),
    /// By the answers of a server.
    Server(AuthServer),
}

/// Users with passwords.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Basic {
    /// The name and the hash of the password of each, sorted by names.
    pub users: Vec<(Arc<str>, Secret)>,
    /// The name of the protected place, which browsers show.
    pub realm: Arc<str>,
    /// Whether the target gets the field with the password.
    pub forward: bool,
    /// The field with the user's name for the target. A client's own one never gets there.
    pub forward_user: Option<Arc<str>>,
}

/// A server that is asked about each request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthServer {
    /// The place where it is.
    pub place: AuthServerPlace,
    /// Its upstream.
    pub upstream: PolicyUpstream,
    /// Names of fields that the target gets from its answer, in lower case. `*` at the end takes every end.
    pub copy: Vec<Arc<str>>,
    /// The URL where a browser signs in, with `{url}`.
    pub sign_in: Option<Arc<str>>,
    /// The time for an answer.
    pub timeout: Duration,
    /// How long an answer that lets a request in holds for further requests that are alike. Zero: for none.
    pub cache: Duration,
    /// Whether preflights are let in without a question.
    pub preflights: bool,
}

/// The place of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AuthServerPlace {
    /// A URL.
    Url(Arc<str>),
    /// A path at the targets of an upstream with a name.
    Named {
        /// The name of the upstream.
        upstream: Arc<str>,
        /// The path, with a query if there is one.
        path: Arc<str>,
    },
}

impl AuthServer {
    /// The path behind the base path of a target.
    pub fn path(&self) -> &str {
        match &self.place {
            // The URL is the target, so its path is the base path.
            AuthServerPlace::Url(_) => "",
            AuthServerPlace::Named { path, .. } => path,
        }
    }

    /// Whether the target gets the field of this name from the answer, and never from the client. Names that a program
    /// such as CGI reads alike are one: in any case, and `_` for `-`. A pattern leaves fields that frame the message, belong
    /// to the connection or route the request: without them the target would read another message.
    pub fn copies(&self, name: &[u8]) -> bool {
        let is_left = |known: Name| {
            known.is_hop_by_hop() || matches!(known, Name::ContentLength | Name::Host | Name::Expect)
        };
        self.copy.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => {
                name.get(..start.len()).is_some_and(|name| reads_alike(name, start.as_bytes()))
                    && !is_left(Name::classify(name))
            }
            None => reads_alike(name, pattern.as_bytes()),
        })
    }
}

impl Auth {
    /// Whether a field of the client never gets to the target, because the gate tells of the user.
    pub fn removes(&self, name: &[u8]) -> bool {
        match self {
            Auth::Basic(Basic { forward, forward_user, .. }) => {
                let is_credentials = !forward && name.eq_ignore_ascii_case(b"authorization");
                is_credentials
                    || forward_user.as_ref().is_some_and(|field| reads_alike(name, field.as_bytes()))
            }
            Auth::Jwt(jwt) => jwt.removes(name),
            Auth::Server(server) => server.copies(name),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Auth::Basic(basic) => write!(f, "{{ basic: {{ {basic} }} }}"),
            Auth::Jwt(jwt) => write!(f, "{{ jwt: {{ {jwt} }} }}"),
            Auth::Server(server) => write!(f, "{{ forward: {{ {server} }} }}"),
        }
    }
}

impl fmt::Display for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Basic { users, realm, forward, forward_user } = self;
        let users: Vec<String> =
            users.iter().map(|(name, _)| format!("{}: \"[redacted]\"", quote_key(name))).collect();
        write!(f, "users: {{ {} }}, realm: {}, forward: {forward}", users.join(", "), quote(realm))?;
        forward_user.iter().try_for_each(|field| write!(f, ", forward_user: {}", quote(field)))
    }
}

impl fmt::Display for AuthServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuthServer { place, upstream: _, copy, sign_in, timeout, cache, preflights } = self;
        match place {
            AuthServerPlace::Url(url) => write!(f, "url: {}", quote(url))?,
            AuthServerPlace::Named { upstream, path } => {
                write!(f, "upstream: {}, path: {}", quote(upstream), quote(path))?;
            }
        }
        let (copy, timeout, cache) = (list(copy.iter()), show_duration(*timeout), show_duration(*cache));
        write!(f, ", copy: {copy}, timeout: {timeout}, cache: {cache}, preflights: {preflights}")?;
        sign_in.iter().try_for_each(|place| write!(f, ", sign_in: {}", quote(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_program_reads_alike_are_one() {
        let server = AuthServer {
            place: AuthServerPlace::Url("".into()),
            upstream: PolicyUpstream::default(),
            copy: vec!["remote-*".into(), "x-a".into(), "con*".into(), "h*".into()],
            sign_in: None,
            timeout: Duration::ZERO,
            cache: Duration::ZERO,
            preflights: false,
        };
        for (name, copied) in [
            ("Remote-User", true),
            ("remote_user", true),
            ("REMOTE-", true),
            ("Remote", false),
            ("X_A", true),
            ("X-A-B", false),
            ("X-Remote-User", false),
            ("Content-Type", true),
            ("Content-Length", false),
            ("content-length", false),
            ("Connection", false),
            ("Host", false),
        ] {
            assert_eq!(server.copies(name.as_bytes()), copied, "{name}");
        }
    }
}
