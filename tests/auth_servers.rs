//! Servers that know the users: Authelia, authentik and oauth2-proxy as they are documented, each by a stand-in, without a
//! key of the gate that is made for one of them.

mod support;

use support::gate::TestGate;
use support::message::{Request, Response};
use support::upstream::{Connection, Upstream};

fn get(gate: &TestGate, host: &str, path: &str, lines: &str) -> Response {
    gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

fn answer(connection: &mut Connection, status: &str, lines: &str, body: &str) {
    connection.send(format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()));
}

/// The value of a cookie of a request.
fn cookie(request: &Request, name: &str) -> Option<String> {
    let pairs = request.head.get("cookie")?.split(';').map(str::trim);
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(is, _)| *is == name)
        .map(|(_, value)| value.to_owned())
}

/// `/api/authz/forward-auth`: all four fields are required, a browser is redirected, others get 401, and users that may not
/// see the page 403.
fn authelia() -> Upstream {
    Upstream::each(|connection: &mut Connection, request: &Request| {
        let field = |name: &str| request.head.get(name).map(str::to_owned);
        let fields = ["method", "proto", "host", "uri"].map(|name| field(&format!("x-forwarded-{name}")));
        let [Some(method), Some(proto), Some(host), Some(uri)] = fields else {
            return answer(connection, "400 Bad Request", "", "");
        };
        assert_eq!((request.method(), request.target()), ("GET", "/api/authz/forward-auth"));
        let user = cookie(request, "authelia_session");
        match user.as_deref() {
            Some("ann") if !uri.starts_with("/admin") => {
                let lines = "Remote-User: ann\r\nRemote-Groups: dev,ops\r\nRemote-Name: Ann A\r\nRemote-Email: ann@x\r\n";
                answer(connection, "200 OK", lines, "200 OK");
            }
            Some("ann") => answer(connection, "403 Forbidden", "", "403 Forbidden"),
            _ => {
                let place = format!("https://auth.test/?rd={proto}://{host}{uri}&rm={method}");
                let is_page = field("accept").is_some_and(|accept| accept.contains("text/html"));
                let status = if is_page { "302 Found" } else { "401 Unauthorized" };
                answer(connection, status, &format!("Location: {place}\r\n"), "sign in");
            }
        }
    })
}

#[test]
fn authelia_lets_in_redirects_and_refuses() {
    const CONFIG: &str = r#"
        listeners:
          - name: http
            bind: "127.0.0.1:0"
            rules:
              - { host: wiki.test, auth: { forward: "http://{server}/api/authz/forward-auth" }, target: "{target}" }
    "#;
    let (server, target) = (authelia(), Upstream::says("wiki"));
    let gate = TestGate::start(&trimmed(CONFIG), &[("server", &server), ("target", &target)]);
    let page = get(&gate, "wiki.test", "/a?b=c", "Accept: text/html\r\n");
    assert_eq!(page.status(), 302);
    assert_eq!(page.get("location"), Some("https://auth.test/?rd=http://wiki.test/a?b=c&rm=GET"));
    get(&gate, "wiki.test", "/", "Accept: application/json\r\n").expect(401, "sign in");
    assert_eq!(target.requests().len(), 0);
    let session = "Cookie: a=b; authelia_session=ann\r\nRemote-User: root\r\nRemote_Groups: wheel\r\n";
    get(&gate, "wiki.test", "/a", session).expect(200, "wiki");
    get(&gate, "wiki.test", "/admin", session).expect(403, "403 Forbidden");
    let got = target.request().head;
    for (name, values) in [
        ("remote-user", vec!["ann"]),
        ("remote-groups", vec!["dev,ops"]),
        ("remote-name", vec!["Ann A"]),
        ("remote-email", vec!["ann@x"]),
        ("remote_groups", vec![]),
    ] {
        assert_eq!(got.all(name), values, "{name}");
    }
}

/// `/outpost.goauthentik.io/`: the outpost answers questions, and signs users in on the host of the page itself.
fn authentik() -> Upstream {
    const PREFIX: &str = "/outpost.goauthentik.io";
    Upstream::each(|connection: &mut Connection, request: &Request| {
        let path = request.target().strip_prefix(PREFIX).unwrap_or_default().to_owned();
        let session = cookie(request, "authentik_proxy_1");
        match (path.split('?').next().unwrap_or_default(), session.as_deref()) {
            ("/auth/traefik", Some("ann")) => {
                let lines = "X-authentik-username: ann\r\nX-authentik-groups: dev|ops\r\nX-authentik-meta-app: wiki\r\n\
                             Set-Cookie: authentik_proxy_1=ann; Path=/\r\n";
                answer(connection, "200 OK", lines, "");
            }
            ("/auth/traefik", _) => {
                let [host, uri] = ["x-forwarded-host", "x-forwarded-uri"]
                    .map(|name| request.head.get(name).unwrap_or_default());
                let place = format!(
                    "Location: http://{host}{PREFIX}/start?rd={uri}\r\nSet-Cookie: authentik_proxy_1=new\r\n"
                );
                answer(connection, "302 Found", &place, "");
            }
            ("/callback", _) => {
                answer(connection, "302 Found", "Location: /\r\nSet-Cookie: authentik_proxy_1=ann\r\n", "");
            }
            ("/start", _) => {
                answer(connection, "302 Found", "Location: https://authentik.test/authorize\r\n", "")
            }
            _ => answer(connection, "404 Not Found", "", ""),
        }
    })
}

