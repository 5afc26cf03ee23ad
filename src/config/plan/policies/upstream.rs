//! The upstream of a policy.

use std::hash::{Hash, Hasher};

use crate::config::plan::upstream::UpstreamId;

/// The upstream of a policy in its plan. It is not compared: two plans count their upstreams differently, and the policy has
/// its name or its URL.
#[derive(Clone, Copy, Debug)]
pub struct PolicyUpstream(pub UpstreamId);

impl Default for PolicyUpstream {
    /// The upstream is not found yet.
    fn default() -> Self {
        Self(UpstreamId(usize::MAX))
    }
}

impl PartialEq for PolicyUpstream {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for PolicyUpstream {}

impl Hash for PolicyUpstream {
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}
