//! The question about the head of a response.

use super::info::{canonical, failed};
use crate::http::status_phrase;
use crate::plugin::messages::{ResponseChange, Texts};
use crate::plugin::{on_response, write_lines};
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::worker::Buffer;

/// Asks the plugins of the exchange about its response, and changes the head that is written for the client. It has no end
/// yet.
///
/// # Errors
/// `PluginFailed`: the response is not sent.
pub(in crate::proxy) async fn change_response(
    record: &ExchangeRecord<'_>,
    status: &mut u16,
    head: &mut Buffer,
) -> Result<(), Failure> {
    let asked = record.plugins.as_ref().and_then(|plugins| plugins.of_response());
    let Some((chain, info)) = asked.filter(|_| *status >= 200) else { return Ok(()) };
    let state = &record.snapshot.state;
    let time =
        record.rule_policies().and_then(|policies| policies.plugins.as_ref()).map(|chain| chain.timeout);
    let deadline = state.worker.now() + time.unwrap_or_default();
    let fields = fields(head.unread());
    let at = (&state.worker, &state.plugin_links);
    let answer = on_response(chain, at, info, (*status, &fields), deadline).await;
    let change = answer.map_err(|failure| failed(failure.to_string()))?;
    if change != ResponseChange::default() {
        if change.status != 0 {
            *status = change.status as u16;
        }
        let mut changed = state.worker.buffer();
        write_changed(head.unread(), &change, |bytes| changed.extend(bytes));
        *head = changed;
    }
    Ok(())
}

/// The fields of a head, each once, with its first value.
fn fields(head: &[u8]) -> Texts {
    let mut all: Texts = Vec::new();
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let Some(end) = memchr::memchr(b':', line) else { continue };
        let name = canonical(&line[..end]);
        if all.iter().all(|(known, _)| *known != name) {
            all.push((name, line[end + 1..].trim_ascii().into()));
        }
    }
    all
}

/// Writes a head with changes. Fields that frame the message are among none of them.
fn write_changed(head: &[u8], change: &ResponseChange, mut out: impl FnMut(&[u8])) {
    let ResponseChange { status, headers, remove } = change;
    let mut lines = head.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    match u16::try_from(*status) {
        Ok(status @ 1..) => out(format!("HTTP/1.1 {status} {}\r\n", status_phrase(status)).as_bytes()),
        _ => out(first),
    }
    for line in lines {
        let name = &line[..memchr::memchr(b':', line).unwrap_or(line.len())];
        let is_it = |other: &[u8]| other.eq_ignore_ascii_case(name);
        let is_set = headers.iter().any(|(name, _)| is_it(name));
        if !is_set && !remove.iter().any(|name| is_it(name)) {
            out(line);
        }
    }
    let mut lines = Vec::new();
    write_lines(headers, &mut lines);
    out(&lines);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_changed_line_by_line() {
        let head = b"HTTP/1.1 200 OK\r\nServer: x\r\nset-cookie: a\r\nset-cookie: b\r\nVia: 1.1 s\r\n";
        let change = ResponseChange {
            status: 404,
            headers: vec![(b"Set-Cookie".to_vec(), b"c".to_vec())],
            remove: vec![b"server".to_vec()],
        };
        let mut out = Vec::new();
        write_changed(head, &change, |bytes| out.extend_from_slice(bytes));
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "HTTP/1.1 404 Not Found\r\nVia: 1.1 s\r\nSet-Cookie: c\r\n");
        let first = (b"Set-Cookie".to_vec(), b"a".to_vec());
        assert!(fields(head).contains(&first) && fields(head).len() == 3);
    }
}
