//! Changes of the fields of one message.

use std::fmt;
use std::sync::Arc;

use crate::config::keys::yaml::{list, quote_key};
use crate::http::{Escape, Name, Template, TemplateValues};

/// Changes of the fields of one message. They act in this order, whatever the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Edits {
    /// Fields that are taken out.
    pub remove: Vec<FieldPattern>,
    /// Fields that stand in the place of all of their name.
    pub set: Vec<FieldEdit>,
    /// Fields that are added if the message has none of their name.
    pub default: Vec<FieldEdit>,
    /// Fields that are added.
    pub add: Vec<FieldEdit>,
}

/// Fields of one kind of change at most, so that those that were seen are bits of a word.
pub const EDITS_MAX: usize = 64;

/// A field and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldEdit {
    /// The name as written.
    pub name: Arc<str>,
    /// The value, with placeholders.
    pub value: Template,
}

/// A name of fields, or with `*` at the end the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPattern {
    /// The name or its beginning.
    pub start: Arc<str>,
    /// Whether every end is taken.
    pub is_open: bool,
}

/// Whether two names are one: [`<[u8]>::eq_ignore_ascii_case`], or for a reader that takes more names for one, such as
/// [`reads_alike`](crate::http::reads_alike).
pub type SameName = fn(&[u8], &[u8]) -> bool;

impl FieldPattern {
    fn matches(&self, name: &[u8], is_same: SameName) -> bool {
        let start = name.get(..self.start.len());
        start.is_some_and(|start| is_same(start, self.start.as_bytes()))
            && (self.is_open || name.len() == self.start.len())
    }
}

impl fmt::Display for FieldPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.start, if self.is_open { "*" } else { "" })
    }
}

impl Edits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        let Edits { remove, set, default, add } = self;
        remove.is_empty() && [set, default, add].into_iter().all(Vec::is_empty)
    }

    fn fields(&self) -> impl Iterator<Item = &FieldEdit> {
        self.set.iter().chain(&self.default).chain(&self.add)
    }

    /// Writes the lines of all fields for a request, which [`apply`](Self::apply) takes.
    pub fn write_lines(&self, values: &TemplateValues<'_>, mut out: impl FnMut(&[u8])) {
        for FieldEdit { name, value } in self.fields() {
            out(name.as_bytes());
            out(b": ");
            value.write(values, Escape::No, &mut out);
            out(b"\r\n");
        }
    }

    /// Writes a head with these changes. `head` has the first line and the field lines, each with its CRLF, and maybe the
    /// empty line and further bytes. `lines` are those of [`write_lines`](Self::write_lines).
    ///
    /// Fields that frame the message or belong to the connection are never taken out. `is_same` finds the fields that are
    /// taken out or replaced.
    pub fn apply(&self, head: &[u8], lines: &[u8], is_same: SameName, mut out: impl FnMut(&[u8])) {
        let Edits { remove, set, default, add } = self;
        let own = |index: usize| lines_of(lines).nth(index).unwrap_or_default();
        let fields_end = memchr::memmem::find(head, b"\r\n\r\n").map_or(head.len(), |at| at + 2);
        let (fields, rest) = head.split_at(fields_end);
        let (mut written, mut present) = (0u64, 0u64);
        let mut old = lines_of(fields);
        out(old.next().unwrap_or_default());
        for line in old {
            let name = &line[..memchr::memchr(b':', line).unwrap_or(line.len())];
            let is_of = |edit: &FieldEdit| edit.name.as_bytes().eq_ignore_ascii_case(name);
            if remove.iter().any(|pattern| pattern.matches(name, is_same)) && !is_protected(name) {
                continue;
            }
            if let Some(at) = default.iter().position(is_of) {
                present |= 1 << at;
            }
            match set.iter().position(|edit| is_same(name, edit.name.as_bytes())) {
                None => out(line),
                Some(at) if written >> at & 1 == 0 => {
                    written |= 1 << at;
                    out(own(at));
                }
                Some(_) => {}
            }
        }
        let is_missing = |bits: u64| move |at: &usize| bits >> at & 1 == 0;
        (0..set.len()).filter(is_missing(written)).for_each(|at| out(own(at)));
        let is_set = |edit: &FieldEdit| set.iter().any(|other| other.name.eq_ignore_ascii_case(&edit.name));
        let missing = (0..default.len()).filter(is_missing(present)).filter(|at| !is_set(&default[*at]));
        missing.for_each(|at| out(own(set.len() + at)));
        (0..add.len()).for_each(|at| out(own(set.len() + default.len() + at)));
        out(rest);
    }
}

