//! Tests of records in a bucket: which writes are refused, and which are tried again.

use super::*;
use crate::config::plan::{Bucket, REGION, Secret};
use crate::store::shared::memory::{Ignored, Memory};

fn gate(memory: &Memory) -> Arc<Shared> {
    gate_with(memory, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
}

fn gate_with(memory: &Memory, key: &str) -> Arc<Shared> {
    at_cas(memory, &[key], ["ca"])[0].clone()
}

/// The stores of one gate for these CAs.
fn at_cas<const N: usize>(memory: &Memory, keys: &[&str], cas: [&str; N]) -> [Arc<Shared>; N] {
    let bucket = Bucket {
        endpoint: None,
        name: "b".into(),
        prefix: Arc::default(),
        region: REGION.into(),
        login: None,
        root: None,
        keys: keys.iter().map(|&key| Secret(key.into())).collect(),
        lease: Duration::from_secs(60),
    };
    let right = Right::with(Box::new(memory.clone()), &bucket);
    cas.map(|ca| Arc::new(Shared::new(&right, ca)))
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
    assert_eq!(memory.keys(), ["ca/attempts/a.json", "lease"], "the probe has removed its value");
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

#[test]
fn the_right_to_order_at_one_authority_is_that_at_all() {
    let memory = Memory::default();
    let keys = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="];
    let ([one, _], [_, other]) =
        (at_cas(&memory, &keys, ["first", "second"]), at_cas(&memory, &keys, ["first", "second"]));
    one.lock().unwrap();
    assert_eq!(other.lock().unwrap_err().kind(), ErrorKind::WouldBlock);
    one.give_back();
    other.lock().unwrap();
}

#[test]
fn a_wish_needs_no_right_and_is_taken_once() {
    let memory = Memory::default();
    let (one, two) = (gate(&memory), gate(&memory));
    one.lock().unwrap();
    two.leave("wishes/a", b"renew").unwrap();
    two.leave("wishes/a", b"revoke").unwrap();
    assert_eq!(one.read("wishes/a").unwrap().as_deref(), Some(&b"revoke"[..]));
    // Another one comes before it is removed.
    two.leave("wishes/a", b"renew").unwrap();
    assert!(one.write("wishes/a", b"").is_err());
    assert_eq!(one.read("wishes/a").unwrap().as_deref(), Some(&b"renew"[..]));
    one.write("wishes/a", b"").unwrap();
    assert_eq!(two.read("wishes/a").unwrap(), None);
}

#[test]
fn values_are_sealed_anew_with_the_first_key_and_stay_writable() {
    let memory = Memory::default();
    let (old, new) =
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=");
    let before = gate_with(&memory, old);
    before.lock().unwrap();
    before.write("attempts/a.json", b"1").unwrap();
    before.write("account-key", b"2").unwrap();
    before.give_back();
    let [both] = at_cas(&memory, &[new, old], ["ca"]);
    assert_eq!(both.read("attempts/a.json").unwrap().as_deref(), Some(&b"1"[..]));
    both.right.take().unwrap();
    assert_eq!(both.reseal_all().unwrap(), 2);
    assert_eq!(both.reseal_all().unwrap(), 0);
    // The version that was read before is not that of the store any more, and this gate knows it.
    both.write("attempts/a.json", b"3").unwrap();
    let after = gate_with(&memory, new);
    assert_eq!(after.read("attempts/a.json").unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(after.read("account-key").unwrap().as_deref(), Some(&b"2"[..]));
    assert!(before.read("account-key").is_err());
    // A value of a key that is not known stops nothing, and is told.
    both.write("account-key", b"4").unwrap();
    let [stranger] = at_cas(&memory, &["CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC=", old], ["ca"]);
    assert!(stranger.reseal_all().unwrap_err().to_string().contains("cannot be opened"));
}
