//! `reload` and `healthcheck`: a request to the internal API of a running gate.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::arguments::{Call, Reload};
use crate::cli::{configuration, output};
use crate::config::plan::{Bind, InternalApi, InternalBind, Secret};
use crate::internal_api::client;

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
        Ok((200 | 422, body)) => {
            output::say(&ended(body));
            ExitCode::from(output::INVALID)
        }
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// Asks whether the gate is ready. If it is not, or does not answer, the exit code is 1, the only failure that a
/// container's health check knows.
pub fn healthcheck(call: &Call) -> ExitCode {
    match ask(call, "/readyz", HEALTH_TIME_MAX, output::INVALID) {
        Err(code) => code,
        Ok((200, body)) => output::result(&ended(body)),
        Ok((status, body)) => output::failure(output::INVALID, &unexpected(status, &body)),
    }
}

/// Sends a POST, as [`ask`] sends a GET.
pub(super) fn order(call: &Call, path: &str, timeout: Duration) -> Result<(u16, String), ExitCode> {
    send(call, path, timeout, output::UNABLE, client::post)
}

/// Returns status and body of the response. On an error, prints it and returns the exit code.
pub(super) fn ask(
    call: &Call,
    path: &str,
    timeout: Duration,
    unreachable: u8,
) -> Result<(u16, String), ExitCode> {
    send(call, path, timeout, unreachable, client::get)
}

/// A function of the client.
type Method = fn(&InternalBind, Option<&Secret>, &str, Duration) -> io::Result<(u16, String)>;

fn send(
    call: &Call,
    path: &str,
    timeout: Duration,
    unreachable: u8,
    method: Method,
) -> Result<(u16, String), ExitCode> {
    let api = find(call)?;
    method(&api.bind, api.token.as_ref(), path, timeout).map_err(|error| {
        let absent = matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
        let hint =
            if absent { "\nIs the gate running, and is this the address of its `internal_api`?" } else { "" };
        let place = api.bind.to_string();
        output::failure(unreachable, &format!("the internal API at {place} does not answer: {error}{hint}"))
    })
}

/// The address and the token of the command line, else those of the configuration. With an address, the
/// configuration is not read.
fn find(call: &Call) -> Result<InternalApi, ExitCode> {
    let mut api = match &call.address {
        Some(text) => {
            let bind = address(text).map_err(|why| {
                output::failure(output::USAGE, &format!("`{text}` is not an address: {why}"))
            })?;
            InternalApi { bind, token: None }
        }
        None => configuration::read(&call.files)?.internal_api,
    };
    if let Some(token) = &call.token {
        api.token = Some(Secret(token.as_str().into()));
    }
    Ok(api)
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
fn ended(mut text: String) -> String {
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
