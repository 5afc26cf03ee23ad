//! The files of certificates and keys: those in a folder, their content, and what keeps this process from them.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::layout::{Layout, Pair, is_searched, key_beside, sorted};
use super::problem::ProblemText;
use super::x509;
use crate::config::plan::{CertificateFiles, CertificateSource, ListenerTls};
use crate::files;

/// Bytes of the largest certificate or key file that is read. A chain has some kilobytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// Folders in a folder that are searched. Caddy has one for each authority, and in it one for each name.
const FOLDERS_DEEP: usize = 2;

/// Folders further down, and how many of them, in which an error looks for the folder to name.
const HINT_DEEP: usize = 5;
const HINT_FOLDERS_MAX: usize = 500;

/// Symbolic links that are followed for one path. Linux follows as many.
const LINKS_MAX: usize = 40;

/// The certificates at a path.
#[derive(Default)]
pub(super) struct Found {
    /// Those of the folder itself, and those of certbot one folder further down.
    pub(super) pairs: Vec<Pair>,
    /// All others further down. They come after those of all sources, so that the `client_auth` of a source
    /// that names such a folder itself counts.
    pub(super) deeper: Vec<Pair>,
    /// Folders that this process may not read.
    pub(super) closed: Vec<PathBuf>,
    /// Files with a certificate and without a key, of which no error is made.
    alone: Vec<PathBuf>,
}

/// The certificates at `path`: the file itself, or those in the folder and in the folders in it. Blocks.
///
/// # Errors
/// The message and the hint if there is no certificate.
pub(super) fn find(path: &Path) -> Result<Found, ProblemText> {
    let shown = path.display();
    let cannot = |error: io::Error| match barrier(path) {
        Some(barrier) => closed(&[barrier]),
        None => (format!("{shown} {}", why(&error)), hint_of(&error)),
    };
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(Found::one(path.to_owned(), key_of(path)));
    }
    let mut found = Found::default();
    search(path, 0, &mut found).map_err(cannot)?;
    if !found.pairs.is_empty() || !found.deeper.is_empty() || !found.closed.is_empty() {
        return Ok(found);
    }
    if let Some(file) = found.alone.first() {
        let hint = "put its key beside it, or write `{ cert: ..., key: ... }`";
        let file = file.display();
        return Err((
            format!("there is no certificate with a key in the folder {shown}: {file} has none"),
            hint,
        ));
    }
    if let Some(deeper) = deeper(path) {
        let message = format!("there is no certificate in the folder {shown}, but in {}", deeper.display());
        return Err((message, "name that folder"));
    }
    let hint = "a certificate is a `.crt` or `.pem` with the `.key` of the same name beside it";
    Err((format!("there is no certificate in the folder {shown}"), hint))
}

/// Whether a source is the folder of ordered certificates, and has no other certificate in it. Blocks.
pub(super) fn is_empty_store(tls: &ListenerTls, source: &CertificateSource) -> bool {
    match (&source.files, &tls.ordered) {
        (CertificateFiles::Path(path), Some(ordered)) => {
            Some(&**path) == ordered.store.as_deref() && barrier(path).is_none() && find(path).is_err()
        }
        _ => false,
    }
}

impl Found {
    pub(super) fn one(cert: PathBuf, key: PathBuf) -> Self {
        Self { pairs: vec![(cert, key)], ..Self::default() }
    }
}

fn search(folder: &Path, depth: usize, found: &mut Found) -> io::Result<()> {
    let (folders, files): (Vec<_>, Vec<_>) = sorted(folder)?.into_iter().partition(|entry| entry.is_dir());
    let Layout { mut pairs, alone } = Layout::of(&files);
    for file in alone {
        match judge(&file) {
            Alone::HasKey | Alone::IsClosed => pairs.push((file.clone(), file)),
            Alone::IsWrong if depth == 0 => pairs.push((file.clone(), file.with_extension("key"))),
            Alone::IsWrong | Alone::IsAuthority => found.alone.push(file),
            Alone::IsOther => {}
        }
    }
    pairs.sort();
    let is_certbots = |(cert, key): &Pair| cert.ends_with("fullchain.pem") && key.ends_with("privkey.pem");
    let is_direct = |pair: &Pair| depth == 0 || depth == 1 && is_certbots(pair);
    let (direct, deeper): (Vec<_>, Vec<_>) = pairs.into_iter().partition(is_direct);
    found.pairs.extend(direct);
    found.deeper.extend(deeper);
    for inner in folders.iter().filter(|inner| depth < FOLDERS_DEEP && is_searched(inner)) {
        if search(inner, depth + 1, found).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            found.closed.push(inner.clone());
        }
    }
    Ok(())
}

/// A file without a key beside it.
enum Alone {
    /// It holds its key as well.
    HasKey,
    /// The certificate of a server, or no PEM at all.
    IsWrong,
    /// This process may not read it.
    IsClosed,
    /// The certificate of an authority, or one without a name.
    IsAuthority,
    /// Other PEM, such as parameters for DH, or an empty file.
    IsOther,
}

