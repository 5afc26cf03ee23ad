//! Events of a name's certificate: told in the log, and to a program of the operator.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;
use smol::channel::{Receiver, Sender, TrySendError, bounded};

use super::program::Run;
use crate::config::plan::EventProgram;
use crate::log::clock::Utc;

/// Events that wait for the program. Further ones are in the log alone.
const WAITING_MAX: usize = 256;

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventKind {
    /// The first certificate is served.
    Issued,
    /// Another certificate is served.
    Renewed,
    /// An attempt has failed.
    Failed,
    /// An attempt has failed at a limit of the CA.
    RateLimited,
    /// No order is made, because it would be in vain.
    Held,
    /// An operator has revoked the certificate.
    Revoked,
}

impl EventKind {
    fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Renewed => "renewed",
            Self::Failed => "failed",
            Self::RateLimited => "rate_limited",
            Self::Held => "held",
            Self::Revoked => "revoked",
        }
    }
}

/// An event, as the program reads it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    pub(super) event: &'static str,
    pub(super) name: String,
    /// The name of the CA.
    pub(super) ca: Option<String>,
    /// The end of the certificate, in seconds since 1970.
    pub(super) until: Option<i64>,
    /// The next attempt, in seconds since 1970.
    pub(super) next: Option<u64>,
    pub(super) reason: Option<String>,
    /// The folder with the certificate and its key.
    pub(super) folder: Option<PathBuf>,
}

impl Event {
    pub(super) fn new(kind: EventKind, name: &str) -> Self {
        let (ca, until, next, reason, folder) = (None, None, None, None, None);
        Self { event: kind.word(), name: name.to_string(), ca, until, next, reason, folder }
    }

    /// Tells the log.
    fn log(&self) {
        let Self { event, name, ca, until, next, reason, folder: _ } = self;
        let ca = ca.as_deref();
        let utc = |seconds| Utc::from(UNIX_EPOCH + Duration::from_secs(seconds));
        let next = next.map(utc).map(tracing::field::display);
        let until = until.and_then(|until| u64::try_from(until).ok()).map(utc).map(tracing::field::display);
        match reason {
            None => tracing::info!(%name, until, ca, "certificate {event}"),
            Some(reason) if *event == EventKind::Held.word() => tracing::warn!(%name, next, ca, "{reason}"),
            Some(reason) => tracing::warn!(%name, next, ca, "no certificate: {reason}"),
        }
    }

    /// The same as variables of a program.
    fn variables(&self) -> Vec<(&'static str, String)> {
        let Self { event, name, ca, until, next, reason, folder } = self;
        let mut all = vec![("ACME_EVENT", (*event).to_owned()), ("ACME_NAME", name.clone())];
        let texts = [
            ("ACME_CA", ca.clone()),
            ("ACME_UNTIL", until.map(|until| until.to_string())),
            ("ACME_NEXT", next.map(|next| next.to_string())),
            ("ACME_REASON", reason.clone()),
            ("ACME_FOLDER", folder.as_ref().map(|folder| folder.display().to_string())),
        ];
        all.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text?))));
        all
    }
}

/// Tells events.
pub(super) struct Events(Sender<(EventProgram, Event)>);

impl Events {
    /// The receiver is that of [`run`].
    pub(super) fn new() -> (Self, Receiver<(EventProgram, Event)>) {
        let (sender, receiver) = bounded(WAITING_MAX);
        (Self(sender), receiver)
    }

    /// Tells the log, and the program if there is one. It never waits.
    pub(super) fn tell(&self, program: Option<&EventProgram>, event: Event) {
        event.log();
        let Some(program) = program else { return };
        if let Err(TrySendError::Full((_, event))) = self.0.try_send((program.clone(), event)) {
            tracing::warn!(
                name = %event.name,
                "the program of `on_event` is too slow: {WAITING_MAX} events wait, and this one is not told to it"
            );
        }
    }
}

/// Runs the programs, one after the other, in the order of the events.
pub(super) async fn run(events: Receiver<(EventProgram, Event)>) {
    while let Ok((program, event)) = events.recv().await {
        let variables = event.variables();
        // An event has nothing that is no JSON.
        let input = serde_json::to_vec(&event).unwrap_or_default();
        let EventProgram { command, environment } = &program;
        let run = Run { command, arguments: Vec::new(), environment, variables, input };
        if let Err(why) = run.run().await {
            tracing::warn!(name = %event.name, event = event.event, "`on_event`: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_never_wait_for_a_program_and_few_of_them_do() {
        let (events, told) = Events::new();
        let program = EventProgram { command: vec!["true".into()], environment: Vec::new() };
        let event = || Event::new(EventKind::Issued, "a.test");
        for _ in 0..2 * WAITING_MAX {
            events.tell(Some(&program), event());
        }
        events.tell(None, event());
        assert_eq!(told.len(), WAITING_MAX);
    }
}
