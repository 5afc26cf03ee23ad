//! Watching: every way of editing a configuration takes effect by itself, and a bad edit changes nothing.

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use support::client::Client;
use support::gate::TestGate;
use support::program;
use support::until;
use tempfile::TempDir;

/// A whole configuration with `watch` that responds with `word`.
fn answering(word: &str) -> String {
    format!(
        "watch: true\nworkers: 1\ninternal_api: {{ bind: \"127.0.0.1:0\" }}\nhttp_config: {{ port: \"127.0.0.1:0\" }}\n\
         http_routes:\n  - respond: {{ body: \"{word}\" }}\n"
    )
}

/// Whether the system reports changes. Otherwise, files are polled every two seconds.
const INOTIFY: bool = cfg!(all(target_os = "linux", not(portable)));

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The real program with its configuration, and what it asks of the system.
struct Program {
    program: program::Program,
    address: SocketAddr,
}

impl Deref for Program {
    type Target = program::Program;

    fn deref(&self) -> &program::Program {
        &self.program
    }
}

impl Program {
    #[track_caller]
    fn start(config: &Path, setup: impl FnOnce(&mut Command)) -> Program {
        let program = program::Program::start(|command| {
            command.args(["--log-level", "debug", "-c"]).arg(config);
            setup(command);
        });
        let address = program.address("http");
        Program { program, address }
    }

    #[track_caller]
    fn says(&self, what: &str) {
        until(&format!("it says {what:?}"), || self.said(what) > 0);
    }

    fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// The description of each inotify instance of the program in `/proc`.
    fn inotify(&self) -> Vec<String> {
        let open = fs::read_dir(self.proc("fd")).into_iter().flatten().flatten();
        let events = open
            .filter(|entry| fs::read_link(entry.path()).is_ok_and(|at| at.ends_with("anon_inode:inotify")));
        events
            .filter_map(|entry| fs::read_to_string(self.proc("fdinfo").join(entry.file_name())).ok())
            .collect()
    }

    fn has_inotify(&self) -> bool {
        !self.inotify().is_empty()
    }

    /// Whether the program watches this very file.
    fn watches(&self, file: &Path) -> bool {
        let inode = format!(" ino:{:x} ", fs::metadata(file).unwrap().ino());
        self.inotify().iter().any(|instance| instance.contains(&inode))
    }

    #[track_caller]
    fn answers(&self, word: &str) {
        let answer = || Client::connect(self.address).exchange(GET).text();
        until(&format!("the response is {word:?}:\n{}", self.log()), || answer() == word);
    }
}

/// A folder with a `smolgate.yml` that responds `one`, and the program over it.
fn watched() -> (TempDir, PathBuf, Program) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    fs::write(&file, answering("one")).unwrap();
    let program = Program::start(&file, |_| {});
    program.answers("one");
    (dir, file, program)
}

#[test]
fn writing_in_place() {
    let (_dir, file, program) = watched();
    fs::write(&file, answering("two")).unwrap();
    program.answers("two");
    // An editor that keeps the file open and writes in several steps.
    let mut open = File::options().write(true).truncate(true).open(&file).unwrap();
    let text = answering("three, and longer");
    let (first, second) = text.split_at(text.len() / 2);
    open.write_all(first.as_bytes()).unwrap();
    open.write_all(second.as_bytes()).unwrap();
    program.answers("three, and longer");
    assert_eq!(program.said("refused"), 0, "{}", program.log());
}

#[test]
fn another_file_in_its_place() {
    let (dir, file, program) = watched();
    for (round, keeps_a_copy) in [(2, true), (3, false), (4, true), (5, false)] {
        let (new, old) = (dir.path().join("smolgate.yml.new"), dir.path().join("smolgate.yml~"));
        fs::write(&new, answering(&format!("round {round}"))).unwrap();
        if keeps_a_copy {
            // As vim writes: for a moment there is no such file.
            fs::rename(&file, &old).unwrap();
        }
        fs::rename(&new, &file).unwrap();
        program.answers(&format!("round {round}"));
    }
    let sed = Command::new("sed").args(["-i", "s/round 5/edited by sed/"]).arg(&file).status();
    if sed.is_ok_and(|status| status.success()) {
        program.answers("edited by sed");
    }
}

#[test]
fn a_file_that_goes_and_comes_back() {
    let (_dir, file, program) = watched();
    fs::remove_file(&file).unwrap();
    fs::write(&file, answering("two")).unwrap();
    program.answers("two");
    fs::remove_file(&file).unwrap();
    program.says("smolgate.yml cannot be read");
    program.answers("two");
    fs::write(&file, answering("three")).unwrap();
    program.answers("three");
    assert_eq!(program.said("refused"), 1, "{}", program.log());
}

