//! Telling systemd how things are, when it asked to be told (`Type=notify-reload`).

use std::os::unix::net::UnixDatagram;

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

fn send_to(path: &std::ffi::OsStr, message: &str) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match path.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(message.as_bytes(), &abstract_address(name)?)?,
        None => socket.send_to(message.as_bytes(), path)?,
    };
    Ok(())
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> std::io::Result<std::os::unix::net::SocketAddr> {
    <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> std::io::Result<std::os::unix::net::SocketAddr> {
    Err(std::io::ErrorKind::Unsupported.into())
}
