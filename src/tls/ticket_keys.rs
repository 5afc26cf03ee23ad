//! Keys for session tickets, which make a client's second connection cheap.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

use super::client_auth::ClientAuthKey;

/// The keys that seal session tickets. rustls rotates them every six hours. They are kept over reloads, so
/// that clients can resume with any worker and any generation.
///
/// Each `client_auth` has its own keys. A ticket says that its client has met one `client_auth`, and must not
/// be valid under another one.
#[derive(Default)]
pub struct TicketKeys(Mutex<Vec<(ClientAuthKey, Arc<dyn ProducesTickets>)>>);

/// The number of `client_auth`s whose keys are kept; the oldest go first. Only edits of a `client_auth` add
/// one.
const DEMANDS_MAX: usize = 64;

impl TicketKeys {
    /// The keys for a `client_auth`.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(super) fn of(&self, client_auth: &ClientAuthKey) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = known.iter().find(|(of, _)| of == client_auth) {
            return Ok(keys.clone());
        }
        let keys = Ticketer::new()?;
        if known.len() >= DEMANDS_MAX {
            known.remove(0);
        }
        known.push((client_auth.clone(), keys.clone()));
        Ok(keys)
    }
}
