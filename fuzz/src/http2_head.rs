//! Header blocks of HTTP/2: whatever they say, the HTTP/1.1 form is one head that means exactly that, or the stream
//! ends. Fields survive our encoder.

use std::time::Instant;

use smolgate::http::{FieldTable, Name};
use smolgate::http1::{HeadScan, parse_request};
use smolgate::http2::{BlockEncoder, Connection, Decoder, Event, Literals, PREFACE, WindowBudget, Workspace};

use crate::http2_frames::LIMITS;

/// Checks the bytes as the block of a request.
pub fn holds(bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(16_000)];
    let Some(fields) = decode(bytes) else {
        assert!(form(bytes).is_none(), "a block that cannot be decoded gives a head");
        return;
    };
    for literals in [Literals::default(), Literals { huffman: true, never_indexed: true }] {
        let mut block = Vec::new();
        let mut encoder = BlockEncoder::new(&mut block, literals);
        for (name, value) in &fields {
            encoder.field(name, value, Name::Other);
        }
        let lower = |(name, value): &(Vec<u8>, Vec<u8>)| (name.to_ascii_lowercase(), value.clone());
        assert_eq!(decode(&block), Some(fields.iter().map(lower).collect()), "the encoder changes fields");
    }
    if let Some(form) = form(bytes) {
        check_form(&form, &fields);
    }
}

/// The fields of a block; `None` if it cannot be decoded, or is very large.
fn decode(block: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let (mut fields, mut bytes) = (Vec::new(), 0);
    let mut decoder = Decoder::default();
    let decoded = decoder.decode(block, &mut Vec::new(), |field| {
        bytes += field.name.len() + field.value.len() + 32;
        if bytes <= 4 * LIMITS.head.bytes {
            fields.push((field.name.to_vec(), field.value.to_vec()));
        }
        Ok(())
    });
    decoded.ok().filter(|()| bytes <= 4 * LIMITS.head.bytes).map(|()| fields)
}

/// The form that the engine makes of a block.
fn form(block: &[u8]) -> Option<Vec<u8>> {
    let (now, budget, mut out) = (Instant::now(), WindowBudget::new(0), Vec::new());
    let mut connection = Connection::server(&LIMITS, &budget, now, &mut out);
    let [_, l0, l1, l2] = (block.len() as u32).to_be_bytes();
    let head = [l0, l1, l2, 1, 5, 0, 0, 0, 1];
    let bytes = [PREFACE, &[0, 0, 0, 4, 0, 0, 0, 0, 0], &head, block].concat();
    let (mut workspace, mut used) = (Workspace::default(), 0);
    while let Ok(Some(received)) = connection.receive(&bytes[used..], now, &mut workspace, &mut out) {
        used += received.bytes;
        if let Event::Head { .. } = received.event {
            return Some(workspace.head().to_vec());
        }
    }
    None
}

/// Reads the form as every other head is read, and compares it with the fields.
fn check_form(form: &[u8], fields: &[(Vec<u8>, Vec<u8>)]) {
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
    let Ok(head) = parse_request(form, &mut scan, &LIMITS.head, &mut table) else { return };
    let head = head.expect("a whole head");
    assert_eq!(head.len, form.len(), "bytes behind the head");
    let sent = |name: &[u8]| fields.iter().find(|field| field.0 == name).map(|field| &field.1[..]);
    let is_tunnel = sent(b":protocol").is_some();
    assert_eq!(Some(head.method), if is_tunnel { Some(&b"GET"[..]) } else { sent(b":method") });
    assert_eq!(Some(head.path_and_query), sent(b":path"));
    assert_eq!(head.host.map(|host| host.as_bytes()), sent(b":authority").or(sent(b"host")));
    let crumbs = fields.iter().filter(|field| field.0 == b"cookie").count();
    let lines = fields
        .iter()
        .filter(|field| !field.0.starts_with(b":") && field.0 != b"host" && field.0 != b"cookie");
    let ours = |name: &[u8]| name == b"host" || (is_tunnel && (name == b"upgrade" || name == b"connection"));
    let mut got = head.fields.iter().filter(|field| !ours(field.name()));
    for (name, value) in lines {
        let line = got.next().expect("a line for each field");
        assert_eq!((line.name(), line.value()), (&name[..], &value[..]));
    }
    assert_eq!(got.filter(|line| line.known() != Name::Cookie).count(), 0, "a line without a field");
    assert!(head.fields.iter().filter(|line| line.known() == Name::Cookie).count() <= crumbs.min(1));
}

/// Blocks with every form of field, and faults.
pub fn seeds() -> Vec<Vec<u8>> {
    let blocks: [&[u8]; 12] = [
        b"\x82\x86\x84\x41\x06a.test",
        b"\x82\x87\x44\x84\x62\xa2\xf8\x47\x41\x84\x1a\xe9\x2a\x13\x53\x83\xf9\x63\xe7",
        b"\x20\x3f\xe1\x1f\x82\x86\x84\x41\x06a.test\x60\x01a\x60\x01b",
        b"\x83\x86\x84\x41\x06a.test\x5c\x015\x00\x01x\x01y",
        b"\x02\x07CONNECT\x00\x09:protocol\x09websocket\x87\x84\x41\x06a.test",
        b"\x02\x07CONNECT\x41\x0aa.test:443",
        b"\x82\x86\x84\x00\x04host\x06a.test\x00\x02te\x08trailers",
        b"\x82\x86\x84\x41\x06a.test\x00\x01x\x06a\r\nb: c",
        b"\x82\x86\x84\x41\x06a.test\x00\x11transfer-encoding\x07chunked",
        b"\x82\x86\x84\x41\x06a.test\x40\x01x\x01y\xbe\xbe\xbe",
        b"\x82\x86\x04\x02/ \x41\x06a.test",
        b"\xff\xff\xff\xff\xff",
    ];
    blocks.map(<[u8]>::to_vec).into()
}
