//! Files under `curl`: a resumed download, a conditional one, a compressed one, a redirect that is followed.
//!
//! Without `curl`, the test says so on standard error and proves nothing.

#![cfg(feature = "files")]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::folder::Folder;
use support::pattern;

#[test]
fn curl_resumes_asks_again_and_follows() {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no `curl` on this machine; this test proves nothing here");
        return;
    }
    let folder = Folder::serve("precompressed: gz");
    let bytes = pattern(9, 3_000_000);
    folder.file("big", &bytes).file("sub/index.html", "index").file("a.txt", "plain");
    let plain = folder.path("a.txt");
    let compressed = Command::new("gzip").args(["--keep", "--no-name"]).arg(&plain).status();
    let origin = format!("http://{}", folder.gate.address("http"));
    let target = folder.dir().join("target");
    let (target, tag) = (target.to_str().unwrap(), folder.dir().join("tag"));
    let tag = tag.to_str().unwrap();
    let curl = |arguments: &[&str]| {
        let arguments = arguments.iter().map(|argument| argument.replace("{}", &origin));
        let output = Command::new("curl")
            .args(["--disable", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
            .args(["--output", target, "--write-out", "%{http_code} %{size_download} %{num_redirects}"])
            .args(arguments)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        told
    };
    fs::write(target, &bytes[..1_000_000]).unwrap();
    assert_eq!(curl(&["--continue-at", "-", "{}/big"]), "206 2000000 0");
    assert!(fs::read(target).unwrap() == bytes);
    assert_eq!(curl(&["--range", "-5", "{}/big"]), "206 5 0");
    assert_eq!(curl(&["--head", "{}/big"]).split(' ').next(), Some("200"));
    assert_eq!(curl(&["--etag-save", tag, "{}/big"]), "200 3000000 0");
    assert_eq!(curl(&["--etag-compare", tag, "{}/big"]), "304 0 0");
    assert_eq!(curl(&["--time-cond", folder.path("big").to_str().unwrap(), "{}/big"]), "304 0 0");
    assert_eq!(curl(&["--location", "{}/sub"]), "200 5 1");
    assert_eq!(fs::read(target).unwrap(), b"index");
    if compressed.is_ok_and(|status| status.success()) {
        assert_eq!(curl(&["--compressed", "{}/a.txt"]).split(' ').next(), Some("200"));
        assert_eq!(fs::read(target).unwrap(), b"plain");
        assert_eq!(curl(&["--head", "--compressed", "{}/a.txt"]).split(' ').next(), Some("200"));
        let head = fs::read_to_string(target).unwrap();
        assert!(head.contains("Content-Encoding: gzip\r\n"), "{head}");
    }
    assert_eq!(curl(&["--path-as-is", "{}/../../../etc/passwd"]).split(' ').next(), Some("400"));
}
