//! Output: results go to standard output, errors to standard error.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use crate::log::colours::no_colour;

/// The configuration is invalid; for `healthcheck`, the gate is not well.
pub(super) const INVALID: u8 = 1;
/// The command line is wrong in a way that only the configuration shows.
pub(super) const USAGE: u8 = 2;
/// The gate cannot start, or cannot be reached.
pub(super) const UNABLE: u8 = 3;

/// Writes a result. It is no failure if the reader stops reading early (`smolgate routes | head -1`).
pub(super) fn result(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failure(UNABLE, &format!("cannot write the result: {error}")),
    }
}

/// Prints an error of one or more lines and returns `code`.
pub(super) fn failure(code: u8, message: &str) -> ExitCode {
    say(&format!("error: {message}\n"));
    ExitCode::from(code)
}

/// Writes to standard error. If that is closed, the text is lost.
pub(super) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether standard error takes colours: it is a terminal, and `NO_COLOR` is not set (<https://no-color.org>).
pub(super) fn colours() -> bool {
    !no_colour() && io::stderr().is_terminal()
}

/// Aligns columns with two spaces between them and none at the end of a line.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bb", "c"], ["ääää", "", "d"], ["x", "y", ""]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(columns(&rows), "a     bb  c\nääää      d\nx     y\n");
    }
}
