//! `explain`: what it prints, and when it fails.

mod support;

use support::place::{Ended, Place};
use support::tls::Authority;

const CONFIG: &str = r#"http_config: { port: ":8021" }
http_routes:
  - host: "*.example.com"
    target: "http://localhost:8085"
  - host: "admin.localhost"
    path_prefix: "/users"
    target: "http://localhost:8083"
    strip_path_prefix: true
  - host: "admin.localhost"
    methods: [GET, HEAD]
    target: "http://localhost:8084/base"
  - host: "old.localhost"
    redirect: { to: "https://new.localhost", status: 301 }
tcp: { port: ":8020", target: "localhost:8080" }
"#;

const NO_CERTIFICATE: &str = "  no certificate has this name: the handshake ends with an alert\n";

#[test]
fn explain_shows_the_rule_that_wins_and_why_the_others_do_not() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    assert_eq!(
        explain("http://admin.localhost:8021/users/7"),
        "\
GET http://admin.localhost:8021/users/7 on listener http (:8021)
  1  gate.yml:3  *.example.com /         no: host is admin.localhost, the rule wants *.example.com
  2  gate.yml:5  admin.localhost /users  wins -> http://localhost:8083 (prefix taken off: upstream sees /7)
"
    );
    let refused = place.run("explain -c gate.yml -X POST http://admin.localhost:8021/usersx?q=1");
    assert_eq!(
        (refused.code, refused.err.as_str()),
        (1, "error: nothing takes POST http://admin.localhost:8021/usersx?q=1\n")
    );
    assert_eq!(
        refused.out,
        "\
POST http://admin.localhost:8021/usersx?q=1 on listener http (:8021)
  1  gate.yml:3   *.example.com /             no: host is admin.localhost, the rule wants *.example.com
  2  gate.yml:5   admin.localhost /users      no: path /usersx only begins like /users, which needs a whole segment
  3  gate.yml:9   GET,HEAD admin.localhost /  no: method is POST, the rule wants GET or HEAD
  4  gate.yml:12  old.localhost /             no: host is admin.localhost, the rule wants old.localhost
  no rule takes it: the answer is 404 (no_rule)
"
    );
    let based = explain("http://admin.localhost:8021/x?q=1");
    let wins = "wins -> http://localhost:8084/base (base path put in front: upstream sees /base/x?q=1)\n";
    assert!(based.ends_with(wins), "{based}");
    let moved = explain("http://old.localhost:8021/a?b=c");
    assert!(moved.ends_with("wins -> 301 to https://new.localhost/a?b=c\n"), "{moved}");
}

