//! Micro-benchmarks of the parts of an exchange, with their allocations counted: `cargo bench`.
//!
//! They use only public items. `docs/benchmarks.md` says what they are good for. `benches/compare` measures a
//! whole exchange.

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};

mod policies;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

mod tls {
    use super::*;
    use smolgate::tls::{HelloScan, parse_hello};

    const CHROMIUM: &str = include_str!("../tests/hellos/chromium.txt");
    const OPENSSL: &str = include_str!("../tests/hellos/openssl.txt");

    /// The bytes of a captured hello.
    fn hello(text: &str) -> Vec<u8> {
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn name_in(bencher: Bencher<'_, '_>, hello: &[u8]) {
        bencher.counter(BytesCount::of_slice(hello)).bench_local(|| {
            let hello = parse_hello(black_box(hello), &mut HelloScan::default()).expect("a hello");
            hello.expect("a whole one").server_name.expect("a name")
        });
    }

    #[divan::bench(sample_size = 1_000)]
    fn the_name_in_a_hello_of_chromium(bencher: Bencher<'_, '_>) {
        name_in(bencher, &hello(CHROMIUM));
    }

    #[divan::bench(sample_size = 1_000)]
    fn the_name_in_a_hello_of_openssl(bencher: Bencher<'_, '_>) {
        name_in(bencher, &hello(OPENSSL));
    }

    #[divan::bench(sample_size = 1_000)]
    fn the_name_in_a_hello_of_small_records(bencher: Bencher<'_, '_>) {
        let record = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8], part].concat();
        name_in(bencher, &hello(CHROMIUM)[5..].chunks(100).flat_map(record).collect::<Vec<u8>>());
    }
}

mod routing {
    use super::*;
    use smolgate::config::plan::{Protocol, Rule};
    use smolgate::config::{MemoryInputs, load};
    use smolgate::routing::{RequestView, RuleTable};

    /// The number of hosts in the largest configuration under test.
    const HOSTS: usize = 10_000;
    /// Shares no divisor with `HOSTS`, so the next host is never near the last.
    const STRIDE: usize = 7_919;

    fn rules(lines: impl Iterator<Item = String>) -> Vec<Rule> {
        let mut text = String::from("http_config: { port: 8021 }\nhttp_routes:\n");
        for line in lines {
            text.push_str(&format!("  - {{ {line}, upstream: site }}\n"));
        }
        text.push_str("upstreams: { site: { targets: \"127.0.0.1:1\" } }\n");
        let inputs = MemoryInputs::new().file("bench.yml", text);
        let plan = load(&["bench.yml".into()], &inputs).expect("a valid configuration").plan;
        match plan.listeners.into_iter().next().expect("one listener").protocol {
            Protocol::Http(listener) => listener.rules,
            Protocol::Tcp(_) => unreachable!("the listener speaks HTTP"),
        }
    }

    fn host(number: usize) -> String {
        format!("host-{number}.example.test")
    }

    /// One rule per host, with `before` in front of its name.
    fn request<'a>(host: &'a [u8], path: &'a [u8]) -> RequestView<'a> {
        RequestView { path, method: b"GET", ..RequestView::of_name(host, [127, 0, 0, 1].into()) }
    }

    fn table(before: &str) -> RuleTable {
        RuleTable::build(&rules((0..HOSTS).map(|number| format!("host: \"{before}{}\"", host(number)))))
    }

