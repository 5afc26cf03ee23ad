//! `adapt --from`: labels for other proxies become labels of the gate. The result is loaded as a compose file, alone and
//! merged into the file that it comes from.

#![cfg(feature = "compose")]

mod support;

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;
use smolgate::config::{Files, MemoryInputs, adapt_foreign, load};
use support::place::{Ended, Place};

/// The output for a compose file.
fn adapted(program: &str, text: &str) -> String {
    let place = Place::with(&[("compose.yaml", text)]);
    place.run(&format!("adapt --from {program} compose.yaml")).fine()
}

/// The labels of a service in an output, without their prefix.
fn labels(out: &str, service: &str) -> Vec<String> {
    let read: Value = serde_saphyr::from_str(out).unwrap_or_else(|error| panic!("{error}: {out}"));
    let labels = read["services"][service]["labels"].as_object().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut all: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{} {}", name.strip_prefix("smolgate.").expect("ours"), text(value)))
        .collect();
    all.sort();
    all
}

/// The rules that `routes` prints: host, path, methods and action.
fn rules(place: &Place, files: &str) -> Vec<String> {
    // A service whose certificate is not checked is a warning.
    let Ended { code, out, err } = place.run(&format!("routes --compose {files}"));
    assert_eq!(code, 0, "{err}");
    let rules = out.lines().skip(1).take_while(|line| !line.is_empty());
    let columns = |line: &str| {
        let columns: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        columns[2..columns.len() - 1].join(" ")
    };
    let mut rules: Vec<String> = rules.map(columns).collect();
    rules.sort();
    rules
}

/// Checks that the output for a file gives these rules: alone, and merged into that file.
#[track_caller]
fn gives(program: &str, text: &str, expected: &[&str]) -> String {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let place = Place::with(&[("compose.yaml", text)]);
    let out = place.run(&format!("adapt --from {program} compose.yaml")).fine();
    fs::write(place.path().join("labels.yaml"), &out).unwrap();
    assert_eq!(rules(&place, "labels.yaml"), expected, "{out}");
    assert_eq!(rules(&place, "compose.yaml:labels.yaml"), expected, "{out}");
    out
}

/// Checks that no line of the output is a label, and that a comment has each of these texts.
#[track_caller]
fn gives_comments(program: &str, text: &str, comments: &[&str]) {
    let out = adapted(program, text);
    let read: Value = serde_saphyr::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert_eq!(read, serde_json::json!({ "services": {} }), "{out}");
    for comment in comments {
        assert!(out.lines().any(|line| line.contains(comment)), "{comment}: {out}");
    }
}

#[test]
fn labels_for_traefik_become_routes() {
    let out = gives(
        "traefik",
        "services:
  web:
    labels:
      - traefik.enable=true
      - traefik.docker.network=edge
      - traefik.http.routers.web.rule=Host(`app.test`) || Host(`www.app.test`, `b.test`)
      - traefik.http.routers.web.entrypoints=websecure
      - traefik.http.routers.web.priority=1
      - traefik.http.routers.web.tls.certresolver=le
      - traefik.http.routers.clear.rule=Host(`app.test`)
      - traefik.http.routers.clear.entrypoints=web
      - traefik.http.routers.clear.middlewares=to-https
      - traefik.http.middlewares.to-https.redirectscheme.scheme=https
      - traefik.http.services.web.loadbalancer.server.port=8080
  api:
    expose: [3000]
    labels:
      traefik.http.Routers.api.Rule: Host(`app.test`) && (PathPrefix(`/api`) || PathPrefix(`/v2`)) && Method(`GET`, `POST`)
      traefik.http.routers.up.rule: Host(`app.test`) && PathPrefix(`/up`)
      traefik.http.routers.up.middlewares: all@docker
      traefik.http.middlewares.all.chain.middlewares: up-strip, gz
      traefik.http.middlewares.up-strip.stripprefix.prefixes: /up
      traefik.http.middlewares.gz.compress: true
  secure:
    labels:
      traefik.http.routers.secure.rule: Host(`s.test`)
      traefik.http.routers.secure.service: main
      traefik.http.services.main.loadbalancer.server.port: 8443
      traefik.http.services.main.loadbalancer.server.scheme: https
      traefik.http.services.main.loadbalancer.passhostheader: false
      traefik.http.services.other.loadbalancer.server.port: 9000
  hidden:
    labels: { traefik.enable: false, traefik.http.routers.hidden.rule: Host(`hidden.test`) }
",
        &[
            "app.test /api GET,POST proxy -> http://api:3000",
            "app.test /up * proxy -> http://api:3000, prefix off",
            "app.test /v2 GET,POST proxy -> http://api:3000",
            "app.test / * proxy -> http://web:8080",
            "b.test / * proxy -> http://web:8080",
            "s.test / * proxy -> https://secure:8443",
            "www.app.test / * proxy -> http://web:8080",
        ],
    );
    let secure = ["host s.test", "passhost false", "port 8443", "scheme https"];
    assert_eq!(labels(&out, "secure"), secure);
    for comment in [
        "# HTTPS: set SMOLGATE_HTTPS_ENABLED",
        "traefik.docker.network: edge -- the gate asks DNS",
        "traefik.http.routers.clear.rule: Host(`app.test`) -- with SMOLGATE_HTTPS_ENABLED, the gate redirects",
        "traefik.http.middlewares.gz.compress: true -- the gate does not compress",
        "`/api` and `/api/x`, not `/apix`",
        "traefik.enable: false",
    ] {
        assert!(out.contains(comment), "{comment}: {out}");
    }
}

