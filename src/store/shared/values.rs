//! The contract with a server that keeps values.

use std::io;
use std::sync::Arc;

/// The version of a value, by the word of its server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::store::shared) struct Version(pub(in crate::store::shared) Arc<str>);

/// The state that a write expects to find.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::shared) enum Expect<'a> {
    /// No value.
    Absent,
    /// This version.
    At(&'a Version),
}

/// A write did not find what it expected. Nothing was written.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store::shared) struct Changed;

/// Small values under keys with slashes. Each write says what it expects to find. All functions block.
///
/// A server that keeps this contract can be shared by gates. An error of `put` does not tell whether the value was written.
pub(in crate::store::shared) trait Values: Send + Sync {
    /// The value with its version. `None` if there is none.
    fn get(&self, key: &str) -> io::Result<Option<(Vec<u8>, Version)>>;

    /// Writes a value if the expected one is there.
    fn put(&self, key: &str, value: &[u8], found: Expect<'_>) -> io::Result<Result<Version, Changed>>;

    /// Removes a value, whatever it is.
    fn delete(&self, key: &str) -> io::Result<()>;

    /// The keys with this beginning, with their versions.
    fn list(&self, prefix: &str) -> io::Result<Vec<(String, Version)>>;
}
