//! Tests of records in a bucket: which writes are refused, and which are tried again.

use super::*;
use crate::config::plan::{REGION, Secret};
use crate::store::shared::memory::{Ignored, Memory};

fn gate(memory: &Memory) -> Arc<Shared> {
    gate_with(memory, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
}

fn gate_with(memory: &Memory, key: &str) -> Arc<Shared> {
    let bucket = Bucket {
        endpoint: None,
        name: "b".into(),
        prefix: Arc::default(),
        region: REGION.into(),
        login: None,
        root: None,
        keys: vec![Secret(key.into())],
        lease: Duration::from_secs(60),
    };
    Arc::new(Shared::with(Box::new(memory.clone()), &bucket, "ca"))
}

#[test]
fn a_record_is_read_by_all_and_written_by_the_holder() {
    let memory = Memory::default();
    let (one, two) = (gate(&memory), gate(&memory));
    one.lock().unwrap();
    assert_eq!(one.read("attempts/a.json").unwrap(), None);
    one.write("attempts/a.json", b"1").unwrap();
    one.write("attempts/a.json", b"2").unwrap();
    assert_eq!(two.read("attempts/a.json").unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(two.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(two.write("attempts/a.json", b"3").unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(one.list("attempts/").unwrap().len(), 1);
    one.write("attempts/a.json", b"").unwrap();
    assert_eq!(two.read("attempts/a.json").unwrap(), None, "empty bytes are no record");
    assert_eq!(memory.keys(), ["ca/attempts/a.json", "ca/lease"], "the probe has removed its value");
}

#[test]
fn a_record_that_another_gate_has_written_is_not_replaced() {
    let memory = Memory::default();
    let (one, two) = (gate(&memory), gate(&memory));
    one.lock().unwrap();
    one.write("attempts/a.json", b"1").unwrap();
    // Both have read it. The lease goes over, and the other gate begins an attempt.
    one.give_back();
    two.lock().unwrap();
    two.read("attempts/a.json").unwrap();
    two.write("attempts/a.json", b"2").unwrap();
    two.give_back();
    one.lock().unwrap();
    assert_eq!(one.write("attempts/a.json", b"3").unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(one.read("attempts/a.json").unwrap().as_deref(), Some(&b"2"[..]));
    one.write("attempts/a.json", b"3").unwrap();
}

#[test]
fn a_record_that_was_absent_is_made_once() {
    let memory = Memory::default();
    let (one, two) = (gate(&memory), gate(&memory));
    one.lock().unwrap();
    assert_eq!(one.read("account-key").unwrap(), None);
    one.give_back();
    two.lock().unwrap();
    two.write("account-key", b"2").unwrap();
    two.give_back();
    one.lock().unwrap();
    assert!(one.write("account-key", b"1").is_err());
    assert_eq!(one.read("account-key").unwrap().as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_write_whose_answer_was_lost_is_found_to_be_there() {
    let memory = Memory::default();
    let one = gate(&memory);
    one.lock().unwrap();
    memory.lose_answer();
    one.write("pending/a", b"1").unwrap();
    let writes = memory.writes();
    one.write("pending/a", b"2").unwrap();
    assert_eq!(memory.writes(), writes + 1);
}

#[test]
fn a_write_waits_for_a_server_that_is_silent() {
    let memory = Memory::default();
    let one = gate(&memory);
    one.lock().unwrap();
    memory.silence(true);
    let writer = {
        let one = one.clone();
        std::thread::spawn(move || one.write("pending/a", b"1"))
    };
    assert!(one.read("pending/b").is_err());
    memory.silence(false);
    writer.join().unwrap().unwrap();
    assert_eq!(one.read("pending/a").unwrap().as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_certificate_is_one_value() {
    let memory = Memory::default();
    let (one, two) = (gate(&memory), gate(&memory));
    one.lock().unwrap();
    let new = StoredCertificate { chain: b"chain".to_vec(), key: b"key".to_vec() };
    one.keep_certificate("live/a.test", &new).unwrap();
    let found = two.certificate("live/a.test").unwrap().unwrap();
    assert_eq!((&*found.chain, &*found.key), (&b"chain"[..], &b"key"[..]));
    assert!(two.certificate("live/b.test").unwrap().is_none());
    assert!(
        gate_with(&memory, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=")
            .certificate("live/a.test")
            .is_err()
    );
}

#[test]
fn a_server_that_ignores_conditions_is_refused() {
    for (ignored, told) in [(Ignored::Absence, "If-None-Match"), (Ignored::Versions, "If-Match")] {
        let memory = Memory::default();
        memory.ignore(ignored);
        let error = gate(&memory).lock().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(memory.keys(), [""; 0]);
    }
}
