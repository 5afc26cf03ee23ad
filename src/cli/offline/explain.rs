//! `explain`: traces a request rule by rule.

use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;

use super::outcome::outcome;
use super::routes::{hosts, passed};
use super::url::{Asked, Routed, accepted, binds};
use crate::cli::arguments::Question;
use crate::cli::configuration;
use crate::cli::files::Files;
use crate::cli::output;
use crate::config::plan::{
    Action, AmbiguousPaths, HttpListener, Listener, Matcher, Plan, Protocol, RedirectToHttps, Rule,
};
use crate::gate::stored;
use crate::http::{Method, Refusal, TemplateValues, behind_prefix};
use crate::reason::Reason;
use crate::routing::{self, Explanation, RequestView};

/// Prints which rule takes the request, and why each earlier rule does not. It is a failure if nothing takes the
/// request, or another rule than the expected one.
pub fn explain(question: &Question) -> ExitCode {
    let mut parts = [&question.method].into_iter().chain(&question.headers);
    if parts.any(|part| part.contains(|char: char| char.is_ascii_control())) {
        return output::failure(output::USAGE, "the method or a header field has a control character");
    }
    let asked = Asked::read(&question.url).map_err(|why| format!("cannot read the URL: {why}"));
    let asked = match asked.and_then(|asked| asked.with_fields(&question.headers)) {
        Ok(asked) => asked,
        Err(why) => return output::failure(output::USAGE, &why),
    };
    match configuration::read_described_quietly(&question.files).map(|described| described.plan) {
        Err(code) => code,
        Ok(plan) => match story(&plan, &asked, question) {
            Ok(story) => {
                let code = output::result(&story.text);
                story.objection(question).map_or(code, |why| output::failure(output::INVALID, &why))
            }
            Err(message) => output::failure(output::USAGE, &message),
        },
    }
}

/// The explanation of a request of this machine, for the internal API of a running gate. The error is a sentence.
pub fn explained(plan: &Plan, method: &str, url: &str) -> Result<String, String> {
    if [method, url].iter().any(|part| part.contains(|char: char| char.is_ascii_control())) {
        return Err("the method or the URL has a control character".to_owned());
    }
    let question = Question {
        files: Files::default(),
        url: url.to_owned(),
        method: method.to_owned(),
        headers: Vec::new(),
        from: IpAddr::V4(Ipv4Addr::LOCALHOST),
        listener: None,
        expect: None,
    };
    let asked = Asked::read(url).map_err(|why| format!("cannot read the URL: {why}"))?;
    let story = story(plan, &asked, &question)?;
    let objection = story.objection(&question).map(|why| format!("{why}\n")).unwrap_or_default();
    Ok(format!("{}{objection}", story.text))
}

/// The explanation, and what takes the request.
struct Story<'a> {
    text: String,
    /// The name of a rule or of a TCP listener, or `redirect_to_https`. `None` if the gate refuses the request.
    taken_by: Option<&'a str>,
}

impl<'a> Story<'a> {
    fn taken(by: &'a str, text: String) -> Self {
        Self { text, taken_by: Some(by) }
    }

    fn refused(text: String) -> Self {
        Self { text, taken_by: None }
    }

    fn after(self, before: &str) -> Self {
        Self { text: format!("{before}{}", self.text), ..self }
    }

    /// The reason why the request does not go where it should.
    fn objection(&self, question: &Question) -> Option<String> {
        let Question { url, method, expect, .. } = question;
        match (expect.as_deref(), self.taken_by) {
            (None, Some(_)) => None,
            (expected, taken_by) if expected == taken_by && expected.is_some() => None,
            (None, None) => Some(format!("nothing takes {method} {url}")),
            (Some(rule), None) => {
                Some(format!("expected `{rule}` to take {method} {url}, but nothing takes it"))
            }
            (Some(rule), Some(other)) => {
                Some(format!("expected `{rule}` to take {method} {url}, but `{other}` takes it"))
            }
        }
    }
}

fn story<'a>(plan: &'a Plan, asked: &Asked, question: &Question) -> Result<Story<'a>, String> {
    let accepted = accepted(plan, asked, question.listener.as_deref())?;
    let listener = accepted.listener;
    let has_its_port = question.listener.is_none() && accepted.note.is_empty();
    let mut text =
        format!("{} {} on listener {} ({})\n", question.method, question.url, listener.name, binds(listener));
    if !accepted.note.is_empty() {
        text.push_str(&format!("  note: {}\n", accepted.note));
    }
    if asked.host == asked.name && !question.url.contains(&asked.authority) {
        text.push_str(&format!("  note: clients write the host as {}\n", asked.host));
    }
    let mut conditions = listener.rules().iter().filter_map(|rule| rule.conditions.as_ref());
    if conditions.any(|conditions| conditions.ask_for_address()) {
        text.push_str(&format!("  note: the client is {}; --from names another\n", question.from));
    }
    let upper = question.method.to_ascii_uppercase();
    if upper != question.method && Method::parse(upper.as_bytes()) != Method::Other {
        text.push_str(&format!(
            "  note: methods are case-sensitive, so {} is not {upper}\n",
            question.method
        ));
    }
    let is_plain = listener.tls.is_none() && matches!(listener.protocol, Protocol::Http(_));
    // On another port, something in front of the gate may terminate TLS.
    let story = if is_plain && has_its_port && asked.is_https == Some(true) {
        Story::refused(NO_TLS.to_owned())
    } else {
        on_listener(plan, listener, asked, question)
    };
    Ok(story.after(&text))
}

