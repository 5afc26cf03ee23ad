//! Request heads: one reading for every prefix, and the forwarded head means the same as the received one,
//! also to the next reader.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use smolgate::config::plan::{Action, Protocol, Rule};
use smolgate::config::{MemoryInputs, load};
use smolgate::http::{
    Field, FieldTable, Framing, HeadLimits, HostKey, Name, Refusal, RequestHead, Version, client_behind,
    has_dot_segments, match_path,
};
use smolgate::http1::{HeadScan, parse_request};
use smolgate::policy::PolicyState;
use smolgate::proxy::{Forwarded, write_request_head};
use smolgate::routing::{RequestView, RuleTable, explain};
use smolgate::worker::{self, Worker};

use crate::cuts;

const ROOMY: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 };
const TIGHT: HeadLimits = HeadLimits { bytes: 120, fields: 3, target: 20 };

/// Rules with every kind of change to a head.
const CONFIGURATION: &str = "
http_config: { port: 8021 }
http_routes:
  - { host: h, path_prefix: /strip, strip_path_prefix: true, pass_host: true, target: \"http://t:1\" }
  - { host: [\"*.example.org\", h], path_prefix: /a/b, strip_path_prefix: true, target: \"http://t/base\" }
  - { methods: [GET, HEAD], pass_host: true, target: \"http://t/base/\" }
  - { target: \"http://t\" }
";

/// The authority of the target and its base path, for every rule.
const TARGET: (&str, &str) = ("t:1", "/base");

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let inputs = MemoryInputs::new().file("head.yml", CONFIGURATION);
    let plan = load(&["head.yml".into()], &inputs).unwrap_or_else(|errors| panic!("{errors}")).plan;
    match plan.listeners.into_iter().next().map(|listener| listener.protocol) {
        Some(Protocol::Http(http)) => http.rules,
        other => panic!("{other:?}"),
    }
});

/// Checks that all prefixes with a result have the same result, that an accepted head has no forbidden byte,
/// and that the forwarded head is valid, means the same and has no hop-by-hop field.
pub fn holds(bytes: &[u8]) {
    for limits in [&ROOMY, &TIGHT] {
        let mut table = FieldTable::new();
        let fresh = |bytes: &[u8]| {
            let head = parse_request(bytes, &mut HeadScan::default(), limits, &mut table)?;
            Ok::<_, Refusal>(head.map(|head| seen(&head)))
        };
        cuts::check(bytes, fresh).ok();
        check_bit_by_bit(bytes, limits);
    }
    let mut table = FieldTable::new();
    if let Ok(Some(head)) = parse_request(bytes, &mut HeadScan::default(), &ROOMY, &mut table) {
        check_head(&bytes[..head.len], &head);
        check_forwarded(&head);
    }
}

/// An incremental reader looks again only at possible ends, so an end is added.
fn check_bit_by_bit(bytes: &[u8], limits: &HeadLimits) {
    let bytes = [bytes, b"\r\n\r\n\n"].concat();
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
    let mut parse = |end: usize, scan: &mut HeadScan| {
        let head = parse_request(&bytes[..end], scan, limits, &mut table)?;
        Ok::<_, Refusal>(head.map(|head| seen(&head)))
    };
    let whole = parse(bytes.len(), &mut HeadScan::default());
    assert_ne!(whole, Ok(None), "it ends");
    let mut beginnings = cuts::ends(&bytes).into_iter().map(|end| parse(end, &mut scan));
    assert_eq!(beginnings.find(|early| *early != Ok(None)), Some(whole), "byte by byte");
}

/// Everything in a head, and nothing of the bytes behind it.
fn seen(head: &RequestHead<'_>) -> String {
    let RequestHead { method, line, path_and_query, host, version, framing, len, .. } = head;
    let flags = [head.keep_alive, head.expect_continue, head.upgrade, head.accepts_trailers];
    let fields: Vec<Field<'_>> = head.fields.iter().collect();
    format!("{:?}", (method, line, path_and_query, host, version, framing, len, flags, fields))
}

fn check_head(bytes: &[u8], head: &RequestHead<'_>) {
    let lines: Vec<u8> = head.fields.iter().flat_map(|field| field.line().to_vec()).collect();
    assert!(bytes.ends_with(&[&lines[..], b"\r\n"].concat()), "the lines are the head, without gap");
    assert!(bytes.iter().all(|&byte| byte >= b' ' && byte != 0x7f || b"\r\n\t".contains(&byte)));
    let count = |wanted: u8| bytes.iter().filter(|&&byte| byte == wanted).count();
    let line_ends = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!((count(b'\r'), count(b'\n')), (line_ends, line_ends), "no CR and no LF alone");
    assert!(!has_dot_segments(head.path));
    assert!(head.host.is_none_or(|host| HostKey::new(host.as_bytes()).is_some()));
    assert!(head.host.is_some() || head.version == Version::Http10);
    let told = |name: Name| head.fields.iter().filter(move |field| field.known() == name).count();
    assert!(told(Name::Host) <= 1 && told(Name::ContentLength) + told(Name::TransferEncoding) <= 1);
}

/// Writes the head for the target of the matching rule, and parses the result as the target would.
fn check_forwarded(head: &RequestHead<'_>) {
    thread_local! {
        static TABLE: RuleTable = RuleTable::build(&RULES);
        static WORKER: Worker = worker::run(|worker| async { worker }).expect("a worker");
    }
    let key = head.host_key();
    let (host, path) = (key.as_ref().map_or(&b""[..], HostKey::as_bytes), match_path(head.path));
    let request = RequestView::of(head, host, &path, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let found = TABLE.with(|table| table.find(&request));
    assert_eq!(found, explain(&RULES, &request).winner);
    let rule = &RULES[found.expect("the last rule takes everything")];
    let Action::Proxy(proxy) = &rule.action else { panic!("all rules proxy") };
    for trusted in [false, true] {
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let behind = trusted.then(|| client_behind(head.fields, peer, |address| *address == peer));
        let forwarded = Forwarded { peer, behind, proto: "http" };
        let mut out = WORKER.with(Worker::buffer);
        write_request_head(head, rule, proxy, TARGET, &forwarded, &PolicyState::default(), &mut out);
        let limits = HeadLimits { bytes: 1 << 20, fields: 1_000, target: 1 << 16 };
        let mut table = FieldTable::new();
        let sent = parse_request(out.unread(), &mut HeadScan::default(), &limits, &mut table);
        let sent = sent.expect("a forwarded head is valid").expect("and whole");
        assert_eq!(sent.len, out.unread().len(), "and one head");
        let routed = if proxy.pass_host { head.host.map(|host| host.as_bytes()) } else { None };
        assert_eq!(
            sent.host.map(|host| host.as_bytes()),
            Some(routed.unwrap_or(TARGET.0.as_bytes())),
            "the host that was routed"
        );
        check_same(head, &sent, proxy.strip_path_prefix);
        let ends_here = |field: &Field<'_>| field.known().is_hop_by_hop() || field.known() == Name::Lookalike;
        for field in sent.fields.iter().filter(ends_here) {
            let ours = [Name::Connection, Name::Upgrade, Name::Te, Name::TransferEncoding];
            assert!(ours.contains(&field.known()), "{field:?} is forwarded");
        }
        for name in [Name::XForwardedFor, Name::XForwardedProto, Name::XRealIp, Name::Forwarded] {
            assert_eq!(sent.fields.iter().filter(|field| field.known() == name).count(), 1, "{name:?}");
        }
    }
}

/// Checks that the target gets the request of the client.
fn check_same(came: &RequestHead<'_>, sent: &RequestHead<'_>, stripped: bool) {
    assert_eq!(sent.method, came.method);
    assert_eq!(sent.version, Version::Http11);
    assert_eq!(sent.framing, came.framing);
    assert!(sent.is_length_plain || !matches!(sent.framing, Framing::Length(_)), "a length in one reading");
    assert_eq!(sent.query, came.query);
    assert_eq!(sent.upgrade, came.upgrade);
    assert!(sent.keep_alive, "the connection to a target is for more than one request");
    assert!(
        came.framing == Framing::Chunked
            || !sent.fields.iter().any(|field| field.known() == Name::TransferEncoding)
    );
    if came.path == b"*" {
        assert_eq!(sent.path, b"*");
    } else if !stripped {
        assert_eq!(sent.path, [TARGET.1.as_bytes(), came.path].concat());
    } else {
        let rest = sent.path.strip_prefix(TARGET.1.as_bytes()).expect("the base path is in front");
        assert!(rest == b"/" || came.path.ends_with(rest), "what is left of a path is its end");
    }
}

/// Heads with every feature, and some invalid ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let heads: [&[u8]; 14] = [
        b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\r\n\r\nPOST /a/b?c=d HTTP/1.1\r\nHost: www.example.org:8021\r\nContent-Length: 3\r\n\r\nabc",
        b"POST http://H:80/%73trip/%41 HTTP/1.1\r\nHost: other\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
        b"GET /strip HTTP/1.1\r\nHost: h.\r\nConnection: close, x-a, Host, content-length\r\nX-A: 1\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 5\r\nForwarded: for=x\r\nX-Real-IP: 6\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTrailer: x\r\n\r\n",
        b"OPTIONS http://h HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /%2e%2e/ HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n folded\r\n\r\n",
        b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/2.0\nHost: h\n\n",
    ];
    heads.map(<[u8]>::to_vec).into()
}
