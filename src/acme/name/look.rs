//! Looks at the window in which the CA wants a certificate to be renewed.

use std::sync::Arc;

use crate::acme::attempts::Record;
use crate::acme::context::Context;
use crate::acme::failure::Failure;
use crate::acme::protocol::ari::Window;

/// Asks for the window of the certificate `id`, if it is time to. A window that is kept stays if the CA does not answer.
pub(super) async fn look(context: &Context, name: &Arc<str>, id: &str, record: &mut Record, now: u64) {
    let is_time = record.window_of(id).is_none_or(|window| window.look <= now);
    if !is_time || record.order.is_some() {
        return;
    }
    let asked = async {
        let opened = context.folder().await?;
        let Some(window) = opened.ca.window(id, now).await? else { return Ok(()) };
        if record.window_of(id).is_none_or(|known| (known.start, known.end) != (window.start, window.end)) {
            let Window { start, end, .. } = window;
            tracing::debug!(%name, start, end, "the CA wants the certificate to be renewed within this window");
        }
        record.window = Some(window);
        opened.write(name, record).await
    };
    let asked: Result<(), Failure> = asked.await;
    if let Err(failure) = asked {
        tracing::debug!(%name, "the window of renewal is not known: {}", failure.reason);
    }
}
