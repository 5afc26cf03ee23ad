//! `forwarder HTTP_PORT TCP_PORT UPSTREAM_PORT THREADS`: copies bytes between clients and an upstream and
//! parses nothing. It is the limit for copies through user space and no proxy: it has no deadlines, no
//! limits, and one upstream connection per client.
//!
//! It uses level-triggered epoll, with one read and one write per message. Only a slow peer needs further
//! system calls.

#[cfg(target_os = "linux")]
mod forwarder {
    use std::io::{self, ErrorKind, Read, Write};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    use rustix::buffer::spare_capacity;
    use rustix::event::epoll::{self, EventData, EventFlags};

    /// The most bytes of one read.
    const READ_BYTES: usize = 64 * 1024;
    /// The most events of one wait.
    const EVENTS: usize = 256;
    /// The first token of a connection. A token is twice the index of the pair, plus the side.
    const FIRST_CONNECTION: u64 = 2;

    struct Side {
        stream: TcpStream,
        /// Bytes that the other side sent and that are not written yet.
        pending: Vec<u8>,
        /// Whether it has sent its last byte.
        ended: bool,
    }

    type Pair = [Side; 2];

    /// One thread's connections.
    struct Forwarder {
        epoll: OwnedFd,
        /// For HTTP and for TCP, which are handled equally.
        listeners: [TcpListener; 2],
        upstream: SocketAddr,
        pairs: Vec<Option<Pair>>,
        free: Vec<usize>,
        buffer: Box<[u8]>,
    }

    /// Serves forever.
    pub(crate) fn serve(ports: [u16; 2], upstream: u16) -> io::Result<()> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let listeners = [listen(ports[0])?, listen(ports[1])?];
        for (token, listener) in (0..).zip(&listeners) {
            epoll::add(&epoll, listener, EventData::new_u64(token), EventFlags::IN)?;
        }
        let mut forwarder = Forwarder {
            epoll,
            listeners,
            upstream: (Ipv4Addr::LOCALHOST, upstream).into(),
            pairs: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; READ_BYTES].into(),
        };
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            epoll::wait(&forwarder.epoll, spare_capacity(&mut events), None)?;
            for event in events.drain(..) {
                forwarder.meet(event.data.u64(), event.flags);
            }
        }
    }

    fn listen(port: u16) -> io::Result<TcpListener> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.listen(1024)?;
        Ok(socket.into())
    }

    impl Forwarder {
        fn meet(&mut self, token: u64, flags: EventFlags) {
            let Some(connection) = token.checked_sub(FIRST_CONNECTION) else {
                while let Ok((client, _)) = self.listeners[token as usize].accept() {
                    if let Err(error) = self.join(client) {
                        eprintln!("a connection could not be forwarded: {error}");
                    }
                }
                return;
            };
            let (place, side) = ((connection / 2) as usize, (connection % 2) as usize);
            // An earlier event of the same wait may have ended the pair.
            let Some(pair) = &mut self.pairs[place] else { return };
            let kept = pass(&self.epoll, &mut self.buffer, pair, place, side, flags);
            if !kept.unwrap_or(false) {
                self.pairs[place] = None;
                self.free.push(place);
            }
        }

        /// Opens the upstream connection of `client`. It blocks, but on loopback not for long.
        fn join(&mut self, client: TcpStream) -> io::Result<()> {
            let upstream = TcpStream::connect(self.upstream)?;
            let place = self.free.pop().unwrap_or_else(|| {
                self.pairs.push(None);
                self.pairs.len() - 1
            });
            for (side, stream) in [&client, &upstream].into_iter().enumerate() {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                epoll::add(&self.epoll, stream, token(place, side), EventFlags::IN)?;
            }
            let side = |stream| Side { stream, pending: Vec::new(), ended: false };
            self.pairs[place] = Some([side(client), side(upstream)]);
            Ok(())
        }
    }

    fn token(place: usize, side: usize) -> EventData {
        EventData::new_u64(FIRST_CONNECTION + 2 * place as u64 + side as u64)
    }

    /// Passes on the bytes of `side`. Returns `false` when the pair has ended.
    fn pass(
        epoll: &OwnedFd,
        buffer: &mut [u8],
        pair: &mut Pair,
        place: usize,
        side: usize,
        flags: EventFlags,
    ) -> io::Result<bool> {
        if flags.contains(EventFlags::ERR) || (flags.contains(EventFlags::HUP) && pair[side].ended) {
            return Ok(false);
        }
        if flags.contains(EventFlags::OUT) {
            let Side { stream, pending, .. } = &mut pair[side];
            let written = write_some(stream, pending)?;
            pending.drain(..written);
            if pending.is_empty() {
                wait_for(epoll, pair, place)?;
            }
        }
        // Its bytes cannot be passed on yet, or there will be none.
        if !pair[1 - side].pending.is_empty() || pair[side].ended {
            return Ok(true);
        }
        let read = match (&pair[side].stream).read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        if read == 0 {
            pair[side].ended = true;
            pair[1 - side].stream.shutdown(Shutdown::Write)?;
            wait_for(epoll, pair, place)?;
            return Ok(!pair[1 - side].ended);
        }
        let written = write_some(&pair[1 - side].stream, &buffer[..read])?;
        if written < read {
            pair[1 - side].pending.extend_from_slice(&buffer[written..read]);
            wait_for(epoll, pair, place)?;
        }
        Ok(true)
    }

    fn write_some(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        match stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            written => written,
        }
    }

    /// Registers the events that both sides wait for.
    fn wait_for(epoll: &OwnedFd, pair: &Pair, place: usize) -> io::Result<()> {
        for side in 0..2 {
            let mut flags = EventFlags::empty();
            flags.set(EventFlags::IN, !pair[side].ended && pair[1 - side].pending.is_empty());
            flags.set(EventFlags::OUT, !pair[side].pending.is_empty());
            epoll::modify(epoll, &pair[side].stream, token(place, side), flags)?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let numbers: Vec<u16> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [http, tcp, upstream, threads] = numbers[..] else {
        eprintln!("usage: forwarder HTTP_PORT TCP_PORT UPSTREAM_PORT THREADS");
        std::process::exit(2);
    };
    for _ in 1..threads {
        std::thread::spawn(move || forwarder::serve([http, tcp], upstream));
    }
    forwarder::serve([http, tcp], upstream)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the forwarder needs epoll");
}
