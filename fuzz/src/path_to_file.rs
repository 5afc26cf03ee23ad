//! From a path to a file: never outside the root, compared with a real folder in which each file holds its own path.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use smolgate::config::plan::{Files, Symlinks};
use smolgate::file_server::{Accepted, FilePath, Found, Opening, Wanted, find, open_root};

/// The files below the root. The content of each is its path.
const FILES: [&str; 6] = ["a", "b/c", "b/d/e", "..;/f", "%2e%2e/g", "b\\c"];

/// A folder with a root, a file beside it, and links that lead out.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("smolgate-fuzz-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let root = folder.join("root");
    for path in FILES {
        let file = root.join(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        fs::write(file, path).expect("a file");
    }
    fs::write(folder.join("secret"), "secret").expect("a file");
    for (target, link) in
        [("../secret", "out"), ("/etc", "etc"), ("..", "up"), ("b/../..", "b/up"), ("b", "in")]
    {
        symlink(target, root.join(link)).expect("a link");
    }
    folder
});

/// Checks that a decoded path has only plain names, and that a file which is found is the one of that path.
pub fn holds(bytes: &[u8]) {
    let Some(path) = FilePath::decode(bytes) else { return };
    assert!(bytes.is_empty() || bytes[0] == b'/');
    for name in path.segments() {
        assert!(!matches!(name, b"" | b"." | b"..") && !name.contains(&0) && !name.contains(&b'/'));
    }
    let escape = |byte: &u8| match byte {
        b'/' => "/".to_owned(),
        byte => format!("%{byte:02x}"),
    };
    let encoded: String = path.as_bytes().iter().map(escape).collect();
    let slash = if path.is_folder() && !encoded.is_empty() { "/" } else { "" };
    let again = if bytes.is_empty() { String::new() } else { format!("/{encoded}{slash}") };
    assert_eq!(FilePath::decode(again.as_bytes()).as_ref(), Some(&path), "{again}");
    for links in [Symlinks::Inside, Symlinks::Never] {
        let wanted = Wanted {
            files: Arc::new(files(links)),
            path: Some(path.clone()),
            accepted: Accepted::default(),
            is_navigation: false,
        };
        let root = open_root(&wanted.files, Opening::Waiting).expect("the root");
        let Ok(Found::File(found)) = find(&wanted, root.as_fd(), Opening::Waiting) else { continue };
        let mut content = Vec::new();
        let file = found.content.as_fd().try_clone_to_owned().expect("a descriptor");
        File::from(file).read_to_end(&mut content).expect("the content");
        // The one link inside is another name of a folder.
        let real = FOLDER.join("root").join(std::ffi::OsStr::from_bytes(path.as_bytes()));
        let real = real.canonicalize().expect("a path");
        let real =
            real.strip_prefix(FOLDER.join("root").canonicalize().expect("a path")).expect("a path below");
        assert_eq!(content, real.as_os_str().as_bytes());
    }
}

fn files(symlinks: Symlinks) -> Files {
    Files {
        root: FOLDER.join("root").into(),
        index: Vec::new(),
        fallback: None,
        precompressed: Vec::new(),
        hidden: Vec::new(),
        symlinks,
        list: false,
        immutable: Vec::new(),
        strip_path_prefix: false,
        body_timeout: Duration::from_secs(1),
    }
}

/// Paths of files, and of what is outside.
pub fn seeds() -> Vec<Vec<u8>> {
    let paths = [
        "",
        "/",
        "/a",
        "/b/c",
        "/b/d/e",
        "/in/c",
        "/in/d/e",
        "/out",
        "/etc/passwd",
        "/up/secret",
        "/b/up/secret",
        "/../secret",
        "/%2e%2e/secret",
        "/%252e%252e/g",
        "/..;/f",
        "/b%2fc",
        "/b%5cc",
        "/b\\c",
        "//etc/passwd",
        "/a%00",
        "/a/",
        "/b",
        "/b/../../secret",
        "/in/../../secret",
    ];
    paths.map(|path| path.as_bytes().to_vec()).to_vec()
}
