//! The listening socket and the life of the server.

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

/// Connections at once. Further ones are closed.
const CONNECTIONS_MAX: usize = 8192;
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// The time after a stop in which connections may end. After that they are dropped.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);
/// The pause when the system has no descriptor or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The options of a whoami.
#[derive(Clone, Debug)]
pub struct Options {
    /// The TCP port; 0 takes a free one.
    pub port: u16,
    /// The name in its answers.
    pub name: String,
    /// The address to listen on. `::` means every address, IPv4 included, also without IPv6 in the kernel.
    pub bind: IpAddr,
}

impl Default for Options {
    fn default() -> Options {
        Options { port: 8080, name: "whoami".to_owned(), bind: Ipv6Addr::UNSPECIFIED.into() }
    }
}

/// Serves until TERM or INT, then lets open exchanges end. A second signal ends it at once. Fails if the address
/// cannot be bound.
pub fn run(options: Options) -> io::Result<()> {
    // Catch signals first, so that none is lost while the server starts.
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
    /// Closing it tells the server to stop. Nothing is sent.
    stop: Sender<Infallible>,
    task: Task<()>,
}

impl Server {
    /// Binds and serves on smol's global executor. Fails if the address cannot be bound.
    pub fn start(options: Options) -> io::Result<Server> {
        let listener = bind(SocketAddr::new(options.bind, options.port))?;
        let address = listener.local_addr()?;
        let listener = Async::new(listener)?;
        let (stop, asked) = Stop::channel();
        let task = smol::spawn(serve(listener, options.name.into(), asked));
        Ok(Server { address, stop, task })
    }

    /// The address at which it listens, with the port that the system chose.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, closes idle connections and waits up to 5 s for the others. Blocks, so do not call it in
    /// async code.
    pub fn stop(self) {
        smol::block_on(self.ended());
    }

    async fn ended(self) {
        drop(self.stop);
        self.task.await;
    }
}

/// Accepts until `stop`, then waits for the open connections. They run on an executor of their own, so dropping
/// this future ends all of them.
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

/// Accepts connections. Each has a clone of `alive`, which counts them. The channel closes when the last one has
/// ended.
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
        // Without IPv6 in the kernel, `::` still means every IPv4 address.
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
    // A restarted server can bind its port again, although old connections linger there.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
