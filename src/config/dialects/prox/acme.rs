//! `acme` of a service. The gate orders certificates for all listeners alike.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::keys::{open, text_list};
use super::schema::{ACME, DNS, S3};
use super::values;
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::inputs::Inputs;
use crate::config::plan::{
    AUTHORITIES, Bucket, CLOUDFLARE, ChallengeKind, DnsChallenge, DnsProvider, HostPattern, LEASE, REGION,
    Secret, StorePlace,
};
use crate::config::source::{AcmeSource, AuthoritySource, Source, bucket_keys};
use crate::config::syntax::{Node, mask_secret};
use crate::config::values::ValueError;
use crate::config::values::authority::{directory, email};

/// The wait for a record if no name server can be asked, and the longest wait for it.
const WAITS: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(180)];

/// The folder of certificates beside the file, if it names no other.
const STORAGE: &str = "acme";

/// The orders of a service.
pub(super) struct Orders {
    pub(super) span: Span,
    /// The names to order for. `None`: those of the routes.
    domains: Option<Vec<Spanned<HostPattern>>>,
}

impl Orders {
    /// Whether a certificate is ordered for this host of a route.
    pub(super) fn want(&self, host: &HostPattern) -> bool {
        match &self.domains {
            Some(domains) => domains.iter().any(|domain| domain.value == *host),
            None => matches!(host, HostPattern::Exact(_) | HostPattern::Wildcard(_)),
        }
    }

    /// Warns of names for which nothing is ordered, because no route has them.
    pub(super) fn check(&self, hosts: &[&HostPattern], decoder: &mut Decoder<'_>) {
        for domain in self.domains.iter().flatten().filter(|domain| !hosts.contains(&&domain.value)) {
            let message =
                format!("no certificate is ordered for `{}`: no route has this domain", domain.value);
            decoder.report.warning(Some(domain.span), message, "add a route with it, or leave it out");
        }
    }
}

/// Reads the key, and adds to the source how certificates are ordered.
pub(super) fn acme(
    decoder: &mut Decoder<'_>,
    node: Node,
    dir: &Path,
    source: &mut Source,
    inputs: &dyn Inputs,
) -> Option<Orders> {
    let mut fields = open(decoder, node, ACME)?;
    let span = fields.span;
    fields.require(&["email"]);
    let email = fields.parsed("email", email).map(|email| email.value);
    let cas = authorities(&mut fields);
    let challenge = fields.parsed("challenge", |text| match text {
        "" | "alpn" | "http" => Ok(false),
        "dns" => Ok(true),
        _ => Err(ValueError::hint("is not a challenge", "write alpn, http or dns")),
    });
    let by_dns = challenge.as_ref().is_some_and(|challenge| challenge.value);
    let has_dns = fields.at("dns").is_some();
    let dns = fields.field("dns", |decoder, node| dns(decoder, node, inputs, by_dns));
    if let Some(challenge) = challenge.as_ref().filter(|_| by_dns && !has_dns) {
        let hint = "write `dns: { provider: \"cloudflare\" }`";
        fields.decoder.report.error_hint(challenge.span, "the challenge dns needs `dns`", hint);
    }
    let storage_type = fields.parsed("storage_type", |text| match text {
        "" | "file" => Ok(false),
        "s3" => Ok(true),
        _ => Err(ValueError::hint("is not a type of storage", "write file or s3")),
    });
    let in_bucket = storage_type.as_ref().is_some_and(|kind| kind.value);
    let storage = fields.field("storage", Decoder::text).filter(|text| !text.text.is_empty());
    let at = fields.at("s3").or(storage_type.as_ref().map(|kind| kind.span));
    let has_s3 = fields.at("s3").is_some();
    let bucket = fields.field("s3", |decoder, node| s3(decoder, node, in_bucket));
    if in_bucket && !has_s3 {
        fields.decoder.report.error_hint(
            span,
            "acme.s3.bucket is required",
            "write `s3: { bucket: \"NAME\" }`",
        );
    }
    let domains = fields.field("domains", |decoder, node| {
        let texts = text_list(decoder, node, "`domains`");
        Some(texts.into_iter().filter_map(|text| domain(decoder, text, by_dns)).collect())
    });
    fields.close();
    if in_bucket {
        keep_in_bucket(bucket, at.unwrap_or(span), source, decoder);
    } else {
        let path = dir.join(storage.as_ref().map_or(STORAGE, |storage| &storage.text));
        let span = storage.map_or(span, |storage| storage.span);
        source.store.get_or_insert(Spanned { value: StorePlace::Folder(path), span });
    }
    let challenges = by_dns.then_some(Spanned { value: ChallengeKind::Dns, span });
    let orders = AcmeSource {
        email,
        cas,
        challenges: challenges.into_iter().collect(),
        dns: dns.flatten(),
        ..Default::default()
    };
    source.acme.get_or_insert(Spanned { value: orders, span });
    Some(Orders { span, domains: domains.filter(|domains: &Vec<_>| !domains.is_empty()) })
}

