//! Valid requests at the upstream: fields, Host and target.

mod support;

use support::gate::TestGate;
use support::message::Request;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "kept.test"
        target: "http://{upstream}"
        pass_host: true
      - host: "base.test"
        path_prefix: "/users"
        target: "http://{upstream}/base"
        strip_path_prefix: true
      - host: "base.test"
        target: "http://{upstream}/base"
      - host: "strip.test"
        path_prefix: "/users"
        target: "http://{upstream}"
        strip_path_prefix: true
      - host: "strip.test"
        respond: { status: 404, body: "not users" }
      - target: "http://{upstream}"
  - name: trusting
    bind: "127.0.0.1:0"
    protocol: http
    trusted_proxies: ["127.0.0.0/8"]
    rules:
      - host: "strip.test"
        path_prefix: "/a%2Fb"
        target: "http://{upstream}"
        strip_path_prefix: true
      - target: "http://{upstream}"
"#;

/// Sends `request` to the listener `listener` and returns the request that the upstream received.
#[track_caller]
fn forwarded_by(listener: &str, request: impl AsRef<[u8]>) -> Request {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    gate.client_of(listener).exchange(request).expect(200, "fine");
    let mut seen = upstream.request();
    // The target's authority differs between runs.
    for (_, value) in &mut seen.head.fields {
        *value = value.replace(&upstream.to_string(), "UPSTREAM");
    }
    seen
}

#[track_caller]
fn forwarded(request: impl AsRef<[u8]>) -> Request {
    forwarded_by("http", request)
}

/// The target that the upstream receives for `target` on `host`.
#[track_caller]
fn target_for(gate: &TestGate, upstream: &Upstream, host: &str, target: &str) -> String {
    let before = upstream.requests().len();
    gate.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).expect(200, "fine");
    upstream.requests()[before].target().to_owned()
}

#[test]
fn fields_keep_their_order_case_and_bytes() {
    let request =
        b"PURGE /p HTTP/1.1\r\nHost: a\r\nuser-AGENT: me\r\nX-One: 1\r\nCookie: a=b; c=d\r\nx-one: 2\r\n\
        X-Empty:\r\nX-Bytes: \xe9\xff\tz\r\nAccept-Encoding: br\r\nX-ONE: 3\r\n\r\n";
    let seen = forwarded(request);
    assert_eq!(seen.head.start, "PURGE /p HTTP/1.1");
    let own = ["host", "via", "forwarded", "connection"];
    let kept = seen.head.fields.iter().filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        !own.contains(&name.as_str()) && !name.starts_with("x-forwarded-") && name != "x-real-ip"
    });
    let kept: Vec<_> = kept.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = [
        ("user-AGENT", "me"),
        ("X-One", "1"),
        ("Cookie", "a=b; c=d"),
        ("x-one", "2"),
        ("X-Empty", ""),
        ("X-Bytes", "\u{e9}\u{ff}\tz"),
        ("Accept-Encoding", "br"),
        ("X-ONE", "3"),
    ];
    assert_eq!(kept, sent);
}

#[test]
fn hop_by_hop_fields_are_dropped() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         Proxy-Authenticate: Basic\r\nProxy-Authorization: Basic c2VjcmV0\r\nTE: gzip\r\nTrailer: X\r\n\
         Upgrade: foo/2\r\nX-Kept: 1\r\n\r\n",
    );
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "upgrade",
        "transfer-encoding",
    ] {
        assert_eq!(seen.head.get(name), None, "{name}");
    }
    for token in seen.head.list("connection") {
        assert!(["keep-alive", "close"].contains(&token.as_str()), "Connection names {token}");
    }
    assert_eq!(seen.head.get("x-kept"), Some("1"));
}

#[test]
fn fields_that_connection_names_are_dropped() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Secret: 1\r\nConnection: close, x-SECRET\r\nConnection: X-Other,,\r\n\
         X-Other: 2\r\nX-Secret: 3\r\nX-Kept: 4\r\n\r\n",
    );
    assert_eq!(seen.head.all("x-secret"), Vec::<&str>::new());
    assert_eq!(seen.head.all("x-other"), Vec::<&str>::new());
    assert_eq!(seen.head.get("x-kept"), Some("4"));
}