fn on_listener<'a>(plan: &'a Plan, listener: &'a Listener, asked: &Asked, question: &Question) -> Story<'a> {
    // The last two do not change where a request goes.
    let Listener { name, origin, binds: _, protocol, tls, accept_proxy_protocol: _, shutdown_timeout: _ } =
        listener;
    if tls.is_some() && asked.is_https == Some(false) {
        let refused = "  TLS is spoken here, and the URL says http: the answer is 400, before any rule\n";
        return Story::refused(refused.to_owned());
    }
    match protocol {
        Protocol::Tcp(_) if !asked.finds_certificate(listener) => Story::refused(NO_CERTIFICATE.to_owned()),
        Protocol::Tcp(pass) => {
            let to = passed(plan, pass);
            Story::taken(name, format!("  {origin}  every byte -> {to}; no rule is looked at\n"))
        }
        Protocol::Http(http) => match asked.routed(&question.method, &http.head_limits()) {
            Err(Refusal { reason, detail }) => {
                Story::refused(format!("  no rule is looked at: {}: {detail}\n", answer(reason)))
            }
            Ok(routed) => {
                let request = routed.view(question.from);
                Case { plan, listener, http, asked, routed: &routed, request, method: &question.method }
                    .story()
            }
        },
    }
}

/// The end of a handshake with a listener that has no TLS.
const NO_TLS: &str = "  no TLS is spoken here, and the URL says https: the answer is 400, before any rule\n";

/// The end of a handshake without a certificate.
const NO_CERTIFICATE: &str = "  no certificate has this name: the handshake ends with an alert\n";

/// A request to an HTTP listener.
struct Case<'a, 'q> {
    plan: &'a Plan,
    listener: &'a Listener,
    http: &'a HttpListener,
    asked: &'q Asked,
    routed: &'q Routed,
    request: RequestView<'q>,
    method: &'q str,
}

