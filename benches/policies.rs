//! The cost of each policy, each condition and each template for a request. The table in `docs/policies.md` has their names.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "compress")]
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

use smolgate::auth::encode;
use smolgate::config::plan::{Listener, Protocol, Rule};
use smolgate::config::{MemoryInputs, load};
use smolgate::http::{
    Escape, FieldTable, HeadLimits, HostKey, RequestHead, TemplateValues, behind_prefix, match_path,
    reads_alike,
};
use smolgate::http1::{HeadScan, parse_request};
use smolgate::jwt::{Demands, KeySet, verify};
use smolgate::policy::{
    AuthQuestion, ConnectionSpeed, KeySets, ListenerPolicies, Outcome, PolicyRequest, PolicyState,
    SharedSpeeds, check,
};
use smolgate::routing::{RequestView, RuleTable};

/// The check of a request of a rule with these policies, with a warm state.
fn checking(bencher: Bencher<'_, '_>, policies: &str) {
    checking_with(bencher, policies, "");
}

/// As [`checking`], with more lines in the request.
fn checking_with(bencher: Bencher<'_, '_>, policies: &str, lines: &str) {
    checking_of(bencher, "GET", policies, lines);
}

/// As [`checking_with`], with another method.
fn checking_of(bencher: Bencher<'_, '_>, method: &str, policies: &str, lines: &str) {
    let text = format!("http_config: {{ port: 1 }}\nhttp_routes: [{{ target: \"h:1\", {policies} }}]");
    let plan = load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).expect("a plan").plan;
    let Protocol::Http(http) = &plan.listeners[0].protocol else { panic!("an HTTP listener") };
    let (speeds, keys) = (SharedSpeeds::default(), KeySets::default());
    let listener = ListenerPolicies::build(http, &speeds, &keys, None).expect("policies");
    let policies = listener.of(0).expect("policies");
    let head =
        format!("{method} / HTTP/1.1\r\nHost: a\r\nOrigin: https://a.test\r\nX-Key: abcdefgh\r\n{lines}\r\n");
    let (mut table, limits) = (FieldTable::new(), HeadLimits { bytes: 8_192, fields: 16, target: 1_024 });
    let head = parse_request(head.as_bytes(), &mut HeadScan::default(), &limits, &mut table).expect("a head");
    let (head, client) = (head.expect("a whole one"), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let connection = &ConnectionSpeed::default();
    let request = PolicyRequest { head: &head, client, now: Instant::now(), connection };
    let mut first = PolicyState::default();
    match check(policies, &request, &mut first) {
        Ok(Outcome::Identify(AuthQuestion::Password(password))) => password.run(),
        Ok(Outcome::Identify(AuthQuestion::Server(question))) => {
            question.let_in(&mut first, b"Remote-User: ann\r\n", b"", request.now);
        }
        _ => {}
    }
    bencher.bench_local(|| {
        let mut state = PolicyState::default();
        check(black_box(policies), &request, &mut state).is_ok()
    });
}

#[divan::bench(sample_size = 1_000)]
fn cors(bencher: Bencher<'_, '_>) {
    checking(bencher, "cors: \"https://a.test\"");
}

#[divan::bench(sample_size = 1_000)]
fn rate_limit_by_client(bencher: Bencher<'_, '_>) {
    checking(bencher, "rate_limit: 1000000/1s");
}

#[divan::bench(sample_size = 1_000)]
fn rate_limit_by_a_field(bencher: Bencher<'_, '_>) {
    checking(bencher, "rate_limit: { requests: 1000000, per: 1s, by: header.x-key }");
}

/// A password that is known. The first check asks for a comparison, which is done before the others.
#[divan::bench(sample_size = 1_000)]
fn basic(bencher: Bencher<'_, '_>) {
    let hash = "$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O";
    let rule = format!("auth: {{ basic: \"ann:{hash}\" }}");
    checking_with(bencher, &rule, &format!("Authorization: Basic {}\r\n", encode(b"ann:sesame")));
}

/// A token that the worker knows.
#[divan::bench(sample_size = 1_000)]
fn jwt_known(bencher: Bencher<'_, '_>) {
    let made = made();
    let rule = format!("auth: {{ jwt: {{ keys: {{ secret: {} }} }} }}", made["secret"]);
    checking_with(bencher, &rule, &bearer(&made, "HS256"));
}

/// A token that is verified.
#[divan::bench(args = ["HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"])]
fn jwt_verified(bencher: Bencher<'_, '_>, algorithm: &str) {
    let made = made();
    let keys = match algorithm {
        "HS256" => KeySet::of_secret(made["secret"].as_str().expect("a secret").as_bytes()),
        _ => KeySet::of_text(made["jwks"].to_string().as_bytes()),
    };
    let Ok(keys) = keys else { panic!("keys") };
    let token = made["tokens"][algorithm].as_str().expect("a token").as_bytes();
    let demands = Demands { algorithms: &[], issuer: None, audience: &[], leeway: Duration::ZERO };
    bencher.bench_local(|| assert!(verify(black_box(token), &keys, &demands, SystemTime::now()).is_ok()));
}

