//! Other gates that share the store: their certificates are served here, and their challenges are answered here.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use smol::Timer;

use super::answer::SharedAnswer;
use super::wishes::{self, Listed};
use crate::acme::context::{Context, now};
use crate::acme::failure::Failure;
use crate::store::{Store, StoredCertificate, challenge_file, file_name};
use crate::tls::Issued;

/// Records that are read at once.
const READS_MAX: usize = 16;

/// The records of other gates as they were seen last, by name, each with its mark.
#[derive(Default)]
struct Seen {
    certificates: HashMap<Arc<str>, String>,
    challenges: HashMap<Arc<str>, (String, Option<SharedAnswer>)>,
    /// Wishes that were taken.
    wishes: HashMap<Arc<str>, String>,
}

/// Follows the work of other gates. It ends at once if there are none.
pub(in crate::acme) async fn follow(context: Arc<Context>) {
    // The reads of this task do not count as those of an order.
    let store = context.store.apart();
    let Some((interval, _)) = store.others() else { return };
    let (mut seen, mut is_silent) = (Seen::default(), false);
    loop {
        let looked = look(&context, &store, &mut seen).await;
        match &looked {
            Err(error) if !is_silent => tracing::warn!("{}", store.explain(error)),
            Ok(()) if is_silent => tracing::info!("the store can be used again"),
            _ => {}
        }
        is_silent = looked.is_err();
        Timer::after(interval.mul_f64(jitter())).await;
    }
}

/// Looks at the challenges first, because an authority may ask for them soon.
async fn look(context: &Context, store: &Store, seen: &mut Seen) -> io::Result<()> {
    let names: HashMap<String, Arc<str>> = {
        let views = context.shared.views.lock().unwrap_or_else(PoisonError::into_inner);
        views.keys().map(|name| (file_name(name), name.clone())).collect()
    };
    let own = |listed: Vec<(String, String)>| {
        let known = listed.into_iter().filter_map(|(file, mark)| Some((names.get(&file)?.clone(), mark)));
        known.collect::<Listed>()
    };
    if context.is_first() {
        let reader = store.clone();
        let left = own(smol::unblock(move || reader.wishes()).await?);
        wishes::take(context, left, &mut seen.wishes).await;
    }
    // The gate that orders has opened its challenges itself.
    let (reader, orders_now) = (store.clone(), context.orders_now().await);
    context.shared.counters.set_orders_here(orders_now);
    let open = match orders_now {
        true => HashMap::new(),
        false => own(smol::unblock(move || reader.challenges()).await?),
    };
    look_at_challenges(context, store, &mut seen.challenges, &open).await?;
    let reader = store.clone();
    let mut kept = own(smol::unblock(move || reader.certificates()).await?);
    kept.retain(|name, mark| seen.certificates.get(name) != Some(mark));
    let read = |store: &Store, name: &str| store.certificate(name);
    read_all(store, kept, read, |name, mark, found| {
        if let Some(found) = found {
            serve(context, &name, &found);
        }
        seen.certificates.insert(name, mark);
    })
    .await
}

/// Ends the answers to challenges that are over, and gives those to new ones.
async fn look_at_challenges(
    context: &Context,
    store: &Store,
    seen: &mut HashMap<Arc<str>, (String, Option<SharedAnswer>)>,
    open: &Listed,
) -> io::Result<()> {
    let issued = &context.shared.issued;
    seen.retain(|name, (mark, answer)| {
        let stays = open.get(name) == Some(mark);
        answer.iter().filter(|_| !stays).for_each(|answer| answer.close(issued, name));
        stays
    });
    let new = open.iter().filter(|(name, _)| !seen.contains_key(*name));
    let new = new.map(|(name, mark)| (name.clone(), mark.clone())).collect();
    let read = |store: &Store, name: &str| store.read(&challenge_file(name));
    read_all(store, new, read, |name, mark, bytes| {
        let answer: Option<SharedAnswer> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        answer.iter().for_each(|answer| answer.open(issued, &name));
        seen.insert(name, (mark, answer));
    })
    .await
}

/// Reads records, some at once.
async fn read_all<T: Send + 'static>(
    store: &Store,
    wanted: Listed,
    read: fn(&Store, &str) -> io::Result<Option<T>>,
    mut take: impl FnMut(Arc<str>, String, Option<T>),
) -> io::Result<()> {
    let wanted: Vec<_> = wanted.into_iter().collect();
    for some in wanted.chunks(READS_MAX) {
        let start = |(name, mark): &(Arc<str>, String)| {
            let (store, wanted) = (store.clone(), name.clone());
            (name.clone(), mark.clone(), smol::unblock(move || read(&store, &wanted)))
        };
        // A read begins before it is awaited.
        let reads: Vec<_> = some.iter().map(start).collect();
        for (name, mark, reading) in reads {
            take(name, mark, reading.await?);
        }
    }
    Ok(())
}

/// Serves the certificate that another gate has got for a name meanwhile. Returns whether there was one, so that none has
/// to be ordered.
pub(in crate::acme) async fn adopt(
    context: &Context,
    store: &Store,
    name: &Arc<str>,
) -> Result<bool, Failure> {
    if store.others().is_none() {
        return Ok(false);
    }
    let (reader, wanted) = (store.clone(), name.clone());
    let found = smol::unblock(move || reader.certificate(&wanted)).await;
    let found = found.map_err(|error| context.cannot_use(&error))?;
    Ok(found.is_some_and(|found| serve(context, name, &found)))
}

/// Serves a certificate if it is another one than is served, and lives longer.
fn serve(context: &Context, name: &Arc<str>, found: &StoredCertificate) -> bool {
    let (issued, time) = (&context.shared.issued, now().cast_signed());
    let validity = match Issued::check(name, &found.chain, &found.key, time) {
        Ok(validity) => validity,
        Err(why) => {
            tracing::warn!(%name, "the certificate in the store is not used: {why}");
            return false;
        }
    };
    let is_later = issued.validity(name).is_none_or(|served| served.not_after < validity.not_after);
    if !is_later || issued.serve(name, &found.chain, &found.key, time).is_err() {
        return false;
    }
    tracing::info!(%name, "serving a certificate that another gate has got");
    context.shared.tell_until(name, validity.not_after);
    (context.shared.changed)();
    true
}

/// From 0.8 to 1, so that gates do not ask at one moment.
fn jitter() -> f64 {
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let part = Duration::from_millis(u64::from(nanos.subsec_micros() % 1000));
    0.8 + part.as_secs_f64() / 5.0
}
