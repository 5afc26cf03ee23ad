//! Networks, and names for several of them.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::keys::ValueError;

/// The networks from which Cloudflare connects to servers, as published at `https://www.cloudflare.com/ips/`, of
/// 2023-09-28.
const CLOUDFLARE: &[&str] = &[
    "173.245.48.0/20",
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "141.101.64.0/18",
    "108.162.192.0/18",
    "190.93.240.0/20",
    "188.114.96.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "162.158.0.0/15",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "172.64.0.0/13",
    "131.0.72.0/22",
    "2400:cb00::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2405:b500::/32",
    "2405:8100::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
];

/// Networks that are not routed in the Internet: RFC 1918, loopback, link-local, and RFC 4193. Not 100.64.0.0/10 (RFC
/// 6598): strangers with the same provider have such addresses.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// The networks that have a name together.
const PRESETS: &[(&str, &[&str])] = &[("cloudflare", CLOUDFLARE), ("private", PRIVATE)];

/// A network, a single address, or the name of several networks.
pub(crate) fn networks(text: &str) -> Result<Vec<IpNet>, ValueError> {
    match PRESETS.iter().find(|(name, _)| *name == text) {
        Some((_, networks)) => networks.iter().map(|network| one(network)).collect(),
        None => Ok(vec![one(text)?]),
    }
}

fn one(text: &str) -> Result<IpNet, ValueError> {
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = network.ok_or(ValueError::hint(
        "is not a network",
        "write for example \"10.0.0.0/8\", \"192.0.2.1\", cloudflare or private",
    ))?;
    Ok(network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_two_forms_or_a_name() {
        let read = |text| networks(text).map(|all| all.iter().map(IpNet::to_string).collect::<Vec<_>>());
        assert_eq!(read("10.1.2.3/8"), Ok(vec!["10.0.0.0/8".to_owned()]));
        assert_eq!(read("::1"), Ok(vec!["::1/128".to_owned()]));
        assert!(read("10.0.0.0/33").is_err() && read("localhost").is_err() && read("Private").is_err());
        for (name, all) in PRESETS {
            assert_eq!(read(name), Ok(all.iter().map(|&network| network.to_owned()).collect()), "{name}");
        }
    }
}
