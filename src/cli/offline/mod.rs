//! Verbs that only read files.

mod explain;

mod check;
mod routes;
mod schema;

mod url;

pub use check::{adapt, check};
pub use explain::explain;
pub use routes::routes;
pub use schema::schema;
