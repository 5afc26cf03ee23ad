//! Requests for what is not below the root, or is no file, or changes while it is sent.

#![cfg(feature = "files")]

mod support;

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use support::folder::{Folder, request};
use support::message::Framing;
use support::pattern;
use support::wire::End;

const SECRET: &str = "a secret beside the root";

/// A folder with a secret beside it, and a file of that name in it that is none.
fn serve(settings: &str) -> Folder {
    let folder = Folder::serve(settings);
    fs::write(folder.dir().join("secret"), SECRET).unwrap();
    folder.file("index.html", "index").file("a/index.html", "a").file("a/file.html", "file");
    folder
}

#[test]
fn no_spelling_of_a_path_leads_out() {
    let folder = serve("list: true");
    folder.file("%2e%2e/secret", "literal").file("a\\b", "backslash").file("..;/x", "");
    for (target, status) in [
        ("/../secret", 400),
        ("/%2e%2e/secret", 400),
        ("/.%2E/secret", 400),
        ("/..%2fsecret", 400),
        ("/a/..%2f..%2fsecret", 400),
        ("/..;/secret", 400),
        ("/\\..\\secret", 400),
        ("/a/..%5c..%5csecret", 400),
        ("/%5c%2e%2e%5csecret", 400),
        ("/./secret", 400),
        ("/a/.%00/secret", 400),
        ("/a%00.html", 404),
        ("/index.html%00", 404),
        ("//secret", 404),
        ("//etc/passwd", 404),
        ("///", 404),
        ("/a//file.html", 404),
        ("/a%2ffile.html", 404),
        ("/%2fetc/passwd", 404),
        ("/%", 404),
        ("/%zz", 404),
        ("/%c0%ae%c0%ae/secret", 404),
        ("/%c0%afetc/passwd", 404),
        ("/%uff0e%uff0e/secret", 404),
        ("/static../secret", 404),
        ("/static/../secret", 400),
        ("/static/..%2f..%2fsecret", 400),
        ("/static%2f..%2fsecret", 400),
        ("/secret", 404),
        ("//evil.example/", 404),
        ("//evil.example", 404),
    ] {
        let response = folder.get(target);
        assert_eq!(response.status(), status, "{target}: {response:?}");
        assert!(!response.text().contains(SECRET), "{target}");
    }
    folder.get("/%252e%252e/secret").expect(200, "literal");
    folder.get("/a%5Cb").expect(200, "backslash");
    folder.get("/a\\b").expect(200, "backslash");
    // Neither is taken for another host.
    folder.file("\\evil.example/x", "");
    assert_eq!(folder.get("/\\evil.example").get("location"), Some("/%5Cevil.example/"));
}

#[test]
fn names_that_are_too_long_are_not_found() {
    let folder = serve("");
    let (name, path) = ("n".repeat(256), "/d".repeat(3_000));
    for target in [format!("/{name}"), path, format!("/{name}/"), format!("/a/{}", "%41".repeat(300))] {
        folder.get(&target).expect_own(404, "file_not_found");
    }
}

#[test]
fn links_are_followed_as_far_as_is_configured() {
    let links: [(&str, &str, [u16; 3]); 9] = [
        // With `inside`, `none` and `anywhere`.
        ("to_file", "a/file.html", [200, 404, 200]),
        ("to_folder", "a", [308, 404, 308]),
        ("to_secret", "../secret", [404, 404, 200]),
        ("to_etc", "/etc/passwd", [404, 404, 200]),
        ("up", "../..", [404, 404, 308]),
        ("around", "../root/a/file.html", [404, 404, 200]),
        ("itself", "itself", [404, 404, 404]),
        ("nowhere", "none", [404, 404, 404]),
        ("descriptor", "/proc/self/fd/0", [404, 404, 404]),
    ];
    for (index, word) in ["inside", "none", "anywhere"].into_iter().enumerate() {
        let folder = serve(&format!("symlinks: {word}"));
        for (name, target, _) in links {
            folder.link(name, target);
        }
        for (name, _, statuses) in links {
            // Only the kernel tells links of processes from others.
            if name == "descriptor" && cfg!(portable) {
                continue;
            }
            let response = folder.get(&format!("/{name}"));
            assert_eq!(response.status(), statuses[index], "{name} with {word}: {response:?}");
        }
        let below = folder.get("/to_folder/file.html").status();
        assert_eq!(below, if word == "none" { 404 } else { 200 }, "{word}");
    }
}

