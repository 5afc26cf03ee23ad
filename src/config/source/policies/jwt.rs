//! `auth.jwt` as written.

use std::sync::Arc;
use std::time::Duration;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::keys::is_withheld;
use crate::config::plan::{Jwt, JwtKeys, Secret, TokenPlace};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::header;
use crate::config::values::policies::jwt as values;
use crate::jwt::{self, Algorithm, KeyProblem, KeySet};

/// Claims, and the values of which each has one.
type WantedClaims = Vec<(Arc<str>, Vec<Arc<str>>)>;

/// The most by which two clocks differ by default.
const LEEWAY: Duration = Duration::from_secs(60);

/// The URL or the file of the keys, or `{ keys, issuer, audience, claims, algorithms, leeway, from, forward }`.
pub(super) fn jwt(decoder: &mut Decoder<'_>, node: Node) -> Option<Jwt> {
    is_built_in(decoder, node.span)?;
    let span = node.span;
    if !matches!(node.value, Value::Map(_)) {
        let keys = keys(decoder, node, &[])?;
        let jwt = usual(keys);
        warn_of_others(decoder, span, &jwt);
        return Some(jwt);
    }
    let mut fields = MappingReader::open(decoder, node, "`jwt`")?;
    fields.require(&["keys"]);
    let algorithms =
        fields.field("algorithms", |decoder, node| Some(decoder.parsed_many(node, values::algorithm)));
    let algorithms = algorithms.unwrap_or_default();
    let keys = fields.field("keys", |decoder, node| keys(decoder, node, &algorithms));
    let issuer = fields.parsed("issuer", values::text);
    let audience = fields.field("audience", |decoder, node| Some(decoder.parsed_many(node, values::text)));
    let claims = fields.field("claims", claims);
    let leeway = fields.parsed("leeway", values::leeway);
    let from = fields.field("from", |decoder, node| Some(decoder.parsed_many(node, values::place)));
    let forward = fields.field("forward", forward);
    fields.close();
    let mut jwt = usual(keys?);
    jwt.issuer = issuer.map(|issuer| issuer.value);
    jwt.audience = plain(audience.unwrap_or_default());
    jwt.claims = claims.unwrap_or_default();
    jwt.algorithms = plain(algorithms);
    jwt.leeway = leeway.map_or(LEEWAY, |leeway| leeway.value);
    if let Some(from) = from.filter(|from| !from.is_empty()) {
        jwt.from = plain(from);
    }
    jwt.forward = forward.unwrap_or_default();
    warn_of_others(decoder, span, &jwt);
    Some(jwt)
}

/// Reports that tokens cannot be verified, if that is so.
fn is_built_in(decoder: &mut Decoder<'_>, span: Span) -> Option<()> {
    if !jwt::IS_BUILT_IN {
        let message = "`jwt` needs the feature `jwt`, without which this program was built";
        decoder.report.error_hint(span, message, "use a program with it, or know the users by `basic`");
    }
    jwt::IS_BUILT_IN.then_some(())
}

/// Tokens that these keys verify, and nothing else that a token has to have.
fn usual(keys: JwtKeys) -> Jwt {
    Jwt {
        keys,
        issuer: None,
        audience: Vec::new(),
        claims: Vec::new(),
        algorithms: Vec::new(),
        leeway: LEEWAY,
        from: vec![TokenPlace::Bearer],
        forward: Vec::new(),
    }
}

fn plain<T>(values: Vec<Spanned<T>>) -> Vec<T> {
    values.into_iter().map(|value| value.value).collect()
}

/// Warns about keys of a server whose tokens are for other programs too (RFC 8725, sections 3.8 and 3.9), and about keys
/// that others on the way can replace.
fn warn_of_others(decoder: &mut Decoder<'_>, span: Span, jwt: &Jwt) {
    let JwtKeys::Url(url) = &jwt.keys else { return };
    if jwt.issuer.is_none() && jwt.audience.is_empty() {
        let message = "every token of this server is let in, also one that is for another program";
        let hint = "write `audience`, and `issuer` if the server has several";
        decoder.report.warning(Some(span), message, hint);
    }
    if values::is_in_the_clear(url) {
        let message = "the keys come in the clear, so a machine on the way can let itself in";
        decoder.report.warning(Some(span), message, "write `https://`, or name a file with the keys");
    }
}

