//! The upstream that `smolgate demo`, `compose.yaml` and our tests put behind the gate: a small
//! HTTP/1.1 server that answers with its name and with what it received, so that one can see
//! through the gate what an upstream sees. It can also wait, answer any status, stream, echo and
//! speak WebSocket (`endpoint` lists it all).
//!
//! It is not part of the gate and shares no code with it on purpose: what it reports was read by
//! a second pair of eyes. It runs on smol's global executor, bounded in sizes and times, but it is
//! meant to stand behind a proxy, not on the open internet.
//!
//! ```text
//! server ──> connection ──> endpoint ──> report, websocket
//!                 └──────────┴─────> exchange: one request and its response
//!                                       ├─> request   one head, from bytes
//!                                       └─> body      one body, piece by piece
//! ```

mod server;

mod connection;

mod endpoint;
mod websocket;

mod exchange;
mod report;

mod body;
mod request;
mod stop;

#[cfg(test)]
mod tests;

pub use server::{Options, Server, run};
