//! A gate that serves a folder of its own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::client::Client;
use super::gate::TestGate;
use super::message::Response;
use super::tls::{Authority, Tls};

const CONFIG: &str = r#"
access_log: "{dir}/access.log"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: &rules
      - path_prefix: "/static"
        strip_path_prefix: true
        files: &files { root: "{root}", {settings} }
      - files: *files
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/one.crt" }
    rules: *rules
"#;

/// A gate that serves the folder `root` of a scratch directory, also below `/static`.
pub struct Folder {
    pub gate: TestGate,
    dir: TempDir,
    authority: Authority,
}

impl Folder {
    /// Serves an empty folder with these keys of `files`.
    #[track_caller]
    pub fn serve(settings: &str) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("root")).unwrap();
        let authority = Authority::new(dir.path(), "ca.pem");
        authority.issue(dir.path(), "one", &["one.test"]);
        let gate = TestGate::start(
            CONFIG,
            &[
                ("dir", &dir.path().display()),
                ("root", &dir.path().join("root").display()),
                ("settings", &settings),
            ],
        );
        Folder { gate, dir, authority }
    }

    /// The scratch directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path below the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join("root").join(name)
    }

    /// Writes a file below the root, and the folders to it.
    #[track_caller]
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Folder {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Makes a link below the root.
    #[track_caller]
    pub fn link(&self, name: &str, target: impl AsRef<Path>) -> &Folder {
        symlink(target, self.path(name)).unwrap();
        self
    }

    /// A GET on a connection of its own, with more lines of the head.
    #[track_caller]
    pub fn get_with(&self, target: &str, lines: &[&str]) -> Response {
        self.gate.exchange(request("GET", target, lines))
    }

    /// A GET on a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.get_with(target, &[])
    }

    /// A TLS connection.
    #[track_caller]
    pub fn tls_client(&self) -> Client {
        let config = Arc::new(self.authority.client(&["http/1.1"]));
        Tls::connect(self.gate.address("https"), &config, "one.test").unwrap().client()
    }

    /// The lines of the access log, once there are `count`.
    #[track_caller]
    pub fn log(&self, count: usize) -> Vec<serde_json::Value> {
        let read = || fs::read_to_string(self.dir().join("access.log")).unwrap_or_default();
        super::until("the lines of the access log are there", || read().lines().count() >= count);
        read().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The bytes of a request.
pub fn request(method: &str, target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: one.test\r\n{lines}\r\n")
}