#[test]
fn connection_cannot_name_our_own_fields_or_the_framing() {
    let seen = forwarded(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\
         Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP, Host, Content-Length\r\n\r\nhello",
    );
    assert_eq!(seen.head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("a"));
    assert_eq!(seen.head.get("x-real-ip"), Some("127.0.0.1"));
    assert_eq!(seen.head.get("host"), Some("UPSTREAM"));
    assert_eq!(seen.body.bytes, b"hello");
}

#[test]
fn te_trailers_is_all_that_is_left_of_te() {
    let seen =
        forwarded("GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: gzip;q=0.5, trailers, deflate\r\n\r\n");
    assert!(["", "trailers"].contains(&seen.head.list("te").join(",").as_str()), "{:?}", seen.head);
}

#[test]
fn client_fields_of_untrusted_peers_are_replaced() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: public.test\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 6.6.6.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil.test\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6;host=evil.test\r\n\r\n",
    );
    assert_eq!(seen.head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("public.test"));
    assert_eq!(seen.head.get("x-real-ip"), Some("127.0.0.1"));
    let text = String::from_utf8_lossy(&seen.head.raw);
    assert!(!text.contains("6.6.6") && !text.contains("evil"), "{text}");
}

#[test]
fn client_fields_of_a_trusted_proxy_are_kept_and_extended() {
    let seen = forwarded_by(
        "trusting",
        "GET / HTTP/1.1\r\nHost: inner.test\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: public.test\r\nForwarded: for=192.0.2.1;proto=https\r\n\r\n",
    );
    assert_eq!(seen.head.list("x-forwarded-for"), ["192.0.2.1", "192.0.2.2", "127.0.0.1"]);
    assert_eq!(seen.head.get("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("public.test"));
    let chain = seen.head.list("forwarded");
    assert_eq!(chain.first().map(String::as_str), Some("for=192.0.2.1;proto=https"));
}

/// The client is the last address that is not trusted, and all fields agree about it.
#[test]
fn the_client_behind_a_trusted_proxy_is_the_same_in_all_fields() {
    let seen =
        |lines: &str| forwarded_by("trusting", format!("GET / HTTP/1.1\r\nHost: inner.test\r\n{lines}\r\n"));
    let rows = [
        ("X-Forwarded-For: 6.6.6.6, 192.0.2.1, 127.0.0.2\r\nX-Real-IP: 6.6.6.6\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 6.6.6.6, unknown\r\n", "127.0.0.1"),
        ("X-Real-IP: 192.0.2.1\r\n", "192.0.2.1"),
    ];
    for (lines, client) in rows {
        let seen = seen(&format!("{lines}X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.test\r\n"));
        assert_eq!(seen.head.get("x-real-ip"), Some(client), "{lines}");
        assert!(seen.head.get("x-forwarded-for").is_some_and(|chain| chain.ends_with("127.0.0.1")));
        let node = if client.contains(':') { format!("\"[{client}]\"") } else { client.to_owned() };
        let element = format!("for={node};host=\"public.test\";proto=https");
        assert_eq!(seen.head.all("forwarded"), [element], "{lines}");
    }
    let chain = seen("Forwarded: for=6.6.6.6, for=192.0.2.1;proto=https, for=127.0.0.3;proto=http\r\n");
    assert_eq!(chain.head.get("x-real-ip"), Some("192.0.2.1"));
    assert_eq!(chain.head.get("x-forwarded-proto"), Some("https"));
    let elements = chain.head.get("forwarded").unwrap();
    assert!(elements.ends_with(", for=127.0.0.1;host=\"inner.test\";proto=https"), "{elements}");
    // A value that does not fit into an element is not written into one.
    let odd = seen("X-Forwarded-Proto: a;b\r\nX-Forwarded-Host: \"x\"\r\n");
    assert_eq!(odd.head.all("forwarded"), ["for=127.0.0.1;host=\"inner.test\";proto=http"]);
}

#[test]
fn fields_that_only_a_proxy_sets_need_a_trusted_proxy() {
    let ask = "GET / HTTP/1.1\r\nHost: inner.test\r\nX-Forwarded-User: root\r\nx-forwarded-port: 443\r\nX-Forwarded: 6.6.6.6\r\n\
               Proxy: http://evil.test\r\n\r\n";
    let stranger = forwarded(ask);
    assert_eq!(stranger.head.get("x-forwarded"), None);
    assert_eq!((stranger.head.get("x-forwarded-user"), stranger.head.get("x-forwarded-port")), (None, None));
    let trusted = forwarded_by("trusting", ask);
    assert_eq!(trusted.head.get("x-forwarded-user"), Some("root"));
    assert_eq!(trusted.head.get("x-forwarded"), Some("6.6.6.6"));
    assert_eq!(trusted.head.get("x-forwarded-port"), Some("443"));
    // A client of the trusted proxy may not have the field removed either.
    let named = ask.replace("\r\n\r\n", "\r\nConnection: x-forwarded-user\r\n\r\n");
    assert_eq!(forwarded_by("trusting", named).head.get("x-forwarded-user"), Some("root"));
    // No client may send the field from which a CGI program would take its proxy.
    assert_eq!((stranger.head.get("proxy"), trusted.head.get("proxy")), (None, None));
}

#[test]
fn a_trusted_proxy_without_client_fields_is_the_client() {
    let seen = forwarded_by("trusting", "GET / HTTP/1.1\r\nHost: inner.test\r\n\r\n");
    assert_eq!(seen.head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("inner.test"));
}

#[test]
fn host_is_the_targets_authority() {
    assert_eq!(
        forwarded("GET / HTTP/1.1\r\nHost: Public.Test:8021\r\n\r\n").head.get("host"),
        Some("UPSTREAM")
    );
}

#[test]
fn pass_host_keeps_the_clients_host_byte_for_byte() {
    let seen = forwarded("GET / HTTP/1.1\r\nHost: Kept.Test:8021\r\n\r\n");
    assert_eq!(seen.head.get("host"), Some("Kept.Test:8021"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("Kept.Test:8021"));
}

#[test]
fn names_that_differ_by_an_underscore_are_dropped() {
    let seen = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nContent_Length: 7\r\n\
         Transfer_Encoding: chunked\r\nX_Real_IP: 6.6.6.6\r\nX_Forwarded_Host: evil\r\nX_Forwarded_User: evil\r\n\
         X-Forwarded_Groups: evil\r\nx_forwarded-email: evil\r\nTrue_Client-IP: evil\r\nRemote_User: evil\r\nMy_Own_Field: kept\r\n\r\n",
    );
    let names: Vec<_> =
        seen.head.fields.iter().map(|(name, _)| name.as_str()).filter(|name| name.contains('_')).collect();
    assert_eq!(names, ["My_Own_Field"]);
}

#[test]
fn names_that_differ_by_any_mark_are_dropped() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for mark in "!#$%&'*+.^_`|~".chars() {
        let alike = [
            "X-Forwarded-User",
            "X-Forwarded-For",
            "X-Real-IP",
            "Content-Length",
            "Transfer-Encoding",
            "Remote-User",
        ];
        let alike = alike.map(|name| format!("{}: evil\r\n", name.replace('-', &mark.to_string()))).concat();
        let ask = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{alike}X-Forwarded{mark}Groups: evil\r\nX{mark}Forwarded: evil\r\nMy{mark}Own: kept\r\n\r\n"
        );
        for listener in ["http", "trusting"] {
            gate.client_of(listener).exchange(&ask).expect(200, "fine");
            let seen = upstream.requests().pop().unwrap();
            let text = String::from_utf8_lossy(&seen.head.raw);
            assert!(!text.contains("evil") && text.contains(&format!("My{mark}Own: kept\r\n")), "{text}");
        }
    }
}

