//! Files of prox: golden files, and gates that are started with a file as prox is.
//!
//! The tests judge by the requests that the target received.

#![cfg(feature = "prox")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use smolgate::config::plan::Plan;
use smolgate::config::{MemoryInputs, load, view};
use support::client::Client;
use support::golden::{self, Golden, golden_files};
use support::message::Response;
use support::place::Place;
use support::program::Program;
use support::schema::Schema;
use support::tls::{Authority, Tls};
use support::until;
use support::upstream::{Refusing, Upstream};

/// The files of a golden file, with their environment, and those that a person names: those at the top, or else the folder
/// of the first.
fn inputs(input: &str) -> (MemoryInputs, Vec<PathBuf>) {
    let lines = input.lines().map_while(|line| line.strip_prefix("# "));
    let variables = lines.filter_map(|line| line.split_once('='));
    let memory = variables.fold(MemoryInputs::new(), |memory, (name, value)| memory.env(name, value));
    let files = input.lines().filter(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n");
    let (memory, paths) = golden::in_memory(memory, &files, "config.json5");
    let at_top: Vec<PathBuf> = paths.iter().filter(|path| path.components().count() == 1).cloned().collect();
    let folder = || vec![paths[0].parent().unwrap_or(Path::new("")).to_owned()];
    let named = if at_top.is_empty() { folder() } else { at_top };
    (memory, named)
}

#[cfg(feature = "http2")]
fn outcome(input: &str) -> String {
    golden::outcome(inputs(input))
}

/// A target with `proto` is an error without the feature.
#[cfg(feature = "http2")]
#[test]
fn golden_files_give_what_they_say() {
    golden::compare(&golden_files("prox", 15), outcome);
}

#[test]
fn a_file_that_loads_is_a_native_one_too() {
    let mut tried = 0;
    for Golden { path, input, .. } in golden_files("prox", 15) {
        let (memory, paths) = inputs(&input);
        let Ok(loaded) = load(&paths, &memory) else { continue };
        tried += 1;
        let shown = view(&loaded.plan);
        let again = load(&["view.yml".into()], &MemoryInputs::new().file("view.yml", shown.clone()));
        let again: Plan = again.unwrap_or_else(|errors| panic!("{}: {errors}", path.display())).plan;
        assert_eq!(view(&again), shown, "{}", path.display());
    }
    assert!(tried >= 7, "only {tried} golden files are valid");
}

#[test]
fn a_broken_file_is_an_error_and_never_a_panic() {
    const DEBRIS: [&str; 12] = ["", "[", "}", ": ", "\"", "//", "0", "-1", "/*", "\\u", "${env:", "\u{fc}"];
    for Golden { input, .. } in golden_files("prox", 15) {
        for (number, debris) in DEBRIS.iter().cycle().take(240).enumerate() {
            let start = input.floor_char_boundary(input.len() * number / 240);
            let end = input.floor_char_boundary((start + number % 9).min(input.len()));
            let broken = format!("{}{debris}{}", &input[..start], &input[end.max(start)..]);
            let (memory, paths) = inputs(&broken);
            let _ = load(&paths, &memory);
        }
    }
}

#[test]
fn the_schema_knows_the_keys() {
    let schema = Schema::of("prox");
    let file = |route: &str| format!("services: {{ web: {{ listen: ':80', routes: [{route}] }} }}");
    for (text, is_taken) in [
        (file("{ action: a }"), true),
        (file("{ match: { path: /x, methods: [GET] }, action: { type: drop } }"), true),
        (file("{ action: { type: static, status: 200, body_ref: { json: { a: [1] } } } }"), true),
        (file("{ match: { pth: /x }, action: a }"), false),
        (file("{ match: { path: /x } }"), false),
        ("services: { a: path }\nactions: { a: { type: redirect } }".to_owned(), false),
    ] {
        assert_eq!(schema.check(&text).is_ok(), is_taken, "{text}");
    }
}

/// A gate that was started with the file `config.json5` by its name alone, and its folder. `{name}` in the text stands for
/// the address of an upstream.
#[track_caller]
fn start(text: &str, upstreams: &[(&str, String)]) -> (Program, Place) {
    start_beside(text, upstreams, Place::with(&[]))
}

#[track_caller]
fn start_beside(text: &str, upstreams: &[(&str, String)], place: Place) -> (Program, Place) {
    let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("<{name}>"), value);
    let text = upstreams.iter().fold(text.to_owned(), fill);
    fs::write(place.path().join("config.json5"), text).unwrap();
    let program = Program::start(|command| {
        let command = command.arg("config.json5").current_dir(place.path());
        command.env("INTERNAL_API_PORT", "127.0.0.1:0");
    });
    (program, place)
}

