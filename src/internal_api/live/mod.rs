//! A running gate at a glance: the page for browsers, and what it, `smolgate top` and `smolgate tail` ask for.
//!
//! ```text
//! page.rs, page.html   the page, which asks for /stats each second (feature `page`)
//! stats.rs             /stats: every counter as a number
//! tail.rs              /tail: exchanges as they end
//! ```

#[cfg_attr(not(feature = "page"), path = "no_page.rs")]
mod page;
mod stats;
mod tail;

pub(super) use page::page;
pub(super) use stats::stats;
pub(super) use tail::{filter, stream};

/// A page for browsers.
pub(super) struct Page {
    /// The whole of it.
    pub(super) text: &'static str,
    /// The value of `Content-Security-Policy`.
    pub(super) policy: &'static str,
}
