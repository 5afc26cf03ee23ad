//! The store of one CA, whatever its place is.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use super::certificate::{StoredCertificate, file_name};
use super::folder::Folder;
use super::shared::Shared;
use crate::config::plan::StorePlace;

/// The folder of the certificates that are served.
const LIVE: &str = "live";
/// The folder of the answers to challenges that other gates give too.
const CHALLENGES: &str = "challenges";

/// The records and certificates of one CA. Nothing is touched before a call. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    place: Place,
    shown: Arc<str>,
}

#[derive(Clone)]
enum Place {
    Folder(Folder),
    Shared(Arc<Shared>),
}

/// The right to write. That of a folder ends when dropped, or with the process.
pub struct Lock(#[expect(dead_code, reason = "the right ends when it is dropped")] Option<File>);

impl Store {
    /// The records of the CA with that name at a place.
    pub fn new(place: &StorePlace, ca: &str) -> Self {
        let shown = place.to_string().into();
        let place = match place {
            StorePlace::Folder(path) => Place::Folder(Folder::new(path, ca)),
            StorePlace::Bucket(bucket) => Place::Shared(Arc::new(Shared::new(bucket, ca))),
        };
        Self { place, shown }
    }

    /// Takes the right to write. Only its holder may.
    ///
    /// # Errors
    /// The store cannot be written to, or another gate holds the right: `WouldBlock`.
    pub fn lock(&self) -> io::Result<Lock> {
        let held = match &self.place {
            Place::Folder(folder) => Some(folder.lock()?),
            Place::Shared(shared) => {
                shared.lock()?;
                None
            }
        };
        Ok(Lock(held))
    }

    /// Prepares for writes, with the lock that the store of another CA at this place has given.
    ///
    /// # Errors
    /// As [`Store::lock`].
    pub fn prepare(&self, _: &Lock) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.prepare(),
            Place::Shared(shared) => shared.lock(),
        }
    }

    /// Whether this gate may write now.
    pub fn may_write(&self, _: &Lock) -> bool {
        match &self.place {
            Place::Folder(_) => true,
            Place::Shared(shared) => shared.is_held(),
        }
    }

    /// A record. `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        match &self.place {
            Place::Folder(folder) => folder.read(file),
            Place::Shared(shared) => shared.read(file),
        }
    }

    /// Writes a record. It is kept when this returns. In a store that gates share, it replaces the one that this gate has
    /// read or written last, and no other.
    ///
    /// # Errors
    /// It cannot be written. Then the old one is as it was.
    pub fn write(&self, _: &Lock, file: &str, bytes: &[u8]) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.write(file, bytes),
            Place::Shared(shared) => shared.write(file, bytes),
        }
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, _: &Lock, file: &str) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.remove(file),
            Place::Shared(shared) => shared.write(file, b""),
        }
    }

    /// The certificate of a name that is served. `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self, name: &str) -> io::Result<Option<StoredCertificate>> {
        match &self.place {
            Place::Folder(folder) => folder.certificate(name),
            Place::Shared(shared) => shared.certificate(&format!("{LIVE}/{}", file_name(name))),
        }
    }

    /// Keeps a certificate as the one of its name. The certificate and its key change as one.
    ///
    /// # Errors
    /// It cannot be written. Then the certificate until now is still the one of the name.
    pub fn keep_certificate(&self, _: &Lock, name: &str, new: &StoredCertificate) -> io::Result<()> {
        match &self.place {
            Place::Folder(folder) => folder.keep_certificate(name, new),
            Place::Shared(shared) => shared.keep_certificate(&format!("{LIVE}/{}", file_name(name)), new),
        }
    }

    /// The time between two looks at the work of other gates, and the time from a write until all of them have seen it.
    /// `None` if no other gate reads the store.
    pub fn others(&self) -> Option<(Duration, Duration)> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Shared(shared) => Some((shared.interval(), shared.spread())),
        }
    }

    /// The names of files of all certificates, each with a mark that changes with it. None in a folder.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn certificates(&self) -> io::Result<Vec<(String, String)>> {
        self.list(LIVE)
    }

    /// The names of files of all challenges, each with a mark that changes with it. None in a folder.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn challenges(&self) -> io::Result<Vec<(String, String)>> {
        self.list(CHALLENGES)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, String)>> {
        match &self.place {
            Place::Folder(_) => Ok(Vec::new()),
            Place::Shared(shared) => shared.list(&format!("{folder}/")),
        }
    }

    /// Lets another gate write at once. Blocks.
    pub fn give_back(&self) {
        if let Place::Shared(shared) = &self.place {
            shared.give_back();
        }
    }

    /// An error of a call here as a sentence.
    pub fn explain(&self, error: &io::Error) -> String {
        let shown = &self.shown;
        let user = rustix::process::getuid().as_raw();
        match (&self.place, error.kind()) {
            (Place::Folder(_), ErrorKind::WouldBlock) => {
                format!("another gate orders with the folder {shown}")
            }
            (Place::Folder(_), _) => format!(
                "{shown} cannot be used by user {user} ({error}): nothing is ordered, because it could not be kept"
            ),
            (Place::Shared(_), ErrorKind::WouldBlock) => {
                format!("another gate orders with the store {shown}: {error}")
            }
            (Place::Shared(_), _) => {
                format!("{shown} cannot be used: {error}. Nothing is ordered, because it could not be kept")
            }
        }
    }
}

/// The record of the challenge for a name that is open now.
pub fn challenge_file(name: &str) -> String {
    format!("{CHALLENGES}/{}", file_name(name))
}
