//! The dashboard in `config/grafana` and the alerts in `config/prometheus`: each metric and each label in them exists, and
//! each alert has a test. `tests/monitoring.sh` asks `promtool` whether the expressions can be evaluated.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::reference::metrics;
use crate::tables::page;

/// Labels that Prometheus adds, the bound of a bucket, and the label that the dashboard makes of `code`.
const ADDED: [&str; 4] = ["instance", "job", "le", "class"];

const DASHBOARD: &str = "config/grafana/smolgate.json";
const ALERTS: &str = "config/prometheus/alerts.yml";

fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&page(ALERTS)).expect("YAML");
    file["groups"].as_array().expect("groups")[0]["rules"].as_array().expect("rules").clone()
}

fn dashboard() -> Value {
    serde_json::from_str(&page(DASHBOARD)).expect("JSON")
}

/// Every text below a key of that name.
fn texts(value: &Value, key: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let below = fields.iter().flat_map(|(name, field)| match field {
                Value::String(text) if name == key => vec![text.clone()],
                field => texts(field, key),
            });
            below.collect()
        }
        Value::Array(items) => items.iter().flat_map(|item| texts(item, key)).collect(),
        _ => Vec::new(),
    }
}

/// The words of an expression, each with the character behind it. Values in quotes are no words.
fn words(expression: &str) -> Vec<(&str, char)> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let unquoted = expression.split('"').step_by(2);
    unquoted
        .flat_map(|part| {
            let starts = part.char_indices().filter(move |(at, char)| {
                is_word(*char) && !part[..*at].ends_with(|before| is_word(before) || before == '$')
            });
            starts.map(move |(at, _)| {
                let end = part[at..].find(|char| !is_word(char)).map_or(part.len(), |length| at + length);
                (&part[at..end], part[end..].trim_start().chars().next().unwrap_or(' '))
            })
        })
        .collect()
}

/// The metrics of an expression, and the labels that it selects or groups by.
fn used(expression: &str) -> (BTreeSet<&str>, BTreeSet<String>) {
    let ours = ["smolgate_", "process_", "tcp_", "http_"];
    let words = words(expression);
    let metrics =
        words.iter().map(|(word, _)| *word).filter(|word| ours.iter().any(|name| word.starts_with(name)));
    let selected = words.iter().filter(|(_, next)| matches!(next, '=' | '!')).map(|(word, _)| *word);
    // `> 0` and `== 0` compare numbers, so a word before them is a function or a metric.
    let selected = selected.filter(|word| !ours.iter().any(|name| word.starts_with(name)));
    let grouped = expression.split(" by (").skip(1).filter_map(|rest| rest.split(')').next());
    let grouped = grouped.flat_map(|labels| labels.split(','));
    let labels = selected.chain(grouped).map(|label| label.trim().to_owned());
    (metrics.collect(), labels.collect())
}

/// Fails if a metric or a label of the expression does not exist. Returns the metrics, and the labels that its result may have.
fn check(expression: &str, known: &BTreeMap<String, (String, BTreeSet<String>)>) -> BTreeSet<String> {
    let (metrics, labels) = used(expression);
    let mut possible: BTreeSet<String> = ADDED.map(str::to_owned).into();
    for name in &metrics {
        let of_histogram = ["_bucket", "_count", "_sum"].iter().filter_map(|part| name.strip_suffix(part));
        let of_histogram =
            of_histogram.filter_map(|name| known.get(name)).find(|(kind, _)| kind == "histogram");
        let (_, labels) =
            known.get(*name).or(of_histogram).unwrap_or_else(|| panic!("no metric is {name}: {expression}"));
        possible.extend(labels.iter().cloned());
    }
    let unknown: Vec<_> = labels.difference(&possible).collect();
    assert!(unknown.is_empty(), "no label is {unknown:?}: {expression}");
    possible
}

