//! An open address of a listener on one worker: it accepts connections, and drains them when it closes.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::client::{Client, Idle, ListenerState, OpenConnection, peer_address};
use super::connection::{self, ExchangeFutures};
use crate::generation::ListenerSnapshot;
use crate::generation::Permit;
use crate::policy::ConnectionSpeed;
use crate::tls::{Input, Stream};
use crate::worker::{AcceptError, BACKLOG, Listener, Task};

/// An open address of a listener on one worker. It stays open when a reload installs another snapshot.
pub struct ActiveListener {
    /// The address at which it accepts.
    pub address: SocketAddr,
    state: Rc<ListenerState>,
    accepting: RefCell<Option<Task<()>>>,
    closing: CloseSignal,
    /// Until it closes.
    socket: RefCell<Option<Rc<Listener>>>,
    /// Another process accepts from the socket too, and goes on when this one does not.
    is_shared: Cell<bool>,
}

impl ActiveListener {
    /// Begins to accept connections from `socket`.
    pub fn open(snapshot: Rc<ListenerSnapshot>, idle: Rc<Idle>, socket: Listener) -> Rc<Self> {
        Self::open_with(snapshot, idle, socket, connection::serve_requests)
    }

    /// Like [`open`](Self::open), with another function that serves the requests of a connection.
    pub(super) fn open_with<E, F>(
        snapshot: Rc<ListenerSnapshot>,
        idle: Rc<Idle>,
        socket: Listener,
        futures: E,
    ) -> Rc<Self>
    where
        E: Fn(Client) -> F + Copy + 'static,
        F: Future<Output = Option<Client>> + 'static,
    {
        let worker = snapshot.worker().clone();
        let state = Rc::new(ListenerState::new(snapshot, idle));
        let (accepting, closing, is_shared) = Default::default();
        let address = socket.address;
        let socket = Rc::new(socket);
        let own = RefCell::new(Some(socket.clone()));
        let listener = Rc::new(Self { address, state, accepting, closing, socket: own, is_shared });
        *listener.accepting.borrow_mut() =
            Some(worker.spawn(accept_loop(listener.clone(), socket, ExchangeFutures::new(&worker, futures))));
        listener
    }

    /// Serves `snapshot` from the next request on.
    pub fn install(&self, snapshot: Rc<ListenerSnapshot>) {
        self.state.install(snapshot);
    }

    /// Another handle of the socket, for a process that will accept from it too.
    pub fn share(&self) -> Option<io::Result<TcpListener>> {
        self.socket.borrow().as_ref().map(|socket| socket.share())
    }

    /// Leaves the connections that wait in the queue to the process that has the socket too.
    pub fn leave_queue(&self) {
        self.is_shared.set(true);
    }

    /// Stops accepting and drains all connections. Closes those that are still open after the listener's
    /// `shutdown_timeout`.
    pub async fn close(&self) {
        let timeout = self.state.snapshot().listener().shutdown_timeout;
        self.closing.set();
        self.socket.take();
        let accepting = self.accepting.take();
        if let Some(accepting) = accepting {
            accepting.await;
        }
        self.state.connections.drain();
        let worker = self.state.snapshot().worker().clone();
        let everyone = async {
            self.state.connections.all_closed().await;
            Ok(())
        };
        if worker.timer().within(timeout, everyone).await.is_err() {
            self.state.connections.close_all();
            self.state.connections.all_closed().await;
        }
    }
}

/// How long a listening socket that closes waits for the TCP handshakes that have begun.
const LAST_HANDSHAKES: Duration = Duration::from_millis(20);

/// Accepts connections until the listener closes. For each it takes a permit, accepts, and spawns a task. A permit
/// is the only thing that a client can make it wait for. Meanwhile clients wait in the accept queue.
pub(super) async fn accept_loop<E, F>(
    listener: Rc<ActiveListener>,
    socket: Rc<Listener>,
    futures: ExchangeFutures<E, F>,
) where
    E: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = Option<Client>> + 'static,
{
    let listener_state = &listener.state;
    let worker = listener_state.snapshot().worker().clone();
    let spawn_connection = |(stream, peer), permit| {
        let snapshot = listener_state.snapshot();
        let (stream, peer) = (Stream::Plain(stream), peer_address(peer));
        listener_state.sole_peer.observe(peer, &snapshot);
        let (handle, timer) = (listener_state.connections.register(worker.now()), worker.timer());
        let client = Client {
            listener_state: listener_state.clone(),
            stream,
            input: Input::default(),
            peer,
            timer,
            proxy_header_addresses: None,
            handle,
            speed: ConnectionSpeed::default(),
            _permit: Some(permit),
            _counted: Some(OpenConnection::new(&snapshot)),
        };
        if connection::needs_no_setup(&client, &snapshot) {
            worker.spawn(connection::serve(client, futures.clone())).detach();
        } else {
            worker.spawn(connection::set_up_and_serve(client, futures.clone())).detach();
        }
    };
    loop {
        let at_once = || listener_state.snapshot().state.permits.try_take();
        let next = socket.accept_if(
            at_once,
            || permit(listener_state),
            |error| log_accept_error(listener_state, &error),
        );
        let Some((connection, permit)) = listener.closing.or(next).await else { break };
        spawn_connection(connection, permit);
    }
    if listener.is_shared.get() {
        return;
    }
    // Connections in the queue are established, and closing the socket would reset them. The last TCP handshakes that
    // have begun end meanwhile.
    socket.refuse_new();
    let accept_queued = async || {
        // On a system that cannot refuse new connections, they may come as fast as they are taken.
        for _ in 0..BACKLOG {
            let Some(connection) = socket.accept_queued().await else { break };
            spawn_connection(connection, listener_state.snapshot().state.permits.take_anyway());
        }
    };
    accept_queued().await;
    worker.sleep(LAST_HANDSHAKES).await;
    accept_queued().await;
}

/// Waits for a permit for one more connection. Holds no snapshot while it waits.
async fn permit(listener_state: &ListenerState) -> Permit {
    let (permits, worker, listener) = {
        let snapshot = listener_state.snapshot();
        (snapshot.state.permits.clone(), snapshot.worker().clone(), snapshot.listener().name.clone())
    };
    permits.take(&worker, &listener).await
}

fn log_accept_error(listener_state: &ListenerState, AcceptError { error, in_a_row }: &AcceptError) {
    let snapshot = listener_state.snapshot();
    snapshot.counters.accept_errors.add(1);
    if *in_a_row == 1 {
        tracing::error!(listener = %snapshot.listener().name, %error, "cannot accept; trying again with pauses");
    }
}

/// A signal that is set once, and ends the wait of the accept loop.
#[derive(Default)]
struct CloseSignal {
    is_set: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl CloseSignal {
    fn set(&self) {
        self.is_set.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Runs `future`. `None`: the signal was set first.
    async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.is_set.get() {
                return Poll::Ready(None);
            }
            self.waker.set(Some(cx.waker().clone()));
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
