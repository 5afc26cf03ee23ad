//! Whether the addresses of a name lead to this gate: a request to each, as the CA sends one.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use futures_lite::FutureExt;
use smol::Timer;

use super::finding::Finding;
use super::name::is_private;
use crate::acme::fleet::Proofs;
use crate::acme::protocol::base64;
use crate::config::plan::{ACME_CHALLENGES, CheckAt};
use crate::http::Method;
use crate::net::dns::{Kind, Lookup};
use crate::net::{Answer, Client, Request, Url};
use crate::tls::{Issued, address_of, host_of};

/// The time for the requests to one address.
const TIME_MAX: Duration = Duration::from_secs(8);
/// Redirects that are followed. A CA follows some more.
const REDIRECTS_MAX: usize = 5;
/// Addresses that are asked.
const ADDRESSES_MAX: usize = 8;

/// The name, and how it is asked.
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    pub(super) at: &'a CheckAt,
    /// Whether the CA begins in the clear. Else it asks with TLS alone.
    pub(super) in_clear: bool,
    /// Whether the CA connects to public addresses only.
    pub(super) is_public: bool,
    pub(super) client: &'a Client,
    pub(super) issued: &'a Issued,
    /// If other gates share the store, any of them may answer.
    pub(super) proofs: Option<&'a Proofs>,
}

/// The end of a request.
enum Reached {
    /// This gate answers. The flag: through Cloudflare.
    Here(bool),
    /// Another server answers.
    Other(String),
    /// Cloudflare answers by itself.
    Cloudflare(u16),
    /// The address refuses connections.
    Refused,
    /// It could not be found out, for example because a router leads no connection back inside.
    Unknown(String),
}

/// A token that is answered until this is dropped.
struct Answered<'a> {
    issued: &'a Issued,
    token: String,
    text: Arc<str>,
}

impl<'a> Answered<'a> {
    fn new(asked: &Asked<'a>) -> Option<Self> {
        let issued = asked.issued;
        if let Some(proofs) = asked.proofs {
            let (token, text) = proofs.token(&host_of(asked.host))?;
            return Some(Self { issued, token, text });
        }
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).ok()?;
        let token = base64::url(&bytes[..16]);
        let text: Arc<str> = base64::url(&bytes[16..]).into();
        issued.answer_http(asked.host, &token, &text);
        Some(Self { issued, token, text })
    }
}

impl Drop for Answered<'_> {
    fn drop(&mut self) {
        self.issued.end_http(&self.token);
    }
}

/// The addresses of a name, and whether each leads here.
pub(super) async fn look(lookup: &Lookup, asked: &Asked<'_>) -> Vec<Finding> {
    if let Some(address) = address_of(asked.host) {
        return vec![look_at(asked, address).await];
    }
    let (v4, v6) = futures_lite::future::zip(
        lookup.resolve(asked.host, Kind::A),
        lookup.resolve(asked.host, Kind::Aaaa),
    )
    .await;
    let (v4, v6) = match (v4, v6) {
        (Ok(v4), Ok(v6)) => (v4, v6),
        (Err(error), _) | (_, Err(error)) => {
            return vec![Finding::unclear("address", format!("the addresses cannot be looked up: {error}"))];
        }
    };
    let addresses: Vec<IpAddr> = v6.addresses().chain(v4.addresses()).take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        let text = format!("{} has no address: add a record A or AAAA that leads here", asked.host);
        return vec![Finding::bad("address", text)];
    }
    let mut found = Vec::new();
    for address in addresses {
        found.push(look_at(asked, address).await);
    }
    found
}

