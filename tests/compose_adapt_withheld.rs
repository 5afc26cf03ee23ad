//! `adapt --from`: routes that are comments, because the gate would take other requests than the other proxy, and what
//! a comment says.

#![cfg(feature = "compose")]

mod support;

use support::adapted::{adapted, gives, gives_comments, labels};

#[test]
fn a_wider_route_does_not_take_what_another_protected() {
    let web = "services:
  web:
    expose: [80]
    labels:
      traefik.http.routers.web.rule: Host(`app.test`)
      traefik.http.routers.free.rule: Host(`app.test`) && PathPrefix(`/free`)
      traefik.http.routers.other.rule: Host(`other.test`)
  admin:
    expose: [80]
    labels:
      traefik.http.middlewares.auth.basicauth.users: x
      traefik.http.routers.admin.middlewares: auth
      traefik.http.routers.admin.rule: ";
    for rule in
        ["Host(`app.test`) && PathPrefix(`/admin`)", "Host(`${NAME:-app.test}`) && PathPrefix(`/a/b`)"]
    {
        let expected = ["app.test /free * proxy -> http://web", "other.test / * proxy -> http://web"];
        gives("traefik", &format!("{web}{rule}\n"), &expected);
    }
    for rule in ["Host(`app.test`) && Path(`/metrics`)", "!Host(`b.test`) && Host(`app.test`)"] {
        // The rule of `free` is longer, so Traefik takes it first too.
        let expected = ["app.test /free * proxy -> http://web", "other.test / * proxy -> http://web"];
        gives("traefik", &format!("{web}\"{rule}\"\n"), &expected);
    }
    let anywhere = format!("{web}HostRegexp(`.+`) && PathPrefix(`/admin`)\n");
    gives("traefik", &anywhere, &["app.test /free * proxy -> http://web"]);
}

#[test]
fn a_wider_route_does_not_take_the_requests_of_a_rule_without_a_counterpart() {
    let text = |wide: &str, narrow: &str, first: u16, second: u16, between: &str| {
        format!(
            "services:
  vault:
    labels:
      traefik.http.routers.ui.rule: {wide}
      traefik.http.routers.ui.service: ui
      traefik.http.services.ui.loadbalancer.server.port: {first}
      traefik.http.routers.other.rule: Host(`other.test`)
      traefik.http.routers.other.service: ui
{between}      traefik.http.routers.hub.rule: {narrow}
      traefik.http.routers.hub.service: hub
      traefik.http.services.hub.loadbalancer.server.port: {second}
"
        )
    };
    let other_service = "  hub:\n    labels:\n";
    let (ui, hub) = ("Host(`v.test`)", "Host(`v.test`) && Path(`/notifications/hub`)");
    let inside = "Host(`v.test`) && ClientIP(`10.0.0.0/8`)";
    for (narrow, between) in [(hub, ""), (hub, other_service), (inside, ""), (inside, other_service)] {
        let out =
            gives("traefik", &text(ui, narrow, 80, 3012, between), &["other.test / * proxy -> http://vault"]);
        assert!(
            out.contains("# Not ready: it would take requests of the router `hub`, which is not"),
            "{out}"
        );
    }
    // Traefik asks a rule with a higher priority first, so it takes nothing away.
    let first = text(ui, inside, 80, 3012, "")
        .replace("ui.service", "ui.priority: 1000\n      traefik.http.routers.ui.service");
    let both = ["other.test / * proxy -> http://vault", "v.test / * proxy -> http://vault"];
    gives("traefik", &first, &both);
    // A redirect of everything in the clear is no route, however it is written.
    let redirect = "services:
  web:
    expose: [80]
    labels:
      traefik.http.routers.web.rule: Host(`a.test`)
      traefik.http.routers.all.rule: 'HostRegexp(`{host:.+}`)'
      traefik.http.routers.all.entrypoints: web
      traefik.http.routers.all.middlewares: secure
      traefik.http.middlewares.secure.redirectscheme.scheme: https
";
    gives("traefik", redirect, &["a.test / * proxy -> http://web"]);
    // With a priority, a narrower route without protection is not before a wider one with protection.
    let guarded = "services:
  web:
    expose: [80]
    labels:
      traefik.http.routers.api.rule: Host(`a.test`) && PathPrefix(`/api`)
      traefik.http.routers.api.priority: 1000
      traefik.http.routers.api.middlewares: auth
      traefik.http.middlewares.auth.basicauth.users: x
      traefik.http.routers.open.rule: Host(`a.test`) && PathPrefix(`/api/open`)
";
    gives_comments("traefik", guarded, &["it would take requests of the route `api`"]);
}

