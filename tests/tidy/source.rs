//! A Rust file, with what is not code blanked out, and a few ways to look into it.

/// A file as the rules see it. Blanked bytes are spaces, so offsets and lines stay true.
pub(crate) struct Source {
    /// From the root of the project, with `/` between folders.
    pub(crate) path: String,
    /// As it was written.
    pub(crate) text: String,
    /// Without comments and without what stands between quotes.
    pub(crate) code: String,
    /// `code` without what is compiled for tests only.
    pub(crate) production: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = without_prose(text);
        let production = if is_test_file(path) { blank(&code, 0, code.len()) } else { without_tests(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, production }
    }

    /// One finding, at a byte offset.
    pub(crate) fn finding(&self, at: usize, message: &str) -> String {
        let line = self.text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}: {message}", self.path)
    }
}

/// `tests.rs`, `x_tests.rs`, or anything in a folder `tests`.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.split('/').any(|part| part == "tests")
}

/// Offsets at which `word` stands as a whole word.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        let part_of_word = |char: char| char.is_alphanumeric() || char == '_';
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

/// The offset just behind the bracket that closes the one at `open`, or the end.
pub(crate) fn behind_bracket(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// Every path that starts with the word `root`, braces of `use` spread out: `a::{b, c::d}` gives
/// `a::b` and `a::c::d`.
pub(crate) fn paths(code: &str, root: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for at in words(code, root) {
        let mut tree = Vec::new();
        spread(&code[at..], &mut Vec::new(), &mut tree);
        found.extend(tree.into_iter().map(|path| (at, path)));
    }
    found
}

/// Reads one use-tree and returns how many bytes it took.
fn spread(code: &str, prefix: &mut Vec<String>, out: &mut Vec<Vec<String>>) -> usize {
    let is_word = |char: char| char.is_alphanumeric() || char == '_' || char == '*';
    let depth = prefix.len();
    let mut at = 0;
    loop {
        at += code[at..].len() - code[at..].trim_start().len();
        let rest = &code[at..];
        if rest.starts_with('{') {
            at += 1;
            while at < code.len() && !code[at..].trim_start().starts_with('}') {
                at += spread(&code[at..], prefix, out).max(1);
                at += code[at..].find([',', '}']).unwrap_or(code.len() - at);
                at += usize::from(code[at..].starts_with(','));
            }
            prefix.truncate(depth);
            return at + 1;
        }
        let end = rest.find(|char| !is_word(char)).unwrap_or(rest.len());
        prefix.push(rest[..end].to_owned());
        at += end;
        if !code[at..].starts_with("::") {
            out.push(prefix.clone());
            prefix.truncate(depth);
            return at;
        }
        at += 2;
    }
}

fn blank(code: &str, from: usize, to: usize) -> String {
    let mut bytes = code.as_bytes().to_vec();
    bytes[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    String::from_utf8(bytes).expect("items begin and end at ASCII")
}

/// Blanks each item behind a `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut code = code.to_owned();
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(").map(|at| from + at) {
        let item = behind_bracket(&code, at + 1);
        let condition = &code[at..item];
        from = item;
        if words(condition, "test").next().is_none() || condition.contains("not(test") {
            continue;
        }
        let end = code[item..].find(['{', ';']).map_or(code.len(), |end| item + end);
        let end = if code[end..].starts_with('{') { behind_bracket(&code, end) } else { end };
        code = blank(&code, at, end);
        from = end;
    }
    code
}

/// Blanks comments, and the insides of strings and characters.
fn without_prose(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (from, to, next) = prose_at(text, at);
        code[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = next;
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Blanks everything but comments.
pub(crate) fn comments(text: &str) -> String {
    let mut kept: Vec<u8> = text.bytes().map(|byte| if byte == b'\n' { byte } else { b' ' }).collect();
    let mut at = 0;
    while at < text.len() {
        let (from, to, next) = prose_at(text, at);
        if text.as_bytes()[at..].starts_with(b"//") || text.as_bytes()[at..].starts_with(b"/*") {
            kept[from..to].copy_from_slice(&text.as_bytes()[from..to]);
        }
        at = next;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The stretch to blank at `at`, which may be empty, and the place to go on.
fn prose_at(text: &str, at: usize) -> (usize, usize, usize) {
    let rest = &text.as_bytes()[at..];
    let nothing = (at, at, at + 1);
    match rest {
        [b'/', b'/', ..] => {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            (at, at + end, at + end)
        }
        [b'/', b'*', ..] => {
            let end = at + block_comment(rest);
            (at, end, end)
        }
        [b'"', ..] => {
            let end = at + 1 + quoted(&rest[1..]);
            (at + 1, end, end + 1)
        }
        [b'r', b'"' | b'#', ..] if !follows_word(text, at) => raw_string(text, at).unwrap_or(nothing),
        [b'\'', b'\\', ..] => {
            let end = rest[3..].iter().position(|&byte| byte == b'\'').map_or(rest.len(), |end| end + 3);
            (at + 1, at + end, at + end + 1)
        }
        [b'\'', ..] => {
            // A character has its quote right behind it; a lifetime has not.
            let mut chars = std::str::from_utf8(&rest[1..]).unwrap_or_default().char_indices();
            match (chars.next(), chars.next()) {
                (Some(_), Some((length, '\''))) => (at + 1, at + 1 + length, at + 2 + length),
                _ => nothing,
            }
        }
        _ => nothing,
    }
}

/// Whether the byte before belongs to a name; `br"..."` is one byte of a prefix, not a name.
fn follows_word(text: &str, at: usize) -> bool {
    let before = text[..at].strip_suffix(['b', 'c']).unwrap_or(&text[..at]);
    before.ends_with(|char: char| char.is_alphanumeric() || char == '_')
}

fn raw_string(text: &str, at: usize) -> Option<(usize, usize, usize)> {
    let hashes = text[at + 1..].bytes().take_while(|&byte| byte == b'#').count();
    let inside = at + 1 + hashes + 1;
    text[..inside.min(text.len())].ends_with('"').then_some(())?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = text[inside..].find(&close).map_or(text.len(), |end| inside + end);
    Some((inside, end, (end + close.len()).min(text.len())))
}

fn quoted(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let code = without_prose(text);
        assert_eq!(code.len(), text.len());
        code.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_strings_are_blanked() {
        for (text, expected) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            (r#"f("x \" y", z)"#, r#"f(" ", z)"#),
            (r##"f(r#"x " y"#, br"z")"##, r##"f(r#" "#, br" ")"##),
            ("('x', '\\'', '\\u{1F600}', b'\"', 'ü')", "(' ', ' ', ' ', b' ', ' ')"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("let r = for_r; // r\"", "let r = for_r;"),
            ("\"// no comment\"; x", "\" \"; x"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_for_tests_is_not_production() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(not(test))]\nfn d() {}\n\
                    #[cfg(test)]\nmod more;\nfn e() {}";
        let names: Vec<usize> = words(&without_tests(text), "fn").collect();
        assert_eq!(names.len(), 4, "{}", without_tests(text));
        assert!(Source::new("src/a/tests.rs", "fn a() {}").production.trim().is_empty());
    }

    #[test]
    fn use_trees_are_spread() {
        let spread = |text: &str| -> Vec<String> {
            paths(text, "crate").into_iter().map(|(_, path)| path.join("::")).collect()
        };
        assert_eq!(spread("use crate::reason::Reason;"), ["crate::reason::Reason"]);
        assert_eq!(
            spread("use crate::{config::plan::{Rule, Plan}, log, gate::*};"),
            ["crate::config::plan::Rule", "crate::config::plan::Plan", "crate::log", "crate::gate::*"]
        );
        assert_eq!(spread("let x = crate::gate::run();"), ["crate::gate::run"]);
        assert_eq!(spread("pub(crate) fn f() {}"), ["crate"]);
        assert!(spread("my_crate::x").is_empty());
    }
}
