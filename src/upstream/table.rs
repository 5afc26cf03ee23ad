//! The upstreams of one generation, prepared by the control plane for all workers.

use std::collections::HashMap;
use std::sync::Arc;

use super::endpoint_set::EndpointSet;
use super::names::NameCache;
use crate::config::plan::{Origin, Plan, Upstream, UpstreamId, UpstreamTls};
use crate::tls::Connector;

/// The upstreams of one generation, ready to be used by any worker.
pub struct UpstreamTable {
    entries: Vec<Entry>,
}

/// One upstream with its connector and its endpoints.
pub(super) struct Entry {
    /// For `https://` and `h2://` targets.
    pub(super) connector: Option<Connector>,
    pub(super) set: Arc<EndpointSet>,
}

/// The reason why an upstream cannot be used, and its place in the configuration.
#[derive(Debug)]
pub struct UpstreamError {
    /// The upstream's place in the configuration.
    pub origin: Origin,
    /// The upstream's name and the fault.
    pub message: String,
}

impl UpstreamTable {
    /// Reads certificate authorities and registers names, without resolving them. Endpoints that are in `before`, the
    /// table that is used until now, keep their states. Blocks.
    ///
    /// # Errors
    /// One error for each upstream whose TLS setup fails or with a host that is no valid server name.
    pub fn new(plan: &Plan, names: &NameCache, before: Option<&Self>) -> Result<Self, Vec<UpstreamError>> {
        let old = by_name(before);
        let mut connectors = Connectors::default();
        let (mut entries, mut errors) = (Vec::with_capacity(plan.upstreams.len()), Vec::new());
        for upstream in &plan.upstreams {
            let named = old.get(&*upstream.name).copied();
            // The name of an upstream in place may be that of another one after a reload.
            let same = named.filter(|old| is_like(&old.set.plan, upstream));
            let same = same.or_else(|| old.values().copied().find(|old| is_like(&old.set.plan, upstream)));
            match Entry::new(upstream, names, same.or(named), &mut connectors) {
                Ok(entry) => entries.push(entry),
                Err(why) => errors.push(UpstreamError {
                    origin: upstream.origin.clone(),
                    message: format!("upstream `{}`: {why}", upstream.name),
                }),
            }
        }
        if errors.is_empty() { Ok(Self { entries }) } else { Err(errors) }
    }

    /// Begins to serve: requests of older generations that wait come to this one. Sets the limits of endpoints, lifts
    /// those of `before` that have none any more, and ends ejections of upstreams that eject nothing.
    pub fn begin_to_serve(&self, before: Option<&Self>) {
        // Before the limits are set, which lets those that wait look.
        self.entries.iter().for_each(|entry| entry.set.publish(entry.connector.as_ref()));
        let new = by_name(Some(self));
        // Limits that are kept must not be lifted even for a moment: those that wait would all go on.
        let are_kept =
            |old: &&Entry| new.get(&*old.set.plan.name).is_some_and(|new| new.set.limits.is_some());
        let old = before.into_iter().flat_map(|before| &before.entries).filter(|old| !are_kept(old));
        old.filter_map(|old| old.set.limits.as_ref()).for_each(|old| old.set(None, None));
        for set in self.entries.iter().map(|entry| &entry.set) {
            if set.plan.policy.eject.is_none() {
                set.list().iter().for_each(|known| known.state.end_ejection());
            }
            if let Some(limits) = &set.limits {
                limits.set(set.plan.settings.max_requests, set.plan.settings.max_connections);
            }
        }
    }

    /// Names of upstreams that trust other authorities than in `before` under the same configuration.
    pub fn trusting_others_than<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a str> {
        let before = by_name(Some(before));
        let others = move |new: &&Entry| {
            let old = before.get(&*new.set.plan.name).filter(|old| old.set.plan.tls == new.set.plan.tls);
            old.is_some_and(|old| {
                old.connector.is_some() && new.connector.is_some() && old.connector != new.connector
            })
        };
        self.entries.iter().filter(others).map(|new| &*new.set.plan.name)
    }

    /// The endpoints of every upstream, with the connector of its `https://` targets.
    pub fn upstreams(&self) -> impl Iterator<Item = (&Arc<EndpointSet>, Option<&Connector>)> {
        self.entries.iter().map(|entry| (&entry.set, entry.connector.as_ref()))
    }

    pub(super) fn entry(&self, id: UpstreamId) -> &Entry {
        &self.entries[id.0]
    }
}

