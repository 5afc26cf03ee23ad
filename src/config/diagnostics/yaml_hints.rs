//! Hints for texts that are not YAML. A parser tells what it expected, which hardly helps to find a missing quote
//! or space.

/// A part of the parser's message, and the usual cause. The first row that fits counts.
const HINTS: [(&str, &str); 15] = [
    ("tab", "indent with spaces: YAML takes no tabs there"),
    ("anchor", "`*` and `&` begin names of anchors: put a value such as \"*.example.com\" in quotes"),
    ("escape", "between double quotes `\\` begins an escape: write `\\\\`, or take single quotes"),
    ("trailing content", BEHIND_QUOTE),
    ("quoted scalar", QUOTE),
    ("unclosed quote", QUOTE),
    ("expected key", "the keys of one mapping are indented alike: compare this line with those before it"),
    ("'-' indicator", "what belongs to an item of a list is indented further than its `-`"),
    (
        "mapping values",
        "is it indented too far, or has the line before no `:`, or no space behind the `:`? A value with `: ` in it needs quotes",
    ),
    ("',' or", "close the `{` or `[` before it, or put a comma between two entries"),
    ("unclosed bracket", "nothing closes it"),
    ("illegal placement", BRACKET),
    ("flow", BRACKET),
    ("sequence entries", "a list begins on a line of its own, below its key"),
    ("unexpected character", "put the value in quotes"),
];

const BRACKET: &str = "a `{` or `[` is not closed, or what stands in it is not indented";

const QUOTE: &str = "look for a quote that is not closed, on the lines before too";

const BEHIND_QUOTE: &str = "nothing may stand behind the closing quote; or look for a quote that is not closed, on the lines before too";

/// The hint for a message of the parser.
pub(crate) fn yaml_hint(complaint: &str) -> Option<&'static str> {
    HINTS.iter().find(|(part, _)| complaint.contains(part)).map(|(_, yaml_hint)| *yaml_hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::diagnostics::Report;
    use crate::config::syntax::yaml;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// The diagnostics for a text.
    fn said(text: &str) -> String {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &text.into());
        yaml::parse(text, file, &mut report);
        report.finish().to_string()
    }

    #[test]
    fn every_hint_has_an_error_that_it_fits() {
        let mut wrong = Vec::new();
        let mut given: BTreeSet<&str> = BTreeSet::new();
        for (text, expected) in [
            ("a:\n\tb: 1", "with spaces"),
            ("- a: x\n  \tb: 1", "with spaces"),
            ("host: *.example.com", "in quotes"),
            ("host: *", "in quotes"),
            ("a: \"\\d\"", "single quotes"),
            ("a: \"x\nb: \"1\"", "a quote that is not closed"),
            ("a: \"x\";", "behind the closing quote"),
            ("- host a\n  b: c", "has the line before no `:`"),
            ("a: { b: \"x }", "a quote that is not closed"),
            ("a: { b: \"x }\nc: \"y\"", "a quote that is not closed"),
            ("- a: 1\n   b: 2", "indented too far"),
            ("- a: \"1\"\n   b: 2", "compare this line"),
            ("a:\n    b: 1\n  c: 2", "compare this line"),
            ("a:\n  - b: 1\n  c: 2", "further than its `-`"),
            ("- a:1\n  b: 2", "no space behind the `:`"),
            ("a: b: c", "no space behind the `:`"),
            ("a: { b: 1\nc:\n  - d: 2", "close the `{` or"),
            ("a: [b c: d\ne: f", "close the `{` or"),
            ("a: { b: 1", "nothing closes it"),
            ("- a: [b, c\n  d: e", "`{` or `[` is not closed"),
            ("a: - b", "on a line of its own"),
            ("a: @b", "in quotes"),
            ("a:\n    - b\n   - c", "compare"),
        ] {
            let said = said(text);
            if !said.contains("not YAML") || !said.contains(expected) {
                wrong.push(format!("{text}\n{said}"));
            }
            given.extend(
                HINTS.iter().map(|(_, yaml_hint)| *yaml_hint).filter(|yaml_hint| said.contains(yaml_hint)),
            );
        }
        let unheard: Vec<_> = HINTS.iter().filter(|(_, yaml_hint)| !given.contains(yaml_hint)).collect();
        assert!(wrong.is_empty() && unheard.is_empty(), "{}\n{unheard:?}", wrong.join("\n"));
    }
}
