//! Users that may send requests.

use std::fmt;
use std::sync::Arc;

use crate::config::keys::Secret;
use crate::config::keys::yaml::{quote, quote_key};

/// How a rule knows its users.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// By names and passwords (RFC 7617).
    Basic(Basic),
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

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Auth::Basic(Basic { users, realm, forward, forward_user }) = self;
        let users: Vec<String> =
            users.iter().map(|(name, _)| format!("{}: \"[redacted]\"", quote_key(name))).collect();
        write!(
            f,
            "{{ basic: {{ users: {{ {} }}, realm: {}, forward: {forward}",
            users.join(", "),
            quote(realm)
        )?;
        if let Some(field) = forward_user {
            write!(f, ", forward_user: {}", quote(field))?;
        }
        f.write_str(" } }")
    }
}
