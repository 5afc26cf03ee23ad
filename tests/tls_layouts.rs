//! Folders of certificates as the tools leave them that issue certificates: with their names, modes and symbolic
//! links. Each is read as it is, or the error names the way out.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use support::gate::TestGate;
use support::tls::{Authority, Leaf, Tls};
use tempfile::TempDir;

/// The user of the image.
const USER: u32 = 65532;

const DH: &str = "-----BEGIN DH PARAMETERS-----\nMAYCAQ8CAQI=\n-----END DH PARAMETERS-----\n";

/// A scratch folder with an authority, and the folder `certs` for a layout.
struct Scene {
    dir: TempDir,
    authority: Authority,
}

/// The texts that a tool gets from an authority.
struct Issued {
    cert: String,
    key: String,
    issuer: String,
}

impl Issued {
    /// The certificate and its issuer.
    fn chain(&self) -> String {
        format!("{}{}", self.cert, self.issuer)
    }
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    // The user of the image searches this folder.
    mode(dir.path(), 0o755);
    let authority = Authority::new(dir.path(), "authority.pem");
    fs::create_dir(dir.path().join("certs")).unwrap();
    Scene { dir, authority }
}

impl Scene {
    fn issue(&self, name: &str) -> Issued {
        let Leaf { cert, key } = self.authority.issue(&self.dir.path().join("issued"), name, &[name]);
        let [cert, key, issuer] =
            [&cert, &key, &self.authority.file].map(|file| fs::read_to_string(file).unwrap());
        Issued { cert, key, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("certs").join(name)
    }

    /// Writes a file with a mode.
    fn put(&self, name: &str, text: &str, permissions: u32) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        mode(&file, permissions);
    }

    fn link(&self, name: &str, target: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        symlink(target, self.path(name)).unwrap();
    }

    /// `smolgate check` of a listener with this folder and a rule for each host: exit code and output.
    fn check_as(&self, user: Option<u32>, folder: &str, hosts: &[&str]) -> (Option<i32>, String) {
        // The folders above the program may be closed to other users.
        let program = self.dir.path().join("smolgate");
        let built = env!("CARGO_BIN_EXE_smolgate");
        if !program.exists() && fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).unwrap();
        }
        let config = format!(
            "http_config: {{ port: 8443, tls: {{ certificates: {folder} }} }}\n\
             http_routes: [{{ host: [{}], respond: {{ body: fine }} }}]\n",
            hosts.join(", ")
        );
        fs::write(self.dir.path().join("smolgate.yml"), config).unwrap();
        let mut command = Command::new(&program);
        command.args(["check", "-c", "smolgate.yml"]).current_dir(self.dir.path()).env("NO_COLOR", "1");
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8([output.stderr, output.stdout].concat()).unwrap())
    }

    fn check(&self, folder: &str, hosts: &[&str]) -> (Option<i32>, String) {
        self.check_as(None, folder, hosts)
    }

    /// The folder has a certificate for each host, without an error, and each is shown with its issuer.
    #[track_caller]
    fn serves(&self, folder: &str, hosts: &[&str]) {
        let (code, said) = self.check(folder, hosts);
        assert!(code == Some(0) && !said.contains("error"), "{said}");
        assert!(!said.contains("warning"), "{said}");
        let config = "
listeners:
  - { name: https, bind: '127.0.0.1:0', protocol: http, tls: { certificates: '{folder}' }, rules: [ { respond: { body: fine } } ] }
";
        let gate = TestGate::start(config, &[("folder", &self.dir.path().join(folder).display())]);
        for host in hosts {
            let tls =
                Tls::connect(gate.address("https"), &Arc::new(self.authority.client(&[])), host).unwrap();
            assert_eq!(tls.0.conn.peer_certificates().unwrap().len(), 2, "{host}: the chain");
        }
    }
}

fn mode(path: &Path, permissions: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(permissions)).unwrap();
}

