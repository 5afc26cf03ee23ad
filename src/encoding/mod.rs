//! Content codings: the body of a response becomes shorter on its way to the client (RFC 9110, section 8.4.1).
//!
//! [`choose_coding`] decides by a request which coding its client gets. [`encode_head`] decides by the head of a response,
//! as it goes to the client, and changes it. So a response of a target, of a file and of a rule are alike. [`Encoder`]
//! takes the bytes of the body. Nothing here reads a socket or waits.

mod choice;
mod head;

mod encoder;

mod gzip;
#[cfg_attr(not(feature = "zstd"), path = "no_zstd.rs")]
mod zstd;

mod types;

pub use choice::choose_coding;
pub use encoder::Encoder;
pub use head::encode_head;
pub use types::{EncodedHead, EncodingRequest, Progress, Step};
