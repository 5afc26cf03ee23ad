//! Records of DNS that answer challenges (RFC 8555, section 8.4): written, waited for, removed.
//!
//! ```text
//! publisher.rs    finds the place of a record, has it written, waits until the servers of the zone have it
//!   exec.rs         a program, called as lego calls one
//!   services.rs     httpreq, acme-dns and Cloudflare, over HTTP
//!   update.rs       a name server that takes updates (RFC 2136)
//!     persist.rs      a record that a person writes once
//!     record.rs       a record: its name and its text
//! ```

mod publisher;

mod exec;
mod services;
mod update;

mod persist;
mod record;

pub(in crate::acme) use persist::{name as persistent_name, text as persistent_text};
pub(in crate::acme) use publisher::Publisher;
pub(in crate::acme) use record::Published;
