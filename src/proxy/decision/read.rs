//! Reads a whole head by a deadline.

use std::io;
use std::pin::pin;
use std::time::Instant;

use super::ask::ask;
use super::decision::{Act, Decision};
use super::rules::decide;
use crate::proxy::client::{Exchange, Unfinished};
use crate::proxy::http2::{self, Next};
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// Reads one head, in as many reads as it needs, decides, and writes the `act`. It stays `None` if the client closed
/// between two requests, or was silent for too long.
pub(in crate::proxy) async fn read<'a>(exchange: &mut Exchange<'a>, act: &mut Option<Act<'a>>) {
    let Some(http) = exchange.snapshot.http() else { return };
    let mut scan = exchange.client.head_scan();
    let mut begun: Option<Instant> = None;
    let mut unfinished = Unfinished::default();
    let failure = loop {
        match decide(exchange, http, &mut scan, act) {
            Ok(Decision::Act) => return,
            // Boxed, because few requests wait, and the future of all would have room for it.
            Ok(Decision::Ask(question)) => return Box::pin(ask(exchange, http, question, act)).await,
            Ok(Decision::Incomplete) => {}
            Err(failure) => match http2::next(exchange.client, http, failure) {
                Next::Http2 => {
                    *act = Some(Act::Http2);
                    return;
                }
                Next::Incomplete => {}
                Next::Refuse(failure) => break failure,
            },
        }
        let Exchange { client, record, .. } = &mut *exchange;
        let now = record.snapshot.worker().now();
        let timeout = match (client.input.is_empty(), begun) {
            (true, _) => http.settings.idle_timeout,
            (false, None) => http.settings.header_timeout,
            (false, Some(begun)) => (begun + http.settings.header_timeout).saturating_duration_since(now),
        };
        if !client.input.is_empty() {
            begun.get_or_insert(now);
            record.begin();
        }
        // One byte more than the limit, so that the parser sees that the head is too long.
        let filled = {
            // Pinned, because a future that is passed by value is copied and stored once more.
            let fill = pin!(client.input.fill(&client.stream, http.settings.head_bytes_max + 1));
            let fill = pin!(client.timer.within(timeout, fill));
            unfinished.wait(&client.listener_state, &client.handle, fill).await
        };
        match filled {
            Ok(1..) => {}
            _ if client.input.is_empty() => return,
            Ok(0) => break Failure::of_client(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                break Failure::new(Reason::RequestTimeout);
            }
            Err(error) => break Failure::of_client(error),
        }
    };
    exchange.learn_partial_head();
    *act = Some(Act::Refuse(failure));
}
