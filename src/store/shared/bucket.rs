//! Records and certificates in a bucket.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::right::Right;
use super::values::{Changed, Expect, Version};
use crate::store::certificate::StoredCertificate;

/// The time for which a write is tried again while the server does not answer. An order waits for it.
const WRITE_TIME_MAX: Duration = Duration::from_secs(150);
/// The wait between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// The part of a bucket that belongs to one CA.
pub(in crate::store) struct Shared {
    right: Arc<Right>,
    /// The beginning of all keys, with a slash at its end.
    folder: String,
    /// The state of each record as this gate knows it, by key. Locked while it is read or written.
    known: Mutex<HashMap<String, Arc<Mutex<Known>>>>,
    /// Whether the values were sealed anew, or are at this time.
    is_resealed: AtomicBool,
}

/// The state of a record as this gate has read or written it last.
#[derive(Clone, Debug, Default)]
enum Known {
    #[default]
    Nothing,
    Absent,
    At(Version),
}

/// A certificate as one value.
#[derive(Deserialize, Serialize)]
struct Kept {
    chain: String,
    key: String,
}

impl Shared {
    /// Asks nothing yet.
    pub(in crate::store) fn new(right: &Arc<Right>, ca: &str) -> Self {
        Self {
            right: right.clone(),
            folder: format!("{ca}/"),
            known: Mutex::default(),
            is_resealed: AtomicBool::new(false),
        }
    }

    /// The part of the same CA, for reads that do not count for writes of this one.
    pub(in crate::store) fn apart(&self) -> Self {
        Self::new(&self.right, self.folder.trim_end_matches('/'))
    }

    /// Takes the right to order, and keeps it from then on. If a key was added before others, values are sealed with it.
    ///
    /// # Errors
    /// `WouldBlock` if another gate has it. `Unsupported` if the server cannot be shared.
    pub(in crate::store) fn lock(self: &Arc<Self>) -> Result<()> {
        self.right.take()?;
        if self.right.sealed.seal.has_several() && !self.is_resealed.swap(true, Relaxed) {
            let shared = self.clone();
            smol::unblock(move || shared.reseal()).detach();
        }
        Ok(())
    }

    /// Whether this gate may order now.
    pub(in crate::store) fn is_held(&self) -> bool {
        self.right.is_held()
    }

    /// Lets another gate order at once.
    pub(in crate::store) fn give_back(&self) {
        self.right.give_back();
    }

    /// Seals all values with the first key that another one has sealed, so that this one can be left out.
    fn reseal(&self) {
        let folder = self.folder.trim_end_matches('/');
        match self.reseal_all() {
            Ok(count) => tracing::info!(folder, count, "the first `key` of `store` has sealed everything"),
            Err(error) => {
                tracing::warn!(folder, "not everything is sealed with the first `key` of `store`: {error}");
                self.is_resealed.store(false, Relaxed);
            }
        }
    }

    /// Returns the number of values that another key had sealed. One that no key opens does not stop it.
    fn reseal_all(&self) -> Result<usize> {
        let (mut count, mut unknown) = (0, None);
        for (key, _) in self.right.sealed.values.list(&self.folder)? {
            match self.reseal_one(&key) {
                Ok(was_other) => count += usize::from(was_other),
                Err(error) if error.kind() == ErrorKind::InvalidData => unknown = Some(error),
                Err(error) => return Err(error),
            }
        }
        unknown.map_or(Ok(count), Err)
    }

    /// Seals a value anew, if another key has sealed it. Returns whether that was so.
    fn reseal_one(&self, key: &str) -> Result<bool> {
        let slot = self.slot(key);
        let mut known = locked(&slot);
        let Right { sealed, .. } = &*self.right;
        let Some((value, version)) = sealed.values.get(key)? else { return Ok(false) };
        let (value, is_first) = sealed.seal.open_any(key, &value)?;
        if is_first {
            return Ok(false);
        }
        if !self.is_held() {
            return Err(overtaken("another gate orders now"));
        }
        let written = sealed.put(key, &value, Expect::At(&version))?;
        let new =
            written.map_err(|Changed| overtaken(&format!("another gate has written {key} meanwhile")))?;
        if matches!(&*known, Known::At(before) if *before == version) {
            *known = Known::At(new);
        }
        Ok(true)
    }

    /// The time from a write until every other gate has read it.
    pub(in crate::store) fn spread(&self) -> Duration {
        self.right.time() / 3
    }

    /// The time between two looks at records of other gates.
    pub(in crate::store) fn interval(&self) -> Duration {
        self.right.time() / 6
    }

