//! An error or a warning as it is shown: the place, the line, carets, and a hint.

use std::fmt;

use crate::config::plan::{Conflict, Origin};
use crate::config::sources::SourceFiles;

/// All diagnostics of one load: at least one error, or only warnings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    all: Vec<Diagnostic>,
    sources: SourceFiles,
    conflict: Option<Conflict>,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it is an error or a warning.
    pub severity: Severity,
    /// The message: one line without a full stop.
    pub message: String,
    /// The place. `None` if there is no text to point at, as for a file that cannot be read.
    pub origin: Option<Origin>,
    /// The line at `origin`. Control characters and secrets are replaced one to one.
    pub line: String,
    /// Characters of `line` to mark, from `origin.column` on.
    pub width: u32,
    /// A hint: what to write instead.
    pub hint: Option<String>,
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// An error: the configuration, or a part of it, cannot be used.
    Error,
    /// A warning: the configuration works, but probably not as intended.
    Warning,
}

impl Diagnostics {
    pub(crate) fn new(all: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics { all, sources: SourceFiles::default(), conflict: None }
    }

    pub(crate) fn with_sources(self, sources: SourceFiles) -> Diagnostics {
        Diagnostics { sources, ..self }
    }

    pub(crate) fn with_conflict(self, conflict: Option<Conflict>) -> Diagnostics {
        Diagnostics { conflict, ..self }
    }

    /// The reason why a change that was asked for is impossible.
    pub fn conflict(&self) -> Option<Conflict> {
        self.conflict
    }

    /// All files that were read, or could not be.
    pub fn sources(&self) -> &SourceFiles {
        &self.sources
    }

    /// All diagnostics, in the order of files and lines.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter()
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter().filter(|one| one.severity == Severity::Error)
    }

    /// The warnings.
    pub fn warnings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.all.iter().filter(|one| one.severity == Severity::Warning)
    }

    /// All diagnostics as text, with a blank line between two, and with ANSI colours if asked for.
    pub fn render(&self, color: bool) -> String {
        let all: Vec<String> = self.all.iter().map(|one| one.render(color)).collect();
        all.join("\n")
    }

    pub(crate) fn into_vec(self) -> Vec<Diagnostic> {
        self.all
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}

impl Diagnostic {
    /// This diagnostic as text, with a line feed at the end, and with ANSI colours if asked for.
    pub fn render(&self, color: bool) -> String {
        self.rendered(color, true)
    }

    /// As [`render`](Self::render), without colours and without the severity, for a log that has its own word for
    /// that.
    pub fn render_for_log(&self) -> String {
        self.rendered(false, false)
    }

    fn rendered(&self, color: bool, with_severity: bool) -> String {
        let paint = |code: &str, text: &str| {
            if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
        };
        let (word, hue) = match self.severity {
            Severity::Error => ("error", "1;31"),
            Severity::Warning => ("warning", "1;33"),
        };
        let message: String = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let mut text = if with_severity {
            format!("{}{}\n", paint(hue, word), paint("1", &format!(": {message}")))
        } else {
            format!("{message}\n")
        };
        let hint = self.hint.as_deref().unwrap_or_default();
        let Some(origin) = &self.origin else {
            if !hint.is_empty() {
                text.push_str(&format!("  {} {hint}\n", paint("1;34", "=")));
            }
            return text;
        };
        let number = origin.line.to_string();
        let margin = " ".repeat(number.len());
        let (line, before, width) = self.window();
        let bar = paint("1;34", "|");
        text.push_str(&format!("{margin}{} {origin}:{}\n", paint("1;34", "-->"), origin.column));
        text.push_str(&format!("{margin} {bar}\n{} {bar} {line}\n", paint("1;34", &number)));
        let carets = paint(hue, format!("{} {hint}", "^".repeat(width)).trim_end());
        text.push_str(&format!("{margin} {bar} {}{carets}\n", " ".repeat(before)));
        text
    }

    /// The visible part of the line, the number of characters before the carets in it, and the number of carets.
    fn window(&self) -> (String, usize, usize) {
        let column = self.origin.as_ref().map_or(0, |origin| origin.column.saturating_sub(1) as usize);
        let length = self.line.chars().count();
        let first = if length <= LONGEST_LINE { 0 } else { column.saturating_sub(LONGEST_LINE / 2) };
        let (head, tail) =
            (if first > 0 { "..." } else { "" }, if length > first + LONGEST_LINE { "..." } else { "" });
        let shown: String = self.line.chars().skip(first).take(LONGEST_LINE).collect();
        let before = column - first + head.len();
        let width =
            (self.width as usize).min((head.len() + shown.chars().count()).saturating_sub(before)).max(1);
        (format!("{head}{}{tail}", shown.trim_end()), before, width)
    }
}

/// Characters of a source line that are shown. A longer line is cut around the place.
const LONGEST_LINE: usize = 140;

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: &str, column: u32, width: u32) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: "`targt` is not a key of a rule".into(),
            origin: Some(Origin { file: "config/smolgate.yml".into(), line: 14, column }),
            line: line.into(),
            width,
            hint: Some("did you mean `target`?".into()),
        }
    }

    #[test]
    fn shows_the_line_and_the_carets() {
        let expected = "\
error: `targt` is not a key of a rule
  --> config/smolgate.yml:14:5
   |
14 |     targt: \"http://localhost:8083\"
   |     ^^^^^ did you mean `target`?
";
        assert_eq!(diagnostic("    targt: \"http://localhost:8083\"", 5, 5).render(false), expected);
    }

    #[test]
    fn cuts_a_long_line_around_the_place() {
        let line = format!("{}HERE{}", "a".repeat(1000), "b".repeat(1000));
        let text = diagnostic(&line, 1001, 4).render(false);
        let lines: Vec<&str> = text.lines().collect();
        let at = lines[3].find("HERE").expect("the place is shown");
        assert_eq!(lines[4].find("^^^^"), Some(at));
        assert!(lines[3].len() < 200);
    }

    #[test]
    fn colours_only_when_asked() {
        let one = diagnostic("x", 1, 1);
        assert!(one.render(true).contains('\x1b'));
        assert!(!one.render(false).contains('\x1b'));
    }
}
