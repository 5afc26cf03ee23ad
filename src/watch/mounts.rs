//! Detects single-file mounts that show an old file, because its name outside was given to another file.
//!
//! Such a mount shows the old file for ever, and no event and no poll reports an edit. Two signs remain: the old
//! file has lost its last name, or the table of mounts shows another name for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use super::files::{FileId, FileStamps};

/// The state of the mounts so far.
#[derive(Debug, Default)]
pub(super) struct StaleMounts {
    /// Files that had a hard link. Some file systems report none for all files, so only a change proves something.
    named: HashSet<PathBuf>,
    /// The root of each mount point when it was first looked at.
    mounted: BTreeMap<PathBuf, String>,
    /// The file of each path that was reported.
    reported_file: HashMap<PathBuf, FileId>,
}

impl StaleMounts {
    /// Returns the paths that show a file which was replaced outside. Each file is reported once.
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
