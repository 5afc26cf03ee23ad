//! Telling systemd how things are, when it asked to be told (`Type=notify-reload`).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;

use socket2::{Domain, SockAddr, Socket, Type};

/// Sends one message to the socket that `NOTIFY_SOCKET` names; nothing happens when it names none.
pub(super) fn send(message: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send_to(&path, message) {
        tracing::debug!(%error, message, "systemd was not told");
    }
}

/// Says that a reload begins; systemd wants the time of it (sd_notify(3)).
pub(super) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

fn send_to(path: &OsStr, message: &str) -> io::Result<()> {
    let mut path = path.as_bytes().to_vec();
    // An abstract name, which only Linux knows, begins with a zero there.
    if let Some(first @ b'@') = path.first_mut() {
        *first = 0;
    }
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.send_to(message.as_bytes(), &SockAddr::unix(OsStr::from_bytes(&path))?)?;
    Ok(())
}
