//! Certificates that are ordered as JSON.

use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::views::{is_false, json};
use crate::internal_api::control::{CertificateTold, OrderedAttempt, OrderedCertificate};
use crate::log::clock::Utc;

/// A name for which certificates are ordered.
#[derive(Serialize)]
pub(in crate::internal_api) struct CertificateView {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptView>,
}

#[derive(Serialize)]
struct AttemptView {
    at: String,
    ca: String,
    #[serde(skip_serializing_if = "is_false")]
    staging: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One name of the response to `/certificates`.
pub(in crate::internal_api) fn certificate_view(certificate: OrderedCertificate) -> CertificateView {
    let OrderedCertificate { name, state, until, next, error, ca, attempts } = certificate;
    let time = |seconds: u64| Utc::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    let attempt =
        |OrderedAttempt { at, ca, staging, error }| AttemptView { at: time(at), ca, staging, error };
    CertificateView {
        name,
        state,
        until: until.map(time),
        next_attempt: next.map(time),
        error,
        ca,
        attempts: attempts.into_iter().map(attempt).collect(),
    }
}

/// The response to `/certificates`.
pub(in crate::internal_api) fn certificates_page(certificates: Vec<OrderedCertificate>) -> String {
    format!("{}\n", json(&certificates.into_iter().map(certificate_view).collect::<Vec<_>>()))
}

/// The answer to a question about certificates.
pub(in crate::internal_api) fn told_page(told: &CertificateTold) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        well: bool,
        text: &'a str,
    }
    let CertificateTold { is_well, text } = told;
    format!("{}\n", json(&Told { well: *is_well, text }))
}
