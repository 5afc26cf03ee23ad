//! Tests of certificates in files: which are found, and the problems of the others.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use tempfile::TempDir;

use super::*;
use crate::config::plan::{ClientAuthMode, TlsSettings};

const NOWHERE: &str = "smolgate.yml";

fn issue(dir: &Path, cert: &str, key: &str, names: &[&str]) {
    issue_until(dir, cert, key, names, 2051);
}

fn issue_until(dir: &Path, cert: &str, key: &str, names: &[&str], year: i32) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = date_time_ymd(year, 1, 2);
    let pair = KeyPair::generate().unwrap();
    std::fs::create_dir_all(dir.join(cert).parent().unwrap()).unwrap();
    std::fs::write(dir.join(cert), params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(dir.join(key), pair.serialize_pem()).unwrap();
}

fn source(files: CertificateFiles, client_auth: Option<&str>) -> CertificateSource {
    let origin = Origin { file: NOWHERE.into(), line: 3, column: 5 };
    let client_auth = client_auth.map(|ca| {
        Arc::new(ClientAuth { origin: origin.clone(), ca: ca.into(), mode: ClientAuthMode::Required })
    });
    CertificateSource { origin, files, client_auth }
}

fn path(dir: &TempDir, name: &str) -> CertificateSource {
    source(CertificateFiles::Path(dir.path().join(name)), None)
}

fn load(
    certificates: Vec<CertificateSource>,
    default: Option<CertificateSource>,
) -> (Certificates, Vec<String>) {
    load_after(None, certificates, default)
}

fn load_after(
    before: Option<&Certificates>,
    certificates: Vec<CertificateSource>,
    default: Option<CertificateSource>,
) -> (Certificates, Vec<String>) {
    let tls = ListenerTls {
        certificates,
        default_certificate: default,
        client_auth: None,
        ordered: None,
        settings: TlsSettings::default(),
    };
    let mut problems = Vec::new();
    let all = Certificates::load(&tls, &aws_lc_rs::default_provider(), before, &mut problems);
    let said = problems.iter().map(|problem| format!("{}: {}", problem.origin, problem.message));
    (all, said.collect())
}

/// The first name of the certificate that a client gets for `name`.
fn shown(all: &Certificates, name: &str) -> Option<String> {
    let found = all.find(Some(name.as_bytes())).first()?;
    all.entry(*found).info.names.first().cloned()
}

#[test]
fn every_certificate_in_a_folder_is_found() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["a.test", "*.a.test"]);
    issue(dir.path(), "b.pem", "b.key", &["b.test"]);
    issue(dir.path(), "live/c.test/fullchain.pem", "live/c.test/privkey.pem", &["c.test"]);
    std::fs::copy(dir.path().join("live/c.test/fullchain.pem"), dir.path().join("live/c.test/cert.pem"))
        .unwrap();
    std::fs::write(dir.path().join("live/README"), "text").unwrap();
    std::fs::write(dir.path().join(".hidden.crt"), "text").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "text").unwrap();
    let both = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    std::fs::write(dir.path().join("d.pem"), both("b.pem") + &both("b.key")).unwrap();
    let (all, said) = load(vec![path(&dir, ""), path(&dir, "live")], None);
    assert_eq!(said, [""; 0]);
    assert_eq!(all.entries.len(), 4, "a, b, d and c");
    for (name, first) in [
        ("a.test", Some("a.test")),
        ("x.a.test", Some("a.test")),
        ("b.test", Some("b.test")),
        ("c.test", Some("c.test")),
        ("x.b.test", None),
        ("y.x.a.test", None),
        ("test", None),
        ("", None),
    ] {
        assert_eq!(shown(&all, name).as_deref(), first, "{name}");
    }
    assert!(all.find(None).is_empty());
}

