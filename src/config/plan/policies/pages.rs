//! Pages of one's own for answers of the gate, and for answers of targets that they stand in for.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::keys::yaml::{list, quote};
use crate::http::Escape;
use crate::reason::Reason;

/// The pages of a rule or a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pages(Vec<(PageKey, Page)>);

/// The answers that a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PageKey {
    /// Answers with this reason.
    Reason(Reason),
    /// Answers with a status.
    Status(StatusPattern),
}

/// A status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatusPattern {
    /// This status.
    Exact(u16),
    /// `5xx`: every status with this first digit.
    Class(u16),
}

/// An HTML page, as its file was when the configuration was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Page {
    /// The file.
    pub path: PathBuf,
    /// The text of the file.
    pub text: Arc<str>,
}

/// The values of the placeholders in a page.
#[derive(Clone, Copy, Debug)]
pub struct PageValues<'a> {
    /// The status of the answer.
    pub status: u16,
    /// The reason of an answer of the gate, else empty.
    pub reason: &'a str,
    /// The identity of the request; empty if its rule gives none.
    pub request_id: &'a [u8],
}

impl Pages {
    /// The pages. A page for a reason comes before one for a status, and a status before its class.
    pub(crate) fn new(mut pages: Vec<(PageKey, Page)>) -> Self {
        pages.sort_by_key(|(key, _)| match key {
            PageKey::Reason(_) => 0,
            PageKey::Status(StatusPattern::Exact(_)) => 1,
            PageKey::Status(StatusPattern::Class(_)) => 2,
        });
        Self(pages)
    }

    /// The page for an answer of the gate. A policy may have given it another status than the usual one.
    pub fn of_reason(&self, reason: Reason, answered: u16) -> Option<&Page> {
        // The gate has a page of its own for it, which reloads itself.
        let has_own = reason == Reason::TargetStarting;
        self.find(|key| match key {
            PageKey::Reason(own) => *own == reason,
            PageKey::Status(status) => status.takes(answered) && !has_own,
        })
    }

    /// The page for an answer of a target.
    pub fn of_status(&self, status: u16) -> Option<&Page> {
        self.find(|key| matches!(key, PageKey::Status(pattern) if pattern.takes(status)))
    }

    fn find(&self, takes: impl Fn(&PageKey) -> bool) -> Option<&Page> {
        self.0.iter().find(|(key, _)| takes(key)).map(|(_, page)| page)
    }
}

impl StatusPattern {
    /// Whether the pattern takes a status.
    pub fn takes(self, status: u16) -> bool {
        match self {
            Self::Exact(own) => own == status,
            Self::Class(digit) => status / 100 == digit,
        }
    }
}

impl Page {
    /// Writes the page piece by piece: `{status}`, `{reason}` and `{request_id}` with their values, which are escaped. All
    /// other braces stand for themselves, since pages have styles and scripts.
    pub fn write(&self, values: PageValues<'_>, mut out: impl FnMut(&[u8])) {
        let status = [values.status / 100, values.status / 10 % 10, values.status % 10];
        let status = status.map(|digit| b'0' + digit as u8);
        let placeholders = [
            ("{status}", &status[..]),
            ("{reason}", values.reason.as_bytes()),
            ("{request_id}", values.request_id),
        ];
        let mut rest = &*self.text;
        while let Some(brace) = rest.find('{') {
            let (before, from) = rest.split_at(brace);
            out(before.as_bytes());
            let found = placeholders.iter().find_map(|(name, value)| Some((from.strip_prefix(name)?, value)));
            rest = match found {
                Some((behind, value)) => {
                    Escape::Html.write(value, &mut out);
                    behind
                }
                None => {
                    out(b"{");
                    &from[1..]
                }
            };
        }
        out(rest.as_bytes());
    }
}

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reason(reason) => f.write_str(reason.code()),
            Self::Status(status) => status.fmt(f),
        }
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(status) => write!(f, "{status}"),
            Self::Class(digit) => write!(f, "{digit}xx"),
        }
    }
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages =
            self.0.iter().map(|(key, page)| format!("{key}: {}", quote(&page.path.display().to_string())));
        write!(f, "{{ {} }}", pages.collect::<Vec<_>>().join(", "))
    }
}

/// The statuses of targets whose answers pages stand in for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intercept(pub Vec<StatusPattern>);

impl Intercept {
    /// Whether a page may stand in for an answer with this status.
    pub fn takes(&self, status: u16) -> bool {
        self.0.iter().any(|pattern| pattern.takes(status))
    }
}

impl fmt::Display for Intercept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(self.0.iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: text.into(), text: text.into() }
    }

    fn written(text: &str, request_id: &str) -> String {
        let mut out = Vec::new();
        let values = PageValues { status: 503, reason: "no_target", request_id: request_id.as_bytes() };
        page(text).write(values, |bytes| out.extend_from_slice(bytes));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn three_placeholders_have_values_and_other_braces_stand_for_themselves() {
        assert_eq!(written("{status} {reason} ({request_id})", "a-1"), "503 no_target (a-1)");
        assert_eq!(written("{request_id}", "<a\"&'>"), "&lt;a&#34;&amp;&#39;&gt;");
        for text in ["", "{", "a{b}c", "body{color:red} `${status }`", "{{}", "ü{", "{request_idx}"] {
            assert_eq!(written(text, ""), text);
        }
        assert_eq!(written("{{status}}", ""), "{503}");
    }

    #[test]
    fn the_most_special_page_counts() {
        let status = |pattern| PageKey::Status(pattern);
        let pages = Pages::new(vec![
            (status(StatusPattern::Class(5)), page("class")),
            (status(StatusPattern::Exact(503)), page("status")),
            (PageKey::Reason(Reason::RuleBusy), page("reason")),
        ]);
        let text = |page: Option<&Page>| page.map(|page| page.text.to_string()).unwrap_or_default();
        for (reason, expected) in [
            (Reason::RuleBusy, "reason"),
            (Reason::NoTarget, "status"),
            (Reason::ConnectRefused, "class"),
            (Reason::NoRule, ""),
            (Reason::TargetStarting, ""),
        ] {
            assert_eq!(text(pages.of_reason(reason, reason.status())), expected, "{reason:?}");
        }
        assert_eq!([503, 500, 404].map(|status| text(pages.of_status(status))), ["status", "class", ""]);
        let starting = Pages::new(vec![(PageKey::Reason(Reason::TargetStarting), page("own"))]);
        assert_eq!(text(starting.of_reason(Reason::TargetStarting, 503)), "own");
    }
}
