//! Opening files: the one place of the project that does, kept by `tests/tidy.rs`.
//!
//! A path of a configuration may lead to anything. To open a FIFO is to wait for its other end, and a device
//! need not have an end. So a file is opened without waiting (`O_NONBLOCK`), looked at then (`fstat`), and read
//! up to a limit:
//!
//! | | read | appended to |
//! |---|---|---|
//! | regular file | yes | yes |
//! | descriptor of this process: `/dev/stdin`, `/dev/fd/N` | once, and remembered | as what it is |
//! | FIFO, character device | no | yes, if that takes no wait |
//! | anything else | no | no |
//!
//! A file system on a network may hang all the same, whatever is asked of it. So nothing here is called on
//! the thread of an executor, and callers that something waits for give up after a while.

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// No wait for the other end of a FIFO or for a line of a modem; no terminal becomes that of this process.
const WITHOUT_WAITING: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// How long a descriptor of this process, such as a pipe on standard input, has to come to its end.
const PIPE_TIME_MAX: Duration = Duration::from_secs(30);

/// Where a system shows a process the descriptors that it was started with.
const OWN_DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// The bytes of a file, of which there may be `most`. Blocks.
///
/// # Errors
/// When it cannot be opened or read, is longer, or is nothing that is read: half a sentence, without the path.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(WITHOUT_WAITING).open(path)?;
    let found = file.metadata()?;
    let kind = found.file_type();
    if kind.is_file() {
        to_the_end(&file, most, PIPE_TIME_MAX)
    } else if kind.is_dir() {
        Err(Errno::ISDIR.into())
    } else if OWN_DESCRIPTORS.iter().any(|own| path.starts_with(own)) {
        once(&file, &found, most)
    } else {
        let what = name_of(kind);
        Err(invalid(format!("it is {what}, and only regular files are read, and /dev/stdin")))
    }
}

/// The same as text.
///
/// # Errors
/// As [`read`], and `InvalidData` when it is not UTF-8.
pub fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(read(path, most)?).map_err(not_text)
}

/// A file to append to, made if it is not there. A write that would have to wait, which no regular file has, is
/// refused with `WouldBlock`.
///
/// # Errors
/// When it cannot be opened, or is nothing that lines can be appended to.
pub fn append(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).custom_flags(WITHOUT_WAITING).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // Of a FIFO, and of a socket.
        Some(code) if code == Errno::NXIO.raw_os_error() => io::Error::new(
            error.kind(),
            "nothing reads from it: start its reader first, or name a regular file",
        ),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_fifo() || kind.is_char_device() {
        return Ok(file);
    }
    Err(invalid(format!("it is {}, to which no lines are appended: name a regular file", name_of(kind))))
}

/// Reads until the end, which has to come within `patience` where reading has to wait.
fn to_the_end(file: &File, most: usize, patience: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut bytes = Vec::new();
    loop {
        // One more than there may be, to see that there are more.
        let room = (most + 1).saturating_sub(bytes.len()) as u64;
        match { file }.take(room).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() > most => return Err(too_long(most)),
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_more(file, deadline, patience)?,
            Err(error) => return Err(error),
        }
    }
}

fn wait_for_more(file: &File, deadline: Instant, patience: Duration) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("it did not come to its end within {patience:?}"),
        ));
    }
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor that was read: a pipe gives its bytes once, and a configuration is read again at every
/// reload. They belong to the process, as descriptors do.
#[derive(Clone)]
struct Remembered {
    /// Device and inode.
    file: (u64, u64),
    /// `None`: its end was not seen, and what is left of it is not the whole.
    bytes: Option<Arc<[u8]>>,
}

/// Found without a lock: a thread that runs only on idle cores might hold that for long.
static READ_BEFORE: ArcSwapOption<Vec<Remembered>> = ArcSwapOption::const_empty();

/// Held while a descriptor is read for the first time: two readers would share between them what it gives.
static READING: Mutex<()> = Mutex::new(());

/// Reads a descriptor that was not read before, or what is remembered of it.
fn once(file: &File, found: &Metadata, most: usize) -> io::Result<Vec<u8>> {
    let id = (found.dev(), found.ino());
    let again = || {
        let before = READ_BEFORE.load();
        let known = before.as_deref()?.iter().find(|one| one.file == id)?;
        Some(known.bytes.as_deref().map(<[u8]>::to_vec))
    };
    if let Some(known) = again() {
        return remembered(known, most);
    }
    let reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = again() {
        return remembered(known, most);
    }
    let read = to_the_end(file, most, PIPE_TIME_MAX);
    let bytes = read.as_deref().ok().map(Arc::from);
    READ_BEFORE.rcu(|before| {
        let before = before.iter().flat_map(|before| before.iter().cloned());
        Some(Arc::new(before.chain([Remembered { file: id, bytes: bytes.clone() }]).collect::<Vec<_>>()))
    });
    drop(reading);
    read
}

