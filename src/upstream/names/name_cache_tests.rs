//! Tests of the name cache: when a name is queried, and which addresses are used in the meantime.

use std::sync::mpsc;

use smol::block_on;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

/// A resolver that reports each query to the test and takes its answers from the test.
struct Scripted {
    asked: mpsc::Sender<String>,
    answers: Mutex<mpsc::Receiver<Result<Vec<IpAddr>, Unresolved>>>,
}

impl Resolver for Scripted {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        // The test may have ended.
        let _ = self.asked.send(host.into());
        let answer = self.answers.lock().unwrap().recv();
        answer.unwrap_or_else(|_| no_answer())
    }
}

/// A name, the queries for it, and the channel for answers.
type Scene = (Arc<ResolvedName>, mpsc::Receiver<String>, mpsc::Sender<Result<Vec<IpAddr>, Unresolved>>);

fn scene() -> Scene {
    let ((asked, questions), (answer, answers)) = (mpsc::channel(), mpsc::channel());
    let names = NameCache::new(Scripted { asked, answers: Mutex::new(answers) });
    (names.get(&"name.test".into()), questions, answer)
}

fn no_answer() -> Result<Vec<IpAddr>, Unresolved> {
    Err(Unresolved::Temporary(io::ErrorKind::TimedOut.into()))
}

fn no_address() -> Result<Vec<IpAddr>, Unresolved> {
    Err(Unresolved::NoAddress(io::ErrorKind::NotFound.into()))
}

fn ago(seconds: u64) -> Instant {
    Instant::now().checked_sub(Duration::from_secs(seconds)).expect("the machine runs for longer")
}

/// The addresses that a new connection would use.
fn current(name: &Arc<ResolvedName>) -> Vec<IpAddr> {
    let name = name.clone();
    crate::worker::run(|worker| async move { name.current(&worker).await.addresses.clone() }).unwrap()
}

#[test]
fn localhost_resolves_and_has_one_entry() {
    let names = NameCache::default();
    let name = names.get(&"localhost".into());
    assert!(Arc::ptr_eq(&name, &names.get(&"localhost".into())));
    let addresses = current(&name);
    assert!(addresses.iter().all(|address| address.is_loopback()) && !addresses.is_empty());
}

#[test]
fn the_last_good_addresses_are_used_while_the_resolver_hangs() {
    let (name, questions, _hangs) = scene();
    name.store(Ok(vec![HERE]), ago(10));
    assert_eq!(current(&name), [HERE], "the connection does not wait");
    assert_eq!(questions.recv().unwrap(), "name.test", "a query was started");
    assert_eq!(current(&name), [HERE]);
    assert!(questions.try_recv().is_err(), "no second query while the first hangs");
}

#[test]
fn an_old_answer_is_renewed_before_a_connection_uses_it() {
    let (name, _questions, answer) = scene();
    name.store(Ok(vec![HERE]), ago(3600));
    answer.send(Ok(vec![THERE])).unwrap();
    assert_eq!(current(&name), [THERE]);
    name.store(Ok(vec![THERE]), ago(3600));
    assert_eq!(current(&name), [THERE], "a connection does not wait forever for a resolver that hangs");
}

#[test]
fn a_connection_waits_for_a_name_without_addresses() {
    let (name, _questions, answer) = scene();
    answer.send(Ok(vec![HERE, HERE, THERE])).unwrap();
    assert_eq!(current(&name), [HERE, THERE]);
}

#[test]
fn a_name_that_cannot_be_resolved_is_queried_once_a_second() {
    let (name, questions, answer) = scene();
    let began = Instant::now();
    for failed in [no_answer(), no_address(), Ok(Vec::new()), no_answer(), no_answer()] {
        answer.send(failed).unwrap();
    }
    drop(answer);
    for _ in 0..200 {
        assert!(current(&name).is_empty());
        assert!(block_on(name.renewed()).addresses.is_empty(), "still none after a failed connection");
    }
    let asked = questions.try_iter().count() as u64;
    assert!(asked <= 1 + began.elapsed().as_secs(), "{asked} queries");
}

#[test]
fn a_failed_query_keeps_the_last_good_answer() {
    let (name, ..) = scene();
    name.store(Ok(vec![HERE]), ago(10));
    let before = name.last();
    name.store(no_answer(), Instant::now());
    let after = name.last();
    assert_eq!((&after.addresses, after.version), (&before.addresses, before.version));
    assert!(after.asked > before.asked);
}

#[test]
fn addresses_are_dropped_some_minutes_after_the_name_is_gone() {
    let (name, ..) = scene();
    let (start, minute) = (Instant::now(), Duration::from_secs(60));
    name.store(Ok(vec![HERE]), start);
    name.store(no_address(), start + minute);
    name.store(no_answer(), start + 10 * minute);
    assert_eq!(name.last().addresses, [HERE], "a query without an answer does not drop addresses");
    name.store(no_address(), start + 10 * minute);
    assert!(name.last().addresses.is_empty());
    assert_eq!(name.last().version, 2, "pools see a new version");
    name.store(Ok(vec![HERE]), start + 11 * minute);
    name.store(no_address(), start + 12 * minute);
    assert_eq!(name.last().addresses, [HERE], "a good answer restarts the grace time");
    name.store(Ok(Vec::new()), start + 20 * minute);
    assert!(name.last().addresses.is_empty(), "an empty answer counts as a missing name");
}

#[test]
fn only_a_different_answer_has_a_new_version() {
    let (name, ..) = scene();
    let now = Instant::now();
    name.store(Ok(vec![HERE, THERE]), now);
    name.store(Ok(vec![THERE, HERE]), now);
    assert_eq!((name.last().version, &name.last().addresses[..]), (1, &[HERE, THERE][..]));
    name.store(Ok(vec![THERE]), now);
    assert_eq!(name.last().version, 2);
}

#[test]
fn families_take_turns_in_the_order_of_the_resolver() {
    let parse = |all: &[&str]| -> Vec<IpAddr> { all.iter().map(|one| one.parse().unwrap()).collect() };
    let found = parse(&["::1", "::2", "::1", "::3", "1.1.1.1", "::4"]);
    assert_eq!(in_turn(found), parse(&["::1", "1.1.1.1", "::2", "::3", "::4"]));
}

#[test]
fn unused_entries_are_removed() {
    let names = NameCache::default();
    let held: Vec<_> = (0..100).map(|number| names.get(&format!("held-{number}.test").into())).collect();
    for number in 0..10_000 {
        drop(names.get(&format!("dropped-{number}.test").into()));
        let known = names.names.lock().unwrap().by_host.len();
        assert!(known <= 2 * held.len() + SPARE, "{known}");
    }
    let again = names.get(&"held-7.test".into());
    assert!(Arc::ptr_eq(&again, &held[7]), "an entry in use stays");
}
