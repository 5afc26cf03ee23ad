//! The dynamic table of the decoder (RFC 7541, sections 2.3.2 and 4).

use std::collections::VecDeque;

use crate::http::Name;

/// The size that the peer may use, in bytes. It is the default of RFC 9113, section 6.5.2, so it holds before
/// the peer has read our SETTINGS.
pub const TABLE_BYTES_MAX: usize = 4096;

/// Bytes that an entry counts besides its name and its value (RFC 7541, section 4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// Bytes of storage beyond the size of a full table. Entries that were evicted lie there until they are worth
/// a move of the others: at most four bytes move for each byte that is inserted.
const SLACK_BYTES: usize = TABLE_BYTES_MAX / 4;

/// Bytes that the storage begins with. It grows with its entries.
const FIRST_BYTES: usize = 256;

/// An entry: where its name and then its value stand in the bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u16,
    name: u16,
    value: u16,
    known: Name,
}

impl Entry {
    fn len(&self) -> usize {
        usize::from(self.name) + usize::from(self.value)
    }
}

/// The fields that the peer asked to keep, newest first.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// Oldest first, without gaps between their bytes.
    entries: VecDeque<Entry>,
    /// Names and values. Those of the oldest entry may stand behind bytes of evicted ones.
    bytes: Vec<u8>,
    /// The size by RFC 7541, section 4.1. Always at most `size_max`.
    size: usize,
    /// The limit that the peer chose, at most [`TABLE_BYTES_MAX`].
    size_max: usize,
}

impl DynamicTable {
    pub(super) fn new() -> DynamicTable {
        DynamicTable { entries: VecDeque::new(), bytes: Vec::new(), size: 0, size_max: TABLE_BYTES_MAX }
    }

    /// The name, the value and the known name of an entry; 0 is the newest.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], &[u8], Name)> {
        let entry = self.entries.get(self.entries.len().checked_sub(index + 1)?)?;
        let bytes = &self.bytes[usize::from(entry.at)..][..entry.len()];
        let (name, value) = bytes.split_at(usize::from(entry.name));
        Some((name, value, entry.known))
    }

    /// Sets the limit and evicts the entries that do not fit (RFC 7541, section 4.3). `false`: the peer may not
    /// choose this limit.
    pub(super) fn resize(&mut self, size_max: usize) -> bool {
        if size_max > TABLE_BYTES_MAX {
            return false;
        }
        self.size_max = size_max;
        self.evict(0);
        true
    }

    /// Inserts a field. A field that is larger than the table empties it (RFC 7541, section 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], known: Name) {
        let length = name.len() + value.len();
        self.evict(length + ENTRY_OVERHEAD);
        if length + ENTRY_OVERHEAD > self.size_max {
            return;
        }
        self.make_room(length);
        let at = self.bytes.len() as u16;
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.size += length + ENTRY_OVERHEAD;
        self.entries.push_back(Entry { at, name: name.len() as u16, value: value.len() as u16, known });
    }

    /// Removes the oldest entries until `needed` more bytes fit, or none is left.
    fn evict(&mut self, needed: usize) {
        while self.size + needed > self.size_max {
            let Some(entry) = self.entries.pop_front() else { return };
            self.size -= entry.len() + ENTRY_OVERHEAD;
        }
        if self.entries.is_empty() {
            self.bytes.clear();
        }
    }

    /// Makes room for `length` bytes behind the newest entry: grows while the table does, then moves the
    /// entries to the front.
    fn make_room(&mut self, length: usize) {
        let needed = self.bytes.len() + length;
        if needed <= self.bytes.capacity() {
            return;
        }
        let start = self.entries.front().map_or(self.bytes.len(), |entry| usize::from(entry.at));
        if needed <= TABLE_BYTES_MAX + SLACK_BYTES {
            let target = needed.next_power_of_two().clamp(FIRST_BYTES, TABLE_BYTES_MAX + SLACK_BYTES);
            self.bytes.reserve_exact(target - self.bytes.len());
            return;
        }
        self.bytes.drain(..start);
        for entry in &mut self.entries {
            entry.at -= start as u16;
        }
    }

    /// Gives back the memory that holds no entry, before the connection waits.
    pub(super) fn shrink(&mut self) {
        let start = self.entries.front().map_or(0, |entry| usize::from(entry.at));
        self.bytes.drain(..start);
        for entry in &mut self.entries {
            entry.at -= start as u16;
        }
        self.bytes.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    /// Bytes of memory that the table holds.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The size by RFC 7541, section 4.1.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<Entry>(), 8);
    }

    /// Compares with a list that keeps each field by itself.
    #[test]
    fn the_table_holds_what_a_plain_list_would() {
        let (mut table, mut list) = (DynamicTable::new(), VecDeque::<(Vec<u8>, Vec<u8>)>::new());
        let (mut seed, mut size_max) = (1u64, TABLE_BYTES_MAX);
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) % most) as usize
        };
        for round in 0..20_000 {
            if round % 500 == 499 {
                size_max = random(TABLE_BYTES_MAX as u64 + 1);
                assert!(table.resize(size_max));
            }
            if round % 700 == 0 {
                table.shrink();
            }
            let most = if round % 9 == 0 { 3000 } else { 60 };
            let (name, value) = (vec![round as u8; random(30)], vec![(round >> 3) as u8; random(most)]);
            table.insert(&name, &value, Name::Other);
            list.push_front((name, value));
            let size = |list: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
                list.iter().map(|(name, value)| name.len() + value.len() + ENTRY_OVERHEAD).sum()
            };
            while size(&list) > size_max {
                list.pop_back();
            }
            assert_eq!(table.size(), size(&list));
            assert_eq!(table.entries.len(), list.len());
            for (index, (name, value)) in list.iter().enumerate() {
                assert_eq!(table.get(index), Some((&name[..], &value[..], Name::Other)));
            }
            assert_eq!(table.get(list.len()), None);
            assert!(table.held() <= TABLE_BYTES_MAX + SLACK_BYTES + 2 * 128 * 8, "{}", table.held());
        }
        assert!(!table.resize(TABLE_BYTES_MAX + 1));
    }
}
