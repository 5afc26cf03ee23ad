//! A ledger of thousands of requests through every fault we can think of, while reloads go on.
//!
//! Each request has a number, and everything about it follows from the number: its body, how its
//! client behaves, what its upstream does to it, and the only answer that is right. At the end the
//! books must balance: every request ended explicitly, no one got another's answer, no POST arrived
//! twice.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use support::client::Client;
use support::gate::TestGate;
use support::upstream::{Connection, Refusing, Upstream};
use support::wire::End;
use support::{fingerprint, pattern};

const CONFIG: &str = r#"
workers: 2
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    response_timeout: "500ms"
    body_timeout: "500ms"
    rules:
      - path_prefix: "/generation"
        respond: { status: 200, body: "generation {generation}" }
      - path_prefix: "/half"
        targets: ["http://{refusing}", "http://{upstream}"]
      - path_prefix: "/dead"
        target: "http://{refusing}"
      - target: "http://{upstream}"
"#;

const CLIENTS: u64 = 8;
const REQUESTS_EACH: u64 = 400;
const RELOADS: usize = 50;

/// What the upstream does to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// Answers, by a length, chunked or until close.
    None,
    /// Answers and closes at once without having said so: idle connections die as they are reused.
    CloseAfter,
    /// Closes before a byte of the answer.
    CloseBefore,
    /// Resets before a byte of the answer.
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
    /// Never answers.
    Hang,
    /// Stops inside the body.
    HangBody,
}

/// What the client does besides asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Manner {
    /// Reads its answer and goes on with the same connection.
    Polite,
    /// Closes its sending side after the request and still reads.
    HalfCloses,
    /// Resets after the request.
    Resets,
    /// Resets inside its own body.
    ResetsInside,
    /// Sends and leaves without ever reading.
    NeverReads,
}

/// How a request ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The right answer, whole.
    Answered,
    /// An answer of the gate that says why.
    Refused(u16),
    /// The answer broke off where the client could see it.
    Broken,
    /// The connection ended without an answer.
    Closed,
    /// The client had left.
    Left,
}

/// Everything about one request follows from its number.
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
        // Only a body can be left inside.
        let post = dice[3].is_multiple_of(2) || manner == Manner::ResetsInside;
        Order { id, fault, manner, post, path }
    }

    fn method(&self) -> &'static str {
        if self.post { "POST" } else { "GET" }
    }

    fn body(&self) -> Vec<u8> {
        if self.post { pattern(self.id ^ 0xb0d1, (self.id * 7919 % 50_000) as usize + 1) } else { Vec::new() }
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

    /// Whether this way of ending is right.
    fn allows(&self, outcome: Outcome) -> bool {
        if outcome == Outcome::Left {
            return !matches!(self.manner, Manner::Polite | Manner::HalfCloses);
        }
        if self.path == "/dead" {
            return outcome == Outcome::Refused(502);
        }
        match self.fault {
            // A POST that met a connection dying under it is not sent again.
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
        }
    }
}

/// Requests that began to arrive at the upstream, by number: method and whether the body was whole
/// and right.
type Arrivals = Arc<Mutex<BTreeMap<u64, Vec<(String, bool)>>>>;

fn upstream(arrivals: Arrivals) -> Upstream {
    Upstream::scripted(move |connection| {
        while let Some(head) = connection.read_head() {
            let id: u64 = head.get("x-id").expect("a number").parse().expect("a number");
            let order = Order::new(id);
            let method = head.start.split(' ').next().unwrap_or_default().to_owned();
            let whole = if order.fault == Fault::ResetUnread {
                false
            } else {
                let request = connection.read_body(head);
                let right = fingerprint(&request.body.bytes) == fingerprint(&order.body());
                assert!(right || !request.complete(), "request {id} arrived with another body");
                right && request.complete()
            };
            arrivals.lock().unwrap().entry(id).or_default().push((method, whole));
            if !whole && order.fault != Fault::ResetUnread || !serve(connection, order) {
                return;
            }
        }
    })
}

/// Does to a request what its order says; false when the connection is over.
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
    }
    connection.close();
    false
}

/// Sends one request on `slot`'s connection, or a new one, and says how it ended.
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
    assert_eq!(response.get("x-id"), Some(order.id.to_string().as_str()), "{order:?} got another's answer");
    if response.body.fault.is_some() {
        assert!(order.answer().starts_with(&response.body.bytes), "{order:?} got another's bytes");
        return Outcome::Broken;
    }
    assert!(response.body.bytes == order.answer(), "{order:?} got another body");
    let closes = response.head.list("connection").contains(&"close".to_owned());
    if order.manner == Manner::Polite && !closes {
        *slot = Some(client);
    }
    Outcome::Answered
}

#[test]
fn every_request_ends_once_and_with_its_own_answer() {
    let arrivals = Arrivals::default();
    let upstream = upstream(arrivals.clone());
    let refusing = Refusing::new();
    let gate =
        TestGate::start(CONFIG, &[("upstream", &upstream), ("refusing", &refusing), ("generation", &0)]);
    let done = AtomicBool::new(false);
    let outcomes: BTreeMap<u64, Outcome> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let gate = &gate;
                scope.spawn(move || {
                    let mut slot = None;
                    let ids = number * REQUESTS_EACH..(number + 1) * REQUESTS_EACH;
                    ids.map(|id| (id, place(Order::new(id), gate, &mut slot))).collect::<Vec<_>>()
                })
            })
            .collect();
        let reloader = scope.spawn(|| {
            for generation in 1..=RELOADS {
                let names: support::gate::Names =
                    &[("upstream", &upstream), ("refusing", &refusing), ("generation", &generation)];
                gate.edit(CONFIG, names);
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

    let mut tally: BTreeMap<(Fault, Outcome), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (id, outcome) in &outcomes {
        let order = Order::new(*id);
        *tally.entry((order.fault, *outcome)).or_default() += 1;
        if !order.allows(*outcome) {
            wrong.push(format!("{order:?} ended as {outcome:?}"));
        }
    }
    eprintln!("{tally:#?}");
    assert_eq!(outcomes.len() as u64, CLIENTS * REQUESTS_EACH);
    assert!(wrong.is_empty(), "{} wrong ends:\n{}", wrong.len(), wrong.join("\n"));
    balance(&outcomes, &arrivals.lock().unwrap());
    // Through all this the gate has lost nothing of its strength.
    for id in (1_000_000..)
        .map(Order::new)
        .filter(|order| order.fault == Fault::None && !order.post && order.path == "/")
        .take(20)
    {
        let order = Order { manner: Manner::Polite, ..id };
        assert_eq!(place(order, &gate, &mut None), Outcome::Answered);
    }
}

/// What clients saw against what arrived.
fn balance(outcomes: &BTreeMap<u64, Outcome>, arrivals: &BTreeMap<u64, Vec<(String, bool)>>) {
    let mut posts = 0;
    for (id, came) in arrivals {
        let order = Order::new(*id);
        assert!(came.iter().all(|(method, _)| method == order.method()), "{order:?}: {came:?}");
        if order.post {
            assert_eq!(came.len(), 1, "{order:?} arrived more than once: {came:?}");
            posts += 1;
        }
        assert_ne!(order.path, "/dead", "{order:?} arrived");
    }
    for (id, outcome) in outcomes {
        if *outcome == Outcome::Answered {
            assert!(arrivals.contains_key(id), "{id} was answered and never arrived");
        }
    }
    assert!(posts > 100, "only {posts} POSTs arrived: this proves too little");
}