    /// Looks up one host after the other, never two neighbours of the configuration in a row. So the data of
    /// a lookup is not in the nearest cache. The names themselves are in a row, because the name in a request
    /// was just read.
    fn ask(
        bencher: Bencher<'_, '_>,
        table: &RuleTable,
        name: impl Fn(usize) -> String,
        path: impl Fn(usize) -> String,
        expected: bool,
    ) {
        let order = (0..HOSTS).map(|turn| turn * STRIDE % HOSTS);
        let (mut text, mut ends) = (String::new(), Vec::new());
        for number in order {
            text.push_str(&name(number));
            let middle = text.len();
            text.push_str(&path(number));
            ends.push((middle, text.len()));
        }
        let (text, mut turn, mut start) = (text.as_bytes(), 0, 0);
        bencher.bench_local(|| {
            let (middle, end) = ends[turn];
            let found = table.find(&request(black_box(&text[start..middle]), &text[middle..end]));
            assert_eq!(found.is_some(), expected);
            (turn, start) = if turn + 1 == HOSTS { (0, 0) } else { (turn + 1, end) };
            found
        });
    }

    #[divan::bench(sample_size = HOSTS as u32, sample_count = 50)]
    fn one_of_10_000_hosts(bencher: Bencher<'_, '_>) {
        ask(bencher, &table(""), host, |_| "/".to_owned(), true);
    }

    #[divan::bench(sample_size = HOSTS as u32, sample_count = 50)]
    fn one_of_10_000_wildcards(bencher: Bencher<'_, '_>) {
        ask(bencher, &table("*."), |number| format!("www.{}", host(number)), |_| "/".to_owned(), true);
    }

    #[divan::bench(sample_size = HOSTS as u32, sample_count = 50)]
    fn none_of_10_000_hosts(bencher: Bencher<'_, '_>) {
        ask(bencher, &table(""), |number| format!("nobody-{number}.test"), |_| "/".to_owned(), false);
    }

    #[divan::bench(sample_size = HOSTS as u32, sample_count = 50)]
    fn any_host_beside_10_000_others(bencher: Bencher<'_, '_>) {
        let hosts = (0..HOSTS).map(|number| format!("host: \"{}\"", host(number)));
        let table = RuleTable::build(&rules(hosts.chain(["path_prefix: \"/\"".to_owned()])));
        ask(bencher, &table, |number| format!("nobody-{number}.test"), |_| "/".to_owned(), true);
    }

    /// Four rules per host, and lookups of each host for one of them.
    #[divan::bench(sample_size = HOSTS as u32, sample_count = 50)]
    fn one_of_4_paths_of_10_000_hosts(bencher: Bencher<'_, '_>) {
        const PATHS: [&str; 4] = ["/api/v1", "/static", "/admin", "/"];
        let rule =
            |number: usize| PATHS.map(|path| format!("host: \"{}\", path_prefix: {path}", host(number)));
        let table = RuleTable::build(&rules((0..HOSTS).flat_map(rule)));
        let asked = |number: usize| format!("{}/more", PATHS[number % 4].trim_end_matches('/'));
        ask(bencher, &table, host, asked, true);
    }

    /// A path of this many segments. Each has a hundred neighbours, and a rule for another method. The rule
    /// for `/` matches in the end.
    #[divan::bench(args = [1, 4, 16], sample_size = 1_000)]
    fn a_path_of_segments(bencher: Bencher<'_, '_>, segments: usize) {
        let mut lines = Vec::new();
        let mut path = String::new();
        for depth in 0..segments {
            lines.extend((0..100).map(|other| format!("path_prefix: \"{path}/neighbor{other:02}\"")));
            path.push_str(&format!("/segment-{depth:02}"));
            lines.push(format!("path_prefix: \"{path}\", methods: [POST]"));
        }
        lines.push("path_prefix: \"/\"".to_owned());
        let table = RuleTable::build(&rules(lines.into_iter()));
        bencher.bench_local(|| {
            table.find(&request(b"host.example.test", black_box(path.as_bytes()))).expect("a rule")
        });
    }

    #[divan::bench(sample_count = 20)]
    fn building_10_000_hosts(bencher: Bencher<'_, '_>) {
        let rules = rules((0..HOSTS).map(|number| format!("host: \"{}\"", host(number))));
        bencher.bench_local(|| RuleTable::build(black_box(&rules)));
    }
}

