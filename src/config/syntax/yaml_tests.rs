//! Tests of reading YAML.

use super::*;
use std::path::Path;

fn read(text: &str) -> (Option<Node>, String) {
    let mut report = Report::default();
    let file = report.add_file(Path::new("a.yml"), &text.into());
    let node = parse(text, file, &mut report);
    (node.map(|tree| tree.root), report.finish().to_string())
}

/// The tree in one line.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Scalar(text) => text.clone(),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(k, v)| format!("{}={}", k.value, show(v))).collect();
            format!("{{{}}}", entries.join(" "))
        }
    }
}

fn tree(text: &str) -> String {
    let (node, errors) = read(text);
    assert_eq!(errors, "", "{text}");
    show(&node.expect("a tree"))
}

#[test]
fn a_reference_that_is_cut_off_is_no_reference() {
    for token in ["${env:", "${file:", "${env:}x", "${env:A}${env:B}"] {
        let (node, errors) = read(&format!("token: \"{token}\"\n"));
        assert!(node.is_some() && errors.is_empty(), "{token}: {errors}");
    }
}

#[test]
fn scalars_stay_as_written() {
    assert_eq!(
        tree("a: 1.10\nb: 0080\nc: yes\nd: ~\ne: '~'\nf:\n"),
        "{a=1.10 b=0080 c=yes d=null e=~ f=null}"
    );
    assert_eq!(tree(""), "null");
    assert_eq!(tree("# only\n# comments\n"), "null");
}

#[test]
fn many_comments_in_a_row_are_fine() {
    assert_eq!(tree(&format!("a:\n{}  - 1\n", "  # one\n".repeat(500))), "{a=[1]}");
}

#[test]
fn anchors_and_merge_keys() {
    assert_eq!(tree("x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n"), "{x={a=1 b=2} y={b=3 a=1}}");
    assert_eq!(
        tree("x: &x {a: 1}\nz: &z {a: 2, c: 4}\ny: {<<: [*x, *z]}\n"),
        "{x={a=1} z={a=2 c=4} y={a=1 c=4}}"
    );
}

/// yq writes `<<` with its tag. Any other tag on a key is an error.
#[test]
fn a_merge_key_may_have_its_tag() {
    assert_eq!(tree("x: &x {a: 1}\ny:\n  !!merge <<: *x\n  b: 2\n"), "{x={a=1} y={b=2 a=1}}");
    assert_eq!(tree("x: &x {a: 1}\ny: {!<tag:yaml.org,2002:merge> <<: *x}\n"), "{x={a=1} y={a=1}}");
    for text in ["!!merge a: 1", "!merge <<: {a: 1}", "!!str <<: {a: 1}", "!!str a: 1"] {
        assert!(read(text).1.contains("a key must be a plain word"), "{text}");
    }
}

#[test]
fn every_duplicate_is_reported() {
    let (node, errors) = read("a: 1\na: 2\nb: {c: 1, c: 2}\n");
    assert_eq!(show(&node.expect("a tree")), "{a=1 b={c=1}}");
    assert_eq!(errors.matches("stands twice").count(), 2, "{errors}");
}

#[test]
fn aliases_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{},", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(',')));
    }
    assert!(read(&text).1.contains("too many values"));
    assert!(read(&"[".repeat(100_000)).0.is_none());
    assert!(read(&"- ".repeat(10_000)).1.contains("too deep"));
    assert!(read("a: &a [*a]").1.contains("what it stands in"));
}

/// A secret is hidden in a text with a syntax error too. A word with only some letters of `token` hides
/// nothing.
#[test]
fn a_syntax_error_hides_tokens_and_nothing_else() {
    for text in [
        "internal_api: { token: \"sesame\nport: 1\n",
        "internal_api: { token: sesame, x: [\n",
        "internal_api: { tokn: sesame, x: }]\n",
        "internal_api:\n  token:\n    \"sesame\n",
        "internal_api:\n  token: { a: [ sesame ) }\n",
        "internal_api:\n  token: [a,\n    sesame: *b]\n",
        "internal_api:\n  bind: a\n  token sesame\nhttp_config: 1\n",
    ] {
        let (node, errors) = read(text);
        assert!(node.is_none() && errors.contains("not YAML"), "{text}\n{errors}");
        assert!(!errors.contains("sesame"), "{text}\n{errors}");
    }
    for (text, shown) in [
        ("a: { token: sesame }\nb: { host: c.example", "b: { host: c.example"),
        ("hosts: { stokes: tokyo.example, a: [ }", "hosts: { stokes: tokyo.example, a: [ }"),
        ("a: { token: sesame, b: *c }", "a: { token: ******, b: *c }"),
    ] {
        let errors = read(text).1;
        assert!(errors.contains(shown), "{text}\n{errors}");
    }
}
