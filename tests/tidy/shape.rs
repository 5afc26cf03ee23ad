//! How long, how safe, how finished and how explained a Rust file is.

use std::collections::BTreeMap;

use crate::source::{Source, behind_bracket, is_test_file, words};

/// Lines of a file that can be read in one sitting.
const FILE_LINES_MAX: usize = 400;
/// Lines of a file of tests, which is read one test at a time.
const TEST_LINES_MAX: usize = 600;
/// Files of a folder that can be seen at a glance.
const FOLDER_FILES_MAX: usize = 13;
/// Lines of a folder, without those of the folders in it.
const FOLDER_LINES_MAX: usize = 2500;
/// Lines of a function, from its `fn` to its last brace.
const FUNCTION_LINES_MAX: usize = 70;

/// Refuses files and functions that are too long.
pub(crate) fn lengths(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.text.lines().count();
    let is_long = !source.path.starts_with("src/") || is_test_file(&source.path);
    let most = if is_long { TEST_LINES_MAX } else { FILE_LINES_MAX };
    if lines > most {
        found.push(source.finding(0, &format!("{lines} lines; this file has at most {most}")));
    }
    for at in words(&source.code, "fn") {
        let Some(body) = body(&source.code, at) else { continue };
        let lines = source.code[at..behind_bracket(&source.code, body)].lines().count();
        if lines > FUNCTION_LINES_MAX {
            let note = format!("{lines} lines; a function has at most {FUNCTION_LINES_MAX}");
            found.push(source.finding(at, &note));
        }
    }
    found
}

/// Refuses folders with too many files or lines. Files of tests count as files, and not by their lines.
pub(crate) fn folders(sources: &[Source]) -> Vec<String> {
    let mut sizes: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for source in sources {
        let Some((folder, _)) = source.path.rsplit_once('/') else { continue };
        let (files, lines) = sizes.entry(folder).or_default();
        *files += 1;
        *lines += if is_test_file(&source.path) { 0 } else { source.text.lines().count() };
    }
    let is_large = |files: usize, lines: usize| files > FOLDER_FILES_MAX || lines > FOLDER_LINES_MAX;
    let large = sizes.into_iter().filter(|(_, (files, lines))| is_large(*files, *lines));
    large
        .map(|(folder, (files, lines))| {
            format!(
                "{folder}: {files} files, {lines} lines; at most {FOLDER_FILES_MAX} and {FOLDER_LINES_MAX}"
            )
        })
        .collect()
}

/// The offset of the brace that opens the body of the function at `at`; `None` for a type or a
/// declaration without body.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut here = at;
    loop {
        here += code[here..].find(['{', ';', '(', '['])?;
        match code.as_bytes()[here] {
            b'{' => return Some(here),
            b';' => return None,
            // A type such as `fn(u8) -> u8` has no name before its bracket.
            b'(' if code[at + 2..here].trim().is_empty() => return None,
            _ => here = behind_bracket(code, here),
        }
    }
}

/// Refuses `unwrap()`, and `expect` that does not state an invariant, in what is not for tests.
pub(crate) fn panics(source: &Source) -> Vec<String> {
    let code = &source.production;
    let called = |word: &'static str| {
        words(code, word).filter(move |&at| {
            code[..at].trim_end().ends_with(['.', ':']) && code[at + word.len()..].starts_with('(')
        })
    };
    let unwrapped = called("unwrap").map(|at| source.finding(at, "`unwrap` outside tests"));
    let expected = called("expect").filter(|at| {
        let argument = source.text[at + "expect(".len()..].trim_start();
        !argument.starts_with("\"invariant: ")
    });
    let expected = expected.map(|at| source.finding(at, "`expect` must say \"invariant: ...\""));
    unwrapped.chain(expected).collect()
}

/// Refuses macros that stand for code not yet written.
pub(crate) fn undone(source: &Source) -> Vec<String> {
    let found = ["todo", "unimplemented"].into_iter().flat_map(|name| {
        let called = move |&at: &usize| source.code[at + name.len()..].starts_with('!');
        words(&source.code, name).filter(called).map(move |at| source.finding(at, &format!("`{name}!`")))
    });
    found.collect()
}

/// Wants a module doc on top of every file.
pub(crate) fn file_doc(source: &Source) -> Vec<String> {
    let first = source.text.lines().find(|line| !line.starts_with("#!["));
    if first.is_some_and(|line| line.starts_with("//! ")) {
        return Vec::new();
    }
    vec![source.finding(0, "a file starts with its `//!` doc")]
}

