//! An upstream that follows a script and records every byte it receives.
//!
//! A script is called once for each connection, on a thread of its own, with a [`Connection`]. It may read
//! any part of the request, respond, wait for a latch, truncate or reset. When it returns, the rest is read
//! to its end: so the record is complete, and no unread byte turns the close into a reset.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use socket2::{Domain, Socket, Type};

use super::message::{Framing, Head, Request};
use super::wire::{End, Transport, Wire};
use super::{DEADLINE, until};

/// Everything that an upstream has received.
#[derive(Default)]
struct Record {
    /// Raw bytes by connection, in order of arrival.
    connections: Mutex<Vec<Arc<Mutex<Vec<u8>>>>>,
    /// Requests read by [`Connection::read_request`].
    requests: Mutex<Vec<Request>>,
    /// Connections that the gate has ended, and how.
    ended: Mutex<Vec<(usize, End)>>,
    stop: AtomicBool,
}

/// A recording upstream on a free port. `Display` shows its address.
pub struct Upstream {
    address: SocketAddr,
    record: Arc<Record>,
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Upstream {
    /// Sends `response` to every request, until the connection ends.
    pub fn answers(response: impl AsRef<[u8]>) -> Upstream {
        let response = response.as_ref().to_vec();
        Upstream::each(move |connection, _| connection.send(&response))
    }

    /// Responds to every request with `200` and this body.
    pub fn says(body: &str) -> Upstream {
        Upstream::answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// Calls `answer` for every complete request, until the connection ends.
    pub fn each(answer: impl Fn(&mut Connection, &Request) + Send + Sync + 'static) -> Upstream {
        Upstream::scripted(move |connection| {
            while let Some(request) = connection.read_request() {
                if !request.complete() {
                    return;
                }
                answer(connection, &request);
            }
        })
    }

    /// Runs `script` for every connection.
    pub fn scripted(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        Upstream::wrapped(|stream| Some(Box::new(stream)), script)
    }

    /// Runs `script` for every connection, over the transport that `wrap` returns, such as TLS. `None` ends
    /// the connection.
    pub fn wrapped(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Transport>> + Send + Sync + 'static,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Upstream::on(listener, wrap, script)
    }

    /// Responds to one request per connection with `200` and this body, at a given address.
    pub fn at(address: SocketAddr, body: &str) -> Upstream {
        let listener = TcpListener::bind(address).expect("nothing listens there");
        let fields = format!("Connection: close\r\nContent-Length: {}", body.len());
        let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}");
        let script = move |connection: &mut Connection| {
            if connection.read_request().is_some() {
                connection.send(&answer);
            }
        };
        Upstream::on(listener, |stream| Some(Box::new(stream)), script)
    }

    /// Runs `script` for every connection at a given address; `None` if that is in use.
    pub fn try_scripted_at(
        address: SocketAddr,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Option<Upstream> {
        let listener = TcpListener::bind(address).ok()?;
        Some(Upstream::on(listener, |stream| Some(Box::new(stream)), script))
    }

    fn on(
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Transport>> + Send + Sync + 'static,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Upstream {
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Record::default());
        let shared = record.clone();
        let work = Arc::new((wrap, script));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let bytes = Arc::new(Mutex::new(Vec::new()));
                let number = {
                    let mut connections = shared.connections.lock().unwrap();
                    connections.push(bytes.clone());
                    connections.len() - 1
                };
                let (shared, work) = (shared.clone(), work.clone());
                thread::spawn(move || {
                    let Some(transport) = work.0(stream) else { return };
                    let wire = Some(Wire::new(transport, DEADLINE * 2, Some(bytes)));
                    let mut connection = Connection { number, wire, record: shared };
                    work.1(&mut connection);
                    connection.wind_up();
                });
            }
        });
        Upstream { address, record }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Raw bytes received, by connection, in order of arrival.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.record.connections.lock().unwrap().iter().map(|bytes| bytes.lock().unwrap().clone()).collect()
    }

    /// Requests read, complete or cut, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.record.requests.lock().unwrap().clone()
    }

    /// The only request. Panics if there is another number of them.
    #[track_caller]
    pub fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.remove(0)
    }

    /// Number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.record.connections.lock().unwrap().len()
    }

    /// Number of connections that the gate has ended, of those that the script reads.
    pub fn ended(&self) -> usize {
        self.record.ended.lock().unwrap().len()
    }

    /// Waits until so many connections were accepted.
    #[track_caller]
    pub fn wait_connections(&self, count: usize) {
        until(&format!("{count} connections reached the upstream"), || self.connections() >= count);
    }

    /// Waits until so many requests were read, complete or cut.
    #[track_caller]
    pub fn wait_requests(&self, count: usize) {
        until(&format!("{count} requests reached the upstream"), || {
            self.record.requests.lock().unwrap().len() >= count
        });
    }

    /// Waits until the gate has ended connection `number`, and returns how.
    #[track_caller]
    pub fn wait_end(&self, number: usize) -> End {
        let mut found = None;
        until(&format!("the gate ends upstream connection {number}"), || {
            found = self
                .record
                .ended
                .lock()
                .unwrap()
                .iter()
                .find(|(ended, _)| *ended == number)
                .map(|(_, end)| *end);
            found.is_some()
        });
        found.expect("found above")
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.record.stop.store(true, Ordering::SeqCst);
        // Wakes the accept loop, which then sees the flag.
        let _ = TcpStream::connect(self.address);
    }
}

