//! Certificates from a certificate authority (CA), by ACME (RFC 8555). All of this runs on the control plane.
//!
//! ```text
//! manager.rs      follows the plans of the gate: which names, which CAs
//!   name/           the life of one name: wait, order, serve, renew
//!   answers.rs      questions of an operator
//!     trial.rs        an order at the test system that an operator wants
//!     check/          a look at a name as a CA looks at it
//!     fleet/          gates that share the store: their certificates and challenges
//!     order.rs        one order, from the first request to the certificate
//!     stored.rs       certificates in the store, whichever CA has issued them
//!     context.rs      what the names share at one CA: the store, the account, the budgets
//!     shared.rs       what outlives a change of the configuration
//!       ca/             signed requests to the CA, its account, its clock
//!       attempts/       when the next order may be made, and where; written before each order
//!         dns/            records of DNS that answer challenges
//!         events.rs       what happens to a name, for the log and for a program of the operator
//!           program.rs      a program of the operator
//!           failure.rs      why an attempt has failed, and whose fault it is
//!   protocol/       bytes and values, without I/O
//! ```
//!
//! The data plane knows nothing of this module. It reads `tls::Issued`, into which certificates and the answers to
//! challenges are put.

mod manager;

mod answers;
mod name;

mod trial;

mod check;
mod order;
mod stored;

mod fleet;

mod context;

mod shared;

mod attempts;
mod ca;

mod dns;
mod events;

mod program;

mod failure;
mod protocol;

pub use answers::{Question, Told};
pub use attempts::Attempt;
pub use manager::Manager;
pub use protocol::Readings;
pub use shared::{Ask, View};
pub use stored::state_of;
