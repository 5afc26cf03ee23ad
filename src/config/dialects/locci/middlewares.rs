//! `middlewares` of a gateway. The program of locci-proxy reads them and runs none; its guide says what they do.

use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{Auth, Cors, PoliciesWritten, RateKey, RateLimit, RateLimits, ReadPolicy};
use crate::config::source::NamedPolicies;
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::{ValueError, pattern, policies};

/// Those that were declared, each with its place.
#[derive(Default)]
pub(super) struct Middlewares {
    rate_limiting: Option<Spanned<Arc<RateLimits>>>,
    authentication: Option<Spanned<Authentication>>,
    cors: Option<Spanned<Arc<Cors>>>,
}

/// The secret of tokens, and paths that need none.
struct Authentication {
    /// It is read for a route that names this, so that a sample of a secret harms nothing elsewhere.
    secret: Option<Node>,
    excluded: Vec<Arc<str>>,
}

/// One that a route names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    RateLimiting,
    Authentication,
    Cors,
}

impl Kind {
    const ALL: [(Kind, &'static str); 3] = [
        (Kind::RateLimiting, "rate_limiting"),
        (Kind::Authentication, "authentication"),
        (Kind::Cors, "cors"),
    ];

    /// Its name.
    #[cfg(feature = "control")]
    pub(in crate::config) fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The one of this name, which may be a short one.
    pub(super) fn named(text: &str) -> Result<Kind, ValueError> {
        match text {
            "rate_limiting" | "rate_limit" => Ok(Kind::RateLimiting),
            "authentication" | "auth" | "jwt" => Ok(Kind::Authentication),
            "cors" => Ok(Kind::Cors),
            _ => Err(ValueError::hint("is not a middleware", "write rate_limiting, authentication or cors")),
        }
    }
}

impl Middlewares {
    fn place(&self, kind: Kind) -> Option<Span> {
        match kind {
            Kind::RateLimiting => self.rate_limiting.as_ref().map(|limits| limits.span),
            Kind::Authentication => self.authentication.as_ref().map(|tokens| tokens.span),
            Kind::Cors => self.cors.as_ref().map(|cors| cors.span),
        }
    }

    /// The policies of a route that names these. One that was not declared is an error: the route would be open.
    pub(super) fn policies(&self, named: &[Spanned<Kind>], decoder: &mut Decoder<'_>) -> PoliciesWritten {
        let mut policies = PoliciesWritten::default();
        for Spanned { value: kind, span } in named {
            if self.place(*kind).is_none() {
                let hint = "the route would be open: write it under `middlewares` of `api_gateway`";
                decoder.report.error_hint(*span, "this middleware is not declared", hint);
            }
            match kind {
                Kind::RateLimiting => {
                    policies.rate_limit =
                        self.rate_limiting.as_ref().map(|limits| Some(limits.value.clone()));
                }
                Kind::Cors => policies.cors = self.cors.as_ref().map(|cors| Some(cors.value.clone())),
                Kind::Authentication => {
                    policies.auth = self.tokens(*span, decoder).map(Some);
                }
            }
        }
        policies
    }

    /// The tokens for a route that names them at `span`.
    fn tokens(&self, span: Span, decoder: &mut Decoder<'_>) -> Option<Arc<Auth>> {
        let Some(secret) = self.authentication.as_ref()?.value.secret.clone() else {
            let hint = "write a secret of 32 bytes or more as `jwt_secret` of `authentication`";
            decoder.report.error_hint(span, "this route asks for tokens, and there is no `jwt_secret`", hint);
            return None;
        };
        let policy = tokens_of(secret);
        let mut fields = MappingReader::open(decoder, policy, "`authentication`")?;
        ReadPolicy::<Auth>::policy(&mut fields, "auth").flatten()
    }

    /// The paths that need no token, though their route asks for one.
    pub(super) fn excluded(&self) -> &[Arc<str>] {
        self.authentication.as_ref().map_or(&[], |tokens| &tokens.value.excluded)
    }

    /// The policies of each one that was declared. One that may be wrong by itself is left out unless a route names it.
    pub(super) fn declared(&self, named: &[Spanned<Kind>], decoder: &mut Decoder<'_>) -> Vec<NamedPolicies> {
        let harmless = |kind| matches!(kind, Kind::RateLimiting | Kind::Cors);
        let mut all = Vec::new();
        for (kind, name) in Kind::ALL {
            let by_route = named.iter().find(|one| one.value == kind).map(|one| one.span);
            let place = self.place(kind).filter(|_| harmless(kind) || by_route.is_some());
            let Some(span) = place.map(|place| by_route.unwrap_or(place)) else { continue };
            let policies = self.policies(&[Spanned { value: kind, span }], decoder);
            let excluded = self.excluded().iter().filter(|_| policies.auth.is_some()).cloned().collect();
            all.push(NamedPolicies { name, policies, excluded });
        }
        all
    }

