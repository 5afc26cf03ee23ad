//! Cross-origin requests (Fetch standard, "CORS protocol").

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::scalar::show_duration;
use crate::config::keys::yaml::list;

/// Which pages of other origins may read responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cors {
    /// The origins, any of which matches.
    pub origins: Vec<OriginPattern>,
    /// The methods that are allowed. Empty for the one that a preflight asks for.
    pub methods: Vec<Arc<str>>,
    /// The header fields that are allowed. Empty for those that a preflight asks for.
    pub headers: Vec<Arc<str>>,
    /// The header fields of responses that scripts may read.
    pub expose: Vec<Arc<str>>,
    /// Whether requests with cookies are allowed.
    pub credentials: bool,
    /// How long a browser may keep the answer to a preflight. `None` leaves that to the browser.
    pub max_age: Option<Duration>,
}

impl Cors {
    /// Whether pages of this origin may read responses.
    pub fn allows(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|pattern| pattern.matches(origin))
    }

    /// Whether every origin is allowed, so that the answer is the same for all.
    pub fn allows_any(&self) -> bool {
        self.origins.contains(&OriginPattern::Any)
    }
}

/// An origin, or a pattern for origins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OriginPattern {
    /// `*`: every origin.
    Any,
    /// This origin, in lower case as browsers send it; or `null`.
    Exact(Arc<str>),
    /// `https://*.example.com`: one label or more before the end.
    Below {
        /// The scheme with `://`.
        scheme: Arc<str>,
        /// The end of the host with its dot, and the port if there is one.
        end: Arc<str>,
    },
}

impl OriginPattern {
    /// Whether the pattern takes an origin.
    pub fn matches(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact.as_bytes() == origin,
            Self::Below { scheme, end } => {
                let rest = origin.strip_prefix(scheme.as_bytes());
                let labels = rest.and_then(|rest| rest.strip_suffix(end.as_bytes()));
                labels.is_some_and(|labels| labels.split(|byte| *byte == b'.').all(is_label))
            }
        }
    }
}

/// Whether a label has only characters of host names, so that no port, user or path hides in it.
fn is_label(label: &[u8]) -> bool {
    let is_part =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !label.is_empty() && label.iter().all(is_part)
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Below { scheme, end } => write!(f, "{scheme}*{end}"),
        }
    }
}

impl fmt::Display for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cors { origins, methods, headers, expose, credentials, max_age } = self;
        write!(f, "{{ origins: {}", list(origins.iter()))?;
        for (key, names) in [("methods", methods), ("headers", headers), ("expose", expose)] {
            if !names.is_empty() {
                write!(f, ", {key}: {}", list(names.iter()))?;
            }
        }
        write!(f, ", credentials: {credentials}")?;
        if let Some(max_age) = max_age {
            write!(f, ", max_age: {}", show_duration(*max_age))?;
        }
        f.write_str(" }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_the_origins_below_it_alone() {
        let below = OriginPattern::Below { scheme: "https://".into(), end: ".example.com".into() };
        for (origin, takes) in [
            ("https://app.example.com", true),
            ("https://a.b.example.com", true),
            ("https://example.com", false),
            ("https://.example.com", false),
            ("https://a..example.com", false),
            ("https://evil.net/.example.com", false),
            ("https://evil.net:1.example.com", false),
            ("https://user@a.example.com", false),
            ("https://app.example.com.evil.net", false),
            ("https://evilexample.com", false),
            ("https://app.example.com:444", false),
            ("http://app.example.com", false),
            ("null", false),
        ] {
            assert_eq!(below.matches(origin.as_bytes()), takes, "{origin}");
        }
        assert!(OriginPattern::Any.matches(b"null"));
        assert!(!OriginPattern::Exact("https://a".into()).matches(b"https://a.evil.net"));
    }
}
