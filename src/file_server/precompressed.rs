//! The codings that a client accepts, of those in which a file may be stored.

use crate::config::plan::Coding;
use crate::http::accepts_coding;

/// The codings that a client accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted([bool; Coding::ALL.len()]);

impl Accepted {
    /// Those of an `Accept-Encoding` field. The configuration says which of them is the best.
    pub fn of(field: &[u8]) -> Accepted {
        Accepted(Coding::ALL.map(|coding| accepts_coding(field, coding.names())))
    }

    /// Whether the client accepts a coding.
    pub fn has(self, coding: Coding) -> bool {
        self.0[coding as usize]
    }
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