#[test]
fn variables_stay_as_they_are_written() {
    let text = "services:
  web:
    labels:
      - traefik.http.routers.web.rule=Host(`git.${DOMAIN:-app.test}`)
      - traefik.http.services.web.loadbalancer.server.port=${PORT:-8080}
";
    let out = gives("traefik", text, &["git.app.test / * proxy -> http://web:8080"]);
    assert_eq!(labels(&out, "web"), ["host git.${DOMAIN:-app.test}", "port ${PORT:-8080}"]);
}

#[test]
fn a_rule_that_means_something_else_becomes_a_comment() {
    for (rule, why) in [
        ("HostRegexp(`.+`)", "`HostRegexp`"),
        ("HostRegexp(`{sub:[a-z]+}.app.test`)", "exactly one label"),
        ("Host(`app.test`) && Path(`/x`)", "`Path`"),
        ("Host(`app.test`) && !PathPrefix(`/x`)", "no `!`"),
        ("!(Host(`app.test`))", "no `!`"),
        ("Host(`app.test`) && PathPrefix(`/{id:[0-9]+}`)", "pattern"),
        ("Host(`app.test`) && Headers(`X-Beta`, `1`)", "header fields"),
        ("Host(`app.test`) && ClientIP(`10.0.0.0/8`)", "address of the client"),
        ("Host(`app.test`) && Query(`a=b`)", "query"),
        ("Host(`app.test`) && Host(`b.test`)", "twice"),
        ("Host(`app.test", "cannot be read"),
        ("Host(`app.test`) Host(`b.test`)", "cannot be read"),
        ("Host(`app.test`) || Other(`x`)", "not known"),
        ("Host(`a.test,b.test`)", "does not belong"),
        ("Host(`*`)", "not a host"),
        ("${RULE}", "cannot be read"),
    ] {
        let text = format!(
            "services:\n  web:\n    labels:\n      traefik.http.routers.web.rule: '{rule}'\n      \
             traefik.http.services.web.loadbalancer.server.port: 80\n"
        );
        gives_comments("traefik", &text, &[rule, why]);
    }
}

#[test]
fn a_route_that_would_lose_its_protection_is_a_comment() {
    for (middlewares, definition) in [
        ("auth", "basicauth.users: 'bob:$$apr1$$hash'"),
        ("auth", "forwardauth.address: http://auth"),
        ("auth", "ipallowlist.sourcerange: 10.0.0.0/8"),
        ("auth", "plugin.crowdsec.enabled: true"),
        ("auth", "replacepath.path: /x"),
        ("auth", "stripprefix.prefixes: /other,/"),
        ("secured@file", "compress: true"),
        ("unknown", "compress: true"),
        ("all", "basicauth.users: 'bob:$$apr1$$hash'"),
    ] {
        let text = format!(
            "services:\n  web:\n    labels:\n      traefik.http.routers.web.rule: Host(`app.test`)\n      \
             traefik.http.routers.web.middlewares: {middlewares}\n      \
             traefik.http.middlewares.all.chain.middlewares: all,auth\n      \
             traefik.http.middlewares.auth.{definition}\n      \
             traefik.http.services.web.loadbalancer.server.port: 80\n"
        );
        if !definition.starts_with("stripprefix") {
            gives_comments("traefik", &text, &["Not ready: ", "smolgate.host: \"app.test\""]);
        }
        assert!(!adapted("traefik", &text).contains("apr1"), "a secret is shown");
    }
}

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
        let expected = ["other.test / * proxy -> http://web"];
        gives("traefik", &format!("{web}\"{rule}\"\n"), &expected);
    }
    gives_comments("traefik", &format!("{web}HostRegexp(`.+`) && PathPrefix(`/admin`)\n"), &["Not ready: "]);
}

