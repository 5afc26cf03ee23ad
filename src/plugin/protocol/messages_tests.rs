//! The messages byte for byte, as plugins that exist send and expect them.

use super::frame::{Encoding, Hook, frame_length};
use super::messages::*;
use super::msgpack;
use super::value::{MessageError, Value};

/// Bytes that are written as hexadecimal digits. `00*6` stands for six zero bytes.
fn bytes(text: &str) -> Vec<u8> {
    let one = |word: &str| {
        let (digits, count) = word.split_once('*').unwrap_or((word, "1"));
        vec![u8::from_str_radix(digits, 16).unwrap(); count.parse().unwrap()]
    };
    text.split_whitespace().flat_map(one).collect()
}

/// The message of an answer with its length.
fn answer(text: &str) -> Vec<u8> {
    let frame = bytes(text);
    assert_eq!(frame_length(&frame), Ok(Some(frame.len() - 4)));
    frame[4..].to_vec()
}

fn request() -> RequestInfo {
    RequestInfo {
        route: b"web:0".to_vec(),
        method: b"GET".to_vec(),
        path: b"/api/x".to_vec(),
        query: b"a=1".to_vec(),
        domain: b"api.example.com".to_vec(),
        host: b"api.example.com".to_vec(),
        protocol: b"HTTP/1.1".to_vec(),
        client: b"127.0.0.1:5000".to_vec(),
        headers: vec![(b"Accept".to_vec(), b"*/*".to_vec())],
        match_domain: b"api".to_vec(),
        match_path: b"/api/*".to_vec(),
        ..RequestInfo::default()
    }
}

#[test]
fn a_request_has_the_bytes_of_the_protocol() {
    let wanted = bytes(
        "00 00 00 88 82 a1 74 cc 01 a1 64 c4 7f 8b a1 72 a5 77 65 62 3a 30 a1 6d a3 47 45 54 a1 70 a6 2f 61 70 69 2f 78
         a1 71 a3 61 3d 31 a1 64 af 61 70 69 2e 65 78 61 6d 70 6c 65 2e 63 6f 6d a2 68 6f af 61 70 69 2e 65 78 61 6d 70
         6c 65 2e 63 6f 6d a2 70 72 a8 48 54 54 50 2f 31 2e 31 a1 61 ae 31 32 37 2e 30 2e 30 2e 31 3a 35 30 30 30 a1 68
         81 a6 41 63 63 65 70 74 a3 2a 2f 2a a2 6d 64 a3 61 70 69 a2 6d 70 a6 2f 61 70 69 2f 2a",
    );
    assert_eq!(Encoding::MessagePack.call(Hook::Request, &request().value()), Ok(wanted));
}

#[test]
fn a_connection_has_the_bytes_of_the_protocol() {
    let info = ConnectionInfo {
        route: b"gw:0".to_vec(),
        domain: b"a.cdn.example.com".to_vec(),
        client: b"127.0.0.1:5000".to_vec(),
        match_domain: b"a".to_vec(),
        match_glob: Vec::new(),
    };
    let wanted = bytes(
        "00 00 00 3b 82 a1 74 cc 03 a1 64 c4 32 84 a1 72 a4 67 77 3a 30 a1 64 b1 61 2e 63 64 6e 2e 65 78 61 6d 70 6c 65
         2e 63 6f 6d a1 61 ae 31 32 37 2e 30 2e 30 2e 31 3a 35 30 30 30 a2 6d 64 a1 61",
    );
    assert_eq!(Encoding::MessagePack.call(Hook::Connect, &info.value()), Ok(wanted));
}

#[test]
fn the_end_of_an_exchange_has_the_bytes_of_the_protocol() {
    let info = DisconnectInfo {
        route: b"web:0".to_vec(),
        target: b"10.0.0.1:80".to_vec(),
        client: b"127.0.0.1:5000".to_vec(),
        received: 10,
        sent: 20,
        duration: 3,
    };
    let wanted = bytes(
        "00 00 00 56 82 a1 74 cc 04 a1 64 c4 4d 86 a1 72 a5 77 65 62 3a 30 a2 74 67 ab 31 30 2e 30 2e 30 2e 31 3a 38 30
         a1 61 ae 31 32 37 2e 30 2e 30 2e 31 3a 35 30 30 30 a2 72 78 d3 00*7 0a a2 74 78 d3 00*7 14 a2 6d 73 d3 00*7 03",
    );
    assert_eq!(Encoding::MessagePack.call(Hook::Disconnect, &info.value()), Ok(wanted));
}

