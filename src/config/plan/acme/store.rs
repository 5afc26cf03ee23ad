//! The place in which certificates and keys are kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::Secret;

/// The folder of certificates and keys, if no other place is named.
pub const STORE: &str = "/var/lib/smolgate";

/// The time for which a gate may order alone, if no other is named.
pub const LEASE: Duration = Duration::from_secs(60);

/// The region of a bucket, if no other is named.
pub const REGION: &str = "us-east-1";

/// The place in which certificates and keys are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorePlace {
    /// A folder of this gate.
    Folder(PathBuf),
    /// A bucket that several gates share.
    Bucket(Arc<Bucket>),
}

/// A bucket of a server that speaks the protocol of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The URL of the server. None: that of AWS for the region.
    pub endpoint: Option<Arc<str>>,
    /// The name of the bucket.
    pub name: Arc<str>,
    /// The beginning of all keys in the bucket, with a slash at its end unless it is empty.
    pub prefix: Arc<str>,
    /// The region that requests are signed for.
    pub region: Arc<str>,
    /// The access key and its secret. None: those of the environment.
    pub login: Option<(Arc<str>, Secret)>,
    /// A PEM file of authorities to trust for that URL instead of those of the system.
    pub root: Option<PathBuf>,
    /// The keys that seal values. The first one seals, and each of them opens. At least one.
    pub keys: Vec<Secret>,
    /// The time for which a gate may order alone after it has said so.
    pub lease: Duration,
}

impl StorePlace {
    /// The folder, unless it is a bucket.
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) => Some(path),
            Self::Bucket(_) => None,
        }
    }
}

impl Bucket {
    /// The URL of the server.
    pub fn endpoint(&self) -> String {
        let of_aws = || format!("https://s3.{}.amazonaws.com", self.region);
        self.endpoint.as_deref().map_or_else(of_aws, str::to_owned)
    }
}

/// As messages name it.
impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// As messages name it.
impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.name, self.prefix)
    }
}
