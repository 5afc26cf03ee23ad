//! `mirror` as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{Mirror, PolicyUpstream, ReadPolicy, WHOLE_SHARE};
use crate::config::syntax::Node;
use crate::config::values::{glob, scalar};

impl ReadPolicy<Mirror> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Mirror>>> {
        policy(self, name, mirror)
    }
}

/// `{ upstream, share }`.
fn mirror(decoder: &mut Decoder<'_>, node: Node) -> Option<Mirror> {
    let mut fields = MappingReader::open(decoder, node, "`mirror`")?;
    fields.require(&["upstream"]);
    let name = fields.parsed("upstream", scalar::name);
    let share = fields.parsed("share", glob::share_of_requests);
    fields.close();
    // Lowering finds the upstream.
    let name = name?;
    let upstream = PolicyUpstream::written(name.span);
    Some(Mirror { name: name.value, upstream, parts: share.map_or(WHOLE_SHARE, |share| share.value) })
}
