//! The balance over the endpoints of an upstream: every address of every target.

mod support;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use smolgate::upstream::{Resolver, Unresolved};
use support::client::Client;
use support::gate::TestGate;
use support::upstream::{Blackhole, Connection, Refusing, Upstream};
use support::wire::End;
use support::{Latch, until};

const NAMED: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ target: "http://target.test:{port}" }]
  - name: tcp
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "target.test:{port}"
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// A resolver that gives the addresses it holds.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<Vec<IpAddr>>>);

impl Addresses {
    fn set(&self, addresses: &[IpAddr]) {
        *self.0.lock().unwrap() = addresses.to_vec();
    }
}

impl Resolver for Addresses {
    fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match &self.0.lock().unwrap()[..] {
            [] => Err(Unresolved::NoAddress(io::ErrorKind::NotFound.into())),
            addresses => Ok(addresses.to_vec()),
        }
    }
}

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

/// Upstreams at one port of 127.0.0.1, 127.0.0.2 and so on, which answer every request of a connection.
fn replicas(count: u8) -> (u16, Vec<Upstream>) {
    let answers = |connection: &mut Connection| {
        while connection.read_request().is_some() {
            connection.send(FINE);
        }
    };
    // A port that is free at one address may be in use at another.
    for _ in 0..20 {
        let first = Upstream::scripted(answers);
        let port = first.address().port();
        let others: Option<Vec<Upstream>> =
            (2..=count).map(|last| Upstream::try_scripted_at((local(last), port).into(), answers)).collect();
        if let Some(others) = others {
            return (port, std::iter::once(first).chain(others).collect());
        }
    }
    panic!("no port is free at {count} addresses");
}

fn spread(upstreams: &[Upstream]) -> Vec<usize> {
    upstreams.iter().map(|upstream| upstream.requests().len()).collect()
}

#[test]
fn sequential_requests_are_spread_over_all_addresses_of_a_name() {
    let (port, upstreams) = replicas(3);
    let addresses = Addresses::default();
    addresses.set(&[local(1), local(2), local(3)]);
    let gate = TestGate::start_asking(addresses, NAMED, &[("port", &port)]);
    let mut client = gate.client();
    (0..60).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(spread(&upstreams), [20, 20, 20]);
    assert!(upstreams.iter().all(|upstream| upstream.connections() == 1), "idle connections are used again");
}

#[test]
fn requests_of_many_connections_are_spread_over_all_addresses_of_a_name() {
    let (port, upstreams) = replicas(3);
    let addresses = Addresses::default();
    addresses.set(&[local(1), local(2), local(3)]);
    let gate = TestGate::start_asking(addresses, &format!("workers: 2\n{NAMED}"), &[("port", &port)]);
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| {
                let mut client = gate.client();
                (0..15).for_each(|_| client.exchange(GET).expect(200, "fine"));
            });
        }
    });
    let spread = spread(&upstreams);
    assert!(spread.iter().all(|count| (318..=322).contains(count)), "{spread:?}");
}

#[test]
fn connections_of_a_tcp_listener_are_spread_over_all_addresses_of_a_name() {
    let (port, upstreams) = replicas(2);
    let addresses = Addresses::default();
    addresses.set(&[local(1), local(2)]);
    let gate = TestGate::start_asking(addresses, NAMED, &[("port", &port)]);
    (0..6).for_each(|_| gate.client_of("tcp").exchange(GET).expect(200, "fine"));
    assert_eq!(spread(&upstreams), [3, 3]);
}

#[test]
fn a_name_that_changes_its_addresses_changes_the_endpoints() {
    let (port, upstreams) = replicas(3);
    let addresses = Addresses::default();
    addresses.set(&[local(1), local(2)]);
    let gate = TestGate::start_asking(addresses.clone(), NAMED, &[("port", &port)]);
    let mut client = gate.client();
    (0..4).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(spread(&upstreams), [2, 2, 0]);
    addresses.set(&[local(2), local(3)]);
    until("the new address is used", || {
        client.exchange(GET).expect(200, "fine");
        !upstreams[2].requests().is_empty()
    });
    assert_eq!(upstreams[0].wait_end(0), End::Clean, "the idle connection is closed");
    let before = spread(&upstreams);
    (0..10).for_each(|_| client.exchange(GET).expect(200, "fine"));
    let after = spread(&upstreams);
    assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [0, 5, 5]);
    assert_eq!(upstreams[1].connections(), 1, "the connection to the address that stayed is kept");
}

