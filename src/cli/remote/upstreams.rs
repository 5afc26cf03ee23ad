//! `upstreams`, `drain` and `ready`: the endpoints of a running gate.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::call::{ask, escaped, order, unexpected};
use crate::cli::arguments::Drain;
use crate::cli::output;
use crate::cli::words::Call;

/// The longest wait for an answer.
const TIME_MAX: Duration = Duration::from_secs(5);

/// The time between two looks at what is left.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The columns of the table: heading, and key of `/upstreams`.
const COLUMNS: [(&str, &str); 7] = [
    ("UPSTREAM", "upstream"),
    ("TARGET", "target"),
    ("STATE", "state"),
    ("OPEN", "open"),
    ("REQUESTS", "requests"),
    ("FAILURES", "failures"),
    ("EJECTIONS", "ejections"),
];

/// Prints every endpoint. The exit code is 1 if an upstream has none that gets requests.
pub fn upstreams(call: &Call) -> ExitCode {
    let endpoints = match endpoints(call) {
        Ok(endpoints) => endpoints,
        Err(code) => return code,
    };
    let heading = COLUMNS.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let row = |endpoint: &Value| COLUMNS.iter().map(|(_, key)| cell(&endpoint[*key])).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(endpoints.iter().map(row)).collect();
    let printed = output::result(&output::columns(&rows));
    match unusable(&endpoints) {
        None => printed,
        Some(upstream) => {
            output::failure(output::INVALID, &format!("the upstream {upstream} has no endpoint that is up"))
        }
    }
}

/// The first upstream without a usable endpoint.
fn unusable(endpoints: &[Value]) -> Option<String> {
    let mut usable: BTreeMap<String, bool> = BTreeMap::new();
    for endpoint in endpoints {
        *usable.entry(cell(&endpoint["upstream"])).or_default() |= endpoint["state"] == "up";
    }
    usable.into_iter().find(|(_, usable)| !usable).map(|(upstream, _)| upstream)
}

/// Drains endpoints, and waits if that is asked for.
pub fn drain(drain: &Drain) -> ExitCode {
    let answer = match change(drain, "/drain") {
        Ok(answer) => answer,
        Err(code) => return code,
    };
    let Some(seconds) = drain.wait else { return output::result(&answer) };
    let drained: Vec<&str> = answer.lines().filter_map(|line| line.strip_suffix(" draining")).collect();
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let endpoints = match endpoints(&drain.call) {
            Ok(endpoints) => endpoints,
            Err(code) => return code,
        };
        let name =
            |endpoint: &Value| format!("{}/{}", cell(&endpoint["upstream"]), cell(&endpoint["target"]));
        let is_drained = |endpoint: &&Value| drained.contains(&name(endpoint).as_str());
        let open: u64 =
            endpoints.iter().filter(is_drained).filter_map(|endpoint| endpoint["open"].as_u64()).sum();
        if open == 0 {
            return output::result(&answer);
        }
        if Instant::now() >= deadline {
            let message = format!("{open} requests or tunnels are left at {}", drained.join(", "));
            return output::failure(output::INVALID, &message);
        }
        sleep(LOOK_EVERY);
    }
}

/// Makes drained endpoints ready again.
pub fn ready(ready: &Drain) -> ExitCode {
    match change(ready, "/ready") {
        Ok(answer) => output::result(&answer),
        Err(code) => code,
    }
}

fn change(drain: &Drain, path: &str) -> Result<String, ExitCode> {
    let which = escaped(&drain.which);
    match order(&drain.call, &format!("{path}?which={which}"), TIME_MAX)? {
        (200, answer) => Ok(answer),
        (404, answer) => Err(output::failure(output::USAGE, answer.trim_end())),
        (status, body) => Err(output::failure(output::UNABLE, &unexpected(status, &body))),
    }
}

fn endpoints(call: &Call) -> Result<Vec<Value>, ExitCode> {
    let (status, body) = ask(call, "/upstreams", TIME_MAX, output::UNABLE)?;
    match serde_json::from_str(&body) {
        Ok(endpoints) if status == 200 => Ok(endpoints),
        _ => Err(output::failure(output::UNABLE, &unexpected(status, &body))),
    }
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_upstream_without_a_usable_endpoint_is_found() {
        let one = |upstream: &str, state: &str| json!({ "upstream": upstream, "state": state });
        assert_eq!(unusable(&[one("a", "down"), one("a", "up"), one("b", "up")]), None);
        assert_eq!(unusable(&[one("a", "up"), one("b", "down"), one("b", "draining")]), Some("b".into()));
        assert_eq!(unusable(&[]), None);
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("http://a b&c"), "http://a%20b%26c");
    }
}
