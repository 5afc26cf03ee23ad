//! The task that watches for a gate.

use std::sync::Weak;

use futures_lite::FutureExt;
use smol::channel::Receiver;

use super::platform::Notice;
use super::vigil::{POLL, Vigil};
use crate::config::Sources;
use crate::gate::running::Shared;

/// Reloads the gate whenever its files changed, as long as its plan wants that; ends with the gate.
/// `news` tells that a load took place.
pub(in crate::gate) async fn follow(shared: Weak<Shared>, news: Receiver<()>) {
    let mut vigil = None;
    loop {
        let Some(gate) = shared.upgrade() else { return };
        let watched = gate.watched();
        drop(gate);
        let Some(sources) = watched else {
            // Whatever it held is given back.
            vigil = None;
            match news.recv().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let vigil = vigil.get_or_insert_with(begin);
        vigil.follow(sources);
        let told = async { news.recv().await.err().map(|_| Event::Gone).unwrap_or(Event::Loaded) };
        let changed = async { Event::Changed(vigil.changed().await) };
        match told.or(changed).await {
            Event::Loaded => {}
            Event::Gone => return,
            Event::Changed(held) => match shared.upgrade() {
                Some(gate) if gate.reload_changed(&held).await => {}
                Some(_) => vigil.forget(),
                None => return,
            },
        }
    }
}

enum Event {
    /// Somebody else had the configuration loaded.
    Loaded,
    /// The files hold this now.
    Changed(Sources),
    /// There is no gate any more.
    Gone,
}

fn begin() -> Vigil {
    let notice = Notice::new().map_err(|error| {
        tracing::info!("no events for files ({error}): they are looked at every {POLL:?} instead");
    });
    Vigil::new(notice.ok())
}
