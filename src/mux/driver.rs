//! The task of a connection: it alone reads and writes the socket.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::receive::FRAMES_PER_TURN;
use super::shared::{Shared, State};
use super::silence::{Silence, Step};
use super::space::WorkerSpace;
use super::stream::Stream;
use crate::http2::{Connection, ConnectionError, ErrorCode, Limits, OUTPUT_BYTES_MAX as CONTROL_BYTES_MAX};
use crate::tls::{self, Input};
use crate::worker::{LARGE_BUFFER_BYTES, Timer};

/// The time in which a peer must take some of the bytes that wait for it. The frames of the connection, and a response
/// whose task has ended, have no other deadline.
const STALL_TIME: Duration = Duration::from_secs(30);

/// The time between two looks for responses that stall.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The time without a stream after which a connection gives its memory back.
const SETTLE_TIME: Duration = Duration::from_secs(1);

/// The payload of a PING that asks whether the peer is there.
const SILENCE_PING: &[u8; 8] = b"silence?";

/// How long a connection that is closed is read, so that its peer gets the last GOAWAY.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Bytes of a connection that is closed that are read at most. So many may be on the way.
const LINGER_BYTES: usize = 256 * 1024;

/// Deadlines of a connection, as they were when it began.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// The time for a frame that has begun.
    pub header: Duration,
    /// The time without a stream.
    pub idle: Duration,
    /// The end of the peer's side ends every stream, and not only those whose request is not complete.
    pub ends_with_peer: bool,
    /// The time for an answer to a PING, if a peer that is silent is asked whether it is there.
    pub answer: Option<Duration>,
}

/// The end of a connection.
#[derive(Debug)]
pub enum End {
    /// It is complete, or the peer has closed it.
    Closed,
    /// The peer broke the protocol, or was too slow.
    Fault(ConnectionError),
}

/// The life of a connection.
enum Stage {
    Serving,
    /// It writes its last frames.
    Ending,
    /// It has ended its side, and reads on: until this instant, and so many bytes.
    Lingering(Instant, usize),
}

/// The task of a connection that shares it with the tasks of its streams.
pub struct Driver {
    shared: Rc<Shared>,
    input: Input,
    timer: Timer,
    timeouts: Timeouts,
    stage: Stage,
    fault: Option<ConnectionError>,
    /// The peer has ended its side.
    has_ended: bool,
    /// Since when a frame or a header block is incomplete.
    incomplete: Option<Instant>,
    /// Since when no stream is open.
    idle_since: Option<Instant>,
    /// Whether the memory of an idle connection was given back.
    is_settled: bool,
    /// When bytes were written, or none waited.
    progress: Instant,
    /// When to look for responses that stall.
    next_look: Instant,
    silence: Option<Silence>,
}

impl Driver {
    /// The server's side of a connection. `input` begins with the preface.
    pub fn server(
        io: tls::Stream,
        input: Input,
        timer: Timer,
        limits: &Limits,
        timeouts: Timeouts,
        space: &Rc<WorkerSpace>,
    ) -> Driver {
        let worker = io.worker();
        let now = worker.now();
        let mut control = space.memory.borrow_mut().take();
        let engine = Connection::server(limits, &space.budget, now, &mut control);
        let state = RefCell::new(State::new(engine, control));
        let space = space.clone();
        let shared = Shared { io, worker, is_client: false, space, state, driver: None.into() };
        Driver::new(shared, input, timer, timeouts, now)
    }

    /// The client's side of a connection.
    pub(super) fn client(
        io: tls::Stream,
        limits: &Limits,
        timeouts: Timeouts,
        space: &Rc<WorkerSpace>,
    ) -> Driver {
        let worker = io.worker();
        let (now, timer) = (worker.now(), worker.timer());
        let mut control = space.memory.borrow_mut().take();
        let engine = Connection::client(limits, &space.budget, now, &mut control);
        let state = RefCell::new(State::new(engine, control));
        let space = space.clone();
        let shared = Shared { io, worker, is_client: true, space, state, driver: None.into() };
        Driver::new(shared, Input::default(), timer, timeouts, now)
    }

    fn new(shared: Shared, input: Input, timer: Timer, timeouts: Timeouts, now: Instant) -> Driver {
        Driver {
            shared: Rc::new(shared),
            input,
            timer,
            timeouts,
            stage: Stage::Serving,
            fault: None,
            has_ended: false,
            incomplete: None,
            idle_since: Some(now),
            is_settled: false,
            progress: now,
            next_look: now + LOOK_EVERY,
            silence: timeouts.answer.map(|answer| Silence::new(answer, now)),
        }
    }

