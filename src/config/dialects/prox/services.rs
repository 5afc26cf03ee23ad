//! Services become listeners.

use std::path::Path;
use std::time::Duration;

use super::acme::{self, Orders};
use super::actions::{ActionReader, Actions, Transport, resources};
use super::files::{Project, ServiceFile, collect};
use super::keys::{list, open, text_list};
use super::routes::{Context, Route, route};
use super::schema::{ADMIN, LOGGING, PLUGIN, SERVICE, SETTINGS};
use super::values::{self, NEVER};
use crate::config::decode::{Decoder, Text};
use crate::config::diagnostics::{Span, Spanned, quoted};
use crate::config::dialects::file::ConfigFile;
use crate::config::dialects::plain::{self, PlainNotation};
use crate::config::inputs::Inputs;
use crate::config::plan::{
    AccessLog, AccessLogFormat, AccessLogTo, CertificateFiles, HttpWritten, LimitsWritten, LogLevel,
    TlsWritten,
};
use crate::config::source::{
    CertificateWritten, HttpSource, InternalSource, ListenerSource, RuleSource, Source, TlsSource,
};
use crate::config::syntax::Node;
use crate::config::values::{scalar, target};

/// Times that prox's manual has for keys that are missing.
const READ: Duration = Duration::from_secs(10);
const WRITE: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(120);
const RESPONSE: Duration = Duration::from_secs(30);

/// Adds all files.
pub(super) fn read(
    files: Vec<ConfigFile>,
    source: &mut Source,
    inputs: &dyn Inputs,
    report: &mut crate::config::diagnostics::Report,
) {
    let Project { services, plugins, actions, resources: named, logging, admin, files, span } =
        collect(files, inputs, report);
    source.files.extend(files);
    let Some(span) = span else { return };
    let notation = PlainNotation { inputs, dir: Path::new("") };
    let decoder = &mut Decoder { report, notation: &notation };
    let access_log = logs(logging, span, source, decoder);
    if let Some(node) = admin {
        source.internal_api = source.internal_api.take().or(internal_api(decoder, node));
    }
    let resources = resources(decoder, named, inputs);
    let reader = ActionReader { resources: &resources, inputs };
    let actions = reader.all(decoder, actions);
    let known = plugin_names(decoder, plugins);
    if services.is_empty() {
        let hint = "write `services: { web: { listen: \":8080\", routes: [...] } }`";
        decoder.report.error_hint(span, "no services defined", hint);
    }
    let mut most = Some(0);
    for service in services {
        let mut lowering =
            Lowering { actions: &actions, reader: &reader, access_log: access_log.as_deref(), known: &known };
        let connections = lowering.service(service, source, decoder);
        most = most.zip(connections).map(|(sum, connections)| sum + connections);
    }
    if let Some(most @ 1..) = most {
        source.settings.max_connections = most;
    }
}

/// `logging`. The file of the access log, if there is one.
fn logs(node: Option<Node>, span: Span, source: &mut Source, decoder: &mut Decoder<'_>) -> Option<String> {
    let (mut level, mut path) = (LogLevel::Info, None);
    if let Some(mut fields) = node.and_then(|node| open(decoder, node, LOGGING)) {
        level = fields.parsed("level", values::level).map_or(level, |level| level.value);
        path = fields.field("access_log", Decoder::text).filter(|path| !path.text.is_empty());
        let error_log = fields.field("error_log", Decoder::text).filter(|path| !path.text.is_empty());
        if let Some(path) = error_log {
            let message = "`error_log` has no effect: the log goes to standard error";
            fields.decoder.report.warning(
                Some(path.span),
                message,
                "let the service manager write it to a file",
            );
        }
        fields.close();
    }
    if source.settings.log_level == LogLevel::Info {
        source.settings.log_level = level;
    }
    let log = match &path {
        Some(path) if path.text == "off" => None,
        Some(path) => Some(AccessLog {
            to: AccessLogTo::File(decoder.resolve(&path.text, path.span)),
            format: AccessLogFormat::Json,
        }),
        // Down to this level, prox writes a line for each request beside its log.
        None if matches!(level, LogLevel::Debug | LogLevel::Info) => {
            Some(AccessLog { to: AccessLogTo::Stdout, format: AccessLogFormat::Human })
        }
        None => None,
    };
    let span = path.as_ref().map_or(span, |path| path.span);
    source.access_log.get_or_insert(Spanned { value: log, span });
    path.map(|path| path.text)
}

