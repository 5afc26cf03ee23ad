//! Host names, each with the tree of its rules.
//!
//! The table uses open addressing, because with many hosts a lookup mostly waits for memory. Here it reads
//! one slot and one name, and the bytes of all names are contiguous.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::tree::Tree;

/// Finds the tree of a host. Built once, then only read.
#[derive(Debug)]
pub(super) struct Hosts {
    /// The number of slots is a power of two. At least half of them are empty, and a search ends at an empty
    /// one.
    slots: Box<[Option<Slot>]>,
    names: Box<[u8]>,
}

/// One host. A slot has 16 bytes, so that four share a cache line.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tree: Tree,
    /// The start of the name in `names`; `len` is its length in bytes.
    start: u32,
    len: u16,
    /// Bits of the hash that did not choose the slot. If they differ, the search need not read the name.
    tag: u16,
}

impl Hosts {
    /// Builds the table. No host may occur twice.
    pub(super) fn build<'a>(hosts: impl ExactSizeIterator<Item = (&'a str, Tree)>) -> Hosts {
        let mut slots = vec![None; (hosts.len() * 2 + 1).next_power_of_two()].into_boxed_slice();
        let mut names = Vec::new();
        for (name, tree) in hosts {
            let (mut at, tag) = place(name.as_bytes(), slots.len());
            while slots[at].is_some() {
                at = (at + 1) % slots.len();
            }
            let start =
                u32::try_from(names.len()).expect("invariant: the names of a configuration fit 4 GiB");
            let len = u16::try_from(name.len()).expect("invariant: a host name has at most 253 bytes");
            slots[at] = Some(Slot { tree, start, len, tag });
            names.extend_from_slice(name.as_bytes());
        }
        Hosts { slots, names: names.into() }
    }

    /// Whether there are no hosts.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The tree of `host`.
    pub(super) fn get(&self, host: &[u8]) -> Option<Tree> {
        let (mut at, tag) = place(host, self.slots.len());
        while let Some(slot) = &self.slots[at] {
            let start = slot.start as usize;
            if slot.tag == tag && self.names[start..start + usize::from(slot.len)] == *host {
                return Some(slot.tree);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        None
    }
}

/// The slot at which the search for a host starts, and its tag. `slots` is a power of two.
///
/// The seed is fixed. That is safe, because collisions hurt only if a stranger chooses the keys that are
/// *stored*, and these keys come from the configuration.
fn place(host: &[u8], slots: usize) -> (usize, u16) {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(host);
    let hash = hasher.finish();
    (hash as usize & (slots - 1), (hash >> 48) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_found_and_no_other() {
        for count in [0u32, 1, 2, 3, 10, 1_000] {
            let names: Vec<String> = (0..count).map(|number| format!("host-{number}.test")).collect();
            let hosts =
                Hosts::build(names.iter().zip(0..count).map(|(name, rule)| (&**name, Tree::Rule(rule))));
            assert_eq!(hosts.is_empty(), count == 0);
            for (name, rule) in names.iter().zip(0..count) {
                assert_eq!(hosts.get(name.as_bytes()), Some(Tree::Rule(rule)), "{name} of {count}");
            }
            for name in ["", "host-", "host-0.tes", "host-0.test.", "host-1000.test"] {
                assert_eq!(hosts.get(name.as_bytes()), None, "{name} of {count}");
            }
        }
    }

    #[test]
    fn four_slots_share_a_line_of_the_cache() {
        assert_eq!(size_of::<Option<Slot>>(), 16);
    }
}
