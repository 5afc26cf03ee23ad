//! Routing: the parts of a request that rules match go in, and the index of a rule comes out.
//!
//! The only semantics is *the first rule in written order that matches*. "Longest prefix wins" or "exact host
//! before wildcard" are orders that a front end of the configuration gives its rules. This module knows none
//! of them.
//!
//! [`RuleTable`] routes requests. It is an index over the rules that allocates nothing and skips the rules of
//! other hosts. [`explain`] tries the rules one by one and says why each does not match. The tests compare
//! the index with it.
//!
//! [`Guards`] are the rules that keep a path from clients. They check paths that servers read in more than
//! one way. [`explain_guard`] does so rule by rule, and the tests compare both with servers that read paths.
//!
//! The module is pure: it has no socket, no task and no clock. `proxy` calls the table, `cli` calls
//! `explain`.

mod guards;

mod explanation;
mod table;

mod hosts;

mod tree;

mod conditions;

pub use conditions::{RequestView, Unmet};
pub use explanation::{Explanation, Mismatch, explain, explain_name};
pub use guards::{Guards, explain_guard};
pub use table::RuleTable;

#[cfg(test)]
mod guards_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
