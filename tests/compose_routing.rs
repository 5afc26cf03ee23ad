//! A gate that gets its routes from labels, over real sockets.

mod support;

use std::sync::{Arc, Mutex};

use smolgate::config::{Files, Format, MemoryInputs, load_files};
use smolgate::gate::Gate;
use support::client::Client;
use support::message::Response;
use support::upstream::Upstream;

/// Port 0 is set in a native file, because a compose file has no key for it.
const NATIVE: &str =
    "workers: 1\ninternal_api: { bind: \"127.0.0.1:0\" }\nhttp_config: { port: \"127.0.0.1:0\" }\n";

struct Scene {
    gate: Gate,
    inputs: Arc<Mutex<MemoryInputs>>,
}

impl Scene {
    fn start(compose: &str) -> Scene {
        let inputs = Arc::new(Mutex::new(inputs(compose)));
        let files = Files {
            config: vec!["smolgate.yml".into()],
            named: vec![(Format::named("compose").unwrap(), "*/compose.yaml".into())],
            format: None,
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
    assert!(said.contains("0 services rejected"), "{said}");
    assert_eq!(scene.get("bad.test", "/").status(), 404);
    assert_eq!(scene.rejected(), "0");

    let refused = scene.edit("services: [").expect_err("no YAML");
    assert!(refused.contains("app/compose.yaml:1:"), "{refused}");
    scene.get("web.test", "/").expect(200, "web");
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
