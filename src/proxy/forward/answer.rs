//! Requests that smolgate sends by itself, and their answers.

use std::io::IoSlice;
use std::time::Duration;

use super::response_head::keep_alive_time;
use crate::generation::WorkerState;
use crate::http::{Framing, HeadLimits, Method, ResponseHead};
use crate::http1::{HeadScan, parse_response};
use crate::proxy::record::Failure;
use crate::proxy::transfer::write_all;
use crate::reason::Reason;
use crate::upstream::{Choice, Next, TargetConnection, Upstream, Waits};
use crate::worker::{Buffer, Timer, Worker};

/// Limits on the head of an answer.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 128, target: 0 };

/// Interim responses that are skipped at most.
const INTERIM_MAX: usize = 8;

/// Makes an exchange on an idle connection or on a new one, and again if an idle one was closed. `exchange` returns how long
/// the connection may be kept, if it may.
///
/// # Errors
/// Those of opening a connection, and those of `exchange`.
pub(super) async fn with_connection<T>(
    worker: &Worker,
    upstream: &Upstream,
    choice: &mut Choice,
    exchange: impl AsyncFn(&Choice, &mut TargetConnection) -> Result<(T, Option<Duration>), Failure>,
) -> Result<T, Failure> {
    loop {
        let idle = upstream.take_idle(choice, worker.now(), false);
        let mut target = match idle {
            Some(target) => target,
            None => open(worker, upstream, choice).await?,
        };
        match exchange(choice, &mut target).await {
            Ok((answer, keep)) => {
                upstream.accepted(choice);
                if let Some(time) = keep.filter(|_| target.input.is_empty()) {
                    let until = worker.now() + time.min(upstream.idle_timeout());
                    upstream.put_back(choice, target, until);
                }
                return Ok(answer);
            }
            // The server has closed an idle connection. The request can be sent again.
            Err(failure) if target.reused && failure.is_closed_without_response() => {}
            Err(failure) => {
                upstream.failed(choice, worker.now());
                return Err(failure);
            }
        }
    }
}

/// Opens a connection to an endpoint, or to another one.
async fn open(
    worker: &Worker,
    upstream: &Upstream,
    choice: &mut Choice,
) -> Result<Box<TargetConnection>, Failure> {
    loop {
        let error = match upstream.open(worker, choice, &[], &mut Waits::default()).await {
            Ok(target) => return Ok(target),
            Err(error) => error,
        };
        if !matches!(upstream.choose_next(choice, worker.now(), false), Next::Chosen) {
            return Err(Failure::from(error));
        }
    }
}

/// The final answer: what was read of its head, the framing of its body, and how long the connection may be kept then.
pub(super) struct FinalAnswer<T> {
    pub(super) head: T,
    pub(super) framing: Framing,
    pub(super) keep: Option<Duration>,
}

/// Sends a request without a body and reads the head of its final response. Interim ones are skipped.
///
/// # Errors
/// When the connection fails, the head is not valid, or `read` refuses it.
pub(super) async fn ask<T>(
    state: &WorkerState,
    timer: &Timer,
    timeout: Duration,
    target: &mut TargetConnection,
    (method, head): (Method, &Buffer),
    mut read: impl FnMut(&ResponseHead<'_>) -> Result<T, Failure>,
) -> Result<FinalAnswer<T>, Failure> {
    let TargetConnection { stream, input, .. } = target;
    let sent = write_all(stream, &mut [IoSlice::new(head.unread())], timer, timeout).await;
    sent.map_err(Failure::of_target)?;
    let (mut scan, mut interim) = (HeadScan::default(), 0);
    while interim <= INTERIM_MAX {
        if !input.is_empty() {
            let mut table = state.table.borrow_mut();
            let parsed = parse_response(input.unread(), &mut scan, &HEAD_LIMITS, &mut table)?;
            if let Some(head) = parsed {
                let is_final = head.status >= 200 || head.status == 101;
                let answer = is_final.then(|| (read(&head), head.framing(method)));
                let keep = (head.keep_alive && head.status != 101).then(|| keep_alive_time(&head));
                let len = head.len;
                drop(table);
                input.consume(len);
                if let Some((head, framing)) = answer {
                    let framing = framing.ok_or_else(|| Failure::new(Reason::ResponseMalformed))?;
                    let keep = keep.filter(|_| framing != Framing::UntilClose);
                    return Ok(FinalAnswer { head: head?, framing, keep });
                }
                (interim, scan) = (interim + 1, HeadScan::default());
                continue;
            }
        }
        let filled = input.fill(stream, HEAD_LIMITS.bytes + 1).await.map_err(Failure::of_target)?;
        if filled == 0 {
            let reason = if input.is_empty() { Reason::UpstreamClosed } else { Reason::ResponseTruncated };
            return Err(Failure::new(reason));
        }
    }
    Err(Failure::new(Reason::ResponseMalformed))
}
