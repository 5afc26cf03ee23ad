//! What a client is told before a session exists.

use crate::worker::TcpStream;

/// What a client is told before a session exists (RFC 8446, section 6.2).
#[derive(Clone, Copy)]
pub enum Alert {
    /// What it sent cannot be decoded.
    DecodeError,
    /// Nobody here has the name that it asks for.
    UnrecognizedName,
}

/// Sends a fatal alert and ends our side, if the system takes it at once; if not, the connection ends
/// without.
pub fn refuse(stream: &TcpStream, alert: Alert) {
    let code = match alert {
        Alert::DecodeError => 50,
        Alert::UnrecognizedName => 112,
    };
    stream.write_best_effort(&[21, 3, 3, 0, 2, 2, code]);
    // It may be gone already.
    let _ = stream.shutdown_write();
}
