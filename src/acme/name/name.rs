//! The life of one name: wait, order, serve, renew.

use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Timer;
use smol::channel::Receiver;

use super::look::look;
use super::revocation::{is_revoked, revoke};
use crate::acme::attempts::{Attempt, Record, Wait, choose, latest_renewal, renewal};
use crate::acme::check;
use crate::acme::context::{Context, now, record_file};
use crate::acme::events::{Event, EventKind};
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::fleet::hand_on;
use crate::acme::protocol::ari;
use crate::acme::shared::{Ask, View};
use crate::acme::stored::newest;
use crate::metrics::NameState;
use crate::tls::Validity;

/// The longest sleep. The clock may be set meanwhile.
const SLEEP_MAX: Duration = Duration::from_secs(60 * 60);

/// The wait after a failure that has no time of its own.
const HOLD: Duration = Duration::from_secs(60);

/// A wait that is in no record.
pub(super) struct Hold {
    pub(super) until: u64,
    pub(super) reason: String,
    /// Whether another gate has the right to order.
    pub(super) is_turn: bool,
}

impl Hold {
    pub(super) fn of(failure: Failure) -> Self {
        let wait = failure.retry_after.unwrap_or(HOLD);
        let is_turn = failure.of == FaultOf::Turn;
        Self { until: now() + wait.as_secs(), reason: failure.reason, is_turn }
    }
}

/// One name.
pub(in crate::acme) struct Name {
    pub(in crate::acme) name: Arc<str>,
    /// One for each CA, best first. At least one.
    pub(in crate::acme) contexts: Arc<[Arc<Context>]>,
    /// Receives the wishes of an operator.
    pub(in crate::acme) wishes: Receiver<Ask>,
}

/// The facts that outlive an attempt and are in no record.
pub(super) struct Memory {
    /// By CA.
    pub(super) held: Vec<Option<Hold>>,
    /// The CA of the certificate that is served.
    pub(super) home: Option<usize>,
    /// Whether the last look found a reason to wait, and the wait for that is over or runs.
    pub(super) is_doubted: bool,
}

impl Name {
    /// Keeps a certificate for the name. Never ends.
    pub(in crate::acme) async fn keep(self) {
        if let Some(why) = check::in_vain(&self.name, &self.contexts[0].orders) {
            self.tell(NameState::Held, None, Some(why.to_owned()), None, Vec::new());
            let reason = Some(why.to_owned());
            self.contexts[0].happened(Event { reason, ..Event::new(EventKind::Held, &self.name) });
            return std::future::pending().await;
        }
        let mut asked: Option<Ask> = None;
        let held = self.contexts.iter().map(|_| None).collect();
        let mut memory = Memory { held, home: self.find_home().await, is_doubted: false };
        loop {
            let now = now();
            let mut records = self.records(now).await;
            let home = memory.home.unwrap_or_default();
            if asked == Some(Ask::Revoke)
                && let Err(failure) = revoke(&self.contexts[home], &self.name, &mut records[home]).await
            {
                match failure.of {
                    FaultOf::Turn => hand_on(&self.contexts[0], &self.name, Ask::Revoke).await,
                    _ => {
                        tracing::warn!(name = %self.name, "the certificate was not revoked: {}", failure.reason)
                    }
                }
                asked = None;
            }
            let forced = asked.is_some();
            let id = self.renewal_id();
            if let Some(id) = &id {
                look(&self.contexts[home], &self.name, id, &mut records[home], now).await;
            }
            let (ca, free) = self.choose(&records, &memory, now, forced);
            let at = free.max(self.wanted(&records[home], now, forced));
            let history = history(&records);
            if at > now {
                let hold = memory.held[ca].as_ref().filter(|hold| hold.until > now && !forced);
                let reason = hold.map(|hold| hold.reason.clone()).or(records[ca].reason.clone());
                let limit = self.limit(&self.contexts[ca], now);
                let limit = limit
                    .map(|(domain, _)| format!("the limit of the CA for names below {domain} is reached"));
                let reason = reason.or(limit);
                self.tell(self.state(), Some(at), reason, memory.home.or(Some(ca)), history);
                // The CA may move its window.
                let window = id.and_then(|id| records[home].window_of(&id).map(|window| window.look));
                asked = self.wait(window.map_or(at, |look| at.min(look))).await;
                continue;
            }
            self.tell(self.state_of_order(), None, records[ca].reason.clone(), Some(ca), history);
            let result = self.attempt(ca, &mut memory, &mut records, forced).await;
            if forced && result.as_ref().is_err_and(|hold| hold.is_turn) {
                hand_on(&self.contexts[0], &self.name, Ask::Renew).await;
            }
            // A wish for a new certificate that came meanwhile is granted.
            asked = self.wishes.try_recv().ok().filter(|wish| *wish == Ask::Revoke);
            // Without a failure, the record has the next time.
            memory.held[ca] = result.err();
        }
    }

