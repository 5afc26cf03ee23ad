//! Files of go-proxy: golden files, and gates that are started with a file as go-proxy is.
//!
//! The tests judge by the requests that the target received.

#![cfg(feature = "dialects")]

mod support;

use std::fs;

use support::client::Client;
use support::dialects;
use support::place::Place;
use support::program::Program;
use support::upstream::Upstream;

#[test]
fn golden_files_give_what_they_say() {
    dialects::compare("go_proxy");
}

#[test]
fn a_broken_file_is_an_error_and_never_a_panic() {
    dialects::survive_breaking("go_proxy");
}

#[test]
fn a_file_that_loads_is_a_native_one_too_and_fits_its_schema() {
    dialects::fit("go_proxy", "go-proxy");
}

fn start(yaml: &str, upstream: &Upstream) -> (Program, Place) {
    start_with(yaml, upstream, &[])
}

fn start_with(yaml: &str, upstream: &Upstream, environment: &[(&str, &str)]) -> (Program, Place) {
    let text = yaml.replace("{target}", &format!("http://{}", upstream.address()));
    dialects::start(&text, |command| {
        command.envs(environment.iter().copied());
    })
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: gate.test\r\nConnection: close\r\n\r\n")
}

#[test]
fn the_longest_path_wins_and_is_taken_off_and_joined() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = start(
        "listen: \"127.0.0.1:0\"\n\
         routes:\n\
         - { path: /, target: \"{target}\" }\n\
         - { path: /api/, target: \"{target}/v2\" }\n\
         - { path: /exact, target: \"{target}/base\" }\n\
         - { path: /both, target: \"{target}/one\" }\n\
         - { path: /both/, target: \"{target}/more\" }\n\
         - { path: /api/deep/, target: \"{target}/deep/\" }\n\
         - { path: /health/, target: \"{target}/h\" }\n",
        &upstream,
    );
    let ask = |path: &str| Client::connect(gate.address("http")).exchange(get(path));
    for (path, received) in [
        ("/api/", "/v2/"),
        ("/api/u?q=1", "/v2/u?q=1"),
        ("/api/?x", "/v2/?x"),
        ("/api/a%2Fb", "/v2/a%2Fb"),
        ("/%61pi/u", "/v2/u"),
        ("/api/deep/x", "/deep/x"),
        ("/api/deeper", "/v2/deeper"),
        ("/exact", "/base/"),
        ("/exact?q=1", "/base/?q=1"),
        ("/exact/", "/exact/"),
        ("/exact/x", "/exact/x"),
        ("/both", "/one/"),
        ("/both/", "/more/"),
        ("/both/x", "/more/x"),
        ("/apix", "/apix"),
        ("/health/x", "/h/x"),
        ("/healthy", "/healthy"),
    ] {
        let before = upstream.requests().len();
        ask(path).expect(200, "fine");
        let request = upstream.requests().remove(before);
        assert_eq!(request.target(), received, "{path}");
        assert_eq!(request.head.get("host"), Some(upstream.address().to_string().as_str()));
    }
    for (path, to) in [("/api", "/api/"), ("/api?x=1&y", "/api/?x=1&y"), ("/api/deep?x", "/api/deep/?x")] {
        let response = ask(path);
        assert_eq!((response.status(), response.get("location")), (307, Some(to)), "{path}");
    }
    let health = ask("/health?x");
    assert_eq!((health.status(), health.get("content-type")), (200, Some("application/json")));
    let health: serde_json::Value = serde_json::from_str(&health.text()).unwrap();
    assert_eq!((&health["status"], &health["config"]["routes"]), (&"UP".into(), &7.into()));
    let started = health["startTime"].as_str().expect("a time");
    assert!(started.starts_with("20") && started.ends_with('Z') && started.len() == 24, "{started}");
    assert_eq!(health["smolgate"]["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn without_a_route_it_is_404_and_paths_are_not_cleaned() {
    let upstream = Upstream::says("fine");
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /api/, target: \"{target}/v2\" }]\n";
    let (gate, _place) = start(yaml, &upstream);
    let ask = |path: &str| Client::connect(gate.address("http")).exchange(get(path));
    for path in ["/", "/apix", "/other/api/"] {
        ask(path).expect_own(404, "no_rule");
    }
    // `ServeMux` redirects to the cleaned path, which may be another route.
    ask("/api/../secret").expect_own(400, "request_target");
    ask("/api/a//b").expect(200, "fine");
    assert_eq!(upstream.request().target(), "/v2/a//b");
}

const CORS: &str = "listen: \"127.0.0.1:0\"\n\
    routes: [{ path: /api/, target: \"{target}\" }]\n\
    cors: { allowed_origins: [\"https://app.test\", \"http://localhost:3000\"] }\n";

#[test]
fn pages_of_listed_origins_may_read_everything() {
    let upstream = Upstream::answers("HTTP/1.1 200 OK\r\nVary: Accept\r\nContent-Length: 4\r\n\r\nfine");
    let (gate, _place) = start(CORS, &upstream);
    let send = |request: String| Client::connect(gate.address("http")).exchange(request);
    let ask = |path: &str, origin: &str| {
        send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"))
    };
    let allowed =
        |path: &str, origin: &str| ask(path, origin).get("access-control-allow-origin").map(str::to_owned);
    for path in ["/api/x", "/api", "/health", "/nowhere"] {
        assert_eq!(allowed(path, "https://app.test").as_deref(), Some("https://app.test"), "{path}");
        assert_eq!(allowed(path, "https://other.test"), None, "{path}");
    }
    let response = ask("/api/x", "https://app.test");
    assert_eq!(response.head.list("vary"), ["accept", "origin"], "added to that of the target");
    let nowhere = ask("/nowhere", "https://app.test");
    assert_eq!((nowhere.status(), nowhere.text().as_str()), (404, "404 page not found\n"));
    let before = upstream.requests().len();
    for (path, origin, methods) in [
        ("/api/x", "http://localhost:3000", Some("GET, POST, PUT, DELETE, OPTIONS, PATCH")),
        ("/nowhere", "https://app.test", Some("GET, POST, PUT, DELETE, OPTIONS, PATCH")),
        ("/api/x", "https://other.test", None),
    ] {
        let preflight = send(format!(
            "OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\
             Access-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!((preflight.status(), preflight.get("access-control-allow-methods")), (204, methods));
        let age = methods.map(|_| "86400");
        assert_eq!(preflight.get("access-control-max-age"), age, "{path} {origin}");
    }
    assert_eq!(upstream.requests().len(), before, "no preflight gets to the target");
}

#[test]
fn a_star_anywhere_allows_every_origin() {
    let upstream = Upstream::says("fine");
    let (gate, _place) = start(&CORS.replace("\"http://localhost:3000\"", "\"*\""), &upstream);
    let response = Client::connect(gate.address("http"))
        .exchange("GET /api/ HTTP/1.1\r\nHost: a\r\nOrigin: https://any.test\r\nConnection: close\r\n\r\n");
    assert_eq!(response.get("access-control-allow-origin"), Some("*"));
}

#[test]
fn further_requests_wait_in_order_and_health_does_not_count() {
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            if request.target() == "/held" {
                connection.hang();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    let yaml = "listen: \"127.0.0.1:0\"\nproxy: { max_concurrent_requests: 2 }\n\
                routes: [{ path: /, target: \"{target}\" }]\n";
    let (gate, _place) = start(yaml, &upstream);
    let held = [1, 2].map(|number| {
        let mut client = Client::connect(gate.address("http"));
        client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        upstream.wait_requests(number);
        client
    });
    let mut third = Client::connect(gate.address("http"));
    third.send(get("/third"));
    let health = Client::connect(gate.address("http")).exchange(get("/health"));
    assert_eq!(health.status(), 200);
    assert!(!third.has_pending_event());
    assert_eq!(upstream.requests().len(), 2, "the third one has not reached the target");
    let [first, _second] = held;
    first.reset();
    third.read_response().expect(200, "fine");
}

#[test]
fn a_client_cannot_tell_who_it_is_unless_it_is_trusted() {
    let upstream = Upstream::says("fine");
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /, target: \"{target}\" }]\n";
    let spoofed = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\
                   X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";
    for (more, client, scheme) in
        [("", "127.0.0.1", "http"), ("trusted_proxies: 127.0.0.1\n", "203.0.113.9, 127.0.0.1", "https")]
    {
        let (gate, _place) = start(&format!("{yaml}{more}"), &upstream);
        let before = upstream.requests().len();
        Client::connect(gate.address("http")).exchange(spoofed).expect(200, "fine");
        let request = upstream.requests().remove(before);
        assert_eq!(request.head.get("x-forwarded-for"), Some(client));
        assert_eq!(request.head.get("x-forwarded-proto"), Some(scheme));
    }
}

#[test]
fn the_environment_of_go_proxy_counts() {
    let upstream = Upstream::says("fine");
    let place = Place::with(&[(
        "config.yaml",
        "listen: \"127.0.0.1:0\"\nroutes: [{ path: /, target: \"http://a.test\" }]\n",
    )]);
    let adapted = |environment: &[(&str, &str)]| place.run_with("adapt config.yaml", environment).fine();
    let usual = adapted(&[("GOGC", "20"), ("GOMEMLIMIT", "8MiB")]);
    assert!(usual.contains("workers: 2\n") && usual.contains("log_level: info\nlog_format: human\n"));
    assert!(usual.contains("access_log: off"), "{usual}");
    let other = adapted(&[("GOMAXPROCS", "3"), ("DEBUG", "true"), ("LOG_FORMAT", "json")]);
    assert!(other.contains("workers: 3\n") && other.contains("log_level: debug\nlog_format: json\n"));
    assert!(other.contains("access_log: { to: stdout, format: json }"), "{other}");
    // These variables mean nothing to a native file.
    let native = Place::with(&[("smolgate.yml", "workers: 1\n")]);
    let native = native.run_with("adapt", &[("DEBUG", "true"), ("LOG_FORMAT", "json"), ("GOMAXPROCS", "3")]);
    assert!(native.out.contains("log_format: human") && native.out.contains("workers: 1"), "{native:?}");
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /, target: \"{target}\" }]\n";
    let (gate, _place) = start_with(yaml, &upstream, &[("LOG_FORMAT", "json")]);
    Client::connect(gate.address("http")).exchange(get("/")).expect(200, "fine");
    assert!(gate.log().lines().all(|line| line.starts_with('{')), "{}", gate.log());
}

#[test]
fn every_verb_tells_the_place_in_the_file() {
    let place = Place::with(&[(
        "config.yaml",
        "listen: :8080\nroutes:\n  - path: /api/\n    target: http://a.test:1/v2\n",
    )]);
    let fine = |line: &str| place.run(line).fine();
    assert!(fine("check config.yaml").starts_with("config.yaml is valid: 1 listener, 3 rules, 1 upstream"));
    // Without a name too, since the keys tell the format.
    assert_eq!(fine("check"), fine("check --format go-proxy -c config.yaml"));
    let routes = fine("routes config.yaml");
    assert!(routes.contains("config.yaml:3"), "{routes}");
    let explained = fine("explain http://localhost:8080/api/x config.yaml");
    assert!(explained.contains("config.yaml:3") && explained.contains("upstream sees /v2/x"), "{explained}");
    // A file with such a name that has none of our keys is no configuration.
    fs::write(place.path().join("config.yaml"), "debug: true\n").unwrap();
    assert!(place.run("check").failed(1).contains("there is no configuration"));
}

#[test]
fn a_reload_reads_the_file_again_and_a_broken_one_changes_nothing() {
    let upstream = Upstream::says("fine");
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /old/, target: \"{target}\" }]\n";
    let (gate, place) = start(yaml, &upstream);
    let file = place.path().join("config.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let ask = |path: &str| Client::connect(gate.address("http")).exchange(get(path)).status();
    fs::write(&file, text.replace("path: /old/", "pth: /new/")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    support::until("it is refused", || gate.log().contains("is not a key of a route"));
    assert_eq!((ask("/old/"), ask("/new/")), (200, 404));
    fs::write(&file, text.replace("/old/", "/new/")).unwrap();
    gate.signal(rustix::process::Signal::HUP);
    support::until("it is in force", || ask("/new/") == 200);
    assert_eq!(ask("/old/"), 404);
}

/// Go-proxy has a limit of 8 MiB of its own, and its README gives its container 10.
#[test]
fn it_serves_in_ten_megabytes() {
    let upstream = Upstream::says("fine");
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /, target: \"{target}\" }]\n";
    let (gate, _place) = start(yaml, &upstream);
    for _ in 0..200 {
        Client::connect(gate.address("http")).exchange(get("/")).expect(200, "fine");
    }
    assert!(gate.memory() < 10 << 20, "{} bytes", gate.memory());
}

/// In go-proxy, `Upgrade` is lost on the way.
#[test]
fn an_upgrade_passes() {
    let upstream = Upstream::scripted(|connection| {
        let request = connection.read_request().unwrap();
        assert_eq!((request.target(), request.head.get("upgrade")), ("/socket", Some("echo")));
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        let bytes = connection.read_exact(4).unwrap();
        connection.send(bytes);
    });
    let yaml = "listen: \"127.0.0.1:0\"\nroutes: [{ path: /ws/, target: \"{target}\" }]\n";
    let (gate, _place) = start(yaml, &upstream);
    let mut client = Client::connect(gate.address("http"));
    client.send("GET /ws/socket HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert!(client.read_head().start.contains("101"));
    client.send("ping");
    assert_eq!(client.read_exact(4), b"ping");
}
