//! A server that speaks the protocol of S3: objects with conditions, lists, signatures that it checks. It does what a
//! test tells it.

#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

use crate::support::DEADLINE;

/// The access key and its secret.
pub const LOGIN: [&str; 2] = ["gate", "the-secret-of-the-gate"];
/// The token that the endpoint of a container asks for.
pub const CONTAINER_TOKEN: &str = "token-of-the-container";

/// Keys in a part of a list.
const PAGE: usize = 7;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Vec<u8>, String)>,
    /// The keys of all writes that were done.
    writes: Vec<String>,
    /// Every connection is cut.
    is_silent: bool,
    cut: usize,
    ignores_conditions: bool,
    /// Every request is refused with this code.
    refuses: Option<&'static str>,
    /// Tokens of sessions that requests had.
    tokens: Vec<String>,
}

/// The server, with one bucket: `store`.
pub struct S3 {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

type Reply = (u16, Vec<(&'static str, String)>, Vec<u8>);

impl S3 {
    pub fn start() -> S3 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let state = shared.clone();
                thread::spawn(move || serve(&state, socket));
            }
        });
        S3 { address, state }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value of `store` in a configuration.
    pub fn store(&self, lease: &str) -> String {
        let [user, secret] = LOGIN;
        let login = format!("access_key_id: {user}, secret_access_key: {secret}");
        self.store_with(&login, lease)
    }

    /// The value of `store` with these keys for `s3` besides.
    pub fn store_with(&self, more: &str, lease: &str) -> String {
        let comma = if more.is_empty() { "" } else { ", " };
        format!(
            "{{ s3: {{ bucket: store, prefix: gates, endpoint: \"{}\"{comma}{more} }}, key: {KEY}, lease: {lease} }}",
            self.endpoint()
        )
    }

    /// Cuts every connection, or serves again.
    pub fn silence(&self, is_silent: bool) {
        self.state.lock().unwrap().is_silent = is_silent;
    }

    /// The number of connections that were cut.
    pub fn cut(&self) -> usize {
        self.state.lock().unwrap().cut
    }

    /// Takes every write, whatever its condition is.
    pub fn ignore_conditions(&self) {
        self.state.lock().unwrap().ignores_conditions = true;
    }

    /// Refuses every request.
    pub fn refuse(&self, code: &'static str) {
        self.state.lock().unwrap().refuses = Some(code);
    }

    /// How often an object whose key ends so was written.
    pub fn writes(&self, end: &str) -> usize {
        self.state.lock().unwrap().writes.iter().filter(|key| key.ends_with(end)).count()
    }

    /// All objects.
    pub fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state.lock().unwrap();
        state.objects.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
    }

    /// The tokens of sessions that requests had.
    pub fn tokens(&self) -> Vec<String> {
        self.state.lock().unwrap().tokens.clone()
    }
}

/// The key that seals values.
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn serve(state: &Mutex<State>, mut socket: TcpStream) {
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    {
        let mut state = state.lock().unwrap();
        if state.is_silent {
            state.cut += 1;
            return;
        }
    }
    let Some(request) = read(&socket) else { return };
    let (status, fields, body) = answer(&mut state.lock().unwrap(), &request);
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    head.push_str("Date: Mon, 30 Nov 2026 12:00:00 GMT\r\n");
    fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    // The gate may have been killed.
    let _ = socket.write_all(&[head.as_bytes(), b"\r\n", &body].concat());
}

fn read(socket: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    let (mut line, mut fields) = (String::new(), BTreeMap::new());
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut field = String::new();
    while reader.read_line(&mut field).ok()? > 2 {
        let (name, value) = field.split_once(':')?;
        fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        field.clear();
    }
    let length = fields.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), fields, body })
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, vec![("Content-Type", "application/xml".to_owned())], body.into_bytes())
}

