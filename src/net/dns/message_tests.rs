//! Tests of messages.

use proptest::prelude::*;

use super::*;

/// An answer with one question and records behind it, as hex digits would show it.
fn answer(flags: u16, question: &str, kind: Kind, counts: [u16; 2], records: &[u8]) -> Vec<u8> {
    let mut bytes = header(7, RESPONSE | flags, [1, counts[0], counts[1], 0]);
    write_name(&mut bytes, question).unwrap();
    put(&mut bytes, &[kind.number(), CLASS_IN]);
    bytes.extend(records);
    bytes
}

fn record(kind: Kind, content: &[u8]) -> Vec<u8> {
    // The name is that of the question: 12 bytes from the start.
    let mut bytes = vec![0xc0, 12];
    put(&mut bytes, &[kind.number(), CLASS_IN, 0, 60, content.len() as u16]);
    bytes.extend(content);
    bytes
}

#[test]
fn a_question_has_the_name_and_asks_for_large_answers() {
    let bytes = question(0x1234, "_acme-challenge.A.example.", Kind::Txt, true).unwrap();
    let expected = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x0f_acme-challenge\x01a\x07example\0\0\x10\0\x01\
                     \0\0\x29\x04\xd0\0\0\0\0\0\0";
    assert_eq!(bytes, expected);
    for wrong in ["a..b", &"a".repeat(64), &"a.".repeat(130), "a b", "a\\b", "ä.example"] {
        assert!(question(1, wrong, Kind::A, false).is_err(), "{wrong}");
    }
    assert!(question(1, "", Kind::Ns, false).is_ok(), "the root");
}

#[test]
fn answers_of_each_kind_are_read() {
    for (kind, content, expected) in [
        (Kind::A, &[192, 0, 2, 1][..], Data::Address([192, 0, 2, 1].into())),
        (Kind::Aaaa, &[0; 16], Data::Address([0_u16; 8].into())),
        (Kind::Ns, b"\x03NS1\xc0\x0c", Data::Server("ns1.a.example".into())),
        (Kind::Cname, b"\x01b\xc0\x0e", Data::Alias("b.example".into())),
        (Kind::Txt, b"\x02ab\x00\x03c\"d", Data::Text(b"abc\"d".to_vec())),
        (
            Kind::Caa,
            b"\x80\x05ISSUEca.example; x=y",
            Data::Caa { is_critical: true, tag: "issue".into(), value: "ca.example; x=y".into() },
        ),
        (Kind::Soa, b"anything", Data::Start),
        (Kind::Other(99), b"anything", Data::Other),
    ] {
        let bytes = answer(AUTHORITATIVE, "A.example", kind, [1, 0], &record(kind, content));
        let read = Message::read(&bytes).unwrap();
        assert_eq!(read.answers, [Record { name: "a.example".into(), data: expected }]);
        assert_eq!((read.id, read.is_authoritative), (7, true));
        assert_eq!(read.question, Some(("a.example".into(), kind)));
    }
}

#[test]
fn a_cut_answer_and_an_unusual_name_are_told() {
    let cut = answer(TRUNCATED, "a.example", Kind::Txt, [9, 9], b"rubbish");
    assert!(Message::read(&cut).unwrap().is_truncated);
    let mut alias = vec![3, b'a', b'.', 0xff, 0];
    let bytes = answer(0, "a", Kind::Cname, [1, 0], &record(Kind::Cname, &alias));
    assert_eq!(Message::read(&bytes).unwrap().alias("a"), Some("a\\046\\255"));
    alias[0] = 0x80;
    let bytes = answer(0, "a", Kind::Cname, [1, 0], &record(Kind::Cname, &alias));
    assert_eq!(Message::read(&bytes), None);
}

#[test]
fn hostile_answers_are_none() {
    let pointer_to_itself = record(Kind::Cname, &[0xc0, 0x18]);
    let good = answer(0, "a.example", Kind::Txt, [1, 0], &record(Kind::Txt, b"\x02ab"));
    for cut in 0..good.len() {
        assert_eq!(Message::read(&good[..cut]), None, "{cut}");
    }
    for content in [&b"\x09ab"[..], b"\x01"] {
        let bytes = answer(0, "a", Kind::Txt, [1, 0], &record(Kind::Txt, content));
        assert_eq!(Message::read(&bytes), None);
    }
    for (kind, content) in
        [(Kind::A, &[1_u8, 2, 3][..]), (Kind::Aaaa, &[1; 4]), (Kind::Caa, b"\0\x09issue"), (Kind::Caa, b"")]
    {
        assert_eq!(Message::read(&answer(0, "a", kind, [1, 0], &record(kind, content))), None);
    }
    let looped = answer(0, "a.example", Kind::Cname, [1, 0], &pointer_to_itself);
    let _ = Message::read(&looped);
    let question = question(1, "a", Kind::A, true).unwrap();
    assert_eq!(Message::read(&question), None, "a question is no answer");
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Some(flags) = bytes.get_mut(2) {
            *flags |= 0x80;
        }
        if let Some(read) = Message::read(&bytes) {
            prop_assert!(read.answers.len() <= RECORDS_MAX);
        }
    }
}
