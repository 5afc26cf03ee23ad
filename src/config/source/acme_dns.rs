//! `dns` of `acme` as written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::plan::{CLOUDFLARE, DnsChallenge, DnsProvider, Secret, SignatureAlgorithm};
use crate::config::syntax::{Node, mask_secret};
use crate::config::values::{ValueError, authority, scalar};

/// The wait for a record if no name server can be asked.
const WAIT: Duration = Duration::from_secs(30);
/// The longest wait until all name servers have a record.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A provider: its name, the keys that it needs, and those that it may have.
struct Provider {
    name: &'static str,
    needs: &'static [&'static [&'static str; 1]],
    may: &'static [&'static str],
}

const EXEC: Provider = Provider { name: "exec", needs: &[&["command"]], may: &["environment"] };
const HTTPREQ: Provider = Provider { name: "httpreq", needs: &[&["url"]], may: &["username", "password"] };
const ACME_DNS: Provider =
    Provider { name: "acme_dns", needs: &[&["url"], &["username"], &["password"], &["subdomain"]], may: &[] };
const RFC2136: Provider =
    Provider { name: "rfc2136", needs: &[&["server"]], may: &["key_name", "secret", "algorithm", "zone"] };
const CLOUDFLARE_API: Provider = Provider { name: "cloudflare", needs: &[&["token"]], may: &["url"] };

const STATIC: Provider = Provider { name: "static", needs: &[], may: &[] };

const PROVIDERS: [&Provider; 6] = [&EXEC, &HTTPREQ, &ACME_DNS, &RFC2136, &CLOUDFLARE_API, &STATIC];

/// The keys of all providers.
const OF_PROVIDERS: [&str; 12] = [
    "command",
    "environment",
    "url",
    "username",
    "password",
    "subdomain",
    "server",
    "key_name",
    "secret",
    "algorithm",
    "zone",
    "token",
];

/// A mapping with `provider`.
pub(super) fn dns(decoder: &mut Decoder<'_>, node: Node) -> Option<DnsChallenge> {
    let mut fields = MappingReader::open(decoder, node, "`dns` of `acme`")?;
    fields.require(&["provider"]);
    let chosen = fields.parsed("provider", provider).map(|chosen| chosen.value);
    if let Some(chosen) = chosen {
        let has = |key: &&str| chosen.may.contains(key) || chosen.needs.iter().any(|need| need[0] == *key);
        let foreign: Vec<&'static str> = OF_PROVIDERS.iter().filter(|key| !has(key)).copied().collect();
        let why = format!("means nothing to the provider {}", chosen.name);
        fields.not_here(&foreign, &why, "leave it out");
        chosen.needs.iter().for_each(|need| fields.require(need));
    }
    let keys = Keys::read(&mut fields);
    let wait = fields.parsed("wait", scalar::duration).map_or(WAIT, |wait| wait.value);
    let timeout = fields.parsed("timeout", scalar::timeout).map_or(TIMEOUT, |timeout| timeout.value);
    let resolvers = addresses(&mut fields, "resolvers");
    let servers = addresses(&mut fields, "servers");
    if fields.at("key_name").is_some() != fields.at("secret").is_some() {
        fields.missing(&["key_name"], "`key_name` and `secret` belong together".to_owned(), "name both");
        fields.missing(&["secret"], "`key_name` and `secret` belong together".to_owned(), "name both");
    }
    fields.close();
    Some(DnsChallenge { provider: keys.provider(chosen?)?, wait, timeout, resolvers, servers })
}

/// The values of [`OF_PROVIDERS`].
struct Keys {
    command: Vec<Arc<str>>,
    environment: Vec<Arc<str>>,
    url: Option<Arc<str>>,
    username: Option<Arc<str>>,
    password: Option<Secret>,
    subdomain: Option<Arc<str>>,
    server: Option<Arc<str>>,
    key_name: Option<Arc<str>>,
    secret: Option<Secret>,
    algorithm: SignatureAlgorithm,
    zone: Option<Arc<str>>,
    token: Option<Secret>,
}

impl Keys {
    fn read(fields: &mut MappingReader<'_, '_>) -> Self {
        Self {
            command: fields.field("command", command).unwrap_or_default(),
            environment: environment(fields),
            url: fields.parsed("url", authority::url).map(|url| url.value),
            username: fields.parsed("username", word).map(|name| name.value),
            password: fields.field("password", secret),
            subdomain: fields.parsed("subdomain", word).map(|name| name.value),
            server: fields.parsed("server", server).map(|server| server.value),
            key_name: fields.parsed("key_name", word).map(|name| name.value),
            secret: fields.field("secret", base64),
            algorithm: fields
                .parsed("algorithm", algorithm)
                .map_or(SignatureAlgorithm::HmacSha256, |algorithm| algorithm.value),
            zone: fields.parsed("zone", word).map(|zone| zone.value),
            token: fields.field("token", secret),
        }
    }

