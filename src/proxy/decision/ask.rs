//! Questions that the policies of a rule have to wait for.
//!
//! The head stays in the input, and is parsed again when the answer is there. The rule stays the same: a rule once chosen
//! is never chosen again.

use std::time::Duration;

use futures_lite::future;

use super::decision::{Act, Asked, Decision, Question};
use super::rules::decide_again;
use crate::config::plan::HttpListener;
use crate::jwt::KeysAsked;
use crate::policy::{AuthQuestion, AuthServerQuestion, ConcurrencyLimit, ConcurrencyPermit, PasswordCheck};
use crate::proxy::client::Exchange;
use crate::proxy::forward::{self, Answer};
use crate::proxy::local_reply::{self, Reply};
use crate::proxy::plugins::{self, Answered};
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// The time that a request waits for the keys of its token.
const KEYS_TIME_MAX: Duration = Duration::from_secs(2);

/// Questions of one request.
const QUESTIONS_MAX: usize = 8;

/// Waits for the answer, and for those to further questions, until there is an act, and writes it.
pub(super) async fn ask<'a>(
    exchange: &mut Exchange<'a>,
    http: &'a HttpListener,
    mut question: Question<'a>,
    act: &mut Option<Act<'a>>,
) {
    // Each policy asks once, so a further question would be one without an end.
    for _ in 0..QUESTIONS_MAX {
        let Question { rule, what } = question;
        let answer = match what {
            Asked::User(AuthQuestion::Password(password)) => compare(exchange, password).await,
            Asked::User(AuthQuestion::Keys(keys)) => keys_come(exchange, keys).await,
            Asked::User(AuthQuestion::Server(question)) => {
                match ask_server(exchange, http, &question).await {
                    Ok(Some(refusal)) => {
                        *act = Some(Act::Reply(refusal));
                        return;
                    }
                    Ok(None) => Ok(()),
                    Err(failure) => Err(failure),
                }
            }
            Asked::Plugins(chain) => match plugins::ask(exchange, http, chain).await {
                Ok(Answered::Pass) => Ok(()),
                Ok(Answered::Drop) => {
                    *act = Some(Act::Drop);
                    return;
                }
                Ok(Answered::Reply(reply)) => {
                    *act = Some(Act::Reply(reply));
                    return;
                }
                Err(failure) => Err(failure),
            },
            Asked::Place(limit) => enter(exchange, limit).await,
        };
        let failure = match answer.and_then(|()| decide_again(exchange, http, rule, act)) {
            Ok(Decision::Act) => return,
            Ok(Decision::Ask(next)) => {
                question = next;
                continue;
            }
            Ok(Decision::Incomplete) => Failure::new(Reason::Internal),
            Err(failure) => failure,
        };
        *act = Some(Act::Refuse(failure));
        return;
    }
    *act = Some(Act::Refuse(Failure::new(Reason::Internal)));
}

/// Asks a server about the request. The result is the response of a server that does not let it in.
async fn ask_server(
    exchange: &mut Exchange<'_>,
    http: &HttpListener,
    question: &AuthServerQuestion,
) -> Result<Option<Reply<'static>>, Failure> {
    let server = question.server().ok_or_else(|| Failure::new(Reason::Internal))?;
    match forward::ask_server(exchange, http, server).await? {
        Answer::LetIn { request, response } => {
            let now = exchange.snapshot.worker().now();
            question.let_in(&mut exchange.record.policies, &request, &response, now);
            Ok(None)
        }
        Answer::Refuse { status: 401, lines, body } => {
            Ok(Some(match forward::sign_in(exchange, http, server)? {
                Some(place) => local_reply::sign_in(exchange, &place),
                None => local_reply::answer_of_server(exchange, 401, &lines, &body),
            }))
        }
        Answer::Refuse { status, lines, body } => {
            Ok(Some(local_reply::answer_of_server(exchange, status, &lines, &body)))
        }
    }
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

/// Waits for the end of a fetch of keys, which may be late. Then the request is refused without them.
async fn keys_come(exchange: &Exchange<'_>, keys: KeysAsked) -> Result<(), Failure> {
    let worker = exchange.snapshot.worker();
    let done = async {
        future::or(keys.end(), worker.sleep(KEYS_TIME_MAX)).await;
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
