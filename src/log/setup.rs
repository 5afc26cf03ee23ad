//! Where events go: standard error, as text for people or JSON lines.
//!
//! Events are written through the same bounded queue as the access log, so that a terminal or a log
//! collector that stands still cannot stop a worker. Called by `main` alone, and once.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::plan::{LogFormat, LogLevel};
use crate::log::hidden;
use crate::log::queue::{Output, Queue};
use crate::metrics::Counters;

/// How long [`LogLevelHandle::flush`] waits.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Where the level may come from, the first that is there.
#[derive(Clone, Copy, Debug)]
pub struct LevelSources<'a> {
    /// `--log-level`.
    pub flag: Option<&'a str>,
    /// `RUST_LOG`, or else `LOG_LEVEL`: a level, or directives such as `smolgate=debug,info`.
    pub environment: Option<&'a str>,
    /// `log_level` of the file, or its default.
    pub file: LogLevel,
}

/// A level that nobody understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelError(String);

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LevelError {}

/// Changes the level while the gate runs, and flushes. Dropping it flushes too.
pub struct LogLevelHandle {
    filter: reload::Handle<Targets, Registry>,
    /// Flag or environment said the level: what the file says later does not matter.
    pinned: bool,
    queue: Queue,
}

impl fmt::Debug for LogLevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLevelHandle").field("pinned", &self.pinned).finish_non_exhaustive()
    }
}

impl LogLevelHandle {
    /// Takes over the level of a configuration that was read again, unless flag or environment
    /// came before it.
    pub fn set(&self, level: LogLevel) {
        if !self.pinned {
            // Fails only if the subscriber is gone, and then there is nothing to filter.
            let _ = self.filter.reload(targets(directives(level)));
        }
    }

    /// Waits until what was logged is written, at most [`FLUSH_TIME_MAX`]. For the last line before
    /// the process ends by itself.
    pub fn flush(&self) {
        self.queue.flush(FLUSH_TIME_MAX);
    }
}

impl Drop for LogLevelHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sends events of the whole process to standard error from now on. Colours only on a terminal and
/// while `no_color` (the variable `NO_COLOR` is set and not empty) does not forbid them. Lost lines
/// are counted in `counters`.
///
/// # Errors
/// Flag or environment give a level that is none, standard error cannot be used, or a subscriber
/// is set already.
pub fn setup(
    format: LogFormat,
    level: LevelSources<'_>,
    no_color: bool,
    counters: Arc<Counters>,
) -> Result<LogLevelHandle, Box<dyn std::error::Error + Send + Sync>> {
    let (filter, pinned) = choose(level)?;
    let dropped = move |lines| {
        counters.log_dropped().fetch_add(lines, Relaxed);
    };
    // There is no other place to say that this one is gone.
    let queue = Queue::start("log", Output::stderr()?, dropped, |_| {})?;
    let color = io::stderr().is_terminal() && !no_color;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = Lines(queue.clone());
    tracing_subscriber::registry().with(filter).with(layer(format, color, lines)).try_init()?;
    Ok(LogLevelHandle { filter: handle, pinned, queue })
}

/// How an event becomes a line.
fn layer<S, W>(format: LogFormat, color: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_span_events(FmtSpan::NONE);
    match format {
        LogFormat::Human => layer.compact().with_target(false).with_ansi(color).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_target(false).with_ansi(false).boxed(),
    }
}

/// The filter, and whether flag or environment chose it.
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
    // A bare word would be taken for the name of a module, and nothing would be logged.
    let parsed = if text.contains('=') { text.parse::<Targets>().ok() } else { None };
    parsed.map(|filter| (filter, true)).ok_or(LevelError(format!("{from}: {text:?} is not a level: {known}")))
}

fn targets(directives: &str) -> Targets {
    directives.parse().expect("invariant: our own directives parse")
}

fn level_from_word(text: &str) -> Option<LogLevel> {
    Some(match text.to_ascii_lowercase().as_str() {
        "trace" => LogLevel::Trace,
        "debug" => LogLevel::Debug,
        // An old name, kept for those who come from the project this one follows.
        "info" | "log" => LogLevel::Info,
        "warn" | "warning" => LogLevel::Warn,
        "error" => LogLevel::Error,
        _ => return None,
    })
}

/// Below `info` only our own modules speak: what libraries say of every read is nobody's question.
fn directives(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "info,smolgate=trace",
        LogLevel::Debug => "info,smolgate=debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    }
}

/// Makes a writer per event.
struct Lines(Queue);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one event, which comes with a single write.
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
    fn what_is_no_level_is_an_error_that_names_its_source() {
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
            tracing::warn!(rule = "api", reason = "connect_refused", "own answer");
        });
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_for_people_and_for_machines() {
        let human = logged(LogFormat::Human, false);
        assert!(human.contains("WARN") && human.contains("reason=\"connect_refused\""), "{human}");
        assert!(!human.contains('\x1b') && logged(LogFormat::Human, true).contains('\x1b'));
        let value: serde_json::Value = serde_json::from_str(&logged(LogFormat::Json, false)).unwrap();
        assert_eq!(
            (&value["level"], &value["message"], &value["rule"]),
            (&"WARN".into(), &"own answer".into(), &"api".into())
        );
    }

    #[test]
    fn what_acts_on_its_reader_is_escaped() {
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
