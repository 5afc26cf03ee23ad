//! A gate with a configuration of its own, on free ports.

use std::any::Any;
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use smolgate::config;
use smolgate::gate::Gate;
use smolgate::metrics::Counters;
use smolgate::upstream::{Resolver, SystemResolver};
use tempfile::TempDir;

use super::client::Client;
use super::message::Response;

/// Values of `{name}` in a configuration: upstreams, addresses, paths.
pub type Names<'a> = &'a [(&'a str, &'a dyn Display)];

/// A running gate.
pub struct TestGate {
    gate: Gate,
    dir: TempDir,
    file: PathBuf,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl TestGate {
    /// Starts a gate with the configuration `yaml`, in which each `{name}` is replaced.
    ///
    /// By default it has one worker, so that every client connection finds all idle upstream connections, and
    /// an internal API on a free port.
    #[track_caller]
    pub fn start(yaml: &str, names: Names) -> TestGate {
        TestGate::try_start(yaml, names).unwrap_or_else(|error| panic!("the gate does not start: {error}"))
    }

    /// Like [`TestGate::start`], for a configuration that may be rejected.
    pub fn try_start(yaml: &str, names: Names) -> Result<TestGate, String> {
        TestGate::try_start_asking(SystemResolver, yaml, names)
    }

    /// Like [`TestGate::start`], with `resolver` for the names of targets.
    #[track_caller]
    pub fn start_asking(resolver: impl Resolver, yaml: &str, names: Names) -> TestGate {
        let started = TestGate::try_start_asking(resolver, yaml, names);
        started.unwrap_or_else(|error| panic!("the gate does not start: {error}"))
    }

    fn try_start_asking(resolver: impl Resolver, yaml: &str, names: Names) -> Result<TestGate, String> {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let file = dir.path().join("smolgate.yml");
        fs::write(&file, filled(yaml, names)).unwrap();
        let files = config::Files { config: vec![file.clone()], ..config::Files::default() };
        let loader =
            Box::new(move |changes: &_| config::load_changed(&files, changes, &smolgate::cli::DiskInputs));
        let (asking, counters) = (smolgate::upstream::NameCache::new(resolver), Counters::new());
        let gate = Gate::start_asking(asking, loader, counters, Box::new(|_| {}));
        let gate = gate.map_err(|error| error.to_string())?;
        Ok(TestGate { gate, dir, file, kept: Vec::new() })
    }

    /// Keeps `thing`, such as a [`Refusing`](super::upstream::Refusing), for the life of the gate.
    pub fn keep(mut self, thing: impl Any + Send + Sync) -> TestGate {
        self.kept.push(Box::new(thing));
        self
    }

    /// The scratch directory of the configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes another configuration. It takes effect at the next reload.
    pub fn edit(&self, yaml: &str, names: Names) {
        fs::write(&self.file, filled(yaml, names)).unwrap();
    }

    /// Reloads as `SIGHUP` does.
    pub fn reload(&self) -> Result<String, String> {
        self.gate.reload(false).map_err(|error| error.to_string())
    }

    /// Reloads and restarts every listener.
    pub fn restart(&self) -> Result<String, String> {
        self.gate.reload(true).map_err(|error| error.to_string())
    }

    /// Drains and stops the gate.
    pub fn stop(self) {
        self.gate.stop();
    }

    /// The address of the listener `name`.
    #[track_caller]
    pub fn address(&self, name: &str) -> SocketAddr {
        self.gate.address(name).unwrap_or_else(|| panic!("no listener {name}"))
    }

    /// The address of the listener `name`, if there is one.
    pub fn find_address(&self, name: &str) -> Option<SocketAddr> {
        self.gate.address(name)
    }

    /// Connects to the listener `http`.
    #[track_caller]
    pub fn client(&self) -> Client {
        self.client_of("http")
    }

    /// Connects to the listener `name`.
    #[track_caller]
    pub fn client_of(&self, name: &str) -> Client {
        Client::connect(self.address(name))
    }

    /// Sends one request on a connection of its own to the listener `http`.
    #[track_caller]
    pub fn exchange(&self, request: impl AsRef<[u8]>) -> Response {
        self.client().exchange(request)
    }

    /// The address of the internal API.
    #[track_caller]
    pub fn internal_address(&self) -> SocketAddr {
        self.gate.internal_address().expect("an internal API over TCP")
    }

    /// A request to the internal API: `internal("GET", "/metrics")`.
    #[track_caller]
    pub fn internal(&self, method: &str, target: &str) -> Response {
        let address = self.internal_address();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        Client::connect(address).exchange(request)
    }

    /// The text of `/metrics`.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let response = self.internal("GET", "/metrics");
        assert_eq!(response.status(), 200, "{response:?}");
        response.text()
    }

    /// The value of one series, as in `metric("smolgate_requests_total{...}")`; 0 if it is missing, like a
    /// counter that never counted.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.trim().parse().unwrap_or_else(|_| panic!("{series} is {value:?}")))
    }
}

/// Replaces the names in `yaml` and puts the defaults of a test before it.
fn filled(yaml: &str, names: Names) -> String {
    let mut text = String::new();
    for (key, line) in
        [("workers:", "workers: 1\n"), ("internal_api:", "internal_api: { bind: \"127.0.0.1:0\" }\n")]
    {
        if !yaml.lines().any(|written| written.starts_with(key)) {
            text.push_str(line);
        }
    }
    text.push_str(yaml.trim_start_matches('\n'));
    for (name, value) in names {
        text = text.replace(&format!("{{{name}}}"), &value.to_string());
    }
    text
}