#[test]
fn pages_of_rules() {
    let dir = tempfile::tempdir().unwrap();
    let (file, page) = (dir.path().join("smolgate.yml"), dir.path().join("page.html"));
    fs::write(&page, "one").unwrap();
    fs::write(&file, answering("-").replace("body: \"-\"", "status: 503, page: ./page.html")).unwrap();
    let program = Program::start(&file, |_| {});
    program.answers("one");
    fs::write(&page, "two").unwrap();
    program.answers("two");
    // Without the page, the configuration in force stays.
    fs::remove_file(&page).unwrap();
    program.says("the file `./page.html` cannot be read");
    program.answers("two");
    fs::write(&page, "three").unwrap();
    program.answers("three");
}

#[test]
fn the_folder_that_goes_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("conf");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yml"), answering("one")).unwrap();
    let program = Program::start(&folder, |_| {});
    fs::remove_dir_all(&folder).unwrap();
    program.says("refused");
    program.answers("one");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.yml"), answering("two")).unwrap();
    program.answers("two");
}

#[test]
fn files_of_a_folder_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("conf");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("b.yml"), answering("last")).unwrap();
    let program = Program::start(&folder, |_| {});
    program.answers("last");
    let before = folder.join("a.yml");
    fs::write(&before, "http_routes:\n  - respond: { body: \"first\" }\n").unwrap();
    program.answers("first");
    fs::remove_file(&before).unwrap();
    program.answers("last");
}

/// As Kubernetes mounts a ConfigMap.
#[test]
fn a_symbolic_link_on_the_way_that_is_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let publish = |number: usize| {
        let version = format!("..version_{number}");
        fs::create_dir(at(&version)).unwrap();
        fs::write(at(&version).join("smolgate.yml"), answering(&format!("version {number}"))).unwrap();
        symlink(&version, at("..data_new")).unwrap();
        fs::rename(at("..data_new"), at("..data")).unwrap();
        if number > 1 {
            fs::remove_dir_all(at(&format!("..version_{}", number - 1))).unwrap();
        }
    };
    publish(1);
    symlink("..data/smolgate.yml", at("smolgate.yml")).unwrap();
    let program = Program::start(&at("smolgate.yml"), |_| {});
    for number in 2..5 {
        publish(number);
        program.answers(&format!("version {number}"));
    }
    // And a link above the folder.
    symlink(dir.path(), dir.path().join("current")).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("smolgate.yml"), answering("elsewhere")).unwrap();
    let program = Program::start(&at("current/smolgate.yml"), |_| {});
    program.answers("version 4");
    symlink(other.path(), at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    program.answers("elsewhere");
}

#[test]
fn files_that_the_configuration_names() {
    let (dir, file, program) = watched();
    let word = dir.path().join("word");
    // The edit names a file that does not exist yet. Only writing that file makes it valid.
    fs::write(&file, answering("${file:word}")).unwrap();
    program.says("`word` cannot be read");
    fs::write(&word, "from a file\n").unwrap();
    program.answers("from a file");
    fs::write(&word, "changed\n").unwrap();
    program.answers("changed");
    if !INOTIFY {
        return;
    }
    until("it watches both", || program.watches(&word) && program.watches(&file));
    // A file that is no longer named is no longer watched, but the others are.
    fs::write(&file, answering("alone")).unwrap();
    program.answers("alone");
    until("it watches only the files that are read", || !program.watches(&word));
    assert!(program.watches(&file));
}

#[test]
fn certificates_that_the_configuration_names() {
    let (dir, file, program) = watched();
    let authority = || {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem()
    };
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, "no certificate").unwrap();
    let more = "  - { path_prefix: \"/x\", target: \"https://127.0.0.1:1\", tls: { ca: \"./ca.pem\" } }\n";
    fs::write(&file, answering("with an authority").replace("  - respond", &format!("{more}  - respond")))
        .unwrap();
    program.says("refused");
    fs::write(&ca, authority()).unwrap();
    program.answers("with an authority");
    fs::write(&ca, authority()).unwrap();
    program.says("reloaded as generation 3: authorities changed of 1 upstream (");
}

