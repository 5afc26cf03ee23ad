//! `top`: a running gate as a table that is printed again each second.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::call::{ask, unexpected};
use super::sample::Sample;
use super::screen::{Key, Screen};
use super::tables::{self, View};
use crate::cli::output;
use crate::cli::words::Call;

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The longest wait for an answer.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Shows the gate until `q`. Without a terminal, prints one table and ends.
pub fn top(call: &Call) -> ExitCode {
    let first = match sample(call) {
        Ok(sample) => sample,
        Err(code) => return code,
    };
    if !Screen::is_there() {
        sleep(LOOK_EVERY);
        return match sample(call) {
            Ok(second) => {
                output::result(&tables::whole(&first, &second).join("\n").replace("\n\n\n", "\n\n"))
            }
            Err(code) => code,
        };
    }
    let screen = Screen::open();
    let ended = screen.map_err(|error| error.to_string()).and_then(|screen| show(call, screen, first));
    match ended {
        Ok(code) => code,
        Err(error) => output::failure(output::UNABLE, &format!("the terminal cannot be used: {error}")),
    }
}

/// The choice that keys have made.
#[derive(Default)]
struct Choice {
    view: View,
    by_rate: bool,
    filter: String,
    is_typing: bool,
}

impl Choice {
    /// Takes a key. Returns `false` if it ends the program.
    fn take(&mut self, key: Key) -> bool {
        match (key, self.is_typing) {
            (Key::End, _) | (Key::Char('q'), false) => return false,
            (Key::Char('/'), false) => (self.is_typing, self.filter) = (true, String::new()),
            (Key::Char(char), true) => self.filter.push(char),
            (Key::Erase, true) => _ = self.filter.pop(),
            (Key::Enter, true) => self.is_typing = false,
            (Key::Escape, _) => (self.is_typing, self.filter) = (false, String::new()),
            (Key::Char('s'), false) => self.by_rate ^= true,
            (Key::Char(char), false) => self.view = View::of_key(char).unwrap_or(self.view),
            (Key::Enter | Key::Erase, false) => {}
        }
        true
    }

    fn help(&self) -> String {
        match (self.is_typing, &*self.filter) {
            (true, filter) => format!("filter: {filter}_  (Enter, Esc)"),
            (false, "") => "a all  u upstreams  r rules  w why  s sort  / filter  q quit".to_owned(),
            (false, filter) => {
                format!("a all  u upstreams  r rules  w why  s sort  / filter: {filter}  q quit")
            }
        }
    }
}

fn show(call: &Call, mut screen: Screen, mut before: Sample) -> Result<ExitCode, String> {
    let (mut choice, mut now) = (Choice::default(), None::<Sample>);
    loop {
        let deadline = Instant::now() + LOOK_EVERY;
        loop {
            let size = screen.size();
            let current = now.as_ref().unwrap_or(&before);
            let mut lines = tables::lines(&before, current, choice.view, choice.by_rate, &choice.filter);
            lines.truncate(size.1.saturating_sub(1));
            lines.resize(size.1.saturating_sub(1), String::new());
            lines.push(choice.help());
            let lines: Vec<String> = lines.iter().map(|line| tables::cut(line, size.0)).collect();
            screen.show(&lines).map_err(|error| error.to_string())?;
            match screen.key(deadline).map_err(|error| error.to_string())? {
                None if Instant::now() >= deadline => break,
                Some(key) if !choice.take(key) => return Ok(ExitCode::SUCCESS),
                _ => {}
            }
        }
        if let Some(now) = now.take() {
            before = now;
        }
        match sample(call) {
            Ok(sample) => now = Some(sample),
            Err(code) => {
                drop(screen);
                // The error was lost with the screen.
                return Ok(sample_again(call, code));
            }
        }
    }
}

/// Asks once more, so that the error stands where it can be read.
fn sample_again(call: &Call, code: ExitCode) -> ExitCode {
    sample(call).err().unwrap_or(code)
}

fn sample(call: &Call) -> Result<Sample, ExitCode> {
    let (status, body) = ask(call, "/stats", TIME_MAX, output::UNABLE)?;
    match serde_json::from_str(&body) {
        Ok(sample) if status == 200 => Ok(sample),
        _ => Err(output::failure(output::UNABLE, &unexpected(status, &body))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_choose() {
        let mut choice = Choice::default();
        let mut press = |keys: &str| keys.chars().all(|key| choice.take(Key::Char(key)));
        assert!(press("us/rq") && !Choice::default().take(Key::Char('q')));
        assert_eq!((choice.view, choice.by_rate, &*choice.filter), (View::Upstreams, true, "rq"));
        assert!(choice.take(Key::Enter) && choice.take(Key::Char('w')));
        assert_eq!((choice.view, &*choice.filter), (View::Why, "rq"));
        assert!(choice.take(Key::Escape) && choice.filter.is_empty() && !choice.take(Key::End));
    }
}
