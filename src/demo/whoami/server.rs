//! The listening socket and the life of the whole server.

use super::connection;
use super::stop::Stop;
use async_signal::{Signal, Signals};
use futures_lite::{FutureExt, StreamExt};
use smol::channel::{self, Sender};
use smol::{Async, Executor, Task, Timer};
use socket2::{Domain, Protocol, Socket, Type};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Connections over this many are closed at once.
const CONNECTIONS_MAX: usize = 8192;
/// Connections that the kernel may hold for us before we accept them.
const BACKLOG: i32 = 1024;
/// What still runs this long after a stop is cut.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);
/// How long to wait when the system has no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a whoami is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// TCP port; 0 takes a free one.
    pub port: u16,
    /// What it answers to "who am I?".
    pub name: String,
    /// Address to listen on. `::` means every address, IPv4 included, also where IPv6 is off.
    pub bind: IpAddr,
}

impl Default for Options {
    fn default() -> Options {
        Options { port: 8080, name: "whoami".to_owned(), bind: Ipv6Addr::UNSPECIFIED.into() }
    }
}

/// Serves until TERM or INT, then lets open exchanges end; a second signal ends it at once.
/// Fails when the address cannot be bound.
pub fn run(options: Options) -> io::Result<()> {
    // First of all, so that no signal is lost between start and here.
    let mut signals = Signals::new([Signal::Term, Signal::Int])?;
    let name = options.name.clone();
    let server = Server::start(options)?;
    tracing::info!(name, address = %server.address(), "whoami listens");
    smol::block_on(async {
        signals.next().await;
        let again = async {
            signals.next().await;
        };
        server.ended().or(again).await;
    });
    Ok(())
}

/// A whoami that runs in the background. Dropping it cuts its connections; see [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    /// Closed to say "stop"; nothing is ever sent.
    stop: Sender<Infallible>,
    task: Task<()>,
}

impl Server {
    /// Binds and serves on smol's global executor. Fails when the address cannot be bound.
    pub fn start(options: Options) -> io::Result<Server> {
        let listener = bind(SocketAddr::new(options.bind, options.port))?;
        let address = listener.local_addr()?;
        let listener = Async::new(listener)?;
        let (stop, asked) = Stop::channel();
        let task = smol::spawn(serve(listener, options.name.into(), asked));
        Ok(Server { address, stop, task })
    }

    /// Where it listens, with the port it really got.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes idle connections, waits up to 5 s for the others. Blocks: not for async code.
    pub fn stop(self) {
        smol::block_on(self.ended());
    }

    async fn ended(self) {
        drop(self.stop);
        self.task.await;
    }
}

/// Accepts until `stop`, then waits for the connections that are left. They run on an executor of
/// their own, so that the end of this future is the end of all of them.
async fn serve(listener: Async<TcpListener>, name: Arc<str>, stop: Stop) {
    let connections = Executor::new();
    let (alive, all_gone) = channel::bounded::<Infallible>(1);
    let server = async {
        accept_all(&listener, &connections, &alive, &name, &stop).or(stop.asked()).await;
        drop(listener);
        drop(alive);
        let gone = async {
            let _ = all_gone.recv().await;
        };
        let late = async {
            Timer::after(SHUTDOWN_TIME).await;
        };
        gone.or(late).await;
    };
    connections.run(server).await;
}

/// `alive` is cloned into each connection: it counts them, and its closing tells that the last one ended.
async fn accept_all(
    listener: &Async<TcpListener>,
    connections: &Executor<'static>,
    alive: &Sender<Infallible>,
    name: &Arc<str>,
    stop: &Stop,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if alive.sender_count() <= CONNECTIONS_MAX => {
                let (alive, name, stop) = (alive.clone(), name.clone(), stop.clone());
                connections.spawn(run_connection(stream, name, stop, alive)).detach();
            }
            Ok(_) => tracing::debug!("too many connections, one closed"),
            Err(error) => {
                tracing::debug!(%error, "cannot accept");
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn run_connection(stream: Async<TcpStream>, name: Arc<str>, stop: Stop, alive: Sender<Infallible>) {
    if let Err(error) = connection::serve(stream, name, stop).await {
        tracing::debug!(%error, "connection ended early");
    }
    drop(alive);
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match listen(address) {
        // Without IPv6 in the kernel, "every address" still means every IPv4 address.
        Err(error)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                && error.kind() != io::ErrorKind::AddrInUse =>
        {
            listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port()))
        }
        result => result,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restarted server gets its port back although old connections linger there.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
