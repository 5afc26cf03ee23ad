//! Whether a client still needs a file: `ETag`, `Last-Modified`, and the conditions of a request (RFC 9110, sections
//! 8.8 and 13).

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;

use crate::config::plan::Coding;
use crate::http::entity_tags;

/// The time and the size by which a file is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validators {
    /// `None` if the time says nothing: builds that are to be the same each time set it to 0 or 1.
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    length: u64,
    seconds: u64,
    nanoseconds: u32,
    coding: Option<Coding>,
}

/// The result of asking the conditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// It is answered as one without conditions.
    Holds,
    /// The client has the file: 304.
    NotModified,
    /// A condition failed: 412.
    Failed,
}

/// The conditions of a request.
#[derive(Debug, Default)]
pub struct Preconditions {
    /// `If-Match`.
    pub if_match: Option<Vec<u8>>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<SystemTime>,
    /// `If-None-Match`.
    pub if_none_match: Option<Vec<u8>>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<SystemTime>,
    /// `If-Range`.
    pub if_range: Option<Vec<u8>>,
}

/// The value of a field with a date. One that is not valid does not count.
pub fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

impl Validators {
    pub(super) fn of(found: &Metadata, coding: Option<Coding>) -> Validators {
        let seconds = u64::try_from(found.mtime()).ok().filter(|seconds| *seconds > 1);
        let nanoseconds = u32::try_from(found.mtime_nsec()).unwrap_or(0);
        Validators {
            known: seconds.map(|seconds| Known { length: found.len(), seconds, nanoseconds, coding }),
        }
    }

    /// The value of `ETag`. The bytes of another coding are others, and so is their tag.
    pub fn tag(&self) -> Option<impl fmt::Display> {
        let Known { length, seconds, nanoseconds, coding } = self.known?;
        let time = u128::from(seconds) * 1_000_000_000 + u128::from(nanoseconds);
        let (dash, coding) = coding.map_or(("", ""), |coding| ("-", coding.word()));
        Some(fmt::from_fn(move |f| write!(f, "\"{length:x}-{time:x}{dash}{coding}\"")))
    }

    /// The value of `Last-Modified`.
    pub fn last_modified(&self) -> Option<impl fmt::Display> {
        Some(HttpDate::from(self.modified()?))
    }

    /// The time of the last change, in whole seconds as in a date of HTTP.
    fn modified(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.known?.seconds))
    }

    /// Asks the conditions in their order (RFC 9110, section 13.2.2).
    pub fn check(&self, conditions: &Preconditions) -> Evaluation {
        let Preconditions { if_match, if_unmodified_since, if_none_match, if_modified_since, if_range: _ } =
            conditions;
        let modified = self.modified();
        let is_unchanged = |since: &SystemTime| modified.is_some_and(|modified| modified <= *since);
        let fails = match (if_match, if_unmodified_since) {
            (Some(tags), _) => !self.is_among(tags, Comparison::Strong),
            (None, Some(since)) => modified.is_some() && !is_unchanged(since),
            (None, None) => false,
        };
        let is_known = match (if_none_match, if_modified_since) {
            (Some(tags), _) => self.is_among(tags, Comparison::Weak),
            (None, Some(since)) => is_unchanged(since),
            (None, None) => false,
        };
        match (fails, is_known) {
            (true, _) => Evaluation::Failed,
            (false, true) => Evaluation::NotModified,
            (false, false) => Evaluation::Holds,
        }
    }

    /// Whether a range may be sent, because the client has a part of this very file (RFC 9110, section 13.1.5).
    pub fn allows_range(&self, conditions: &Preconditions, now: SystemTime) -> bool {
        let Some(value) = &conditions.if_range else { return true };
        if value.starts_with(b"\"") || value.starts_with(b"W/") {
            return self.is_among(value, Comparison::Strong);
        }
        // A file may change twice in one second, so a date of the current second proves nothing (section 8.8.2.2).
        let modified = self.modified();
        let is_settled = modified.is_some_and(|modified| modified + Duration::from_secs(1) < now);
        is_settled && date(value) == modified
    }

    fn is_among(&self, tags: &[u8], comparison: Comparison) -> bool {
        if tags.trim_ascii() == b"*" {
            // The file is there.
            return true;
        }
        let Some(own) = self.tag().map(|tag| tag.to_string()) else { return false };
        entity_tags(tags)
            .any(|(is_weak, tag)| tag == own.as_bytes() && (!is_weak || comparison == Comparison::Weak))
    }
}

