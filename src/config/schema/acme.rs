//! The keys of `acme` and `store`.

use Form::{Either, Flag, Mapping as Map, OneOrMany, Text, Words};

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;

pub(super) const ACME: &[ByHand] = &[
    ("accept_terms", Words(&["true"]), REQUIRED, "Accepts the terms of the authority."),
    ("email", Text, "", "The address that the authority may write to."),
    (
        "ca",
        Either(&[Text, Map("`ca` of `acme`")]),
        "letsencrypt",
        "The authority: letsencrypt, zerossl, google, the URL of a directory, or a mapping.",
    ),
    (
        "staging",
        Flag,
        "false",
        "Whether the test system of the authority is used, which browsers do not trust.",
    ),
    ("challenges", OneOrMany(&Words(&["http", "tls"])), "[http, tls]", "The challenges, best first."),
    (
        "while_waiting",
        Words(&["self_signed", "refuse"]),
        "self_signed",
        "The certificate of a name that waits for its first one.",
    ),
];

pub(super) const ACME_CA: &[ByHand] = &[
    ("directory", Text, REQUIRED, "The name of the authority, or the URL of its directory."),
    ("root", PATH, "", "A PEM file of authorities to trust for that URL instead of those of the system."),
    ("eab", Map("`eab`"), "", "The account that the authority knows its customer by."),
];

pub(super) const EAB: &[ByHand] = &[
    ("kid", Text, REQUIRED, "The identifier of the key."),
    ("hmac", Text, REQUIRED, "The key, in base64 for URLs."),
];

pub(super) const STORE: &[ByHand] = &[("path", PATH, REQUIRED, "The folder.")];
