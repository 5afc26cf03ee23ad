//! Output of events: standard error, as text or as JSON lines.
//!
//! Events pass through a bounded queue like the access log, so that a blocked terminal or log collector
//! cannot stop a worker. Only `main` calls [`setup`], and once.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::plan::{LogFormat, LogLevel};
use crate::log::colours::no_colour;
use crate::log::hidden;
use crate::log::queue::{Output, Queue};
use crate::log::repeats;
use crate::log::text::TextFields;
use crate::metrics::Counters;

/// The longest wait of [`LogLevelHandle::flush`].
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// The sources of the level, in the order of precedence.
#[derive(Clone, Copy, Debug)]
pub struct LevelSources<'a> {
    /// `--log-level`.
    pub flag: Option<&'a str>,
    /// `RUST_LOG`, or else `LOG_LEVEL`: a level, or directives such as `smolgate=debug,info`.
    pub environment: Option<&'a str>,
    /// `log_level` of the file, or its default.
    pub file: LogLevel,
}

/// An unknown level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(String);

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LevelError {}

/// Changes the level while the gate runs. Flushes on request and on drop.
pub struct LogLevelHandle {
    filter: reload::Handle<Targets, Registry>,
    /// Whether a flag or the environment set the level. Then the level of the file does not matter.
    pinned: bool,
    queue: Queue,
}

impl fmt::Debug for LogLevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevelHandle").field("pinned", &self.pinned).finish_non_exhaustive()
    }
}

impl LogLevelHandle {
    /// Applies the level of a reloaded configuration, unless a flag or the environment set one.
    pub fn set(&self, level: LogLevel) {
        if !self.pinned {
            // Fails only if the subscriber is gone, and then there is nothing to filter.
            let _ = self.filter.reload(targets(directives(level)));
        }
    }

    /// Waits until all queued lines are written, at most [`FLUSH_TIME_MAX`], after the numbers of repeated lines
    /// that were left out. For the last line before the process ends.
    pub fn flush(&self) {
        repeats::write_all();
        self.queue.flush(FLUSH_TIME_MAX);
    }
}

impl Drop for LogLevelHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sends the events of the whole process to standard error. Colours appear only on a terminal, and not with
/// `NO_COLOR`. Lost lines are counted in `counters`.
///
/// # Errors
/// If the level of a flag or the environment is unknown, standard error cannot be used, or a subscriber is
/// set.
pub fn setup(
    format: LogFormat,
    level: LevelSources<'_>,
    counters: Arc<Counters>,
) -> Result<LogLevelHandle, Box<dyn std::error::Error + Send + Sync>> {
    let (filter, pinned) = choose(level)?;
    let dropped = move |lines| {
        counters.log_dropped().fetch_add(lines, Relaxed);
    };
    // An error of this queue has no place where it could be logged.
    let queue = Queue::start("log", Output::stderr()?, dropped, |_| {})?;
    let color = io::stderr().is_terminal() && !no_colour();
    let (filter, handle) = reload::Layer::new(filter);
    let lines = Lines(queue.clone());
    tracing_subscriber::registry().with(filter).with(layer(format, color, lines)).try_init()?;
    Ok(LogLevelHandle { filter: handle, pinned, queue })
}

/// Builds the layer that turns an event into a line.
fn layer<S, W>(format: LogFormat, color: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_span_events(FmtSpan::NONE);
    match format {
        LogFormat::Human => {
            layer.compact().fmt_fields(TextFields).with_target(false).with_ansi(color).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).with_target(false).with_ansi(false).boxed(),
    }
}

/// The filter, and whether a flag or the environment set it.
fn choose(level: LevelSources<'_>) -> Result<(Targets, bool), LevelError> {
    let set = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_string);
    let (from, text) = match (set(level.flag), set(level.environment)) {
        (Some(flag), _) => ("--log-level", flag),
        (None, Some(environment)) => ("RUST_LOG or LOG_LEVEL", environment),
        (None, None) => return Ok((targets(directives(level.file)), false)),
    };
    if let Some(level) = level_from_word(&text) {
        return Ok((targets(directives(level)), true));
    }
    let known = "trace, debug, info, warn or error, or directives such as smolgate=debug,info";
    // A bare word would be parsed as the name of a module, and nothing would be logged.
    let parsed = if text.contains('=') { text.parse::<Targets>().ok() } else { None };
    parsed
        .map(|filter| (with_ours(filter), true))
        .ok_or(LevelError(format!("{from}: {text:?} is not a level: {known}")))
}

/// The filter, with smolgate at `info` if all its directives are about other crates.
fn with_ours(filter: Targets) -> Targets {
    let is_ours = |target: &str| target.split("::").next() == Some("smolgate");
    let names_ours = filter.default_level().is_some() || filter.iter().any(|(target, _)| is_ours(target));
    if names_ours { filter } else { filter.with_target("smolgate", Level::INFO) }
}

fn targets(directives: &str) -> Targets {
    directives.parse().expect("invariant: the directives of each level parse")
}

