//! Parts that several payloads have: padding, and numbers of 31 bits.

use super::super::error::{ConnectionError, ErrorCode};
use super::kind::{FrameHead, PADDED, PRIORITY};

/// A number of 31 bits at the start of `payload`. The reserved bit before it has no meaning.
pub(crate) fn number(payload: &[u8]) -> u32 {
    let bytes = payload.first_chunk::<4>().copied().unwrap_or_default();
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

/// The fragment of a header block in the payload of HEADERS: without padding and without the fields of the
/// priority scheme of RFC 7540, which is not followed (RFC 9113, section 5.3.2).
///
/// # Errors
/// The padding is longer than the rest, or the stream depends on itself.
pub(crate) fn unpad<'b>(head: &FrameHead, payload: &'b [u8]) -> Result<&'b [u8], ConnectionError> {
    let mut rest = payload;
    let mut padding = 0;
    if head.has(PADDED) {
        let Some((&length, behind)) = rest.split_first() else { return Err(too_long()) };
        (padding, rest) = (usize::from(length), behind);
    }
    if head.has(PRIORITY) {
        let Some((dependency, behind)) = rest.split_first_chunk::<5>() else {
            return Err(ConnectionError::new(
                ErrorCode::FrameSizeError,
                "a HEADERS frame is too short for its priority",
            ));
        };
        if number(dependency) == head.stream {
            return Err(ConnectionError::protocol("a stream depends on itself"));
        }
        rest = behind;
    }
    let length = rest.len().checked_sub(padding).ok_or_else(too_long)?;
    Ok(&rest[..length])
}

#[cold]
fn too_long() -> ConnectionError {
    ConnectionError::protocol("the padding of a frame is longer than its payload")
}
