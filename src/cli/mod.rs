//! The command line: one function per verb, called by `main` and by nothing else.
//!
//! A verb reads its configuration, does its work and says how it ended. Results go to standard
//! output, so that they can be piped; what is wrong goes to standard error. Nothing here knows how
//! a byte is forwarded: `run` hands a plan to `gate`, `explain` asks `routing`, `reload` and
//! `healthcheck` ask a running gate through its internal API.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the configuration is invalid; for `healthcheck`, the gate is not well |
//! | 2 | the command line itself is wrong |
//! | 3 | the gate cannot start, or cannot be reached |

mod arguments;
mod call;
mod completion;
mod configuration;
mod explanation;
mod listing;
mod output;
mod question;
mod service;

pub use arguments::{Call, Files, Logging, Question, Reload, Running, Verb, Who, parse};
pub use call::{healthcheck, reload};
pub use completion::{completion, version};
pub use configuration::{adapt, check};
pub use explanation::explain;
pub use listing::routes;
pub use service::{demo, run, whoami};
