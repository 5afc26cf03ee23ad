//! How certificates are ordered, as native YAML.

use super::keys::yaml::{list, quote};
use super::plan::{
    Bucket, CertificateAuthority, CheckAt, DnsChallenge, DnsProvider, EventProgram, ExternalAccount, Orders,
    SignatureAlgorithm, StorePlace, WhileWaiting,
};
use super::values::scalar::show_duration;
use super::yaml_writer::{Yaml, path};

/// Writes `acme` and `store`.
pub(super) fn write(out: &mut Yaml, orders: &Orders) {
    let Orders {
        email,
        cas,
        challenges,
        dns,
        key,
        on_event,
        while_waiting,
        self_check,
        self_check_at,
        store,
    } = orders;
    out.open(0, "acme");
    out.line(1, "accept_terms", true);
    if let Some(email) = email {
        out.line(1, "email", quote(email));
    }
    out.list(1, "ca", cas, write_authority);
    out.line(1, "challenges", list(challenges.iter().map(|kind| kind.key())));
    if let Some(dns) = dns {
        write_dns(out, dns);
    }
    out.line(1, "key", key.word());
    if let Some(EventProgram { command, environment }) = on_event {
        out.open(1, "on_event");
        out.line(2, "command", list(command.iter()));
        if !environment.is_empty() {
            out.line(2, "environment", list(environment.iter()));
        }
    }
    let refuses = *while_waiting == WhileWaiting::Refuse;
    out.line(1, "while_waiting", if refuses { "refuse" } else { "self_signed" });
    let CheckAt { resolvers, http_port, https_port } = self_check_at;
    if *self_check {
        out.open(1, "self_check");
        if !resolvers.is_empty() {
            out.line(2, "resolvers", list(resolvers.iter()));
        }
        out.line(2, "http_port", http_port);
        out.line(2, "https_port", https_port);
    } else {
        out.line(1, "self_check", false);
    }
    write_store(out, store);
}

fn write_store(out: &mut Yaml, store: &StorePlace) {
    let bucket = match store {
        StorePlace::Folder(folder) => return out.line(0, "store", path(folder)),
        StorePlace::Bucket(bucket) => bucket,
    };
    let Bucket { endpoint, name, prefix, region, login, root, keys, lease } = &**bucket;
    out.open(0, "store");
    out.open(1, "s3");
    out.line(2, "bucket", quote(name));
    if let Some(endpoint) = endpoint {
        out.line(2, "endpoint", quote(endpoint));
    }
    out.line(2, "region", quote(region));
    if !prefix.is_empty() {
        out.line(2, "prefix", quote(prefix));
    }
    if let Some((user, _)) = login {
        out.line(2, "access_key_id", quote(user));
        out.line(2, "secret_access_key", "redacted");
    }
    if let Some(root) = root {
        out.line(2, "root", path(root));
    }
    out.line(1, "key", list(keys.iter().map(|_| "redacted")));
    out.line(1, "lease", show_duration(*lease));
}

fn write_authority(out: &mut Yaml, ca: &CertificateAuthority) {
    let CertificateAuthority { directory, staging, profile, root, external_account } = ca;
    out.line(3, "directory", quote(directory));
    if let Some(staging) = staging {
        out.line(3, "staging_directory", quote(staging));
    }
    if let Some(profile) = profile {
        out.line(3, "profile", quote(profile));
    }
    if let Some(root) = root {
        out.line(3, "root", path(root));
    }
    if let Some(ExternalAccount { kid, hmac: _ }) = external_account {
        out.line(3, "eab", format!("{{ kid: {}, hmac: redacted }}", quote(kid)));
    }
}

fn write_dns(out: &mut Yaml, dns: &DnsChallenge) {
    let DnsChallenge { provider, wait, timeout, resolvers, servers } = dns;
    out.open(1, "dns");
    let mut line = |key: &str, value: String| out.line(2, key, value);
    match provider {
        DnsProvider::Exec { command, environment } => {
            line("provider", "exec".into());
            line("command", list(command.iter()));
            if !environment.is_empty() {
                line("environment", list(environment.iter()));
            }
        }
        DnsProvider::HttpReq { url, login } => {
            line("provider", "httpreq".into());
            line("url", quote(url));
            if let Some((username, _)) = login {
                line("username", quote(username));
                line("password", "redacted".into());
            }
        }
        DnsProvider::AcmeDns { url, login: (username, _), subdomain } => {
            line("provider", "acme_dns".into());
            line("url", quote(url));
            line("username", quote(username));
            line("password", "redacted".into());
            line("subdomain", quote(subdomain));
        }
        DnsProvider::Rfc2136 { server, key, algorithm, zone } => {
            line("provider", "rfc2136".into());
            line("server", quote(server));
            if let Some((name, _)) = key {
                line("key_name", quote(name));
                line("secret", "redacted".into());
            }
            let named = SignatureAlgorithm::ALL.into_iter().find(|(_, known)| known == algorithm);
            line("algorithm", named.map_or("", |(name, _)| name).into());
            if let Some(zone) = zone {
                line("zone", quote(zone));
            }
        }
        DnsProvider::Static => line("provider", "static".into()),
        DnsProvider::Cloudflare { url, token: _ } => {
            line("provider", "cloudflare".into());
            line("url", quote(url));
            line("token", "redacted".into());
        }
    }
    line("wait", show_duration(*wait));
    line("timeout", show_duration(*timeout));
    for (key, addresses) in [("resolvers", resolvers), ("servers", servers)] {
        if !addresses.is_empty() {
            line(key, list(addresses.iter()));
        }
    }
}
