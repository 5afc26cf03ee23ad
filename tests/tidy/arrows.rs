//! The modules that each module may use.

use crate::source::{Source, paths, words};

/// The modules of the crate root, in the order of `src/lib.rs`, and what each one may use: a module, or the part of one
/// that the path names.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "demo",
            "gate",
            "internal_api",
            "routing",
            "http1",
            "log",
            "metrics",
            "config",
            "http",
            "reason",
            "auth",
            "files",
        ],
    ),
    ("demo", &["gate", "config"]),
    (
        "gate",
        &[
            "internal_api",
            "acme",
            "net",
            "watch",
            "health",
            "proxy",
            "generation",
            "plugin",
            "upstream",
            "tls",
            "routing",
            "worker",
            "log",
            "metrics",
            "config",
            "jwt",
            "http",
            "reason",
            "files",
        ],
    ),
    ("internal_api", &["log", "metrics", "config::plan", "http", "reason", "files"]),
    ("acme", &["store", "net", "tls", "log", "metrics", "config::plan", "http"]),
    ("store", &["net", "tls", "log", "metrics", "config::plan", "http", "files"]),
    ("net", &["http1", "http"]),
    ("watch", &["config", "files"]),
    ("health", &["upstream", "tls", "http1", "http2", "config::plan", "http"]),
    (
        "proxy",
        &[
            "generation",
            "plugin",
            "policy",
            "file_server",
            "encoding",
            "upstream",
            "mux",
            "tls",
            "routing",
            "http1",
            "http2",
            "proxy_protocol",
            "worker",
            "log",
            "metrics",
            "config::plan",
            "jwt",
            "http",
            "reason",
        ],
    ),
    (
        "generation",
        &[
            "plugin", "policy", "upstream", "mux", "tls", "routing", "worker", "log", "metrics", "config",
            "http", "reason", "files",
        ],
    ),
    ("plugin", &["worker", "metrics", "config::plan", "http", "auth"]),
    ("policy", &["encoding", "config::plan", "jwt", "http", "reason", "auth"]),
    ("file_server", &["config::plan", "http"]),
    ("encoding", &["config::plan", "http"]),
    ("upstream", &["mux", "tls", "worker", "log", "metrics", "config::plan", "reason"]),
    ("mux", &["tls", "http1", "http2", "worker", "http", "reason"]),
    ("tls", &["worker", "log", "config::plan", "http", "files"]),
    ("routing", &["config::plan", "http"]),
    ("http2", &["http", "reason"]),
    ("http1", &["http", "reason"]),
    ("proxy_protocol", &[]),
    ("worker", &["config::plan"]),
    ("log", &["metrics", "config::plan", "reason", "files"]),
    ("metrics", &["reason"]),
    ("config", &["jwt", "http", "reason"]),
    ("jwt", &["http", "auth"]),
    ("http", &["reason"]),
    ("reason", &[]),
    ("auth", &[]),
    ("files", &[]),
];

