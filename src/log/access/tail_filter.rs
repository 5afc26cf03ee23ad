//! The exchanges that a reader of `/tail` asks for, and the form of their lines.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::record::AccessRecord;
use crate::reason::Reason;

/// The form of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TailFormat {
    /// As the access log in JSON.
    #[default]
    Json,
    /// As the access log for people.
    Human {
        /// Whether lines have colours.
        colours: bool,
    },
}

/// The exchanges that a reader asks for: all that each field takes. `None` takes every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailFilter {
    /// The name of the rule.
    pub rule: Option<String>,
    /// The status of the response.
    pub status: Option<RangeInclusive<u16>>,
    /// The host in small letters, without a port.
    pub host: Option<String>,
    /// Exchanges that took at least so long.
    pub slow: Option<Duration>,
    /// Why the gate replied by itself.
    pub reason: Option<Reason>,
    /// The form of lines.
    pub format: TailFormat,
}

impl TailFilter {
    /// Parses `404` or `4xx`.
    pub fn parse_status(text: &str) -> Option<RangeInclusive<u16>> {
        let (first, rest) = text.split_at_checked(1)?;
        let hundreds = first.parse::<u16>().ok().filter(|class| (1..=9).contains(class))? * 100;
        match rest {
            "xx" | "XX" => Some(hundreds..=hundreds + 99),
            _ if text.len() == 3 => text.parse().ok().map(|status| status..=status),
            _ => None,
        }
    }

    /// Whether the reader asks for a line of this record.
    pub(super) fn takes(&self, record: &AccessRecord<'_>) -> bool {
        let Self { rule, status, host, slow, reason, format: _ } = self;
        rule.as_ref().is_none_or(|rule| *rule == record.rule)
            && status
                .as_ref()
                .is_none_or(|wanted| record.request.is_some_and(|request| wanted.contains(&request.status)))
            && host.as_ref().is_none_or(|host| is_host(record.host, host.as_bytes()))
            && slow.is_none_or(|slow| record.duration >= slow)
            && reason.is_none_or(|reason| record.reason == Some(reason))
    }
}

/// Whether an authority is this host, whatever its port.
fn is_host(authority: &[u8], host: &[u8]) -> bool {
    let Some((name, port)) = authority.split_at_checked(host.len()) else { return false };
    name.eq_ignore_ascii_case(host) && (port.is_empty() || port.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn a_status_is_a_number_or_a_class() {
        assert_eq!(TailFilter::parse_status("404"), Some(404..=404));
        assert_eq!(TailFilter::parse_status("5xx"), Some(500..=599));
        for text in ["", "x", "40", "4x", "4xxx", "0xx", "4044", "é04", "4 4"] {
            assert_eq!(TailFilter::parse_status(text), None, "{text}");
        }
    }

    #[test]
    fn every_field_of_a_filter_must_fit() {
        let takes = |filter: TailFilter| filter.takes(&record());
        let rule = |rule: &str| TailFilter { rule: Some(rule.into()), ..TailFilter::default() };
        let status =
            |status| TailFilter { status: TailFilter::parse_status(status), ..TailFilter::default() };
        let host = |host: &str| TailFilter { host: Some(host.into()), ..TailFilter::default() };
        let slow = |micros| TailFilter { slow: Some(Duration::from_micros(micros)), ..TailFilter::default() };
        let reason = TailFilter { reason: Some(Reason::NoRule), ..TailFilter::default() };
        assert!(
            takes(TailFilter::default()) && takes(rule("admin.localhost/users")) && !takes(rule("users"))
        );
        assert!(takes(status("200")) && takes(status("2xx")) && !takes(status("5xx")));
        assert!(takes(host("admin.localhost")) && !takes(host("admin.local")) && !takes(host("localhost")));
        assert!(takes(slow(1_234)) && !takes(slow(1_235)) && !takes(reason.clone()));
        assert!(reason.takes(&AccessRecord { reason: Some(Reason::NoRule), ..record() }));
        assert!(!takes(TailFilter { rule: Some("other".into()), ..status("200") }));
        let connection = AccessRecord { request: None, ..record() };
        assert!(!status("2xx").takes(&connection) && TailFilter::default().takes(&connection));
    }
}
