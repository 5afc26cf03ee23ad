//! The keys of the access log and of the internal API.

use Form::{Text, Words};

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;

pub(super) const ACCESS_LOG: &[ByHand] = &[
    ("to", PATH, REQUIRED, "stdout, a path, or off."),
    ("format", Words(&["json", "combined", "human"]), "json", "The form of a line."),
];

pub(super) const INTERNAL_API: &[ByHand] = &[
    ("bind", Text, "127.0.0.1:42007", "An address, or unix: and a path. INTERNAL_API_PORT comes before it."),
    ("token", Text, "", "The token that requests must carry, except those for the health endpoints."),
    (
        "edits",
        Text,
        "",
        "Lets /api/v1 change routes and upstreams: memory, or the file that keeps the changes.",
    ),
];
