//! The action of a rule in words, for one request.

use super::routes::{passed, respond, upstream};
use super::url::Asked;
use crate::config::plan::{Action, Files, Location, Plan, Proxy, Redirect, Rule};
use crate::http::TemplateValues;

/// The action of a rule for a request, of which placeholders take the values.
pub(super) fn outcome(plan: &Plan, asked: &Asked, rule: &Rule, values: &TemplateValues<'_>) -> String {
    // `explain` has asked `in_the_clear`, and the rest is what the rule matches.
    let Rule {
        name: _,
        origin: _,
        hosts: _,
        path_prefix: _,
        methods: _,
        conditions: _,
        in_the_clear: _,
        acme: _,
        access_log: _,
        headers: _,
        policies: _,
        action,
    } = rule;
    let after = rule.policies_text();
    let outcome = match action {
        Action::Proxy(proxy) => proxied(plan, asked, (rule, proxy), values),
        Action::Redirect(Redirect { to, status }) => format!("{status} to {}", written(to, values)),
        Action::Respond(answer) => respond(answer),
        Action::Files(files) => served(rule, files, asked),
        Action::Drop => "dropped: the connection is closed without an answer".to_owned(),
        Action::Pass(pass) => format!("passed on as it is to {}", passed(plan, pass)),
    };
    outcome + &after
}

/// The upstream, and how the request is changed on the way there.
fn proxied(
    plan: &Plan,
    asked: &Asked,
    (rule, proxy): (&Rule, &Proxy),
    values: &TemplateValues<'_>,
) -> String {
    let Proxy {
        upstream: id,
        pass_host,
        strip_path_prefix,
        rewrite,
        // Limits do not change where a request goes.
        buffer_request: _,
        limits: _,
    } = proxy;
    let to = upstream(plan, *id);
    let targets = &plan.upstreams[id.0].targets;
    let mut target = format!("{}{}", asked.path, asked.query);
    let mut changes = Vec::new();
    if *strip_path_prefix && &*rule.path_prefix != "/" {
        let path = without_segments(&asked.path, rule.path_prefix.matches('/').count());
        target = format!("{path}{}", asked.query);
        changes.push("prefix taken off");
    }
    if let Some(rewrite) = rewrite {
        target = written(rewrite, values);
        changes.push("rewritten");
    }
    let base = &targets[0].base_path;
    if !base.is_empty() {
        changes.push("base path put in front");
    }
    let mut remarks = Vec::new();
    if !changes.is_empty() {
        let sees = if targets.len() > 1 { "the first target" } else { "upstream" };
        remarks.push(format!("{}: {sees} sees {base}{target}", changes.join(", ")));
    }
    if targets.len() > 1 {
        remarks.push("targets in turn".to_owned());
    }
    if *pass_host {
        remarks.push(format!("Host stays {}", asked.host));
    }
    if remarks.is_empty() { to } else { format!("{to} ({})", remarks.join("; ")) }
}

/// The folder, and the path below it at which the file is looked up.
fn served(rule: &Rule, files: &Files, asked: &Asked) -> String {
    let path = without_segments(&asked.path, rule.stripped_prefix().matches('/').count());
    let fallback = files.fallback.as_ref().map(|fallback| format!("; a page without a file gets {fallback}"));
    format!("files in {}: {path}{}", files.root.display(), fallback.unwrap_or_default())
}

/// The rest of a path after its first `count` segments; never empty. It counts segments, because the path may be
/// percent-encoded where the prefix is not.
fn without_segments(path: &str, count: usize) -> &str {
    path.match_indices('/').nth(count).map_or("/", |(at, _)| &path[at..])
}

/// The target for the request.
fn written(target: &Location, values: &TemplateValues<'_>) -> String {
    let mut out = Vec::new();
    target.write(values, |bytes| out.extend_from_slice(bytes));
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_segments_are_removed_too() {
        for (path, count, rest) in [
            ("/users/7", 1, "/7"),
            ("/%75sers/7", 1, "/7"),
            ("/users", 1, "/"),
            ("/users/", 1, "/"),
            ("/a/b/c/d", 2, "/c/d"),
        ] {
            assert_eq!(without_segments(path, count), rest, "{path}");
        }
    }
}
