//! The Prometheus text format 0.0.4.

use std::fmt::{Display, Write};

use super::counter::{Histogram, HistogramSum};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text, and the name of the current family.
#[derive(Default)]
pub(super) struct Page(pub(super) String, &'static str);

impl Page {
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        self.1 = name;
    }

    /// Writes a line of the current family.
    pub(super) fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.series(suffix, labels);
        writeln!(self.0, " {value}").expect("invariant: a String takes every write");
    }

    /// Writes a line up to its value.
    fn series(&mut self, suffix: &str, labels: &[(&str, &str)]) {
        self.0.push_str(self.1);
        self.0.push_str(suffix);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.0.push(if index == 0 { '{' } else { ',' });
            self.0.push_str(label);
            self.0.push_str("=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.0.push_str("\\\\"),
                    '"' => self.0.push_str("\\\""),
                    '\n' => self.0.push_str("\\n"),
                    other => self.0.push(other),
                }
            }
            self.0.push('"');
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
    }

    /// Writes a family of one line without labels.
    pub(super) fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample("", &[], value);
    }

    /// Writes the lines of a histogram with one label.
    pub(super) fn histogram(&mut self, label: &str, value: &str, sum: &HistogramSum) {
        let mut below = 0;
        for (bound, count) in Histogram::BOUNDS.iter().zip(&sum.buckets) {
            below += count;
            let bound = (*bound as f64 / 1e9).to_string();
            self.sample("_bucket", &[(label, value), ("le", &bound)], below);
        }
        self.sample("_bucket", &[(label, value), ("le", "+Inf")], sum.count());
        self.sample("_sum", &[(label, value)], sum.nanos as f64 / 1e9);
        self.sample("_count", &[(label, value)], sum.count());
    }
}
