//! Values of a server, sealed.

use std::io;

use super::seal::Seal;
use super::values::{Changed, Expect, Values, Version};

/// Seals values on their way to the server, and opens them on their way back.
pub(super) struct Sealed {
    pub(super) values: Box<dyn Values>,
    pub(super) seal: Seal,
}

impl Sealed {
    /// The value with its version. `None` if there is none.
    pub(super) fn get(&self, key: &str) -> io::Result<Option<(Vec<u8>, Version)>> {
        let Some((sealed, version)) = self.values.get(key)? else { return Ok(None) };
        Ok(Some((self.seal.open(key, &sealed)?, version)))
    }

    /// Writes a value if the expected one is there.
    pub(super) fn put(
        &self,
        key: &str,
        value: &[u8],
        found: Expect<'_>,
    ) -> io::Result<Result<Version, Changed>> {
        self.values.put(key, &self.seal.seal(key, value)?, found)
    }
}
