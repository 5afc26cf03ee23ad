//! Gathers errors and warnings, with the texts that they point into.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::span::Span;
use crate::config::plan::{Conflict, Origin};

/// The findings so far, and the texts of all files.
#[derive(Default)]
pub(crate) struct Report {
    files: Vec<SourceFile>,
    pub(crate) findings: Vec<Finding>,
    /// Stretches with secrets, which no excerpt shows.
    masks: Vec<Span>,
    /// The reason why a change is impossible.
    pub(crate) conflict: Option<Conflict>,
}

struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    /// The byte at which each line starts.
    lines: Vec<u32>,
}

pub(crate) struct Finding {
    severity: Severity,
    /// Whether it makes the whole configuration unusable.
    pub(crate) fatal: bool,
    at: Option<Span>,
    pub(crate) message: String,
    hint: Option<String>,
}

impl Report {
    /// Adds a file. Returns the number that is the `file` of every [`Span`] in it.
    pub(crate) fn add_file(&mut self, path: &Path, text: &Arc<str>) -> u32 {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(index, _)| index as u32 + 1)).collect();
        self.files.push(SourceFile { name: path.display().to_string().into(), text: text.clone(), lines });
        self.files.len() as u32 - 1
    }

    /// Adds an error with a place.
    pub(crate) fn error(&mut self, at: Span, message: impl Into<String>) {
        self.add(Severity::Error, true, Some(at), message.into(), None);
    }

    /// Adds an error with a place and a hint.
    pub(crate) fn error_hint(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, true, Some(at), message.into(), Some(hint.into()));
    }

    /// Adds an error outside of every text, such as a file that cannot be read.
    pub(crate) fn error_without_place(&mut self, message: impl Into<String>, hint: Option<&str>) {
        self.add(Severity::Error, true, None, message.into(), hint.map(str::to_owned));
    }

    /// Adds a warning about something that works, but probably not as intended.
    pub(crate) fn warning(&mut self, at: Option<Span>, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Warning, false, at, message.into(), Some(hint.into()));
    }

    /// Adds a finding. A `fatal` one makes the whole configuration unusable. An empty hint is none.
    pub(crate) fn add(
        &mut self,
        severity: Severity,
        fatal: bool,
        at: Option<Span>,
        message: String,
        hint: Option<String>,
    ) {
        let hint = hint.filter(|hint| !hint.is_empty());
        self.findings.push(Finding { severity, fatal, at, message, hint });
    }

    /// Hides this stretch in every excerpt.
    pub(crate) fn mask(&mut self, span: Span) {
        self.masks.push(span);
    }

    /// Whether there is an error. Warnings and rejections do not count.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.fatal)
    }

    /// Whether a warning has this place.
    pub(crate) fn has_warning_at(&self, span: Span) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Warning && finding.at == Some(span))
    }

    /// The number of findings so far, warnings included.
    pub(crate) fn count(&self) -> usize {
        self.findings.len()
    }

    /// File, line and column of a span.
    pub(crate) fn origin(&self, span: Span) -> Origin {
        let file = &self.files[span.file as usize];
        let line = file.lines.partition_point(|start| *start <= span.start).saturating_sub(1);
        let start = file.text.floor_char_boundary(span.start as usize);
        let column = file.text[file.lines[line] as usize..start].chars().count();
        Origin { file: file.name.clone(), line: line as u32 + 1, column: column as u32 + 1 }
    }

    /// `file:line:column`, for a message that names a second place.
    pub(crate) fn place(&self, span: Span) -> String {
        let origin = self.origin(span);
        format!("{origin}:{}", origin.column)
    }

    /// All findings, in the order of the files and of the lines in each file.
    pub(crate) fn finish(mut self) -> Diagnostics {
        let mut findings = std::mem::take(&mut self.findings);
        findings.sort_by_key(|finding| finding.at);
        // An alias can bring one error to many places.
        findings.dedup_by(|a, b| a.at == b.at && a.message == b.message);
        let all = findings.into_iter().map(|finding| self.diagnostic(finding)).collect();
        Diagnostics::new(all).with_conflict(self.conflict)
    }

    fn diagnostic(&self, finding: Finding) -> Diagnostic {
        let Finding { severity, at, message, hint, .. } = finding;
        let Some(span) = at else {
            return Diagnostic { severity, message, origin: None, line: String::new(), width: 0, hint };
        };
        let origin = self.origin(span);
        let (line, width) = self.excerpt(span, &origin);
        Diagnostic { severity, message, origin: Some(origin), line, width, hint }
    }

    /// The line in which a span begins, without its secrets, and the number of characters to mark.
    fn excerpt(&self, span: Span, origin: &Origin) -> (String, u32) {
        let file = &self.files[span.file as usize];
        let start = file.lines[origin.line as usize - 1] as usize;
        let rest = &file.text[start..];
        let line = rest.split('\n').next().unwrap_or(rest);
        // Lines were counted by LF, so a CR elsewhere is an ordinary character.
        let end = start + line.strip_suffix('\r').unwrap_or(line).len();
        let from = file.text.floor_char_boundary(span.start as usize);
        let to = file.text.floor_char_boundary(span.end as usize).clamp(from, end.max(from));
        let covered = &file.text[from..to];
        let line = file.text[start..end]
            .char_indices()
            .map(|(index, char)| match char {
                _ if self.is_masked(span.file, (start + index) as u32) => '*',
                // One column per character keeps the carets in place.
                char if char.is_control() => ' ',
                char => char,
            })
            .collect();
        (line, covered.chars().count().max(1) as u32)
    }

    /// The excerpt of the value at a place in a file. Empty if the file has no such place.
    pub(crate) fn excerpt_at(&self, file: u32, origin: &Origin) -> (String, u32) {
        let SourceFile { text, lines, .. } = &self.files[file as usize];
        let Some(start) = lines.get(origin.line as usize - 1) else { return (String::new(), 1) };
        let rest = &text[*start as usize..];
        let before: usize = rest.chars().take(origin.column as usize - 1).map(char::len_utf8).sum();
        let meant = rest[before..].find([',', '}', ']', ' ', '#', '\n']).unwrap_or(rest.len() - before);
        let start = *start + before as u32;
        self.excerpt(Span { file, start, end: start + meant as u32 }, origin)
    }

    fn is_masked(&self, file: u32, byte: u32) -> bool {
        self.masks.iter().any(|mask| mask.file == file && mask.start <= byte && byte < mask.end)
    }
}

