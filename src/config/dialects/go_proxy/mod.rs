//! Files of go-proxy: routes by paths, one listener.
//!
//! The rules stand in the order in which Go's `ServeMux` chooses: the longest path first, and a path alone before what is
//! below it. A path that ends with a slash takes everything below it, and is taken off. A request for it without the slash
//! is redirected.

mod front;

mod rules;

mod keys;

mod route;

mod schema;

use super::dialect::Dialect;
use super::plain;

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "go-proxy",
    about: "Routes of go-proxy",
    keys: &["routes", "listen"],
    shared: &[],
    default_files: &[],
    common_files: &["config.yaml", "/config.yaml"],
    option: None,
    syntax: None,
    schema: schema::schema,
    describe: None,
    foreign: None,
    uses_names: false,
    read: |files, source, inputs, report| plain::each(files, source, (inputs, report), front::read),
};
