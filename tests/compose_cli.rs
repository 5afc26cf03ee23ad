//! Compose files on the command line: the real program, its output and its exit codes.

#![cfg(feature = "compose")]

mod support;

use std::fs;

use support::place::{Ended, Place};
use support::program::Program;
use support::tls::Authority;

const WEB: &str = "services:
  web:
    image: nginx
    expose: [8080]
    labels:
      smolgate.host: web.example.com
      smolgate.redirect_from: example.com
";

const SHOP: &str = "services:
  shop: { labels: { liteproxy.host: shop.example.com, liteproxy.port: 80, liteproxy.path: /shop } }
";

const BAD: &str = "services:
  bad: { labels: { smolgate.host: bad.example.com, smolgate.port: many } }
  good: { labels: { smolgate.host: good.example.com, smolgate.port: 80 } }
";

#[test]
fn compose_files_are_named_in_every_way() {
    let place = Place::with(&[
        ("apps/web/compose.yaml", WEB),
        ("apps/shop/compose.yaml", SHOP),
        ("native.yml", "http_config: { port: 8021 }\n"),
    ]);
    let both = "are valid: 1 listener, 3 rules, 2 upstreams\n";
    for line in [
        "check --compose apps/web/compose.yaml --compose apps/shop/compose.yaml",
        "--compose apps/*/compose.yaml check",
        "check -c apps/web/compose.yaml -c apps/shop/compose.yaml",
        "check -c native.yml --compose apps/???*/*.yaml",
        "check --format compose -c apps/web -c apps/shop",
    ] {
        let Ended { code, out, err } = place.run(line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        assert!(out.ends_with(both), "{line}: {out}");
    }
    for name in ["SMOLGATE_COMPOSE_FILE", "LITEPROXY_COMPOSE_FILE"] {
        let Ended { code, out, err } = place.run_with("check", &[(name, "apps/*/compose.yaml")]);
        assert!(code == 0 && out.ends_with(both), "{out}{err}");
    }
}

#[test]
fn without_a_name_the_compose_file_of_the_folder_is_read() {
    let place = Place::with(&[
        ("compose.yaml", WEB),
        ("compose.override.yaml", "services: { web: { labels: { smolgate.host: local.test } } }"),
    ]);
    let Ended { code, out, err } = place.run_with("routes", &[("SMOLGATE_HTTP_PORT", "8080")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(
        out,
        "\
LISTENER      #  HOST         PATH  METHODS  ACTION                             WRITTEN AT
http (:8080)  1  example.com  /     *        redirect 301 -> http://local.test  compose.yaml:7
http (:8080)  2  local.test   /     *        proxy -> http://web:8080           compose.override.yaml:1

LISTENER      BEFORE ITS RULES
http (:8080)  limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
"
    );
}

/// The files that `docker compose` would take: those of `COMPOSE_FILE`, a list, or the file of the folder with its
/// override. A file that is named stands alone.
#[test]
fn one_project_has_the_files_that_docker_compose_would_take() {
    let base = "services: { web: { image: nginx, expose: [8080] } }\n";
    let host = |name: &str| format!("services: {{ web: {{ labels: {{ smolgate.host: {name}.test }} }} }}\n");
    let (prod, local) = (host("prod"), host("local"));
    let files = [
        ("compose.yaml", base),
        ("compose.prod.yaml", prod.as_str()),
        ("compose.override.yaml", local.as_str()),
    ];
    let place = Place::with(&files);
    let list = [("COMPOSE_FILE", "compose.yaml:compose.prod.yaml")];
    let other = [("COMPOSE_FILE", "compose.yaml;compose.prod.yaml"), ("COMPOSE_PATH_SEPARATOR", ";")];
    let named = [("SMOLGATE_COMPOSE_FILE", "compose.yaml:compose.prod.yaml")];
    for (line, environment, expected) in [
        ("routes", &[][..], "local.test"),
        ("routes --compose .", &[], "local.test"),
        ("routes", &list, "prod.test"),
        ("routes", &other, "prod.test"),
        ("routes --compose compose.yaml", &list, "prod.test"),
        ("routes", &named, "prod.test"),
        ("routes --compose compose.yaml:compose.prod.yaml", &[], "prod.test"),
        ("routes --compose compose.yaml --compose compose.prod.yaml", &[], "prod.test"),
        ("routes -c compose.yaml -c compose.prod.yaml", &[], "prod.test"),
    ] {
        let out = place.run_with(line, environment).fine();
        assert!(
            out.contains(expected) && out.contains("http://web:8080") && !out.contains(" 2 "),
            "{line}: {out}"
        );
    }
    let Ended { code, err, .. } = place.run("routes --compose compose.yaml");
    assert!(code == 0 && err.contains("compose.override.yaml is not read"), "{err}");
    assert!(err.contains("no service here has a label"), "{err}");

    let place = Place::with(&[
        ("base.yaml", base),
        ("more.yaml", &prod),
        (".env", "COMPOSE_FILE=base.yaml:more.yaml\n"),
    ]);
    for line in ["routes --compose .", "routes --compose base.yaml"] {
        assert!(place.run(line).fine().contains("prod.test"), "{line}");
    }
    let out = place.run_with("routes", &[("COMPOSE_FILE", "base.yaml:more.yaml")]).fine();
    assert!(out.contains("prod.test"), "{out}");
    let err = place.run_with("routes", &[("COMPOSE_FILE", "base.yaml:gone.yaml")]).failed(1);
    assert!(err.contains("gone.yaml cannot be read"), "{err}");
}

#[test]
fn explain_shows_the_line_of_the_label() {
    let place = Place::with(&[("compose.yaml", WEB)]);
    let Ended { code, out, .. } = place.run("explain http://web.example.com/a");
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "\
GET http://web.example.com/a on listener http (:80)
  1  compose.yaml:7  example.com /      no: host is web.example.com, the rule wants example.com
  2  compose.yaml:6  web.example.com /  wins -> http://web:8080 (Host stays web.example.com)
"
    );
}

#[test]
fn hosts_in_unicode_are_shown_in_both_forms() {
    let labels = "smolgate.host: 'München.example, *.bücher.example', smolgate.port: 80, smolgate.redirect_from: xn--strae-oqa.example";
    let place =
        Place::with(&[("compose.yaml", &format!("services: {{ web: {{ labels: {{ {labels} }} }} }}\n"))]);
    let out = place.run("routes").fine();
    for told in [
        "xn--strae-oqa.example (straße.example) ",
        "redirect 301 -> http://xn--mnchen-3ya.example ",
        "xn--mnchen-3ya.example (münchen.example) ",
        "*.xn--bcher-kva.example (*.bücher.example) ",
    ] {
        assert!(out.contains(told), "{told}: {out}");
    }
    for url in [
        "http://münchen.example/",
        "http://MÜNCHEN.example:80/",
        "xn--mnchen-3ya.example",
        "a.bücher.example",
    ] {
        let out = place.run(&format!("explain {url}")).fine();
        assert!(out.contains("wins -> http://web"), "{out}");
        assert_eq!(out.contains("note: clients write the host as "), !url.is_ascii(), "{out}");
    }
    let bad = "services: { web: { labels: { smolgate.host: ﬁsch.example, smolgate.port: 80 } } }\n";
    let err = Place::with(&[("compose.yaml", bad)]).run("check").failed(1);
    assert!(err.contains("`ﬁsch.example` holds a character") && err.contains("xn--..."), "{err}");
}

#[test]
fn both_listeners_show_the_line_of_the_label() {
    let mail = "  mail:\n    labels:\n      smolgate.host: mail.example.com\n      smolgate.port: 993\n      smolgate.port.http: 80\n      smolgate.passthrough: true\n";
    let place = Place::with(&[("compose.yaml", &format!("{WEB}{mail}"))]);
    let https = [("SMOLGATE_HTTPS_ENABLED", "true"), ("SMOLGATE_HTTPS_PORT", "8443")];
    let Ended { code, out, .. } = place.run_with("routes", &https);
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "\
LISTENER       #  HOST              PATH  METHODS  ACTION                                                       WRITTEN AT
http (:80)     1  mail.example.com  /     *        pass -> mail:80                                              compose.yaml:10
http (:80)     2  example.com       /     *        to https, else redirect 301 -> https://web.example.com:8443  compose.yaml:7
http (:80)     3  web.example.com   /     *        to https, else proxy -> http://web:8080                      compose.yaml:6
https (:8443)  1  mail.example.com  /     *        pass -> mail:993                                             compose.yaml:10
https (:8443)  2  example.com       /     *        redirect 301 -> https://web.example.com:8443                 compose.yaml:7
https (:8443)  3  web.example.com   /     *        proxy -> http://web:8080                                     compose.yaml:6

LISTENER       BEFORE ITS RULES
http (:80)     limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
http (:80)     redirect_to_https 308 to port 8443, except for ACME challenges and `in_the_clear` rules
https (:8443)  server name: rules with `pass` or `drop` decide before TLS
https (:8443)  TLS 1.2 or 1.3 within 10s, certificates: certs
https (:8443)  limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
"
    );
    for (url, told) in [
        (
            "http://web.example.com/a?b",
            "redirect_to_https comes before the rules: 308 to https://web.example.com:8443/a?b",
        ),
        (
            "http://web.example.com/.well-known/acme-challenge/x",
            "compose.yaml:6   web.example.com /   wins -> http://web:8080 (Host stays web.example.com)",
        ),
        (
            "http://mail.example.com/a",
            "1  compose.yaml:10  mail.example.com /  wins -> passed on as it is to mail:80",
        ),
        (
            "https://mail.example.com:8443/a",
            "1  compose.yaml:10  mail.example.com  wins -> passed on as it is to mail:993",
        ),
    ] {
        let Ended { code, out, .. } = place.run_with(&format!("explain {url}"), &https);
        assert!(code == 0 && out.contains(told), "{url}: {out}");
    }
}

#[test]
fn a_rejected_service_fails_check_and_nothing_else() {
    let place = Place::with(&[("compose.yaml", BAD)]);
    let Ended { code, out, err } = place.run("check");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("compose.yaml:2:67") && err.contains("`many` is not a port"), "{err}");
    assert!(err.ends_with("error: 1 service would not be served; everything else would\n"), "{err}");
    let Ended { code, out, err } = place.run("routes");
    assert!(code == 0 && err.contains("`many` is not a port"), "{err}");
    assert!(out.contains("respond 503") && out.contains("http://good"), "{out}");
}