#[test]
fn a_broken_edit_changes_nothing_and_is_reported_once() {
    let (_dir, file, program) = watched();
    let broken = answering("two").replace("respond", "respnd");
    fs::write(&file, &broken).unwrap();
    program.says("did you mean `respond`?");
    for round in 1..4 {
        fs::write(&file, &broken).unwrap();
        until("it has read the file again", || program.said("read again: nothing changed") >= round);
    }
    program.answers("one");
    assert_eq!(program.said("refused"), 1, "{}", program.log());
    // Another error is reported anew.
    fs::write(&file, broken.replace("respnd", "rspond")).unwrap();
    until("it reports the other one too", || program.said("refused") == 2);
    fs::write(&file, answering("mended")).unwrap();
    program.answers("mended");
}

#[test]
fn an_emptied_file_is_not_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    fs::write(&file, answering("one")).unwrap();
    // An empty file does not say where the internal API listens, and the default port may be taken.
    let program = Program::start(&file, |command| _ = command.env("INTERNAL_API_PORT", "127.0.0.1:0"));
    program.answers("one");
    let mut writer = File::create(&file).unwrap();
    program.says("smolgate.yml is empty");
    program.answers("one");
    writer.write_all(answering("two").as_bytes()).unwrap();
    program.answers("two");
    fs::write(&file, "").unwrap();
    until("it is reported again", || program.said("smolgate.yml is empty") == 2);
    program.hang_up();
    program.says("the configuration is empty");
    program.answers("two");
}

/// The file is named by a descriptor that keeps leading to it, like the mount of a single file.
#[test]
fn a_mount_of_a_file_that_was_replaced_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let (file, new) = (dir.path().join("smolgate.yml"), dir.path().join("new"));
    fs::write(&file, answering("one")).unwrap();
    let open = File::open(&file).unwrap();
    let mounted = format!("/proc/{}/fd/{}", std::process::id(), open.as_raw_fd());
    let program = Program::start(Path::new(&mounted), |_| {});
    program.answers("one");
    until("it has read the file again", || program.said("read again: nothing changed") > 0);
    fs::write(&new, answering("two")).unwrap();
    fs::rename(&new, &file).unwrap();
    program.says("mount the directory, not the file");
    program.answers("one");
    program.hang_up();
    program.says("nothing changed");
    assert_eq!(program.said("mount the directory"), 1, "{}", program.log());
}

/// Further arguments and variables of the program.
type Setup = fn(&mut Command);

#[test]
fn the_command_line_and_the_environment_switch_watching_on() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let quiet = |word: &str| answering(word).replace("watch: true\n", "");
    let cases: [(&str, Setup); 3] = [
        ("flag", |command| _ = command.arg("--watch")),
        ("environment", |command| _ = command.env("SMOLGATE_WATCH", "yes")),
        ("other name", |command| _ = command.env("LITEPROXY_WATCH", "True")),
    ];
    for (what, setup) in cases {
        fs::write(&file, quiet("before")).unwrap();
        let program = Program::start(&file, setup);
        program.answers("before");
        fs::write(&file, quiet(what)).unwrap();
        program.answers(what);
    }
    fs::write(&file, answering("one")).unwrap();
    let program = Program::start(&file, |command| _ = command.env("SMOLGATE_WATCH", "0"));
    program.answers("one");
    assert!(!program.has_inotify(), "the environment comes before the file");
}

#[test]
fn a_reload_switches_watching_on_and_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let unwatched = |word: &str| answering(word).replace("watch: true", "watch: false");
    fs::write(&file, unwatched("one")).unwrap();
    let program = Program::start(&file, |_| {});
    assert!(!program.has_inotify());
    fs::write(&file, answering("two")).unwrap();
    program.hang_up();
    program.answers("two");
    fs::write(&file, answering("three")).unwrap();
    program.answers("three");
    assert_eq!(program.has_inotify(), INOTIFY);
    fs::write(&file, unwatched("four")).unwrap();
    program.answers("four");
    until("nothing is watched", || !program.has_inotify());
}

#[test]
fn gates_of_one_process_watch_each_for_itself() {
    let config = "watch: true\nhttp_config: { port: \"127.0.0.1:0\" }\nhttp_routes:\n  - respond: { body: \"{word}\" }\n";
    let answers = |gate: &TestGate, word: &str| {
        until(&format!("the response is {word}"), || gate.exchange(GET).text() == word);
    };
    let (one, two) = (TestGate::start(config, &[("word", &"a")]), TestGate::start(config, &[("word", &"b")]));
    one.edit(config, &[("word", &"c")]);
    answers(&one, "c");
    answers(&two, "b");
    one.stop();
    two.edit(config, &[("word", &"d")]);
    answers(&two, "d");
}

