//! A service in the labels of the gate.

use crate::config::plan::HostPattern;
use crate::config::values::{ValueError, pattern, target};

/// A service in the labels of the gate.
#[derive(Default)]
pub(super) struct Adapted {
    pub(super) routes: Vec<Route>,
    /// Requests that the other proxy treats in a way that no route here says. No wider route may take them.
    pub(super) unready: Vec<Unready>,
    /// Entries without a counterpart.
    pub(super) notes: Vec<Note>,
    /// It is served under HTTPS.
    pub(super) https: bool,
}

/// Requests without a route.
pub(super) struct Unready {
    /// Without any, every host.
    pub(super) hosts: Vec<String>,
    /// `None` if every path of the hosts is meant.
    pub(super) path: Option<String>,
    /// As [`Route::priority`].
    pub(super) priority: Option<usize>,
    pub(super) why: String,
}

/// An entry without a counterpart, and the reason.
pub(super) struct Note {
    pub(super) entry: String,
    pub(super) why: String,
}

/// The labels of one route.
#[derive(Clone, Default)]
pub(super) struct Route {
    /// The name that the other proxy has for it.
    pub(super) name: String,
    /// Without any, it takes every host.
    pub(super) hosts: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) methods: Vec<String>,
    pub(super) target: To,
    pub(super) strip_prefix: bool,
    /// TLS is passed on as it is.
    pub(super) passthrough: bool,
    pub(super) max_body: Option<String>,
    /// The other proxy takes the route with the highest number first. Without it, it orders routes as the gate does.
    pub(super) priority: Option<usize>,
    /// Reasons why the labels say less than the other proxy does. With one, they are printed as a comment.
    pub(super) withheld: Vec<String>,
    /// Differences in behaviour.
    pub(super) differs: Vec<String>,
}

/// The destination of a route.
#[derive(Clone, Default)]
pub(super) struct To {
    pub(super) port: Option<String>,
    pub(super) target: Option<String>,
    pub(super) https: bool,
    pub(super) any_certificate: bool,
    pub(super) own_host: bool,
}

impl Adapted {
    /// Adds a note. The value of an entry about authentication may be a secret, so it is not shown.
    pub(super) fn note(&mut self, name: &str, value: &str, why: impl Into<String>) {
        let is_shown = !value.is_empty() && !name.to_lowercase().contains("auth");
        let entry = if is_shown { format!("{name}: {value}") } else { name.to_owned() };
        self.notes.push(Note { entry, why: why.into() });
    }
}

impl Route {
    /// The labels without their prefix.
    pub(super) fn labels(&self) -> Vec<(&'static str, String)> {
        let flag = |is: bool, value: &str| is.then(|| value.to_owned());
        let hosts = if self.hosts.is_empty() { "*".to_owned() } else { self.hosts.join(", ") };
        let To { port, target, https, any_certificate, own_host } = &self.target;
        let labels = [
            ("host", Some(hosts)),
            ("path", self.path.clone()),
            ("strip_prefix", flag(self.strip_prefix, "true")),
            ("passthrough", flag(self.passthrough, "true")),
            ("methods", flag(!self.methods.is_empty(), &self.methods.join(", "))),
            ("port", port.clone()),
            ("target", target.clone()),
            ("scheme", flag(*https && target.is_none(), "https")),
            ("insecure_skip_verify", flag(*any_certificate, "true")),
            ("passhost", flag(*own_host, "false")),
            ("max_body", self.max_body.clone()),
        ];
        labels.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Withholds a route whose port the file does not say.
    pub(super) fn check_port(&mut self) {
        if self.target.port.is_none() && self.target.target.is_none() {
            self.withheld.push("its port is not in this file: add `smolgate.port`".to_owned());
        }
    }
}

/// Whether a text is a variable of the compose file, or holds one. Only the gate knows its value.
fn holds_variable(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:${}/".contains(c);
    let signs = text.matches('$').count();
    // A brace without the sign belongs to a pattern.
    signs > 0 && !text.contains("$$") && text.matches('{').count() <= signs && text.chars().all(is_plain)
}

/// A host, if the gate takes it in a label.
pub(super) fn host(text: &str) -> Result<String, String> {
    match text.strip_prefix("*.") {
        Some(name) => exact_host(name).map(|name| format!("*.{name}")),
        None => exact_host(text),
    }
}

/// A host without a wildcard.
pub(super) fn exact_host(text: &str) -> Result<String, String> {
    checked(text, |text| match pattern::host(text)? {
        HostPattern::Exact(_) => Ok(()),
        _ => Err(ValueError::new("is not a host")),
    })
}

/// A prefix of the path, if the gate takes it in a label. `None` for `/`.
pub(super) fn path(text: &str) -> Result<Option<String>, String> {
    let path = checked(text, |text| match text.contains(['{', '}', '*', '(', '[', '~', '^']) {
        true => Err(ValueError::new("is a pattern")),
        false => pattern::path_prefix(text).map(drop),
    })?;
    Ok(Some(path).filter(|path| path != "/"))
}

pub(super) fn method(text: &str) -> Result<String, String> {
    checked(text, |text| pattern::method(text).map(drop))
}

pub(super) fn port(text: &str) -> Result<String, String> {
    checked(text, |text| match text.parse::<u16>() {
        Ok(1..) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(()),
        _ => Err(ValueError::new("is not a port")),
    })
}

/// An `http://` or `https://` URL without a path.
pub(super) fn url(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("the URL of its target names a user".to_owned());
    }
    checked(text, |text| {
        let is_http = ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme));
        let target = target::target(text)?;
        match is_http && *target.base_path == *"/" || target.base_path.is_empty() {
            true => Ok(()),
            false => Err(ValueError::new("is more than a scheme, a host and a port")),
        }
    })
}

fn checked(text: &str, check: impl Fn(&str) -> Result<(), ValueError>) -> Result<String, String> {
    match check(text) {
        Err(error) if !holds_variable(text) => Err(format!("`{text}` {}", error.problem)),
        _ => Ok(text.to_owned()),
    }
}

/// The name of a route whose proxy has none: its path, else its first host.
pub(super) fn route_name(path: Option<&str>, hosts: &[String]) -> String {
    let host = hosts.first().and_then(|host| host.trim_start_matches("*.").split('.').next());
    let path = path.map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
    path.or(host).unwrap_or("any").to_owned()
}

/// The difference between a prefix of bytes and the gate's prefix of segments.
pub(super) fn whole_segments(path: &str) -> String {
    let path = path.trim_end_matches('/');
    format!("the gate takes whole segments: `{path}` and `{path}/x`, not `{path}x`")
}
