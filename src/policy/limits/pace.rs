//! Limits on the speed of bodies and tunnels: the generic cell rate algorithm on bytes.
//!
//! For each direction there is one number, the theoretical arrival time: the time at which all bytes so far would have come
//! at the allowed speed. Bytes may move as long as that time is at most a burst ahead of the clock.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::config::plan::{BitRate, Speed};

/// The part of a second whose bytes may come at once. It is some ticks of a worker's timers long, so that their lateness
/// costs no speed.
const BURST: Duration = Duration::from_millis(100);

/// Bytes that may come at once however low the speed is, so that a low speed does not mean tiny packets.
const BURST_BYTES_LEAST: u64 = 2 * 1024;

const NANOS: u128 = 1_000_000_000;

/// The arrival times of one connection, or of all that share a speed. They stand for bytes that have moved, so a connection
/// keeps them when it comes to a rule with another speed.
pub(super) struct SpeedState {
    began: Instant,
    /// Nanoseconds since `began`, for downloads and uploads. All accesses are relaxed, since each number stands alone.
    arrivals: [AtomicU64; 2],
}

/// The pace of one direction of an exchange or a tunnel.
pub struct Pace {
    state: Arc<SpeedState>,
    direction: usize,
    bits: u64,
}

/// The paces of both directions. `None` for one without a limit.
#[derive(Default)]
pub struct Paces {
    /// From the target to the client.
    pub download: Option<Pace>,
    /// From the client to the target.
    pub upload: Option<Pace>,
}

/// A speed in force.
pub struct SpeedLimit {
    speed: Arc<Speed>,
    /// `None` if each connection has a state of its own.
    shared: Option<Arc<SpeedState>>,
}

/// The arrival times of one connection, if it ever had a speed of its own.
#[derive(Default)]
pub struct ConnectionSpeed(OnceCell<Arc<SpeedState>>);

impl ConnectionSpeed {
    /// The speed of the same connection, for one of its streams.
    pub fn share(&self) -> Self {
        Self(self.0.get_or_init(Arc::default).clone().into())
    }
}

/// The states that connections share, by the limits and the name of the group.
#[derive(Default)]
pub struct SharedSpeeds(HashMap<Arc<Speed>, Arc<SpeedState>>);

impl SharedSpeeds {
    /// The states of these speeds. A speed that was there before keeps its state, since connections of then share it.
    pub fn new<'a>(speeds: impl Iterator<Item = &'a Arc<Speed>>, before: Option<&SharedSpeeds>) -> Self {
        let shared = speeds.filter(|speed| speed.shared.is_some());
        let state =
            |speed: &Arc<Speed>| before.and_then(|before| before.of(speed)).cloned().unwrap_or_default();
        Self(shared.map(|speed| (speed.clone(), state(speed))).collect())
    }

    fn of(&self, speed: &Speed) -> Option<&Arc<SpeedState>> {
        self.0.get(speed)
    }

    /// A speed in force.
    pub fn limit(&self, speed: &Arc<Speed>) -> SpeedLimit {
        SpeedLimit { speed: speed.clone(), shared: self.of(speed).cloned() }
    }
}

impl Paces {
    /// The paces of one exchange, in bits a second. 0 stands for no limit.
    pub fn own(download: u64, upload: u64) -> Self {
        let state = Arc::<SpeedState>::default();
        let pace = |direction, bits| (bits > 0).then(|| Pace { state: state.clone(), direction, bits });
        Self { download: pace(0, download), upload: pace(1, upload) }
    }
}

impl SpeedLimit {
    /// The paces of a connection.
    pub fn paces(&self, connection: &ConnectionSpeed) -> Paces {
        let Self { speed, shared } = self;
        let state = shared.as_ref().unwrap_or_else(|| connection.0.get_or_init(Arc::default));
        let pace = |direction, rate: Option<BitRate>| {
            rate.map(|BitRate(bits)| Pace { state: state.clone(), direction, bits })
        };
        Paces { download: pace(0, speed.download), upload: pace(1, speed.upload) }
    }
}

