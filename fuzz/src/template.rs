//! Templates: a text is its own literal, errors have a place, and a value cannot end the text around it.

use smolgate::http::{CaptureNames, Captures, Escape, Fields, Scope, Template, TemplateUse, TemplateValues};

/// Checks a text as a template, and its bytes as a value in others.
pub fn holds(bytes: &[u8]) {
    check_value(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let captures = CaptureNames { of_host: 1, names: vec![None, Some("id".into())] };
    for used in [TemplateUse::Url, TemplateUse::Text, TemplateUse::Response] {
        let scope = Scope { used, captures: &captures };
        let literal = Template::literal(text);
        assert_eq!(literal.as_literal(), Some(text));
        let again = Template::new(&literal.to_string(), &scope).expect("a literal has no placeholder");
        assert_eq!(again.as_literal(), Some(text));
        match Template::new(text, &scope) {
            Ok(template) => {
                assert_eq!(template.to_string(), text);
                let is_literal = template.placeholders().next().is_none();
                assert_eq!(template.as_literal().is_some(), is_literal);
            }
            Err(error) => {
                let place = text.get(error.place).expect("a place in the text");
                assert!(place.starts_with('{') && place.ends_with('}'), "{place}");
            }
        }
    }
}

fn written(text: &str, value: &[u8], escape: Escape) -> Vec<u8> {
    let none = CaptureNames { of_host: 0, names: vec![None] };
    let template = Template::new(text, &Scope { used: TemplateUse::Text, captures: &none });
    let mut captures = Captures::NONE;
    captures.push(value);
    let values = TemplateValues {
        method: b"GET",
        host: b"h",
        authority: b"h:81",
        path: b"/",
        rest: b"",
        query: None,
        fields: Fields::default(),
        scheme: "http",
        client: [127, 0, 0, 1].into(),
        rule: "",
        time: format_args!("now"),
        request_id: b"",
        traceparent: b"",
        user: b"",
        claims: &[],
        captures,
    };
    let mut out = Vec::new();
    template.expect("a template").write(&values, escape, &mut |bytes| out.extend_from_slice(bytes));
    out
}

/// A value stays between the marks around it.
fn check_value(value: &[u8]) {
    assert_eq!(written("{1}", value, Escape::No), value);
    let html = written("{1}", value, Escape::Html);
    assert!(!html.iter().any(|byte| b"<>\"'`".contains(byte)), "{}", html.escape_ascii());
    check_json(value, &written("{1}", value, Escape::Json));
}

/// Text in JSON is the value again. Bytes of it that are not UTF-8 are characters of Latin-1.
fn check_json(value: &[u8], json: &[u8]) {
    let json = std::str::from_utf8(json).expect("JSON is UTF-8");
    assert!(!json.contains(|char: char| char.is_ascii_control() || "\"<>&'".contains(char)));
    let mut rest = json;
    let mut read = String::new();
    while let Some(char) = rest.chars().next() {
        let code = rest.strip_prefix("\\u00").and_then(|code| code.get(..2));
        let code = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        assert!(char != '\\' || code.is_some(), "{json}");
        read.push(code.map_or(char, char::from));
        rest = &rest[if code.is_some() { 6 } else { char.len_utf8() }..];
    }
    let mut expected = String::new();
    for chunk in value.utf8_chunks() {
        expected.push_str(chunk.valid());
        expected.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    assert_eq!(read, expected);
}

/// The first inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "/new{rest}?{query}",
        "/in?to={url} {time} {target}",
        "https://{1}.test{uri}",
        "{header.X-A}{cookie.b} {id} {client}",
        "{{host}} {{{host}}} { } {",
        "{\"a\":{\"b\":\"{path}\"}}",
        "{nothing}{3}{status}",
        "<b>\"'&\\\u{e9}\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