fn judge(file: &Path) -> Alone {
    let Ok(bytes) = files::read(file, FILE_BYTES_MAX) else {
        return if barrier(file).is_some() { Alone::IsClosed } else { Alone::IsWrong };
    };
    let holds = |text: &str| memchr::memmem::find(&bytes, text.as_bytes()).is_some();
    if !holds("-----BEGIN CERTIFICATE-----") {
        let is_other = holds("-----BEGIN ") || bytes.trim_ascii().is_empty();
        return if is_other { Alone::IsOther } else { Alone::IsWrong };
    }
    if holds(" PRIVATE KEY-----") {
        return Alone::HasKey;
    }
    let first = CertificateDer::pem_slice_iter(&bytes).next();
    match first.and_then(Result::ok).and_then(|der| x509::read(&der)) {
        Some(info) if info.is_authority || info.names.is_empty() && info.addresses.is_empty() => {
            Alone::IsAuthority
        }
        _ => Alone::IsWrong,
    }
}

/// A folder further down that [`find`] would find certificates in.
fn deeper(path: &Path) -> Option<PathBuf> {
    let mut level = vec![path.to_owned()];
    for depth in 0..=HINT_DEEP {
        for folder in &level {
            let files = sorted(folder).unwrap_or_default();
            if depth > FOLDERS_DEEP && !Layout::of(&files).pairs.is_empty() {
                return folder.ancestors().nth(FOLDERS_DEEP).map(Path::to_owned);
            }
        }
        let inner = level.iter().flat_map(|folder| sorted(folder).unwrap_or_default());
        level = inner.filter(|entry| entry.is_dir() && is_searched(entry)).take(HINT_FOLDERS_MAX).collect();
    }
    None
}

/// Every file and folder on which the result of [`find`] depends. For a folder, these are the folder itself
/// and the folders in it. Blocks.
pub fn files_of(files: &CertificateFiles) -> Vec<PathBuf> {
    let path = match files {
        CertificateFiles::Pair { cert, key } => return vec![cert.clone(), key.clone()],
        CertificateFiles::Path(path) => path,
    };
    if !path.is_dir() {
        return vec![path.clone(), key_of(path)];
    }
    let inside = sorted(path).unwrap_or_default();
    std::iter::once(path.clone()).chain(inside.into_iter().filter(|entry| entry.is_dir())).collect()
}

/// The places of a certificate and its key without symbolic links. Two pairs may lead to the same files.
pub(super) fn places((cert, key): &Pair) -> Pair {
    let place = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    (place(cert), place(key))
}

/// The file of a certificate's key. If the certificate's file holds both, it is that file.
fn key_of(certificate: &Path) -> PathBuf {
    key_beside(certificate).unwrap_or_else(|| match judge(certificate) {
        Alone::HasKey | Alone::IsClosed => certificate.to_owned(),
        _ => certificate.with_extension("key"),
    })
}

/// The folder that this process may not search, if that keeps it from reading `path`, or `path` itself. Blocks.
pub(super) fn barrier(path: &Path) -> Option<PathBuf> {
    let is_closed = |path: &Path, how| access(path, how) == Err(Errno::ACCESS);
    if !is_closed(path, Access::READ_OK) {
        return None;
    }
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        let folders: Vec<&Path> = at.ancestors().skip(1).filter(|one| !one.as_os_str().is_empty()).collect();
        if let Some(folder) = folders.into_iter().rev().find(|folder| is_closed(folder, Access::EXEC_OK)) {
            let is_plain = path.starts_with(folder);
            let place = || folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            return Some(if is_plain { folder.to_owned() } else { place() });
        }
        match std::fs::read_link(&at) {
            Ok(target) => at = at.with_file_name("").join(target),
            Err(_) => break,
        }
    }
    Some(path.to_owned())
}

/// The message and the hint about files and folders that this process may not read.
pub(super) fn closed(barriers: &[PathBuf]) -> ProblemText {
    const SHOWN: usize = 3;
    let shown: Vec<String> = barriers.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
    let more = match barriers.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let error = io::Error::from(Errno::ACCESS);
    (format!("{}{more} {}", shown.join(", "), why(&error)), hint_of(&error))
}

/// The bytes of a file, or half a sentence about the error.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, FILE_BYTES_MAX).map_err(|error| why(&error))
}

/// The bytes of a key of the certificate that `written` names.
pub(super) fn read_key(key: &Path, written: &CertificateFiles) -> Result<Vec<u8>, ProblemText> {
    read(key).map_err(|why| {
        let hint = match written {
            _ if key.symlink_metadata().is_ok() => "",
            CertificateFiles::Pair { .. } => "put it there, or name another file as `key`",
            CertificateFiles::Path(_) => "put it there, or name its place: `{ cert: ..., key: ... }`",
        };
        (format!("the key {} {why}", key.display()), hint)
    })
}

fn why(error: &io::Error) -> String {
    if error.kind() != ErrorKind::PermissionDenied {
        return format!("cannot be read: {error}");
    }
    let user = rustix::process::geteuid().as_raw();
    format!("cannot be read by user {user} (the image runs as user 65532): {error}")
}

fn hint_of(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "let this user read the files and search their folders",
        ErrorKind::IsADirectory => "this is a folder: name a file in it",
        ErrorKind::NotFound => {
            "make it, or name another path: in `certificates`, or for labels in SMOLGATE_ACME_DIR"
        }
        _ => "",
    }
}
