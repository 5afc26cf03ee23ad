//! A fake gate behind a real internal API, and a client that sends any bytes.
#![allow(dead_code)] // Each test file uses its own part.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use smolgate::config::plan::*;
use smolgate::internal_api::control::{
    Asking, CertificateFuture, CertificateQuestion, CertificateTold, ChangeError, ChangeFuture, Changed,
    ExplanationFuture, OrderedAttempt, OrderedCertificate, ReloadFuture,
};
use smolgate::internal_api::{Control, Limits, Phase, Server};
use smolgate::log::Tail;
use smolgate::log::access::{TailFilter, TailReader};
use smolgate::metrics::{Counters, EndpointFigures};

/// Long enough for a loaded machine. Only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A fake gate.
pub(crate) struct Fake {
    pub(crate) counters: Arc<Counters>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) phase: Mutex<Phase>,
    pub(crate) reloads: AtomicUsize,
    pub(crate) restarts: AtomicUsize,
    /// Whether the next reload reads a broken configuration.
    pub(crate) broken: AtomicBool,
    /// Reloads wait for this channel to close, if there is one.
    pub(crate) gate: Mutex<Option<smol::channel::Receiver<()>>>,
}

impl Fake {
    pub(crate) fn new() -> Arc<Fake> {
        Arc::new(Fake {
            counters: Counters::new(),
            tail: Arc::default(),
            phase: Mutex::new(Phase::Ready),
            reloads: AtomicUsize::new(0),
            restarts: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            gate: Mutex::new(None),
        })
    }
}

impl Control for Fake {
    fn reload(&self, restart: bool) -> ReloadFuture<'_> {
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

    fn change(&self, change: Change) -> ChangeFuture<'_> {
        let (is_taken, generation) = (matches!(change, Change::AddUpstream(_)), self.generation());
        Box::pin(async move {
            match is_taken {
                true => Err(ChangeError::Refused {
                    conflict: Some(Conflict::Taken),
                    text: "error: taken\n".into(),
                }),
                false => Ok(Changed { is_made: true, generation }),
            }
        })
    }

    fn plan(&self) -> Arc<Plan> {
        Arc::new(plan())
    }

    fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    fn phase(&self) -> Asking<'_> {
        let phase = *self.phase.lock().unwrap();
        Box::pin(async move { phase })
    }

    fn generation(&self) -> u64 {
        7
    }

    fn started(&self) -> SystemTime {
        SystemTime::now()
    }

    fn certificates(&self) -> Vec<OrderedCertificate> {
        let name = "a.example".to_owned();
        let ca = "ca.example".to_owned();
        let attempt = |at, error| OrderedAttempt { at, ca: ca.clone(), staging: true, error };
        let attempts = vec![attempt(2, Some("no".to_owned())), attempt(3, None)];
        let (until, next, ca) = (Some(1), Some(0), Some(ca.clone()));
        vec![OrderedCertificate { name, state: "valid", until, next, error: None, ca, attempts }]
    }

    fn renew(&self, name: &str) -> Result<(), String> {
        if name == "a.example" { Ok(()) } else { Err(format!("no certificate is ordered for {name}")) }
    }

    fn revoke(&self, name: &str) -> Result<(), String> {
        if name == "a.example" { Ok(()) } else { Err(format!("no certificate is ordered for {name}")) }
    }

    fn answer(&self, question: CertificateQuestion) -> CertificateFuture<'_> {
        let text = format!("{question:?}");
        Box::pin(async move { Ok(CertificateTold { is_well: true, text }) })
    }

    fn endpoints(&self) -> Vec<EndpointFigures> {
        let (upstream, target) = ("users".into(), "10.0.0.1:80".into());
        vec![EndpointFigures { upstream, target, state: "up", weight: 1, ..EndpointFigures::default() }]
    }

    fn drain(&self, which: &str, _: bool) -> Option<(String, Vec<String>)> {
        let (upstream, target) = which.split_once('/').unwrap_or((which, ""));
        let targets = if target == "none" { Vec::new() } else { vec!["10.0.0.1:80".to_owned()] };
        (upstream == "users").then(|| (upstream.to_owned(), targets))
    }

    fn explain(&self, method: &str, url: &str) -> ExplanationFuture<'_> {
        let told = if url == "bad" {
            Err("cannot read the URL".to_owned())
        } else {
            Ok(format!("{method} {url}\n"))
        };
        Box::pin(async move { told })
    }

    fn tail(&self, filter: TailFilter) -> Option<TailReader> {
        self.tail.read(filter)
    }

    fn view(&self) -> String {
        "internal_api: { token: \"[redacted]\" }\n".to_string()
    }

    fn view_as_json(&self) -> serde_json::Value {
        serde_json::json!({ "internal_api": { "token": "[redacted]" } })
    }
}

