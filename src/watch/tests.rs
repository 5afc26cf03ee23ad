//! Tests that an edit through a whole gate cannot do: the poll alone, and the watched paths.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_lite::FutureExt;
use smol::Timer;
use tempfile::TempDir;

use super::files::{FileStamps, note, read, stamps, watch_targets};
use super::mounts::StaleMounts;
use super::watcher::ConfigWatcher;
use crate::config::{Content, SourceFiles};
use crate::tls;

/// Only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// A folder whose path has no symbolic link.
fn folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let path = dir.path().canonicalize().expect("a folder");
    (dir, path)
}

fn sources(paths: &[&Path]) -> SourceFiles {
    read(&paths.iter().map(|path| (path.to_path_buf(), Content::Unreadable)).collect())
}

fn within_deadline<T>(what: &str, future: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(DEADLINE).await;
        panic!("timed out before {what}");
    };
    smol::block_on(future.or(late))
}

#[test]
fn the_poll_alone_is_enough() {
    let (_dir, dir) = folder();
    let (file, later) = (dir.join("a.yml"), dir.join("later"));
    fs::write(&file, "one").unwrap();
    let mut watcher = ConfigWatcher::new(None);
    watcher.watch(Arc::new(sources(&[&file, &later])));
    for (path, text) in [(&file, "two"), (&later, "now it is there"), (&file, "three")] {
        fs::write(path, text).unwrap();
        let held = within_deadline("the poll finds the edit", watcher.changed());
        assert_eq!(held.get(path), Some(Content::text(text.as_bytes())));
        watcher.watch(Arc::new(held));
    }
}

#[test]
fn an_edit_during_a_load_is_found_without_an_event() {
    let (_dir, dir) = folder();
    let file = dir.join("a.yml");
    fs::write(&file, "loaded").unwrap();
    let loaded = Arc::new(sources(&[&file]));
    fs::write(&file, "written since").unwrap();
    let mut watcher = ConfigWatcher::new(None);
    watcher.watch(loaded);
    let held = within_deadline("the edit is found", watcher.changed());
    assert_eq!(held.get(&file), Some(Content::text(b"written since")));
}

#[test]
fn a_load_that_reads_something_else_is_asked_for_once() {
    let (_dir, dir) = folder();
    let file = dir.join("a.yml");
    fs::write(&file, "here").unwrap();
    let elsewhere: SourceFiles = [(file.clone(), Content::text(b"never written"))].into_iter().collect();
    let mut watcher = ConfigWatcher::new(None);
    watcher.watch(Arc::new(elsewhere.clone()));
    within_deadline("it is reported once", watcher.changed());
    watcher.watch(Arc::new(elsewhere));
    let again = smol::block_on(async { Some(watcher.changed().await) }.or(async {
        // Longer than it takes to wait for quiet and to look again.
        Timer::after(super::watcher::QUIET * 3).await;
        None
    }));
    assert_eq!(again, None);
}

#[test]
fn every_folder_on_the_way_to_a_file_is_watched() {
    let (_dir, dir) = folder();
    for folder in ["mount/..1", "releases/1"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    fs::write(dir.join("mount/..1/a.yml"), "").unwrap();
    fs::write(dir.join("releases/1/b.yml"), "").unwrap();
    symlink("..1", dir.join("mount/..data")).unwrap();
    symlink("..data/a.yml", dir.join("mount/a.yml")).unwrap();
    symlink(dir.join("releases/1"), dir.join("current")).unwrap();
    let folders = |path: &str| {
        let path = dir.join(path);
        let found = watch_targets(&sources(&[&path]));
        let short = |folder: PathBuf| folder.strip_prefix(&dir).ok().map(|path| path.display().to_string());
        found.folders.into_iter().filter_map(short).collect::<Vec<_>>()
    };
    assert_eq!(folders("mount/a.yml"), ["mount", "mount/..1"]);
    assert_eq!(folders("current/b.yml"), ["", "releases/1"]);
    assert_eq!(folders("current/../1/b.yml"), ["", "releases/1/../1"]);
    assert_eq!(folders("mount/missing.yml"), ["mount"]);
    assert_eq!(folders("gone/away/b.yml"), [""]);
    assert_eq!(folders("releases"), ["", "releases"]);
    symlink("circle", dir.join("circle")).unwrap();
    assert_eq!(folders("circle/b.yml"), [""]);
}

#[test]
fn certificates_and_keys_in_a_folder_are_noted() {
    let (_dir, dir) = folder();
    fs::create_dir_all(dir.join("live/a.example/old/older")).unwrap();
    fs::write(dir.join("live/a.example/cert.pem"), [0xff]).unwrap();
    for other in ["README", "backup.tar", ".hidden.pem"] {
        fs::write(dir.join("live/a.example").join(other), "not read").unwrap();
    }
    let mut noted = SourceFiles::default();
    note(&mut noted, &dir.join("live"), tls::may_count);
    let paths: Vec<_> = noted.iter().map(|(path, _)| path.strip_prefix(&dir).unwrap().to_owned()).collect();
    let expected = ["live", "live/a.example", "live/a.example/cert.pem", "live/a.example/old"];
    assert_eq!(paths, expected.map(PathBuf::from));
    let before = noted.clone();
    assert!(read(&noted).same_content(&before));
    fs::write(dir.join("live/a.example/cert.pem"), [0xfe]).unwrap();
    assert!(!read(&noted).same_content(&before));
}

#[test]
fn a_mount_that_shows_a_replaced_file_is_reported_once() {
    let (_dir, dir) = folder();
    let file = dir.join("a.yml");
    fs::write(&file, "").unwrap();
    let stamps: FileStamps = stamps(&sources(&[&file]));
    let mounted = |root: &str| BTreeMap::from([(file.clone(), root.to_owned())]);
    let mut mounts = StaleMounts::default();
    assert!(mounts.find(&stamps, &mounted("/srv/a.yml")).is_empty());
    assert!(mounts.find(&stamps, &mounted("/srv/a.yml")).is_empty());
    assert_eq!(mounts.find(&stamps, &mounted("/srv/a.yml~")), std::slice::from_ref(&file));
    assert!(mounts.find(&stamps, &mounted("/srv/a.yml~")).is_empty());
    assert!(mounts.find(&stamps, &mounted("/srv/a.yml~//deleted")).is_empty());
}