    /// Warns of those that no route names.
    pub(super) fn warn_of_unused(&self, named: &[Kind], decoder: &mut Decoder<'_>) {
        for (kind, name) in Kind::ALL {
            if let Some(span) = self.place(kind).filter(|_| !named.contains(&kind)) {
                let message = format!("no route names the middleware `{name}`");
                let hint = "add it to `middlewares` of a route, or leave it out";
                decoder.report.warning(Some(span), message, hint);
            }
        }
    }
}

/// A mapping of the three kinds.
pub(super) fn middlewares(decoder: &mut Decoder<'_>, node: Node) -> Option<Middlewares> {
    let mut fields = MappingReader::open(decoder, node, "`middlewares`")?;
    let place = |fields: &MappingReader<'_, '_>, name| fields.at(name);
    let (rate_at, auth_at, cors_at) =
        (place(&fields, "rate_limiting"), place(&fields, "authentication"), place(&fields, "cors"));
    let limits = fields.field("rate_limiting", rate_limiting);
    let tokens = fields.field("authentication", authentication);
    let cors = fields.field("cors", cors);
    fields.close();
    let at = |span: Option<Span>| move |value| Some(Spanned { value: Arc::new(value), span: span? });
    Some(Middlewares {
        rate_limiting: limits.and_then(at(rate_at)),
        authentication: tokens.and_then(|value| Some(Spanned { value, span: auth_at? })),
        cors: cors.and_then(|value| Some(Spanned { value: Arc::new(value), span: cors_at? })),
    })
}

/// Keys that are remembered: 1 MiB.
const KEYS: usize = 65_536;

/// `{requests_per_minute, burst_size, key_header}`.
fn rate_limiting(decoder: &mut Decoder<'_>, node: Node) -> Option<RateLimits> {
    let mut fields = MappingReader::open(decoder, node, "`rate_limiting`")?;
    fields.require(&["requests_per_minute"]);
    let requests = fields.parsed("requests_per_minute", policies::requests_in_time);
    let burst = fields.parsed("burst_size", policies::requests_in_time);
    let by = fields.parsed("key_header", |name| {
        policies::token(name).map(|name| RateKey::Header(name.to_ascii_lowercase().into()))
    });
    fields.close();
    let requests = requests?.value;
    Some(RateLimits(vec![RateLimit {
        requests,
        per: Duration::from_secs(60),
        burst: burst.map_or(requests, |burst| burst.value),
        by: by.map_or(RateKey::Client, |by| by.value),
        fallback: RateKey::Client,
        keys: KEYS,
        ipv6_prefix: 64,
        status: 429,
        fields: false,
    }]))
}

/// `{jwt_secret, excluded_paths}`. The guide of locci-proxy shows no form of another key, so the secret signs with HMAC.
fn authentication(decoder: &mut Decoder<'_>, node: Node) -> Option<Authentication> {
    let mut fields = MappingReader::open(decoder, node, "`authentication`")?;
    let secret = fields.field("jwt_secret", |decoder, node| {
        mask_secret(&node, decoder.report);
        Some(node)
    });
    let excluded = fields.field("excluded_paths", |decoder, node| {
        let items = decoder.list(node, "a list of paths");
        let mut paths: Vec<Arc<str>> = Vec::new();
        for item in items {
            let Some(Spanned { value: path, span }) = decoder.parsed(item, excluded_path) else { continue };
            if paths.contains(&path) {
                // Each becomes a rule, and two of them would have one name.
                let message = format!("`{path}` stands twice in `excluded_paths`");
                decoder.report.error_hint(span, message, "leave one out");
            } else {
                paths.push(path);
            }
        }
        Some(paths)
    });
    fields.close();
    let excluded = excluded.unwrap_or_default();
    Some(Authentication { secret, excluded })
}

/// The policy that asks for tokens with this secret, as a native file has it: `{ auth: { jwt: ... } }`. Tokens have HS256,
/// the usual algorithm of a secret.
fn tokens_of(secret: Node) -> Node {
    let span = secret.span;
    let mapping = |entries: Vec<(&str, Node)>| {
        let key = |name: &str| Spanned { value: name.to_owned(), span };
        Node::new(span, Value::Map(entries.into_iter().map(|(name, node)| (key(name), node)).collect()))
    };
    let algorithms = Node::new(span, Value::Scalar("HS256".to_owned()));
    let jwt = mapping(vec![("keys", mapping(vec![("secret", secret)])), ("algorithms", algorithms)]);
    mapping(vec![("auth", mapping(vec![("jwt", jwt)]))])
}

/// A path that needs no token. A star in it is an error, because it stands for itself and the path would ask for a token.
fn excluded_path(text: &str) -> Result<Arc<str>, ValueError> {
    match text.contains('*') {
        true => Err(ValueError::hint("has a `*`, and this is one whole path", "list each path")),
        // A slash at the end counts: `/users` and `/users/` are two paths.
        false => pattern::path(text).map(|path| match text.len() > 1 && text.ends_with('/') {
            true => format!("{path}/").into(),
            false => path,
        }),
    }
}

/// `{allowed_origins, allowed_methods, allowed_headers}`. `*` allows those that a preflight asks for.
fn cors(decoder: &mut Decoder<'_>, node: Node) -> Option<Cors> {
    let mut fields = MappingReader::open(decoder, node, "`cors`")?;
    fields.require(&["allowed_origins"]);
    let origins =
        fields.field("allowed_origins", |decoder, node| Some(decoder.parsed_many(node, policies::origin)));
    let mut tokens = |name| -> Vec<Arc<str>> {
        let tokens = fields.field(name, |decoder, node| Some(decoder.parsed_many(node, policies::token)));
        let tokens: Vec<_> = tokens.into_iter().flatten().map(|token| token.value).collect();
        if tokens.iter().any(|token| &**token == "*") { Vec::new() } else { tokens }
    };
    let (methods, headers) = (tokens("allowed_methods"), tokens("allowed_headers"));
    fields.close();
    let origins = origins?.into_iter().map(|origin| origin.value).collect();
    Some(Cors { origins, methods, headers, ..Cors::default() })
}