    /// The state that the driver shares with streams.
    pub(super) fn shared(&self) -> Rc<Shared> {
        self.shared.clone()
    }

    /// Whether no stream is open.
    pub fn is_idle(&self) -> bool {
        self.shared.state.borrow().open == 0
    }

    /// The next stream that has begun.
    pub fn next_stream(&mut self) -> Option<Stream> {
        let index = self.shared.state.borrow_mut().begun.pop_front()?;
        Some(Stream::new(&self.shared, index))
    }

    /// Begins a shutdown. With `at_once`, streams that are on their way are refused.
    pub fn shut_down(&mut self, at_once: bool) {
        let State { engine, control, .. } = &mut *self.shared.state.borrow_mut();
        match at_once {
            true => engine.shut_down_at_once(control),
            false => engine.shut_down(self.shared.worker.now(), control),
        }
    }

    /// Reads and writes as far as possible, and then takes the deadlines into account. Streams that have begun are there
    /// afterwards.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.shared.register_driver(cx);
        let now = self.shared.worker.now();
        while !matches!(self.stage, Stage::Lingering(..)) {
            self.shared.lend_memory();
            let again = self.read(cx).and_then(|again| self.check(now).map(|()| again));
            let again = again.unwrap_or_else(|error| self.fail(error));
            match self.poll_write(now, cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(self.end()),
                Poll::Ready(Ok(())) if again => continue,
                Poll::Ready(Ok(())) if self.is_over() => {
                    self.stage = Stage::Lingering(now + LINGER_TIME, LINGER_BYTES);
                    break;
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
            if self.shared.io.poll_closed(cx).is_ready() || now >= self.progress + STALL_TIME {
                return Poll::Ready(self.end());
            }
            self.timer.arm(self.deadline(now).saturating_duration_since(now));
            ready!(self.timer.poll_expired(cx));
            // The time of this turn may be a little before the deadline.
            self.timer.disarm();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_linger(now, cx)
    }

    /// Reads what came. `true`: there is more, and control frames must be written before it is read.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        let mut total = 0;
        while matches!(self.stage, Stage::Serving) {
            let (bytes, frames) = self.shared.receive(self.input.unread())?;
            self.input.consume(bytes);
            total += frames;
            let is_held_back = self.shared.state.borrow().control.len() > CONTROL_BYTES_MAX;
            self.note_incomplete(is_held_back, frames > 0);
            self.note_frames(frames > 0);
            if is_held_back {
                return Ok(true);
            }
            if total >= FRAMES_PER_TURN {
                cx.waker().wake_by_ref();
                break;
            }
            if self.has_ended {
                break;
            }
            match self.input.poll_fill(&self.shared.io, LARGE_BUFFER_BYTES, cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => {
                    self.has_ended = true;
                    self.shared.state.borrow_mut().lose_at_end(self.timeouts.ends_with_peer);
                }
                Poll::Pending => break,
            }
        }
        Ok(false)
    }

    /// Notes since when a frame or a block is incomplete.
    fn note_incomplete(&mut self, is_held_back: bool, has_taken: bool) {
        let is_inside = self.shared.state.borrow().engine.is_inside_block();
        let waits = !is_held_back && (is_inside || !self.input.is_empty());
        let since = self.incomplete.filter(|_| !has_taken || is_inside);
        self.incomplete = waits.then(|| since.unwrap_or_else(|| self.shared.worker.now()));
    }

    /// Notes that the peer is there.
    fn note_frames(&mut self, has_taken: bool) {
        if let Some(silence) = self.silence.as_mut().filter(|_| has_taken) {
            let of_stream = std::mem::take(&mut self.shared.state.borrow_mut().has_stream_frame);
            silence.heard(of_stream, self.shared.worker.now());
        }
    }

    /// Asks a peer whether it is there that says nothing while streams wait for it. Without an answer, no more streams
    /// are opened. Those that are open have deadlines of their own.
    fn watch_silence(silence: &mut Silence, state: &mut State, is_idle: bool, now: Instant) {
        if is_idle {
            // A silence begins with its first stream.
            return silence.heard(false, now);
        }
        match silence.step(now) {
            Step::Wait => {}
            Step::Ping => state.engine.ping(SILENCE_PING, &mut state.control),
            Step::Lost => state.engine.shut_down_at_once(&mut state.control),
        }
    }

    /// Acts on deadlines.
    fn check(&mut self, now: Instant) -> Result<(), ConnectionError> {
        let state = &mut *self.shared.state.borrow_mut();
        state.engine.tick(now, &mut state.control)?;
        if self.incomplete.is_some_and(|since| now >= since + self.timeouts.header) {
            let (code, detail) =
                (ErrorCode::EnhanceYourCalm, "a frame or a header block did not come in time");
            return Err(ConnectionError { code, detail });
        }
        if let Some(silence) = &mut self.silence {
            Driver::watch_silence(silence, state, self.idle_since.is_some(), now);
        }
        if now >= self.next_look {
            self.next_look = now + LOOK_EVERY;
            state.close_stalled(now, STALL_TIME);
        }
        match self.idle_since {
            None => self.is_settled = false,
            Some(since) if now >= since + self.timeouts.idle => {
                state.engine.shut_down_at_once(&mut state.control);
            }
            Some(since) if now >= since + SETTLE_TIME && !self.is_settled => {
                self.is_settled = true;
                state.settle();
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The next instant at which there is something to do.
    fn deadline(&self, now: Instant) -> Instant {
        let state = self.shared.state.borrow();
        let incomplete = self.incomplete.map(|since| since + self.timeouts.header);
        let idle = self.idle_since.map(|since| match self.is_settled {
            true => since + self.timeouts.idle,
            false => since + SETTLE_TIME.min(self.timeouts.idle),
        });
        let look = (state.open > 0).then_some(self.next_look);
        let stall = state.is_writing().then(|| self.progress + STALL_TIME);
        let silence = self.silence.as_ref().filter(|_| state.open > 0 && !state.engine.is_shut_down());
        let silence = silence.map(Silence::deadline);
        let all = [state.engine.deadline(), incomplete, idle, look, stall, silence];
        all.into_iter().flatten().min().unwrap_or(now + LOOK_EVERY)
    }

    /// Ends the connection with GOAWAY, and all its streams.
    #[cold]
    fn fail(&mut self, error: ConnectionError) -> bool {
        let state = &mut *self.shared.state.borrow_mut();
        state.engine.fail(&error, &mut state.control);
        state.fault = Some(error);
        state.lose_all();
        (self.stage, self.fault) = (Stage::Ending, Some(error));
        false
    }

    /// Whether nothing is left to read, to do and to write.
    fn is_over(&self) -> bool {
        let state = self.shared.state.borrow();
        match self.stage {
            Stage::Serving => state.engine.is_over() || self.has_ended && state.open == 0,
            Stage::Ending | Stage::Lingering(..) => true,
        }
    }

    fn poll_write(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (shared, state) = (&*self.shared, &mut *self.shared.state.borrow_mut());
        loop {
            if !state.is_writing() {
                state.fill_output(now);
                self.progress = now;
                if state.output.is_empty() {
                    break;
                }
            }
            let slices = [IoSlice::new(&state.output[state.written..])];
            match ready!(shared.io.poll_write_vectored(cx, &slices))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => state.written += written,
            }
            self.progress = now;
        }
        // Only here the last stream can end, or have ended before.
        self.idle_since = (state.open == 0).then(|| self.idle_since.unwrap_or(now));
        ready!(shared.io.poll_flush(cx))?;
        if self.idle_since.is_some() {
            shared.take_memory_back(state);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends this side, and reads on until the peer has ended its side too. Closing a socket with unread bytes resets it,
    /// and a reset may overtake the last frames.
    fn poll_linger(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<End> {
        let Stage::Lingering(until, bytes) = &mut self.stage else { return Poll::Pending };
        let ended = self.shared.io.poll_shutdown(cx);
        while !self.has_ended && !matches!(ended, Poll::Ready(Err(_))) && now < *until && *bytes > 0 {
            self.input.consume(self.input.unread().len());
            match self.input.poll_fill(&self.shared.io, LARGE_BUFFER_BYTES, cx) {
                Poll::Ready(Ok(read @ 1..)) => *bytes = bytes.saturating_sub(read),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    self.timer.arm(until.saturating_duration_since(now));
                    ready!(self.timer.poll_expired(cx));
                    break;
                }
            }
        }
        Poll::Ready(self.end())
    }

    fn end(&mut self) -> End {
        self.fault.take().map_or(End::Closed, End::Fault)
    }
}

impl Drop for Driver {
    /// Ends all streams. Their tasks notice it.
    fn drop(&mut self) {
        self.shared.state.borrow_mut().lose_all();
    }
}
