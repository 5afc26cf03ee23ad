//! Base64 (RFC 4648, sections 4 and 5).

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The value of each digit; 64 for other bytes.
static VALUES: [u8; 256] = values(ALPHABET);
static URL_VALUES: [u8; 256] = values(URL_ALPHABET);

const fn values(alphabet: &[u8; 64]) -> [u8; 256] {
    let mut values = [64; 256];
    let mut value = 0;
    while value < 64 {
        values[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// The bytes in base64, with padding.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// The bytes of a text in base64, with or without padding. `None` if it is not valid: no text but one means the same bytes.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &text[..text.len() - padding];
    if padding > 2 || padding > 0 && !text.len().is_multiple_of(4) {
        return None;
    }
    decode_digits(digits, &VALUES)
}

/// The bytes of a text in base64url without padding, as RFC 7515, section 2, has it. `None` if it is not valid.
pub fn decode_url(text: &[u8]) -> Option<Vec<u8>> {
    decode_digits(text, &URL_VALUES)
}

fn decode_digits(digits: &[u8], values: &[u8; 256]) -> Option<Vec<u8>> {
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4 + 3);
    // Bits of all values, so that one test finds a byte that is no digit.
    let mut seen = 0;
    for chunk in digits.chunks(4) {
        let mut word = 0;
        for digit in chunk {
            let value = values[usize::from(*digit)];
            seen |= value;
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - chunk.len());
        let (of_chunk, word) = (chunk.len() - 1, word.to_be_bytes());
        if word[1 + of_chunk..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&word[1..1 + of_chunk]);
    }
    (seen < 64).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        // RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
            assert_eq!(decode(text.trim_end_matches('=').as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Z", "Zg=", "Zh==", "Zm9=", "Zg===", "Z g=", "Zm9v=", "Zm-_", "====", "Zg==Zg=="] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn texts_for_urls() {
        // RFC 7515, appendix C.
        assert_eq!(decode_url(b"A-z_4ME").as_deref(), Some(&[3, 236, 255, 224, 193][..]));
        assert_eq!(decode_url(b"").as_deref(), Some(&b""[..]));
        for text in ["A-z_4ME=", "A+z/4ME", "A", "A-z_4MF", "A-z 4ME", "\u{e9}a"] {
            assert_eq!(decode_url(text.as_bytes()), None, "{text}");
        }
    }
}