/// Folders whose `mod.rs` declares its modules in the order of their use.
pub(crate) const ORDERED: &[&str] = &[
    "src/acme",
    "src/acme/dns",
    "src/acme/fleet",
    "src/acme/protocol",
    "src/cli",
    "src/cli/offline",
    "src/cli/words",
    "src/auth",
    "src/config",
    "src/config/decode",
    "src/config/diagnostics",
    "src/config/dialects",
    "src/config/dialects/compose",
    "src/config/dialects/compose/foreign",
    "src/config/dialects/compose/foreign/caddy",
    "src/config/dialects/compose/foreign/traefik",
    "src/config/dialects/compose/labels",
    "src/config/dialects/compose/project",
    "src/config/dialects/compose/service",
    "src/config/dialects/go_proxy",
    "src/config/dialects/locci",
    "src/config/dialects/plain",
    "src/config/dialects/prox",
    "src/config/dialects/prox/actions",
    "src/config/dialects/prox/json5",
    "src/config/foreign",
    "src/config/keys",
    "src/config/lowering",
    "src/config/overlay",
    "src/config/plan",
    "src/config/schema",
    "src/config/source",
    "src/config/source/policies",
    "src/config/plan/policies",
    "src/config/syntax",
    "src/config/values",
    "src/demo",
    "src/demo/whoami",
    "src/gate",
    "src/gate/services",
    "src/file_server",
    "src/file_server/system",
    "src/encoding",
    "src/health",
    "src/generation",
    "src/jwt",
    "src/http",
    "src/http/name",
    "src/http/path",
    "src/http1",
    "src/http2",
    "src/http2/frame",
    "src/http2/head",
    "src/http2/hpack",
    "src/http2/receive",
    "src/internal_api",
    "src/internal_api/v1",
    "src/log",
    "src/log/access",
    "src/metrics",
    "src/mux",
    "src/net",
    "src/net/dns",
    "src/plugin",
    "src/plugin/protocol",
    "src/policy",
    "src/proxy",
    "src/proxy/client",
    "src/proxy/decision",
    "src/proxy/file_reply",
    "src/proxy/forward",
    "src/proxy/http2",
    "src/proxy/local_reply",
    "src/proxy/plugins",
    "src/proxy/record",
    "src/proxy/setup",
    "src/proxy/transfer",
    "src/proxy/tunnel",
    "src/routing",
    "src/store",
    "src/store/shared",
    "src/store/shared/s3",
    "src/tls",
    "src/tls/certificates",
    "src/upstream",
    "src/upstream/names",
    "src/upstream/pool",
    "src/watch",
    "src/worker",
    "src/worker/io",
];

/// Modules that turn values into values and nothing else.
const PURE: [&str; 6] = ["config", "http", "http1", "http2", "proxy_protocol", "routing"];

/// Crates that do I/O or wait for it.
const IO_CRATES: [&str; 8] =
    ["async_executor", "async_io", "async_net", "async_signal", "polling", "rustix", "smol", "socket2"];