#[test]
fn authentik_signs_in_on_the_host_of_the_page() {
    const CONFIG: &str = r#"
        upstreams: { authentik: { targets: "http://{server}" } }
        listeners:
          - name: http
            bind: "127.0.0.1:0"
            rules:
              - { host: app.test, path_prefix: /outpost.goauthentik.io, upstream: authentik }
              - host: app.test
                auth: { forward: { upstream: authentik, path: /outpost.goauthentik.io/auth/traefik } }
                target: "{target}"
    "#;
    let (server, target) = (authentik(), Upstream::says("app"));
    let gate = TestGate::start(&trimmed(CONFIG), &[("server", &server), ("target", &target)]);
    let first = get(&gate, "app.test", "/page", "Accept: text/html\r\n");
    assert_eq!((first.status(), first.get("set-cookie")), (302, Some("authentik_proxy_1=new")));
    let start = "/outpost.goauthentik.io/start?rd=/page";
    assert_eq!(first.get("location"), Some(&*format!("http://app.test{start}")));
    // No question is asked about the place where users sign in.
    let start = get(&gate, "app.test", start, "");
    assert_eq!((start.status(), start.get("location")), (302, Some("https://authentik.test/authorize")));
    let back = get(&gate, "app.test", "/outpost.goauthentik.io/callback?code=x", "");
    assert_eq!((back.status(), back.get("set-cookie")), (302, Some("authentik_proxy_1=ann")));
    assert_eq!(target.requests().len(), 0);
    let page =
        get(&gate, "app.test", "/page", "Cookie: authentik_proxy_1=ann\r\nX-authentik-username: root\r\n");
    page.expect(200, "app");
    assert_eq!(page.get("set-cookie"), Some("authentik_proxy_1=ann; Path=/"));
    let got = target.request().head;
    assert_eq!(got.all("x-authentik-username"), ["ann"]);
    assert_eq!(
        (got.get("x-authentik-groups"), got.get("x-authentik-meta-app")),
        (Some("dev|ops"), Some("wiki"))
    );
}

/// `/oauth2/auth` with `--reverse-proxy --set-xauthrequest`: 202 or 401. `/oauth2/start` signs in.
fn oauth2_proxy() -> Upstream {
    Upstream::each(|connection: &mut Connection, request: &Request| {
        let path = request.target().split('?').next().unwrap_or_default().to_owned();
        match (&*path, cookie(request, "_oauth2_proxy").as_deref()) {
            ("/oauth2/auth", Some("ann")) => {
                let lines =
                    "X-Auth-Request-User: ann\r\nX-Auth-Request-Email: ann@x\r\nGap-Upstream-Address: -\r\n";
                answer(connection, "202 Accepted", lines, "Authenticated");
            }
            ("/oauth2/auth", _) => answer(connection, "401 Unauthorized", "", "Unauthorized"),
            ("/oauth2/start", _) => answer(connection, "302 Found", "Location: https://idp.test/\r\n", ""),
            _ => answer(connection, "404 Not Found", "", ""),
        }
    })
}

#[test]
fn oauth2_proxy_needs_a_sign_in() {
    const CONFIG: &str = r#"
        policies:
          members:
            auth: { forward: { upstream: oauth2, path: /oauth2/auth, sign_in: "https://app.test/oauth2/start?rd={url}" } }
        upstreams: { oauth2: { targets: "http://{server}" } }
        listeners:
          - name: http
            bind: "127.0.0.1:0"
            policy: members
            rules:
              - { host: app.test, path_prefix: /oauth2, auth: false, upstream: oauth2 }
              - { host: app.test, target: "{target}" }
    "#;
    let (server, target) = (oauth2_proxy(), Upstream::says("app"));
    let gate = TestGate::start(&trimmed(CONFIG), &[("server", &server), ("target", &target)]);
    let page = get(&gate, "app.test", "/a?b", "Accept: text/html\r\n");
    let place = "https://app.test/oauth2/start?rd=http%3A%2F%2Fapp.test%2Fa%3Fb";
    assert_eq!((page.status(), page.get("location")), (302, Some(place)));
    get(&gate, "app.test", "/a", "Accept: */*\r\n").expect(401, "Unauthorized");
    assert_eq!(get(&gate, "app.test", "/oauth2/start?rd=x", "").get("location"), Some("https://idp.test/"));
    let session =
        "Cookie: _oauth2_proxy=ann\r\nX-Auth-Request-Email: root@x\r\nX-Forwarded-Email: root@x\r\n";
    get(&gate, "app.test", "/a", session).expect(200, "app");
    let got = target.request().head;
    assert_eq!(
        (got.all("x-auth-request-user"), got.all("x-auth-request-email")),
        (vec!["ann"], vec!["ann@x"])
    );
    assert!(got.all("gap-upstream-address").is_empty() && got.all("x-forwarded-email").is_empty());
}

/// The text without the indentation of the source.
fn trimmed(config: &str) -> String {
    config.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
