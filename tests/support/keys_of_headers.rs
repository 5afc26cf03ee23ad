//! Rows of the keys that change fields of messages, for the table of all keys.

use super::keys::Row;

/// Keys that change fields, on a rule. Those of a listener are for its rules.
pub const HEADERS: &[Row] = &[
    ("headers", "target: h:1", "target: h:1, headers: { request: { remove: A } }"),
    ("hsts", "target: h:1", "target: h:1, hsts: 7s"),
    ("request_id", "target: h:1", "target: h:1, request_id: true"),
    ("traceparent", "target: h:1", "target: h:1, traceparent: true"),
];

/// As [`HEADERS`], in a set of policies.
pub const HEADERS_OF_A_SET: &[Row] = &[
    ("headers", "", "headers: { request: { remove: A } }"),
    ("hsts", "", "hsts: 7s"),
    ("request_id", "", "request_id: true"),
    ("traceparent", "", "traceparent: true"),
];

pub const BOTH_MESSAGES: &[Row] = &[
    ("request", "response: { remove: A }", "request: { remove: A }"),
    ("response", "request: { remove: A }", "response: { remove: A }"),
];

pub const CHANGES: &[Row] = &[
    ("set", "remove: C", "set: { A: b }"),
    ("add", "remove: C", "add: { A: [b, c] }"),
    ("default", "remove: C", "default: { A: b }"),
    ("remove", "remove: C", "remove: [A, B-*]"),
];

pub const HSTS: &[Row] = &[
    ("max_age", "max_age: 7s", "max_age: 8s"),
    ("include_subdomains", "max_age: 7s", "max_age: 7s, include_subdomains: true"),
    (
        "preload",
        "max_age: 365d, include_subdomains: true",
        "max_age: 365d, include_subdomains: true, preload: true",
    ),
];
