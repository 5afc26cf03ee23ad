//! `routes`: prints every rule in the order in which it is tried, one per line.

use std::process::ExitCode;

use super::url::binds;
use crate::cli::configuration;
use crate::cli::files::Files;
use crate::cli::output;
use crate::config::plan::{
    Action, HostPattern, HttpListener, Pass, Plan, Protocol, Proxy, Redirect, Respond, Rule, Upstream,
    UpstreamId, steps,
};

/// Prints the rules of every listener as a table, and in a second one the steps before them.
pub fn routes(files: &Files) -> ExitCode {
    match configuration::read_described(files).map(|described| described.plan) {
        Err(code) => code,
        Ok(plan) => output::result(&table(&plan)),
    }
}

fn table(plan: &Plan) -> String {
    let heading = ["LISTENER", "#", "HOST", "PATH", "METHODS", CONDITIONS, "ACTION", "WRITTEN AT"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for listener in &plan.listeners {
        let name = format!("{} ({})", listener.name, binds(listener));
        match &listener.protocol {
            Protocol::Http(http) => rows.extend(http.rules.iter().enumerate().map(|(index, rule)| {
                vec![
                    name.clone(),
                    (index + 1).to_string(),
                    hosts(rule),
                    rule.path_text(),
                    methods(rule),
                    any_if_empty(rule.conditions_text()),
                    before(http, rule) + &action(plan, rule),
                    rule.origin.to_string(),
                ]
            })),
            Protocol::Tcp(tcp) => {
                let to = format!("tcp -> {}", passed(plan, tcp));
                let [dash, origin] = ["-".to_owned(), listener.origin.to_string()];
                rows.push(vec![
                    name,
                    dash.clone(),
                    dash.clone(),
                    dash.clone(),
                    dash.clone(),
                    dash,
                    to,
                    origin,
                ]);
            }
        }
    }
    // Few configurations have conditions, and the others need no column for them.
    let column = heading.iter().position(|title| *title == CONDITIONS);
    if let Some(column) = column.filter(|column| rows.iter().skip(1).all(|row| is_empty(&row[*column]))) {
        rows.iter_mut().for_each(|row| drop(row.remove(column)));
    }
    let mut before = vec![["LISTENER", "BEFORE ITS RULES"].map(str::to_owned).to_vec()];
    for listener in &plan.listeners {
        let name = format!("{} ({})", listener.name, binds(listener));
        before.extend(steps(listener).into_iter().map(|step| vec![name.clone(), step]));
    }
    format!("{}\n{}", output::columns(&rows), output::columns(&before))
}

const CONDITIONS: &str = "CONDITIONS";

fn any_if_empty(text: String) -> String {
    if text.is_empty() { "*".to_owned() } else { text }
}

fn is_empty(cell: &str) -> bool {
    matches!(cell, "*" | "-")
}

/// The hosts of a rule; `*` for any. A name with a form in Unicode has it behind it.
pub(super) fn hosts(rule: &Rule) -> String {
    let host = |host: &HostPattern| match host.unicode() {
        Some(unicode) => format!("{host} ({unicode})"),
        None => host.to_string(),
    };
    let hosts: Vec<String> = rule.hosts.iter().map(host).collect();
    any_if_empty(hosts.join(","))
}

/// The step of the listener that leaves nothing to the action of the rule but ACME challenges.
fn before(http: &HttpListener, rule: &Rule) -> String {
    let redirects = http.redirect_to_https.filter(|to_https| !to_https.exempts(b"/", Some(rule)));
    redirects.map_or_else(String::new, |_| "to https, else ".to_owned())
}

fn methods(rule: &Rule) -> String {
    any_if_empty(rule.methods.join(","))
}

fn action(plan: &Plan, rule: &Rule) -> String {
    // The other columns show the rest.
    let Rule {
        name: _,
        origin: _,
        hosts: _,
        path_prefix: _,
        methods: _,
        conditions: _,
        in_the_clear,
        acme,
        access_log: _,
        headers: _,
        policies: _,
        action,
    } = rule;
    let after = rule.policies_text();
    let stays = match (*in_the_clear, *acme) {
        (true, true) => ", stays on plain HTTP",
        (true, false) => ", stays on plain HTTP, no certificate is ordered",
        (false, true) => "",
        (false, false) => ", no certificate is ordered",
    };
    let action = match action {
        Action::Proxy(Proxy {
            upstream: id,
            pass_host: _,
            strip_path_prefix,
            rewrite,
            buffer_request: _,
            limits: _,
        }) => {
            let path = match rewrite {
                Some(rewrite) => format!(", path {rewrite}"),
                None if *strip_path_prefix => ", prefix off".to_owned(),
                None => String::new(),
            };
            format!("proxy -> {}{path}", upstream(plan, *id))
        }
        Action::Redirect(Redirect { to, status }) => format!("redirect {status} -> {to}"),
        Action::Respond(answer) => respond(answer),
        Action::Files(files) => {
            let strip = if files.strip_path_prefix { ", prefix off" } else { "" };
            format!("files -> {}{strip}", files.root.display())
        }
        Action::Drop => "drop".to_owned(),
        Action::Pass(pass) => format!("pass -> {}", passed(plan, pass)),
    };
    action + stays + &after
}

/// A fixed response in a few words.
pub(super) fn respond(answer: &Respond) -> String {
    let Respond { status, headers: _, body, page } = answer;
    match page {
        Some(page) => format!("respond {status} with {}", page.path.display()),
        None => format!("respond {status} ({} bytes)", body.to_string().len()),
    }
}

/// The targets of an upstream. Its name stands in front if it was given one.
pub(super) fn upstream(plan: &Plan, id: UpstreamId) -> String {
    let Upstream { name, targets, .. } = &plan.upstreams[id.0];
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let list = targets.join(", ");
    if targets[0] == **name { list } else { format!("{name} ({list})") }
}

/// The upstream of a connection, and what the gate sends there first.
pub(super) fn passed(plan: &Plan, pass: &Pass) -> String {
    let Pass { upstream: id, send_proxy_protocol, idle_timeout: _, speed: _, plugins: _ } = pass;
    let to = upstream(plan, *id);
    match send_proxy_protocol {
        Some(version) => format!("{to}, behind a PROXY header ({})", version.word()),
        None => to,
    }
}
