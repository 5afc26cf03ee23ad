//! A certificate that is itself in the file of authorities: it is trusted as it is, and its name, its dates and
//! its key are checked. That holds for targets (`tls.ca`) and for clients (`client_auth.ca`).

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, SanType, date_time_ymd};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use support::gate::TestGate;
use support::program::Program;
use support::tls::{Authority, Leaf, Tls};
use support::upstream::Upstream;
use support::wire::Transport;

const TO_TARGET: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "{host}"
        target: "https://{upstream}"
        tls: { ca: "{ca}"{sni} }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

fn unchanged(_: &mut CertificateParams) {}

/// A TLS upstream that shows `leaf`.
fn upstream(leaf: &Leaf, version: &'static SupportedProtocolVersion) -> Upstream {
    let config = leaf.server_with(&[version]);
    let wrap = move |stream: TcpStream| -> Option<Box<dyn Transport>> {
        Some(Box::new(Tls::accept(stream, &config).ok()?))
    };
    Upstream::wrapped(wrap, |connection| {
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    })
}

/// A gate that trusts the certificates in `ca` and asks `upstream` for `name`.
fn gate(upstream: &Upstream, ca: &Path, name: &str) -> TestGate {
    // An address is no server name. Without `sni`, the target's address is checked.
    let sni = if name == "127.0.0.1" { String::new() } else { format!(", sni: {name}") };
    let ca = ca.display();
    TestGate::start(TO_TARGET, &[("host", &"a.test"), ("upstream", upstream), ("ca", &ca), ("sni", &sni)])
}

/// The certificate is its own authority, and the target is asked with both versions of TLS.
#[track_caller]
fn trusted(leaf: &Leaf, name: &str) {
    for version in VERSIONS {
        let upstream = upstream(leaf, version);
        gate(&upstream, &leaf.cert, name).exchange(GET).expect(200, "fine");
        assert_eq!(upstream.requests().len(), 1, "{version:?}");
    }
}

#[track_caller]
fn refused(leaf: &Leaf, ca: &Path, name: &str) {
    for version in VERSIONS {
        let upstream = upstream(leaf, version);
        gate(&upstream, ca, name).exchange(GET).expect_own(502, "tls_certificate");
        assert_eq!(upstream.requests().len(), 0, "{version:?}");
    }
}

#[test]
fn a_target_is_trusted_by_its_own_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let own = |stem: &str, change: fn(&mut CertificateParams)| {
        Leaf::self_signed(dir.path(), stem, &["a.test", "127.0.0.1"], change)
    };
    // As `openssl req -x509` makes it.
    trusted(&own("authority", unchanged), "a.test");
    trusted(&own("authority", unchanged), "127.0.0.1");
    trusted(&own("plain", |params| params.is_ca = IsCa::NoCa), "a.test");
    trusted(&own("marked", |params| params.is_ca = IsCa::ExplicitNoCa), "a.test");
    let for_servers = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    };
    trusted(&own("servers", for_servers), "a.test");
}

#[test]
fn a_target_may_have_its_name_in_the_common_name_alone() {
    let dir = tempfile::tempdir().unwrap();
    trusted(&Leaf::self_signed(dir.path(), "A.test", &[], unchanged), "a.test");
    trusted(&Leaf::of_version_1(dir.path(), "one", "a.test"), "a.test");
    trusted(&Leaf::of_version_1(dir.path(), "one", "127.0.0.1"), "127.0.0.1");
    let other = Leaf::of_version_1(dir.path(), "one", "b.test");
    refused(&other, &other.cert, "a.test");
    // With a subjectAltName, the commonName does not count (RFC 6125, section 6.4.4).
    let both = Leaf::self_signed(dir.path(), "a.test", &["b.test"], unchanged);
    refused(&both, &both.cert, "a.test");
}

#[test]
fn one_of_several_certificates_in_the_file_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|stem| Leaf::self_signed(dir.path(), stem, &["a.test"], unchanged));
    let file = dir.path().join("all.pem");
    let text = |leaf: &Leaf| std::fs::read_to_string(&leaf.cert).unwrap();
    std::fs::write(&file, format!("one\n{}two\n{}", text(&one), text(&two))).unwrap();
    for leaf in [&one, &two] {
        gate(&upstream(leaf, &TLS13), &file, "a.test").exchange(GET).expect(200, "fine");
    }
}

