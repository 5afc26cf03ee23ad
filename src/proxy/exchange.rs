//! The life of a request, on one screen.

use super::client::{Client, Exchange, KeepAlive};
use super::decision::{self, Act};
use super::record::Failure;
use super::transfer::Body;
use super::tunnel::{self, Done, Tunnel};
use super::{file_reply, forward, local_reply};
use crate::generation::ListenerSnapshot;
use crate::reason::Reason;
use crate::worker::Timer;

/// The next step for the client's connection after an exchange.
pub(super) enum AfterExchange {
    /// The connection is kept or closed. The body is that of the request, and may not have been read to its end.
    Http(KeepAlive, Body),
    /// The connection is a tunnel.
    Tunnel(Box<Tunnel>),
    /// The connection is one of HTTP/2, whose preface is in the input.
    Http2,
}

/// Serves one request. Returns the next step for the connection.
pub(super) async fn serve(client: &mut Client, snapshot: &ListenerSnapshot, timer: &Timer) -> AfterExchange {
    let mut exchange = Exchange::new(client, snapshot, timer);

    let done = {
        // 1. Read the head, find the rule, decide. Between parsing and deciding there is no await, because the parsed
        // head points into the client's input. The act is large, so it is written here and used here.
        let mut act = None;
        decision::read(&mut exchange, &mut act).await;

        // 2. Do it.
        match act {
            // There is no request, so there is nothing to answer and nothing to count: the client closed, or was silent
            // for too long.
            None => return AfterExchange::Http(KeepAlive::Cut, exchange.body),
            Some(Act::Forward(ref mut attempts)) => forward::run(&mut exchange, attempts).await,
            Some(Act::Reply(reply)) => local_reply::send(&mut exchange, reply).await.map(Done::Http),
            // Boxed, so that the futures of other exchanges have no room for it.
            Some(Act::File(file)) => Box::pin(file_reply::send(&mut exchange, file)).await.map(Done::Http),
            Some(Act::Pass(pass)) => tunnel::open(&mut exchange, pass).await.map(Done::Tunnel),
            Some(Act::Drop) => {
                exchange.fail(&Failure::new(Reason::Dropped));
                // A close, and no cut: responses to earlier requests still arrive.
                Ok(Done::Http(KeepAlive::Close))
            }
            Some(Act::Refuse(failure)) => Err(failure),
            Some(Act::Http2) => {
                exchange.record.withdraw();
                return AfterExchange::Http2;
            }
        }
    };

    // 3. A failure becomes a response with its reason, if the client can still be told.
    let keep = match done {
        Ok(Done::Http(keep)) => keep,
        // The exchange was counted when the tunnel began. The tunnel writes the log line when it ends.
        Ok(Done::Tunnel(tunnel)) => return AfterExchange::Tunnel(tunnel),
        Err(failure) => local_reply::send_failure(&mut exchange, failure).await,
    };

    // 4. Count it and log it. The caller drops the snapshot, and then reads the rest of the body, which may take long.
    exchange.finish();
    AfterExchange::Http(keep, exchange.body)
}