#[test]
fn problems_are_named_and_all_other_certificates_are_served() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "good.crt", "good.key", &["good.test"]);
    issue(dir.path(), "lonely.crt", "away", &["lonely.test"]);
    issue(dir.path(), "other.crt", "away", &["other.test"]);
    std::fs::copy(dir.path().join("good.key"), dir.path().join("other.key")).unwrap();
    issue_until(dir.path(), "old.crt", "old.key", &["old.test"], 2001);
    std::fs::write(dir.path().join("text.crt"), "text").unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let (all, said) = load(vec![path(&dir, ""), path(&dir, "empty"), path(&dir, "missing.crt")], None);
    let expected = [
        ("lonely.key cannot be read", "No such file"),
        ("old.crt expired on 2001-01-02", ""),
        ("other.key does not belong to the certificate", "other.crt"),
        ("there is no PEM certificate in", "text.crt"),
        ("there is no certificate in the folder", "empty"),
        ("missing.crt cannot be read", "No such file"),
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (line, (what, more)) in said.iter().zip(expected) {
        assert!(line.starts_with("smolgate.yml:3: ") && line.contains(what) && line.contains(more), "{line}");
    }
    assert_eq!(shown(&all, "good.test").as_deref(), Some("good.test"));
    assert_eq!(shown(&all, "old.test").as_deref(), Some("old.test"), "its client sees what is wrong");
    assert_eq!(shown(&all, "other.test"), None);
}

#[test]
fn a_file_that_can_no_longer_be_used_keeps_its_earlier_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    for name in ["a", "b", "c", "d", "e"] {
        issue(dir.path(), &format!("{name}.crt"), &format!("{name}.key"), &[&format!("{name}.test")]);
    }
    issue(dir.path(), "more/f.crt", "more/f.key", &["f.test"]);
    let sources = || vec![path(&dir, ""), path(&dir, "more")];
    let (before, _) = load(sources(), None);
    std::fs::write(file("a.crt"), "text").unwrap();
    std::fs::copy(file("e.key"), file("b.key")).unwrap();
    issue_until(dir.path(), "c.crt", "c.key", &["c.test", "new.test"], 2001);
    std::fs::remove_file(file("d.crt")).unwrap();
    std::fs::remove_dir_all(file("more")).unwrap();
    // The second load keeps the certificates that the first has kept.
    let (once, _) = load_after(Some(&before), sources(), None);
    let (all, said) = load_after(Some(&once), sources(), None);
    assert_eq!(said.len(), 4, "{said:#?}");
    assert!(
        said.iter().all(|line| line.ends_with("; the certificate that was served before is kept")),
        "{said:#?}"
    );
    assert_eq!(all.served_instead(), 4);
    for name in ["a", "b", "c", "e", "f"] {
        let name = format!("{name}.test");
        assert_eq!(shown(&all, &name), Some(name.clone()));
    }
    assert!(all.entries.iter().all(|entry| !entry.expired));
    assert_eq!(shown(&all, "d.test"), None, "a file that was removed is not kept");
    assert_eq!(shown(&all, "new.test"), None);
    // A good file is served at once. Without its source, no certificate is.
    issue(dir.path(), "a.crt", "a.key", &["a.test", "new.test"]);
    let (all, said) = load_after(Some(&all), vec![path(&dir, "")], None);
    assert_eq!((said.len(), all.served_instead()), (2, 2), "{said:#?}");
    assert_eq!(shown(&all, "new.test").as_deref(), Some("a.test"));
    assert_eq!(shown(&all, "f.test"), None);
}

#[test]
fn a_kept_certificate_has_the_present_client_auth() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["a.test"]);
    let (before, _) = load(vec![path(&dir, "a.crt")], None);
    std::fs::remove_file(dir.path().join("a.key")).unwrap();
    let strict = source(CertificateFiles::Path(dir.path().join("a.crt")), Some("ca.pem"));
    let (all, _) = load_after(Some(&before), vec![strict.clone()], None);
    let found = all.find(Some(b"a.test"));
    assert_eq!(all.entry(found[0]).client_auth, strict.client_auth);
}

#[test]
fn a_certificate_without_a_name_is_only_good_as_a_default() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &[]);
    let (_, said) = load(vec![path(&dir, "a.crt")], None);
    assert!(said.len() == 1 && said[0].contains("has no DNS name in it"), "{said:?}");
    assert_eq!(load(vec![], Some(path(&dir, "a.crt"))).1, [""; 0]);
}

#[test]
fn a_valid_certificate_comes_before_an_expired_one() {
    let dir = tempfile::tempdir().unwrap();
    issue_until(dir.path(), "a.crt", "a.key", &["same.test"], 2001);
    issue(dir.path(), "b.crt", "b.key", &["same.test"]);
    let (all, _) = load(vec![path(&dir, "")], None);
    let found = all.find(Some(b"same.test"));
    assert_eq!(found.len(), 2);
    assert!(!all.entry(found[0]).expired && all.entry(found[1]).expired);
}

