//! The upstream that `smolgate demo`, `compose.yaml` and our tests put behind the gate. It is a small HTTP/1.1 server that
//! answers with its name and with what it received. So its answer shows what an upstream sees through the gate. It can
//! also wait, answer any status, stream, echo and speak WebSocket (`endpoint` lists everything).
//!
//! It is not part of the gate. It shares no code with it on purpose, so that its report is that of an independent reader.
//! It runs on smol's global executor. Its sizes and times are bounded, but it is meant to stand behind a proxy and not on
//! the open internet.
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
