//! Content codings: the body of a response becomes shorter on its way to the client (RFC 9110, section 8.4.1).
//!
//! [`encode_head`] decides by the head of a response, as it goes to the client, and changes it. So a response of a target,
//! of a file and of a rule are alike. [`Encoder`] takes the bytes of the body. Nothing here reads a socket or waits.

mod head;

mod encoder;

pub use encoder::{Encoder, Progress, Step};
pub use head::{EncodedHead, EncodingRequest, encode_head};
