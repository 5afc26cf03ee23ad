//! Certificates in the store, whichever CA has issued them.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::attempts::Record;
use super::context::{Context, record_file};
use crate::config::plan::{CertificateAuthority, Orders};
use crate::log::clock::Utc;
use crate::metrics::Counters;
use crate::store::{Store, StoredCertificate};
use crate::tls::{Issued, life};

/// The newest certificate of a name that can be served, with the index of its CA. Blocks.
pub(super) fn newest(
    contexts: &Arc<[Arc<Context>]>,
    name: &str,
    now: i64,
) -> Option<(usize, StoredCertificate)> {
    let stores = contexts.iter().map(|context| &context.store);
    newest_of(stores, name, now).0
}

/// As [`newest`], in the folders of a configuration. Returns the reasons why others are not used, too. Blocks.
pub(super) fn newest_of<'s>(
    stores: impl Iterator<Item = &'s Store>,
    name: &str,
    now: i64,
) -> (Option<(usize, StoredCertificate)>, Vec<String>) {
    let (mut found, mut refused, mut start) = (None, Vec::new(), i64::MIN);
    for (index, store) in stores.enumerate() {
        let kept = match store.certificate(name) {
            Ok(Some(kept)) => kept,
            Ok(None) => continue,
            Err(error) => {
                refused.push(format!("it cannot be read: {error}"));
                continue;
            }
        };
        let begins = life(&kept.chain).map_or(i64::MIN, |life| life.not_before);
        // One that is not valid yet was issued, so the clock is wrong.
        match Issued::check(name, &kept.chain, &kept.key, now.max(begins)) {
            Ok(_) if begins > start || found.is_none() => {
                start = begins;
                found = Some((index, kept));
            }
            Ok(_) => {}
            Err(why) => refused.push(why),
        }
    }
    (found, refused)
}

/// The stores of the CAs of a configuration.
pub(super) fn stores(orders: &Orders, counters: Option<&Arc<Counters>>) -> Vec<Store> {
    Store::all(&orders.store, orders.cas.iter().map(CertificateAuthority::folder), counters)
}

/// The state of a name in the store, as half a sentence. Blocks.
pub fn state_of(orders: &Orders, name: &str) -> String {
    let now = super::context::now();
    let stores = stores(orders, None);
    if let (Some((index, kept)), _) = newest_of(stores.iter(), name, now.cast_signed()) {
        let until = life(&kept.chain).map_or(0, |life| life.not_after);
        return format!("valid until {} ({})", utc(until), orders.cas[index].name());
    }
    let records = stores.iter().filter_map(|store| store.read(&record_file(name)).transpose());
    let read: Result<Vec<Vec<u8>>, std::io::Error> = records.collect();
    let Ok(read) = read else { return "the store cannot be read from here".to_owned() };
    let records = read.iter().map(|bytes| Record::read(Some(bytes), now));
    let Some(record) = records.max_by_key(|record| record.not_before) else {
        return "not ordered yet".to_owned();
    };
    let next = utc(record.not_before.cast_signed());
    let reason = record.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("not there yet; the next attempt is not before {next}{reason}")
}

/// A time, in seconds since 1970.
fn utc(seconds: i64) -> Utc {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    Utc::from(UNIX_EPOCH + since)
}