async fn look_at(asked: &Asked<'_>, address: IpAddr) -> Finding {
    let shown = match (address_of(asked.host), address) {
        (Some(_), _) => address.to_string(),
        (None, IpAddr::V4(_)) => format!("A {address}"),
        (None, IpAddr::V6(_)) => format!("AAAA {address}"),
    };
    if asked.is_public && is_private(address) {
        let text = format!("{shown} is an address of a private network, which the CA cannot reach");
        return Finding::bad("address", text);
    }
    let Some(answered) = Answered::new(asked) else {
        return Finding::unclear("address", "there is no randomness");
    };
    let late = async {
        Timer::after(TIME_MAX).await;
        Reached::Unknown(format!("no answer within {TIME_MAX:?}"))
    };
    let reached = reach(asked, address, &answered).or(late).await;
    let port = if asked.in_clear { asked.at.http_port } else { asked.at.https_port };
    match reached {
        Reached::Here(false) => Finding::fine("address", format!("{shown} leads here")),
        Reached::Here(true) if asked.in_clear => {
            Finding::fine("address", format!("{shown} leads here, through Cloudflare"))
        }
        Reached::Here(true) | Reached::Cloudflare(_) => Finding::bad("address", cloudflare(&reached)),
        Reached::Other(what) => {
            Finding::bad("address", format!("{address} answers, but it is not this gate ({what})"))
        }
        Reached::Refused if shown.starts_with("AAAA") => Finding::bad(
            "address",
            format!(
                "{shown} refuses port {port}, and the CA tries IPv6 first: remove the record or open the port"
            ),
        ),
        Reached::Refused => {
            Finding::bad("address", format!("{shown} refuses port {port}: let it lead to this gate"))
        }
        Reached::Unknown(why) => {
            let text = format!("{shown} cannot be asked from here, which may be due to a router: {why}");
            Finding::unclear("address", text)
        }
    }
}

fn cloudflare(reached: &Reached) -> String {
    let status = match reached {
        Reached::Cloudflare(status) => format!(" (status {status})"),
        _ => String::new(),
    };
    format!(
        "Cloudflare answers for it{status}: tls-alpn-01 cannot work; http-01 works with SSL mode \"Full\", or use dns"
    )
}

async fn reach(asked: &Asked<'_>, address: IpAddr, answered: &Answered<'_>) -> Reached {
    let target = format!("{ACME_CHALLENGES}/{}", answered.token);
    let port = if asked.in_clear { asked.at.http_port } else { asked.at.https_port };
    let mut url = Url::of_host(!asked.in_clear, asked.host, port, &target);
    for _ in 0..=REDIRECTS_MAX {
        let client = asked.client.at(SocketAddr::new(address, url.port()));
        let request = Request { method: Method::Get, url: &url, fields: &[], body: None };
        let answer = match client.send(request).await {
            Ok(answer) => answer,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Reached::Refused,
            Err(error) => return Reached::Unknown(error.to_string()),
        };
        let server = answer.field("server").unwrap_or_default();
        let is_cloudflare = answer.field("cf-ray").is_some() || server.eq_ignore_ascii_case("cloudflare");
        if answer.status == 200 && answer.body == answered.text.as_bytes() {
            return Reached::Here(is_cloudflare);
        }
        match next(asked, &answer) {
            Some(Ok(next)) => url = next,
            Some(Err(elsewhere)) => return Reached::Other(format!("it redirects to {elsewhere}")),
            None if is_cloudflare => return Reached::Cloudflare(answer.status),
            None if server.is_empty() => return Reached::Other(format!("status {}", answer.status)),
            None => return Reached::Other(format!("server: {}", plain(server))),
        }
    }
    Reached::Other("it redirects without end".to_owned())
}

/// The place of a redirect: on the same host, or elsewhere. `None` if it is no redirect.
fn next(asked: &Asked<'_>, answer: &Answer) -> Option<Result<Url, String>> {
    let location = answer.field("location").filter(|_| (300..400).contains(&answer.status))?;
    let Some(url) = Url::parse_any(location).ok().filter(|url| url.host().eq_ignore_ascii_case(asked.host))
    else {
        return Some(Err(plain(location)));
    };
    let port = if url.is_tls() { asked.at.https_port } else { asked.at.http_port };
    Some(Ok(Url::of_host(url.is_tls(), asked.host, port, url.target())))
}

/// The beginning of what a server says, for a line of text.
fn plain(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(80).collect()
}
