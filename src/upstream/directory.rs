//! The upstreams of one generation: what the control plane prepares for all workers.

use std::sync::Arc;

use super::names::{Name, Names};
use crate::config::plan::{Origin, Plan, Scheme, TargetHost, Upstream, UpstreamId};
use crate::tls::Connector;

/// The upstreams of one generation, ready to be used by any worker.
pub struct Directory {
    entries: Vec<Entry>,
}

/// One upstream and what its connections need.
pub(super) struct Entry {
    pub(super) plan: Upstream,
    /// For `https://` targets.
    pub(super) connector: Option<Connector>,
    /// One a target; `None` for addresses.
    pub(super) names: Vec<Option<Arc<Name>>>,
}

/// Why an upstream cannot be used, and where it was written.
#[derive(Debug)]
pub struct DirectoryError {
    /// Where the upstream was written.
    pub origin: Origin,
    /// The upstream and what is wrong.
    pub message: String,
}

impl Directory {
    /// Reads certificate authorities and registers names; asks for none yet. Blocks.
    ///
    /// # Errors
    /// When TLS to an upstream cannot be set up, or a target's host can be no server name.
    pub fn new(plan: &Plan, names: &Names) -> Result<Self, DirectoryError> {
        let mut made: Vec<Entry> = Vec::with_capacity(plan.upstreams.len());
        for upstream in &plan.upstreams {
            // Authorities are read once for all upstreams that say the same of TLS.
            let same = made.iter().find(|entry| entry.connector.is_some() && entry.plan.tls == upstream.tls);
            let same = same.and_then(|entry| entry.connector.clone());
            made.push(Entry::new(upstream, names, same)?);
        }
        Ok(Self { entries: made })
    }

    pub(super) fn entry(&self, id: UpstreamId) -> &Entry {
        &self.entries[id.0]
    }
}

impl Entry {
    fn new(plan: &Upstream, names: &Names, made: Option<Connector>) -> Result<Self, DirectoryError> {
        let fail = |why: String| DirectoryError {
            origin: plan.origin.clone(),
            message: format!("upstream `{}`: {why}", plan.name),
        };
        let encrypted = plan.targets.iter().any(|target| target.scheme == Scheme::Https);
        let connector = match made {
            _ if !encrypted => None,
            Some(connector) => Some(connector),
            None => Some(Connector::new(&plan.tls).map_err(|error| fail(error.to_string()))?),
        };
        for target in plan.targets.iter().filter(|target| target.scheme == Scheme::Https) {
            if let Some(connector) = &connector {
                connector
                    .server_name(target)
                    .map_err(|_| fail(format!("`{target}` has no valid server name")))?;
            }
        }
        let name = |host: &TargetHost| match host {
            TargetHost::Name(host) => Some(names.get(host)),
            TargetHost::Address(_) => None,
        };
        Ok(Self {
            plan: plan.clone(),
            connector,
            names: plan.targets.iter().map(|target| name(&target.host)).collect(),
        })
    }
}
