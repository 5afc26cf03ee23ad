//! Hosts of rules.

use std::fmt;
use std::sync::Arc;

use super::conditions::star_of;
use crate::http::idn;

/// A host of a rule: lower case, without a port, without a dot at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host.
    Exact(Arc<str>),
    /// `*.example.com`: exactly one label before this suffix, which is kept as `example.com`.
    Wildcard(Arc<str>),
    /// `**.example.com`: one label or more before this suffix, which is kept as `example.com`.
    Deep(Arc<str>),
    /// Labels with stars in other places: `cdn-*.example.com`, `*.*.example.com`, `cdn-*.**`.
    Glob(Arc<HostGlob>),
}

/// Labels from the first to the last one with a star, and what stands behind them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostGlob {
    /// The labels, at least one.
    labels: Box<[LabelGlob]>,
    /// The name behind the labels. `None` for `**`, which takes one label or more.
    suffix: Option<Arc<str>>,
}

/// A label, or one with a star.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelGlob {
    /// The label, or its part before the star.
    pub start: Box<str>,
    /// The part behind the star. `None` without a star.
    pub end: Option<Box<str>>,
}

/// A group of hosts that an index finds by one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostPlace<'h> {
    /// The host with this name.
    Exact(&'h str),
    /// All hosts of one label before this name.
    Wildcard(&'h str),
    /// All hosts of one label or more before this name.
    Deep(&'h str),
    /// All hosts.
    Any,
}

impl HostPattern {
    /// The pattern of these labels and the name behind them, or `**` in its place.
    pub fn of_labels(labels: Box<[LabelGlob]>, suffix: Option<Arc<str>>) -> HostPattern {
        match (&*labels, suffix) {
            ([label], Some(suffix)) if *label == LabelGlob::star() => HostPattern::Wildcard(suffix),
            (_, suffix) => HostPattern::Glob(Arc::new(HostGlob { labels, suffix })),
        }
    }

    /// This number of labels, at least one, each a star.
    fn of_stars(labels: usize, suffix: Option<&str>) -> HostPattern {
        Self::of_labels(vec![LabelGlob::star(); labels].into(), suffix.map(Into::into))
    }

    /// The pattern with its name in Unicode, if that is another form.
    pub fn unicode(&self) -> Option<String> {
        let (labels, name) = self.split();
        idn::to_unicode(name).map(|name| format!("{labels}{name}"))
    }

    /// Whether the pattern takes a host, which is in lower case, without a port and without a dot at the end.
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Exact(exact) => exact.as_bytes() == host,
            pattern => pattern.take_stars(host, |_| {}),
        }
    }

    /// Whether the pattern has a star.
    pub fn has_star(&self) -> bool {
        !matches!(self, HostPattern::Exact(_))
    }

    /// The number of stars. `**` is one of them.
    fn stars(&self) -> usize {
        match self {
            HostPattern::Exact(_) => 0,
            HostPattern::Wildcard(_) | HostPattern::Deep(_) => 1,
            HostPattern::Glob(glob) => {
                let stars = glob.labels.iter().filter(|label| label.end.is_some()).count();
                stars + usize::from(glob.suffix.is_none())
            }
        }
    }

    /// The number of stars that each of the patterns has.
    pub fn common_stars(patterns: &[HostPattern]) -> usize {
        patterns.iter().map(HostPattern::stars).min().unwrap_or(0)
    }

    /// Calls `take` with the part of a host that each star takes. Returns `false` if the pattern does not take the host,
    /// or has no star.
    pub fn take_stars<'h>(&self, host: &'h [u8], mut take: impl FnMut(&'h [u8])) -> bool {
        let front = match self {
            HostPattern::Exact(_) => None,
            HostPattern::Glob(glob) => return glob.take_stars(host, take),
            HostPattern::Wildcard(suffix) => in_front_of(suffix, host).filter(|label| !label.contains(&b'.')),
            HostPattern::Deep(suffix) => in_front_of(suffix, host),
        };
        front.map(&mut take).is_some()
    }

    /// The place of the pattern in an index, and whether it takes each host of that place.
    pub fn place(&self) -> (HostPlace<'_>, bool) {
        match self {
            HostPattern::Exact(host) => (HostPlace::Exact(host), true),
            HostPattern::Wildcard(suffix) => (HostPlace::Wildcard(suffix), true),
            HostPattern::Deep(suffix) => (HostPlace::Deep(suffix), true),
            HostPattern::Glob(glob) => match (&glob.suffix, &*glob.labels) {
                (Some(suffix), [_]) => (HostPlace::Wildcard(suffix), false),
                (Some(suffix), _) => (HostPlace::Deep(suffix), false),
                (None, _) => (HostPlace::Any, false),
            },
        }
    }

    /// The patterns with stars alone that take every host of this one as well, the narrowest first: `*.example.com`,
    /// `**.example.com`, `*.*.com`, `**.com`, `*.*.**` and `*.**` for `a.example.com`.
    pub fn patterns_over(&self) -> Vec<HostPattern> {
        // An address in brackets has no labels.
        if matches!(self, HostPattern::Exact(host) if host.starts_with('[')) {
            return Vec::new();
        }
        let (before, name, is_open) = match self {
            HostPattern::Exact(host) => (0, Some(&**host), false),
            HostPattern::Wildcard(suffix) => (1, Some(&**suffix), false),
            HostPattern::Deep(suffix) => (1, Some(&**suffix), true),
            HostPattern::Glob(glob) => match glob.suffix.as_deref() {
                Some(suffix) => (glob.labels.len(), Some(suffix), false),
                None => (glob.labels.len() + 1, None, true),
            },
        };
        let labels = |name: &str| name.split('.').count();
        // The labels that every host of the pattern has.
        let least = before + name.map_or(0, labels);
        let suffixes = std::iter::successors(name, |name| name.split_once('.').map(|(_, suffix)| suffix));
        let named = suffixes.map(|suffix| (least - labels(suffix), suffix)).filter(|(front, _)| *front > 0);
        let named = named.flat_map(|(front, suffix)| {
            let stars = (!is_open).then(|| HostPattern::of_stars(front, Some(suffix)));
            stars.into_iter().chain([HostPattern::Deep(suffix.into())])
        });
        let open = (1..least).rev().map(|stars| HostPattern::of_stars(stars, None));
        named.chain(open).filter(|pattern| pattern != self).collect()
    }

    /// A first label that the hosts of the pattern may have.
    pub fn first_label(&self) -> String {
        match self {
            HostPattern::Exact(host) => host.split('.').next().unwrap_or_default().to_owned(),
            HostPattern::Wildcard(_) | HostPattern::Deep(_) => "x".to_owned(),
            HostPattern::Glob(glob) => {
                let label = glob.labels.first().map(LabelGlob::to_string);
                label.unwrap_or_default().replace('*', "x")
            }
        }
    }

    /// The labels with stars, and the name behind them.
    fn split(&self) -> (String, &str) {
        match self {
            HostPattern::Exact(host) => (String::new(), host),
            HostPattern::Wildcard(suffix) => ("*.".to_owned(), suffix),
            HostPattern::Deep(suffix) => ("**.".to_owned(), suffix),
            HostPattern::Glob(glob) => {
                let labels = glob.labels.iter().map(|label| format!("{label}.")).collect();
                (labels, glob.suffix.as_deref().unwrap_or("**"))
            }
        }
    }
}