#[test]
fn lego() {
    let scene = scene();
    for name in ["a.test", "_.b.test"] {
        let issued = scene.issue(&name.replace("_.", "x."));
        scene.put(&format!(".lego/certificates/{name}.crt"), &issued.chain(), 0o600);
        scene.put(&format!(".lego/certificates/{name}.key"), &issued.key, 0o600);
        scene.put(&format!(".lego/certificates/{name}.issuer.crt"), &issued.issuer, 0o600);
        scene.put(&format!(".lego/certificates/{name}.json"), "{}", 0o600);
        scene.put(&format!(".lego/archives/{name}.1.crt"), &issued.cert, 0o600);
    }
    // `--pem` adds this one.
    let issued = scene.issue("a.test");
    scene.put(".lego/certificates/a.test.crt", &issued.chain(), 0o600);
    scene.put(".lego/certificates/a.test.key", &issued.key, 0o600);
    scene.put(".lego/certificates/a.test.pem", &(issued.chain() + &issued.key), 0o600);
    scene.put(".lego/accounts/acme.test/a@a.test/keys/a@a.test.key", &issued.key, 0o600);
    for folder in ["certs/.lego/certificates", "certs/.lego"] {
        scene.serves(folder, &["a.test", "x.b.test"]);
    }
}

#[test]
fn acme_sh() {
    let scene = scene();
    for name in ["a.test", "b.test"] {
        let (issued, folder) = (scene.issue(name), format!("{name}_ecc"));
        scene.put(&format!("{folder}/{name}.cer"), &issued.cert, 0o644);
        scene.put(&format!("{folder}/{name}.key"), &issued.key, 0o600);
        scene.put(&format!("{folder}/ca.cer"), &issued.issuer, 0o644);
        scene.put(&format!("{folder}/fullchain.cer"), &issued.chain(), 0o644);
        scene.put(&format!("{folder}/{name}.conf"), "Le_Domain=''", 0o644);
        scene.put(&format!("{folder}/{name}.csr"), "", 0o644);
        scene.put(&format!("{folder}/backup/fullchain.bak"), &issued.chain(), 0o644);
    }
    scene.put("account.conf", "", 0o644);
    scene.put("ca/acme.test/directory/account.key", &scene.issue("account").key, 0o600);
    scene.serves("certs", &["a.test", "b.test"]);
    scene.serves("certs/a.test_ecc", &["a.test"]);
    scene.serves("certs/a.test_ecc/fullchain.cer", &["a.test"]);
}

#[test]
fn mkcert() {
    let scene = scene();
    let issued = scene.issue("a.test");
    scene.put("a.test+2.pem", &issued.chain(), 0o644);
    scene.put("a.test+2-key.pem", &issued.key, 0o600);
    scene.put("rootCA.pem", &issued.issuer, 0o644);
    scene.serves("certs", &["a.test"]);
    scene.serves("certs/a.test+2.pem", &["a.test"]);
}

#[test]
fn nginx_proxy_with_its_companion() {
    let scene = scene();
    let issued = scene.issue("a.test");
    scene.put("a.test/fullchain.pem", &issued.chain(), 0o644);
    scene.put("a.test/key.pem", &issued.key, 0o644);
    scene.put("a.test/cert.pem", &issued.cert, 0o644);
    scene.put("a.test/chain.pem", &issued.issuer, 0o644);
    scene.put("a.test/.companion", "", 0o644);
    scene.put("dhparam.pem", DH, 0o644);
    scene.link("a.test.crt", "./a.test/fullchain.pem");
    scene.link("a.test.key", "./a.test/key.pem");
    scene.link("a.test.chain.pem", "./a.test/chain.pem");
    scene.link("a.test.dhparam.pem", "./dhparam.pem");
    scene.serves("certs", &["a.test"]);
    // Both names lead to the same files, so a problem with them is told once.
    scene.put("a.test/key.pem", &scene.issue("b.test").key, 0o644);
    let (code, said) = scene.check("certs", &["x.test"]);
    assert_eq!((code, said.matches("does not belong").count()), (Some(1), 1), "{said}");
}

#[test]
fn mailcow() {
    let scene = scene();
    for folder in ["", "b.test/"] {
        let issued = scene.issue(if folder.is_empty() { "a.test" } else { "b.test" });
        scene.put(&format!("{folder}cert.pem"), &issued.chain(), 0o644);
        scene.put(&format!("{folder}key.pem"), &issued.key, 0o600);
    }
    scene.put("dhparams.pem", DH, 0o644);
    scene.put("acme/account.pem", &scene.issue("account").key, 0o600);
    let old = scene.authority.issue_expired(&scene.dir.path().join("issued"), "old", &["a.test"]);
    scene.put("backups/a.test/cert.pem", &fs::read_to_string(old.cert).unwrap(), 0o644);
    scene.put("backups/a.test/key.pem", &fs::read_to_string(old.key).unwrap(), 0o600);
    scene.serves("certs", &["a.test", "b.test"]);
}