#[test]
fn name_dates_use_and_key_of_a_target_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let own = |stem: &str, change: fn(&mut CertificateParams)| {
        Leaf::self_signed(dir.path(), stem, &["a.test"], change)
    };
    let good = own("good", unchanged);
    refused(&good, &good.cert, "b.test");
    refused(&good, &good.cert, "127.0.0.1");
    for (stem, change) in [
        ("old", (|params| params.not_after = date_time_ymd(2001, 1, 2)) as fn(&mut CertificateParams)),
        ("young", |params| params.not_before = date_time_ymd(2090, 1, 2)),
        ("client", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    ] {
        let leaf = own(stem, change);
        refused(&leaf, &leaf.cert, "a.test");
    }
    // Another certificate of the same name, and a certificate without its key.
    let other = own("other", unchanged);
    refused(&other, &good.cert, "a.test");
    refused(&Leaf { key: other.key, ..good.clone() }, &good.cert, "a.test");
    let one = Leaf::of_version_1(dir.path(), "one", "a.test");
    refused(&Leaf { key: good.key, ..one.clone() }, &one.cert, "a.test");
}

#[test]
fn a_certificate_that_replaces_another_in_the_file_ends_trust_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let own = Leaf::self_signed(dir.path(), "own", &["a.test"], unchanged);
    let upstream = upstream(&own, &TLS13);
    let gate = gate(&upstream, &own.cert, "a.test");
    gate.exchange(GET).expect(200, "fine");
    gate.reload().unwrap();
    gate.exchange(GET).expect(200, "fine");
    assert_eq!(upstream.connections(), 1, "the connection is used again");
    Leaf::self_signed(dir.path(), "own", &["a.test"], unchanged);
    gate.reload().unwrap();
    gate.exchange(GET).expect_own(502, "tls_certificate");
}

#[test]
fn the_log_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let old = |params: &mut CertificateParams| params.not_after = date_time_ymd(2001, 1, 2);
    let said = |leaf: &Leaf| {
        let upstream = upstream(leaf, &TLS13);
        let config = format!(
            "listeners:\n  - name: web\n    bind: 127.0.0.1:0\n    protocol: http\n    rules:\n      \
             - {{ target: \"https://{upstream}\", tls: {{ ca: \"{}\" }} }}\n",
            leaf.cert.display()
        );
        let file = dir.path().join("smolgate.yml");
        std::fs::write(&file, config).unwrap();
        let program = Program::start(|command| {
            command.arg("-c").arg(&file);
        });
        let mut client = support::client::Client::connect(program.address("web"));
        client.exchange(GET).expect_own(502, "tls_certificate");
        support::until("it is in the log", || program.said("invalid peer certificate") > 0);
        program.log()
    };
    let address = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![SanType::IpAddress("192.0.2.1".parse().unwrap())];
    };
    let log = said(&Leaf::self_signed(dir.path(), "other", &[], address));
    assert!(log.contains("certificate not valid for name"), "{log}");
    let log = said(&Leaf::self_signed(dir.path(), "b.test", &[], unchanged));
    assert!(log.contains("certificate is only valid for b.test"), "{log}");
    let log = said(&Leaf::self_signed(dir.path(), "old", &["127.0.0.1"], old));
    assert!(log.contains("certificate expired: "), "{log}");
}

