//! A server in memory, for tests, and the ways in which one fails.

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::sync::{Arc, Mutex};

use super::values::{Changed, Expect, Values, Version};

/// Values by key, each with its version. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    values: BTreeMap<String, (Vec<u8>, Version)>,
    writes: u64,
    /// No request is answered.
    is_silent: bool,
    /// The next write is done, and its answer is lost.
    loses_answer: bool,
    ignores: Option<Ignored>,
}

/// A condition that is ignored.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ignored {
    Absence,
    Versions,
}

impl Memory {
    pub(super) fn silence(&self, is_silent: bool) {
        self.0.lock().unwrap().is_silent = is_silent;
    }

    pub(super) fn lose_answer(&self) {
        self.0.lock().unwrap().loses_answer = true;
    }

    pub(super) fn ignore(&self, ignored: Ignored) {
        self.0.lock().unwrap().ignores = Some(ignored);
    }

    pub(super) fn writes(&self) -> u64 {
        self.0.lock().unwrap().writes
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().values.keys().cloned().collect()
    }
}

impl State {
    fn answer(&self) -> Result<()> {
        if self.is_silent { Err(Error::other("no answer")) } else { Ok(()) }
    }
}

impl Values for Memory {
    fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>> {
        let state = self.0.lock().unwrap();
        state.answer()?;
        Ok(state.values.get(key).cloned())
    }

    fn put(
        &self,
        key: &str,
        value: &[u8],
        found: Expect<'_>,
    ) -> Result<std::result::Result<Version, Changed>> {
        let mut state = self.0.lock().unwrap();
        state.answer()?;
        let fits = match (found, state.values.get(key)) {
            (Expect::Absent, there) => there.is_none() || state.ignores == Some(Ignored::Absence),
            (Expect::At(version), there) => {
                there.is_some_and(|(_, own)| own == version) || state.ignores == Some(Ignored::Versions)
            }
        };
        if !fits {
            return Ok(Err(Changed));
        }
        state.writes += 1;
        let version = Version(state.writes.to_string().into());
        state.values.insert(key.to_owned(), (value.to_vec(), version.clone()));
        if std::mem::take(&mut state.loses_answer) {
            return Err(Error::other("the answer was lost"));
        }
        Ok(Ok(version))
    }

    fn delete(&self, key: &str) -> Result<()> {
        let mut state = self.0.lock().unwrap();
        state.answer()?;
        state.values.remove(key);
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, Version)>> {
        let state = self.0.lock().unwrap();
        state.answer()?;
        let all = state.values.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(all.map(|(key, (_, version))| (key.clone(), version.clone())).collect())
    }
}