#[test]
fn caddy() {
    let scene = scene();
    for (authority, name) in [("acme-v02.api.test-directory", "a.test"), ("local", "b.test")] {
        let (issued, folder) = (scene.issue(name), format!("caddy/certificates/{authority}/{name}"));
        scene.put(&format!("{folder}/{name}.crt"), &issued.chain(), 0o600);
        scene.put(&format!("{folder}/{name}.key"), &issued.key, 0o600);
        scene.put(&format!("{folder}/{name}.json"), "{}", 0o600);
        scene.put("caddy/pki/authorities/local/root.crt", &issued.issuer, 0o600);
        scene.put("caddy/pki/authorities/local/root.key", &issued.key, 0o600);
    }
    scene.serves("certs/caddy/certificates", &["a.test", "b.test"]);
    let (code, said) = scene.check("certs/caddy", &["a.test"]);
    let way_out = "there is no certificate in the folder certs/caddy, but in certs/caddy/certificates\n";
    assert!(code == Some(1) && said.contains(way_out) && said.contains("name that folder"), "{said}");
}

/// `/etc/letsencrypt` of certbot.
fn certbot(scene: &Scene) {
    for name in ["a.test", "b.test"] {
        let issued = scene.issue(name);
        for (stem, text, permissions) in [
            ("cert", &issued.cert, 0o644),
            ("chain", &issued.issuer, 0o644),
            ("fullchain", &issued.chain(), 0o644),
            ("privkey", &issued.key, 0o600),
        ] {
            scene.put(&format!("archive/{name}/{stem}1.pem"), text, permissions);
            scene.link(&format!("live/{name}/{stem}.pem"), &format!("../../archive/{name}/{stem}1.pem"));
        }
        scene.put(&format!("live/{name}/README"), "This directory contains your keys", 0o644);
    }
    scene.put("live/README", "This directory contains your keys", 0o644);
    scene.put("accounts/acme.test/directory/1/private_key.json", "{}", 0o400);
}

#[test]
fn certbot_as_root() {
    let scene = scene();
    certbot(&scene);
    scene.serves("certs/live", &["a.test", "b.test"]);
    scene.serves("certs/live/a.test", &["a.test"]);
    scene.serves("certs", &["a.test", "b.test"]);
}

#[test]
fn kubernetes() {
    let scene = scene();
    // Two secrets, each mounted as a folder. cert-manager adds `ca.crt`, which may be empty.
    for (name, ca) in [("a.test", None), ("b.test", Some(""))] {
        let issued = scene.issue(name);
        let files = [
            ("tls.crt", &*issued.chain()),
            ("tls.key", &issued.key),
            ("ca.crt", ca.unwrap_or(&issued.issuer)),
        ];
        for (file, text) in files {
            scene.put(&format!("{name}/..2026_01_02_03_04_05.1/{file}"), text, 0o644);
            scene.link(&format!("{name}/{file}"), &format!("..data/{file}"));
        }
        scene.link(&format!("{name}/..data"), "..2026_01_02_03_04_05.1");
    }
    scene.serves("certs/a.test", &["a.test"]);
    scene.serves("certs", &["a.test", "b.test"]);
}

#[test]
fn autocert() {
    let scene = scene();
    for name in ["a.test", "b.test"] {
        let issued = scene.issue(name);
        scene.put(name, &(issued.key.clone() + &issued.chain()), 0o600);
        scene.put(&format!("{name}+rsa"), &(issued.key.clone() + &issued.chain()), 0o600);
        // A certificate for the authority alone, and the text of a challenge.
        let token = scene.issue("token.test");
        scene.put(&format!("{name}+token"), &(token.key.clone() + &token.cert), 0o600);
        scene.put(&format!("{name}+http-01"), "token", 0o600);
    }
    scene.put("acme_account+key", &scene.issue("account").key, 0o600);
    scene.serves("certs", &["a.test", "b.test"]);
    let (code, said) = scene.check("certs", &["token.test"]);
    assert!(code == Some(1) && said.contains("no certificate has the name token.test"), "{said}");
}