/// Keeps certificates in a bucket, unless a native file names one.
fn keep_in_bucket(bucket: Option<Bucket>, span: Span, source: &mut Source, decoder: &mut Decoder<'_>) {
    let has_one = |store: &Spanned<StorePlace>| matches!(store.value, StorePlace::Bucket(_));
    if source.store.as_ref().is_some_and(has_one) {
        return;
    }
    let Some(bucket) = bucket else { return };
    if bucket.keys.is_empty() {
        let hint = "add `key: \"${file:/run/secrets/store_key}\"` to `s3`; `smolgate store key` makes one";
        let message = "what is kept in a bucket is sealed, and this file has no key for that";
        return decoder.report.error_hint(span, message, hint);
    }
    source.store = Some(Spanned { value: StorePlace::Bucket(Arc::new(bucket)), span });
}

/// `ca` or `cas`.
fn authorities(fields: &mut MappingReader<'_, '_>) -> Vec<AuthoritySource> {
    let ca = fields.field("ca", Decoder::text);
    let cas =
        fields.field("cas", |decoder, node| Some(text_list(decoder, node, "`cas`"))).unwrap_or_default();
    if let Some(ca) = ca.as_ref().filter(|ca| !ca.text.is_empty() && !cas.is_empty()) {
        fields.decoder.report.error_hint(
            ca.span,
            "`ca` and `cas` cannot stand together",
            "leave one of them out",
        );
    }
    let all: Vec<Text> = ca.into_iter().chain(cas).collect();
    all.into_iter().filter_map(|ca| authority(fields.decoder, ca)).collect()
}

/// The word or the URL of an authority.
fn authority(decoder: &mut Decoder<'_>, ca: Text) -> Option<AuthoritySource> {
    let known = match &*ca.text {
        "" | "production" => Ok(Ok(0)),
        "staging" => Ok(Err(Arc::from(AUTHORITIES[0].2.unwrap_or_default()))),
        text => directory(text),
    };
    match known {
        Ok(known) => Some(AuthoritySource::new(ca.span, known)),
        Err(error) => {
            decoder.value_error(&ca, error);
            None
        }
    }
}

/// One of `domains`.
fn domain(decoder: &mut Decoder<'_>, text: Text, by_dns: bool) -> Option<Spanned<HostPattern>> {
    match values::domain(&text.text) {
        Ok(value) => {
            if value.has_star() && !by_dns {
                let message = format!("{} needs the challenge dns", text.shown());
                decoder.report.error_hint(
                    text.span,
                    message,
                    "write `challenge: \"dns\"`, or name each host",
                );
            }
            Some(Spanned { value, span: text.span })
        }
        Err(error) => {
            decoder.value_error(&text, error);
            None
        }
    }
}

