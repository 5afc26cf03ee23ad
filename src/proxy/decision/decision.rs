//! The result of a decision.

use crate::config::plan::Pass;
use crate::policy::ConcurrencyLimit;
use crate::proxy::file_reply::FileRequest;
use crate::proxy::forward::Attempts;
use crate::proxy::local_reply::Reply;
use crate::proxy::record::Failure;

/// A decision about a request.
pub(super) enum Decision<'a> {
    /// The act.
    Act(Act<'a>),
    /// A policy has to wait for an answer first.
    Ask(Question<'a>),
}

/// A question of a policy.
pub(super) struct Question<'a> {
    /// Index of the rule.
    pub(super) rule: usize,
    /// The limit among whose open requests there has to be a place.
    pub(super) limit: &'a ConcurrencyLimit,
}

/// The act that a request leads to.
pub(in crate::proxy) enum Act<'a> {
    /// Forward the request to a target of its rule. The head for the first target is written.
    Forward(Attempts<'a>),
    /// Send a response of smolgate's own, which is written.
    Reply(Reply<'a>),
    /// Send a file.
    File(Box<FileRequest>),
    /// Pass the whole connection on, beginning with this head: all of it is still in the input.
    Pass(&'a Pass),
    /// Close the connection without a response.
    Drop,
    /// Refuse the request: its head is not valid, no rule matches, or its rule does not take it.
    Refuse(Failure),
}
