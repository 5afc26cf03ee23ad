//! Changes of the control API, laid over the files of a configuration at each load.
//!
//! ```text
//! files --dialects--> Source --overlay--> Source --lowering--> Plan
//! ```
//!
//! A change is an entry of a JSON text, in memory or in a file. So an error has its place and its hint as in any
//! file, and views name the line. An entry that fits no more, because the files have changed, is left out and reported.
//! Routes and upstreams have the keys of locci-proxy, whose API this is.

mod apply;

mod routes;
mod upstreams;

mod entry;
mod text;

mod entries;

pub(crate) use apply::{apply, upstream_names};
pub use entries::Overlay;
