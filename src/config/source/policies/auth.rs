//! `auth` as written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::jwt::jwt;
use super::policy::policy;
use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::Span;
use crate::config::keys::ValueError;
use crate::config::plan::{Auth, AuthServer, AuthServerPlace, Basic, PolicyUpstream, ReadPolicy, Secret};
use crate::config::syntax::{Node, Value, mask_secret};
use crate::config::values::policies::{self, password};
use crate::config::values::{header, scalar};

/// The users of a rule.
type Users = BTreeMap<Arc<str>, Secret>;

impl ReadPolicy<Auth> for MappingReader<'_, '_> {
    fn policy(&mut self, name: &'static str) -> Option<Option<Arc<Auth>>> {
        policy(self, name, auth)
    }
}

/// The ways to know users, of which a rule has one.
const WAYS: [&str; 3] = ["basic", "jwt", "forward"];

/// `{ basic }`, `{ jwt }` or `{ forward }`.
fn auth(decoder: &mut Decoder<'_>, node: Node) -> Option<Auth> {
    let mut fields = MappingReader::open(decoder, node, "`auth`")?;
    let found: Vec<_> = WAYS.iter().filter_map(|way| Some((way, fields.at(way)?))).collect();
    if let [(one, _), (two, span), ..] = found[..] {
        let hint = "two rules may know their users in two ways: the first one that takes a request asks";
        let message = format!("`{one}` and `{two}` cannot stand in one rule");
        fields.decoder.report.error_hint(span, message, hint);
    }
    if found.is_empty() {
        fields.missing(&WAYS, "`auth` needs `basic`, `jwt` or `forward`".into(), "");
    }
    let basic = fields.field("basic", basic);
    let jwt = fields.field("jwt", jwt);
    let forward = fields.field("forward", forward);
    fields.close();
    basic.map(Auth::Basic).or(jwt.map(Auth::Jwt)).or(forward.map(Auth::Server))
}

/// The URL of a server, or `{ url, upstream, path, copy, sign_in, timeout, cache, preflights }`.
fn forward(decoder: &mut Decoder<'_>, node: Node) -> Option<AuthServer> {
    let copy = ["remote-*", "x-auth-request-*", "x-authentik-*"].map(Arc::from).to_vec();
    let server = |place| AuthServer {
        place,
        // Lowering finds it.
        upstream: PolicyUpstream::default(),
        copy,
        sign_in: None,
        timeout: Duration::from_secs(5),
        cache: Duration::ZERO,
        preflights: false,
    };
    if !matches!(node.value, Value::Map(_)) {
        let url = decoder.parsed(node, policies::server_url)?;
        let upstream = PolicyUpstream::written(url.span);
        return Some(AuthServer { upstream, ..server(AuthServerPlace::Url(url.value)) });
    }
    let mut fields = MappingReader::open(decoder, node, "`forward`")?;
    let (place, upstream) = server_place(&mut fields).unzip();
    let copy = fields.field("copy", |decoder, node| Some(decoder.parsed_many(node, policies::copied_field)));
    let sign_in = fields.parsed("sign_in", policies::sign_in);
    let timeout = fields.parsed("timeout", scalar::timeout);
    let cache = fields.parsed("cache", policies::answer_time);
    let preflights = fields.flag("preflights");
    fields.close();
    let mut server = server(place?);
    if let Some(copy) = copy {
        server.copy = copy.into_iter().map(|name| name.value).collect();
    }
    server.sign_in = sign_in.map(|place| place.value);
    server.timeout = timeout.map_or(server.timeout, |timeout| timeout.value);
    server.cache = cache.map_or(server.cache, |cache| cache.value);
    Some(AuthServer { upstream: upstream?, preflights, ..server })
}

