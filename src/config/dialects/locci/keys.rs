//! The keys of a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::gateway::{Gateway, gateway};
use super::upstreams::{Group, groups};
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::plain;
use crate::config::plan::{Bind, InternalBind, LogLevel, Mode, OverlayPlace, Secret};
use crate::config::source::InternalSource;
use crate::config::syntax::{Node, mask_secret};
use crate::config::values::{ValueError, scalar, target};

/// A file.
pub(super) struct Keys {
    pub(super) span: Span,
    pub(super) mode: Option<Mode>,
    pub(super) server: Option<Server>,
    pub(super) level: Option<LogLevel>,
    pub(super) groups: Vec<Group>,
    /// The upstream of `load_balancer`.
    pub(super) balanced: Option<Text>,
    pub(super) gateway: Option<Gateway>,
    pub(super) control: Option<Spanned<InternalSource>>,
}

/// `server`.
pub(super) struct Server {
    pub(super) bind: Option<Spanned<Bind>>,
    pub(super) workers: Option<usize>,
    pub(super) tls: Option<(Span, PathBuf, PathBuf)>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) trusted_proxies: Vec<IpNet>,
}

/// Reads a file. `instead` is the mode in the place of that of the file. `None` if it is no mapping, which was reported.
pub(super) fn keys(decoder: &mut Decoder<'_>, root: Node, instead: Option<&str>) -> Option<Keys> {
    let mut fields = MappingReader::open(decoder, root, "a locci file")?;
    fields.ignore(|key| key.starts_with("x-"));
    fields.require(&["mode"]);
    fields.require(&["server"]);
    fields.require(&["upstreams"]);
    let written = fields.parsed("mode", mode).map(|mode| mode.value);
    let mode = instead.and_then(|word| mode(word).ok()).or(written);
    match mode {
        Some(Mode::LoadBalancer) => fields.require(&["load_balancer"]),
        Some(Mode::ApiGateway) => fields.require(&["api_gateway"]),
        None => {}
    }
    let keys = Keys {
        span: fields.span,
        mode,
        server: fields.field("server", server),
        level: fields.field("logging", logging).flatten(),
        groups: fields.field("upstreams", groups).unwrap_or_default(),
        balanced: fields.field("load_balancer", load_balancer),
        gateway: fields.field("api_gateway", gateway),
        control: fields.field("control_api", control).flatten(),
    };
    fields.close();
    Some(keys)
}

fn mode(text: &str) -> Result<Mode, ValueError> {
    match text {
        "load_balancer" | "lb" => Ok(Mode::LoadBalancer),
        "api_gateway" | "gateway" => Ok(Mode::ApiGateway),
        _ => Err(ValueError::hint("is not a mode", "write load_balancer or api_gateway")),
    }
}

fn server(decoder: &mut Decoder<'_>, node: Node) -> Option<Server> {
    let mut fields = MappingReader::open(decoder, node, "`server`")?;
    fields.require(&["bind_address"]);
    let server = Server {
        bind: fields.parsed("bind_address", target::bind),
        workers: fields.parsed("workers", scalar::worker_count).map(|workers| workers.value),
        tls: fields.field("tls", tls),
        connect_timeout: fields
            .parsed("upstream_connect_timeout_secs", plain::some_seconds)
            .map(|time| time.value),
        read_timeout: fields.parsed("upstream_read_timeout_secs", plain::some_seconds).map(|time| time.value),
        trusted_proxies: plain::networks(&mut fields, "trusted_proxies"),
    };
    fields.close();
    Some(server)
}

fn tls(decoder: &mut Decoder<'_>, node: Node) -> Option<(Span, PathBuf, PathBuf)> {
    let mut fields = MappingReader::open(decoder, node, "`tls` of `server`")?;
    let span = fields.span;
    fields.require(&["cert_path"]);
    fields.require(&["key_path"]);
    let (cert, key) = (fields.field("cert_path", Decoder::path), fields.field("key_path", Decoder::path));
    fields.close();
    Some((span, cert?.value, key?.value))
}

fn logging(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<LogLevel>> {
    let mut fields = MappingReader::open(decoder, node, "`logging`")?;
    let level = fields.parsed("level", level).map(|level| level.value);
    fields.close();
    Some(level)
}

/// A level, in any case.
pub(super) fn level(text: &str) -> Result<LogLevel, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(LogLevel::Trace),
        "debug" => Ok(LogLevel::Debug),
        "info" => Ok(LogLevel::Info),
        "warn" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        _ => {
            let hint = "write trace, debug, info, warn or error; RUST_LOG takes directives";
            Err(ValueError::hint("is not a level", hint))
        }
    }
}

fn load_balancer(decoder: &mut Decoder<'_>, node: Node) -> Option<Text> {
    let mut fields = MappingReader::open(decoder, node, "`load_balancer`")?;
    fields.require(&["upstream"]);
    let upstream = fields.field("upstream", Decoder::text);
    fields.close();
    upstream
}

/// `control_api`. The inner `None`: it is not enabled.
fn control(decoder: &mut Decoder<'_>, node: Node) -> Option<Option<Spanned<InternalSource>>> {
    let mut fields = MappingReader::open(decoder, node, "`control_api`")?;
    let span = fields.span;
    let is_enabled = fields.flag("enabled");
    if is_enabled {
        fields.require(&["bind_address"]);
    }
    let bind = fields.parsed("bind_address", target::bind);
    let token = fields.field("api_key", key);
    let in_memory = Spanned { value: OverlayPlace::Memory, span };
    let written = fields.field("edits", InternalSource::edits);
    let edits = written.or(cfg!(feature = "control").then_some(in_memory));
    fields.close();
    let bind = bind.map(|bind| Spanned { value: InternalBind::Tcp(bind.value), span: bind.span });
    Some(is_enabled.then_some(Spanned { value: InternalSource { bind, token, edits }, span }))
}

/// A key for `Authorization: Bearer`. No message quotes it.
fn key(decoder: &mut Decoder<'_>, node: Node) -> Option<Secret> {
    mask_secret(&node, decoder.report);
    let text = decoder.text(node)?;
    if text.text.is_empty() || !text.text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "leave it out if only this machine may ask, else take a long random text";
        decoder.report.error_hint(text.span, "a key is made of visible ASCII characters", hint);
        return None;
    }
    Some(Secret(Arc::from(text.text)))
}
