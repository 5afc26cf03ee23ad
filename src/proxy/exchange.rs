//! The life of a request, on one screen.

use std::rc::Rc;

use super::client::Client;
use super::decision::{self, Act};
use super::forward::{Attempts, Forwarding};
use super::local_reply;
use super::record::{ExchangeRecord, Failure};
use super::transfer::Body;
use super::tunnel::{self, Tunnel};
use crate::generation::ListenerSnapshot;
use crate::reason::Reason;
use crate::worker::Timer;

/// How an exchange left the client's connection.
pub(super) enum AfterExchange {
    /// Another request may follow: the head of the answer has said so.
    KeepAlive,
    /// It ends here, and the client is to get all that was sent.
    Close,
    /// It ends here and at once: what was sent is no whole message and must not look like one, or nobody reads it.
    Cut,
    /// Bytes follow, and no requests.
    Tunnel(Box<Tunnel>),
}

/// Serves one request. Says whether another may follow, once what `body` still lacks was read.
pub(super) async fn serve(
    client: &mut Client,
    snapshot: &Rc<ListenerSnapshot>,
    timer: &Timer,
    body: &mut Body,
) -> AfterExchange {
    let mut record = ExchangeRecord::new(snapshot, client.peer, &client.stream);
    let (request, act) = match decision::read(client, snapshot, &mut record).await {
        Ok(Some(found)) => found,
        Ok(None) => return AfterExchange::Cut,
        Err(failure) => {
            record.learn_part(client.input.unread());
            let end = local_reply::fail(client, &mut record, None, failure).await;
            record.finish();
            client.handle.was_answered(record.sent.bytes(), snapshot.worker().now());
            return end;
        }
    };
    *body = Body::new(request.framing, request.len);
    let end = match act {
        Act::Forward { proxy, first_target, head } => {
            let (record, request) = (&mut record, &request);
            let forwarding = Forwarding { client, snapshot, timer, record, request, body, proxy };
            forwarding.forward(Attempts::new(first_target, head)).await
        }
        Act::Reply { status, head, body, keep } => {
            local_reply::send(client, &mut record, status, [head.unread(), body], keep).await
        }
        Act::Pass(pass) => match tunnel::open(client, &mut record, pass).await {
            Ok(tunnel) => return AfterExchange::Tunnel(tunnel),
            Err(failure) => {
                record.received.add(request.len, snapshot.worker().now());
                Err(failure)
            }
        },
        Act::Drop => {
            record.fail(&Failure::new(Reason::Dropped));
            record.finish();
            // What was answered before still arrives.
            return AfterExchange::Close;
        }
        Act::Refuse(failure) => Err(failure),
    };
    let end = match end {
        Ok(tunnel @ AfterExchange::Tunnel(_)) => return tunnel,
        Ok(end) => end,
        Err(failure) => local_reply::fail(client, &mut record, Some((&request, body)), failure).await,
    };
    record.finish();
    client.handle.was_answered(record.sent.bytes(), snapshot.worker().now());
    end
}
