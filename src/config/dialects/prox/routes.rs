//! `routes`: each becomes a rule.

use std::sync::Arc;

use super::actions::{
    self, Action, ActionReader, Actions, Balancer, Destination, Kind, Matched, Proxy, Transport, balancer,
};
use super::keys::{open, text_list, texts};
use super::matches::{Match, matched, speed};
use super::schema::ROUTE;
use super::values;
use crate::config::decode::{Decoder, Text};
use crate::config::diagnostics::{Span, Spanned, did_you_mean};
use crate::config::dialects::plain;
use crate::config::plan::{
    Conditions, Edits, Headers, HeadersWritten, HostPattern, PoliciesWritten, Speed, Symlinks,
};
use crate::config::source::{ActionSource, FilesSource, PassSource, RuleSource};
use crate::config::syntax::{Node, Value};

/// A route.
pub(super) struct Route {
    pub(super) span: Span,
    matched: Match,
    action: ActionUse,
    pub(super) plugins: Vec<Text>,
    balancer: Option<Balancer>,
    speed: Option<Speed>,
    set: Vec<(Spanned<String>, Text)>,
    access_log: Option<Text>,
}

enum ActionUse {
    Named(Text),
    Here(Box<Action>),
}

/// The rest of the files, as far as a route needs it.
pub(super) struct Context<'a> {
    pub(super) service: &'a str,
    pub(super) actions: &'a Actions,
    pub(super) reader: &'a ActionReader<'a>,
    pub(super) transport: &'a Transport,
    /// The file of the access log, if it is written to one.
    pub(super) access_log: Option<&'a str>,
}

/// One route.
pub(super) fn route(reader: &ActionReader<'_>, decoder: &mut Decoder<'_>, node: Node) -> Option<Route> {
    let mut fields = open(decoder, node, ROUTE)?;
    fields.require(&["action"]);
    let matched = match fields.at("match") {
        Some(_) => fields.field("match", matched),
        None => Some(Match::default()),
    };
    let action = fields.field("action", |decoder, node| match node.value {
        Value::Map(_) => reader.action(decoder, node).map(|action| ActionUse::Here(action.into())),
        _ => decoder.text(node).map(ActionUse::Named),
    });
    let plugins = fields.field("plugins", |decoder, node| Some(text_list(decoder, node, "`plugins`")));
    fields.parsed("plugin_timeout", values::time);
    let has_balancer = fields.at("balancer").is_some();
    let balancer = fields.field("balancer", balancer);
    let speed = fields.field("speed", speed);
    let set = fields.field("set", |decoder, node| Some(texts(decoder, node, "`set`")));
    let access_log = fields.field("access_log", Decoder::text);
    let span = fields.span;
    fields.close();
    if has_balancer && balancer.is_none() {
        return None;
    }
    Some(Route {
        span,
        matched: matched?,
        action: action?,
        plugins: plugins.unwrap_or_default(),
        balancer,
        speed,
        set: set.unwrap_or_default(),
        access_log,
    })
}

