//! `reload` and `healthcheck`: a request to the internal API of a running gate.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::arguments::Reload;
use crate::cli::words::Call;
use crate::cli::{configuration, output};
use crate::config::plan::{Bind, InternalApi, InternalBind, Secret};
use crate::internal_api::{Phase, client};

/// The longest reload. It binds sockets, and with `--restart` it waits for the workers of an earlier restart to
/// drain.
const RELOAD_TIME_MAX: Duration = Duration::from_secs(300);
/// The longest health check. A healthy gate answers at once.
const HEALTH_TIME_MAX: Duration = Duration::from_secs(5);

/// Makes the gate read its configuration again and prints what changed. If the configuration is invalid, it prints
/// the gate's diagnostic and returns exit code 1. Then the gate goes on as before. The exit code is 1 too if the new
/// configuration is served, but without some certificates or services: their errors follow the first line.
pub fn reload(reload: &Reload) -> ExitCode {
    let path = if reload.restart { "/reload?restart=true" } else { "/reload" };
    match ask(&reload.call, path, RELOAD_TIME_MAX, output::UNABLE) {
        Err(code) => code,
        Ok((200, body)) if body.trim_end().lines().nth(1).is_none() => output::result(&ended(body)),
        Ok((200, body)) => {
            output::say(&ended(body));
            ExitCode::from(output::INVALID)
        }
        Ok((422, body)) => {
            output::say(&ended(body));
            output::failure(output::INVALID, "nothing has changed: the gate serves its earlier configuration")
        }
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// Asks whether the gate is ready. If it is not, or does not answer, the exit code is 1, the only failure that a
/// container's health check knows.
pub fn healthcheck(call: &Call) -> ExitCode {
    match ready(call, output::INVALID) {
        Err(code) => code,
        Ok((_, Phase::Ready)) => output::result("ready\n"),
        Ok((_, phase)) => {
            output::failure(output::INVALID, &format!("the gate is not ready: {}", phase.word()))
        }
    }
}

/// Finds the gate and asks whether it is ready, which needs no token. So another server never gets the token, and one
/// that is silent ends the wait soon. On an error, prints it and returns the exit code.
fn ready(call: &Call, unreachable: u8) -> Result<(Found, Phase), ExitCode> {
    let api = find(call)?;
    let (status, body) = api.send(client::get, None, "/readyz", HEALTH_TIME_MAX, unreachable)?;
    match Phase::of_answer(status, body.trim_end()) {
        Some(phase) => Ok((api, phase)),
        None => Err(api
            .failure(unreachable, "is not that of a gate: its answer to /readyz is that of another server")),
    }
}

/// Sends a POST, as [`ask`] sends a GET.
pub(super) fn order(call: &Call, path: &str, timeout: Duration) -> Result<(u16, String), ExitCode> {
    change(call, ("POST", path, ""), timeout)
}

/// Sends a request with a method and a body, as [`ask`] sends a GET.
pub(super) fn change(
    call: &Call,
    (method, path, body): (&str, &str, &str),
    timeout: Duration,
) -> Result<(u16, String), ExitCode> {
    let (api, _) = ready(call, output::UNABLE)?;
    let answer = client::ask(method, &api.bind, api.token.as_ref(), path, body, timeout);
    answer.map_err(|error| api.unreachable(output::UNABLE, &error))
}

/// Returns status and body of the response. On an error, prints it and returns the exit code.
pub(super) fn ask(
    call: &Call,
    path: &str,
    timeout: Duration,
    unreachable: u8,
) -> Result<(u16, String), ExitCode> {
    let (api, _) = ready(call, unreachable)?;
    api.send(client::get, api.token.as_ref(), path, timeout, unreachable)
}

/// Gives each piece of the response to `each`, as [`client::follow`] does. On an error, prints it and returns the exit
/// code.
pub(super) fn follow(
    call: &Call,
    path: &str,
    mut each: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(u16, String), ExitCode> {
    let (api, _) = ready(call, output::UNABLE)?;
    let followed = client::follow(&api.bind, api.token.as_ref(), path, HEALTH_TIME_MAX, &mut each);
    followed.map_err(|error| api.unreachable(output::UNABLE, &error))
}

/// A value in a query of a URL.
pub(super) fn escaped(value: &str) -> String {
    let escape = |byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' | b'/' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    value.bytes().map(escape).collect()
}

/// A function of the client.
type Method = fn(&InternalBind, Option<&Secret>, &str, Duration) -> io::Result<(u16, String)>;

/// The address and the token of a gate.
struct Found {
    bind: InternalBind,
    token: Option<Secret>,
    /// The errors of a configuration that could not be read as a whole. So the address may be another one.
    doubt: String,
}

/// The hint where nothing listens.
const ABSENT: &str = "\nIs the gate running, and is this the address of its `internal_api`? If that was edited since, name \
                      the earlier address with --address.";

impl Found {
    /// Returns status and body of the response. On an error, prints it and returns the exit code.
    fn send(
        &self,
        method: Method,
        token: Option<&Secret>,
        path: &str,
        timeout: Duration,
        unreachable: u8,
    ) -> Result<(u16, String), ExitCode> {
        method(&self.bind, token, path, timeout).map_err(|error| self.unreachable(unreachable, &error))
    }

    fn unreachable(&self, code: u8, error: &io::Error) -> ExitCode {
        let absent = matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
        let hint = if absent { ABSENT } else { "" };
        self.failure(code, &format!("does not answer: {error}{hint}"))
    }

    /// Prints what is wrong with the server at this address, and why the address may be another one.
    fn failure(&self, code: u8, what: &str) -> ExitCode {
        let message = format!("the internal API at {} {what}", self.bind);
        if self.doubt.is_empty() {
            return output::failure(code, &message);
        }
        output::say(&self.doubt);
        let doubt = "The gate may have another address, because the configuration has errors: name it with --address.";
        output::failure(output::INVALID, &format!("{message}\n{doubt}"))
    }
}

/// The address and the token of the command line, else those of the configuration. With an address, the
/// configuration is not read. A configuration that is broken elsewhere tells them all the same, because the gate has
/// them still.
fn find(call: &Call) -> Result<Found, ExitCode> {
    let given = call.token.as_ref().map(|token| Secret(token.as_str().into()));
    let Some(text) = &call.address else {
        let (InternalApi { bind, token, .. }, doubt) = configuration::internal_api(&call.files);
        return Ok(Found { bind, token: given.or(token), doubt });
    };
    let wrong = |why| output::failure(output::USAGE, &format!("`{text}` is not an address: {why}"));
    Ok(Found { bind: address(text).map_err(wrong)?, token: given, doubt: String::new() })
}

/// Parses `unix:/path`, `:port`, a port, or `host:port`. A name is looked up.
fn address(text: &str) -> io::Result<InternalBind> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(InternalBind::Unix(path.into()));
    }
    if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
        return Ok(InternalBind::Tcp(Bind::Any(port)));
    }
    let found: Vec<SocketAddr> = text.to_socket_addrs()?.collect();
    // The API listens on IPv4 by default, but the first address of `localhost` is often `::1`.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    Ok(InternalBind::Tcp(Bind::Address(*first.ok_or_else(nothing)?)))
}

pub(super) fn unexpected(status: u16, body: &str) -> String {
    let hint = if status == 401 { "; give its token with --token" } else { "" };
    format!("the internal API answered {status}{hint}\n{}", body.trim_end())
}

/// Makes the text end in exactly one line end.
pub(super) fn ended(mut text: String) -> String {
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_command_line() {
        for (text, expected) in [
            ("unix:/run/gate.sock", InternalBind::Unix("/run/gate.sock".into())),
            (":42007", InternalBind::Tcp(Bind::Any(42007))),
            ("42007", InternalBind::Tcp(Bind::Any(42007))),
            ("127.0.0.1:1", InternalBind::Tcp(Bind::Address(([127, 0, 0, 1], 1).into()))),
            ("[::1]:1", InternalBind::Tcp(Bind::Address("[::1]:1".parse().unwrap()))),
        ] {
            assert_eq!(address(text).unwrap(), expected, "{text}");
        }
        for text in ["", ":x", "127.0.0.1", ":99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
