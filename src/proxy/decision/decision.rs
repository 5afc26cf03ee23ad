//! What is to be done with a request.

use crate::config::plan::{Pass, Proxy};
use crate::proxy::record::Failure;
use crate::worker::Buffer;

/// What is to be done.
pub(in crate::proxy) enum Act<'a> {
    /// Forward it to this target, the first of those that will be tried; its head is written.
    Forward { proxy: &'a Proxy, first_target: usize, head: Buffer },
    /// Send this answer, and say in it whether the connection stays; the body is the rule's own, if it is too long to
    /// be copied behind the head.
    Reply { status: u16, head: Buffer, body: &'a [u8], keep: bool },
    /// Pass the whole connection on, this head included: it is all still there.
    Pass(&'a Pass),
    /// Close the connection without an answer.
    Drop,
    /// Refuse it: no rule matched, or it is nothing that the rule may take.
    Refuse(Failure),
}
