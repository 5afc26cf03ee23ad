//! Writes of whole messages, by a deadline.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::mux::Transport;
use crate::worker::Timer;

/// A function that writes, such as [`Transport::poll_write_vectored`].
type PollWrite = fn(&Transport, &mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

/// Writes all of `slices`. `timeout` counts anew after each write that takes some bytes.
pub(in crate::proxy) fn write_all(
    to: &Transport,
    slices: &mut [IoSlice<'_>],
    timer: &Timer,
    timeout: Duration,
) -> impl Future<Output = io::Result<()>> {
    write_all_by(Transport::poll_write_vectored, to, slices, timer, timeout)
}

/// Writes all of a message. With `ends`, no message follows: on plain TCP, the end of the connection goes out in one
/// packet with the last bytes.
pub(in crate::proxy) async fn write_message(
    to: &Transport,
    mut slices: &mut [IoSlice<'_>],
    ends: bool,
    timer: &Timer,
    timeout: Duration,
) -> io::Result<()> {
    if !ends {
        // Nearly every message is taken at once, and then no future is made.
        let written = to.try_write(slices)?;
        IoSlice::advance_slices(&mut slices, written);
        return if slices.is_empty() { Ok(()) } else { write_all(to, slices, timer, timeout).await };
    }
    write_all_by(Transport::poll_write_last, to, slices, timer, timeout).await?;
    if let Some(to) = to.plain() {
        // An error means that the connection is closed already.
        let _ = to.shutdown_write();
    }
    Ok(())
}

async fn write_all_by(
    poll_write: PollWrite,
    to: &Transport,
    mut slices: &mut [IoSlice<'_>],
    timer: &Timer,
    timeout: Duration,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = timer.within(timeout, poll_fn(|cx| poll_write(to, cx, slices))).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    timer.within(timeout, poll_fn(|cx| to.poll_flush(cx))).await
}
