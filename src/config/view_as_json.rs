//! The view of a plan as JSON.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Number, Value as Json};

use super::diagnostics::Report;
use super::plan::Plan;
use super::syntax::{Node, Value, yaml};
use super::view::view;

/// The whole configuration as JSON, with all defaults and without its secrets: what [`view`] writes as YAML.
pub fn view_as_json(plan: &Plan) -> Json {
    let (text, mut report) = (view(plan), Report::default());
    let file = report.add_file(Path::new("view"), &Arc::from(text.as_str()));
    yaml::parse(&text, file, &mut report).map_or(Json::Null, |tree| json(&tree.root, &text))
}

fn json(node: &Node, text: &str) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::List(items) => items.iter().map(|item| json(item, text)).collect(),
        Value::Map(entries) => {
            Json::Object(entries.iter().map(|(key, node)| (key.value.clone(), json(node, text))).collect())
        }
        Value::Scalar(value) => {
            let is_quoted = text[node.span.start as usize..].starts_with(['"', '\'']);
            scalar(value).filter(|_| !is_quoted).unwrap_or_else(|| Json::from(value.as_str()))
        }
    }
}

/// A flag or a whole number.
fn scalar(text: &str) -> Option<Json> {
    match text {
        "true" => Some(true.into()),
        "false" => Some(false.into()),
        _ => text.parse::<u64>().ok().map(|number| Json::Number(Number::from(number))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MemoryInputs, load};

    #[test]
    fn it_is_the_view() {
        let text = "workers: 2\ninternal_api: { bind: \"127.0.0.1:1\", token: sesame }\n\
                    http_config: { port: 80 }\nhttp_routes: [{ name: \"1\", target: \"http://a\", pass_host: true }]\n";
        let plan = load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).unwrap().plan;
        let shown = view_as_json(&plan);
        assert_eq!(
            shown["internal_api"],
            serde_json::json!({ "bind": "127.0.0.1:1", "token": "[redacted]" })
        );
        let rule = &shown["listeners"][0]["rules"][0];
        assert_eq!(
            (&rule["name"], &rule["pass_host"], &shown["workers"]),
            (&"1".into(), &true.into(), &2.into())
        );
    }
}
