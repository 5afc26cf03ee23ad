//! The answer to a challenge, as one gate hands it to the others.

use serde::{Deserialize, Serialize};

use crate::acme::protocol::base64;
use crate::acme::protocol::x509::certified;
use crate::tls::Issued;

/// The answer to a challenge that is open, as all gates give it.
#[derive(Deserialize, Serialize)]
pub(in crate::acme) enum SharedAnswer {
    /// By token: the text of the response.
    Http { token: String, text: String },
    /// By name: the certificate and its key in PKCS #8, both in base64.
    Tls { certificate: String, key: String },
}

impl SharedAnswer {
    pub(in crate::acme) fn http(token: &str, text: &str) -> Self {
        Self::Http { token: token.to_owned(), text: text.to_owned() }
    }

    pub(in crate::acme) fn tls(certificate: &[u8], key: &[u8]) -> Self {
        Self::Tls { certificate: base64::url(certificate), key: base64::url(key) }
    }

    /// Gives the answer here too.
    pub(super) fn open(&self, issued: &Issued, name: &str) {
        match self {
            Self::Http { token, text } => issued.answer_http(name, token, text),
            Self::Tls { certificate, key } => {
                let der = base64::decode_url(certificate).zip(base64::decode_url(key));
                let key = der.and_then(|(chain, key)| certified(vec![chain.into()], key).ok());
                key.iter().for_each(|key| issued.answer_tls(name, key));
            }
        }
    }

    pub(super) fn close(&self, issued: &Issued, name: &str) {
        match self {
            Self::Http { token, .. } => issued.end_http(token),
            Self::Tls { .. } => issued.end_tls(name),
        }
    }
}