/// The module of the crate root that a file belongs to: `proxy` for `src/proxy/exchange.rs`.
fn module(source: &Source) -> &str {
    let inside = source.path.strip_prefix("src/").unwrap_or(&source.path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// Refuses a use of a module that does not stand below the user's.
pub(crate) fn arrows(source: &Source) -> Vec<String> {
    let user = module(source);
    if user == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == user) else {
        return vec![source.finding(0, &format!("`{user}` has no row in the table of arrows"))];
    };
    let mut found = hidden(source);
    let root = if user == "main" { "smolgate" } else { "crate" };
    for (at, path) in paths(&source.production, root) {
        let path = path[1..].join("::");
        let is_part_of = |module: &str| {
            path.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        if !(path.is_empty() || is_part_of(user) || allowed.iter().any(|module| is_part_of(module))) {
            found.push(source.finding(at, &format!("`{user}` may not use `{path}`")));
        }
    }
    found
}

/// Refuses rows that are not those of `list`, which is `src/lib.rs`, in their order, and arrows that point up.
pub(crate) fn table(list: &Source) -> Vec<String> {
    let rows: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).filter(|name| *name != "main").collect();
    let mut found = Vec::new();
    if declared(list) != rows {
        found.push(list.finding(0, &format!("not the modules of the arrows in their order, {rows:?}")));
    }
    for (row, (user, allowed)) in ARROWS.iter().enumerate() {
        let is_below =
            |used: &str| ARROWS[row + 1..].iter().any(|(below, _)| used.split("::").next() == Some(below));
        let up = allowed.iter().filter(|used| !is_below(used));
        found.extend(up.map(|used| format!("`{used}` does not stand below `{user}` in the table of arrows")));
    }
    found
}

/// The modules that a file declares, in their order.
fn declared(list: &Source) -> Vec<&str> {
    words(&list.production, "mod")
        .filter_map(|at| list.production[at + "mod".len()..].split_once(';'))
        .map(|(name, _)| name.trim())
        .collect()
}

/// `super` that leads to the crate root hides an arrow.
fn hidden(source: &Source) -> Vec<String> {
    let slashes = source.path.matches('/').count();
    let depth = if source.path.ends_with("/mod.rs") { slashes - 1 } else { slashes };
    let supers = "super::".repeat(depth.max(1));
    let note = format!("write `crate::` for `{supers}`: it hides where the arrow goes");
    words(&source.production, "super")
        .filter(|&at| source.production[at..].starts_with(&supers))
        .map(|at| source.finding(at, &note))
        .collect()
}

/// Refuses a use of a module that does not stand below the user's in `list`, the `mod.rs` of a folder.
pub(crate) fn order(list: &Source, source: &Source) -> Vec<String> {
    let folder = list.path.trim_end_matches("mod.rs");
    let Some(inside) = source.path.strip_prefix(folder).filter(|inside| *inside != "mod.rs") else {
        return Vec::new();
    };
    let user = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    let declared = declared(list);
    let place = |name: &str| declared.iter().position(|known| *known == name);
    let above: Vec<&str> = folder.trim_start_matches("src/").split_terminator('/').collect();
    let mut found = Vec::new();
    for (at, path) in absolute(source) {
        let is_inside = path.len() > above.len() && path.iter().zip(&above).all(|(one, two)| one == two);
        let Some(used) = path.get(above.len()).filter(|used| is_inside && *used != user) else { continue };
        if place(used).is_none() || place(used) <= place(user) {
            let note = format!("`{used}` does not stand below `{user}` in {}", list.path);
            found.push(source.finding(at, &note));
        }
    }
    found
}

/// Every path that starts with `crate` or `super`, from the crate root.
fn absolute(source: &Source) -> Vec<(usize, Vec<String>)> {
    let file = source.path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let here: Vec<String> = file.split('/').map(str::to_owned).collect();
    let from_root = paths(&source.production, "crate").into_iter().map(|(at, path)| (at, path[1..].to_vec()));
    let first = |(at, _): &(usize, Vec<String>)| !source.production[..*at].ends_with("super::");
    let upwards = paths(&source.production, "super").into_iter().filter(first).map(|(at, path)| {
        let supers = path.iter().take_while(|part| *part == "super").count();
        (at, [&here[..here.len().saturating_sub(supers)], &path[supers..]].concat())
    });
    from_root.chain(upwards).collect()
}

/// Refuses sockets, files and waiting in the modules that are pure.
pub(crate) fn purity(source: &Source) -> Vec<String> {
    let user = module(source);
    if !PURE.contains(&user) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for name in IO_CRATES {
        for at in crate_names(source, name) {
            found.push(source.finding(at, &format!("`{user}` is pure: it may not name `{name}`")));
        }
    }
    for (at, path) in paths(&source.production, "std") {
        let path: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
        let does_io = matches!(
            path.as_slice(),
            ["fs" | "process" | "thread", ..]
                | ["os", "unix" | "fd", ..]
                | ["net"]
                | ["net", "TcpStream" | "TcpListener" | "UdpSocket" | "ToSocketAddrs" | "*", ..]
        );
        if does_io {
            let note = format!("`{user}` is pure: it may not name `std::{}`", path.join("::"));
            found.push(source.finding(at, &note));
        }
    }
    found
}

/// Refuses the poller and `unsafe` outside `worker/`.
pub(crate) fn worker_only(source: &Source) -> Vec<String> {
    if module(source) == "worker" {
        return Vec::new();
    }
    let poller = crate_names(source, "polling").into_iter().map(|at| (at, "polling"));
    let dangerous = words(&source.code, "unsafe").map(|at| (at, "unsafe"));
    let note = |name| format!("only `worker` names `{name}`");
    poller.chain(dangerous).map(|(at, name)| source.finding(at, &note(name))).collect()
}

/// Refuses to open files anywhere but in `files`, which waits for nothing and reads nothing without end. A path
/// that is written in the code, such as one below `/proc`, leads where the code means it to.
pub(crate) fn opens_files(source: &Source) -> Vec<String> {
    if module(source) == "files" {
        return Vec::new();
    }
    let mut found = Vec::new();
    for call in ["fs::read(", "read_to_string(", "File::open(", "File::create(", "OpenOptions::new("] {
        for (at, _) in source.production.match_indices(call) {
            let of_a_reader = call == "read_to_string(" && !source.production[..at].ends_with("fs::");
            if !of_a_reader && !source.text[at + call.len()..].starts_with("\"/") {
                found.push(source.finding(at, "only `files` opens files"));
            }
        }
    }
    found
}

/// Offsets at which `name` means a crate: before `::`, or in a `use`.
fn crate_names(source: &Source, name: &str) -> Vec<usize> {
    let code = &source.production;
    let named = |&at: &usize| {
        let is_name = |char: char| char.is_alphanumeric() || matches!(char, '_' | '>');
        let inner = code[..at].strip_suffix("::").is_some_and(|before| before.ends_with(is_name));
        let used = code[..at].trim_end().ends_with("use");
        !inner && (used || code[at + name.len()..].starts_with("::"))
    };
    words(code, name).filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn an_arrow_that_points_down_is_fine() {
        for (path, text) in [
            ("src/main.rs", "use smolgate::cli;"),
            ("src/gate.rs", "use crate::proxy::http; use crate::{config, worker::{Timer, Stream}};"),
            ("src/proxy/exchange.rs", "use crate::{upstream::Pool, http::RequestHead, reason::Reason};"),
            ("src/routing/table.rs", "use crate::config::plan::{self, Rule}; use super::tree;"),
            ("src/proxy/tcp.rs", "// use crate::gate;\n#[cfg(test)] mod tests { use crate::config::load; }"),
            ("src/proxy/forward/head.rs", "use super::super::Head;"),
            ("src/lib.rs", "pub mod gate;"),
        ] {
            assert_eq!(count(arrows, path, text), 0, "{text}");
        }
    }

    #[test]
    fn any_other_arrow_is_found() {
        for (path, text) in [
            ("src/main.rs", "use smolgate::gate::run;"),
            ("src/proxy/exchange.rs", "use crate::gate::Gate;"),
            ("src/proxy/exchange.rs", "use crate::{reason::Reason, internal_api};"),
            ("src/http/path/path.rs", "fn f() { crate::worker::spawn() }"),
            ("src/http/path/path.rs", "use crate::config::load;"),
            ("src/routing/table.rs", "use crate::worker::Timer;"),
            ("src/routing/table.rs", "use crate::config;"),
            ("src/routing/table.rs", "use crate::config::planner::Rule;"),
            ("src/tls/client.rs", "use crate::upstream::Pool;"),
            ("src/http/path/path.rs", "use super::super::super::worker;"),
            ("src/gate.rs", "use super::config;"),
            ("src/http/mod.rs", "use super::worker;"),
            ("src/proxy/forward/head.rs", "use super::super::super::gate;"),
            ("src/mystery/mod.rs", ""),
        ] {
            assert_eq!(count(arrows, path, text), 1, "{text}");
        }
    }

    #[test]
    fn a_list_in_another_order_than_the_arrows_is_found() {
        let names: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).skip(1).collect();
        let list = |names: &[&str]| {
            let text: String = names.iter().map(|name| format!("pub mod {name}; // mod of it;\n")).collect();
            table(&Source::new("src/lib.rs", &text)).len()
        };
        assert_eq!(list(&names), 0);
        assert_eq!(list(&names[1..]), 1);
        let mut swapped = names.clone();
        swapped.swap(2, 3);
        assert_eq!(list(&swapped), 1);
    }

    #[test]
    fn modules_of_an_ordered_folder_use_what_stands_below_them() {
        let list =
            Source::new("src/config/mod.rs", "mod loader;\nmod lowering;\n\npub mod plan;\npub use x;");
        let count = |path, text| order(&list, &Source::new(path, text)).len();
        for (path, text) in [
            (
                "src/config/loader.rs",
                "use super::lowering; use super::plan::{Plan, Rule}; pub(super) fn f() {}",
            ),
            ("src/config/lowering/mod.rs", "use super::plan::Plan; mod tls;"),
            (
                "src/config/lowering/tls.rs",
                "use super::super::plan::Plan; use super::names; use super::lower;",
            ),
            (
                "src/config/lowering/tls.rs",
                "use crate::config::plan::Plan; use crate::config::lowering::lower;",
            ),
            ("src/config/plan.rs", "#[cfg(test)] mod tests { use super::super::loader; } use crate::log;"),
            ("src/config/mod.rs", "pub use loader::load;"),
            ("src/gate/mod.rs", "use crate::config::loader;"),
        ] {
            assert_eq!(count(path, text), 0, "{text}");
        }
        for (path, text) in [
            ("src/config/lowering/mod.rs", "use super::loader::Inputs;"),
            ("src/config/lowering/tls.rs", "use super::super::loader;"),
            ("src/config/lowering/tls.rs", "use crate::config::{plan::Plan, loader};"),
            ("src/config/plan.rs", "fn f() { super::lowering::lower() }"),
            // The re-exports of `mod.rs` come from above.
            ("src/config/plan.rs", "use super::Loaded;"),
        ] {
            assert_eq!(count(path, text), 1, "{text}");
        }
    }

    #[test]
    fn what_is_pure_may_talk_of_addresses_and_of_files_by_name() {
        let text = "use std::net::{IpAddr, SocketAddr}; use std::path::PathBuf; struct TcpListener; // smol\n\
                    #[cfg(test)] mod tests { use std::fs; }";
        assert_eq!(count(purity, "src/config/plan.rs", text), 0);
        assert_eq!(count(purity, "src/gate.rs", "use smol::net; use std::fs;"), 0);
    }

    #[test]
    fn what_is_pure_may_not_do_io() {
        for text in [
            "use std::net::TcpStream;",
            "use std::{fmt, net::{IpAddr, UdpSocket}};",
            "use std::net;",
            "use std::fs;",
            "fn f() { std::fs::read(p) }",
            "use std::os::unix::net::UnixStream;",
            "use smol::io;",
            "use smol;",
            "use async_io::Timer;",
            "fn f() { ::polling::Poller::new() }",
        ] {
            assert_eq!(count(purity, "src/routing/table.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn files_are_opened_in_one_place() {
        let text = "use std::fs; fn f() { fs::read(p); std::fs::read_to_string(p); File::open(p); fs::read_dir(p); }";
        assert_eq!(count(opens_files, "src/files.rs", text), 0);
        assert_eq!(count(opens_files, "src/gate/reload.rs", text), 3);
        let harmless = "fn f() { files::read_text(p, 1); fs::read_to_string(\"/proc/stat\"); r.read_to_string(&mut t); }\n\
                        #[cfg(test)] mod tests { fn g() { fs::read(p); } }";
        assert_eq!(count(opens_files, "src/gate/reload.rs", harmless), 0);
    }

    #[test]
    fn the_poller_and_unsafe_stay_in_the_worker() {
        let text = "use polling::Poller; fn f() { unsafe { g() } }";
        assert_eq!(count(worker_only, "src/worker/reactor.rs", text), 0);
        assert_eq!(count(worker_only, "src/proxy/tcp.rs", text), 2);
        let harmless = "#![forbid(unsafe_code)] // unsafe polling::x\nlet polling = \"unsafe\";";
        assert_eq!(count(worker_only, "src/proxy/tcp.rs", harmless), 0);
    }
}
