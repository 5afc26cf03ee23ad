//! A ledger of thousands of requests through every known fault, while reloads go on.
//!
//! Each request has a number that determines everything about it: its body, the behaviour of its client, the
//! fault of its upstream, and the only right response. At the end the books must balance: every request ended
//! explicitly, no client got another's response, no POST arrived twice. Some uploads are large and get a
//! response before they were read, and the next request on that connection is checked too. Half of all bodies
//! look like requests: none may be read as one.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use support::client::Client;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::upstream::{Connection, Refusing, Upstream};
use support::wire::{End, Transport};
use support::{pattern, until};

const CONFIG: &str = r#"
workers: 2
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    response_timeout: "1s"
    body_timeout: "1s"
    rules:
      - path_prefix: "/generation"
        respond: { status: 200, body: "generation {generation}" }
      - path_prefix: "/half"
        targets: ["{scheme}://{refusing}", "{scheme}://{upstream}"]
        tls: &blind { insecure_skip_verify: true }
      - path_prefix: "/dead"
        target: "{scheme}://{refusing}"
        tls: *blind
      - target: "{scheme}://{upstream}"
        tls: *blind
"#;

/// Numbers of the requests inside bodies.
const INNER: u64 = 900_000_000;

const CLIENTS: u64 = 8;
const REQUESTS_EACH: u64 = 400;
const RELOADS: usize = 50;

/// If at most this many bytes of a body are left, the gate discards them and keeps the connection, whatever
/// the target did.
const READ_OVER: usize = 256 * 1024;

/// The fault of the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Responds with a length, chunked or until close.
    None,
    /// Responds without `close` and closes at once, so idle connections die as they are reused.
    CloseAfter,
    /// Closes before the first byte of the response.
    CloseBefore,
    /// Resets before the first byte of the response.
    ResetBefore,
    /// Resets before it has read the body.
    ResetUnread,
    /// Closes inside the head.
    CutHead,
    /// Closes inside a body with a length.
    CutLength,
    /// Closes inside a chunked body.
    CutChunks,
    /// Resets inside the body.
    ResetBody,
    /// Never responds.
    Hang,
    /// Stops inside the body.
    HangBody,
    /// Responds to a large upload before it has read any of it, and then reads it.
    EarlyReads,
    /// Responds to a large upload early, and reads no more until the client has the response.
    EarlyStops,
    /// Responds to a large upload early and closes at once, which is a reset.
    EarlyCloses,
}

/// The behaviour of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Reads its response and reuses the connection.
    Polite,
    /// Closes its sending half after the request and still reads.
    HalfCloses,
    /// Resets after the request.
    Resets,
    /// Resets inside its body.
    ResetsInside,
    /// Sends and leaves without reading.
    NeverReads,
}

/// The end of a request for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The right response, complete.
    Answered,
    /// A local reply of the gate with a reason.
    Refused(u16),
    /// A response that was visibly cut.
    Broken,
    /// The connection ended without a response.
    Closed,
    /// The client had left.
    Left,
}

/// A request, derived from its number.
#[derive(Clone, Copy, Debug)]
struct Order {
    id: u64,
    fault: Fault,
    manner: Manner,
    post: bool,
    path: &'static str,
}

impl Order {
    fn new(id: u64) -> Order {
        let dice = pattern(id, 4);
        let fault = match dice[0] {
            0..170 => Fault::None,
            170..190 => Fault::CloseAfter,
            190..200 => Fault::CloseBefore,
            200..210 => Fault::ResetBefore,
            210..218 => Fault::ResetUnread,
            218..226 => Fault::CutHead,
            226..234 => Fault::CutLength,
            234..242 => Fault::CutChunks,
            242..248 => Fault::ResetBody,
            248..252 => Fault::Hang,
            252..=255 => Fault::HangBody,
        };
        let early = match dice[2] {
            230..240 => Some(Fault::EarlyReads),
            240..248 => Some(Fault::EarlyStops),
            248..=255 => Some(Fault::EarlyCloses),
            _ => None,
        };
        if let Some(fault) = early {
            return Order { id, fault, manner: Manner::Polite, post: true, path: "/" };
        }
        let manner = match dice[1] {
            0..200 => Manner::Polite,
            200..216 => Manner::HalfCloses,
            216..230 => Manner::Resets,
            230..243 => Manner::ResetsInside,
            243..=255 => Manner::NeverReads,
        };
        let path = match dice[2] {
            0..40 => "/half",
            40..50 => "/dead",
            _ => "/",
        };
        // Only a request with a body can be reset inside it.
        let post = dice[3].is_multiple_of(2) || manner == Manner::ResetsInside;
        Order { id, fault, manner, post, path }
    }