#[test]
fn a_retry_goes_to_another_address_and_a_refusing_one_is_ejected() {
    let (port, upstreams) = replicas(2);
    let addresses = Addresses::default();
    // Nothing listens at the third one.
    addresses.set(&[local(1), local(2), local(3)]);
    let gate = TestGate::start_asking(addresses, NAMED, &[("port", &port)]);
    let mut client = gate.client();
    (0..30).for_each(|_| client.exchange(GET).expect(200, "fine"));
    let [one, two] = spread(&upstreams)[..] else { panic!() };
    assert_eq!(one + two, 30);
    // Each of the first three turns found that it refuses; then it is left out.
    assert!(one.abs_diff(two) <= 3, "{one} {two}");
}

const TARGETS: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all: { targets: ["{a}", "{b}"], connect_timeout: 1h, {more} }
"#;

#[test]
fn an_endpoint_that_closes_early_is_ejected_and_comes_back() {
    let sick = Upstream::scripted(|connection| {
        while connection.read_request().is_some() {
            if connection.number < 3 {
                return connection.close();
            }
            connection.send(FINE);
        }
    });
    let fine = Upstream::answers(FINE);
    let gate =
        TestGate::start(TARGETS, &[("a", &sick), ("b", &fine), ("more", &"eject: { failures: 3, for: 1s }")]);
    let mut client = gate.client();
    let mut failures = 0;
    for _ in 0..20 {
        failures += usize::from(client.exchange(GET).status() == 502);
    }
    assert_eq!((failures, sick.requests().len()), (3, 3), "three in a row, then none");
    until("the endpoint is tried again", || {
        client.exchange(GET).expect(200, "fine");
        sick.requests().len() > 3
    });
}

#[test]
fn without_eject_a_failing_endpoint_is_always_tried_again() {
    let sick = Upstream::scripted(|connection| {
        connection.read_request();
        connection.close();
    });
    let fine = Upstream::answers(FINE);
    let gate = TestGate::start(TARGETS, &[("a", &sick), ("b", &fine), ("more", &"eject: false")]);
    let mut client = gate.client();
    let failures = (0..20).filter(|_| client.exchange(GET).status() == 502).count();
    assert_eq!(failures, 10);
}