impl Route {
    /// Its action. `None` if that is wrong or missing, which is reported.
    pub(super) fn action<'a>(
        &'a self,
        actions: &'a Actions,
        decoder: &mut Decoder<'_>,
    ) -> Option<&'a Action> {
        match &self.action {
            ActionUse::Here(action) => Some(action),
            ActionUse::Named(name) => find(name, actions, decoder),
        }
    }

    /// Whether it takes every request.
    pub(super) fn takes_all(&self) -> bool {
        let Match { domain, paths, methods, of_request: _ } = &self.matched;
        domain.is_none() && methods.is_empty() && paths.iter().all(|path| path.takes_all)
    }

    /// The pattern of its host.
    pub(super) fn domain(&self) -> Option<&HostPattern> {
        self.matched.domain.as_ref().map(|(pattern, _)| &pattern.value)
    }

    /// The rules of a route with this index. A folder has one for each path, because each takes another prefix off.
    pub(super) fn rules(
        &self,
        index: usize,
        context: &Context<'_>,
        decoder: &mut Decoder<'_>,
    ) -> Vec<RuleSource> {
        let Some(action) = self.action(context.actions, decoder) else { return Vec::new() };
        let name = format!("{}:{index}", context.service);
        let mut rule = RuleSource {
            name: plain::named(&name, self.span),
            hosts: self.domain().cloned().into_iter().collect(),
            methods: self.matched.methods.clone(),
            ..RuleSource::at(self.span)
        };
        rule.access_log = self.has_access_log(action, context, decoder);
        rule.policies = PoliciesWritten {
            speed: self.speed.clone().map(|speed| Some(Arc::new(speed))),
            ..PoliciesWritten::default()
        };
        if let Kind::Root(root) = &action.kind {
            return self.folder(&name, rule, root, decoder);
        }
        rule.conditions = self.conditions();
        if let Kind::Proxy(Proxy { headers, .. }) = &action.kind
            && !headers.is_empty()
        {
            let request = Edits { set: headers.clone(), ..Edits::default() };
            let headers = Headers { request, ..Headers::default() };
            rule.headers =
                HeadersWritten { headers: Some(Some(Arc::new(headers))), ..HeadersWritten::default() };
        }
        rule.action = self.lowered(action, context, decoder);
        vec![rule]
    }

    /// The patterns of its paths. `None` if it takes every path.
    fn conditions(&self) -> Option<Arc<Conditions>> {
        let paths = &self.matched.paths;
        if paths.is_empty() || paths.iter().any(|path| path.takes_all) {
            return None;
        }
        let expressions = paths.iter().map(|path| path.expression.clone()).collect();
        Some(Arc::new(Conditions { expressions, ..Conditions::default() }))
    }

    fn lowered(
        &self,
        action: &Action,
        context: &Context<'_>,
        decoder: &mut Decoder<'_>,
    ) -> Option<ActionSource> {
        if let Some(balancer) = &self.balancer {
            let upstream = match &action.kind {
                Kind::Proxy(proxy) => Some(&proxy.upstream),
                Kind::Pass(upstream) => Some(upstream),
                _ => None,
            };
            let problem = match upstream {
                None => Some("a balancer is only supported with proxy or pass actions"),
                Some(upstream) if !upstream.text.contains("{target}") => {
                    Some("a balancer needs `{target}` in the `upstream` of the action")
                }
                Some(_) => None,
            };
            if let Some(problem) = problem {
                decoder.report.error_hint(
                    balancer.span,
                    problem,
                    "leave the balancer out, or change the action",
                );
                return None;
            }
        }
        let destination = Destination { balancer: self.balancer.as_ref(), set: &self.set };
        let matched = Matched {
            domain: self.matched.domain.as_ref().map(|(_, text)| &**text),
            paths: &self.matched.paths,
        };
        match &action.kind {
            Kind::Proxy(proxy) => {
                let backup = backup(action, proxy, context.actions, decoder)?;
                let upstream = destination.proxy(proxy, backup, context.transport, decoder)?;
                Some(ActionSource::Proxy(plain::forward(upstream, None).into()))
            }
            Kind::Static(answer) => actions::respond(answer, &matched, decoder).map(ActionSource::Respond),
            Kind::File(path) => {
                actions::file(path, context.reader.inputs, decoder).map(ActionSource::Respond)
            }
            Kind::Root(_) => None,
            Kind::Pass(upstream) => {
                let span = self.matched.of_request;
                if span.is_some() || self.matched.domain.is_none() {
                    let hint = "it decides by the name in the client hello, before a request is read";
                    let message = "a route with a pass action has `domain`, and neither `path` nor `methods`";
                    decoder.report.error_hint(span.unwrap_or(self.span), message, hint);
                    return None;
                }
                let upstream = destination.pass(upstream, decoder)?;
                Some(ActionSource::Pass(PassSource {
                    upstream,
                    send_proxy_protocol: None,
                    idle_timeout: None,
                }))
            }
            Kind::Drop => Some(ActionSource::Drop),
        }
    }

    /// The rules that serve files of a folder.
    fn folder(
        &self,
        name: &str,
        rule: RuleSource,
        root: &Spanned<std::path::PathBuf>,
        decoder: &mut Decoder<'_>,
    ) -> Vec<RuleSource> {
        let files = |strip_path_prefix| {
            ActionSource::Files(Box::new(FilesSource {
                root: root.clone(),
                index: None,
                fallback: None,
                precompressed: Vec::new(),
                hidden: None,
                symlinks: Symlinks::Anywhere,
                list: false,
                immutable: Vec::new(),
                strip_path_prefix,
                limits: Default::default(),
            }))
        };
        if self.conditions().is_none() {
            return vec![RuleSource { action: Some(files(false)), ..rule }];
        }
        let mut rules = Vec::new();
        for (index, path) in self.matched.paths.iter().enumerate() {
            let name = if index == 0 { name.to_owned() } else { format!("{name} ({})", index + 1) };
            let rule = RuleSource { name: plain::named(&name, self.span), ..rule.clone() };
            match &path.prefix {
                Some(prefix) => rules.push(RuleSource {
                    path_prefix: Some(prefix.clone()),
                    action: Some(files(true)),
                    ..rule
                }),
                None if path.text == "/" => {
                    rules.push(RuleSource {
                        conditions: plain::exact("/"),
                        action: Some(files(false)),
                        ..rule
                    });
                }
                None => {
                    let message = format!("a folder at `{}` alone is not supported yet", path.text);
                    let hint = "write `/*` behind the path, or name a `file` instead of `root`";
                    decoder.report.error_hint(self.span, message, hint);
                }
            }
        }
        rules
    }

    /// Whether requests have lines in the access log.
    fn has_access_log(&self, action: &Action, context: &Context<'_>, decoder: &mut Decoder<'_>) -> bool {
        let Some(path) = self.access_log.as_ref().or(action.access_log.as_ref()) else { return true };
        match &*path.text {
            "off" => return false,
            "" => {}
            text if Some(text) == context.access_log => {}
            _ => {
                let message = "an access log of one route is not supported yet";
                let hint = "its lines stand in the access log of all, with the route as their `rule`";
                decoder.report.warning(Some(path.span), message, hint);
            }
        }
        true
    }
}

