//! Unique names. Names are metric labels, so each belongs to one thing only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names that are taken.
#[derive(Default)]
pub(super) struct Names {
    taken: HashSet<Arc<str>>,
    /// The last number that was put behind a name.
    numbers: HashMap<String, u32>,
}

impl Names {
    pub(super) fn take(&mut self, name: Arc<str>) {
        self.taken.insert(name);
    }

    /// Returns the name itself if it is free, else the name with the first free number behind it.
    pub(super) fn take_free(&mut self, wanted: String) -> Arc<str> {
        let wanted = made_name(wanted);
        let mut name: Arc<str> = wanted.as_str().into();
        while !self.taken.insert(name.clone()) {
            let number = self.numbers.entry(wanted.clone()).or_insert(1);
            *number += 1;
            name = format!("{wanted}#{number}").into();
        }
        name
    }
}

/// The name that is made of a text. A long one is cut, so that it is one that could have been written.
pub(super) fn made_name(mut wanted: String) -> String {
    if wanted.len() > MADE_NAME_BYTES_MAX {
        wanted.truncate(wanted.floor_char_boundary(MADE_NAME_BYTES_MAX));
        wanted.push_str("...");
    }
    wanted
}

/// Bytes of a name that are kept before `...` and a number, so that 128 bytes are enough.
const MADE_NAME_BYTES_MAX: usize = 112;