fn level_from_word(text: &str) -> Option<LogLevel> {
    Some(match text.to_ascii_lowercase().as_str() {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        // A former name of `info`, for users of the project that this one follows.
        "info" | "log" => LogLevel::Info,
        "warn" | "warning" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => return None,
    })
}

/// The directives of a level. Below `info` only smolgate's own modules log, because libraries log every read.
fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "info,smolgate=trace",
        LogLevel::Debug => "info,smolgate=debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

/// Creates a writer per event.
struct Lines(Queue);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Receives one event with a single write.
struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(hidden::escape(bytes.to_vec()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn chosen(flag: Option<&str>, environment: Option<&str>) -> Result<(String, bool), LevelError> {
        let sources = LevelSources { flag, environment, file: LogLevel::Warn };
        choose(sources).map(|(filter, pinned)| (filter.to_string(), pinned))
    }

    #[test]
    fn flag_then_environment_then_file() {
        assert_eq!(chosen(Some("error"), Some("debug")).unwrap(), ("error".to_string(), true));
        assert_eq!(chosen(None, Some("LOG")).unwrap(), ("info".to_string(), true));
        assert_eq!(chosen(None, Some("  ")).unwrap(), ("warn".to_string(), false));
        let (filter, _) = chosen(None, Some("smolgate::proxy=trace,warn")).unwrap();
        assert!(filter.contains("smolgate::proxy=trace"), "{filter}");
    }

    #[test]
    fn directives_about_other_crates_leave_smolgate_at_info() {
        for (written, level) in [
            ("rustls=debug", Some("info")),
            ("rustls=debug,async_io=trace", Some("info")),
            ("smolgates=debug", Some("info")),
            ("rustls=debug,warn", None),
            ("rustls=debug,smolgate=error", Some("error")),
            ("smolgate::proxy=trace", None),
        ] {
            let (filter, pinned) = chosen(None, Some(written)).unwrap();
            let ours = filter.split(',').find_map(|directive| directive.strip_prefix("smolgate="));
            assert_eq!((ours, pinned), (level, true), "{written}: {filter}");
        }
    }

    #[test]
    fn an_unknown_level_is_an_error_that_names_its_source() {
        let error = chosen(Some("loud"), None).unwrap_err().to_string();
        assert!(error.starts_with("--log-level: \"loud\""), "{error}");
        assert!(chosen(None, Some("smolgate=loud")).unwrap_err().to_string().starts_with("RUST_LOG"));
    }

    #[derive(Clone, Default)]
    struct MemoryInputs(Arc<Mutex<Vec<u8>>>);

    impl Write for MemoryInputs {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, color: bool) -> String {
        let memory = MemoryInputs::default();
        let maker = memory.clone();
        let layer = layer(format, color, move || maker.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(rule = "api", reason = "connect_refused", detail = %"two words", "local reply");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_are_human_or_json() {
        let human = logged(LogFormat::Human, false);
        assert!(
            human.ends_with("WARN local reply rule=api reason=connect_refused detail=\"two words\"\n"),
            "{human}"
        );
        assert!(!human.contains('\x1b') && logged(LogFormat::Human, true).contains('\x1b'));
        let value: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, false)).unwrap();
        let [level, message, rule, detail] = ["level", "message", "rule", "detail"].map(|name| &value[name]);
        assert_eq!([level, message, rule, detail], ["WARN", "local reply", "api", "two words"]);
    }

    #[test]
    fn control_and_direction_characters_are_escaped() {
        let folder = tempfile::tempdir().unwrap();
        for format in [LogFormat::Human, LogFormat::Json] {
            let path = folder.path().join(format!("{format:?}"));
            let queue = Queue::start("test", Output::file(&path).unwrap(), |_| {}, |_| {}).unwrap();
            let subscriber = tracing_subscriber::registry().with(layer(format, false, Lines(queue.clone())));
            tracing::subscriber::with_default(subscriber, || {
                tracing::warn!(detail = %"\u{9b}31m\u{202e}", name = "\u{85}\u{2066}", "message \u{200f}");
            });
            assert!(queue.flush(Duration::from_secs(60)));
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.contains("message \\u200f") && text.contains("\\u202e"), "{text}");
            assert!(text.chars().all(|char| char == '\n' || (' '..='~').contains(&char)), "{text:?}");
        }
    }

    #[test]
    fn the_level_changes_while_running_unless_it_is_pinned() {
        let queue = Queue::start("test", Output::stderr().unwrap(), |_| {}, |_| {}).unwrap();
        for (pinned, expected) in [(false, "info,smolgate=debug"), (true, "warn")] {
            let (layer, filter) = reload::Layer::<Targets, Registry>::new(targets("warn"));
            let handle = LogLevelHandle { filter, pinned, queue: queue.clone() };
            handle.set(LogLevel::Debug);
            let now = handle.filter.with_current(|filter| filter.to_string()).unwrap();
            let parts =
                |text: &str| text.split(',').map(str::to_string).collect::<std::collections::BTreeSet<_>>();
            assert_eq!(parts(&now), parts(expected));
            drop(layer);
        }
    }
}