#[test]
fn a_default_is_one_certificate() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["a.test"]);
    issue(dir.path(), "b.crt", "b.key", &["b.test"]);
    let (all, said) = load(vec![path(&dir, "a.crt")], Some(path(&dir, "b.crt")));
    assert_eq!(said, [""; 0]);
    assert_eq!(shown(&all, "a.test").as_deref(), Some("a.test"));
    for name in ["b.test", "c.test"] {
        assert_eq!(shown(&all, name).as_deref(), Some("b.test"), "{name}");
    }
    let (_, said) = load(vec![], Some(path(&dir, "")));
    assert!(said[0].contains("only one can be the default"), "{said:?}");
}

#[test]
fn an_unreadable_certificate_does_not_open_its_name_to_all_clients() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "wild.crt", "wild.key", &["*.test", "plain.test"]);
    let secret = |name: &str| source(CertificateFiles::Path(dir.path().join(name)), Some("ca.pem"));
    let wild = || path(&dir, "wild.crt");
    let (all, said) = load(vec![secret("secret.crt"), wild()], Some(wild()));
    assert_eq!(said.len(), 1);
    // This may have been the name of the certificate that is missing.
    assert_eq!(shown(&all, "secret.test"), None);
    assert_eq!(shown(&all, "plain.test").as_deref(), Some("*.test"));
    issue(dir.path(), "secret.crt", "secret.key", &["secret.test"]);
    let (all, _) = load(vec![secret("secret.crt"), wild()], None);
    assert_eq!(shown(&all, "secret.test").as_deref(), Some("secret.test"));
    assert_eq!(shown(&all, "other.test").as_deref(), Some("*.test"));
}

#[test]
fn a_second_certificate_for_a_name_does_not_change_its_client_auth() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["same.test"]);
    issue(dir.path(), "b.crt", "b.key", &["same.test"]);
    let strict = source(CertificateFiles::Path(dir.path().join("a.crt")), Some("ca.pem"));
    let (all, _) = load(vec![strict, path(&dir, "b.crt")], None);
    assert_eq!(all.find(Some(b"same.test")), [0]);
}

#[test]
fn a_folder_that_is_named_itself_keeps_its_client_auth() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["a.test"]);
    issue(dir.path(), "members/m.crt", "members/m.key", &["m.test"]);
    let members = || source(CertificateFiles::Path(dir.path().join("members")), Some("ca.pem"));
    let (all, said) = load(vec![path(&dir, ""), members()], None);
    assert_eq!(said, [""; 0]);
    let client_auth = |name: &str| all.entry(all.find(Some(name.as_bytes()))[0]).client_auth.clone();
    assert_eq!((all.entries.len(), client_auth("a.test")), (2, None));
    assert_eq!(client_auth("m.test"), members().client_auth);
    // Of a folder that is not named itself, the folder around it counts.
    let (all, _) = load(vec![path(&dir, "")], None);
    assert_eq!(all.entry(all.find(Some(b"m.test"))[0]).client_auth, None);
}

#[test]
fn certificates_in_a_folder_that_was_closed_are_kept_and_told_once() {
    let dir = tempfile::tempdir().unwrap();
    issue(dir.path(), "a.crt", "a.key", &["a.test"]);
    issue(dir.path(), "b/b.crt", "b/b.key", &["b.test"]);
    let source = path(&dir, "");
    let (before, _) = load(vec![source.clone()], None);
    let mut problems = Vec::new();
    let provider = aws_lc_rs::default_provider();
    let (entries, failed) = (Vec::new(), Vec::new());
    let mut load = Load {
        provider: &provider,
        now: unix_now(),
        before: &before.entries,
        entries,
        failed,
        problems: &mut problems,
    };
    let closed = load.pairs(&source, &[], &[dir.path().join("b")], &[]);
    assert_eq!(closed, [dir.path().join("b")]);
    let kept: Vec<_> = load.entries.iter().map(|entry| entry.info.names[0].clone()).collect();
    assert_eq!(kept, ["b.test"], "those of the folder");
    assert!(load.entries[0].served_instead);
    load.pairs(&source, &[], &closed, &closed);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.ends_with(KEPT_NOTE), "{}", problems[0].message);
}
