//! Waits until files differ from the last load and are not being written.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::FutureExt;
use smol::Timer;

use super::files::{self, FileStamps};
use super::mounts::StaleMounts;
use super::platform::{self, FileEvents};
use crate::config::{Content, SourceFiles};

/// The time without a change after which files are read. A program that writes in several steps is done by then.
pub(super) const QUIET: Duration = Duration::from_millis(500);

/// The time after which stamps are compared, whatever inotify reports.
const POLL: Duration = Duration::from_secs(2);

/// Watches the files of one gate.
pub(crate) struct ConfigWatcher {
    /// `None` if there is only the poll.
    events: Option<FileEvents>,
    /// The files of the last load.
    sources: Arc<SourceFiles>,
    /// Their stamps when they were last looked at.
    stamps: FileStamps,
    mounts: StaleMounts,
    /// Files that became empty, and for which a warning was logged.
    empty: HashSet<PathBuf>,
    /// The last change that was reported, and what the last load had read at that time. If a load keeps reading
    /// something else than this task, this stops it from asking for the same reload for ever.
    reported: Option<(SourceFiles, Arc<SourceFiles>)>,
}

impl ConfigWatcher {
    /// Starts with the events of the system, or without them if it has none.
    pub(crate) fn start() -> ConfigWatcher {
        let events = FileEvents::new().map_err(|error| {
            tracing::info!("no events for files ({error}): they are polled every {POLL:?} instead");
        });
        ConfigWatcher::new(events.ok())
    }

    pub(super) fn new(events: Option<FileEvents>) -> ConfigWatcher {
        ConfigWatcher {
            events,
            sources: Arc::default(),
            stamps: FileStamps::new(),
            mounts: StaleMounts::default(),
            empty: HashSet::new(),
            reported: None,
        }
    }

    /// Watches the files of a load from now on.
    pub(crate) fn watch(&mut self, sources: Arc<SourceFiles>) {
        self.sources = sources;
    }

    /// Reports the last change again, because it was not loaded.
    pub(crate) fn report_again(&mut self) {
        self.reported = None;
    }

    /// Returns the content of the files when it differs from the last load and has been still for [`QUIET`]. May
    /// be dropped at any time.
    pub(crate) async fn changed(&mut self) -> SourceFiles {
        self.update_watches().await;
        self.has_changed().await;
        loop {
            // This waits the first time too: an edit during a load is older than the first stamp.
            self.wait_until_quiet().await;
            // Names may lead to other files now.
            self.update_watches().await;
            let held = self.read_files().await;
            if held.same_content(&self.sources) {
                tracing::debug!("the configuration was read again: nothing changed");
                self.reported = None;
            } else if !self.is_being_written(&held) {
                let report = (held, self.sources.clone());
                if self.reported.as_ref() != Some(&report) {
                    let held = report.0.clone();
                    self.reported = Some(report);
                    return held;
                }
            }
            self.wait_for_change().await;
        }
    }

    /// Waits until nothing has changed for [`QUIET`].
    async fn wait_until_quiet(&mut self) {
        let mut deadline = Instant::now() + QUIET;
        loop {
            let quiet = async {
                Timer::at(deadline).await;
                true
            };
            let heard = async {
                self.next_event().await;
                false
            };
            let is_over = quiet.or(heard).await;
            if self.has_changed().await {
                deadline = Instant::now() + QUIET;
            } else if is_over {
                return;
            }
        }
    }

    /// Waits until something changes.
    async fn wait_for_change(&mut self) {
        loop {
            let poll = async {
                Timer::after(POLL).await;
            };
            self.next_event().or(poll).await;
            if self.has_changed().await {
                return;
            }
        }
    }

    async fn next_event(&self) {
        match &self.events {
            Some(events) => events.next_event().await,
            None => std::future::pending().await,
        }
    }

    async fn has_changed(&mut self) -> bool {
        let sources = self.sources.clone();
        let now = smol::unblock(move || files::stamps(&sources)).await;
        let changed = now != self.stamps;
        self.stamps = now;
        changed
    }

    async fn update_watches(&mut self) {
        let Some(events) = &mut self.events else { return };
        let sources = self.sources.clone();
        events.watch(smol::unblock(move || files::watch_targets(&sources)).await).await;
    }

    /// Reads the files. Logs a warning if a mount hides what was written.
    async fn read_files(&mut self) -> SourceFiles {
        let sources = self.sources.clone();
        let read_files = move || {
            let mounted = platform::mounted(sources.iter().map(|(path, _)| path));
            (files::read(&sources), mounted)
        };
        let (held, mounted) = smol::unblock(read_files).await;
        for orphan in self.mounts.find(&self.stamps, &mounted) {
            tracing::warn!(
                "{} was replaced, but only that one file is mounted here, and the mount keeps showing the old \
                 one: mount the directory, not the file",
                orphan.display()
            );
        }
        held
    }

    /// Whether a file is empty that was not. A shell empties a file before the program that fills it has started,
    /// and one empty file of several is valid.
    fn is_being_written(&mut self, held: &SourceFiles) -> bool {
        let is_empty = |seen: Option<Content>| matches!(seen, Some(Content::Text { length: 0, .. }));
        let emptied = held.iter().filter(|(path, seen)| {
            is_empty(Some(*seen)) && self.sources.get(path).is_some_and(|before| !is_empty(Some(before)))
        });
        let emptied: HashSet<PathBuf> = emptied.map(|(path, _)| path.to_owned()).collect();
        for path in emptied.difference(&self.empty) {
            tracing::warn!("{} is empty: it is not loaded before it is filled", path.display());
        }
        self.empty = emptied;
        !self.empty.is_empty()
    }
}
