//! The files of certificates and keys, and which files of a folder belong together.

use std::io;
use std::path::{Path, PathBuf};

use super::problem::ProblemText;
use crate::config::plan::CertificateFiles;
use crate::files;

/// Bytes of the largest certificate or key file that is read. A chain has some kilobytes.
const FILE_BYTES_MAX: usize = 1024 * 1024;

/// The files of a certificate and of its key.
pub(super) type Pair = (PathBuf, PathBuf);

/// The names that certbot gives to the chain and the key of a certificate.
const CERTBOT_CHAIN: &str = "fullchain.pem";
const CERTBOT_KEY: &str = "privkey.pem";

/// The certificates at `path`: the file itself, or those in the folder. In a folder, each `.crt` or `.pem`
/// belongs to the `.key` of the same name. The `fullchain.pem` of certbot belongs to its `privkey.pem`, in
/// the folder or one folder further down. Blocks.
///
/// # Errors
/// The message and the hint if there is no certificate.
pub(super) fn pairs(path: &Path) -> Result<Vec<Pair>, ProblemText> {
    let shown = path.display();
    let cannot = |error: io::Error| (format!("{shown} cannot be read: {error}"), "");
    if !std::fs::metadata(path).map_err(cannot)?.is_dir() {
        return Ok(vec![(path.to_owned(), key_of(path))]);
    }
    let mut found = Vec::new();
    for entry in sorted(path).map_err(cannot)? {
        if entry.is_dir() {
            found.extend(certbot(&entry));
        } else if is_certificate(&entry) {
            found.push((entry.clone(), key_of(&entry)));
        }
    }
    found.extend(certbot(path));
    if found.is_empty() {
        let hint = "a certificate is a `.crt` or `.pem` with the `.key` of the same name beside it";
        return Err((format!("there is no certificate in the folder {shown}"), hint));
    }
    Ok(found)
}

/// Every file and folder on which the result of [`pairs`] depends. For a folder, these are the folder itself
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

/// Whether a file in a folder may hold a certificate or a key, by its name. Other files are not read.
pub fn may_count(file: &Path) -> bool {
    let is_hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extensions = ["crt", "pem", "key"];
    !is_hidden && extensions.iter().any(|one| file.extension().is_some_and(|extension| extension == *one))
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.retain(|entry| entry.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")));
    entries.sort();
    Ok(entries)
}

/// The two files that matter of the four in certbot's layout.
fn certbot(folder: &Path) -> Option<Pair> {
    let pair = (folder.join(CERTBOT_CHAIN), folder.join(CERTBOT_KEY));
    (pair.0.exists() || pair.1.exists()).then_some(pair)
}

/// A `.crt`, or a `.pem` that is none of certbot's.
fn is_certificate(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    let certbots = ["cert.pem", "chain.pem", CERTBOT_CHAIN, CERTBOT_KEY].iter().any(|one| name == *one)
        && file.with_file_name(CERTBOT_KEY).exists();
    !certbots && file.extension().is_some_and(|extension| extension == "crt" || extension == "pem")
}

/// The file of a certificate's key. If the certificate's file holds both, it is that file.
fn key_of(certificate: &Path) -> PathBuf {
    if certificate.file_name().is_some_and(|name| name == CERTBOT_CHAIN) {
        let key = certificate.with_file_name(CERTBOT_KEY);
        if key.exists() {
            return key;
        }
    }
    let key = certificate.with_extension("key");
    let both =
        || read(certificate).is_ok_and(|bytes| memchr::memmem::find(&bytes, b" PRIVATE KEY-----").is_some());
    if !key.exists() && both() { certificate.to_owned() } else { key }
}

/// The bytes of a file, or half a sentence about the error.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    files::read(path, FILE_BYTES_MAX).map_err(|error| format!("cannot be read: {error}"))
}