/// One connection of the gate to an upstream, for its script.
pub struct Connection {
    /// Its number in order of arrival, from 0.
    pub number: usize,
    /// `None` once the script has closed it.
    wire: Option<Wire>,
    record: Arc<Record>,
}

impl Connection {
    fn note_end(&self, end: End) {
        self.record.ended.lock().unwrap().push((self.number, end));
    }

    /// Reads a head; `None` if the gate ends the connection first.
    pub fn read_head(&mut self) -> Option<Head> {
        match self.wire.as_mut()?.take_head() {
            Ok(head) => Some(head),
            Err(end) => {
                self.note_end(end);
                self.wire = None;
                None
            }
        }
    }

    /// Reads and records a request, complete or cut; `None` if none begins.
    pub fn read_request(&mut self) -> Option<Request> {
        let head = self.read_head()?;
        Some(self.read_body(head))
    }

    /// Reads the body of `head` and records the request.
    pub fn read_body(&mut self, head: Head) -> Request {
        let framing = head.framing(Framing::None);
        let body = self.wire.as_mut().map(|wire| wire.take_body(framing)).unwrap_or_default();
        let request = Request { head, body, connection: self.number };
        self.record.requests.lock().unwrap().push(request.clone());
        request
    }

    /// Reads exactly `count` bytes; `None` if the gate ends the connection first.
    pub fn read_exact(&mut self, count: usize) -> Option<Vec<u8>> {
        match self.wire.as_mut()?.take(count) {
            Ok(bytes) => Some(bytes),
            Err(end) => {
                self.note_end(end);
                self.wire = None;
                None
            }
        }
    }

    /// Returns the next byte without taking it; `None` if the gate ends the connection.
    pub fn peek(&mut self) -> Option<u8> {
        let wire = self.wire.as_mut()?;
        if wire.buffer.is_empty()
            && let Err(end) = wire.fill()
        {
            self.note_end(end);
            self.wire = None;
            return None;
        }
        self.wire.as_ref()?.buffer.first().copied()
    }

    /// Reads the next bytes, at least one; `None` if the gate ends the connection.
    pub fn read_some(&mut self) -> Option<Vec<u8>> {
        let wire = self.wire.as_mut()?;
        if wire.buffer.is_empty()
            && let Err(end) = wire.fill()
        {
            self.note_end(end);
            return None;
        }
        Some(std::mem::take(&mut wire.buffer))
    }

