//! The upstream of a policy.

use std::hash::{Hash, Hasher};

use crate::config::plan::upstream::UpstreamId;

/// The upstream of a policy in its plan. It is not compared: two plans count their upstreams differently, and the policy has
/// its name or its URL.
#[derive(Clone, Copy, Debug)]
pub struct PolicyUpstream(pub UpstreamId, Option<[u32; 3]>);

impl PolicyUpstream {
    /// An upstream that was found.
    pub(crate) fn found(id: UpstreamId) -> Self {
        Self(id, None)
    }

    /// An upstream that was written here, and is not found yet. The place is a span of the report.
    pub(crate) fn written(place: impl Into<[u32; 3]>) -> Self {
        Self(UpstreamId(usize::MAX), Some(place.into()))
    }

    /// Where it was written, if it is not found yet.
    pub(crate) fn place<T: From<[u32; 3]>>(self) -> Option<T> {
        self.1.map(T::from)
    }
}

impl Default for PolicyUpstream {
    /// The upstream is not found yet.
    fn default() -> Self {
        Self(UpstreamId(usize::MAX), None)
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
