//! Whether the store outlives a container.

use std::path::Path;

use rustix::fs::statfs;

use super::finding::Finding;
use crate::config::plan::StorePlace;

/// File systems that are gone with their container or with the power, by their numbers (statfs(2)).
const OVERLAY: u64 = 0x794c_7630;
const LOST: [(u64, &str); 3] = [
    (OVERLAY, "is in the container's own layer: certificates are lost with it; mount a volume"),
    (0x0102_1994, "is in memory (tmpfs): certificates are lost with it; name a folder on a disk"),
    (0x8584_58f6, "is in memory (ramfs): certificates are lost with it; name a folder on a disk"),
];

/// Warns of a store that will be lost. Blocks.
pub(in crate::acme) fn warn_of_place(place: &StorePlace) {
    let Some(path) = place.folder() else { return };
    if let Some(why) = lost_with(file_system(path)) {
        tracing::warn!("{} {why}", path.display());
    }
}

pub(super) fn look(place: &StorePlace) -> Finding {
    let Some(path) = place.folder() else {
        return Finding::fine("store", format!("{place} can be written to"));
    };
    match lost_with(file_system(path)) {
        Some(why) => Finding::unclear("store", format!("{} {why}", path.display())),
        None => Finding::fine("store", format!("{} can be written to", path.display())),
    }
}

/// The number of the file system of a path, or of the folder above that exists. 0 if it is not known.
fn file_system(path: &Path) -> u64 {
    let found = path.ancestors().find(|path| path.exists());
    found.and_then(|path| statfs(path).ok()).map_or(0, |found| number(found.f_type))
}

/// The type of the field differs between systems.
fn number(number: impl TryInto<i64>) -> u64 {
    number.try_into().map_or(0, i64::cast_unsigned) & u64::from(u32::MAX)
}

fn lost_with(file_system: u64) -> Option<&'static str> {
    LOST.iter().find(|(number, _)| *number == file_system).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_a_container_and_memory_are_lost() {
        let why = lost_with(OVERLAY).unwrap();
        assert!(why.contains("container's own layer") && why.contains("mount a volume"), "{why}");
        assert!(lost_with(0x0102_1994).is_some());
        // ext4, and a system that tells nothing.
        assert_eq!((lost_with(0xef53), lost_with(0)), (None, None));
    }

    #[test]
    fn the_file_system_of_a_folder_that_is_not_there_yet_is_that_above() {
        assert_eq!(file_system(Path::new("/proc/none/at/all")), file_system(Path::new("/proc")));
        assert_ne!(file_system(Path::new("/proc")), 0);
    }
}
