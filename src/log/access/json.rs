//! The access log as JSON: one object a line.

use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::record::{AccessRecord, clip};
use crate::config::plan::TargetAddress;
use crate::log::clock::Utc;
use crate::reason::Reason;

/// The fields of a line, in their order.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    listener: &'a str,
    rule: &'a str,
    client: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Cow<'a, str>>,
    host: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    target_address: Option<&'a TargetAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cipher: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    referer: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Cow<'a, str>>,
}

/// Appends the line of a record.
pub(super) fn write_line(record: &AccessRecord<'_>, line: &mut Vec<u8>) -> io::Result<()> {
    let request = record.request;
    let text = |bytes| String::from_utf8_lossy(clip(bytes));
    let value = Line {
        time: Utc::from(record.time).to_string(),
        listener: record.listener,
        rule: record.rule,
        client: record.client,
        method: request.map(|request| text(request.method)),
        host: text(record.host),
        target: request.map(|request| text(request.target)),
        version: request.map(|request| request.version),
        status: request.map(|request| request.status),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        // Microseconds are precise enough and keep the line short.
        duration_ms: record.duration.as_micros() as f64 / 1e3,
        upstream: record.upstream,
        target_address: record.target_address,
        tls_version: record.tls.map(|(version, _)| version),
        tls_cipher: record.tls.map(|(_, cipher)| cipher),
        reason: record.reason.map(Reason::code),
        user_agent: request.map(|request| text(request.user_agent)),
        referer: request.map(|request| text(request.referer)),
        request_id: request.map(|request| text(request.request_id)).filter(|id| !id.is_empty()),
        traceparent: request.map(|request| text(request.traceparent)).filter(|trace| !trace.is_empty()),
        user: request.map(|request| text(request.user)).filter(|user| !user.is_empty()),
    };
    serde_json::to_writer(&mut *line, &value)?;
    line.push(b'\n');
    Ok(())
}

fn shown<S: Serializer>(address: &Option<&TargetAddress>, serializer: S) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.collect_str(address),
        None => serializer.serialize_none(),
    }
}
