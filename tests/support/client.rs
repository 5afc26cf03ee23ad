//! A client that sends exactly the given bytes and reads responses strictly.

use std::net::{SocketAddr, TcpStream};

use super::message::{Body, Framing, Head, Response, status};
use super::wire::{End, Transport, Wire};
use super::{DEADLINE, show};

/// One connection to a gate.
pub struct Client {
    wire: Wire,
}

impl Client {
    /// Opens a connection.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("the gate accepts connections");
        Client::over(stream)
    }

    /// Uses a connection that is open already.
    pub fn over(stream: TcpStream) -> Client {
        Client::through(Box::new(stream))
    }

    /// Uses a transport that is open already, such as TLS.
    pub fn through(transport: Box<dyn Transport>) -> Client {
        Client { wire: Wire::new(transport, DEADLINE, None) }
    }

    /// The client's own address, as the gate sees it.
    pub fn address(&self) -> SocketAddr {
        self.wire.socket().local_addr().unwrap()
    }

    /// Sends these bytes. Panics if the connection is gone.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(end) = self.wire.send(bytes.as_ref()) {
            panic!("sending ended with {end:?}; unread: {}", show(&self.wire.buffer));
        }
    }

    /// Sends these bytes, even if the gate has closed in the meantime. Returns whether all were written.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// Reads the next head, interim or final.
    #[track_caller]
    pub fn read_head(&mut self) -> Head {
        match self.wire.take_head() {
            Ok(head) => head,
            Err(end) => panic!("no head: {end:?} after {}", show(&self.wire.buffer)),
        }
    }

    /// Reads a body.
    pub fn read_body(&mut self, framing: Framing) -> Body {
        self.wire.take_body(framing)
    }

    /// Reads the response to a request with any method but HEAD, with the 1xx before it.
    #[track_caller]
    pub fn read_response(&mut self) -> Response {
        self.read_response_to("GET")
    }

    /// Reads the response to a request with `method`, with the 1xx before it.
    #[track_caller]
    pub fn read_response_to(&mut self, method: &str) -> Response {
        match self.try_read_response(method) {
            Ok(response) => response,
            Err(end) => panic!("no head: {end:?} after {}", show(&self.wire.buffer)),
        }
    }

    /// Like [`Client::read_response_to`], but returns the end of the connection if it comes before a whole
    /// head.
    pub fn try_read_response(&mut self, method: &str) -> Result<Response, End> {
        let mut interim = Vec::new();
        let head = loop {
            let head = self.wire.take_head()?;
            match status(&head) {
                101 => break head,
                100..200 => interim.push(head),
                _ => break head,
            }
        };
        let framing = match status(&head) {
            101 | 204 | 304 => Framing::None,
            _ if method == "HEAD" => Framing::None,
            _ => head.framing(Framing::UntilClose),
        };
        let body = self.wire.take_body(framing);
        Ok(Response { head, body, interim })
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Response {
        let method =
            String::from_utf8_lossy(request.as_ref()).split(' ').next().unwrap_or_default().to_owned();
        self.send(request);
        self.read_response_to(&method)
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        match self.try_read_exact(count) {
            Ok(bytes) => bytes,
            Err(end) => panic!("{count} bytes wanted: {end:?} after {}", show(&self.wire.buffer)),
        }
    }

    /// Like [`Client::read_exact`], but returns the end of the connection if it comes first.
    pub fn try_read_exact(&mut self, count: usize) -> Result<Vec<u8>, End> {
        self.wire.take(count)
    }

    /// Reads until the connection ends and returns how. Panics if it stays open.
    #[track_caller]
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let (bytes, end) = self.wire.take_rest();
        assert_ne!(end, End::Deadline, "the connection stays open; so far {}", show(&bytes));
        (bytes, end)
    }

    /// Fails unless the connection ends, cleanly or by reset, without another byte.
    #[track_caller]
    pub fn expect_close(&mut self) -> End {
        let (bytes, end) = self.read_to_end();
        assert!(bytes.is_empty(), "more bytes before the close: {}", show(&bytes));
        end
    }

    /// Whether bytes or an end can be read now.
    pub fn has_pending_event(&self) -> bool {
        let socket = self.wire.socket();
        socket.set_nonblocking(true).unwrap();
        let news = !self.wire.buffer.is_empty() || socket.peek(&mut [0]).is_ok();
        socket.set_nonblocking(false).unwrap();
        news
    }

    /// Shuts down the sending half.
    pub fn half_close(&mut self) {
        self.wire.finish();
    }

    /// Closes with a reset.
    pub fn reset(self) {
        self.wire.reset();
    }

    /// A second handle on the same socket, for writing while another thread reads.
    pub fn writer(&self) -> TcpStream {
        self.wire.socket().try_clone().unwrap()
    }
}
