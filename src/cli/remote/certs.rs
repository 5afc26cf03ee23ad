//! `certs`: the names for which a running gate orders certificates.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::call::{ask, ended, order, unexpected};
use crate::cli::arguments::Certs;
use crate::cli::output;
use crate::cli::words::{CertsAction, CertsWhat};

/// The longest answer of most questions: the gate answers at once.
const TIME_MAX: Duration = Duration::from_secs(10);
/// The longest look at one name.
const CHECK_TIME_MAX: Duration = Duration::from_secs(90);
/// The longest order, with each challenge. One by DNS waits for name servers.
const ORDER_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// One name, as the internal API describes it.
#[derive(Deserialize)]
struct Row {
    name: String,
    state: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    next_attempt: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    ca: String,
    #[serde(default)]
    attempts: Vec<Attempt>,
}

/// An attempt that is over.
#[derive(Deserialize)]
struct Attempt {
    at: String,
    ca: String,
    #[serde(default)]
    staging: bool,
    #[serde(default)]
    error: Option<String>,
}

/// The answer to a question that takes its time.
#[derive(Deserialize)]
struct Told {
    well: bool,
    text: String,
}

/// Prints the names as a table, all that is known of one, or the result of an action. The exit code is 1 if a name has no
/// certificate, if a look finds something bad, or if the gate orders none for the name.
pub fn certs(certs: &Certs) -> ExitCode {
    let action = match (&certs.what, &certs.name) {
        (None, _) => return list(certs, None),
        (Some(CertsWhat::Name(name)), None) => return list(certs, Some(&name.to_ascii_lowercase())),
        (Some(CertsWhat::Name(word)), Some(_)) => {
            let words: Vec<&str> = CertsAction::ALL.iter().map(|(word, ..)| *word).collect();
            let message = format!("`{word}` is no action of `certs`; there are {}", words.join(", "));
            return output::failure(output::USAGE, &message);
        }
        (Some(CertsWhat::Action(action)), _) => *action,
    };
    let known = CertsAction::ALL.iter().find(|(_, known, _)| *known == action);
    let (word, _, needs) = known.unwrap_or(&CertsAction::ALL[0]);
    let name = match (needs, &certs.name) {
        (Some(true), None) => {
            return output::failure(output::USAGE, &format!("name a host: smolgate certs {word} NAME"));
        }
        (None, Some(_)) => {
            return output::failure(output::USAGE, &format!("`certs {word}` is for all names: leave it out"));
        }
        (_, name) => name.as_deref().map(str::to_ascii_lowercase),
    };
    if let Some(name) = name.as_deref().filter(|name| !is_host(name)) {
        return output::failure(output::USAGE, &format!("`{name}` is no name of a host"));
    }
    match (action, name) {
        (CertsAction::Renew | CertsAction::Revoke, Some(name)) => wish(certs, word, &name),
        (CertsAction::Check, None) => check_all(certs),
        (CertsAction::Check, Some(name)) => ended_well(question(certs, word, &name, CHECK_TIME_MAX)),
        (_, name) => ended_well(question(certs, word, &name.unwrap_or_default(), ORDER_TIME_MAX)),
    }
}

fn is_host(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    name.strip_prefix("*.").unwrap_or(name).bytes().all(is_plain)
}

fn rows(certs: &Certs) -> Result<Vec<Row>, ExitCode> {
    let (status, body) = ask(&certs.call, "/certificates", TIME_MAX, output::UNABLE)?;
    match (status, serde_json::from_str(&body)) {
        (200, Ok(rows)) => Ok(rows),
        _ => Err(output::failure(output::UNABLE, &unexpected(status, &body))),
    }
}

/// The table, or one name.
fn list(certs: &Certs, name: Option<&str>) -> ExitCode {
    let rows = match rows(certs) {
        Ok(rows) => rows,
        Err(code) => return code,
    };
    let Some(name) = name else {
        if rows.is_empty() {
            return output::result("no certificates are ordered: no listener has `tls: { acme: true }`\n");
        }
        let is_well = rows.iter().all(|row| row.state == "valid");
        return exit(output::result(&table(&rows)), is_well);
    };
    match rows.iter().find(|row| row.name == name) {
        Some(row) => exit(output::result(&whole(row)), row.state == "valid"),
        None => output::failure(output::USAGE, &format!("no certificate is ordered for {name}")),
    }
}

fn exit(printed: ExitCode, is_well: bool) -> ExitCode {
    if is_well { printed } else { ExitCode::from(output::INVALID) }
}