/// `url`, or `upstream` and `path`. The second value is the place of the name, with which lowering finds the upstream.
fn server_place(fields: &mut MappingReader<'_, '_>) -> Option<(AuthServerPlace, PolicyUpstream)> {
    const NAMED: &str = "write `upstream` and `path`, or the whole URL as `url`";
    let (url_at, upstream_at) = (fields.at("url"), fields.at("upstream"));
    match (url_at, upstream_at, fields.at("path")) {
        (Some(_), Some(span), _) => {
            let message = "`url` and `upstream` cannot stand side by side";
            fields.decoder.report.error_hint(span, message, "keep one of them");
        }
        (_, None, Some(span)) => {
            fields.decoder.report.error_hint(span, "`path` means nothing without `upstream`", NAMED);
        }
        (None, None, None) => {
            fields.missing(&["url", "upstream"], "`forward` needs `url` or `upstream`".into(), NAMED);
        }
        _ => {}
    }
    let url = fields.parsed("url", policies::server_url);
    let upstream = fields.parsed("upstream", scalar::name);
    let path = fields.parsed("path", policies::server_path).map_or_else(|| "/".into(), |path| path.value);
    if let Some(url) = url {
        return Some((AuthServerPlace::Url(url.value), PolicyUpstream::written(url.span)));
    }
    let place = |name| AuthServerPlace::Named { upstream: name, path };
    upstream.map(|upstream| (place(upstream.value), PolicyUpstream::written(upstream.span)))
}

/// Users as `name:hash`, or `{ users, users_file, realm, forward, forward_user }`.
fn basic(decoder: &mut Decoder<'_>, node: Node) -> Option<Basic> {
    let mut users = Users::new();
    let (span, findings) = (node.span, decoder.report.count());
    let mut basic =
        Basic { users: Vec::new(), realm: "restricted".into(), forward: false, forward_user: None };
    if matches!(node.value, Value::Map(_)) {
        let mut fields = MappingReader::open(decoder, node, "`basic`")?;
        fields.field("users", |decoder, node| user_map(decoder, node, &mut users));
        fields.field("users_file", |decoder, node| users_file(decoder, node, &mut users));
        if let Some(realm) = fields.parsed("realm", password::realm) {
            basic.realm = realm.value;
        }
        basic.forward = fields.flag("forward");
        basic.forward_user = fields.parsed("forward_user", header::told_in_requests).map(|name| name.value);
        fields.close();
    } else {
        mask_secret(&node, decoder.report);
        for text in decoder.one_or_many(node, Decoder::text) {
            for user in text.text.split_whitespace() {
                add(decoder, text.span, password::user(user), &mut users);
            }
        }
    }
    if users.is_empty() {
        // An error of a user was reported, and is the reason.
        if decoder.report.count() == findings {
            let hint = "write `users: { NAME: HASH }` or `users_file: FILE`";
            decoder.report.error_hint(span, "`basic` has no user", hint);
        }
        return None;
    }
    basic.users = users.into_iter().collect();
    Some(basic)
}

/// `users:`, a mapping of names to hashes.
fn user_map(decoder: &mut Decoder<'_>, node: Node, users: &mut Users) -> Option<()> {
    mask_secret(&node, decoder.report);
    let Value::Map(entries) = node.value else {
        decoder.report.error_hint(
            node.span,
            "`users` is a mapping of names to hashes",
            "write `{ NAME: HASH }`",
        );
        return None;
    };
    for (name, node) in entries {
        let Some(text) = decoder.text(node) else { continue };
        match password::user_name(&name.value) {
            Ok(user) => {
                let hash = password::password_hash(text.text.trim());
                add(decoder, text.span, hash.map(|hash| (user, hash)), users);
            }
            Err(error) => add(decoder, name.span, Err(error), users),
        }
    }
    Some(())
}

/// `users_file:`, a file as `htpasswd` writes it.
fn users_file(decoder: &mut Decoder<'_>, node: Node, users: &mut Users) -> Option<()> {
    let span = node.span;
    let path = decoder.text(node)?.text;
    // As text that is filled in, so that the file is watched as others are.
    let file = decoder.text(Node::new(span, Value::Scalar(format!("${{file:{path}}}"))))?;
    let lines = file.text.lines().map(str::trim).enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let user = password::user(line);
        if let Err(error) = &user {
            let message = format!("line {} of the file {}", at + 1, error.problem);
            decoder.report.error_hint(span, message, error.hint.unwrap_or_default());
        }
        users.extend(user.ok().map(|(name, hash)| (name, Secret(hash))));
    }
    Some(())
}

/// Adds a user, or reports why not. The message does not quote the hash.
fn add(
    decoder: &mut Decoder<'_>,
    span: Span,
    user: Result<(Arc<str>, Arc<str>), ValueError>,
    users: &mut Users,
) {
    match user {
        Ok((name, hash)) => drop(users.insert(name, Secret(hash))),
        Err(error) => {
            let message = format!("this user {}", error.problem);
            decoder.report.error_hint(span, message, error.hint.unwrap_or_default());
        }
    }
}