#[test]
fn absolute_form_routes_and_forwards_its_authority() {
    let seen = forwarded("GET http://kept.test/p?q HTTP/1.1\r\nHost: other.test\r\n\r\n");
    assert_eq!(seen.head.start, "GET /p?q HTTP/1.1");
    assert_eq!(seen.head.get("host"), Some("kept.test"));
    assert_eq!(seen.head.get("x-forwarded-host"), Some("kept.test"));
    assert!(!String::from_utf8_lossy(&seen.head.raw).contains("other.test"));
}

#[test]
fn absolute_form_without_a_path_gets_one() {
    let target = |target: &str| {
        forwarded(format!("GET {target} HTTP/1.1\r\nHost: kept.test\r\n\r\n")).target().to_owned()
    };
    assert_eq!(target("http://kept.test"), "/");
    assert_eq!(target("http://kept.test?a=b/../c"), "/?a=b/../c");
    assert_eq!(target("http://kept.test:81?"), "/?");
}

#[test]
fn asterisk_form_is_forwarded_as_it_is() {
    assert_eq!(forwarded("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").head.start, "OPTIONS * HTTP/1.1");
}

#[test]
fn http_1_0_is_forwarded_as_1_1_with_a_host() {
    let seen = forwarded("GET /old HTTP/1.0\r\n\r\n");
    assert_eq!(seen.head.start, "GET /old HTTP/1.1");
    assert_eq!(seen.head.get("host"), Some("UPSTREAM"));
}

