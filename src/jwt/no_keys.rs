//! Without the feature `jwt` there are no keys.

use super::algorithm::Algorithm;
use super::outcome::{Found, KeyProblem};

/// Whether tokens can be verified.
pub const IS_BUILT_IN: bool = false;

/// No set of keys can exist.
pub enum KeySet {}

const MISSING: KeyProblem =
    KeyProblem { problem: "needs the feature `jwt`, without which this program was built", hint: "" };

impl KeySet {
    /// None.
    pub fn of_text(_text: &[u8]) -> Result<Self, KeyProblem> {
        Err(MISSING)
    }

    /// None.
    pub fn of_secret(_secret: &[u8]) -> Result<Self, KeyProblem> {
        Err(MISSING)
    }

    /// No algorithm.
    pub fn takes(&self, _algorithm: Algorithm) -> bool {
        match *self {}
    }

    pub(super) fn check(
        &self,
        _id: Option<&str>,
        _algorithm: Algorithm,
        _message: &[u8],
        _signature: &[u8],
    ) -> Found {
        match *self {}
    }

    /// No fingerprint.
    pub fn fingerprint(&self, _number: u64, _token: &[u8]) -> [u8; 32] {
        match *self {}
    }
}