fn answer(state: &mut State, request: &Request) -> Reply {
    if request.path == "/credentials" {
        return credentials(request);
    }
    if let Some(code) = state.refuses {
        return refusal(403, code);
    }
    if let Err(code) = check(request) {
        return refusal(403, code);
    }
    state.tokens.extend(request.fields.get("x-amz-security-token").cloned());
    let Some(key) = request.path.strip_prefix("/store/") else { return refusal(404, "NoSuchBucket") };
    let there = state.objects.get(key);
    let tag = |tag: &String| vec![("ETag", tag.clone())];
    match &*request.method {
        "GET" if key.is_empty() => list(state, &request.query),
        "GET" => match there {
            Some((value, etag)) => (200, tag(etag), value.clone()),
            None => refusal(404, "NoSuchKey"),
        },
        "DELETE" => {
            state.objects.remove(key);
            (204, Vec::new(), Vec::new())
        }
        "PUT" => {
            let is_absent =
                request.fields.get("if-none-match").is_none_or(|any| any == "*" && there.is_none());
            let is_it = |wanted: &String| there.is_some_and(|(_, etag)| etag == wanted);
            let fits = is_absent && request.fields.get("if-match").is_none_or(is_it);
            if !fits && !state.ignores_conditions {
                return refusal(412, "PreconditionFailed");
            }
            state.writes.push(key.to_owned());
            let etag = format!("\"{:032x}\"", state.writes.len());
            state.objects.insert(key.to_owned(), (request.body.clone(), etag.clone()));
            (200, tag(&etag), Vec::new())
        }
        _ => refusal(405, "MethodNotAllowed"),
    }
}

/// Few keys at a time.
fn list(state: &State, query: &str) -> Reply {
    let value = |name: &str| {
        let found = query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.map(|value| value.replace("%2F", "/"))
    };
    let (prefix, after) =
        (value("prefix").unwrap_or_default(), value("continuation-token").unwrap_or_default());
    let is_wanted = |key: &&String| key.starts_with(&prefix) && **key > after;
    let keys: Vec<&String> = state.objects.keys().filter(is_wanted).collect();
    let mut body = "<ListBucketResult>".to_owned();
    for key in keys.iter().take(PAGE) {
        let etag = state.objects[*key].1.replace('"', "&quot;");
        body.push_str(&format!("<Contents><Key>{key}</Key><ETag>{etag}</ETag></Contents>"));
    }
    let more = keys.len() > PAGE;
    body.push_str(&format!("<IsTruncated>{more}</IsTruncated>"));
    if more {
        body.push_str(&format!("<NextContinuationToken>{}</NextContinuationToken>", keys[PAGE - 1]));
    }
    (200, Vec::new(), (body + "</ListBucketResult>").into_bytes())
}

/// The endpoint of a container.
fn credentials(request: &Request) -> Reply {
    if request.fields.get("authorization").map(String::as_str) != Some(CONTAINER_TOKEN) {
        return (401, Vec::new(), Vec::new());
    }
    let [user, secret] = LOGIN;
    let body = serde_json::json!({
        "AccessKeyId": user, "SecretAccessKey": secret, "Token": "session", "Expiration": "2030-01-01T00:00:00Z",
    });
    (200, Vec::new(), body.to_string().into_bytes())
}

/// Checks the signature, by the description of AWS Signature Version 4.
fn check(request: &Request) -> Result<(), &'static str> {
    let field = |name: &str| request.fields.get(name).map_or("", |value| value);
    let given = field("authorization").strip_prefix("AWS4-HMAC-SHA256 ").ok_or("AccessDenied")?;
    let part = |name: &str| {
        let found = given.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_default()
    };
    let (user, scope) = part("Credential").split_once('/').ok_or("AccessDenied")?;
    if user != LOGIN[0] {
        return Err("InvalidAccessKeyId");
    }
    let names = part("SignedHeaders");
    for name in
        ["host", "x-amz-date", "x-amz-content-sha256", "if-match", "if-none-match", "x-amz-security-token"]
    {
        if request.fields.contains_key(name) && !names.split(';').any(|signed| signed == name) {
            return Err("AccessDenied");
        }
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = hex(digest(&SHA256, &request.body).as_ref());
    if field("x-amz-content-sha256") != body {
        return Err("XAmzContentSHA256Mismatch");
    }
    let mut query: Vec<&str> = request.query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let fields: String = names.split(';').map(|name| format!("{name}:{}\n", field(name))).collect();
    let (method, path) = (&request.method, &request.path);
    let canonical = format!("{method}\n{path}\n{}\n{fields}\n{names}\n{body}", query.join("&"));
    let time = field("x-amz-date");
    let text =
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let mut key = format!("AWS4{}", LOGIN[1]).into_bytes();
    for step in scope.split('/') {
        key = sign(&Key::new(HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec();
    }
    match hex(sign(&Key::new(HMAC_SHA256, &key), text.as_bytes()).as_ref()) == part("Signature") {
        true => Ok(()),
        false => Err("SignatureDoesNotMatch"),
    }
}