fn address(upstream: &Upstream) -> String {
    upstream.address().to_string()
}

fn ask(gate: &Program, request: &str, host: &str) -> Response {
    let (method, path) = request.split_once(' ').unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut client = Client::connect(gate.address("web"));
    client.send(head);
    client.read_response_to(method)
}

#[test]
fn the_first_route_that_matches_wins() {
    let all = ["one", "two", "three", "four"].map(Upstream::says);
    let (gate, _place) = start(
        "// Routes in order.
        { services: { web: { listen: '127.0.0.1:0', routes: [
            { match: { domain: 'api.example.com', path: '/v1/*' }, action: 'one' },
            { match: { domain: 'api.example.com', path: '/*' }, action: 'two' },
            { match: { path: '/data', methods: ['GET', 'HEAD'] }, action: 'one' },
            { match: { path: '/data', methods: ['post'] }, action: 'two' },
            { match: { path: '/a/special, /b/*' }, action: 'three' },
            { match: { domain: 'cdn-*.**', path: '/a/*' }, action: 'four' },
        ] } },
        actions: {
            one: { type: 'proxy', upstream: '<one>' }, two: { type: 'proxy', upstream: '<two>' },
            three: { type: 'proxy', upstream: '<three>' }, four: { type: 'proxy', upstream: '<four>' },
        } }",
        &[
            ("one", address(&all[0])),
            ("two", address(&all[1])),
            ("three", address(&all[2])),
            ("four", address(&all[3])),
        ],
    );
    for (request, host, expected) in [
        ("GET /v1/users", "api.example.com", Some(0)),
        ("GET /v1/users", "API.example.com:8080", Some(0)),
        ("GET /v1", "api.example.com", Some(1)),
        ("GET /v2/users", "api.example.com", Some(1)),
        ("GET /data", "web.example.com", Some(0)),
        ("HEAD /data", "web.example.com", Some(0)),
        ("POST /data", "web.example.com", Some(1)),
        ("DELETE /data", "web.example.com", None),
        ("GET /data/", "web.example.com", None),
        ("GET /a/special", "cdn-us.example.com", Some(2)),
        ("GET /b/", "web.example.com", Some(2)),
        ("GET /b", "web.example.com", None),
        ("GET /a/x", "cdn-us.example.com", Some(3)),
        ("GET /a/x", "cdn-us", None),
        ("GET /a", "cdn-us.example.com", None),
    ] {
        let before: Vec<usize> = all.iter().map(|upstream| upstream.requests().len()).collect();
        let response = ask(&gate, request, host);
        for (index, upstream) in all.iter().enumerate() {
            let received = upstream.requests().len() - before[index];
            assert_eq!(received, usize::from(expected == Some(index)), "{request} {host} at {index}");
        }
        if expected.is_none() {
            assert_eq!(response.text(), "404 page not found\n", "{request} {host}");
            assert_eq!(
                (response.status(), response.get("content-type")),
                (404, Some("text/plain; charset=utf-8"))
            );
        }
    }
}

#[test]
fn a_target_gets_its_own_host_and_path_and_the_fields_of_the_action() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = start(
        "{ services: { web: { listen: '127.0.0.1:0', routes: [
            { match: { path: '/plain/*' }, action: { type: 'proxy', upstream: '<target>' } },
            { action: { type: 'proxy', upstream: 'http://<target>/base', headers: { Host: 'public.example.com', 'X-Custom': 'a {b}' } } },
        ] } } }",
        &[("target", address(&upstream))],
    );
    let ask = |path: &str| {
        let before = upstream.requests().len();
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: gate.test:81\r\nX-Custom: mine\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n"
        );
        Client::connect(gate.address("web")).exchange(head).expect(200, "fine");
        upstream.requests().remove(before)
    };
    let plain = ask("/plain/a%2Fb?x=1&y");
    assert_eq!((plain.target(), plain.head.get("host")), ("/plain/a%2Fb?x=1&y", Some(&*address(&upstream))));
    assert_eq!(plain.head.get("x-custom"), Some("mine"));
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", "gate.test:81"),
        ("x-forwarded-proto", "http"),
    ] {
        assert_eq!(plain.head.get(name), Some(value), "{name}");
    }
    let based = ask("/x?q");
    assert_eq!((based.target(), based.head.get("host")), ("/base/x?q", Some("public.example.com")));
    assert_eq!(based.head.get("x-custom"), Some("a {b}"));
}