#[test]
fn hosts_without_a_certificate_are_named_with_a_hint() {
    let more = "  mail: { labels: { smolgate.host: mail.example.com, smolgate.port: 443, smolgate.passthrough: true } }\n";
    let place = Place::with(&[("compose.yaml", &format!("{WEB}{more}"))]);
    for name in ["SMOLGATE_HTTPS_ENABLED", "LITEPROXY_HTTPS_ENABLED"] {
        let Ended { code, out, err } = place.run_with("check", &[(name, "true")]);
        assert_eq!((code, out.as_str()), (1, ""));
        let expected = "\
error: certs cannot be read: No such file or directory (os error 2)
 --> compose.yaml:1:1
  |
1 | services:
  | ^^^^^^^^^ make it, or name another path: in `certificates`, or for labels in SMOLGATE_ACME_DIR

error: no certificate has the name example.com, web.example.com: not served under TLS
 --> compose.yaml:7:7
  |
7 |       smolgate.redirect_from: example.com
  |       ^^^^^^^^^^^^^^^^^^^^^^^ put NAME.crt and NAME.key into certs, or have it ordered (`acme`, SMOLGATE_ACME_EMAIL)
";
        assert_eq!(err, expected);
    }
    // A service with `passthrough` has its own certificate.
    let place = Place::with(&[("compose.yaml", &format!("services:\n{more}"))]);
    let Ended { code, out, err } = place.run_with("check", &[("SMOLGATE_HTTPS_ENABLED", "true")]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("2 listeners, 2 rules"), "{out}");
}