#[test]
fn explain_says_which_condition_does_not_hold() {
    let config = r#"http_config: { port: ":8021" }
http_routes:
  - { from: 10.0.0.0/8, not_from: 10.9.0.0/16, redirect: / }
  - { path: ["/a/*", "**.php"], redirect: / }
  - { header: { X-A: [b, "c*"] }, redirect: / }
  - { cookie: { a: "*" }, redirect: / }
  - { query: { q: "1" }, redirect: / }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}"));
    let refused = explain("http://h:8021/b?q=2");
    assert_eq!(
        (refused.code, refused.out.as_str()),
        (
            1,
            "\
GET http://h:8021/b?q=2 on listener http (:8021)
  note: the client is 127.0.0.1; --from names another
  1  gate.yml:3  * / from 10.0.0.0/8, not from 10.9.0.0/16  no: the client is 127.0.0.1, the rule wants one from 10.0.0.0/8
  2  gate.yml:4  * /a/*,/**.php                             no: path is /b, the rule wants /a/* or /**.php as the whole path
  3  gate.yml:5  * / header X-A: b or c*                    no: header X-A is missing, the rule wants b or c*
  4  gate.yml:6  * / cookie a: *                            no: cookie a is missing, the rule wants it with any value
  5  gate.yml:7  * / query q: 1                             no: query parameter q has not the value, the rule wants 1
  no rule takes it: the answer is 404 (no_rule)
"
        )
    );
    for (line, rule) in [
        ("--from 10.0.0.1 http://h:8021/b", "*"),
        ("http://h:8021/x/y.php", "*/a/*+1"),
        ("-H X-A:cd http://h:8021/b", "*#2"),
        ("-H Cookie:a= http://h:8021/b", "*#3"),
        ("http://h:8021/b?q=1", "*#4"),
    ] {
        explain(&format!("--expect {rule} {line}")).fine();
    }
    assert_eq!(explain("--from 10.9.0.1 -H X-A:b --expect *#2 http://h:8021/b").code, 0);
    let routes = place.run("routes -c gate.yml").fine();
    assert!(routes.contains("CONDITIONS") && routes.contains("header X-A: b or c*"), "{routes}");
}

#[test]
fn explain_finds_the_listener() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let only = place.run("explain -c gate.yml http://www.example.com/").fine();
    assert!(only.contains("note: no listener has port 80; this is the only one for HTTP\n"), "{only}");
    assert!(only.contains("  1  "), "{only}");
    let tcp = place.run("explain -c gate.yml http://localhost:8020/").fine();
    assert!(tcp.contains("on listener tcp (:8020)\n"), "{tcp}");
    assert!(tcp.contains("every byte -> localhost:8080; no rule is looked at"), "{tcp}");
    let named = place.run("explain -c gate.yml --listener http http://www.example.com/").fine();
    assert!(!named.contains("note:"), "{named}");
    let err = place.run("explain -c gate.yml --listener nobody http://www.example.com/").failed(2);
    assert!(err.contains("no listener is named `nobody`; there are http (:8021), tcp (:8020)"), "{err}");
}

#[test]
fn explain_knows_rules_that_decide_by_name_under_tls() {
    let config = r#"listeners:
  - name: https
    bind: 443
    tls: { certificates: ./certs }
    rules:
      - { host: "www.example.com", pass: "web:443" }
      - { host: "*.example.com", path_prefix: /api, drop: true }
      - { host: mail.example.com, pass: "mail:443" }
      - { host: evil.example.org, drop: true }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let authority = Authority::new(place.path(), "ca.pem");
    authority.issue(&place.path().join("certs"), "mail", &["mail.example.com", "evil.example.org"]);
    // The rule that comes too late has a warning as well.
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).out;
    assert_eq!(
        explain("https://evil.example.org/x"),
        "\
GET https://evil.example.org/x on listener https (:443)
  the name asked for decides, before a byte is answered:
  1  gate.yml:6  www.example.com   no: host is evil.example.org, the rule wants www.example.com
  2  gate.yml:7  *.example.com     no: host is evil.example.org, the rule wants *.example.com
  3  gate.yml:8  mail.example.com  no: host is evil.example.org, the rule wants mail.example.com
  4  gate.yml:9  evil.example.org  wins -> dropped: the connection is closed without an answer
"
    );
    assert_eq!(
        explain("https://mail.example.com/"),
        "\
GET https://mail.example.com/ on listener https (:443)
  the name asked for decides, before a byte is answered:
  1  gate.yml:6  www.example.com  no: host is mail.example.com, the rule wants www.example.com
  2  gate.yml:7  *.example.com    takes the name, and what it does needs a request
  so TLS is terminated here, and the rules are asked again for the request:
  the certificate is that of a file, for mail.example.com, until 4096-01-01T00:00:00.000Z
  1  gate.yml:6  www.example.com /   no: host is mail.example.com, the rule wants www.example.com
  2  gate.yml:7  *.example.com /api  no: path is /, the rule wants /api or below
  3  gate.yml:8  mail.example.com /  wins -> the answer is 421 (misdirected)
"
    );
    let passed = explain("https://WWW.example.com:443/x");
    assert!(
        passed.ends_with("  1  gate.yml:6  www.example.com  wins -> passed on as it is to web:443\n"),
        "{passed}"
    );
    let address = explain("https://192.0.2.1/");
    assert!(address.contains("; no client asks for an address by name:\n"), "{address}");
    assert!(address.ends_with(NO_CERTIFICATE), "{address}");
    let no_certificate = explain("https://shop.example.com/");
    assert!(
        no_certificate.contains("takes the name, and what it does needs a request\n"),
        "{no_certificate}"
    );
    assert!(no_certificate.ends_with(NO_CERTIFICATE), "{no_certificate}");
    let code = |line: &str| place.run(&format!("explain -c gate.yml {line}")).code;
    assert_eq!([code("https://www.example.com/"), code("https://evil.example.org/")], [0, 0]);
    assert_eq!([code("https://shop.example.com/"), code("https://mail.example.com/")], [1, 1]);
}

#[test]
fn explain_says_what_a_target_gets_before_the_connection() {
    let config = r#"listeners:
  - name: http
    bind: 80
    rules:
      - { host: mail.test, pass: "mail:80", send_proxy_protocol: v2 }
  - { name: raw, bind: 81, protocol: tcp, target: "db:5432", send_proxy_protocol: v1 }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |url: &str| place.run(&format!("explain -c gate.yml {url}")).fine();
    let passed = explain("http://mail.test/");
    assert!(passed.ends_with("passed on as it is to mail:80, behind a PROXY header (v2)\n"), "{passed}");
    let raw = explain("http://mail.test:81/");
    assert!(raw.contains("every byte -> db:5432, behind a PROXY header (v1); no rule"), "{raw}");
}

#[test]
fn explain_takes_the_host_of_a_field_and_the_listener_of_a_scheme() {
    let config = r#"listeners:
  - { name: http, bind: 8080, rules: [{ host: a.test, respond: { status: 204 } }] }
  - { name: other, bind: 8443, tls: { certificates: certs }, rules: [{ host: a.test, respond: { status: 204 } }] }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let told = place.run("explain -c gate.yml -H host:A.test http://localhost:8080/").fine();
    assert!(told.contains("wins -> respond 204"), "{told}");
    let told = place.run("explain -c gate.yml -H Host:b.test http://a.test:8080/");
    assert!(told.code == 1 && told.out.contains("host is b.test, the rule wants a.test"), "{told:?}");
    let told = place.run("explain -c gate.yml http://a.test/").fine();
    assert!(told.contains("no listener has port 80; this is the only one for http\n"), "{told}");
    let told = place.run("explain -c gate.yml a.test/").failed(2);
    assert!(told.contains("no listener has port 80; there are http (:8080), other (:8443)"), "{told}");
}

#[test]
fn explain_knows_redirects_to_https() {
    let config = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: { status: 301, port: 8443 }
    rules:
      - { path_prefix: /.well-known/acme-challenge, target: "http://acme:8402" }
      - { path_prefix: /healthz, in_the_clear: true, redirect: /fine }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    let said = |status: u16| {
        format!("  redirect_to_https comes before the rules: {status} to https://a.test:8443/x?y\n")
    };
    assert!(explain("http://A.test./x?y").ends_with(&said(301)));
    assert!(explain("-X POST http://a.test/x?y").ends_with(&said(308)));
    let challenge = explain("http://a.test/.well-known/acme-challenge/x");
    assert!(challenge.contains("wins -> http://acme:8402"), "{challenge}");
    let stays = explain("http://a.test/healthz");
    assert!(stays.ends_with("wins -> 308 to /fine\n"), "{stays}");
    let routes = place.run("routes -c gate.yml").fine();
    assert!(routes.contains("  redirect 308 -> /fine, stays on plain HTTP  "), "{routes}");
}

#[test]
fn explain_knows_paths_that_may_be_read_as_guarded() {
    let config = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: true
    rules:
      - { path_prefix: /admin/public, in_the_clear: true, target: "http://web:3001" }
      - { path_prefix: /admin, in_the_clear: true, respond: { status: 403 } }
      - { in_the_clear: true, target: "http://web:3000" }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    let said =
        "wins -> the answer is 400 (path_ambiguous): some servers read this path as one that rule 2 guards\n";
    for path in ["//admin%2Fusers", "//admin//public", "/x/%252e%252e/admin", "//x/admin"] {
        let guarded = place.run(&format!("explain -c gate.yml http://a.test{path}"));
        assert!(guarded.code == 1 && guarded.out.ends_with(said), "{path}: {guarded:?}");
    }
    for (path, port) in [("//users", 3000), ("/admin/public//b", 3001), ("//admin/public", 3000)] {
        let other = explain(&format!("http://a.test{path}"));
        assert!(other.ends_with(&format!("wins -> http://web:{port}\n")), "{path}: {other}");
    }
}

#[test]
fn explain_refuses_requests_that_the_gate_would_refuse() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let Ended { code, out, .. } = place.run("explain -c gate.yml http://www.example.com:8021/a/%2e%2E/b");
    assert_eq!(code, 1);
    assert!(out.contains("no rule is looked at: the answer is 400 (request_target): "), "{out}");
    let err = place.run("explain -c gate.yml ftp://x/").failed(2);
    assert!(err.contains("cannot read the URL"), "{err}");
}

#[test]
fn explain_says_that_no_certificate_has_the_name() {
    let config = r#"listeners:
  - { name: web, bind: 443, tls: { certificates: ./certs }, rules: [{ target: "http://web:3000" }] }
  - { name: bytes, bind: 993, tls: { certificates: ./certs }, protocol: tcp, target: "mail:143" }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    Authority::new(place.path(), "ca.pem").issue(&place.path().join("certs"), "a", &["a.test", "*.b.test"]);
    let explain = |url: &str| {
        let Ended { code, out, .. } = place.run(&format!("explain -c gate.yml {url}"));
        (code, out.split_once('\n').expect("two lines").1.to_owned())
    };
    for name in ["a.test", "A.test.", "x.b.test"] {
        for (port, told) in [(443, "wins -> http://web:3000"), (993, "every byte -> mail:143")] {
            let (code, out) = explain(&format!("https://{name}:{port}/"));
            assert!(code == 0 && out.contains(told), "{name}: {out}");
        }
    }
    for name in ["b.test", "x.y.b.test", "other.test", "192.0.2.1", "[::1]"] {
        for port in [443, 993] {
            let expected = (1, NO_CERTIFICATE.to_owned());
            assert_eq!(explain(&format!("https://{name}:{port}/")), expected, "{name}");
        }
    }
    let (code, out) = explain("http://a.test:443/");
    assert_eq!(
        (code, out.as_str()),
        (1, "  TLS is spoken here, and the URL says http: the answer is 400, before any rule\n")
    );
    assert_eq!(explain("a.test:443/").0, 0);
}

#[test]
fn explain_fails_if_another_rule_than_the_expected_one_takes_the_request() {
    let config = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: true
    rules: [{ name: health, path_prefix: /healthz, in_the_clear: true, target: "http://web:80" }]
  - { name: plain, bind: 81, rules: [{ name: api, path_prefix: /api, target: "http://api:80" }] }
  - { name: bytes, protocol: tcp, bind: 993, target: "mail:143" }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| {
        let Ended { code, err, .. } = place.run(&format!("explain -c gate.yml --expect {line}"));
        (code, err)
    };
    for line in [
        "health http://a/healthz",
        "redirect_to_https http://a/x",
        "api http://a:81/api/x",
        "bytes http://a:993/",
    ] {
        assert_eq!(explain(line), (0, String::new()), "{line}");
    }
    for (line, told) in [
        ("api http://a/healthz", "expected `api` to take GET http://a/healthz, but `health` takes it"),
        ("health http://a/x", "expected `health` to take GET http://a/x, but `redirect_to_https` takes it"),
        ("api http://a:81/x", "expected `api` to take GET http://a:81/x, but nothing takes it"),
    ] {
        assert_eq!(explain(line), (1, format!("error: {told}\n")), "{line}");
    }
}

#[test]
fn explain_knows_that_a_listener_has_no_tls() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    for url in ["https://admin.localhost:8021/users", "wss://admin.localhost:8021/users"] {
        let Ended { code, out, err } = place.run(&format!("explain -c gate.yml {url}"));
        assert_eq!(code, 1, "{out}");
        assert!(out.contains("no TLS is spoken here, and the URL says https"), "{out}");
        assert!(err.contains("nothing takes GET"), "{err}");
    }
    // Something in front may terminate TLS on another port, and the reader may name the listener.
    for line in ["https://admin.localhost/users", "--listener http https://admin.localhost:8021/users"] {
        let out = place.run(&format!("explain -c gate.yml {line}")).fine();
        assert!(out.contains("wins -> http://localhost:8083"), "{out}");
    }
    let out = place.run("explain -c gate.yml ws://admin.localhost:8021/users").fine();
    assert!(out.contains("wins -> http://localhost:8083"), "{out}");
}

#[test]
fn explain_says_that_methods_are_case_sensitive() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let Ended { out, .. } = place.run("explain -c gate.yml -X get http://admin.localhost:8021/");
    assert!(out.contains("note: methods are case-sensitive, so get is not GET\n"), "{out}");
    let Ended { out, .. } = place.run("explain -c gate.yml -X purge http://admin.localhost:8021/");
    assert!(!out.contains("case-sensitive"), "{out}");
}

#[test]
fn a_field_without_a_colon_is_wrong_usage() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let err = place.run("explain -c gate.yml -H Host=foo http://admin.localhost:8021/").failed(2);
    assert!(err.contains("write `-H 'Name: value'`"), "{err}");
}

#[test]
fn explain_leaves_warnings_to_check() {
    let place =
        Place::with(&[("gate.yml", CONFIG), ("warned.yml", "upstreams: { unused: { targets: \"a:1\" } }\n")]);
    let files = "-c gate.yml -c warned.yml";
    assert!(place.run(&format!("check {files}")).err.contains("nothing uses the upstream"));
    place.run(&format!("explain {files} http://admin.localhost:8021/users")).fine();
}

#[test]
fn explain_says_where_a_file_is_looked_up() {
    let config = r#"http_config: { port: ":8021" }
http_routes:
  - { path_prefix: /@private, drop: true }
  - { path_prefix: /docs, strip_path_prefix: true, files: ./manual }
  - files: { root: /srv/app, fallback: /index.html }
"#;
    let place = Place::with(&[("gate.yml", config), ("manual/a", "")]);
    let explain = |url: &str| place.run(&format!("explain -c gate.yml http://h:8021{url}"));
    for (url, says) in [
        ("/docs/a", "manual: /a\n"),
        ("/docs", "manual: /\n"),
        ("/x/y", "files in /srv/app: /x/y; a page without a file gets /index.html\n"),
        ("/%40private/x", "path_ambiguous"),
    ] {
        let told = explain(url);
        assert!(told.out.contains(says), "{url}: {}", told.out);
    }
    let routes = place.run("routes -c gate.yml");
    assert!(
        routes.out.contains("manual, prefix off") && routes.out.contains("files -> /srv/app"),
        "{}",
        routes.out
    );
    let checked = place.run("check -c gate.yml");
    assert!(checked.err.contains("warning: there is no folder /srv/app"), "{}", checked.err);
    assert!(!checked.err.contains("manual"), "{}", checked.err);
}

#[cfg(feature = "acme")]
#[test]
fn explain_names_the_certificate_that_is_ordered() {
    let config = r#"
acme: { accept_terms: true, dns: { provider: exec, command: ./hook } }
store: ./store
listeners:
  - name: https
    bind: 8443
    tls: { acme: true }
    rules:
      - { host: ["*.example.com", example.org], respond: {} }
      - { name: clear, host: none.example.net, acme: false, respond: {} }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    for (host, name) in [
        ("a.example.com", "*.example.com"),
        ("b.example.com", "*.example.com"),
        ("example.org", "example.org"),
    ] {
        let told = place.run(&format!("explain -c gate.yml https://{host}:8443/")).fine();
        let expected = format!("the certificate is ordered, as that of {name}: not ordered yet\n");
        assert!(told.contains(&expected), "{told}");
    }
    let refused = place.run("explain -c gate.yml https://x.a.example.com:8443/");
    assert_eq!((refused.code, refused.out.contains(NO_CERTIFICATE)), (1, true));
    let unwanted = place.run("explain -c gate.yml https://none.example.net:8443/");
    let expected = "none is ordered: the rule clear has `acme: false`";
    assert!(unwanted.code == 1 && unwanted.out.contains(expected), "{}", unwanted.out);
    // A record, as a gate leaves it.
    let attempts = place.path().join("store/acme-v02.api.letsencrypt.org/attempts");
    std::fs::create_dir_all(&attempts).unwrap();
    let record = r#"{ "not_before": 1900000000, "reason": "dns: no address" }"#;
    std::fs::write(attempts.join("example.org.json"), record).unwrap();
    let told = place.run("explain -c gate.yml https://example.org:8443/").fine();
    let expected = "example.org: not there yet; the next attempt is not before 20";
    assert!(told.contains(expected) && told.contains("Z: dns: no address\n"), "{told}");
    let checked = place.run("check -c gate.yml");
    assert!(checked.out.contains(&format!("certificate of {expected}")), "{}", checked.out);
    assert!(checked.out.contains("certificate of *.example.com: not ordered yet"), "{}", checked.out);
}
