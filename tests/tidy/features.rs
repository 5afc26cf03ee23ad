//! Features of `Cargo.toml`: only the seam of a feature names it outside its own files.

use crate::source::{Source, words};

/// A feature of `Cargo.toml`: a room of the house, and the seam by which the rest uses it.
struct Feature {
    name: &'static str,
    /// Where its code stands: folders and files.
    room: &'static [&'static str],
    /// The files outside that may name it.
    seam: &'static [&'static str],
    /// Words of the room.
    words: &'static [&'static str],
}

/// Features that are not on by default. The comment above each in `Cargo.toml` says why.
const NOT_DEFAULT: &[&str] = &["zstd"];

const FEATURES: &[Feature] = &[
    Feature {
        name: "acme",
        room: &["src/acme/", "src/net/", "src/store/", "src/gate/services/"],
        seam: &["src/lib.rs"],
        // The keys of the configuration are known without the feature too, so their words may stand anywhere. The
        // table of arrows says which module may use the room.
        words: &[],
    },
    Feature {
        name: "auth",
        room: &["src/auth/"],
        seam: &["src/config/values/policies/password.rs"],
        words: &[],
    },
    Feature {
        name: "compose",
        room: &["src/config/dialects/compose/"],
        seam: &["src/config/dialects/mod.rs"],
        words: &["compose"],
    },
    Feature {
        name: "compress",
        room: &["src/encoding/"],
        seam: &["src/lib.rs", "src/config/source/policies/compress.rs"],
        words: &["flate2"],
    },
    Feature {
        name: "control",
        room: &[
            "src/config/overlay/",
            "src/internal_api/v1/",
            "src/cli/words/control.rs",
            "src/cli/words/no_control.rs",
            "src/cli/remote/control.rs",
            "src/cli/remote/no_control.rs",
        ],
        seam: &[
            "src/config/mod.rs",
            "src/internal_api/mod.rs",
            "src/cli/words/mod.rs",
            "src/cli/remote/mod.rs",
        ],
        // The key is known without the feature too.
        words: &[],
    },
    Feature {
        name: "demo",
        room: &["src/demo/", "src/cli/demo.rs", "src/cli/no_demo.rs"],
        seam: &["src/lib.rs", "src/cli/mod.rs", "src/cli/arguments.rs", "src/cli/configuration.rs"],
        words: &["demo", "whoami"],
    },
    Feature {
        name: "dialects",
        room: &["src/config/dialects/plain/", "src/config/dialects/go_proxy/", "src/config/dialects/locci/"],
        seam: &["src/config/dialects/mod.rs"],
        words: &["go_proxy", "locci"],
    },
    Feature {
        name: "files",
        room: &[
            "src/file_server/",
            "src/proxy/file_reply/",
            "src/proxy/no_file_reply.rs",
            "src/cli/serve.rs",
            "src/cli/no_serve.rs",
        ],
        seam: &["src/lib.rs", "src/proxy/mod.rs", "src/cli/mod.rs"],
        // The key is known without the feature too. The table of arrows says which module may use the room.
        words: &[],
    },
    Feature {
        name: "http2",
        room: &[
            "src/http2/",
            "src/mux/",
            "src/proxy/http2/",
            "src/proxy/no_http2.rs",
            "src/health/http2.rs",
            "src/health/no_http2.rs",
        ],
        seam: &["src/lib.rs", "src/proxy/mod.rs", "src/health/mod.rs", "src/config/values/target.rs"],
        // The key is known without the feature too. The table of arrows says which module may use the room.
        words: &[],
    },
    Feature {
        name: "jwt",
        room: &["src/jwt/", "src/net/", "src/gate/services/"],
        seam: &["src/lib.rs"],
        // The keys of the configuration are known without the feature too.
        words: &[],
    },
    Feature {
        name: "page",
        room: &["src/internal_api/live/page.rs", "src/internal_api/live/no_page.rs"],
        seam: &["src/internal_api/live/mod.rs"],
        // A page is a common word.
        words: &[],
    },
    Feature {
        name: "plugins",
        room: &["src/plugin/", "src/proxy/plugins/", "src/proxy/no_plugins.rs", "src/gate/services/"],
        seam: &["src/lib.rs", "src/proxy/mod.rs", "src/config/source/plugins/mod.rs"],
        // The keys are known without the feature too. The table of arrows says which module may use the room.
        words: &[],
    },
    Feature {
        name: "prox",
        room: &[
            "src/config/dialects/prox/",
            "src/cli/words/prox.rs",
            "src/cli/words/no_prox.rs",
            "src/cli/offline/prox.rs",
            "src/cli/offline/no_prox.rs",
        ],
        seam: &["src/config/dialects/mod.rs", "src/cli/words/mod.rs", "src/cli/offline/mod.rs"],
        words: &["prox"],
    },
    Feature {
        name: "regex",
        room: &["src/config/plan/conditions/expression.rs"],
        // Without the feature, the key is an error of the configuration, so nothing else asks for it.
        seam: &[],
        words: &["regex_automata", "regex_syntax"],
    },
    Feature {
        name: "s3",
        room: &["src/store/shared/", "src/store/not_shared.rs"],
        seam: &["src/store/mod.rs"],
        // The keys of the configuration are known without the feature too.
        words: &[],
    },
    Feature {
        name: "zstd",
        room: &["src/encoding/zstd.rs", "src/encoding/no_zstd.rs"],
        seam: &["src/encoding/mod.rs"],
        // The coding is the name of files too.
        words: &["zstd_safe"],
    },
];

