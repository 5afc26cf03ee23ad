//! A folder of its own, in which the real program runs to its end.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder in which the program runs with an empty environment.
pub struct Place(TempDir);

impl Place {
    /// Creates a folder with these files, each a name and a text.
    pub fn with(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        place
    }

    /// The folder's path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The program with the arguments of `line`, in an empty environment.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
        command.args(line.split_whitespace()).current_dir(self.path()).stdin(Stdio::null()).env_clear();
        command
    }

    /// Runs the program to its end.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ended {
        self.run_with(line, &[])
    }

    /// Runs the program to its end with these variables.
    #[track_caller]
    pub fn run_with(&self, line: &str, environment: &[(&str, &str)]) -> Ended {
        Ended::from(self.command(line).envs(environment.iter().copied()).output().unwrap())
    }
}

/// The end of the program and its output.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().expect("not killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Fails unless the program ended with `code` and an empty standard output.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:?}");
        self.err
    }

    /// Fails unless the program ended with 0 and an empty standard error.
    #[track_caller]
    pub fn fine(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }
}
