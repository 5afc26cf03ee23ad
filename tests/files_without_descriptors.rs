//! No file descriptor is left to open a file. The gate answers 503, and serves again when there are some.
//!
//! It is alone in its file, because it lowers a limit of its process.

#![cfg(feature = "files")]

mod support;

use std::fs::{self, File};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::folder::request;
use support::gate::TestGate;

#[test]
fn a_file_is_not_opened_without_a_descriptor_and_is_later() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let config = "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes: [{ files: \"{dir}\" }]\n";
    let gate = TestGate::start(config, &[("dir", &dir.path().display())]);
    let mut client = gate.client();
    client.exchange(request("GET", "/a", &[])).expect(200, "a");
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(256), maximum: limit.maximum }).unwrap();
    let mut taken: Vec<File> = Vec::new();
    // One descriptor is enough for the root, and not for the file.
    for left in [0, 1] {
        // Other threads of the gate may close one meanwhile. Then the file is served, and the test takes that one too.
        let refused = (0..1000).any(|_| {
            taken.extend(std::iter::from_fn(|| File::open("/dev/null").ok()));
            taken.truncate(taken.len() - left);
            let response = client.exchange(request("GET", "/a", &[]));
            if response.status() == 200 {
                return false;
            }
            response.expect_own(503, "file_failed");
            true
        });
        assert!(refused, "the file is served with {left} descriptors left");
    }
    drop(taken);
    client.exchange(request("GET", "/a", &[])).expect(200, "a");
}
