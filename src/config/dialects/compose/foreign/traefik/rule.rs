//! The rules of Traefik: matchers with `&&`, `||`, `!` and brackets. Version 2 has several values in one matcher, version 3 one.

use crate::config::dialects::compose::foreign::adapted::{exact_host, method, path};

/// Requests that a route of the gate can take: one of these hosts, below this path, with one of these methods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) hosts: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) methods: Vec<String>,
}

/// Bytes of a rule.
const RULE_BYTES_MAX: usize = 4096;
/// Brackets and negations in one another.
const DEPTH_MAX: usize = 32;
/// Routes that one rule may become.
const ROUTES_MAX: usize = 32;

/// The routes of a rule. The error says which part of it has no counterpart.
pub(super) fn routes(rule: &str) -> Result<Vec<Requests>, String> {
    if rule.len() > RULE_BYTES_MAX {
        return Err(format!("the rule is longer than {RULE_BYTES_MAX} bytes"));
    }
    let mut parser = Parser { rest: rule, depth: 0 };
    let found = parser.any()?;
    parser.space();
    match parser.rest {
        "" => Ok(with_hosts_together(found)),
        rest => Err(format!("the rule cannot be read from `{rest}` on")),
    }
}

/// The texts between back-ticks that may be hosts. If there are none, or a matcher of many hosts, no text stands for all.
pub(super) fn quoted(rule: &str) -> Vec<String> {
    if rule.to_lowercase().contains("hostregexp") {
        return Vec::new();
    }
    rule.split(['`', '"']).skip(1).step_by(2).filter_map(|text| exact_host(text).ok()).collect()
}

/// Routes that differ in their hosts alone become one.
fn with_hosts_together(all: Vec<Requests>) -> Vec<Requests> {
    let mut routes: Vec<Requests> = Vec::new();
    for one in all {
        let is_like = |known: &&mut Requests| {
            known.path == one.path
                && known.methods == one.methods
                && !known.hosts.is_empty()
                && !one.hosts.is_empty()
        };
        match routes.iter_mut().find(is_like) {
            Some(known) => {
                let new: Vec<String> =
                    one.hosts.into_iter().filter(|host| !known.hosts.contains(host)).collect();
                known.hosts.extend(new);
            }
            None => routes.push(one),
        }
    }
    routes
}

/// The rest of a rule. Each function reads a part of it into the routes that take the same requests.
struct Parser<'r> {
    rest: &'r str,
    depth: usize,
}