/// A client is not told that there is a file which it may not have. The log tells it.
#[test]
fn what_is_kept_from_clients_looks_as_if_it_were_missing() {
    let folder = serve("hidden: [\".*\", \"*~\", \"*.bak\", secret*]");
    for name in [
        ".env",
        ".git/config",
        "a/.b/c",
        "index.html~",
        "x.bak",
        "secrets.txt",
        ".well-known/x",
        ".well-known/.y",
    ] {
        folder.file(name, SECRET);
    }
    folder.link("out", "../secret");
    let targets = [
        "/.env",
        "/.git/config",
        "/.git/",
        "/a/.b/c",
        "/index.html~",
        "/x.bak",
        "/X.BAK",
        "/secrets.txt",
        "/%2eenv",
        "/.ENV",
        "/.well-known/.y",
        "/a/.well-known/x",
        "/out",
    ];
    for target in targets {
        let (kept, missing) = (folder.get(target), folder.get("/missing"));
        kept.expect_own(404, "file_not_found");
        let fields = |response: &support::message::Response| {
            let fields = response.head.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
            format!("{:?} {}", fields.collect::<Vec<_>>(), response.text())
        };
        assert_eq!(fields(&kept), fields(&missing), "{target}");
    }
    folder.get("/.well-known/x").expect(200, SECRET);
    let log = folder.log(targets.len() * 2 + 1);
    let forbidden =
        log.iter().filter(|line| line["reason"] == "file_forbidden" && line["status"] == 404).count();
    assert_eq!(forbidden, targets.len());
}

/// Neither a FIFO without a writer nor a device keeps the worker, nor a socket.
#[test]
fn only_files_and_folders_are_served() {
    let folder = serve("symlinks: anywhere, list: true");
    assert!(Command::new("mkfifo").arg(folder.path("fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(folder.path("socket")).unwrap();
    folder.link("zero", "/dev/zero").link("tty", "/dev/tty").link("null", "/dev/null");
    for target in ["/fifo", "/socket", "/zero", "/tty", "/null", "/fifo/", "/index.html/", "/index.html/x"] {
        folder.get(target).expect_own(404, "file_not_found");
    }
    folder.file("list/x", "");
    assert!(Command::new("mkfifo").arg(folder.path("list/fifo")).status().unwrap().success());
    assert!(!folder.get("/list/").text().contains("fifo"));
}

/// A file that may not be read is not told from one that is missing. Root may read all.
#[test]
fn a_file_without_permission_is_not_found() {
    use std::os::unix::fs::PermissionsExt;
    let folder = serve("");
    folder.file("closed", SECRET);
    fs::set_permissions(folder.path("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(folder.path("closed")).is_err() {
        folder.get("/closed").expect_own(404, "file_not_found");
    }
}

#[test]
fn names_in_a_listing_are_no_markup_and_lead_to_their_files() {
    let folder = serve("list: true");
    for name in [
        "<script>alert(1)<",
        "\"onclick=\"x",
        "a\nb\r\nSet-Cookie: c",
        "%2e%2e",
        "javascript:x",
        "a?b#c",
        "&lt;",
    ] {
        folder.file(&format!("list/{name}"), name);
    }
    let odd = folder.path("list").join(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
    fs::write(odd, "bytes").unwrap();
    let listing = folder.get("/list/");
    let page = listing.text();
    assert!(!page.contains("<script") && !page.contains("\"onclick") && !page.contains("\nb"), "{page}");
    assert_eq!(listing.get("set-cookie"), None);
    let hrefs: Vec<&str> =
        page.split("href=\"./").skip(1).map(|part| part.split('"').next().unwrap()).collect();
    assert_eq!(hrefs.len(), 8, "{page}");
    for href in hrefs {
        assert_eq!(folder.get(&format!("/list/{href}")).status(), 200, "{href}");
    }
}

#[test]
fn many_ranges_and_huge_ones_cost_no_more_than_one() {
    let folder = serve("");
    let bytes = pattern(1, 100_000);
    folder.file("file", &bytes);
    for (range, status) in [
        ("0-18446744073709551615".to_owned(), 206),
        ("0-340282366920938463463374607431768211456".to_owned(), 206),
        ("18446744073709551615-".to_owned(), 416),
        (format!("0-{}", ",0-".repeat(2_000)), 200),
        (format!("-1{}", ",-1".repeat(199)), 200),
    ] {
        let response = folder.get_with("/file", &[&format!("Range: bytes={range}")]);
        let body = if status == 416 { &[][..] } else { &bytes };
        response.expect(status, body);
    }
}

/// The link is a folder inside and the way out in turn. Each response is the file inside, or none.
#[test]
fn a_link_that_is_swapped_meanwhile_leads_nowhere_else() {
    let folder = serve("");
    fs::create_dir(folder.dir().join("out")).unwrap();
    fs::write(folder.dir().join("out/file.html"), SECRET).unwrap();
    fs::create_dir(folder.dir().join("spare")).unwrap();
    let swapping = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = folder.dir().join("spare/next");
            while swapping.load(Ordering::Relaxed) {
                for target in ["a", "../out"] {
                    symlink(target, &next).unwrap();
                    fs::rename(&next, folder.path("link")).unwrap();
                }
            }
        });
        let (mut client, mut seen) = (folder.gate.client(), [0; 2]);
        for _ in 0..3_000 {
            let response = client.exchange(request("GET", "/link/file.html", &[]));
            match response.status() {
                200 => assert_eq!(response.text(), "file"),
                status => assert_eq!(status, 404),
            }
            seen[usize::from(response.status() == 200)] += 1;
        }
        swapping.store(false, Ordering::Relaxed);
        assert!(seen.iter().all(|seen| *seen > 0), "both states were seen: {seen:?}");
    });
}

/// The folder of a link with `..` moves while it is looked up, so that its parent is another one.
#[test]
fn a_folder_that_moves_meanwhile_leads_nowhere_else() {
    let folder = serve("");
    folder.file("deep/er/x", "").file("secret", "inside");
    folder.link("deep/er/up", "../../secret");
    let moving = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while moving.load(Ordering::Relaxed) {
                // Now `../..` of `er` would be the folder with the secret.
                fs::rename(folder.path("deep/er"), folder.path("er")).unwrap();
                fs::rename(folder.path("er"), folder.path("deep/er")).unwrap();
            }
        });
        let mut client = folder.gate.client();
        for _ in 0..3_000 {
            for target in ["/deep/er/up", "/er/up"] {
                let response = client.exchange(request("GET", target, &[]));
                assert!(!response.text().contains(SECRET), "{response:?}");
            }
        }
        moving.store(false, Ordering::Relaxed);
    });
}

