//! Questions that the policies of a rule have to wait for.
//!
//! The head stays in the input, and is parsed again when the answer is there. The rule stays the same: a rule once chosen
//! is never chosen again.

use futures_lite::future;

use super::decision::{Act, Asked, Decision, Question};
use super::rules::decide_again;
use crate::config::plan::HttpListener;
use crate::policy::{ConcurrencyLimit, ConcurrencyPermit, PasswordCheck};
use crate::proxy::client::Exchange;
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// Questions of one request.
const QUESTIONS_MAX: usize = 8;

/// Waits for the answer, and for those to further questions, until there is an act.
pub(super) async fn ask<'a>(
    exchange: &mut Exchange<'a>,
    http: &'a HttpListener,
    mut question: Question<'a>,
) -> Act<'a> {
    // Each policy asks once, so a further question would be one without an end.
    for _ in 0..QUESTIONS_MAX {
        let Question { rule, what } = question;
        let answer = match what {
            Asked::Password(password) => compare(exchange, password).await,
            Asked::Place(limit) => enter(exchange, limit).await,
        };
        match answer.and_then(|()| decide_again(exchange, http, rule)) {
            Ok(Decision::Act(act)) => return act,
            Ok(Decision::Ask(next)) => question = next,
            Err(failure) => return Act::Refuse(failure),
        }
    }
    Act::Refuse(Failure::new(Reason::Internal))
}

/// Compares a password with a hash in another thread.
async fn compare(exchange: &Exchange<'_>, password: Box<PasswordCheck>) -> Result<(), Failure> {
    let permit = place(exchange, PasswordCheck::limit(), Reason::AuthBusy).await?;
    // The permit stays with the work, which goes on if the client leaves.
    let work = smol::unblock(move || {
        password.run();
        drop(permit);
    });
    let done = async {
        work.await;
        Ok::<_, Failure>(())
    };
    exchange.client.unless_gone(exchange.is_gone_at_end(), done).await
}

/// Waits for a place among the open requests of a limit, and takes it.
async fn enter(exchange: &mut Exchange<'_>, limit: &ConcurrencyLimit) -> Result<(), Failure> {
    let permit = place(exchange, limit, Reason::RuleBusy).await?;
    exchange.record.policies.admit(permit);
    Ok(())
}

/// Waits for a permit of a limit. `busy` is the failure if there is none in time.
async fn place(
    exchange: &Exchange<'_>,
    limit: &ConcurrencyLimit,
    busy: Reason,
) -> Result<ConcurrencyPermit, Failure> {
    let worker = exchange.snapshot.worker();
    let permit = async { Ok::<_, Failure>(limit.wait().await) };
    let late = async {
        worker.sleep(limit.timeout()).await;
        Ok(None)
    };
    let permit = exchange.client.unless_gone(exchange.is_gone_at_end(), future::or(permit, late)).await?;
    permit.ok_or_else(|| Failure::new(busy))
}