/// The words of webpki alone would be `UnsupportedCertVersion`, `CaUsedAsEndEntity` and `UnknownIssuer`.
#[test]
fn the_log_says_what_to_do_about_a_certificate_that_is_not_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let no_authority = |params: &mut CertificateParams| params.is_ca = IsCa::NoCa;
    let trusted = Leaf::self_signed(dir.path(), "trusted", &["127.0.0.1"], unchanged);
    for (leaf, wrong) in [
        (Leaf::of_version_1(dir.path(), "one", "127.0.0.1"), "has version 1 of X.509"),
        (Leaf::self_signed(dir.path(), "other", &["127.0.0.1"], unchanged), "no known authority has signed"),
        (
            Leaf::self_signed(dir.path(), "leaf", &["127.0.0.1"], no_authority),
            "no known authority has signed",
        ),
    ] {
        let upstream = upstream(&leaf, &TLS13);
        let file = dir.path().join("smolgate.yml");
        let config = format!(
            "http_config: {{ port: \"127.0.0.1:0\" }}\ninternal_api: {{ bind: \"127.0.0.1:0\" }}\n\
             http_routes:\n  - {{ target: \"https://{upstream}\", tls: {{ ca: \"{}\" }} }}\n",
            trusted.cert.display()
        );
        std::fs::write(&file, config).unwrap();
        let program = Program::start(|command| {
            command.arg("-c").arg(&file);
        });
        let mut client = support::client::Client::connect(program.address("http"));
        client.exchange(GET).expect_own(502, "tls_certificate");
        support::until("it is in the log", || program.said(wrong) > 0);
        assert!(program.said("`tls: { ca: FILE }`") > 0, "{}", program.log());
    }
}

const OF_CLIENTS: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: http
    tls: { certificates: "{dir}/server.crt", client_auth: { ca: "{ca}" } }
    rules:
      - respond: { body: member }
"#;

/// The answer to a client with a certificate, or the error.
fn ask(
    gate: &TestGate,
    servers: &Authority,
    own: &Leaf,
    version: &'static SupportedProtocolVersion,
) -> Result<u8, String> {
    let config = Arc::new(servers.client_with(&[], Some(own), &[version]));
    let mut tls =
        Tls::connect(gate.address("https"), &config, "a.test").map_err(|error| error.to_string())?;
    let mut byte = [0];
    let asked = tls.write_all(GET.as_bytes()).and_then(|()| tls.read_exact(&mut byte));
    asked.map(|()| byte[0]).map_err(|error| error.to_string())
}

#[test]
fn a_client_is_trusted_by_its_own_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let servers = Authority::new(dir.path(), "ca.pem");
    servers.issue(dir.path(), "server", &["a.test"]);
    let stranger = Leaf::self_signed(dir.path(), "stranger", &[], unchanged);
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    };
    let one = Leaf::of_version_1(dir.path(), "one", "somebody");
    for own in [
        Leaf::self_signed(dir.path(), "member", &[], unchanged),
        Leaf::self_signed(dir.path(), "plain", &[], |params| params.is_ca = IsCa::NoCa),
        Leaf::self_signed(dir.path(), "client", &[], for_clients),
        one.clone(),
    ] {
        let gate =
            TestGate::start(OF_CLIENTS, &[("dir", &dir.path().display()), ("ca", &own.cert.display())]);
        for version in VERSIONS {
            assert_eq!(ask(&gate, &servers, &own, version), Ok(b'H'), "{version:?}");
            let without_key = Leaf { key: stranger.key.clone(), ..own.clone() };
            for refused in [&stranger, &without_key] {
                let error = ask(&gate, &servers, refused, version).unwrap_err();
                assert!(error.contains("received fatal alert"), "{error}");
            }
        }
    }
}

#[test]
fn dates_and_use_of_a_client_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let servers = Authority::new(dir.path(), "ca.pem");
    servers.issue(dir.path(), "server", &["a.test"]);
    for (alert, change) in [
        (
            "CertificateExpired",
            (|params| params.not_after = date_time_ymd(2001, 1, 2)) as fn(&mut CertificateParams),
        ),
        ("CertificateExpired", |params| params.not_before = date_time_ymd(2090, 1, 2)),
        ("UnsupportedCertificate", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
    ] {
        let own = Leaf::self_signed(dir.path(), "own", &[], change);
        let gate =
            TestGate::start(OF_CLIENTS, &[("dir", &dir.path().display()), ("ca", &own.cert.display())]);
        let error = ask(&gate, &servers, &own, &TLS13).unwrap_err();
        assert!(error.contains(alert), "{error}, expected {alert}");
    }
}