impl Parser<'_> {
    /// `a || b`
    fn any(&mut self) -> Result<Vec<Requests>, String> {
        let mut routes = self.all()?;
        while self.takes("||") {
            routes.extend(self.all()?);
            limit(routes.len())?;
        }
        Ok(routes)
    }

    /// `a && b`
    fn all(&mut self) -> Result<Vec<Requests>, String> {
        let mut routes = self.one()?;
        while self.takes("&&") {
            let others = self.one()?;
            limit(routes.len() * others.len())?;
            let pairs = routes.iter().flat_map(|one| others.iter().map(move |other| both(one, other)));
            routes = pairs.collect::<Result<_, _>>()?;
        }
        Ok(routes)
    }

    /// A matcher, or a rule in brackets.
    fn one(&mut self) -> Result<Vec<Requests>, String> {
        if self.takes("!") {
            return Err("a rule has no `!`".to_owned());
        }
        if self.takes("(") {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err("the rule has too many brackets in one another".to_owned());
            }
            let routes = self.any()?;
            self.depth -= 1;
            return self.wants(")").map(|()| routes);
        }
        self.space();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.wants("(")?;
        let mut values = vec![self.value()?];
        while self.takes(",") {
            values.push(self.value()?);
        }
        self.wants(")")?;
        matcher(name, &values)
    }

    /// A text in back-ticks or double quotes, without escapes.
    fn value(&mut self) -> Result<String, String> {
        self.space();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '`' | '"'));
        let inside = quote.and_then(|quote| self.rest[1..].split_once(quote));
        let (value, rest) = inside.ok_or_else(|| self.unreadable())?;
        if value.contains('\\') {
            return Err(format!("`{value}` has a `\\`"));
        }
        self.rest = rest;
        Ok(value.to_owned())
    }

    fn takes(&mut self, sign: &str) -> bool {
        self.space();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn wants(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(self.unreadable()) }
    }

    fn unreadable(&self) -> String {
        format!("the rule cannot be read from `{}` on", self.rest)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

fn limit(routes: usize) -> Result<(), String> {
    match routes <= ROUTES_MAX {
        true => Ok(()),
        false => Err(format!("the rule would become more than {ROUTES_MAX} routes")),
    }
}

/// The requests that both take.
fn both(one: &Requests, other: &Requests) -> Result<Requests, String> {
    let either = |name: &str, one: &[String], other: &[String]| match (one, other) {
        ([], values) | (values, []) => Ok(values.to_vec()),
        _ => Err(format!("`{name}` stands twice between `&&`")),
    };
    let paths = either("PathPrefix", one.path.as_slice(), other.path.as_slice())?;
    Ok(Requests {
        hosts: either("Host", &one.hosts, &other.hosts)?,
        path: paths.into_iter().next(),
        methods: either("Method", &one.methods, &other.methods)?,
    })
}

/// The routes of one matcher. Traefik takes its name in any case.
fn matcher(name: &str, values: &[String]) -> Result<Vec<Requests>, String> {
    let each = |read: fn(&str) -> Result<String, String>| -> Result<Vec<String>, String> {
        values.iter().map(|value| read(value)).collect()
    };
    match name.to_lowercase().as_str() {
        "host" | "hostheader" => Ok(vec![Requests { hosts: each(exact_host)?, ..Requests::default() }]),
        "method" => Ok(vec![Requests { methods: each(method)?, ..Requests::default() }]),
        "pathprefix" => {
            let route = |value: &String| Ok(Requests { path: path(value)?, ..Requests::default() });
            values.iter().map(route).collect()
        }
        _ => Err(without_counterpart(name)),
    }
}

fn without_counterpart(name: &str) -> String {
    let why = match name.to_lowercase().as_str() {
        "hostregexp" => "a host has no regular expression; `*.example.com` takes exactly one label",
        "path" => "a label takes a prefix of whole segments, and no single path",
        "pathregexp" => "a path has no regular expression",
        "headers" | "header" | "headersregexp" | "headerregexp" => "routes do not depend on header fields",
        "query" | "queryregexp" => "routes do not depend on the query",
        "clientip" => "routes do not depend on the address of the client",
        _ => "the matcher is not known",
    };
    format!("`{name}`: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rule: &str) -> String {
        let one = |one: &Requests| {
            let path = one.path.as_deref().unwrap_or("/");
            format!("{} {path} {}", one.hosts.join(","), one.methods.join(",")).trim().to_owned()
        };
        match routes(rule) {
            Ok(routes) => routes.iter().map(one).collect::<Vec<_>>().join("; "),
            Err(why) => format!("no: {why}"),
        }
    }

    #[test]
    fn rules_of_both_versions_become_routes() {
        for (rule, expected) in [
            ("Host(`a.test`)", "a.test /"),
            ("Host(`a.test`, `b.test`)", "a.test,b.test /"),
            ("Host(\"a.test\") || Host(`b.test`)", "a.test,b.test /"),
            ("HOST(`a.test`)&&PathPrefix(`/x`)", "a.test /x"),
            ("Host(`a.test`) && PathPrefix(`/`)", "a.test /"),
            ("Host(`a.test`) && (PathPrefix(`/x`) || PathPrefix(`/y`))", "a.test /x; a.test /y"),
            ("Host(`a.test`) && PathPrefix(`/x`, `/y`)", "a.test /x; a.test /y"),
            ("Host(`a.test`) || Host(`b.test`) && PathPrefix(`/x`)", "a.test /; b.test /x"),
            ("(Host(`a.test`) || Host(`b.test`)) && Method(`GET`)", "a.test,b.test / GET"),
            ("PathPrefix(`/x`)", "/x"),
            ("PathPrefix(`/x`) || Host(`a.test`) && PathPrefix(`/x`)", "/x; a.test /x"),
            ("Host(`${HOST}`)", "${HOST} /"),
            ("Host(`git.${DOMAIN:-a.test}`)", "git.${DOMAIN:-a.test} /"),
        ] {
            assert_eq!(shown(rule), expected, "{rule}");
        }
    }

    #[test]
    fn a_rule_with_another_meaning_becomes_no_route() {
        for rule in [
            "",
            "Host",
            "Host(",
            "Host()",
            "Host(`a.test`",
            "Host(`a.test)",
            "Host(a.test)",
            "Host('a.test')",
            "Host(`a.test`) Host(`b.test`)",
            "Host(`a.test`) &&",
            "Host(`a.test`) & Host(`b.test`)",
            "Host(`a.test`) && Host(`b.test`)",
            "Host(`a.test`) && Host(`a.test`)",
            "!Host(`a.test`)",
            "Host(`a.test`) && !PathPrefix(`/x`)",
            "Host(`*`)",
            "Host(`*.a.test`)",
            "Host(`a.test,b.test`)",
            "Host(`a.test`, )",
            "Host(`a.test\nsmolgate.host: b.test`)",
            "Host(`$${HOST}`)",
            "Host(`${A},${B}`)",
            "Host(\"a\\\".test\")",
            "HostRegexp(`.+`)",
            "Host(`a.test`) || HostRegexp(`{sub:[a-z]+}.a.test`)",
            "Host(`a.test`) && Path(`/x`)",
            "Host(`a.test`) && PathPrefix(`/{id:[0-9]+}`)",
            "Host(`a.test`) && PathPrefix(`x`)",
            "Host(`a.test`) && PathPrefix(`/a/../b`)",
            "Host(`a.test`) && PathPrefix(`/x`) && PathPrefix(`/x/y`)",
            "Host(`a.test`) && Headers(`X`, `y`)",
            "Host(`a.test`) && ClientIP(`10.0.0.0/8`)",
            "Host(`a.test`) && Query(`a=b`)",
            "Host(`a.test`) && Method(`CONNECT`)",
            "Other(`a.test`)",
            "Host(`é`) && Othér(`a`)",
        ] {
            assert!(shown(rule).starts_with("no: "), "{rule}: {}", shown(rule));
        }
    }

    #[test]
    fn a_rule_is_limited() {
        let deep = format!("{}Host(`a.test`){}", "(".repeat(1000), ")".repeat(1000));
        let wide = vec!["(PathPrefix(`/a`) || Host(`b.test`))"; 100].join(" && ");
        let long = vec!["Host(`a.test`)"; 10_000].join(" || ");
        for rule in [deep, wide, long] {
            assert!(routes(&rule).is_err());
        }
    }
}
