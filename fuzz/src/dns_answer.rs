//! Answers of DNS servers: names have one form, and what follows the last record changes nothing.

use smolgate::net::dns::{Data, Message};

/// Characters of the longest name: 255 bytes, each written as `\DDD`.
const NAME_MAX: usize = 4 * 255;

/// Checks an answer.
pub fn holds(bytes: &[u8]) {
    let Some(answer) = Message::read(bytes) else { return };
    let longer = [bytes, b"\xc0\x0c more"].concat();
    assert_eq!(Message::read(&longer).as_ref(), Some(&answer), "bytes behind the last record");
    for record in answer.answers.iter().chain(&answer.authorities) {
        check_name(&record.name);
        match &record.data {
            Data::Server(name) | Data::Alias(name) => check_name(name),
            Data::Text(text) => assert!(text.len() <= usize::from(u16::MAX)),
            Data::Caa { tag, .. } => assert_eq!(*tag, tag.to_ascii_lowercase()),
            Data::Address(_) | Data::Start | Data::Other => {}
        }
    }
    for record in &answer.answers {
        if let Data::Text(text) = &record.data {
            assert!(answer.has_text(&record.name, text));
        }
    }
}

fn check_name(name: &str) {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_uppercase();
    assert!(name.len() <= NAME_MAX && name.bytes().all(is_plain), "{name:?}");
}

/// An answer of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds: [(u16, &[u8]); 8] = [
        (1, &[192, 0, 2, 1]),
        (2, b"\x03ns1\xc0\x0c"),
        (5, b"\x01b\xc0\x0e"),
        (6, b"\x01m\xc0\x0c\x01r\xc0\x0c\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05"),
        (16, b"\x02ab\x00\x03cde"),
        (28, &[0x20; 16]),
        (257, b"\x80\x05issueca.example; a=b"),
        (41, b""),
    ];
    kinds.into_iter().map(|(kind, content)| answer(kind, content)).collect()
}

/// An answer with a question for `a.example`, one record in its answers and one in its authorities.
fn answer(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x12\x34\x84\0\0\x01\0\x01\0\x01\0\0\x01a\x07example\0".to_vec();
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    for _ in 0..2 {
        bytes.extend([0xc0, 12]);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((content.len() as u16).to_be_bytes());
        bytes.extend(content);
    }
    bytes
}
