//! An open address on one worker: where connections come in, and where they are asked to leave.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::arrival;
use super::connection::{self, Client, Exchanges};
use super::guests::Guests;
use super::http;
use super::permits::Permit;
use super::site::Site;
use crate::log::counters::ListenerCounters;
use crate::tls::{Input, Stream};
use crate::worker::{AcceptError, BACKLOG, Listener, Task};

/// An open address on one worker. It stays open when a reload gives it another site.
pub struct Door {
    site: RefCell<Rc<Site>>,
    guests: Guests,
    accepting: RefCell<Option<Task<()>>>,
    closing: Signal,
}

impl Door {
    /// Begins to accept.
    pub fn open(site: Rc<Site>, listener: Listener) -> Rc<Self> {
        Self::open_with(site, listener, http::exchanges)
    }

    /// The same with other exchanges.
    pub(super) fn open_with<E, F>(site: Rc<Site>, listener: Listener, exchanges: E) -> Rc<Self>
    where
        E: Fn(Client) -> F + Copy + 'static,
        F: Future<Output = Option<Client>> + 'static,
    {
        let worker = site.worker().clone();
        let (guests, accepting, closing) = Default::default();
        let door = Rc::new(Self { site: RefCell::new(site), guests, accepting, closing });
        *door.accepting.borrow_mut() =
            Some(worker.spawn(keep_open(door.clone(), listener, Exchanges::new(&worker, exchanges))));
        door
    }

    /// What is served here now.
    pub(super) fn site(&self) -> Rc<Site> {
        self.site.borrow().clone()
    }

    /// Serves another site from the next request on.
    pub fn install(&self, site: Rc<Site>) {
        self.guests.reload(&site);
        *self.site.borrow_mut() = site;
    }

    /// Stops accepting, waits until everyone has left, for at most the `shutdown_timeout` of its listener,
    /// and ends what is left.
    pub async fn close(&self) {
        let patience = self.site.borrow().listener().shutdown_timeout;
        self.closing.give();
        let accepting = self.accepting.take();
        if let Some(accepting) = accepting {
            accepting.await;
        }
        self.guests.ask_to_leave();
        let worker = self.site().worker().clone();
        let everyone = async {
            self.guests.all_gone().await;
            Ok(())
        };
        if worker.timer().within(patience, everyone).await.is_err() {
            self.guests.send_away();
            self.guests.all_gone().await;
        }
    }
}

/// Takes connections until the door closes: a permit, an accept, a task; nothing else happens here. While there is no
/// permit, clients wait in the accept queue.
pub(super) async fn keep_open<E, F>(door: Rc<Door>, listener: Listener, exchanges: Exchanges<E, F>)
where
    E: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = Option<Client>> + 'static,
{
    let worker = door.site().worker().clone();
    let come_in = |(stream, peer), permit| {
        let site = door.site();
        let stream = Stream::Plain(stream);
        let (guest, timer) = (Rc::new(door.guests.enter(worker.now())), worker.timer());
        let client = Client {
            door: door.clone(),
            stream,
            input: Input::default(),
            peer: peer_address(peer),
            timer,
            announced: None,
            guest,
            _permit: permit,
            _counted: Counted::new(&site),
        };
        if arrival::is_short(&client, &site) {
            worker.spawn(connection::serve(client, exchanges.clone())).detach();
        } else {
            worker.spawn(arrival::serve(client, exchanges.clone())).detach();
        }
    };
    loop {
        let at_once = || door.site().state.permits.try_take();
        let next = listener.accept_if(at_once, || permit(&door), |error| complain(&door, &error));
        let Some((connection, permit)) = door.closing.or(next).await else { break };
        come_in(connection, permit);
    }
    // What the queue still holds is connected already; closing the socket would reset it. Others may come as fast as
    // they are taken, but no more can have been here before.
    for _ in 0..BACKLOG {
        let Some(connection) = listener.accept_queued().await else { break };
        come_in(connection, door.site().state.permits.take_anyway());
    }
}

/// A permit for one more connection, when there is one again. Holds no site while it waits.
async fn permit(door: &Door) -> Permit {
    let (permits, worker, listener) = {
        let site = door.site();
        (site.state.permits.clone(), site.worker().clone(), site.listener().name.clone())
    };
    permits.take(&worker, &listener).await
}

fn complain(door: &Door, AcceptError { error, in_a_row }: &AcceptError) {
    let site = door.site();
    site.counters.accept_errors.add(1);
    if *in_a_row == 1 {
        tracing::error!(listener = %site.listener().name, %error, "cannot accept; trying again with pauses");
    }
}

/// An IPv4 address that came by way of an IPv6 socket is one again.
pub(super) fn peer_address(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

/// A connection in the counters of its listener: opened when made, closed when dropped.
pub(super) struct Counted(Arc<ListenerCounters>);

impl Counted {
    fn new(site: &Site) -> Self {
        site.counters.opened.add(1);
        Self(site.counters.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.closed.add(1);
    }
}

/// Given once; who waits for it stops waiting.
#[derive(Default)]
struct Signal {
    given: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Signal {
    fn give(&self) {
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