impl HostGlob {
    /// The name behind the stars, if each host has exactly one label before it.
    pub fn suffix_of_one_label(&self) -> Option<&Arc<str>> {
        self.suffix.as_ref().filter(|_| self.labels.len() == 1)
    }

    /// The name behind the stars. `None` for `**`.
    pub fn suffix(&self) -> Option<&Arc<str>> {
        self.suffix.as_ref()
    }

    /// Bytes of the hosts that are not free.
    pub fn literal_length(&self) -> usize {
        let of_label = |label: &LabelGlob| label.start.len() + label.end.as_ref().map_or(0, |end| end.len());
        self.labels.iter().map(of_label).sum::<usize>() + self.suffix.as_ref().map_or(0, |name| name.len())
    }

    fn take_stars<'h>(&self, host: &'h [u8], mut take: impl FnMut(&'h [u8])) -> bool {
        // An address in brackets has no labels.
        let named = match &self.suffix {
            Some(suffix) => in_front_of(suffix, host),
            None => Some(host).filter(|host| !host.starts_with(b"[")),
        };
        let Some(mut rest) = named else { return false };
        for (at, glob) in self.labels.iter().enumerate() {
            let is_end = self.suffix.is_some() && at + 1 == self.labels.len();
            let dot = memchr::memchr(b'.', rest);
            let (label, behind) = match dot {
                Some(dot) if !is_end => (&rest[..dot], &rest[dot + 1..]),
                None if is_end => (rest, &[][..]),
                _ => return false,
            };
            match glob.part_of(label) {
                None => return false,
                Some(part) if glob.end.is_some() => take(part),
                Some(_) => {}
            }
            rest = behind;
        }
        if self.suffix.is_none() && !rest.is_empty() {
            take(rest);
            return true;
        }
        self.suffix.is_some()
    }
}