fn remembered(known: Option<Vec<u8>>, most: usize) -> io::Result<Vec<u8>> {
    match known {
        Some(bytes) if bytes.len() > most => Err(too_long(most)),
        Some(bytes) => Ok(bytes),
        None => Err(invalid("it was not read to its end before, and gives its bytes only once".into())),
    }
}

fn too_long(most: usize) -> io::Error {
    let most = if most < 1 << 20 { format!("{}KiB", most >> 10) } else { format!("{}MiB", most >> 20) };
    io::Error::new(
        ErrorKind::FileTooLarge,
        format!("it is longer than {most}, and no more is read of such a file"),
    )
}

fn invalid(why: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, why)
}

fn name_of(kind: FileType) -> &'static str {
    match () {
        () if kind.is_fifo() => "a FIFO",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () if kind.is_socket() => "a socket",
        () => "no regular file",
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::os::fd::AsRawFd;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// Only a failing test ever waits for it.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// What `work` gives; a thread that waits for ever is left behind.
    fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        thread::spawn(move || done.send(work()));
        result.recv_timeout(DEADLINE).expect("it waits for something")
    }

    fn fifo(dir: &tempfile::TempDir) -> std::path::PathBuf {
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn a_fifo_and_a_device_are_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let why = in_time(move || read(&path, 10)).unwrap_err().to_string();
        assert!(why.starts_with("it is a FIFO"), "{why}");
        let why = in_time(|| read(Path::new("/dev/zero"), 10)).unwrap_err().to_string();
        assert!(why.starts_with("it is a device"), "{why}");
        assert_eq!(read(dir.path(), 10).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [b'x'; 2048]).unwrap();
        assert_eq!(read(&path, 2048).unwrap().len(), 2048);
        let why = read(&path, 1024).unwrap_err().to_string();
        assert!(why.starts_with("it is longer than 1KiB"), "{why}");
    }

    #[test]
    fn a_descriptor_is_read_to_its_end_and_remembered() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let again = path.clone();
        let first = thread::spawn(move || read(Path::new(&path), 100));
        writer.write_all(b"first, ").unwrap();
        thread::yield_now();
        writer.write_all(b"then the rest").unwrap();
        drop(writer);
        let second = thread::spawn({
            let again = again.clone();
            move || read(Path::new(&again), 100)
        });
        for thread in [first, second] {
            assert_eq!(thread.join().unwrap().unwrap(), b"first, then the rest");
        }
        assert_eq!(read(Path::new(&again), 10).unwrap_err().kind(), ErrorKind::FileTooLarge);
        drop(reader);
    }

    #[test]
    fn a_descriptor_without_an_end_is_given_up_and_its_rest_is_not_taken_for_the_whole() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let file = OpenOptions::new().read(true).custom_flags(WITHOUT_WAITING).open(&path).unwrap();
        let late = to_the_end(&file, 100, Duration::from_millis(10)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        writer.write_all(&[b'x'; 200]).unwrap();
        assert_eq!(read(Path::new(&path), 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
        drop(writer);
        let why = read(Path::new(&path), 100).unwrap_err().to_string();
        assert!(why.starts_with("it was not read to its end"), "{why}");
    }

    #[test]
    fn to_append_to_a_fifo_waits_for_no_reader() {
        let dir = tempfile::tempdir().unwrap();
        let path = fifo(&dir);
        let named = path.clone();
        let why = in_time(move || append(&named)).unwrap_err().to_string();
        assert!(why.starts_with("nothing reads from it"), "{why}");
        let reader = OpenOptions::new().read(true).custom_flags(WITHOUT_WAITING).open(&path).unwrap();
        append(&path).unwrap().write_all(b"line\n").unwrap();
        let mut text = String::new();
        BufReader::new(reader).read_to_string(&mut text).unwrap();
        assert_eq!(text, "line\n");
        append(Path::new("/dev/null")).unwrap().write_all(b"line\n").unwrap();
        assert!(append(dir.path()).is_err());
    }
}