    fn method(&self) -> &'static str {
        if self.post { "POST" } else { "GET" }
    }

    fn is_early(&self) -> bool {
        matches!(self.fault, Fault::EarlyReads | Fault::EarlyStops | Fault::EarlyCloses)
    }

    fn length(&self) -> usize {
        let odd = (self.id * 7919) as usize;
        match (self.post, self.is_early(), self.id % 4) {
            (false, ..) => 0,
            (true, false, _) => odd % 50_000 + 1,
            (true, true, 0) => 300_000 + odd * 31 % 2_700_000,
            (true, true, _) => 200_000 + odd % 50_000,
        }
    }

    /// Half of the bodies look like requests, one every 64 bytes, for a reader that has lost its position.
    fn body(&self) -> Vec<u8> {
        let length = self.length();
        if self.id.is_multiple_of(2) {
            return pattern(self.id ^ 0xb0d1, length);
        }
        // Large bodies are built and compared often.
        let mut body = match self.is_early() {
            true => inner(0, self.id).repeat(length / 64 + 1).into_bytes(),
            false => (0..=length / 64).map(|number| inner(number, self.id)).collect::<String>().into_bytes(),
        };
        body.truncate(length);
        body
    }

    fn request(&self) -> Vec<u8> {
        let body = self.body();
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: ledger.test\r\nX-Id: {}\r\nX-Fault: {:?}\r\n",
            self.method(),
            self.path,
            self.id,
            self.fault
        );
        match (self.post, self.id % 3) {
            (false, _) => format!("{head}\r\n").into_bytes(),
            (true, 0) => {
                let (one, two) = body.split_at(body.len() / 2);
                let mut bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
                for chunk in [one, two].into_iter().filter(|chunk| !chunk.is_empty()) {
                    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
                bytes
            }
            (true, _) => {
                [format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes(), body].concat()
            }
        }
    }

    fn answer(&self) -> Vec<u8> {
        pattern(self.id ^ 0xa25e, (self.id * 104_729 % 60_000) as usize + 2)
    }

    /// Whether the gate may close the connection after its response, because too much of the request was
    /// left.
    fn may_close(&self) -> bool {
        self.is_early() && self.length() > READ_OVER
    }

    /// Whether this end is right.
    fn allows(&self, outcome: Outcome) -> bool {
        if outcome == Outcome::Left {
            return !matches!(self.manner, Manner::Polite | Manner::HalfCloses);
        }
        if self.path == "/dead" {
            return outcome == Outcome::Refused(502);
        }
        match self.fault {
            // The gate does not repeat a POST whose connection died.
            Fault::None | Fault::CloseAfter => {
                outcome == Outcome::Answered || (self.post && outcome == Outcome::Refused(502))
            }
            Fault::CloseBefore | Fault::ResetBefore | Fault::ResetUnread | Fault::CutHead => {
                outcome == Outcome::Refused(502)
            }
            Fault::CutLength | Fault::CutChunks | Fault::ResetBody => {
                matches!(outcome, Outcome::Broken | Outcome::Closed | Outcome::Refused(502))
            }
            Fault::Hang => matches!(outcome, Outcome::Refused(502 | 504)),
            Fault::HangBody => {
                matches!(outcome, Outcome::Broken | Outcome::Closed | Outcome::Refused(502 | 504))
            }
            // The reset may overtake the response.
            Fault::EarlyCloses => {
                matches!(
                    outcome,
                    Outcome::Answered | Outcome::Broken | Outcome::Closed | Outcome::Refused(502)
                )
            }
            // A connection that is closed with unread bytes is reset, which may overtake the response too.
            Fault::EarlyReads | Fault::EarlyStops => match outcome {
                Outcome::Answered | Outcome::Refused(502) => true,
                Outcome::Broken | Outcome::Closed => self.may_close(),
                _ => false,
            },
        }
    }
}

