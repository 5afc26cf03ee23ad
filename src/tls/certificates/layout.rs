//! Which files of a folder are certificates, and where their keys are: the names that tools give them.
//!
//! | tool | chain | key |
//! |---|---|---|
//! | lego, Caddy, Kubernetes, nginx-proxy | `NAME.crt` | `NAME.key` |
//! | certbot | `fullchain.pem` | `privkey.pem` |
//! | acme.sh | `fullchain.cer` | the folder's only `.key` |
//! | mkcert | `NAME.pem` | `NAME-key.pem` |
//! | mailcow | `cert.pem` | `key.pem` |
//! | autocert | `NAME` | in the same file |

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// The files of a certificate and of its key.
pub(super) type Pair = (PathBuf, PathBuf);

/// A file that only autocert has in its folder.
const AUTOCERT_ACCOUNT: &str = "acme_account+key";

/// Folders of certificates that are no longer in use: of certbot, lego and mailcow. The last is where a file
/// system keeps its own.
const LEFT_OUT: [&str; 5] = ["archive", "archives", "backup", "backups", "lost+found"];

/// The certificates of one folder.
pub(super) struct Layout {
    pub(super) pairs: Vec<Pair>,
    /// Files that may hold a certificate, without a key beside them. Some hold their key as well.
    pub(super) alone: Vec<PathBuf>,
}

impl Layout {
    /// Finds certificates and keys by the names of the files in a folder.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let is_of_autocert = files.iter().any(|file| is_named(file, AUTOCERT_ACCOUNT));
        let mut pairs: Vec<Pair> = full_chain(files).into_iter().collect();
        let chain_key = pairs.first().map(|(_, key)| key.clone());
        let mut alone = Vec::new();
        for file in files.iter().filter(|file| is_certificate(file) || is_of_autocert && is_autocert(file)) {
            // The chain has this certificate too. Alone, it lacks its issuer.
            let is_part = ["cert", "chain", "fullchain"].iter().any(|one| stem(file) == *one);
            match key_beside(file) {
                _ if chain_key.is_some() && is_part => {}
                key if key.is_some() && key == chain_key => {}
                Some(key) => pairs.push((file.clone(), key)),
                None => alone.push(file.clone()),
            }
        }
        alone.retain(|file| pairs.iter().all(|(_, key)| key != file));
        Self { pairs, alone }
    }
}

/// The entries of a folder without hidden ones. Kubernetes has the files of a secret in a hidden folder too.
pub(super) fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.retain(|entry| entry.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")));
    entries.sort();
    Ok(entries)
}

/// Whether a folder may hold certificates that are in use, by its name.
pub(super) fn is_searched(folder: &Path) -> bool {
    !LEFT_OUT.iter().any(|name| is_named(folder, name))
}

/// Whether a file in a folder may hold a certificate or a key, by its name. Other files are not read. Blocks.
pub fn may_count(file: &Path) -> bool {
    let is_hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && (is_certificate(file)
            || has_extension(file, "key")
            || is_autocert(file) && is_there(&file.with_file_name(AUTOCERT_ACCOUNT)))
}

/// The file of a certificate's key, by the names beside it. Blocks.
pub(super) fn key_beside(certificate: &Path) -> Option<PathBuf> {
    let stem = stem(certificate);
    let beside = |name: &str| certificate.with_file_name(name);
    let own = [certificate.with_extension("key"), {
        let mut name = stem.to_owned();
        name.push("-key.pem");
        certificate.with_file_name(name)
    }];
    let by_role = [beside("privkey.pem"), beside("key.pem")];
    let has_role = stem == "cert" || stem == "fullchain";
    let mut candidates = by_role.into_iter().filter(|_| has_role).chain(own);
    let key = candidates.find(|key| key != certificate && is_there(key));
    key.or_else(|| if stem == "fullchain" { only_key(certificate.parent()?) } else { None })
}

fn only_key(folder: &Path) -> Option<PathBuf> {
    let mut keys = sorted(folder).ok()?.into_iter().filter(|file| has_extension(file, "key"));
    keys.next().filter(|_| keys.next().is_none())
}

/// The `fullchain` of a folder and its key. If one is missing, the error is about certbot's name for it.
fn full_chain(files: &[PathBuf]) -> Option<Pair> {
    let chain = files.iter().find(|file| stem(file) == "fullchain" && is_certificate(file));
    match chain {
        Some(chain) => {
            Some((chain.clone(), key_beside(chain).unwrap_or_else(|| chain.with_file_name("privkey.pem"))))
        }
        None => {
            let key = files.iter().find(|file| is_named(file, "privkey.pem"))?;
            Some((key.with_file_name("fullchain.pem"), key.clone()))
        }
    }
}

fn is_certificate(file: &Path) -> bool {
    ["crt", "pem", "cer"].iter().any(|one| has_extension(file, one))
}

/// Whether autocert gives such a name to a certificate. After `+` it has the kind of key, or the file is a token.
fn is_autocert(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.strip_suffix("+rsa").unwrap_or(&name).bytes().all(|byte| byte != b'+')
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|own| own == extension)
}

fn is_named(file: &Path, name: &str) -> bool {
    file.file_name().is_some_and(|own| own == name)
}

fn stem(file: &Path) -> &OsStr {
    file.file_stem().unwrap_or_default()
}

/// Whether a file has this name, even if it cannot be read or is a symbolic link that leads nowhere.
fn is_there(file: &Path) -> bool {
    file.symlink_metadata().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_may_matter_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        let counts = |name: &str| may_count(&dir.path().join(name));
        for name in ["a.crt", "a.cer", "a.pem", "a.key", "a-key.pem"] {
            assert!(counts(name), "{name}");
        }
        for name in ["a.json", "a.test", "backup.tar", ".a.crt", "..data"] {
            assert!(!counts(name), "{name}");
        }
        std::fs::write(dir.path().join(AUTOCERT_ACCOUNT), "").unwrap();
        assert!(counts("a.test") && counts("a.test+rsa") && !counts("a.test+token"));
    }
}
