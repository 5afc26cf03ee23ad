//! The store of one CA, whatever its place is.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::certificate::{StoredCertificate, file_name};
use super::folder::Folder;
use super::shared::{Right, Shared};
use crate::config::plan::StorePlace;
use crate::metrics::{Counters, StoreOperation};

/// The folder of the certificates that are served.
const LIVE: &str = "live";
/// The folder of the answers to challenges that other gates give too.
const CHALLENGES: &str = "challenges";
/// The folder of the wishes of operators that another gate has got.
const WISHES: &str = "wishes";

/// The records and certificates of one CA. Nothing is touched before a call. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    place: Place,
    shown: Arc<str>,
    counters: Option<Arc<Counters>>,
}

#[derive(Clone)]
enum Place {
    Folder(Folder),
    Shared(Arc<Shared>),
}

/// The right to write. That of a folder ends when dropped, or with the process.
pub struct Lock(#[expect(dead_code, reason = "the right ends when it is dropped")] Option<File>);

impl Store {
    /// The records at a place of each CA, by the name of its folder. The right to write is one for all of them. `counters`
    /// count the errors.
    pub fn all(
        place: &StorePlace,
        cas: impl Iterator<Item = String>,
        counters: Option<&Arc<Counters>>,
    ) -> Vec<Self> {
        let shown: Arc<str> = place.to_string().into();
        let of_ca: Box<dyn Fn(&str) -> Place> = match place {
            StorePlace::Folder(path) => Box::new(|ca| Place::Folder(Folder::new(path, ca))),
            StorePlace::Bucket(bucket) => {
                let right = Right::new(bucket);
                Box::new(move |ca| Place::Shared(Arc::new(Shared::new(&right, ca))))
            }
        };
        let store =
            |ca: String| Self { place: of_ca(&ca), shown: shown.clone(), counters: counters.cloned() };
        cas.map(store).collect()
    }

    /// The same records. Reads of it do not count for writes of this one: see [`Store::write`].
    pub fn apart(&self) -> Self {
        let place = match &self.place {
            Place::Folder(folder) => Place::Folder(folder.clone()),
            Place::Shared(shared) => Place::Shared(Arc::new(shared.apart())),
        };
        Self { place, ..self.clone() }
    }

    /// Takes the right to write. Only its holder may.
    ///
    /// # Errors
    /// The store cannot be written to, or another gate holds the right: `WouldBlock`.
    pub fn lock(&self) -> io::Result<Lock> {
        let held = match &self.place {
            Place::Folder(folder) => folder.lock().map(Some),
            Place::Shared(shared) => shared.lock().map(|()| None),
        };
        self.counted(StoreOperation::Lock, held).map(Lock)
    }

    /// Prepares for writes, with the lock that the store of another CA at this place has given.
    ///
    /// # Errors
    /// As [`Store::lock`].
    pub fn prepare(&self, _: &Lock) -> io::Result<()> {
        let done = match &self.place {
            Place::Folder(folder) => folder.prepare(),
            Place::Shared(shared) => shared.lock(),
        };
        self.counted(StoreOperation::Lock, done)
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
        let done = match &self.place {
            Place::Folder(folder) => folder.read(file),
            Place::Shared(shared) => shared.read(file),
        };
        self.counted(StoreOperation::Read, done)
    }

    /// Writes a record. It is kept when this returns. In a store that gates share, it replaces the one that this gate has
    /// read or written last, and no other.
    ///
    /// # Errors
    /// It cannot be written. Then the old one is as it was.
    pub fn write(&self, _: &Lock, file: &str, bytes: &[u8]) -> io::Result<()> {
        let done = match &self.place {
            Place::Folder(folder) => folder.write(file, bytes),
            Place::Shared(shared) => shared.write(file, bytes),
        };
        self.counted(StoreOperation::Write, done)
    }

    /// Removes a record, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, _: &Lock, file: &str) -> io::Result<()> {
        let done = match &self.place {
            Place::Folder(folder) => folder.remove(file),
            Place::Shared(shared) => shared.write(file, b""),
        };
        self.counted(StoreOperation::Write, done)
    }

    /// Leaves a wish for the gate that orders. It replaces an older one for the name, and needs no right to write.
    ///
    /// # Errors
    /// It cannot be written. No other gate reads a folder.
    pub fn leave_wish(&self, name: &str, wish: &[u8]) -> io::Result<()> {
        let done = match &self.place {
            Place::Folder(_) => Err(ErrorKind::Unsupported.into()),
            Place::Shared(shared) => shared.leave(&wish_file(name), wish),
        };
        self.counted(StoreOperation::Write, done)
    }

    /// The certificate of a name that is served. `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn certificate(&self, name: &str) -> io::Result<Option<StoredCertificate>> {
        let done = match &self.place {
            Place::Folder(folder) => folder.certificate(name),
            Place::Shared(shared) => shared.certificate(&format!("{LIVE}/{}", file_name(name))),
        };
        self.counted(StoreOperation::Read, done)
    }

    /// Keeps a certificate as the one of its name. The certificate and its key change as one.
    ///
    /// # Errors
    /// It cannot be written. Then the certificate until now is still the one of the name.
    pub fn keep_certificate(&self, _: &Lock, name: &str, new: &StoredCertificate) -> io::Result<()> {
        let done = match &self.place {
            Place::Folder(folder) => folder.keep_certificate(name, new),
            Place::Shared(shared) => shared.keep_certificate(&format!("{LIVE}/{}", file_name(name)), new),
        };
        self.counted(StoreOperation::Write, done)
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

    /// The names of files of all wishes, each with a mark that changes with it. None in a folder.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn wishes(&self) -> io::Result<Vec<(String, String)>> {
        self.list(WISHES)
    }

    fn list(&self, folder: &str) -> io::Result<Vec<(String, String)>> {
        let done = match &self.place {
            Place::Folder(_) => Ok(Vec::new()),
            Place::Shared(shared) => shared.list(&format!("{folder}/")),
        };
        self.counted(StoreOperation::Read, done)
    }

    /// Counts an error, unless another gate has the right to write.
    fn counted<T>(&self, operation: StoreOperation, done: io::Result<T>) -> io::Result<T> {
        let is_error =
            |error: &io::Error| !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted);
        if let Some(counters) = self.counters.as_ref().filter(|_| done.as_ref().is_err_and(is_error)) {
            counters.store_error(operation);
        }
        done
    }

    /// The folder with the certificate of a name that is served. `None` in a bucket.
    pub fn live(&self, name: &str) -> Option<PathBuf> {
        match &self.place {
            Place::Folder(folder) => Some(folder.live(name)),
            Place::Shared(_) => None,
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

/// The wish of an operator for a name.
pub fn wish_file(name: &str) -> String {
    format!("{WISHES}/{}", file_name(name))
}
