//! The keys of `acme` and `store`.

use Form::{Either, Flag, Mapping as Map, Number, OneOrMany, Text, Words};

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;

pub(super) const ACME: &[ByHand] = &[
    ("accept_terms", Words(&["true"]), REQUIRED, "Accepts the terms of the authority."),
    ("email", Text, "", "The address that the authority may write to."),
    (
        "ca",
        OneOrMany(&Either(&[Text, Map("`ca` of `acme`")])),
        "letsencrypt",
        "One or many authorities, best first: letsencrypt, zerossl, google, the URL of a directory, or a mapping.",
    ),
    (
        "staging",
        Flag,
        "false",
        "Whether the test system of the authority is used, which browsers do not trust.",
    ),
    (
        "challenges",
        OneOrMany(&Words(&["http", "tls", "dns"])),
        "",
        "The challenges, best first: http and tls, or dns if it is set up.",
    ),
    ("dns", Map("`dns` of `acme`"), "", "The way to answer challenges by DNS, which wildcards need."),
    ("key", Words(&["p256", "p384", "rsa2048", "rsa4096"]), "p256", "The kind of new keys."),
    (
        "on_event",
        Either(&[OneOrMany(&Text), Map("`on_event` of `acme`")]),
        "",
        "The program that is run after an event, with its arguments.",
    ),
    (
        "while_waiting",
        Words(&["self_signed", "refuse"]),
        "self_signed",
        "The certificate of a name that waits for its first one.",
    ),
    (
        "self_check",
        Either(&[Flag, Map("`self_check` of `acme`")]),
        "",
        "Whether an order waits if a look at the name finds a reason why it would fail. Default: at public authorities.",
    ),
];

pub(super) const ON_EVENT: &[ByHand] = &[
    ("command", OneOrMany(&Text), REQUIRED, "The program, with its arguments."),
    ("environment", OneOrMany(&Text), "", "The variables that the program gets besides PATH and HOME."),
];

pub(super) const SELF_CHECK: &[ByHand] = &[
    ("resolvers", OneOrMany(&Text), "", "The resolvers to ask instead of those of the system."),
    ("http_port", Number(1, 65_535), "80", "The port at which the authority asks in the clear."),
    ("https_port", Number(1, 65_535), "443", "The port at which the authority asks with TLS."),
];

pub(super) const ACME_CA: &[ByHand] = &[
    ("directory", Text, REQUIRED, "The name of the authority, or the URL of its directory."),
    ("staging_directory", Text, "", "The URL of its test system, which is asked after a failure."),
    ("profile", Text, "", "The kind of certificate, by the name that the authority has for it."),
    ("root", PATH, "", "A PEM file of authorities to trust for that URL instead of those of the system."),
    ("eab", Map("`eab`"), "", "The account that the authority knows its customer by."),
];

pub(super) const EAB: &[ByHand] = &[
    ("kid", Text, REQUIRED, "The identifier of the key."),
    ("hmac", Text, REQUIRED, "The key, in base64 for URLs."),
];

pub(super) const ACME_DNS: &[ByHand] = &[
    (
        "provider",
        Words(&["exec", "httpreq", "acme_dns", "rfc2136", "cloudflare", "static"]),
        REQUIRED,
        "The way to write a record.",
    ),
    ("command", OneOrMany(&Text), "", "The program of exec, with its first arguments."),
    ("environment", OneOrMany(&Text), "", "The variables that the program gets besides PATH and HOME."),
    ("url", Text, "", "The server of httpreq or acme_dns, or another one for cloudflare."),
    ("username", Text, "", "The user at httpreq or acme_dns."),
    ("password", Text, "", "The password of that user."),
    ("subdomain", Text, "", "The name at acme_dns."),
    ("server", Text, "", "The name server of rfc2136 that takes updates."),
    ("key_name", Text, "", "The name of the key that signs updates."),
    ("secret", Text, "", "That key, in base64."),
    (
        "algorithm",
        Words(&["hmac-sha256", "hmac-sha384", "hmac-sha512"]),
        "hmac-sha256",
        "The way in which updates are signed.",
    ),
    ("zone", Text, "", "The zone of rfc2136. Without it, the server is asked."),
    ("token", Text, "", "The token of cloudflare."),
    ("wait", Form::Duration, "30s", "The wait for a record if no name server can be asked."),
    ("timeout", Form::Timeout, "3m", "The longest wait until all name servers have a record."),
    ("resolvers", OneOrMany(&Text), "", "The resolvers to ask instead of those of the system."),
    ("servers", OneOrMany(&Text), "", "The name servers to ask instead of those of the zone."),
];

pub(super) const STORE: &[ByHand] = &[
    ("path", PATH, "", "The folder."),
    ("s3", Map("`s3` of `store`"), "", "The bucket that several gates share, in place of a folder."),
    (
        "key",
        OneOrMany(&Text),
        "",
        "The key of 32 bytes in base64 that seals what is in the bucket, and older ones.",
    ),
    ("lease", Form::Timeout, "60s", "The time for which one of the gates orders alone, from 3s to 10m."),
];

pub(super) const STORE_S3: &[ByHand] = &[
    ("bucket", Text, REQUIRED, "The name of the bucket."),
    ("endpoint", Text, "", "The URL of the server. Without it, that of AWS for the region."),
    ("region", Text, "us-east-1", "The region that requests are signed for."),
    ("prefix", Text, "", "The beginning of all keys in the bucket."),
    ("access_key_id", Text, "", "The access key. Without it, that of the environment."),
    ("secret_access_key", Text, "", "The secret of the access key."),
    ("root", PATH, "", "A PEM file of authorities to trust for that URL instead of those of the system."),
];
