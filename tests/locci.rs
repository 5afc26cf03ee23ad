//! Files of locci-proxy: golden files, and gates that are started with a file as locci-proxy is.
//!
//! The tests judge by the requests that the target received.

#![cfg(feature = "dialects")]

mod support;

use std::fs;
use std::sync::Arc;

use support::client::Client;
use support::dialects;
use support::message::Response;
use support::place::Place;
use support::program::Program;
use support::tls::{Authority, Tls};
use support::upstream::Upstream;

#[test]
fn golden_files_give_what_they_say() {
    dialects::compare("locci");
}

#[test]
fn a_broken_file_is_an_error_and_never_a_panic() {
    dialects::survive_breaking("locci");
}

#[test]
fn a_file_that_loads_is_a_native_one_too_and_fits_its_schema() {
    dialects::fit("locci", "locci");
}

/// A gateway with these routes and middlewares. `servers` is the upstream.
fn gateway(routes: &str, middlewares: &str, upstream: &Upstream) -> (Program, Place) {
    let server = upstream.address();
    let yaml = format!(
        "mode: api_gateway\nserver: {{ bind_address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ app: {{ servers: [\"{server}\"], strategy: round_robin }} }}\n\
         api_gateway:\n  routes:\n{routes}  middlewares: {{ {middlewares} }}\n\
         control_api: {{ enabled: false }}\n"
    );
    dialects::start(&yaml, |_| {})
}

fn ask(gate: &Program, request: &str, fields: &str) -> Response {
    let (method, path) = request.split_once(' ').unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: gate.test\r\n{fields}Connection: close\r\n\r\n");
    let mut client = Client::connect(gate.address("http"));
    client.send(head);
    client.read_response_to(method)
}

#[test]
fn the_longest_expression_wins_and_other_methods_get_405() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = gateway(
        "    web: { path_pattern: \"^/\", methods: [GET, POST], upstream: app, middlewares: [] }\n    \
         users: { path_pattern: \"^/api/users\", methods: [GET, PUT], upstream: app, middlewares: [] }\n    \
         any: { path_pattern: \"^/any/[0-9]+$\", upstream: app }\n",
        "",
        &upstream,
    );
    let rules = |request: &str| {
        let before = upstream.requests().len();
        let response = ask(&gate, request, "");
        assert_eq!(upstream.requests().len() - before, usize::from(response.status() == 200), "{request}");
        (response.status(), response.get("allow").map(str::to_owned))
    };
    for request in ["GET /api/users/1", "HEAD /api/users", "PUT /api/usersx", "POST /other", "PATCH /any/12"]
    {
        assert_eq!(rules(request), (200, None), "{request}");
    }
    // Paths that servers may read in two ways pass as they came: the rules for other methods guard none.
    for request in ["GET /api/users//1", "GET /api/users/a%2Fb", "GET //x", "GET /x;y/z", "PUT /api%2Fusers"]
    {
        let status = if request.starts_with("PUT") { 405 } else { 200 };
        assert_eq!(rules(request).0, status, "{request}");
    }
    for (request, allow) in [
        ("POST /api/users/1", "GET, HEAD, PUT"),
        ("PATCH /users", "GET, HEAD, POST"),
        ("DELETE /any/12x", "GET, HEAD, POST"),
        ("POST /%61pi/users", "GET, HEAD, PUT"),
    ] {
        assert_eq!(rules(request), (405, Some(allow.to_owned())), "{request}");
    }
}

#[test]
fn what_matches_is_taken_off_and_the_query_stays() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = gateway(
        "    api: { path_pattern: \"^/api\", upstream: app, strip_prefix: true, methods: [] }\n    \
         groups: { path_pattern: \"^/v([0-9])/(a|b)\", upstream: app, strip_prefix: true }\n    \
         either: { path_pattern: \"^/left|^/right-side\", upstream: app, strip_prefix: true }\n    \
         inside: { path_pattern: \"/secret\", upstream: app, strip_prefix: true }\n",
        "",
        &upstream,
    );
    for (path, received) in [
        ("/api/users?x=1&y", "/users?x=1&y"),
        ("/api", "/"),
        ("/api/", "/"),
        ("/api?x", "/?x"),
        ("/apiv2", "/v2"),
        ("/api//evil", "/evil"),
        ("/api/a%2Fb", "/a%2Fb"),
        ("/v1/a/x", "/x"),
        ("/v2/b", "/"),
        ("/left/x", "/x"),
        ("/right-side/y?z", "/y?z"),
        ("/one/secret/two", "/one/two"),
    ] {
        let before = upstream.requests().len();
        ask(&gate, &format!("GET {path}"), "").expect(200, "fine");
        assert_eq!(upstream.requests().remove(before).target(), received, "{path}");
    }
    ask(&gate, "GET /none", "").expect_own(404, "no_rule");
}

