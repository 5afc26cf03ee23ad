//! `cors` as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{Cors, ReadPolicy};
use crate::config::syntax::{Node, Value};
use crate::config::values::{policies, scalar};

impl ReadPolicy<Cors> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Cors>>> {
        policy(self, name, cors)
    }
}

/// One origin, several, or `{ origins, methods, headers, expose, credentials, max_age }`.
fn cors(decoder: &mut Decoder<'_>, node: Node) -> Option<Cors> {
    if !matches!(node.value, Value::Map(_)) {
        let origins = decoder.parsed_many(node, policies::origin);
        return Some(Cors {
            origins: origins.into_iter().map(|origin| origin.value).collect(),
            ..Cors::default()
        });
    }
    let mut fields = MappingReader::open(decoder, node, "`cors`")?;
    fields.require(&["origins"]);
    let origins = fields.field("origins", |decoder, node| Some(decoder.parsed_many(node, policies::origin)));
    let mut tokens = |name| -> Vec<Arc<str>> {
        let tokens = fields.field(name, |decoder, node| Some(decoder.parsed_many(node, policies::token)));
        tokens.into_iter().flatten().map(|token| token.value).collect()
    };
    let (methods, headers, expose) = (tokens("methods"), tokens("headers"), tokens("expose"));
    let credentials = fields.flag("credentials");
    let max_age = fields.parsed("max_age", scalar::duration).map(|age| age.value);
    let origins = origins.into_iter().flatten().map(|origin| origin.value).collect();
    let cors = Cors { origins, methods, headers, expose, credentials, max_age };
    if cors.allows_any() && credentials {
        let span = fields.at("credentials").unwrap_or(fields.span);
        let message = "`credentials` cannot stand beside the origin `*`";
        let hint = "every page could act in the name of its reader: list the origins";
        fields.decoder.report.error_hint(span, message, hint);
    }
    fields.close();
    Some(cors)
}
