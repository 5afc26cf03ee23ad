//! Things to try the gate with. They are not part of it.

mod guide;

pub mod whoami;

pub use guide::run;
