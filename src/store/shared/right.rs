//! The right to order, for all CAs of a configuration, which one gate has at a time.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use smol::{Task, Timer};

use super::lease::Lease;
use super::probe::probe;
use super::s3::S3;
use super::seal::Seal;
use super::sealed::Sealed;
use super::values::Values;
use crate::config::plan::Bucket;
use crate::files;

/// The record of the lease. It stands above the folders of the CAs, so that no two gates order at two CAs.
const LEASE: &str = "lease";

/// A bucket, and the right to order with it. The stores of all CAs share it.
pub(in crate::store) struct Right {
    pub(super) sealed: Sealed,
    lease: Lease,
    is_probed: OnceLock<()>,
    renewal: OnceLock<Task<()>>,
    /// Whether the last renewal has failed.
    is_silent: AtomicBool,
}

impl Right {
    /// Asks nothing yet.
    pub(in crate::store) fn new(bucket: &Arc<Bucket>) -> Arc<Self> {
        Self::with(Box::new(S3::new(bucket)), bucket)
    }

    pub(super) fn with(values: Box<dyn Values>, bucket: &Bucket) -> Arc<Self> {
        // A configuration has valid keys only.
        let seal = Seal::new(&bucket.keys).unwrap_or_else(Seal::none);
        Arc::new(Self {
            sealed: Sealed { values, seal },
            lease: Lease::new(LEASE.to_owned(), own_name(), bucket.lease),
            is_probed: OnceLock::new(),
            renewal: OnceLock::new(),
            is_silent: AtomicBool::new(false),
        })
    }

    /// Takes the lease, and renews it from then on.
    ///
    /// # Errors
    /// `WouldBlock` if another gate holds it. `Unsupported` if the server cannot be shared.
    pub(super) fn take(self: &Arc<Self>) -> Result<()> {
        if self.is_probed.get().is_none() {
            probe(&*self.sealed.values, &format!("probe/{}", random()))?;
            let _ = self.is_probed.set(());
        }
        if !self.lease.step(&self.sealed, Instant::now)? {
            let holder = self.lease.holder().unwrap_or_else(|| "another gate".to_owned());
            return Err(Error::new(ErrorKind::WouldBlock, holder));
        }
        self.renewal.get_or_init(|| {
            let (lease, weak) = (self.lease.time(), Arc::downgrade(self));
            smol::spawn(async move {
                loop {
                    Timer::after(lease / 3).await;
                    let Some(right) = weak.upgrade() else { return };
                    smol::unblock(move || right.renew()).await;
                }
            })
        });
        Ok(())
    }

    /// Renews the lease, if this gate holds it.
    fn renew(&self) {
        if self.lease.is_lost() {
            return;
        }
        match self.lease.step(&self.sealed, Instant::now) {
            Ok(is_held) => {
                self.is_silent.store(false, Relaxed);
                if !is_held {
                    tracing::warn!("another gate orders certificates from now on");
                }
            }
            Err(error) if self.is_silent.swap(true, Relaxed) => {
                tracing::debug!("the lease is not renewed: {error}")
            }
            Err(error) => tracing::warn!("the right to order certificates is not renewed: {error}"),
        }
    }

    /// Whether this gate may order now.
    pub(super) fn is_held(&self) -> bool {
        self.lease.is_held(Instant::now())
    }

    /// Whether another gate may order now.
    pub(super) fn is_lost(&self) -> bool {
        self.lease.is_lost()
    }

    /// Lets another gate order at once.
    pub(super) fn give_back(&self) {
        if let Err(error) = self.lease.give_back(&self.sealed) {
            tracing::debug!("the right to order certificates was not given back: {error}");
        }
    }

    /// The time of the lease.
    pub(super) fn time(&self) -> Duration {
        self.lease.time()
    }
}

/// The name of this gate: that of its machine, and random digits.
fn own_name() -> String {
    let host = files::read_text(Path::new("/proc/sys/kernel/hostname"), 256).unwrap_or_default();
    format!("{}-{}", if host.trim().is_empty() { "gate" } else { host.trim() }, random())
}

/// Eight random digits.
fn random() -> String {
    let mut bytes = [0; 4];
    // Without randomness, no request could be signed either.
    let _ = rand::fill(&mut bytes);
    format!("{:08x}", u32::from_be_bytes(bytes))
}
