//! The certificates of one listener: read from files when a generation is built, found by name when a client
//! connects.
//!
//! A certificate that cannot be used becomes a [`Problem`] with the place where it was written. In its place,
//! the one that was served before goes on. A certificate counts for its own names (subjectAltName), not for
//! the name of its file.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};

use super::files::{self, Found, read, read_key};
use super::layout::Pair;
use super::problem::{Problem, ProblemText, of_pem};
use super::x509::{self, CertificateInfo};
use crate::config::plan::{CertificateFiles, CertificateSource, ClientAuth, ListenerTls, Origin};
use crate::log::clock::Utc;

/// The end of a message about a certificate if an earlier one is served in its place.
const KEPT_NOTE: &str = "; the certificate that was served before is kept";

/// One certificate that can be served.
#[derive(Clone)]
pub(in crate::tls) struct Entry {
    pub(in crate::tls) key: Arc<CertifiedKey>,
    pub(super) info: CertificateInfo,
    /// The requirements for clients that ask for its names.
    pub(in crate::tls) client_auth: Option<Arc<ClientAuth>>,
    origin: Origin,
    /// The files that the configuration names for it. `file` is its own file.
    source: CertificateFiles,
    file: PathBuf,
    expired: bool,
    /// Whether its file can no longer be used, and this is the earlier content.
    served_instead: bool,
}

/// All certificates of a listener, by name.
pub(in crate::tls) struct Certificates {
    entries: Vec<Entry>,
    /// Indices of the certificates for each name, those first that are not expired.
    exact: HashMap<Box<str>, Vec<usize>>,
    /// Indices of the certificates for `*.example.com`, with the key `example.com`.
    wildcard: HashMap<Box<str>, Vec<usize>>,
    /// The certificate for names that no certificate has.
    default: Vec<usize>,
}

impl Certificates {
    /// Reads all certificates. If one cannot be used, the one from the same place in `before`, the
    /// certificates until now, is kept. Blocks.
    pub(in crate::tls) fn load(
        tls: &ListenerTls,
        provider: &CryptoProvider,
        before: Option<&Certificates>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let before = before.map_or(&[][..], |before| &before.entries);
        let (entries, failed) = (Vec::new(), Vec::new());
        let mut load = Load { provider, now: unix_now(), before, entries, failed, problems };
        // The folder of ordered certificates is made when it is needed.
        load.sources(tls.certificates.iter().filter(|source| !files::is_empty_store(tls, source)));
        let named = load.entries.len();
        load.warn_of_nameless();
        if let Some(source) = &tls.default_certificate {
            load.sources(std::iter::once(source));
            if load.entries.len() > named + 1 {
                let message = "this holds several certificates, and only one can be the default".to_owned();
                let hint = "name one: a `.crt` or `.pem` file, or `{ cert: ..., key: ... }`";
                load.problems.push(Problem::error(&source.origin, message, hint));
                load.entries.truncate(named + 1);
            }
        }
        let Load { entries, failed, .. } = load;
        let default = if entries.len() > named { vec![named] } else { Vec::new() };
        let mut all = Self { entries, exact: HashMap::new(), wildcard: HashMap::new(), default };
        all.index(named, &failed);
        all
    }

    /// Assigns each name its certificates. The `client_auth` of the first one written counts for a name, so
    /// that a second certificate cannot bypass it.
    ///
    /// `failed` has the `client_auth` of each certificate that could not be read. Their names are unknown. So
    /// a wildcard or default certificate is used only if it has the same `client_auth`. Otherwise a file that
    /// cannot be read would open a protected name to all clients.
    fn index(&mut self, named: usize, failed: &[Arc<ClientAuth>]) {
        let (exact, wildcard) = (&mut self.exact, &mut self.wildcard);
        let entries = &self.entries;
        let as_strict =
            |entry: &Entry| failed.iter().all(|client_auth| entry.client_auth.as_ref() == Some(client_auth));
        for (index, entry) in entries[..named].iter().enumerate() {
            for name in &entry.info.names {
                let list = match name.strip_prefix("*.") {
                    Some(_) if !as_strict(entry) => continue,
                    Some(suffix) => wildcard.entry(suffix.into()).or_default(),
                    None => exact.entry(name.as_str().into()).or_default(),
                };
                if list.first().is_none_or(|first: &usize| entries[*first].client_auth == entry.client_auth) {
                    list.push(index);
                }
            }
        }
        for list in exact.values_mut().chain(wildcard.values_mut()) {
            list.sort_by_key(|index| entries[*index].expired);
        }
        self.default.retain(|index| as_strict(&entries[*index]));
    }

    /// The certificates for a name in lower case, best first; the default if no certificate has the name.
    pub(in crate::tls) fn find(&self, name: Option<&[u8]>) -> &[usize] {
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        name.and_then(|name| self.find_named(name)).unwrap_or(&self.default)
    }

