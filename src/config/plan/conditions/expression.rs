//! Regular expressions for paths: the condition `path_regex`, behind the feature `regex`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

use crate::http::CAPTURES_MAX;

/// A regular expression for a path, in any part of it unless it has anchors. A match takes time that is linear in the
/// length of the path, and allocates nothing once each worker has had a match.
#[derive(Clone)]
pub struct PathExpression {
    text: Arc<str>,
    program: program::Program,
    /// Path prefix that every path of the expression has, in the form of a rule's `path_prefix`.
    prefix: Arc<str>,
    /// For each group the name, if it has one.
    names: Box<[Option<Arc<str>>]>,
}

/// The reason why a text is no expression, and the bytes of it that are meant, if it is not the whole.
#[derive(Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// The end of a sentence that begins with the expression.
    pub problem: String,
    /// The place in the text.
    pub place: Option<Range<usize>>,
}

/// Bytes of the longest expression.
const TEXT_BYTES_MAX: usize = 1_024;

impl PathExpression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// When it is no expression, or a limit is too small for it.
    pub fn new(text: &str) -> Result<PathExpression, ExpressionError> {
        if text.len() > TEXT_BYTES_MAX {
            let problem = format!("is longer than {TEXT_BYTES_MAX} bytes");
            return Err(ExpressionError { problem, place: None });
        }
        let compiled = program::compile(text)?;
        // A star of the host may be one more.
        if compiled.names.len() >= CAPTURES_MAX {
            let problem = format!("has more than {} groups", CAPTURES_MAX - 1);
            return Err(ExpressionError { problem, place: None });
        }
        let program::Compiled { program, prefix, names } = compiled;
        Ok(PathExpression { text: text.into(), program, prefix: prefix.into(), names: names.into() })
    }

    /// Whether the expression matches in a path, which is decoded for matching.
    pub fn matches(&self, path: &[u8]) -> bool {
        program::matches(&self.program, path)
    }

    /// As [`matches`](Self::matches). Tells what each group takes; nothing for a group that takes no part.
    pub fn matches_with<'p>(&self, path: &'p [u8], take: impl FnMut(&'p [u8])) -> bool {
        program::matches_with(&self.program, path, self.names.len(), take)
    }

    /// The name of each group, if it has one.
    pub fn names(&self) -> &[Option<Arc<str>>] {
        &self.names
    }

    /// The path prefix that every path of the expression has, in the form of a rule's `path_prefix`.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the expression begins at the start of the path, or ends at its end.
    pub fn is_anchored(&self) -> bool {
        self.text.starts_with('^') || self.text.ends_with('$')
    }
}

impl PartialEq for PathExpression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for PathExpression {}

impl Hash for PathExpression {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Debug for PathExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathExpression({:?})", self.text)
    }
}

impl fmt::Display for PathExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The program without expressions.
#[cfg(not(feature = "regex"))]
mod program {
    use super::{Arc, ExpressionError};

    #[derive(Clone)]
    pub(super) enum Program {}

    pub(super) struct Compiled {
        pub(super) program: Program,
        pub(super) prefix: String,
        pub(super) names: Vec<Option<Arc<str>>>,
    }

    pub(super) fn compile(_: &str) -> Result<Compiled, ExpressionError> {
        let problem = "needs the feature `regex`, without which this program was built".to_owned();
        Err(ExpressionError { problem, place: None })
    }

    pub(super) fn matches(program: &Program, _: &[u8]) -> bool {
        match *program {}
    }

    pub(super) fn matches_with<'p>(
        program: &Program,
        _: &'p [u8],
        _: usize,
        _: impl FnMut(&'p [u8]),
    ) -> bool {
        match *program {}
    }
}

#[cfg(feature = "regex")]
mod program {
    use regex_automata::meta::{BuildError, Config, Regex};
    use regex_automata::util::primitives::NonMaxUsize;
    use regex_syntax::hir::{Hir, HirKind, Look};
    use regex_syntax::{Error, ParserBuilder};

    use super::{Arc, CAPTURES_MAX, ExpressionError};

    pub(super) type Program = Regex;

    pub(super) struct Compiled {
        pub(super) program: Program,
        pub(super) prefix: String,
        pub(super) names: Vec<Option<Arc<str>>>,
    }

    /// Bytes that a compiled expression may take.
    const SIZE_MAX: usize = 256 << 10;

    /// Groups in groups.
    const NEST_MAX: u32 = 50;

    /// A place for the start and the end of each group, and of the whole match.
    const SLOTS: usize = 2 * (CAPTURES_MAX + 1);

