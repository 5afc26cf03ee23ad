//! Files of a folder: what is found, what the head says, ranges and conditions, compressed forms, the fallback, and
//! long files over TCP and TLS.

#![cfg(feature = "files")]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use rustix::fs::{Advice, fadvise};
use support::folder::{Folder, request};
use support::message::Framing;
use support::{pattern, until};

/// A time with whole seconds, long ago.
fn long_ago(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds)
}

fn set_time(path: &std::path::Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_file_has_its_type_length_and_validators() {
    let folder = Folder::serve("");
    folder.file("a/b c.html", "<p>hello");
    set_time(&folder.path("a/b c.html"), long_ago(0));
    for target in
        ["/a/b%20c.html", "/%61/b%20c%2Ehtml?query", "/static/a/b%20c.html", "http://one.test/a/b%20c.html"]
    {
        let response = folder.get(target);
        response.expect(200, "<p>hello");
        assert_eq!(response.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(response.get("content-length"), Some("8"));
        assert_eq!(response.get("last-modified"), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
        assert_eq!(response.get("etag"), Some("\"8-de0b6b3a7640000\""));
        assert_eq!(response.get("accept-ranges"), Some("bytes"));
        assert_eq!(response.get("x-content-type-options"), Some("nosniff"));
        assert_eq!((response.get("vary"), response.get("cache-control")), (None, None));
        assert!(response.get("date").is_some());
    }
    let head = folder.gate.exchange(request("HEAD", "/a/b%20c.html", &["Range: bytes=1-2"]));
    assert_eq!((head.status(), head.get("content-length"), head.text()), (200, Some("8"), String::new()));
    let log = folder.log(5);
    assert_eq!((&log[0]["status"], &log[0]["reason"]), (&200.into(), &serde_json::Value::Null));
    assert!(log[0]["bytes_out"].as_u64().unwrap() > 200, "{}", log[0]);
}

#[test]
fn one_connection_gets_many_files() {
    let folder = Folder::serve("");
    folder.file("empty", "").file("short", "short").file("long", pattern(1, 500_000));
    let mut client = folder.gate.client();
    for _ in 0..3 {
        client.exchange(request("GET", "/empty", &[])).expect(200, "");
        client.exchange(request("GET", "/none", &[])).expect_own(404, "file_not_found");
        client.exchange(request("GET", "/long", &[])).expect(200, pattern(1, 500_000));
        client.exchange(request("HEAD", "/long", &[])).expect(200, "");
        client.exchange(request("GET", "/short", &[])).expect(200, "short");
    }
    let series = "smolgate_local_replies_total{reason=\"file_not_found\"}";
    assert_eq!(folder.gate.metric(series), 3.0);
}

#[test]
fn other_methods_are_refused() {
    let folder = Folder::serve("");
    folder.file("a", "a");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"] {
        let response = folder.gate.exchange(request(method, "/a", &["Content-Length: 0"]));
        response.expect_own(405, "request_method");
        assert_eq!(response.get("allow"), Some("GET, HEAD"), "{method}");
    }
    folder.gate.exchange("GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").expect(200, "a");
}

#[test]
fn a_folder_leads_to_its_index() {
    let folder = Folder::serve("index: [index.html, index.txt]");
    folder.file("index.html", "root").file("a/index.txt", "text").file("b/c", "").file("d/index.html/x", "");
    folder.get("/").expect(200, "root");
    folder.get("/static/").expect(200, "root");
    let index = folder.get("/a/");
    index.expect(200, "text");
    assert_eq!(index.get("cache-control"), Some("no-cache"));
    assert_eq!(folder.get("/index.html").get("cache-control"), Some("no-cache"));
    for (target, location) in
        [("/a", "/a/"), ("/static", "/static/"), ("/%61?b=//c", "/%61/?b=//c"), ("/static/a?", "/static/a/?")]
    {
        let response = folder.get(target);
        response.expect(308, "");
        assert_eq!(response.get("location"), Some(location), "{target}");
    }
    for target in ["/b/", "/d/", "/index.html/", "/a/index.txt/x", "/a/index.txt/"] {
        folder.get(target).expect_own(404, "file_not_found");
    }
}

#[test]
fn one_range_is_sent_and_several_are_not() {
    let folder = Folder::serve("");
    let bytes = pattern(2, 1_000_000);
    folder.file("file", &bytes).file("empty", "");
    for (range, part) in [
        ("0-0", 0..1),
        ("10-19", 10..20),
        ("999990-", 999_990..1_000_000),
        ("-5", 999_995..1_000_000),
        ("-2000000", 0..1_000_000),
        ("1-18446744073709551615", 1..1_000_000),
        ("70000-800000", 70_000..800_001),
    ] {
        let response = folder.get_with("/file", &[&format!("Range: bytes={range}")]);
        response.expect(206, &bytes[part.clone()]);
        let told = format!("bytes {}-{}/1000000", part.start, part.end - 1);
        assert_eq!(response.get("content-range"), Some(&*told), "{range}");
    }
    let many = format!("0-0{}", ",5-5".repeat(200));
    for range in ["0-0,5-5", "5-1", "x", &many] {
        let response = folder.get_with("/file", &[&format!("Range: bytes={range}")]);
        response.expect(200, &bytes);
        assert_eq!(response.get("content-range"), None);
    }
    for (target, range, told) in [
        ("/file", "1000000-", "bytes */1000000"),
        ("/file", "-0", "bytes */1000000"),
        ("/empty", "0-", "bytes */0"),
    ] {
        let response = folder.get_with(target, &[&format!("Range: bytes={range}")]);
        response.expect(416, "");
        assert_eq!(response.get("content-range"), Some(told), "{range}");
    }
    folder.get_with("/empty", &["Range: bytes=-5"]).expect(200, "");
}

#[test]
fn conditions_spare_what_the_client_has() {
    let folder = Folder::serve("precompressed: gz");
    folder.file("file", "0123456789").file("reproducible", "x");
    set_time(&folder.path("file"), long_ago(0));
    set_time(&folder.path("reproducible"), SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let first = folder.get("/file");
    let (tag, date) = (first.get("etag").unwrap(), first.get("last-modified").unwrap());
    let weak = format!("W/{tag}");
    let other = "If-None-Match: \"x\", \"y\"";
    for (lines, status) in [
        (vec![format!("If-None-Match: {tag}")], 304),
        (vec![format!("If-None-Match: \"x\", {weak}")], 304),
        (vec!["If-None-Match: \"x\"".into(), format!("If-None-Match: {tag}")], 304),
        (vec!["If-None-Match: *".into()], 304),
        (vec![other.into()], 200),
        (vec![other.into(), format!("If-Modified-Since: {date}")], 200),
        (vec![format!("If-Modified-Since: {date}")], 304),
        (vec!["If-Modified-Since: Sun, 09 Sep 2001 01:46:39 GMT".into()], 200),
        (vec!["If-Modified-Since: yesterday".into()], 200),
        (vec![format!("If-Match: {tag}")], 200),
        (vec![format!("If-Match: {weak}")], 412),
        (vec!["If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT".into()], 412),
        (vec!["Range: bytes=0-1".into(), format!("If-Range: {tag}")], 206),
        (vec!["Range: bytes=0-1".into(), format!("If-Range: {weak}")], 200),
        (vec!["Range: bytes=0-1".into(), format!("If-Range: {date}")], 206),
        (vec!["Range: bytes=0-1".into(), "If-Range: \"x\"".into()], 200),
        (vec!["Range: bytes=20-".into(), "If-Range: \"x\"".into()], 200),
        (vec!["Range: bytes=0-1".into(), format!("If-None-Match: {tag}")], 304),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let response = folder.get_with("/file", &lines);
        let body = match status {
            200 => "0123456789",
            206 => "01",
            _ => "",
        };
        response.expect(status, body);
        if status == 304 {
            assert_eq!((response.get("etag"), response.get("vary")), (Some(tag), Some("Accept-Encoding")));
            assert_eq!((response.get("content-length"), response.get("content-type")), (None, None));
        }
    }
    let unknown = folder.get("/reproducible");
    unknown.expect(200, "x");
    assert_eq!((unknown.get("etag"), unknown.get("last-modified")), (None, None));
}

#[test]
fn a_compressed_form_is_sent_if_it_is_accepted_and_not_old() {
    let folder = Folder::serve("precompressed: [br, gz]");
    folder.file("app.js", "plain").file("app.js.br", "brotli").file("app.js.gz", "gzip");
    folder
        .file("old.js", "plain")
        .file("old.js.gz", "gzip")
        .file("alone.js.gz", "gzip")
        .file("odd.js", "plain");
    fs::create_dir(folder.path("odd.js.gz")).unwrap();
    symlink("/etc/passwd", folder.path("odd.js.br")).unwrap();
    for (name, seconds) in
        [("app.js", 5), ("app.js.br", 5), ("app.js.gz", 6), ("old.js", 5), ("old.js.gz", 4)]
    {
        set_time(&folder.path(name), long_ago(seconds));
    }
    let mut tags = Vec::new();
    for (target, accept, coding, body) in [
        ("/app.js", "", None, "plain"),
        ("/app.js", "gzip, deflate, br", Some("br"), "brotli"),
        ("/app.js", "gzip", Some("gzip"), "gzip"),
        ("/app.js", "br;q=0, *", Some("gzip"), "gzip"),
        ("/app.js", "identity", None, "plain"),
        ("/old.js", "gzip", None, "plain"),
        ("/odd.js", "gzip, br", None, "plain"),
        ("/app.js.gz", "gzip", None, "gzip"),
    ] {
        let response = folder.get_with(target, &[&format!("Accept-Encoding: {accept}")]);
        response.expect(200, body);
        assert_eq!(response.get("content-encoding"), coding, "{target} {accept}");
        assert_eq!(response.get("vary"), Some("Accept-Encoding"));
        if target == "/app.js" {
            assert_eq!(response.get("content-type"), Some("text/javascript; charset=utf-8"));
            tags.push((coding.unwrap_or_default().to_owned(), response.get("etag").unwrap().to_owned()));
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each coding has a tag of its own: {tags:?}");
    assert!(tags.iter().any(|(coding, tag)| coding == "br" && tag.ends_with("-br\"")), "{tags:?}");
    let part = folder.get_with("/app.js", &["Accept-Encoding: br", "Range: bytes=0-1"]);
    part.expect(206, "br");
    assert_eq!((part.get("content-encoding"), part.get("content-range")), (Some("br"), Some("bytes 0-1/6")));
    folder.get_with("/alone.js", &["Accept-Encoding: gzip"]).expect_own(404, "file_not_found");
}

#[test]
fn the_fallback_is_for_pages_and_nothing_else() {
    let folder = Folder::serve("fallback: /app/index.html, immutable: [\"/assets/**\"], index: none");
    folder.file("app/index.html", "page").file("assets/a.js", "script").file(".env", "secret");
    let page = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
    for target in ["/users/7", "/", "/assets/missing.js", "/.env", "/a%00", "/static/x"] {
        let response = folder.get_with(target, &[page]);
        response.expect(200, "page");
        assert_eq!(response.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!((response.get("cache-control"), response.get("vary")), (Some("no-cache"), Some("Accept")));
    }
    for accept in ["Accept: */*", "Accept: text/javascript", "Accept: text/html;q=0, */*", "X: y"] {
        let response = folder.get_with("/assets/missing.js", &[accept]);
        response.expect_own(404, "file_not_found");
        assert_eq!(response.get("vary"), Some("Accept"), "{accept}");
    }
    let script = folder.get_with("/assets/a.js", &[page]);
    script.expect(200, "script");
    assert_eq!(script.get("vary"), None);
    assert_eq!(script.get("cache-control"), Some("public, max-age=31536000, immutable"));
    folder
        .gate
        .exchange(request("POST", "/users/7", &[page, "Content-Length: 0"]))
        .expect_own(405, "request_method");
}

/// Most of it is more than the kernel takes at once, and the client reads late.
#[test]
fn a_long_file_is_sent_to_a_slow_client_over_tcp_and_tls() {
    let folder = Folder::serve("");
    let bytes = pattern(3, 20_000_000);
    folder.file("long", &bytes);
    for mut client in [folder.gate.client(), folder.tls_client()] {
        for (lines, part) in
            [(&[][..], 0..bytes.len()), (&["Range: bytes=65537-19999000"], 65_537..19_999_001)]
        {
            client.send(request("GET", "/long", lines));
            let head = client.read_head();
            assert_eq!(head.get("content-length"), Some(&*part.len().to_string()));
            folder.get("/none").expect_own(404, "file_not_found");
            let body = client.read_body(Framing::Length(part.len()));
            assert!(body.fault.is_none() && body.bytes == bytes[part], "{:?}", body.fault);
        }
        client.exchange(request("GET", "/none", &[])).expect_own(404, "file_not_found");
        let closes = client.exchange(request("GET", "/long", &["Connection: close"]));
        closes.expect(200, &bytes);
    }
    let sent: u64 = folder.log(10).iter().map(|line| line["bytes_out"].as_u64().unwrap()).sum();
    assert!(sent > 6 * 19_000_000, "{sent}");
}

/// Pages that were dropped from memory are read by another thread.
#[test]
fn a_file_that_is_not_in_memory_is_sent_too() {
    let folder = Folder::serve("");
    for (name, length) in [("short", 40_000), ("long", 3_000_000)] {
        let bytes = pattern(4, length);
        folder.file(name, &bytes);
        let file = File::open(folder.path(name)).unwrap();
        for tls in [false, true] {
            file.sync_all().unwrap();
            fadvise(&file, 0, None, Advice::DontNeed).unwrap();
            let mut client = if tls { folder.tls_client() } else { folder.gate.client() };
            client.exchange(request("GET", &format!("/{name}"), &[])).expect(200, &bytes);
        }
    }
}

#[test]
fn a_folder_is_listed_if_that_is_wanted() {
    let folder = Folder::serve("list: true");
    folder.file("b/x", "").file("a.txt", "12345").file(".hidden", "").file("z/index.html", "index");
    folder.link("out", "/etc").link("in", "b");
    let listing = folder.get("/");
    assert_eq!(listing.status(), 200);
    assert_eq!(listing.get("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(listing.get("content-security-policy"), Some("default-src 'none'; style-src 'unsafe-inline'"));
    assert_eq!((listing.get("cache-control"), listing.get("vary")), (Some("no-cache"), Some("Accept")));
    let text = listing.text();
    let places: Vec<_> = ["./b/\"", "./in/\"", "./z/\"", "./a.txt\">a.txt</a></td><td>5 B<"]
        .map(|part| text.find(part))
        .into();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    assert!(!text.contains("hidden") && !text.contains("out"), "{text}");
    let json = folder.get_with("/", &["Accept: application/json"]);
    let page: serde_json::Value = serde_json::from_slice(&json.body.bytes).unwrap();
    let names: Vec<_> =
        page["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["b", "in", "z", "a.txt"]);
    folder.get("/z/").expect(200, "index");
    folder.gate.exchange(request("HEAD", "/b/", &[])).expect(200, "");
    assert_eq!(folder.get("/b").status(), 308);
    assert!(folder.get("/b/").text().contains("href=\"../\""));
}

#[test]
fn a_reload_changes_what_is_served() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("a"), name).unwrap();
    }
    let config = "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes: [{ files: \"{root}\" }]\n";
    let root = |name: &str| dir.path().join(name).display().to_string();
    let gate = support::gate::TestGate::start(config, &[("root", &root("one"))]);
    gate.exchange(request("GET", "/a", &[])).expect(200, "one");
    gate.edit(config, &[("root", &root("two"))]);
    gate.reload().unwrap();
    gate.exchange(request("GET", "/a", &[])).expect(200, "two");
}

/// A deployment swaps a link, or makes the folder anew. No reload is needed.
#[test]
fn a_root_that_is_swapped_is_seen_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("a"), name).unwrap();
    }
    let current = dir.path().join("current");
    let config = "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes: [{ files: \"{root}\" }]\n";
    symlink("one", &current).unwrap();
    let gate = support::gate::TestGate::start(config, &[("root", &current.display())]);
    let mut client = gate.client();
    client.exchange(request("GET", "/a", &[])).expect(200, "one");
    symlink("two", dir.path().join("next")).unwrap();
    fs::rename(dir.path().join("next"), &current).unwrap();
    client.exchange(request("GET", "/a", &[])).expect(200, "two");
    fs::remove_file(&current).unwrap();
    client.exchange(request("GET", "/a", &[])).expect_own(503, "file_failed");
    fs::write(&current, "a file").unwrap();
    client.exchange(request("GET", "/a", &[])).expect_own(503, "file_failed");
    fs::remove_file(&current).unwrap();
    fs::create_dir(&current).unwrap();
    client.exchange(request("GET", "/a", &[])).expect_own(404, "file_not_found");
    fs::write(current.join("a"), "three").unwrap();
    until("the new file is served", || client.exchange(request("GET", "/a", &[])).status() == 200);
}

/// The fields of policies stand in responses with files, and limits hold.
#[test]
fn policies_hold_for_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let config = "http_config: { port: \"127.0.0.1:0\" }\n\
                  http_routes:\n\
                  - { path_prefix: /few, strip_path_prefix: true, files: \"{dir}\", rate_limit: 1/1h }\n\
                  - { files: \"{dir}\", cors: \"https://app.example\" }\n";
    let gate = support::gate::TestGate::start(config, &[("dir", &dir.path().display())]);
    let origin = "Origin: https://app.example";
    for (target, lines, status) in
        [("/a", &[origin][..], 200), ("/a", &[origin, "If-None-Match: *"], 304), ("/none", &[origin], 404)]
    {
        let response = gate.exchange(request("GET", target, lines));
        assert_eq!(response.status(), status);
        assert_eq!(response.get("access-control-allow-origin"), Some("https://app.example"), "{response:?}");
    }
    gate.exchange(request("GET", "/few/a", &[])).expect(200, "a");
    assert_eq!(gate.exchange(request("GET", "/few/a", &[])).status(), 429);
}