#[test]
fn the_target_gets_the_host_of_the_client_and_an_identity_of_each_request() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = gateway("    all: { path_pattern: \"^/\", upstream: app }\n", "", &upstream);
    let identities = [1, 2].map(|number| {
        ask(&gate, "GET /", "X-Request-Id: mine\r\nX-Forwarded-For: 203.0.113.9\r\n").expect(200, "fine");
        let request = upstream.requests().remove(number - 1);
        assert_eq!(request.head.get("host"), Some("gate.test"));
        assert_eq!(request.head.get("x-forwarded-for"), Some("127.0.0.1"));
        request.head.get("x-request-id").unwrap().to_owned()
    });
    assert!(identities[0] != identities[1] && identities.iter().all(|id| id.len() >= 32 && id != "mine"));
}

#[test]
fn middlewares_do_what_the_guide_says() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = gateway(
        "    all: { path_pattern: \"^/\", methods: [GET, PUT], upstream: app, middlewares: [rate_limiting, cors] }\n",
        "rate_limiting: { requests_per_minute: 2, key_header: X-API-Key }, \
         cors: { allowed_origins: [\"https://app.test\"], allowed_methods: [GET, PUT], allowed_headers: [\"*\"] }",
        &upstream,
    );
    let statuses =
        |key: &str| [1, 2, 3].map(|_| ask(&gate, "GET /", &format!("X-API-Key: {key}\r\n")).status());
    assert_eq!(statuses("one"), [200, 200, 429]);
    assert_eq!(statuses("two"), [200, 200, 429], "each key counts for itself");
    let refused = ask(&gate, "GET /", "X-API-Key: one\r\nOrigin: https://app.test\r\n");
    assert!(refused.get("retry-after").is_some());
    assert_eq!(refused.get("access-control-allow-origin"), Some("https://app.test"), "a page can read it");
    let preflight = ask(
        &gate,
        "OPTIONS /x",
        "Origin: https://app.test\r\nAccess-Control-Request-Method: PUT\r\n\
         Access-Control-Request-Headers: authorization\r\n",
    );
    assert_eq!((preflight.status(), preflight.get("access-control-allow-methods")), (204, Some("GET, PUT")));
    assert_eq!(preflight.get("access-control-allow-headers"), Some("authorization"));
    let other = ask(&gate, "OPTIONS /x", "Origin: https://app.test\r\n");
    assert_eq!(other.status(), 405, "a plain OPTIONS is a method like others");
    assert_eq!(other.get("access-control-allow-origin"), Some("https://app.test"));
}

#[test]
fn a_route_that_believes_to_be_protected_does_not_start_open() {
    let upstream = Upstream::says("fine");
    let place = Place::with(&[]);
    for (named, declared, line) in [
        ("cors", "", 5),
        ("authentication", "", 5),
        ("authentication", "authentication: { jwt_secret: a-secret-that-is-short, excluded_paths: [] }", 6),
        ("jwt", "authentication: { excluded_paths: [] }", 5),
        ("tracing", "", 5),
    ] {
        let yaml = format!(
            "mode: api_gateway\nserver: {{ bind_address: \"127.0.0.1:0\" }}\n\
             upstreams: {{ app: {{ servers: [\"{}\"] }} }}\napi_gateway:\n  routes: \
             {{ a: {{ path_pattern: \"^/\", upstream: app, middlewares: [{named}] }} }}\n  middlewares: {{ {declared} }}\n",
            upstream.address()
        );
        fs::write(place.path().join("config.yaml"), yaml).unwrap();
        let told = place.run("run config.yaml").failed(1);
        assert!(told.contains(&format!("config.yaml:{line}:")), "{told}");
        assert!(!told.contains("a-secret"), "{told}");
    }
}

