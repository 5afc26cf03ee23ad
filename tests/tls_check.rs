//! `smolgate check` reads certificates and reports their problems.

mod support;

use std::path::Path;
use std::process::Command;

use support::tls::Authority;

const CONFIG: &str = "\
http_config: { port: 8443, tls: { certificates: [./certs, ./more] } }
http_routes: [{ respond: { body: fine } }]
";

/// The exit code and the whole output.
fn check(dir: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smolgate"))
        .args(["check", "-c", "smolgate.yml"])
        .current_dir(dir)
        .env("NO_COLOR", "1")
        .output()
        .expect("the command starts");
    (output.status.code(), String::from_utf8([output.stderr, output.stdout].concat()).unwrap())
}

#[test]
fn every_certificate_that_is_wrong_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("smolgate.yml"), CONFIG).unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let certs = dir.path().join("certs");
    authority.issue(&certs, "good", &["good.test"]);
    authority.issue(&dir.path().join("more"), "more", &["more.test"]);
    assert_eq!(
        check(dir.path()),
        (Some(0), "smolgate.yml is valid: 1 listener, 1 rule, 0 upstreams\n".into())
    );

    authority.issue_expired(&certs, "old", &["old.test"]);
    let mixed = authority.issue(&certs, "mixed", &["mixed.test"]);
    std::fs::copy(certs.join("good.key"), mixed.key).unwrap();
    std::fs::remove_dir_all(dir.path().join("more")).unwrap();
    let (code, said) = check(dir.path());
    assert_eq!(code, Some(1), "{said}");
    let expected = "\
error: the key certs/mixed.key does not belong to the certificate certs/mixed.crt
 --> smolgate.yml:1:50
  |
1 | http_config: { port: 8443, tls: { certificates: [./certs, ./more] } }
  |                                                  ^^^^^^^ the certificate was issued for another key

error: the certificate certs/old.crt expired on 2002-02-03T00:00:00.000Z
 --> smolgate.yml:1:50
  |
1 | http_config: { port: 8443, tls: { certificates: [./certs, ./more] } }
  |                                                  ^^^^^^^ renew it, then reload

error: more cannot be read: No such file or directory (os error 2)
 --> smolgate.yml:1:59
  |
1 | http_config: { port: 8443, tls: { certificates: [./certs, ./more] } }
  |                                                           ^^^^^^ make it, or name another path: in `certificates`, or for labels in SMOLGATE_ACME_DIR
";
    assert_eq!(said, expected);
}

#[test]
fn authorities_of_clients_are_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = CONFIG.replace("./more]", "{ path: ./certs, client_auth: { ca: ca.key } }]");
    std::fs::write(dir.path().join("smolgate.yml"), config).unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(&dir.path().join("certs"), "good", &["good.test"]);
    let (code, said) = check(dir.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("`client_auth.ca` ca.key cannot be read") && said.contains(":1:95"), "{said}");
}

#[test]
fn hosts_of_rules_that_no_certificate_has_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "\
http_config: { port: 8443, tls: { certificates: ./certs } }
http_routes:
  - { host: [passed.test, \"*.passed.test\"], pass: \"localhost:443\" }
  - { host: evil.test, drop: true }
  - { host: [good.test, a.good.test, \"*.good.test\", \"*.other.test\", \"x-*.**\", \"*.*.test\", 127.0.0.1], respond: { body: fine } }
  - { host: [passed.test, a.passed.test, evil.test], path_prefix: /x, respond: { body: never } }
  - respond: { body: fine }
";
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(&dir.path().join("certs"), "good", &["good.test", "*.good.test", "a.other.test"]);
    let fine = |said: &str| said.lines().all(|line| !line.starts_with("error"));
    std::fs::write(dir.path().join("smolgate.yml"), rules).unwrap();
    let (code, said) = check(dir.path());
    assert!(code == Some(0) && fine(&said), "{said}");

    let lacking = rules
        .replace("*.other.test", "*.lone.test")
        .replace("a.good.test", "b.a.good.test")
        .replace("*.*.test", "y.*.lone.test");
    std::fs::write(dir.path().join("smolgate.yml"), &lacking).unwrap();
    let (code, said) = check(dir.path());
    assert_eq!(code, Some(1), "{said}");
    let message = "error: no certificate has the name b.a.good.test, *.lone.test, y.*.lone.test: not served under TLS\n --> smolgate.yml:5:5\n";
    assert!(said.contains(message) && said.contains("put NAME.crt and NAME.key into certs"), "{said}");
    // A default certificate serves every host.
    let default = "certificates: ./certs, default_certificate: ./certs/good.crt";
    std::fs::write(dir.path().join("smolgate.yml"), lacking.replace("certificates: ./certs", default))
        .unwrap();
    let (code, said) = check(dir.path());
    assert!(code == Some(0) && fine(&said), "{said}");
}

#[test]
fn authorities_of_targets_are_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let config = "\
http_config: { port: 0 }
http_routes: [{ upstream: api }]
upstreams:
  api:
    targets: \"https://localhost:1\"
    tls: { ca: none.pem }
";
    std::fs::write(dir.path().join("smolgate.yml"), config).unwrap();
    let expected = "\
error: upstream `api`: `tls.ca` none.pem cannot be read: No such file or directory (os error 2)
 --> smolgate.yml:4:3
  |
4 |   api:
  |   ^^^^
";
    assert_eq!(check(dir.path()), (Some(1), expected.into()));
    Authority::new(dir.path(), "none.pem");
    assert_eq!(check(dir.path()).0, Some(0));
}

#[test]
fn a_token_in_the_same_line_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{internal_api: {token: sesame}, http_config: {port: 0, tls: {certificates: ./none}}}"#;
    std::fs::write(dir.path().join("smolgate.yml"), config).unwrap();
    let (code, said) = check(dir.path());
    assert!(code == Some(1) && said.contains("{token: ******}, http_config"), "{said}");
}

#[test]
fn a_line_without_a_token_is_shown_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{internal_api: {bind: 0}, http_config: {port: 0, tls: {certificates: ./stokes/tokyo}}}"#;
    std::fs::write(dir.path().join("smolgate.yml"), config).unwrap();
    let (_, said) = check(dir.path());
    assert!(said.contains(config), "{said}");
}

#[test]
fn a_key_that_is_named_and_missing_has_its_own_hint() {
    let dir = tempfile::tempdir().unwrap();
    let issued = Authority::new(dir.path(), "ca.pem").issue(dir.path(), "one", &["one.test"]);
    std::fs::remove_file(issued.key).unwrap();
    for (written, hint) in [
        ("{ cert: one.crt, key: other.key }", "put it there, or name another file as `key`"),
        ("one.crt", "put it there, or name its place: `{ cert: ..., key: ... }`"),
    ] {
        let text = format!("http_config: {{ port: 8443, tls: {{ certificates: [{written}] }} }}\n");
        std::fs::write(dir.path().join("smolgate.yml"), text).unwrap();
        let (code, said) = check(dir.path());
        assert!(code == Some(1) && said.contains(hint), "{said}");
    }
}