#[test]
fn answers_are_read_from_the_bytes_of_the_protocol() {
    let of = |text| RequestAnswer::of(&msgpack::read(&answer(text)).unwrap()).unwrap();
    let allow = of("00 00 00 15 82 a2 6f 6b c3 a1 68 81 a9 58 2d 55 73 65 72 2d 49 44 a2 34 32");
    let headers = vec![(b"X-User-ID".to_vec(), b"42".to_vec())];
    assert_eq!(allow, RequestAnswer { ok: true, headers, ..RequestAnswer::default() });
    let deny = of("00 00 00 19 83 a2 6f 6b c2 a1 73 cd 01 91 a1 62 ac 55 6e 61 75 74 68 6f 72 69 7a 65 64");
    assert_eq!(
        deny,
        RequestAnswer { status: 401, body: b"Unauthorized".to_vec(), ..RequestAnswer::default() }
    );
    let slow = of(
        "00 00 00 27 82 a2 6f 6b c3 a2 73 70 83 a2 64 6c cb 40 24 00*6 a2 75 6c cb 40 14 00*6 a2 67 6b a2 75 31",
    );
    let speed = SpeedAnswer { download: 10.0, upload: 5.0, group: b"u1".to_vec() };
    assert_eq!(slow, RequestAnswer { ok: true, speed: Some(speed), ..RequestAnswer::default() });
    assert_eq!(is_accepted(&msgpack::read(&answer("00 00 00 05 81 a2 6f 6b c3")).unwrap()), Ok(true));
    let change = answer(
        "00 00 00 21 82 a1 68 81 ac 58 2d 50 6f 77 65 72 65 64 2d 42 79 a4 70 72 6f 78 a2 72 6d 91 a6 53 65 72 76 65 72",
    );
    let wanted = ResponseChange {
        status: 0,
        headers: vec![(b"X-Powered-By".to_vec(), b"prox".to_vec())],
        remove: vec![b"Server".to_vec()],
    };
    assert_eq!(ResponseChange::of(&msgpack::read(&change).unwrap()), Ok(wanted));
}

#[test]
fn json_has_the_message_as_it_is() {
    let frame = Encoding::Json.call(Hook::Request, &request().value()).unwrap();
    assert_eq!(frame_length(&frame), Ok(Some(frame.len() - 4)));
    let value: serde_json::Value = serde_json::from_slice(&frame[4..]).unwrap();
    assert_eq!((&value["t"], &value["d"]["h"]["Accept"]), (&1.into(), &"*/*".into()));
    let value = Encoding::Json.read(br#"{"ok":false,"s":401.0,"b":"no","new":[1]}"#).unwrap();
    let wanted = RequestAnswer { status: 401, body: b"no".to_vec(), ..RequestAnswer::default() };
    assert_eq!(RequestAnswer::of(&value), Ok(wanted));
}

#[test]
fn answers_of_another_kind_are_refused() {
    for (text, error) in [
        ("[]", MessageError::Malformed),
        ("true", MessageError::Malformed),
        (r#"{"ok":1}"#, MessageError::Kind("ok")),
        (r#"{"ok":true,"h":["a"]}"#, MessageError::Kind("h")),
        (r#"{"ok":true,"h":{"a":1}}"#, MessageError::Kind("h")),
        (r#"{"s":"200"}"#, MessageError::Kind("s")),
        (r#"{"s":200.5}"#, MessageError::Kind("s")),
        (r#"{"sp":3}"#, MessageError::Kind("sp")),
    ] {
        assert_eq!(RequestAnswer::of(&Encoding::Json.read(text.as_bytes()).unwrap()), Err(error), "{text}");
    }
    let change = Encoding::Json.read(br#"{"rm":[1]}"#).unwrap();
    assert_eq!(ResponseChange::of(&change), Err(MessageError::Kind("rm")));
}

#[test]
fn frames_have_a_limit_both_ways() {
    assert_eq!(frame_length(&[0, 0x10, 0, 0]), Ok(Some(1024 * 1024)));
    assert_eq!(frame_length(&[0, 0x10, 0, 1]), Err(MessageError::TooLarge));
    assert_eq!(frame_length(&[0, 0, 0]), Ok(None));
    let long = vec![b'x'; 1024 * 1024];
    let call = Encoding::MessagePack.call(Hook::Request, &Value::text(&long));
    assert_eq!(call, Err(MessageError::TooLarge));
}
