//! The answers to challenges that this gate hands to the others.

use std::sync::Arc;

use smol::Timer;

use super::answer::SharedAnswer;
use crate::acme::context::Opened;
use crate::acme::failure::{Failure, FaultOf};
use crate::store::challenge_file;

/// Hands the answer to the other gates, and waits until they give it. Without others, it returns at once.
pub(in crate::acme) async fn share(
    opened: &Arc<Opened>,
    name: &Arc<str>,
    answer: &SharedAnswer,
) -> Result<(), Failure> {
    let Some((_, spread)) = opened.store().0.others() else { return Ok(()) };
    let unable = |_| Failure::new(FaultOf::Gate, "the answer to a challenge cannot be written");
    let (file, bytes) = (challenge_file(name), serde_json::to_vec(answer).map_err(unable)?);
    let write = move |opened: &Opened| {
        let (store, lock) = opened.store();
        store.write(lock, &file, &bytes)
    };
    opened.blocking(write).await?;
    Timer::after(spread).await;
    Ok(())
}

/// Tells the other gates that the challenge is over. An answer that stays does no harm.
pub(in crate::acme) async fn unshare(opened: &Arc<Opened>, name: &Arc<str>) {
    if opened.store().0.others().is_none() {
        return;
    }
    let file = challenge_file(name);
    let remove = move |opened: &Opened| {
        let (store, lock) = opened.store();
        store.remove(lock, &file)
    };
    if let Err(failure) = opened.blocking(remove).await {
        tracing::debug!(%name, "the answer to a challenge stays in the store: {}", failure.reason);
    }
}