#[test]
fn statuses_eject_where_they_are_named() {
    let sick = Upstream::answers("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    let fine = Upstream::answers(FINE);
    let gate =
        TestGate::start(TARGETS, &[("a", &sick), ("b", &fine), ("more", &"eject: { statuses: [503] }")]);
    let mut client = gate.client();
    let failures = (0..20).filter(|_| client.exchange(GET).status() == 503).count();
    assert_eq!(failures, 3);
}

#[test]
fn weights_and_backups_are_kept() {
    let (one, two, spare) = (Upstream::answers(FINE), Upstream::answers(FINE), Upstream::answers(FINE));
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all:
    targets: ["{one}", { target: "{two}", weight: 3 }, { target: "{spare}", backup: true }]
"#;
    let gate = TestGate::start(config, &[("one", &one), ("two", &two), ("spare", &spare)]);
    let mut client = gate.client();
    (0..20).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(spread(&[one, two, spare]), [5, 15, 0]);
}

#[test]
fn a_hash_keeps_each_key_at_one_endpoint() {
    for (key, line) in
        [("header.X-User", "X-User: @"), ("cookie.id", "Cookie: a=b; id=@; c=d"), ("path", ""), ("host", "")]
    {
        let (one, two) = (Upstream::answers(FINE), Upstream::answers(FINE));
        let more = format!("balance: {{ hash: {key} }}");
        let gate = TestGate::start(TARGETS, &[("a", &one), ("b", &two), ("more", &more)]);
        let mut client = gate.client();
        for _ in 0..3 {
            for user in 0..20 {
                let line = if line.is_empty() { "X: y" } else { line }.replace('@', &user.to_string());
                let request = format!("GET /{user} HTTP/1.1\r\nHost: {user}.test\r\n{line}\r\n\r\n");
                client.exchange(request).expect(200, "fine");
            }
        }
        let users = |upstream: &Upstream| -> HashSet<String> {
            upstream.requests().iter().map(|request| request.target().to_owned()).collect()
        };
        let (at_one, at_two) = (users(&one), users(&two));
        assert!(at_one.is_disjoint(&at_two), "{key}");
        assert!(!at_one.is_empty() && !at_two.is_empty(), "{key}");
    }
}

#[test]
fn a_silent_endpoint_costs_the_first_requests_only() {
    let (hole, fine) = (Blackhole::new(), Upstream::answers(FINE));
    let config = TARGETS.replace("1h", "100ms");
    let gate = TestGate::start(&config, &[("a", &hole), ("b", &fine), ("more", &"tries: 2")]);
    let mut client = gate.client();
    (0..20).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(fine.requests().len(), 20);
    let failed = gate.metric("smolgate_upstream_connections_failed_total{upstream=\"all\"}");
    assert_eq!(failed, 3.0, "{}", gate.metrics());
}

#[test]
fn the_last_endpoint_is_never_ejected() {
    let refusing = Refusing::new();
    let config = "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes: [{ target: \"http://{refusing}\" }]\n";
    let gate = TestGate::start(config, &[("refusing", &refusing)]);
    let mut client = gate.client();
    (0..10).for_each(|_| client.exchange(GET).expect_own(502, "connect_refused"));
    let _upstream = refusing.revive(|connection| {
        connection.read_request();
        connection.send(FINE);
    });
    client.exchange(GET).expect(200, "fine");
}

#[test]
fn a_sticky_cookie_has_the_age_and_the_secret_that_are_written() {
    let (one, two) = (Upstream::answers(FINE), Upstream::answers(FINE));
    let values: Vec<String> = ["", ", secret: 0123456789abcdef", ", secret: 0123456789abcdeX, max_age: 1h"]
        .map(|keys| {
            let more = format!("sticky: {{ cookie: at{keys} }}");
            let gate = TestGate::start(TARGETS, &[("a", &one), ("b", &two), ("more", &more)]);
            let cookie = gate.exchange(GET).get("set-cookie").unwrap().to_owned();
            assert_eq!(
                cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"),
                keys.contains("1h")
            );
            cookie.split(';').next().unwrap().to_owned()
        })
        .into();
    let different: HashSet<_> = values.iter().collect();
    assert_eq!(different.len(), 3, "{values:?}");
}

#[test]
fn a_sticky_cookie_keeps_a_client_until_its_endpoint_is_gone() {
    let (one, two) = (Upstream::answers(FINE), Upstream::answers(FINE));
    let gate = TestGate::start(TARGETS, &[("a", &one), ("b", &two), ("more", &"sticky: { cookie: at }")]);
    let mut client = gate.client();
    let first = client.exchange(GET);
    let cookie = first.get("set-cookie").expect("a cookie").to_owned();
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(&cookie[pair.len()..], "; Path=/; HttpOnly; SameSite=Lax");
    let with = |cookie: &str| format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: x=y; {cookie}\r\n\r\n");
    for _ in 0..10 {
        let response = client.exchange(with(pair));
        response.expect(200, "fine");
        assert_eq!(response.get("set-cookie"), None, "the client has it");
    }
    let spread = [&one, &two].map(|upstream| upstream.requests().len());
    assert_eq!(spread, [11, 0]);
    let unknown = client.exchange(with("at=0123456789"));
    assert!(unknown.get("set-cookie").is_some_and(|new| new.starts_with("at=")));
    // Without its endpoint the client gets another, and its cookie.
    let three = Upstream::answers(FINE);
    gate.edit(TARGETS, &[("a", &two), ("b", &three), ("more", &"sticky: { cookie: at }")]);
    gate.reload().unwrap();
    let moved = client.exchange(with(pair));
    moved.expect(200, "fine");
    assert!(moved.get("set-cookie").is_some());
}

#[test]
fn a_try_at_an_endpoint_that_works_needs_no_budget() {
    let (refusing, fine) = (Refusing::new(), Upstream::answers(FINE));
    let gate = TestGate::start(TARGETS, &[("a", &refusing), ("b", &fine), ("more", &"eject: false")]);
    let mut client = gate.client();
    (0..100).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(fine.requests().len(), 100);
    // Where none works, the tries have an end: the first one was free, and ten are there at the start.
    let other = Refusing::new();
    let gate = TestGate::start(TARGETS, &[("a", &refusing), ("b", &other), ("more", &"eject: false")]);
    let mut client = gate.client();
    (0..100).for_each(|_| assert!(client.exchange(GET).status() >= 502));
    let failed = gate.metric("smolgate_upstream_connections_failed_total{upstream=\"all\"}");
    assert_eq!(failed, 111.0, "{}", gate.metrics());
}

/// Requests to `/NUMBER` that are not answered before their latch opens.
struct LongRequests(Arc<Vec<Latch>>);

impl LongRequests {
    fn upstream(&self) -> Upstream {
        let latches = self.0.clone();
        Upstream::each(move |connection, request| {
            latches[request.target()[1..].parse::<usize>().unwrap()].wait();
            connection.send(FINE);
        })
    }
}

#[test]
fn least_requests_of_two_workers_go_by_one_count() {
    const COUNT: usize = 60;
    let long = LongRequests(Arc::new((0..COUNT).map(|_| Latch::new()).collect()));
    let upstreams = [long.upstream(), long.upstream()];
    let config = format!("workers: 2\n{TARGETS}");
    let names: support::gate::Names =
        &[("a", &upstreams[0]), ("b", &upstreams[1]), ("more", &"balance: least_requests")];
    let gate = TestGate::start(&config, names);
    let mut open: [Vec<(usize, Client)>; 2] = Default::default();
    for number in 0..COUNT {
        let before = upstreams.each_ref().map(|upstream| upstream.requests().len());
        // A connection of its own, which the system gives to either worker.
        let mut client = gate.client();
        client.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let arrived = || upstreams.each_ref().map(|upstream| upstream.requests().len());
        until("it arrives", || arrived() != before);
        let at = usize::from(arrived()[1] > before[1]);
        let counts = open.each_ref().map(Vec::len);
        assert!(counts[at] <= counts[1 - at], "request {number} went to {at}, and {counts:?} are open");
        open[at].push((number, client));
        // Those that end are not the oldest of both, so that the counts drift apart.
        if number % 3 == 2 {
            let (ended, mut client) = open[number % 2].remove(0);
            long.0[ended].open();
            client.read_response().expect(200, "fine");
            let target = &upstreams[number % 2];
            let series = format!("smolgate_target_requests_open{{upstream=\"all\",target=\"{target}\"}}");
            until("it has ended", || gate.metric(&series) == open[number % 2].len() as f64);
        }
    }
    long.0.iter().for_each(Latch::open);
    open.into_iter().flatten().for_each(|(_, mut client)| client.read_response().expect(200, "fine"));
}

const WITH_BACKUP: &str = r#"
workers: 1
http_config: { port: "127.0.0.1:0" }
http_routes: [{ upstream: all }]
upstreams: { all: { targets: [{dead}, { target: "{backup}", backup: true }], {more} } }
"#;

/// Requests fail until each endpoint has failed three times at most. Endpoints that refuse fail no longer than the tries
/// of a request reach the backup.
#[test]
fn a_backup_is_used_when_all_others_have_failed() {
    let closing = || {
        Upstream::scripted(|connection| {
            connection.read_request();
            connection.close();
        })
    };
    let list = |all: &[String]| all.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>().join(", ");
    for (kind, most) in [("refuse", 4), ("close", 12)] {
        for balance in ["round_robin", "least_requests", "random", "strict_round_robin", "{ hash: header.X }"]
        {
            let (closing, refusing) = ([(); 4].map(|()| closing()), [(); 4].map(|()| Refusing::new()));
            let dead = match kind {
                "refuse" => list(&refusing.each_ref().map(ToString::to_string)),
                _ => list(&closing.each_ref().map(ToString::to_string)),
            };
            let backup = Upstream::answers(FINE);
            let more = format!("balance: {balance}");
            let gate = TestGate::start(WITH_BACKUP, &[("dead", &dead), ("backup", &backup), ("more", &more)]);
            let mut client = gate.client();
            let key = |number: &usize| GET.replace("\r\n\r\n", &format!("\r\nX: {number}\r\n\r\n"));
            let failed = (0..60usize).filter(|number| client.exchange(key(number)).status() != 200).count();
            assert!(failed <= most, "{failed} failed: {kind}, {balance}");
            assert_eq!(backup.requests().len(), 60 - failed, "{kind}, {balance}");
        }
    }
}

#[test]
fn an_upstream_that_ejects_no_longer_uses_all_endpoints_again() {
    let (sick, fine) =
        (Upstream::answers("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), Upstream::answers(FINE));
    let gate = TestGate::start(
        TARGETS,
        &[("a", &sick), ("b", &fine), ("more", &"eject: { statuses: 503, for: 1h }")],
    );
    let mut client = gate.client();
    (0..12).for_each(|_| drop(client.exchange(GET)));
    assert_eq!(sick.requests().len(), 3);
    gate.edit(TARGETS, &[("a", &sick), ("b", &fine), ("more", &"eject: false")]);
    gate.reload().unwrap();
    (0..12).for_each(|_| drop(client.exchange(GET)));
    assert_eq!(sick.requests().len(), 9);
}

/// One address is one endpoint, whatever the targets call it.
#[test]
fn targets_with_one_address_are_one_endpoint() {
    let upstream = Upstream::answers(FINE);
    let named = format!("localhost:{}", upstream.address().port());
    let gate = TestGate::start(
        WITH_BACKUP,
        &[("dead", &format!("{:?}", upstream.to_string())), ("backup", &named), ("more", &"max_requests: 5")],
    );
    gate.exchange(GET).expect(200, "fine");
    let series = format!("smolgate_target_up{{upstream=\"all\",target=\"{upstream}\"}}");
    assert_eq!(gate.metrics().matches(&series).count(), 1, "{}", gate.metrics());
}
