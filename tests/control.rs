//! The control API: routes and upstreams that change while the gate runs.
//!
//! The tests judge by what the targets receive.

#![cfg(feature = "control")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use serde_json::{Value, json};
use support::client::Client;
use support::dialects;
use support::gate::TestGate;
use support::message::Response;
use support::place::Place;
use support::program::Program;
use support::until;
use support::upstream::{Connection, Refusing, Upstream};

/// A native gate whose changes end with it.
const NATIVE: &str = r#"
internal_api: { bind: "127.0.0.1:0", edits: memory }
http_config: { port: "127.0.0.1:0" }
http_routes:
  - { name: first, path_prefix: /first, upstream: app }
upstreams:
  app: { targets: ["http://{app}"] }
"#;

/// A gateway of locci-proxy.
const GATEWAY: &str = r#"
mode: api_gateway
server: { bind_address: "127.0.0.1:0", upstream_read_timeout_secs: 30 }
upstreams: { app: { servers: ["{app}"], strategy: round_robin } }
api_gateway:
  routes:
    web: { path_pattern: "^/", methods: [GET], upstream: app, middlewares: [] }
    users: { path_pattern: "^/api/users", methods: [GET], upstream: app, middlewares: [cors] }
  middlewares:
    cors: { allowed_origins: ["https://app.test"], allowed_methods: [GET], allowed_headers: ["*"] }
control_api: { enabled: true, bind_address: "127.0.0.1:0", api_key: "admin-key-12345" }
"#;

/// Sends a request with a body to the control API. `path` stands below `/api/v1`.
#[track_caller]
fn ask_with(address: SocketAddr, fields: &str, request: &str, body: &str) -> Response {
    let (method, path) = request.split_once(' ').unwrap();
    let length = body.len();
    let mut client = Client::connect(address);
    client.send(format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: {address}\r\n{fields}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    ));
    client.read_response_to(method)
}

#[track_caller]
fn ask(address: SocketAddr, request: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    ask_with(address, "Content-Type: application/json\r\n", request, &body)
}

/// The status and the error of the answer.
#[track_caller]
fn refusal(address: SocketAddr, request: &str, body: &Value) -> (u16, String) {
    let response = ask(address, request, body);
    let told: Value = serde_json::from_str(&response.text()).expect("an error is JSON");
    (response.status(), told["error"].as_str().expect("an error").to_owned())
}

