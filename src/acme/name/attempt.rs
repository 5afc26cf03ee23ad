//! One attempt to get a certificate for a name at a CA.

use std::time::Duration;

use super::journal::Writer;
use super::name::{Hold, Memory, Name};
use crate::acme::attempts::{Record, is_expiring};
use crate::acme::ca::{Ca, Session};
use crate::acme::check;
use crate::acme::context::{Context, Opened, now};
use crate::acme::events::{Event, EventKind};
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::fleet::adopt;
use crate::acme::order::{Ordering, challenges};
use crate::acme::protocol::x509::key_pem;
use crate::acme::stored::newest;
use crate::metrics::OrderResult;
use crate::store::StoredCertificate;
use crate::tls::{Issued, Validity};

/// The wait after a look that found a reason why the CA would refuse the name.
const DOUBT: Duration = Duration::from_secs(10 * 60);

impl Name {
    /// One attempt at a CA. An error is a wait that is not in the record, because no order was made.
    pub(super) async fn attempt(
        &self,
        ca: usize,
        memory: &mut Memory,
        records: &mut [Record],
        forced: bool,
    ) -> Result<(), Hold> {
        let context = &*self.contexts[ca];
        let _slot = context.slots.acquire().await;
        let _turn = context.turn.read().await;
        let (opened, session) = context.connect().await.map_err(Hold::of)?;
        if adopt(context, opened.store().0, &self.name).await.map_err(Hold::of)? {
            memory.home = Some(ca);
            return Ok(());
        }
        self.guard(ca, records).await.map_err(Hold::of)?;
        let ahead = opened.ca.clock_error(&session).await.map_err(Hold::of)?;
        if ahead != 0 {
            self.set_right(ca, memory, records, (ahead, forced)).await?;
        }
        let record = std::mem::take(&mut records[ca]);
        let mut journal = Writer { opened: opened.clone(), name: self.name.clone(), record, ahead };
        let has_test = opened.staging.is_some();
        if context.orders.self_check && !forced && journal.record.is_new_and_real(has_test, forced) {
            self.look_at_itself(context, memory, &mut journal).await?;
        }
        if journal.record.choose_rehearsal(has_test, forced) {
            return self.rehearse(context, journal).await.map_err(Hold::of);
        }
        self.begin(&mut journal).await.map_err(Hold::of)?;
        let replaces = self.renewal_id().filter(|_| memory.home == Some(ca));
        let ordered = self.order(context, (&opened.ca, &session), replaces, &mut journal).await;
        journal.withdraw().await;
        let issued = match ordered {
            Ok((chain, key)) => self.accept(context, &mut journal, chain, key).await,
            Err(failure) => Err(failure),
        };
        let counters = &context.shared.counters;
        match issued {
            Ok((kind, validity)) => {
                memory.home = Some(ca);
                counters.order(&context.authority().name(), OrderResult::Ok);
                let (until, folder) = (Some(validity.not_after), context.store.live(&self.name));
                context.happened(Event { until, folder, ..Event::new(kind, &self.name) });
                (context.shared.changed)();
                self.give_up_other_orders(ca, records).await;
                Ok(())
            }
            Err(failure) => {
                counters.order(&context.authority().name(), failure.label());
                self.fail(context, &mut journal, failure).await.map_err(Hold::of)
            }
        }
    }

    /// Writes the record at the first CA anew before an order at another one. Another gate that has begun an order for
    /// the name, at whichever CA, has written it meanwhile, and then this one orders nothing.
    async fn guard(&self, ca: usize, records: &[Record]) -> Result<(), Failure> {
        let first = &self.contexts[0];
        if ca == 0 || first.store.others().is_none() {
            return Ok(());
        }
        if records[0].is_unread {
            return Err(Failure::new(FaultOf::Gate, "the record at the first CA cannot be read"));
        }
        first.folder().await?.write(&self.name, &records[0]).await
    }

    /// The clock of this machine is wrong by `ahead` seconds. By that of the CA, a certificate in the store may be valid, and
    /// this attempt too early.
    async fn set_right(
        &self,
        ca: usize,
        memory: &mut Memory,
        records: &[Record],
        (ahead, forced): (i64, bool),
    ) -> Result<(), Hold> {
        let now_here = now();
        let now = now_here.saturating_add_signed(-ahead);
        let (contexts, name) = (self.contexts.clone(), self.name.clone());
        let found = smol::unblock(move || newest(&contexts, &name, now.cast_signed())).await;
        if let Some((home, kept)) = found {
            let issued = &self.contexts[0].shared.issued;
            // One that cannot be served is replaced.
            if issued.serve(&self.name, &kept.chain, &kept.key, now.cast_signed()).is_ok() {
                memory.home = Some(home);
                (self.contexts[0].shared.changed)();
            }
        }
        let home = &records[memory.home.unwrap_or_default()];
        let at = records[ca].earliest(now, forced).max(self.wanted(home, now, forced));
        match at.checked_sub(now).filter(|wait| *wait > 0) {
            Some(wait) => {
                let reason = check::clock_text(ahead);
                Err(Hold { until: now_here + wait, reason, is_turn: false })
            }
            None => Ok(()),
        }
    }