impl Default for SpeedState {
    fn default() -> Self {
        Self { began: Instant::now(), arrivals: Default::default() }
    }
}

impl Pace {
    /// Takes bytes that may move now, at most `most` of them and at least one.
    ///
    /// # Errors
    /// How long to wait before a number of bytes that is worth a packet may move.
    pub fn take(&self, most: usize, now: Instant) -> Result<usize, Duration> {
        let now = nanos(now.saturating_duration_since(self.state.began));
        let arrival = &self.state.arrivals[self.direction];
        let mut before = arrival.load(Relaxed);
        loop {
            let (bytes, next) = self.next(before, most as u64, now).map_err(Duration::from_nanos)?;
            match arrival.compare_exchange_weak(before, next, Relaxed, Relaxed) {
                Ok(_) => return Ok(bytes as usize),
                Err(other) => before = other,
            }
        }
    }

    /// Gives bytes back that were taken and did not move.
    pub fn give_back(&self, bytes: usize) {
        let time = self.time_of(bytes as u64);
        let earlier = |arrival: u64| Some(arrival.saturating_sub(time));
        // The function always returns a value.
        let _ = self.state.arrivals[self.direction].fetch_update(Relaxed, Relaxed, earlier);
    }

    /// The bytes that may move, and the arrival time behind them. The error is how long to wait.
    fn next(&self, arrival: u64, most: u64, now: u64) -> Result<(u64, u64), u64> {
        let burst = self.burst();
        let (base, tolerance) = (arrival.max(now), self.time_of(burst));
        let free = tolerance.saturating_sub(base - now);
        let bytes = self.bytes_in(free).min(most);
        // Half a burst is worth a packet. The end of a body may be shorter.
        let worth = (burst / 2).min(most).max(1);
        if bytes < worth {
            return Err((self.time_of(worth) + (base - now)).saturating_sub(tolerance).max(1));
        }
        Ok((bytes, base.saturating_add(self.time_of(bytes))))
    }

    /// Bytes that may come at once.
    fn burst(&self) -> u64 {
        self.bytes_in(nanos(BURST)).max(BURST_BYTES_LEAST)
    }

    /// The time of so many bytes, rounded up, so that the speed is never higher.
    fn time_of(&self, bytes: u64) -> u64 {
        let time = (u128::from(bytes) * 8 * NANOS).div_ceil(u128::from(self.bits));
        u64::try_from(time).unwrap_or(u64::MAX)
    }

