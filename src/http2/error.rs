//! Error codes, and the two levels on which a peer can be at fault (RFC 9113, sections 5.4 and 7).

use std::fmt;

/// Builds the enum and its two tables from one list.
macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $label:literal;)*) => {
        /// An error code of RST_STREAM and GOAWAY (RFC 9113, section 7).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorCode {
            $($(#[doc = $doc])* $name = $code,)*
        }

        impl ErrorCode {
            /// Every code, in the order of its number.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The name in the RFC.
            pub fn label(self) -> &'static str {
                match self { $(ErrorCode::$name => $label,)* }
            }
        }
    };
}

codes! {
    /// The end is no error, such as a graceful shutdown.
    NoError = 0x0, "NO_ERROR";
    /// The peer broke the protocol, and no other code says more.
    ProtocolError = 0x1, "PROTOCOL_ERROR";
    /// The sender of the code failed by itself.
    InternalError = 0x2, "INTERNAL_ERROR";
    /// The peer sent more than its window allowed.
    FlowControlError = 0x3, "FLOW_CONTROL_ERROR";
    /// The peer did not acknowledge SETTINGS in time.
    SettingsTimeout = 0x4, "SETTINGS_TIMEOUT";
    /// A frame came for a stream that its sender had ended.
    StreamClosed = 0x5, "STREAM_CLOSED";
    /// A frame has a length that its type may not have.
    FrameSizeError = 0x6, "FRAME_SIZE_ERROR";
    /// The stream was not processed, so the request may be sent again.
    RefusedStream = 0x7, "REFUSED_STREAM";
    /// The stream is not needed any more.
    Cancel = 0x8, "CANCEL";
    /// The compression state of the connection is lost.
    CompressionError = 0x9, "COMPRESSION_ERROR";
    /// The connection of a CONNECT request failed.
    ConnectError = 0xa, "CONNECT_ERROR";
    /// The peer causes more work than is reasonable.
    EnhanceYourCalm = 0xb, "ENHANCE_YOUR_CALM";
    /// TLS does not meet the requirements of RFC 9113, section 9.2.
    InadequateSecurity = 0xc, "INADEQUATE_SECURITY";
    /// The request must be sent over HTTP/1.1.
    Http11Required = 0xd, "HTTP_1_1_REQUIRED";
}

impl ErrorCode {
    /// The code with this number. An unknown number has no special meaning (RFC 9113, section 7), so it
    /// becomes `InternalError`.
    pub fn from_number(number: u32) -> ErrorCode {
        usize::try_from(number)
            .ok()
            .and_then(|at| ErrorCode::ALL.get(at).copied())
            .unwrap_or(ErrorCode::InternalError)
    }

    /// The number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

/// A fault that ends the connection: the caller sends GOAWAY with the code and closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionError {
    /// The code for GOAWAY.
    pub code: ErrorCode,
    /// The rule that the peer broke, for the log.
    pub detail: &'static str,
}

impl ConnectionError {
    #[cold]
    pub(super) fn new(code: ErrorCode, detail: &'static str) -> ConnectionError {
        ConnectionError { code, detail }
    }

    /// The error for a peer that broke the protocol.
    #[cold]
    pub(super) fn protocol(detail: &'static str) -> ConnectionError {
        ConnectionError::new(ErrorCode::ProtocolError, detail)
    }

    /// The error for a block that cannot be decompressed (RFC 7541; RFC 9113, section 4.3).
    #[cold]
    pub(super) fn compression(detail: &'static str) -> ConnectionError {
        ConnectionError::new(ErrorCode::CompressionError, detail)
    }

    /// The error for a peer that causes too much work.
    #[cold]
    pub(super) fn flood(detail: &'static str) -> ConnectionError {
        ConnectionError::new(ErrorCode::EnhanceYourCalm, detail)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.label(), self.detail)
    }
}

impl std::error::Error for ConnectionError {}

/// A fault that ends one stream: the engine sends RST_STREAM with the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamError {
    pub(super) code: ErrorCode,
    pub(super) detail: &'static str,
}

impl StreamError {
    #[cold]
    pub(super) fn new(code: ErrorCode, detail: &'static str) -> StreamError {
        StreamError { code, detail }
    }

    /// The error for a malformed message (RFC 9113, section 8.1.1).
    #[cold]
    pub(super) fn malformed(detail: &'static str) -> StreamError {
        StreamError::new(ErrorCode::ProtocolError, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn each_code_has_its_number_and_an_unknown_number_has_no_special_meaning() {
        for (number, code) in ErrorCode::ALL.iter().enumerate() {
            assert_eq!(code.number() as usize, number);
            assert_eq!(ErrorCode::from_number(code.number()), *code);
        }
        for number in [14, 0xff, u32::MAX] {
            assert_eq!(ErrorCode::from_number(number), ErrorCode::InternalError);
        }
    }
}
