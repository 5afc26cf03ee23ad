//! The place of a value.

/// A stretch of bytes in one of the report's files. It takes 12 bytes, so that every value can carry one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Span {
    /// Index of the file in the report.
    pub(crate) file: u32,
    /// First byte.
    pub(crate) start: u32,
    /// First byte after it. May equal `start`.
    pub(crate) end: u32,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}
