//! The result of a decision.

use std::sync::Arc;

use crate::config::plan::{Pass, PluginChain};
use crate::policy::{AuthQuestion, ConcurrencyLimit};
use crate::proxy::file_reply::FileRequest;
use crate::proxy::forward::Attempts;
use crate::proxy::local_reply::Reply;
use crate::proxy::record::Failure;

/// How far the decision about a request has come.
pub(super) enum Decision<'a> {
    /// The head is not complete.
    Incomplete,
    /// The act is decided. It is in the place that the caller has for it: it is large, and would be copied at each return.
    Act,
    /// A policy has to wait for an answer first.
    Ask(Question<'a>),
}

/// A question of a policy of a rule.
pub(super) struct Question<'a> {
    /// Index of the rule.
    pub(super) rule: usize,
    pub(super) what: Asked<'a>,
}

/// The things that policies wait for.
pub(super) enum Asked<'a> {
    /// The user.
    User(AuthQuestion),
    /// The plugins.
    Plugins(&'a Arc<PluginChain>),
    /// A place among the open requests of this limit.
    Place(&'a ConcurrencyLimit),
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
    /// Serve streams from now on: the input begins with the preface of HTTP/2.
    Http2,
    /// Refuse the request: its head is not valid, no rule matches, or its rule does not take it.
    Refuse(Failure),
}