    /// The CA to order from, and the earliest time at which it takes an order.
    fn choose(&self, records: &[Record], memory: &Memory, now: u64, forced: bool) -> (usize, u64) {
        let wait = |((record, context), hold): ((&Record, &Arc<Context>), &Option<Hold>)| {
            let hold = hold.as_ref().filter(|hold| hold.until > now && !forced);
            let limited = self.limit(context, now).filter(|_| !forced);
            let until = record.earliest(now, forced).max(hold.map_or(now, |hold| hold.until));
            let until = until.max(limited.as_ref().map_or(now, |(_, until)| *until));
            let is_out = record.is_out() || context.is_out() || limited.is_some();
            Wait { until, is_out, goes_on: record.goes_on() }
        };
        let waits: Vec<Wait> = records.iter().zip(&*self.contexts).zip(&memory.held).map(wait).collect();
        choose(&waits, now)
    }

    /// The limit of a domain that was reached. Renewals do not count towards it.
    fn limit(&self, context: &Context, now: u64) -> Option<(Arc<str>, u64)> {
        context.limit_of(&self.name, now).filter(|_| self.validity().is_none())
    }

    /// The time at which another certificate is wanted. `record` is that at the CA of the one that is served.
    pub(super) fn wanted(&self, record: &Record, now: u64, forced: bool) -> u64 {
        let validity =
            self.validity().filter(|_| !forced && !is_revoked(&self.contexts[0], &self.name, record));
        let Some(Validity { not_before, not_after }) = validity else { return now };
        let window = self.renewal_id().and_then(|id| Some(record.window_of(&id)?.time(self.jitter())));
        let wanted = window.unwrap_or_else(|| renewal(not_before, not_after, self.jitter()));
        wanted.min(latest_renewal(not_before, not_after)).max(now)
    }

    /// The CA whose certificate is served.
    async fn find_home(&self) -> Option<usize> {
        let (contexts, name, now) = (self.contexts.clone(), self.name.clone(), now());
        smol::unblock(move || newest(&contexts, &name, now.cast_signed())).await.map(|(home, _)| home)
    }

    /// The record at each CA.
    async fn records(&self, now: u64) -> Vec<Record> {
        let mut records = Vec::with_capacity(self.contexts.len());
        for context in &*self.contexts {
            let (store, file) = (context.store.clone(), record_file(&self.name));
            let read = smol::unblock(move || store.read(&file)).await;
            records.push(match read {
                Ok(bytes) => Record::read(bytes.as_deref(), now),
                Err(error) => Record::unread(now, context.cannot_use(&error).reason),
            });
        }
        records
    }

    /// Sleeps until then, or until an operator asks for something.
    async fn wait(&self, at: u64) -> Option<Ask> {
        let left = Duration::from_secs(at.saturating_sub(now()));
        let slept = async {
            Timer::after(left.min(SLEEP_MAX)).await;
            None
        };
        let asked = async {
            match self.wishes.recv().await {
                Ok(wish) => Some(wish),
                Err(_) => std::future::pending().await,
            }
        };
        asked.or(slept).await
    }

    /// The name of the certificate at its CA.
    pub(super) fn renewal_id(&self) -> Option<String> {
        let identity = self.contexts[0].shared.issued.identity(&self.name)?;
        Some(ari::id(&identity.authority_key, &identity.serial))
    }

    pub(super) fn validity(&self) -> Option<Validity> {
        self.contexts[0].shared.issued.validity(&self.name)
    }

    fn state(&self) -> NameState {
        if self.validity().is_some() { NameState::Valid } else { NameState::Waiting }
    }

    fn state_of_order(&self) -> NameState {
        if self.validity().is_some() { NameState::Valid } else { NameState::Ordering }
    }

    fn tell(
        &self,
        state: NameState,
        next: Option<u64>,
        error: Option<String>,
        ca: Option<usize>,
        history: Vec<Attempt>,
    ) {
        let until = self.validity().map(|validity| validity.not_after);
        let ca = ca.map(|ca| self.contexts[ca].authority().name());
        let view = View { name: self.name.clone(), state, until, next, error, ca, history };
        self.contexts[0].shared.tell(view);
    }

    /// A number from 0 to 1 that depends on the name, so that names do not act at one moment.
    pub(super) fn jitter(&self) -> f64 {
        let hash = self.name.bytes().fold(5381_u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
        f64::from(hash % 1024) / 1024.0
    }
}

/// The attempts at all CAs, oldest first.
fn history(records: &[Record]) -> Vec<Attempt> {
    let mut all: Vec<Attempt> = records.iter().flat_map(|record| record.history.iter().cloned()).collect();
    all.sort_by_key(|attempt| attempt.at);
    all
}
