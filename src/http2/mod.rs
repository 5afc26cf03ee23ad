//! HTTP/2 (RFC 9113): bytes become events, and frames are written into a buffer. Sans-IO: no socket, no clock, no
//! await.
//!
//! ```text
//!            receive                                    send
//! bytes -> FrameHead -> head -> hpack -> the form -> Event::Head     open, send_head --> HEADERS -------> out
//!              |                                                    send_data --------> the head of DATA
//!              |------> data -> windows ----------> Event::Data      release_capacity -> WINDOW_UPDATE -> out
//!              |------> control -> Streams, FloodGuard, Shutdown     reset, close -----> RST_STREAM ----> out
//! ```
//!
//! A head is decoded once, strictly, into the HTTP/1.1 form that it would have had (`head`). So the rest of the proxy
//! reads one kind of head, with one parser.
//!
//! Push, the priority tree of RFC 7540 and the upgrade from HTTP/1.1 by `Upgrade: h2c` are not done. RFC 9113
//! deprecates the tree and the upgrade, and browsers do not take pushes any more.

mod receive;
mod send;
mod shutdown;

mod event;

mod connection;
mod stream;

mod flood;
mod head;
mod websocket;
mod workspace;

mod window;

mod frame;
mod hpack;
mod priority;

mod error;

#[cfg(test)]
mod tests;

pub use connection::{
    Connection, HELD_HEAD_BYTES_MAX, Held, Limits, OUTPUT_BYTES_MAX, PREFACE, SETTINGS_TIMEOUT,
};
pub use error::{ConnectionError, ErrorCode};
pub use event::{Event, Received};
pub use flood::{
    DRIBBLE_BYTES, DRIBBLES_MAX, FREE_LATE_FRAMES_PER_RESET, FREE_PRIORITIES, FREE_PRIORITIES_PER_STREAM,
    FREE_WINDOW_UPDATES, FREE_WINDOW_UPDATES_PER_DATA, FREE_WINDOW_UPDATES_PER_STREAM, TOKENS_MAX,
};
pub use frame::{BLOCK_BYTES_MAX, CONTINUATIONS_MAX, FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX, SETTINGS_MAX};
pub use head::{encode_lines, encode_request, encode_response};
pub use hpack::{BlockEncoder, Decoder, Field, Literals, TABLE_BYTES_MAX};
pub use priority::Priority;
pub use receive::INTERIM_RESPONSES_MAX;
pub use send::{OpenError, RequestKind};
pub use stream::StreamKey;
pub use websocket::{ACCEPT_BYTES, WEBSOCKET, accept_of, new_key};
pub use window::{
    CONNECTION_WINDOW_BYTES_MAX, FIRST_WINDOW_BYTES, STREAM_WINDOW_BYTES_MAX, UNREAD_WINDOW_BYTES_MAX,
    WindowBudget,
};
pub use workspace::Workspace;
