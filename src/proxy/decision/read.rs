//! The whole head of a request, by a deadline.

use std::io;
use std::rc::Rc;
use std::time::Instant;

use super::decision::Act;
use super::rules::parse;
use crate::generation::ListenerSnapshot;
use crate::http1::HeadScan;
use crate::proxy::client::{Client, Request, Unfinished};
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::reason::Reason;

/// Reads one head, however many reads it takes, and decides. `None`: the client closed between two
/// requests, or was silent for too long.
///
/// # Errors
/// When the head is not a request that may go on, takes too long, or is cut off.
pub(in crate::proxy) async fn read<'a>(
    client: &mut Client,
    snapshot: &'a Rc<ListenerSnapshot>,
    record: &mut ExchangeRecord<'_>,
) -> Result<Option<(Request, Act<'a>)>, Failure> {
    let Some(http) = snapshot.http() else { return Ok(None) };
    let mut scan = HeadScan::default();
    let mut begun: Option<Instant> = None;
    let mut unfinished = Unfinished::new(&client.listener_state, &client.handle);
    loop {
        if let Some(found) = parse(client, snapshot, http, record, &mut scan)? {
            if !matches!(found.1, Act::Pass(_)) {
                record.received.add(found.0.len, snapshot.worker().now());
            }
            return Ok(Some(found));
        }
        let now = snapshot.worker().now();
        let timeout = match (client.input.is_empty(), begun) {
            (true, _) => http.idle_timeout,
            (false, None) => http.header_timeout,
            (false, Some(begun)) => (begun + http.header_timeout).saturating_duration_since(now),
        };
        if !client.input.is_empty() {
            begun.get_or_insert(now);
            record.begin();
        }
        // One byte more than the limit, so that the parser sees that it is over.
        let fill = client.input.fill(&client.stream, http.head.bytes + 1);
        match unfinished.wait(client.timer.within(timeout, fill)).await {
            Ok(0) if client.input.is_empty() => return Ok(None),
            Ok(0) => return Err(Failure::of_client(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            Err(_) if client.input.is_empty() => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Failure::new(Reason::RequestTimeout));
            }
            Err(error) => return Err(Failure::of_client(error)),
        }
    }
}
