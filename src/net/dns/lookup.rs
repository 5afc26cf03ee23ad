//! Questions about a zone to its own servers, which resolvers of others ask too.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::rand;

use super::exchange::exchange;
use super::message::{Data, Kind, Message, Record, question};

/// Aliases and referrals that are followed from one name.
const STEPS_MAX: usize = 12;
/// Addresses of name servers of a zone that are asked.
const SERVERS_MAX: usize = 16;
/// The port of DNS.
const PORT: u16 = 53;

/// Asks resolvers, and the servers of zones.
#[derive(Clone, Debug)]
pub struct Lookup {
    resolvers: Vec<SocketAddr>,
    /// The servers to ask in place of those of a zone.
    fixed: Vec<SocketAddr>,
    /// The port of the servers of zones.
    port: u16,
}

/// The place of the record that a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name after all aliases.
    pub name: String,
    /// The servers of its zone.
    pub servers: Vec<SocketAddr>,
}

impl Lookup {
    /// Asks these resolvers, or those of the system if there are none. `fixed`, if there are any, are asked in place of
    /// the servers of a zone. Blocks.
    pub fn new(resolvers: &[SocketAddr], fixed: &[SocketAddr]) -> Self {
        let resolvers = if resolvers.is_empty() { of_the_system() } else { resolvers.to_vec() };
        Self { resolvers, fixed: fixed.to_vec(), port: PORT }
    }

    /// The place of the record at `name`. Its servers are asked, so no resolver keeps that the record is not there yet.
    ///
    /// # Errors
    /// The servers cannot be found, or do not answer.
    pub async fn place(&self, name: &str) -> io::Result<Place> {
        let mut name = name.to_ascii_lowercase();
        let mut servers = self.servers_of(parent(&name)).await?;
        let mut zone = String::new();
        for _ in 0..STEPS_MAX {
            let answer = self.ask_any(&servers, &name, Kind::Cname, false).await?;
            if let Some(alias) = answer.alias(&name) {
                name = alias.to_owned();
                (servers, zone) = (self.servers_of(parent(&name)).await?, String::new());
            } else if let Some(deeper) = answer.referral(&name).filter(|deeper| deeper.len() > zone.len()) {
                zone = deeper.to_owned();
                servers = self.servers_of(&zone).await?;
            } else {
                return Ok(Place { name, servers });
            }
        }
        Err(io::Error::other(format!("{name}: too many aliases")))
    }

    /// Asks one server of a zone.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, server: SocketAddr, name: &str, kind: Kind) -> io::Result<Message> {
        ask(server, name, kind, false).await
    }

    /// Asks the resolvers, the next one if one does not answer.
    ///
    /// # Errors
    /// None answers.
    pub async fn resolve(&self, name: &str, kind: Kind) -> io::Result<Message> {
        self.ask_any(&self.resolvers, name, kind, true).await
    }

    /// The servers of the zone that a name is in.
    async fn servers_of(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if !self.fixed.is_empty() {
            return Ok(self.fixed.clone());
        }
        let zone = self.zone(name).await?;
        let mut servers = Vec::new();
        for record in self.resolve(&zone, Kind::Ns).await?.answers {
            let Data::Server(server) = record.data else { continue };
            for kind in [Kind::A, Kind::Aaaa] {
                // The other kind, or another server, may have addresses.
                let Ok(answer) = self.resolve(&server, kind).await else { continue };
                servers.extend(answer.addresses().map(|address| SocketAddr::new(address, self.port)));
            }
        }
        servers.truncate(SERVERS_MAX);
        match servers.is_empty() {
            true => Err(io::Error::other(format!("no name server of {zone} has an address"))),
            false => Ok(servers),
        }
    }

    /// The zone that a name is in: the owner of the SOA that the resolver tells.
    async fn zone(&self, name: &str) -> io::Result<String> {
        let mut at = name;
        while !at.is_empty() {
            let answer = self.resolve(at, Kind::Soa).await?;
            if let Some(zone) = answer.zone_of(at) {
                return Ok(zone.to_owned());
            }
            at = parent(at);
        }
        Err(io::Error::other(format!("the zone of {name} is not known")))
    }

    /// The first answer of a server that is no error.
    async fn ask_any(
        &self,
        servers: &[SocketAddr],
        name: &str,
        kind: Kind,
        recursive: bool,
    ) -> io::Result<Message> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "no DNS server is known");
        for server in servers {
            match ask(*server, name, kind, recursive).await {
                // No error, or no such name: an answer.
                Ok(answer) if matches!(answer.code, 0 | 3) => return Ok(answer),
                Ok(answer) => failed = io::Error::other(format!("{server}: {name}: {}", answer.result())),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

async fn ask(server: SocketAddr, name: &str, kind: Kind, recursive: bool) -> io::Result<Message> {
    let mut id = [0; 2];
    rand::fill(&mut id).map_err(|_| io::Error::other("there is no randomness"))?;
    let id = u16::from_be_bytes(id);
    let message = question(id, name, kind, recursive).map_err(io::Error::other)?;
    exchange(server, id, &message).await
}

/// The zone that a name is in, as its own server tells it.
///
/// # Errors
/// The server does not answer, or does not know.
pub async fn zone_at(server: SocketAddr, name: &str) -> io::Result<String> {
    let answer = ask(server, name, Kind::Soa, false).await?;
    let zone = answer.zone_of(name).map(str::to_owned);
    zone.ok_or_else(|| {
        io::Error::other(format!("{server} does not know the zone of {name}: {}", answer.result()))
    })
}

impl Message {
    /// The owner of the SOA record, if the name is in that zone.
    fn zone_of(&self, name: &str) -> Option<&str> {
        let mut records = self.answers.iter().chain(&self.authorities);
        let start = records.find(|record| record.data == Data::Start && is_within(name, &record.name))?;
        Some(&start.name)
    }

    /// The zone below, whose servers know more about the name (RFC 1034, section 4.3.2).
    fn referral(&self, name: &str) -> Option<&str> {
        let is_referral =
            |record: &&Record| matches!(record.data, Data::Server(_)) && is_within(name, &record.name);
        let told = self.authorities.iter().find(is_referral).filter(|_| !self.is_authoritative);
        told.map(|record| &*record.name)
    }
}

/// Whether a name is `zone`, or lies below it.
fn is_within(name: &str, zone: &str) -> bool {
    zone.is_empty() || name.strip_suffix(zone).is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

fn parent(name: &str) -> &str {
    name.split_once('.').map_or("", |(_, parent)| parent)
}

/// The name servers of `/etc/resolv.conf`.
fn of_the_system() -> Vec<SocketAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let address = |line: &str| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok();
    text.lines().filter_map(address).map(|address| SocketAddr::new(address, PORT)).collect()
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
