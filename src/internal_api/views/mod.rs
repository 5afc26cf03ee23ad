//! Views of a gate as JSON.

mod certificates;

mod views;

pub(super) use certificates::{CertificateView, certificate_view, certificates_page, told_page};
pub(super) use views::{Entry, Route, health, json, routes, routes_page, upstreams_page};
