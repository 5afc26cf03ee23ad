//! Labels and variables for other proxies, written anew as labels of the gate.
//!
//! Each proxy has a file or a folder and a row in the table of `known`. A row says which entries of a service are for that proxy, and
//! makes an [`Adapted`] service of them. A part without a counterpart becomes a note. A route that would mean something else without
//! that part is printed as a comment.

mod hint;
mod page;

mod overlap;

mod known;

mod caddy;
mod nginx_proxy;
mod traefik;

mod source;

mod entry;

mod adapted;

pub(super) use hint::hint;
pub(super) use known::{NAMES, named};
pub(super) use page::page;
