//! Parses lines `NAME=value`: the file `.env` beside a compose file, with the variables of `${...}`, and files of
//! labels.

use super::interpolation::interpolate;

/// One name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) name: String,
    pub(super) value: String,
    /// Byte offsets of the name, of the text after its sign, and of the end of the line.
    pub(super) places: [usize; 3],
}

/// A line that is not valid: its first byte, its end, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) message: String,
}

/// Parses the assignments of a file, in written order: `NAME=value`, `export NAME=value`, `NAME: value`.
///
/// A value in single quotes is taken literally. One in double quotes may have escapes and variables. One without
/// quotes may have variables and ends at ` #`. Quoted values may have several lines. `known` has the variables
/// that were set elsewhere. They come before those of earlier lines.
pub(super) fn parse(text: &str, known: &dyn Fn(&str) -> Option<String>) -> (Vec<Assignment>, Vec<BadLine>) {
    let mut all: Vec<Assignment> = Vec::new();
    let mut bad = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let start = at + (text[at..].len() - text[at..].trim_start().len());
        let line = &text[start..start + text[start..].find('\n').unwrap_or(text.len() - start)];
        at = start + line.len() + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut wrong = |message: &str| {
            bad.push(BadLine { start, end: start + line.trim_end().len(), message: message.into() });
        };
        let assignment = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some(sign) = assignment.find(['=', ':']) else {
            // `NAME` alone passes on a variable of the environment, which is known already.
            if !is_name(assignment.trim_end()) {
                wrong("this is not `NAME=value`");
            }
            continue;
        };
        let name = assignment[..sign].trim_end();
        if !is_name(name) {
            wrong("this is not `NAME=value`");
            continue;
        }
        let behind = start + (line.len() - assignment.len()) + sign + 1;
        let Some((value, end)) = value(text, behind) else {
            wrong("this quote is not closed");
            continue;
        };
        at = at.max(end);
        let lookup = |name: &str| {
            let own = || all.iter().rev().find(|before| before.name == name);
            known(name).or_else(|| own().map(|before| before.value.clone()))
        };
        let value = match value {
            Value::Literal(text) => text,
            Value::WithVariables(text) => match interpolate(&text, &lookup) {
                Ok(filled) => filled.text,
                Err((message, _)) => {
                    wrong(&message);
                    continue;
                }
            },
        };
        let places = [behind - sign - 1, behind, start + line.trim_end().len()];
        all.push(Assignment { name: name.to_owned(), value, places });
    }
    (all, bad)
}

enum Value {
    Literal(String),
    WithVariables(String),
}

/// The value that starts at this byte, and the offset behind its line. `None` if a quote is not closed.
fn value(text: &str, from: usize) -> Option<(Value, usize)> {
    let rest = &text[from..];
    let rest = rest.trim_start_matches([' ', '\t']);
    let from = text.len() - rest.len();
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
    if let Some(inside) = rest.strip_prefix('\'') {
        let end = inside.find('\'')?;
        return Some((Value::Literal(inside[..end].to_owned()), line_end(from + 1 + end)));
    }
    if let Some(inside) = rest.strip_prefix('"') {
        let mut out = String::new();
        let mut chars = inside.char_indices();
        while let Some((at, char)) = chars.next() {
            match char {
                '"' => return Some((Value::WithVariables(out), line_end(from + 1 + at))),
                '\\' => match chars.next()?.1 {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    '$' => out.push_str("$$"),
                    other @ ('"' | '\\' | '\'') => out.push(other),
                    other => out.extend(['\\', other]),
                },
                char => out.push(char),
            }
        }
        return None;
    }
    let line = rest.lines().next().filter(|_| !rest.starts_with(['\n', '\r'])).unwrap_or_default();
    let bare = if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() };
    Some((Value::WithVariables(bare.trim_end().to_owned()), line_end(from)))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(String, String)>, Vec<BadLine>) {
        let (all, bad) = parse(text, &|name| (name == "OUTSIDE").then(|| "out".to_owned()));
        (all.into_iter().map(|one| (one.name, one.value)).collect(), bad)
    }

    #[test]
    fn places_are_those_of_name_and_value() {
        let text = "A=1\n  export B.c = \"x y\" \r\n";
        let (all, _) = parse(text, &|_| None);
        let parts =
            all.iter().map(|one| (&text[one.places[0]..one.places[1]], &text[one.places[1]..one.places[2]]));
        assert_eq!(parts.collect::<Vec<_>>(), [("A=", "1"), ("B.c =", " \"x y\"")]);
    }

    #[test]
    fn every_form() {
        let text = "# a comment\n\nA=1\nexport B = two words # said\r\nC: three\nD='$A \"as\" it is'\n\
                    E=\"$A\\n\\$A ${OUTSIDE} \\x\"\nF=$A/$OUTSIDE/$G\nG=\nH=#no\nI=a#b\nJ='two\nlines'  # x\nK\nL=pa$5$ss$";
        let (variables, bad) = read(text);
        assert_eq!(bad, []);
        let shown: Vec<(&str, &str)> = variables.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("A", "1"),
                ("B", "two words"),
                ("C", "three"),
                ("D", "$A \"as\" it is"),
                ("E", "1\n$A out \\x"),
                ("F", "1/out/"),
                ("G", ""),
                ("H", ""),
                ("I", "a#b"),
                ("J", "two\nlines"),
                ("L", "pa$5$"),
            ]
        );
    }

    #[test]
    fn a_bad_line_is_told_and_the_others_are_read() {
        let (variables, bad) = read("A=1\nnot this\n= x\nB=\"open\nC=3\nD=${\n");
        assert_eq!(variables, [("A".to_owned(), "1".to_owned()), ("C".to_owned(), "3".to_owned())]);
        let lines: Vec<(usize, usize)> = bad.iter().map(|line| (line.start, line.end)).collect();
        assert_eq!(lines, [(4, 12), (13, 16), (17, 24), (29, 33)]);
    }
}
