//! Frames (RFC 9113, sections 4 and 6): their heads, the forms of their payloads, and frames to send.

mod header_block;
mod settings;

mod write;

mod payload;

mod kind;

pub(super) use header_block::HeaderBlock;
pub use header_block::{BLOCK_BYTES_MAX, CONTINUATIONS_MAX};
pub(super) use kind::{ACK, END_HEADERS, END_STREAM, FrameHead, Kind, PADDED};
pub use kind::{FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX};
pub(super) use payload::{number, unpad};
pub use settings::SETTINGS_MAX;
pub(super) use settings::{PeerSettings, own_settings};
pub(super) use write::{
    data_head, go_away, headers, ping, reset_stream, settings, settings_ack, window_update,
};
