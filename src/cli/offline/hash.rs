//! `hash`: makes the hash of a password.

use std::io::{self, IsTerminal, Read};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::auth;
use crate::cli::output;

/// Bytes of a password that are read at most.
const BYTES_MAX: u64 = 4_096;

/// Reads a password and prints its hash for `auth.basic`. A terminal does not show the password.
pub fn hash() -> ExitCode {
    let password = match read() {
        Ok(password) if password.is_empty() => {
            return output::failure(output::USAGE, "the password is empty: type it, or send it to the input");
        }
        Ok(password) => password,
        Err(error) => return output::failure(output::UNABLE, &format!("cannot read the password: {error}")),
    };
    match auth::hash(password.as_bytes()) {
        Some(hash) => output::result(&format!("{hash}\n")),
        None => {
            output::failure(output::UNABLE, "no hash: the program was built without `auth`, or has no memory")
        }
    }
}

/// One line of the input.
fn read() -> io::Result<String> {
    let stdin = io::stdin();
    let mut line = String::new();
    if !stdin.is_terminal() {
        stdin.take(BYTES_MAX).read_to_string(&mut line)?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    output::say("password: ");
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let read = stdin.read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &shown)?;
    output::say("\n");
    read.map(|_| line.trim_end_matches(['\n', '\r']).to_owned())
}
