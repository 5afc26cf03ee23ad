//! The closed set of placeholders, and which of them exist in a place.

use std::sync::Arc;

use crate::http::class::is_token;

/// A part of a request that a template holds a place for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// `{method}`.
    Method,
    /// `{host}`, without a port.
    Host,
    /// `{path}`, as it was received.
    Path,
    /// `{rest}`: the path behind the prefix of the rule.
    Rest,
    /// `{query}`, without its question mark.
    Query,
    /// `{uri}`: path and query.
    Uri,
    /// `{url}`: scheme, host, port, path and query.
    Url,
    /// `{url}` as a part of another URL: percent-encoded.
    EncodedUrl,
    /// `{scheme}`: `http` or `https`.
    Scheme,
    /// `{client}`: the address of the client.
    Client,
    /// `{rule}`: its name.
    Rule,
    /// `{time}`: the time at which the text is written.
    Time,
    /// `{target}`: the address that got the request.
    Target,
    /// `{request_id}`.
    RequestId,
    /// `{traceparent}`: the context of the trace.
    Traceparent,
    /// `{user}`: the name of the user, if a policy knows it.
    User,
    /// `{claim.NAME}`: a claim of the user's token.
    Claim(Arc<str>),
    /// `{header.NAME}`: the first field of that name.
    Header(Arc<str>),
    /// `{cookie.NAME}`.
    Cookie(Arc<str>),
    /// `{1}` or `{name}`: the part of host or path that a star or a group of the rule has taken, from 0.
    Capture(usize),
}

/// The place of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateUse {
    /// A URL or a path. Every value must fit there, so fields and cookies do not exist.
    Url,
    /// The value of a field of a request, or a body.
    Text,
    /// The value of a field of a response, which is written once the target is known.
    Response,
}

impl TemplateUse {
    /// Each of them with the places that have it, from the fewest placeholders to the most.
    const ALL: [(Self, &str); 3] = [
        (Self::Url, "`redirect`, `rewrite`, bodies and `headers`"),
        (Self::Text, "bodies and `headers`"),
        (Self::Response, "`headers.response`"),
    ];
}

const URL: &[(&str, Placeholder)] = &[
    ("host", Placeholder::Host),
    ("path", Placeholder::Path),
    ("rest", Placeholder::Rest),
    ("query", Placeholder::Query),
    ("uri", Placeholder::Uri),
];

/// Those of URLs alone.
const URL_ONLY: &[(&str, Placeholder)] = &[("url", Placeholder::EncodedUrl)];

const TEXT: &[(&str, Placeholder)] = &[
    ("url", Placeholder::Url),
    ("method", Placeholder::Method),
    ("scheme", Placeholder::Scheme),
    ("client", Placeholder::Client),
    ("rule", Placeholder::Rule),
    ("time", Placeholder::Time),
    ("request_id", Placeholder::RequestId),
    ("traceparent", Placeholder::Traceparent),
    ("user", Placeholder::User),
];

const RESPONSE: &[(&str, Placeholder)] = &[("target", Placeholder::Target)];

/// The captures of a rule: those of its host, then those of its path. Each has a number, from 1, and maybe a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureNames {
    /// How many of them the host has.
    pub of_host: usize,
    /// The name of each, if it has one.
    pub names: Vec<Option<Arc<str>>>,
}

/// The placeholders that exist in a place.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The place.
    pub used: TemplateUse,
    /// The captures of the rule.
    pub captures: &'a CaptureNames,
}

impl Scope<'_> {
    fn words(&self) -> impl Iterator<Item = &'static (&'static str, Placeholder)> {
        let lists: &[&[_]] = match self.used {
            TemplateUse::Url => &[URL, URL_ONLY],
            TemplateUse::Text => &[URL, TEXT],
            TemplateUse::Response => &[URL, TEXT, RESPONSE],
        };
        lists.iter().copied().flatten()
    }

    /// The placeholder with this name, which stands between braces.
    pub(super) fn find(&self, name: &str) -> Option<Placeholder> {
        if let Some((_, placeholder)) = self.words().find(|(word, _)| *word == name) {
            return Some(placeholder.clone());
        }
        let names = &self.captures.names;
        if let Ok(number @ 1..) = name.parse::<usize>() {
            return (number <= names.len()).then_some(Placeholder::Capture(number - 1));
        }
        if let Some(index) = names.iter().position(|known| known.as_deref() == Some(name)) {
            return Some(Placeholder::Capture(index));
        }
        let (kind, name) = name.split_once('.').filter(|(_, name)| is_token(name.as_bytes()))?;
        match kind {
            _ if self.used == TemplateUse::Url => None,
            "header" => Some(Placeholder::Header(name.into())),
            "cookie" => Some(Placeholder::Cookie(name.into())),
            "claim" => Some(Placeholder::Claim(name.into())),
            _ => None,
        }
    }

    /// The places in which a placeholder exists that does not exist here.
    pub fn places_of(&self, name: &str) -> Option<&'static str> {
        let mut others = TemplateUse::ALL.into_iter();
        others.find(|(used, _)| Scope { used: *used, ..*self }.find(name).is_some()).map(|(_, places)| places)
    }

    /// Everything that exists, as it is written.
    pub fn listed(&self) -> Vec<String> {
        let words = self.words().map(|(word, _)| (*word).to_owned());
        let named = ["header.NAME", "cookie.NAME", "claim.NAME"]
            .into_iter()
            .filter(|_| self.used != TemplateUse::Url);
        let captures = self.captures.names.iter().enumerate();
        let captures = captures.map(|(index, name)| match name {
            Some(name) => name.to_string(),
            None => (index + 1).to_string(),
        });
        let all = words.chain(named.map(str::to_owned)).chain(captures);
        all.map(|word| format!("{{{word}}}")).collect()
    }
}