#[test]
fn hang_ups_under_load_lose_nothing_and_reopen_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (file, log) = (dir.path().join("smolgate.yml"), dir.path().join("access.log"));
    let round = |number: usize| {
        let text = answering(&format!("round {number}")).replace("watch: true", "watch: false");
        format!("access_log: \"./access.log\"\n{text}")
    };
    fs::write(&file, round(0)).unwrap();
    let program = Program::start(&file, |_| {});
    let (done, address) = (AtomicBool::new(false), program.address);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let (mut kept, mut count) = (Client::connect(address), 0);
                    while !done.load(Ordering::Relaxed) {
                        assert_eq!(kept.exchange(GET).status(), 200);
                        assert_eq!(Client::connect(address).exchange(GET).status(), 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for number in 1..=30 {
            fs::write(&file, round(number)).unwrap();
            program.hang_up();
            program.answers(&format!("round {number}"));
        }
        fs::rename(&log, dir.path().join("access.log.1")).unwrap();
        program.hang_up();
        until("the log is there again", || fs::metadata(&log).is_ok_and(|log| log.len() > 0));
        done.store(true, Ordering::Relaxed);
        let count: usize =
            clients.into_iter().map(|client| client.join().expect("every exchange went well")).sum();
        eprintln!("{} exchanges over 31 reloads", count * 2);
        assert!(count > 0);
    });
}

#[cfg(feature = "compose")]
mod compose {
    use super::*;
    use crate::support::upstream::Upstream;

    /// A compose project in a folder, and the program with it. `files` are written first.
    fn composed(files: &[(&str, String)]) -> (TempDir, Program) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("more")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let program = Program::start(&dir.path().join("compose.yaml"), |command| {
            for (name, value) in [("WATCH", "true"), ("HTTP_PORT", "127.0.0.1:0")] {
                command.env(format!("SMOLGATE_{name}"), value);
            }
            command.env("INTERNAL_API_PORT", "127.0.0.1:0");
        });
        (dir, program)
    }

    fn routed_to(target: &str) -> String {
        format!(
            "services: {{ web: {{ labels: {{ smolgate.host: a, smolgate.target: \"http://{target}\" }} }} }}\n"
        )
    }

    #[test]
    fn an_edited_label_takes_effect() {
        let (one, two) = (Upstream::says("one"), Upstream::says("two"));
        let to = |upstream: &Upstream| routed_to(&upstream.address().to_string());
        let (dir, program) = composed(&[("compose.yaml", to(&one))]);
        program.answers("one");
        let file = dir.path().join("compose.yaml");
        fs::write(&file, to(&two)).unwrap();
        program.answers("two");
        let new = dir.path().join("compose.yaml.new");
        fs::write(&new, to(&one)).unwrap();
        fs::rename(&new, &file).unwrap();
        program.answers("one");
        // A bad label rejects its own service. A text that is not YAML changes nothing.
        fs::write(&file, to(&one).replace("http:", "ftp:")).unwrap();
        until("the service is not served", || Client::connect(program.address).exchange(GET).status() == 503);
        fs::write(&file, to(&two)).unwrap();
        program.answers("two");
        fs::write(&file, "services: [").unwrap();
        program.says("reload refused");
        program.answers("two");
    }

    #[test]
    fn every_file_of_a_compose_project_is_watched() {
        let (one, two) = (Upstream::says("one"), Upstream::says("two"));
        let [to_one, to_two] = [&one, &two].map(|upstream| format!("TARGET={}\n", upstream.address()));
        let (dir, program) = composed(&[
            ("compose.yaml", "include: [more/compose.yaml]\n".into()),
            ("more/compose.yaml", routed_to("${TARGET}")),
            ("more/.env", to_one.clone()),
        ]);
        program.answers("one");
        let more = dir.path().join("more");
        fs::write(more.join(".env"), &to_two).unwrap();
        program.answers("two");
        // The included file names a file of labels that is written later.
        let text = "services: { web: { label_file: web.labels, labels: { smolgate.host: a } } }\n";
        fs::write(more.join("compose.yaml"), text).unwrap();
        program.says("web.labels cannot be read");
        let labels = |upstream: &Upstream| format!("smolgate.target=http://{}\n", upstream.address());
        fs::write(more.join("web.labels"), labels(&one)).unwrap();
        program.answers("one");
        fs::write(more.join("web.labels.new"), labels(&two)).unwrap();
        fs::rename(more.join("web.labels.new"), more.join("web.labels")).unwrap();
        program.answers("two");
        // An override that did not exist before. It is not read, because the file was named, and the log says so.
        fs::write(dir.path().join("compose.override.yaml"), "services: {}\n").unwrap();
        program.says("compose.override.yaml is not read");
    }
}