#[test]
fn a_balancer_takes_its_targets_in_turn_and_the_fallback_if_they_fail() {
    let (one, two, other) = (Upstream::says("one"), Upstream::says("two"), Upstream::says("other"));
    let dead = [Refusing::new(), Refusing::new()];
    let (gate, _place) = start(
        "{ services: { web: { listen: '127.0.0.1:0', routes: [
            { match: { path: '/turn' }, balancer: { type: 'roundrobin', targets: ['<one>', '<two>'] }, set: { base: '/base' },
              action: { type: 'proxy', upstream: 'http://{target}{base}' } },
            { match: { path: '/dead' }, balancer: { type: 'leastconn', targets: ['<dead>', '<dying>'] }, action: 'dynamic' },
        ] } },
        actions: {
            dynamic: { type: 'proxy', upstream: '{target}', fallback: 'other' },
            other: { type: 'proxy', upstream: '<other>' },
        } }",
        &[
            ("one", address(&one)),
            ("two", address(&two)),
            ("other", address(&other)),
            ("dead", dead[0].to_string()),
            ("dying", dead[1].to_string()),
        ],
    );
    let texts: Vec<String> = (0..4).map(|_| ask(&gate, "GET /turn", "a").text()).collect();
    assert_eq!(texts, ["one", "two", "one", "two"]);
    assert_eq!(one.requests()[0].target(), "/base/turn");
    // An endpoint that fails is left out for a while, and two are tried for one request.
    until("the fallback is used", || ask(&gate, "GET /dead", "a").text() == "other");
    assert_eq!(other.requests()[0].target(), "/dead");
}

#[test]
fn answers_of_the_gate_have_parts_of_the_request() {
    let place = Place::with(&[
        ("pages/a.txt", "a page"),
        ("pages/sub/index.html", "an index"),
        ("one.html", "<p>{host}</p>"),
        ("body.txt", "from {domain}"),
    ]);
    let (gate, _place) = start_beside(
        "{ services: { web: { listen: '127.0.0.1:0', routes: [
            { match: { domain: 'test.*.example.com' }, action: { type: 'static', status: 201, headers: { 'X-A': 'b', 'Content-Type': 'text/plain' },
              body_ref: { text: '{match.domain} {domain} {path} {method} {other} {domain.pattern} { {' } } },
            { match: { domain: '*.*.storage.**', path: '/p/*' }, action: { type: 'static', status: 200, body_ref: { text: '{match.domain}|{match.glob}|{match.path}' } } },
            { match: { path: '/json' }, action: { type: 'static', status: 503, body_ref: { json: { b: '<1>', a: [1, true, null] } } } },
            { match: { path: '/file' }, action: { type: 'static', status: 200, body_ref: { file: 'body.txt' } } },
            { match: { path: '/empty' }, action: { type: 'static', status: 204 } },
            { match: { path: '/files/*, /other/*' }, action: { type: 'serve', root: './pages' } },
            { match: { path: '/app/*' }, action: { type: 'serve', file: 'one.html' } },
        ] } } }",
        &[],
        place,
    );
    let response = ask(&gate, "PUT /x?y", "Test.Staging.example.com:80");
    assert_eq!(response.text(), "staging test.staging.example.com /x PUT {other} test.*.example.com { {");
    assert_eq!((response.status(), response.get("x-a")), (201, Some("b")));
    ask(&gate, "GET /p/q", "a.b.storage.c.d").expect(200, "a.b|c.d|/p/*");
    let json = ask(&gate, "GET /json", "a");
    assert_eq!(json.text(), "{\"a\":[1,true,null],\"b\":\"\\u003c1\\u003e\"}");
    assert_eq!((json.status(), json.get("content-type")), (503, Some("application/json")));
    let file = ask(&gate, "GET /file", "h.test");
    assert_eq!(
        (file.text().as_str(), file.get("content-type")),
        ("from h.test", Some("text/plain; charset=utf-8"))
    );
    assert_eq!(ask(&gate, "GET /empty", "a").status(), 204);
    let page = ask(&gate, "GET /app/any/path", "a");
    assert_eq!(
        (page.text().as_str(), page.get("content-type")),
        ("<p>{host}</p>", Some("text/html; charset=utf-8"))
    );
    #[cfg(feature = "files")]
    {
        ask(&gate, "GET /files/a.txt", "a").expect(200, "a page");
        ask(&gate, "GET /other/sub/", "a").expect(200, "an index");
        assert_eq!(ask(&gate, "GET /other/none", "a").status(), 404);
    }
}

