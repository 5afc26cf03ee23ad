//! The command line: one function per verb. Only `main` calls them.
//!
//! A verb reads its configuration, does its work and returns an exit code. Results go to standard output, so that they
//! can be piped. Errors go to standard error. Nothing here forwards a byte: `run` hands a plan to `gate`, `explain` asks
//! `routing`, `reload` and `healthcheck` ask a running gate through its internal API.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the configuration, or a part of it, is invalid; for `healthcheck`, the gate is not well; for `upstreams`, one has no usable endpoint; for `drain --wait`, requests are left; for `explain`, nothing takes the request |
//! | 2 | the command line itself is wrong |
//! | 3 | the gate cannot start, or cannot be reached |

mod service;

mod offline;
mod remote;

mod configuration;

mod arguments;

mod words;

mod files;

#[cfg_attr(not(feature = "demo"), path = "no_demo.rs")]
mod demo;
#[cfg_attr(not(feature = "files"), path = "no_serve.rs")]
mod serve;

mod logging;

mod disk;
mod output;

pub use arguments::{Adaptation, Certs, Drain, Question, Reload, Running, StoreAction, Tail, Verb, parse};
pub use demo::DemoVerb;
pub use disk::DiskInputs;
pub use files::{Files, NamedFiles};
pub use logging::Logging;
pub use offline::{
    adapt, check, completion, explain, explained, hash, routes, schema, store_key, translated, version,
};
pub use remote::{certs, control, drain, healthcheck, ready, reload, tail, top, upstreams};
pub use serve::ServeVerb;
pub use service::run;
pub use words::{Call, CertsAction, CertsWhat, ControlVerb, TranslatedVerb};
