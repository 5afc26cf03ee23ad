//! The lines between a plugin and its host: JSON over standard input and output.

use serde::{Deserialize, Serialize};

use super::frame::{Encoding, Hook};

/// Bytes of the longest line of a plugin.
pub const LINE_MAX: usize = 1024 * 1024;

/// Targets that one line sets.
pub const TARGETS_MAX: usize = 1_000;

/// Splits what a plugin writes into lines. A line that is too long is skipped.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// The line that goes on is too long.
    skips: bool,
}

impl Lines {
    /// Takes bytes, and calls `line` for each line. The argument is `None` for a line that was too long.
    pub fn take(&mut self, mut bytes: &[u8], most: usize, mut line: impl FnMut(Option<&[u8]>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.push(&bytes[..end], most);
            bytes = &bytes[end + 1..];
            line((!self.skips).then_some(&*self.bytes));
            self.bytes.clear();
            self.skips = false;
        }
        self.push(bytes, most);
        // A long line must not take memory for ever.
        if self.bytes.is_empty() {
            self.bytes.shrink_to(4_096);
        }
    }

    fn push(&mut self, bytes: &[u8], most: usize) {
        if self.skips || self.bytes.len() + bytes.len() > most {
            (self.skips, self.bytes) = (true, Vec::new());
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }
}

/// The line that tells a plugin of a rule.
#[derive(Serialize)]
struct Configure<'a> {
    method: &'static str,
    params: Route<'a>,
}

/// A rule that a plugin is bound to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Route<'a> {
    /// The name of the rule. Empty for a plugin that starts without one.
    pub route_id: &'a str,
    /// The patterns of the rule. `None` if it takes every request.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub patterns: Option<Patterns<'a>>,
    /// Plugins that are written for this host may look at what follows.
    gate: &'static str,
    version: &'static str,
    encodings: [&'static str; 2],
}

/// The patterns of a rule.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Patterns<'a> {
    /// The host.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub domain: &'a str,
    /// The path.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub path: &'a str,
}

/// The line that tells a plugin of a rule, with its end.
pub fn configure(route_id: &str, domain: &str, path: &str) -> String {
    let patterns = (!domain.is_empty() || !path.is_empty()).then_some(Patterns { domain, path });
    let (gate, version, encodings) = ("smolgate", env!("CARGO_PKG_VERSION"), ["msgpack", "json"]);
    let params = Route { route_id, patterns, gate, version, encodings };
    let line = serde_json::to_string(&Configure { method: "configure", params });
    // A value of texts alone can always be written.
    line.unwrap_or_default() + "\n"
}

/// A line of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Its socket is open.
    Ready(Ready),
    /// Other targets.
    Targets(Targets),
    /// Another speed.
    Speed(SpeedSet),
    /// A line for the log.
    Log(Logged),
    /// It has taken a line of the host. Nothing follows from that.
    Acknowledged,
    /// It could not take a line of the host.
    Error(String),
}

/// Params of `ready`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Ready {
    /// The path of the socket.
    pub socket: String,
    /// The names of hooks.
    pub hooks: Vec<String>,
    /// The name of the encoding.
    pub encoding: String,
    /// Whether it wants to see bodies.
    pub body: bool,
}

/// Params of `set_targets`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Targets {
    /// The name of a rule, or `*`.
    pub route_id: String,
    /// The name of an action, which comes before the rule.
    pub action: String,
    /// The targets.
    pub targets: Vec<String>,
    /// Targets by group.
    pub groups: Option<std::collections::BTreeMap<String, Vec<String>>>,
}

/// Params of `set_speed`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SpeedSet {
    /// The name of a rule, or `*`.
    pub route_id: String,
    /// The name of an action, which comes before the rule.
    pub action: String,
    /// Megabits a second to the client.
    pub download_mbps: f64,
    /// Megabits a second from the client.
    pub upload_mbps: f64,
    /// The group.
    pub group_key: String,
}

/// Params of `log`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Logged {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The message.
    pub message: String,
    /// Keys and values in turn.
    pub args: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    params: serde_json::Value,
    #[serde(default)]
    error: Option<String>,
}

impl Ready {
    /// The set of its hooks, as bits, and the names that are none.
    pub fn hook_bits(&self) -> (u8, Vec<&str>) {
        let known = |name: &str| Hook::ALL.into_iter().find(|hook| hook.name() == name);
        let bits = self.hooks.iter().filter_map(|name| known(name)).fold(0, |bits, hook| bits | hook.bit());
        (bits, self.hooks.iter().map(|name| &**name).filter(|name| known(name).is_none()).collect())
    }

