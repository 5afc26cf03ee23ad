//! Questions that the policies of a rule have to wait for.
//!
//! The head stays in the input, and is parsed again when the answer is there. The rule stays the same: a rule once chosen
//! is never chosen again.

use futures_lite::future;

use super::decision::{Act, Decision, Question};
use super::rules::decide_again;
use crate::config::plan::HttpListener;
use crate::policy::ConcurrencyLimit;
use crate::proxy::client::Exchange;
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// Waits for the answer, and for those to further questions, until there is an act.
pub(super) async fn ask<'a>(
    exchange: &mut Exchange<'a>,
    http: &'a HttpListener,
    mut question: Question<'a>,
) -> Act<'a> {
    loop {
        let Question { rule, limit } = question;
        let decision = match wait(exchange, limit).await {
            Ok(()) => decide_again(exchange, http, rule),
            Err(failure) => Err(failure),
        };
        match decision {
            Ok(Decision::Act(act)) => return act,
            Ok(Decision::Ask(next)) => question = next,
            Err(failure) => return Act::Refuse(failure),
        }
    }
}

/// Waits for a place among the open requests of a limit.
async fn wait(exchange: &mut Exchange<'_>, limit: &ConcurrencyLimit) -> Result<(), Failure> {
    let worker = exchange.snapshot.worker();
    let permit = async { Ok::<_, Failure>(limit.wait().await) };
    let late = async {
        worker.sleep(limit.timeout()).await;
        Ok(None)
    };
    let at_end = exchange.is_gone_at_end();
    let permit = exchange.client.unless_gone(at_end, future::or(permit, late)).await?;
    exchange.record.policies.admit(permit.ok_or_else(|| Failure::new(Reason::RuleBusy))?);
    Ok(())
}
