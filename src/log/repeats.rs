//! Repeated lines. When a target is down, every request fails in the same way, and a line for each of them would hide
//! all others.
//!
//! Of the lines with one [`Subject`], at most one is written a second. The next one says how many were left out
//! before it. When there is no next one, a line of its own says so: a second later, or before the process ends.
//! So the lines and their `repeated` fields add up to the number of events.
//!
//! The lock is held for one look into a map, and never while a line is written. Only exchanges that fail take it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use smol::Timer;
use tracing::Level;

use crate::reason::Reason;

/// The time in which one line of a subject is written.
const WINDOW: Duration = Duration::from_secs(1);

/// The most subjects that are remembered. There are as many as reasons, listeners and upstreams can be combined.
const SUBJECTS_MAX: usize = 256;

/// The parts in which repeated lines are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// `INFO` or `WARN`.
    pub level: Level,
    /// The message of the line.
    pub message: &'static str,
    /// The reason.
    pub reason: Reason,
    /// Name of the listener.
    pub listener: Arc<str>,
    /// Name of the upstream, if one was chosen.
    pub upstream: Option<Arc<str>>,
}

/// The permission to write a line, with its field `repeated`: the number of lines before it that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted(pub Option<u64>);

/// Decides whether a line is written. The caller does not write it if this is `None`; then it is counted. Never
/// waits for a line that is being written.
pub fn admit(subject: Subject) -> Option<Admitted> {
    let mut repeats = repeats();
    let admitted = repeats.admit(subject, Instant::now());
    let starts = admitted.is_none() && !std::mem::replace(&mut repeats.has_timer, true);
    let displaced = repeats.displaced.take();
    drop(repeats);
    displaced.iter().for_each(write);
    if starts {
        smol::spawn(write_in_time()).detach();
    }
    admitted
}

/// Writes how many lines were left out. For the end of the process.
pub(super) fn write_all() {
    let all = repeats().take_all();
    all.iter().for_each(write);
}

/// Writes, at intervals, how many lines were left out, until none are.
async fn write_in_time() {
    loop {
        Timer::after(WINDOW).await;
        let mut repeats = repeats();
        let due = repeats.take_due(Instant::now());
        repeats.has_timer = repeats.has_left_out();
        let goes_on = repeats.has_timer;
        drop(repeats);
        due.iter().for_each(write);
        if !goes_on {
            return;
        }
    }
}

fn repeats() -> MutexGuard<'static, Repeats> {
    // There is one log in a process, and so one of these.
    static REPEATS: LazyLock<Mutex<Repeats>> = LazyLock::new(|| Mutex::new(Repeats::new(SUBJECTS_MAX)));
    REPEATS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines that were left out.
type LeftOut = (Subject, u64);

fn write((subject, repeated): &LeftOut) {
    let Subject { level, message, reason, listener, upstream } = subject;
    let (reason, upstream) = (reason.code(), upstream.as_deref());
    if *level == Level::INFO {
        tracing::info!(repeated, reason, %listener, upstream, "{message}, repeatedly");
    } else {
        tracing::warn!(repeated, reason, %listener, upstream, "{message}, repeatedly");
    }
}

/// The lines of each subject that were left out since the last one was written.
struct Repeats {
    windows: HashMap<Subject, Window>,
    most: usize,
    /// Lines of a subject that was forgotten because there were too many. They are written at once.
    displaced: Option<LeftOut>,
    /// Whether [`write_in_time`] runs.
    has_timer: bool,
}

struct Window {
    ends: Instant,
    left_out: u64,
}

impl Repeats {
    fn new(most: usize) -> Self {
        Self { windows: HashMap::with_capacity(most), most, displaced: None, has_timer: false }
    }

    /// Takes a line into account.
    fn admit(&mut self, subject: Subject, now: Instant) -> Option<Admitted> {
        if let Some(window) = self.windows.get_mut(&subject) {
            if now < window.ends {
                window.left_out += 1;
                return None;
            }
            let repeated = window.begin_again(now);
            return Some(Admitted((repeated > 0).then_some(repeated)));
        }
        if self.windows.len() >= self.most {
            self.displace();
        }
        self.windows.insert(subject, Window { ends: now + WINDOW, left_out: 0 });
        Some(Admitted(None))
    }

    /// Forgets the subject whose window ends first.
    fn displace(&mut self) {
        let first = self.windows.iter().min_by_key(|(_, window)| window.ends);
        let Some(subject) = first.map(|(subject, _)| subject.clone()) else { return };
        let left_out = self.windows.remove(&subject).map_or(0, |window| window.left_out);
        self.displaced = (left_out > 0).then_some((subject, left_out));
    }

