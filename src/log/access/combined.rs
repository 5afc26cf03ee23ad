//! The combined log format of Apache and nginx.

use std::io::{self, Write};

use super::record::{AccessRecord, AccessRequest, escape, escape_word, or_dash};
use crate::log::clock::Utc;
use crate::reason::Reason;

/// Appends `client - user [time] "METHOD target VERSION" status bytes "referer" "user agent"`. For a connection, the
/// target is the server name, and the status is 200 if it ended well, as for streams in nginx.
pub(super) fn write_line(record: &AccessRecord<'_>, line: &mut Vec<u8>) -> io::Result<()> {
    let connection = || AccessRequest {
        method: b"-",
        target: or_dash(record.host),
        version: "-",
        status: record.reason.map_or(200, Reason::status),
        user_agent: b"",
        referer: b"",
        request_id: b"",
        traceparent: b"",
        user: b"",
    };
    let request = record.request.unwrap_or_else(connection);
    write!(line, "{} - ", record.client)?;
    escape_word(or_dash(request.user), line);
    write!(line, " [{}] \"", Utc::from(record.time).combined())?;
    escape(request.method, line);
    line.push(b' ');
    escape(request.target, line);
    write!(line, " {}\" {} {} \"", request.version, request.status, record.bytes_out)?;
    escape(or_dash(request.referer), line);
    line.extend_from_slice(b"\" \"");
    escape(or_dash(request.user_agent), line);
    line.extend_from_slice(b"\"\n");
    Ok(())
}
