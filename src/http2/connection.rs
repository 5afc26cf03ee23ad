//! One side of an HTTP/2 connection. It knows neither sockets nor time: bytes and instants come in.

use std::time::{Duration, Instant};

use super::error::{ConnectionError, ErrorCode};
use super::flood::FloodGuard;
use super::frame::{self, HeaderBlock, PeerSettings, own_settings};
use super::hpack::Decoder;
use super::stream::{StreamKey, Streams};
use super::window::{FIRST_WINDOW_BYTES, ReceiveWindow, SendWindow, WindowBudget};
use crate::http::HeadLimits;

/// The first bytes of a client (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of output that wait, beyond which nothing is read. So a peer that asks and does not read its answers
/// costs no more than this.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// Bytes of decoded heads that the streams of a connection hold. A head of 64 KiB costs its sender some 20 bytes.
pub const HELD_HEAD_BYTES_MAX: usize = 256 * 1024;

/// The time in which a peer must acknowledge SETTINGS.
pub const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

/// The time after which the second GOAWAY is sent even without an answer to the PING.
const SECOND_STEP_AFTER: Duration = Duration::from_secs(1);

/// The limits of a connection, as they were when it began.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams that the peer may open. A stream counts until the application closes it.
    pub streams: u32,
    /// The limits of heads.
    pub head: HeadLimits,
    /// Whether a server takes extended CONNECT (RFC 8441).
    pub extended_connect: bool,
}

/// The side that a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
}

/// The state of a shutdown; `shutdown.rs` has its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shutdown {
    No,
    /// The first GOAWAY was sent at this instant.
    Announced(Instant),
    /// The second was sent.
    Final,
}

impl Shutdown {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Shutdown::Announced(since) => Some(since + SECOND_STEP_AFTER),
            Shutdown::No | Shutdown::Final => None,
        }
    }
}

/// A DATA frame that is being received.
#[derive(Clone, Copy, Debug)]
pub(super) struct DataFrame {
    /// The stream; `None` if the data are dropped.
    pub(super) stream: Option<StreamKey>,
    /// Bytes of data that have not come.
    pub(super) left: usize,
    /// Bytes of padding behind them.
    pub(super) padding: usize,
    pub(super) ends: bool,
}

/// One side of a connection.
#[derive(Debug)]
pub struct Connection {
    pub(super) role: Role,
    pub(super) limits: Limits,
    /// Bytes of the preface that a server has received.
    pub(super) preface: usize,
    /// Whether the peer's first SETTINGS came.
    pub(super) has_settings: bool,
    pub(super) peer: PeerSettings,
    /// When our SETTINGS were sent, until they are acknowledged.
    pub(super) settings_sent: Option<Instant>,
    pub(super) decoder: Decoder,
    /// Whether a block has told the peer that we use no dynamic table.
    pub(super) has_sent_block: bool,
    pub(super) block: HeaderBlock,
    pub(super) data: Option<DataFrame>,
    pub(super) streams: Streams,
    pub(super) receive_window: ReceiveWindow,
    pub(super) send_window: SendWindow,
    pub(super) budget: WindowBudget,
    /// The highest stream that the peer opened.
    pub(super) last_peer: u32,
    /// The next stream that we open.
    pub(super) next_own: u32,
    /// Bytes of decoded heads that streams hold.
    pub(super) head_bytes: usize,
    /// Whether the peer has told a priority.
    pub(super) has_priorities: bool,
    pub(super) flood: FloodGuard,
    pub(super) shutdown: Shutdown,
    /// The last stream that the peer processes, after its GOAWAY.
    pub(super) peer_last: Option<u32>,
}

/// The memory that a connection holds, in bytes unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Streams that the application has not closed, as a number.
    pub streams: usize,
    /// Slots for streams, as a number.
    pub slots: usize,
    /// Decoded heads.
    pub heads: usize,
    /// Data that the application has not taken.
    pub unread: usize,
    /// A header block that is not complete.
    pub block: usize,
    /// The dynamic table.
    pub table: usize,
    /// Tokens that the flood guard has left, as a number.
    pub tokens: u32,
}

