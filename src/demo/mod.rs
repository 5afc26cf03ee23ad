//! Things to try the gate with. They are no part of it.

mod guide;

pub mod whoami;

pub use guide::run;
