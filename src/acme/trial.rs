//! An order at the test system of a CA that an operator wants: the whole way, and nothing is kept.

use std::sync::Arc;

use super::context::Context;
use super::dns::Published;
use super::failure::{Failure, FaultOf};
use super::fleet::SharedAnswer;
use super::order::{Journal, Ordering, challenges};
use super::protocol::x509::LeafKey;
use crate::config::plan::KeyKind;

/// Orders a certificate for the name at the test system, and throws it away. Each challenge counts alone: the first that
/// works is enough.
pub(super) async fn trial(context: &Context, name: &Arc<str>) -> Result<(), Failure> {
    let _slot = context.slots.acquire().await;
    let opened = context.folder().await?;
    let none =
        || Failure::new(FaultOf::Gate, "this CA has no test system: name one with `staging_directory`");
    let staging = opened.staging.as_ref().ok_or_else(none)?;
    let session = staging.session().await?;
    let (issued, publisher) = (&context.shared.issued, opened.publisher.as_ref());
    let mut failed = None;
    for turn in 0..u32::try_from(context.orders.challenges.len()).unwrap_or(1) {
        let challenges = challenges(name, &context.orders, turn);
        let mut journal = Nothing::default();
        let key = context.orders.key;
        let ordering = Ordering {
            ca: staging,
            session: &session,
            name,
            challenges,
            replaces: None,
            key,
            issued,
            publisher,
        };
        let ordered = ordering.run(None, &mut journal).await;
        if let (Some(record), Some(publisher)) = (&journal.published, publisher)
            && let Err(why) = publisher.withdraw(record).await
        {
            tracing::warn!(%name, "the record of a challenge stays in DNS: {why}");
        }
        match ordered {
            Ok(_) => return Ok(()),
            Err(failure) => failed = failed.or(Some(failure)),
        }
        if name.starts_with("*.") {
            break;
        }
    }
    Err(failed.unwrap_or_else(none))
}

/// The steps of an order that is a trial: nothing is kept.
#[derive(Default)]
struct Nothing {
    key: Option<Vec<u8>>,
    /// The record of DNS that has to be removed.
    published: Option<Published>,
}

impl Journal for Nothing {
    fn may_order(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn ordered(&mut self, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    async fn published(&mut self, record: &Published) -> Result<(), Failure> {
        self.published = Some(record.clone());
        Ok(())
    }

    async fn key(&mut self, kind: KeyKind) -> Result<Vec<u8>, Failure> {
        let unable = |_| Failure::new(FaultOf::Gate, "no key can be made");
        let made = match self.key.take() {
            Some(key) => key,
            None => smol::unblock(move || LeafKey::generate_of(kind)).await.map_err(unable)?.1,
        };
        Ok(self.key.insert(made).clone())
    }

    // Other gates do not know of a trial.
    async fn share(&mut self, _: &SharedAnswer) -> Result<(), Failure> {
        Ok(())
    }

    async fn unshare(&mut self) {}
}
