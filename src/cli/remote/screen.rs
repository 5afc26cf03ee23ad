//! A terminal that shows one screen and gives single keys.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Stdin, Stdout, Write};
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
    /// Keys that came together with the one before.
    pending: VecDeque<Key>,
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
        let mut screen = Screen { stdin, stdout, pending: VecDeque::new() };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// Columns and lines.
    pub(super) fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(&self.stdout).map_or((0, 0), |size| (size.ws_col, size.ws_row));
        // A terminal that does not know its size says 0.
        let known = |size: u16, otherwise| if size == 0 { otherwise } else { usize::from(size) };
        (known(size.0, 80), known(size.1, 24).max(4))
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
        if self.pending.is_empty() && self.is_readable(left)? {
            let mut bytes = [0; 64];
            // Not by the buffer of `stdin`, of which `poll` knows nothing.
            let read = rustix::io::read(&self.stdin, &mut bytes)?;
            self.pending.extend(keys_of(&bytes[..read]));
        }
        Ok(self.pending.pop_front())
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

/// The keys of some bytes that came at once. None at all are the end of the input.
fn keys_of(bytes: &[u8]) -> Vec<Key> {
    if bytes.is_empty() {
        return vec![Key::End];
    }
    let text = String::from_utf8_lossy(bytes);
    let (mut keys, mut chars) = (Vec::new(), text.chars());
    while let Some(char) = chars.next() {
        keys.push(match char {
            '\x03' | '\x04' => Key::End,
            '\r' | '\n' => Key::Enter,
            '\x7f' | '\x08' => Key::Erase,
            '\x1b' => {
                // A sequence such as that of an arrow ends with a letter or a tilde (ECMA-48, section 5.4).
                let rest = chars.as_str();
                if rest.starts_with(['[', 'O']) {
                    let end =
                        rest[1..].find(|char| matches!(char, '@'..='~')).map_or(rest.len(), |at| at + 2);
                    chars = rest[end..].chars();
                }
                Key::Escape
            }
            '\0'..='\x1f' => Key::Escape,
            char => Key::Char(char),
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_keys() {
        for (bytes, keys) in [
            (&b""[..], &[Key::End][..]),
            (b"\x03", &[Key::End]),
            (b"/a\x7f\n", &[Key::Char('/'), Key::Char('a'), Key::Erase, Key::Enter]),
            (b"\x1b", &[Key::Escape]),
            (b"\x1b[Aq", &[Key::Escape, Key::Char('q')]),
            (b"\x1b[3~\x1bOPr", &[Key::Escape, Key::Escape, Key::Char('r')]),
            (b"\x1b[", &[Key::Escape]),
            ("\u{fc}".as_bytes(), &[Key::Char('\u{fc}')]),
            (b"\xff", &[Key::Char('\u{fffd}')]),
        ] {
            assert_eq!(keys_of(bytes), keys, "{bytes:?}");
        }
    }
}
