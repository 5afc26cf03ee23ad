//! What makes a client's second connection cheap: session tickets.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;

use super::client_auth::ClientAuthKey;

/// The keys that session tickets are sealed with: made once, rotated by rustls every six hours, and
/// kept over reloads, so that clients come back to any worker and to any generation.
///
/// One a demand. A ticket says that its client has shown what was demanded; it must open nothing
/// where more, or something else, is demanded now.
#[derive(Default)]
pub struct TicketKeys(Mutex<Vec<(ClientAuthKey, Arc<dyn ProducesTickets>)>>);

/// Demands whose keys are kept; the oldest go first. Only edits of `client_auth` make new ones.
const DEMANDS_MAX: usize = 64;

impl TicketKeys {
    /// The keys for a demand.
    ///
    /// # Errors
    /// When the system has no random numbers to give.
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