#[test]
fn routes_in_another_order_than_that_of_the_gate_are_comments() {
    let text = |rule: &str, priority: &str| {
        format!(
            "services:\n  web:\n    expose: [80]\n    labels:\n      traefik.http.routers.web.rule: Host(`app.test`)\n      \
             traefik.http.routers.web.priority: {priority}\n      traefik.http.routers.api.rule: '{rule}'\n"
        )
    };
    let api = "Host(`app.test`) && PathPrefix(`/api`)";
    let both = ["app.test /api * proxy -> http://web", "app.test / * proxy -> http://web"];
    gives("traefik", &text(api, "0"), &both);
    gives("traefik", &text(api, "1"), &both);
    gives_comments("traefik", &text(api, "100"), &["its order with the route `api` is another one"]);
    gives_comments(
        "traefik",
        &text("PathPrefix(`/api`)", "1"),
        &["its order with the route `web` is another one"],
    );
    // Without a priority, the longest rule comes first.
    let long = "Host(`other.test`) || Host(`one.test`) || Host(`app.test`) || Host(`last.test`)";
    let wide = text(api, "0").replace("web.rule: Host(`app.test`)", &format!("web.rule: '{long}'"));
    gives_comments("traefik", &wide, &["its order with the route `api` is another one"]);
    let other = ["app.test / * proxy -> http://web", "other.test /api * proxy -> http://web"];
    gives("traefik", &text("Host(`other.test`) && PathPrefix(`/api`)", "100"), &other);
}

#[test]
fn a_route_of_an_unusual_entry_point_is_a_comment() {
    let text = |points: &str| {
        format!(
            "services:\n  web:\n    expose: [80]\n    labels:\n      traefik.http.routers.web.rule: Host(`app.test`)\n      \
             traefik.http.routers.web.entrypoints: {points}\n"
        )
    };
    for points in ["internal", "web, metrics", "traefik"] {
        gives_comments("traefik", &text(points), &["may be one that fewer clients can reach"]);
    }
    for points in ["web", "websecure", "http, https"] {
        gives("traefik", &text(points), &["app.test / * proxy -> http://web"]);
    }
}

#[test]
fn a_router_of_another_service_leads_nowhere() {
    for service in ["other", "api@internal", "other@file"] {
        let text = format!(
            "services:\n  web:\n    expose: [80]\n    labels:\n      \
             traefik.http.routers.web.rule: Host(`app.test`)\n      traefik.http.routers.web.service: {service}\n"
        );
        gives_comments("traefik", &text, &["which is not this service"]);
    }
}

