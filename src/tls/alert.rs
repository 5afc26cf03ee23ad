//! Alerts to a client before a session exists.

use crate::worker::TcpStream;

/// A fatal alert to a client before a session exists (RFC 8446, section 6.2).
#[derive(Clone, Copy)]
pub enum Alert {
    /// The client's bytes cannot be decoded.
    DecodeError,
    /// The name that the client asks for is not served here.
    UnrecognizedName,
}

/// Sends a fatal alert and shuts down the writing side. If the system does not take the alert at once, the
/// connection ends without it.
pub fn refuse(stream: &TcpStream, alert: Alert) {
    let code = match alert {
        Alert::DecodeError => 50,
        Alert::UnrecognizedName => 112,
    };
    stream.write_best_effort(&[21, 3, 3, 0, 2, 2, code]);
    // The connection may have closed already.
    let _ = stream.shutdown_write();
}
