//! Lists of the form `#rule` (RFC 9110, section 5.6.1).

use super::class::trim;

/// The items of a comma-separated value, without white space around them and without empty items (RFC 9110,
/// section 5.6.1). Quoted strings are not recognised, because no list that smolgate reads has any.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|item| !item.is_empty())
}