/// The choice of an endpoint, with the count of the request until its end.
mod balance {
    use super::*;
    use smolgate::config::plan::UpstreamId;
    use smolgate::config::{MemoryInputs, load};
    use smolgate::metrics::Counters;
    use smolgate::upstream::{NameCache, Pools, UpstreamTable, hash_key};
    use std::time::Instant;

    const ENDPOINTS: [usize; 3] = [2, 8, 32];

    /// Chooses among so many endpoints. Every second one has another weight, if weights count.
    fn choose(bencher: Bencher<'_, '_>, endpoints: usize, balance: &str, weight: usize) {
        let target =
            |at: usize| format!("{{ target: \"127.0.0.1:{}\", weight: {} }}", at + 1, 1 + at % 2 * weight);
        let targets: Vec<String> = (0..endpoints).map(target).collect();
        let text = format!(
            "http_config: {{ port: 8021 }}\nhttp_routes: [{{ upstream: all }}]\nupstreams: {{ all: {{ targets: [{}], \
             balance: {balance} }} }}\n",
            targets.join(", ")
        );
        let inputs = MemoryInputs::new().file("bench.yml", text);
        let plan = load(&["bench.yml".into()], &inputs).expect("a valid configuration").plan;
        let table = UpstreamTable::new(&plan, &NameCache::default(), None).expect("valid targets");
        let upstream = Pools::default().upstream(&table, UpstreamId(0), &Counters::new().worker());
        let (now, mut key) = (Instant::now(), 0u64);
        bencher.bench_local(|| {
            key += 1;
            let hash = upstream.hash_key().map(|_| hash_key(&key.to_ne_bytes()));
            drop(black_box(upstream.choose(black_box(now), hash, None)));
        });
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn round_robin(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "round_robin", 0);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn round_robin_by_weights(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "round_robin", 2);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn strict_round_robin(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "strict_round_robin", 0);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn random(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "random", 0);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn least_requests(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "least_requests", 0);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn hash(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "{ hash: path }", 0);
    }

    #[divan::bench(args = ENDPOINTS, sample_size = 1_000)]
    fn hash_with_a_bound(bencher: Bencher<'_, '_>, endpoints: usize) {
        choose(bencher, endpoints, "{ hash: path, bound: 125 }", 0);
    }
}

mod heads {
    use super::*;
    use smolgate::http::{FieldTable, HeadLimits, HostKey, match_path};
    use smolgate::http1::{HeadScan, parse_request, parse_response};

    const LIMITS: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 };

    const SMALL_REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8021\r\n\r\n";

    /// The head of a browser's request.
    const BROWSER_REQUEST: &[u8] = b"GET /static/app/main.css?v=20260101 HTTP/1.1\r\n\
        Host: www.example.test\r\n\
        Connection: keep-alive\r\n\
        Cache-Control: max-age=0\r\n\
        Upgrade-Insecure-Requests: 1\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
        Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
        Sec-Fetch-Site: none\r\n\
        Sec-Fetch-Mode: navigate\r\n\
        Accept-Encoding: gzip, deflate, br, zstd\r\n\
        Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
        Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\n\
        If-None-Match: \"5f3b-60c1\"\r\n\r\n";

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
        Server: nginx/1.22.1\r\n\
        Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Length: 24380\r\n\
        Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
        Connection: keep-alive\r\n\
        ETag: \"5f3b-60c1\"\r\n\
        Accept-Ranges: bytes\r\n\r\n";

    fn request(bencher: Bencher<'_, '_>, bytes: &[u8]) {
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
        let mut parse = || {
            let head = parse_request(black_box(bytes), &mut scan, &LIMITS, &mut table);
            head.expect("a valid head").expect("a whole head").path_and_query.len()
        };
        // The table grows once, like that of a connection.
        parse();
        bencher.counter(BytesCount::of_slice(bytes)).bench_local(parse);
    }

    #[divan::bench]
    fn a_small_request(bencher: Bencher<'_, '_>) {
        request(bencher, SMALL_REQUEST);
    }

    #[divan::bench]
    fn a_request_of_a_browser(bencher: Bencher<'_, '_>) {
        request(bencher, BROWSER_REQUEST);
    }

    #[divan::bench]
    fn a_response(bencher: Bencher<'_, '_>) {
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
        let mut parse = || {
            let head = parse_response(black_box(RESPONSE), &mut scan, &LIMITS, &mut table);
            head.expect("a valid head").expect("a whole head").status
        };
        parse();
        bencher.counter(BytesCount::of_slice(RESPONSE)).bench_local(parse);
    }

    /// From the bytes of a request to the values that rules compare.
    #[divan::bench(sample_size = 1_000)]
    fn the_host_of_a_request_of_a_browser(bencher: Bencher<'_, '_>) {
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
        let mut parse = || {
            let head = parse_request(black_box(BROWSER_REQUEST), &mut scan, &LIMITS, &mut table);
            head.expect("a valid head").expect("a whole head").host_key()
        };
        parse();
        bencher.bench_local(parse);
    }

    #[divan::bench(sample_size = 1_000)]
    fn the_key_of_a_host(bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| HostKey::new(black_box(b"WWW.Example.TEST:8021")).expect("a valid host"));
    }

    #[divan::bench]
    fn a_path_with_nothing_to_decode(bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| match_path(black_box(b"/static/app/main.css")).len());
    }
}