fn check_all(certs: &Certs) -> ExitCode {
    let rows = match rows(certs) {
        Ok(rows) => rows,
        Err(code) => return code,
    };
    let mut is_well = true;
    for row in &rows {
        match question(certs, "check", &row.name, CHECK_TIME_MAX) {
            Ok(well) => is_well &= well,
            Err(code) => return code,
        }
    }
    exit(ExitCode::SUCCESS, is_well)
}

fn ended_well(answer: Result<bool, ExitCode>) -> ExitCode {
    answer.map_or_else(|code| code, |is_well| exit(ExitCode::SUCCESS, is_well))
}

/// Asks a question and prints the answer. Returns whether everything is well.
fn question(certs: &Certs, what: &str, name: &str, timeout: Duration) -> Result<bool, ExitCode> {
    let value = if name.is_empty() { String::new() } else { format!("={name}") };
    match order(&certs.call, &format!("/certificates?{what}{value}"), timeout)? {
        (200, body) => match serde_json::from_str::<Told>(&body) {
            Ok(Told { well, text }) => {
                output::result(&ended(text));
                Ok(well)
            }
            Err(_) => Err(output::failure(output::UNABLE, &unexpected(200, &body))),
        },
        (404, body) => Err(output::failure(output::USAGE, body.trim_end())),
        (status, body) => Err(output::failure(output::UNABLE, &unexpected(status, &body))),
    }
}

/// Asks for something that is done with the certificate of a name.
fn wish(certs: &Certs, what: &str, name: &str) -> ExitCode {
    match order(&certs.call, &format!("/certificates?{what}={name}"), TIME_MAX) {
        Err(code) => code,
        Ok((202, body)) => output::result(&ended(body)),
        Ok((404, body)) => output::failure(output::USAGE, body.trim_end()),
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

/// A time to the minute.
fn short(time: &str) -> String {
    match time.get(..16) {
        Some(minute) => format!("{} UTC", minute.replace('T', " ")),
        None => "-".to_owned(),
    }
}

/// All that is known of a name.
fn whole(row: &Row) -> String {
    let mut text = format!("{}\n", row.name);
    let facts = [
        ("state", row.state.clone()),
        ("until", short(&row.until)),
        ("CA", row.ca.clone()),
        ("next attempt", short(&row.next_attempt)),
        ("last error", row.error.clone()),
    ];
    for (fact, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {fact:<14}{value}");
    }
    for attempt in &row.attempts {
        let system = if attempt.staging { ", test system" } else { "" };
        let end = attempt.error.as_deref().unwrap_or("issued");
        let _ = writeln!(text, "  {}  {}{system}: {end}", short(&attempt.at), attempt.ca);
    }
    text
}

fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        [row.name.clone(), row.state.clone(), short(&row.until), short(&row.next_attempt), row.error.clone()]
    };
    let head = ["NAME", "STATE", "UNTIL", "NEXT ATTEMPT", "LAST ERROR"].map(str::to_owned);
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (cell, width) in line.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(row, "{cell:width$}  ");
        }
        row.push_str(&line[4]);
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_a_table() {
        let json = r#"[
            { "name": "a.example", "state": "valid", "until": "2027-01-02T03:04:05.000Z",
              "next_attempt": "2026-12-03T03:04:05.000Z" },
            { "name": "longer.example", "state": "waiting", "error": "dns: no address" }
        ]"#;
        let rows: Vec<Row> = serde_json::from_str(json).unwrap();
        assert_eq!(
            table(&rows),
            "NAME            STATE    UNTIL                 NEXT ATTEMPT          LAST ERROR\n\
             a.example       valid    2027-01-02 03:04 UTC  2026-12-03 03:04 UTC\n\
             longer.example  waiting  -                     -                     dns: no address\n"
        );
    }

    #[test]
    fn all_that_is_known_of_a_name_is_told() {
        let json = r#"{ "name": "a.example", "state": "waiting", "next_attempt": "2026-12-03T03:04:05.000Z",
            "error": "dns: no address", "ca": "letsencrypt", "attempts": [
                { "at": "2026-12-02T03:04:05.000Z", "ca": "letsencrypt", "error": "dns: no address" },
                { "at": "2026-12-02T04:04:05.000Z", "ca": "letsencrypt", "staging": true }
            ] }"#;
        assert_eq!(
            whole(&serde_json::from_str(json).unwrap()),
            "a.example\n  state         waiting\n  until         -\n  CA            letsencrypt\n  \
             next attempt  2026-12-03 03:04 UTC\n  last error    dns: no address\n  \
             2026-12-02 03:04 UTC  letsencrypt: dns: no address\n  \
             2026-12-02 04:04 UTC  letsencrypt, test system: issued\n"
        );
    }
}
