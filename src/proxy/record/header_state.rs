//! The parts of a request that changes of fields need until its response is written.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write;

use super::trace::{is_traceparent, write_traceparent};

/// States that are kept for further requests, for each worker.
const SPARE_MAX: usize = 64;

/// Bytes that a state keeps room for.
const BYTES_KEPT: usize = 1_024;

/// Bytes of the longest identity that is accepted.
const REQUEST_ID_BYTES_MAX: usize = 128;

thread_local! {
    /// States that ended. No request allocates one while there are some.
    #[expect(clippy::vec_box, reason = "a state is its box, which is used again")]
    static SPARE: RefCell<Vec<Box<Kept>>> = const { RefCell::new(Vec::new()) };
    /// A number of this worker that no other process has, and the number of identities that it made.
    static IDENTITIES: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// The parts of a request that changes of fields need until its response is written. Empty, and eight bytes, for a rule that
/// changes none.
#[derive(Default)]
pub(in crate::proxy) struct HeaderState(Option<Box<Kept>>);

/// The identities of a request. Empty ones are those that its rule does not give.
#[derive(Clone, Copy, Default)]
pub(in crate::proxy) struct Identities<'a> {
    /// The identity of the request.
    pub(in crate::proxy) request_id: &'a [u8],
    /// The context of its trace.
    pub(in crate::proxy) traceparent: &'a [u8],
    /// Whether the trace begins here. Then no state of another one belongs to it.
    pub(in crate::proxy) is_new_trace: bool,
}

#[derive(Default)]
struct Kept {
    request_id: Vec<u8>,
    traceparent: Vec<u8>,
    is_new_trace: bool,
    /// Lines for the response, with the parts of the request in them.
    lines: Vec<u8>,
}

impl HeaderState {
    /// Begins anew, with an identity that a trusted proxy has given, and with the context of a trace that the client has
    /// given. Makes one if none was given, or none that is well-formed. `None`: the rule gives requests none.
    pub(in crate::proxy) fn begin(&mut self, given: Option<Option<&[u8]>>, trace: Option<Option<&[u8]>>) {
        let kept = self.0.get_or_insert_with(|| SPARE.with_borrow_mut(Vec::pop).unwrap_or_default());
        kept.request_id.clear();
        kept.lines.clear();
        kept.traceparent.clear();
        kept.is_new_trace = false;
        match trace {
            None => {}
            Some(Some(given)) if is_traceparent(given) => kept.traceparent.extend_from_slice(given),
            Some(_) => {
                write_traceparent(&mut kept.traceparent);
                kept.is_new_trace = true;
            }
        }
        match given {
            None => {}
            Some(Some(given)) if is_plain(given) => kept.request_id.extend_from_slice(given),
            Some(_) => write_identity(&mut kept.request_id),
        }
    }

    /// Whether the rule of the request changes fields.
    #[inline]
    pub(in crate::proxy) fn is_begun(&self) -> bool {
        self.0.is_some()
    }

    /// Replaces the lines for the response.
    pub(in crate::proxy) fn set_lines(&mut self, bytes: &[u8]) {
        if let Some(kept) = &mut self.0 {
            kept.lines.clear();
            kept.lines.extend_from_slice(bytes);
        }
    }

    /// The lines for the response.
    pub(in crate::proxy) fn lines(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |kept| &kept.lines)
    }

    /// The identities of the request.
    pub(in crate::proxy) fn identities(&self) -> Identities<'_> {
        match &self.0 {
            None => Identities::default(),
            Some(kept) => {
                let Kept { request_id, traceparent, is_new_trace, lines: _ } = &**kept;
                Identities { request_id, traceparent, is_new_trace: *is_new_trace }
            }
        }
    }

    /// The identity of the request. Empty if it has none.
    pub(in crate::proxy) fn request_id(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |kept| &kept.request_id)
    }
}

impl Drop for HeaderState {
    fn drop(&mut self) {
        let Some(mut kept) = self.0.take() else { return };
        // The other one is short.
        let Kept { request_id, lines, traceparent: _, is_new_trace: _ } = &mut *kept;
        request_id.shrink_to(BYTES_KEPT);
        lines.shrink_to(BYTES_KEPT);
        // At the end of a thread there may be no list any more.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(kept);
            }
        });
    }
}

/// Whether an identity has only characters that no log and no field takes for anything else.
fn is_plain(given: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    (1..=REQUEST_ID_BYTES_MAX).contains(&given.len()) && given.iter().all(is_plain)
}

/// Writes 32 digits that no other request has: a random number of the worker, and a count.
fn write_identity(out: &mut Vec<u8>) {
    let (worker, count) = IDENTITIES.get().unwrap_or_else(|| (RandomState::new().build_hasher().finish(), 0));
    IDENTITIES.set(Some((worker, count.wrapping_add(1))));
    // An odd factor maps each count to another number, so that neighbours differ at a glance.
    let mixed = count.wrapping_add(worker).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{worker:016x}{mixed:016x}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_accepted_if_it_is_plain_and_made_otherwise() {
        let mut state = HeaderState::default();
        assert_eq!(state.request_id(), b"");
        state.begin(Some(Some(b"abc-1")), None);
        assert_eq!(state.request_id(), b"abc-1");
        let mut seen = std::collections::HashSet::new();
        for given in [None, Some(&b""[..]), Some(b"a b"), Some(b"a\"b"), Some(&[b'a'; 129])] {
            state.begin(Some(given), None);
            let made = state.request_id().to_vec();
            assert!(made.len() == 32 && made.iter().all(u8::is_ascii_hexdigit));
            assert!(seen.insert(made), "each is another");
        }
        state.begin(None, None);
        state.set_lines(b"c: d\r\n");
        state.set_lines(b"a: b\r\n");
        assert_eq!((state.request_id(), state.lines()), (&b""[..], &b"a: b\r\n"[..]));
    }

    #[test]
    fn a_trace_goes_on_or_begins() {
        let mut state = HeaderState::default();
        assert_eq!(state.identities().traceparent, b"");
        let given = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        state.begin(None, Some(Some(given)));
        assert_eq!((state.identities().traceparent, state.identities().is_new_trace), (&given[..], false));
        for given in [None, Some(&b"00-abc"[..])] {
            state.begin(None, Some(given));
            let made = state.identities();
            assert!(made.is_new_trace && is_traceparent(made.traceparent));
        }
        state.begin(None, None);
        assert!(state.identities().traceparent.is_empty() && !state.identities().is_new_trace);
    }
}
