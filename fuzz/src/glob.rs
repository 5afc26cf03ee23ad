//! Globs for paths: they match what a matcher with backtracking matches, and what stars take are parts of the path.

use smolgate::config::plan::{PathGlob, Protocol};
use smolgate::config::{MemoryInputs, load};

/// The glob of a configuration. `None` if it is not valid.
fn glob(text: &str) -> Option<PathGlob> {
    // Nothing else stands in a path, and none of these needs an escape in YAML.
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\$".contains(&byte));
    let file = format!("http_config: {{ port: 1 }}\nhttp_routes: [{{ path: \"{text}\", drop: true }}]");
    let inputs = MemoryInputs::new().file("glob.yml", file);
    let plan = is_plain.then(|| load(&["glob.yml".into()], &inputs).ok())??.plan;
    match plan.listeners.into_iter().next()?.protocol {
        Protocol::Http(http) => http.rules[0].globs().first().cloned(),
        Protocol::Tcp(_) => None,
    }
}

/// Checks a glob, which is the first line, with each further line as a path.
pub fn holds(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let Some(glob) = lines.next().and_then(|text| glob(std::str::from_utf8(text).ok()?)) else { return };
    let tokens = tokens(&glob.to_string());
    for path in lines.filter(|path| path.starts_with(b"/") && path.len() < 200) {
        let mut taken = Vec::new();
        let is_match = glob.matches_with(path, |part| taken.push(part));
        let plain = path.strip_suffix(b"/").unwrap_or(path);
        assert_eq!(is_match, matches(&tokens, plain), "{glob} {}", path.escape_ascii());
        assert_eq!(glob.matches(path), is_match);
        if is_match {
            assert_eq!(taken.len(), glob.names().len(), "{glob} {}", path.escape_ascii());
            let prefix = PathGlob::below(&glob.literal_prefix());
            assert!(prefix.matches(path), "{glob} {} {prefix}", path.escape_ascii());
        }
        let range = path.as_ptr_range();
        assert!(taken.iter().all(|part| part.is_empty() || range.contains(&part.as_ptr())));
    }
}

/// A part of a glob.
enum Token {
    Byte(u8),
    /// So many bytes of one segment at least.
    Star(usize),
    /// Any bytes.
    Rest,
    /// Nothing, or a slash and any bytes.
    Below,
}

fn tokens(glob: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for segment in glob.split('/').skip(1).filter(|segment| !segment.is_empty()) {
        if segment == "**" {
            tokens.push(Token::Below);
            continue;
        }
        tokens.push(Token::Byte(b'/'));
        let (start, rest) = match (segment.find("**"), segment.find(['*', '{'])) {
            (Some(0), _) => {
                tokens.push(Token::Rest);
                tokens.extend(segment[2..].bytes().map(Token::Byte));
                continue;
            }
            (_, Some(star)) => segment.split_at(star),
            (_, None) => (segment, ""),
        };
        let end = match rest.find('}') {
            Some(brace) => &rest[brace + 1..],
            None => rest.strip_prefix('*').unwrap_or(rest),
        };
        tokens.extend(start.bytes().map(Token::Byte));
        if !rest.is_empty() {
            tokens.push(Token::Star(usize::from(start.is_empty() && end.is_empty())));
            tokens.extend(end.bytes().map(Token::Byte));
        }
    }
    tokens
}

fn matches(tokens: &[Token], path: &[u8]) -> bool {
    let Some((first, tokens)) = tokens.split_first() else { return path.is_empty() };
    match first {
        Token::Byte(byte) => {
            path.split_first().is_some_and(|(next, path)| next == byte && matches(tokens, path))
        }
        Token::Star(least) => {
            let most = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (*least..=most).any(|count| matches(tokens, &path[count..]))
        }
        Token::Rest => (0..=path.len()).any(|count| matches(tokens, &path[count..])),
        Token::Below => path.is_empty() || path[0] == b'/',
    }
}

/// The first inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let inputs = [
        "/a/b\n/a/b\n/a/b/\n/a",
        "/users/{id}/*.json\n/users/7/a.json\n/users//a.json\n/users/7/.json/",
        "/hooks/**\n/hooks\n/hooks/\n/hooks/a/b\n/hooksx",
        "**.php\n/x/y.php\n/.php/\n/x.php/y",
        "/a*a/b*\n/aa/b\n/aba/bc\n/a/b",
        "/**\n/\n//\n/a",
        "/{a-b}\n/x",
    ];
    inputs.iter().map(|text| text.as_bytes().to_vec()).collect()
}
