//! The parts that outlive a change of the configuration: what is said of the names, and what operators want.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use smol::channel::Sender;

use super::attempts::Attempt;
use super::events::Events;
use crate::metrics::{Counters, NameState};
use crate::tls::Issued;

/// The state of one name, as a person wants to know it.
#[derive(Clone, Debug)]
pub struct View {
    /// The name.
    pub name: Arc<str>,
    /// Its state.
    pub state: NameState,
    /// The end of the certificate's life, in seconds since 1970.
    pub until: Option<i64>,
    /// The next attempt, in seconds since 1970.
    pub next: Option<u64>,
    /// The reason of the last failure.
    pub error: Option<String>,
    /// The CA of the certificate, or of the next order.
    pub ca: Option<String>,
    /// The last attempts, oldest first.
    pub history: Vec<Attempt>,
}

/// The wish of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// A new certificate, now.
    Renew,
    /// The revocation of the certificate, and a new one.
    Revoke,
}

impl Ask {
    /// All, with their words in the store.
    const ALL: [(&'static str, Self); 2] = [("renew", Self::Renew), ("revoke", Self::Revoke)];

    /// The word in the store.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Renew => Self::ALL[0].0,
            Self::Revoke => Self::ALL[1].0,
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(word, _)| word.as_bytes() == bytes).map(|(_, ask)| *ask)
    }
}

/// The parts that outlive a change of the configuration.
pub(super) struct Shared {
    pub(super) issued: Arc<Issued>,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Events,
    /// Called after another certificate is served.
    pub(super) changed: Box<dyn Fn() + Send + Sync>,
    pub(super) views: Mutex<BTreeMap<Arc<str>, View>>,
    /// The channel to the task of each name.
    pub(super) wishes: Mutex<HashMap<Arc<str>, Sender<Ask>>>,
}

impl Shared {
    /// Changes what is said of a name. A name that is gone stays gone.
    pub(super) fn tell(&self, view: View) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = views.get_mut(&view.name) {
            *known = view;
        }
        self.count(&views);
    }

    /// Changes the end of the certificate that is said of a name.
    pub(super) fn tell_until(&self, name: &Arc<str>, until: i64) {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get_mut(name) {
            (view.until, view.state) = (Some(until), NameState::Valid);
        }
        self.count(&views);
    }

    pub(super) fn count(&self, views: &BTreeMap<Arc<str>, View>) {
        self.counters.set_ordered_names(views.values().map(|view| (&view.name, view.state, view.next)));
    }

    /// Tells the task of a name what an operator wants. Returns whether there is one.
    pub(super) fn ask(&self, name: &str, wish: Ask) -> bool {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        // A full channel is fine: a wish is known already.
        wishes.get(name).map(|task| task.try_send(wish)).is_some()
    }
}