    /// Its encoding. `None` if that is not known.
    pub fn known_encoding(&self) -> Option<Encoding> {
        Encoding::named(&self.encoding)
    }
}

/// Reads a line of a plugin.
///
/// # Errors
/// It says nothing that this host understands, in words.
pub fn read(line: &[u8]) -> Result<Said, String> {
    let is_no_json = |error: serde_json::Error| format!("it is not JSON: {error}");
    let Line { method, params, error } = serde_json::from_slice(line).map_err(is_no_json)?;
    let Some(method) = method else {
        return Ok(error.map_or(Said::Acknowledged, Said::Error));
    };
    let wrong = |error: serde_json::Error| format!("the params of `{method}` are wrong: {error}");
    let params = if params.is_null() { serde_json::json!({}) } else { params };
    let said = match &*method {
        "ready" => Said::Ready(serde_json::from_value(params).map_err(wrong)?),
        "set_targets" => Said::Targets(serde_json::from_value(params).map_err(wrong)?),
        "set_speed" => Said::Speed(serde_json::from_value(params).map_err(wrong)?),
        "log" => Said::Log(serde_json::from_value(params).map_err(wrong)?),
        method => return Err(format!("the method `{method}` is not known")),
    };
    match &said {
        Said::Targets(Targets { targets, groups, .. })
            if targets.len() + groups.iter().flatten().map(|(_, some)| some.len()).sum::<usize>()
                > TARGETS_MAX =>
        {
            Err(format!("it sets more than {TARGETS_MAX} targets"))
        }
        _ => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_announced_in_one_line() {
        let line = configure("web:0", "*.example.com", "/api/*");
        assert!(line.starts_with(
            r#"{"method":"configure","params":{"route_id":"web:0","match":{"domain":"*.example.com","path":"/api/*"},"#
        ));
        assert_eq!(line.matches('\n').count(), 1);
        let all = configure("", "", "");
        assert!(
            all.starts_with(r#"{"method":"configure","params":{"route_id":"","gate":"smolgate","#),
            "{all}"
        );
        assert!(configure("r", "", "/a\n").contains(r#""match":{"path":"/a\n"}"#));
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = b"one\n\ntwo\nfar too long\nthree\nrest";
        let wanted = ["one", "", "two", "-", "three"];
        for cut in 0..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for part in [&text[..cut], &text[cut..]] {
                lines.take(part, 8, |line| {
                    found
                        .push(line.map_or("-".to_owned(), |line| String::from_utf8_lossy(line).into_owned()));
                });
            }
            assert_eq!(found, wanted, "{cut}");
        }
    }

    #[test]
    fn lines_of_plugins_are_read() {
        let ready = read(
            br#"{"method":"ready","params":{"socket":"/tmp/prox-p-7.sock","hooks":["on_request","on_new"]}}"#,
        );
        let Ok(Said::Ready(ready)) = ready else { panic!("{ready:?}") };
        assert_eq!(ready.hook_bits(), (Hook::Request.bit(), vec!["on_new"]));
        assert_eq!(ready.known_encoding(), Some(Encoding::MessagePack));
        assert_eq!(read(br#"{"result":"ok"}"#), Ok(Said::Acknowledged));
        assert_eq!(read(br#"{"error":"bad"}"#), Ok(Said::Error("bad".into())));
        let targets = read(br#"{"method":"set_targets","params":{"action":"a","groups":{"u":["h:1"]}}}"#);
        let Ok(Said::Targets(targets)) = targets else { panic!("{targets:?}") };
        assert_eq!((&*targets.action, targets.groups.unwrap()["u"].len()), ("a", 1));
        let speed = read(br#"{"method":"set_speed","params":{"route_id":"*","download_mbps":1.5}}"#);
        assert!(matches!(speed, Ok(Said::Speed(SpeedSet { download_mbps: 1.5, .. }))));
        let log = read(br#"{"method":"log","params":{"level":"warn","message":"m","args":["k",1]}}"#);
        assert!(matches!(log, Ok(Said::Log(_))));
    }

    #[test]
    fn lines_that_say_nothing_are_refused() {
        for (line, error) in [
            ("", "it is not JSON"),
            ("[1]", "it is not JSON"),
            (r#"{"method":"dance"}"#, "the method `dance` is not known"),
            (r#"{"method":"ready","params":{"socket":1}}"#, "the params of `ready` are wrong"),
        ] {
            let said = read(line.as_bytes()).unwrap_err();
            assert!(said.starts_with(error), "{said}");
        }
        let many = format!(
            r#"{{"method":"set_targets","params":{{"targets":[{}""]}}}}"#,
            "\"a:1\",".repeat(TARGETS_MAX)
        );
        assert!(read(many.as_bytes()).is_err());
    }
}
