//! Whether a CA can issue for a name at all.

use crate::config::plan::Orders;

/// Ends of names that are not public (RFC 6761, RFC 8375, and those that networks use by themselves).
const PRIVATE: [&str; 9] =
    [".local", ".localhost", ".internal", ".test", ".example", ".invalid", ".lan", ".home.arpa", ".onion"];

/// Why an order for the name would be in vain.
pub(in crate::acme) fn in_vain(name: &str, orders: &Orders) -> Option<&'static str> {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.starts_with('.') || !name.bytes().all(is_plain) {
        return Some("this is no DNS name");
    }
    let is_public = name.contains('.') && !PRIVATE.iter().any(|end| name.ends_with(end));
    let wants_public = orders.cas.iter().all(|ca| ca.is_public());
    (wants_public && !is_public)
        .then_some("this name is not public, and the CA issues certificates for public names only")
}
