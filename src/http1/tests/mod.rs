//! Tests of the parser: byte strings in, heads and bodies out. This file holds their shared parts.

use crate::http::{FieldTable, Fields, HeadLimits, Refusal, RequestHead, ResponseHead};
use crate::http1::{HeadScan, parse_request, parse_response};
use crate::reason::Reason;

mod bodies;
mod chaos;
mod clients;
mod requests;
mod responses;
mod splits;

/// The default limits of a listener, as far as these tests need them.
const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 };

/// Parses a request that must be complete, and calls `look` with its head.
fn with_request<T>(bytes: &[u8], look: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    let mut table = FieldTable::new();
    match parse_request(bytes, &mut HeadScan::default(), &LIMITS, &mut table) {
        Ok(Some(head)) => look(&head),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// Parses a request that must be refused.
fn refused_request(bytes: &[u8], limits: &HeadLimits) -> Refusal {
    let mut table = FieldTable::new();
    match parse_request(bytes, &mut HeadScan::default(), limits, &mut table) {
        Err(refusal) => refusal,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// Parses a response that must be complete, and calls `look` with its head.
fn with_response<T>(bytes: &[u8], look: impl FnOnce(&ResponseHead<'_>) -> T) -> T {
    let mut table = FieldTable::new();
    match parse_response(bytes, &mut HeadScan::default(), &LIMITS, &mut table) {
        Ok(Some(head)) => look(&head),
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// A request with these lines after a plain request line and Host.
fn get_with(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n").into_bytes()
}

/// All that is known of the fields of a head, owned.
fn fields_of(fields: &Fields<'_>) -> Vec<String> {
    fields
        .iter()
        .map(|field| {
            let show = |bytes: &[u8]| bytes.escape_ascii().to_string();
            format!(
                "{}|{}|{:?}|{}|{}",
                show(field.name()),
                show(field.value()),
                field.known(),
                show(field.line()),
                field.is_named_by_connection()
            )
        })
        .collect()
}

/// All that is known of a request head, owned, so that two readings of the same bytes can be compared.
fn request_as_text(head: &RequestHead<'_>) -> String {
    let RequestHead {
        method,
        known_method,
        version,
        line,
        path,
        query,
        path_and_query,
        host,
        ref fields,
        framing,
        is_length_plain,
        keep_alive,
        expect_continue,
        upgrade,
        accepts_trailers,
        len,
    } = *head;
    format!(
        "{:?}",
        (
            (method, known_method, version, line, path, query, path_and_query, host),
            (
                fields_of(fields),
                (framing, is_length_plain),
                keep_alive,
                expect_continue,
                upgrade,
                accepts_trailers,
                len
            )
        )
    )
}

/// All that is known of a response head, owned.
fn response_as_text(head: &ResponseHead<'_>) -> String {
    let ResponseHead {
        version,
        status,
        phrase,
        line_of_ours,
        ref fields,
        content_length,
        is_length_plain,
        chunked,
        has_both_lengths,
        keep_alive,
        keep_alive_timeout,
        upgrade,
        len,
    } = *head;
    format!(
        "{:?}",
        (
            (version, status, phrase, line_of_ours, fields_of(fields), content_length, chunked),
            (is_length_plain, has_both_lengths, keep_alive, keep_alive_timeout, upgrade, len)
        )
    )
}

/// Asserts the reason of each refused request in a table.
fn assert_refused(reason: Reason, table: &[&[u8]]) {
    for bytes in table {
        let refusal = refused_request(bytes, &LIMITS);
        assert_eq!(refusal.reason, reason, "{}: {}", bytes.escape_ascii(), refusal.detail);
        let safe = |byte: u8| (b' '..0x7f).contains(&byte) && !b"<>\"'&".contains(&byte);
        assert!(!refusal.detail.is_empty() && refusal.detail.bytes().all(safe), "{}", refusal.detail);
    }
}
