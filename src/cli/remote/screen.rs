//! A terminal that shows one screen and gives single keys.

use std::io::{self, IsTerminal, Read, Stdin, Stdout, Write};
use std::panic;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// Alternate screen, hidden cursor, no wrapping (xterm control sequences).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";

/// The way back.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The modes of the terminal before [`Screen::open`], for the guard and for a panic.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// A key of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A printable character.
    Char(char),
    /// Enter.
    Enter,
    /// Backspace.
    Erase,
    /// Escape, or a key that sends a sequence.
    Escape,
    /// Ctrl-C or Ctrl-D, or the end of the input.
    End,
}

/// A terminal in use. The one before comes back when it is dropped, and when the process panics.
pub(super) struct Screen {
    stdin: Stdin,
    stdout: Stdout,
}

impl Screen {
    /// Whether there is a terminal on both sides.
    pub(super) fn is_there() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot give single keys.
    pub(super) fn open() -> io::Result<Screen> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        // Signals stay off too, because a signal would leave the terminal as it is.
        raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        if let Ok(mut kept) = BEFORE.lock() {
            *kept = Some(before);
        }
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            restore();
            report(info);
        }));
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        let mut screen = Screen { stdin, stdout };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(&self.stdout).map_or((80, 24), |size| (size.ws_col, size.ws_row));
        (usize::from(size.0).max(20), usize::from(size.1).max(4))
    }

    /// Shows lines from the top, cut to the height. They must fit the width.
    pub(super) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let (_, height) = self.size();
        let text: Vec<String> = lines.iter().take(height).map(|line| format!("{line}\x1b[K")).collect();
        self.write(&format!("\x1b[H{}\x1b[J", text.join("\r\n")))
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.stdout.write_all(text.as_bytes())?;
        self.stdout.flush()
    }

    /// Waits for a key until `deadline`. `None`: there was none.
    pub(super) fn key(&mut self, deadline: Instant) -> io::Result<Option<Key>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.is_readable(left)? {
            return Ok(None);
        }
        let mut bytes = [0; 64];
        let read = self.stdin.lock().read(&mut bytes)?;
        Ok(Some(key_of(&bytes[..read])))
    }

    fn is_readable(&self, limit: Duration) -> io::Result<bool> {
        let limit = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: limit.subsec_nanos().into() };
        let mut ready = [PollFd::new(&self.stdin, PollFlags::IN)];
        match poll(&mut ready, Some(&limit)) {
            Ok(count) => Ok(count > 0),
            // A change of the size of the window.
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back as it was. A second call does nothing.
fn restore() {
    let Some(before) = BEFORE.lock().ok().and_then(|mut before| before.take()) else { return };
    let mut stdout = io::stdout();
    let _ = stdout.write_all(LEAVE.as_bytes()).and_then(|()| stdout.flush());
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
}

fn key_of(bytes: &[u8]) -> Key {
    match bytes {
        [] | [0x03 | 0x04, ..] => Key::End,
        [b'\r' | b'\n', ..] => Key::Enter,
        [0x7f | 0x08, ..] => Key::Erase,
        [0..=0x1f, ..] => Key::Escape,
        _ => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.chars().next())
            .map_or(Key::Escape, Key::Char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        for (bytes, key) in [
            (&b""[..], Key::End),
            (b"\x03", Key::End),
            (b"\n", Key::Enter),
            (b"\x7f", Key::Erase),
            (b"\x1b[A", Key::Escape),
            (b"q", Key::Char('q')),
            ("ü".as_bytes(), Key::Char('ü')),
            (b"\xff", Key::Escape),
        ] {
            assert_eq!(key_of(bytes), key, "{bytes:?}");
        }
    }
}