    pub(super) fn compile(text: &str) -> Result<Compiled, ExpressionError> {
        // Paths are bytes, and those of requests that are accepted are ASCII.
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).nest_limit(NEST_MAX).build();
        let parsed = parser.parse(text).map_err(|error| of_syntax(&error))?;
        let config = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(SIZE_MAX))
            .onepass_size_limit(Some(SIZE_MAX))
            .hybrid(false)
            .dfa(false);
        let built = Regex::builder().configure(config).build_from_hir(&parsed);
        let program = built.map_err(|error: BuildError| {
            let problem = match error.size_limit() {
                Some(_) => "is too large: it stands for too many texts".to_owned(),
                None => "cannot be compiled".to_owned(),
            };
            ExpressionError { problem, place: None }
        })?;
        let groups = program.group_info().pattern_names(regex_automata::PatternID::ZERO);
        // The first is the whole match.
        let names = groups.skip(1).map(|name| name.map(Arc::from)).collect();
        Ok(Compiled { prefix: literal_prefix(&parsed), program, names })
    }

    /// The whole segments with which every match begins.
    fn literal_prefix(parsed: &Hir) -> String {
        let HirKind::Concat(parts) = parsed.kind() else { return "/".to_owned() };
        let [start, literal, rest @ ..] = &parts[..] else { return "/".to_owned() };
        let (HirKind::Look(Look::Start), HirKind::Literal(literal)) = (start.kind(), literal.kind()) else {
            return "/".to_owned();
        };
        let literal = String::from_utf8_lossy(&literal.0);
        let ends_here = matches!(rest.first().map(Hir::kind), Some(HirKind::Look(Look::End)));
        let end = if ends_here { literal.len() } else { literal.rfind('/').unwrap_or(0) };
        let whole = literal[..end].trim_end_matches('/');
        if whole.starts_with('/') && !whole.contains("//") { whole.to_owned() } else { "/".to_owned() }
    }

    fn of_syntax(error: &Error) -> ExpressionError {
        let (kind, span) = match error {
            Error::Parse(error) => (error.kind().to_string(), error.span()),
            Error::Translate(error) => (error.kind().to_string(), error.span()),
            _ => return ExpressionError { problem: "is no regular expression".to_owned(), place: None },
        };
        let problem = format!("is no regular expression: {kind}");
        ExpressionError { problem, place: Some(span.start.offset..span.end.offset) }
    }

    pub(super) fn matches(program: &Program, path: &[u8]) -> bool {
        program.is_match(path)
    }

    pub(super) fn matches_with<'p>(
        program: &Program,
        path: &'p [u8],
        groups: usize,
        mut take: impl FnMut(&'p [u8]),
    ) -> bool {
        let mut slots: [Option<NonMaxUsize>; SLOTS] = [None; SLOTS];
        let slots = &mut slots[..2 * (groups + 1)];
        let is_match = program.search_slots(&path.into(), slots).is_some();
        for group in slots.chunks_exact(2).skip(1) {
            take(match group {
                [Some(start), Some(end)] => &path[start.get()..end.get()],
                _ => &[],
            });
        }
        is_match
    }
}

#[cfg(all(test, feature = "regex"))]
mod tests {
    use super::*;

    #[test]
    fn an_expression_matches_and_tells_its_groups() {
        let expression = PathExpression::new("^/v([0-9]+)/(?<name>[a-z]+)?$").unwrap();
        let groups = |path: &'static str| {
            let mut groups = Vec::new();
            let is_match =
                expression.matches_with(path.as_bytes(), |group| groups.push(String::from_utf8_lossy(group)));
            assert_eq!(is_match, expression.matches(path.as_bytes()));
            is_match.then_some(groups)
        };
        assert_eq!(groups("/v12/abc").unwrap(), ["12", "abc"]);
        assert_eq!(groups("/v1/").unwrap(), ["1", ""]);
        assert_eq!(groups("/v1/abc/"), None);
        assert_eq!(expression.names(), [None, Some("name".into())]);
        assert!(PathExpression::new("b+").unwrap().matches(b"/abbc"), "anywhere in the path");
    }

    #[test]
    fn an_expression_has_the_prefix_of_its_literal_segments() {
        for (text, prefix) in [
            ("^/users/([0-9]+)", "/users"),
            ("^/users$", "/users"),
            ("^/users", "/"),
            ("^/users/", "/users"),
            ("^/a/b[cd]", "/a"),
            ("/users/", "/"),
            ("(?i)^/users/", "/"),
            ("^/a/|^/b/", "/"),
            ("^/a//b", "/a"),
            ("^(/a/)", "/"),
            ("^", "/"),
            ("", "/"),
        ] {
            assert_eq!(PathExpression::new(text).unwrap().literal_prefix(), prefix, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_at_its_place() {
        for (text, place) in
            [("^/a(b", 3..4), ("/[z-a]", 2..5), ("/a**b{", 5..6), ("(?P<1>a)", 4..5), (r"\pL", 0..3)]
        {
            let error = PathExpression::new(text).unwrap_err();
            assert_eq!(error.place, Some(place), "{text} {error:?}");
        }
        for text in ["a".repeat(1_025), "(a{1000}){1000}".to_owned(), "()".repeat(16), "(".repeat(60)] {
            assert!(PathExpression::new(&text).is_err(), "{text}");
        }
    }
}