    fn has_left_out(&self) -> bool {
        self.windows.values().any(|window| window.left_out > 0)
    }

    /// Takes the lines that were left out in windows that have ended. Such a line begins a window too. Forgets the
    /// other windows that have ended.
    fn take_due(&mut self, now: Instant) -> Vec<LeftOut> {
        self.windows.retain(|_, window| now < window.ends || window.left_out > 0);
        let due = self.windows.iter_mut().filter(|(_, window)| now >= window.ends);
        due.map(|(subject, window)| (subject.clone(), window.begin_again(now))).collect()
    }

    /// Takes all lines that were left out.
    fn take_all(&mut self) -> Vec<LeftOut> {
        let left_out = self.windows.drain().map(|(subject, window)| (subject, window.left_out));
        left_out.filter(|(_, left_out)| *left_out > 0).collect()
    }
}

impl Window {
    /// Returns how many lines were left out.
    fn begin_again(&mut self, now: Instant) -> u64 {
        self.ends = now + WINDOW;
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 3;

    fn subject(number: u8) -> Subject {
        Subject {
            level: Level::WARN,
            message: "exchange failed",
            reason: Reason::ConnectRefused,
            listener: "http".into(),
            upstream: Some(number.to_string().into()),
        }
    }

    /// The model: what happened, and what was written about it.
    #[derive(Default)]
    struct Model {
        events: HashMap<Subject, u64>,
        told: HashMap<Subject, u64>,
        /// The last time at which a line of the subject was written.
        written: HashMap<Subject, Instant>,
    }

    impl Model {
        fn tell(&mut self, subject: &Subject, lines: u64) {
            *self.told.entry(subject.clone()).or_default() += lines;
        }

        /// A line that is not forced by a lack of room keeps its distance to the one before.
        fn write(&mut self, subject: &Subject, now: Instant) {
            let before = self.written.insert(subject.clone(), now);
            assert!(before.is_none_or(|before| now >= before + WINDOW), "two lines in a second");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_second_has_two_lines(
            steps in prop::collection::vec((0_u8..6, 0_u64..700, any::<bool>()), 1..200),
        ) {
            let (mut repeats, mut model) = (Repeats::new(MOST), Model::default());
            let mut now = Instant::now();
            for (number, pause, timer) in steps {
                now += Duration::from_millis(pause);
                let subject = subject(number);
                *model.events.entry(subject.clone()).or_default() += 1;
                if let Some(Admitted(repeated)) = repeats.admit(subject.clone(), now) {
                    prop_assert!(repeated != Some(0));
                    model.write(&subject, now);
                    model.tell(&subject, 1 + repeated.unwrap_or(0));
                }
                if let Some((subject, left_out)) = repeats.displaced.take() {
                    model.tell(&subject, left_out);
                }
                // A forgotten subject may be written again at once.
                model.written.retain(|subject, _| repeats.windows.contains_key(subject));
                if timer {
                    for (subject, left_out) in repeats.take_due(now) {
                        model.write(&subject, now);
                        model.tell(&subject, left_out);
                    }
                    prop_assert!(repeats.windows.values().all(|window| now < window.ends), "nothing waits longer");
                }
                prop_assert!(repeats.windows.len() <= MOST);
            }
            for (subject, left_out) in repeats.take_all() {
                model.tell(&subject, left_out);
            }
            prop_assert_eq!(model.told, model.events);
            prop_assert!(!repeats.has_left_out());
        }
    }

    #[test]
    fn the_next_line_says_how_many_were_left_out() {
        let (mut repeats, start) = (Repeats::new(MOST), Instant::now());
        let mut at = |number, milliseconds| {
            repeats.admit(subject(number), start + Duration::from_millis(milliseconds))
        };
        assert_eq!(at(1, 0), Some(Admitted(None)));
        assert_eq!((at(1, 1), at(1, 999)), (None, None));
        assert_eq!(at(2, 999), Some(Admitted(None)), "another upstream");
        assert_eq!(at(1, 1_000), Some(Admitted(Some(2))));
        assert_eq!(at(1, 1_999), None);
    }

    #[test]
    fn silence_is_followed_by_the_number() {
        let (mut repeats, start) = (Repeats::new(MOST), Instant::now());
        let later = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..42 {
            repeats.admit(subject(1), start);
        }
        assert!(repeats.take_due(start).is_empty());
        assert_eq!(repeats.take_due(later(1)), [(subject(1), 41)]);
        assert_eq!(repeats.admit(subject(1), later(1)), None, "the number was a line");
        assert_eq!(repeats.take_all(), [(subject(1), 1)]);
        repeats.admit(subject(1), later(5));
        assert!(repeats.take_due(later(6)).is_empty() && repeats.windows.is_empty());
    }
}
