//! Verbs that only read files.

mod explain;

mod outcome;

#[cfg_attr(not(feature = "prox"), path = "no_prox.rs")]
mod prox;

mod adapt;
mod hash;
mod check;
mod completion;
mod routes;
mod schema;
mod store_key;

mod url;

pub use adapt::adapt;
pub use check::check;
pub use completion::{completion, version};
pub use explain::{explain, explained};
pub use hash::hash;
pub use prox::translated;
pub use routes::routes;
pub use schema::schema;
pub use store_key::store_key;