/// The action with this name. `None` if there is none, which is reported, or it is wrong.
fn find<'a>(name: &Text, actions: &'a Actions, decoder: &mut Decoder<'_>) -> Option<&'a Action> {
    if let Some(action) = actions.get(&name.text) {
        return action.as_ref();
    }
    let hint = match did_you_mean(&name.text, actions.keys().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "write it under `actions`".to_owned(),
    };
    decoder.report.error_hint(name.span, format!("there is no action {}", name.shown()), hint);
    None
}

/// The action whose target is used if the others fail. The outer `None`: it is wrong, which is reported.
fn backup<'a>(
    action: &Action,
    proxy: &Proxy,
    actions: &'a Actions,
    decoder: &mut Decoder<'_>,
) -> Option<Option<&'a Proxy>> {
    let Some(name) = &action.fallback else { return Some(None) };
    let fallback = find(name, actions, decoder)?;
    let problem = match &fallback.kind {
        Kind::Proxy(other) if other.headers != proxy.headers => "a fallback with other `headers`",
        Kind::Proxy(_) if fallback.fallback.is_some() => "a fallback of a fallback",
        Kind::Proxy(other) => return Some(Some(other)),
        _ => "a fallback that is no proxy action",
    };
    let hint = "name a proxy action: its target is used if no other accepts a connection";
    decoder.report.error_hint(name.span, format!("{problem} is not supported yet"), hint);
    None
}
