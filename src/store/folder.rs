//! A folder of this gate.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

use super::certificate::{StoredCertificate, file_name};
use crate::files;

/// Bytes of the largest file. A chain has some kilobytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Certificates of one name that are kept, the current one included.
const KEPT: u64 = 3;

/// The files of one CA in the folder. Nothing is touched before a call.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folder of the CA in it.
    folder: PathBuf,
}

impl Folder {
    /// The files of the CA with that name in the folder `path`.
    pub(super) fn new(path: &Path, ca: &str) -> Self {
        Self { path: path.to_owned(), folder: path.join(ca) }
    }

    /// Makes the folders and takes the lock. Only its holder may write.
    ///
    /// # Errors
    /// The folder cannot be written to, or another process holds the lock: `WouldBlock`.
    pub(super) fn lock(&self) -> io::Result<File> {
        make_folder(&self.path)?;
        let lock = files::hold(&self.path.join("lock"))?;
        self.prepare()?;
        Ok(lock)
    }

    /// Makes the folders of this CA. The lock is held, maybe for another CA.
    ///
    /// # Errors
    /// A folder cannot be made.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let folders = ["live", "archive", "attempts", "pending"];
        folders.into_iter().try_for_each(|folder| make_folder(&self.folder.join(folder)))
    }

    /// A file in the folder of the CA. `None` if it is not there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn read(&self, file: &str) -> io::Result<Option<Vec<u8>>> {
        absent_is_none(files::read(&self.folder.join(file), FILE_BYTES_MAX))
    }

    /// Writes a file in the folder of the CA. It is on the disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written. Then the old one is as it was.
    pub(super) fn write(&self, file: &str, bytes: &[u8]) -> io::Result<()> {
        files::replace_private(&self.folder.join(file), bytes)
    }

    /// Removes a file in the folder of the CA, if it is there.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(super) fn remove(&self, file: &str) -> io::Result<()> {
        absent_is_none(fs::remove_file(self.folder.join(file))).map(drop)
    }

    /// The folder with the certificate of a name that is served.
    pub(super) fn live(&self, name: &str) -> PathBuf {
        self.folder.join("live").join(file_name(name))
    }

    /// The certificate of a name that is served. `None` if there is none.
    ///
    /// # Errors
    /// The files cannot be read.
    pub(super) fn certificate(&self, name: &str) -> io::Result<Option<StoredCertificate>> {
        let live = self.live(name);
        let read = |file: &str| absent_is_none(files::read(&live.join(file), FILE_BYTES_MAX));
        let (Some(chain), Some(key)) = (read("fullchain.pem")?, read("privkey.pem")?) else {
            return Ok(None);
        };
        Ok(Some(StoredCertificate { chain, key }))
    }

    /// Keeps a certificate as the one of its name. The certificate and its key change as one.
    ///
    /// # Errors
    /// A file cannot be written. Then the certificate until now is still the one of the name.
    pub(super) fn keep_certificate(&self, name: &str, new: &StoredCertificate) -> io::Result<()> {
        let name = file_name(name);
        let archive = self.folder.join("archive").join(&name);
        make_folder(&archive)?;
        let numbers = numbers(&archive)?;
        let number = numbers.iter().max().map_or(1, |last| last + 1);
        let folder = archive.join(number.to_string());
        make_folder(&folder)?;
        files::replace_private(&folder.join("privkey.pem"), &new.key)?;
        files::replace_private(&folder.join("fullchain.pem"), &new.chain)?;
        files::sync_folder(&archive)?;
        let live = self.folder.join("live");
        let link = live.join(format!(".{name}.new"));
        absent_is_none(fs::remove_file(&link))?;
        symlink(Path::new("../archive").join(&name).join(number.to_string()), &link)?;
        fs::rename(&link, live.join(name))?;
        files::sync_folder(&live)?;
        for old in numbers.into_iter().filter(|old| old + KEPT <= number) {
            // An old one that stays does no harm.
            let _ = fs::remove_dir_all(archive.join(old.to_string()));
        }
        Ok(())
    }
}

/// The folders that have numbers for names.
fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    Ok(found)
}

/// Makes a folder and those above it. Only this user may enter them.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn certificate(text: &str) -> StoredCertificate {
        StoredCertificate { chain: text.into(), key: format!("{text} key").into() }
    }

    #[test]
    fn a_certificate_replaces_the_one_before_and_few_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Folder::new(&dir.path().join("deep/store"), "ca");
        assert!(store.certificate("a.test").unwrap().is_none());
        let _lock = store.lock().unwrap();
        for number in 1..=5 {
            store.keep_certificate("a.test", &certificate(&number.to_string())).unwrap();
            let found = store.certificate("a.test").unwrap().unwrap();
            assert_eq!((found.chain, found.key), (number.to_string().into(), format!("{number} key").into()));
        }
        let mut kept = numbers(&dir.path().join("deep/store/ca/archive/a.test")).unwrap();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 5]);
    }

    #[test]
    fn a_wildcard_has_no_star_in_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let store = Folder::new(dir.path(), "ca");
        let _lock = store.lock().unwrap();
        store.keep_certificate("*.a.test", &certificate("1")).unwrap();
        assert!(dir.path().join("ca/live/_wildcard.a.test/fullchain.pem").exists());
        assert_eq!(store.certificate("*.a.test").unwrap().unwrap().chain, b"1");
        assert!(store.certificate("a.test").unwrap().is_none());
    }

    #[test]
    fn only_this_user_may_read_and_one_process_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = Folder::new(&dir.path().join("store"), "ca");
        let _lock = store.lock().unwrap();
        store.write("account-key", b"secret").unwrap();
        let mode = |path: &str| dir.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("store"), mode("store/ca/account-key"), mode("store/lock")), (0o700, 0o600, 0o600));
        assert_eq!(store.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(_lock);
        let _lock = store.lock().unwrap();
        assert_eq!(store.read("account-key").unwrap().as_deref(), Some(&b"secret"[..]));
        store.remove("account-key").unwrap();
        store.remove("account-key").unwrap();
        assert_eq!(store.read("account-key").unwrap(), None);
    }

    #[test]
    fn a_write_that_fails_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let store = Folder::new(dir.path(), "ca");
        let _lock = store.lock().unwrap();
        store.write("attempts/a.json", b"old").unwrap();
        // A folder in the way of the new file.
        fs::create_dir(dir.path().join("ca/attempts/.a.json.new")).unwrap();
        assert!(store.write("attempts/a.json", b"new").is_err());
        assert_eq!(store.read("attempts/a.json").unwrap().as_deref(), Some(&b"old"[..]));
    }
}
