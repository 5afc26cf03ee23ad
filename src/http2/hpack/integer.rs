//! Integers with a prefix of 4 to 7 bits (RFC 7541, section 5.1).

use super::super::error::ConnectionError;

/// Bytes behind the prefix. Three hold any accepted number; zeros may pad it.
const MORE_BYTES_MAX: usize = 4;

/// The largest accepted number. No index and no length of a block of 64 KiB comes near it.
const NUMBER_MAX: u32 = 1 << 21;

/// Reads an integer from the front of `bytes`. The lower `prefix` bits of the first byte belong to it.
///
/// # Errors
/// The bytes end too early, or the number is too large (RFC 7541, section 5.1: that is a decoding error).
#[inline]
pub(super) fn read(bytes: &mut &[u8], prefix: u32) -> Result<usize, ConnectionError> {
    let Some((&first, rest)) = bytes.split_first() else { return Err(ends_early()) };
    let most = (1u32 << prefix) - 1;
    let number = u32::from(first) & most;
    *bytes = rest;
    if number < most {
        return Ok(number as usize);
    }
    read_more(bytes, number)
}

fn read_more(bytes: &mut &[u8], mut number: u32) -> Result<usize, ConnectionError> {
    for at in 0..MORE_BYTES_MAX {
        let Some(&byte) = bytes.get(at) else { return Err(ends_early()) };
        // Four times seven bits fit: the sum stays under 2^28 + 2^7.
        number += u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *bytes = &bytes[at + 1..];
            return if number > NUMBER_MAX { Err(too_large()) } else { Ok(number as usize) };
        }
    }
    Err(too_large())
}

#[cold]
fn ends_early() -> ConnectionError {
    ConnectionError::compression("a header block ends inside a field")
}

#[cold]
fn too_large() -> ConnectionError {
    ConnectionError::compression("an integer of a header block is too large")
}

/// Appends `number` with a prefix of `prefix` bits; `pattern` has the bits above the prefix.
pub(super) fn write(out: &mut Vec<u8>, pattern: u8, prefix: u32, number: usize) {
    let most = (1usize << prefix) - 1;
    if number < most {
        out.push(pattern | number as u8);
        return;
    }
    out.push(pattern | most as u8);
    let mut rest = number - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc_are_read_and_written() {
        // RFC 7541, appendix C.1.
        for (number, prefix, bytes) in
            [(10, 5, &[0x0a][..]), (1337, 5, &[0x1f, 0x9a, 0x0a]), (42, 8, &[0x2a]), (31, 5, &[0x1f, 0])]
        {
            let mut rest = bytes;
            assert_eq!(read(&mut rest, prefix).unwrap(), number);
            assert!(rest.is_empty());
            let mut written = Vec::new();
            write(&mut written, 0, prefix, number);
            assert_eq!(written, bytes);
        }
    }

    #[test]
    fn every_number_survives_every_prefix() {
        for prefix in 4..=7 {
            for number in (0..5000).chain([16_383, 16_384, 65_535, 65_536, NUMBER_MAX as usize]) {
                let mut written = Vec::new();
                write(&mut written, 0x80, prefix, number);
                assert_eq!(read(&mut &written[..], prefix).unwrap(), number);
                for cut in 0..written.len() {
                    assert!(read(&mut &written[..cut], prefix).is_err());
                }
            }
        }
    }

    #[test]
    fn large_and_endless_numbers_are_refused() {
        for bytes in [
            &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x00][..],
            &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x7f, 0xff, 0xff, 0xff, 0x7f],
            &[0x7f, 0x82, 0xff, 0xff, 0x00],
        ] {
            assert!(read(&mut &bytes[..], 7).is_err(), "{bytes:x?}");
        }
        assert_eq!(read(&mut &[0x7f, 0x81, 0x80, 0x80, 0x00][..], 7).unwrap(), 128);
    }
}
