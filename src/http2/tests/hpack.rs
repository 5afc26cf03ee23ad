//! HPACK: the examples of RFC 7541, appendix C, and every rule for a decoder.

use super::super::error::ConnectionError;
use super::super::hpack::{Decoder, Field};
use super::super::*;
use crate::http::Name;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn fields(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, ConnectionError> {
    let mut fields = Vec::new();
    decoder.decode(block, &mut Vec::new(), |Field { name, value, .. }| {
        fields.push([name, value].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).into());
        Ok(())
    })?;
    Ok(fields)
}

/// The blocks of one connection: hex digits, the fields, the size of the table behind them.
type Story = &'static [(&'static str, &'static [(&'static str, &'static str)], usize)];

const C2_1: Story = &[(
    "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
    &[("custom-key", "custom-header")],
    55,
)];
const C2_2: Story = &[("040c 2f73 616d 706c 652f 7061 7468", &[(":path", "/sample/path")], 0)];
const C2_3: Story = &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &[("password", "secret")], 0)];
const C2_4: Story = &[("82", &[(":method", "GET")], 0)];

const REQUEST_1: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")];
const REQUEST_2: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/"),
    (":authority", "www.example.com"),
    ("cache-control", "no-cache"),
];
const REQUEST_3: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/index.html"),
    (":authority", "www.example.com"),
    ("custom-key", "custom-value"),
];

const C3: Story = &[
    ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", REQUEST_1, 57),
    ("8286 84be 5808 6e6f 2d63 6163 6865", REQUEST_2, 110),
    ("8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", REQUEST_3, 164),
];
const C4: Story = &[
    ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUEST_1, 57),
    ("8286 84be 5886 a8eb 1064 9cbf", REQUEST_2, 110),
    ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", REQUEST_3, 164),
];

const DATE: &str = "Mon, 21 Oct 2013 20:13:21 GMT";
const LATER: &str = "Mon, 21 Oct 2013 20:13:22 GMT";
const PLACE: &str = "https://www.example.com";
const COOKIE: &str = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

/// The responses of appendixes C.5 and C.6. The table has 256 bytes, so entries are evicted.
const RESPONSES: [&[(&str, &str)]; 3] = [
    &[(":status", "302"), ("cache-control", "private"), ("date", DATE), ("location", PLACE)],
    &[(":status", "307"), ("cache-control", "private"), ("date", DATE), ("location", PLACE)],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", LATER),
        ("location", PLACE),
        ("content-encoding", "gzip"),
        ("set-cookie", COOKIE),
    ],
];
const C5: [&str; 3] = [
    "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d \
     546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
    "4803 3330 37c1 c0bf",
    "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f \
     6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b \
     2076 6572 7369 6f6e 3d31",
];
const C6: [&str; 3] = [
    "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 \
     8f0b 97c8 e9ae 82ae 43d3",
    "4883 640e ffc1 c0bf",
    "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 \
     dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
];