#[test]
fn adapt_prints_a_configuration_that_loads_equally() {
    let mail = "services: { mail: { labels: { smolgate.host: m.test, smolgate.port: 443, smolgate.passthrough: true } } }\n";
    let place = Place::with(&[("compose.yaml", WEB), ("bad/compose.yaml", BAD), ("mail/compose.yaml", mail)]);
    for (line, https) in [
        ("adapt", "false"),
        ("adapt", "true"),
        ("adapt --compose bad/compose.yaml", "false"),
        ("adapt --compose mail/compose.yaml", "false"),
        ("adapt --compose mail/compose.yaml --compose compose.yaml", "true"),
    ] {
        let Ended { code, out: native, .. } = place.run_with(line, &[("SMOLGATE_HTTPS_ENABLED", https)]);
        assert_eq!(code, 0);
        fs::write(place.path().join("native.yml"), &native).unwrap();
        let Ended { code, out: again, err } = place.run("adapt -c native.yml --format native");
        assert_eq!((code, again.as_str(), err.as_str()), (0, native.as_str(), ""));
    }
}

#[test]
fn a_file_without_a_route_is_a_warning() {
    let place = Place::with(&[("compose.yaml", "services: { db: { image: postgres } }\n")]);
    let Ended { code, out, err } = place.run("check");
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("is valid: 1 listener, 0 rules"), "{out}");
    assert!(err.starts_with("warning: no service here has a label `smolgate.host`"), "{err}");
}

