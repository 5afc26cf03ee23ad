//! A client's connection: mostly waiting.
//!
//! What waits is this small task: a socket, an address, a timer. When a request comes, a place for
//! the large future of an exchange is rented, and given back when the exchange has ended.

use std::future::Future;
use std::time::Duration;

use super::client::{Client, IdleEnd, UntilClosed, finish_body, wait_for_request};
use super::exchange::{self, AfterExchange};
use super::setup::{proxy_header, tls};
use super::{record, tunnel};
use crate::generation::{ListenerSnapshot, NameAction};
use crate::worker::{FuturePool, Worker};

/// What serves exchanges, and the places for its futures: one a door.
pub(super) struct ExchangeFutures<E, F> {
    serve: E,
    pool: FuturePool<F>,
}

impl<E, F> ExchangeFutures<E, F>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    pub(super) fn new(worker: &Worker, serve: E) -> Self
    where
        F: 'static,
    {
        Self { serve, pool: FuturePool::new(worker) }
    }

    /// Serves requests in a place of their own, as long as they follow each other. Gives the client back
    /// when it is silent.
    fn serve(&self, client: Client) -> impl Future<Output = Option<Client>> + use<E, F> {
        self.pool.run_in_pool((self.serve)(client))
    }
}

impl<E: Copy, F> Clone for ExchangeFutures<E, F> {
    fn clone(&self) -> Self {
        Self { serve: self.serve, pool: self.pool.clone() }
    }
}

/// Whether nothing does: such a connection needs no task with room for more than requests.
pub(super) fn needs_no_setup(client: &Client, snapshot: &ListenerSnapshot) -> bool {
    snapshot.terminator().is_none()
        && snapshot.tcp().is_none()
        && !proxy_header::is_expected(client, snapshot)
}

/// Serves a connection from its first byte to its last.
///
/// No `async fn`, and the arrival is boxed: so that what stays of it once there are requests is nothing.
pub(super) fn set_up_and_serve<E, F>(
    client: Client,
    futures: ExchangeFutures<E, F>,
) -> impl Future<Output = ()>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    let setup = Box::pin(until_closed(client, set_up));
    async move {
        if let Some(client) = setup.await {
            serve(client, futures).await;
        }
    }
}

/// Gives the client back when requests are to follow; `None` when its connection is over.
async fn set_up(mut client: Client) -> Option<Client> {
    let mut snapshot = client.listener_state.snapshot();
    if proxy_header::is_expected(&client, &snapshot) {
        proxy_header::read(&mut client, &snapshot).await?;
    }
    let mut name: Box<[u8]> = Box::default();
    if snapshot.terminator().is_some() {
        drop(snapshot);
        // Boxed, so that a connection that is passed on does not carry a handshake's size.
        let inspected = Box::pin(tls::accept_tls(client)).await?;
        (client, name, snapshot) = (inspected.client, inspected.name, inspected.snapshot);
        match inspected.action {
            NameAction::Terminate => {}
            NameAction::Pass(rule) => {
                tunnel::serve(client, snapshot, Some(rule), name).await;
                return None;
            }
            NameAction::Drop(rule) => {
                record::log_dropped(&snapshot, client.peer, &client.stream, rule, &name);
                return None;
            }
        }
    }
    if snapshot.tcp().is_some() {
        tunnel::serve(client, snapshot, None, name).await;
        return None;
    }
    Some(client)
}

/// Serves a connection until one side has enough of it.
///
/// No `async fn`: its arguments would be stored twice, as arguments and in the block that uses them.
pub(super) fn serve<E, F>(client: Client, futures: ExchangeFutures<E, F>) -> impl Future<Output = ()>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    until_closed(client, |mut client| async move {
        // However long the handshake took: the client is about to send its first request.
        client.handle.was_answered(0, client.listener_state.snapshot().worker().now());
        loop {
            // Asked for and let go: who waits for minutes must not keep a generation that is long replaced.
            let timeout = client.listener_state.snapshot().http().map(|http| http.idle_timeout);
            let Some(timeout) = timeout else { return };
            // What came along with a PROXY header is here already.
            if client.input.is_empty() {
                let _idling = client.idle();
                if !matches!(wait_for_request(&client, timeout).await, IdleEnd::Request) {
                    return;
                }
            }
            match futures.serve(client).await {
                Some(same) => client = same,
                None => return,
            }
        }
    })
}

