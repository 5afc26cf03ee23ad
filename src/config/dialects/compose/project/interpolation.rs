//! `$NAME`, `${NAME}` and its operators in a value of a compose file. `$$` stands for `$`.

/// Depth of defaults inside of defaults: `${A:-${B:-...}}`.
const DEPTH_MAX: usize = 16;

/// A value with its variables filled in, and the names of those that were not set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub(super) text: String,
    /// Names of variables without a value and a default. They are empty.
    pub(super) unset: Vec<String>,
}

/// The message of a failed interpolation, and a hint.
pub(super) type Unfillable = (String, &'static str);

/// Fills in all variables. A `$` without a name stays as it is.
///
/// # Errors
/// `${` has no end, no name, or an unknown operator; or `${NAME:?message}` has a variable that is not set.
pub(super) fn interpolate(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Interpolated, Unfillable> {
    let mut result = Interpolated::default();
    fill(text, lookup, &mut result, 0)?;
    Ok(result)
}

fn fill(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    out: &mut Interpolated,
    depth: usize,
) -> Result<(), Unfillable> {
    if depth > DEPTH_MAX {
        return Err(("variables stand too deep inside each other".into(), ""));
    }
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end =
                end_of(after).ok_or(("`${` without its `}`".to_owned(), "`$${` stands for `${` itself"))?;
            braced(&after[..end], lookup, out, depth)?;
            rest = &after[end + 1..];
        } else {
            let (name, after) = split_name(rest);
            match name {
                "" => out.text.push('$'),
                name => put(name, lookup(name), out),
            }
            rest = after;
        }
    }
    out.text.push_str(rest);
    Ok(())
}

/// The index of the `}` for a `${` before this text.
fn end_of(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'$', Some(b'$')) => at += 1,
            (b'$', Some(b'{')) => {
                depth += 1;
                at += 1;
            }
            (b'}', _) if depth == 0 => return Some(at),
            (b'}', _) => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The value of the text between the braces.
fn braced(
    inside: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
    out: &mut Interpolated,
    depth: usize,
) -> Result<(), Unfillable> {
    const FORMS: &str = "write `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${NAME:+other}`";
    let (name, rest) = split_name(inside);
    if name.is_empty() {
        return Err(("`${` without the name of a variable".into(), FORMS));
    }
    let value = lookup(name);
    let (operator, word) = match rest.strip_prefix(':') {
        Some(rest) => (rest, rest.get(1..).unwrap_or_default()),
        None => (rest, rest.get(1..).unwrap_or_default()),
    };
    // With a colon, an empty variable counts as not set.
    let counts = if rest.starts_with(':') { value.filter(|value| !value.is_empty()) } else { value };
    match (rest, operator.as_bytes().first(), counts) {
        ("", _, value) => put(name, value, out),
        (_, Some(b'-'), Some(value)) | (_, Some(b'?'), Some(value)) => out.text.push_str(&value),
        (_, Some(b'-'), None) => fill(word, lookup, out, depth + 1)?,
        (_, Some(b'+'), Some(_)) => fill(word, lookup, out, depth + 1)?,
        (_, Some(b'+'), None) => {}
        (_, Some(b'?'), None) => {
            let mut message = Interpolated::default();
            fill(word, lookup, &mut message, depth + 1)?;
            let why = if message.text.is_empty() { String::new() } else { format!(": {}", message.text) };
            return Err((format!("the variable `{name}` is needed{why}"), WHERE));
        }
        _ => return Err((format!("`${{{name}` is followed by something that is no operator"), FORMS)),
    }
    Ok(())
}

/// The hint where a variable may be set.
pub(super) const WHERE: &str =
    "set it in the environment of the gate, or in the file .env beside the compose file";

fn put(name: &str, value: Option<String>, out: &mut Interpolated) {
    match value {
        Some(value) => out.text.push_str(&value),
        None => out.unset.push(name.to_owned()),
    }
}

/// The name at the start, which may be empty, and the rest.
fn split_name(text: &str) -> (&str, &str) {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return ("", text);
    }
    text.split_at(text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<Interpolated, Unfillable> {
        interpolate(text, &|name| match name {
            "NAME" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn every_operator() {
        for (text, expected) in [
            ("no dollar", "no dollar"),
            ("$NAME.${NAME}", "value.value"),
            ("$$NAME $${NAME}", "$NAME ${NAME}"),
            ("${NONE:-a}${EMPTY:-b}${NAME:-c}", "abvalue"),
            ("${NONE-a}${EMPTY-b}${NAME-c}", "avalue"),
            ("${NAME:?m}${NAME?m}${EMPTY?m}", "valuevalue"),
            ("${NAME:+a}${EMPTY:+b}${NONE:+c}", "a"),
            ("${NAME+a}${EMPTY+b}${NONE+c}", "ab"),
            ("${NONE:-${NAME}-${NONE:-}x}", "value-x"),
            ("${NONE:-a}b}", "ab}"),
            ("5$ and $5 and $", "5$ and $5 and $"),
            ("ä$NAMEä", "ävalueä"),
        ] {
            assert_eq!(filled(text).map(|filled| filled.text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_empty_and_named() {
        let expected = Interpolated { text: "a".into(), unset: vec!["NONE".into(), "TOO".into()] };
        assert_eq!(filled("${NONE}a$TOO${EMPTY}"), Ok(expected));
    }

    #[test]
    fn wrong_operators_and_needed_variables_are_errors() {
        for (text, expected) in [
            ("${NAME", "`${` without its `}`"),
            ("${}", "`${` without the name of a variable"),
            ("${1}", "`${` without the name of a variable"),
            ("${NAME=x}", "`${NAME` is followed by something that is no operator"),
            ("${NAME:}", "`${NAME` is followed by something that is no operator"),
            ("${NAME:ä}", "`${NAME` is followed by something that is no operator"),
            ("${NONE:?say $NAME}", "the variable `NONE` is needed: say value"),
            ("${EMPTY:?}", "the variable `EMPTY` is needed"),
        ] {
            assert_eq!(filled(text).map_err(|(message, _)| message), Err(expected.into()), "{text}");
        }
        let deep = format!("{}{}", "${A:-".repeat(10_000), "}".repeat(10_000));
        assert!(filled(&deep).is_err());
    }
}
