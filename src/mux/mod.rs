//! HTTP/2 on a worker: many streams share a connection.
//!
//! ```text
//!   the task of the connection                        a task for each open stream
//!    Driver: reads -> engine -> head? begins a stream ---->  Stream: reads a request in the HTTP/1.1 form,
//!                           -> data? into its slot     |             writes a response in the HTTP/1.1 form
//!            writes: control frames, streams in turn <-'
//! ```
//!
//! To the rest of the proxy, a [`Stream`] is a connection that has one exchange: a [`Transport`] is one or the other.
//! The request comes as the head that it would have had in HTTP/1.1, and a body without a length in chunks. The head
//! of a response is parsed here, and its fields become a header block.
//!
//! To a target, it is the other way round: a [`SharedConnection`] opens streams, a request is written to a stream in the
//! HTTP/1.1 form, and its response is read in that form.
//!
//! Only the driver touches the socket. It runs behind the tasks of the streams that were woken with it, so the
//! responses of a turn leave in one write. The state of both is borrowed for one call at a time, and never across an
//! await.
//!
//! Not here: the rules of the protocol (`http2`), and the decision which streams may begin (`proxy/http2.rs`).

mod target;

mod driver;

mod request;
mod stream;

mod output;
mod receive;
mod silence;

mod shared;

mod slot;

mod space;

/// A connection, or a stream that shares one.
pub type Transport = crate::tls::Stream<Stream>;

/// Whether clients and targets can speak HTTP/2.
pub const SERVES_HTTP2: bool = true;

pub use driver::{Driver, End, Timeouts};
pub use request::{WebSocketAccept, expected_accept};
pub use space::WorkerSpace;
pub use stream::Stream;
pub use target::SharedConnection;
