//! `plugins` at the top of a file as written.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::{Spanned, quoted};
use crate::config::plan::{Plugin, PluginEnvironment, PluginSettings, PluginWritten};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, scalar};

/// One plugin, and the place of its name.
pub(crate) type PluginSource = Spanned<Plugin>;

/// `plugins:`, a mapping of names to plugins.
pub(super) fn plugins(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<PluginSource>> {
    let span = node.span;
    let Value::Map(entries) = node.value else {
        let hint = "write `NAME: { run: PROGRAM }`, and `plugins: NAME` on the rules that ask it";
        decoder.report.error_hint(span, "`plugins` is a mapping of names to plugins", hint);
        return None;
    };
    if !cfg!(feature = "plugins") {
        let message = "no plugin runs: this program was built without the feature `plugins`";
        decoder.report.error_hint(span, message, "leave `plugins` out, or build with it");
    }
    let mut plugins = Vec::new();
    for (key, node) in entries {
        match scalar::name(&key.value) {
            Ok(name) => {
                let value = plugin(decoder, node, name);
                plugins.extend(value.map(|value| Spanned { value, span: key.span }));
            }
            Err(error) => decoder.report.error(key.span, format!("{} {}", quoted(&key.value), error.problem)),
        }
    }
    Some(plugins)
}

/// `{ run, env }` and the settings.
fn plugin(decoder: &mut Decoder<'_>, node: Node, name: Arc<str>) -> Option<Plugin> {
    let mut fields = MappingReader::open(decoder, node, "a plugin")?;
    fields.require(&["run"]);
    let run = fields.field("run", |decoder, node| {
        let words = decoder.one_or_many(node, Decoder::text);
        let first = words.first()?;
        if first.text.is_empty() {
            decoder.report.error_hint(first.span, "`run` names no program", "write `run: ./plugins/auth`");
            return None;
        }
        // A name without a slash is looked up in `PATH`.
        let command = match first.text.contains('/') {
            true => with_slash(decoder.resolve(&first.text, first.span)),
            false => first.text.as_str().into(),
        };
        Some((command, words.into_iter().skip(1).map(|word| Arc::from(word.text)).collect::<Vec<_>>()))
    });
    let environment = fields.field("env", |decoder, node| Some(decoder.parsed_many(node, variable)));
    let settings = PluginSettings::default().with(&PluginWritten::read(&mut fields));
    fields.close();
    let names = environment.unwrap_or_default().into_iter().map(|name| name.value).collect::<Vec<_>>();
    let environment = match &names[..] {
        [all] if &**all == "all" => PluginEnvironment::All,
        _ => PluginEnvironment::Named(names),
    };
    let (command, arguments) = run?;
    Some(Plugin { name, command, arguments, environment, settings })
}

/// The path, which stays one if it is a name alone.
fn with_slash(path: PathBuf) -> PathBuf {
    if path.components().count() == 1 && path.is_relative() { PathBuf::from(".").join(path) } else { path }
}

/// The name of a variable, or `all`.
fn variable(text: &str) -> Result<Arc<str>, ValueError> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(is_name) {
        let hint = "write the names of variables that the plugin may see, or all";
        return Err(ValueError::hint("is not the name of a variable", hint));
    }
    Ok(text.into())
}
