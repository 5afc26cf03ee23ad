//! A set of keys that is fetched from a server, and fetched again.
//!
//! The control plane fetches, workers read. A worker that needs a key which it does not have asks for a fetch and waits
//! for its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use event_listener::{Event, EventListener};

use super::keys::KeySet;

/// The time between two fetches that requests ask for. Any client can send a token with an unknown key.
const ASKED_AGAIN_MIN: Duration = Duration::from_secs(30);
/// The time for which keys are used that cannot be fetched again.
const KEPT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A set of keys that is fetched from a server.
pub struct FetchedKeys {
    url: Arc<str>,
    set: ArcSwapOption<KeySet>,
    fetches: Mutex<Fetches>,
    /// A request asks for a fetch.
    asked: Event,
    /// A fetch has ended.
    ended: Event,
}

/// The fetches of a set.
struct Fetches {
    /// One is going on, or begins at once.
    is_going_on: bool,
    /// The last one that a request has asked for.
    asked_at: Option<Instant>,
    /// The last one that has brought keys.
    good_at: Option<Instant>,
}

/// The end of a fetch, for a request that waits for it.
pub struct KeysAsked(EventListener);

impl KeysAsked {
    /// Waits for the end.
    pub async fn end(self) {
        self.0.await;
    }
}

impl FetchedKeys {
    /// The keys of this URL, which are not there yet. The first fetch is awaited.
    pub fn new(url: Arc<str>) -> Self {
        let fetches = Fetches { is_going_on: true, asked_at: None, good_at: None };
        let (asked, ended) = (Event::new(), Event::new());
        Self { url, set: ArcSwapOption::empty(), fetches: Mutex::new(fetches), asked, ended }
    }

    /// The URL.
    pub fn url(&self) -> &Arc<str> {
        &self.url
    }

    /// The keys, if they were fetched.
    pub fn set(&self) -> arc_swap::Guard<Option<Arc<KeySet>>> {
        self.set.load()
    }

    /// Asks for a fetch. `None` if none is going on and requests have asked not long ago.
    pub fn ask(&self, now: Instant) -> Option<KeysAsked> {
        let mut fetches = self.fetches();
        let may_ask =
            fetches.asked_at.is_none_or(|asked| now.saturating_duration_since(asked) >= ASKED_AGAIN_MIN);
        if !fetches.is_going_on && !may_ask {
            return None;
        }
        // Within the lock, so that the end comes later.
        let end = KeysAsked(self.ended.listen());
        if !fetches.is_going_on {
            (fetches.is_going_on, fetches.asked_at) = (true, Some(now));
            self.asked.notify(usize::MAX);
        }
        Some(end)
    }

    /// Waits until a request asks. Whatever was asked for before is not seen.
    pub fn asked(&self) -> EventListener {
        self.asked.listen()
    }

    /// Records that a fetch begins.
    pub fn begin(&self) {
        self.fetches().is_going_on = true;
    }

    /// Records the end of a fetch, with the keys if it has brought some. Without, the keys until now stay for a day.
    pub fn end(&self, set: Option<KeySet>, now: Instant) {
        let mut fetches = self.fetches();
        fetches.is_going_on = false;
        if let Some(set) = set {
            fetches.good_at = Some(now);
            self.set.store(Some(Arc::new(set)));
        } else if fetches.good_at.is_some_and(|good| now.saturating_duration_since(good) >= KEPT_MAX) {
            self.set.store(None);
        }
        self.ended.notify(usize::MAX);
    }

    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, feature = "jwt"))]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn set() -> Option<KeySet> {
        Some(KeySet::of_secret(&[b'a'; 32]).unwrap())
    }

    #[test]
    fn requests_join_a_fetch_and_ask_for_another_one_rarely() {
        let keys = FetchedKeys::new("http://a".into());
        let now = Instant::now();
        let first = keys.ask(now).expect("the first fetch is awaited");
        assert!(keys.set().is_none());
        keys.end(set(), now);
        block_on(first.end());
        assert!(keys.set().is_some());
        let mut asked = std::pin::pin!(keys.asked());
        let second = keys.ask(now).expect("a fetch for this request");
        assert!(keys.ask(now).is_some(), "another request joins it");
        assert!(block_on(poll_once(asked.as_mut())).is_some());
        keys.begin();
        keys.end(None, now);
        block_on(second.end());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(keys.ask(later(29)).is_none());
        assert!(keys.ask(later(30)).is_some());
    }

    #[test]
    fn keys_stay_for_a_day_while_the_server_is_silent() {
        let keys = FetchedKeys::new("http://a".into());
        let now = Instant::now();
        keys.end(set(), now);
        keys.end(None, now + KEPT_MAX - Duration::from_secs(1));
        assert!(keys.set().is_some());
        keys.end(None, now + KEPT_MAX);
        assert!(keys.set().is_none());
    }
}
