//! A certificate authority that speaks ACME (RFC 8555) and does what a test tells it. It checks every signature and
//! nonce, and asks the gate for each challenge.

#![allow(dead_code, unreachable_pub)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use serde_json::{Value, json};

use crate::support::{DEADLINE, Latch};

#[path = "ca_challenges.rs"]
mod challenges;

/// The subject of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    Urls,
    Nonce,
    Account,
    NewOrder,
    Order,
    Authorization,
    Challenge,
    Finalize,
    Certificate,
    Window,
    Revocation,
    KeyChange,
}

/// A fault of the authority.
#[derive(Clone)]
pub enum Fault {
    BadNonce,
    /// 429 `rateLimited`, with `Retry-After`.
    RateLimited(u64),
    /// As `RateLimited`, for all names below a domain, in the words of Let's Encrypt.
    LimitedDomain(&'static str, u64),
    /// 403 with this type of problem.
    Problem(&'static str),
    /// 503, with `Retry-After`.
    Unavailable(u64),
    /// The connection is cut before anything is done.
    CutBefore,
    /// The connection is cut when everything is done.
    CutAfter,
    /// 200 with a page of HTML.
    Html,
    /// The certificate is for another key.
    OtherKey,
    /// Everything is done, and the answer waits: the first latch opens, the second one is waited for.
    Hold(Latch, Latch),
}

struct Order {
    name: String,
    /// `pending`, `valid`, `invalid`.
    proof: &'static str,
    reason: Value,
    token: String,
    certificate: Option<String>,
    /// Looks at the order until the certificate is there.
    slow: usize,
}

type TextSource = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

#[derive(Default)]
struct State {
    nonces: HashSet<String>,
    /// The number of nonces that were given out. A nonce is never given twice.
    nonces_given: usize,
    accounts: HashMap<String, Value>,
    orders: Vec<Order>,
    faults: Vec<(Asked, Fault)>,
    log: Vec<Asked>,
    /// Names for which proofs fail, whatever the gate answers.
    refused: HashSet<String>,
    /// The addresses of the gate, for http-01 and tls-alpn-01.
    gate: Option<(SocketAddr, SocketAddr)>,
    /// Tells whether a name of DNS has a text, for dns-01.
    dns: Option<TextSource>,
    slow: usize,
    complaints: Vec<String>,
    /// Certificates whose window of renewal is over, and the certificates that were looked for. `None`: no windows.
    windows: Option<(usize, Vec<String>)>,
    /// The kinds of certificates.
    profiles: Vec<String>,
    /// The certificates that were revoked, in DER.
    revoked: Vec<Vec<u8>>,
    /// The wishes of all orders.
    wishes: Vec<Value>,
    /// Whether it answers nothing but 503.
    is_down: bool,
    /// Seconds by which its clock is ahead of that of this machine, if it tells the time.
    clock: Option<i64>,
    /// The names by which records of CAA allow it.
    identities: Vec<String>,
    /// Seconds from now to the start and to the end of its certificates.
    life: Option<(i64, i64)>,
    /// Whether it offers challenges by a record that stays.
    persists: bool,
}

/// The authority.
pub struct TestCa {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Its certificate.
    pub root: CertificateDer<'static>,
}

struct Server {
    base: String,
    state: Arc<Mutex<State>>,
    issuer: Issuer<'static, KeyPair>,
}

type Reply = (u16, Vec<(&'static str, String)>, String);

impl TestCa {
    pub fn start() -> TestCa {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test CA");
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let state = Arc::new(Mutex::new(State::default()));
        let server = Server {
            base: format!("http://{address}"),
            state: state.clone(),
            issuer: Issuer::new(params, key),
        };
        let server = Arc::new(server);
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                thread::spawn(move || server.serve(socket));
            }
        });
        TestCa { address, state, root }
    }

    /// The URL of the directory.
    pub fn directory(&self) -> String {
        format!("http://{}/d", self.address)
    }

    /// Challenges are asked for there.
    pub fn ask(&self, http: SocketAddr, tls: SocketAddr) {
        self.state.lock().unwrap().gate = Some((http, tls));
    }

    /// Whether a name of DNS has a text is asked there.
    pub fn ask_dns(&self, has: impl Fn(&str, &str) -> bool + Send + Sync + 'static) {
        self.state.lock().unwrap().dns = Some(Arc::new(has));
    }

    /// Tells windows of renewal: the first certificates have one that is over, all others one that is far away.
    pub fn windows(&self, over: usize) {
        self.state.lock().unwrap().windows = Some((over, Vec::new()));
    }

    /// The certificates whose windows were asked for.
    pub fn looked(&self) -> Vec<String> {
        self.state.lock().unwrap().windows.clone().map(|(_, looked)| looked).unwrap_or_default()
    }

    /// The certificates that were revoked, in DER.
    pub fn revoked(&self) -> Vec<Vec<u8>> {
        self.state.lock().unwrap().revoked.clone()
    }

    /// Has these kinds of certificates.
    pub fn profiles(&self, profiles: &[&str]) {
        self.state.lock().unwrap().profiles = profiles.iter().map(|&one| one.into()).collect();
    }

    /// The payloads of all orders.
    pub fn wishes(&self) -> Vec<Value> {
        self.state.lock().unwrap().wishes.clone()
    }

    /// Challenges wait until [`TestCa::ask`].
    pub fn ask_nobody(&self) {
        self.state.lock().unwrap().gate = None;
    }

    /// The next request for this meets a fault.
    pub fn fault(&self, asked: Asked, fault: Fault) {
        self.state.lock().unwrap().faults.push((asked, fault));
    }

    /// Proofs for the name fail.
    pub fn refuse(&self, name: &str) {
        self.state.lock().unwrap().refused.insert(name.to_owned());
    }

    /// Answers nothing but 503 from now on, or answers again.
    pub fn set_down(&self, is_down: bool) {
        self.state.lock().unwrap().is_down = is_down;
    }

    /// Tells the time, which is ahead of that of this machine by these seconds.
    pub fn set_clock(&self, ahead: i64) {
        self.state.lock().unwrap().clock = Some(ahead);
    }

    /// Has these names in records of CAA.
    pub fn set_identities(&self, identities: &[&str]) {
        self.state.lock().unwrap().identities = identities.iter().map(|&one| one.into()).collect();
    }

    /// Certificates live from `start` to `end`, in seconds from now.
    pub fn set_life(&self, start: i64, end: i64) {
        self.state.lock().unwrap().life = Some((start, end));
    }

    /// Offers challenges by a record that stays.
    pub fn set_persistent(&self) {
        self.state.lock().unwrap().persists = true;
    }

    /// Certificates take this many looks from now on.
    pub fn slow(&self, looks: usize) {
        self.state.lock().unwrap().slow = looks;
    }

    /// How often this was asked for.
    pub fn count(&self, asked: Asked) -> usize {
        self.state.lock().unwrap().log.iter().filter(|one| **one == asked).count()
    }

    /// The names of all orders, in their order.
    pub fn orders(&self) -> Vec<String> {
        self.state.lock().unwrap().orders.iter().map(|order| order.name.clone()).collect()
    }

    /// The accounts that were made.
    pub fn accounts(&self) -> usize {
        self.state.lock().unwrap().accounts.len()
    }
}

impl Drop for TestCa {
    fn drop(&mut self) {
        let complaints = std::mem::take(&mut self.state.lock().unwrap().complaints);
        assert!(complaints.is_empty() || thread::panicking(), "the authority complains: {complaints:?}");
    }
}

fn problem(status: u16, kind: &str, detail: &str) -> Reply {
    let body =
        json!({ "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": detail, "status": status });
    (status, vec![("Content-Type", "application/problem+json".into())], body.to_string())
}

impl Server {
    fn serve(self: Arc<Self>, mut socket: TcpStream) {
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut reader = BufReader::new(socket.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap_or_default();
        let (mut length, mut field) = (0, String::new());
        while reader.read_line(&mut field).is_ok_and(|count| count > 2) {
            if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            field.clear();
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let Some((asked, number)) = Self::route(&path) else { return };
        self.state.lock().unwrap().log.push(asked);
        let fault = self.take_fault(asked);
        let reply = match &fault {
            Some(Fault::CutBefore) => return drop(socket.shutdown(Shutdown::Both)),
            Some(Fault::BadNonce) => problem(400, "badNonce", "bad nonce"),
            Some(Fault::Problem(kind)) => problem(403, kind, "no"),
            _ if self.state.lock().unwrap().is_down => (503, Vec::new(), "down".into()),
            Some(Fault::RateLimited(wait)) => retry_after(problem(429, "rateLimited", "too many"), *wait),
            Some(Fault::LimitedDomain(domain, wait)) => {
                let detail = format!(
                    "too many certificates (50) already issued for \"{domain}\" in the last 168h0m0s"
                );
                retry_after(problem(429, "rateLimited", &detail), *wait)
            }
            Some(Fault::Unavailable(wait)) => retry_after((503, Vec::new(), "busy".into()), *wait),
            Some(Fault::Html) => (200, Vec::new(), "<html>a page</html>".into()),
            Some(Fault::OtherKey | Fault::CutAfter | Fault::Hold(..)) | None => {
                let other_key = matches!(fault, Some(Fault::OtherKey));
                self.answer(asked, number, &path, &body, other_key)
            }
        };
        match fault {
            Some(Fault::CutAfter) => return drop(socket.shutdown(Shutdown::Both)),
            Some(Fault::Hold(reached, go_on)) => {
                reached.open();
                go_on.wait();
            }
            _ => {}
        }
        let (status, fields, body) = reply;
        let nonce = self.new_nonce();
        let mut head = format!(
            "HTTP/1.1 {status} X\r\nReplay-Nonce: {nonce}\r\nContent-Length: {}\r\nConnection: close\r\n",
            body.len()
        );
        if let Some(ahead) = self.state.lock().unwrap().clock {
            let time = challenges::after(ahead);
            head.push_str(&format!("Date: {}\r\n", httpdate::fmt_http_date(time)));
        }
        fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        let body = if line.starts_with("HEAD ") { "" } else { &*body };
        // The gate may have been killed.
        let _ = socket.write_all(format!("{head}\r\n{body}").as_bytes());
    }

    fn route(path: &str) -> Option<(Asked, usize)> {
        let mut parts = path.trim_start_matches('/').split('/');
        let asked = match parts.next()? {
            "d" => Asked::Urls,
            "n" => Asked::Nonce,
            "a" => Asked::Account,
            "new" => Asked::NewOrder,
            "o" => Asked::Order,
            "z" => Asked::Authorization,
            "http" | "tls" | "dns" | "persist" => Asked::Challenge,
            "f" => Asked::Finalize,
            "c" => Asked::Certificate,
            "i" => Asked::Window,
            "r" => Asked::Revocation,
            "k" => Asked::KeyChange,
            _ => return None,
        };
        Some((asked, parts.next().and_then(|number| number.parse().ok()).unwrap_or_default()))
    }

    fn take_fault(&self, asked: Asked) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let at = state.faults.iter().position(|(of, _)| *of == asked)?;
        Some(state.faults.remove(at).1)
    }

    fn new_nonce(&self) -> String {
        let mut state = self.state.lock().unwrap();
        state.nonces_given += 1;
        let nonce = format!("nonce-{}", state.nonces_given);
        state.nonces.insert(nonce.clone());
        nonce
    }

    fn answer(
        self: &Arc<Self>,
        asked: Asked,
        number: usize,
        path: &str,
        body: &[u8],
        other_key: bool,
    ) -> Reply {
        let base = &self.base;
        match asked {
            Asked::Urls => {
                let state = self.state.lock().unwrap();
                let profiles: HashMap<_, _> = state.profiles.iter().map(|one| (one, "a text")).collect();
                let mut directory = json!({
                    "newNonce": format!("{base}/n"), "newAccount": format!("{base}/a"),
                    "newOrder": format!("{base}/new"), "revokeCert": format!("{base}/r"),
                    "keyChange": format!("{base}/k"),
                    "meta": { "profiles": profiles, "caaIdentities": state.identities },
                });
                if state.windows.is_some() {
                    directory["renewalInfo"] = json!(format!("{base}/i"));
                }
                return (200, Vec::new(), directory.to_string());
            }
            Asked::Nonce => return (200, Vec::new(), String::new()),
            Asked::Window => return self.window(path.rsplit('/').next().unwrap()),
            _ => {}
        }
        let (account, payload) = match self.check(asked, path, body) {
            Ok(checked) => checked,
            Err(reply) => return reply,
        };
        match asked {
            Asked::Account => self.account(account, &payload),
            Asked::NewOrder => self.new_order(&payload),
            Asked::Order => {
                let order = &mut self.state.lock().unwrap().orders[number];
                order.slow = order.slow.saturating_sub(usize::from(order.certificate.is_some()));
                (200, Vec::new(), self.shown(number, order).to_string())
            }
            Asked::Authorization => (200, Vec::new(), self.authorization(number).to_string()),
            Asked::Challenge => self.challenge(number, path, &account),
            Asked::Finalize => self.finalize(number, &payload, other_key),
            Asked::Certificate => {
                let chain = self.state.lock().unwrap().orders[number].certificate.clone();
                (200, Vec::new(), chain.unwrap_or_default())
            }
            Asked::Revocation => {
                let der = challenges::decode(payload["certificate"].as_str().unwrap());
                self.state.lock().unwrap().revoked.push(der);
                (200, Vec::new(), String::new())
            }
            Asked::KeyChange => self.change_key(&account, &payload),
            Asked::Urls | Asked::Nonce | Asked::Window => unreachable!("answered above"),
        }
    }

    /// Checks the signature, the nonce and the URL. Returns the key of the account and the payload.
    fn check(&self, asked: Asked, path: &str, body: &[u8]) -> Result<(Value, Value), Reply> {
        let jws: Value = serde_json::from_slice(body).unwrap();
        let part = |name: &str| challenges::decode(jws[name].as_str().unwrap());
        let protected: Value = serde_json::from_slice(&part("protected")).unwrap();
        let mut state = self.state.lock().unwrap();
        let nonce = protected["nonce"].as_str().unwrap();
        if !state.nonces.remove(nonce) {
            return Err(problem(400, "badNonce", "unknown or used"));
        }
        let mut complain = |what: &str| {
            state.complaints.push(format!("{asked:?}: {what}"));
            problem(400, "malformed", what)
        };
        if protected["alg"] != "ES256" || protected["url"] != format!("{}{path}", self.base) {
            return Err(complain("alg or url"));
        }
        let key = match (asked, protected.get("jwk"), protected.get("kid")) {
            (Asked::Account, Some(key), None) => key.clone(),
            (_, None, Some(kid)) => match state.accounts.get(kid.as_str().unwrap()) {
                Some(key) => key.clone(),
                None => return Err(problem(400, "accountDoesNotExist", "no such account")),
            },
            _ => return Err(complain("jwk or kid")),
        };
        if !challenges::is_signed(&jws, &key) {
            state.complaints.push(format!("{asked:?}: signature"));
            return Err(problem(400, "malformed", "signature"));
        }
        let payload = part("payload");
        let payload =
            if payload.is_empty() { Value::Null } else { serde_json::from_slice(&payload).unwrap() };
        Ok((key, payload))
    }

    fn account(&self, key: Value, payload: &Value) -> Reply {
        let url = format!(
            "{}/account/{}",
            self.base,
            challenges::encode(digest(&SHA256, key.to_string().as_bytes()).as_ref())
        );
        let mut state = self.state.lock().unwrap();
        let known = state.accounts.iter().find(|(_, has)| **has == key).map(|(url, _)| url.clone());
        let (is_known, url) = (known.is_some(), known.unwrap_or(url));
        if !is_known && payload["onlyReturnExisting"] == true {
            return problem(400, "accountDoesNotExist", "no such account");
        }
        if !is_known && payload["termsOfServiceAgreed"] != true {
            state.complaints.push("terms".into());
        }
        state.accounts.insert(url.clone(), key);
        (if is_known { 200 } else { 201 }, vec![("Location", url)], "{}".into())
    }

    fn window(&self, id: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let (over, looked) = state.windows.as_mut().expect("windows");
        if !looked.iter().any(|known| known == id) {
            looked.push(id.to_owned());
        }
        let year = if looked.iter().position(|known| known == id).unwrap() < *over { 2001 } else { 2901 };
        let window =
            json!({ "start": format!("{year}-01-01T00:00:00Z"), "end": format!("{year}-01-02T00:00:00Z") });
        (200, vec![("Retry-After", "21600".into())], json!({ "suggestedWindow": window }).to_string())
    }

    fn new_order(&self, payload: &Value) -> Reply {
        let mut state = self.state.lock().unwrap();
        state.wishes.push(payload.clone());
        let number = state.orders.len();
        let name = payload["identifiers"][0]["value"].as_str().unwrap().to_owned();
        if payload["identifiers"][0]["type"] != kind(&name) {
            state.complaints.push(format!("the type of {name}: {payload}"));
        }
        let token = challenges::encode(digest(&SHA256, format!("{number} {name}").as_bytes()).as_ref());
        let slow = state.slow;
        state.orders.push(Order {
            name,
            proof: "pending",
            reason: Value::Null,
            token,
            certificate: None,
            slow,
        });
        let shown = self.shown(number, &state.orders[number]).to_string();
        (201, vec![("Location", format!("{}/o/{number}", self.base))], shown)
    }

    fn shown(&self, number: usize, order: &Order) -> Value {
        let base = &self.base;
        let status = match (order.proof, &order.certificate) {
            ("valid", None) => "ready",
            ("valid", Some(_)) if order.slow > 0 => "processing",
            (proof, _) => proof,
        };
        let mut shown = json!({
            "status": status,
            "identifiers": [{ "type": kind(&order.name), "value": order.name }],
            "authorizations": [format!("{base}/z/{number}")],
            "finalize": format!("{base}/f/{number}"),
        });
        if status == "valid" {
            shown["certificate"] = json!(format!("{base}/c/{number}"));
        }
        shown
    }

    fn finalize(&self, number: usize, payload: &Value, other_key: bool) -> Reply {
        let der = challenges::decode(payload["csr"].as_str().unwrap());
        let mut state = self.state.lock().unwrap();
        let state = &mut *state;
        let order = &mut state.orders[number];
        if order.proof != "valid" {
            return problem(403, "orderNotReady", "not ready");
        }
        // Checks the signature too.
        let mut request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der)).unwrap();
        request.params.use_authority_key_identifier_extension = true;
        if let Some((start, end)) = state.life {
            request.params.not_before = challenges::after(start).into();
            request.params.not_after = challenges::after(end).into();
        }
        let names = match order.name.parse::<IpAddr>() {
            Ok(address) => [SanType::IpAddress(address)],
            Err(_) => [SanType::DnsName(order.name.clone().try_into().unwrap())],
        };
        if request.params.subject_alt_names != names {
            state.complaints.push(format!("names of the request: {:?}", request.params.subject_alt_names));
        }
        let certificate = if other_key {
            let params = CertificateParams::new(vec![order.name.clone()]).unwrap();
            params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap()
        } else {
            request.signed_by(&self.issuer).unwrap()
        };
        order.certificate = Some(certificate.pem());
        (200, Vec::new(), self.shown(number, order).to_string())
    }
}

/// The type of an identifier (RFC 8555, section 9.7.7; RFC 8738, section 3).
fn kind(name: &str) -> &'static str {
    if name.parse::<IpAddr>().is_ok() { "ip" } else { "dns" }
}

fn retry_after((status, mut fields, body): Reply, wait: u64) -> Reply {
    fields.push(("Retry-After", wait.to_string()));
    (status, fields, body)
}