/// `{provider, token, discover, resolvers}`.
fn dns(
    decoder: &mut Decoder<'_>,
    node: Node,
    inputs: &dyn Inputs,
    is_used: bool,
) -> Option<Option<DnsChallenge>> {
    let mut fields = open(decoder, node, DNS)?;
    let span = fields.span;
    fields.require(&["provider"]);
    fields.parsed("provider", |text| match text {
        "cloudflare" => Ok(()),
        _ => Err(ValueError::hint("is not a provider", "write cloudflare; a native file has more")),
    });
    let token = fields.field("token", |decoder, node| {
        mask_secret(&node, decoder.report);
        decoder.text(node)
    });
    let token = token.map(|token| token.text).filter(|token| !token.is_empty());
    let token = token.or_else(|| inputs.env("CF_DNS_API_TOKEN"));
    let discovers_at = fields.at("discover");
    if let Some(span) = discovers_at.filter(|_| fields.flag("discover")) {
        let message = "`discover` is not supported yet: the gate asks no account for its zones";
        fields.decoder.report.warning(
            Some(span),
            message,
            "certificates are ordered for the domains of the routes",
        );
    }
    let resolvers = fields.field("resolvers", |decoder, node| {
        let texts = text_list(decoder, node, "`resolvers`");
        Some(texts.into_iter().filter_map(|text| resolver(decoder, &text)).collect())
    });
    fields.close();
    let Some(token) = token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())) else {
        if is_used {
            let hint = "write `token: \"${env:NAME}\"`, or set CF_DNS_API_TOKEN";
            decoder.report.error_hint(span, "the provider cloudflare needs a token", hint);
        }
        return None;
    };
    let provider = DnsProvider::Cloudflare { url: CLOUDFLARE.into(), token: Secret(token.into()) };
    let [wait, timeout] = WAITS;
    let resolvers = resolvers.unwrap_or_default();
    Some(is_used.then_some(DnsChallenge { provider, wait, timeout, resolvers, servers: Vec::new() }))
}

/// An address of a DNS server, with port 53 if it has none.
fn resolver(decoder: &mut Decoder<'_>, text: &Text) -> Option<SocketAddr> {
    let with_port = text.text.parse::<SocketAddr>().ok();
    let alone = || text.text.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 53));
    let address = with_port.or_else(alone);
    if address.is_none() {
        let message = format!("{} is not the address of a DNS server", text.shown());
        decoder.report.error_hint(text.span, message, "write for example \"1.1.1.1:53\"");
    }
    address
}

/// `s3`. A bucket of the gate needs a key that seals: `key`, which prox has not.
fn s3(decoder: &mut Decoder<'_>, node: Node, is_used: bool) -> Option<Bucket> {
    let mut fields = open(decoder, node, S3)?;
    let span = fields.span;
    let name = fields.field("bucket", Decoder::text).map(|name| name.text).filter(|name| !name.is_empty());
    if is_used && name.is_none() {
        fields.decoder.report.error_hint(span, "acme.s3.bucket is required", "write the name of the bucket");
    }
    if fields.at("access_key").is_some() != fields.at("secret_key").is_some() {
        let message = "`access_key` and `secret_key` belong together";
        fields.decoder.report.error_hint(span, message, "name both, or none");
    }
    let mut text =
        |key| fields.field(key, Decoder::text).map(|text| text.text).filter(|text| !text.is_empty());
    let [region, endpoint, user, prefix] = ["region", "endpoint", "access_key", "prefix"].map(&mut text);
    let secret = fields.field("secret_key", |decoder, node| {
        mask_secret(&node, decoder.report);
        decoder.text(node)
    });
    let keys = fields.field("key", |decoder, node| Some(bucket_keys(decoder, node))).unwrap_or_default();
    fields.flag("use_path_style");
    fields.close();
    Some(Bucket {
        endpoint: endpoint.map(Into::into),
        name: name?.into(),
        prefix: prefix.map_or_else(Arc::default, |prefix| format!("{}/", prefix.trim_matches('/')).into()),
        region: region.map_or_else(|| REGION.into(), Into::into),
        login: user.map(Arc::from).zip(secret.map(|secret| Secret(secret.text.into()))),
        root: None,
        keys,
        lease: LEASE,
    })
}
