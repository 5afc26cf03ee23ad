//! Pages of one's own: for answers of the gate, for answers of targets, and as the answer of a rule.

mod support;

use std::fs;
use std::path::Path;

use smolgate::config::{MemoryInputs, load, view};
use support::gate::TestGate;
use support::message::Response;
use support::upstream::{Refusing, Upstream};
use tempfile::TempDir;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";

fn request(method: &str, host: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{method} /a HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

/// A folder with pages. The text of each is its name and the placeholders.
fn pages(names: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let text = format!("<style>p{{color:red}}</style>{name} {{status}} {{reason}} [{{request_id}}]");
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// A page of [`pages`] with these values.
fn page(name: &str, values: &str) -> String {
    format!("<style>p{{color:red}}</style>{name} {values}")
}

#[track_caller]
fn expect_page(response: &Response, status: u16, body: &str) {
    response.expect(status, body);
    assert_eq!(response.get("content-type"), Some("text/html; charset=utf-8"), "{response:?}");
}

const OWN: &str = r#"
pages: { 4xx: "{dir}/top" }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    pages: { 404: "{dir}/listener", 5xx: "{dir}/listener" }
    rules:
      - { host: dead.test, target: "{nobody}" }
      - { host: rule.test, request_id: true, pages: { 5xx: "{dir}/class", 503: "{dir}/status", no_target: "{dir}/reason" }, target: "{nobody}" }
      - { host: set.test, policy: sorry, target: "{nobody}" }
      - { host: none.test, pages: false, target: "{nobody}" }
      - { host: full.test, max_body: 1, target: "{nobody}" }
  - name: other
    bind: "127.0.0.1:0"
    rules: []
policies: { sorry: { pages: { 5xx: "{dir}/set" } } }
"#;

#[test]
fn browsers_get_pages_for_answers_of_the_gate() {
    let dir = pages(&["top", "listener", "class", "status", "reason", "set"]);
    let nobody = Refusing::new();
    let names: support::gate::Names = &[("dir", &dir.path().display()), ("nobody", &nobody)];
    let gate = TestGate::start(OWN, names);
    let get = |host: &str| gate.exchange(request("GET", host, &[BROWSER]));
    // The reason stays in the head.
    let response = get("unknown.test");
    expect_page(&response, 404, &page("listener", "404 no_rule []"));
    response.expect_own(404, "no_rule");
    let reason = get("dead.test").reason().expect("a reason").to_owned();
    let status = get("dead.test").status();
    expect_page(&get("dead.test"), status, &page("listener", &format!("{status} {reason} []")));
    expect_page(&get("set.test"), status, &page("set", &format!("{status} {reason} []")));
    // The most special key of the rule counts.
    let response = get("rule.test");
    let name = if reason == "no_target" { "reason" } else { "class" };
    let begun = page(name, &format!("{status} {reason} ["));
    assert!(response.text().starts_with(&begun), "{response:?}");
    assert_eq!(response.text().len(), begun.len() + 33, "32 digits of an identity: {response:?}");
    // No page, and the text of the gate for browsers.
    assert!(get("none.test").text().contains("<h1>"));
    // 413 is not among the pages of the listener.
    assert!(
        gate.exchange(request("POST", "full.test", &[BROWSER, "Content-Length: 2"])).text().contains("<h1>")
    );
    let head = gate.exchange(request("HEAD", "unknown.test", &[BROWSER]));
    let length = page("listener", "404 no_rule []").len().to_string();
    assert_eq!((head.text(), head.get("content-length")), (String::new(), Some(&*length)));
    // Another listener has the pages at the top. The head of this request is refused.
    let refused =
        gate.client_of("other").exchange(format!("GET /../a HTTP/1.1\r\nHost: a\r\n{BROWSER}\r\n\r\n"));
    expect_page(&refused, 400, &page("top", "400 request_target []"));
    assert!(gate.exchange(request("GET", "unknown.test", &[])).text().starts_with("404 Not Found: "));
    // Other clients get the form that they ask for, and caches are told.
    for (accept, form) in [
        ("application/json", "application/json"),
        ("APPLICATION/Json;q=0.9", "application/json"),
        ("application/json, text/plain, */*", "application/json"),
        ("text/html;q=0.1, application/*", "application/json"),
        ("text/html;q=0.9, application/json", "application/json"),
        ("*/*", "text/plain; charset=utf-8"),
        ("text/*", "text/plain; charset=utf-8"),
        ("text/html;q=0, */*;q=0.1", "text/plain; charset=utf-8"),
        ("image/png", "text/plain; charset=utf-8"),
        ("Text/HTML", "text/html; charset=utf-8"),
        ("application/json;q=0.5, text/html;q=0.6", "text/html; charset=utf-8"),
        ("text/*;q=0.5, text/plain;q=0.1", "text/html; charset=utf-8"),
    ] {
        let response = gate.exchange(request("GET", "unknown.test", &[&format!("Accept: {accept}")]));
        assert_eq!(
            (response.get("content-type"), response.get("vary")),
            (Some(form), Some("Accept")),
            "{accept}"
        );
        assert_eq!(response.text().starts_with("<style>"), form.starts_with("text/html"), "{accept}");
    }
}

const INTERCEPT: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: pages.test, intercept: [401, 5xx], pages: { 4xx: "{dir}/four", 502: "{dir}/two" }, request_id: true, target: "{target}" }
      - { host: pageless.test, pages: { 5xx: "{dir}/two" }, target: "{target}" }
"#;

#[test]
fn a_page_stands_in_for_an_answer_of_a_target() {
    let dir = pages(&["four", "two"]);
    let upstream = Upstream::each(|connection, request| {
        let (status, body) =
            request.head.get("x-answer").and_then(|wanted| wanted.split_once(' ')).expect("an answer");
        let fields = "Vary: Origin\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: a=b\r\nETag: \"a\"\r\nContent-Type: text/plain";
        match body {
            "chunked" => connection.send(format!(
                "HTTP/1.1 {status} X\r\n{fields}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
            )),
            length => {
                let length: usize = length.parse().expect("a length");
                connection
                    .send(format!("HTTP/1.1 {status} X\r\n{fields}\r\nContent-Length: {length}\r\n\r\n"));
                if request.method() != "HEAD" {
                    connection.send(vec![b'x'; length]);
                }
            }
        }
    });
    let gate = TestGate::start(INTERCEPT, &[("dir", &dir.path().display()), ("target", &upstream)]);
    let mut client = gate.client();
    let mut ask = |host: &str, answer: &str, accept: &str| {
        client.exchange(request("GET", host, &[&format!("X-Answer: {answer}"), accept]))
    };
    for (answer, connections) in
        [("502 5", 1), ("502 60000", 1), ("401 0", 1), ("502 chunked", 1), ("502 2000000", 2)]
    {
        let response = ask("pages.test", answer, BROWSER);
        let (status, name) = if answer.starts_with("401") { (401, "four") } else { (502, "two") };
        assert_eq!(response.status(), status, "{answer}");
        assert!(response.text().starts_with(&page(name, &format!("{status}  ["))), "{answer}: {response:?}");
        assert_eq!(response.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!((response.get("etag"), response.get("transfer-encoding")), (None, None));
        assert_eq!(response.get("vary"), Some("Origin, Accept"));
        // Fields that do not describe the body stay.
        assert_eq!(
            (response.get("www-authenticate"), response.get("set-cookie")),
            (Some("Bearer"), Some("a=b"))
        );
        assert_eq!(upstream.connections(), connections, "{answer}");
    }
    // Another status, another client, another rule.
    for (host, answer, accept, vary) in [
        ("pages.test", "404 5", BROWSER, "Origin"),
        ("pages.test", "503 5", BROWSER, "Origin"),
        ("pages.test", "502 5", "Accept: application/json", "Origin, Accept"),
        ("pages.test", "502 5", "Accept: text/html;q=0.5, */*", "Origin, Accept"),
        ("pageless.test", "502 5", BROWSER, "Origin"),
    ] {
        let response = ask(host, answer, accept);
        response.expect(answer[..3].parse().expect("a status"), "xxxxx");
        assert_eq!(
            (response.get("vary"), response.get("etag")),
            (Some(vary), Some("\"a\"")),
            "{answer} {accept}"
        );
    }
    let head = client.exchange(request("HEAD", "pages.test", &["X-Answer: 502 5", BROWSER]));
    assert_eq!(
        (head.status(), head.text(), head.get("content-type")),
        (502, String::new(), Some("text/html; charset=utf-8"))
    );
    let old = format!("GET / HTTP/1.0\r\nHost: pages.test\r\nX-Answer: 502 chunked\r\n{BROWSER}\r\n\r\n");
    let response = gate.exchange(old);
    assert!(response.text().starts_with(&page("two", "502  [")), "{response:?}");
    assert!(response.get("content-length").is_some());
}

#[test]
fn a_rule_answers_with_a_page() {
    let dir = pages(&["down"]);
    let gate = TestGate::start(
        "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes:\n  \
         - { host: a.test, respond: { status: 503, page: \"{dir}/down\", headers: { Retry-After: \"300\" } } }\n  \
         - { host: b.test, respond: { page: \"{dir}/down\", headers: { content-type: text/plain } } }\n",
        &[("dir", &dir.path().display())],
    );
    // Every client gets it, since it is the answer of the rule.
    let response = gate.exchange(request("GET", "a.test", &[]));
    expect_page(&response, 503, &page("down", "503  []"));
    assert_eq!((response.get("retry-after"), response.reason()), (Some("300"), None));
    let head = gate.exchange(request("HEAD", "a.test", &[]));
    assert_eq!((head.status(), head.text()), (503, String::new()));
    assert_eq!(gate.exchange(request("GET", "b.test", &[])).get("content-type"), Some("text/plain"));
    // A reload reads it again.
    fs::write(dir.path().join("down"), "up soon").unwrap();
    let said = gate.reload().expect("a reload");
    assert!(said.contains("2 rules"), "{said}");
    gate.exchange(request("GET", "a.test", &[])).expect(503, "up soon");
}

#[test]
fn files_of_pages_are_those_of_the_configuration() {
    let text = "http_config: { port: 1, pages: { 404: ../sorry.html } }\n\
                http_routes: [{ respond: { page: ./down.html } }]\n";
    let inputs = MemoryInputs::new()
        .file("conf/a.yml", text)
        .file("conf/../sorry.html", "sorry")
        .file("conf/down.html", "down");
    let sources = load(&["conf/a.yml".into()], &inputs).expect("a plan").sources;
    for path in ["conf/../sorry.html", "conf/./down.html"] {
        let found = sources.iter().any(|(known, _)| known == Path::new(path));
        assert!(found, "{path}: {:?}", sources.iter().map(|(path, _)| path.to_owned()).collect::<Vec<_>>());
    }
}

#[test]
fn mistakes_have_a_place() {
    let errors = |rule: &str| {
        let text = format!("http_config: {{ port: 1 }}\nhttp_routes:\n  - {{ host: a, {rule} }}\n");
        let long = "x".repeat((64 << 10) + 1);
        let inputs = MemoryInputs::new().file("a.yml", text).file("page", "a").file("long", long);
        load(&["a.yml".into()], &inputs)
            .map_or_else(|errors| errors.to_string(), |loaded| format!("{:?}", loaded.warnings))
    };
    for (rule, place, message) in [
        ("pages: { 404: ./none.html }, target: h:1", ":3:30", "the file `./none.html` cannot be read"),
        ("pages: { 404: long }, target: h:1", ":3:30", "this page is longer than 64KiB"),
        (
            "pages: { 200: page }, target: h:1",
            ":3:25",
            "`200` is neither a status of an error, nor a class, nor a reason",
        ),
        ("pages: { no_targt: page }, target: h:1", ":3:25", "did you mean `no_target`?"),
        ("pages: page, target: h:1", ":3:23", "`pages` is a mapping of answers to files"),
        (
            "intercept: 302, pages: { 5xx: page }, target: h:1",
            ":3:27",
            "`302` is neither a status of an error nor a class",
        ),
        ("intercept: 502, target: h:1", "line: 3", "`intercept` changes nothing: this rule has no `pages`"),
        ("respond: { page: ./none.html }", ":3:33", "the file `./none.html` cannot be read"),
        ("respond: { page: page, body: b }", ":3:27", "`body` and `page` cannot stand in one response"),
        ("respond: { page: page, status: 204 }", ":3:27", "a response with status 204 has no body"),
        ("pages: { 404: page }, pass: h:1", ":3:16", "`pages` means nothing beside `pass`"),
        ("compress: { level: 10 }, target: h:1", ":3:35", "`10` is not a level between 1 and 9"),
        ("compress: { types: [\"*/*\"] }, target: h:1", ":3:36", "`*/*` is no media type"),
        ("compress: maybe, target: h:1", ":3:26", "`maybe` is "),
    ] {
        let said = errors(rule);
        assert!(said.contains(message) && said.contains(place), "{rule}\n{said}");
    }
}

/// A limit may answer with another status. The page, its placeholder and the response say the same one.
#[test]
fn a_page_is_that_of_the_status_that_is_sent() {
    const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    pages: { 503: "{dir}/busy", 429: "{dir}/many" }
    rules: [{ rate_limit: { requests: 1, per: 1h, status: 503 }, respond: { body: "fine" } }]
"#;
    let dir = pages(&["busy", "many"]);
    let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display())]);
    gate.exchange(request("GET", "a.test", &[BROWSER])).expect(200, "fine");
    let limited = gate.exchange(request("GET", "a.test", &[BROWSER]));
    expect_page(&limited, 503, &page("busy", "503 rate_limited []"));
}

/// The output of `adapt` is the same configuration: pages that a rule takes off stay off, and what is for rules with a
/// target stands on no other.
#[test]
fn a_view_keeps_what_a_rule_takes_off() {
    let text = "http_config: { port: 1, pages: { 404: page }, mirror: { upstream: u }, intercept: 502 }
http_routes: [{ host: a, pages: false, respond: { status: 404 } }, { host: b, target: h:1 }]
upstreams: { u: { targets: h:2 } }
";
    let load = |text: &str| {
        let inputs = MemoryInputs::new().file("smolgate.yml", text).file("page", "a page");
        load(&["smolgate.yml".into()], &inputs).unwrap_or_else(|error| panic!("{error}\n{text}")).plan
    };
    let plan = load(text);
    let shown = view(&plan);
    assert!(shown.contains("pages: false"), "{shown}");
    assert_eq!(view(&load(&shown)), shown);
    assert_eq!(shown.matches("mirror:").count(), 1, "{shown}");
}
