//! Opening files that a configuration names. No other module opens any, which `tests/tidy.rs` checks, but for
//! `file_server`, which opens those that requests name.
//!
//! A path in a configuration may lead to anything. Opening a FIFO waits for its other end, and a device may
//! have no end. So a file is opened without waiting (`O_NONBLOCK`), then checked (`fstat`), and read up to a
//! limit:
//!
//! | | read | appended to |
//! |---|---|---|
//! | regular file | yes | yes |
//! | descriptor of this process: `/dev/stdin`, `/dev/fd/N` | once, and remembered | depends on its kind |
//! | FIFO, character device | no | yes, if it need not wait |
//! | anything else | no | no |
//!
//! A network file system may hang all the same. So no function here is called on the thread of an executor.
//! Callers that must not hang give up after a while.

use std::fs::{File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Access, FlockOperation, OFlags, access, flock};
use rustix::io::Errno;

/// Flags to open without waiting for the other end of a FIFO or for a modem line. No terminal becomes that of
/// this process.
const WITHOUT_WAITING: i32 = OFlags::NONBLOCK.union(OFlags::NOCTTY).bits().cast_signed();

/// How long a descriptor of this process, such as a pipe on standard input, may take to end.
const PIPE_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a regular file may take to end if a read of it would wait. That happens only in file systems of the
/// kernel: `/proc/kmsg` is a regular file and has no end.
const FILE_TIME_MAX: Duration = Duration::from_secs(2);

/// Paths under which a system shows a process its own descriptors.
const OWN_DESCRIPTORS: [&str; 3] = ["/dev/stdin", "/dev/fd", "/proc/self/fd"];

/// Reads the bytes of a file, at most `most`. Blocks.
///
/// # Errors
/// If the file cannot be opened or read, is longer, or is of a kind that is not read. The text is half a
/// sentence, without the path.
pub fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(WITHOUT_WAITING).open(path)?;
    let found = file.metadata()?;
    let kind = found.file_type();
    if kind.is_file() {
        to_the_end(&file, most, FILE_TIME_MAX)
    } else if kind.is_dir() {
        Err(Errno::ISDIR.into())
    } else if OWN_DESCRIPTORS.iter().any(|own| path.starts_with(own)) {
        once(&file, &found, most)
    } else {
        let what = name_of(kind);
        Err(invalid(format!("it is {what}, and only regular files are read, and /dev/stdin")))
    }
}

/// Reads the text of a file, at most `most` bytes. Blocks.
///
/// # Errors
/// As [`read`], and `InvalidData` if the file is not UTF-8.
pub fn read_text(path: &Path, most: usize) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(read(path, most)?).map_err(not_text)
}

/// Opens a file to append to, and creates it if it does not exist. A write that would have to wait, which
/// never happens on a regular file, fails with `WouldBlock`.
///
/// # Errors
/// If the file cannot be opened, or is of a kind to which lines cannot be appended.
pub fn append(path: &Path) -> io::Result<File> {
    let opened = OpenOptions::new().append(true).create(true).custom_flags(WITHOUT_WAITING).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // The error of a FIFO without a reader, and of a socket.
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

/// Whether [`append`] could open the file. Creates nothing, and opens no FIFO, whose reader would notice.
///
/// # Errors
/// As [`append`].
pub fn may_append(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() => Ok(()),
        Ok(_) => append(path).map(drop),
        Err(error) if error.kind() == ErrorKind::NotFound => may_create(path),
        Err(error) => Err(error),
    }
}

/// Whether a file could be created in the folder of `path`.
///
/// # Errors
/// If the folder does not exist, or may not be written to.
pub fn may_create(path: &Path) -> io::Result<()> {
    Ok(access(folder_of(path), Access::WRITE_OK | Access::EXEC_OK)?)
}

