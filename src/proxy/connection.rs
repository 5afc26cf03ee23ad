//! The life of a connection: set-up, then requests one after the other.
//!
//! A connection mostly waits. So the task that waits is small: a socket, an address, a timer. When a request comes,
//! the large future of an exchange is put into a pooled box. The box goes back to the pool when the client is idle
//! again.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::client::{Client, IdleEnd, UntilClosed, finish_body, wait_for_request};
use super::exchange::{self, AfterExchange};
use super::http2::{self, StreamTasks};
use super::record;
use super::setup::{proxy_header, tls};
use super::tunnel::{self, Tunnel};
use crate::generation::{ListenerSnapshot, NameAction};
use crate::worker::{FuturePool, Worker};

/// The function that serves requests, the pool of boxes for its futures, and the tasks that serve streams. One for each
/// listener and worker.
pub(super) struct ExchangeFutures<E, F> {
    serve: E,
    pool: FuturePool<F>,
    streams: Rc<StreamTasks>,
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
        Self { serve, pool: FuturePool::new(worker), streams: Rc::default() }
    }

    /// Serves requests in a pooled box, as long as they follow each other. Returns the client when it is idle.
    fn serve(&self, client: Client) -> impl Future<Output = Option<Client>> + use<E, F> {
        self.pool.run_in_pool((self.serve)(client))
    }
}

impl<E: Copy, F> Clone for ExchangeFutures<E, F> {
    fn clone(&self) -> Self {
        Self { serve: self.serve, pool: self.pool.clone(), streams: self.streams.clone() }
    }
}

/// Whether requests begin with the first byte. Such a connection needs no task with room for set-up.
pub(super) fn needs_no_setup(client: &Client, snapshot: &ListenerSnapshot) -> bool {
    snapshot.terminator().is_none()
        && snapshot.tcp().is_none()
        && !proxy_header::is_expected(client, snapshot)
}

/// Sets a connection up and serves it to its end.
///
/// Not an `async fn`, and the set-up is boxed, so that the task keeps no room for it while requests are served.
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