/// 64 bytes of a body that look like a request.
fn inner(number: usize, id: u64) -> String {
    let id = INNER + id;
    format!("GET /{number:07} HTTP/1.1\r\nHost: a\r\nX-Id: {id:09}\r\nX-Pad: 1234\r\n\r\n")
}

/// Requests that began to arrive at the upstream, by number: the method, and whether the body was complete
/// and right.
type Arrivals = Arc<Mutex<BTreeMap<u64, Vec<(String, bool)>>>>;

/// The state that the upstream and the clients share.
#[derive(Clone, Default)]
struct Books {
    arrivals: Arrivals,
    /// Requests whose end the client has seen.
    ended: Arc<Mutex<BTreeSet<u64>>>,
}

impl Books {
    fn arrived(&self, id: u64, method: String, whole: bool) {
        self.arrivals.lock().unwrap().entry(id).or_default().push((method, whole));
    }

    /// Reads one request and acts as its order says. Returns false when the connection is over.
    fn serve(&self, connection: &mut Connection) -> bool {
        let Some(head) = connection.read_head() else { return false };
        let id: u64 = head.get("x-id").expect("a number").parse().expect("a number");
        let order = Order::new(id);
        let method = head.start.split(' ').next().unwrap_or_default().to_owned();
        if order.fault == Fault::ResetUnread {
            self.arrived(id, method, false);
            return serve(connection, order);
        }
        if order.is_early() {
            self.arrived(id, method.clone(), false);
            answer_early(connection, order);
            if order.fault == Fault::EarlyCloses {
                return false;
            }
            if order.fault == Fault::EarlyStops {
                until("its client has seen the end", || self.ended.lock().unwrap().contains(&id));
            }
        }
        let request = connection.read_body(head);
        let right = request.body.bytes == order.body();
        assert!(right || !request.complete(), "request {id} arrived with another body");
        if order.is_early() {
            return request.complete();
        }
        self.arrived(id, method, request.complete());
        request.complete() && serve(connection, order)
    }
}

fn upstream(books: &Books, tls: bool) -> Upstream {
    let books = books.clone();
    let script = move |connection: &mut Connection| while books.serve(connection) {};
    if !tls {
        return Upstream::scripted(script);
    }
    let dir = tempfile::tempdir().unwrap();
    let config =
        Authority::new(dir.path(), "ca.pem").issue(dir.path(), "upstream", &["ledger.test"]).server();
    let wrap = move |stream: TcpStream| -> Option<Box<dyn Transport>> {
        Some(Box::new(Tls::accept(stream, &config).ok()?))
    };
    Upstream::wrapped(wrap, script)
}

fn answer_early(connection: &mut Connection, order: Order) {
    let (answer, status) = (order.answer(), if order.id % 8 < 4 { "200 OK" } else { "413 Too Large" });
    // Without `close`, the next request would come here and wait for this request's client.
    let close = if order.fault == Fault::EarlyStops { "Connection: close\r\n" } else { "" };
    let fields = format!("X-Id: {}\r\nContent-Length: {}\r\n{close}", order.id, answer.len());
    let head = format!("HTTP/1.1 {status}\r\n{fields}\r\n");
    connection.send([head.as_bytes(), &answer].concat());
    if order.fault == Fault::EarlyCloses {
        connection.close();
    }
}

