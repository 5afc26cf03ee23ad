//! The keys `headers`, `hsts`, `request_id` and `traceparent`, and what they mean together.

use std::fmt;
use std::sync::Arc;

use super::edits::{Edits, FieldEdit};
use crate::config::keys::yaml::quote;
use crate::http::{CaptureNames, Scope, Template, TemplateUse};

/// Changes of the fields of requests and of responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Headers {
    /// Of the request that the target gets.
    pub request: Edits,
    /// Of the response that the client gets, from a target or from the gate itself.
    pub response: Edits,
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides = [("request", &self.request), ("response", &self.response)];
        let sides = sides.into_iter().filter(|(_, edits)| !edits.is_empty());
        let sides: Vec<String> = sides.map(|(key, edits)| format!("{key}: {edits}")).collect();
        write!(f, "{{ {} }}", sides.join(", "))
    }
}

/// The demand that browsers use TLS alone (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hsts {
    /// How long a browser remembers it, in seconds.
    pub max_age: u64,
    /// Whether hosts below this one are meant too.
    pub include_subdomains: bool,
    /// Whether browsers may be delivered with it.
    pub preload: bool,
}

impl Hsts {
    /// The value of `Strict-Transport-Security`.
    pub fn value(&self) -> String {
        let Hsts { max_age, include_subdomains, preload } = self;
        let below = if *include_subdomains { "; includeSubDomains" } else { "" };
        format!("max-age={max_age}{below}{}", if *preload { "; preload" } else { "" })
    }
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hsts { max_age, include_subdomains, preload } = self;
        write!(f, "{{ max_age: {max_age}s, include_subdomains: {include_subdomains}, preload: {preload} }}")
    }
}

/// The identity of each request: accepted from a trusted proxy, or made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// The name of the field.
    pub field: Arc<str>,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.field))
    }
}

/// Everything that a rule does with the fields of messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleHeaders {
    /// As written.
    pub headers: Option<Arc<Headers>>,
    /// As written.
    pub hsts: Option<Arc<Hsts>>,
    /// As written.
    pub request_id: Option<Arc<RequestId>>,
    /// Whether each request has the context of a trace: that of the client, or a new one.
    pub traceparent: bool,
    /// All changes of requests.
    pub request: Edits,
    /// All changes of responses over TLS, and of those in the clear, which have no HSTS (RFC 6797, section 7.2).
    pub response: [Edits; 2],
}

impl RuleHeaders {
    /// The changes of responses.
    pub fn of_response(&self, is_encrypted: bool) -> &Edits {
        &self.response[usize::from(!is_encrypted)]
    }

    /// The keys and their values in YAML.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let RuleHeaders { headers, hsts, request_id, traceparent, request: _, response: _ } = self;
        let lines = [
            headers.as_ref().map(|headers| ("headers", headers.to_string())),
            hsts.as_ref().map(|hsts| ("hsts", hsts.to_string())),
            request_id.as_ref().map(|id| ("request_id", id.to_string())),
            traceparent.then(|| ("traceparent", "true".to_owned())),
        ];
        lines.into_iter().flatten().collect()
    }
}

/// The keys that were written in one place. The inner `None` stands for `false`.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadersWritten {
    pub(crate) headers: Option<Option<Arc<Headers>>>,
    pub(crate) hsts: Option<Option<Arc<Hsts>>>,
    pub(crate) request_id: Option<Option<Arc<RequestId>>>,
    pub(crate) traceparent: Option<bool>,
}

impl HeadersWritten {
    /// The keys.
    pub(crate) const KEYS: &[&'static str] = &["headers", "hsts", "request_id", "traceparent"];

    /// These, and those of `below` that are not written here.
    pub(crate) fn over(&self, below: &Self) -> Self {
        Self {
            headers: self.headers.clone().or_else(|| below.headers.clone()),
            hsts: self.hsts.clone().or_else(|| below.hsts.clone()),
            request_id: self.request_id.clone().or_else(|| below.request_id.clone()),
            traceparent: self.traceparent.or(below.traceparent),
        }
    }

    /// Everything that they do together. `None` if they do nothing.
    pub(crate) fn settle(&self) -> Option<Arc<RuleHeaders>> {
        let Self { headers, hsts, request_id, traceparent } = self.clone();
        let (headers, hsts, request_id) = (headers.flatten(), hsts.flatten(), request_id.flatten());
        let traceparent = traceparent.unwrap_or_default();
        if headers.is_none() && hsts.is_none() && request_id.is_none() && !traceparent {
            return None;
        }
        let Headers { mut request, response } = headers.as_deref().cloned().unwrap_or_default();
        if let Some(RequestId { field }) = request_id.as_deref() {
            put(&mut request, field, template("{request_id}"));
        }
        if traceparent {
            put(&mut request, "traceparent", template("{traceparent}"));
        }
        let mut in_tls = response.clone();
        if let Some(hsts) = &hsts {
            put(&mut in_tls, "Strict-Transport-Security", Template::literal(&hsts.value()));
        }
        Some(Arc::new(RuleHeaders {
            headers,
            hsts,
            request_id,
            traceparent,
            request,
            response: [in_tls, response],
        }))
    }
}

/// Sets a field, unless the rule itself sets it.
fn put(edits: &mut Edits, name: &str, value: Template) {
    if !edits.set.iter().any(|edit| edit.name.eq_ignore_ascii_case(name)) {
        edits.set.push(FieldEdit { name: name.into(), value });
    }
}

fn template(text: &str) -> Template {
    let captures = CaptureNames::default();
    let scope = Scope { used: TemplateUse::Text, captures: &captures };
    Template::new(text, &scope).expect("invariant: both are placeholders of texts")
}
