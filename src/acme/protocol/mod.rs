//! The protocol (RFC 8555), without I/O: bytes and values in, bytes and values out.

mod readings;

pub(super) mod jws;
pub(super) mod x509;

pub(super) mod messages;
pub(super) mod problem;

pub(super) mod ari;

pub(super) mod base64;

pub use readings::Readings;
