//! The internal API over real sockets: every endpoint, who may ask, and what abuse comes to.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use smolgate::config::plan::*;
use smolgate::internal::operator::Reloading;
use smolgate::internal::{Limits, Operator, Phase, Server, client};
use smolgate::log::Counters;

/// Long enough for a loaded machine; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gate that is none.
struct Fake {
    counters: Arc<Counters>,
    phase: Mutex<Phase>,
    reloads: AtomicUsize,
    restarts: AtomicUsize,
    /// Whether the next reload finds a broken configuration.
    broken: AtomicBool,
    /// Reloads wait here, if there is somebody to wait for.
    gate: Mutex<Option<smol::channel::Receiver<()>>>,
}

impl Fake {
    fn new() -> Arc<Fake> {
        Arc::new(Fake {
            counters: Counters::new(),
            phase: Mutex::new(Phase::Ready),
            reloads: AtomicUsize::new(0),
            restarts: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            gate: Mutex::new(None),
        })
    }
}

impl Operator for Fake {
    fn reload(&self, restart: bool) -> Reloading<'_> {
        self.reloads.fetch_add(1, SeqCst);
        self.restarts.fetch_add(usize::from(restart), SeqCst);
        let gate = self.gate.lock().unwrap().clone();
        let broken = self.broken.load(SeqCst);
        Box::pin(async move {
            if let Some(gate) = gate {
                let _ = gate.recv().await;
            }
            match broken {
                true => Err("error: `targt` is not a key of a rule\n  --> smolgate.yml:14:5\n".to_string()),
                false => Ok("reloaded: 1 rule changed, in 2 ms".to_string()),
            }
        })
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::new(plan())
    }

    fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap()
    }

    fn generation(&self) -> u64 {
        7
    }

    fn started(&self) -> SystemTime {
        SystemTime::now()
    }

    fn view(&self) -> String {
        "internal_api: { token: \"[redacted]\" }\n".to_string()
    }
}

fn origin(line: u32) -> Origin {
    Origin { file: Arc::from("smolgate.yml"), line, column: 5 }
}

fn rule(line: u32, hosts: Vec<HostPattern>, path_prefix: &str, action: Action) -> Rule {
    let path_prefix = Arc::from(path_prefix);
    Rule { name: Arc::from("r"), origin: origin(line), hosts, path_prefix, methods: vec![], action }
}

fn plan() -> Plan {
    let second = Duration::from_secs(1);
    let proxy = Proxy {
        upstream: UpstreamId(0),
        pass_host: false,
        strip_path_prefix: true,
        max_body: None,
        body_timeout: second,
        response_timeout: second,
        tunnel_timeout: second,
    };
    let upstream = Upstream {
        name: Arc::from("users"),
        origin: origin(3),
        targets: vec![Target {
            scheme: Scheme::Http,
            host: TargetHost::Name(Arc::from("users")),
            port: 8083,
            base_path: Arc::from("/base"),
        }],
        tls: UpstreamTls::default(),
        connect_timeout: second,
        tries: 2,
        idle_timeout: second,
    };
    let hosts =
        vec![HostPattern::Exact(Arc::from("a.example")), HostPattern::Wildcard(Arc::from("b.example"))];
    let http = HttpListener {
        rules: vec![
            rule(5, hosts, "/users", Action::Proxy(proxy)),
            rule(
                9,
                vec![],
                "/",
                Action::Redirect(Redirect { to: Arc::from("https://x.example"), status: 308 }),
            ),
        ],
        head: HeadLimits { bytes: 1, fields: 1, target: 1 },
        header_timeout: second,
        idle_timeout: second,
        trusted_proxies: vec![],
    };
    let listener = |name: &str, line, port, protocol| Listener {
        name: Arc::from(name),
        origin: origin(line),
        binds: vec![Bind::Any(port)],
        protocol,
        shutdown_timeout: second,
    };
    Plan {
        files: vec![PathBuf::from("smolgate.yml")],
        log: Log { level: LogLevel::Info, format: LogFormat::Human, access: None },
        workers: None,
        max_connections: 10,
        shutdown_timeout: second,
        internal_api: InternalApi { bind: loopback(), token: None },
        listeners: vec![
            listener("http", 4, 8021, Protocol::Http(http)),
            listener(
                "tcp",
                20,
                8020,
                Protocol::Tcp(TcpListener { upstream: UpstreamId(0), idle_timeout: second }),
            ),
        ],
        upstreams: vec![upstream],
    }
}

