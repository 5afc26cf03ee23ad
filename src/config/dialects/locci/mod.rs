//! Files of locci-proxy: a load balancer, or a gateway with routes by regular expressions.
//!
//! Routes are tried from the longest expression to the shortest. Keys of that project that its program only reads, such as
//! `methods`, `tls` and `middlewares`, do here what its guide says.

mod front;

mod rules;

mod environment;
mod keys;

mod gateway;
mod middlewares;
mod upstreams;

mod schema;

use super::dialect::Dialect;
use super::plain;

#[cfg(feature = "control")]
pub(in crate::config) use gateway::{Route, route};
#[cfg(feature = "control")]
pub(in crate::config) use rules::{is_of_route, of_route};
#[cfg(feature = "control")]
pub(in crate::config) use upstreams::group;

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "locci",
    about: "Load balancers and gateways of locci-proxy",
    keys: &["mode", "load_balancer", "api_gateway", "control_api"],
    shared: &["upstreams"],
    default_files: &[],
    common_files: &["/app/config.yaml"],
    option: None,
    syntax: None,
    schema: schema::schema,
    describe: None,
    foreign: None,
    uses_names: false,
    read: |files, source, inputs, report| plain::each(files, source, (inputs, report), front::read),
};
