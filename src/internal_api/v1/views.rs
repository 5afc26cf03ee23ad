//! Views as locci-proxy has them.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::config::plan::{Mode, Plan};
use crate::internal_api::control::{Control, Phase};

/// The answer to `/api/v1`: the paths and their methods.
pub(super) fn list(paths: &[(&str, &str)]) -> String {
    let lines = paths.iter().map(|(path, methods)| json!({ "path": path, "methods": methods }).to_string());
    page(lines)
}

/// The answer to `/api/v1/status`.
pub(super) fn status(control: &dyn Control, phase: Phase) -> String {
    let plan = control.plan();
    let mode = plan.mode.map(|mode| match mode {
        Mode::LoadBalancer => "LoadBalancer",
        Mode::ApiGateway => "ApiGateway",
    });
    let status = if phase == Phase::Ready { "running" } else { phase.word() };
    let uptime = SystemTime::now().duration_since(control.started()).unwrap_or_default().as_secs();
    let status = json!({
        "status": status,
        "mode": mode,
        "lb_enabled": plan.mode == Some(Mode::LoadBalancer),
        "gateway_enabled": plan.mode == Some(Mode::ApiGateway),
        "version": env!("CARGO_PKG_VERSION"),
        "generation": control.generation(),
        "uptime_seconds": uptime,
    });
    format!("{status}\n")
}

/// The answer to `/api/v1/upstreams`: one upstream per line.
pub(super) fn upstreams(plan: &Plan) -> String {
    page(plan.upstreams.iter().map(|upstream| {
        let servers: Vec<Value> =
            upstream.targets.iter().map(|target| Value::from(target.to_string())).collect();
        json!({ "name": &*upstream.name, "servers": servers, "origin": upstream.origin.to_string() })
            .to_string()
    }))
}

/// A JSON array with one entry per line.
fn page(lines: impl Iterator<Item = String>) -> String {
    format!("[\n{}\n]\n", lines.collect::<Vec<_>>().join(",\n"))
}
