//! Values of files in which a `$` is a character like others, such as the end of an expression.

use std::path::Path;

use crate::config::decode::{Filled, Notation, Unfillable};
use crate::config::diagnostics::Span;
use crate::config::inputs::Inputs;
use crate::config::values::{ValueError, scalar, substitution};

/// `${env:NAME}` and `${file:path}` in values; `$$` stays as it is. Paths start from the folder of the file.
pub(in crate::config::dialects) struct PlainNotation<'a> {
    pub(in crate::config::dialects) inputs: &'a dyn Inputs,
    pub(in crate::config::dialects) dir: &'a Path,
}

/// The beginnings of a reference.
const REFERENCES: [&str; 2] = ["${env:", "${file:"];

impl Notation for PlainNotation<'_> {
    fn fill(&self, written: &str, _: Span) -> Result<Filled, Unfillable> {
        let (mut text, mut rest) = (String::with_capacity(written.len()), written);
        while let Some(start) = REFERENCES.iter().filter_map(|reference| rest.find(reference)).min() {
            let end = rest[start..].find('}').map_or(rest.len(), |brace| start + brace + 1);
            text.push_str(&rest[..start]);
            let filled = substitution::expand(&rest[start..end], self.dir, self.inputs);
            text.push_str(&filled.map_err(|(message, hint)| (message, hint.unwrap_or_default()))?);
            rest = &rest[end..];
        }
        text.push_str(rest);
        Ok(Filled { text, warnings: Vec::new() })
    }

    fn dir(&self, _: Span) -> &Path {
        self.dir
    }

    fn flag(&self) -> fn(&str) -> Result<bool, ValueError> {
        scalar::flag
    }

    fn separator(&self) -> Option<char> {
        None
    }

    fn tells_of_other_proxies(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryInputs;

    #[test]
    fn references_are_filled_in_and_other_dollars_stay() {
        let inputs = MemoryInputs::new().env("A", "a$$").file("d/f", "f\n");
        let notation = PlainNotation { inputs: &inputs, dir: Path::new("d") };
        let at = Span { file: 0, start: 0, end: 0 };
        for (written, text) in [
            ("^/a$", "^/a$"),
            ("$$ $1 ${1} ${", "$$ $1 ${1} ${"),
            ("${env:A}${file:f}$", "a$$f$"),
            ("${env:B:-b}", "b"),
        ] {
            assert_eq!(
                notation.fill(written, at).map(|filled| filled.text),
                Ok(text.to_owned()),
                "{written}"
            );
        }
        for written in ["${env:B}", "${env:A", "${file:none}"] {
            assert!(notation.fill(written, at).is_err(), "{written}");
        }
    }
}
