//! Finds the place of a record, has it written, and waits until the servers of the zone have it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use smol::Timer;

use super::record::Published;
use super::services::{AcmeDns, Cloudflare, HttpReq};
use super::{exec, persist, update};
use crate::config::plan::{DnsChallenge, DnsProvider};
use crate::net::Client;
use crate::net::dns::{Kind, Lookup};

/// The label of a record (RFC 8555, section 8.4).
const LABEL: &str = "_acme-challenge";
/// The first wait between two looks; it doubles up to the second.
const LOOK: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(8)];
/// The longest time to write a record. A program or a server may be slow.
const WRITE_TIME_MAX: Duration = Duration::from_secs(90);

/// The place of a record that is not written yet.
pub(in crate::acme) struct Place {
    pub(in crate::acme) record: Published,
    /// The servers that must have it. Empty if they could not be found.
    servers: Vec<SocketAddr>,
}

/// Writes and removes records.
pub(in crate::acme) struct Publisher {
    settings: DnsChallenge,
    client: Client,
    lookup: Lookup,
}

impl Publisher {
    /// A publisher with these settings. Blocks.
    pub(in crate::acme) fn new(settings: &DnsChallenge, client: Client) -> Self {
        let lookup = Lookup::new(&settings.resolvers, &settings.servers);
        Self { settings: settings.clone(), client, lookup }
    }

    /// The longest time that a record can take.
    pub(in crate::acme) fn time_max(&self) -> Duration {
        WRITE_TIME_MAX * 2 + self.settings.timeout + self.settings.wait
    }

    /// The place of the record for a host. If no server can be asked, that is the plain name.
    pub(in crate::acme) async fn find(&self, host: &str, value: String) -> Place {
        let name = format!("{LABEL}.{host}");
        match self.lookup.place(&name).await {
            Ok(place) => Place { record: Published { name: place.name, value }, servers: place.servers },
            Err(error) => {
                tracing::info!(name, "the name servers cannot be asked: {error}");
                Place { record: Published { name, value }, servers: Vec::new() }
            }
        }
    }

    /// Writes the record, and waits until all servers that answer have it.
    pub(in crate::acme) async fn publish(&self, place: &Place) -> Result<(), String> {
        self.change(&place.record, true).await?;
        self.wait(place).await
    }

    /// Whether records are written by a person alone.
    pub(in crate::acme) fn is_static(&self) -> bool {
        self.settings.provider == DnsProvider::Static
    }

    /// Whether the record that a person writes is there. `None` if no name server can be asked.
    pub(in crate::acme) async fn has_persistent(
        &self,
        host: &str,
        issuer: &str,
        account: &str,
        is_wildcard: bool,
    ) -> Option<bool> {
        let place = self.lookup.place(&persist::name(host)).await.ok()?;
        let mut has = None;
        for server in &place.servers {
            // Another server may answer.
            let Ok(answer) = self.lookup.ask(*server, &place.name, Kind::Txt).await else { continue };
            let mut texts = answer.texts(&place.name);
            let here = texts.any(|text| persist::allows(text, issuer, account, is_wildcard));
            has = Some(has.unwrap_or(true) && here);
        }
        has
    }

    /// The alias that the record of a challenge has, if there is one.
    pub(in crate::acme) async fn alias(&self, host: &str) -> Option<String> {
        let name = format!("{LABEL}.{host}");
        let place = self.lookup.place(&name).await.ok()?;
        (place.name != name).then_some(place.name)
    }

    /// Removes the record.
    pub(in crate::acme) async fn withdraw(&self, record: &Published) -> Result<(), String> {
        self.change(record, false).await
    }

    /// Writes or removes a record. Twice is the same as once.
    async fn change(&self, record: &Published, adds: bool) -> Result<(), String> {
        let client = &self.client;
        match &self.settings.provider {
            DnsProvider::Exec { command, environment } => exec::run(command, environment, record, adds).await,
            DnsProvider::HttpReq { url, login } => HttpReq { client, url, login }.change(record, adds).await,
            DnsProvider::AcmeDns { url, login, subdomain } => {
                AcmeDns { client, url, login, subdomain }.change(record, adds).await
            }
            DnsProvider::Rfc2136 { server, key, algorithm, zone } => {
                update::change(server, key.as_ref(), *algorithm, zone.as_deref(), record, adds).await
            }
            // It is there, and stays.
            DnsProvider::Static => Ok(()),
            DnsProvider::Cloudflare { url, token } => {
                Cloudflare { client, url, token }.change(record, adds).await
            }
        }
    }

    async fn wait(&self, place: &Place) -> Result<(), String> {
        let (begun, mut pause) = (Instant::now(), LOOK[0]);
        loop {
            let lacking = match self.look(place).await {
                Look::Everywhere => return Ok(()),
                Look::Unknown => {
                    Timer::after(self.settings.wait).await;
                    return Ok(());
                }
                Look::Lacking(server) => server,
            };
            let timeout = self.settings.timeout;
            if begun.elapsed() >= timeout {
                let name = &place.record.name;
                return Err(format!("the record is not at {name} after {timeout:?}, says {lacking}"));
            }
            Timer::after(pause).await;
            pause = (pause * 2).min(LOOK[1]);
        }
    }

    /// Asks all servers at once.
    async fn look(&self, place: &Place) -> Look {
        let asked = place.servers.iter().map(|server| {
            let (lookup, server, name) = (self.lookup.clone(), *server, place.record.name.clone());
            (server, smol::spawn(async move { lookup.ask(server, &name, Kind::Txt).await }))
        });
        let asked: Vec<_> = asked.collect();
        let mut look = Look::Unknown;
        for (server, answer) in asked {
            let answer: io::Result<_> = answer.await;
            let Ok(answer) = answer else { continue };
            let has = answer.has_text(&place.record.name, place.record.value.as_bytes());
            look = match look {
                Look::Lacking(first) => Look::Lacking(first),
                _ if has => Look::Everywhere,
                _ => Look::Lacking(server),
            };
        }
        look
    }
}

/// The answers of all servers.
enum Look {
    /// All that answer have the record.
    Everywhere,
    /// This one has it not.
    Lacking(SocketAddr),
    /// None answers.
    Unknown,
}