fn loopback() -> InternalBind {
    InternalBind::Tcp(Bind::Address(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// A running internal API and the gate behind it.
struct Api {
    fake: Arc<Fake>,
    server: Server,
}

impl Api {
    fn start() -> Api {
        Api::with(None, Limits::default())
    }

    fn with(token: Option<&str>, limits: Limits) -> Api {
        let fake = Fake::new();
        let token = token.map(|token| Secret(Arc::from(token)));
        let server = Server::start_with(&loopback(), token, fake.clone(), limits).unwrap();
        Api { fake, server }
    }

    fn address(&self) -> SocketAddr {
        self.server.address().unwrap()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the end.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_all(&mut stream)
    }

    /// Sends a request with these fields, each ended by `\r\n`, and takes the answer apart.
    fn ask(&self, line: &str, fields: &str) -> Answer {
        Answer::of(&self.raw(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").as_bytes()))
    }
}

fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(answer).unwrap()
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_string() }
    }

    fn has(&self, field: &str) -> bool {
        self.head.lines().any(|line| line == field.to_ascii_lowercase())
    }
}

#[test]
fn every_endpoint_answers_and_closes() {
    let api = Api::start();
    let metrics = api.ask("GET /metrics", "");
    assert_eq!(metrics.status, 200);
    assert!(metrics.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", metrics.head);
    assert!(metrics.body.contains("\ntcp_connections_active_count 0\n"));
    assert!(metrics.body.contains("\nsmolgate_own_answers_total{reason=\"no_rule\"} 0\n"));
    assert_eq!(api.ask("GET /livez", "").body, "ok\n");
    assert_eq!(api.ask("GET /readyz", "").body, "ready\n");
    let config = api.ask("GET /config", "");
    assert!(config.body.contains("[redacted]") && config.head.contains("application/yaml"));
    let index = api.ask("GET /", "");
    let unknown = api.ask("GET /nothing", "");
    assert_eq!((index.status, unknown.status), (200, 404));
    for path in ["/reload", "/metrics", "/livez", "/readyz", "/health", "/routes", "/config"] {
        assert!(index.body.contains(path) && unknown.body.contains(path), "{path}");
        let answer = api.ask(&format!("GET {path}"), "");
        assert!(answer.has("connection: close") && answer.has("cache-control: no-store"), "{}", answer.head);
        assert!(answer.has(&format!("content-length: {}", answer.body.len())), "{path}");
    }
}

#[test]
fn head_has_the_fields_and_no_body() {
    let api = Api::start();
    for path in ["/", "/metrics", "/livez", "/readyz", "/health", "/routes", "/config"] {
        let answer = api.ask(&format!("HEAD {path}"), "");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(
            answer.head.contains("content-length: ") && !answer.has("content-length: 0"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn only_the_methods_of_an_endpoint() {
    let api = Api::start();
    for (line, allow) in [
        ("HEAD /reload", "GET, POST"),
        ("PUT /reload", "GET, POST"),
        ("POST /metrics", "GET, HEAD"),
        ("DELETE /config", "GET, HEAD"),
        ("BREW /reload", "GET, HEAD, POST"),
    ] {
        let answer = api.ask(line, "");
        assert_eq!(answer.status, 405, "{line}");
        assert!(answer.has(&format!("allow: {allow}")), "{}", answer.head);
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn routes_are_in_order() {
    let api = Api::start();
    let routes: serde_json::Value = serde_json::from_str(&api.ask("GET /routes", "").body).unwrap();
    assert_eq!(
        routes,
        serde_json::json!([
            {
                "listener": "http", "bind": [":8021"], "index": 0, "name": "r",
                "host": ["a.example", "*.b.example"], "path_prefix": "/users", "methods": [],
                "action": "proxy", "upstream": "users", "targets": ["http://users:8083/base"],
                "pass_host": false, "strip_path_prefix": true, "origin": "smolgate.yml:5",
            },
            {
                "listener": "http", "bind": [":8021"], "index": 1, "name": "r", "host": [],
                "path_prefix": "/", "methods": [], "action": "redirect", "to": "https://x.example",
                "status": 308, "origin": "smolgate.yml:9",
            },
            {
                "listener": "tcp", "bind": [":8020"], "index": 0, "name": "tcp", "host": [], "methods": [],
                "action": "tcp", "upstream": "users", "targets": ["http://users:8083/base"],
                "origin": "smolgate.yml:20",
            },
        ])
    );
}

#[test]
fn health_follows_the_phase() {
    let api = Api::start();
    for (phase, status, word) in
        [(Phase::Starting, 503, "DOWN"), (Phase::Ready, 200, "UP"), (Phase::Draining, 503, "DOWN")]
    {
        *api.fake.phase.lock().unwrap() = phase;
        assert_eq!(api.ask("GET /livez", "").status, 200);
        assert_eq!(api.ask("GET /readyz", "").status, status);
        let answer = api.ask("GET /health", "");
        assert_eq!(answer.status, status);
        let value: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(value["status"], word);
        assert_eq!((&value["generation"], &value["version"]), (&7.into(), &env!("CARGO_PKG_VERSION").into()));
        assert!(value["uptime_seconds"].is_u64());
    }
}

#[test]
fn reload_says_what_changed_or_what_is_wrong() {
    let api = Api::start();
    for line in ["GET /reload", "POST /reload"] {
        let answer = api.ask(line, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, "reloaded: 1 rule changed, in 2 ms\n"));
    }
    api.fake.broken.store(true, SeqCst);
    let answer = api.ask("POST /reload?restart=true", "Content-Length: 5\r\n\r\nhello");
    assert_eq!(answer.status, 422);
    assert_eq!(answer.body, "error: `targt` is not a key of a rule\n  --> smolgate.yml:14:5\n");
    assert_eq!((api.fake.reloads.load(SeqCst), api.fake.restarts.load(SeqCst)), (3, 1));
    for query in ["restart=maybe", "restrat=true"] {
        assert_eq!(api.ask(&format!("GET /reload?{query}"), "").status, 400, "{query}");
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 3);
}

#[test]
fn pages_of_other_sites_cannot_reload() {
    let api = Api::start();
    for fields in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://localhost:3000\r\n",
        "Origin: null\r\n",
        "Referer: http://evil.example/page\r\n",
    ] {
        for line in ["GET /reload", "POST /reload"] {
            assert_eq!(api.ask(line, fields).status, 403, "{fields}");
        }
    }
    let rebound = b"GET /reload HTTP/1.1\r\nHost: evil.example:42007\r\nUser-Agent: Mozilla/5.0\r\n\r\n";
    assert_eq!(Answer::of(&api.raw(rebound)).status, 403);
    let rebound = b"GET /config HTTP/1.1\r\nHost: evil.example:42007\r\nAccept-Language: en\r\n\r\n";
    assert_eq!(Answer::of(&api.raw(rebound)).status, 403);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);

    assert_eq!(api.ask("GET /reload", "Sec-Fetch-Site: none\r\n").status, 200);
    assert_eq!(
        api.ask("POST /reload", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n").status,
        200
    );
    for host in ["smolgate:42007", "gate.internal.example", "[::1]:42007"] {
        let curl = format!("POST /reload HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8.5.0\r\n\r\n");
        assert_eq!(Answer::of(&api.raw(curl.as_bytes())).status, 200, "{host}");
    }
}

#[test]
fn the_token_opens_all_but_health() {
    let api = Api::with(Some("s3cret"), Limits::default());
    for path in ["/", "/reload", "/metrics", "/routes", "/config", "/nothing"] {
        for fields in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic s3cret\r\n"] {
            let answer = api.ask(&format!("GET {path}"), fields);
            assert_eq!(answer.status, 401, "{path} {fields}");
            assert!(answer.has("www-authenticate: bearer"), "{}", answer.head);
        }
        let expected = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(api.ask(&format!("GET {path}"), "Authorization: Bearer s3cret\r\n").status, expected);
    }
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(api.ask(&format!("GET {path}"), "").status, 200);
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 1);
    api.server.set_token(None);
    assert_eq!(api.ask("GET /config", "").status, 200);
}

#[test]
fn garbage_is_refused_and_harms_nobody() {
    let api = Api::start();
    for (expected, bytes) in [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        (400, b"GET / HTTP/1.1\nHost: a\n\n".to_vec()),
        (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec()),
        (400, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".to_vec()),
        (
            411,
            b"POST /reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \xc3\xa9\r\n\r\n"
                .to_vec(),
        ),
        (413, b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n".to_vec()),
        (431, vec![b'a'; 16 * 1024]),
        (431, [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(2_000)].concat()),
        (505, b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ] {
        let answer = Answer::of(&api.raw(&bytes));
        assert_eq!(answer.status, expected, "{:?}", String::from_utf8_lossy(&bytes));
    }
    // A field that is not ASCII is no reason to refuse anybody, and none to fall over.
    let cookie = "GET /livez HTTP/1.1\r\nHost: a\r\nCookie: nom=é\r\n\r\n".as_bytes();
    assert_eq!(Answer::of(&api.raw(cookie)).status, 200);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn slow_peers_are_cut() {
    let short = Duration::from_millis(50);
    let api = Api::with(None, Limits { head_time: short, body_time: short, ..Limits::default() });
    assert_eq!(read_all(&mut api.connect()), "", "one that says nothing is closed without a word");
    assert_eq!(Answer::of(&api.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\n")).status, 408);
    let body = b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    assert_eq!(Answer::of(&api.raw(body)).status, 408);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn dripping_bytes_does_not_extend_the_deadline() {
    let api = Api::with(None, Limits { head_time: Duration::from_millis(200), ..Limits::default() });
    let mut stream = api.connect();
    // Never an end, and never a pause as long as the limit: this loop ends only if the limit is a total.
    stream.write_all(b"GET /livez HTTP/1.1\r\nX: ").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut byte = [0; 1];
    for _ in 0..5_000 {
        match stream.read(&mut byte) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
        if stream.write_all(b"a").is_err() {
            return;
        }
    }
    panic!("still open after 5,000 bytes");
}

#[test]
fn an_answer_that_nobody_reads_is_given_up() {
    // No time at all: what cannot be written at once is not written.
    let api = Api::with(None, Limits { answer_time: Duration::ZERO, ..Limits::default() });
    let worker = api.fake.counters.worker();
    for index in 0..1_000 {
        worker.upstream(&Arc::from(format!("{index}-{}", "x".repeat(2_000)))).opened.add(1);
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&api.address().into()).unwrap();
    let mut stuck = TcpStream::from(socket);
    stuck.set_read_timeout(Some(PATIENCE)).unwrap();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(stuck.peek(&mut [0; 1]).unwrap(), 1);
    // A whole exchange later the time of the other one is over as well.
    assert_eq!(api.ask("GET /livez", "").status, 200);
    let answer = read_all(&mut stuck);
    let length: usize =
        answer.split_once("content-length: ").unwrap().1.split("\r\n").next().unwrap().parse().unwrap();
    assert!(answer.len() < length, "{} of {length}", answer.len());
}

#[test]
fn one_that_does_not_read_loses_its_place() {
    let api = Api::with(None, Limits { answer_time: PATIENCE, connections: 1, ..Limits::default() });
    let worker = api.fake.counters.worker();
    for index in 0..1_000 {
        worker.upstream(&Arc::from(format!("{index}-{}", "x".repeat(2_000)))).opened.add(1);
    }
    let mut stuck = api.connect();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(stuck.peek(&mut [0; 1]).unwrap(), 1);
    assert_eq!(api.ask("GET /livez", "").status, 200);
}

#[test]
fn a_thousand_silent_connections_push_out_their_own() {
    let limits = Limits { head_time: PATIENCE, ..Limits::default() };
    let api = Api::with(None, limits);
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(4_096);
    let count = usize::try_from(hard).unwrap().saturating_sub(500).min(1_000);
    assert!(count > 2 * limits.connections, "the limit on open files is too low for this test: {hard}");
    let mut crowd: Vec<TcpStream> = (0..count).map(|_| api.connect()).collect();
    for line in ["GET /livez", "POST /reload", "GET /metrics"] {
        assert_eq!(api.ask(line, "").status, 200);
    }
    // All but the newest were closed; none was closed for its age, since that limit is far.
    for stream in &mut crowd[..count - limits.connections] {
        assert_eq!(read_all(stream), "");
    }
    let newest = crowd.last_mut().unwrap();
    newest.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(Answer::of(&read_all(newest)).status, 200);
}

#[test]
fn reloads_wait_in_a_short_line_and_block_nobody_else() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let api = Api::with(None, limits);
    let (open, gate) = smol::channel::unbounded();
    *api.fake.gate.lock().unwrap() = Some(gate);
    let ask = || {
        let mut stream = api.connect();
        stream.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..4).map(|_| ask()).collect();
    while api.fake.reloads.load(SeqCst) < 4 {
        std::thread::yield_now();
    }
    assert_eq!(Answer::of(&read_all(&mut ask())).status, 503, "a fifth is told to come back");
    // A crowd that wants places cannot take those of the reloads.
    let _crowd: Vec<TcpStream> = (0..100).map(|_| api.connect()).collect();
    assert_eq!(api.ask("GET /livez", "").status, 200);
    for _ in 0..4 {
        smol::block_on(open.send(())).unwrap();
    }
    for stream in &mut waiting {
        assert_eq!(Answer::of(&read_all(stream)).status, 200);
    }
    *api.fake.gate.lock().unwrap() = None;
    assert_eq!(api.ask("POST /reload", "").status, 200);
}

#[test]
fn stopping_does_not_cut_the_reload_that_stops_it() {
    let api = Api::start();
    let (open, gate) = smol::channel::unbounded();
    *api.fake.gate.lock().unwrap() = Some(gate);
    let mut stream = api.connect();
    stream.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while api.fake.reloads.load(SeqCst) < 1 {
        std::thread::yield_now();
    }
    api.server.stop();
    smol::block_on(open.send(())).unwrap();
    assert_eq!(Answer::of(&read_all(&mut stream)).status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn another_may_listen_as_soon_as_one_has_stopped() {
    let api = Api::start();
    let address = api.address();
    let bind = InternalBind::Tcp(Bind::Address(address));
    assert!(
        Server::start(&bind, None, api.fake.clone()).unwrap_err().to_string().contains(&address.to_string())
    );
    api.server.stop();
    let server = Server::start(&bind, None, api.fake.clone()).unwrap();
    assert_eq!(client::get(&bind, None, "/livez", PATIENCE).unwrap().0, 200);
    server.stop();
}

#[test]
fn a_unix_socket_is_for_its_owner_and_a_stale_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.sock");
    let bind = InternalBind::Unix(path.clone());
    // What a killed process leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let fake = Fake::new();
    let server = Server::start(&bind, None, fake.clone()).unwrap();
    assert_eq!(server.address(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(client::get(&bind, None, "/livez", PATIENCE).unwrap(), (200, "ok\n".to_string()));
    assert_eq!(client::post(&bind, None, "/reload", PATIENCE).unwrap().0, 200);
    let error = Server::start(&bind, None, fake.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    server.stop();
    assert!(!path.exists());

    std::fs::write(&path, "precious").unwrap();
    assert!(Server::start(&bind, None, fake).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_client_speaks_to_every_kind_of_bind() {
    let fake = Fake::new();
    let secret = Secret(Arc::from("s3cret"));
    let server = Server::start(&InternalBind::Tcp(Bind::Any(0)), Some(secret.clone()), fake.clone()).unwrap();
    let port = server.address().unwrap().port();
    let unspecified = Bind::Address(SocketAddr::from(([0, 0, 0, 0], port)));
    for bind in [InternalBind::Tcp(Bind::Any(port)), InternalBind::Tcp(unspecified)] {
        assert_eq!(client::get(&bind, None, "/config", PATIENCE).unwrap().0, 401);
        assert_eq!(client::get(&bind, Some(&secret), "/config", PATIENCE).unwrap().0, 200);
        let (status, line) = client::post(&bind, Some(&secret), "/reload?restart=true", PATIENCE).unwrap();
        assert_eq!((status, line.as_str()), (200, "reloaded: 1 rule changed, in 2 ms\n"));
    }
    assert_eq!(fake.restarts.load(SeqCst), 2);
    server.stop();
}

#[test]
fn the_client_does_not_wait_for_ever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = InternalBind::Tcp(Bind::Address(silent.local_addr().unwrap()));
    let error = client::get(&bind, None, "/livez", Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(silent);
    assert_eq!(
        client::get(&bind, None, "/livez", PATIENCE).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}
