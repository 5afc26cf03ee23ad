//! A bucket where the feature is left out: none can be used.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use super::certificate::StoredCertificate;
use crate::config::plan::{Bucket, LEASE};

/// No bucket.
pub(super) struct Right;

/// No bucket.
pub(super) struct Shared;

fn missing<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, "this program was built without the feature `s3`"))
}

impl Right {
    pub(super) fn new(_: &Arc<Bucket>) -> Arc<Self> {
        Arc::new(Self)
    }
}

impl Shared {
    pub(super) fn new(_: &Arc<Right>, _: &str) -> Self {
        Self
    }

    pub(super) fn apart(&self) -> Self {
        Self
    }

    pub(super) fn lock(&self) -> Result<()> {
        missing()
    }

    pub(super) fn is_held(&self) -> bool {
        false
    }

    pub(super) fn give_back(&self) {}

    pub(super) fn spread(&self) -> Duration {
        LEASE
    }

    pub(super) fn interval(&self) -> Duration {
        LEASE
    }

    pub(super) fn read(&self, _: &str) -> Result<Option<Vec<u8>>> {
        missing()
    }

    pub(super) fn write(&self, _: &str, _: &[u8]) -> Result<()> {
        missing()
    }

    pub(super) fn leave(&self, _: &str, _: &[u8]) -> Result<()> {
        missing()
    }

    pub(super) fn certificate(&self, _: &str) -> Result<Option<StoredCertificate>> {
        missing()
    }

    pub(super) fn keep_certificate(&self, _: &str, _: &StoredCertificate) -> Result<()> {
        missing()
    }

    pub(super) fn list(&self, _: &str) -> Result<Vec<(String, String)>> {
        missing()
    }
}