#[test]
fn path_bytes_are_forwarded_unchanged() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for target in [
        "/",
        "//",
        "/a//b/",
        "/?",
        "/a?",
        "/?a=/../b",
        "/%7Euser",
        "/~user",
        "/a%2Fb",
        "/a%2fb",
        "/%41",
        "/a%20b",
        "/a+b",
        "/a;b=c",
        "/...",
        "/.hidden",
        "/a..b",
        "/a.",
        "/a..",
        "/:80",
        "/@x",
        "/a%zzb",
        "/%",
        "/\"q\"",
        "/<x>",
        "/{a}|b^`",
        "/http://x/",
        "/a\\b",
        "/%00",
        "/%0d%0aX:y",
        "/%c3%a9",
        "/a?b?c",
        "/_-!$&'()*,=",
    ] {
        assert_eq!(target_for(&gate, &upstream, "a", target), target);
    }
}

#[test]
fn stripping_a_prefix_never_leaves_an_empty_target() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for (target, expected) in [
        ("/users", "/"),
        ("/users/", "/"),
        ("/users/7", "/7"),
        ("/users/7/", "/7/"),
        ("/users?a=b", "/?a=b"),
        ("/users/?a", "/?a"),
        ("/users//x", "//x"),
        ("/users/users", "/users"),
        ("/%75sers/7", "/7"),
        ("/users/a%2Fb", "/a%2Fb"),
    ] {
        assert_eq!(target_for(&gate, &upstream, "strip.test", target), expected, "{target}");
    }
    let count = upstream.requests().len();
    gate.exchange("GET /usersx HTTP/1.1\r\nHost: strip.test\r\n\r\n").expect(404, "not users");
    assert_eq!(upstream.requests().len(), count);
}

#[test]
fn a_base_path_goes_before_the_path() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for (target, expected) in [
        ("/", "/base/"),
        ("/x", "/base/x"),
        ("/?q", "/base/?q"),
        ("/x/", "/base/x/"),
        ("/users/7", "/base/7"),
    ] {
        assert_eq!(target_for(&gate, &upstream, "base.test", target), expected, "{target}");
    }
    let bare = target_for(&gate, &upstream, "base.test", "/users");
    assert!(["/base", "/base/"].contains(&bare.as_str()), "{bare}");
}

/// Targets need the prefix to write links.
#[test]
fn a_stripped_prefix_is_told() {
    let get = |target: &str, lines: &str| format!("GET {target} HTTP/1.1\r\nHost: strip.test\r\n{lines}\r\n");
    let told = |seen: Request| seen.head.all("x-forwarded-prefix").join("|");
    let forged =
        "X-Forwarded-Prefix: //evil.test\r\nX_Forwarded_Prefix: /x\r\nConnection: x-forwarded-prefix\r\n";
    assert_eq!(told(forwarded(get("/users/me", ""))), "/users");
    assert_eq!(told(forwarded(get("/%75sers/me", forged))), "/users", "not as the client spells it");
    assert_eq!(
        told(forwarded(get("/users", forged).replace("strip.test", "other.test"))),
        "",
        "nothing is stripped"
    );
    let trusted = |lines| told(forwarded_by("trusting", get("/a%2Fb/c", lines)));
    assert_eq!(trusted(""), "/a%2Fb");
    assert_eq!(trusted("X-Forwarded-Prefix: /outer\r\n"), "/outer/a%2Fb");
    assert_eq!(trusted("X-Forwarded-Prefix: /outer/\r\n"), "/outer/a%2Fb");
    let kept = get("/", "X-Forwarded-Prefix: /outer\r\n").replace("strip.test", "other.test");
    assert_eq!(told(forwarded_by("trusting", kept)), "/outer");
}
