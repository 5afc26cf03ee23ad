//! SETTINGS of the peer, checked, and our own (RFC 9113, section 6.5).

use super::super::error::{ConnectionError, ErrorCode};

/// Settings in one frame. RFC 9113 defines six; a peer has no reason for more than some dozens.
pub const SETTINGS_MAX: usize = 32;

const ENABLE_PUSH: u16 = 0x2;
const MAX_CONCURRENT_STREAMS: u16 = 0x3;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;
const MAX_HEADER_LIST_SIZE: u16 = 0x6;
/// RFC 8441, section 3.
const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
/// RFC 9218, section 2.1.
const NO_RFC7540_PRIORITIES: u16 = 0x9;

/// The settings of the peer that have an effect here.
///
/// The others are checked and then ignored. Our encoder uses no dynamic table, and our frames have the size that
/// every peer accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PeerSettings {
    pub(crate) initial_window: u32,
    /// The number of streams that we may open.
    pub(crate) concurrent_streams: u32,
    /// Whether the peer, a server, takes extended CONNECT.
    pub(crate) extended_connect: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        PeerSettings { initial_window: 65_535, concurrent_streams: u32::MAX, extended_connect: false }
    }
}

impl PeerSettings {
    /// The settings after a frame, whose values count in their order.
    ///
    /// # Errors
    /// The length is no multiple of six, there are too many settings, or a value is not allowed.
    pub(crate) fn update(
        mut self,
        payload: &[u8],
        from_server: bool,
    ) -> Result<PeerSettings, ConnectionError> {
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(ConnectionError::new(ErrorCode::FrameSizeError, "SETTINGS are cut"));
        }
        if settings.len() > SETTINGS_MAX {
            return Err(ConnectionError::flood("more than 32 settings in a frame"));
        }
        for &[i0, i1, v0, v1, v2, v3] in settings {
            self.set(u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]), from_server)?;
        }
        Ok(self)
    }

    fn set(&mut self, id: u16, value: u32, from_server: bool) -> Result<(), ConnectionError> {
        match (id, value) {
            // A server never pushes to a client that is a server itself (RFC 9113, section 6.5.2).
            (ENABLE_PUSH, 1) if from_server => Err(ConnectionError::protocol("a server set ENABLE_PUSH")),
            (ENABLE_PUSH | ENABLE_CONNECT_PROTOCOL | NO_RFC7540_PRIORITIES, 2..) => {
                Err(ConnectionError::protocol("a setting must be 0 or 1"))
            }
            (ENABLE_CONNECT_PROTOCOL, 0) if self.extended_connect => {
                Err(ConnectionError::protocol("ENABLE_CONNECT_PROTOCOL was taken back"))
            }
            (ENABLE_CONNECT_PROTOCOL, value) => {
                self.extended_connect = value == 1;
                Ok(())
            }
            (INITIAL_WINDOW_SIZE, 0x8000_0000..) => {
                Err(ConnectionError::new(ErrorCode::FlowControlError, "INITIAL_WINDOW_SIZE is over 2^31-1"))
            }
            (INITIAL_WINDOW_SIZE, value) => {
                self.initial_window = value;
                Ok(())
            }
            (MAX_FRAME_SIZE, ..16_384 | 16_777_216..) => {
                Err(ConnectionError::protocol("MAX_FRAME_SIZE is not from 2^14 to 2^24-1"))
            }
            (MAX_CONCURRENT_STREAMS, value) => {
                self.concurrent_streams = value;
                Ok(())
            }
            // HEADER_TABLE_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE and unknown ones change nothing here.
            _ => Ok(()),
        }
    }
}

/// Our settings as a payload.
pub(crate) fn own_settings(streams: Option<u32>, head_bytes: usize, extended_connect: bool) -> Vec<[u8; 6]> {
    let head_bytes = u32::try_from(head_bytes).unwrap_or(u32::MAX);
    let push = streams.is_none().then_some((ENABLE_PUSH, 0));
    let streams = streams.map(|streams| (MAX_CONCURRENT_STREAMS, streams));
    let connect = extended_connect.then_some((ENABLE_CONNECT_PROTOCOL, 1));
    let rest = [(MAX_HEADER_LIST_SIZE, head_bytes), (NO_RFC7540_PRIORITIES, 1)];
    let all = [push, streams, connect].into_iter().flatten().chain(rest);
    all.map(|(id, value)| {
        let ([i0, i1], [v0, v1, v2, v3]) = (id.to_be_bytes(), value.to_be_bytes());
        [i0, i1, v0, v1, v2, v3]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(settings: &[(u16, u32)], from_server: bool) -> Result<PeerSettings, ErrorCode> {
        let mut payload = Vec::new();
        for (id, value) in settings {
            payload.extend(id.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        PeerSettings::default().update(&payload, from_server).map_err(|error| error.code)
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        use ErrorCode::{EnhanceYourCalm, FlowControlError, ProtocolError};
        for (settings, from_server, error) in [
            (&[(ENABLE_PUSH, 2)][..], false, ProtocolError),
            (&[(ENABLE_PUSH, 1)], true, ProtocolError),
            (&[(INITIAL_WINDOW_SIZE, 1 << 31)], false, FlowControlError),
            (&[(INITIAL_WINDOW_SIZE, u32::MAX)], false, FlowControlError),
            (&[(MAX_FRAME_SIZE, 16_383)], false, ProtocolError),
            (&[(MAX_FRAME_SIZE, 16_777_216)], false, ProtocolError),
            (&[(ENABLE_CONNECT_PROTOCOL, 2)], true, ProtocolError),
            (&[(ENABLE_CONNECT_PROTOCOL, 1), (ENABLE_CONNECT_PROTOCOL, 0)], true, ProtocolError),
            (&[(NO_RFC7540_PRIORITIES, 2)], false, ProtocolError),
            (&[(0x77, 0); SETTINGS_MAX + 1], false, EnhanceYourCalm),
        ] {
            assert_eq!(update(settings, from_server), Err(error), "{settings:?}");
        }
        let cut = PeerSettings::default().update(&[0; 7], false);
        assert_eq!(cut.unwrap_err().code, ErrorCode::FrameSizeError);
    }

    #[test]
    fn the_last_value_counts_and_unknown_settings_are_ignored() {
        let settings = update(
            &[
                (INITIAL_WINDOW_SIZE, 1),
                (INITIAL_WINDOW_SIZE, 0x7fff_ffff),
                (MAX_CONCURRENT_STREAMS, 7),
                (0x1, 0),
                (MAX_FRAME_SIZE, 16_777_215),
                (MAX_HEADER_LIST_SIZE, 1),
                (ENABLE_CONNECT_PROTOCOL, 1),
                (ENABLE_PUSH, 0),
                (0xffff, 5),
            ],
            true,
        );
        let want =
            PeerSettings { initial_window: 0x7fff_ffff, concurrent_streams: 7, extended_connect: true };
        assert_eq!(settings, Ok(want));
    }
}
