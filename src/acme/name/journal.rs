//! The steps of an order, written to the disk before the next one is taken.

use std::sync::Arc;

use crate::acme::attempts::{Attempt, Record};
use crate::acme::context::{Context, Opened, key_file, now};
use crate::acme::dns::Published;
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::fleet::{SharedAnswer, share, unshare};
use crate::acme::order::Journal;
use crate::acme::protocol::x509::LeafKey;
use crate::config::plan::KeyKind;

/// The record of a name during an attempt.
pub(in crate::acme) struct Writer {
    pub(in crate::acme) opened: Arc<Opened>,
    pub(in crate::acme) name: Arc<str>,
    pub(in crate::acme) record: Record,
    /// Seconds by which this machine is ahead of the CA. Limits are counted by the clock of the CA.
    pub(in crate::acme) ahead: i64,
}

impl Writer {
    /// The time of the CA, in seconds since 1970.
    pub(in crate::acme) fn now(&self) -> u64 {
        now().saturating_add_signed(-self.ahead)
    }

    pub(in crate::acme) async fn write(&self) -> Result<(), Failure> {
        self.opened.write(&self.name, &self.record).await
    }

    /// Notes the end of an attempt. `reason` is that of its failure.
    pub(in crate::acme) fn note(&mut self, context: &Context, staging: bool, reason: Option<&str>) {
        let (ca, reason) = (context.authority().name(), reason.map(str::to_owned));
        self.record.note(Attempt { at: self.now(), ca, staging, reason });
    }

    /// Removes the record of DNS, if there is one. A provider that fails leaves it there, where it does no harm.
    pub(in crate::acme) async fn withdraw(&mut self) {
        let Some(record) = self.record.published.take() else { return };
        let removed = match &self.opened.publisher {
            Some(publisher) => publisher.withdraw(&record).await,
            None => Err("`dns` of `acme` is not set up any more".to_owned()),
        };
        if let Err(why) = removed {
            tracing::warn!(name = %self.name, "the record of a challenge stays in DNS: {why}");
        }
        if let Err(failure) = self.write().await {
            tracing::warn!(name = %self.name, "{}", failure.reason);
        }
    }

    pub(in crate::acme) async fn forget_key(&self) -> Result<(), Failure> {
        let file = key_file(&self.name);
        let remove = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.remove(lock, &file)
        };
        self.opened.blocking(remove).await
    }
}

impl Journal for Writer {
    fn may_order(&self) -> Result<(), Failure> {
        let (store, lock) = self.opened.store();
        match store.may_write(lock) {
            true => Ok(()),
            false => Err(Failure::new(FaultOf::Turn, "another gate may order now")),
        }
    }

    async fn ordered(&mut self, url: &str) -> Result<(), Failure> {
        self.record.order = Some(url.to_owned());
        self.write().await
    }

    async fn published(&mut self, record: &Published) -> Result<(), Failure> {
        if self.record.published.as_ref().is_some_and(|left| left != record) {
            self.withdraw().await;
        }
        self.record.published = Some(record.clone());
        self.write().await
    }

    async fn key(&mut self, kind: KeyKind) -> Result<Vec<u8>, Failure> {
        let file = key_file(&self.name);
        let read = file.clone();
        if let Some(der) = self.opened.blocking(move |opened| opened.store().0.read(&read)).await? {
            return Ok(der);
        }
        let unable = |_| Failure::new(FaultOf::Gate, "no key can be made");
        // A key of RSA takes its time.
        let (_, der) = smol::unblock(move || LeafKey::generate_of(kind)).await.map_err(unable)?;
        let bytes = der.clone();
        let write = move |opened: &Opened| {
            let (store, lock) = opened.store();
            store.write(lock, &file, &bytes)
        };
        self.opened.blocking(write).await?;
        Ok(der)
    }

    async fn share(&mut self, answer: &SharedAnswer) -> Result<(), Failure> {
        share(&self.opened, &self.name, answer).await
    }

    async fn unshare(&mut self) {
        unshare(&self.opened, &self.name).await;
    }
}
