//! Looks a file up, and sends the response.

use std::io;
use std::os::fd::AsFd;

use super::head;
use super::request::FileRequest;
use super::transfer::{DISK_TIMEOUT, append, send_long};
use crate::file_server::{Found, FoundFile, Missing, Opening, find, listing, off_worker, open_root};
use crate::http::Method;
use crate::proxy::client::{Exchange, KeepAlive, Media};
use crate::proxy::edits::encode_response;
use crate::proxy::local_reply::{self, Reply};
use crate::proxy::record::{Detail, Failure};
use crate::reason::Reason;
use crate::worker::LARGE_BUFFER_BYTES;

/// Serves a file.
///
/// # Errors
/// If there is none, or if it cannot be read or sent.
pub(in crate::proxy) async fn send(
    exchange: &mut Exchange<'_>,
    request: Box<FileRequest>,
) -> Result<KeepAlive, Failure> {
    let (request, found) = look_up(exchange, request).await?;
    match found.map_err(failure)? {
        Found::File(file) => send_file(exchange, &request, &file).await,
        Found::Folder => {
            let reply = head::folder(exchange, &request);
            local_reply::send(exchange, reply).await
        }
        Found::Listing(entries, is_cut) => {
            let json = exchange.request.prefers == Media::Json;
            let path = request.wanted.path.as_ref().ok_or(Failure::new(Reason::FileNotFound))?;
            let (media_type, page) = match json {
                true => ("application/json", listing::json(&entries, is_cut)),
                false => ("text/html; charset=utf-8", listing::html(path, &entries, is_cut)),
            };
            let policy = listing::CONTENT_SECURITY_POLICY;
            let mut reply = head::listing(exchange, media_type, page.len(), policy);
            if exchange.request.method != Method::Head {
                reply.body = page.as_bytes();
            }
            local_reply::send(exchange, reply).await
        }
    }
}

type LookedUp = (Box<FileRequest>, Result<Found, Missing>);

/// Looks the file up, at once if the system has its place in memory.
async fn look_up(exchange: &Exchange<'_>, request: Box<FileRequest>) -> Result<LookedUp, Failure> {
    let files = &request.wanted.files;
    let root = exchange.snapshot.worker().folder(&files.root, || open_root(files, Opening::Cached));
    match root.and_then(|root| find(&request.wanted, root.as_fd(), Opening::Cached)) {
        Err(Missing::Waits) => {}
        found => return Ok((request, found)),
    }
    let work = move || {
        let root = open_root(&request.wanted.files, Opening::Waiting);
        let found = root.and_then(|root| find(&request.wanted, root.as_fd(), Opening::Waiting));
        Ok((request, found))
    };
    let found = exchange.timer.within(DISK_TIMEOUT, off_worker(work)).await;
    found.map_err(|error| failure(Missing::Failed(error)))
}

fn failure(missing: Missing) -> Failure {
    let (reason, error) = match missing {
        Missing::NotFound => return Failure::new(Reason::FileNotFound),
        Missing::Forbidden(why) => (Reason::FileForbidden, io::Error::other(why)),
        Missing::Waits => (Reason::FileFailed, io::ErrorKind::WouldBlock.into()),
        Missing::Failed(error) => (Reason::FileFailed, error),
    };
    Failure { reason, detail: Detail::Io(error) }
}

/// Sends a file, a part of it, or only a head. A short one goes out in one write with its head.
async fn send_file(
    exchange: &mut Exchange<'_>,
    request: &FileRequest,
    file: &FoundFile,
) -> Result<KeepAlive, Failure> {
    let (mut reply, bytes) = head::file(exchange, request, file);
    if reply.status == 304 {
        encode_not_modified(exchange, request, file, &mut reply);
    }
    let bytes = if exchange.request.method == Method::Head { 0..0 } else { bytes };
    let room = (LARGE_BUFFER_BYTES - reply.head.unread().len().min(LARGE_BUFFER_BYTES)) as u64;
    if bytes.end - bytes.start > room || exchange.record.policies.download().is_some() {
        return send_long(exchange, reply, &file.content, bytes, request.wanted.files.body_timeout).await;
    }
    append(&file.content, bytes, &mut reply.head, exchange.timer).await?;
    local_reply::send(exchange, reply).await
}

/// Gives a 304 the tag of the 200 in whose place it stands.
fn encode_not_modified(
    exchange: &mut Exchange<'_>,
    request: &FileRequest,
    file: &FoundFile,
    reply: &mut Reply<'_>,
) {
    if exchange.record.policies.watched().is_some() {
        let full = head::full(exchange, request, file);
        encode_response(&exchange.record, &exchange.request, &mut reply.head, Some(full.head.unread()));
        exchange.record.policies.release_response();
    }
}
