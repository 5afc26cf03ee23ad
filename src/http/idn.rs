//! Host names beyond ASCII: Unicode for people, punycode (RFC 3492) on the wire.
//!
//! A name is mapped as browsers do (UTS 46): to lower case, and in composed form. The mapping of every character takes
//! large tables. Here a short table lists characters that stay as they are, of scripts that names are written in. A
//! name with another character is refused, and can be written in punycode. So no name gets a form that no browser
//! asks for.

/// The prefix of a label in punycode (RFC 5890, section 2.3.2.5).
const PREFIX: &str = "xn--";

/// The ASCII form of a name, in lower case. `None` if it has a character that is not in the table.
pub fn to_ascii(name: &str) -> Option<String> {
    // Full stops of other scripts divide labels too (UTS 46, section 4).
    let labels = name.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']);
    labels.map(label_to_ascii).collect::<Option<Vec<_>>>().map(|labels| labels.join("."))
}

/// The Unicode form of a name in ASCII. `None` if it has no other form, or none that [`to_ascii`] gives this name for.
pub fn to_unicode(name: &str) -> Option<String> {
    let label = |label: &str| match label.strip_prefix(PREFIX) {
        Some(encoded) => idna::punycode::decode_to_string(encoded),
        None => Some(label.to_owned()),
    };
    let unicode = name.split('.').map(label).collect::<Option<Vec<_>>>()?.join(".");
    (!unicode.is_ascii() && to_ascii(&unicode).as_deref() == Some(name)).then_some(unicode)
}

fn label_to_ascii(label: &str) -> Option<String> {
    // Character by character: the rule for a sigma at the end of a word is not for names.
    let lower: Vec<char> = label.chars().flat_map(char::to_lowercase).collect();
    if lower.iter().all(char::is_ascii) {
        return Some(lower.into_iter().collect());
    }
    let stays = |char: &char| char.is_ascii() || TABLE.iter().any(|(from, to)| (from..=to).contains(&char));
    if !lower.iter().all(stays) || lower.windows(2).any(is_reordered) {
        return None;
    }
    let encoded = idna::punycode::encode_str(&lower.into_iter().collect::<String>())?;
    Some(format!("{PREFIX}{encoded}"))
}

/// Whether the composed form has these two in the other order: a Thai tone mark before a vowel below the consonant.
fn is_reordered(pair: &[char]) -> bool {
    matches!(pair, ['\u{e48}'..='\u{e4b}', '\u{e38}'..='\u{e39}'])
}

/// Ranges of characters that stay as they are, after the change to lower case. None of them forms another character
/// with the one before it. Compared with the whole mapping: one by one, in pairs and in random names.
const TABLE: [(char, char); 37] = [
    // Latin.
    ('\u{df}', '\u{f6}'),
    ('\u{f8}', '\u{131}'),
    ('\u{135}', '\u{13e}'),
    ('\u{142}', '\u{148}'),
    ('\u{14b}', '\u{17e}'),
    ('\u{180}', '\u{1c3}'),
    ('\u{1ce}', '\u{1f0}'),
    ('\u{1f5}', '\u{24f}'),
    ('\u{1e01}', '\u{1e99}'),
    ('\u{1e9c}', '\u{1eff}'),
    // Greek.
    ('\u{390}', '\u{390}'),
    ('\u{3ac}', '\u{3ce}'),
    // Cyrillic.
    ('\u{430}', '\u{481}'),
    ('\u{48a}', '\u{52f}'),
    // Armenian and Georgian.
    ('\u{561}', '\u{586}'),
    ('\u{10d0}', '\u{10fa}'),
    // Hebrew and Arabic.
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{63f}'),
    ('\u{641}', '\u{64a}'),
    ('\u{660}', '\u{669}'),
    ('\u{671}', '\u{674}'),
    ('\u{679}', '\u{6d3}'),
    ('\u{6f0}', '\u{6f9}'),
    // Devanagari.
    ('\u{904}', '\u{939}'),
    ('\u{93e}', '\u{94d}'),
    ('\u{966}', '\u{96f}'),
    // Thai.
    ('\u{e01}', '\u{e32}'),
    ('\u{e34}', '\u{e39}'),
    ('\u{e40}', '\u{e4e}'),
    ('\u{e50}', '\u{e59}'),
    // Japanese, Chinese and Korean.
    ('\u{3005}', '\u{3007}'),
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fe}'),
    ('\u{3105}', '\u{312f}'),
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Both forms of names. Those of the first column are from RFC 3492, section 7.1, and from domains in use.
    #[test]
    fn a_name_has_two_forms() {
        for (unicode, ascii) in [
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("bücher.de", "xn--bcher-kva.de"),
            ("faß.de", "xn--fa-hia.de"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("παράδειγμα.ελ", "xn--hxajbheg2az3al.xn--qxam"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("中国.cn", "xn--fiqs8s.cn"),
            ("세계.kr", "xn--989aw10b.kr"),
            ("ทดสอบ.ไทย", "xn--l3cfk7dp.xn--o3cw4h"),
            ("परीक्षा.भारत", "xn--11b5bs3a9aj6g.xn--h2brj9c"),
            ("דוגמה.example", "xn--6dbbec0c.example"),
        ] {
            assert_eq!(to_ascii(unicode).as_deref(), Some(ascii), "{unicode}");
            assert_eq!(to_unicode(ascii).as_deref(), Some(unicode), "{ascii}");
        }
    }

    #[test]
    fn a_name_is_mapped_as_browsers_do() {
        for (written, ascii) in [
            ("MÜNCHEN.Example", "xn--mnchen-3ya.example"),
            ("ΣΑΣ.gr", "xn--mxa9ab.gr"),
            ("\u{212a}.example", "k.example"),
            ("Straẞe.de", "xn--strae-oqa.de"),
            ("中国。cn", "xn--fiqs8s.cn"),
            ("Example.COM", "example.com"),
        ] {
            assert_eq!(to_ascii(written).as_deref(), Some(ascii), "{written}");
        }
    }

    /// Characters that UTS 46 maps to others, or that form another with the one before, are refused.
    #[test]
    fn a_name_without_a_sure_form_is_refused() {
        for name in [
            "mu\u{308}nchen.de",
            "ﬁsch.de",
            "ｆｏｏ.de",
            "①.de",
            "a\u{200d}b.de",
            "a\u{ad}b.de",
            "💩.la",
            "İstanbul.tr",
            "ก\u{e48}\u{e38}.th",
            "a\u{202e}b.de",
            "日\u{3099}.jp",
        ] {
            assert_eq!(to_ascii(name), None, "{name}");
        }
    }

    #[test]
    fn only_a_name_with_two_forms_is_shown_in_unicode() {
        for name in ["example.com", "xn--", "xn--a", "xn--ls8h.la", "xn--mnchen-3YA.example", "xn--99999999"]
        {
            assert_eq!(to_unicode(name), None, "{name}");
        }
    }
}
