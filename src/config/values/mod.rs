//! Values: text becomes a duration, an address, a host, or an error.

pub(crate) mod access_log;
pub(crate) mod balance;
pub(crate) mod policies;

pub(crate) mod header;
pub(crate) mod networks;
pub(crate) mod authority;
pub(crate) mod target;

pub(crate) mod files;
pub(crate) mod glob;
pub(crate) mod pattern;

pub(crate) mod environment;
pub(crate) mod substitution;

pub(crate) use crate::config::keys::{ValueError, scalar};
