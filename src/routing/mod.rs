//! A request's head becomes a rule: host, path and method in, the index of a rule out.
//!
//! There is one semantics, *the first rule in written order that matches*. "Longest prefix wins" or
//! "exact host before wildcard" are orders that a front end of the configuration gives its rules;
//! nothing here knows of them.
//!
//! [`RuleTable`] is what a request meets: an index over the rules that answers without allocating
//! and without looking at the rules of other hosts. [`explain`] is the same question asked slowly,
//! rule by rule, with the reason each one did not match; the index is tested against it.
//!
//! [`Guards`] are the rules that keep a path from clients; they are asked about paths that servers read
//! in more than one way.
//!
//! Pure: no socket, no task, no clock. `proxy` calls the table, `cli` calls `explain`.

mod explanation;
mod guards;
mod hosts;
mod table;
mod tree;

pub use explanation::{Explanation, Mismatch, explain, explain_name};
pub use guards::{Guards, explain_guard};
pub use table::RuleTable;

#[cfg(test)]
mod tests;