    /// A record. `None` if there is none.
    pub(in crate::store) fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let key = format!("{}{file}", self.folder);
        let slot = self.slot(&key);
        let mut known = locked(&slot);
        *known = Known::Nothing;
        let found = self.right.sealed.get(&key)?;
        *known = found.as_ref().map_or(Known::Absent, |(_, version)| Known::At(version.clone()));
        Ok(found.map(|(bytes, _)| bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// Writes a record over the one that this gate has read or written last. While the server does not answer, it is
    /// tried again. Empty bytes remove the record: few servers know conditions of removals.
    ///
    /// # Errors
    /// The record is another one, or another gate orders now, or the server is silent for [`WRITE_TIME_MAX`].
    pub(in crate::store) fn write(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let key = format!("{}{file}", self.folder);
        let slot = self.slot(&key);
        let mut known = locked(&slot);
        let sealed = self.right.sealed.seal.seal(&key, bytes)?;
        let until = Instant::now() + WRITE_TIME_MAX;
        loop {
            match self.try_write(&key, &sealed, &mut known) {
                Err(error) if is_transient(&error) && Instant::now() < until => sleep(AGAIN),
                result => return result,
            }
        }
    }

    /// Writes a record over whatever is there, although another gate may order. For records that say nothing of an order.
    pub(in crate::store) fn leave(&self, file: &str, bytes: &[u8]) -> Result<()> {
        let key = format!("{}{file}", self.folder);
        let there = self.right.sealed.values.get(&key)?;
        let found = there.as_ref().map_or(Expect::Absent, |(_, version)| Expect::At(version));
        let written = self.right.sealed.put(&key, bytes, found)?;
        written.map(drop).map_err(|Changed| overtaken(&format!("another gate has written {key} meanwhile")))
    }

    fn try_write(&self, key: &str, sealed: &[u8], known: &mut Known) -> Result<()> {
        if self.right.is_lost() {
            *known = Known::Nothing;
            return Err(overtaken("another gate orders now"));
        }
        if !self.is_held() {
            return Err(Error::other("the right to order was not renewed in time"));
        }
        if matches!(known, Known::Nothing) {
            *known = match self.right.sealed.get(key)? {
                None => Known::Absent,
                Some((_, version)) => Known::At(version),
            };
        }
        let found = match known {
            Known::At(version) => Expect::At(version),
            _ => Expect::Absent,
        };
        match self.right.sealed.values.put(key, sealed, found)? {
            Ok(version) => {
                *known = Known::At(version);
                Ok(())
            }
            // An earlier try may have been heard, and its answer lost.
            Err(Changed) => match self.right.sealed.values.get(key)? {
                Some((there, version)) if there == sealed => {
                    *known = Known::At(version);
                    Ok(())
                }
                _ => {
                    *known = Known::Nothing;
                    Err(overtaken(&format!("another gate has written {key} meanwhile")))
                }
            },
        }
    }

    /// The certificate in a record. `None` if there is none.
    pub(in crate::store) fn certificate(&self, file: &str) -> Result<Option<StoredCertificate>> {
        let Some(bytes) = self.read(file)? else { return Ok(None) };
        let broken = |_| Error::new(ErrorKind::InvalidData, format!("{file} in the store is broken"));
        let Kept { chain, key } = serde_json::from_slice(&bytes).map_err(broken)?;
        Ok(Some(StoredCertificate { chain: chain.into(), key: key.into() }))
    }

    /// Writes a certificate, as one value.
    pub(in crate::store) fn keep_certificate(&self, file: &str, new: &StoredCertificate) -> Result<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let kept = Kept { chain: text(&new.chain), key: text(&new.key) };
        self.write(file, &serde_json::to_vec(&kept).map_err(Error::other)?)
    }

    /// The records with this beginning, with a mark that changes with each write.
    pub(in crate::store) fn list(&self, folder: &str) -> Result<Vec<(String, String)>> {
        let prefix = format!("{}{folder}", self.folder);
        let found = self.right.sealed.values.list(&prefix)?;
        let own = |(key, version): (String, Version)| {
            Some((key.strip_prefix(&*prefix)?.to_owned(), version.0.to_string()))
        };
        Ok(found.into_iter().filter_map(own).collect())
    }

    fn slot(&self, key: &str) -> Arc<Mutex<Known>> {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.to_owned()).or_default().clone()
    }
}

fn locked(slot: &Mutex<Known>) -> MutexGuard<'_, Known> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a write that another gate has made vain.
fn overtaken(why: &str) -> Error {
    Error::new(ErrorKind::Interrupted, why)
}

/// Whether the next try may go better.
fn is_transient(error: &Error) -> bool {
    use ErrorKind::{Interrupted, InvalidData, NotFound, PermissionDenied, Unsupported};
    !matches!(error.kind(), Interrupted | InvalidData | NotFound | PermissionDenied | Unsupported)
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