impl Feature {
    fn is_room(&self, path: &str) -> bool {
        self.room.iter().any(|room| path.starts_with(room))
    }
}

/// Refuses the words of a feature, and a question whether it is on, outside its room and its seam.
pub(crate) fn seams(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for feature in FEATURES {
        let is_room = FEATURES.iter().any(|any| any.is_room(&source.path));
        if is_room || feature.seam.contains(&source.path.as_str()) {
            continue;
        }
        let asked = format!("feature = \"{}\"", feature.name);
        let asked = source.text.match_indices(&asked).map(|(at, _)| at);
        let named = feature.words.iter().flat_map(|word| words(&source.text, word));
        let note = format!("only the seam of the feature `{}` names it", feature.name);
        found.extend(asked.chain(named).map(|at| source.finding(at, &note)));
    }
    found
}

/// Wants each feature of a manifest on by default, but for [`NOT_DEFAULT`], with a comment above it and a row in the table
/// here.
pub(crate) fn declared(manifest: &str) -> Vec<String> {
    let table = manifest.split("[features]\n").nth(1).unwrap_or_default();
    let table = table.split("\n[").next().unwrap_or_default();
    let rows: Vec<(&str, &str)> = table.lines().filter_map(|line| line.split_once(" = ")).collect();
    let default = rows.iter().find(|(name, _)| *name == "default").map_or("", |(_, names)| names);
    let features: Vec<&str> = rows
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !matches!(*name, "default") && !name.starts_with('#'))
        .collect();
    let mut found = Vec::new();
    for name in &features {
        if default.contains(&format!("\"{name}\"")) == NOT_DEFAULT.contains(name) {
            found.push(format!("Cargo.toml: `default` and NOT_DEFAULT disagree about the feature `{name}`"));
        }
        let above = table
            .lines()
            .zip(table.lines().skip(1))
            .find(|(_, line)| line.starts_with(&format!("{name} = ")));
        if !above.is_some_and(|(above, _)| above.starts_with("# ")) {
            found.push(format!("Cargo.toml: no comment above the feature `{name}`"));
        }
    }
    let known: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    if features != known {
        found
            .push(format!("Cargo.toml: the features are {features:?}, and the table of seams has {known:?}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_named_at_its_seam_only() {
        let count = |path, text| seams(&Source::new(path, text)).len();
        for (path, text) in [
            ("src/config/dialects/compose/front.rs", "// compose"),
            ("src/config/dialects/mod.rs", "#[cfg(feature = \"compose\")]\nmod compose;"),
            ("src/cli/arguments.rs", "use super::demo::DemoVerb;"),
            ("src/upstream/pool/race.rs", "fn demote() {} // is decomposed"),
        ] {
            assert_eq!(count(path, text), 0, "{text}");
        }
        for (path, text) in [
            ("src/config/loader.rs", "// compose files"),
            ("src/gate/start.rs", "let name = \"whoami\";"),
            ("src/gate/start.rs", "use crate::demo::run;"),
            ("src/cli/files.rs", "#[cfg(feature = \"demo\")]"),
        ] {
            assert!(count(path, text) > 0, "{text}");
        }
    }

    #[test]
    fn a_feature_without_comment_default_or_row_is_found() {
        let good = "[features]\n# All.\ndefault = [\"acme\", \"auth\", \"compose\", \"compress\", \"control\", \"demo\", \"dialects\", \"files\", \"http2\", \"jwt\", \"page\", \"plugins\", \"prox\", \"regex\", \"s3\"]\n# Orders.\nacme = []\n# Users.\nauth = []\n# Labels.\ncompose = []\n# Gzip.\ncompress = []\n# Change.\ncontrol = []\n# Try.\ndemo = []\n# Others.\ndialects = []\n# Files.\nfiles = []\n# Streams.\nhttp2 = []\n# Tokens.\njwt = []\n# See.\npage = []\n# Ask.\nplugins = []\n# Routes.\nprox = []\n# Match.\nregex = []\n# Keep.\ns3 = []\n# Shorter.\nzstd = []\n\n[x]\n";
        assert_eq!(declared(good), [""; 0]);
        assert_eq!(declared(&good.replace("# Try.\n", "")).len(), 1);
        assert_eq!(declared(&good.replace(", \"regex\"", "")).len(), 1);
        assert_eq!(declared(&good.replace(", \"s3\"", ", \"s3\", \"zstd\"")).len(), 1);
        assert_eq!(declared(&good.replace("# Try.", "# New.\nnew = []\n# Try.")).len(), 2);
    }
}