/// `admin`.
fn internal_api(decoder: &mut Decoder<'_>, node: Node) -> Option<Spanned<InternalSource>> {
    let mut fields = open(decoder, node, ADMIN)?;
    let span = fields.span;
    fields.require(&["listen"]);
    let bind = fields.field("listen", |decoder, node| {
        let text = decoder.text(node)?;
        let written = match text.text.strip_prefix("unix://") {
            Some(path) => format!("unix:{path}"),
            None => text.text.clone(),
        };
        InternalSource::bind(decoder, &text, &written)
    });
    let token = fields.field("token", InternalSource::token);
    fields.close();
    Some(Spanned { value: InternalSource { bind, token, edits: None }, span })
}

/// The names under `plugins`. One that starts by itself is an error, since no plugin is run.
fn plugin_names(decoder: &mut Decoder<'_>, plugins: Vec<(Spanned<String>, Node)>) -> Vec<String> {
    let mut known = Vec::with_capacity(plugins.len());
    for (name, node) in plugins {
        known.push(name.value.clone());
        let Some(mut fields) = open(decoder, node, PLUGIN) else { continue };
        let path = fields.field("path", Decoder::text);
        if path.is_none_or(|path| path.text.is_empty()) {
            let message = format!("plugin \"{}\": path is required", name.value);
            fields.decoder.report.error_hint(name.span, message, "write `path: \"./plugins/NAME\"`");
        }
        if fields.flag("autostart") {
            plugins_are_missing(fields.decoder, name.span, &name.value);
        }
        fields.close();
    }
    known
}

/// Plugins decide which requests pass, so a gate without them would let everything pass.
fn plugins_are_missing(decoder: &mut Decoder<'_>, span: Span, name: &str) {
    let message =
        format!("the plugin {} is not run: plugins of prox files are not supported yet", quoted(name));
    decoder.report.error_hint(span, message, "leave it out, if requests may pass without it");
}

/// The rest of the files, as far as services need it.
struct Lowering<'a> {
    actions: &'a Actions,
    reader: &'a ActionReader<'a>,
    access_log: Option<&'a str>,
    known: &'a [String],
}