/// Acts as the order of a request says. Returns false when the connection is over.
fn serve(connection: &mut Connection, order: Order) -> bool {
    let answer = order.answer();
    let head = format!("HTTP/1.1 200 OK\r\nX-Id: {}\r\n", order.id);
    let by_length = format!("{head}Content-Length: {}\r\n\r\n", answer.len());
    let half = &answer[..answer.len() / 2];
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    match order.fault {
        Fault::None if order.id.is_multiple_of(5) => {
            connection.send([format!("{head}\r\n").as_bytes(), &answer].concat());
            connection.half_close();
            return false;
        }
        Fault::None if order.id.is_multiple_of(2) => {
            let coded = [&chunk(half)[..], &chunk(&answer[half.len()..]), b"0\r\n\r\n"].concat();
            connection
                .send([format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &coded].concat());
            return true;
        }
        Fault::None => {
            connection.send([by_length.as_bytes(), &answer].concat());
            return true;
        }
        Fault::CloseAfter => connection.send([by_length.as_bytes(), &answer].concat()),
        Fault::CloseBefore => {}
        Fault::ResetBefore | Fault::ResetUnread => connection.reset(),
        Fault::CutHead => connection.send(&by_length[..by_length.len() - 3]),
        Fault::CutLength => connection.send([by_length.as_bytes(), half].concat()),
        Fault::CutChunks => {
            connection.send(
                [format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(), &chunk(half)].concat(),
            );
        }
        Fault::ResetBody => {
            connection.send([by_length.as_bytes(), half].concat());
            connection.reset();
        }
        Fault::Hang => connection.hang(),
        Fault::HangBody => {
            connection.send([by_length.as_bytes(), half].concat());
            connection.hang();
        }
        Fault::EarlyReads | Fault::EarlyStops | Fault::EarlyCloses => {}
    }
    connection.close();
    false
}

/// Sends one request on `slot`'s connection, or a new one, and returns how it ended.
fn place(order: Order, gate: &TestGate, slot: &mut Option<Client>) -> Outcome {
    let mut client = slot.take().unwrap_or_else(|| gate.client());
    let request = order.request();
    match order.manner {
        Manner::Polite | Manner::HalfCloses => {}
        Manner::Resets | Manner::NeverReads => {
            client.try_send(&request);
            if order.manner == Manner::Resets {
                client.reset();
            }
            return Outcome::Left;
        }
        Manner::ResetsInside => {
            client.try_send(&request[..request.len() - order.body().len() / 2 - 1]);
            client.reset();
            return Outcome::Left;
        }
    }
    client.try_send(&request);
    if order.manner == Manner::HalfCloses {
        client.half_close();
    }
    let response = match client.try_read_response(order.method()) {
        Ok(response) => response,
        Err(End::Deadline) => panic!("{order:?} never ended"),
        Err(_) => return Outcome::Closed,
    };
    if let Some(reason) = response.reason() {
        assert!(!reason.is_empty() && response.body.fault.is_none(), "{order:?}: {response:?}");
        if order.manner == Manner::Polite && !response.head.list("connection").contains(&"close".to_owned()) {
            *slot = Some(client);
        }
        return Outcome::Refused(response.status());
    }
    assert_eq!(response.get("x-id"), Some(order.id.to_string().as_str()), "{order:?} got another's response");
    if response.body.fault.is_some() {
        assert!(order.answer().starts_with(&response.body.bytes), "{order:?} got another's bytes");
        return Outcome::Broken;
    }
    assert!(response.body.bytes == order.answer(), "{order:?} got another body");
    let closes = response.head.list("connection").contains(&"close".to_owned());
    if order.manner == Manner::Polite && !closes && (!order.may_close() || still_serves(&mut client)) {
        *slot = Some(client);
    }
    Outcome::Answered
}

