//! Tests that touch the whole process: its file descriptors, their limit, its code. Each of them starts the
//! test program again in a process of its own, so that it does not disturb the other tests.

use std::io::Write;
use std::net::TcpStream as Peer;
use std::process::Command;

use futures_lite::AsyncReadExt;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{on_worker, pair};
use crate::config::plan::Bind;
use crate::worker::{AcceptError, Listener, listen};

/// The environment variable of the process that runs a single test.
const ALONE: &str = "SMOLGATE_TEST_ALONE";

/// Runs `test` in a process of its own. `name` is its name in this file.
fn alone(name: &str, test: fn()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let name = format!("{}::{name}", module_path!().split_once("::").unwrap().1);
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complained}");
}

/// Forbids the process further descriptors, and returns the earlier limit.
fn close_the_door() -> rustix::process::Rlimit {
    let before = getrlimit(Resource::Nofile);
    // This is the lowest free number. All numbers below it are taken, so no more can be opened.
    let next = std::fs::File::open("/dev/null").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
    let limit = rustix::process::Rlimit { current: Some(number), maximum: before.maximum };
    setrlimit(Resource::Nofile, limit).unwrap();
    before
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn listener(worker: &crate::worker::Worker) -> Listener {
    let address = "127.0.0.1:0".parse().unwrap();
    Listener::new(worker, listen(Bind::Address(address)).unwrap()).unwrap()
}

#[test]
fn accepting_survives_a_full_descriptor_table() {
    alone("accepting_survives_a_full_descriptor_table", || {
        on_worker(|worker| async move {
            let listener = listener(&worker);
            let mut waiting = Peer::connect(listener.address()).unwrap();
            waiting.write_all(b"hello").unwrap();
            let (served, mut client) = pair(&worker);
            client.write_all(b"meanwhile").unwrap();
            let before = close_the_door();
            let mut errors = Vec::new();
            let accept = listener.accept(|AcceptError { error, in_a_row }| {
                errors.push((error.raw_os_error(), in_a_row));
                if in_a_row == 3 {
                    setrlimit(Resource::Nofile, before).unwrap();
                }
            });
            // Other connections are served while the listener pauses.
            let other = async {
                let mut bytes = [0; 9];
                (&served).read_exact(&mut bytes).await.unwrap();
                assert_eq!(&bytes, b"meanwhile");
            };
            let ((mut stream, _), ()) = futures_lite::future::zip(accept, other).await;
            let full = Some(Errno::MFILE.raw_os_error());
            assert_eq!(errors, [(full, 1), (full, 2), (full, 3)]);
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            assert_eq!(&bytes, b"hello", "nobody was lost");
        });
    });
}

#[test]
fn a_connection_that_cannot_be_made_is_an_error() {
    alone("a_connection_that_cannot_be_made_is_an_error", || {
        on_worker(|worker| async move {
            let before = close_the_door();
            let attempt = crate::worker::TcpStream::connect(&worker, "127.0.0.1:9".parse().unwrap()).await;
            assert_eq!(attempt.map(drop).unwrap_err().raw_os_error(), Some(Errno::MFILE.raw_os_error()));
            setrlimit(Resource::Nofile, before).unwrap();
        });
    });
}

#[test]
fn a_worker_that_cannot_be_made_is_an_error() {
    alone("a_worker_that_cannot_be_made_is_an_error", || {
        let before = close_the_door();
        assert!(crate::worker::run(|_| async {}).is_err());
        setrlimit(Resource::Nofile, before).unwrap();
        on_worker(|_| async {});
    });
}

/// All sockets, pipes and parts of the reactor are closed when the run has ended, also those of tasks that
/// were still waiting.
#[test]
fn a_run_gives_back_every_descriptor() {
    alone("a_run_gives_back_every_descriptor", || {
        let before = descriptors();
        for _ in 0..50 {
            let peers = on_worker(|worker| async move {
                let mut peers = Vec::new();
                for _ in 0..5 {
                    let ((mut reading, peer), own) = (pair(&worker), worker.clone());
                    peers.push(peer);
                    let waiting = async move {
                        // Without `splice` there is no pipe.
                        let _pipe = own.pipe();
                        let _ = reading.read(&mut [0]).await;
                    };
                    worker.spawn(waiting).detach();
                }
                let (listener, own) = (listener(&worker), worker.clone());
                let accepting = async move {
                    let _ = listener.accept(|_| ()).await;
                    own.sleep(std::time::Duration::MAX).await;
                };
                worker.spawn(accepting).detach();
                worker.yield_now().await;
                peers
            });
            drop(peers);
            assert_eq!(descriptors(), before);
        }
    });
}

#[cfg(not(portable))]
mod linux {
    use super::*;
    use crate::worker::release_startup_code;

    #[test]
    fn a_pipe_that_cannot_be_made_is_an_error() {
        alone("linux::a_pipe_that_cannot_be_made_is_an_error", || {
            on_worker(|worker| async move {
                let before = close_the_door();
                let error = worker.pipe().map(drop).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(Errno::MFILE.raw_os_error()));
                setrlimit(Resource::Nofile, before).unwrap();
                drop(worker.pipe().unwrap());
            });
        });
    }

    /// Counts the bytes of code that are in memory, not only mapped by address.
    fn code_mapped() -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut of_code = false;
        let kilobytes = smaps.lines().filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            if name.contains('-') {
                of_code = value.starts_with("r-xp") && line.contains('/');
            }
            let size = value.trim().strip_suffix(" kB").filter(|_| of_code && name == "Rss:")?;
            Some(size.parse::<usize>().unwrap())
        });
        kilobytes.sum::<usize>() * 1024
    }

    #[test]
    fn code_that_was_let_go_takes_no_memory_until_it_runs_again() {
        alone("linux::code_that_was_let_go_takes_no_memory_until_it_runs_again", || {
            let serve = || on_worker(|worker| async move { drop(pair(&worker)) });
            serve();
            let before = code_mapped();
            release_startup_code();
            let after = code_mapped();
            assert!(after < before, "{before} bytes, then {after}");
            serve();
        });
    }
}
