//! What one load of the configuration built: the third life of a configuration.

use std::sync::Arc;

use crate::config::plan::{Plan, Protocol};
use crate::log::AccessLog;
use crate::routing::RuleTable;
use crate::upstream::{Directory, DirectoryError, Names};

/// Built whole on the control plane, shared by all workers, replaced whole.
pub struct Generation {
    /// Counts from 1.
    pub number: u64,
    /// What it was built from.
    pub plan: Arc<Plan>,
    /// One a listener; empty tables for TCP.
    pub tables: Vec<RuleTable>,
    /// The upstreams.
    pub directory: Directory,
    /// Where exchanges are written to, if anywhere.
    pub access: Option<AccessLog>,
}

impl Generation {
    /// Builds the tables and what connections to the upstreams need. Blocks: reads certificate
    /// authorities.
    ///
    /// # Errors
    /// When TLS to an upstream cannot be set up.
    pub fn new(
        number: u64,
        plan: Arc<Plan>,
        names: &Names,
        access: Option<AccessLog>,
    ) -> Result<Self, DirectoryError> {
        let tables = plan.listeners.iter().map(|listener| match &listener.protocol {
            Protocol::Http(http) => RuleTable::build(&http.rules),
            Protocol::Tcp(_) => RuleTable::build(&[]),
        });
        Ok(Self { number, tables: tables.collect(), directory: Directory::new(&plan, names)?, plan, access })
    }
}
