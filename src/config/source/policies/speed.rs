//! `speed` as written.

use std::sync::Arc;

use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{ReadPolicy, Speed};
use crate::config::syntax::Node;
use crate::config::values::policies;

impl ReadPolicy<Speed> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Speed>>> {
        policy(self, name, speed)
    }
}

/// `{ download, upload, shared }`.
fn speed(decoder: &mut Decoder<'_>, node: Node) -> Option<Speed> {
    let mut fields = MappingReader::open(decoder, node, "`speed`")?;
    if fields.at("download").or(fields.at("upload")).is_none() {
        let hint = "write for example `speed: { download: 50Mbit }`";
        fields.missing(&["download", "upload"], "`speed` needs `download` or `upload`".into(), hint);
    }
    let download = fields.parsed("download", policies::bit_rate);
    let upload = fields.parsed("upload", policies::bit_rate);
    let shared = fields.parsed("shared", policies::speed_group);
    fields.close();
    let [download, upload] = [download, upload].map(|rate| rate.map(|rate| rate.value));
    (download.is_some() || upload.is_some()).then(|| Speed {
        download,
        upload,
        shared: shared.and_then(|shared| shared.value),
    })
}
