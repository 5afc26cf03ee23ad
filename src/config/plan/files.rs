//! The action `files` in a plan.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::conditions::PathGlob;

/// Serving files below a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    /// The folder. It may be a link that a deployment swaps.
    pub root: Arc<Path>,
    /// Names of the file that stands for a folder. The first that exists is served.
    pub index: Vec<Arc<str>>,
    /// The path below the root, with a slash in front, of the file for navigations to paths without a file.
    pub fallback: Option<Arc<str>>,
    /// Codings in which files may be stored beside their plain form, the preferred one first.
    pub precompressed: Vec<Coding>,
    /// Names of files and folders that are not served.
    pub hidden: Vec<NameGlob>,
    /// Which links are followed.
    pub symlinks: Symlinks,
    /// Whether a folder without an index is listed.
    pub list: bool,
    /// Paths below the root whose files never change.
    pub immutable: Vec<PathGlob>,
    /// Remove `path_prefix` from the path before the file is looked up.
    pub strip_path_prefix: bool,
    /// How long a client may take no bytes.
    pub body_timeout: Duration,
}

impl Files {
    /// The hidden names if the key is missing: those that begin with a dot, and what editors leave behind.
    pub fn usually_hidden() -> Vec<NameGlob> {
        vec![NameGlob::star(".", ""), NameGlob::star("", "~"), NameGlob::star("", ".bak")]
    }
}

/// A content coding of a file that is stored compressed (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Brotli.
    Brotli,
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// The word of the configuration, which is the suffix of the file too.
    pub fn word(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zst",
            Coding::Gzip => "gz",
        }
    }

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// All names in `Accept-Encoding`.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Coding::Brotli => &["br"],
            Coding::Zstd => &["zstd"],
            // RFC 9110, section 8.4.1.3.
            Coding::Gzip => &["gzip", "x-gzip"],
        }
    }
}

/// Which links are followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symlinks {
    /// Those that stay below the root.
    #[default]
    Inside,
    /// None.
    Never,
    /// All.
    Anywhere,
}

impl Symlinks {
    /// Each word of the configuration, and its meaning.
    pub const WORDS: [(&'static str, Symlinks); 3] =
        [("inside", Symlinks::Inside), ("none", Symlinks::Never), ("anywhere", Symlinks::Anywhere)];

    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, links)| *links == self).map_or("", |(word, _)| word)
    }
}

/// A pattern for one name: a text, or one `*` for any bytes between a start and an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameGlob {
    start: Box<str>,
    /// `None` without a star.
    end: Option<Box<str>>,
}

impl NameGlob {
    /// The pattern of one name.
    pub fn exact(name: &str) -> NameGlob {
        NameGlob { start: name.into(), end: None }
    }

    /// The pattern of names that begin and end so.
    pub fn star(start: &str, end: &str) -> NameGlob {
        NameGlob { start: start.into(), end: Some(end.into()) }
    }

    /// Whether the pattern takes a name, in upper or lower case: a file system may not tell them apart.
    pub fn matches(&self, name: &[u8]) -> bool {
        let start = self.start.as_bytes();
        let Some(end) = self.end.as_deref().map(str::as_bytes) else {
            return start.eq_ignore_ascii_case(name);
        };
        name.len() >= start.len() + end.len()
            && name[..start.len()].eq_ignore_ascii_case(start)
            && name[name.len() - end.len()..].eq_ignore_ascii_case(end)
    }
}

impl fmt::Display for NameGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.end {
            None => f.write_str(&self.start),
            Some(end) => write!(f, "{}*{end}", self.start),
        }
    }
}