/// The length was announced, so the client must see that the end is missing: no padding, no next response.
#[test]
fn a_file_that_becomes_shorter_cuts_the_connection() {
    let folder = serve("");
    for tls in [false, true] {
        let length = 200_000_000;
        folder.file("long", "");
        let file = File::options().write(true).open(folder.path("long")).unwrap();
        file.set_len(length).unwrap();
        let mut client = if tls { folder.tls_client() } else { folder.gate.client() };
        client.send(request("GET", "/long", &[]));
        let head = client.read_head();
        assert_eq!(head.get("content-length"), Some(&*length.to_string()));
        client.read_exact(100_000);
        file.set_len(1_000).unwrap();
        let body = client.read_body(Framing::Length(length as usize - 100_000));
        assert!(body.fault.is_some(), "{} bytes", body.bytes.len());
        assert!(body.bytes.iter().all(|byte| *byte == 0), "only bytes of the file");
    }
    let log = folder.log(2);
    assert!(log.iter().all(|line| line["reason"] == "file_shrunk" && line["status"] == 200), "{log:?}");
    folder.get("/a/file.html").expect(200, "file");
}

/// A file that grows is sent as long as it was.
#[test]
fn a_file_that_becomes_longer_is_sent_as_it_was_announced() {
    let folder = serve("");
    let length = 100_000_000;
    folder.file("long", "");
    let file = File::options().write(true).open(folder.path("long")).unwrap();
    file.set_len(length).unwrap();
    let mut client = folder.gate.client();
    client.send(request("GET", "/long", &[]));
    assert_eq!(client.read_head().get("content-length"), Some(&*length.to_string()));
    file.set_len(2 * length).unwrap();
    let body = client.read_body(Framing::Length(length as usize));
    assert!(body.fault.is_none(), "{:?}", body.fault);
    client.exchange(request("GET", "/a/file.html", &[])).expect(200, "file");
}

/// A client that reads nothing is given up after `body_timeout`.
#[test]
fn a_client_that_does_not_read_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    File::create(dir.path().join("long")).unwrap().set_len(200_000_000).unwrap();
    let config = "access_log: \"{dir}/log\"\nhttp_config: { port: \"127.0.0.1:0\" }\n\
                  http_routes: [{ files: \"{dir}\", body_timeout: 300ms }]\n";
    let gate = support::gate::TestGate::start(config, &[("dir", &dir.path().display())]);
    let mut client = gate.client();
    client.send(request("GET", "/long", &[]));
    let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
    support::until("the log tells it", || log().contains("client_stalled"));
    client.read_head();
    let body = client.read_body(Framing::Length(200_000_000));
    assert!(body.fault.is_some());
    let _ = End::Clean;
}

/// `/%40` is no spelling of `/@` to a rule, and is one to a file system. A rule that refuses a path is not gone around.
#[test]
fn a_rule_that_refuses_a_path_holds_for_its_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("@private")).unwrap();
    fs::write(dir.path().join("@private/file"), SECRET).unwrap();
    let config = "http_config: { port: \"127.0.0.1:0\" }\n\
                  http_routes:\n\
                  - { path_prefix: /@private, respond: { status: 403 } }\n\
                  - { path_prefix: /s, strip_path_prefix: true, files: \"{dir}\" }\n\
                  - { files: \"{dir}\" }\n";
    let gate = support::gate::TestGate::start(config, &[("dir", &dir.path().display())]);
    gate.exchange(request("GET", "/@private/file", &[])).expect(403, "");
    for target in ["/%40private/file", "/%40%70rivate/file"] {
        gate.exchange(request("GET", target, &[])).expect_own(400, "path_ambiguous");
    }
    // Another path by its own rule, which is as it was written.
    gate.exchange(request("GET", "/s/@private/file", &[])).expect(200, SECRET);
}