impl Connection {
    /// The server's side. It writes SETTINGS.
    pub fn server(limits: &Limits, budget: &WindowBudget, now: Instant, out: &mut Vec<u8>) -> Connection {
        frame::settings(out, &own_settings(Some(limits.streams), limits.head.bytes, limits.extended_connect));
        Connection::new(Role::Server, limits, budget, now)
    }

    /// The client's side. It writes the preface, SETTINGS and a WINDOW_UPDATE: one slow stream must not stop the
    /// others, so only the windows of streams limit the server.
    pub fn client(limits: &Limits, budget: &WindowBudget, now: Instant, out: &mut Vec<u8>) -> Connection {
        out.extend_from_slice(PREFACE);
        frame::settings(out, &own_settings(None, limits.head.bytes, false));
        let mut connection = Connection::new(Role::Client, limits, budget, now);
        frame::window_update(out, 0, connection.receive_window.open_fully());
        connection
    }

    fn new(role: Role, limits: &Limits, budget: &WindowBudget, now: Instant) -> Connection {
        Connection {
            role,
            limits: *limits,
            preface: if role == Role::Server { 0 } else { PREFACE.len() },
            has_settings: false,
            peer: PeerSettings::default(),
            settings_sent: Some(now),
            decoder: Decoder::default(),
            has_sent_block: false,
            block: HeaderBlock::default(),
            data: None,
            streams: Streams::new(),
            receive_window: ReceiveWindow::new(),
            send_window: SendWindow::new(FIRST_WINDOW_BYTES),
            budget: budget.clone(),
            last_peer: 0,
            next_own: 1,
            head_bytes: 0,
            has_priorities: false,
            flood: FloodGuard::new(now),
            shutdown: Shutdown::No,
            peer_last: None,
        }
    }

    /// Whether no stream has this number yet (RFC 9113, section 5.1.1). We never push, so a server opens none.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        match (self.role, id % 2) {
            (Role::Server, 1) => id > self.last_peer,
            (Role::Client, 1) => id >= self.next_own,
            _ => true,
        }
    }

    /// Writes GOAWAY for an error. The caller closes the connection behind it.
    pub fn fail(&mut self, error: &ConnectionError, out: &mut Vec<u8>) {
        frame::go_away(out, self.last_peer, error.code, error.detail);
    }

    /// Whether the length of a received message was announced.
    pub fn announces_length(&mut self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.length_left.is_some())
    }

    /// Whether a header block has begun and is not complete.
    pub fn is_inside_block(&self) -> bool {
        self.block.open().is_some()
    }

    /// The next instant at which [`Connection::tick`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let settings = self.settings_sent.map(|sent| sent + SETTINGS_TIMEOUT);
        [settings, self.shutdown.deadline()].into_iter().flatten().min()
    }

    /// Acts on deadlines.
    ///
    /// # Errors
    /// The peer did not acknowledge SETTINGS in time.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<u8>) -> Result<(), ConnectionError> {
        if self.settings_sent.is_some_and(|sent| now >= sent + SETTINGS_TIMEOUT) {
            let detail = "SETTINGS were not acknowledged in time";
            return Err(ConnectionError::new(ErrorCode::SettingsTimeout, detail));
        }
        if self.shutdown.deadline().is_some_and(|deadline| now >= deadline) {
            self.finish_shutdown(out);
        }
        Ok(())
    }

    /// Gives back memory that is not needed while the connection has no stream.
    pub fn shrink(&mut self) {
        self.decoder.shrink();
        self.streams.shrink();
    }

    /// The memory that the connection holds.
    pub fn held(&self) -> Held {
        Held {
            streams: self.streams.len(),
            slots: self.streams.slots(),
            heads: self.head_bytes,
            unread: self.receive_window.unread() as usize,
            block: self.block.held(),
            table: self.decoder.held(),
            tokens: self.flood.tokens(),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let budget = self.budget.clone();
        self.receive_window.give_back(&budget);
        self.streams.iter_mut().for_each(|(_, stream)| stream.receive_window.give_back(&budget));
    }
}
