//! The account at a CA, and its key.

use std::sync::{Arc, PoisonError};

use serde_json::json;

use super::ca::{Ca, Session, failure};
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::protocol::base64;
use crate::acme::protocol::jws::{AccountKey, Signer};
use crate::acme::protocol::messages::DirectoryUrls;
use crate::acme::protocol::problem::Problem;
use crate::net::Answer;

impl Ca {
    /// The URL of the account of our key. An account that exists is found, so that none is made twice.
    pub(super) async fn account(&self, directory: &DirectoryUrls) -> Result<String, Failure> {
        let found = self.find_account(directory).await?;
        let answer = match found.status {
            200 | 201 => found,
            _ if Problem::read(found.status, &found.body).is_unknown_account() => {
                self.register(directory).await?
            }
            _ => return Err(failure(&found, FaultOf::Ca)),
        };
        let account = answer.field("location").map(str::to_owned);
        account.ok_or_else(|| Failure::of_ca("the CA did not say the URL of the account"))
    }

    /// Looks for the account of our key, and if there is none, of the key that a change has left.
    async fn find_account(&self, directory: &DirectoryUrls) -> Result<Answer, Failure> {
        let find = json!({ "onlyReturnExisting": true });
        let found = self.signed(directory, &Signer::Key, &directory.new_account, Some(&find)).await?;
        let candidate = self.candidate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_unknown = || Problem::read(found.status, &found.body).is_unknown_account();
        let Some(candidate) = candidate.filter(|_| found.status >= 400 && is_unknown()) else {
            return Ok(found);
        };
        let before = self.set_key(candidate);
        let other = self.signed(directory, &Signer::Key, &directory.new_account, Some(&find)).await?;
        if other.status >= 300 {
            self.set_key(before);
            return Ok(found);
        }
        Ok(other)
    }

    /// Signs with another key from now on. Returns the one until now.
    fn set_key(&self, key: Arc<AccountKey>) -> Arc<AccountKey> {
        std::mem::replace(&mut *self.key.lock().unwrap_or_else(PoisonError::into_inner), key)
    }

    /// Whether the account has the key that a change has left. `None` if none was left. Forgets that key.
    pub(in crate::acme) fn settle_key(&self) -> Option<bool> {
        let candidate = self.candidate.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Arc::ptr_eq(&candidate, &self.key()))
    }

    /// Gives the account another key (RFC 8555, section 7.3.5). If the CA does not answer, the next session finds out which
    /// key the account has.
    pub(in crate::acme) async fn change_key(
        &self,
        session: &Session,
        new: AccountKey,
    ) -> Result<(), Failure> {
        let url = session.directory.key_change.as_deref();
        let url = url.ok_or_else(|| Failure::of_name("this CA changes no keys of accounts"))?;
        let unable = |_| Failure::new(FaultOf::Gate, "the account key cannot sign");
        let inner = new.key_change(&self.key(), &session.account, url).map_err(unable)?;
        let new = Arc::new(new);
        let changed = self.post(session, url, Some(&inner), FaultOf::Name).await;
        match &changed {
            Err(failure) if failure.of != FaultOf::Name => {
                *self.candidate.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
                *self.session.lock().await = None;
            }
            Err(_) => {}
            Ok(_) => drop(self.set_key(new)),
        }
        changed.map(drop)
    }

    async fn register(&self, directory: &DirectoryUrls) -> Result<Answer, Failure> {
        let mut wish = json!({ "termsOfServiceAgreed": true });
        if let Some(email) = &self.orders.email {
            wish["contact"] = json!([format!("mailto:{email}")]);
        }
        match &self.authority().external_account {
            Some(external) => {
                let secret = base64::decode_url(&external.hmac.0).unwrap_or_default();
                wish["externalAccountBinding"] =
                    self.key().external_binding(&external.kid, &secret, &directory.new_account);
            }
            None if directory.meta.external_account_required => {
                return Err(Failure::of_ca("this CA wants `eab`: a key that it gives to its customers"));
            }
            None => {}
        }
        let answer = self.signed(directory, &Signer::Key, &directory.new_account, Some(&wish)).await?;
        match answer.status {
            200 | 201 => Ok(answer),
            _ => Err(failure(&answer, FaultOf::Ca)),
        }
    }
}
