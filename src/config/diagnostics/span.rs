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

impl From<Span> for [u32; 3] {
    fn from(Span { file, start, end }: Span) -> Self {
        [file, start, end]
    }
}

impl From<[u32; 3]> for Span {
    fn from([file, start, end]: [u32; 3]) -> Self {
        Span { file, start, end }
    }
}

impl Span {
    /// The place of a part of the scalar `text`, which is here. If the scalar has escapes or folded lines, it is
    /// the place of the whole.
    pub(crate) fn part(self, text: &str, from: usize, to: usize) -> Span {
        let start = match self.end.saturating_sub(self.start) as usize {
            // Bytes that are not ASCII may have been written as escapes of the same length.
            _ if !text.is_ascii() => return self,
            length if length == text.len() => self.start,
            // The scalar is in quotes.
            length if length == text.len() + 2 => self.start + 1,
            _ => return self,
        };
        Span { start: start + from as u32, end: start + to as u32, ..self }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}
