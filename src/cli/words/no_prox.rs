//! The command line of another program where its feature is left out: no verb, and no translation.

use std::ffi::OsString;

use clap::Subcommand;

use crate::cli::files::Files;

/// No verb.
#[derive(Debug, Subcommand)]
pub enum TranslatedVerb {}

impl TranslatedVerb {
    pub(in crate::cli) fn files(&mut self) -> Option<&mut Files> {
        match *self {}
    }
}

/// The same words.
pub(in crate::cli) fn translated(words: Vec<OsString>) -> Vec<OsString> {
    words
}
