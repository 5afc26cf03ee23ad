//! An open address on one worker: where connections come in, and where they are asked to leave.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::connection::{self, Client, ExchangeFutures};
use super::connections::{ConnectionHandle, Connections};
use super::exchange;
use super::idle::{Idle, Idling};
use super::setup;
use crate::generation::ListenerSnapshot;
use crate::generation::Permit;
use crate::log::counters::ListenerCounters;
use crate::tls::{Input, Stream};
use crate::worker::{AcceptError, BACKLOG, Listener, Task};

/// An open address on one worker. It stays open when a reload gives it another site.
pub struct ActiveListener {
    snapshot: RefCell<Rc<ListenerSnapshot>>,
    connections: Connections,
    /// Those of this worker that wait for a request.
    idle: Rc<Idle>,
    accepting: RefCell<Option<Task<()>>>,
    closing: CloseSignal,
}

impl ActiveListener {
    /// Begins to accept.
    pub fn open(snapshot: Rc<ListenerSnapshot>, idle: Rc<Idle>, listener: Listener) -> Rc<Self> {
        Self::open_with(snapshot, idle, listener, exchange::serve_requests)
    }

    /// The same with other exchanges.
    pub(super) fn open_with<E, F>(
        snapshot: Rc<ListenerSnapshot>,
        idle: Rc<Idle>,
        listener: Listener,
        futures: E,
    ) -> Rc<Self>
    where
        E: Fn(Client) -> F + Copy + 'static,
        F: Future<Output = Option<Client>> + 'static,
    {
        let worker = snapshot.worker().clone();
        let (connections, accepting, closing) = Default::default();
        let listener_state =
            Rc::new(Self { snapshot: RefCell::new(snapshot), connections, idle, accepting, closing });
        *listener_state.accepting.borrow_mut() = Some(worker.spawn(accept_loop(
            listener_state.clone(),
            listener,
            ExchangeFutures::new(&worker, futures),
        )));
        listener_state
    }

    /// What is served here now.
    pub(super) fn snapshot(&self) -> Rc<ListenerSnapshot> {
        self.snapshot.borrow().clone()
    }

    /// A connection of this address waits for a request until what this returns is dropped.
    pub(super) fn idle(&self, handle: &Rc<ConnectionHandle>) -> Idling {
        self.idle.register(handle, self.snapshot.borrow().worker().now())
    }

    /// Serves another site from the next request on.
    pub fn install(&self, snapshot: Rc<ListenerSnapshot>) {
        self.connections.reload(&snapshot);
        *self.snapshot.borrow_mut() = snapshot;
    }

    /// Stops accepting, waits until everyone has left, for at most the `shutdown_timeout` of its listener,
    /// and ends what is left.
    pub async fn close(&self) {
        let timeout = self.snapshot.borrow().listener().shutdown_timeout;
        self.closing.set();
        let accepting = self.accepting.take();
        if let Some(accepting) = accepting {
            accepting.await;
        }
        self.connections.drain();
        let worker = self.snapshot().worker().clone();
        let everyone = async {
            self.connections.all_closed().await;
            Ok(())
        };
        if worker.timer().within(timeout, everyone).await.is_err() {
            self.connections.close_all();
            self.connections.all_closed().await;
        }
    }
}

/// How long a listening socket that closes waits for handshakes that have begun.
const LAST_HANDSHAKES: Duration = Duration::from_millis(20);

/// Takes connections until the door closes: a permit, an accept, a task; nothing else happens here. While there is no
/// permit, clients wait in the accept queue.
pub(super) async fn accept_loop<E, F>(
    listener_state: Rc<ActiveListener>,
    listener: Listener,
    futures: ExchangeFutures<E, F>,
) where
    E: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = Option<Client>> + 'static,
{
    let worker = listener_state.snapshot().worker().clone();
    let spawn_connection = |(stream, peer), permit| {
        let snapshot = listener_state.snapshot();
        let stream = Stream::Plain(stream);
        let (handle, timer) = (Rc::new(listener_state.connections.register(worker.now())), worker.timer());
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
        if setup::needs_no_setup(&client, &snapshot) {
            worker.spawn(connection::serve(client, futures.clone())).detach();
        } else {
            worker.spawn(setup::serve(client, futures.clone())).detach();
        }
    };
    loop {
        let at_once = || listener_state.snapshot().state.permits.try_take();
        let next = listener.accept_if(
            at_once,
            || permit(&listener_state),
            |error| log_accept_error(&listener_state, &error),
        );
        let Some((connection, permit)) = listener_state.closing.or(next).await else { break };
        spawn_connection(connection, permit);
    }
    // Connections in the queue are complete: closing the socket would reset them. The last handshakes that have begun
    // end meanwhile.
    listener.refuse_new();
    let accept_queued = async || {
        // Where the system cannot refuse new ones, they may come as fast as they are taken.
        for _ in 0..BACKLOG {
            let Some(connection) = listener.accept_queued().await else { break };
            spawn_connection(connection, listener_state.snapshot().state.permits.take_anyway());
        }
    };
    accept_queued().await;
    worker.sleep(LAST_HANDSHAKES).await;
    accept_queued().await;
}

/// A permit for one more connection, when there is one again. Holds no site while it waits.
async fn permit(listener_state: &ActiveListener) -> Permit {
    let (permits, worker, listener) = {
        let snapshot = listener_state.snapshot();
        (snapshot.state.permits.clone(), snapshot.worker().clone(), snapshot.listener().name.clone())
    };
    permits.take(&worker, &listener).await
}

fn log_accept_error(listener_state: &ActiveListener, AcceptError { error, in_a_row }: &AcceptError) {
    let snapshot = listener_state.snapshot();
    snapshot.counters.accept_errors.add(1);
    if *in_a_row == 1 {
        tracing::error!(listener = %snapshot.listener().name, %error, "cannot accept; trying again with pauses");
    }
}

/// An IPv4 address that came by way of an IPv6 socket is one again.
pub(super) fn peer_address(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// A connection in the counters of its listener: opened when made, closed when dropped.
pub(super) struct OpenConnection(Arc<ListenerCounters>);

impl OpenConnection {
    fn new(snapshot: &ListenerSnapshot) -> Self {
        snapshot.counters.opened.add(1);
        Self(snapshot.counters.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.closed.add(1);
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
