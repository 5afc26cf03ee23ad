//! The clients: each repeats one kind of work without a pause, checks every response and counts its work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};

use super::backend::{Backend, SWITCH};
use super::routes::{Fate, History};
use crate::support::client::Client;
use crate::support::message::Response;
use crate::support::tls::{Authority, Tls};
use crate::support::wire::End;
use crate::support::{fingerprint, pattern};

/// The state that all clients share.
pub(crate) struct Scene {
    pub(crate) history: History,
    pub(crate) backends: Vec<Backend>,
    /// The gate's own certificate.
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) done: AtomicBool,
}

/// The address and the transport of a client.
pub(crate) enum Way {
    Clear(SocketAddr),
    /// TLS with a full handshake each time.
    Tls(SocketAddr, Arc<ClientConfig>),
    /// TLS where every handshake but the first resumes the previous session.
    Resumed(SocketAddr, Arc<ClientConfig>),
}

impl Way {
    pub(crate) fn tls(address: SocketAddr, authority: &Authority) -> Way {
        let mut config = authority.client(&["http/1.1"]);
        config.resumption = Resumption::disabled();
        Way::Tls(address, Arc::new(config))
    }

    pub(crate) fn resumed(
        address: SocketAddr,
        authority: &Authority,
        version: &'static SupportedProtocolVersion,
    ) -> Way {
        Way::Resumed(address, Arc::new(authority.client_with(&["http/1.1"], None, &[version])))
    }
}

