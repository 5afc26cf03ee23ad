//! Base64 (RFC 4648): without padding as JOSE writes it, and in lines as PEM has it.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Characters of a line of PEM (RFC 7468, section 2).
const LINE: usize = 64;

/// The alphabet for URLs, without padding.
pub(in crate::acme) fn url(bytes: impl AsRef<[u8]>) -> String {
    encode(bytes.as_ref(), URL)
}

/// The usual alphabet, with padding.
pub(in crate::acme) fn standard(bytes: impl AsRef<[u8]>) -> String {
    let mut digits = encode(bytes.as_ref(), STANDARD);
    digits.extend(std::iter::repeat_n('=', (4 - digits.len() % 4) % 4));
    digits
}

/// Reads the usual alphabet; padding may be left out. `None` if the text is not valid.
pub(in crate::acme) fn decode_standard(text: &str) -> Option<Vec<u8>> {
    decode(text, STANDARD)
}

/// Reads the alphabet for URLs; padding is allowed. `None` if the text is not valid.
pub(in crate::acme) fn decode_url(text: &str) -> Option<Vec<u8>> {
    decode(text, URL)
}

fn decode(text: &str, alphabet: &[u8; 64]) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let digit = |byte: &u8| alphabet.iter().position(|known| known == byte);
        let bits =
            four.iter().try_fold(0, |bits, byte| Some(bits << 6 | digit(byte)?))? << (6 * (4 - four.len()));
        (four.len() > 1).then_some(())?;
        bytes.extend([16, 8, 0].iter().map(|shift| (bits >> shift) as u8).take(four.len() - 1));
    }
    Some(bytes)
}

/// A block of PEM.
pub(in crate::acme) fn pem(label: &str, der: &[u8]) -> String {
    let digits = standard(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in digits.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn encode(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().chain(&[0; 2]).take(3).fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let digits = [18, 12, 6, 0].map(|shift| char::from(alphabet[bits >> shift & 63]));
        text.extend(&digits[..=three.len()]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back() {
        let bytes: Vec<u8> = (0..=255).rev().collect();
        for length in 0..bytes.len() {
            let text = url(&bytes[..length]);
            assert!(!text.contains(['+', '/', '=']), "{text}");
            assert_eq!(decode_url(&text).as_deref(), Some(&bytes[..length]));
        }
        assert_eq!(url(b"\xfb\xff"), "-_8");
        assert_eq!(decode_url("-_8="), Some(b"\xfb\xff".to_vec()));
        assert_eq!((&*standard(b"\xfb\xff"), &*standard("")), ("+/8=", ""));
        assert_eq!(decode_standard("+/8="), Some(b"\xfb\xff".to_vec()));
        for wrong in ["a", "a+b=", "ab c", "abcde"] {
            assert_eq!(decode_url(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem("X", &[0; 49]);
        assert_eq!(text, format!("-----BEGIN X-----\n{}\nAA==\n-----END X-----\n", "A".repeat(64)));
    }
}
