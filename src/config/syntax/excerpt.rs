//! Lines of files that were loaded before, for errors that are found later, as in a certificate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::yaml;
use crate::config::diagnostics::{Diagnostic, Report, Severity};
use crate::config::plan::Origin;

/// Files that are read again, each once. A plan keeps places and no texts. So the text at a place may have
/// changed, and with it the places of secrets.
#[derive(Default)]
pub struct Excerpts {
    report: Report,
    files: HashMap<Arc<str>, u32>,
}

impl Excerpts {
    /// An error with its line, without the secrets in it. `read` reads the file. Without it, only the place is
    /// shown.
    pub fn error(
        &mut self,
        origin: Origin,
        message: String,
        read: impl FnOnce(&Path) -> Option<String>,
    ) -> Diagnostic {
        let Self { report, files } = self;
        let file = *files.entry(origin.file.clone()).or_insert_with(|| {
            let path = Path::new(&*origin.file);
            let text = read(path).unwrap_or_default();
            let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
            let file = report.add_file(path, &text);
            // Parse the text only to find its secrets.
            yaml::parse(&text, file, report);
            file
        });
        let (line, width) = report.excerpt_at(file, &origin);
        Diagnostic { severity: Severity::Error, message, origin: Some(origin), line, width, hint: None }
    }
}