    /// The certificates with the name itself, else those with a wildcard for its first label.
    pub(in crate::tls) fn find_named(&self, name: &str) -> Option<&[usize]> {
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(wildcard).map(Vec::as_slice)
    }

    /// The names of all certificates, with `label` in the place of a star.
    pub(in crate::tls) fn names(&self, label: &str) -> impl Iterator<Item = String> {
        let of_wildcards = self.wildcard.keys().map(move |suffix| format!("{label}.{suffix}"));
        self.exact.keys().map(ToString::to_string).chain(of_wildcards)
    }

    pub(in crate::tls) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// The certificate chains, in the order in which they were read.
    pub(in crate::tls) fn chains(&self) -> impl Iterator<Item = &[CertificateDer<'static>]> {
        self.entries.iter().map(|entry| &*entry.key.cert)
    }

    /// The number of certificates that are served in place of their files' present content.
    pub(in crate::tls) fn served_instead(&self) -> usize {
        self.entries.iter().filter(|entry| entry.served_instead).count()
    }

    /// The names of the certificates that `others` does not have.
    pub(in crate::tls) fn names_not_in(&self, others: &Certificates) -> Vec<String> {
        let others: HashSet<&[CertificateDer<'static>]> = others.chains().collect();
        let is_new = |entry: &&Entry| !others.contains(&*entry.key.cert);
        self.entries.iter().filter(is_new).map(Entry::name).collect()
    }

    /// Each certificate's first name, or its file, and when it expires, in seconds since 1970.
    pub(in crate::tls) fn expiries(&self) -> impl Iterator<Item = (String, i64)> {
        self.entries.iter().map(|entry| (entry.name(), entry.info.not_after))
    }
}

impl Entry {
    /// Its first name, else its first address, else its file.
    fn name(&self) -> String {
        let name = self.info.names.first().cloned();
        let address = || self.info.addresses.first().map(ToString::to_string);
        name.or_else(address).unwrap_or_else(|| self.file.display().to_string())
    }
}

/// The state of a load.
struct Load<'a> {
    provider: &'a CryptoProvider,
    now: i64,
    /// The certificates until now.
    before: &'a [Entry],
    entries: Vec<Entry>,
    /// The `client_auth` of each certificate that could not be read.
    failed: Vec<Arc<ClientAuth>>,
    problems: &'a mut Vec<Problem>,
}