/// The work that a client repeats.
pub(crate) enum Work {
    /// New connections, each with one exchange.
    ComeAndGo(&'static [&'static str]),
    /// One connection that stays open, with one exchange after the other.
    Stay(&'static [&'static str]),
    /// One WebSocket that stays open, with one message after the other.
    Talk(&'static str),
    /// A connection to a host whose rule changes. It may be closed only by such a change.
    Wander(&'static str),
    /// A WebSocket to a host whose rule changes.
    WanderAndTalk(&'static str),
    /// One connection that stays open, with large uploads that get an early response, and one exchange after
    /// each.
    GiveUp(&'static [&'static str]),
    /// Redirects from the plain port of a gate that terminates TLS.
    BeSentAway(&'static str),
}

/// The amount of work of a client.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) exchanges: usize,
    pub(crate) connections: usize,
}

/// A connection, the version at its start, and the certificate that the server sent.
struct Opened {
    client: Client,
    since: usize,
    shown: Option<CertificateDer<'static>>,
}

impl Scene {
    /// Repeats the work until the test is done.
    pub(crate) fn work(&self, way: &Way, work: &Work) -> Tally {
        match work {
            Work::ComeAndGo(hosts) => self.come_and_go(way, hosts),
            Work::Stay(hosts) => self.stay(way, hosts),
            Work::GiveUp(hosts) => self.give_up(way, hosts),
            Work::Talk(host) => self.talk(way, host),
            Work::Wander(host) => self.wander(way, host, false),
            Work::WanderAndTalk(host) => self.wander(way, host, true),
            Work::BeSentAway(host) => self.be_sent_away(way, host),
        }
    }

    /// A connection that was used once and stays silent.
    pub(crate) fn idle(&self, way: &Way, host: &str) -> Client {
        let Opened { mut client, since, shown } = self.connect(way, host, true);
        let fate = ask(&mut client, host, 0).unwrap_or_else(|end| panic!("{host}: {end:?}"));
        self.judge(host, fate, since, shown.as_ref());
        client
    }

    fn goes_on(&self) -> bool {
        !self.done.load(Ordering::SeqCst)
    }

    fn connect(&self, way: &Way, host: &str, is_first: bool) -> Opened {
        let since = self.history.now();
        let (address, config) = match way {
            Way::Clear(address) => return Opened { client: Client::connect(*address), since, shown: None },
            Way::Tls(address, config) | Way::Resumed(address, config) => (*address, config),
        };
        let tls = Tls::connect(address, config, host).unwrap_or_else(|error| panic!("{host}: {error}"));
        let resumed = tls.0.conn.handshake_kind() == Some(HandshakeKind::Resumed);
        assert_eq!(resumed, matches!(way, Way::Resumed(..)) && !is_first, "{host}: resumed");
        let shown = Some(tls.shown());
        Opened { client: tls.client(), since, shown }
    }

    fn certificate_of(&self, fate: Fate) -> &CertificateDer<'static> {
        match fate {
            Fate::Passed(name) => {
                &self.backends.iter().find(|backend| backend.name == name).expect("a backend").certificate
            }
            _ => &self.certificate,
        }
    }

    /// Fails unless the host could have this fate since version `since`, and the certificate is the one of
    /// the TLS server of that fate.
    fn judge(&self, host: &str, fate: Fate, since: usize, shown: Option<&CertificateDer<'static>>) {
        let possible = self.history.fates(host, since);
        assert!(possible.contains(&fate), "{host}: {fate:?}, which is none of {possible:?}");
        assert!(shown.is_none_or(|shown| shown == self.certificate_of(fate)), "{host}: the certificate");
    }

    fn come_and_go(&self, way: &Way, hosts: &[&str]) -> Tally {
        let mut tally = Tally::default();
        while self.goes_on() {
            let host = hosts[tally.exchanges % hosts.len()];
            let mut visit = self.connect(way, host, tally.exchanges < hosts.len());
            let fate =
                ask(&mut visit.client, host, tally.exchanges).unwrap_or_else(|end| panic!("{host}: {end:?}"));
            self.judge(host, fate, visit.since, visit.shown.as_ref());
            tally.exchanges += 1;
            tally.connections += 1;
        }
        tally
    }

    fn stay(&self, way: &Way, hosts: &[&str]) -> Tally {
        let Opened { mut client, shown, .. } = self.connect(way, hosts[0], true);
        let mut tally = Tally { exchanges: 0, connections: 1 };
        while self.goes_on() {
            let (host, since) = (hosts[tally.exchanges % hosts.len()], self.history.now());
            let fate = ask(&mut client, host, tally.exchanges)
                .unwrap_or_else(|end| panic!("{host}: after {} exchanges: {end:?}", tally.exchanges));
            self.judge(host, fate, since, shown.as_ref());
            tally.exchanges += 1;
        }
        tally
    }

    fn give_up(&self, way: &Way, hosts: &[&str]) -> Tally {
        let Opened { mut client, shown, .. } = self.connect(way, hosts[0], true);
        let mut tally = Tally { exchanges: 0, connections: 1 };
        while self.goes_on() {
            let (host, since) = (hosts[tally.exchanges % hosts.len()], self.history.now());
            for exchange in [ask_in_vain, ask] {
                let fate = exchange(&mut client, host, tally.exchanges)
                    .unwrap_or_else(|end| panic!("{host}: after {} exchanges: {end:?}", tally.exchanges));
                self.judge(host, fate, since, shown.as_ref());
            }
            tally.exchanges += 1;
        }
        tally
    }

    fn talk(&self, way: &Way, host: &str) -> Tally {
        let mut visit = self.connect(way, host, true);
        let fate = upgrade(&mut visit.client, host);
        self.judge(host, fate, visit.since, visit.shown.as_ref());
        let mut tally = Tally { exchanges: 0, connections: 1 };
        while self.goes_on() {
            echo(&mut visit.client, tally.exchanges)
                .unwrap_or_else(|end| panic!("{host}: after {} messages: {end:?}", tally.exchanges));
            tally.exchanges += 1;
        }
        tally
    }

    fn wander(&self, way: &Way, host: &str, upgraded: bool) -> Tally {
        let mut tally = Tally::default();
        while self.goes_on() {
            let mut visit = self.connect(way, host, true);
            let fate = if upgraded {
                upgrade(&mut visit.client, host)
            } else {
                ask(&mut visit.client, host, 0).unwrap_or_else(|end| panic!("{host}: {end:?}"))
            };
            self.judge(host, fate, visit.since, visit.shown.as_ref());
            tally.connections += 1;
            while self.goes_on() {
                let again = if upgraded {
                    echo(&mut visit.client, tally.exchanges)
                } else {
                    let again = ask(&mut visit.client, host, tally.exchanges);
                    again.map(|now| assert_eq!(now, fate, "{host}: another backend on one connection"))
                };
                if let Err(end) = again {
                    let fates = self.history.fates(host, visit.since);
                    assert!(fates.len() > 1, "{host}: {end:?}, though it never changed from {fates:?}");
                    break;
                }
                tally.exchanges += 1;
            }
        }
        tally
    }

    fn be_sent_away(&self, way: &Way, host: &str) -> Tally {
        let Opened { mut client, .. } = self.connect(way, host, true);
        let mut tally = Tally { exchanges: 0, connections: 1 };
        while self.goes_on() {
            let answer =
                client.exchange(format!("GET /a?b={} HTTP/1.1\r\nHost: {host}\r\n\r\n", tally.exchanges));
            let there = format!("https://{host}/a?b={}", tally.exchanges);
            assert_eq!((answer.status(), answer.get("Location")), (308, Some(&*there)), "{answer:?}");
            tally.exchanges += 1;
        }
        tally
    }
}

