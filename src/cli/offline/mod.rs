//! Verbs that only read files.

mod explain;

mod outcome;

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
pub use routes::routes;
pub use schema::schema;
pub use store_key::store_key;
