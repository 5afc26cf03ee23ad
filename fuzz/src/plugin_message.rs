//! Messages and lines of plugins: a value comes back as it was written, in both encodings, and lines are the same however
//! they are cut.

use smolgate::plugin::Decision;
use smolgate::plugin::frame::{Encoding, frame_length};
use smolgate::plugin::lines::{Lines, read};
use smolgate::plugin::messages::{RequestAnswer, ResponseChange};

/// Bytes of the longest line here.
const LINE_MAX: usize = 64;

/// Checks an answer and a line of a plugin.
pub fn holds(bytes: &[u8]) {
    if let Ok(Some(length)) = frame_length(bytes) {
        assert!(length <= 1024 * 1024);
    }
    for encoding in [Encoding::MessagePack, Encoding::Json] {
        let Ok(value) = encoding.read(bytes) else { continue };
        let mut written = Vec::new();
        encoding.write(&value, &mut written);
        let again = encoding.read(&written).expect("what is written can be read");
        let mut twice = Vec::new();
        encoding.write(&again, &mut twice);
        assert_eq!(written, twice);
        if let Ok(Decision::Reply { status, lines, .. }) = RequestAnswer::of(&value).and_then(Decision::of) {
            assert!((200..600).contains(&status));
            check_lines(&lines);
        }
        let _ = ResponseChange::of(&value);
    }
    let whole = lines(&[bytes]);
    for end in crate::cuts::ends(bytes) {
        assert_eq!(lines(&[&bytes[..end], &bytes[end..]]), whole, "cut at {end}");
    }
    whole.iter().flatten().for_each(|line| drop(read(line)));
}

/// Each line is a field with a name.
fn check_lines(lines: &[u8]) {
    assert!(lines.is_empty() || lines.ends_with(b"\r\n"));
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").expect("a carriage return");
        assert!(line.contains(&b':') && !line.contains(&b'\r') && !line.contains(&0));
    }
}

fn lines(parts: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for part in parts {
        lines.take(part, LINE_MAX, |line| found.push(line.map(<[u8]>::to_vec)));
    }
    found
}

/// Answers of each kind in both encodings, and lines.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts: [&[u8]; 8] = [
        b"\x82\xa2ok\xc3\xa1h\x81\xa9X-User-ID\xa242",
        b"\x83\xa2ok\xc2\xa1s\xcd\x01\x91\xa1b\xacUnauthorized",
        b"\x82\xa2ok\xc3\xa2sp\x83\xa2dl\xcb\x40\x24\0\0\0\0\0\0\xa2ul\xcb\x40\x14\0\0\0\0\0\0\xa2gk\xa2u1",
        b"\x82\xa1h\x81\xacX-Powered-By\xa4prox\xa2rm\x91\xa6Server",
        br#"{"ok":false,"s":401,"b":"no","h":{"X-A":"b"}}"#,
        br#"{"ok":true,"rp":"/a b","cq":true,"sp":{"dl":1.5}}"#,
        b"{\"method\":\"ready\",\"params\":{\"socket\":\"/s\"}}\n{\"result\":\"ok\"}\n\n",
        b"\0\0\0\x05\x81\xa2ok\xc3",
    ];
    texts.into_iter().map(<[u8]>::to_vec).collect()
}
