//! The metrics that locci-proxy has, under its names.

use std::fmt::{Display, Write};

use crate::config::plan::Mode;
use crate::internal_api::control::Control;
use crate::reason::Reason;

/// Bounds of the histogram in milliseconds, and as text.
const BOUNDS: [(u64, &str); 10] = [
    (1, "0.001"),
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (250, "0.25"),
    (500, "0.5"),
    (1_000, "1"),
    (5_000, "5"),
];

/// The four families. Empty if the configuration has no mode.
pub(super) fn metrics(control: &dyn Control) -> String {
    let mode = match control.plan().mode {
        Some(Mode::LoadBalancer) => "lb",
        Some(Mode::ApiGateway) => "gateway",
        None => return String::new(),
    };
    let mut page = Page { text: String::new(), mode };
    let counters = control.counters();
    page.family("locci_requests_total", "counter", "Exchanges of routes, by upstream and status.");
    for ((upstream, status), count) in counters.exchanges() {
        let status = if status == 0 { "other".to_owned() } else { status.to_string() };
        page.sample("locci_requests_total", &[("upstream", &upstream), ("status", &status)], count);
    }
    page.family(
        "locci_request_duration_seconds",
        "histogram",
        "From the end of a request to the head of its response.",
    );
    for (upstream, times) in counters.response_times() {
        for (millis, bound) in BOUNDS {
            let labels = [("upstream", &*upstream), ("le", bound)];
            page.sample("locci_request_duration_seconds_bucket", &labels, times.within(millis));
        }
        let labels = [("upstream", &*upstream), ("le", "+Inf")];
        page.sample("locci_request_duration_seconds_bucket", &labels, times.count());
        page.sample("locci_request_duration_seconds_sum", &labels[..1], times.seconds());
        page.sample("locci_request_duration_seconds_count", &labels[..1], times.count());
    }
    page.family("locci_upstream_health", "gauge", "1 if the server gets requests.");
    for endpoint in control.endpoints() {
        let labels = [("upstream", &*endpoint.upstream), ("server", &*endpoint.target)];
        page.line("locci_upstream_health", &labels, u8::from(endpoint.state == "up"));
    }
    page.family("locci_errors_total", "counter", "Requests without a response of a server.");
    let errors = counters.local_replies(is_error);
    page.sample("locci_errors_total", &[("error_type", "upstream_error")], errors);
    page.text
}

/// Whether locci-proxy counts an error: no route, or no response of a server.
fn is_error(reason: Reason) -> bool {
    reason == Reason::NoRule || matches!(reason.status(), 502..=504) && reason != Reason::ShuttingDown
}

struct Page {
    text: String,
    mode: &'static str,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
            .expect("invariant: a String takes every write");
    }

    /// A line with the label `mode` and others.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.line(name, &[&[("mode", self.mode)], labels].concat(), value);
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let label = |(label, value): &(&str, &str)| format!("{label}=\"{}\"", escaped(value));
        let labels: Vec<String> = labels.iter().map(label).collect();
        writeln!(self.text, "{name}{{{}}} {value}", labels.join(","))
            .expect("invariant: a String takes every write");
    }
}