/// The keys: a URL, a file, PEM or a JWK set, or `{ secret }`.
fn keys(decoder: &mut Decoder<'_>, node: Node, algorithms: &[Spanned<Algorithm>]) -> Option<JwtKeys> {
    if matches!(node.value, Value::Map(_)) {
        let mut fields = MappingReader::open(decoder, node, "`keys`")?;
        fields.require(&["secret"]);
        let secret = fields.field("secret", |decoder, node| secret(decoder, node, algorithms));
        fields.close();
        return secret.map(|secret| JwtKeys::Secret(Secret(secret)));
    }
    let span = node.span;
    let written = decoder.text(node)?;
    if written.text.contains("://") {
        refuse_secrets(decoder, algorithms);
        return Some(JwtKeys::Url(match values::url(&written.text) {
            Ok(url) => url,
            Err(error) => {
                decoder.value_error(&written, error);
                return None;
            }
        }));
    }
    let is_itself = written.text.trim_start().starts_with(['{', '-']);
    let text = match is_itself {
        true => written.text.clone(),
        // As text that is filled in, so that the file is watched as others are.
        false => decoder.text(Node::new(span, Value::Scalar(format!("${{file:{}}}", written.text))))?.text,
    };
    let set = KeySet::of_text(text.as_bytes());
    let what = if is_itself { "this text" } else { "the file" };
    check(decoder, span, what, set, algorithms)?;
    Some(JwtKeys::Public { written: written.text.into(), text: text.into() })
}

fn secret(decoder: &mut Decoder<'_>, node: Node, algorithms: &[Spanned<Algorithm>]) -> Option<Arc<str>> {
    let span = node.span;
    mask_secret(&node, decoder.report);
    let secret = decoder.text(node)?.text;
    // It is too short for a key, so no token is let in.
    if is_withheld(&secret) {
        return Some(secret.into());
    }
    check(decoder, span, "this secret", KeySet::of_secret(secret.as_bytes()), algorithms)?;
    Some(secret.into())
}

/// Reports keys that are none, and algorithms that none of the keys has. The message quotes no key.
fn check(
    decoder: &mut Decoder<'_>,
    span: Span,
    what: &str,
    set: Result<KeySet, KeyProblem>,
    algorithms: &[Spanned<Algorithm>],
) -> Option<()> {
    match set {
        Ok(set) => {
            for algorithm in algorithms.iter().filter(|algorithm| !set.takes(algorithm.value)) {
                refuse(decoder, algorithm, what);
            }
            Some(())
        }
        Err(KeyProblem { problem, hint }) => {
            decoder.report.error_hint(span, format!("{what} {problem}"), hint);
            None
        }
    }
}

fn refuse(decoder: &mut Decoder<'_>, algorithm: &Spanned<Algorithm>, what: &str) {
    let label = algorithm.value.label();
    let hint = match algorithm.value.secret_bytes_min() {
        Some(bytes) => format!("its key is a `secret` of {bytes} bytes or more, and never a public key"),
        None => "its key is a public one, in PEM or in a JWK set".to_owned(),
    };
    decoder.report.error_hint(algorithm.span, format!("{what} has no key for {label}"), hint);
}

/// Reports algorithms whose key is a secret, beside keys that are fetched.
fn refuse_secrets(decoder: &mut Decoder<'_>, algorithms: &[Spanned<Algorithm>]) {
    for algorithm in algorithms.iter().filter(|algorithm| algorithm.value.secret_bytes_min().is_some()) {
        refuse(decoder, algorithm, "a server that gives its keys away");
    }
}

/// `claims:`, a mapping of names to values, one or several.
fn claims(decoder: &mut Decoder<'_>, node: Node) -> Option<WantedClaims> {
    let Value::Map(entries) = node.value else {
        let hint = "write `{ role: [admin, editor] }`";
        decoder.report.error_hint(node.span, "`claims` is a mapping of claims to values", hint);
        return None;
    };
    let mut claims = Vec::new();
    for (name, node) in entries {
        let values = decoder.parsed_many(node, values::text);
        claims.push((name.value.as_str().into(), plain(values)));
    }
    claims.sort();
    Some(claims)
}

/// `forward:`, a mapping of fields to claims.
fn forward(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    let Value::Map(entries) = node.value else {
        let hint = "write `{ X-User: sub }`";
        decoder.report.error_hint(node.span, "`forward` is a mapping of fields to claims", hint);
        return None;
    };
    let mut forward = Vec::new();
    for (name, node) in entries {
        let claim = decoder.parsed(node, values::text);
        match header::told_in_requests(&name.value) {
            Ok(field) => forward.extend(claim.map(|claim| (field, claim.value))),
            Err(error) => {
                let message = format!("`{}` {}", name.value, error.problem);
                decoder.report.error_hint(name.span, message, error.hint.unwrap_or_default());
            }
        }
    }
    Some(forward)
}