/// A word between backticks, short and in one line.
pub(crate) fn quoted(word: &str) -> String {
    let shown: String = word.chars().take(80).collect();
    let more = if shown.len() < word.len() { "..." } else { "" };
    if shown.trim() != shown || shown.is_empty() || shown.contains(char::is_control) {
        return format!("`{shown:?}{more}`");
    }
    format!("`{shown}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_count_characters_not_bytes() {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &"x\nä: b\n".into());
        let origin = report.origin(Span { file, start: 6, end: 7 });
        assert_eq!((origin.line, origin.column), (2, 4));
        assert_eq!(report.place(Span { file, start: 0, end: 1 }), "a.yml:1:1");
    }

    #[test]
    fn the_end_of_the_text_is_a_place_too() {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &"a: [".into());
        report.error(Span { file, start: 4, end: 4 }, "it ends");
        assert!(report.finish().to_string().contains("a.yml:1:5"));
    }

    #[test]
    fn a_carriage_return_cuts_no_line_off() {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &"a: 1\r\nb:\r c\r\n".into());
        report.error(Span { file, start: 10, end: 11 }, "here");
        report.error(Span { file, start: 3, end: 4 }, "there");
        let shown: Vec<_> = report
            .finish()
            .iter()
            .map(|one| (one.line.clone(), one.origin.clone().unwrap().column))
            .collect();
        assert_eq!(shown, [("a: 1".to_owned(), 4), ("b:  c".to_owned(), 5)]);
    }

    #[test]
    fn a_mask_hides_and_keeps_columns() {
        let mut report = Report::default();
        let file = report.add_file(Path::new("a.yml"), &"token: sesame, bad: 1".into());
        report.mask(Span { file, start: 7, end: 13 });
        report.error(Span { file, start: 15, end: 18 }, "no");
        let text = report.finish().to_string();
        assert!(text.contains("token: ******, bad: 1"), "{text}");
    }
}
