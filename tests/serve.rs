//! `smolgate serve`: a folder at once.

#![cfg(feature = "files")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::client::Client;
use support::folder::request;

fn serve(arguments: &[&str], folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    command.arg("serve").args(arguments).current_dir(folder).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_folder_is_served_and_listed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a $HOME \"b\"");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("page.html"), "<p>page").unwrap();
    for (arguments, folder) in [(&["a $HOME \"b\""][..], dir.path()), (&["--port", "0"], root.as_path())] {
        let mut program = serve(arguments, folder);
        let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let (told, url) = first.split_once(" at http://").unwrap();
        assert_eq!(told, format!("serving {}", root.canonicalize().unwrap().display()));
        let address: SocketAddr = url.strip_suffix('/').unwrap().parse().unwrap();
        assert!(address.ip().is_loopback());
        let mut client = Client::connect(address);
        client.exchange(request("GET", "/page.html", &[])).expect(200, "<p>page");
        let list = client.exchange(request("GET", "/", &[]));
        assert!(list.text().contains("./page.html") && list.text().contains("./sub/"), "{list:?}");
        client.exchange(request("GET", "/none", &[])).expect_own(404, "file_not_found");
        for part in ["one.test/page.html", "one.test/", "one.test/none"] {
            let line = lines.next().unwrap().unwrap();
            assert!(line.contains(part), "{line}");
        }
        kill_process(Pid::from_child(&program), Signal::TERM).unwrap();
        assert!(program.wait().unwrap().success());
    }
}

#[test]
fn a_folder_that_is_none_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    for name in ["file", "missing"] {
        let output = serve(&[name], dir.path()).wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("{name} cannot be served: ")), "{told}");
    }
}
