//! The table of paths, and the response of each.

use http_types::{Method, Request, Response};

use crate::config::plan::Secret;
use crate::internal_api::control::{CertificateQuestion, CertificateTold, Control};
use crate::internal_api::head::Refusal;
use crate::internal_api::live::{self, Page};
use crate::internal_api::message::{Answer, JSON, METRICS, Received, metrics, now, text, typed};
use crate::internal_api::{authorization, v1, views};
use crate::log::access::READERS_MAX;

/// The meaning of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Index,
    Reload,
    Metrics,
    Live,
    Ready,
    Health,
    Routes,
    Config,
    Certificates,
    Upstreams,
    Drain,
    Undrain,
    Stats,
    Tail,
    Explain,
}

/// Every path, with its line in the response to `/`.
const TABLE: [(&str, Endpoint, &str); 15] = [
    ("/", Endpoint::Index, "this list"),
    (
        "/reload",
        Endpoint::Reload,
        "GET or POST: read the configuration again (?restart=true: and reopen every listener)",
    ),
    ("/metrics", Endpoint::Metrics, "counters, as Prometheus reads them"),
    ("/livez", Endpoint::Live, "200 while the process answers"),
    ("/readyz", Endpoint::Ready, "200 while every worker serves, 503 while it starts or drains"),
    ("/health", Endpoint::Health, "the same with details, as JSON"),
    ("/routes", Endpoint::Routes, "rules in the order in which they are tried, as JSON"),
    (
        "/certificates",
        Endpoint::Certificates,
        "names for which certificates are ordered, as JSON (POST ?renew=NAME, ?revoke=NAME, ?check=NAME, ?test=NAME, ?dns=NAME, ?rollover)",
    ),
    ("/config", Endpoint::Config, "the configuration that runs, as YAML, without secrets"),
    ("/upstreams", Endpoint::Upstreams, "endpoints of upstreams and their figures, as JSON"),
    ("/drain", Endpoint::Drain, "POST: send no new requests to ?which=UPSTREAM/TARGET"),
    ("/ready", Endpoint::Undrain, "POST: send requests there again"),
    ("/stats", Endpoint::Stats, "counters of everything as JSON, for `smolgate top` and the page"),
    (
        "/tail",
        Endpoint::Tail,
        "exchanges as they end, a JSON object a line (?rule=NAME, ?status=5xx, ?host=NAME, ?slow_ms=1000, ?reason=CODE)",
    ),
    ("/explain", Endpoint::Explain, "which rule takes ?url=URL, and why no earlier one does (?method=POST)"),
];

impl Endpoint {
    fn of(path: &str) -> Option<Endpoint> {
        TABLE.iter().find(|(known, ..)| *known == path).map(|(_, endpoint, _)| *endpoint)
    }

    fn methods(self) -> (&'static [Method], &'static str) {
        match self {
            // A HEAD must not change anything, but a reload does.
            Endpoint::Reload => (&[Method::Get, Method::Post], "GET, POST"),
            Endpoint::Certificates => (&[Method::Get, Method::Head, Method::Post], "GET, HEAD, POST"),
            Endpoint::Drain | Endpoint::Undrain => (&[Method::Post], "POST"),
            // A HEAD would become a reader.
            Endpoint::Tail => (&[Method::Get], "GET"),
            _ => (&[Method::Get, Method::Head], "GET, HEAD"),
        }
    }

    /// Probes send no token, and their answer tells no more than its status does.
    fn needs_token(self) -> bool {
        !matches!(self, Endpoint::Live | Endpoint::Ready | Endpoint::Health)
    }
}