/// One exchange. Returns its fate; fails if the response belongs to another request.
fn ask(client: &mut Client, host: &str, number: usize) -> Result<Fate, End> {
    // Small bodies, large ones, and none. The gate never sends a POST twice.
    let body = pattern(number as u64, [0, 100, 40_000][number % 3]);
    let (method, token) = (if body.is_empty() { "GET" } else { "POST" }, format!("{host}/{number}"));
    let length = body.len();
    let head = format!(
        "{method} /{number} HTTP/1.1\r\nHost: {host}\r\nX-Token: {token}\r\nContent-Length: {length}\r\n\r\n"
    );
    if !client.try_send([head.as_bytes(), &body].concat()) {
        return Err(End::Reset);
    }
    let answer = client.try_read_response(method)?;
    // A cut response means that the connection ended. The caller knows whether it may end.
    if answer.body.fault.is_some() {
        return Err(End::Reset);
    }
    Ok(fate_of(&answer, &token, &body))
}

/// One upload with an early response. Its body looks like requests, to a reader that has lost its position.
/// The rest is small enough for the connection to stay open.
fn ask_in_vain(client: &mut Client, host: &str, number: usize) -> Result<Fate, End> {
    let token = format!("{host}/early/{number}");
    let inner = format!("GET /inner HTTP/1.1\r\nHost: {host}\r\nX-Token: inner\r\n\r\n");
    let (body, early) =
        (inner.repeat(200_000 / inner.len()), if number.is_multiple_of(3) { "closes" } else { "reads" });
    // A chunked body has a rest of unknown length, so the connection would end.
    let request = format!(
        "POST /early HTTP/1.1\r\nHost: {host}\r\nX-Token: {token}\r\nX-Early: {early}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    if !client.try_send(request) {
        return Err(End::Reset);
    }
    let answer = client.try_read_response("POST")?;
    let status = if early == "closes" { 413 } else { 200 };
    assert_eq!((answer.status(), &answer.body.fault), (status, &None), "{answer:?}");
    let text = answer.text();
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[2..], [token, format!("{:x}", fingerprint(b""))], "the response to another request");
    Ok(Fate::Forwarded(name(words[0])))
}

fn fate_of(answer: &Response, token: &str, body: &[u8]) -> Fate {
    match (answer.status(), answer.reason()) {
        (404, Some("no_rule")) => return Fate::Nobody,
        (421, Some("misdirected")) => return Fate::TooLate,
        (503, None) if answer.get("Retry-After").is_some() => return Fate::Rejected,
        (status, _) => assert_eq!(status, 200, "{answer:?}"),
    }
    let text = answer.text();
    let words: Vec<&str> = text.split(' ').collect();
    assert_eq!(words[2..], [token, &format!("{:x}", fingerprint(body))], "the response to another request");
    match words[1] {
        "forwarded" => Fate::Forwarded(name(words[0])),
        _ => Fate::Passed(name(words[0])),
    }
}

fn upgrade(client: &mut Client, host: &str) -> Fate {
    client.send(format!(
        "GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    let head = client.read_head();
    assert!(SWITCH.starts_with(&head.start), "{head:?}");
    Fate::Forwarded(name(head.get("x-backend").expect("the name of the backend")))
}

/// Sends one message and reads its echo.
fn echo(client: &mut Client, number: usize) -> Result<(), End> {
    let message = pattern(number as u64, [7, 1_000, 30_000][number % 3]);
    if !client.try_send(&message) {
        return Err(End::Reset);
    }
    let echoed = client.try_read_exact(message.len())?;
    assert!(echoed == message, "the echo differs");
    Ok(())
}

fn name(word: &str) -> &'static str {
    super::BACKENDS.into_iter().find(|name| *name == word).unwrap_or_else(|| panic!("no backend {word:?}"))
}
