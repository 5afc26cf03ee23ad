//! Memory that a worker lends to the connection whose turn it is. So a connection that waits holds none of it.

/// The buffers for decoding one header block. They grow to the largest head seen and then allocate no more.
#[derive(Debug, Default)]
pub struct Workspace {
    /// Strings of the field that is decoded.
    pub(super) strings: Vec<u8>,
    pub(super) space: HeadSpace,
}

/// The parts of a head while it is decoded.
#[derive(Debug, Default)]
pub(super) struct HeadSpace {
    /// The HTTP/1.1 form.
    pub(super) head: Vec<u8>,
    /// Values of pseudo fields, until the first line is written.
    pub(super) pseudo: Vec<u8>,
    /// Cookie crumbs, joined, until the last field has come.
    pub(super) cookies: Vec<u8>,
}

impl HeadSpace {
    pub(super) fn clear(&mut self) {
        self.head.clear();
        self.pseudo.clear();
        self.cookies.clear();
    }
}

impl Workspace {
    /// The HTTP/1.1 form of the head, or the field lines of the trailers, of the last event. After
    /// [`Event::Refused`](super::Event::Refused), the part of the head that was read.
    pub fn head(&self) -> &[u8] {
        &self.space.head
    }

    /// Bytes of memory that the buffers hold.
    pub fn held(&self) -> usize {
        let HeadSpace { head, pseudo, cookies } = &self.space;
        self.strings.capacity() + head.capacity() + pseudo.capacity() + cookies.capacity()
    }
}
