//! Names and paths of files below a root.

use std::sync::Arc;

use crate::config::keys::ValueError;
use crate::config::plan::{Coding, NameGlob, Symlinks};

/// The name of a file in a folder.
pub(crate) fn name(text: &str) -> Result<Arc<str>, ValueError> {
    if is_name(text) {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is not the name of a file", "write one without a `/`, such as index.html"))
    }
}

/// The path of a file below a root, with a slash in front.
pub(crate) fn path(text: &str) -> Result<Arc<str>, ValueError> {
    if text.strip_prefix('/').is_some_and(|path| path.split('/').all(is_name)) {
        Ok(text.into())
    } else {
        Err(ValueError::hint(
            "is not the path of a file below the root",
            "write it from the root, as in \"/index.html\"",
        ))
    }
}

/// A name, or one `*` with the start and the end of names.
pub(crate) fn glob(text: &str) -> Result<NameGlob, ValueError> {
    if !is_name(text) {
        return Err(ValueError::hint(
            "is not the name of a file",
            "each name on a path is compared: \".git\" hides that folder and all below it",
        ));
    }
    match text.split_once('*') {
        None => Ok(NameGlob::exact(text)),
        Some((_, end)) if end.contains('*') => {
            Err(ValueError::hint("has more than one `*`", "one stands for any characters: \"*.bak\""))
        }
        Some((start, end)) => Ok(NameGlob::star(start, end)),
    }
}

/// A coding, by the suffix of its files.
pub(crate) fn coding(text: &str) -> Result<Coding, ValueError> {
    let coding = Coding::ALL.into_iter().find(|coding| coding.word() == text);
    coding.ok_or(ValueError::hint("is not a coding", "write br, zst or gz: the ends of the files' names"))
}

/// Which links are followed.
pub(crate) fn symlinks(text: &str) -> Result<Symlinks, ValueError> {
    let known = Symlinks::WORDS.into_iter().find(|(word, _)| *word == text);
    known
        .map(|(_, links)| links)
        .ok_or(ValueError::hint("is not a kind of links", "write inside, none or anywhere"))
}

fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && !text.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_stay_below_a_root() {
        for text in ["", ".", "..", "a/b", "/a"] {
            assert!(name(text).is_err() && glob(text).is_err(), "{text}");
        }
        for text in ["", "/", "a", "//a", "/a/", "/../a", "/a/./b", "/a/.."] {
            assert!(path(text).is_err(), "{text}");
        }
        assert_eq!((&*name("a b.html").unwrap(), &*path("/a/b.html").unwrap()), ("a b.html", "/a/b.html"));
    }

    #[test]
    fn a_glob_takes_names_in_any_case() {
        for (text, takes, leaves) in [
            (".*", &[".git", ".", ".ENV"][..], &["git", "a.b"][..]),
            ("*~", &["a~", "~"], &["~a"]),
            ("*.bak", &["a.bak", "A.BAK", ".bak"], &["a.bak2", "bak"]),
            ("a*a", &["aa", "aBa"], &["a", "ab"]),
            ("secret", &["secret", "SECRET"], &["secrets", "a"]),
            ("*", &["", "a"], &[]),
        ] {
            let glob = glob(text).unwrap();
            assert_eq!(glob.to_string(), text);
            assert!(takes.iter().all(|name| glob.matches(name.as_bytes())), "{text}");
            assert!(!leaves.iter().any(|name| glob.matches(name.as_bytes())), "{text}");
        }
        assert!(super::glob("a**").is_err());
    }
}