    /// Reads until the gate ends the connection, and returns the bytes and how it ended.
    pub fn read_to_end(&mut self) -> (Vec<u8>, End) {
        let Some(wire) = self.wire.as_mut() else { return (Vec::new(), End::Clean) };
        let (bytes, end) = wire.take_rest();
        self.note_end(end);
        (bytes, end)
    }

    /// Sends these bytes. If the gate is gone, this is no failure of the upstream: the script sees it at its
    /// next read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Some(wire) = self.wire.as_mut() {
            let _ = wire.send(bytes.as_ref());
        }
    }

    /// Sends these bytes. Returns false if the gate is gone or blocks for too long.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.as_mut().is_some_and(|wire| wire.send(bytes.as_ref()).is_ok())
    }

    /// A second handle on the same socket, for writing while this thread reads.
    pub fn writer(&self) -> Option<TcpStream> {
        self.wire.as_ref()?.socket().try_clone().ok()
    }

    /// Shuts down the sending half; reading goes on.
    pub fn half_close(&mut self) {
        if let Some(wire) = self.wire.as_mut() {
            wire.finish();
        }
    }

    /// Closes both halves at once.
    pub fn close(&mut self) {
        if let Some(mut wire) = self.wire.take() {
            wire.finish();
        }
    }

    /// Closes with a reset.
    pub fn reset(&mut self) {
        if let Some(wire) = self.wire.take() {
            wire.reset();
        }
    }

    /// Keeps the connection open and silent until the gate ends it.
    pub fn hang(&mut self) {
        self.read_to_end();
        self.wire = None;
    }

    /// Ends the connection in order, if the script did not end it.
    fn wind_up(&mut self) {
        self.half_close();
        if self.wire.is_some() {
            self.read_to_end();
        }
    }
}

/// The stream for libraries that speak over the connection themselves. The record goes on.
impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(wire) = self.wire.as_mut() else { return Ok(0) };
        if wire.buffer.is_empty()
            && let Err(end) = wire.fill()
        {
            self.note_end(end);
            return if end == End::Clean { Ok(0) } else { Err(io::Error::other(format!("{end:?}"))) };
        }
        let count = into.len().min(wire.buffer.len());
        into[..count].copy_from_slice(&wire.buffer[..count]);
        wire.buffer.drain(..count);
        Ok(count)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.wire.as_mut().map(|wire| wire.send(bytes));
        match sent {
            Some(Ok(())) => Ok(bytes.len()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An address that refuses connections as long as this value lives: a socket is bound to it and does not
/// listen. `Display` shows its address.
pub struct Refusing(Socket);

impl Refusing {
    /// Takes a free port.
    pub fn new() -> Refusing {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Refusing(socket)
    }

    /// Begins to listen and respond, like a target that restarts at its address.
    pub fn revive(self, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        self.0.listen(128).unwrap();
        Upstream::on(self.0.into(), |stream| Some(Box::new(stream)), script)
    }
}

impl fmt::Display for Refusing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.local_addr().unwrap().as_socket().expect("IPv4").fmt(f)
    }
}

/// An address that neither accepts nor refuses: its accept queue is full, so the system drops new attempts.
/// `Display` shows its address.
pub struct Blackhole {
    listener: Socket,
    /// Connections that fill the queue.
    _fillers: Vec<Socket>,
}

impl Blackhole {
    /// Takes a free port.
    pub fn new() -> Blackhole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let fillers = (0..4).map(|_| {
            let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            filler.set_nonblocking(true).unwrap();
            // The result does not matter: it is always "in progress", and the queue is full either way.
            let _ = filler.connect(&listener.local_addr().unwrap());
            filler
        });
        let fillers = fillers.collect();
        Blackhole { listener, _fillers: fillers }
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap().as_socket().expect("IPv4")
    }
}

impl fmt::Display for Blackhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}
