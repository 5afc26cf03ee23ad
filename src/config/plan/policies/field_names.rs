//! Names of fields that two programs may read alike.

/// Whether a program such as CGI reads two names alike: in any case, and `_` for `-`.
pub(crate) fn reads_alike(one: &[u8], two: &[u8]) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == two.len() && one.iter().map(folded).eq(two.iter().map(folded))
}