/// Wants `#[cfg(test)]` before a module whose name the other rules take for a test's.
pub(crate) fn test_files(source: &Source) -> Vec<String> {
    let declares_test = |&at: &usize| {
        let rest = source.production[at + "mod".len()..].trim_start();
        let name = rest.split(|char: char| !char.is_alphanumeric() && char != '_').next().unwrap_or_default();
        is_test_file(&format!("src/{name}.rs")) || name == "tests"
    };
    let modules = words(&source.production, "mod").filter(declares_test);
    modules.map(|at| source.finding(at, "a test module needs `#[cfg(test)]`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("src/a/b.rs", text)
    }

    fn function(lines: usize) -> String {
        format!("fn f<T>(a: [u8; 4]) -> T\nwhere T: Fn(u8),\n{{\n{}}}\n", "    g();\n".repeat(lines - 4))
    }

    #[test]
    fn files_of_400_lines_and_tests_of_600_are_fine_and_longer_ones_are_not() {
        let count = |path, lines| lengths(&Source::new(path, &"x\n".repeat(lines))).len();
        for (path, most) in [("src/a/b.rs", 400), ("src/a/b_tests.rs", 600), ("tests/a.rs", 600)] {
            assert_eq!((count(path, most), count(path, most + 1)), (0, 1), "{path}");
        }
    }

    #[test]
    fn a_folder_of_13_files_and_2500_lines_is_fine_and_a_larger_one_is_not() {
        let folder = |files: usize, lines: usize| -> Vec<Source> {
            (0..files).map(|file| Source::new(&format!("src/a/{file}.rs"), &"x\n".repeat(lines))).collect()
        };
        assert!(folders(&folder(13, 192)).is_empty());
        assert_eq!(folders(&folder(14, 1)), ["src/a: 14 files, 14 lines; at most 13 and 2500"]);
        assert_eq!(folders(&folder(13, 193)).len(), 1);
        let mut with_tests = folder(12, 200);
        with_tests.push(Source::new("src/a/tests.rs", &"x\n".repeat(500)));
        assert!(folders(&with_tests).is_empty());
    }

    #[test]
    fn functions_of_70_lines_are_fine_and_longer_ones_are_not() {
        assert!(lengths(&source(&function(70))).is_empty());
        let long = lengths(&source(&format!("// one\n{}", function(71))));
        assert_eq!(long, ["src/a/b.rs:2: 71 lines; a function has at most 70"]);
        let types = format!("type F = fn(u8) -> u8;\ntrait T {{ fn f(); }}\n{}", "mod a {}\n".repeat(80));
        assert!(lengths(&source(&types)).is_empty());
    }

    #[test]
    fn panics_are_found_outside_tests_only() {
        for text in [
            "x.unwrap()",
            "x\n    .unwrap()",
            "x.map(Option::unwrap())",
            "x.expect(\"it is there\")",
            "x.expect(why)",
        ] {
            assert_eq!(panics(&source(&format!("fn f() {{ {text}; }}"))).len(), 1, "{text}");
        }
        for text in [
            "x.expect(\"invariant: a rule has an upstream\")",
            "x.expect(\n        \"invariant: wrapped\")",
            "x.unwrap_or_default()",
            "// x.unwrap()",
            "\"x.unwrap()\"",
            "#[expect(dead_code)] let x = 1",
        ] {
            assert_eq!(panics(&source(&format!("fn f() {{ {text}\n; }}"))), [""; 0], "{text}");
        }
        let test = "#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }";
        assert_eq!(panics(&source(test)), [""; 0]);
        assert_eq!(panics(&Source::new("src/a/tests.rs", "fn f() { x.unwrap() }")), [""; 0]);
    }

    #[test]
    fn undone_work_is_found() {
        assert_eq!(
            undone(&source(concat!("fn f() { to", "do!() } fn g() { un", "implemented!() }"))).len(),
            2
        );
        assert!(undone(&source("fn f(todo: u8) { todo } // unimplemented")).is_empty());
    }

    #[test]
    fn a_file_without_its_doc_is_found() {
        assert!(file_doc(&source("//! A noun.\nuse x;")).is_empty());
        assert!(file_doc(&source("#![forbid(unsafe_code)]\n//! A noun.")).is_empty());
        for text in ["", "use x;\n//! late", "// a comment", "//!"] {
            assert_eq!(file_doc(&source(text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn a_test_module_needs_its_attribute() {
        assert!(
            test_files(&source("#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod table_tests;\nmod a;"))
                .is_empty()
        );
        assert_eq!(test_files(&source("mod tests;")).len(), 1);
        assert_eq!(test_files(&source("pub(crate) mod table_tests { }")).len(), 1);
    }
}
