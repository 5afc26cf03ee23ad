//! The configuration as it was written: the first of its three lives.
//!
//! Everything here is optional and keeps its place. Values are typed, but names are not looked up and defaults are
//! not filled in. Several files are read into one [`Source`], one after the other, so they merge. Errors that one
//! place alone shows are reported here: unknown keys, wrong values, a key without meaning where it stands.
//! `lowering` reports the others.

mod top_level;

mod acme;
mod acme_dns;
mod listener;
mod plugins;
mod store;

pub(crate) mod rule;

mod policies;

mod messages;

mod conditions;
mod files;
mod tls;
mod upstream;
mod upstream_policy;

mod health;

mod headers;

pub(crate) use acme::{AcmeSource, AuthoritySource};
pub(crate) use files::FilesSource;
#[allow(unused_imports, reason = "a dialect that can be left out alone makes them")]
pub(crate) use listener::NamedPolicies;
pub(crate) use listener::{HttpSource, ListenerSource, ProtocolSource};
pub(crate) use plugins::PluginSource;
pub(crate) use policies::{PolicySetSource, no_set};
pub(crate) use rule::{ActionSource, PassSource, ProxySource, RuleSource};
#[allow(unused_imports, reason = "a dialect that can be left out alone uses it")]
pub(crate) use store::bucket_keys;
pub(crate) use tls::{CertificateWritten, ClientAuthWritten, TlsSource};
pub(crate) use top_level::{InternalSource, Source, internal_bind};
pub(crate) use upstream::{Inline, UpstreamSource, UpstreamUse, no_upstream};
pub(crate) use upstream_policy::UpstreamPolicySource;