impl Lowering<'_> {
    /// Adds the listener of a service. Returns how many connections it may have at the same time, if that is limited.
    fn service(
        &mut self,
        file: ServiceFile,
        source: &mut Source,
        decoder: &mut Decoder<'_>,
    ) -> Option<usize> {
        let ServiceFile { name, node, dir } = file;
        let mut fields = open(decoder, node, SERVICE)?;
        fields.span = name.span;
        fields.require(&["listen"]);
        let bind = fields.parsed("listen", target::bind);
        let wants_tls = fields.flag("tls");
        let cert = fields.field("tls_cert", Decoder::text).filter(|path| !path.text.is_empty());
        let key = fields.field("tls_key", Decoder::text).filter(|path| !path.text.is_empty());
        let inputs = self.reader.inputs;
        let orders = fields.field("acme", |decoder, node| acme::acme(decoder, node, &dir, source, inputs));
        let http2 = fields.field("h2", Decoder::flag).is_none_or(|flag| flag.value);
        let settings = fields.field("config", settings).unwrap_or_default();
        let plugins = fields.field("plugins", |decoder, node| Some(text_list(decoder, node, "`plugins`")));
        let has_routes = fields.at("routes").is_some();
        let routes = fields.field("routes", |decoder, node| {
            let items = list(decoder, node, "`routes`");
            Some(items.into_iter().map(|item| route(self.reader, decoder, item)).collect::<Vec<_>>())
        });
        let trusted_proxies = plain::networks(&mut fields, "trusted_proxies");
        let routes = routes.unwrap_or_default();
        if routes.is_empty() {
            let hint = "write `routes: [{ action: \"NAME\" }]`";
            let message = if has_routes { "`routes` is empty" } else { "a service needs `routes`" };
            fields.decoder.report.error_hint(name.span, message, hint);
        }
        fields.close();
        let listener_name = match scalar::name(&name.value) {
            Ok(value) => Some(Spanned { value, span: name.span }),
            Err(error) => {
                decoder.report.error(name.span, format!("this {}", error.problem));
                None
            }
        };
        let tls = self.tls(wants_tls, (cert, key), orders.as_ref(), name.span, decoder);
        self.report_plugins(&plugins.unwrap_or_default(), &routes, decoder);
        let rules = self.rules(&name, &routes, orders.as_ref(), &settings.transport, decoder);
        let http = HttpSource {
            rules,
            settings: HttpWritten {
                header_timeout: Some(settings.read.unwrap_or(READ)),
                idle_timeout: Some(settings.idle.unwrap_or(IDLE)),
                http2: Some(http2),
                ..HttpWritten::default()
            },
            limits: LimitsWritten {
                // Either is a time for a whole message there, so the longer one is the time without progress.
                body_timeout: Some(settings.read.unwrap_or(READ).max(settings.write.unwrap_or(WRITE))),
                response_timeout: Some(settings.response.unwrap_or(RESPONSE)),
                ..LimitsWritten::default()
            },
            trusted_proxies,
            ..HttpSource::default()
        };
        let listener = plain::listener(bind?, http);
        source.listeners.push(ListenerSource { span: name.span, name: listener_name, tls, ..listener });
        settings.max_connections
    }

    fn rules(
        &self,
        name: &Spanned<String>,
        routes: &[Option<Route>],
        orders: Option<&Orders>,
        transport: &Transport,
        decoder: &mut Decoder<'_>,
    ) -> Vec<RuleSource> {
        let Self { actions, reader, access_log, .. } = *self;
        let context = Context { service: &name.value, actions, reader, transport, access_log };
        let mut rules = Vec::with_capacity(routes.len() + 1);
        for (index, route) in routes.iter().enumerate() {
            let Some(route) = route else { continue };
            let own = route.rules(index, &context, decoder);
            let wants = |host| orders.is_none_or(|orders| orders.want(host));
            let is_ordered = route.domain().is_none_or(wants);
            rules.extend(own.into_iter().map(|rule| RuleSource { acme: is_ordered, ..rule }));
        }
        let hosts: Vec<_> = routes.iter().flatten().filter_map(Route::domain).collect();
        if let Some(orders) = orders {
            orders.check(&hosts, decoder);
        }
        let takes_all = routes.iter().flatten().any(Route::takes_all);
        if !takes_all && !rules.is_empty() {
            rules.push(RuleSource {
                name: plain::named(&format!("{} (404)", name.value), name.span),
                action: plain::response(404, "text/plain; charset=utf-8", "404 page not found\n"),
                ..RuleSource::at(name.span)
            });
        }
        rules
    }

    /// Reports the plugins of a service, of its routes and of their actions.
    fn report_plugins(&self, own: &[Text], routes: &[Option<Route>], decoder: &mut Decoder<'_>) {
        let of_routes = routes.iter().flatten().flat_map(|route| {
            let action = route.action(self.actions, decoder);
            let of_action = action.map_or(&[][..], |action| &action.plugins);
            route.plugins.iter().chain(of_action).cloned().collect::<Vec<_>>()
        });
        let all: Vec<Text> = own.iter().cloned().chain(of_routes).collect();
        for plugin in all {
            if plugin.text.is_empty() {
                decoder.report.error_hint(plugin.span, "the name of a plugin is empty", "leave it out");
                continue;
            }
            let is_known = self.known.contains(&plugin.text);
            if !is_known && !plugin.text.contains('/') {
                let hint = "write it under `plugins`, or write its path";
                decoder.report.error_hint(
                    plugin.span,
                    format!("there is no plugin {}", plugin.shown()),
                    hint,
                );
                continue;
            }
            plugins_are_missing(decoder, plugin.span, &plugin.text);
        }
    }

    /// TLS of a service. Certificates in files come before those that are ordered.
    fn tls(
        &self,
        is_wanted: bool,
        (cert, key): (Option<Text>, Option<Text>),
        orders: Option<&Orders>,
        span: Span,
        decoder: &mut Decoder<'_>,
    ) -> Option<TlsSource> {
        if !is_wanted && orders.is_none() {
            return None;
        }
        if cert.is_none() && orders.is_none() {
            let hint = "write `tls_cert` with a folder, or `tls_cert` and `tls_key` with files, or `acme`";
            decoder.report.error_hint(span, "`tls` needs `tls_cert` or `acme`", hint);
        }
        let mut files = None;
        if let Some(cert) = cert {
            let path = decoder.resolve(&cert.text, cert.span);
            files = match key {
                _ if cert.text.ends_with('/') || self.reader.inputs.is_dir(&path) => {
                    Some((cert.span, CertificateFiles::Path(path)))
                }
                Some(key) => {
                    let key = decoder.resolve(&key.text, key.span);
                    Some((cert.span, CertificateFiles::Pair { cert: path, key }))
                }
                None => {
                    let hint = "write `tls_key` beside it, or name a folder of certificates and keys";
                    decoder.report.error_hint(cert.span, "`tls_cert` is a file, and needs `tls_key`", hint);
                    None
                }
            };
        }
        let written =
            |(span, files): (Span, CertificateFiles)| CertificateWritten { span, files, client_auth: None };
        // A client that names no host gets the pair too.
        let default = files.clone().filter(|(_, files)| matches!(files, CertificateFiles::Pair { .. }));
        Some(TlsSource {
            span,
            names_none: false,
            acme: orders.map(|orders| orders.span),
            certificates: files.map(written).into_iter().collect(),
            default_certificate: default.map(written),
            client_auth: None,
            settings: TlsWritten::default(),
        })
    }
}

