//! Lists of the form `#rule` (RFC 9110, section 5.6.1), and the weights in them by which clients prefer.

use std::cmp::Reverse;

use super::class::trim;

/// The largest weight, which is that of an item without one.
const WEIGHT_MAX: u16 = 1_000;

/// Whether `Accept-Encoding` (RFC 9110, section 12.5.3) allows a coding, which has these names.
pub fn accepts_coding(field: &[u8], names: &[&str]) -> bool {
    coding_weight(field, names) > 0
}

/// The weight of a coding with these names in `Accept-Encoding`, in thousandths. 0 if the client does not accept it.
pub fn coding_weight(field: &[u8], names: &[&str]) -> u16 {
    named_weight(field, names).or_else(|| named_weight(field, &["*"])).unwrap_or(0)
}

/// The weight of the item with one of these names, in thousandths. `None` if there is no such item.
pub fn named_weight(field: &[u8], names: &[&str]) -> Option<u16> {
    let is_named = |name: &[u8]| names.iter().any(|own| name.eq_ignore_ascii_case(own.as_bytes()));
    weighted_items(field).filter(|(name, _)| is_named(name)).map(|(_, weight)| weight).last()
}

/// The place of the media type that a client prefers, among those that are `offered`, by its `Accept` (RFC 9110, section
/// 12.5.1). The largest weight wins. Among equal ones a type that is named comes before one of a range such as `text/*`,
/// then the first in the field, then the first that is offered. `None` if the client accepts none of them. Parameters are
/// ignored, but for the weight.
pub fn preferred_media<const N: usize>(accept: &[u8], offered: [&str; N]) -> Option<usize> {
    let mut ranks = [MediaRank::default(); N];
    for (place, (range, weight)) in weighted_items(accept).enumerate() {
        for (index, media_type) in offered.iter().enumerate() {
            let precision = precision(range, media_type.as_bytes());
            // The most precise range has the weight (section 12.5.1).
            if precision <= ranks[index].precision {
                continue;
            }
            ranks[index] = MediaRank { weight, precision, place: Reverse(place) };
            if (weight, precision) == (WEIGHT_MAX, Precision::Type) {
                return Some(index);
            }
        }
    }
    let best = (0..N).rev().max_by_key(|index| ranks[*index]);
    best.filter(|index| ranks[*index].weight > 0)
}

/// How much a client prefers a media type: a larger one more.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct MediaRank {
    weight: u16,
    precision: Precision,
    place: Reverse<usize>,
}

/// How precisely a media range names a media type.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    /// It does not.
    #[default]
    None,
    /// `*/*`
    All,
    /// `text/*`
    Main,
    /// `text/html`
    Type,
}

fn precision(range: &[u8], media_type: &[u8]) -> Precision {
    let is_main =
        |main: &[u8]| media_type.get(..main.len()).is_some_and(|own| own.eq_ignore_ascii_case(main));
    match range.strip_suffix(b"*") {
        None if range.eq_ignore_ascii_case(media_type) => Precision::Type,
        Some(b"*/") => Precision::All,
        Some(main) if main.ends_with(b"/") && is_main(main) => Precision::Main,
        _ => Precision::None,
    }
}

/// The items of a list, each without its parameters, and with its weight in thousandths (RFC 9110, section 12.4.2).
pub fn weighted_items(field: &[u8]) -> impl Iterator<Item = (&[u8], u16)> {
    list_items(field).map(|item| {
        let mut parts = item.split(|byte| *byte == b';').map(trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
        (name, weight.map_or(WEIGHT_MAX, thousandths))
    })
}

/// A weight as a number. One that is not valid is 0: the client gets a form that all clients read. `.5` is read, since
/// some clients send it.
fn thousandths(weight: &[u8]) -> u16 {
    let (whole, fraction) = match memchr::memchr(b'.', weight) {
        Some(point) => (&weight[..point], &weight[point + 1..]),
        None => (weight, &[][..]),
    };
    if ![whole, fraction].into_iter().flatten().all(u8::is_ascii_digit) {
        return 0;
    }
    if whole.iter().any(|digit| *digit != b'0') {
        return WEIGHT_MAX;
    }
    let digits = fraction.iter().chain(std::iter::repeat(&b'0')).take(3);
    digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
}

/// Whether a list has a word, in any case.
pub fn list_has(list: &[u8], word: &[u8]) -> bool {
    list_items(list).any(|item| item.eq_ignore_ascii_case(word))
}

/// The items of a comma-separated value, without white space around them and without empty items (RFC 9110,
/// section 5.6.1). Quoted strings are not recognised, because no list that smolgate reads has any.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|item| !item.is_empty())
}

