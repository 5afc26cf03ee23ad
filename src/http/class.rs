//! Byte classes of the grammar (RFC 9110, sections 5.5 and 5.6.2; RFC 9112, section 3.2), and loops that find
//! the first byte outside a class.

/// tchar of RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// Marks: the bytes of a token except letters, digits and `-`.
const MARKS: [bool; 256] = {
    let mut table = TOKEN;
    let mut byte = 0;
    while byte < 256 {
        table[byte] &= !(byte as u8).is_ascii_alphanumeric() && byte != b'-' as usize;
        byte += 1;
    }
    table
};

/// Printable ASCII without `#`. That is wider than RFC 3986 by `"<>\^{|}` and the back-tick. Clients do send
/// these bytes, and no program takes them for the end of a target.
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

/// The class of letters, digits and `marks`.
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
pub(super) const fn is_unreserved(byte: u8) -> bool {
    UNRESERVED[byte as usize]
}

/// Whether the bytes are a token, such as the name of a method or of a field.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && token_end(bytes, 0) == bytes.len()
}

/// Whether the byte of a token is a mark: neither a letter, nor a digit, nor `-`.
pub(super) fn is_mark(byte: u8) -> bool {
    MARKS[usize::from(byte)]
}

/// Whether a token has a mark. Looking at all bytes takes fewer instructions than stopping at the first mark.
pub(super) fn has_mark(token: &[u8]) -> bool {
    token.iter().fold(false, |found, byte| found | is_mark(*byte))
}

/// Index of the first byte from `from` on that is not part of a token; the length if there is none.
pub(crate) fn token_end(bytes: &[u8], from: usize) -> usize {
    end(bytes, from, &TOKEN)
}

/// Index of the first byte from `from` on that is not part of a request target; the length if there is none.
pub(crate) fn target_end(bytes: &[u8], from: usize) -> usize {
    end(bytes, from, &TARGET)
}

fn end(bytes: &[u8], from: usize, table: &[bool; 256]) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|&byte| !table[usize::from(byte)]).unwrap_or(rest.len())
}

/// A word of eight times `byte`.
pub(super) const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each of eight bytes.
const HIGH: u64 = eight(0x80);

/// Compares eight bytes with `byte`, which is ASCII. The result has the highest bit of each equal byte, and
/// no other bit.
pub(super) const fn equals(word: u64, byte: u8) -> u64 {
    let other = word ^ eight(byte);
    // The sum carries nothing from one byte to the next.
    !((other & !HIGH) + !HIGH) & !other & HIGH
}

/// Changes the upper-case ASCII letters among eight bytes to lower case.
pub(super) const fn to_lower(word: u64) -> u64 {
    let low = word & !HIGH;
    let (from_a, past_z) = (low + eight(0x80 - b'A'), low + eight(0x80 - b'Z' - 1));
    word | (from_a & !past_z & !word & HIGH) >> 2
}

/// Finds the control bytes among eight bytes; the tab is among them, although a field value may have it. The
/// result has the highest bit of each control byte, and no other bit.
const fn controls(word: u64) -> u64 {
    let low = word & !HIGH;
    let (from_space, delete) = (low + eight(0x80 - 0x20), low + eight(0x80 - 0x7f));
    (!from_space | delete) & !word & HIGH
}

/// Index of the first byte from `from` on that is no part of a field value or a reason phrase. That is a
/// control byte other than the tab; bytes above 0x7f are allowed (obs-text). The loop takes eight bytes at a
/// time.
#[inline]
pub(crate) fn value_end(bytes: &[u8], from: usize) -> usize {
    let (blocks, rest) = bytes[from..].as_chunks();
    for (at, block) in blocks.iter().enumerate() {
        let word = u64::from_le_bytes(*block);
        let controls = controls(word);
        // Most blocks have no control byte, so that tabs need not be looked for.
        let hits = if controls == 0 { 0 } else { controls & !equals(word, b'\t') };
        if hits != 0 {
            return from + at * 8 + hits.trailing_zeros() as usize / 8;
        }
    }
    let is_end = |byte: &u8| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f;
    bytes.len() - rest.len() + rest.iter().position(is_end).unwrap_or(rest.len())
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
