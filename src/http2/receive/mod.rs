//! The receiving half of a connection: frames become events.

mod data;
mod head;

mod control;

pub use head::INTERIM_RESPONSES_MAX;
