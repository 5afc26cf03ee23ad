//! Prints services with labels of the gate, as YAML to paste.

use std::fmt::Write;

use super::adapted::{Adapted, Note, Route};
use super::overlap;
use super::source::{self, Source};
use crate::config::dialects::compose::project::{Project, Reader};
use crate::config::syntax::{Node, Value};

/// The services of all projects in the labels of the gate. `None` if no service has an entry for that proxy.
pub(in crate::config::dialects::compose) fn page(
    reader: &Reader<'_>,
    source: &Source,
    projects: &[Project],
) -> Option<String> {
    let pages = projects.iter().filter_map(|project| {
        let written: Vec<_> =
            project.services.iter().map(|service| source::written(reader, source, service)).collect();
        let is_written = |index: &usize| !written[*index].entries.is_empty();
        let mut services: Vec<(String, Adapted)> = (0..written.len())
            .filter(is_written)
            .map(|index| (written[index].service.clone(), (source.adapt)(&written, index)))
            .collect();
        let fill = |text: &str| reader.lenient(&Node::new(project.span, Value::Scalar(text.to_owned())));
        overlap::withhold(&mut services, &fill);
        let file = reader.report.origin(project.span).file.to_string();
        (!services.is_empty()).then(|| of_project(source, &file, &services))
    });
    Some(pages.collect::<Vec<String>>().join("---\n")).filter(|text| !text.is_empty())
}

fn of_project(source: &Source, file: &str, services: &[(String, Adapted)]) -> String {
    let mut page = Page::default();
    page.comment(0, &format!("Labels of the gate, from the {} for {} in {file}.", source.word, source.title));
    page.comment(
        0,
        "Paste them into the services there. A line in a comment has no counterpart, or needs a decision.",
    );
    if services.iter().any(|(_, adapted)| adapted.https) {
        let text = "HTTPS: set SMOLGATE_HTTPS_ENABLED on the service of the gate, and SMOLGATE_ACME_EMAIL or certificates (docs/compose.md).";
        page.comment(0, text);
    }
    let is_active = |adapted: &Adapted| adapted.routes.iter().any(|route| route.withheld.is_empty());
    let any = services.iter().any(|(_, adapted)| is_active(adapted));
    page.line(
        0,
        if any { "services:" } else { "services: {} # take the braces away with the first comment below" },
    );
    for (name, adapted) in services {
        page.is_comment = !is_active(adapted);
        page.service(name, adapted);
    }
    page.text
}

/// The text while it is written.
#[derive(Default)]
struct Page {
    text: String,
    /// Every line is a comment.
    is_comment: bool,
}

impl Page {
    fn line(&mut self, indent: usize, line: &str) {
        match self.is_comment {
            // Of the indentation, two columns stand before the sign, so that the line can be uncommented.
            true => writeln!(self.text, "  # {:1$}{line}", "", indent.saturating_sub(2)),
            false => writeln!(self.text, "{:1$}{line}", "", indent),
        }
        .expect("invariant: a string takes any text");
    }

    fn comment(&mut self, indent: usize, text: &str) {
        self.line(indent, &format!("# {}", one_line(text)));
    }

    /// A line that is a comment until it is decided: without its `# `, it stands where it belongs.
    fn commented(&mut self, indent: usize, line: &str) {
        match self.is_comment {
            true => self.line(indent, line),
            false => self.line(indent, &format!("# {line}")),
        }
    }

    fn service(&mut self, name: &str, adapted: &Adapted) {
        self.line(2, &format!("{}:", key(name)));
        self.line(4, "labels:");
        let mut names = Names::default();
        let (ready, withheld): (Vec<&Route>, Vec<&Route>) =
            adapted.routes.iter().partition(|route| route.withheld.is_empty());
        for route in ready {
            let prefix = names.prefix(&route.name);
            for (label, value) in route.labels() {
                self.line(6, &format!("{prefix}.{label}: {}", quoted(&value)));
            }
            route.differs.iter().for_each(|text| self.comment(6, text));
        }
        for route in withheld {
            self.comment(6, &format!("Not ready: {}.", route.withheld.join("; ")));
            let prefix = names.prefix(&route.name);
            for (label, value) in route.labels() {
                self.commented(6, &format!("{prefix}.{label}: {}", quoted(&value)));
            }
            route.differs.iter().for_each(|text| self.comment(6, text));
        }
        for Note { entry, why } in &adapted.notes {
            self.comment(6, &format!("{entry} -- {why}"));
        }
    }
}

/// The names of the routes of one service. The first has none.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn prefix(&mut self, wanted: &str) -> String {
        let is_first = self.0.is_empty();
        let part = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
        // `smolgate.port.http` is a label by itself.
        let base: String = wanted.chars().map(part).chain((wanted == "port").then_some('_')).collect();
        let base = if base.is_empty() { "route".to_owned() } else { base };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let mut candidates = std::iter::once(base.clone()).chain(numbered);
        let name = candidates.find(|name| !self.0.contains(name)).unwrap_or_default();
        self.0.push(name.clone());
        if is_first { "smolgate".to_owned() } else { format!("smolgate.{name}") }
    }
}

/// The name of a service as a key. Words that YAML reads as something else are quoted.
fn key(name: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain && !WORDS.contains(&name.to_lowercase().as_str()) { name.to_owned() } else { quoted(name) }
}

/// A YAML scalar in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            // The escape of YAML has four digits, and eight beyond the first plane.
            c if c.is_control() || (c as u32) > 0xffff => quoted.push_str(&format!("\\U{:08x}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A text for a comment: without a line end that would leave it.
fn one_line(text: &str) -> String {
    let is_end = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let words = text.replace(is_end, " ");
    words.chars().take(COMMENT_CHARS_MAX).collect()
}

/// Characters of one comment. A rule of a stranger may be longer.
const COMMENT_CHARS_MAX: usize = 500;
