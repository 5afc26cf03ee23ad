//! Certificates from a certificate authority (CA), by ACME (RFC 8555). All of this runs on the control plane.
//!
//! ```text
//! manager.rs      follows the plans of the gate: which names, which CA
//!   name.rs         the life of one name: wait, order, serve, renew
//!     look.rs         the window in which the CA wants a renewal
//!     revocation.rs   what an operator wants to be revoked
//!     order.rs        one order, from the first request to the certificate
//!     context.rs      what the names share: the store, the CA, the budgets
//!       ca.rs           signed requests to the CA
//!       attempts.rs     when the next order may be made; written before each order
//!         dns/            records of DNS that answer challenges
//!         failure.rs      why an attempt has failed, and whose fault it is
//!   protocol/       bytes and values, without I/O
//! ```
//!
//! The data plane knows nothing of this module. It reads `tls::Issued`, into which certificates and the answers to
//! challenges are put.

mod manager;

mod name;

mod look;
mod order;
mod revocation;

mod context;

mod attempts;
mod ca;

mod dns;
mod failure;
mod protocol;

pub use manager::{Ask, Manager, View};
