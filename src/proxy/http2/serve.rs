//! The life of a connection of HTTP/2.

use std::future::{Future, poll_fn};
use std::rc::Rc;

use super::fault;
use super::head::may_begin;
use super::tasks::StreamTasks;
use crate::config::plan::ClientGone;
use crate::generation::ListenerSnapshot;
use crate::http2::{Limits, PREFACE};
use crate::mux::{Driver, End, Timeouts, Transport, WorkerSpace};
use crate::proxy::client::Client;
use crate::tls::Input;

/// Streams that a client may open at once on a connection. Browsers use no more.
const STREAMS_MAX: u32 = 100;

/// Whether the unread bytes of a client are the preface of HTTP/2.
pub(in crate::proxy) fn begins(client: &Client) -> bool {
    let snapshot = client.listener_state.snapshot();
    let may_begin = snapshot.http().is_some_and(|http| may_begin(client, http));
    may_begin && client.input.unread().starts_with(PREFACE)
}

/// Serves the streams of a connection until it ends. Its settings stay as they were when it began, and each stream is
/// served by the snapshot that is in force when the stream begins.
pub(in crate::proxy) async fn serve<S, F>(client: Client, tasks: Rc<StreamTasks>, serve_stream: S)
where
    S: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = ()> + 'static,
{
    // The permit and the count of the connection last as long as `client`.
    let Client {
        listener_state,
        stream,
        input,
        peer,
        timer,
        proxy_header_addresses,
        handle,
        speed,
        _permit,
        _counted,
    } = client;
    let Some(io) = stream.into_connection() else { return };
    let Some((limits, timeouts, space)) = settings(&listener_state.snapshot()) else { return };
    let mut driver = Driver::server(io, input, timer, &limits, timeouts, &space);
    let mut idling = None;
    let end = poll_fn(|cx| {
        if handle.poll_draining(cx).is_ready() {
            driver.shut_down(handle.must_make_room());
        }
        let end = driver.poll(cx);
        while let Some(stream) = driver.next_stream() {
            let client = Client {
                listener_state: listener_state.clone(),
                input: stream.take_head().map_or_else(Input::default, Input::from),
                peer,
                timer: stream.worker().timer(),
                proxy_header_addresses: proxy_header_addresses.clone(),
                handle: handle.clone(),
                stream: Transport::Shared(stream),
                speed: speed.share(),
                _permit: None,
                _counted: None,
            };
            begin(client, &tasks, serve_stream);
        }
        idling = driver.is_idle().then(|| idling.take().unwrap_or_else(|| listener_state.idle(&handle)));
        end
    })
    .await;
    if let End::Fault(error) = end {
        fault::log(&listener_state.snapshot(), peer, &error);
    }
}

/// Begins the exchange of a stream, unless the process has too many.
fn begin<S, F>(client: Client, tasks: &Rc<StreamTasks>, serve_stream: S)
where
    S: Fn(Client) -> F + Copy + 'static,
    F: Future<Output = ()> + 'static,
{
    let snapshot = client.listener_state.snapshot();
    match (snapshot.state.permits.try_take_stream(), client) {
        (Some(permit), client) => {
            snapshot.counters.streams.add(1);
            tasks.run(client, permit, serve_stream);
        }
        (None, Client { stream: Transport::Shared(stream), .. }) => {
            snapshot.counters.streams_refused.add(1);
            stream.refuse();
        }
        (None, _) => {}
    }
}

/// The settings for a connection that begins now.
fn settings(snapshot: &ListenerSnapshot) -> Option<(Limits, Timeouts, Rc<WorkerSpace>)> {
    let http = snapshot.http()?;
    let limits = Limits { streams: STREAMS_MAX, head: http.head_limits(), extended_connect: true };
    let timeouts = Timeouts {
        header: http.settings.header_timeout,
        idle: http.settings.idle_timeout,
        ends_with_peer: http.client_gone == ClientGone::Fin,
        answer: None,
    };
    Some((limits, timeouts, snapshot.state.streams.clone()))
}