#[test]
fn files_that_are_no_certificates_of_a_server_are_left_alone() {
    let scene = scene();
    let issued = scene.issue("a.test");
    scene.put("a.test.crt", &issued.chain(), 0o644);
    scene.put("a.test.key", &issued.key, 0o600);
    scene.put("ca.pem", &issued.issuer, 0o644);
    scene.put("clients.crt", &issued.issuer.repeat(2), 0o644);
    scene.put("dh4096.pem", DH, 0o644);
    scene.put("empty.crt", "\n", 0o644);
    scene.put("revoked.pem", "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", 0o644);
    scene.put("lone-key.pem", &issued.key, 0o600);
    scene.serves("certs", &["a.test"]);
    // Alone, an authority is told, because nothing else may be meant.
    let (code, said) = scene.check("certs/ca.pem", &["a.test"]);
    assert!(code == Some(1) && said.contains("the key certs/ca.key cannot be read"), "{said}");
    fs::remove_file(scene.path("a.test.crt")).unwrap();
    let (code, said) = scene.check("certs", &["a.test"]);
    let message = "there is no certificate with a key in the folder certs: certs/ca.pem has none\n";
    assert!(code == Some(1) && said.contains(message), "{said}");
}

#[test]
fn a_certificate_whose_key_is_elsewhere_is_told_with_the_way_out() {
    let scene = scene();
    let issued = scene.issue("a.test");
    scene.put("a.crt", &issued.chain(), 0o644);
    scene.put("private/a.key", &issued.key, 0o600);
    let (code, said) = scene.check("certs", &["x.test"]);
    assert_eq!(
        (code, said.matches("error: the key certs/a.key cannot be read").count()),
        (Some(1), 1),
        "{said}"
    );
    assert!(said.contains("put it there, or name its place: `{ cert: ..., key: ... }`"), "{said}");
    let (code, said) = scene.check("{ cert: certs/a.crt, key: certs/private/a.key }", &["a.test"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Closes files and folders to the user of the image. Root leaves them as they are, and another user closes them
/// to itself.
fn closed(scene: &Scene, names: &[&str], folder: &str, hosts: &[&str]) -> (Option<i32>, String) {
    let is_root = rustix::process::geteuid().is_root();
    let close = |name: &&str| {
        let found = fs::metadata(scene.path(name)).unwrap();
        let as_left = if found.is_dir() { 0o700 } else { 0o600 };
        mode(&scene.path(name), if is_root { as_left } else { 0 });
        found.permissions().mode()
    };
    let before: Vec<u32> = names.iter().map(close).collect();
    let checked = scene.check_as(is_root.then_some(USER), folder, hosts);
    names.iter().zip(before).for_each(|(name, before)| mode(&scene.path(name), before));
    checked
}

#[test]
fn what_the_user_may_not_read_is_one_error() {
    let denied = "(the image runs as user 65532): Permission denied (os error 13)\n --> smolgate.yml:1:49\n";
    let hint = "let this user read the files and search their folders";
    let told = |(code, said): (Option<i32>, String), what: &str| {
        assert_eq!((code, said.matches("error: ").count()), (Some(1), 1), "{said}");
        let is_complete = said.contains(denied) && said.contains(hint);
        assert!(said.contains(&format!("error: {what} cannot be read by user ")) && is_complete, "{said}");
    };
    let scene = scene();
    certbot(&scene);
    // Hosts without a certificate are another error, which is not asked for here.
    let hosts = ["127.0.0.1"];
    let archive = scene.path("archive").canonicalize().unwrap().display().to_string();
    // As certbot leaves it.
    told(closed(&scene, &["archive", "live"], "certs/live", &hosts), "certs/live");
    let keys = ["archive/a.test/privkey1.pem", "archive/b.test/privkey1.pem"];
    keys.iter().for_each(|key| mode(&scene.path(key), 0o644));
    told(closed(&scene, &["archive"], "certs/live", &hosts), &archive);
    told(closed(&scene, &["archive"], "certs/live/a.test/fullchain.pem", &hosts), &archive);
    told(closed(&scene, &["live/a.test"], "certs/live", &hosts), "certs/live/a.test");
    let both = "certs/live/a.test/privkey.pem, certs/live/b.test/privkey.pem";
    told(closed(&scene, &keys, "certs/live", &hosts), both);
}