/// The entity tags of a list (RFC 9110, section 8.8.3), with their quotes, and whether each is weak. A tag may hold a comma.
/// The list ends at the first thing that is no tag.
pub fn entity_tags(mut list: &[u8]) -> impl Iterator<Item = (bool, &[u8])> {
    std::iter::from_fn(move || {
        let start = list.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
        let weak = list[start..].strip_prefix(b"W/");
        let tag = weak.unwrap_or(&list[start..]);
        let end = 1 + memchr::memchr(b'"', tag.strip_prefix(b"\"")?)?;
        list = &tag[end + 1..];
        Some((weak.is_some(), &tag[..=end]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_thousandths() {
        for (weight, thousandths) in [
            ("", 1_000),
            (";q=1", 1_000),
            ("; Q=1.000", 1_000),
            (";q=0.5", 500),
            (" ; a=b ; q=.25", 250),
            (";q=0.001", 1),
            (";q=0.0009", 0),
            (";q=0", 0),
            (";q=0.000", 0),
            (";q=", 0),
            (";q=one", 0),
            (";q=-1", 0),
            (";q=0,5", 0),
            (";q=7", 1_000),
        ] {
            assert_eq!(named_weight(format!("a{weight}").as_bytes(), &["A"]), Some(thousandths), "{weight}");
        }
        assert_eq!(named_weight(b"a, b;q=0.5", &["c"]), None);
        assert_eq!(coding_weight(b"a;q=0.1, *;q=0.2", &["c"]), 200);
        assert_eq!(coding_weight(b"*;q=0.2, c;q=0", &["c"]), 0);
    }

    #[test]
    fn the_preferred_media_type() {
        const OFFERED: [&str; 3] = ["text/plain", "application/json", "text/html"];
        for (accept, preferred) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
            ("application/json, text/plain, */*", "application/json"),
            ("TEXT/HTML;charset=utf-8", "text/html"),
            ("Application/*", "application/json"),
            ("*/*", "text/plain"),
            ("text/*", "text/plain"),
            ("text/*;q=0.5, */*;q=0.4", "text/plain"),
            ("text/html;q=0.1, application/json;q=0.2", "application/json"),
            ("text/html;q=0.5, */*", "text/plain"),
            ("text/plain;q=0, text/html;q=0.5, */*", "application/json"),
            ("*/*, text/html", "text/html"),
            ("text/*, text/plain;q=0", "text/html"),
            ("text/html;q=0, text/*", "text/plain"),
            ("text/html, text/html;q=0", "text/html"),
            ("image/png, text/html;level=1;q=0.3", "text/html"),
            ("text/htm, text/htmlx, text, */html, *", ""),
            ("image/*", ""),
            ("text/html;q=0", ""),
            ("", ""),
        ] {
            let found = preferred_media(accept.as_bytes(), OFFERED).map_or("", |index| OFFERED[index]);
            assert_eq!(found, preferred, "{accept}");
        }
    }

    #[test]
    fn lists_of_tags_are_read() {
        let read = |list: &'static str| {
            let tags = entity_tags(list.as_bytes());
            tags.map(|(weak, tag)| format!("{weak} {}", tag.escape_ascii())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(""), "");
        assert_eq!(read("\"a\""), "false \\\"a\\\"");
        assert_eq!(read(" W/\"a,b\" , \"\","), "true \\\"a,b\\\" false \\\"\\\"");
        assert_eq!(read("\"a\" x, \"b\""), "false \\\"a\\\"");
        assert_eq!(read("\"a"), "");
        assert_eq!(read("a"), "");
        assert_eq!(read("w/\"a\""), "");
    }
}