/// Finds the answer. The caller runs what takes long.
pub(super) async fn answer(received: &Received, token: Option<&Secret>, control: &dyn Control) -> Answer {
    let Received { request, path, .. } = received;
    let endpoint = Endpoint::of(path);
    // The page holds no data, and asks for the token.
    let page = live::page(request).filter(|_| endpoint == Some(Endpoint::Index));
    let needs_token = page.is_none() && endpoint.is_none_or(Endpoint::needs_token);
    if let Some(refused) = refused_access(received, token, needs_token, endpoint) {
        return now(refused);
    }
    if let Some(answer) = v1::answer(received, token.is_some(), control).await {
        return answer;
    }
    let Some(endpoint) = endpoint else {
        return now(text(404, &format!("nothing at {path}; there is\n{}", index())));
    };
    let (methods, allow) = endpoint.methods();
    if !methods.contains(&request.method()) {
        let mut response = text(405, &format!("{path} takes {allow}"));
        response.insert_header("Allow", allow);
        return now(response);
    }
    now(match endpoint {
        Endpoint::Reload => return reload(request),
        Endpoint::Index => match page {
            Some(page) => shown(&page),
            None => text(200, &format!("smolgate {}\n{}", env!("CARGO_PKG_VERSION"), index())),
        },
        Endpoint::Stats | Endpoint::Tail | Endpoint::Explain if authorization::is_cross_site(request) => {
            text(403, "a page of another site may not ask for this")
        }
        Endpoint::Stats => typed(200, JSON, live::stats(control).await),
        Endpoint::Explain => explain(request, control).await,
        Endpoint::Tail => return tail(request, control),
        Endpoint::Metrics => typed(200, METRICS, metrics(control)),
        Endpoint::Live => text(200, "ok"),
        Endpoint::Ready => {
            let phase = control.phase().await;
            text(phase.status(), phase.word())
        }
        Endpoint::Health => {
            let (up, page) = views::health(control, control.phase().await);
            typed(if up { 200 } else { 503 }, JSON, page)
        }
        Endpoint::Routes => typed(200, JSON, views::routes_page(&control.plan())),
        Endpoint::Certificates if request.method() == Method::Post => {
            return ask_for_certificate(request, control);
        }
        Endpoint::Certificates => typed(200, JSON, views::certificates_page(control.certificates())),
        Endpoint::Upstreams => typed(200, JSON, views::upstreams_page(&control.endpoints())),
        Endpoint::Drain => drain(request, control, true),
        Endpoint::Undrain => drain(request, control, false),
        Endpoint::Config => typed(200, "application/yaml; charset=utf-8", control.view()),
    })
}

/// The page, with fields that let it load nothing from elsewhere.
fn shown(Page { text, policy }: &Page) -> Response {
    let mut response = typed(200, "text/html; charset=utf-8", (*text).to_owned());
    response.insert_header("Content-Security-Policy", *policy);
    response.insert_header("Referrer-Policy", "no-referrer");
    response.insert_header("X-Frame-Options", "DENY");
    response
}

async fn explain(request: &Request, control: &dyn Control) -> Response {
    let (mut url, mut method) = (None, None);
    for (name, value) in request.url().query_pairs() {
        match &*name {
            "url" => url = Some(value.into_owned()),
            "method" => method = Some(value.into_owned()),
            _ => return text(400, "the parameters are url=URL and method=METHOD"),
        }
    }
    let Some(url) = url else { return text(400, "the parameter url=URL is needed") };
    match control.explain(method.as_deref().unwrap_or("GET"), &url).await {
        Ok(lines) => text(200, &lines),
        Err(why) => text(400, &why),
    }
}

fn tail(request: &Request, control: &dyn Control) -> Answer {
    let filter = match live::filter(request) {
        Ok(filter) => filter,
        Err(why) => return now(text(400, &why)),
    };
    match control.tail(filter) {
        Some(reader) => Answer::Tail(Box::new(reader)),
        None => now(text(503, &format!("{READERS_MAX} readers are there already, or the gate is stopping"))),
    }
}

fn reload(request: &Request) -> Answer {
    if authorization::may_be_cross_site(request) {
        let why = "a page of another site may not ask for a reload, and a browser that does not say which page \
                   asks must send POST";
        return now(text(403, why));
    }
    let mut restart = false;
    for (name, value) in request.url().query_pairs() {
        match (&*name, &*value) {
            ("restart", "true" | "1" | "") => restart = true,
            ("restart", "false" | "0") => restart = false,
            _ => return now(text(400, "the only parameter is restart=true or restart=false")),
        }
    }
    Answer::Reload { restart }
}