/// Whether two upstreams differ at most in their names and places.
fn is_like(one: &Upstream, other: &Upstream) -> bool {
    let Upstream { name: _, origin: _, targets, tls, settings, policy } = one;
    (targets, tls, settings, policy) == (&other.targets, &other.tls, &other.settings, &other.policy)
}

/// The upstreams of a table, by their names.
fn by_name(table: Option<&UpstreamTable>) -> HashMap<&str, &Entry> {
    let entries = table.into_iter().flat_map(|table| &table.entries);
    entries.map(|entry| (&*entry.set.plan.name, entry)).collect()
}

/// One connector per TLS configuration, so that upstreams with equal ones read authorities once.
type Connectors<'a> = HashMap<&'a UpstreamTls, Result<Connector, String>>;

impl Entry {
    fn new<'a>(
        plan: &'a Upstream,
        names: &NameCache,
        before: Option<&Entry>,
        connectors: &mut Connectors<'a>,
    ) -> Result<Self, String> {
        let mut encrypted = plan.targets.iter().filter(|target| target.scheme.is_encrypted()).peekable();
        let mut connector = None;
        if encrypted.peek().is_some() {
            let make = || Connector::new(&plan.tls).map_err(|error| error.to_string());
            let made = connectors.entry(&plan.tls).or_insert_with(make).clone()?;
            if let Some(wrong) = encrypted.find(|target| made.server_name(target).is_err()) {
                return Err(format!("`{wrong}` has no valid server name"));
            }
            connector = Some(made);
        }
        Ok(Self { connector, set: EndpointSet::new(plan, names, before.map(|before| &*before.set)) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;
    use std::task::{Context, Wake, Waker};

    use super::*;
    use crate::upstream::EndpointState;
    use crate::upstream::limits::Limits;

    /// A task that tries for a place in the moment in which it is woken.
    struct Eager {
        limits: Arc<Limits>,
        state: Arc<EndpointState>,
        has_place: AtomicBool,
    }

    impl Wake for Eager {
        fn wake(self: Arc<Self>) {
            self.has_place.fetch_or(self.limits.begin_request(&self.state), SeqCst);
        }
    }

    #[test]
    fn a_limit_that_is_kept_holds_while_it_is_set_again() {
        let text = "http_config: { port: \":0\" }\nhttp_routes: [{ upstream: a }]\n\
                    upstreams: { a: { targets: \"a:1\", max_requests: 1 } }\n";
        let plan =
            load(&["smolgate.yml".into()], &MemoryInputs::new().file("smolgate.yml", text)).unwrap().plan;
        let names = NameCache::default();
        let old = UpstreamTable::new(&plan, &names, None).unwrap();
        old.begin_to_serve(None);
        let limits = old.entries[0].set.limits.clone().unwrap();
        let state = Arc::<EndpointState>::default();
        assert!(limits.begin_request(&state) && !limits.begin_request(&state));
        let ticket = limits.join(1, None).unwrap();
        let eager = Arc::new(Eager { limits, state, has_place: AtomicBool::new(false) });
        let waker = Waker::from(eager.clone());
        assert!(ticket.poll(&mut Context::from_waker(&waker), || None::<()>).is_pending());
        let new = UpstreamTable::new(&plan, &names, Some(&old)).unwrap();
        new.begin_to_serve(Some(&old));
        assert!(!eager.has_place.load(SeqCst));
    }
    use crate::config::{MemoryInputs, load};

    #[test]
    fn all_unusable_upstreams_are_reported_at_once() {
        let text = r#"
http_config: { port: ":0" }
http_routes:
  - { host: a.test, upstream: a }
  - { host: b.test, upstream: b }
  - { host: c.test, upstream: c }
upstreams:
  a: { targets: ["https://a.test"], tls: { ca: /nowhere/a.pem } }
  b: { targets: ["http://b.test"] }
  c: { targets: ["https://c.test"], tls: { ca: /nowhere/c.pem } }
"#;
        let plan =
            load(&["smolgate.yml".into()], &MemoryInputs::new().file("smolgate.yml", text)).unwrap().plan;
        let errors = UpstreamTable::new(&plan, &NameCache::default(), None).err().unwrap();
        let told: Vec<_> = errors.iter().map(|error| (error.origin.line, &*error.message)).collect();
        let [(8, a), (10, c)] = told[..] else { panic!("{told:?}") };
        assert!(a.starts_with("upstream `a`: ") && a.contains("/nowhere/a.pem"), "{a}");
        assert!(c.starts_with("upstream `c`: ") && c.contains("/nowhere/c.pem"), "{c}");
    }
}
