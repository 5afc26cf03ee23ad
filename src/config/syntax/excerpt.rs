//! Lines of files that were loaded before, for what is found wrong only later, such as a certificate.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::yaml;
use crate::config::diagnostics::{Diagnostic, Report, Severity};
use crate::config::plan::Origin;

/// Files that were read again, each once. A plan keeps places and not texts; what stands there may have
/// changed since, and so may the places of secrets.
#[derive(Default)]
pub struct Excerpts {
    report: Report,
    files: HashMap<Arc<str>, u32>,
}

impl Excerpts {
    /// An error and its line, without the secrets in it. `read` reads the file; without it, only the place
    /// is shown.
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
            // Only for the places of the secrets: that it was a configuration is known.
            yaml::parse(&text, file, report);
            file
        });
        let (line, width) = report.excerpt_at(file, &origin);
        Diagnostic { severity: Severity::Error, message, origin: Some(origin), line, width, hint: None }
    }
}