impl<'a> Case<'a, '_> {
    fn story(&self) -> Story<'a> {
        if self.listener.tls.is_some() {
            return self.by_name().unwrap_or_else(|| self.decrypted());
        }
        let HttpListener {
            rules,
            redirect_to_https,
            // The request was read within these limits. `guard` asks for `ambiguous_paths`.
            settings: _,
            // They do not change where a request goes.
            trusted_proxies: _,
            client_gone: _,
            max_requests: _,
            pages: _,
        } = self.http;
        let winner = self.explanation().winner;
        let path = self.asked.path.as_bytes();
        let is_ambiguous = winner.is_some_and(|index| self.guard(index).is_some());
        let winner = winner.map(|index| &rules[index]);
        let leaves = |redirect: &RedirectToHttps| is_ambiguous || redirect.exempts(path, winner);
        match redirect_to_https.filter(|redirect| !leaves(redirect)) {
            Some(redirect) => Story::taken("redirect_to_https", self.to_https(redirect)),
            None => self.by_request(),
        }
    }

    /// The decision about the request in TLS that is terminated here.
    fn decrypted(&self) -> Story<'a> {
        if !self.asked.finds_certificate(self.listener) {
            return Story::refused(format!("{NO_CERTIFICATE}{}", self.unwanted()));
        }
        let ordered = self.asked.ordered_name(self.listener);
        let text = ordered.map(|name| {
            let state = stored(self.plan, &name).map_or_else(String::new, |state| format!(": {state}"));
            format!("  the certificate is ordered, as that of {name}{state}\n")
        });
        let text = text.or_else(|| self.asked.certificate(self.listener));
        self.by_request().after(&text.unwrap_or_default())
    }

    /// The rule by which no certificate is ordered for the name.
    fn unwanted(&self) -> String {
        let winner = self.explanation().winner.map(|index| &self.http.rules[index]);
        match winner.filter(|rule| !rule.acme) {
            Some(rule) => format!("  none is ordered: the rule {} has `acme: false`\n", rule.name),
            None => String::new(),
        }
    }

    /// The decision by the name in the client hello, if names decide anything. The request is explained too if it
    /// can still reach a rule.
    fn by_name(&self) -> Option<Story<'a>> {
        let rules = &self.http.rules;
        if !rules.iter().any(Rule::decides_by_name) {
            return None;
        }
        let is_address = self.asked.server_name().is_none();
        let name = if is_address { &[][..] } else { self.request.host };
        let client = self.request.client;
        let explanation = routing::explain_name(rules, name, client);
        let request = RequestView::of_name(name, client);
        let row = |index: usize, verdict: String| self.row(index, hosts(&rules[index]), verdict);
        let mut rows: Vec<_> = explanation
            .earlier
            .iter()
            .map(|&(index, why)| row(index, format!("no: {}", why.sentence(&rules[index], &request))))
            .collect();
        let winner = explanation.winner.map(|index| (index, &rules[index]));
        let acts = winner.filter(|(_, rule)| rule.decides_by_name());
        rows.extend(winner.map(|(index, rule)| match acts {
            Some(_) => {
                row(index, format!("wins -> {}", outcome(self.plan, self.asked, rule, &self.values(rule))))
            }
            None => row(index, "takes the name, and what it does needs a request".to_owned()),
        }));
        let none = if is_address { "; no client asks for an address by name" } else { "" };
        let mut text = format!("  the name asked for decides, before a byte is answered{none}:\n");
        text.push_str(&output::columns(&rows));
        if let Some((_, rule)) = acts {
            return Some(Story::taken(&rule.name, text));
        }
        if self.asked.finds_certificate(self.listener) {
            text.push_str("  so TLS is terminated here, and the rules are asked again for the request:\n");
        }
        Some(self.decrypted().after(&text))
    }

    /// The rules' decision about the request.
    fn explanation(&self) -> Explanation {
        routing::explain(&self.http.rules, &self.request)
    }

    /// Index of the rule that guards, in another reading, the path that the rule at `matched` would hand on.
    fn guard(&self, matched: usize) -> Option<usize> {
        let rules = &self.http.rules;
        let refuses = self.http.settings.ambiguous_paths == AmbiguousPaths::Refuse;
        let guard = || routing::explain_guard(rules, matched, &self.routed.raw_path, &self.request);
        (refuses && rules[matched].hands_path_on()).then(guard).flatten()
    }

    fn by_request(&self) -> Story<'a> {
        let rules = &self.http.rules;
        let explanation = self.explanation();
        let row = |index: usize, verdict: String| {
            let rule = &rules[index];
            let Matcher { hosts: _, path_prefix: _, methods, conditions: _ } = rule.matcher();
            let methods = if methods.is_empty() { String::new() } else { methods.join(",") + " " };
            let wants = format!("{methods}{} {} {}", hosts(rule), rule.path_text(), rule.conditions_text());
            self.row(index, wants.trim_end().to_owned(), verdict)
        };
        let mut rows: Vec<Vec<String>> = explanation
            .earlier
            .iter()
            .map(|&(index, why)| row(index, format!("no: {}", why.sentence(&rules[index], &self.request))))
            .collect();
        let Some(index) = explanation.winner else {
            let text = output::columns(&rows);
            return Story::refused(format!("{text}  no rule takes it: {}\n", answer(Reason::NoRule)));
        };
        let rule = &rules[index];
        let refused = match (self.guard(index), &rule.action) {
            (Some(guard), _) => {
                let answer = answer(Reason::PathAmbiguous);
                Some(format!("{answer}: some servers read this path as one that rule {} guards", guard + 1))
            }
            // The request was decrypted, so it is not what the target is to get.
            (None, Action::Pass(_)) if self.listener.tls.is_some() => Some(answer(Reason::Misdirected)),
            (None, _) => None,
        };
        let taken_by = refused.is_none().then_some(&*rule.name);
        rows.push(row(
            index,
            format!(
                "wins -> {}",
                refused.unwrap_or_else(|| outcome(self.plan, self.asked, rule, &self.values(rule)))
            ),
        ));
        Story { text: output::columns(&rows), taken_by }
    }

    /// The parts of the request that placeholders of a rule stand for.
    fn values<'v>(&'v self, rule: &'v Rule) -> TemplateValues<'v> {
        let RequestView { host, path, client, fields, .. } = self.request;
        let raw = &*self.routed.raw_path;
        TemplateValues {
            method: self.method.as_bytes(),
            host,
            authority: self.asked.authority.as_bytes(),
            path: raw,
            rest: behind_prefix(raw, rule.path_prefix.trim_end_matches('/')),
            query: self.asked.query.strip_prefix('?').map(str::as_bytes),
            fields,
            scheme: if self.asked.is_https == Some(true) { "https" } else { "http" },
            client,
            rule: &rule.name,
            // No URL has it.
            time: format_args!(""),
            request_id: b"",
            traceparent: b"",
            user: b"",
            claims: &[],
            captures: rule.capture(host, path),
        }
    }

    fn row(&self, index: usize, wants: String, verdict: String) -> Vec<String> {
        let origin = self.http.rules[index].origin.to_string();
        vec![String::new(), (index + 1).to_string(), origin, wants, verdict]
    }

    /// The response of `redirect_to_https` if no rule is asked.
    fn to_https(&self, redirect: RedirectToHttps) -> String {
        let status = redirect.status_for(self.method);
        let host = String::from_utf8_lossy(&self.routed.host);
        let port = if redirect.port == 443 { String::new() } else { format!(":{}", redirect.port) };
        let Asked { path, query, .. } = self.asked;
        format!("  redirect_to_https comes before the rules: {status} to https://{host}{port}{path}{query}\n")
    }
}

fn answer(reason: Reason) -> String {
    format!("the answer is {} ({})", reason.status(), reason.code())
}
