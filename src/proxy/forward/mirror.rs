//! Copies of requests for another upstream (`mirror`). No exchange waits for one.

use std::rc::Rc;
use std::time::Duration;

use futures_lite::future;

use super::answer::{FinalAnswer, ask, with_connection};
use super::hops;
use super::request_head::{can_rewrite, request_head};
use crate::config::plan::{Action, Proxy, Rule, UpstreamId};
use crate::generation::{Upstreams, WorkerState};
use crate::http::{Method, RequestHead};
use crate::policy::Mirroring;
use crate::proxy::client::Exchange;
use crate::proxy::record::Failure;
use crate::proxy::transfer::{Body, Incoming};
use crate::upstream::{Choice, TargetConnection};
use crate::worker::Buffer;

/// The time for a copy and its response, which is thrown away.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

/// A copy on its way.
struct RequestCopy {
    state: Rc<WorkerState>,
    upstreams: Rc<Upstreams>,
    upstream: UpstreamId,
    method: Method,
    head: Buffer,
}

/// Sends a copy of a request in a task of its own, if the request has no body, is forwarded, and is one of the share that is
/// copied. If too many copies are open, it is dropped.
#[cold]
pub(in crate::proxy) fn mirror(
    exchange: &Exchange<'_>,
    rule: &Rule,
    mirroring: &Mirroring,
    head: &RequestHead<'_>,
) {
    let Action::Proxy(proxy) = &rule.action else { return };
    if !may_be_copied(exchange, rule, proxy, head) || !mirroring.takes_next() {
        return;
    }
    let (snapshot, id) = (exchange.snapshot, mirroring.upstream());
    let upstream = snapshot.upstreams.get(id);
    let place = mirroring.place();
    let choice = place.as_ref().and_then(|_| upstream.choose(snapshot.worker().now(), None, None));
    let (Some(place), Some(mut choice)) = (place, choice) else {
        upstream.counters.mirrored.dropped.add(1);
        return;
    };
    upstream.counters.mirrored.sent.add(1);
    let copy = RequestCopy {
        state: snapshot.state.clone(),
        upstreams: snapshot.upstreams.clone(),
        upstream: id,
        method: head.known_method,
        head: request_head(exchange, rule, proxy, choice.origin(), head),
    };
    let sending = async move {
        copy.send(&mut choice).await;
        drop(place);
    };
    snapshot.worker().spawn(sending).detach();
}

/// Whether a request has no body and goes to a target.
fn may_be_copied(exchange: &Exchange<'_>, rule: &Rule, proxy: &Proxy, head: &RequestHead<'_>) -> bool {
    head.framing.is_empty()
        && !head.upgrade
        && !hops::is_in_loop(head.fields)
        && hops::max_forwards(head) != Some(0)
        && proxy.rewrite.as_ref().is_none_or(|rewrite| can_rewrite(exchange, rule, rewrite, head))
}

impl RequestCopy {
    /// Sends the copy and throws its response away. A failure concerns the endpoint alone.
    async fn send(&self, choice: &mut Choice) {
        let (upstream, worker) = (self.upstreams.get(self.upstream), &self.state.worker);
        let sending = async {
            let exchange = async |_: &Choice, target: &mut TargetConnection| self.exchange(target).await;
            // A failure is recorded at the endpoint.
            let _ = with_connection(worker, upstream, choice, exchange).await;
            true
        };
        let late = async {
            worker.sleep(COPY_TIMEOUT).await;
            false
        };
        if !future::or(sending, late).await {
            upstream.failed(choice, worker.now());
        }
    }

    async fn exchange(&self, target: &mut TargetConnection) -> Result<((), Option<Duration>), Failure> {
        let (timer, request) = (self.state.worker.timer(), (self.method, &self.head));
        let answer = ask(&self.state, &timer, COPY_TIMEOUT, target, request, |_| Ok(())).await?;
        let FinalAnswer { head: (), framing, keep } = answer;
        let mut body = Body::new(framing, 0);
        let TargetConnection { stream, input, .. } = target;
        let is_whole = Incoming { stream, input, body: &mut body }.discard().await;
        Ok(((), keep.filter(|_| matches!(is_whole, Ok(true)))))
    }
}