/// The lines of a text, each with its end.
fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Whether a pattern with a star leaves the field: the gate writes it, or it frames the message.
fn is_protected(name: &[u8]) -> bool {
    let name = Name::classify(name);
    name.is_hop_by_hop()
        || matches!(
            name,
            Name::Host
                | Name::ContentLength
                | Name::Date
                | Name::Via
                | Name::ProxyStatus
                | Name::XForwardedFor
                | Name::XForwardedProto
                | Name::XForwardedHost
                | Name::XForwardedPrefix
                | Name::XRealIp
                | Name::Forwarded
        )
}

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Edits { remove, set, default, add } = self;
        let mut keys = Vec::new();
        for (key, edits) in [("set", set), ("default", default), ("add", add)] {
            let same = edits.chunk_by(|one, two| one.name == two.name);
            let field = |same: &[FieldEdit]| {
                format!("{}: {}", quote_key(&same[0].name), list(same.iter().map(|edit| &edit.value)))
            };
            let fields: Vec<String> = same.map(field).collect();
            if !fields.is_empty() {
                keys.push(format!("{key}: {{ {} }}", fields.join(", ")));
            }
        }
        if !remove.is_empty() {
            keys.push(format!("remove: {}", list(remove.iter())));
        }
        write!(f, "{{ {} }}", keys.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reads_alike;

    fn edits(kind: &str, fields: &[(&str, &str)]) -> Edits {
        let fields = fields
            .iter()
            .map(|(name, value)| FieldEdit { name: (*name).into(), value: Template::literal(value) });
        let mut edits = Edits::default();
        match kind {
            "set" => edits.set = fields.collect(),
            "default" => edits.default = fields.collect(),
            _ => edits.add = fields.collect(),
        }
        edits
    }

    fn removing(patterns: &[&str]) -> Edits {
        let pattern = |text: &&str| FieldPattern {
            start: text.trim_end_matches('*').into(),
            is_open: text.ends_with('*'),
        };
        Edits { remove: patterns.iter().map(pattern).collect(), ..Edits::default() }
    }

    fn applied(edits: &Edits, head: &str) -> String {
        applied_by(edits, head, <[u8]>::eq_ignore_ascii_case)
    }

    fn applied_by(edits: &Edits, head: &str, is_same: SameName) -> String {
        let lines: String = edits.fields().map(|edit| format!("{}: {}\r\n", edit.name, edit.value)).collect();
        let mut out = Vec::new();
        edits.apply(head.as_bytes(), lines.as_bytes(), is_same, |bytes| out.extend_from_slice(bytes));
        String::from_utf8(out).unwrap()
    }

    const HEAD: &str = "GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-b: 2\r\nx-a: 3\r\n";

    #[test]
    fn each_change_does_what_it_says() {
        let set = edits("set", &[("x-A", "9"), ("X-New", "n")]);
        assert_eq!(applied(&set, HEAD), "GET / HTTP/1.1\r\nHost: h\r\nx-A: 9\r\nx-b: 2\r\nX-New: n\r\n");
        let default = edits("default", &[("X-B", "9"), ("X-C", "c")]);
        assert_eq!(applied(&default, HEAD), format!("{HEAD}X-C: c\r\n"));
        let add = edits("add", &[("X-B", "9"), ("X-B", "10")]);
        assert_eq!(applied(&add, HEAD), format!("{HEAD}X-B: 9\r\nX-B: 10\r\n"));
        let remove = removing(&["X-a", "Host", "H*"]);
        assert_eq!(applied(&remove, HEAD), "GET / HTTP/1.1\r\nHost: h\r\nx-b: 2\r\n");
        assert_eq!(applied(&removing(&["x*"]), HEAD), "GET / HTTP/1.1\r\nHost: h\r\n");
        assert_eq!(applied(&Edits::default(), HEAD), HEAD);
    }

    #[test]
    fn a_name_that_a_target_reads_alike_is_the_same() {
        let head = "GET / HTTP/1.1\r\nHost: h\r\nx_int_B: 1\r\nX.Tenant: 2\r\nX-Intern: 3\r\n";
        let applied = |edits: &Edits| applied_by(edits, head, reads_alike);
        let without = "GET / HTTP/1.1\r\nHost: h\r\nX.Tenant: 2\r\nX-Intern: 3\r\n";
        assert_eq!(applied(&removing(&["X-Int-*"])), without);
        assert_eq!(applied(&removing(&["X-Int-B"])), without);
        let set = edits("set", &[("X-Tenant", "own")]);
        assert_eq!(applied(&set), head.replace("X.Tenant: 2", "X-Tenant: own"));
        // A target that reads them apart gets the default in any case.
        let default = edits("default", &[("X-Tenant", "own")]);
        assert_eq!(applied(&default), format!("{head}X-Tenant: own\r\n"));
        assert_eq!(applied_by(&removing(&["X-Int-*"]), head, <[u8]>::eq_ignore_ascii_case), head);
    }

    #[test]
    fn changes_act_in_one_order_and_before_the_empty_line() {
        let all = Edits {
            remove: removing(&["X-*"]).remove,
            set: edits("set", &[("X-A", "set")]).set,
            default: edits("default", &[("X-A", "no"), ("X-B", "default")]).default,
            add: edits("add", &[("X-A", "add")]).add,
        };
        assert_eq!(
            applied(&all, &format!("{HEAD}\r\nX-Body: 1\r\n")),
            "GET / HTTP/1.1\r\nHost: h\r\nX-A: set\r\nX-B: default\r\nX-A: add\r\n\r\nX-Body: 1\r\n"
        );
    }

    #[test]
    fn fields_that_frame_a_message_stay() {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\nContent-Type: a\r\nDate: d\r\n";
        let expected = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\nDate: d\r\n";
        assert_eq!(applied(&removing(&["Con*", "D*"]), head), expected);
    }
}
