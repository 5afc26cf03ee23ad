//! Upstreams in a plan: their targets, limits and policies.

mod upstream;

mod policy;

mod health;

pub use health::{Health, HealthRequest};
pub use policy::{Balance, Eject, HashKey, Queue, Sticky, UpstreamPolicy};
pub use upstream::{
    HttpVersions, Scheme, Target, TargetAddress, TargetHost, Upstream, UpstreamId, UpstreamSettings,
    UpstreamTls,
};

pub(crate) use upstream::UpstreamWritten;
