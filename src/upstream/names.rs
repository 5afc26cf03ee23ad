//! Names of targets, resolved on the control plane.
//!
//! Docker answers with a lifetime of ten minutes and gives an address to the next container long
//! before that. So the lifetime is not believed: an answer is good for [`FRESH`], is asked for again
//! in the background while it is in use, and at once when a connection could not be opened. When
//! asking fails, the last good answer stays.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use event_listener::Event;

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(3);

/// How old an answer in use is when the next one is asked for, in the background.
const REFRESH_AFTER: Duration = Duration::from_secs(2);

/// How long one question may take before the last answer is used.
const PATIENCE: Duration = Duration::from_secs(5);

/// Addresses kept of one answer; a name with more of them is asked again soon enough.
const ADDRESSES_MAX: usize = 32;

/// Names that may be there without being in use, beside as many as are.
const SPARE: usize = 64;

/// The names in use, by host: one for the whole process, so that each is asked for once.
#[derive(Default)]
pub struct Names {
    names: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_host: HashMap<Arc<str>, Weak<Name>>,
    /// How many may be there before those go that nobody holds: looking for them at each new name would
    /// take a second for 20,000 names.
    most: usize,
}

/// One name and its last good answer.
pub struct Name {
    host: Arc<str>,
    answer: ArcSwap<Answer>,
    /// A question is on its way.
    asking: AtomicBool,
    answered: Event,
}

/// What a name stood for.
#[derive(Debug, Default)]
pub struct Answer {
    /// In the resolver's order, each once.
    pub addresses: Vec<IpAddr>,
    /// When the last question was answered, well or not; `None` before the first.
    pub asked: Option<Instant>,
    /// Counts the answers that differed from the one before.
    pub version: u64,
}

impl Names {
    /// The entry of a name. Entries that nobody holds go when they may be the half of all.
    pub fn get(&self, host: &Arc<str>) -> Arc<Name> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Entries { by_host, most } = &mut *names;
        if let Some(name) = by_host.get(host).and_then(Weak::upgrade) {
            return name;
        }
        if by_host.len() >= *most {
            by_host.retain(|_, name| name.strong_count() > 0);
            *most = 2 * by_host.len() + SPARE;
        }
        let name = Arc::new(Name::new(host.clone()));
        by_host.insert(host.clone(), Arc::downgrade(&name));
        name
    }
}

impl Name {
    fn new(host: Arc<str>) -> Self {
        Self { host, answer: ArcSwap::default(), asking: AtomicBool::new(false), answered: Event::new() }
    }

    /// The version of the last good answer, however old. Asks for a new one in the background when
    /// it is not young any more. Takes no lock and counts no reference: called for every exchange.
    pub fn version(self: &Arc<Self>, now: Instant) -> u64 {
        let answer = self.answer.load();
        if answer.is_older_than(REFRESH_AFTER, now) {
            self.ask();
        }
        answer.version
    }

    /// The last good answer, however old.
    pub fn last(&self) -> Arc<Answer> {
        self.answer.load_full()
    }

    /// An answer that is not older than [`FRESH`], or the last good one when there is none to be had.
    pub async fn fresh(self: &Arc<Self>) -> Arc<Answer> {
        let answer = self.answer.load_full();
        if answer.is_older_than(FRESH, Instant::now()) { self.ask_and_wait().await } else { answer }
    }

    /// Asks now, whatever the age of the answer: the addresses did not work.
    pub async fn ask_and_wait(self: &Arc<Self>) -> Arc<Answer> {
        let answered = self.answered.listen();
        self.ask();
        answered.await;
        self.answer.load_full()
    }

    /// Starts a question unless one is on its way.
    fn ask(self: &Arc<Self>) {
        if self.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = self.clone();
        smol::spawn(async move {
            let found = resolve(&name.host).await;
            name.take_in(found);
        })
        .detach();
    }

    /// Notes what came of a question.
    pub(super) fn take_in(&self, found: io::Result<Vec<IpAddr>>) {
        let last = self.answer.load();
        let asked = Some(Instant::now());
        let answer = match found {
            // Resolvers shuffle; the same addresses in another order are no news.
            Ok(addresses) if is_same_set(&addresses, &last.addresses) => {
                Answer { addresses: last.addresses.clone(), asked, version: last.version }
            }
            Ok(addresses) => {
                tracing::debug!(name = %self.host, ?addresses, "name resolved");
                Answer { addresses, asked, version: last.version + 1 }
            }
            Err(error) => {
                tracing::warn!(name = %self.host, %error, kept = ?last.addresses, "name not resolved");
                Answer { addresses: last.addresses.clone(), asked, version: last.version }
            }
        };
        self.answer.store(Arc::new(answer));
        self.asking.store(false, Ordering::Release);
        self.answered.notify(usize::MAX);
    }
}

impl Answer {
    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) > age)
    }
}

/// Both hold each address once.
fn is_same_set(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// Asks the system. An empty answer is an error: it must not replace a good one.
async fn resolve(host: &str) -> io::Result<Vec<IpAddr>> {
    let question = smol::net::resolve((host.to_owned(), 0));
    let too_late = async {
        smol::Timer::after(PATIENCE).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, "the resolver did not answer in time"))
    };
    let found = futures_lite::future::or(question, too_late).await?;
    let mut addresses = Vec::new();
    for address in found.iter().map(SocketAddr::ip) {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::block_on;

    fn name() -> Arc<Name> {
        Arc::new(Name::new("name.test".into()))
    }

    #[test]
    fn localhost_resolves_and_is_asked_once() {
        let names = Names::default();
        let name = names.get(&"localhost".into());
        assert!(Arc::ptr_eq(&name, &names.get(&"localhost".into())));
        let answer = block_on(name.fresh());
        assert!(answer.addresses.iter().all(|address| address.is_loopback()) && !answer.addresses.is_empty());
        assert!(Arc::ptr_eq(&answer, &block_on(name.fresh())), "a fresh answer is not asked for again");
    }

    #[test]
    fn a_failed_question_keeps_the_last_good_answer() {
        let name = name();
        name.take_in(Ok(vec![IpAddr::from([10, 0, 0, 1])]));
        let before = name.answer.load_full();
        name.take_in(Err(io::ErrorKind::NotFound.into()));
        let after = name.answer.load_full();
        assert_eq!((&after.addresses, after.version), (&before.addresses, before.version));
        assert!(after.asked > before.asked);
    }

    #[test]
    fn only_a_different_answer_has_a_new_version() {
        let name = name();
        name.take_in(Ok(vec![IpAddr::from([10, 0, 0, 1])]));
        name.take_in(Ok(vec![IpAddr::from([10, 0, 0, 1])]));
        assert_eq!(name.answer.load().version, 1);
        name.take_in(Ok(vec![IpAddr::from([10, 0, 0, 2])]));
        assert_eq!(name.answer.load().version, 2);
    }

    #[test]
    fn entries_nobody_holds_are_forgotten() {
        let names = Names::default();
        let held: Vec<_> = (0..100).map(|number| names.get(&format!("held-{number}.test").into())).collect();
        for number in 0..10_000 {
            drop(names.get(&format!("dropped-{number}.test").into()));
            let known = names.names.lock().unwrap().by_host.len();
            assert!(known <= 2 * held.len() + SPARE, "{known}");
        }
        let again = names.get(&"held-7.test".into());
        assert!(Arc::ptr_eq(&again, &held[7]), "who is held stays");
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_addresses_and_does_not_hang() {
        let name = Arc::new(Name::new("does-not-exist.invalid".into()));
        assert!(block_on(name.fresh()).addresses.is_empty());
    }
}