impl Load<'_> {
    /// Reads the certificates of sources, those further down in folders last. No pair of files is read twice
    /// for a folder.
    fn sources<'s>(&mut self, sources: impl Iterator<Item = &'s CertificateSource>) {
        let (mut folders, mut seen) = (Vec::new(), Vec::new());
        for source in sources {
            let found = match &source.files {
                CertificateFiles::Pair { cert, key } => Ok(Found::one(cert.clone(), key.clone())),
                CertificateFiles::Path(path) => files::find(path),
            };
            let Found { pairs, deeper, closed, .. } = match found {
                Ok(found) => found,
                Err(told) => {
                    self.fail(source, told, |_| true);
                    continue;
                }
            };
            seen.extend(pairs.iter().map(files::places));
            let barriers = self.pairs(source, &pairs, &closed, &[]);
            folders.push((source, deeper, barriers));
        }
        for (source, mut deeper, told) in folders {
            deeper.retain(|pair| {
                let places = files::places(pair);
                let is_new = !seen.contains(&places);
                seen.push(places);
                is_new
            });
            self.pairs(source, &deeper, &[], &told);
        }
    }

    /// Reads pairs. All files and folders that this process may not read make one error, if they are not in
    /// `told`. Returns them.
    fn pairs(
        &mut self,
        source: &CertificateSource,
        pairs: &[Pair],
        closed: &[PathBuf],
        told: &[PathBuf],
    ) -> Vec<PathBuf> {
        let (mut barriers, mut lost) = (closed.to_vec(), Vec::new());
        for (cert, key) in pairs {
            match files::barrier(cert).or_else(|| files::barrier(key)) {
                None => self.pair(source, cert, key),
                Some(barrier) => {
                    lost.push(cert);
                    barriers.push(barrier);
                }
            }
        }
        barriers.sort();
        barriers.dedup();
        if !barriers.is_empty() {
            let meant = |before: &Entry| {
                lost.contains(&&before.file) || closed.iter().any(|folder| before.file.starts_with(folder))
            };
            let is_told = barriers.iter().all(|barrier| told.contains(barrier));
            let already = self.problems.len();
            self.fail(source, files::closed(&barriers), meant);
            self.problems.truncate(if is_told { already } else { already + 1 });
        }
        barriers
    }

    fn warn_of_nameless(&mut self) {
        for entry in self.entries.iter().filter(|entry| entry.info.names.is_empty()) {
            let message = format!("the certificate {} has no DNS name in it", entry.file.display());
            let hint =
                "no client can ask for it; issue it with a subjectAltName, or make it `default_certificate`";
            let (origin, hint) = (entry.origin.clone(), hint.into());
            self.problems.push(Problem { origin, is_warning: true, message, hint });
        }
    }

    /// Keeps the earlier certificates of a source that are `meant`. Returns whether there are any. They get
    /// the source's present `client_auth`.
    fn keep(&mut self, source: &CertificateSource, meant: impl Fn(&Entry) -> bool) -> bool {
        let already = self.entries.len();
        for entry in self.before.iter().filter(|entry| entry.source == source.files && meant(entry)) {
            // The default and a certificate for names may come from one file.
            if self.entries[already..].iter().any(|kept| kept.file == entry.file) {
                continue;
            }
            self.entries.push(Entry {
                client_auth: source.client_auth.clone(),
                origin: source.origin.clone(),
                expired: entry.info.not_after < self.now,
                served_instead: true,
                ..entry.clone()
            });
        }
        self.entries.len() > already
    }

    fn fail(&mut self, source: &CertificateSource, told: ProblemText, meant: impl Fn(&Entry) -> bool) {
        let (mut message, hint) = told;
        if self.keep(source, meant) {
            message.push_str(KEPT_NOTE);
        }
        self.problems.push(Problem::error(&source.origin, message, hint));
        self.failed.extend(source.client_auth.clone());
    }

    fn pair(&mut self, source: &CertificateSource, cert: &Path, key: &Path) {
        let (entry, wrong) = match self.read(source, cert, key) {
            Ok(read) => read,
            Err(told) => return self.fail(source, told, |before| before.file == cert),
        };
        let Some((mut message, hint)) = wrong else { return self.entries.push(entry) };
        let now = self.now;
        // Without a valid earlier certificate, serve this one: its client sees what is wrong.
        if self.keep(source, |before| before.file == cert && before.info.are_valid_at(now)) {
            message.push_str(KEPT_NOTE);
        } else {
            self.entries.push(entry);
        }
        self.problems.push(Problem::error(&source.origin, message, hint));
    }

    /// Reads a certificate, and finds what is wrong with its validity.
    fn read(
        &self,
        source: &CertificateSource,
        cert: &Path,
        key: &Path,
    ) -> Result<(Entry, Option<ProblemText>), ProblemText> {
        let certified = certified_key(cert, key, &source.files, self.provider)?;
        let info = certified.cert.first().and_then(|own| x509::read(own));
        let info = info.ok_or_else(|| (format!("{} is not an X.509 certificate", cert.display()), ""))?;
        let shown = cert.display();
        let expired = info.not_after < self.now;
        let wrong = if expired {
            let message = format!("the certificate {shown} expired on {}", date(info.not_after));
            Some((message, "renew it, then reload"))
        } else if info.not_before > self.now {
            let message = format!("the certificate {shown} is not valid before {}", date(info.not_before));
            Some((message, "is the clock of this machine right?"))
        } else {
            None
        };
        let entry = Entry {
            key: Arc::new(certified),
            info,
            client_auth: source.client_auth.clone(),
            origin: source.origin.clone(),
            source: source.files.clone(),
            file: cert.to_owned(),
            expired,
            served_instead: false,
        };
        Ok((entry, wrong))
    }
}

/// Reads a pair, which `written` names.
fn certified_key(
    cert: &Path,
    key: &Path,
    written: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ProblemText> {
    let (shown, shown_key) = (cert.display(), key.display());
    let text = read(cert).map_err(|why| (format!("the certificate {shown} {why}"), ""))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| (format!("the certificate {shown} cannot be read: {}", of_pem(&error)), ""))?;
    if chain.is_empty() {
        let hint = "a certificate in PEM begins with `-----BEGIN CERTIFICATE-----`";
        return Err((format!("there is no PEM certificate in {shown}"), hint));
    }
    let text = read_key(key, written)?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            (format!("there is no PEM private key in {shown_key}"), "an encrypted key cannot be used")
        }
        // The message must not quote the file, which may hold secrets.
        _ => (format!("the key {shown_key} cannot be read: it is not valid PEM"), ""),
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            let hint = "the certificate was issued for another key";
            (format!("the key {shown_key} does not belong to the certificate {shown}"), hint)
        }
        error => (format!("the certificate {shown} cannot be used with the key {shown_key}: {error}"), ""),
    })
}

/// The authorities in a PEM file and their certificates, or half a sentence about the error.
pub(in crate::tls) fn authorities(
    path: &Path,
) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    let text = read(path)?;
    let (mut roots, mut all) = (RootCertStore::empty(), Vec::new());
    for authority in CertificateDer::pem_slice_iter(&text) {
        let added = authority.map_err(|error| of_pem(&error));
        added
            .and_then(|authority| {
                all.push(authority.clone());
                roots.add(authority).map_err(|error| error.to_string())
            })
            .map_err(|why| format!("cannot be used: {why}"))?;
    }
    if roots.is_empty() { Err("holds no PEM certificate".into()) } else { Ok((roots, all)) }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn date(seconds: i64) -> String {
    Utc::from(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())).to_string()
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