#[test]
fn names_of_client_hellos_pass_drop_or_end_here() {
    let place = Place::with(&[]);
    let dir = place.path().join("certs");
    fs::create_dir(&dir).unwrap();
    let authority = Authority::new(place.path(), "ca.pem");
    let leaf = authority.issue(place.path(), "theirs", &["mail.example.com"]);
    for (stem, name) in [("ours", "web.example.com"), ("more", "api.example.com")] {
        authority.issue(&dir, stem, &[name]);
        let _ = fs::rename(dir.join(format!("{stem}.pem")), dir.join(format!("{stem}.crt")));
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut client = Tls::accept(socket, &leaf.server()).unwrap();
        let mut asked = [0; 4];
        std::io::Read::read_exact(&mut client, &mut asked).unwrap();
        std::io::Write::write_all(&mut client, b"pong").unwrap();
        asked
    });
    let upstream = Upstream::says("fine");
    let (gate, _place) = start_beside(
        "{ services: { web: { listen: '127.0.0.1:0', tls: true, tls_cert: 'certs/', routes: [
            { match: { domain: 'mail.example.com' }, balancer: { type: 'random', targets: ['127.0.0.1'] }, action: { type: 'pass', upstream: '{target}:<port>' } },
            { match: { domain: 'bad.example.com' }, action: { type: 'drop' } },
            { match: { domain: '*.example.com', path: '/hidden/*' }, action: { type: 'drop' } },
            { match: { domain: '*.example.com' }, action: { type: 'proxy', upstream: '<target>' } },
        ] } } }",
        &[("port", target.port().to_string()), ("target", address(&upstream))],
        place,
    );
    let config = Arc::new(authority.client(&[]));
    let connect = |name: &str| Tls::connect(gate.address("web"), &config, name);
    for name in ["web.example.com", "api.example.com"] {
        let head = format!("GET /x HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        connect(name).unwrap().client().exchange(head).expect(200, "fine");
    }
    assert_eq!(upstream.requests()[1].head.get("x-forwarded-proto"), Some("https"));
    assert!(connect("bad.example.com").is_err());
    let mut client = connect("web.example.com").unwrap().client();
    client.send("GET /hidden/x HTTP/1.1\r\nHost: web.example.com\r\n\r\n");
    client.expect_close();
    let mut passed = connect("mail.example.com").unwrap().client();
    passed.send("ping");
    assert_eq!(passed.read_exact(4), b"pong");
    assert_eq!(&serving.join().unwrap(), b"ping");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_folder_of_services_is_served_and_read_again() {
    let upstream = Upstream::says("fine");
    let target = address(&upstream);
    let place = Place::with(&[
        (
            "conf/web.json5",
            "{ listen: '127.0.0.1:0', routes: ['../routes.json5', { match: { path: '/a' }, action: 'a' }] }",
        ),
        (
            "conf/other.json5",
            &format!(
                "{{ listen: '127.0.0.1:0', routes: [{{ action: 'a' }}], actions: {{ a: {{ type: 'proxy', upstream: '{target}' }} }} }}"
            ),
        ),
        (
            "routes.json5",
            "// Routes of all.\n[{ match: { path: '/health' }, action: { type: 'static', status: 200, body_ref: { text: 'one' } } }]",
        ),
    ]);
    let gate = Program::start(|command| {
        let command = command.args(["-c", "conf"]).current_dir(place.path());
        command.env("INTERNAL_API_PORT", "127.0.0.1:0");
    });
    ask(&gate, "GET /health", "a").expect(200, "one");
    ask(&gate, "GET /a", "a").expect(200, "fine");
    let other = Client::connect(gate.address("other"));
    let mut other = other;
    other.exchange("GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect(200, "fine");
    let routes = fs::read_to_string(place.path().join("routes.json5")).unwrap();
    fs::write(place.path().join("routes.json5"), routes.replace("one", "two")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    until("the new routes are served", || ask(&gate, "GET /health", "a").text() == "two");
    fs::write(place.path().join("routes.json5"), "[{").unwrap();
    gate.signal(rustix::process::Signal::HUP);
    until("the error is told", || gate.log().contains("routes.json5:1:2"));
    ask(&gate, "GET /health", "a").expect(200, "two");
}

#[test]
fn the_access_log_has_the_routes_that_want_it() {
    let place = Place::with(&[]);
    let (gate, place) = start_beside(
        "{ logging: { access_log: 'access.log' }, services: { web: { listen: '127.0.0.1:0', routes: [
            { match: { path: '/quiet' }, action: { type: 'static', status: 200 }, access_log: 'off' },
            { match: { path: '/calm' }, action: { type: 'static', status: 200, access_log: 'off' } },
            { action: { type: 'static', status: 200, body_ref: { text: 'x' } } },
        ] } } }",
        &[],
        place,
    );
    for path in ["/quiet", "/calm", "/loud"] {
        assert_eq!(ask(&gate, &format!("GET {path}"), "a").status(), 200);
    }
    let log = || fs::read_to_string(place.path().join("access.log")).unwrap_or_default();
    until("the line is written", || log().contains("/loud"));
    let log = log();
    assert!(!log.contains("/quiet") && !log.contains("/calm"), "{log}");
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&line["listener"], &line["rule"]), (&"web".into(), &"web:2".into()));
}

