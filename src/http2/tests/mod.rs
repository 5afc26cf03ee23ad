//! Tests of the engine as a whole.

mod peer;

mod abuse;
mod conformance;
mod downgrade;
mod flow;
mod hpack;
mod pairs;
mod properties;