/// Reads a PROXY header and accepts TLS, where they are expected. `None`: the connection is over. It was passed on to
/// its end, dropped, or refused.
async fn set_up(mut client: Client) -> Option<Client> {
    let mut snapshot = client.listener_state.snapshot();
    if proxy_header::is_expected(&client, &snapshot) {
        proxy_header::read(&mut client, &snapshot).await?;
    }
    let mut name: Box<[u8]> = Box::default();
    if snapshot.terminator().is_some() {
        drop(snapshot);
        // Boxed, so that the future of a connection that is passed on has no room for a handshake.
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

/// Serves requests until either side ends the connection.
///
/// Not an `async fn`: that would store its arguments twice, as arguments and in the block that uses them.
pub(super) fn serve<E, F>(client: Client, futures: ExchangeFutures<E, F>) -> impl Future<Output = ()>
where
    E: Fn(Client) -> F,
    F: Future<Output = Option<Client>>,
{
    until_closed(client, |mut client| async move {
        // A handshake may have taken long. The client's time for its first request begins now.
        client.handle.was_answered(0, client.listener_state.snapshot().worker().now());
        loop {
            // Read the timeout and release the snapshot at once: an idle connection must not keep an old generation
            // in memory.
            let timeout = client.listener_state.snapshot().http().map(|http| http.settings.idle_timeout);
            let Some(timeout) = timeout else { return };
            // Bytes of a request may have come together with a PROXY header, or they are the preface of HTTP/2.
            if !client.input.is_empty() && http2::begins(&client) {
                // Boxed, so that the task of a connection that waits has no room for it.
                return Box::pin(http2::serve(client, futures.streams, serve_stream)).await;
            }
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

/// How long a connection keeps the large future of its exchanges while it waits for the next request.
const NEXT_REQUEST_WAIT: Duration = Duration::from_millis(20);

/// Serves requests as long as they follow each other. Returns the client when it is idle; `None`: its connection is
/// over.
pub(super) async fn serve_requests(mut client: Client) -> Option<Client> {
    let timer = client.listener_state.snapshot().worker().timer();
    loop {
        let snapshot = client.listener_state.snapshot();
        let mut after = exchange::serve(&mut client, &snapshot, &timer).await;
        // Release the generation: a tunnel may take days, and the rest of a body that the target did not read may
        // take minutes.
        drop(snapshot);
        // By reference, because a body that is moved is copied.
        if let AfterExchange::Http(keep, body) = &mut after
            && !finish_body(&mut client, body, *keep).await
        {
            return None;
        }
        match after {
            AfterExchange::Http(..) => {}
            AfterExchange::Http2 => return Some(client),
            AfterExchange::Tunnel(tunnel) => {
                // Boxed, because few exchanges become a tunnel, and the future of all would have room for it.
                Box::pin(tunnel.run(&mut client)).await;
                return None;
            }
        }
        // A pipelined request is in the input already.
        if client.input.is_empty() {
            match wait_for_request(&client, NEXT_REQUEST_WAIT).await {
                IdleEnd::Request => {}
                IdleEnd::Timeout => return Some(client),
                IdleEnd::Draining => return None,
            }
        }
    }
}

/// Serves the request of a stream. A function of its own, so that the one for connections has one caller, which is
/// worth some instructions for each of their requests.
async fn serve_stream(mut client: Client) {
    let snapshot = client.listener_state.snapshot();
    let timer = snapshot.worker().timer();
    let after = exchange::serve(&mut client, &snapshot, &timer).await;
    drop(snapshot);
    if let AfterExchange::Tunnel(tunnel) = after {
        // Boxed, because few streams become a tunnel.
        Box::pin(run_tunnel_of_stream(client, tunnel)).await;
    }
}

/// Runs the tunnel of a stream to its end. It has a handle of its own, because a rule that is gone ends the tunnel, and
/// not its connection.
async fn run_tunnel_of_stream(mut client: Client, tunnel: Box<Tunnel>) {
    let now = tunnel.context.worker().now();
    client.handle = client.listener_state.connections.register(now);
    until_closed(client, |mut client| async move { tunnel.run(&mut client).await }).await;
}

/// Runs `stay` with a client until it is done, or until the connection is closed because the listener closes.
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
    use std::rc::Rc;

    use super::*;
    use crate::proxy::listener;
    use crate::worker::Listener;

    /// Futures that return every client at once.
    type Idle = ExchangeFutures<fn(Client) -> Ready<Option<Client>>, Ready<Option<Client>>>;

    /// Bytes of the future that a function makes of its argument.
    fn size<A, F>(_: impl Fn(A) -> F) -> usize {
        size_of::<F>()
    }

    /// The memory of a connection, beside its socket, is mostly its future. Every value that lives across an await
    /// makes it larger. `cargo test what_tasks_hold -- --nocapture` prints all sizes.
    #[test]
    #[expect(clippy::print_stdout, reason = "the sizes are to be read, too")]
    fn what_tasks_hold_is_little() {
        let waits = size(|(client, futures): (_, Idle)| serve(client, futures));
        let waits_under_tls = size(|(client, futures): (_, Idle)| set_up_and_serve(client, futures));
        let accepts = size(|(listener_state, listener, futures): (_, Rc<Listener>, Idle)| {
            listener::accept_loop(listener_state, listener, futures)
        });
        type ServeStream = fn(Client) -> Ready<()>;
        let streams = size(|(client, tasks, serve): (_, _, ServeStream)| {
            http2::serve::<_, Ready<_>>(client, tasks, serve)
        });
        let tunnel = size(|(tunnel, client): (Box<Tunnel>, &'static mut Client)| tunnel.run(client));
        let tasks = [
            ("a connection that waits", waits, 512),
            ("a connection that waits, after a TLS handshake, of which nothing stays", waits_under_tls, 624),
            ("its exchanges, boxed while they follow each other", size(serve_requests), 4352),
            ("its set-up, boxed; also a connection that is passed on", size(set_up), 4608),
            ("a connection of HTTP/2, boxed", streams, 1024),
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
