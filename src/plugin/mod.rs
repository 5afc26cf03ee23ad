//! Plugins: processes that are asked about requests and responses.
//!
//! ```text
//!   gate ── Plugin::start ──► process.rs ══ JSON lines, stdin and stdout ══► plugin
//!                               │ ready                                        ▲
//!                               ▼                                              ║
//!                            plugin.rs ◄── call.rs ══ frames, Unix socket ═════╝
//!                                            ▲
//!   proxy ── chain.rs ───────────────────────┘  one call at a time on each connection of each worker
//! ```
//!
//! The protocol is that of prox, byte for byte, so that its plugins run as they are. JSON is a second encoding of the same
//! messages. What a plugin says is checked as a client's bytes are.
//!
//! `protocol` and `check` turn bytes into values and do no I/O.

mod registry;

mod chain;

mod process;

mod call;

mod plugin;

mod told;

mod check;

mod protocol;

pub use call::{CallError, Links};
pub use chain::{Chain, PluginExchange, PluginFailure, on_connect, on_request, on_response, wants_body};
pub use check::{Decision, Pass, write_lines};
pub use plugin::{Plugin, RouteText};
pub use protocol::{frame, lines, messages, value};
pub use registry::Plugins;
