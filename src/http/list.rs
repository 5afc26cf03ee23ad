//! Lists of the form `#rule` (RFC 9110, section 5.6.1).

use super::class::trim;

/// Whether `Accept-Encoding` (RFC 9110, section 12.5.3) allows a coding, which has these names. Weights decide whether, and
/// not which.
pub fn accepts_coding(field: &[u8], names: &[&str]) -> bool {
    let (mut named, mut others) = (None, false);
    for item in list_items(field) {
        let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default();
        let is_wanted = !parts.any(is_zero_weight);
        if names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes())) {
            named = Some(is_wanted);
        } else if name == b"*" {
            others = is_wanted;
        }
    }
    named.unwrap_or(others)
}

/// Whether a parameter is `q=0`, `q=0.0` and the like.
fn is_zero_weight(parameter: &[u8]) -> bool {
    let weight = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    weight.is_some_and(|weight| weight.iter().all(|byte| matches!(byte, b'0' | b'.')))
}

/// The items of a comma-separated value, without white space around them and without empty items (RFC 9110,
/// section 5.6.1). Quoted strings are not recognised, because no list that smolgate reads has any.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|item| !item.is_empty())
}