    /// `None` if a key is missing, which was reported.
    fn provider(self, chosen: &Provider) -> Option<DnsProvider> {
        let Self { command, environment, url, algorithm, zone, .. } = self;
        Some(match chosen.name {
            "exec" if command.is_empty() => return None,
            "exec" => DnsProvider::Exec { command, environment },
            "httpreq" => DnsProvider::HttpReq { url: url?, login: self.username.zip(self.password) },
            "acme_dns" => DnsProvider::AcmeDns {
                url: url?,
                login: (self.username?, self.password?),
                subdomain: self.subdomain?,
            },
            "rfc2136" => DnsProvider::Rfc2136 {
                server: self.server?,
                key: self.key_name.zip(self.secret),
                algorithm,
                zone,
            },
            "static" => DnsProvider::Static,
            _ => {
                DnsProvider::Cloudflare { url: url.unwrap_or_else(|| CLOUDFLARE.into()), token: self.token? }
            }
        })
    }
}

fn provider(text: &str) -> Result<&'static Provider, ValueError> {
    let known = PROVIDERS.into_iter().find(|provider| provider.name == text);
    known.ok_or_else(|| {
        let hint = "write exec, httpreq, acme_dns, rfc2136, cloudflare or static";
        ValueError::hint("is not a provider", hint)
    })
}

/// The words of a command. A program with a slash in its path starts from the folder of the file.
pub(super) fn command(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Arc<str>>> {
    let span = node.span;
    let words = decoder.one_or_many(node, Decoder::text);
    let resolved = words.iter().enumerate().map(|(index, word)| {
        if index > 0 || !word.text.contains('/') {
            return Arc::from(&*word.text);
        }
        let path = decoder.resolve(&word.text, word.span).display().to_string();
        // Without a slash, it would be looked for in the folders of PATH.
        Arc::from(if path.contains('/') { path } else { format!("./{path}") })
    });
    let words: Vec<Arc<str>> = resolved.collect();
    match words.first() {
        Some(program) if program.is_empty() => {
            decoder.report.error(span, "this command is empty");
            None
        }
        _ => Some(words),
    }
}

/// The names of variables that a program gets.
pub(super) fn environment(fields: &mut MappingReader<'_, '_>) -> Vec<Arc<str>> {
    let read = fields.field("environment", |decoder, node| Some(decoder.parsed_many(node, variable)));
    read.into_iter().flatten().map(|name| name.value).collect()
}

fn variable(text: &str) -> Result<Arc<str>, ValueError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match text.bytes().all(is_name) && !text.is_empty() {
        true => Ok(text.into()),
        false => Err(ValueError::hint("is not the name of a variable", "its value stays in the environment")),
    }
}

fn word(text: &str) -> Result<Arc<str>, ValueError> {
    match text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.is_empty() {
        true => Ok(text.into()),
        false => Err(ValueError::new("is not a word")),
    }
}

/// A server of DNS: an address or a name, and a port, which is 53 if it is left out.
fn server(text: &str) -> Result<Arc<str>, ValueError> {
    if let Ok(address) = address(text) {
        return Ok(address.to_string().into());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "53"));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match host.bytes().all(is_name) && !host.is_empty() && port.parse::<u16>().is_ok() {
        true => Ok(format!("{host}:{port}").into()),
        false => {
            Err(ValueError::hint("is not a server", "write for example ns1.example.com or 192.0.2.1:53"))
        }
    }
}

/// An address of DNS. Its port is 53 if it is left out.
fn address(text: &str) -> Result<SocketAddr, ValueError> {
    let with_port = text.parse::<SocketAddr>().ok();
    let alone = || text.trim_matches(['[', ']']).parse().ok().map(|address| SocketAddr::new(address, 53));
    with_port.or_else(alone).ok_or_else(|| {
        ValueError::hint("is not the address of a DNS server", "write for example 192.0.2.1 or 192.0.2.1:53")
    })
}

pub(super) fn addresses(fields: &mut MappingReader<'_, '_>, key: &'static str) -> Vec<SocketAddr> {
    let read = fields.field(key, |decoder, node| Some(decoder.parsed_many(node, address)));
    read.into_iter().flatten().map(|address| address.value).collect()
}

fn algorithm(text: &str) -> Result<SignatureAlgorithm, ValueError> {
    let known = SignatureAlgorithm::ALL.into_iter().find(|(name, _)| *name == text);
    known.map(|(_, algorithm)| algorithm).ok_or_else(|| {
        ValueError::hint("is not an algorithm", "write hmac-sha256, hmac-sha384 or hmac-sha512")
    })
}

/// A secret that may stand in a field of HTTP. The message does not quote it.
fn secret(decoder: &mut Decoder<'_>, node: Node) -> Option<Secret> {
    read_secret(
        decoder,
        node,
        |byte| byte.is_ascii_graphic() || byte == b' ',
        "this secret is empty or not ASCII",
    )
}

fn base64(decoder: &mut Decoder<'_>, node: Node) -> Option<Secret> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    read_secret(decoder, node, is_digit, "a key is written in base64, as `tsig-keygen` prints it")
}

fn read_secret(
    decoder: &mut Decoder<'_>,
    node: Node,
    may_have: fn(u8) -> bool,
    message: &str,
) -> Option<Secret> {
    mask_secret(&node, decoder.report);
    let text = decoder.text(node)?;
    if text.text.is_empty() || !text.text.bytes().all(may_have) {
        decoder.report.error(text.span, message);
        return None;
    }
    Some(Secret(Arc::from(text.text)))
}
