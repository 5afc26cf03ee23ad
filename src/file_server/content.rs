//! The bytes of an open file.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::off_worker::off_worker;
use super::system;

/// The bytes of an open file.
#[derive(Clone, Debug)]
pub struct Content(Arc<File>);

impl Content {
    pub(super) fn new(file: File) -> Content {
        Content(Arc::new(file))
    }

    /// Reads bytes that are in memory, and maybe fewer than there is room for. 0 means that the file ends there.
    ///
    /// # Errors
    /// `WouldBlock` if the first of them is not in memory.
    pub fn read_cached(&self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(system::read_cached(&self.0, at, bytes)?)
    }

    /// Reads up to `most` bytes, fewer only at the end of the file. May wait for a disk, on another thread.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let content = self.clone();
        off_worker(move || content.read_waiting(at, most)).await
    }

    /// Whether the first and the last of these bytes are in memory, or behind the end. Those between them mostly are
    /// then, because a kernel reads ahead.
    pub fn is_cached(&self, at: u64, length: usize) -> bool {
        let is_here = |at| self.read_cached(at, &mut [0]).is_ok();
        is_here(at) && is_here(at + (length as u64).saturating_sub(1))
    }

    /// Reads bytes into memory, and keeps none. May wait for a disk, on another thread.
    ///
    /// # Errors
    /// Those of the system.
    pub async fn load(&self, at: u64, length: usize) -> io::Result<()> {
        let content = self.clone();
        let work = move || {
            let end = at + length as u64;
            let mut at = at;
            while at < end {
                match content.read_waiting(at, LOAD_BYTES.min((end - at) as usize))?.len() {
                    0 => break,
                    read => at += read as u64,
                }
            }
            Ok(())
        };
        off_worker(work).await
    }

    fn read_waiting(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while filled < most {
            match self.0.read_at(&mut bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

/// Bytes of one read that only brings them into memory.
const LOAD_BYTES: usize = 64 * 1024;

impl AsFd for Content {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        let content = Content::new(File::open(path).unwrap());
        smol::block_on(async {
            content.load(0, 100).await.unwrap();
            assert_eq!(content.read(2, 3).await.unwrap(), b"234");
            assert_eq!(content.read(8, 30).await.unwrap(), b"89");
            assert_eq!(content.read(10, 30).await.unwrap(), b"");
        });
        // Not every system can tell.
        if content.is_cached(0, 10) {
            let mut bytes = [0; 4];
            assert_eq!(content.read_cached(7, &mut bytes).unwrap(), 3);
            assert_eq!(&bytes[..3], b"789");
        }
    }
}
