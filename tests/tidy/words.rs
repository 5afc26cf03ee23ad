//! Words that the project gave up, and words that begin no comment: `docs/style.md` says what to write instead.
//!
//! Comments of `src/` and all pages are read. Text in back-ticks and in fenced blocks is not, because it quotes code.

use crate::source::{Source, words};
use crate::tree::File;

/// A word of no comment and no page. It has another meaning outside the folders, where it may stand.
type GivenUp = (&'static str, &'static [&'static str]);

const EVERYWHERE: &[&str] = &[""];

/// Folders in which a word would stand for a part of the proxy. In others a link may be symbolic, a site a web site.
const DATA_PLANE: &[&str] =
    &["src/generation/", "src/proxy/", "src/upstream/", "docs/tour.md", "docs/worker.md"];

const GIVEN_UP: [GivenUp; 29] = [
    ("anybody", EVERYWHERE),
    ("crew", EVERYWHERE),
    ("door", EVERYWHERE),
    ("doors", EVERYWHERE),
    ("everybody", EVERYWHERE),
    ("forest", EVERYWHERE),
    ("ground", DATA_PLANE),
    ("guest", EVERYWHERE),
    ("guests", EVERYWHERE),
    ("lease", DATA_PLANE),
    ("leases", DATA_PLANE),
    ("link", DATA_PLANE),
    ("links", DATA_PLANE),
    ("nobody", EVERYWHERE),
    ("patience", EVERYWHERE),
    ("prelude", EVERYWHERE),
    ("seat", EVERYWHERE),
    ("seats", EVERYWHERE),
    ("site", DATA_PLANE),
    ("sites", DATA_PLANE),
    ("somebody", EVERYWHERE),
    ("sprout", EVERYWHERE),
    ("sprouts", EVERYWHERE),
    ("vigil", EVERYWHERE),
    ("visit", EVERYWHERE),
    ("visits", EVERYWHERE),
    ("who", EVERYWHERE),
    ("whoever", EVERYWHERE),
    ("whom", EVERYWHERE),
];

/// Names of types that have other names now.
const OLD_NAMES: [&str; 31] = [
    "Alongside",
    "Book",
    "Crew",
    "Directory",
    "Dispatch",
    "Door",
    "DoorKey",
    "EndTls",
    "Exchanged",
    "Exchanges",
    "Forest",
    "Ground",
    "Guest",
    "Guests",
    "Habit",
    "Link",
    "Looked",
    "Meaning",
    "Meanings",
    "Parked",
    "Parking",
    "Passage",
    "Prelude",
    "Seat",
    "Site",
    "Spot",
    "Sprout",
    "Verdict",
    "Vigil",
    "Wishes",
    "Wrong",
];

/// The first word of no comment and of no paragraph.
const OPENINGS: [&str; 6] = ["Nobody", "Somebody", "What", "Whatever", "Who", "Whoever"];

/// Files that still use words that were given up. A file is taken off the list when it does not any more; none is added.
pub(crate) const STILL_WORDS: &[&str] = &[];

/// The same for first words.
pub(crate) const STILL_OPENINGS: &[&str] = &[];

/// A line of prose.
struct Line {
    /// From 1.
    number: usize,
    /// Without code.
    text: String,
    /// It begins a comment or a paragraph.
    begins: bool,
}

/// The findings of `rule` in files that are not on the list, and files on the list without a finding.
pub(crate) fn beyond(list: &[&str], files: &[File], rule: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| is_read(&file.path)) {
        let sins = rule(&file.path, &String::from_utf8_lossy(&file.bytes));
        match list.contains(&&*file.path) {
            true if sins.is_empty() => {
                found.push(format!("{}: nothing is left to find: take it off the list", file.path))
            }
            true => {}
            false => found.extend(sins),
        }
    }
    let is_there = |listed: &&&str| files.iter().any(|file| file.path == **listed);
    let gone = list.iter().filter(|listed| !is_there(listed));
    found.extend(gone.map(|listed| format!("{listed}: it is not there: take it off the list")));
    found
}

fn is_read(path: &str) -> bool {
    let is_page = path.ends_with(".md") && (path.starts_with("docs/") || !path.contains('/'));
    is_page && path != "CHANGELOG.md" || path.ends_with(".rs")
}

/// Words that were given up.
pub(crate) fn given_up(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in prose(path, text) {
        let lower = line.text.to_lowercase();
        for (word, folders) in GIVEN_UP {
            if folders.iter().any(|folder| path.starts_with(folder)) && words(&lower, word).next().is_some() {
                found.push(format!("{path}:{}: `{word}` was given up", line.number));
            }
        }
    }
    if path.ends_with(".rs") {
        let source = Source::new(path, text);
        let old = |name| words(&source.code, name).map(move |at| (at, name));
        let used = OLD_NAMES.into_iter().flat_map(old);
        found.extend(used.map(|(at, name)| source.finding(at, &format!("`{name}` was given up"))));
    }
    found
}

/// Comments and paragraphs that begin with a question word.
pub(crate) fn openings(path: &str, text: &str) -> Vec<String> {
    let begin = |line: Line| {
        let text = line.text.trim_start_matches(|char: char| !char.is_alphanumeric());
        let end = text.find(|char: char| !char.is_alphanumeric()).unwrap_or(text.len());
        let bad = line.begins && OPENINGS.contains(&&text[..end]);
        bad.then(|| format!("{path}:{}: begins with `{}`", line.number, &text[..end]))
    };
    prose(path, text).into_iter().filter_map(begin).collect()
}

/// The prose of a page or of the comments of a Rust file.
fn prose(path: &str, text: &str) -> Vec<Line> {
    if path.ends_with(".md") {
        return without_blocks(text.lines().enumerate().map(|(index, line)| (index, line, is_apart(line))));
    }
    let comments = crate::source::comments(text);
    let whole = |line: &str| line.trim_start().starts_with("//");
    let lines = comments.lines().zip(text.lines()).enumerate();
    let comment = |line: &str| line.trim_start().trim_start_matches(['/', '!']).to_owned();
    let lines: Vec<_> = lines.map(|(index, (line, text))| (index, comment(line), !whole(text))).collect();
    without_blocks(lines.iter().map(|(index, line, apart)| (*index, &**line, *apart)))
}

/// A line of a page that belongs to no paragraph.
fn is_apart(line: &str) -> bool {
    line.starts_with(['#', '|'])
}

/// Lines without code. Each has its index and whether it continues no other line and is continued by none.
fn without_blocks<'a>(lines: impl Iterator<Item = (usize, &'a str, bool)>) -> Vec<Line> {
    let (mut found, mut inside, mut goes_on) = (Vec::new(), false, false);
    for (index, line, apart) in lines {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let is_prose = !inside && !is_fence && !line.trim().is_empty();
        let is_item = ["- ", "* "].iter().any(|mark| line.trim_start().starts_with(mark));
        if is_prose {
            let begins = !goes_on || apart || is_item;
            found.push(Line { number: index + 1, text, begins: begins && !line.starts_with(['#', '|']) });
        }
        goes_on = is_prose && !apart;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUST: &str = "//! A visit.\n//!\n//! ```text\n//! door\n//! ```\n//! What it is,\n//! Who knows.\n\
                        fn door() -> &'static str { \"guest\" } // Nobody, and `seat`.\n\
                        /// A thing.\n/// What follows.\nstruct Site;\n";

    #[test]
    fn words_are_found_in_comments_and_names_in_code() {
        let found = given_up("src/files.rs", RUST);
        let told = |line: usize, word: &str| format!("src/files.rs:{line}: `{word}` was given up");
        assert_eq!(found, [told(1, "visit"), told(7, "who"), told(8, "nobody"), told(11, "Site")]);
        assert!(given_up("src/watch/files.rs", "// A symbolic link of another site.\n").is_empty());
        assert_eq!(given_up("src/proxy/files.rs", "// A link of another site.\n").len(), 2);
    }

    #[test]
    fn openings_are_found_where_a_comment_begins() {
        let lines = |path: &str, text: &str| -> Vec<String> {
            openings(path, text).iter().map(|found| found.split(": ").next().unwrap().to_owned()).collect()
        };
        assert_eq!(lines("src/a.rs", RUST), ["src/a.rs:6", "src/a.rs:8"]);
        let page = "# What\n\nWhat is it?\nWho knows.\n\n- Who, **Who**\n- It\n  Who\n\n**Nobody.** No.\n\n| What |\n\n\
                    ```text\nWhat\n```\n";
        assert_eq!(lines("docs/a.md", page), ["docs/a.md:3", "docs/a.md:6", "docs/a.md:10"]);
    }

    #[test]
    fn a_list_only_shrinks() {
        let file = |path: &str, text: &str| File { path: path.into(), bytes: text.as_bytes().to_vec() };
        let files =
            [file("src/a.rs", "// Who.\n"), file("src/b.rs", "// It.\n"), file("tests/c.txt", "// Who.\n")];
        assert_eq!(beyond(&[], &files, openings).len(), 1);
        assert!(beyond(&["src/a.rs"], &files, openings).is_empty());
        assert_eq!(beyond(&["src/a.rs", "src/b.rs", "src/d.rs"], &files, openings).len(), 2);
    }
}
