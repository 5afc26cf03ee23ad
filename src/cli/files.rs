//! The arguments that name files of the configuration.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::Format;
use crate::config::plan::Bind;
use crate::config::values::target;

/// The files of the configuration.
#[derive(Args, Clone, Debug, Default)]
pub struct Files {
    /// Configuration file or directory; may be given several times
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The files that the options of formats name.
    #[command(flatten)]
    pub named: NamedFiles,
    /// Format of the files of -c, instead of telling it by their keys
    #[arg(long, value_name = "KIND", value_parser = formats())]
    pub format: Option<Format>,
    /// Mode of a file that has modes, in the place of that in the file
    #[arg(long, value_name = "MODE", value_parser = MODES)]
    pub mode: Option<String>,
    /// Address of the listener `http`, in the place of that in the files
    #[arg(long, value_name = "ADDRESS", value_parser = bind)]
    pub bind: Option<Bind>,
}

/// Parses an address to listen on.
fn bind(text: &str) -> Result<Bind, String> {
    target::bind(text).map_err(|error| format!("it {}; {}", error.problem, error.hint.unwrap_or_default()))
}

/// The modes, and short words for them.
const MODES: [&str; 4] = ["lb", "gateway", "load_balancer", "api_gateway"];

impl Files {
    /// Whether no argument was given.
    pub(super) fn is_empty(&self) -> bool {
        let Files { files, named, format, mode, bind } = self;
        files.is_empty() && named.0.is_empty() && format.is_none() && mode.is_none() && bind.is_none()
    }

    /// Puts the arguments before the verb in front of those behind it.
    pub(super) fn follow(&mut self, before: Files) {
        self.files.splice(..0, before.files);
        self.named.0.splice(..0, before.named.0);
        self.format = self.format.or(before.format);
        self.mode = self.mode.take().or(before.mode);
        self.bind = self.bind.or(before.bind);
    }
}

/// The place of a file that stands by itself, at which this error came up.
pub(super) fn lone_file(error: &clap::Error, words: &[OsString]) -> Option<usize> {
    let unknown = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand].map(|kind| error.get(kind));
    let file = unknown.into_iter().flatten().find_map(|value| match value {
        ContextValue::String(text) if Format::suffixes().any(|end| text.ends_with(&format!(".{end}"))) => {
            Some(text)
        }
        _ => None,
    })?;
    let is_named = |word: &OsString| ["-c", "--config"].iter().any(|option| word == option);
    (1..words.len()).find(|at| words[*at] == **file && !is_named(&words[at - 1]))
}

/// Parses the name of a format.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::names().map(|(name, about)| PossibleValue::new(name).help(about));
    PossibleValuesParser::new(names).try_map(|name| Format::named(&name).ok_or("no such format"))
}

/// Files with the format whose option names them. Each format with an option has one here.
#[derive(Clone, Debug, Default)]
pub struct NamedFiles(pub(super) Vec<(Format, PathBuf)>);

impl Args for NamedFiles {
    fn augment_args(command: Command) -> Command {
        Format::options().fold(command, |command, (_, name, option)| {
            let argument = Arg::new(name).long(name).value_name("FILE").help(option.about);
            command.arg(argument.action(ArgAction::Append).value_parser(value_parser!(PathBuf)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        NamedFiles::augment_args(command)
    }
}

impl FromArgMatches for NamedFiles {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let files = |(format, name, _)| {
            let files = matches.get_many::<PathBuf>(name).into_iter().flatten();
            files.map(move |file| (format, file.clone()))
        };
        Ok(NamedFiles(Format::options().flat_map(files).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = NamedFiles::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The files that are read if no option names one, in words.
pub(super) fn default_files() -> String {
    let options = Format::options().map(|(_, name, option)| (format!("--{name}"), option.variables[0]));
    let options = std::iter::once(("-c".to_owned(), "CONFIG_FILE")).chain(options);
    let variables: String = options
        .map(|(option, variable)| format!("Without {option}, ${variable} names the files.\n"))
        .collect();
    let files: Vec<&str> = Format::default_files().map(|(_, file)| file).collect();
    let common: Vec<&str> = Format::common_files().collect();
    format!(
        "{variables}If no file is named, it is the first that exists of {}, or of {} with a key of a configuration.",
        files.join(", "),
        common.join(", ")
    )
}

/// Proxies whose files have a section in docs/migrate.md and no value of `--from`.
const UNTRANSLATED: [&str; 5] = ["nginx", "haproxy", "envoy", "apache", "caddyfile"];

/// Adds a tip to the error about files of such a proxy.
pub(super) fn with_tip(mut error: clap::Error) -> clap::Error {
    if let Some(ContextValue::String(text)) = error.get(ContextKind::InvalidValue)
        && UNTRANSLATED.contains(&text.to_lowercase().as_str())
    {
        let tip =
            "its files are not translated; docs/migrate.md of the project shows them and ours side by side";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        error.remove(ContextKind::SuggestedValue);
    }
    error
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::arguments::words;

    #[test]
    fn files_of_a_format_stand_where_files_stand() {
        for (format, name, _) in Format::options() {
            for line in ["--F a routes --F b", "adapt --F a --F b", "--F a --F b -t"] {
                let mut verb = words(&line.replace("--F", &format!("--{name}"))).unwrap();
                let named = &verb.files().unwrap().named.0;
                assert_eq!(named[..], ["a", "b"].map(|file| (format, Path::new(file).to_owned())), "{line}");
            }
            assert!(words(&format!("--{name} a version")).is_err());
        }
    }

    #[test]
    fn a_file_that_stands_by_itself_is_one_of_the_configuration() {
        for (line, files) in [
            ("a.yml", &["a.yml"][..]),
            ("check a.yml", &["a.yml"]),
            ("a.yml check", &["a.yml"]),
            ("routes -c b.yml a.yaml", &["b.yml", "a.yaml"]),
            ("validate conf.d/a.yml b.yml", &["conf.d/a.yml", "b.yml"]),
            ("run -c a.yml a.yml", &["a.yml", "a.yml"]),
            ("explain http://a/ a.yml", &["a.yml"]),
            ("--config a.yml a.yml", &["a.yml", "a.yml"]),
        ] {
            let named: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
            assert_eq!(words(line).unwrap().files().unwrap().files, named, "{line}");
        }
        for line in ["check other", "version a.yml", "chekc", "check --none a.yml"] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_format_is_known_by_its_name() {
        for (name, _) in Format::names() {
            let mut verb = words(&format!("-c a --format {name} explain http://a/")).unwrap();
            assert_eq!(verb.files().unwrap().format, Format::named(name));
        }
        assert!(words("-c a --format other check").is_err());
    }
}
