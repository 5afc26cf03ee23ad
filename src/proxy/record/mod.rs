//! The records of exchanges and connections: counted, logged, and written into the access log. Every way to fail.

mod exchange_record;

mod connection_record;

mod failure;
mod logged_request;
mod meter;
mod request_summary;

mod header_state;
mod trace;

pub(super) use connection_record::{ConnectionRecord, TunnelStart, log_dropped, log_forced_close};
pub(super) use exchange_record::ExchangeRecord;
pub(super) use failure::{Detail, Failure, Misdirection, TransferError};
pub(super) use header_state::{HeaderState, Identities};
pub(super) use meter::Meter;
pub(super) use request_summary::RequestSummary;