/// The compose file of a gate that terminates TLS, with `more` lines for its service.
fn with_gate(more: &str) -> String {
    format!(
        "services:
  gate:
    image: smolgate
    volumes: ['.:/project:ro', '/dev:/certs-of-a-device', 'data:/data']
{more}
  web: {{ image: nginx, labels: {{ smolgate.host: web.test, smolgate.port: 80 }} }}
"
    )
}

const ENVIRONMENT: &str = "    environment:
      SMOLGATE_COMPOSE_FILE: /project/compose.yaml
      SMOLGATE_HTTPS_ENABLED: 'true'
      SMOLGATE_HTTP_PORT: 8080
      SMOLGATE_ACME_DIR: /project/certs
      SMOLGATE_ACCESS_LOG: /var/log/access.log
";

/// The verbs that run on the host check the gate that will run in its container: the variables of its service count
/// as if they were set here, and paths of the container are those of the mounts.
#[test]
fn the_environment_of_the_gates_own_service_counts() {
    let place = Place::with(&[("compose.yaml", &with_gate(ENVIRONMENT)), ("other/notes.txt", "")]);
    for line in ["routes", "routes --compose compose.yaml", "routes --compose ."] {
        let out = place.run(line).fine();
        assert!(out.contains("http (:8080)") && out.contains("https (:443)"), "{line}: {out}");
    }
    let out = place.run("adapt").fine();
    assert!(out.contains("path: \"certs\"") && !out.contains("access.log"), "{out}");
    let out = place.run("explain http://web.test:8080/").fine();
    assert!(out.contains("308 to https://web.test/"), "{out}");
    let err = place.run("check").failed(1);
    assert!(err.contains("error: certs cannot be read"), "{err}");

    let certificates = place.path().join("certs");
    fs::create_dir(&certificates).unwrap();
    Authority::new(place.path(), "ca.pem").issue(&certificates, "web", &["web.test"]);
    let out = place.run("check").fine();
    let told = "compose.yaml is valid with the environment of the service `gate` (compose.yaml:2): 2 listeners, 2 rules";
    assert!(out.starts_with(told), "{out}");

    // Where one of the variables is set, this is the environment of the gate already.
    let out = place.run_with("routes", &[("SMOLGATE_HTTP_PORT", "81")]).fine();
    assert!(out.contains("http (:81)") && !out.contains("https"), "{out}");
}

#[test]
fn the_gates_own_files_are_those_that_it_will_read() {
    let environment = "    env_file: [gate.env]
    environment: { CONFIG_FILE: /project/native/gate.yml, SMOLGATE_COMPOSE_FILE: '/project/apps/*/compose.yaml' }
";
    let place = Place::with(&[
        ("compose.yaml", &with_gate(environment)),
        ("gate.env", "INTERNAL_API_PORT=127.0.0.1:9\nSMOLGATE_COMPOSE_FILE=/nowhere\n"),
        (
            "native/gate.yml",
            "http_config: { port: 8021 }\nhttp_routes: [{ host: native.test, target: 'a:1' }]\n",
        ),
        ("apps/shop/compose.yaml", SHOP),
    ]);
    let out = place.run("routes").fine();
    assert!(
        out.contains("http (:8021)") && out.contains("native.test") && out.contains("shop.example.com"),
        "{out}"
    );
    assert!(!out.contains("web.test"), "{out}");
    assert!(place.run("adapt").fine().contains("bind: \"127.0.0.1:9\""));
    // A file on the command line comes before those of the gate.
    let out = place.run("routes --compose compose.yaml").fine();
    assert!(out.contains("native.test") && out.contains("web.test") && !out.contains("shop"), "{out}");
}

