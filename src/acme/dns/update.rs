//! A name server that takes updates (RFC 2136).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::record::Published;
use crate::acme::protocol::base64;
use crate::config::plan::{Secret, SignatureAlgorithm};
use crate::net::dns::{TsigAlgorithm, TsigKey, change_text, zone_at};

pub(super) async fn change(
    server: &str,
    key: Option<&(Arc<str>, Secret)>,
    algorithm: SignatureAlgorithm,
    zone: Option<&str>,
    record: &Published,
    adds: bool,
) -> Result<(), String> {
    let algorithm = match algorithm {
        SignatureAlgorithm::HmacSha256 => TsigAlgorithm::Sha256,
        SignatureAlgorithm::HmacSha384 => TsigAlgorithm::Sha384,
        SignatureAlgorithm::HmacSha512 => TsigAlgorithm::Sha512,
    };
    let key = match key {
        None => None,
        Some((name, secret)) => {
            let secret = base64::decode_standard(&secret.0).ok_or("`secret` is not in base64")?;
            Some(TsigKey { name: name.to_string(), secret, algorithm })
        }
    };
    let changed = async {
        let server = address(server).await?;
        let zone = match zone {
            Some(zone) => zone.to_owned(),
            None => zone_at(server, &record.name).await?,
        };
        change_text(server, &zone, &record.name, &record.value, adds, key.as_ref()).await
    };
    changed.await.map_err(|error| error.to_string())
}

async fn address(server: &str) -> io::Result<SocketAddr> {
    let found = smol::net::resolve(server).await?;
    found.first().copied().ok_or_else(|| io::Error::other(format!("{server} has no address")))
}