fn ask_for_certificate(request: &Request, control: &dyn Control) -> Answer {
    if authorization::may_be_cross_site(request) {
        return now(text(403, "a page of another site may not ask for a certificate"));
    }
    let query: Vec<_> = request.url().query_pairs().collect();
    let (asked, done) = match &*query {
        [(key, name)] if key == "renew" => {
            (control.renew(name), format!("a certificate for {name} is being ordered"))
        }
        [(key, name)] if key == "revoke" => (
            control.revoke(name),
            format!(
                "the certificate of {name} is being revoked, and a new one ordered; the log tells the result"
            ),
        ),
        [(key, name)] => {
            let name = name.to_string();
            return match &**key {
                "check" => Answer::Certificates(CertificateQuestion::Check(name)),
                "test" => Answer::Certificates(CertificateQuestion::Test(name)),
                "dns" => Answer::Certificates(CertificateQuestion::Dns(name)),
                "rollover" if name.is_empty() => Answer::Certificates(CertificateQuestion::Rollover),
                _ => now(text(400, PARAMETERS)),
            };
        }
        _ => return now(text(400, PARAMETERS)),
    };
    now(match asked {
        Ok(()) => text(202, &done),
        Err(why) => text(404, &why),
    })
}

const PARAMETERS: &str = "the parameter is renew=NAME, revoke=NAME, check=NAME, test=NAME, dns=NAME or rollover, which has no value";

/// The response to a question about certificates.
pub(super) fn told(result: Result<CertificateTold, String>) -> Response {
    match result {
        Ok(told) => typed(200, JSON, views::told_page(&told)),
        Err(why) => text(404, &why),
    }
}

/// Drains endpoints, or makes them ready again.
fn drain(request: &Request, control: &dyn Control, is_draining: bool) -> Response {
    if authorization::may_be_cross_site(request) {
        return text(403, "a page of another site may not drain an endpoint");
    }
    let pairs: Vec<_> = request.url().query_pairs().collect();
    let [(name, which)] = &pairs[..] else {
        return text(400, "one parameter is needed: which=UPSTREAM or which=UPSTREAM/TARGET");
    };
    match control.drain(which, is_draining) {
        _ if name != "which" => text(400, "the only parameter is which"),
        None => text(404, &format!("there is no upstream {which}")),
        Some((upstream, endpoints)) if endpoints.is_empty() => {
            text(404, &format!("the upstream {upstream} has no such target"))
        }
        Some((upstream, endpoints)) => {
            let verb = if is_draining { "draining" } else { "ready" };
            let line = |endpoint: &String| format!("{upstream}/{endpoint} {verb}\n");
            text(200, &endpoints.iter().map(line).collect::<String>())
        }
    }
}

/// The response after a reload: one line, or the whole diagnostic.
pub(super) fn reloaded(result: Result<String, String>) -> Response {
    match result {
        Ok(line) => text(200, &line),
        Err(diagnostic) => text(422, &diagnostic),
    }
}

/// The response to a reload that has to be asked for again, because too many wait.
pub(super) fn too_many_reloads() -> Response {
    let mut response = text(503, "a reload is running and others are waiting; ask again later");
    response.insert_header("Retry-After", "1");
    response
}

/// The response to a request that was refused before the table.
pub(super) fn refused(refusal: Refusal) -> Response {
    let mut response = text(refusal.status, refusal.why);
    if refusal.status == 405 {
        response.insert_header("Allow", "GET, HEAD, POST");
    }
    response
}

/// The response to a request that may not be answered.
fn refused_access(
    Received { request, path, .. }: &Received,
    token: Option<&Secret>,
    needs_token: bool,
    endpoint: Option<Endpoint>,
) -> Option<Response> {
    match token {
        Some(token) if needs_token && !authorization::has_token(request, token) => {
            Some(v1::unauthorized(path).unwrap_or_else(unauthorized))
        }
        Some(_) => None,
        // A page of another site cannot know the token. Without a token, the name that the page used gives it away.
        None if endpoint.is_none_or(Endpoint::needs_token) && authorization::is_dns_rebinding(request) => {
            let why = "browsers must ask by address, or as localhost, unless internal_api.token is set";
            Some(text(403, why))
        }
        None => None,
    }
}

fn unauthorized() -> Response {
    let mut response = text(401, "this needs `Authorization: Bearer` with the value of internal_api.token");
    response.insert_header("WWW-Authenticate", "Bearer");
    response
}

fn index() -> String {
    let rows = TABLE.iter().map(|(path, _, about)| (*path, *about)).chain(v1::ROWS.iter().copied());
    rows.map(|(path, about)| format!("{path:<15}{about}\n")).collect()
}
