//! Which byte may stand where (RFC 9110, section 5.6.2 and 5.5; RFC 9112, section 3.2), and the
//! loops that run to the first byte that may not.

/// tchar of RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// The marks of a token but for `-`.
const MARKS: [bool; 256] = {
    let mut table = TOKEN;
    let mut byte = 0;
    while byte < 256 {
        table[byte] &= !(byte as u8).is_ascii_alphanumeric() && byte != b'-' as usize;
        byte += 1;
    }
    table
};

/// Printable ASCII without `#`. Wider than RFC 3986 by `"<>\^{|}` and the back-tick, which clients
/// do send and which no one takes for the end of a target.
const TARGET: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = byte != b'#' as usize;
        byte += 1;
    }
    table
};

/// Letters, digits and `-._~`: unreserved of RFC 3986, section 2.3.
const UNRESERVED: [bool; 256] = table(b"-._~");

/// Letters, digits and these.
const fn table(marks: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}

/// Whether the byte never needs percent-encoding.
pub(super) fn is_unreserved(byte: u8) -> bool {
    UNRESERVED[usize::from(byte)]
}

/// Whether the bytes are a token, such as the name of a method or of a field.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_end(bytes, 0) == bytes.len()
}

/// Whether the byte of a token is neither a letter, nor a digit, nor `-`.
pub(super) fn is_mark(byte: u8) -> bool {
    MARKS[usize::from(byte)]
}

/// Whether a token has such a byte. To look at all bytes takes fewer instructions than to stop at the first.
pub(super) fn has_mark(token: &[u8]) -> bool {
    token.iter().fold(false, |found, byte| found | is_mark(*byte))
}

/// Index of the first byte from `from` on that is not part of a token; the length if all are.
pub(crate) fn token_end(bytes: &[u8], from: usize) -> usize {
    end(bytes, from, &TOKEN)
}

/// The same for a request target.
pub(crate) fn target_end(bytes: &[u8], from: usize) -> usize {
    end(bytes, from, &TARGET)
}

fn end(bytes: &[u8], from: usize, table: &[bool; 256]) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|&byte| !table[usize::from(byte)]).unwrap_or(rest.len())
}

/// Eight times this byte.
pub(super) const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each of eight bytes.
const HIGH: u64 = eight(0x80);

/// Which of eight bytes are this one, which is ASCII: the highest bit of each that is, and no other bit.
pub(super) const fn equals(word: u64, byte: u8) -> u64 {
    let other = word ^ eight(byte);
    // Nothing is carried from one byte to the next.
    !((other & !HIGH) + !HIGH) & !other & HIGH
}

/// Eight bytes with those that are upper-case ASCII in lower case.
pub(super) const fn to_lower(word: u64) -> u64 {
    let low = word & !HIGH;
    let (from_a, past_z) = (low + eight(0x80 - b'A'), low + eight(0x80 - b'Z' - 1));
    word | (from_a & !past_z & !word & HIGH) >> 2
}

/// Which of eight bytes may not stand in a field value, but for the tab, which may: likewise.
const fn controls(word: u64) -> u64 {
    let low = word & !HIGH;
    let (from_space, delete) = (low + eight(0x80 - 0x20), low + eight(0x80 - 0x7f));
    (!from_space | delete) & !word & HIGH
}

/// Index of the first byte from `from` on that may not stand in a field value or a reason phrase:
/// a control byte other than the tab. Bytes above 0x7f may (obs-text). Eight bytes at a time.
#[inline]
pub(crate) fn value_end(bytes: &[u8], mut from: usize) -> usize {
    while let Some(block) = bytes[from..].first_chunk::<8>() {
        let hits = controls(u64::from_le_bytes(*block));
        if hits == 0 {
            from += 8;
            continue;
        }
        from += hits.trailing_zeros() as usize / 8;
        if bytes[from] != b'\t' {
            return from;
        }
        from += 1;
    }
    while let Some(&byte) = bytes.get(from) {
        if (byte < b' ' && byte != b'\t') || byte == 0x7f {
            break;
        }
        from += 1;
    }
    from
}

/// Cuts optional white space (space and tab) off both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_classed_as_the_grammar_says() {
        for byte in 0..=255u8 {
            let text = char::from(byte);
            let token = byte.is_ascii_alphanumeric() || (byte < 128 && "!#$%&'*+-.^_`|~".contains(text));
            assert_eq!(token_end(&[byte], 0) == 1, token, "{byte:#x}");
            assert_eq!(is_token(&[b'a', byte]), token, "{byte:#x}");
            assert_eq!(has_mark(&[b'a', byte, b'-']), is_mark(byte), "{byte:#x}");
            assert_eq!(is_mark(byte), token && !byte.is_ascii_alphanumeric() && byte != b'-', "{byte:#x}");
            assert_eq!(
                target_end(&[byte], 0) == 1,
                (0x21..0x7f).contains(&byte) && byte != b'#',
                "{byte:#x}"
            );
            assert_eq!(is_unreserved(byte), byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        }
    }

    #[test]
    fn every_byte_of_a_word_is_lowered_by_itself() {
        for byte in 0..=255u8 {
            for at in 0..8 {
                for filler in [b'Z', b'a', 0, 0xff] {
                    let mut bytes = [filler; 8];
                    bytes[at] = byte;
                    let lower = to_lower(u64::from_le_bytes(bytes)).to_le_bytes();
                    assert_eq!(lower, bytes.map(|byte| byte.to_ascii_lowercase()), "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn a_value_ends_at_the_same_byte_wherever_it_stands_in_a_block() {
        for byte in 0..=255u8 {
            let stops = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            for before in 0..20 {
                for after in 0..10 {
                    for filler in [b'a', b'\t', 0xff, 0x80, 0x7e, b' '] {
                        let mut bytes = vec![filler; before];
                        bytes.push(byte);
                        bytes.extend(std::iter::repeat_n(filler, after));
                        let want = if stops { before } else { bytes.len() };
                        assert_eq!(value_end(&bytes, 0), want, "{bytes:x?}");
                    }
                }
            }
        }
    }

    #[test]
    fn white_space_is_cut_off_both_ends() {
        assert_eq!(trim(b" \t a b \t"), b"a b");
        assert_eq!(trim(b" \t"), b"");
        assert_eq!(trim(b""), b"");
    }
}
