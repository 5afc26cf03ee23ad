//! The Huffman code of RFC 7541, appendix B.
//!
//! The code is canonical: sorted by length and then by symbol, each code is the one before it plus one. So the
//! lengths are the whole table, and the compiler computes the rest.

use super::super::error::ConnectionError;

/// Bits of the code of each byte, and of EOS behind them.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

/// The symbol that must not occur in a string (RFC 7541, section 5.2).
const EOS: u16 = 256;

/// Bits of the longest code.
const LONGEST: usize = 30;

/// Bits that the first table looks at. They cover every byte that is common in fields.
const SHORT_BITS: u32 = 9;

/// The codes of one length.
#[derive(Clone, Copy)]
struct Level {
    /// The first code that is longer than those of this length, moved to the left end of 32 bits.
    limit: u32,
    /// The first code of this length, moved to the left end of 32 bits.
    first: u32,
    /// The place of its symbol in `SORTED`.
    at: u16,
}

/// All symbols by length, then by number.
const SORTED: [u16; 257] = {
    let mut sorted = [0; 257];
    let (mut at, mut length) = (0, 0);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                sorted[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    sorted
};

/// The code of each symbol, at the right end.
const CODES: [u32; 257] = {
    let mut codes = [0; 257];
    let (mut code, mut length) = (0u32, LENGTHS[SORTED[0] as usize]);
    let mut at = 0;
    while at < 257 {
        let symbol = SORTED[at] as usize;
        code <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        codes[symbol] = code;
        code += 1;
        at += 1;
    }
    codes
};

/// The codes by length.
static LEVELS: [Level; LONGEST + 1] = {
    let mut levels = [Level { limit: 0, first: 0, at: 0 }; LONGEST + 1];
    let mut at = 0;
    while at < 257 {
        let symbol = SORTED[at] as usize;
        let length = LENGTHS[symbol] as usize;
        let left = CODES[symbol] << (32 - length);
        if levels[length].limit == 0 {
            levels[length].first = left;
            levels[length].at = at as u16;
        }
        // The last code of the longest length ends at 2^32, which does not fit.
        levels[length].limit = left.saturating_add(1 << (32 - length));
        at += 1;
    }
    levels
};

/// The symbol and the length of the code at the start of each nine bits; length 0 if the code is longer.
static SHORT: [(u8, u8); 1 << SHORT_BITS] = {
    let mut table = [(0, 0); 1 << SHORT_BITS];
    let mut symbol = 0;
    while symbol < 256 {
        let length = LENGTHS[symbol] as u32;
        if length <= SHORT_BITS {
            let first = (CODES[symbol] as usize) << (SHORT_BITS - length);
            let mut at = first;
            while at < first + (1 << (SHORT_BITS - length)) {
                table[at] = (symbol as u8, length as u8);
                at += 1;
            }
        }
        symbol += 1;
    }
    table
};

/// Decodes `bytes` and appends the string to `out`. It is at most eight fifths as long.
///
/// # Errors
/// EOS in the string, or a padding that is longer than seven bits or has a zero (RFC 7541, section 5.2).
pub(super) fn decode(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ConnectionError> {
    out.reserve(bytes.len() * 8 / 5);
    // The next bits stand at the left end of `bits`; `have` of them are there, and zeros behind them.
    let (mut bits, mut have, mut at) = (0u64, 0u32, 0);
    loop {
        while have <= 56 && at < bytes.len() {
            bits |= u64::from(bytes[at]) << (56 - have);
            (have, at) = (have + 8, at + 1);
        }
        let (symbol, length) = match SHORT[(bits >> (64 - SHORT_BITS)) as usize] {
            (symbol, length @ 1..) => (symbol, u32::from(length)),
            _ => long_symbol((bits >> 32) as u32)?,
        };
        if length > have {
            return check_padding(bits, have);
        }
        out.push(symbol);
        bits <<= length;
        have -= length;
    }
}

/// The symbol and the length of a code of more than nine bits.
fn long_symbol(bits: u32) -> Result<(u8, u32), ConnectionError> {
    for (length, level) in LEVELS.iter().enumerate().skip(SHORT_BITS as usize + 1) {
        if bits < level.limit {
            let at = usize::from(level.at) + ((bits - level.first) >> (32 - length)) as usize;
            return match SORTED[at] {
                EOS => Err(eos()),
                symbol => Ok((symbol as u8, length as u32)),
            };
        }
    }
    Err(eos())
}

/// Accepts fewer than eight bits that are all set.
fn check_padding(bits: u64, have: u32) -> Result<(), ConnectionError> {
    let zeros = !bits & !(u64::MAX.checked_shr(have).unwrap_or(0));
    if have < 8 && zeros == 0 {
        return Ok(());
    }
    Err(ConnectionError::compression("a Huffman string has wrong padding"))
}

#[cold]
fn eos() -> ConnectionError {
    ConnectionError::compression("a Huffman string contains EOS")
}

/// Bytes of `text` when it is encoded.
pub(super) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(LENGTHS[usize::from(byte)])).sum();
    bits.div_ceil(8)
}

/// Appends the code of `text`, padded with ones.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    // `have` bits stand at the right end of `bits`: at most 7 + 30.
    let (mut bits, mut have) = (0u64, 0u32);
    for &byte in text {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(CODES[usize::from(byte)]);
        have += length;
        while have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    if have > 0 {
        out.push((bits << (8 - have)) as u8 | (0xff >> have));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(bytes, &mut out).ok().map(|()| out)
    }

    #[test]
    fn codes_are_those_of_the_appendix() {
        for (symbol, code) in [
            (b'0', 0x0),
            (b'a', 0x3),
            (b' ', 0x14),
            (b':', 0x5c),
            (b'X', 0xfc),
            (b'!', 0x3f8),
            (b'\\', 0x7fff0),
            (0xf9, 0xffffffe),
            (b'\n', 0x3ffffffc),
            (22, 0x3ffffffe),
        ] {
            assert_eq!(CODES[usize::from(symbol)], code, "{symbol:#x}");
        }
        assert_eq!(CODES[256], 0x3fffffff);
    }

    #[test]
    fn examples_of_the_rfc_are_decoded_and_encoded() {
        // RFC 7541, appendixes C.4 and C.6.
        for (text, bytes) in [
            (
                "www.example.com",
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
            ),
            ("no-cache", &[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]),
            ("302", &[0x64, 0x02]),
            ("private", &[0xae, 0xc3, 0x77, 0x1a, 0x4b]),
        ] {
            assert_eq!(decoded(bytes).as_deref(), Some(text.as_bytes()));
            let mut out = Vec::new();
            encode(text.as_bytes(), &mut out);
            assert_eq!(out, bytes);
            assert_eq!(encoded_len(text.as_bytes()), bytes.len());
        }
    }

    #[test]
    fn each_pair_of_bytes_survives() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let mut out = Vec::new();
                encode(&[first, second], &mut out);
                assert_eq!(decoded(&out).as_deref(), Some(&[first, second][..]));
            }
        }
    }

    #[test]
    fn wrong_padding_and_eos_are_refused() {
        assert_eq!(decoded(b"").as_deref(), Some(&b""[..]));
        // `0` has five zeros: three ones complete it.
        assert_eq!(decoded(&[0b0000_0111]).as_deref(), Some(&b"0"[..]));
        for bytes in [
            &[0b0000_0110][..],
            &[0b0000_0011],
            &[0xff],
            &[0b0000_0111, 0xff],
            &[0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xfe],
            &[0x3f, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(decoded(bytes), None, "{bytes:x?}");
        }
    }
}