/// The secret of tokens signs with HS256, and the paths that are excluded need none. What the upstream received is judged.
#[cfg(feature = "jwt")]
#[test]
fn a_route_with_authentication_asks_for_a_token() {
    use support::tokens::{LATER, tagged};
    const SECRET: &str = "a-secret-of-thirty-two-bytes-xxxx";
    let upstream = Upstream::says("fine");
    let (gate, _place) = gateway(
        "    api: { path_pattern: \"^/api\", methods: [GET], upstream: app, strip_prefix: true, middlewares: [authentication, cors] }\n\
         \x20   open: { path_pattern: \"^/\", upstream: app, middlewares: [] }\n",
        &format!(
            "authentication: {{ jwt_secret: {SECRET}, excluded_paths: [/api/health, /metrics, /api/only/] }}, \
             cors: {{ allowed_origins: [\"https://app.test\"], allowed_methods: [GET], allowed_headers: [\"*\"] }}"
        ),
        &upstream,
    );
    let token = |secret: &str, exp: u64| {
        format!(
            "Authorization: Bearer {}\r\n",
            tagged(secret, &serde_json::json!({ "sub": "ann", "exp": exp }))
        )
    };
    for lines in [
        String::new(),
        token("another-secret-of-thirty-two-bytes", LATER),
        token(SECRET, 1_000),
        "Authorization: Bearer a.b.c\r\n".to_owned(),
    ] {
        for path in ["/api", "/api/users", "/api/only", "/api/health/x", "/api/healthz", "/%61pi/users"] {
            let refused = ask(&gate, &format!("GET {path}"), &format!("{lines}Origin: https://app.test\r\n"));
            assert_eq!(refused.status(), 401, "{path} {lines}");
            assert!(refused.get("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
            assert_eq!(refused.get("access-control-allow-origin"), Some("https://app.test"));
        }
    }
    assert_eq!(ask(&gate, "GET //api/users", "").status(), 400, "a path that servers read in two ways");
    assert!(upstream.requests().is_empty());
    let fine = token(SECRET, LATER);
    for (line, lines, status, received) in [
        ("GET /api/users?a=b", &*fine, 200, Some("/users?a=b")),
        ("GET /api/health", "", 200, Some("/health")),
        ("GET /api/h%65alth?q", "", 200, Some("/health?q")),
        ("HEAD /api/health", "", 200, Some("/health")),
        ("GET /api/only/", "", 200, Some("/only/")),
        ("POST /api/health", "", 405, None),
        ("GET /metrics", "", 200, Some("/metrics")),
        ("GET /other", "", 200, Some("/other")),
    ] {
        let before = upstream.requests().len();
        assert_eq!(ask(&gate, line, lines).status(), status, "{line}");
        let requests = upstream.requests();
        let target = requests.get(before).map(|request| request.target().to_owned());
        assert_eq!(target.as_deref(), received, "{line}");
    }
    let first = &upstream.requests()[0];
    assert!(first.head.get("authorization").is_some(), "the target gets the token");
}

/// The guide's demo: six requests, each on a connection of its own, go to the servers in their written order.
#[test]
fn a_load_balancer_goes_around_its_servers() {
    let servers = ["one", "two", "three"].map(Upstream::says);
    let [one, two, three] = servers.each_ref().map(Upstream::address);
    let yaml = format!(
        "mode: load_balancer\nserver: {{ bind_address: \"127.0.0.1:0\", workers: 4 }}\n\
         upstreams: {{ app: {{ servers: [\"{one}\", \"{two}\", \"{three}\"], strategy: round_robin }} }}\n\
         load_balancer: {{ upstream: app }}\n"
    );
    let (gate, _place) = dialects::start(&yaml, |_| {});
    let answers = [0; 6].map(|_| ask(&gate, "GET /any?x", "").text());
    let first = ["one", "two", "three"].iter().position(|name| *name == answers[0]).unwrap();
    let expected: Vec<&str> = ["one", "two", "three"].into_iter().cycle().skip(first).take(6).collect();
    assert_eq!(answers[..], expected[..]);
}

/// A check that fails once takes a server out, and one that passes brings it back; the gauge tells.
#[test]
fn a_server_that_fails_its_check_gets_no_requests() {
    let is_well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = is_well.clone();
    let sick = Upstream::each(move |connection, request| {
        let well = flag.load(std::sync::atomic::Ordering::SeqCst);
        let status = if request.target() == "/check" && !well { "500 No" } else { "200 OK" };
        connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nsick"));
    });
    let well = Upstream::says("well");
    let yaml = format!(
        "mode: load_balancer\nserver: {{ bind_address: \"127.0.0.1:0\" }}\n\
         upstreams:\n  app:\n    servers: [\"{}\", \"{}\"]\n    strategy: round_robin\n    \
         health_check: {{ interval_secs: 1, timeout_secs: 1, path: /check }}\n\
         load_balancer: {{ upstream: app }}\n",
        sick.address(),
        well.address()
    );
    let (gate, _place) = dialects::start(&yaml, |_| {});
    let answers = || [0; 4].map(|_| ask(&gate, "GET /", "").text());
    support::until("the sick one is out", || answers().iter().all(|answer| answer == "well"));
    let is_up = |server: &Upstream| {
        let sample = format!("target=\"{}\"", server.address());
        let metrics = gate.metrics();
        let line =
            metrics.lines().find(|line| line.starts_with("smolgate_target_up") && line.contains(&sample));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.to_owned())
    };
    assert_eq!(
        (is_up(&sick).as_deref(), is_up(&well).as_deref()),
        (Some("0"), Some("1")),
        "{}",
        gate.metrics()
    );
    is_well.store(true, std::sync::atomic::Ordering::SeqCst);
    support::until("it is back", || answers().contains(&"sick".to_owned()));
}

#[test]
fn mode_and_bind_come_before_the_file_and_hold_for_reloads() {
    let upstream = Upstream::says("fine");
    let yaml = format!(
        "mode: load_balancer\nserver: {{ bind_address: \"192.0.2.1:1\" }}\n\
         upstreams: {{ app: {{ servers: [\"{}\"] }} }}\nload_balancer: {{ upstream: app }}\n\
         api_gateway: {{ routes: {{ a: {{ path_pattern: \"^/a\", upstream: app }} }}, middlewares: {{}} }}\n",
        upstream.address()
    );
    let (gate, place) = dialects::start(&yaml, |command| {
        command.args(["--mode", "gateway", "--bind", "127.0.0.1:0"]);
    });
    assert_eq!(ask(&gate, "GET /a", "").status(), 200);
    assert_eq!(ask(&gate, "GET /b", "").status(), 404);
    fs::write(place.path().join("config.yaml"), yaml.replace("^/a", "^/b")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    support::until("the file is read again", || ask(&gate, "GET /b", "").status() == 200);
    assert_eq!(ask(&gate, "GET /a", "").status(), 404);
    // Before the verb, behind it, and where they mean nothing.
    let place = Place::with(&[("config.yaml", &yaml), ("smolgate.yml", "workers: 1\n")]);
    let adapted = place.run("--mode lb --bind :81 adapt config.yaml");
    assert!(adapted.out.contains("bind: [\":81\"]") && adapted.out.contains("load_balancer"), "{adapted:?}");
    assert!(place.run("check --mode lb").failed(1).contains("no file has modes"));
    assert!(place.run("check --bind :81").failed(1).contains("no listener is named `http`"));
    assert!(place.run("check config.yaml --mode other").failed(2).contains("other"));
    assert!(place.run("check config.yaml --bind none").failed(2).contains("has no port"));
}

#[test]
fn the_file_dot_env_names_the_level_behind_what_is_set() {
    let place = Place::with(&[
        (
            "config.yaml",
            "mode: load_balancer\nserver: { bind_address: \":1\" }\nupstreams: { a: { servers: \"a:1\" } }\nload_balancer: { upstream: a }\nlogging: { level: error }\n",
        ),
        (".env", "PROXY_HOST=x\nRUST_LOG=locci_proxy=debug,pingora_core=warn\n"),
    ]);
    let adapted = |environment: &[(&str, &str)]| place.run_with("adapt config.yaml", environment).out;
    assert!(adapted(&[]).contains("log_level: debug\n") && adapted(&[]).contains("access_log: { to: stdout"));
    let quiet = adapted(&[("RUST_LOG", "warn")]);
    assert!(quiet.contains("log_level: warn\n") && quiet.contains("access_log: off\n"), "{quiet}");
    fs::remove_file(place.path().join(".env")).unwrap();
    assert!(adapted(&[]).contains("log_level: error\n"));
}

#[test]
fn each_request_has_a_line_with_its_identity() {
    let upstream = Upstream::says("fine");
    let place = Place::with(&[]);
    let yaml = format!(
        "mode: load_balancer\nserver: {{ bind_address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ app: {{ servers: [\"{}\"] }} }}\nload_balancer: {{ upstream: app }}\n",
        upstream.address()
    );
    let file = fs::File::create(place.path().join("out")).unwrap();
    fs::write(place.path().join("config.yaml"), yaml).unwrap();
    let gate = Program::start_with_output(file.into(), |command| {
        command.arg("config.yaml").current_dir(place.path()).env("INTERNAL_API_PORT", "127.0.0.1:0");
    });
    ask(&gate, "GET /x", "").expect(200, "fine");
    let line = || fs::read_to_string(place.path().join("out")).unwrap();
    support::until("its line", || line().ends_with('\n'));
    let line: serde_json::Value = serde_json::from_str(&line()).unwrap();
    let identity = upstream.request().head.get("x-request-id").unwrap().to_owned();
    assert_eq!(
        (line["request_id"].as_str(), line["rule"].as_str()),
        (Some(&*identity), Some("load_balancer"))
    );
}

#[test]
fn the_api_needs_its_key() {
    let upstream = Upstream::says("fine");
    let yaml = format!(
        "mode: load_balancer\nserver: {{ bind_address: \"127.0.0.1:0\" }}\n\
         upstreams: {{ app: {{ servers: [\"{}\"] }} }}\nload_balancer: {{ upstream: app }}\n\
         control_api: {{ enabled: true, bind_address: \"127.0.0.1:0\", api_key: sesame }}\n",
        upstream.address()
    );
    let (gate, place) = dialects::start(&yaml, |command| {
        command.env_remove("INTERNAL_API_PORT");
    });
    let api = gate.internal_address();
    let status = |path: &str, key: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {api}\r\n{key}Connection: close\r\n\r\n");
        Client::connect(api).exchange(request).status()
    };
    for path in ["/metrics", "/config", "/none"] {
        assert_eq!(status(path, ""), 401, "{path}");
        assert_eq!(status(path, "Authorization: Bearer other\r\n"), 401, "{path}");
    }
    assert_eq!(status("/metrics", "Authorization: Bearer sesame\r\n"), 200);
    let told = place.run(&format!("reload --address {api} config.yaml"));
    assert_eq!(told.code, 3, "with an address, the key is not read from the file: {told:?}");
    place.run(&format!("reload --address {api} --token sesame")).fine();
    assert!(!place.run("adapt config.yaml").out.contains("sesame"));
}

/// `server.tls`, with a certificate of its own, which clients without a name get too.
#[test]
fn the_listener_speaks_tls() {
    let upstream = Upstream::says("fine");
    let place = Place::with(&[]);
    let authority = Authority::new(place.path(), "ca.pem");
    authority.issue(place.path(), "gate", &["gate.test"]);
    let yaml = format!(
        "mode: load_balancer\nserver:\n  bind_address: \"127.0.0.1:0\"\n  tls: {{ cert_path: {dir}/gate.crt, key_path: {dir}/gate.key }}\n\
         upstreams: {{ app: {{ servers: [\"{}\"] }} }}\nload_balancer: {{ upstream: app }}\n",
        upstream.address(),
        dir = place.path().display()
    );
    let (gate, _place) = dialects::start(&yaml, |_| {});
    let config = Arc::new(authority.client(&[]));
    let mut client = Tls::connect(gate.address("http"), &config, "gate.test").unwrap().client();
    client.exchange("GET /x HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n").expect(200, "fine");
    assert_eq!(upstream.request().head.get("x-forwarded-proto"), Some("https"));
}
