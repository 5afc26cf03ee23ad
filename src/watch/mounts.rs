//! Files that are mounted by themselves, and whose name outside was given to another file.
//!
//! Such a mount shows the old file for ever, and no event and no poll will ever tell of an edit. What
//! tells is that the old file lost its last name, or that the table of mounts names it differently.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::files::{FileId, FileStamps};

/// What was seen of them so far.
#[derive(Debug, Default)]
pub(super) struct StaleMounts {
    /// Files that had a name. One that never had one, as some file systems say of all of theirs, proves
    /// nothing.
    named: HashSet<PathBuf>,
    /// What was mounted at a path when it was first looked at.
    mounted: BTreeMap<PathBuf, String>,
    /// The file of each path, as it was told of.
    reported_file: HashMap<PathBuf, FileId>,
}

impl StaleMounts {
    /// The paths that show a file which was replaced outside. Each file is told of once.
    pub(super) fn find(&mut self, stamps: &FileStamps, mounted: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
        let mut orphans = Vec::new();
        for (path, stamp) in stamps {
            let Some(stamp) = stamp else { continue };
            let lost_its_name = stamp.names == 0 && self.named.contains(path);
            if stamp.names > 0 {
                self.named.insert(path.clone());
            }
            let renamed = mounted.get(path).is_some_and(|now| {
                let before = self.mounted.insert(path.clone(), now.clone());
                before.is_some_and(|before| before != *now)
            });
            if (lost_its_name || renamed)
                && self.reported_file.insert(path.clone(), stamp.file) != Some(stamp.file)
            {
                orphans.push(path.clone());
            }
        }
        orphans
    }
}
