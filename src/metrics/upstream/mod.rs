//! Figures of upstreams and of their endpoints.

mod endpoints;
mod sum;

mod waits;

pub use endpoints::{EndpointFigures, render_endpoints};

pub(super) use sum::{UpstreamSum, render};
