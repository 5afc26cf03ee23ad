//! What was written: the first life of a configuration.
//!
//! Everything here is optional and remembers its place; values are already typed, names are not yet
//! looked up and defaults are not filled in. Several files are read into one [`Source`], one after
//! the other, which is how they merge. What can be said from one place alone (unknown keys, wrong
//! values, a key that means nothing where it stands) is reported here; the rest in `lowering`.

mod top_level;

mod listener;

mod rule;
mod tls;
mod upstream;

pub(crate) use listener::{HttpSource, ListenerSource, ProtocolSource};
pub(crate) use rule::{ActionSource, LimitsSource, PassSource, ProxySource, RuleSource};
pub(crate) use tls::{CertificateWritten, ClientAuthWritten, TlsSource};
pub(crate) use top_level::{InternalSource, Source, internal_bind};
pub(crate) use upstream::{Inline, UpstreamSource, UpstreamUse};
