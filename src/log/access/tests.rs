//! Tests of access log lines, byte for byte, and of their destinations.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, UNIX_EPOCH};

use super::combined::write_line as combined;
use super::json::write_line as json;
use super::record::VALUE_BYTES_MAX;
use super::*;
use crate::config::plan::{self, AccessLogFormat, AccessLogTo, TargetAddress};
use crate::metrics::Counters;
use crate::reason::Reason;

const TARGET: TargetAddress = TargetAddress::Ip(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8083)));

pub(super) fn record() -> AccessRecord<'static> {
    AccessRecord {
        time: UNIX_EPOCH + Duration::from_millis(1_709_210_096_007),
        listener: "http",
        rule: "admin.localhost/users",
        client: IpAddr::from([192, 0, 2, 7]),
        host: b"admin.localhost:8021",
        request: Some(request()),
        bytes_in: 120,
        bytes_out: 4_321,
        duration: Duration::from_nanos(1_234_567),
        upstream: Some("users"),
        target_address: Some(&TARGET),
        tls: None,
        reason: None,
    }
}

fn request() -> AccessRequest<'static> {
    AccessRequest {
        method: b"GET",
        target: b"/users/7?q=a%20b",
        version: "HTTP/1.1",
        status: 200,
        user_agent: b"curl/8.5.0",
        referer: b"",
        request_id: b"",
        traceparent: b"",
        user: b"",
    }
}