/// How long a connection keeps the place of its exchanges for the next request, before it goes back
/// to waiting in little room: long enough for requests that follow each other.
const NEXT_REQUEST_WAIT: Duration = Duration::from_millis(20);

/// Serves requests as long as they follow each other. Gives the client back when it is silent.
pub(super) async fn serve_requests(mut client: Client) -> Option<Client> {
    let timer = client.listener_state.snapshot().worker().timer();
    loop {
        let snapshot = client.listener_state.snapshot();
        let after = exchange::serve(&mut client, &snapshot, &timer).await;
        // A tunnel may take days, and the rest of a body that the target did not want minutes: neither keeps a
        // generation.
        drop(snapshot);
        match after {
            AfterExchange::Http(keep, mut body) => {
                if !finish_body(&mut client, &mut body, keep).await {
                    return None;
                }
            }
            AfterExchange::Tunnel(tunnel) => {
                // Boxed, so that the tunnels of the few do not make the futures of all large.
                Box::pin(tunnel.run(&mut client)).await;
                return None;
            }
        }
        // Pipelined requests are here already.
        if client.input.is_empty() {
            match wait_for_request(&client, NEXT_REQUEST_WAIT).await {
                IdleEnd::Request => {}
                IdleEnd::Timeout => return Some(client),
                IdleEnd::Draining => return None,
            }
        }
    }
}

/// What is done with a client, for as long as it may stay.
fn until_closed<F: Future<Output: Default>>(
    client: Client,
    stay: impl FnOnce(Client) -> F,
) -> impl Future<Output = F::Output> {
    let (handle, peer, listener_state) = (client.handle.clone(), client.peer, client.listener_state.clone());
    UntilClosed::new(handle, stay(client), move || {
        record::log_forced_close(&listener_state.snapshot(), peer);
        F::Output::default()
    })
}

#[cfg(test)]
mod tests {
    use std::future::Ready;

    use super::*;
    use crate::proxy::listener;
    use crate::proxy::tunnel::Tunnel;
    use crate::worker::Listener;

    /// What gives every client back at once.
    type Idle = ExchangeFutures<fn(Client) -> Ready<Option<Client>>, Ready<Option<Client>>>;

    /// Bytes of the future that a function makes of its argument.
    fn size<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// What a connection costs beside its socket is mostly its future, and any value that lives across an
    /// await makes that larger. `cargo test what_tasks_hold -- --nocapture` prints all of them.
    #[test]
    #[expect(clippy::print_stdout, reason = "the sizes are to be seen, not only to be small")]
    fn what_tasks_hold_is_little() {
        let waits = size(|(client, futures): (_, Idle)| serve(client, futures));
        let waits_under_tls = size(|(client, futures): (_, Idle)| set_up_and_serve(client, futures));
        let accepts = size(|(listener_state, listener, futures): (_, Listener, Idle)| {
            listener::accept_loop(listener_state, listener, futures)
        });
        let tunnel = size(|(tunnel, client): (Box<Tunnel>, &'static mut Client)| tunnel.run(client));
        let tasks = [
            ("a connection that waits", waits, 512),
            ("the same where TLS is ended: nothing of the handshake stays", waits_under_tls, 608),
            ("its exchanges, boxed for as long as they follow each other", size(serve_requests), 4352),
            ("what comes before them, boxed: also what is passed on", size(set_up), 4608),
            ("a tunnel after 101, boxed", tunnel, 4096),
            ("accepting, one for each address and worker", accepts, 1024),
        ];
        println!("bytes   at most   the future of");
        for (task, bytes, most) in tasks {
            println!("{bytes:5}   {most:7}   {task}");
        }
        for (task, bytes, most) in tasks {
            assert!(bytes <= most, "{task}: {bytes} bytes; a client is {}", size_of::<Client>());
        }
    }
}
