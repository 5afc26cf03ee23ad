//! The codings that a client accepts, of those in which a file may be stored.

use crate::config::plan::Coding;
use crate::http::list_items;

/// The codings that a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted([bool; Coding::ALL.len()]);

impl Accepted {
    /// Those of an `Accept-Encoding` field (RFC 9110, section 12.5.3). Weights decide whether, and not which:
    /// the configuration says which form is the best.
    pub fn of(field: &[u8]) -> Accepted {
        let mut named = [None; Coding::ALL.len()];
        let mut others = false;
        for item in list_items(field) {
            let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let is_wanted = !parts.any(is_zero_weight);
            match Coding::ALL.iter().position(|coding| is_named(*coding, name)) {
                Some(index) => named[index] = Some(is_wanted),
                None if name == b"*" => others = is_wanted,
                None => {}
            }
        }
        Accepted(named.map(|named| named.unwrap_or(others)))
    }

    /// Whether the client accepts a coding.
    pub fn has(self, coding: Coding) -> bool {
        self.0[coding as usize]
    }
}

fn is_named(coding: Coding, name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(coding.token().as_bytes())
        // RFC 9110, section 8.4.1.3.
        || coding == Coding::Gzip && name.eq_ignore_ascii_case(b"x-gzip")
}

/// Whether a parameter is `q=0`, `q=0.0` and the like.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_is_accepted_if_it_is_named_with_a_weight() {
        for (field, accepted) in [
            ("", ""),
            ("gzip", "gz"),
            ("gzip, deflate, br, zstd", "br zst gz"),
            ("GZIP;q=0.5, br;q=0", "gz"),
            ("br;q=0.000, *", "zst gz"),
            ("*;q=0, gzip", "gz"),
            ("*", "br zst gz"),
            ("x-gzip", "gz"),
            ("br; Q=0 , gzip ; q=1", "gz"),
            ("identity", ""),
            ("brotli, gzipped", ""),
        ] {
            let all = Accepted::of(field.as_bytes());
            let words: Vec<_> =
                Coding::ALL.into_iter().filter(|coding| all.has(*coding)).map(Coding::word).collect();
            assert_eq!(words.join(" "), accepted, "{field}");
        }
    }
}