/// Blocks that nghttp2 wrote, in Node 20: what it leaves out comes from its dynamic table.
const NGHTTP2: Story = &[
    (
        "8482418b089d5c0b8170dc0bcd3ad7867a99d07f66a281b0dae053fafc087ed4ce6aadf2a7979c89c6bfbf538f497ca589d34d1f5f2c7cfdf6800bb\
         d50879bd9abfa523b3f60954150831ea81a94437c800c8efda899cb4960907675",
        &[
            (":path", "/"),
            (":method", "GET"),
            (":authority", "127.0.0.1:18474"),
            (":scheme", "http"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("accept", "text/html,*/*;q=0.8"),
            ("accept-encoding", "gzip, br"),
            ("cookie", "session=4f2a9c01d7; theme=dark"),
        ],
        310,
    ),
    (
        "04876109f54157221182c286c1c0bfbe73919d29aee30c044eae05c0b86e05e69d698f",
        &[
            (":path", "/style.css"),
            (":method", "GET"),
            (":authority", "127.0.0.1:18474"),
            (":scheme", "http"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
            ("accept", "text/html,*/*;q=0.8"),
            ("accept-encoding", "gzip, br"),
            ("cookie", "session=4f2a9c01d7; theme=dark"),
            ("referer", "http://127.0.0.1:18474/"),
        ],
        372,
    ),
];

/// Blocks that the Python library `hpack` wrote, requests and a response in one story.
const PYTHON: Story = &[
    (
        "8287448462a2f84741841ae92a135383f963e7",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/news"),
            (":authority", "a.test"),
            ("accept", "*/*"),
        ],
        131,
    ),
    (
        "8287c0bfbe",
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/news"),
            (":authority", "a.test"),
            ("accept", "*/*"),
        ],
        131,
    ),
    (
        "838744956075998ee160c92d28ff2b1cc5805f0837b2c0d83fc05f8b1d75d0620d263d4c7441ea5c820bdf4089f2b585ed6950958d27978c2fb4e0c8\
         f89a7c5209969d238265b8da904e042179af",
        &[
            (":method", "POST"),
            (":scheme", "https"),
            (":path", "/api/v1/items?page=2&size=50"),
            (":authority", "a.test"),
            ("content-type", "application/json"),
            ("content-length", "18"),
            ("x-request-id", "b1946ac92492d2347c6235b4d2611184"),
        ],
        380,
    ),
    (
        "8d5f92497ca589d34d1f6a1271d882a60b532acf7f779134903bf6a6b1a67818fb531a535eaaa8f56196d07abe94640a693f75040138a05bb8005c\
         0014c5a37f",
        &[
            (":status", "404"),
            ("content-type", "text/html; charset=utf-8"),
            ("set-cookie", "id=7; Path=/; HttpOnly"),
            ("date", "Mon, 30 Nov 2026 15:00:00 GMT"),
        ],
        577,
    ),
];