/// The output with one `# ` less in each of these lines.
fn uncommented(out: &str, is_chosen: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| if is_chosen(line) { line.replacen("# ", "", 1) } else { line.to_owned() };
    out.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn a_route_that_is_not_ready_stands_in_its_place_without_its_sign() {
    let guarded = |name: &str| {
        format!(
            "  {name}:
    expose: [80]
    labels:
      traefik.http.routers.{name}.rule: Host(`{name}.test`)
      traefik.http.routers.{name}.middlewares: auth
      traefik.http.middlewares.auth.basicauth.users: x
"
        )
    };
    let open = "      traefik.http.routers.open.rule: Host(`open.test`)\n";
    let out = adapted("traefik", &format!("services:\n{}{open}", guarded("a")));
    let ready = uncommented(&out, |line| line.contains("# smolgate."));
    let all = ["a.host a.test", "a.port 80", "host open.test", "port 80"];
    assert_eq!(labels(&ready, "a"), all, "{out}");
    // A service that is a comment as a whole.
    let out = adapted("traefik", &format!("services:\n{}", guarded("b")));
    let ready = uncommented(&out, |line| line.starts_with("  # ")).replace("services: {}", "services:");
    assert_eq!(labels(&ready, "b"), ["host b.test", "port 80"], "{out}");
}

#[test]
fn a_comment_says_what_replaces_a_middleware() {
    let out = adapted(
        "traefik",
        "services:
  web:
    expose: [80]
    labels:
      traefik.http.routers.web.rule: Host(`a.test`)
      traefik.http.routers.web.middlewares: size, fields
      traefik.http.middlewares.size.buffering.maxRequestBodyBytes: 1000
      traefik.http.routers.www.rule: Host(`www.a.test`)
      traefik.http.routers.www.middlewares: www
      traefik.http.middlewares.www.redirectregex.regex: ^https://www.(.*)
      traefik.http.routers.any.rule: 'HostRegexp(`.+\\.b\\.test`)'
      traefik.http.routers.any.priority: 1
  shared:
    labels:
      traefik.http.middlewares.fields.headers.stsSeconds: 1
",
    );
    assert_eq!(labels(&out, "web"), ["host a.test", "max_body 1000", "port 80"]);
    for comment in [
        "traefik.http.routers.web.middlewares: fields -- ",
        "the middleware `www`: `smolgate.redirect_from: www.example.com` on a route redirects",
        "a host has no regular expression",
    ] {
        assert!(out.contains(comment), "{comment}: {out}");
    }
    for untrue in ["maxRequestBodyBytes", "has a `", "traefik.enable"] {
        assert!(!out.contains(untrue), "{untrue}: {out}");
    }
}

#[test]
fn tls_that_traefik_passes_on_becomes_a_route_with_passthrough() {
    let text = |passes: &str, more: &str| {
        format!(
            "services:
  mail:
    labels:
      traefik.tcp.routers.mail.rule: HostSNI(`mail.test`)
      traefik.tcp.routers.mail.entrypoints: websecure
      traefik.tcp.routers.mail.tls.passthrough: {passes}
      traefik.tcp.services.mail.loadbalancer.server.port: 443
{more}"
        )
    };
    let out = adapted("traefik", &text("true", ""));
    assert_eq!(labels(&out, "mail"), ["host mail.test", "passthrough true", "port 443"]);
    gives_comments("traefik", &text("false", ""), &["HostSNI(`mail.test`) -- labels are for HTTP"]);
    gives_comments("traefik", &text("true", "").replace("`mail.test`", "`*`"), &["HostSNI(`*`) -- "]);
    let http = "      traefik.http.routers.web.rule: Host(`mail.test`)\n      traefik.http.services.web.loadbalancer.server.port: 80\n";
    let out = gives("traefik", &text("true", http), &["mail.test / * proxy -> http://mail"]);
    assert!(out.contains("a host is passed on whole, or not"), "{out}");
}
