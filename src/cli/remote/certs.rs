//! `certs`: the names for which a running gate orders certificates.

use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use super::call::{ask, ended, order, unexpected};
use crate::cli::arguments::{Certs, CertsAction};
use crate::cli::output;

/// The longest answer: the gate answers at once.
const TIME_MAX: Duration = Duration::from_secs(10);

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
}

/// Prints the names as a table, or asks for a new certificate or a revocation. The exit code is 1 if a name has no certificate, or if
/// the gate orders none for the name.
pub fn certs(certs: &Certs) -> ExitCode {
    match (certs.action, &certs.name) {
        (Some(CertsAction::Renew), Some(name)) => wish(certs, "renew", name),
        (Some(CertsAction::Revoke), Some(name)) => wish(certs, "revoke", name),
        _ => list(certs),
    }
}

fn list(certs: &Certs) -> ExitCode {
    let (status, body) = match ask(&certs.call, "/certificates", TIME_MAX, output::UNABLE) {
        Err(code) => return code,
        Ok(answer) => answer,
    };
    let rows: Vec<Row> = match (status, serde_json::from_str(&body)) {
        (200, Ok(rows)) => rows,
        _ => return output::failure(output::UNABLE, &unexpected(status, &body)),
    };
    if rows.is_empty() {
        return output::result("no certificates are ordered: no listener has `tls: { acme: true }`\n");
    }
    let printed = output::result(&table(&rows));
    let is_well = rows.iter().all(|row| row.state == "valid");
    if is_well { printed } else { ExitCode::from(output::INVALID) }
}

/// Asks for something that is done with the certificate of a name.
fn wish(certs: &Certs, what: &str, name: &str) -> ExitCode {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !name.strip_prefix("*.").unwrap_or(name).bytes().all(is_plain) {
        return output::failure(output::USAGE, &format!("`{name}` is no name of a host"));
    }
    let path = format!("/certificates?{what}={}", name.to_ascii_lowercase());
    match order(&certs.call, &path, TIME_MAX) {
        Err(code) => code,
        Ok((202, body)) => output::result(&ended(body)),
        Ok((404, body)) => output::failure(output::USAGE, body.trim_end()),
        Ok((status, body)) => output::failure(output::UNABLE, &unexpected(status, &body)),
    }
}

fn table(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let short = |time: &str| match time.get(..16) {
            Some(minute) => format!("{} UTC", minute.replace('T', " ")),
            None => "-".to_owned(),
        };
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
}