pub(crate) fn origin(line: u32) -> Origin {
    Origin { file: Arc::from("smolgate.yml"), line, column: 5 }
}

pub(crate) fn rule(line: u32, hosts: Vec<HostPattern>, path_prefix: &str, action: Action) -> Rule {
    let path_prefix = Arc::from(path_prefix);
    let (name, methods, in_the_clear) = (Arc::from("r"), vec![], false);
    let conditions = None;
    let origin = origin(line);
    Rule {
        name,
        origin,
        hosts,
        path_prefix,
        methods,
        conditions,
        in_the_clear,
        acme: true,
        access_log: true,
        headers: None,
        policies: None,
        action,
    }
}

fn upstream() -> Upstream {
    Upstream {
        name: Arc::from("users"),
        origin: origin(3),
        targets: vec![Target {
            scheme: Scheme::Http,
            host: TargetHost::Name(Arc::from("users")),
            port: 8083,
            base_path: Arc::from("/base"),
            weight: 1,
            backup: false,
        }],
        tls: UpstreamTls::default(),
        settings: UpstreamSettings::default(),
        policy: UpstreamPolicy::default(),
    }
}

pub(crate) fn plan() -> Plan {
    let second = Duration::from_secs(1);
    let proxy = Proxy {
        upstream: UpstreamId(0),
        pass_host: false,
        strip_path_prefix: true,
        rewrite: None,
        buffer_request: None,
        limits: smolgate::config::plan::Limits::default(),
    };
    let hosts =
        vec![HostPattern::Exact(Arc::from("a.example")), HostPattern::Wildcard(Arc::from("b.example"))];
    let redirect =
        Redirect { to: Location::new(smolgate::http::Template::literal("https://x.example")), status: 308 };
    let http = HttpListener {
        rules: vec![
            rule(5, hosts, "/users", Action::Proxy(proxy)),
            rule(9, vec![], "/", Action::Redirect(redirect)),
        ],
        settings: HttpSettings::default(),
        trusted_proxies: vec![],
        client_gone: ClientGone::Reset,
        redirect_to_https: None,
        max_requests: None,
        pages: None,
    };
    let listener = |name: &str, line, port, protocol| Listener {
        name: Arc::from(name),
        origin: origin(line),
        binds: vec![Bind::Any(port)],
        protocol,
        tls: None,
        accept_proxy_protocol: vec![],
        shutdown_timeout: second,
    };
    Plan {
        files: vec![PathBuf::from("smolgate.yml")],
        settings: GlobalSettings::default(),
        access_log: None,
        internal_api: InternalApi { bind: loopback(), token: None, edits: None },
        orders: None,
        listeners: vec![
            listener("http", 4, 8021, Protocol::Http(http)),
            listener(
                "tcp",
                20,
                8020,
                Protocol::Tcp(Pass {
                    upstream: UpstreamId(0),
                    send_proxy_protocol: None,
                    idle_timeout: second,
                    speed: None,
                    plugins: None,
                }),
            ),
        ],
        upstreams: vec![upstream()],
        plugins: Vec::new(),
        access_log_origin: None,
        rejected_services: 0,
        mode: None,
    }
}

pub(crate) fn loopback() -> InternalBind {
    InternalBind::Tcp(Bind::Address(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// A running internal API and the gate behind it.
pub(crate) struct Api {
    pub(crate) fake: Arc<Fake>,
    pub(crate) server: Server,
}

impl Api {
    pub(crate) fn start() -> Api {
        Api::with(None, Limits::default())
    }

    pub(crate) fn with(token: Option<&str>, limits: Limits) -> Api {
        let fake = Fake::new();
        let token = token.map(|token| Secret(Arc::from(token)));
        let server = Server::start_with(&loopback(), token, fake.clone(), limits).unwrap();
        Api { fake, server }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address().unwrap()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        read_all(&mut stream)
    }

    /// Sends a request with these fields, each ended by `\r\n`, and parses the response.
    pub(crate) fn ask(&self, line: &str, fields: &str) -> Answer {
        Answer::of(&self.raw(format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").as_bytes()))
    }
}

pub(crate) fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(answer).unwrap()
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_string() }
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        self.head.lines().any(|line| line == field.to_ascii_lowercase())
    }
}