fn made() -> serde_json::Value {
    serde_json::from_str(include_str!("../tests/tokens/pyjwt.json")).expect("JSON")
}

fn bearer(made: &serde_json::Value, algorithm: &str) -> String {
    format!("Authorization: Bearer {}\r\n", made["tokens"][algorithm].as_str().expect("a token"))
}

/// A password that is compared with a hash of the least cost. Each step of the cost doubles the time.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn basic_compared(bencher: Bencher<'_, '_>) {
    let hash = "$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O";
    bencher.bench_local(|| assert!(smolgate::auth::is_right(black_box(hash), b"sesame")));
}

#[divan::bench(sample_size = 1_000)]
fn cors_preflight(bencher: Bencher<'_, '_>) {
    let asks = "Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: x-a, authorization\r\n";
    checking_of(bencher, "OPTIONS", "cors: \"https://a.test\"", asks);
}

#[divan::bench(sample_size = 1_000)]
fn max_requests(bencher: Bencher<'_, '_>) {
    checking(bencher, "max_requests: 2");
}

#[divan::bench(sample_size = 1_000)]
fn speed(bencher: Bencher<'_, '_>) {
    checking(bencher, "speed: { download: 1Gbit }");
}

/// An answer of a server that holds. The first check asks the question, and the answer is given before the others.
#[divan::bench(sample_size = 1_000)]
fn forward_known(bencher: Bencher<'_, '_>) {
    checking(bencher, "auth: { forward: { url: \"http://a:1/\", cache: 1h } }");
}

/// A limit that meets a client for the first time. Each request is one of another client.
#[divan::bench(sample_size = 1_000)]
fn rate_limit_cold(bencher: Bencher<'_, '_>) {
    let listener = listener("rate_limit: 1000000/1s");
    let (speeds, keys, connection) =
        (SharedSpeeds::default(), KeySets::default(), ConnectionSpeed::default());
    let Protocol::Http(http) = &listener.protocol else { panic!("an HTTP listener") };
    let all = ListenerPolicies::build(http, &speeds, &keys, None).expect("policies");
    let policies = all.of(0).expect("policies");
    let mut number = 0u32;
    with_request("GET / HTTP/1.1\r\nHost: a\r\n\r\n", |head| {
        bencher.bench_local(|| {
            number = number.wrapping_add(0x9e37_79b1);
            let client = IpAddr::V4(Ipv4Addr::from(number));
            let request = PolicyRequest { head, client, now: Instant::now(), connection: &connection };
            check(black_box(policies), &request, &mut PolicyState::default()).is_ok()
        });
    });
}

/// The only listener of a configuration with one rule.
fn listener(keys: &str) -> Listener {
    let text = format!("http_config: {{ port: 1 }}\nhttp_routes: [{{ {keys}, target: \"h:1\" }}]");
    let plan = load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).expect("a plan").plan;
    plan.listeners.into_iter().next().expect("a listener")
}

