//! An open address on one worker: where connections come in, and where they are asked to leave.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::client::{Client, Idle, ListenerState, OpenConnection, peer_address};
use super::connection::{self, ExchangeFutures};
use crate::generation::ListenerSnapshot;
use crate::generation::Permit;
use crate::tls::{Input, Stream};
use crate::worker::{AcceptError, BACKLOG, Listener, Task};

/// An open address on one worker. It stays open when a reload gives it another site.
pub struct ActiveListener {
    /// The address at which it accepts.
    pub address: SocketAddr,
    state: Rc<ListenerState>,
    accepting: RefCell<Option<Task<()>>>,
    closing: CloseSignal,
}

impl ActiveListener {
    /// Begins to accept.
    pub fn open(snapshot: Rc<ListenerSnapshot>, idle: Rc<Idle>, socket: Listener) -> Rc<Self> {
        Self::open_with(snapshot, idle, socket, connection::serve_requests)
    }

    /// The same with other exchanges.
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
        let (accepting, closing) = Default::default();
        let listener = Rc::new(Self { address: socket.address, state, accepting, closing });
        *listener.accepting.borrow_mut() =
            Some(worker.spawn(accept_loop(listener.clone(), socket, ExchangeFutures::new(&worker, futures))));
        listener
    }

    /// Serves another site from the next request on.
    pub fn install(&self, snapshot: Rc<ListenerSnapshot>) {
        self.state.install(snapshot);
    }

    /// Stops accepting, waits until everyone has left, for at most the `shutdown_timeout` of its listener,
    /// and ends what is left.
    pub async fn close(&self) {
        let timeout = self.state.snapshot().listener().shutdown_timeout;
        self.closing.set();
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

/// How long a listening socket that closes waits for handshakes that have begun.
const LAST_HANDSHAKES: Duration = Duration::from_millis(20);

/// Takes connections until the door closes: a permit, an accept, a task; nothing else happens here. While there is no
/// permit, clients wait in the accept queue.
pub(super) async fn accept_loop<E, F>(
    listener: Rc<ActiveListener>,
    socket: Listener,
    futures: ExchangeFutures<E, F>,
) where
    E: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = Option<Client>> + 'static,
{
    let listener_state = &listener.state;
    let worker = listener_state.snapshot().worker().clone();
    let spawn_connection = |(stream, peer), permit| {
        let snapshot = listener_state.snapshot();
        let stream = Stream::Plain(stream);
        let (handle, timer) = (listener_state.connections.register(worker.now()), worker.timer());
        let client = Client {
            listener_state: listener_state.clone(),
            stream,
            input: Input::default(),
            peer: peer_address(peer),
            timer,
            proxy_header_addresses: None,
            handle,
            _permit: permit,
            _counted: OpenConnection::new(&snapshot),
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
    // Connections in the queue are complete: closing the socket would reset them. The last handshakes that have begun
    // end meanwhile.
    socket.refuse_new();
    let accept_queued = async || {
        // Where the system cannot refuse new ones, they may come as fast as they are taken.
        for _ in 0..BACKLOG {
            let Some(connection) = socket.accept_queued().await else { break };
            spawn_connection(connection, listener_state.snapshot().state.permits.take_anyway());
        }
    };
    accept_queued().await;
    worker.sleep(LAST_HANDSHAKES).await;
    accept_queued().await;
}

/// A permit for one more connection, when there is one again. Holds no site while it waits.
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

/// Given once; who waits for it stops waiting.
#[derive(Default)]
struct CloseSignal {
    given: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl CloseSignal {
    fn set(&self) {
        self.given.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// What `future` gives, or `None` when the signal is given first.
    async fn or<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.given.get() {
                return Poll::Ready(None);
            }
            self.waker.set(Some(cx.waker().clone()));
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