impl LabelGlob {
    fn star() -> LabelGlob {
        LabelGlob { start: "".into(), end: Some("".into()) }
    }

    /// The part of a label that the star takes; empty without a star. `None` for another label.
    fn part_of<'h>(&self, label: &'h [u8]) -> Option<&'h [u8]> {
        match &self.end {
            None => (label == self.start.as_bytes()).then_some(&[][..]),
            Some(end) if !label.is_empty() => star_of(label, self.start.as_bytes(), end.as_bytes()),
            Some(_) => None,
        }
    }
}

/// The part of a host before a name and its dot.
fn in_front_of<'h>(suffix: &str, host: &'h [u8]) -> Option<&'h [u8]> {
    let front = host.strip_suffix(suffix.as_bytes())?.strip_suffix(b".")?;
    (!front.is_empty()).then_some(front)
}

impl fmt::Display for LabelGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            Some(end) => write!(f, "{}*{end}", self.start),
            None => f.write_str(&self.start),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (labels, name) = self.split();
        write!(f, "{labels}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::values::pattern;

    fn host(text: &str) -> HostPattern {
        pattern::host(text).unwrap()
    }

    #[test]
    fn stars_take_labels_and_parts_of_them() {
        for (pattern, name, expected) in [
            ("*.*.x.test", "a.b.x.test", Some("a b")),
            ("*.*.x.test", "a.x.test", None),
            ("*.*.x.test", "a.b.c.x.test", None),
            ("*.*.x.test", ".b.x.test", None),
            ("hi.*.x.test", "hi.a.x.test", Some("a")),
            ("hi.*.x.test", "ha.a.x.test", None),
            ("cdn-*.**", "cdn-us.a.b.c", Some("us a.b.c")),
            ("cdn-*.**", "cdn-us", None),
            ("cdn-*.**", "cdn.a", None),
            ("*.**", "a.b", Some("a b")),
            ("*.**", "localhost", None),
            ("*.**", ".b", None),
            ("*.**", "a.", None),
            ("*.**", "", None),
            ("*.**", "[::ffff:192.0.2.1]", None),
            ("*.*.storage.**", "a.b.storage.c.d", Some("a b c.d")),
            ("*.*.storage.**", "a.storage.c.d", None),
            ("app.**", "app.a", Some("a")),
        ] {
            let (pattern, mut parts) = (host(pattern), Vec::new());
            let taken =
                pattern.take_stars(name.as_bytes(), |part| parts.push(std::str::from_utf8(part).unwrap()));
            assert_eq!(taken.then(|| parts.join(" ")).as_deref(), expected, "{pattern} {name}");
            assert_eq!(pattern.matches(name.as_bytes()), expected.is_some(), "{pattern} {name}");
            if expected.is_some() {
                assert_eq!(parts.len(), pattern.stars(), "{pattern}");
            }
        }
    }

    #[test]
    fn patterns_over_a_host_take_all_of_its_hosts() {
        let over = |text: &str| -> Vec<String> {
            host(text).patterns_over().iter().map(HostPattern::to_string).collect()
        };
        let expected = ["*.b.c", "**.b.c", "*.*.c", "**.c", "*.*.**", "*.**"];
        assert_eq!(over("a.b.c"), expected);
        assert_eq!(over("*.b.c"), expected[1..]);
        assert_eq!(over("a*.b.c"), expected);
        assert_eq!(over("**.b.c"), ["**.c", "*.*.**", "*.**"]);
        assert_eq!(over("a.*.c"), ["*.*.c", "**.c", "*.*.**", "*.**"]);
        assert_eq!(over("a*.**"), ["*.**"]);
        assert_eq!(over("a.*.**"), ["*.*.**", "*.**"]);
        for none in ["*.**", "localhost", "[::ffff:192.0.2.1]"] {
            assert_eq!(over(none), [""; 0], "{none}");
        }
    }
}