    /// The bytes of so long a time.
    fn bytes_in(&self, nanos: u64) -> u64 {
        let bytes = u128::from(nanos) * u128::from(self.bits) / (8 * NANOS);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::SpeedGroup;

    const MEGABIT: u64 = 1_000_000;

    fn pace(bits: u64) -> Pace {
        Pace { state: Arc::default(), direction: 0, bits }
    }

    /// Takes as much as possible until `end`, with a clock that jumps over each wait and `late` more. Returns how many
    /// bytes moved at which times.
    fn run(pace: &Pace, most: usize, late: Duration, end: Duration) -> Vec<(Duration, usize)> {
        let (mut now, mut moved) = (Duration::ZERO, Vec::new());
        while now < end {
            match pace.take(most, pace.state.began + now) {
                Ok(bytes) => moved.push((now, bytes)),
                Err(wait) => now += wait + late,
            }
        }
        moved
    }

    fn bytes_until(moved: &[(Duration, usize)], end: Duration) -> u64 {
        moved.iter().filter(|(at, _)| *at < end).map(|(_, bytes)| *bytes as u64).sum()
    }

    /// In every window, no more than the speed and a burst; in all, the whole speed.
    #[test]
    fn bytes_in_each_window_are_those_of_the_speed() {
        for (bits, most) in [
            (8_000, usize::MAX),
            (8_000, 100),
            (MEGABIT, usize::MAX),
            (MEGABIT, 1_000),
            (10_000 * MEGABIT, 64 * 1024),
            (1_000_000 * MEGABIT, usize::MAX),
        ] {
            // A worker's timers are up to two ticks late.
            let (late, end) = (Duration::from_millis(16), Duration::from_secs(20));
            let pace = pace(bits);
            let moved = run(&pace, most, late, end);
            let (in_all, burst) = (bytes_until(&moved, end), pace.burst());
            let speed = bits / 8;
            assert!(in_all <= speed * 20 + burst, "{bits}: {in_all}");
            assert!(in_all >= speed * 20 - burst, "{bits}: {in_all}");
            for from in (0..40).map(|half| Duration::from_millis(500) * half) {
                let window =
                    |(at, _): &&(Duration, usize)| (from..from + Duration::from_secs(1)).contains(at);
                let bytes: u64 = moved.iter().filter(window).map(|(_, bytes)| *bytes as u64).sum();
                assert!(bytes <= speed + burst, "{bits}: {bytes} from {from:?}");
            }
        }
    }

    #[test]
    fn a_list_of_instants() {
        // 125 bytes in a millisecond, 12,500 at once.
        let (pace, at) = (pace(MEGABIT), Duration::from_millis);
        let take = |most, time| pace.take(most, pace.state.began + time);
        assert_eq!(take(10_000, at(0)), Ok(10_000));
        assert_eq!(take(10_000, at(0)), Err(at(30)), "half a burst is worth a packet");
        assert_eq!(take(2_500, at(0)), Ok(2_500), "the end of a body");
        assert_eq!(take(1, at(0)), Err(Duration::from_micros(8)));
        assert_eq!(take(10_000, at(50)), Ok(6_250));
        pace.give_back(6_250);
        assert_eq!(take(10_000, at(50)), Ok(6_250));
        assert_eq!(take(usize::MAX, at(9_000)), Ok(12_500), "silence saves no more than a burst");
        // The end of the clock is no overflow.
        assert!(pace.take(usize::MAX, pace.state.began + Duration::from_secs(1 << 33)).is_ok());
    }

    #[test]
    fn connections_of_a_group_share_a_speed_and_others_do_not() {
        let speed = |name: Option<&str>| {
            let shared = name.map(|name| SpeedGroup::Named(name.into()));
            Arc::new(Speed { download: Some(BitRate(MEGABIT)), upload: None, shared })
        };
        let (one, two, own) = (speed(Some("one")), speed(Some("two")), speed(None));
        let shared = SharedSpeeds::new([&one, &two, &own].into_iter(), None);
        let paces = |shared: &SharedSpeeds, speed: &Arc<Speed>| {
            shared.limit(speed).paces(&ConnectionSpeed::default()).download.unwrap()
        };
        let first = paces(&shared, &one);
        let now = first.state.began;
        assert_eq!(first.take(usize::MAX, now), Ok(12_500));
        assert!(paces(&shared, &one).take(usize::MAX, now).is_err());
        for other in [paces(&shared, &two), paces(&shared, &own), paces(&shared, &own)] {
            assert_eq!(other.take(usize::MAX, now), Ok(12_500));
        }
        assert!(shared.limit(&one).paces(&ConnectionSpeed::default()).upload.is_none());
        // A connection has one state, whichever its rule is.
        let connection = ConnectionSpeed::default();
        let pace = || shared.limit(&own).paces(&connection).download.unwrap();
        assert!(pace().take(usize::MAX, now).is_ok() && pace().take(usize::MAX, now).is_err());
        // A reload keeps what is shared.
        let after = SharedSpeeds::new([&one].into_iter(), Some(&shared));
        assert!(paces(&after, &one).take(usize::MAX, now).is_err());
    }

    #[test]
    fn two_threads_take_no_more_than_there_is() {
        let (pace, now) = (pace(8_000), Instant::now());
        let run = || (0..5_000).filter_map(|_| pace.take(1, now).ok()).sum::<usize>();
        let taken: usize = std::thread::scope(|scope| {
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(taken as u64, BURST_BYTES_LEAST);
    }
}