#[test]
fn check_and_explain_name_the_lines_of_the_file() {
    let place = Place::with(&[(
        "config.json5",
        "{ services: { web: { listen: ':8080', routes: [\n\
         { match: { path: '/a/*' }, action: 'a' },\n\
         { match: { path: '/b/*' }, action: 'a' },\n\
         ] } }, actions: { a: { type: 'proxy', upstream: 'localhost:3000' } } }",
    )]);
    let explained = place.run("explain -c config.json5 http://h.test:8080/b/x").fine();
    assert!(explained.contains("config.json5:3  * ~^/b/  wins"), "{explained}");
    let checked = place.run("check config.json5").fine();
    assert!(checked.contains("1 listener, 3 rules, 1 upstream"), "{checked}");
}

#[test]
fn its_command_line_is_understood() {
    let upstream = Upstream::says("fine");
    let text = format!(
        "{{ services: {{ web: {{ listen: '127.0.0.1:0', routes: [{{ action: {{ type: 'proxy', upstream: '{}' }} }}] }} }} }}",
        upstream.address()
    );
    let place = Place::with(&[("gate/config.json5", &text), ("broken.json5", "{ services: {} }")]);
    for command in ["validate -config gate/config.json5", "prox validate --config=gate/config.json5"] {
        let valid = place.run(command).fine();
        assert_eq!(valid, "\u{2705} configuration is valid: gate/config.json5 (1 file(s))\n", "{command}");
    }
    let wrong = place.run("validate -config broken.json5").failed(1);
    assert!(
        wrong.contains("no services defined") && wrong.ends_with("\u{274c} configuration is not valid\n"),
        "{wrong}"
    );
    let build = place.run("build -config gate/config.json5").failed(1);
    assert!(build.contains("compiles nothing"), "{build}");
    for line in ["serve -config gate/config.json5 -watch=false", "prox serve -config gate"] {
        let mut command = place.command(line);
        command.env("INTERNAL_API_PORT", "127.0.0.1:0").env("NO_COLOR", "1").stdout(Stdio::null());
        let gate = Program::start_command(&mut command);
        let mut client = Client::connect(gate.address("web"));
        client.exchange("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect(200, "fine");
    }
}