/// The labels that a text shows: `{{upstream}}` in a legend, `{{ $labels.upstream }}` in an alert.
fn shown(text: &str) -> BTreeSet<String> {
    let inside = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    let names = inside.map(|inside| inside.trim().trim_start_matches("$labels."));
    names.filter(|name| !name.starts_with("$value")).map(str::to_owned).collect()
}

#[test]
fn metrics_and_labels_of_the_dashboard_exist() {
    let (known, dashboard) = (metrics(), dashboard());
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut expressions = 0;
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let expression = target["expr"].as_str().expect("an expression");
        let possible = check(expression, &known);
        let legend = shown(target["legendFormat"].as_str().expect("a legend"));
        assert!(legend.is_subset(&possible), "{legend:?} of {expression}");
        expressions += 1;
    }
    for expression in texts(&dashboard["annotations"], "expr") {
        check(&expression, &known);
    }
    for query in texts(&dashboard["templating"], "query") {
        let Some((metric, label)) = query
            .strip_prefix("label_values(")
            .and_then(|inside| inside.strip_suffix(')')?.rsplit_once(", "))
        else {
            continue;
        };
        assert!(check(metric, &known).contains(label), "{query}");
        expressions += 1;
    }
    assert!(expressions > 30, "{expressions}");
}

/// A panel that lies over another one is not seen.
#[test]
fn panels_of_the_dashboard_have_places_of_their_own() {
    let dashboard = dashboard();
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        let title = panel["title"].as_str().expect("a title");
        assert!(ids.insert(panel["id"].as_u64()), "{title} has the number of another one");
        let [x, y, width, height] =
            ["x", "y", "w", "h"].map(|side| panel["gridPos"][side].as_u64().expect("a number"));
        assert!(x + width <= 24, "{title} is too wide");
        let place = (x..x + width).flat_map(|column| (y..y + height).map(move |line| (column, line)));
        place.for_each(|cell| assert!(cells.insert(cell), "{title} lies over another panel"));
    }
}

#[test]
fn metrics_and_labels_of_the_alerts_exist() {
    let known = metrics();
    for alert in alerts() {
        let (name, expression) = (&alert["alert"], alert["expr"].as_str().expect("an expression"));
        let possible = check(expression, &known);
        assert!(expression.starts_with("up{") || !used(expression).0.is_empty(), "{name}");
        for text in
            texts(&alert["annotations"], "summary").iter().chain(&texts(&alert["annotations"], "description"))
        {
            assert!(shown(text).is_subset(&possible), "{name}: {text}");
        }
        assert!(
            ["critical", "warning"].contains(&alert["labels"]["severity"].as_str().expect("a severity")),
            "{name}"
        );
    }
}

#[test]
fn each_alert_has_a_test_in_which_it_fires() {
    let file: Value = serde_saphyr::from_str(&page("config/prometheus/alerts_test.yml")).expect("YAML");
    let tests = file["tests"].as_array().expect("tests").iter();
    let tests = tests.flat_map(|test| test["alert_rule_test"].as_array().expect("tests of alerts"));
    let firing = tests.filter(|test| !test["exp_alerts"].as_array().expect("alerts").is_empty());
    let firing: BTreeSet<&str> = firing.filter_map(|test| test["alertname"].as_str()).collect();
    let alerts = alerts();
    let alerts: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert["alert"].as_str()).collect();
    assert!(alerts.len() > 10 && firing == alerts, "{firing:?} {alerts:?}");
}

#[test]
fn words_of_an_expression_are_found() {
    let (metrics, labels) =
        used("sum by (a, b) (rate(smolgate_x{c=~\"d\", e!=\"$f\"}[$__rate_interval])) == 0");
    assert_eq!(metrics, BTreeSet::from(["smolgate_x"]));
    assert_eq!(labels, ["a", "b", "c", "e"].map(str::to_owned).into());
    assert_eq!(shown("{{ $labels.a }} {{b}} {{ $value | humanize }}"), ["a", "b"].map(str::to_owned).into());
}
