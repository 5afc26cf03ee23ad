//! The parts of a request that policies look at.

use std::net::IpAddr;
use std::time::Instant;

use super::limits::ConnectionSpeed;
use crate::http::RequestHead;

/// The parts of a request that policies look at.
pub struct PolicyRequest<'a> {
    /// The parsed head.
    pub head: &'a RequestHead<'a>,
    /// The address of the client, behind trusted proxies.
    pub client: IpAddr,
    /// The time.
    pub now: Instant,
    /// The bytes that its connection has moved.
    pub connection: &'a ConnectionSpeed,
}
