//! The routes of the compose file, version by version, and the fates that a client may therefore see.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::backend::Backend;

/// The host whose requests are forwarded under TLS.
pub(crate) const SECURE: &str = "safe.test";

/// The fate of a request or of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// The gate reads the request and forwards it to this backend.
    Forwarded(&'static str),
    /// The whole connection goes to this backend.
    Passed(&'static str),
    /// No rule matches: 404.
    Nobody,
    /// The service is rejected because of its labels: 503.
    Rejected,
    /// TLS was terminated for a host that a reload then made passthrough, before the request came: 421.
    TooLate,
}

/// One version of the file.
#[derive(Clone, Default)]
pub(crate) struct Routes {
    fates: HashMap<&'static str, Fate>,
    /// Hosts in the order in which they are written.
    order: Vec<&'static str>,
    /// A number in a comment, and in a label that changes no route.
    pub(crate) revision: usize,
}

impl Routes {
    /// The fate of a host.
    pub(crate) fn fate(&self, host: &str) -> Fate {
        self.fates.get(host).copied().unwrap_or(Fate::Nobody)
    }

    /// Gives a host another fate.
    pub(crate) fn set(&mut self, host: &'static str, fate: Fate) {
        self.order.retain(|known| *known != host);
        self.fates.remove(host);
        if fate != Fate::Nobody {
            // Before all others, so that every line of the file moves.
            self.order.insert(0, host);
            self.fates.insert(host, fate);
        }
    }

    /// The compose file.
    pub(crate) fn compose(&self, backends: &[Backend], ballast: usize) -> String {
        let at = |name: &str| backends.iter().find(|backend| backend.name == name).expect("a backend");
        let mut text = format!("# revision {}\nservices:\n  localhost:\n    labels:\n", self.revision);
        let mut label =
            |key: String, value: String| writeln!(text, "      smolgate.{key}: \"{value}\"").unwrap();
        for host in &self.order {
            let name = host.replace('.', "-");
            label(format!("{name}.host"), (*host).into());
            match self.fate(host) {
                Fate::Forwarded(backend) if *host == SECURE => {
                    label(format!("{name}.target"), format!("https://{}", at(backend).secure));
                }
                Fate::Forwarded(backend) => {
                    label(format!("{name}.target"), format!("http://{}", at(backend).plain));
                }
                Fate::Passed(backend) => {
                    label(format!("{name}.passthrough"), "true".into());
                    label(format!("{name}.port"), at(backend).secure.port().to_string());
                    label(format!("{name}.port.http"), at(backend).plain.port().to_string());
                }
                Fate::Rejected => label(format!("{name}.port"), "many".into()),
                Fate::Nobody | Fate::TooLate => {}
            }
        }
        for number in 0..ballast {
            label(format!("ballast-{number}.host"), format!("ballast-{number}.test"));
            label(format!("ballast-{number}.path"), format!("/revision-{}", self.revision));
            label(format!("ballast-{number}.port"), "1".into());
        }
        text
    }
}

/// All versions so far. A version is added before it is written, and marked once it is in force.
pub(crate) struct History {
    versions: RwLock<Vec<Routes>>,
    in_force: AtomicUsize,
}

impl History {
    /// Starts with `first` in force.
    pub(crate) fn new(first: Routes) -> History {
        History { versions: vec![first].into(), in_force: AtomicUsize::new(0) }
    }

    /// Adds a version that is about to be written.
    pub(crate) fn begin(&self, routes: Routes) {
        self.versions.write().unwrap().push(routes);
    }

    /// Marks the last version as in force everywhere.
    pub(crate) fn settle(&self) {
        self.in_force.store(self.versions.read().unwrap().len() - 1, Ordering::SeqCst);
    }

    /// The number of the oldest version that may still be in force.
    pub(crate) fn now(&self) -> usize {
        self.in_force.load(Ordering::SeqCst)
    }

    /// The fates that a host may have had since that version.
    pub(crate) fn fates(&self, host: &str, since: usize) -> Vec<Fate> {
        let versions = self.versions.read().unwrap();
        let mut fates: Vec<Fate> = versions[since..].iter().map(|routes| routes.fate(host)).collect();
        fates.dedup();
        if matches!(fates[..], [Fate::Forwarded(_), .., Fate::Passed(_)]) {
            fates.push(Fate::TooLate);
        }
        fates
    }
}