/// Certificates in a volume of Docker cannot be checked on the host. That is a warning, and no error.
#[test]
fn certificates_that_are_not_on_this_machine_are_not_checked() {
    for (dir, told) in [("      SMOLGATE_ACME_DIR: /data/certs\n", "/data/certs"), ("", "/certs")] {
        let environment = format!("    environment:\n      SMOLGATE_HTTPS_ENABLED: 'true'\n{dir}");
        let place = Place::with(&[("compose.yaml", &with_gate(&environment))]);
        let Ended { code, out, err } = place.run("check");
        assert_eq!((code, out.contains("2 listeners")), (0, true), "{out}{err}");
        let warning =
            format!("warning: certificates in {told} of the service `gate` (compose.yaml:2) are not checked");
        assert!(err.starts_with(&warning), "{err}");
    }
}

/// The other verbs show the gate of the container, so a gate on the host that differs from it says so.
#[test]
fn a_gate_without_the_environment_of_its_service_warns() {
    let native = "http_config: { port: 0 }\ninternal_api: { bind: 'unix:api.sock' }\n";
    let place = Place::with(&[("compose.yaml", &with_gate(ENVIRONMENT)), ("native.yml", native)]);
    let start = |variables: &[(&str, &str)]| {
        Program::start(|command| {
            command.current_dir(place.path()).args(["-c", "native.yml", "--compose", "compose.yaml"]);
            command.envs(variables.iter().copied());
        })
    };
    let gate = start(&[]);
    support::until("it warns", || gate.said("has variables that this process has not") > 0);
    assert!(gate.log().contains("SMOLGATE_HTTPS_ENABLED"), "{}", gate.log());
    assert!(gate.log().contains("internal API on unix:api.sock"), "{}", gate.log());
    drop(gate);
    let gate = start(&[("SMOLGATE_WATCH", "false"), ("SMOLGATE_ACCESS_LOG", "off")]);
    gate.signal(rustix::process::Signal::TERM);
    support::until("it stops", || gate.said("stopped, ") > 0);
    assert_eq!(gate.said("has variables that this process has not"), 0, "{}", gate.log());
}

#[test]
fn only_a_gate_in_a_container_is_itself_at_localhost() {
    let file = r#"services:
  gate: { image: smolgate, environment: { SMOLGATE_WATCH: "false" } }
  web:
    image: x
    labels: { smolgate.host: a.test, smolgate.target: "http://127.0.0.1:3000" }
"#;
    let place = Place::with(&[("compose.yaml", file)]);
    let warning = "in the container of the gate, this address is the gate itself";
    // The gate of the file is in a container. This process with its own variables is that gate, and is not in one.
    assert!(place.run_with("check", &[]).err.contains(warning));
    assert!(!place.run_with("check", &[("SMOLGATE_WATCH", "false")]).err.contains(warning));
}

#[cfg(feature = "jwt")]
#[test]
fn a_label_names_a_file_with_the_keys_of_tokens() {
    let keys = support::tokens::jwks(&[&support::tokens::Signer::new("a")]);
    let compose = "services:
  web:
    labels:
      smolgate.host: web.example.com
      smolgate.port: 80
      smolgate.traceparent: \"yes\"
      smolgate.auth.jwt: ./keys.json
";
    let place = Place::with(&[("compose.yaml", compose), ("keys.json", &keys)]);
    let checked = place.run("check --compose compose.yaml");
    assert_eq!(checked.code, 0, "{}", checked.err);
    fs::remove_file(place.path().join("keys.json")).unwrap();
    let checked = place.run("check --compose compose.yaml");
    assert!(checked.code == 1 && checked.err.contains("keys.json` cannot be read"), "{}", checked.err);
}
