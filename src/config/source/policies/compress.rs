//! `compress` as written.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{Compress, ReadPolicy};
use crate::config::syntax::{Node, Value};
use crate::config::values::{policies, scalar};

impl ReadPolicy<Compress> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Compress>>> {
        self.field(name, compress)
    }
}

/// A flag, or `{ level, min, types, cookies }`. The inner `None` stands for `false`.
fn compress(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<Arc<Compress>>> {
    let (span, usual) = (node.span, Compress::default());
    let written = match node.value {
        Value::Map(_) => mapping(decoder, node, usual),
        _ if !decoder.flag(node)?.value => return Some(None),
        _ => Some(usual),
    };
    if !cfg!(feature = "compress") {
        let message = "nothing is compressed: this program was built without the feature `compress`";
        decoder.report.error_hint(span, message, "leave `compress` out, or build with it");
    }
    written.map(|compress| Some(Arc::new(compress)))
}

fn mapping(decoder: &mut Decoder<'_>, node: Node, usual: Compress) -> Option<Compress> {
    let mut fields = MappingReader::open(decoder, node, "`compress`")?;
    let level = fields.parsed("level", policies::compression_level);
    let min = fields.parsed("min", scalar::size);
    let types = fields.field("types", |decoder, node| Some(decoder.parsed_many(node, policies::media_types)));
    let cookies = fields.flag("cookies");
    fields.close();
    let types = types.map(|types| types.into_iter().map(|media_type| media_type.value).collect());
    Some(Compress {
        level: level.map_or(usual.level, |level| level.value),
        min: min.map_or(usual.min, |min| min.value),
        types: types.unwrap_or(usual.types),
        cookies,
    })
}
