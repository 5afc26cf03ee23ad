//! The keys that change fields of messages.

use Form::{Duration, Either, Flag, Mapping as Map, Names, OneOrMany, Text, Words};

use super::by_hand::{ByHand, REQUIRED};
use crate::config::keys::Form;

const TEXTS: Form = OneOrMany(&Text);

/// Changes of fields, of rules, and of listeners for their rules.
pub(super) const HEADERS: &[ByHand] = &[
    (
        "headers",
        Either(&[Words(&["false"]), Map("`headers`")]),
        "",
        "Fields that are set, added or taken out: { request, response }.",
    ),
    (
        "hsts",
        Either(&[Words(&["false"]), Duration, Map("`hsts`")]),
        "",
        "Strict-Transport-Security over TLS: the time that browsers remember it, or a mapping.",
    ),
    (
        "request_id",
        Text,
        "",
        "A field with an identity of each request, accepted from trusted proxies or made: true, or its name.",
    ),
    (
        "traceparent",
        Flag,
        "",
        "Whether each request has the context of a trace, accepted or made (W3C Trace Context).",
    ),
];

pub(super) const BOTH_MESSAGES: &[ByHand] = &[
    ("request", Map("a change of fields"), "", "Of the request that the target gets."),
    ("response", Map("a change of fields"), "", "Of the response that the client gets."),
];

pub(super) const CHANGES: &[ByHand] = &[
    ("set", Names(&Text), "", "Fields in the place of all of their names, with placeholders."),
    ("add", Names(&TEXTS), "", "Fields that are added, with placeholders."),
    ("default", Names(&Text), "", "Fields that are added if there is none of their names."),
    ("remove", TEXTS, "", "Names of fields that are taken out. * at the end takes every end."),
];

pub(super) const HSTS: &[ByHand] = &[
    ("max_age", Duration, REQUIRED, "The time that browsers remember it."),
    ("include_subdomains", Flag, "false", "Whether hosts below this one are meant too."),
    ("preload", Flag, "false", "Whether lists of browsers may have it."),
];
