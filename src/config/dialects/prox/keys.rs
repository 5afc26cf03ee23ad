//! Objects whose keys prox compares without regard to case. Unknown ones have no effect there, so they are warnings.

use super::schema::MAPPINGS;
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Spanned, did_you_mean, quoted};
use crate::config::syntax::{Node, Value};

/// The keys of the objects that messages call so.
fn known(what: &str) -> Vec<&'static str> {
    let mapping = MAPPINGS.iter().filter(|mapping| mapping.what == what);
    mapping.flat_map(|mapping| mapping.by_hand.iter().copied().flatten()).map(|(name, ..)| *name).collect()
}

/// Opens an object. Keys in other capitals get their own form, those with `null` count as missing, and unknown ones are
/// warnings.
pub(super) fn open<'d, 'a>(
    decoder: &'d mut Decoder<'a>,
    node: Node,
    what: &'static str,
) -> Option<MappingReader<'d, 'a>> {
    open_with(decoder, node, what, &known(what))
}

/// As [`open`], for a file that is one service.
pub(super) fn open_both<'d, 'a>(
    decoder: &'d mut Decoder<'a>,
    node: Node,
    what: [&'static str; 2],
) -> Option<MappingReader<'d, 'a>> {
    let keys: Vec<_> = what.iter().flat_map(|what| known(what)).collect();
    open_with(decoder, node, what[0], &keys)
}

fn open_with<'d, 'a>(
    decoder: &'d mut Decoder<'a>,
    node: Node,
    what: &'static str,
    keys: &[&'static str],
) -> Option<MappingReader<'d, 'a>> {
    let Value::Map(entries) = node.value else {
        decoder.report.error_hint(node.span, format!("{what} is an object"), "write `{ key: value }`");
        return None;
    };
    let mut read: Vec<(Spanned<String>, Node)> = Vec::with_capacity(entries.len());
    let (mut exact, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|(key, _)| keys.contains(&key.value.as_str()));
    for (mut key, node) in others {
        let folded = keys.iter().find(|known| known.eq_ignore_ascii_case(&key.value));
        match folded.filter(|known| !exact.iter().any(|(key, _)| key.value == **known)) {
            Some(known) => {
                key.value = (*known).to_owned();
                exact.push((key, node));
            }
            None => {
                let message = format!("{} is not a key of {what}, and has no effect", quoted(&key.value));
                let hint = match did_you_mean(&key.value, keys.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the keys of {what} are {}", keys.join(", ")),
                };
                decoder.report.warning(Some(key.span), message, hint);
            }
        }
    }
    read.extend(exact.into_iter().filter(|(_, node)| !matches!(node.value, Value::Null)));
    MappingReader::open(decoder, Node::new(node.span, Value::Map(read)), what)
}

/// The entries of an object with names of its own.
pub(super) fn names(decoder: &mut Decoder<'_>, node: Node, what: &str) -> Vec<(Spanned<String>, Node)> {
    match node.value {
        Value::Map(entries) => {
            entries.into_iter().filter(|(_, node)| !matches!(node.value, Value::Null)).collect()
        }
        _ => {
            let message = format!("{what} is an object of names");
            decoder.report.error_hint(node.span, message, "write `{ name: value }`");
            Vec::new()
        }
    }
}

/// An object of names to texts.
pub(super) fn texts(decoder: &mut Decoder<'_>, node: Node, what: &str) -> Vec<(Spanned<String>, Text)> {
    let entries = names(decoder, node, what);
    entries.into_iter().filter_map(|(key, node)| Some((key, decoder.text(node)?))).collect()
}

/// The items of a list.
pub(super) fn list(decoder: &mut Decoder<'_>, node: Node, what: &str) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        _ => {
            decoder.report.error_hint(node.span, format!("{what} is a list"), "write `[...]`");
            Vec::new()
        }
    }
}

/// The texts of a list.
pub(super) fn text_list(decoder: &mut Decoder<'_>, node: Node, what: &str) -> Vec<Text> {
    list(decoder, node, what).into_iter().filter_map(|item| decoder.text(item)).collect()
}
