//! How much of a head is read.

/// Limits on a request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// `head_bytes_max`: bytes of the whole head, request line to empty line.
    pub bytes: usize,
    /// `head_fields_max`: number of field lines.
    pub fields: usize,
    /// `target_bytes_max`: bytes of the request target.
    pub target: usize,
}
