//! Lists of the form `#rule` (RFC 9110, section 5.6.1).

use super::class::trim;

/// The items of a comma-separated value, white space cut, empty ones left out (RFC 9110, section
/// 5.6.1). Quoted strings are not looked into: no list we read has any.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|item| !item.is_empty())
}
