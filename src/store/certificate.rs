//! A certificate in a store.

/// A certificate with its key, both PEM.
pub struct StoredCertificate {
    /// The chain. Its own certificate is the first.
    pub chain: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// The name of the files for a name. A star means something to shells and to other programs.
pub fn file_name(name: &str) -> String {
    name.replace('*', "_wildcard")
}