#[test]
fn labels_for_caddy_become_routes() {
    let out = gives(
        "caddy",
        "services:
  web:
    labels:
      caddy: https://app.test, b.test:443
      caddy.encode: gzip
      caddy.handle_path: /api/*
      caddy.handle_path.0_reverse_proxy: '{{upstreams 3000}}'
      caddy.reverse_proxy: '{{ upstreams 8080 }}'
      caddy_1: www.app.test
      caddy_1.redir: https://app.test{uri} permanent
      caddy_2: '*.x.test'
      caddy_2.reverse_proxy: '{{upstreams https 8443}}'
      caddy_2.reverse_proxy.transport: http
      caddy_2.reverse_proxy.transport.tls_insecure_skip_verify:
      caddy_2.reverse_proxy.header_up: Host {upstream_hostport}
      caddy_3: (snippet)
      caddy_3.header: X-A b
      caddy_4: nas.test
      caddy_4.reverse_proxy: 192.0.2.1:8123
      caddy_5: plain.test
      caddy_5.reverse_proxy_0: /ws/* {{upstreams 9000}}
      caddy_5.reverse_proxy_1: '{{upstreams}}'
  other:
    deploy: { labels: { caddy: o.test, caddy.route.0_reverse_proxy: '{{upstreams 80}}' } }
",
        &[
            "app.test /api * proxy -> http://web:3000, prefix off",
            "app.test / * proxy -> http://web:8080",
            "b.test /api * proxy -> http://web:3000, prefix off",
            "b.test / * proxy -> http://web:8080",
            "nas.test / * proxy -> http://192.0.2.1:8123",
            "o.test / * proxy -> http://other",
            "plain.test /ws * proxy -> http://web:9000",
            "plain.test / * proxy -> http://web",
            "*.x.test / * proxy -> https://web:8443",
        ],
    );
    for comment in [
        "caddy.encode: gzip -- the gate does not compress",
        "put `smolgate.redirect_from: www.app.test` beside the label of the host app.test",
        "a snippet has no counterpart",
    ] {
        assert!(out.contains(comment), "{comment}: {out}");
    }
}

#[test]
fn directives_of_caddy_without_a_counterpart_keep_the_group_back() {
    for directive in [
        "caddy.basic_auth.bob: $$2a$$14$$hash",
        "caddy.forward_auth: auth:9091",
        "caddy.import: secured",
        "caddy.respond: /private/* 403",
        "caddy.rewrite: '* /target{path}'",
        "caddy.handle: '@inside'",
        "caddy.handle: /private/*\n      caddy.handle.abort:",
        "caddy.0_reverse_proxy: '@ws {{upstreams 81}}'",
        "caddy.0_reverse_proxy: '/one {{upstreams 81}}'",
        "caddy.0_reverse_proxy: '{{upstreams 81}} {{upstreams 82}}'",
        "caddy.0_reverse_proxy: localhost:81",
        "caddy.0_reverse_proxy: '{{index .Names 0}}:81'",
    ] {
        let text = format!(
            "services:\n  web:\n    labels:\n      caddy: app.test\n      {directive}\n      \
             caddy.reverse_proxy: '{{{{upstreams 80}}}}'\n"
        );
        gives_comments("caddy", &text, &["Not ready: "]);
        assert!(!adapted("caddy", &text).contains("$$hash"), "a secret is shown");
    }
    for address in ["app.test:8443", "ftp://app.test", "app.test/path", "*", "a.*.test", "'~x'"] {
        let text = format!(
            "services:\n  web:\n    labels:\n      caddy: '{}'\n      caddy.reverse_proxy: '{{{{upstreams 80}}}}'\n",
            address.trim_matches('\'')
        );
        gives_comments("caddy", &text, &[address.trim_matches('\'')]);
    }
}

#[test]
fn variables_for_nginx_proxy_become_routes() {
    let out = gives(
        "nginx-proxy",
        "services:
  web:
    expose: [80]
    environment:
      - VIRTUAL_HOST=app.test,*.example.test,~^x\\.test,y.test.*
      - LETSENCRYPT_HOST=app.test
      - HTTPS_METHOD=noredirect
  one:
    environment: { VIRTUAL_HOST: app.test, VIRTUAL_PATH: /one/, VIRTUAL_DEST: /, VIRTUAL_PORT: 81 }
  two:
    environment: { VIRTUAL_HOST: app.test, VIRTUAL_PATH: /two, VIRTUAL_PORT: 8443, VIRTUAL_PROTO: https }
  many:
    environment:
      VIRTUAL_HOST: ignored.test
      VIRTUAL_HOST_MULTIPORTS: |-
        many.test:
          '/': { port: 8000 }
          '/a': { port: 8001, dest: '/' }
        json.test: { '/': { port: 8002, dest: '' } }
",
        &[
            "app.test /one * proxy -> http://one:81, prefix off",
            "app.test /two * proxy -> https://two:8443",
            "app.test / * proxy -> http://web",
            "json.test / * proxy -> http://many:8002",
            "many.test /a * proxy -> http://many:8001, prefix off",
            "many.test / * proxy -> http://many:8000",
            "*.example.test / * proxy -> http://web",
        ],
    );
    for comment in [
        "VIRTUAL_HOST: ~^x\\.test -- ",
        "VIRTUAL_HOST: y.test.* -- ",
        "exactly one label before the rest of `*.example.test`",
        "does not check the certificate",
        "HTTPS_METHOD: noredirect -- ",
    ] {
        assert!(out.contains(comment), "{comment}: {out}");
    }
}

#[test]
fn variables_with_another_meaning_become_comments() {
    for (variables, why) in [
        ("VIRTUAL_HOST: app.test", "its port is not in this file"),
        ("VIRTUAL_PORT: 80", "is not set"),
        ("VIRTUAL_HOST: '~^(a|b)\\.test$$', VIRTUAL_PORT: 80", "~^(a|b)"),
        ("VIRTUAL_HOST: app.test, VIRTUAL_PORT: 80, VIRTUAL_PATH: '~^/(a|b)/'", "pattern"),
        ("VIRTUAL_HOST: app.test, VIRTUAL_PORT: 80, VIRTUAL_PATH: /a/, VIRTUAL_DEST: /b/", "replaced by"),
        ("VIRTUAL_HOST: app.test, VIRTUAL_PORT: 80, VIRTUAL_PROTO: fastcgi", "fastcgi"),
        ("VIRTUAL_HOST: app.test, VIRTUAL_PORT: 80, NETWORK_ACCESS: internal", "strangers"),
        ("VIRTUAL_HOST: app.test, VIRTUAL_PORT: many", "not a port"),
        ("VIRTUAL_HOST_MULTIPORTS: 'a: [b'", "not a mapping"),
        ("VIRTUAL_HOST_MULTIPORTS: 'a.test: { /: { prot: 80 } }'", "not a mapping"),
        ("VIRTUAL_HOST_MULTIPORTS: '&a [*a]'", "not a mapping"),
    ] {
        let text = format!("services:\n  web:\n    environment: {{ {variables} }}\n");
        gives_comments("nginx-proxy", &text, &[why]);
    }
}

#[test]
fn routes_that_repeat_an_earlier_one_are_comments() {
    let text = "services:
  a: { environment: { VIRTUAL_HOST: app.test, VIRTUAL_PORT: 80 } }
  b: { environment: { VIRTUAL_HOST: App.test, VIRTUAL_PORT: 80 } }
";
    let out = gives("nginx-proxy", text, &["app.test / * proxy -> http://a"]);
    assert!(out.contains("an earlier route of `a` has app.test and this path"), "{out}");
}

#[test]
fn no_text_of_the_file_leaves_its_place() {
    let out = gives(
        "traefik",
        "services:
  \"on\":
    labels:
      \"traefik.http.routers.a b\\\"c.rule\": Host(`app.test`)
      \"traefik.http.routers.port.rule\": \"Host(`b.test`)\"
      \"traefik.http.routers.evil.rule\": \"Host(`x.test`)\\n      smolgate.evil.host: evil.test\\n\\u2028# &\"
      \"traefik.http.services.s.loadbalancer.server.port\": 80
",
        &["app.test / * proxy -> http://on", "b.test / * proxy -> http://on"],
    );
    assert_eq!(labels(&out, "on"), ["host app.test", "port 80", "port_.host b.test", "port_.port 80"]);
    assert!(!labels(&out, "on").iter().any(|label| label.contains("evil")), "{out}");
}

/// Parts of rules, put together in any order.
const TOKENS: [&str; 20] = [
    "Host(`a.test`)",
    "Host(`b.test`, `c.test`)",
    "PathPrefix(`/x`)",
    "PathPrefix(`/x/y/`)",
    "Method(`GET`)",
    "HostRegexp(`.+`)",
    "Path(`/z`)",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "`",
    "\"",
    "\\",
    ",",
    " # ",
    "\n      smolgate.host: evil.test",
    "Host",
    "é",
];

proptest! {
    #[test]
    fn any_rule_gives_labels_that_the_gate_takes(
        rules in vec(vec(select(&TOKENS[..]), 1..8).prop_map(|tokens| tokens.concat()), 1..4),
    ) {
        let mut text = "services:\n  web:\n    expose: [80]\n    labels:\n".to_owned();
        for (index, rule) in rules.iter().enumerate() {
            let rule = serde_json::to_string(rule).expect("a text");
            text.push_str(&format!("      traefik.http.routers.r{index}.rule: {rule}\n"));
        }
        let inputs = MemoryInputs::new().file("compose.yaml", text);
        let files = Files { config: vec!["compose.yaml".into()], ..Files::default() };
        let (out, _) = adapt_foreign("traefik", &files, &inputs).expect("a compose file");
        let out = out.expect("labels");
        prop_assert!(labels(&out, "web").iter().all(|label| !label.contains("evil")), "{}", out);
        let loaded = load(&["compose.yaml".into()], &MemoryInputs::new().file("compose.yaml", &*out));
        let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}{out}"));
        prop_assert_eq!(loaded.plan.rejected_services, 0, "{}", out);
    }
}

#[test]
fn files_without_such_labels_are_an_error() {
    let place = Place::with(&[
        ("compose.yaml", "services: { web: { image: nginx } }\n"),
        ("bad.yaml", "services: [\n"),
    ]);
    for program in ["traefik", "caddy", "nginx-proxy"] {
        let err = place.run(&format!("adapt --from {program} compose.yaml")).failed(1);
        assert!(err.contains(&format!("no service has labels or variables for {program}")), "{err}");
        place.run(&format!("adapt --from {program} bad.yaml")).failed(1);
    }
    place.run("adapt --from other compose.yaml").failed(2);
}

#[test]
fn a_file_of_adapt_needs_no_option() {
    let text = "services: { web: { labels: { smolgate.host: app.test, smolgate.port: 80 } } }\n";
    let place = Place::with(&[("compose.yaml", text)]);
    assert_eq!(place.run("adapt compose.yaml").fine(), place.run("adapt -c compose.yaml").fine());
}