    /// Looks at the name as the CA will. The first time that there is a reason to wait, the attempt waits. The second time,
    /// the test system of the CA decides, if there is one.
    async fn look_at_itself(
        &self,
        context: &Context,
        memory: &mut Memory,
        journal: &mut Writer,
    ) -> Result<(), Hold> {
        let Some(reason) = check::first_reason(context, &self.name).await else {
            memory.is_doubted = false;
            return Ok(());
        };
        let is_second = std::mem::take(&mut memory.is_doubted);
        if is_second {
            journal.record.is_doubted = true;
            return Ok(());
        }
        memory.is_doubted = true;
        let reason = format!("not ordered yet: {reason}");
        let until = now() + DOUBT.as_secs();
        let (next, told) = (Some(until), Some(reason.clone()));
        context.happened(Event { next, reason: told, ..Event::new(EventKind::Held, &self.name) });
        Err(Hold { until, reason, is_turn: false })
    }

    /// One order at the test system of the CA. Its certificate is thrown away. If the test system is in trouble, it says
    /// nothing about the name.
    async fn rehearse(&self, context: &Context, mut journal: Writer) -> Result<(), Failure> {
        let opened = journal.opened.clone();
        let Some(staging) = &opened.staging else { return Ok(()) };
        journal.record.begin(journal.now(), self.jitter());
        journal.write().await?;
        let ordered = match staging.session().await {
            Ok(session) => self.order(context, (staging, &session), None, &mut journal).await,
            Err(failure) => Err(failure),
        };
        journal.withdraw().await;
        journal.forget_key().await?;
        match ordered {
            Err(failure) if failure.of == FaultOf::Name => {
                let reason = format!("at the test system: {}", failure.reason);
                self.fail(context, &mut journal, Failure { reason, ..failure }).await
            }
            result => {
                let worked = result.is_ok();
                journal.note(context, true, result.err().map(|failure| failure.reason).as_deref());
                journal.record.rehearsed(journal.now(), worked);
                journal.write().await
            }
        }
    }

    /// Writes that an attempt begins, before it does.
    async fn begin(&self, journal: &mut Writer) -> Result<(), Failure> {
        if journal.record.order.is_none() {
            journal.opened.take_order(journal.now()).await?;
        }
        journal.record.begin(journal.now(), self.jitter());
        journal.write().await
    }

    async fn order(
        &self,
        context: &Context,
        (ca, session): (&Ca, &Session),
        replaces: Option<String>,
        journal: &mut Writer,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let known = journal.record.order.clone();
        // After a failure, another challenge comes first.
        let challenges = challenges(&self.name, &context.orders, journal.record.failures.saturating_sub(1));
        let opened = journal.opened.clone();
        let (issued, publisher) = (&context.shared.issued, opened.publisher.as_ref());
        let replaces = replaces.filter(|_| journal.record.may_replace());
        let (name, key) = (&*self.name, context.orders.key);
        let ordering = Ordering { ca, session, name, challenges, replaces, key, issued, publisher };
        ordering.run(known, journal).await
    }

    /// Keeps the certificate, then serves it.
    async fn accept(
        &self,
        context: &Context,
        journal: &mut Writer,
        chain: Vec<u8>,
        key: Vec<u8>,
    ) -> Result<(EventKind, Validity), Failure> {
        let kind = if self.validity().is_some() { EventKind::Renewed } else { EventKind::Issued };
        let (name, now) = (self.name.clone(), journal.now());
        let key = key_pem(&key).into_bytes();
        let unusable =
            |why: String| Failure::of_name(format!("the CA sent a certificate that cannot be used: {why}"));
        Issued::check(&name, &chain, &key, now.cast_signed()).map_err(unusable)?;
        let stored = StoredCertificate { chain: chain.clone(), key: key.clone() };
        let kept = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.keep_certificate(lock, &name, &stored)
        };
        journal.opened.blocking(kept).await?;
        let issued = &context.shared.issued;
        let validity = issued.serve(&self.name, &chain, &key, now.cast_signed()).map_err(unusable)?;
        journal.note(context, false, None);
        journal.record.succeed(now);
        journal.write().await?;
        journal.forget_key().await?;
        Ok((kind, validity))
    }

    async fn fail(&self, context: &Context, journal: &mut Writer, failure: Failure) -> Result<(), Failure> {
        let now = journal.now();
        let expiring = self
            .validity()
            .is_some_and(|Validity { not_before, not_after }| is_expiring(not_before, not_after, now));
        let staging = failure.reason.starts_with("at the test system: ");
        journal.note(context, staging, Some(&failure.reason));
        journal.record.fail(now, &failure, expiring, self.jitter());
        if let Some(domain) = &failure.limited_domain {
            context.limit(domain, journal.record.not_before);
        }
        let kind = if failure.is_rate_limit { EventKind::RateLimited } else { EventKind::Failed };
        let (next, reason) = (Some(journal.record.not_before), Some(failure.reason));
        context.happened(Event { next, reason, ..Event::new(kind, &self.name) });
        journal.write().await?;
        if journal.record.order.is_none() {
            journal.forget_key().await?;
        }
        Ok(())
    }

    /// Another CA has issued: orders that are under way elsewhere are in vain.
    async fn give_up_other_orders(&self, ca: usize, records: &mut [Record]) {
        for (other, (record, context)) in records.iter_mut().zip(&*self.contexts).enumerate() {
            if other == ca || !record.give_up_order() {
                continue;
            }
            let forgotten = async {
                let opened = context.folder().await?;
                let record = std::mem::take(record);
                let journal = Writer { opened, name: self.name.clone(), record, ahead: 0 };
                journal.write().await?;
                journal.forget_key().await
            };
            let forgotten: Result<(), Failure> = forgotten.await;
            if let Err(failure) = forgotten {
                tracing::warn!(name = %self.name, "{}", failure.reason);
            }
        }
    }
}
