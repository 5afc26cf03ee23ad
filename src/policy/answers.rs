//! Answers of servers that let requests in, remembered for further requests that are alike.
//!
//! Requests are alike if they have the same cookies and credentials, method, host, path with its query, and client. The key
//! is a hash with two secret keys, 128 bits in all, so that no client can make its request equal to that of another.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::limits::{SHARDS, Shards};
use super::request::PolicyRequest;
use crate::http::Name;

/// Answers that each part remembers at once, so that a rule has 10,000.
const ANSWERS_MAX: usize = 10_000 / SHARDS;

/// Bytes of the fields of an answer that is remembered.
const FIELDS_BYTES_MAX: usize = 8 * 1024;

/// The hash of everything by which requests are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AnswerKey([u64; 2]);

/// The answers of the server of one rule. Requests that are alike find theirs in one part.
pub(super) struct AnswerCache {
    hashers: [RandomState; 2],
    /// How long an answer holds. All hold equally long, so the oldest one ends first.
    time: Duration,
    answers: Shards<Answers>,
}

#[derive(Default)]
struct Answers {
    by_key: HashMap<AnswerKey, Answer>,
    /// The keys with the times at which their answers end, the oldest first.
    ends: VecDeque<(Instant, AnswerKey)>,
}

struct Answer {
    until: Instant,
    /// Field lines for the target.
    lines: Box<[u8]>,
}

impl AnswerCache {
    /// A cache in which an answer holds for `time`. `None` if that is zero.
    pub(super) fn new(time: Duration) -> Option<Arc<Self>> {
        let cache = || Self { hashers: Default::default(), time, answers: Shards::default() };
        (!time.is_zero()).then(|| Arc::new(cache()))
    }

    /// The key of a request.
    pub(super) fn key(&self, request: &PolicyRequest<'_>) -> AnswerKey {
        AnswerKey([0, 1].map(|at: usize| {
            let mut hasher = self.hashers[at].build_hasher();
            hash(request, &mut hasher);
            hasher.finish()
        }))
    }

    /// Reads the field lines of the answer for this key, if it still holds. Returns whether there is one.
    pub(super) fn recall(&self, key: &AnswerKey, now: Instant, read: impl FnOnce(&[u8])) -> bool {
        let answers = self.answers.of(key.0[0]);
        let answer = answers.by_key.get(key).filter(|answer| now < answer.until);
        answer.inspect(|answer| read(&answer.lines)).is_some()
    }

    /// Remembers an answer that came at `now`. If there is no room, the oldest one is forgotten.
    pub(super) fn remember(&self, key: AnswerKey, lines: &[u8], now: Instant) {
        if lines.len() > FIELDS_BYTES_MAX {
            return;
        }
        let until = now + self.time;
        let mut answers = self.answers.of(key.0[0]);
        answers.make_room(now);
        answers.by_key.insert(key, Answer { until, lines: lines.into() });
        answers.ends.push_back((until, key));
    }
}

impl Answers {
    /// Forgets answers that have ended, and the oldest one if there is no room.
    fn make_room(&mut self, now: Instant) {
        while let Some(&(until, key)) = self.ends.front()
            && (until <= now || self.ends.len() >= ANSWERS_MAX)
        {
            self.ends.pop_front();
            // A later answer for the key may still hold.
            if self.by_key.get(&key).is_some_and(|answer| answer.until <= until) {
                self.by_key.remove(&key);
            }
        }
    }
}

/// Hashes everything by which requests are alike. Slices are hashed with their lengths.
fn hash(request: &PolicyRequest<'_>, hasher: &mut impl Hasher) {
    let PolicyRequest { head, client, now: _, connection: _ } = request;
    match client {
        IpAddr::V4(client) => client.octets()[..].hash(hasher),
        IpAddr::V6(client) => client.octets()[..].hash(hasher),
    }
    head.method.hash(hasher);
    head.host.map(|host| host.as_bytes()).unwrap_or_default().hash(hasher);
    head.path_and_query.hash(hasher);
    // A trusted proxy tells the scheme and the host that the client used.
    for name in [Name::Cookie, Name::Authorization, Name::XForwardedProto, Name::XForwardedHost] {
        let values = head.fields.iter().filter(|field| field.known() == name);
        let count = values.inspect(|field| field.value().hash(hasher)).count();
        count.hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);

    /// A key of the first part.
    fn of(key: u64) -> AnswerKey {
        AnswerKey([0, key])
    }

    fn holds(cache: &AnswerCache, key: u64, now: Instant) -> bool {
        cache.recall(&of(key), now, |lines| assert_eq!(lines, key.to_string().as_bytes()))
    }

    fn remember(cache: &AnswerCache, key: u64, now: Instant) {
        cache.remember(of(key), key.to_string().as_bytes(), now);
    }

    #[test]
    fn an_answer_holds_for_its_time() {
        let (cache, now) = (AnswerCache::new(TIME).unwrap(), Instant::now());
        remember(&cache, 1, now);
        assert!(holds(&cache, 1, now) && holds(&cache, 1, now + TIME - Duration::from_nanos(1)));
        assert!(!holds(&cache, 1, now + TIME) && !holds(&cache, 2, now));
        // A later answer is not forgotten with an earlier one.
        remember(&cache, 1, now + TIME / 2);
        remember(&cache, 2, now + TIME);
        assert!(holds(&cache, 1, now + TIME));
        assert!(AnswerCache::new(Duration::ZERO).is_none());
    }

    #[test]
    fn only_so_many_answers_are_remembered_and_the_oldest_are_forgotten() {
        let (cache, now) = (AnswerCache::new(TIME).unwrap(), Instant::now());
        (0..ANSWERS_MAX as u64 + 5).for_each(|key| remember(&cache, key, now));
        let answers = cache.answers.of(0);
        assert_eq!((answers.by_key.len(), answers.ends.len()), (ANSWERS_MAX, ANSWERS_MAX));
        drop(answers);
        assert!(
            !holds(&cache, 4, now) && holds(&cache, 5, now) && holds(&cache, ANSWERS_MAX as u64 + 4, now)
        );
        cache.remember(of(1), &vec![b'x'; FIELDS_BYTES_MAX + 1], now);
        assert!(!cache.recall(&of(1), now, |_| {}), "fields that are too long");
    }
}