/// `config` of a service. `None` for a time that is missing or zero.
#[derive(Default)]
struct Settings {
    read: Option<Duration>,
    write: Option<Duration>,
    idle: Option<Duration>,
    response: Option<Duration>,
    transport: Transport,
    max_connections: Option<usize>,
}

fn settings(decoder: &mut Decoder<'_>, node: Node) -> Option<Settings> {
    let mut fields = open(decoder, node, SETTINGS)?;
    let mut time =
        |key| fields.parsed(key, values::time).map(|time| time.value).filter(|time| !time.is_zero());
    let (read, write, idle) = (time("read_timeout"), time("write_timeout"), time("idle_timeout"));
    let (response, dial_timeout) = (time("response_header_timeout"), time("dial_timeout"));
    let keep_alive = time("keep_alive");
    for key in ["flush_interval", "tls_handshake_timeout", "h2_read_idle_timeout", "h2_ping_timeout"] {
        time(key);
    }
    let mut count =
        |key| fields.parsed(key, values::count).map(|count| count.value).filter(|count| *count > 0);
    let idle_conns = [count("max_idle_conns"), count("max_idle_conns_per_host")];
    count("read_buffer_size");
    count("write_buffer_size");
    let max_connections = count("max_connections");
    fields.flag("disable_compression");
    fields.close();
    let max_idle = idle_conns.into_iter().flatten().min().map(|count| count.min(100_000));
    // Go has no probes below zero.
    let keep_alive = keep_alive.map(|time| if time == NEVER { Duration::ZERO } else { time });
    let transport = Transport { dial_timeout, keep_alive, max_idle };
    let max_connections = max_connections.map(|count| count.min(10_000_000));
    Some(Settings { read, write, idle, response, transport, max_connections })
}
