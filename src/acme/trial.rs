//! An order at the test system of a CA that an operator wants: the whole way, and nothing is kept.

use std::sync::Arc;

use super::context::Context;
use super::failure::{Failure, FaultOf};
use super::name::Nothing;
use super::order::{Ordering, challenges};

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
        let ordering =
            Ordering { ca: staging, session: &session, name, challenges, replaces: None, issued, publisher };
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
