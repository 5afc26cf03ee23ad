//! The plugins of a rule, asked one after the other.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::call::{CallError, Links, call};
use super::check::{Decision, Pass, check_change};
use super::plugin::{CallResult, Plugin};
use super::protocol::frame::Hook;
use super::protocol::messages::{
    ConnectionInfo, DisconnectInfo, RequestAnswer, RequestInfo, ResponseChange, Texts, is_accepted,
    response_value,
};
use super::protocol::value::{MessageError, Value};
use crate::worker::Worker;

/// A plugin that has no answer, and why.
#[derive(Debug)]
pub struct PluginFailure {
    plugin: Arc<str>,
    error: CallError,
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin {}: {}", self.plugin, self.error)
    }
}

/// The plugins of a rule.
pub type Chain = Box<[Arc<Plugin>]>;

/// Whether one of them wants to see bodies.
pub fn wants_body(chain: &Chain) -> bool {
    chain.iter().any(|plugin| plugin.wants_body())
}

/// Asks about a request. The first that does not let it go on decides alone.
///
/// # Errors
/// A plugin has no answer, and requests do not go on then.
pub async fn on_request(
    chain: &Chain,
    at: (&Worker, &Links),
    info: &RequestInfo,
    deadline: Instant,
) -> Result<Decision, PluginFailure> {
    let mut all = Pass::default();
    for plugin in chain {
        let read = |value: &Value<'_>| {
            let decision = Decision::of(RequestAnswer::of(value)?)?;
            let is_pass = matches!(decision, Decision::Pass(_));
            Ok((decision, if is_pass { CallResult::Ok } else { CallResult::Refused }))
        };
        match ask(plugin, at, (Hook::Request, || info.value()), deadline, read).await? {
            None => {}
            Some(Decision::Pass(pass)) => add(&mut all, pass),
            Some(decision) => return Ok(decision),
        }
    }
    Ok(Decision::Pass(all))
}

/// Asks about a response. Fields are removed first, then set, then the status counts.
///
/// # Errors
/// As for [`on_request`].
pub async fn on_response(
    chain: &Chain,
    at: (&Worker, &Links),
    info: &RequestInfo,
    (status, headers): (u16, &Texts),
    deadline: Instant,
) -> Result<ResponseChange, PluginFailure> {
    let mut all = ResponseChange::default();
    for plugin in chain {
        let read = |value: &Value<'_>| {
            let change = ResponseChange::of(value)?;
            check_change(&change, status)?;
            Ok((change, CallResult::Ok))
        };
        let message = || response_value(info, status, headers);
        if let Some(change) = ask(plugin, at, (Hook::Response, message), deadline, read).await? {
            all.remove.extend(change.remove);
            set_all(&mut all.headers, change.headers);
            if change.status != 0 {
                all.status = change.status;
            }
        }
    }
    Ok(all)
}

/// Asks whether a connection is passed on.
///
/// # Errors
/// As for [`on_request`].
pub async fn on_connect(
    chain: &Chain,
    at: (&Worker, &Links),
    info: &ConnectionInfo,
    deadline: Instant,
) -> Result<bool, PluginFailure> {
    for plugin in chain {
        let read = |value: &Value<'_>| {
            let is_accepted = is_accepted(value)?;
            Ok((is_accepted, if is_accepted { CallResult::Ok } else { CallResult::Refused }))
        };
        if ask(plugin, at, (Hook::Connect, || info.value()), deadline, read).await? == Some(false) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Calls one plugin. `None`: it does not have the hook, or has no answer and requests go on all the same.
async fn ask<'m, T>(
    plugin: &Plugin,
    at: (&Worker, &Links),
    (hook, message): (Hook, impl FnOnce() -> Value<'m>),
    deadline: Instant,
    read: impl FnOnce(&Value<'_>) -> Result<(T, CallResult), MessageError>,
) -> Result<Option<T>, PluginFailure> {
    if plugin.is_ready() && !plugin.has(hook) {
        return Ok(None);
    }
    match call(plugin, at, (hook, &message()), deadline, read).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if plugin.allows_on_failure() => {
            tracing::debug!(plugin = &*plugin.plan().name, %error, "plugin failed, and requests go on");
            Ok(None)
        }
        Err(error) => Err(PluginFailure { plugin: plugin.plan().name.clone(), error }),
    }
}

/// Adds the changes of a further plugin: its fields and its path count, and of speeds the lowest.
fn add(all: &mut Pass, pass: Pass) {
    let Pass { headers, path, clean_query, download, upload } = pass;
    set_all(&mut all.headers, headers);
    if !path.is_empty() {
        all.path = path;
    }
    all.clean_query |= clean_query;
    let lowest = |one: u64, two: u64| if one == 0 || two == 0 { one.max(two) } else { one.min(two) };
    (all.download, all.upload) = (lowest(all.download, download), lowest(all.upload, upload));
}

/// Sets fields, in the place of those with the same names.
fn set_all(all: &mut Texts, fields: Texts) {
    for (name, value) in fields {
        all.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        all.push((name, value));
    }
}

/// An exchange that plugins have let go on.
#[derive(Debug)]
pub struct PluginExchange {
    chain: Chain,
    info: RequestInfo,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan().name.fmt(f)
    }
}

impl PluginExchange {
    /// An exchange. `None` if no plugin wants to hear more of it.
    pub fn new(chain: Chain, info: RequestInfo) -> Option<Box<Self>> {
        let hears = |plugin: &Arc<Plugin>| {
            !plugin.is_ready() || plugin.has(Hook::Response) || plugin.has(Hook::Disconnect)
        };
        chain.iter().any(hears).then(|| Box::new(Self { chain, info }))
    }

    /// The plugins that are asked about the response, and the request. `None` if there are none.
    pub fn of_response(&self) -> Option<(&Chain, &RequestInfo)> {
        let asks = |plugin: &Arc<Plugin>| !plugin.is_ready() || plugin.has(Hook::Response);
        self.chain.iter().any(asks).then_some((&self.chain, &self.info))
    }

    /// Tells the plugins that it has ended, without waiting.
    pub fn end(&self, target: Option<String>, received: u64, sent: u64, milliseconds: u64) {
        let target = target.unwrap_or_default().into_bytes();
        for plugin in self.chain.iter().filter(|plugin| plugin.has(Hook::Disconnect)) {
            plugin.tell_end(DisconnectInfo {
                route: self.info.route.clone(),
                target: target.clone(),
                client: self.info.client.clone(),
                received: received.min(i64::MAX as u64) as i64,
                sent: sent.min(i64::MAX as u64) as i64,
                duration: milliseconds.min(i64::MAX as u64) as i64,
            });
        }
    }
}
