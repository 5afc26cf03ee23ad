//! A gate that gets its routes from labels, over real sockets.

#![cfg(feature = "compose")]

mod support;

use std::sync::{Arc, Barrier, Mutex};

use smolgate::config::{Files, Format, MemoryInputs, load_files};
use smolgate::gate::Gate;
use support::client::Client;
use support::message::Response;
use support::tls::{Authority, Tls};
use support::upstream::{Refusing, Upstream};

/// Port 0 is set in a native file, because a compose file has no key for it.
const NATIVE: &str =
    "workers: 1\ninternal_api: { bind: \"127.0.0.1:0\" }\nhttp_config: { port: \"127.0.0.1:0\" }\n";

struct Scene {
    gate: Gate,
    inputs: Arc<Mutex<MemoryInputs>>,
}

impl Scene {
    fn start(compose: &str) -> Scene {
        Scene::reading(inputs(compose))
    }

    fn reading(inputs: MemoryInputs) -> Scene {
        let inputs = Arc::new(Mutex::new(inputs));
        let files = Files {
            config: vec!["smolgate.yml".into()],
            named: vec![(Format::named("compose").unwrap(), "*/compose.yaml".into())],
            ..Files::default()
        };
        let seen = inputs.clone();
        let loader = Box::new(move || load_files(&files, &*seen.lock().unwrap()));
        Scene { gate: Gate::start(loader).expect("the gate starts"), inputs }
    }