/// How two tags are compared (RFC 9110, section 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag is equal to none.
    Strong,
    /// Weakness does not count.
    Weak,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"a-5f5e100\"";

    /// A file of 10 bytes that was changed a tenth of a second after the start of second 1.
    fn file(seconds: u64) -> Validators {
        Validators { known: Some(Known { length: 10, seconds, nanoseconds: 0, coding: None }) }
    }

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn tags(text: &str) -> Option<Vec<u8>> {
        Some(text.replace("TAG", &file(1000).tag().unwrap().to_string()).into_bytes())
    }

    #[test]
    fn a_tag_is_size_time_and_coding() {
        let known = Known { length: 10, seconds: 0, nanoseconds: 100_000_000, coding: None };
        let tag = |known| Validators { known: Some(known) }.tag().unwrap().to_string();
        assert_eq!(tag(known), TAG);
        assert_eq!(tag(Known { coding: Some(Coding::Brotli), ..known }), "\"a-5f5e100-br\"");
        assert!(Validators { known: None }.tag().is_none());
    }

    #[test]
    fn conditions_are_asked_in_their_order() {
        use Evaluation::{Failed, Holds, NotModified};
        let none = Preconditions::default;
        for (conditions, verdict) in [
            (none(), Holds),
            (Preconditions { if_match: tags("TAG"), ..none() }, Holds),
            (Preconditions { if_match: tags("*"), ..none() }, Holds),
            (Preconditions { if_match: tags("W/TAG"), ..none() }, Failed),
            (Preconditions { if_match: tags("\"other\""), ..none() }, Failed),
            (Preconditions { if_match: tags("TAG"), if_unmodified_since: at(1), ..none() }, Holds),
            (Preconditions { if_unmodified_since: at(999), ..none() }, Failed),
            (Preconditions { if_unmodified_since: at(1000), ..none() }, Holds),
            (Preconditions { if_none_match: tags("TAG"), ..none() }, NotModified),
            (Preconditions { if_none_match: tags("\"x\", W/TAG"), ..none() }, NotModified),
            (Preconditions { if_none_match: tags("*"), ..none() }, NotModified),
            (Preconditions { if_none_match: tags("\"x\""), if_modified_since: at(2000), ..none() }, Holds),
            (Preconditions { if_modified_since: at(1000), ..none() }, NotModified),
            (Preconditions { if_modified_since: at(2000), ..none() }, NotModified),
            (Preconditions { if_modified_since: at(999), ..none() }, Holds),
            (Preconditions { if_match: tags("\"x\""), if_none_match: tags("TAG"), ..none() }, Failed),
            (Preconditions { if_match: tags("TAG"), if_none_match: tags("TAG"), ..none() }, NotModified),
        ] {
            assert_eq!(file(1000).check(&conditions), verdict, "{conditions:?}");
        }
    }

    #[test]
    fn a_file_without_a_time_has_no_validators() {
        let unknown = Validators { known: None };
        assert!(unknown.last_modified().is_none());
        let check = |conditions: Preconditions| unknown.check(&conditions);
        let none = Preconditions::default;
        assert_eq!(
            check(Preconditions { if_modified_since: at(u32::MAX.into()), ..none() }),
            Evaluation::Holds
        );
        assert_eq!(check(Preconditions { if_unmodified_since: at(1), ..none() }), Evaluation::Holds);
        assert_eq!(check(Preconditions { if_none_match: tags("TAG"), ..none() }), Evaluation::Holds);
        assert_eq!(check(Preconditions { if_match: tags("TAG"), ..none() }), Evaluation::Failed);
        assert!(!unknown.allows_range(&Preconditions { if_range: tags("TAG"), ..none() }, SystemTime::now()));
    }

    #[test]
    fn a_range_wants_a_strong_validator() {
        let last_modified = file(1000).last_modified().unwrap().to_string();
        for (value, seconds_later, allowed) in [
            ("TAG", 0, true),
            ("W/TAG", 60, false),
            ("\"x\"", 60, false),
            (&last_modified, 60, true),
            (&last_modified, 1, false),
            ("Thu, 01 Jan 1970 00:16:41 GMT", 60, false),
            ("yesterday", 60, false),
        ] {
            let conditions = Preconditions { if_range: tags(value), ..Preconditions::default() };
            let now = at(1000 + seconds_later).unwrap();
            assert_eq!(file(1000).allows_range(&conditions, now), allowed, "{value}");
        }
        assert!(file(1000).allows_range(&Preconditions::default(), SystemTime::now()));
    }
}