/// A name of a user can end neither its field nor the line.
#[test]
fn a_user_is_in_every_format() {
    let named = |user| AccessRecord { request: Some(AccessRequest { user, ..request() }), ..record() };
    assert!(line(json, &named(b"ann \"\n")).contains(r#","user":"ann \"\n"}"#));
    assert!(line(combined, &named(b"ann lee\n")).starts_with(r"192.0.2.7 - ann\x20lee\x0A [29/Feb"));
    assert!(line(plain, &named(b"ann lee")).contains(r"/users/7?q=a%20b  @ann\x20lee  -> users"));
    let nameless = named(b"");
    assert!(
        line(combined, &nameless).starts_with("192.0.2.7 - - [")
            && !line(json, &nameless).contains("user\":")
    );
    assert!(!line(plain, &nameless).contains('@'));
}

fn line(format: fn(&AccessRecord<'_>, &mut Vec<u8>) -> io::Result<()>, record: &AccessRecord<'_>) -> String {
    let mut line = Vec::new();
    format(record, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn json_line() {
    assert_eq!(
        line(json, &record()),
        concat!(
            r#"{"time":"2024-02-29T12:34:56.007Z","listener":"http","rule":"admin.localhost/users","#,
            r#""client":"192.0.2.7","method":"GET","host":"admin.localhost:8021","target":"/users/7?q=a%20b","#,
            r#""version":"HTTP/1.1","status":200,"bytes_in":120,"bytes_out":4321,"duration_ms":1.234,"#,
            r#""upstream":"users","target_address":"127.0.0.1:8083","user_agent":"curl/8.5.0","referer":""}"#,
            "\n"
        )
    );
}

#[test]
fn json_line_over_tls() {
    let record = AccessRecord { tls: Some(("TLSv1.3", "TLS13_AES_128_GCM_SHA256")), ..record() };
    let value: serde_json::Value = serde_json::from_str(&line(json, &record)).unwrap();
    assert_eq!(value["tls_version"], "TLSv1.3");
    assert_eq!(value["tls_cipher"], "TLS13_AES_128_GCM_SHA256");
}

#[test]
fn json_line_of_a_local_reply_and_of_hostile_bytes() {
    let record = AccessRecord {
        upstream: None,
        target_address: None,
        reason: Some(Reason::NoRule),
        request: Some(AccessRequest { status: 404, user_agent: b"a\"b\\c\n\x1b[31m\xff", ..request() }),
        ..record()
    };
    let line = line(json, &record);
    assert_eq!(line.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["reason"], "no_rule");
    assert_eq!(value.get("upstream"), None);
    assert_eq!(value["user_agent"], "a\"b\\c\n\u{1b}[31m\u{fffd}");
    assert!(!line.contains('\x1b'));
}

#[test]
fn combined_line() {
    assert_eq!(
        line(combined, &record()),
        "192.0.2.7 - - [29/Feb/2024:12:34:56 +0000] \"GET /users/7?q=a%20b HTTP/1.1\" 200 4321 \"-\" \"curl/8.5.0\"\n"
    );
    let request = AccessRequest { referer: b"x\" \\\n\x1b\xe9", ..request() };
    let hostile = AccessRecord { request: Some(request), ..record() };
    assert!(line(combined, &hostile).contains(r#" "x\x22 \x5C\x0A\x1B\xE9" "#));
}

fn plain(record: &AccessRecord<'_>, line: &mut Vec<u8>) -> io::Result<()> {
    human::write_line(record, false, line)
}

#[test]
fn human_line() {
    assert_eq!(
        line(plain, &record()),
        "12:34:56  200  GET        4.3kB    1.2ms  192.0.2.7        admin.localhost:8021/users/7?q=a%20b  -> users\n"
    );
    let request = AccessRequest { method: b"OPTIONS", target: b"*", status: 503, ..request() };
    let failed = AccessRecord {
        reason: Some(Reason::NoTarget),
        request: Some(request),
        bytes_out: 126,
        duration: Duration::from_secs(10),
        ..record()
    };
    assert_eq!(
        line(plain, &failed),
        "12:34:56  503  OPTIONS     126B      10s  192.0.2.7        admin.localhost:8021 *  -> users  no_target\n"
    );
    let hostile = AccessRecord { host: b"x\n\x1b[2J", upstream: None, ..failed };
    assert!(line(plain, &hostile).ends_with("  x\\x0A\\x1B[2J *  no_target\n"));
}

#[test]
fn a_human_line_tells_https_from_http() {
    let record = AccessRecord { tls: Some(("TLSv1.3", "TLS13_AES_128_GCM_SHA256")), ..record() };
    assert!(line(plain, &record).contains("  https://admin.localhost:8021/users/7?"));
}

#[test]
fn a_human_line_has_colours_where_they_are_wanted() {
    for (status, reason, colour) in [
        (200, None, "32"),
        (308, None, "36"),
        (404, Some(Reason::NoRule), "33"),
        (502, Some(Reason::ConnectRefused), "31"),
        // It began well, and then broke off.
        (200, Some(Reason::ResponseTruncated), "31"),
    ] {
        let request = AccessRequest { status, ..request() };
        let record = AccessRecord { request: Some(request), reason, ..record() };
        let mut coloured = Vec::new();
        human::write_line(&record, true, &mut coloured).unwrap();
        let coloured = String::from_utf8(coloured).unwrap();
        assert!(coloured.contains(&format!("  \x1b[{colour}m{status}\x1b[0m  GET")), "{coloured:?}");
        let code = reason.map(|reason| format!("\x1b[{colour}m{}\x1b[0m\n", reason.code()));
        assert!(coloured.ends_with(&code.unwrap_or_else(|| "-> users\n".into())), "{coloured:?}");
        let without = ["32", "36", "33", "31", "0"]
            .iter()
            .fold(coloured, |text, colour| text.replace(&format!("\x1b[{colour}m"), ""));
        assert_eq!(without, line(plain, &record));
    }
}

#[test]
fn lines_of_connections() {
    let record = AccessRecord { request: None, host: b"mail.example.com", ..record() };
    assert_eq!(
        line(json, &record),
        concat!(
            r#"{"time":"2024-02-29T12:34:56.007Z","listener":"http","rule":"admin.localhost/users","#,
            r#""client":"192.0.2.7","host":"mail.example.com","bytes_in":120,"bytes_out":4321,"#,
            r#""duration_ms":1.234,"upstream":"users","target_address":"127.0.0.1:8083"}"#,
            "\n"
        )
    );
    assert_eq!(
        line(combined, &record),
        "192.0.2.7 - - [29/Feb/2024:12:34:56 +0000] \"- mail.example.com -\" 200 4321 \"-\" \"-\"\n"
    );
    assert_eq!(
        line(plain, &record),
        "12:34:56    -  -          4.3kB    1.2ms  192.0.2.7        mail.example.com  -> users\n"
    );
    let dropped = AccessRecord { host: b"", reason: Some(Reason::Dropped), ..record };
    assert!(line(combined, &dropped).contains(r#" "- - -" 444 "#));
    assert!(line(json, &dropped).contains(r#""reason":"dropped""#));
}

#[test]
fn long_values_are_cut() {
    let long = vec![b'a'; 100_000];
    let request = AccessRequest { target: &long, user_agent: &long, referer: &long, ..request() };
    let record = AccessRecord { request: Some(request), host: &long, ..record() };
    for format in [json, combined, plain] {
        let length = line(format, &record).len();
        assert!((2 * VALUE_BYTES_MAX..5 * VALUE_BYTES_MAX).contains(&length), "{length}");
    }
}

#[test]
fn a_file_that_was_moved_is_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let plan = plan::AccessLog { to: AccessLogTo::File(path.clone()), format: AccessLogFormat::Combined };
    let counters = Counters::new();
    let log = AccessLog::start(&plan, counters.clone()).unwrap();
    let write = |status| {
        let request = Some(AccessRequest { status, ..request() });
        log.write(&AccessRecord { request, ..record() });
    };
    write(201);
    assert!(log.queue.flush(Duration::from_secs(60)));
    fs::rename(&path, &moved).unwrap();
    write(202);
    assert!(log.queue.flush(Duration::from_secs(60)));
    log.reopen();
    write(203);
    log.clone().flush_and_stop();
    let statuses = |path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split(' ').nth(8).unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&moved), ["201", "202"]);
    assert_eq!(statuses(&path), ["203"]);
    assert_eq!(counters.access_log_dropped().load(Relaxed), 0);
}

/// U+009B begins terminal commands like ESC and `[`; U+202E reverses the text after it.
#[test]
fn control_characters_are_escaped_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let hostile = "/\u{9b}31m/\u{85}\u{202e}\u{2066}Grüße".as_bytes();
    let request = AccessRequest { target: hostile, user_agent: hostile, referer: hostile, ..request() };
    let plan = plan::AccessLog { to: AccessLogTo::File(path.clone()), format: AccessLogFormat::Json };
    let log = AccessLog::start(&plan, Counters::new()).unwrap();
    log.write(&AccessRecord { request: Some(request), host: hostile, ..record() });
    log.flush_and_stop();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#""/\u009b31m/\u0085\u202e\u2066Grüße""#), "{text}");
    assert!(!text.contains(['\u{9b}', '\u{85}', '\u{202e}', '\u{2066}']), "{text}");
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for field in ["host", "target", "user_agent", "referer"] {
        assert_eq!(value[field].as_str().map(str::as_bytes), Some(hostile), "{field}");
    }
}

#[test]
fn the_error_names_the_path_of_a_log_that_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("missing/access.log");
    let plan = plan::AccessLog { to: AccessLogTo::File(path.clone()), format: AccessLogFormat::Json };
    let error = AccessLog::start(&plan, Counters::new()).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}