mod chunks {
    use super::*;
    use smolgate::http::Framing;
    use smolgate::http1::{BodyReader, ChunkPrefix};

    /// 16 KiB of data in chunks of this many bytes, as in a full buffer.
    #[divan::bench(args = [64, 1024, 16384])]
    fn decoding(bencher: Bencher<'_, '_>, size: usize) {
        let mut body = Vec::new();
        for _ in 0..16 * 1024 / size {
            body.extend_from_slice(format!("{size:x}\r\n").as_bytes());
            body.resize(body.len() + size, b'x');
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        // Decoding moves data within the buffer, so each run has its own.
        let runs = bencher.counter(BytesCount::of_slice(&body));
        runs.with_inputs(|| body.clone()).bench_local_refs(|raw| {
            let mut reader = BodyReader::new(Framing::Chunked);
            let (mut at, mut data) = (0, 0);
            while !reader.is_done() {
                let decoded = reader.decode(&mut raw[at..]).expect("a valid body");
                at += decoded.consumed;
                data += decoded.data.len();
            }
            assert_eq!(data, 16 * 1024);
        });
    }

    #[divan::bench]
    fn writing_a_prefix(bencher: Bencher<'_, '_>) {
        bencher.bench_local(|| ChunkPrefix::new(black_box(16 * 1024)).as_bytes().len());
    }
}

mod timers {
    use super::*;
    use smolgate::worker::{self, Timer, Worker};
    use std::time::Duration;

    /// Other armed timers: one per connection.
    const CROWD: u64 = 10_000;

    fn crowd(worker: &Worker) -> Vec<Timer> {
        let timers = (0..CROWD).map(|number| {
            let timer = worker.timer();
            timer.arm(Duration::from_millis(30_000 + number));
            timer
        });
        timers.collect()
    }

    /// The timer work of a read that has to wait.
    #[divan::bench]
    fn arming_and_disarming_among_10_000(bencher: Bencher<'_, '_>) {
        let done = worker::run(|worker| {
            let crowd = crowd(&worker);
            let timer = worker.timer();
            bencher.bench_local(|| {
                timer.arm(black_box(Duration::from_secs(60)));
                timer.disarm();
            });
            drop(crowd);
            async {}
        });
        done.expect("a worker");
    }

    #[divan::bench]
    fn making_and_dropping_among_10_000(bencher: Bencher<'_, '_>) {
        let done = worker::run(|worker| {
            let crowd = crowd(&worker);
            bencher.bench_local(|| drop(worker.timer()));
            drop(crowd);
            async {}
        });
        done.expect("a worker");
    }
}
