//! The task that reloads a gate when its files change.

use std::sync::Weak;

use futures_lite::FutureExt;
use smol::channel::Receiver;

use super::state::GateState;
use crate::config::SourceFiles;
use crate::watch::ConfigWatcher;

/// Reloads the gate whenever its files have changed, as long as its plan wants that. Ends with the gate.
/// `reloaded` receives a message after every load.
pub(super) async fn watch(state: Weak<GateState>, reloaded: Receiver<()>) {
    let mut watcher = None;
    loop {
        let Some(gate) = state.upgrade() else { return };
        let watched = gate.watched();
        drop(gate);
        let Some(sources) = watched else {
            // Release the watches.
            watcher = None;
            match reloaded.recv().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let watcher = watcher.get_or_insert_with(ConfigWatcher::start);
        watcher.watch(sources);
        let told = async { reloaded.recv().await.err().map(|_| Event::Gone).unwrap_or(Event::Loaded) };
        let changed = async { Event::Changed(watcher.changed().await) };
        match told.or(changed).await {
            Event::Loaded => {}
            Event::Gone => return,
            Event::Changed(held) => match state.upgrade() {
                Some(gate) if gate.reload_changed(&held).await => {}
                Some(_) => watcher.report_again(),
                None => return,
            },
        }
    }
}

enum Event {
    /// The configuration was loaded for another reason.
    Loaded,
    /// The files hold this now.
    Changed(SourceFiles),
    /// The gate has stopped.
    Gone,
}
