//! Without the feature `auth` no password is right.

/// The key of fingerprints.
pub struct FingerprintKey(());

impl FingerprintKey {
    /// A key.
    pub fn new() -> Self {
        Self(())
    }

    /// No fingerprint.
    pub fn of(&self, _parts: &[&[u8]]) -> [u8; 32] {
        [0; 32]
    }
}

impl Default for FingerprintKey {
    fn default() -> Self {
        Self::new()
    }
}

/// Never.
pub fn is_right(_hash: &str, _password: &[u8]) -> bool {
    false
}

/// None.
pub fn hash(_password: &[u8]) -> Option<String> {
    None
}