    fn edit(&self, compose: &str) -> Result<String, String> {
        *self.inputs.lock().unwrap() = inputs(compose);
        self.gate.reload(false).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn get(&self, host: &str, target: &str) -> Response {
        let address = self.gate.address("http").expect("a listener");
        Client::connect(address).exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    fn rejected(&self) -> String {
        let address = self.gate.internal_address().expect("an internal API");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let metrics = Client::connect(address).exchange(request).text();
        let line = metrics.lines().find(|line| line.starts_with("smolgate_config_rejected_services "));
        line.unwrap_or_else(|| panic!("{metrics}")).rsplit(' ').next().unwrap_or_default().to_owned()
    }
}

fn inputs(compose: &str) -> MemoryInputs {
    MemoryInputs::new().file("smolgate.yml", NATIVE).file("app/compose.yaml", compose)
}

#[test]
fn labels_route_and_redirect() {
    let (web, api) = (Upstream::says("web"), Upstream::says("api"));
    let scene = Scene::start(&format!(
        "services:
  web:
    labels:
      smolgate.host: app.test
      smolgate.target: http://{}
      smolgate.redirect_from: www.app.test, *.old.test
  api:
    labels:
      - smolgate.host=app.test
      - smolgate.path=/api
      - smolgate.strip_prefix=true
      - smolgate.passhost=false
      - smolgate.target={}
",
        web.address(),
        api.address()
    ));
    scene.get("app.test", "/apix").expect(200, "web");
    scene.get("app.test", "/api/v1?q=1").expect(200, "api");
    let request = api.request();
    let own = api.address().to_string();
    assert_eq!((request.target(), request.head.get("Host")), ("/v1?q=1", Some(own.as_str())));
    assert_eq!(web.request().head.get("Host"), Some("app.test"));
    for host in ["www.app.test", "a.old.test"] {
        let moved = scene.get(host, "/a%20b?c=d");
        assert_eq!(
            (moved.status(), moved.get("Location")),
            (301, Some("http://app.test/a%20b?c=d")),
            "{host}"
        );
    }
    assert_eq!(scene.get("a.b.old.test", "/").status(), 404);
    assert_eq!(scene.rejected(), "0");
}

/// Django compares Host with `ALLOWED_HOSTS` and the host of `Origin` with Host, Grafana does the second, and
/// Nextcloud looks Host up in its trusted domains. So `host` and `port` alone must bring both as the client sent
/// them.
#[test]
fn two_labels_pass_on_the_host_that_services_compare() {
    let upstream = Upstream::says("served");
    let port = upstream.address().port();
    let services = |host: &str, more: &str| {
        format!("services: {{ localhost: {{ labels: {{ {host}, smolgate.port: {port}{more} }} }} }}\n")
    };
    let scene = Scene::start(&services("smolgate.host: app.test", ""));
    let post = |host: &str| {
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Length: 0\r\n\r\n");
        Client::connect(scene.gate.address("http").expect("a listener")).exchange(head).expect(200, "served");
        let head = upstream.requests().pop().expect("a request").head;
        let field = |name: &str| head.get(name).unwrap_or_default().to_owned();
        (field("Host"), field("Origin"), field("X-Forwarded-Host"))
    };
    let own = format!("localhost:{port}");
    for host in ["app.test", "App.test:8080"] {
        assert_eq!(post(host), (host.to_owned(), format!("http://{host}"), host.to_owned()));
    }
    for (host, more, expected) in [
        ("smolgate.host: app.test", ", smolgate.passhost: false", own.as_str()),
        ("liteproxy.host: app.test", "", &own),
        ("liteproxy.host: app.test", ", liteproxy.passhost: true", "app.test"),
        ("smolgate.host: app.test", ", liteproxy.host: app.test", "app.test"),
    ] {
        scene.edit(&services(host, more)).expect("a reload");
        assert_eq!(post("app.test").0, expected, "{host}{more}");
    }
}

#[test]
fn several_hosts_in_one_label_reach_one_service_and_any_other_host_comes_last() {
    let [web, wild, rest] = ["web", "wild", "rest"].map(Upstream::says);
    let scene = Scene::start(&format!(
        "services:
  rest: {{ labels: {{ smolgate.host: '*', smolgate.target: '{}' }} }}
  wild: {{ labels: {{ smolgate.host: ['*.test', wild.example], smolgate.target: '{}' }} }}
  web: {{ labels: {{ smolgate.host: 'a.test, b.test', smolgate.redirect_from: c.test, smolgate.target: '{}' }} }}
",
        rest.address(),
        wild.address(),
        web.address()
    ));
    for (host, told) in [
        ("a.test", "web"),
        ("b.test", "web"),
        ("d.test", "wild"),
        ("wild.example", "wild"),
        ("e.example", "rest"),
        ("127.0.0.1", "rest"),
    ] {
        scene.get(host, "/").expect(200, told);
    }
    assert_eq!(scene.get("c.test", "/x").get("Location"), Some("http://a.test/x"));
    let received: Vec<String> = rest
        .requests()
        .iter()
        .map(|request| request.head.get("Host").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(received, ["e.example", "127.0.0.1"]);
}

#[test]
fn keys_of_rules_are_labels() {
    let (web, writes) = (Upstream::says("web"), Upstream::says("writes"));
    let silent = Upstream::scripted(|connection| {
        connection.read_request();
        connection.hang();
    });
    let scene = Scene::start(&format!(
        "services:
  web:
    labels:
      smolgate.host: app.test
      smolgate.target: http://{}
      smolgate.path_prefix: /app
      smolgate.strip_path_prefix: true
      smolgate.pass_host: false
      smolgate.max_body: 3
  writes: {{ labels: {{ smolgate.host: app.test, smolgate.path: /app, smolgate.methods: 'PUT,delete', smolgate.target: '{}' }} }}
  silent: {{ labels: {{ smolgate.host: silent.test, smolgate.response_timeout: 50ms, smolgate.target: '{}' }} }}
",
        web.address(),
        writes.address(),
        silent.address()
    ));
    let send = |method: &str, body: &str| {
        let head =
            format!("{method} /app/x HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len());
        Client::connect(scene.gate.address("http").expect("a listener")).exchange(head + body)
    };
    send("POST", "abc").expect(200, "web");
    let own = web.address().to_string();
    let request = web.request();
    assert_eq!((request.target(), request.head.get("Host")), ("/x", Some(own.as_str())));
    assert_eq!(send("POST", "abcd").status(), 413);
    send("DELETE", "abcd").expect(200, "writes");
    assert_eq!(writes.request().target(), "/app/x");
    assert_eq!(scene.get("silent.test", "/").status(), 504);
}

/// A client sends a name in punycode. A Host in Unicode is refused, whatever the labels say.
#[test]
fn a_host_in_unicode_takes_requests_in_punycode() {
    let upstream = Upstream::says("served");
    let scene = Scene::start(&format!(
        "services: {{ web: {{ labels: {{ smolgate.host: münchen.test, smolgate.target: '{}', smolgate.redirect_from: straße.test }} }} }}\n",
        upstream.address()
    ));
    scene.get("xn--mnchen-3ya.test", "/").expect(200, "served");
    assert_eq!(upstream.request().head.get("Host"), Some("xn--mnchen-3ya.test"));
    assert_eq!(scene.get("xn--strae-oqa.test", "/x").get("Location"), Some("http://xn--mnchen-3ya.test/x"));
    assert_eq!(scene.get("münchen.test", "/").status(), 400);
}

/// A service on the network of another one, or of a container, is reached under the name of that one.
#[test]
fn the_network_of_another_service_or_container_is_followed() {
    let upstream = Upstream::says("served");
    let port = upstream.address().port();
    let service = |name: &str, mode: &str| {
        let labels = format!("smolgate.host: {name}.test, smolgate.port: {port}");
        format!("  {name}: {{ image: x, network_mode: '{mode}', labels: {{ {labels} }} }}\n")
    };
    let scene = Scene::start(
        &[
            "services:\n  localhost: { image: vpn, container_name: tunnel }\n".to_owned(),
            service("a", "service:localhost"),
            service("b", "container:tunnel"),
            service("c", "service:b"),
            service("d", "container:localhost"),
        ]
        .concat(),
    );
    for host in ["a.test", "b.test", "c.test", "d.test"] {
        scene.get(host, "/").expect(200, "served");
    }
    assert_eq!(upstream.requests().len(), 4);
}

/// A service that has only HTTPS is reached with `scheme: https`. Its certificate counts if `ca` vouches for it,
/// and not otherwise. A file of authorities that is not there takes its own service away and no other.
#[test]
fn a_service_with_https_of_its_own_is_reached_and_its_certificate_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let server = authority.issue(dir.path(), "leaf", &["nas.internal"]).server();
    let nas = Upstream::wrapped(
        move |socket| Some(Box::new(Tls::accept(socket, &server).ok()?)),
        |connection| {
            while connection.read_request().is_some() {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnas");
            }
        },
    );
    let port = nas.address().port();
    let ca = authority.file.display().to_string();
    let services = format!(
        "services:
  localhost:
    labels:
      smolgate.port: {port}
      smolgate.scheme: https
      smolgate.trusted.host: trusted.test
      smolgate.trusted.ca: {ca}
      smolgate.trusted.sni: nas.internal
      smolgate.any.host: any.test
      smolgate.any.insecure_skip_verify: true
      smolgate.wrong.host: wrong.test
      smolgate.wrong.ca: {ca}
      smolgate.gone.host: gone.test
      smolgate.gone.ca: ./gone.pem
"
    );
    let text = std::fs::read_to_string(&authority.file).unwrap();
    let scene = Scene::reading(inputs(&services).file(&ca, text));
    scene.get("trusted.test", "/").expect(200, "nas");
    scene.get("any.test", "/").expect(200, "nas");
    let received: Vec<String> = nas
        .requests()
        .iter()
        .map(|request| request.head.get("Host").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(received, ["trusted.test", "any.test"]);
    assert_eq!(scene.get("wrong.test", "/").status(), 502);
    let gone = scene.get("gone.test", "/");
    assert_eq!(gone.status(), 503);
    assert!(gone.text().contains("app/gone.pem cannot be read"), "{}", gone.text());
}

#[test]
fn a_bad_service_leaves_the_others_served() {
    let web = Upstream::says("web");
    let good = format!(
        "services:\n  web: {{ labels: {{ smolgate.host: web.test, smolgate.target: \"{}\" }} }}\n",
        web.address()
    );
    let bad = format!("{good}  bad: {{ labels: {{ smolgate.host: bad.test, smolgate.port: many }} }}\n");
    let scene = Scene::start(&bad);
    scene.get("web.test", "/").expect(200, "web");
    let answer = scene.get("bad.test", "/any");
    assert_eq!((answer.status(), answer.get("Retry-After")), (503, Some("30")));
    assert_eq!(answer.text(), "the service `bad` is not served: `many` is not a port\n");
    assert_eq!(scene.rejected(), "1");

    let said = scene.edit(&good).expect("a reload");
    assert!(said.contains("no service is rejected any more"), "{said}");
    assert_eq!(scene.get("bad.test", "/").status(), 404);
    assert_eq!(scene.rejected(), "0");

    let refused = scene.edit("services: [").expect_err("no YAML");
    assert!(refused.contains("app/compose.yaml:1:"), "{refused}");
    scene.get("web.test", "/").expect(200, "web");
}

/// A set of policies that is missing would let everything through. So such a service is not served, and the others are.
#[test]
fn a_service_with_a_name_that_is_missing_is_rejected_alone_until_the_name_is_there() {
    let [web, locked, copied, shadow] = ["web", "locked", "copied", "shadow"].map(Upstream::says);
    let services = format!(
        "services:
  web: {{ labels: {{ smolgate.host: web.test, smolgate.target: 'http://{web}' }} }}
  locked: {{ labels: {{ smolgate.host: locked.test, smolgate.target: 'http://{locked}', smolgate.policy: members }} }}
  copied: {{ labels: {{ smolgate.host: copied.test, smolgate.target: 'http://{copied}', smolgate.mirror: shadow }} }}
"
    );
    let native = |more: &str| {
        let native = format!("{NATIVE}{more}");
        MemoryInputs::new().file("smolgate.yml", native).file("app/compose.yaml", &*services)
    };
    let scene = Scene::reading(native(""));
    scene.get("web.test", "/").expect(200, "web");
    for (host, said) in [
        ("locked.test", "the service `locked` is not served: there is no set of policies named `members`\n"),
        ("copied.test", "the service `copied` is not served: there is no upstream `shadow`\n"),
    ] {
        scene.get(host, "/").expect(503, said);
    }
    assert_eq!(scene.rejected(), "2");
    assert_eq!([&locked, &copied, &shadow].map(Upstream::connections), [0; 3], "no request came through");

    let whole = format!(
        "policies: {{ members: {{ rate_limit: 1/1h }} }}
upstreams: {{ shadow: {{ targets: 'http://{shadow}' }} }}
"
    );
    *scene.inputs.lock().unwrap() = native(&whole);
    scene.gate.reload(false).expect("a reload");
    scene.get("locked.test", "/").expect(200, "locked");
    scene.get("locked.test", "/").expect_own(429, "rate_limited");
    scene.get("copied.test", "/copy").expect(200, "copied");
    shadow.wait_requests(1);
    assert_eq!(shadow.request().target(), "/copy");
    assert_eq!([&locked, &web, &copied].map(|target| target.requests().len()), [1; 3]);
    assert_eq!(scene.rejected(), "0");
}

#[test]
fn without_any_route_the_gate_waits_for_the_edit() {
    let web = Upstream::says("web");
    let scene = Scene::start("services: { web: { image: web } }\n");
    assert_eq!(scene.get("web.test", "/").status(), 404);
    let text = format!(
        "services: {{ web: {{ labels: {{ smolgate.host: web.test, smolgate.target: \"{}\" }} }} }}\n",
        web.address()
    );
    scene.edit(&text).expect("a reload");
    scene.get("web.test", "/").expect(200, "web");
}

/// Requests of one client to services with weights, and to the backup of services that do not work.
#[test]
fn services_share_a_route_by_their_weights() {
    let (old, new, sorry) = (Upstream::says("old"), Upstream::says("new"), Upstream::says("sorry"));
    let refusing = Refusing::new();
    let scene = Scene::start(&format!(
        "services:
  old: {{ labels: {{ smolgate.host: app.test, smolgate.target: 'http://{old}', smolgate.weight: 3 }} }}
  new: {{ labels: {{ smolgate.host: app.test, smolgate.target: 'http://{new}', smolgate.weight: 1 }} }}
  dead: {{ labels: {{ smolgate.host: dead.test, smolgate.target: 'http://{refusing}', smolgate.weight: 1 }} }}
  sorry: {{ labels: {{ smolgate.host: dead.test, smolgate.target: 'http://{sorry}', smolgate.backup: true }} }}
"
    ));
    for _ in 0..20 {
        assert_eq!(scene.get("app.test", "/").status(), 200);
        scene.get("dead.test", "/").expect(200, "sorry");
    }
    assert_eq!((old.requests().len(), new.requests().len()), (15, 5));
}

/// A service with a limit gets one request at a time, and another one waits for its place, or does not.
#[test]
fn labels_limit_the_requests_at_a_replica() {
    let (started, release) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let barriers = (started.clone(), release.clone());
    let web = Upstream::each(move |connection, request| {
        if request.target() == "/slow" {
            barriers.0.wait();
            barriers.1.wait();
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let scene = Scene::start(&format!(
        "services:
  web:
    labels:
      smolgate.host: app.test
      smolgate.target: 'http://{web}'
      smolgate.upstream.max_requests: 1
"
    ));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| scene.get("app.test", "/slow").status());
        started.wait();
        let busy = scene.get("app.test", "/");
        assert_eq!((busy.status(), busy.head.get("Retry-After").is_some()), (503, true));
        release.wait();
        assert_eq!(slow.join().unwrap(), 200);
    });
    assert_eq!(scene.get("app.test", "/").status(), 200);
}
