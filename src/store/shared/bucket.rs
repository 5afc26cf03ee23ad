//! Records and certificates in a bucket.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use serde::{Deserialize, Serialize};
use smol::{Task, Timer};

use super::lease::Lease;
use super::probe::probe;
use super::s3::S3;
use super::seal::Seal;
use super::sealed::Sealed;
use super::values::{Changed, Expect, Values, Version};
use crate::config::plan::Bucket;
use crate::files;
use crate::store::certificate::StoredCertificate;

/// The time for which a write is tried again while the server does not answer. An order waits for it.
const WRITE_TIME_MAX: Duration = Duration::from_secs(150);
/// The wait between two tries.
const AGAIN: Duration = Duration::from_millis(500);

/// The part of a bucket that belongs to one CA.
pub(in crate::store) struct Shared {
    sealed: Sealed,
    lease: Lease,
    /// The beginning of all keys, with a slash at its end.
    folder: String,
    is_probed: OnceLock<()>,
    /// The state of each record as this gate knows it, by key. Locked while it is read or written.
    known: Mutex<HashMap<String, Arc<Mutex<Known>>>>,
    renewal: OnceLock<Task<()>>,
    /// Whether the last renewal has failed.
    is_silent: AtomicBool,
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
    pub(in crate::store) fn new(bucket: &Arc<Bucket>, ca: &str) -> Self {
        Self::with(Box::new(S3::new(bucket)), bucket, ca)
    }

    fn with(values: Box<dyn Values>, bucket: &Bucket, ca: &str) -> Self {
        // A configuration has valid keys only.
        let seal = Seal::new(&bucket.keys).unwrap_or_else(Seal::none);
        let lease = Lease::new(format!("{ca}/lease"), own_name(), bucket.lease);
        Self {
            sealed: Sealed { values, seal },
            lease,
            folder: format!("{ca}/"),
            is_probed: OnceLock::new(),
            known: Mutex::default(),
            renewal: OnceLock::new(),
            is_silent: AtomicBool::new(false),
        }
    }

    /// Takes the lease, and renews it from then on.
    ///
    /// # Errors
    /// `WouldBlock` if another gate holds it. `Unsupported` if the server cannot be shared.
    pub(in crate::store) fn lock(self: &Arc<Self>) -> Result<()> {
        if self.is_probed.get().is_none() {
            probe(&*self.sealed.values, &format!("{}probe/{}", self.folder, random()))?;
            let _ = self.is_probed.set(());
        }
        if !self.lease.step(&self.sealed, Instant::now)? {
            let holder = self.lease.holder().unwrap_or_else(|| "another gate".to_owned());
            return Err(Error::new(ErrorKind::WouldBlock, holder));
        }
        self.renewal.get_or_init(|| {
            let (lease, weak) = (self.lease.time(), Arc::downgrade(self));
            smol::spawn(async move {
                loop {
                    Timer::after(lease / 3).await;
                    let Some(shared) = weak.upgrade() else { return };
                    smol::unblock(move || shared.renew()).await;
                }
            })
        });
        Ok(())
    }

    /// Renews the lease, if this gate holds it.
    fn renew(&self) {
        if self.lease.is_lost() {
            return;
        }
        match self.lease.step(&self.sealed, Instant::now) {
            Ok(is_held) => {
                self.is_silent.store(false, Relaxed);
                if !is_held {
                    tracing::warn!("another gate orders certificates from now on");
                }
            }
            Err(error) if self.is_silent.swap(true, Relaxed) => {
                tracing::debug!("the lease is not renewed: {error}")
            }
            Err(error) => tracing::warn!("the right to order certificates is not renewed: {error}"),
        }
    }

    /// Whether this gate may order now.
    pub(in crate::store) fn is_held(&self) -> bool {
        self.lease.is_held(Instant::now())
    }

    /// Lets another gate order at once.
    pub(in crate::store) fn give_back(&self) {
        if let Err(error) = self.lease.give_back(&self.sealed) {
            tracing::debug!("the right to order certificates was not given back: {error}");
        }
    }

    /// The time from a write until every other gate has read it.
    pub(in crate::store) fn spread(&self) -> Duration {
        self.lease.time() / 3
    }

    /// The time between two looks at records of other gates.
    pub(in crate::store) fn interval(&self) -> Duration {
        self.lease.time() / 6
    }

    /// A record. `None` if there is none.
    pub(in crate::store) fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let key = format!("{}{file}", self.folder);
        let slot = self.slot(&key);
        let mut known = locked(&slot);
        *known = Known::Nothing;
        let found = self.sealed.get(&key)?;
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
        let sealed = self.sealed.seal.seal(&key, bytes)?;
        let until = Instant::now() + WRITE_TIME_MAX;
        loop {
            match self.try_write(&key, &sealed, &mut known) {
                Err(error) if is_transient(&error) && Instant::now() < until => sleep(AGAIN),
                result => return result,
            }
        }
    }

    fn try_write(&self, key: &str, sealed: &[u8], known: &mut Known) -> Result<()> {
        if self.lease.is_lost() {
            *known = Known::Nothing;
            return Err(overtaken("another gate orders now"));
        }
        if !self.is_held() {
            return Err(Error::other("the right to order was not renewed in time"));
        }
        if matches!(known, Known::Nothing) {
            *known = match self.sealed.get(key)? {
                None => Known::Absent,
                Some((_, version)) => Known::At(version),
            };
        }
        let found = match known {
            Known::At(version) => Expect::At(version),
            _ => Expect::Absent,
        };
        match self.sealed.values.put(key, sealed, found)? {
            Ok(version) => {
                *known = Known::At(version);
                Ok(())
            }
            // An earlier try may have been heard, and its answer lost.
            Err(Changed) => match self.sealed.values.get(key)? {
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
        let found = self.sealed.values.list(&prefix)?;
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

/// The name of this gate: that of its machine, and random digits.
fn own_name() -> String {
    let host = files::read_text(Path::new("/proc/sys/kernel/hostname"), 256).unwrap_or_default();
    format!("{}-{}", if host.trim().is_empty() { "gate" } else { host.trim() }, random())
}

/// Eight random digits.
fn random() -> String {
    let mut bytes = [0; 4];
    // Without randomness, no request could be signed either.
    let _ = rand::fill(&mut bytes);
    format!("{:08x}", u32::from_be_bytes(bytes))
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
