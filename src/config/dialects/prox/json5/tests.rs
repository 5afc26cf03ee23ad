//! Tests of reading JSON5.

use std::path::Path;
use std::sync::Arc;

use super::parse;
use crate::config::diagnostics::Report;
use crate::config::syntax::{Node, Value};

fn read(text: &str) -> Result<Node, String> {
    let mut report = Report::default();
    let file = report.add_file(Path::new("a.json5"), &Arc::from(text));
    let tree = parse(text, file, &mut report);
    tree.map(|tree| tree.root).ok_or_else(|| report.finish().to_string())
}

fn shown(node: &Node) -> String {
    match &node.value {
        Value::Null => "~".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, node)| format!("{}:{}", key.value, shown(node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
        }
    }
}

#[test]
fn everything_of_json5_is_read() {
    for (text, expected) in [
        ("{}", "{}"),
        ("[1, 'a', \"b\",]", r#"["1" "a" "b"]"#),
        ("{a: 1, 'b c': true, \"d\": null, $_e9: [],}", r#"{a:"1" b c:"true" d:~ $_e9:[]}"#),
        ("// first\n{ /* a * b / c */ a: 'x' /** y/z **/ } // last", r#"{a:"x"}"#),
        (
            "[+1, -2.5, .5, 5., 0x1F, 1e3, 1E-2, Infinity, -NaN]",
            r#"["1" "-2.5" "0.5" "5" "31" "1e3" "1e-2" "Infinity" "-NaN"]"#,
        ),
        (r#"["\b\f\n\r\t\v\\\/\"\'\x41é😀\q"]"#, r#"["\u{8}\u{c}\n\r\t\u{b}\\/\"'Aé😀q"]"#),
        (
            "['one \\\ntwo \\\r\nthree', '\\ud800', '\\ud800\\u0041']",
            "[\"one two three\" \"\u{fffd}\" \"\u{fffd}A\"]",
        ),
        ("\u{feff}{\u{a0}a:\t1}", r#"{a:"1"}"#),
        ("{a: 1, a: {b: 2}}", r#"{a:{b:"2"}}"#),
        ("{sch\u{fc}: 1}", "{sch\u{fc}:\"1\"}"),
        (
            "{json: {b: '1', a: [1, +2.5, null, true, 'x<y'], json: {}}}",
            r#"{json:"{\"a\":[1,2.5,null,true,\"x\\u003cy\"],\"b\":\"1\",\"json\":{}}"}"#,
        ),
    ] {
        assert_eq!(read(text).map(|node| shown(&node)).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn every_error_has_its_place() {
    for (text, place, message) in [
        ("", "a.json5:1:1", "this file is empty"),
        ("{not json", "a.json5:1:6", "a `:` is missing behind `not`"),
        ("{ invalid }", "a.json5:1:11", "a `:` is missing"),
        ("{\n  a: yes\n}", "a.json5:2:6", "`yes` is no value"),
        ("[1 2]", "a.json5:1:4", "a comma is missing"),
        ("[,]", "a.json5:1:2", "`,` cannot begin a value"),
        ("{,}", "a.json5:1:2", "a key is missing"),
        ("{a: [1, 2}", "a.json5:1:10", "a comma is missing"),
        ("{a: [1, 2", "a.json5:1:5", "this bracket is not closed"),
        ("{a: ", "a.json5:1:5", "the file ends too early"),
        ("{1a: 2}", "a.json5:1:2", "a key is missing"),
        ("{a-b: 2}", "a.json5:1:3", "a `:` is missing"),
        ("{a: 'b\nc'}", "a.json5:1:5", "this text does not end in its line"),
        ("{a: '\\1'}", "a.json5:1:6", "this escape stands for no character"),
        ("{a: '\\u12'}", "a.json5:1:6", "this escape lacks its hexadecimal digits"),
        ("{} /* a", "a.json5:1:4", "this comment is not closed"),
        ("{} {}", "a.json5:1:4", "the file goes on behind its value"),
        ("{a: 01}", "a.json5:1:5", "`01` is no value"),
        ("{a: 1.2.3}", "a.json5:1:5", "`1.2.3` is no value"),
    ] {
        let error = read(text).map(|node| shown(&node)).unwrap_err();
        assert!(error.contains(place) && error.contains(message), "{text}\n{error}");
    }
}

#[test]
fn depth_is_bounded() {
    assert!(read(&format!("{}{}", "[".repeat(33), "]".repeat(33))).is_ok());
    assert!(read(&"[".repeat(100_000)).unwrap_err().contains("too deep"));
}

#[test]
fn no_excerpt_shows_a_secret() {
    for text in [
        "{ admin: { token: 'sesame' oops } }",
        "{ admin: { tokne: 'sesame",
        "{ admin: { a: [, token: 'sesame' } }",
        "{ s3: { secret_key: 'sesame', x: = } }",
    ] {
        let error = read(text).map(|node| shown(&node)).unwrap_err();
        assert!(!error.contains("sesame"), "{error}");
    }
}

#[test]
fn any_bytes_give_a_tree_or_an_error() {
    const TEXT: &str = "// c\n{ a: ['\\u00fc\\\n', 1.5e3, 0x1f,], \"b\": { c: null } /* d */ }";
    for end in (0..=TEXT.len()).filter(|end| TEXT.is_char_boundary(*end)) {
        for debris in ["", "{", "]", "'", "\\", "/*", "//", ",", "\u{fc}", "-", "\\u"] {
            let _ = read(&format!("{}{debris}", &TEXT[..end]));
            let _ = read(&format!("{}{debris}{}", &TEXT[..end], &TEXT[end..]));
        }
    }
}
