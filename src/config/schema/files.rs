//! The mapping of `files`.

use super::by_hand::{ByHand, PATH, REQUIRED};
use crate::config::keys::Form;
use Form::{Flag, OneOrMany, Text, Words};

const TEXTS: Form = OneOrMany(&Text);
const CODINGS: Form = OneOrMany(&Words(&["br", "zst", "gz", "none"]));

pub(super) const FILES: &[ByHand] = &[
    ("root", PATH, REQUIRED, "The folder."),
    ("index", TEXTS, "index.html", "The files that stand for a folder, the first that is there; none."),
    (
        "fallback",
        Text,
        "",
        "The file for pages without a file, as \"/index.html\" of a single-page application.",
    ),
    (
        "precompressed",
        CODINGS,
        "none",
        "Compressed forms beside a file that are sent if a client takes them, the best first.",
    ),
    (
        "hidden",
        TEXTS,
        ".*, *~, *.bak",
        "Names that are not served, nor what is below them; none. * takes any characters.",
    ),
    ("symlinks", Words(&["inside", "none", "anywhere"]), "inside", "Which links are followed."),
    ("list", Flag, "false", "Whether a folder without an index is listed."),
    ("immutable", TEXTS, "none", "Globs for the paths, below the root, of files that never change."),
];