fn owned(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_blocks_of_the_rfc_and_of_other_encoders_are_decoded() {
    for story in [C2_1, C2_2, C2_3, C2_4, C3, C4, NGHTTP2, PYTHON] {
        let mut decoder = Decoder::default();
        for (hex, want, size) in story {
            assert_eq!(fields(&mut decoder, &bytes(hex)).unwrap(), owned(want));
            assert_eq!(decoder.table_size(), *size, "{hex}");
        }
    }
}

#[test]
fn the_examples_with_a_small_table_are_decoded() {
    for story in [C5, C6] {
        let mut decoder = Decoder::default();
        // The size update to 256 that makes the table of the examples.
        assert!(fields(&mut decoder, &bytes("3fe101")).unwrap().is_empty());
        for ((hex, want), size) in story.iter().zip(RESPONSES).zip([222, 222, 215]) {
            assert_eq!(fields(&mut decoder, &bytes(hex)).unwrap(), owned(want));
            assert_eq!(decoder.table_size(), size, "{hex}");
        }
    }
}

/// Each fault of a block, by the section that forbids it. All are errors of the connection.
#[test]
fn http2_conformance_of_blocks() {
    for (section, hex) in [
        ("2.3.3: an index beyond both tables", "be"),
        ("2.3.3: a name beyond both tables", "7e 01 61"),
        ("2.3.3: a name beyond both tables, not indexed", "0f 2f 01 61"),
        ("4.2: a size update behind a field", "82 20"),
        ("4.2: a third size update", "20 3f e1 1f 20"),
        ("5.1: an integer that never ends", "ff ff ff ff ff ff"),
        ("5.1: an integer over 2^21", "ff ff ff ff 7f"),
        ("5.1: an integer that is cut", "ff"),
        ("5.2: a string that is cut", "40 01 61 05 62"),
        ("5.2: a name that is cut", "40 7f"),
        ("5.2: no value", "40 01 61"),
        ("5.2: padding with a zero", "40 01 61 81 fe"),
        ("5.2: padding of eight bits", "40 01 61 82 1f ff"),
        ("5.2: EOS", "40 01 61 84 ff ff ff ff"),
        ("5.2: EOS in a name", "40 84 ff ff ff fc 01 61"),
        ("6.1: index 0", "80"),
        ("6.3: a size over the limit", "3f e2 1f"),
        ("6.3: a size that is cut", "3f"),
    ] {
        let error = fields(&mut Decoder::default(), &bytes(hex)).unwrap_err();
        assert_eq!(error.code, ErrorCode::CompressionError, "{section}");
    }
}

#[test]
fn what_a_decoder_must_accept_is_accepted() {
    for (section, hex, want, size) in [
        ("2.3.2: fields may repeat", "40 01 61 01 62 40 01 61 01 62 be bf", 4, 68),
        ("4.2: two size updates", "20 3f e1 1f 82", 1, 0),
        ("4.3: a smaller table evicts", "40 01 61 01 62 82", 2, 34),
        ("4.4: a large entry empties the table", "40 01 61 01 62 40 01 61 7f a1 1f", 0, 0),
        ("5.1: zeros may pad an integer", "ff 80 80 00", 0, 0),
        ("5.2: an empty string", "00 01 61 00", 1, 0),
        ("6.2.3: never indexed", "10 01 61 01 62", 1, 0),
    ] {
        let mut decoder = Decoder::default();
        let mut block = bytes(hex);
        if section.starts_with("4.4") {
            block.extend([b'x'; 127 + 0x21 + (0x1f << 7)]);
            assert_eq!(fields(&mut decoder, &block).unwrap().len(), 2, "{section}");
        } else if section.starts_with("5.1") {
            // Index 127 is beyond both tables, so the number itself must have been read.
            let error = fields(&mut decoder, &block).unwrap_err();
            assert!(error.detail.contains("beyond"), "{section}");
        } else {
            assert_eq!(fields(&mut decoder, &block).unwrap().len(), want, "{section}");
        }
        assert_eq!(decoder.table_size(), size, "{section}");
    }
}

#[test]
fn the_name_of_an_entry_outlives_its_eviction() {
    let mut decoder = Decoder::default();
    assert_eq!(fields(&mut decoder, &bytes("3f 1b 40 0361 6263 0578 7878 7878")).unwrap().len(), 1);
    // The table has 58 bytes and 40 of them are used, so the next entry evicts the one that names it.
    let again = fields(&mut decoder, &bytes("7e 0679 7979 7979 79 be")).unwrap();
    assert_eq!(again, owned(&[("abc", "yyyyyy"), ("abc", "yyyyyy")]));
}

#[test]
fn marks_of_secrets_are_seen_and_written() {
    let decode = |block: &[u8]| {
        let mut marks = Vec::new();
        let each = |field: Field<'_>| {
            marks.push((field.known, field.never_indexed));
            Ok(())
        };
        Decoder::default().decode(block, &mut Vec::new(), each).unwrap();
        marks
    };
    let mut block = Vec::new();
    let mut encoder = BlockEncoder::new(&mut block, Literals::default());
    encoder.field(b"Cookie", b"a", Name::Cookie);
    encoder.field(b"authorization", b"a", Name::Authorization);
    encoder.field(b"Set-Cookie", b"a", Name::SetCookie);
    encoder.field(b"accept", b"a", Name::Accept);
    let want =
        [(Name::Cookie, true), (Name::Authorization, true), (Name::SetCookie, true), (Name::Accept, false)];
    assert_eq!(decode(&block), want);

    block.clear();
    let literals = Literals { never_indexed: true, huffman: true };
    let mut encoder = BlockEncoder::new(&mut block, literals);
    encoder.field(b":method", b"GET", Name::Other);
    encoder.field(b"x", b"a", Name::Other);
    assert_eq!(decode(&block), [(Name::Other, true); 2]);
}

/// Encoded fields use the static table and no dynamic one, so that any decoder can read them in any order.
#[test]
fn the_encoder_keeps_nothing() {
    let mut block = Vec::new();
    let mut encoder = BlockEncoder::new(&mut block, Literals::default());
    encoder.status(200);
    encoder.status(204);
    encoder.status(201);
    encoder.field(b"Accept-Encoding", b"gzip, deflate", Name::Other);
    encoder.field(b"X-Custom", b"v", Name::Other);
    assert_eq!(block, bytes("88 89 08 03323031 90 00 08782d637573746f6d 0176"));
    let mut decoder = Decoder::default();
    assert_eq!(fields(&mut decoder, &block).unwrap().len(), 5);
    assert_eq!(decoder.table_size(), 0);
}
