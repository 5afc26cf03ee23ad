//! When a name is asked for again, and which answer serves meanwhile.

use std::sync::mpsc;

use smol::block_on;

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

/// Says what it was asked, and answers with what it is told.
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

/// A name, the questions for it, and what to answer them with.
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

/// What a new connection would go by.
fn current(name: &Arc<ResolvedName>) -> Vec<IpAddr> {
    let name = name.clone();
    crate::worker::run(|worker| async move { name.current(&worker).await.addresses.clone() }).unwrap()
}

#[test]
fn localhost_resolves_and_is_asked_once() {
    let names = NameCache::default();
    let name = names.get(&"localhost".into());
    assert!(Arc::ptr_eq(&name, &names.get(&"localhost".into())));
    let addresses = current(&name);
    assert!(addresses.iter().all(|address| address.is_loopback()) && !addresses.is_empty());
}

#[test]
fn the_last_good_addresses_serve_while_the_resolver_hangs() {
    let (name, questions, _hangs) = scene();
    name.store(Ok(vec![HERE]), ago(10));
    assert_eq!(current(&name), [HERE], "nothing answers, and nothing waits");
    assert_eq!(questions.recv().unwrap(), "name.test", "it was asked for all the same");
    assert_eq!(current(&name), [HERE]);
    assert!(questions.try_recv().is_err(), "and once, as long as that hangs");
}

#[test]
fn an_address_that_nobody_has_used_for_long_is_asked_for_first() {
    let (name, _questions, answer) = scene();
    name.store(Ok(vec![HERE]), ago(3600));
    answer.send(Ok(vec![THERE])).unwrap();
    assert_eq!(current(&name), [THERE]);
    name.store(Ok(vec![THERE]), ago(3600));
    assert_eq!(current(&name), [THERE], "a resolver that hangs is not waited for as long as it does");
}

#[test]
fn without_addresses_a_connection_waits_for_some() {
    let (name, _questions, answer) = scene();
    answer.send(Ok(vec![HERE, HERE, THERE])).unwrap();
    assert_eq!(current(&name), [HERE, THERE]);
}

#[test]
fn a_name_that_cannot_be_resolved_is_asked_for_once_a_second() {
    let (name, questions, answer) = scene();
    let began = Instant::now();
    for failed in [no_answer(), no_address(), Ok(Vec::new()), no_answer(), no_answer()] {
        answer.send(failed).unwrap();
    }
    drop(answer);
    for _ in 0..200 {
        assert!(current(&name).is_empty());
        assert!(block_on(name.renewed()).addresses.is_empty(), "nor after a failed connection");
    }
    let asked = questions.try_iter().count() as u64;
    assert!(asked <= 1 + began.elapsed().as_secs(), "{asked} questions");
}

#[test]
fn a_failed_question_keeps_the_last_good_answer() {
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
    assert_eq!(name.last().addresses, [HERE], "that there is no answer says nothing");
    name.store(no_address(), start + 10 * minute);
    assert!(name.last().addresses.is_empty());
    assert_eq!(name.last().version, 2, "pools hear of it");
    name.store(Ok(vec![HERE]), start + 11 * minute);
    name.store(no_address(), start + 12 * minute);
    assert_eq!(name.last().addresses, [HERE], "it was back, and time begins anew");
    name.store(Ok(Vec::new()), start + 20 * minute);
    assert!(name.last().addresses.is_empty(), "an answer of nothing is the same");
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
fn entries_nobody_holds_are_forgotten() {
    let names = NameCache::default();
    let held: Vec<_> = (0..100).map(|number| names.get(&format!("held-{number}.test").into())).collect();
    for number in 0..10_000 {
        drop(names.get(&format!("dropped-{number}.test").into()));
        let known = names.names.lock().unwrap().by_host.len();
        assert!(known <= 2 * held.len() + SPARE, "{known}");
    }
    let again = names.get(&"held-7.test".into());
    assert!(Arc::ptr_eq(&again, &held[7]), "who is held stays");
}