fn get(address: SocketAddr, path: &str) -> Response {
    Client::connect(address)
        .exchange(format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n"))
}

fn text_of(gate: &TestGate, path: &str) -> String {
    gate.internal("GET", path).text()
}

#[test]
fn routes_and_upstreams_come_and_go() {
    let (app, other) = (Upstream::says("app"), Upstream::says("other"));
    let gate = TestGate::start(NATIVE, &[("app", &app.address())]);
    let (api, http) = (gate.internal_address(), gate.address("http"));
    assert_eq!(get(http, "/new").status(), 404);

    let made = ask(api, "POST /upstreams", &json!({ "name": "new", "server": other.address().to_string() }));
    assert_eq!(made.status(), 201, "{made:?}");
    let route = json!({ "name": "new", "path_pattern": "^/new", "upstream": "new", "strip_prefix": true, "methods": ["GET"] });
    let made = ask(api, "POST /routes", &route);
    let told: Value = serde_json::from_str(&made.text()).unwrap();
    assert_eq!((made.status(), &told["name"], &told["generation"]), (201, &json!("new"), &json!(3)));
    get(http, "/new/x?y=1").expect(200, "other");
    assert_eq!(other.request().target(), "/x?y=1");
    assert_eq!(gate.exchange("POST /new HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(), 405);

    // Views say where it comes from, and a reload keeps it.
    for path in ["/routes", "/api/v1/routes"] {
        let line =
            text_of(&gate, path).lines().find(|line| line.contains("\"name\":\"new\"")).unwrap().to_owned();
        assert!(line.contains("\"origin\":\"api:"), "{line}");
    }
    assert!(text_of(&gate, "/api/v1/upstreams").contains("\"origin\":\"api:2\""));
    gate.reload().unwrap();
    get(http, "/new").expect(200, "other");

    // A server beside one of the file.
    let server = json!({ "name": "app", "server": other.address().to_string() });
    assert_eq!(ask(api, "POST /upstreams", &server).status(), 200);
    let answers: Vec<String> = (0..4).map(|_| get(http, "/first").text()).collect();
    assert!(answers.contains(&"app".to_owned()) && answers.contains(&"other".to_owned()), "{answers:?}");
    assert_eq!(
        ask(api, &format!("DELETE /upstreams/app/servers/{}", app.address()), &Value::Null).status(),
        204
    );
    (0..4).for_each(|_| get(http, "/first").expect(200, "other"));
    // The server of the file comes back.
    assert_eq!(
        ask(api, "POST /upstreams", &json!({ "name": "app", "server": app.address().to_string() })).status(),
        200
    );
    assert_eq!(
        ask(api, &format!("DELETE /upstreams/app/servers/{}", other.address()), &Value::Null).status(),
        204
    );
    (0..4).for_each(|_| get(http, "/first").expect(200, "app"));

    let gone = ask(api, "DELETE /routes/new", &Value::Null);
    assert_eq!((gone.status(), gone.get("content-length"), gone.text().as_str()), (204, None, ""));
    assert_eq!(get(http, "/new").status(), 404);
    assert_eq!(
        ask(api, &format!("DELETE /upstreams/new/servers/{}", other.address()), &Value::Null).status(),
        204
    );
    assert!(!text_of(&gate, "/api/v1/upstreams").contains("\"new\""));
}

#[test]
fn a_change_that_is_impossible_changes_nothing() {
    let app = Upstream::says("app");
    let gate = TestGate::start(NATIVE, &[("app", &app.address())]);
    let api = gate.internal_address();
    let more = json!({ "name": "more", "path_pattern": "^/more", "upstream": "app" });
    assert_eq!(ask(api, "POST /routes", &more).status(), 201);
    let before = (text_of(&gate, "/config"), text_of(&gate, "/routes"));
    let server = app.address().to_string();
    let route = |more: Value| {
        let mut route = json!({ "name": "x", "path_pattern": "^/x", "upstream": "app" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    for (request, body, status, why) in [
        ("POST /routes", more, 409, "has a route `more` already"),
        ("POST /routes", route(json!({ "name": "first" })), 409, "has a route `first` already"),
        ("POST /routes", route(json!({ "path_pattern": "^/(x" })), 422, "api:3:"),
        ("POST /routes", route(json!({ "upstream": "none" })), 422, "there is no upstream `none`"),
        ("POST /routes", route(json!({ "listener": "none" })), 422, "there is no HTTP listener `none`"),
        ("POST /routes", route(json!({ "methds": ["GET"] })), 422, "did you mean `methods`?"),
        ("POST /routes", route(json!({ "middlewares": ["cors"] })), 422, "no middleware `cors`"),
        ("POST /routes", route(json!({ "timeout_secs": 0 })), 422, "no time at all"),
        ("POST /routes", json!({ "name": "x" }), 422, "needs `path_pattern`"),
        ("POST /routes", json!(["x"]), 400, "no object"),
        ("DELETE /routes/none", Value::Null, 404, "no route of the files has the name `none`"),
        ("DELETE /routes/a%2", Value::Null, 400, "escape"),
        ("DELETE /routes/first?all=true", Value::Null, 400, "listener=NAME"),
        ("POST /upstreams", json!({ "name": "app", "server": &server }), 409, "has this server already"),
        ("POST /upstreams", json!({ "name": "app", "servers": ["a:1"] }), 409, "an upstream `app` already"),
        ("POST /upstreams", json!({ "name": "b", "server": "http://a:1" }), 422, "has a scheme"),
        ("POST /upstreams", json!({ "name": "b", "servers": [] }), 422, "this list is empty"),
        ("POST /upstreams", json!({ "name": "b", "servers": ["a:1"], "tls": "maybe" }), 422, "`maybe`"),
        ("DELETE /upstreams/app/servers/a:1", Value::Null, 404, "no such server"),
        ("DELETE /upstreams/none/servers/a:1", Value::Null, 404, "no such server"),
        (&format!("DELETE /upstreams/app/servers/{server}"), Value::Null, 409, "the last server"),
        ("GET /nothing", Value::Null, 404, "nothing at this path"),
        ("PUT /routes", Value::Null, 405, "GET, HEAD, POST"),
    ] {
        let (told, text) = refusal(api, request, &body);
        assert_eq!(told, status, "{request} {body}: {text}");
        assert!(text.contains(why), "{request} {body}: {text}");
    }
    // Nothing of the gate's files and variables is filled in.
    let file = gate.dir().join("smolgate.yml");
    let (status, text) = refusal(
        api,
        "POST /routes",
        &route(json!({ "path_pattern": format!("${{file:{}}}(", file.display()) })),
    );
    assert!(status == 422 && !text.contains("http_routes"), "{text}");
    assert_eq!((text_of(&gate, "/config"), text_of(&gate, "/routes")), before);
    assert_eq!(gate.metric("smolgate_config_generation"), 2.0);
    assert_eq!(gate.metric("smolgate_config_last_reload_success"), 1.0);
}

#[test]
fn only_those_who_may_change_something_do() {
    let app = Upstream::says("app");
    let body = json!({ "name": "b", "server": "127.0.0.1:1" }).to_string();
    let post = |gate: &TestGate, fields: &str| {
        let port = gate.internal_address().port();
        let response = ask_with(SocketAddr::from(([127, 0, 0, 1], port)), fields, "POST /upstreams", &body);
        (response.status(), response.text())
    };
    let json = "Content-Type: application/json\r\n";
    let token =
        TestGate::start(&NATIVE.replace("edits:", "token: sesame, edits:"), &[("app", &app.address())]);
    assert_eq!(post(&token, json), (401, "{\"error\":\"unauthorized\"}\n".to_owned()));
    assert_eq!(post(&token, &format!("{json}Authorization: Bearer guess\r\n")).0, 401);
    assert_eq!(post(&token, &format!("{json}Authorization: Bearer sesame\r\n")).0, 201);
    let plain = TestGate::start(NATIVE, &[("app", &app.address())]);
    assert_eq!(post(&plain, "").0, 415);
    assert_eq!(post(&plain, "Content-Type: text/plain\r\n").0, 415);
    assert_eq!(post(&plain, &format!("{json}Origin: https://evil.test\r\n")).0, 403);
    assert_eq!(post(&plain, &format!("{json}Sec-Fetch-Site: cross-site\r\n")).0, 403);
    let off = TestGate::start(&NATIVE.replace(", edits: memory", ""), &[("app", &app.address())]);
    let (status, text) = post(&off, json);
    assert!(status == 403 && text.contains("`edits: memory`"), "{text}");
    let open = TestGate::start(
        &NATIVE.replace("127.0.0.1:0\", edits", "0.0.0.0:0\", edits"),
        &[("app", &app.address())],
    );
    let (status, text) = post(&open, json);
    assert!(status == 403 && text.contains("set `token`"), "{text}");
    for gate in [&plain, &off, &open] {
        assert_eq!(gate.metric("smolgate_config_generation"), 1.0);
    }
}

/// The requests of the project's own file for editors, and what a gateway makes of them.
#[test]
fn a_gateway_of_locci_takes_its_own_requests() {
    let (app, other) = (Upstream::says("app"), Upstream::says("other"));
    let (gate, _place) = dialects::start(&GATEWAY.replace("{app}", &app.address().to_string()), |_| {});
    let (api, http) = (gate.internal_address(), gate.address("http"));
    let exchange = |request: &str| Client::connect(http).exchange(request);
    let key = "Authorization: Bearer admin-key-12345\r\nContent-Type: application/json\r\n";
    let send = |request: &str, body: Value| {
        ask_with(api, key, request, &if body.is_null() { String::new() } else { body.to_string() })
    };
    for path in ["/status", "/config", "/metrics", "/routes", "/upstreams", "", "/nothing"] {
        assert_eq!(ask_with(api, "", &format!("GET {path}"), "").status(), 401, "{path}");
        let status = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(send(&format!("GET {path}"), Value::Null).status(), status, "{path}");
    }
    let status: Value = serde_json::from_str(&send("GET /status", Value::Null).text()).unwrap();
    assert_eq!((&status["status"], &status["mode"]), (&json!("running"), &json!("ApiGateway")));
    assert_eq!((&status["lb_enabled"], &status["gateway_enabled"]), (&json!(false), &json!(true)));
    let config = send("GET /config", Value::Null).text();
    assert!(config.contains("\"token\":\"[redacted]\"") && !config.contains("admin-key"), "{config}");

    let group =
        json!({ "name": "orders", "servers": [other.address().to_string()], "strategy": "round_robin" });
    assert_eq!(send("POST /upstreams", group).status(), 201);
    let route = json!({ "name": "orders", "path_pattern": "^/api/orders", "methods": ["GET", "POST"],
                        "upstream": "orders", "strip_prefix": false, "timeout_secs": 30, "middlewares": ["cors"] });
    assert_eq!(send("POST /routes", route).status(), 201);
    // It is tried before `^/`, which is shorter.
    get(http, "/api/orders/7").expect(200, "other");
    get(http, "/other").expect(200, "app");
    let refused = exchange("PUT /api/orders HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!((refused.status(), refused.get("allow")), (405, Some("GET, HEAD, POST")));
    let page = exchange("GET /api/orders HTTP/1.1\r\nHost: a\r\nOrigin: https://app.test\r\n\r\n");
    assert_eq!(page.get("access-control-allow-origin"), Some("https://app.test"));
    // A longer one comes before it.
    let longer = json!({ "name": "old", "path_pattern": "^/api/orders/old", "upstream": "app" });
    assert_eq!(send("POST /routes", longer).status(), 201);
    get(http, "/api/orders/old").expect(200, "app");

    // A route of the file goes with its refusal of other methods, and stays away.
    assert_eq!(exchange("PUT /api/users HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").status(), 405);
    assert_eq!(send("DELETE /routes/users", Value::Null).status(), 204);
    assert_eq!(send("DELETE /routes/users", Value::Null).status(), 404);
    let reload = format!("POST /reload HTTP/1.1\r\nHost: {api}\r\n{key}Content-Length: 0\r\n\r\n");
    assert_eq!(Client::connect(api).exchange(reload).status(), 200);
    get(http, "/api/users").expect(200, "app");
    let shown = send("GET /routes", Value::Null).text();
    assert!(!shown.contains("\"users") && shown.contains("\"web (405)\""), "{shown}");
    // Another route may have its name.
    let again = json!({ "name": "users", "path_pattern": "^/api/users", "upstream": "orders" });
    assert_eq!(send("POST /routes", again).status(), 201);
    get(http, "/api/users").expect(200, "other");
}

/// The names that the dashboard of the project asks for.
#[test]
fn metrics_of_a_gateway_have_the_names_of_locci_and_never_go_back() {
    let app = Upstream::says("app");
    let (gate, _place) = dialects::start(&GATEWAY.replace("{app}", &app.address().to_string()), |_| {});
    let (api, http) = (gate.internal_address(), gate.address("http"));
    let key = "Authorization: Bearer admin-key-12345\r\nContent-Type: application/json\r\n";
    let send = |request: &str, body: Value| {
        ask_with(api, key, request, &if body.is_null() { String::new() } else { body.to_string() })
    };
    (0..2).for_each(|_| get(http, "/x").expect(200, "app"));
    let metrics = || send("GET /metrics", Value::Null).text();
    for line in [
        "locci_requests_total{mode=\"gateway\",upstream=\"app\",status=\"200\"} 2",
        "locci_request_duration_seconds_count{mode=\"gateway\",upstream=\"app\"} 2",
        "locci_request_duration_seconds_bucket{mode=\"gateway\",upstream=\"app\",le=\"5\"} 2",
        "locci_errors_total{mode=\"gateway\",error_type=\"upstream_error\"} 0",
        &format!("locci_upstream_health{{upstream=\"app\",server=\"{}\"}} 1", app.address()),
    ] {
        until(line, || metrics().lines().any(|shown| shown == line));
    }
    let dead = Refusing::new();
    let server = json!({ "name": "dead", "server": dead.to_string() });
    assert_eq!(send("POST /upstreams", server).status(), 201);
    let route = json!({ "name": "dead", "path_pattern": "^/api/dead", "upstream": "dead" });
    assert_eq!(send("POST /routes", route).status(), 201);
    assert_eq!(get(http, "/api/dead").status(), 502);
    assert_eq!(send("DELETE /routes/dead", Value::Null).status(), 204);
    for line in [
        "locci_errors_total{mode=\"gateway\",error_type=\"upstream_error\"} 1",
        "locci_requests_total{mode=\"gateway\",upstream=\"dead\",status=\"502\"} 1",
    ] {
        until("the exchange is counted", || metrics().lines().any(|shown| shown == line));
    }
}

/// A gate of the program, with changes in the file `edits.json` beside its configuration.
fn kept(place: &Path, app: &Upstream, more: &str) -> Program {
    let yaml = NATIVE.replace("memory", "edits.json").replace("{app}", &app.address().to_string());
    fs::write(place.join("smolgate.yml"), format!("workers: 1\nwatch: true\n{more}{yaml}")).unwrap();
    Program::start(|command| {
        command.current_dir(place);
    })
}

#[test]
fn changes_in_a_file_outlive_the_process_and_are_whole_after_a_kill() {
    let app = Upstream::says("app");
    let place = Place::with(&[]);
    let acknowledged = AtomicUsize::new(0);
    for round in 1..=4 {
        let mut gate = kept(place.path(), &app, "");
        let api = gate.internal_address();
        let known = acknowledged.load(SeqCst);
        for number in 0..known {
            get(gate.address("http"), &format!("/n{number}/x")).expect(200, "app");
        }
        assert_eq!(gate.said("reloaded as"), 0, "{}", gate.log());
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in known.. {
                    let route = json!({ "name": format!("n{number}"), "path_pattern": format!("^/n{number}/"), "upstream": "app" });
                    let body = route.to_string();
                    let Ok(mut stream) = std::net::TcpStream::connect(api) else { return };
                    let head = format!(
                        "POST /api/v1/routes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    let mut answer = String::new();
                    use std::io::{Read, Write};
                    if stream.write_all(head.as_bytes()).is_err() || stream.read_to_string(&mut answer).is_err() {
                        return;
                    }
                    // A route whose answer was lost with the process may be there: its name is taken.
                    if !answer.starts_with("HTTP/1.1 201") && !answer.starts_with("HTTP/1.1 409") {
                        assert!(answer.is_empty(), "{answer}");
                        return;
                    }
                    acknowledged.store(number + 1, SeqCst);
                }
            });
            until("some changes are made", || acknowledged.load(SeqCst) >= known + 5 * round);
            gate.signal(rustix::process::Signal::KILL);
            gate.wait_end();
        });
        let text = fs::read_to_string(place.path().join("edits.json")).unwrap();
        let edits: Value = serde_json::from_str(&text).expect("a killed gate leaves a whole file");
        assert!(edits["routes"].as_array().unwrap().len() >= acknowledged.load(SeqCst));
    }
    // The verbs that read files see the changes too.
    let explained = place.run("explain http://127.0.0.1/n0/x").fine();
    assert!(explained.contains("edits.json:"), "{explained}");
    place.run("check").fine();
}

#[test]
fn what_the_files_have_taken_over_is_dropped_and_what_does_not_fit_waits() {
    let app = Upstream::says("app");
    let names: &[(&str, &dyn std::fmt::Display)] = &[("app", &app.address())];
    let gate = TestGate::start(&NATIVE.replace("memory", "edits.json"), names);
    let native = NATIVE.replace("memory", "edits.json");
    let (api, http) = (gate.internal_address(), gate.address("http"));
    let of = |name: &str| json!({ "name": name, "path_pattern": format!("^/{name}"), "upstream": "late" });
    assert_eq!(ask(api, "DELETE /routes/first", &Value::Null).status(), 204);
    let late = "  late: { targets: [\"http://{app}\"] }\n";
    gate.edit(&format!("{native}{late}"), names);
    gate.reload().unwrap();
    assert_eq!(ask(api, "POST /routes", &of("one")).status(), 201);
    assert_eq!(ask(api, "POST /routes", &of("two")).status(), 201);
    get(http, "/one").expect(200, "app");
    assert_eq!(get(http, "/first").status(), 404);

    // The upstream is gone: both wait, and the gate says so and goes on.
    gate.edit(&native, names);
    let told = gate.reload().unwrap();
    assert!(
        told.contains("there is no upstream `late`") && told.contains("left out until it fits"),
        "{told}"
    );
    assert_eq!(get(http, "/one").status(), 404);
    // They do not keep others from being made.
    let route = json!({ "name": "three", "path_pattern": "^/three", "upstream": "app" });
    assert_eq!(ask(api, "POST /routes", &route).status(), 201);
    get(http, "/three").expect(200, "app");

    // It is back, one route is in the file by now, and the removed one is not there any more.
    let taken = native.replace(
        "- { name: first, path_prefix: /first, upstream: app }",
        "- { name: one, path_prefix: /one, upstream: app }",
    );
    gate.edit(&format!("{taken}{late}"), names);
    gate.reload().unwrap();
    for path in ["/one", "/two", "/three"] {
        get(http, path).expect(200, "app");
    }
    let kept = fs::read_to_string(gate.dir().join("edits.json")).unwrap();
    assert!(!kept.contains("one") && !kept.contains("first") && kept.contains("two"), "{kept}");
    // The file that keeps changes may be broken by hand: then nothing changes, and the place is told.
    fs::write(gate.dir().join("edits.json"), kept.replace("{\"name\":\"", "{\"name\":")).unwrap();
    let error = gate.reload().unwrap_err();
    assert!(error.contains("this is not JSON") && error.contains("edits.json:2:"), "{error}");
    get(http, "/two").expect(200, "app");
}

/// Adds routes `a0`, `a1` and so on. Returns the generation of each.
fn add_routes(api: SocketAddr, letter: char, count: usize) -> Vec<u64> {
    let add = |number| {
        let name = format!("{letter}{number}");
        let route = json!({ "name": &name, "path_pattern": format!("^/{name}$"), "upstream": "app" });
        let response = loop {
            // Four changes and reloads wait at most.
            let response = ask(api, "POST /routes", &route);
            if response.status() != 503 {
                break response;
            }
        };
        assert_eq!(response.status(), 201, "{response:?}");
        let told: Value = serde_json::from_str(&response.text()).unwrap();
        told["generation"].as_u64().unwrap()
    };
    (0..count).map(add).collect()
}

#[test]
fn concurrent_changes_and_reloads_lose_no_connection_and_no_change() {
    const CHANGES: usize = 12;
    let app = Upstream::says("app");
    let slow = Upstream::each(|connection: &mut Connection, _| {
        thread::sleep(std::time::Duration::from_millis(30));
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
    });
    let config = format!("{NATIVE}  slow: {{ targets: [\"http://{{slow}}\"] }}\n").replace(
        "  - { name: first",
        "  - { name: slow, path_prefix: /slow, upstream: slow }\n  - { name: first",
    );
    let gate = TestGate::start(&config, &[("app", &app.address()), ("slow", &slow.address())]);
    let (api, http) = (gate.internal_address(), gate.address("http"));
    let over = AtomicBool::new(false);
    let mut generations: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        let clients: Vec<_> = [("/first", "app"), ("/slow", "slow")]
            .into_iter()
            .map(|(path, body)| {
                let over = &over;
                scope.spawn(move || {
                    // One connection, from before the first change to after the last.
                    let mut client = Client::connect(http);
                    let mut count = 0;
                    while !over.load(SeqCst) || count == 0 {
                        let request = format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\n\r\n");
                        client.exchange(request).expect(200, body);
                        count += 1;
                    }
                })
            })
            .collect();
        let writers: Vec<_> =
            ['a', 'b', 'c'].map(|letter| scope.spawn(move || add_routes(api, letter, CHANGES))).into();
        let reloads = scope.spawn(|| (0..CHANGES).for_each(|_| drop(gate.reload().unwrap())));
        for writer in writers {
            generations.extend(writer.join().unwrap());
        }
        reloads.join().unwrap();
        over.store(true, SeqCst);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    for letter in ['a', 'b', 'c'] {
        for number in 0..CHANGES {
            get(http, &format!("/{letter}{number}")).expect(200, "app");
        }
    }
    let count = generations.len();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(
        (generations.len(), count),
        (3 * CHANGES, 3 * CHANGES),
        "each change has a generation of its own"
    );
}

#[test]
fn verbs_ask_a_running_gate() {
    let app = Upstream::says("app");
    let place = Place::with(&[]);
    let yaml = NATIVE
        .replace("{app}", &app.address().to_string())
        .replace("bind: \"127.0.0.1:0\", edits", "bind: \"unix:api.sock\", token: sesame, edits");
    fs::write(place.path().join("smolgate.yml"), yaml).unwrap();
    let gate = Program::start(|command| {
        command.current_dir(place.path());
    });
    let http = gate.address("http");
    assert!(place.run("status").fine().contains("\"status\":\"running\""));
    assert!(place.run("add-upstream new 127.0.0.1:1").fine().contains("\"generation\":2"));
    let server = app.address();
    place.run(&format!("add-upstream new {server}")).fine();
    place.run("remove-upstream new 127.0.0.1:1").fine();
    place.run("add-route -X GET --strip-prefix a/b ^/new new").fine();
    get(http, "/new/x").expect(200, "app");
    assert_eq!(app.request().target(), "/x");
    let refused = place.run("add-route a/b ^/new new").failed(1);
    assert!(refused.contains("has a route `a/b` already"), "{refused}");
    let refused = place.run(&format!("remove-upstream new {server}")).failed(1);
    assert!(refused.contains("there is no upstream `new`"), "{refused}");
    place.run("remove-route a/b").fine();
    place.run(&format!("remove-upstream new {server}")).fine();
    assert_eq!(get(http, "/new").status(), 404);
    place.run("remove-route a/b").failed(1);
    place.run("status --address 127.0.0.1:1").failed(3);
    place.run("status --token guess").failed(3);
    place.run("add-route a").failed(2);
}