fn with_request(text: &str, with: impl FnOnce(&RequestHead<'_>)) {
    let (mut table, limits) = (FieldTable::new(), HeadLimits { bytes: 8_192, fields: 32, target: 1_024 });
    let head = parse_request(text.as_bytes(), &mut HeadScan::default(), &limits, &mut table);
    with(&head.expect("a valid head").expect("a whole one"));
}

/// The head of a request with the fields of a browser.
const REQUEST: &str = "GET /users/7/posts/hello-world?debug=1&page=2 HTTP/1.1\r\nHost: app.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: */*\r\n\
    Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nX-Canary: 1\r\n\
    Cookie: theme=dark; session=0123456789abcdef; canary=1\r\n\r\n";

/// The search for a rule with these conditions, which hold.
fn finding(bencher: Bencher<'_, '_>, conditions: &str) {
    let table = RuleTable::build(listener(conditions).rules());
    with_request(REQUEST, |head| {
        let host = head.host_key().expect("a host");
        let path = match_path(head.path);
        let request = RequestView::of(head, host.as_bytes(), &path, Ipv4Addr::new(192, 168, 0, 7).into());
        bencher.bench_local(|| table.find(black_box(&request)).expect("the rule"));
    });
}

/// The search for a rule without conditions, to which the others compare.
#[divan::bench(sample_size = 1_000)]
fn no_condition(bencher: Bencher<'_, '_>) {
    finding(bencher, "path_prefix: /users");
}

#[divan::bench(sample_size = 1_000)]
fn path_glob(bencher: Bencher<'_, '_>) {
    finding(bencher, "path: \"/users/{id}/posts/*\"");
}

#[cfg(feature = "regex")]
#[divan::bench(sample_size = 1_000)]
fn path_regex(bencher: Bencher<'_, '_>) {
    finding(bencher, "path_regex: \"^/users/([0-9]+)/posts/([a-z0-9-]+)$\"");
}

/// Of so many networks, the last one has the client.
#[divan::bench(args = [1, 10_000], sample_size = 1_000)]
fn from(bencher: Bencher<'_, '_>, networks: usize) {
    let others = (1..networks).map(|number| format!("\"10.{}.{}.0/25\"", number / 256, number % 256));
    let all: Vec<_> = others.chain(["\"192.168.0.0/16\"".to_owned()]).collect();
    finding(bencher, &format!("from: [{}]", all.join(", ")));
}

#[divan::bench(sample_size = 1_000)]
fn header(bencher: Bencher<'_, '_>) {
    finding(bencher, "header: { X-Canary: \"1\" }");
}

#[divan::bench(sample_size = 1_000)]
fn cookie(bencher: Bencher<'_, '_>) {
    finding(bencher, "cookie: { canary: \"1\" }");
}

#[divan::bench(sample_size = 1_000)]
fn query(bencher: Bencher<'_, '_>) {
    finding(bencher, "query: { page: \"2\" }");
}

#[divan::bench(sample_size = 1_000)]
fn share(bencher: Bencher<'_, '_>) {
    finding(bencher, "name: canary, share: 100%, by: cookie.session");
}

/// The values of [`REQUEST`] for templates of a rule.
fn with_values(rule: &Rule, with: impl FnOnce(&TemplateValues<'_>)) {
    with_request(REQUEST, |head| {
        let host = head.host_key();
        let host = host.as_ref().map_or(&[][..], HostKey::as_bytes);
        let path = match_path(head.path);
        with(&TemplateValues {
            method: head.method,
            host,
            authority: host,
            path: head.path,
            rest: behind_prefix(head.path, ""),
            query: head.query,
            fields: head.fields,
            scheme: "https",
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            rule: &rule.name,
            time: format_args!(""),
            request_id: b"",
            traceparent: b"",
            user: b"ann",
            claims: &[],
            captures: rule.capture(host, &path),
        });
    });
}

/// The changes of the fields of a request: one of each kind, with placeholders.
#[divan::bench(sample_size = 1_000)]
fn headers(bencher: Bencher<'_, '_>) {
    let listener = listener(
        "path: \"/users/{id}/**\", headers: { request: { remove: \"X-Int-*\", set: { X-User: \"{id}\" }, \
         default: { X-A: \"{host}\" }, add: { X-B: \"{uri}\" } } }",
    );
    let rule = &listener.rules()[0];
    let edits = &rule.headers.as_ref().expect("changes").request;
    let (mut lines, mut out) = (Vec::with_capacity(1_024), Vec::with_capacity(4_096));
    with_values(rule, |values| {
        bencher.bench_local(|| {
            lines.clear();
            out.clear();
            edits.write_lines(values, |bytes| lines.extend_from_slice(bytes));
            edits.apply(black_box(REQUEST.as_bytes()), &lines, reads_alike, |bytes| {
                out.extend_from_slice(bytes);
            });
            out.len()
        });
    });
}

/// A body in JSON with four placeholders.
#[divan::bench(sample_size = 1_000)]
fn template(bencher: Bencher<'_, '_>) {
    use smolgate::http::{Scope, Template, TemplateUse};
    let listener = listener("path: \"/users/{id}/**\"");
    let rule = &listener.rules()[0];
    let captures = Rule::captures(&rule.hosts, rule.conditions.as_deref());
    let scope = Scope { used: TemplateUse::Text, captures: &captures };
    let text = r#"{"id":"{id}","host":"{host}","uri":"{uri}","agent":"{header.User-Agent}"}"#;
    let template = Template::new(text, &scope).expect("a template");
    let mut out = Vec::with_capacity(4_096);
    with_values(rule, |values| {
        bencher.bench_local(|| {
            out.clear();
            black_box(&template).write(values, Escape::Json, &mut |bytes| out.extend_from_slice(bytes));
            out.len()
        });
    });
}

/// A kilobyte of HTML in a body of 64, by the coding that a client prefers.
#[cfg(feature = "compress")]
#[divan::bench]
fn compress_per_kilobyte(bencher: Bencher<'_, '_>) {
    use smolgate::config::plan::{Coding, Compress};
    use smolgate::encoding::{EncodedHead, EncodingRequest, Step, encode_head};
    use smolgate::http::Version;
    let page: Vec<u8> =
        REQUEST.bytes().chain(*b"<p>Lorem ipsum dolor sit amet</p>\n").cycle().take(1_024).collect();
    let compress = Compress::default();
    let request = EncodingRequest {
        compress: &compress,
        coding: Some(Coding::Gzip),
        version: Version::Http11,
        is_head: false,
        names_weak_tag: false,
        full: None,
    };
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
    let begin = || match encode_head(head, &request, |_| {}) {
        EncodedHead::Encoded(encoder) => encoder,
        EncodedHead::Same | EncodedHead::Changed => panic!("it is encoded"),
    };
    let (mut encoder, mut out, mut count) = (begin(), vec![0; 4_096], 0);
    bencher.counter(BytesCount::of_slice(&page)).bench_local(|| {
        count += 1;
        if count % 64 == 0 {
            encoder = begin();
        }
        encoder.step(black_box(&page), &mut out, Step::More).expect("a step").written
    });
}