/// Whether a connection that may be closed is open. Then the next request on it must be served.
fn still_serves(client: &mut Client) -> bool {
    let body = inner(0, 0).repeat(100);
    let head = format!("POST /generation HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    client.try_send([head, body].concat());
    match client.try_read_response("POST") {
        Ok(response) => {
            assert!(response.status() == 200 && response.text().starts_with("generation "), "{response:?}");
            true
        }
        Err(end) => {
            assert_ne!(end, End::Deadline, "a connection neither serves nor ends");
            false
        }
    }
}

#[test]
fn every_request_ends_once_and_with_its_own_response() {
    keep_the_books(false);
}

#[test]
fn every_request_to_a_target_with_tls_ends_once_and_with_its_own_response() {
    keep_the_books(true);
}

fn keep_the_books(tls: bool) {
    let (books, refusing) = (Books::default(), Refusing::new());
    let upstream = upstream(&books, tls);
    let scheme = if tls { "https" } else { "http" };
    let mine = |line: &&str| tls || !line.trim().starts_with("tls:");
    let config = CONFIG.replace("{scheme}", scheme).lines().filter(mine).collect::<Vec<_>>().join("\n");
    let config = config.as_str();
    let gate =
        TestGate::start(config, &[("upstream", &upstream), ("refusing", &refusing), ("generation", &0)]);
    let done = AtomicBool::new(false);
    let outcomes: BTreeMap<u64, Outcome> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (gate, books) = (&gate, &books);
                scope.spawn(move || {
                    let mut slot = None;
                    let ids = number * REQUESTS_EACH..(number + 1) * REQUESTS_EACH;
                    let place = |id| {
                        let outcome = place(Order::new(id), gate, &mut slot);
                        books.ended.lock().unwrap().insert(id);
                        (id, outcome)
                    };
                    ids.map(place).collect::<Vec<_>>()
                })
            })
            .collect();
        let reloader = scope.spawn(|| {
            for generation in 1..=RELOADS {
                let names: support::gate::Names =
                    &[("upstream", &upstream), ("refusing", &refusing), ("generation", &generation)];
                gate.edit(config, names);
                gate.reload().expect("the reload is fine");
                let asked = gate.exchange("GET /generation HTTP/1.1\r\nHost: a\r\n\r\n");
                asked.expect(200, format!("generation {generation}"));
                if done.load(Ordering::Relaxed) {
                    continue;
                }
                thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let all =
            clients.into_iter().flat_map(|client| client.join().expect("a client's books are in order"));
        let all = all.collect();
        done.store(true, Ordering::Relaxed);
        reloader.join().expect("every reload went well");
        all
    });
    judge(&outcomes);
    balance(&outcomes, &books.arrivals.lock().unwrap());
    // After all this the gate still serves every request.
    for id in (1_000_000..)
        .map(Order::new)
        .filter(|order| order.fault == Fault::None && !order.post && order.path == "/")
        .take(20)
    {
        let order = Order { manner: Manner::Polite, ..id };
        assert_eq!(place(order, &gate, &mut None), Outcome::Answered);
    }
}

/// Fails unless every request ended as it may.
fn judge(outcomes: &BTreeMap<u64, Outcome>) {
    let mut tally: BTreeMap<(Fault, Outcome), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (id, outcome) in outcomes {
        let order = Order::new(*id);
        *tally.entry((order.fault, *outcome)).or_default() += 1;
        if !order.allows(*outcome) {
            wrong.push(format!("{order:?} ended as {outcome:?}"));
        }
    }
    eprintln!("{tally:#?}");
    assert_eq!(outcomes.len() as u64, CLIENTS * REQUESTS_EACH);
    assert!(wrong.is_empty(), "{} wrong ends:\n{}", wrong.len(), wrong.join("\n"));
}

/// Compares the outcomes of the clients with the arrivals.
fn balance(outcomes: &BTreeMap<u64, Outcome>, arrivals: &BTreeMap<u64, Vec<(String, bool)>>) {
    let (mut posts, mut early) = (0, 0);
    for (id, came) in arrivals {
        let order = Order::new(*id);
        assert!(came.iter().all(|(method, _)| method == order.method()), "{order:?}: {came:?}");
        if order.post {
            assert_eq!(came.len(), 1, "{order:?} arrived more than once: {came:?}");
            posts += 1;
        }
        early += usize::from(order.is_early());
        assert_ne!(order.path, "/dead", "{order:?} arrived");
        assert!(outcomes.contains_key(id), "{id} was never sent: {came:?}");
    }
    for (id, outcome) in outcomes {
        if *outcome == Outcome::Answered {
            assert!(arrivals.contains_key(id), "{id} got a response and never arrived");
        }
    }
    assert!(posts > 100 && early > 100, "{posts} POSTs, {early} early responses: this proves too little");
}
