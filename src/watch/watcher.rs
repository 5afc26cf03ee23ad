//! Waiting until what the last load read is something else, and is left alone.

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

/// How long nothing may change before files are read: whoever writes in several steps is done then.
pub(super) const QUIET: Duration = Duration::from_millis(500);

/// How often files are asked for their stamps, whatever inotify says.
const POLL: Duration = Duration::from_secs(2);

/// The watch over the files of one gate.
pub(crate) struct ConfigWatcher {
    /// `None`: there is only the poll.
    events: Option<FileEvents>,
    /// What the last load read.
    sources: Arc<SourceFiles>,
    /// What was last seen of them.
    stamps: FileStamps,
    mounts: StaleMounts,
    /// Files that are empty and were not, once that was said.
    empty: HashSet<PathBuf>,
    /// What was last reported, and what the last load had read then. Should a load not see what is
    /// seen here, this keeps it from being asked for over and over.
    reported: Option<(SourceFiles, Arc<SourceFiles>)>,
}

impl ConfigWatcher {
    /// Starts with the events of the system, or without them where it has none.
    pub(crate) fn start() -> ConfigWatcher {
        let events = FileEvents::new().map_err(|error| {
            tracing::info!("no events for files ({error}): they are looked at every {POLL:?} instead");
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

    /// Watches what a load read, from now on.
    pub(crate) fn watch(&mut self, sources: Arc<SourceFiles>) {
        self.sources = sources;
    }

    /// What was reported was not loaded: it is to be reported again, should it still be there.
    pub(crate) fn report_again(&mut self) {
        self.reported = None;
    }

    /// Returns when the files hold something else than the last load read, and have been still for
    /// [`QUIET`]: what they hold. May be dropped at any time.
    pub(crate) async fn changed(&mut self) -> SourceFiles {
        self.update_watches().await;
        self.has_changed().await;
        loop {
            // Also the first time: what was written while a load read is in no stamp taken after it.
            self.wait_until_quiet().await;
            // Names may lead to other files now.
            self.update_watches().await;
            let held = self.read_files().await;
            if held.same_content(&self.sources) {
                tracing::debug!("the configuration was looked at: nothing in it changed");
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

    /// What the files hold. Says so when a mount keeps it from being what was written.
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

    /// Whether a file is empty that was not. A shell empties a file before the program that fills it
    /// has started, and an empty configuration is a valid one.
    fn is_being_written(&mut self, held: &SourceFiles) -> bool {
        let is_empty = |seen: Option<Content>| matches!(seen, Some(Content::Text { length: 0, .. }));
        let emptied = held.iter().filter(|(path, seen)| {
            is_empty(Some(*seen)) && self.sources.get(path).is_some_and(|before| !is_empty(Some(before)))
        });
        let emptied: HashSet<PathBuf> = emptied.map(|(path, _)| path.to_owned()).collect();
        for path in emptied.difference(&self.empty) {
            tracing::warn!(
                "{} is empty: waiting for somebody to fill it; SIGHUP takes it as it is",
                path.display()
            );
        }
        self.empty = emptied;
        !self.empty.is_empty()
    }
}