/// The folder of a path. That of a name alone is the working directory.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file that only this user may read, and waits until it is on the disk. An existing file is replaced as
/// a whole: a reader finds the old bytes or the new ones. Blocks.
///
/// # Errors
/// If the folder cannot be written to, or is full. Then the old file is as it was.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().ok_or_else(|| invalid("it has no name".into()))?);
    name.push(".new");
    let new = path.with_file_name(name);
    let written = private(&new).and_then(|mut file| {
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&new, path)).inspect_err(|_| drop(std::fs::remove_file(&new)))?;
    sync_folder(folder_of(path))
}

/// Opens a file that only this user may read, and holds it alone until it is dropped. Blocks, and does not wait.
///
/// # Errors
/// `WouldBlock` if another process holds it.
pub fn hold(path: &Path) -> io::Result<File> {
    let file = private(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Waits until the names in a folder are on the disk. Blocks.
///
/// # Errors
/// If the folder cannot be opened.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens a file to write, with the mode 0600, also if it was there with another one.
fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(WITHOUT_WAITING | OFlags::NOFOLLOW.bits().cast_signed()).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Reads to the end. If reading has to wait, the end must come within `timeout`.
fn to_the_end(file: &File, most: usize, timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    let mut bytes = Vec::new();
    loop {
        // Read one byte more than allowed, to notice a file that is too long.
        let room = (most + 1).saturating_sub(bytes.len()) as u64;
        match { file }.take(room).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() > most => return Err(too_long(most)),
            Ok(_) => return Ok(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for_more(file, deadline, timeout)?,
            Err(error) => return Err(error),
        }
    }
}

fn wait_for_more(file: &File, deadline: Instant, timeout: Duration) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::Error::new(
            ErrorKind::TimedOut,
            format!("it did not come to its end within {timeout:?}"),
        ));
    }
    let left = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&left)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The content of a descriptor that was read. A pipe gives its bytes once, but a configuration is read again
/// at every reload. The content belongs to the process, as descriptors do.
#[derive(Clone)]
struct Remembered {
    /// Device and inode.
    file: (u64, u64),
    /// The bytes, or the reason why the end was not reached. Then the rest is not the whole.
    outcome: Result<Arc<[u8]>, (ErrorKind, Arc<str>)>,
}

/// The descriptors that were read. They are found without a lock, because a thread that runs only on idle
/// cores might hold one for long.
static READ_BEFORE: ArcSwapOption<Vec<Remembered>> = ArcSwapOption::const_empty();

/// Held while a descriptor is read for the first time. Without it, each of two readers would get a part of
/// the bytes.
static READING: Mutex<()> = Mutex::new(());

/// Reads a descriptor for the first time, or returns its remembered bytes.
fn once(file: &File, found: &Metadata, most: usize) -> io::Result<Vec<u8>> {
    let id = (found.dev(), found.ino());
    let again = || {
        let before = READ_BEFORE.load();
        let known = before.as_deref()?.iter().find(|one| one.file == id)?;
        Some(match &known.outcome {
            Ok(bytes) if bytes.len() > most => Err(too_long(most)),
            Ok(bytes) => Ok(bytes.to_vec()),
            Err((kind, why)) => Err(io::Error::new(*kind, &**why)),
        })
    };
    if let Some(known) = again() {
        return known;
    }
    let reading = READING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = again() {
        return known;
    }
    let read = to_the_end(file, most, PIPE_TIME_MAX);
    let outcome = match &read {
        Ok(bytes) => Ok(Arc::from(&**bytes)),
        Err(error) => Err((error.kind(), Arc::from(error.to_string()))),
    };
    READ_BEFORE.rcu(|before| {
        let before = before.iter().flat_map(|before| before.iter().cloned());
        Some(Arc::new(before.chain([Remembered { file: id, outcome: outcome.clone() }]).collect::<Vec<_>>()))
    });
    drop(reading);
    read
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

    /// The time limit of a test. Only a failing test waits for it.
    const DEADLINE: Duration = Duration::from_secs(20);

    /// Returns the result of `work`. A thread that waits for ever is left behind.
    fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        thread::spawn(move || done.send(work()));
        result.recv_timeout(DEADLINE).expect("`work` waits and does not return")
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
        assert_eq!(read(Path::new(&path), 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn appending_to_a_fifo_does_not_wait_for_a_reader() {
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
