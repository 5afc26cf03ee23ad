//! The limits on the size of a head.

/// The limits on the size of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// `head_bytes_max`: bytes of the whole head, request line to empty line.
    pub bytes: usize,
    /// `head_fields_max`: number of field lines.
    pub fields: usize,
    /// `target_bytes_max`: bytes of the request target.
    pub target: usize,
}
