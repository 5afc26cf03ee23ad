//! Words that are written where a key of ours is meant.

/// A key of ours and words for it.
struct Meant {
    /// The row counts in a mapping that has this key.
    ours: &'static str,
    words: &'static [&'static str],
    /// The text that says what to write. Empty if the row of the other proxy says it.
    write: &'static str,
}

const fn row(ours: &'static str, words: &'static [&'static str], write: &'static str) -> Meant {
    Meant { ours, words, write }
}

/// The table. The first row that fits counts.
const MEANT: &[Meant] = &[
    row("bind", &["port", "ports"], "write `bind: \":80\"`"),
    row("bind", &["listen", "address", "addr", "bind_address", "socket_address"], ""),
    row("to", &["url", "target", "location", "uri"], "write `to: \"https://example.com\"`"),
    row("status", &["code", "status_code", "statusCode"], "write `status`"),
    row("targets", &["servers", "server"], "write `targets: [\"http://host:port\"]`"),
    row(
        "target",
        &[
            "proxy_pass",
            "fastcgi_pass",
            "uwsgi_pass",
            "reverse_proxy",
            "dial",
            "destination",
            "dest",
            "forward_to",
            "proxy",
            "proxy_to",
            "url",
            "backend",
            "use_backend",
            "service",
            "return",
        ],
        "",
    ),
    row("listeners", &["https_config", "https"], "write a listener with `tls` under `listeners`"),
    row(
        "certificates",
        &["cert", "key", "certFile", "keyFile", "cert_file", "key_file", "tls_cert", "tls_key"],
        "write `certificates: [{ cert: FILE, key: FILE }]`",
    ),
    row("cert", &["certFile", "cert_file", "certificate", "chain"], "write `cert: FILE`"),
    row("key", &["keyFile", "key_file", "private_key"], "write `key: FILE`"),
];

/// The key of ours that is meant by a word, and the hint of the row, which may be empty.
pub(crate) fn meant(word: &str, known: &[&'static str]) -> Option<(&'static str, &'static str)> {
    let fits = |row: &&Meant| row.words.contains(&word) && known.contains(&row.ours);
    MEANT.iter().find(fits).map(|row| (row.ours, row.write))
}

#[cfg(test)]
mod tests {
    use crate::config::{MemoryInputs, load};

    /// The errors for a text.
    fn errors(text: &str) -> String {
        load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).unwrap_err().to_string()
    }

    #[test]
    fn a_word_for_a_key_of_ours_gives_one_error_that_names_the_key() {
        for (text, key, hint) in [
            ("listeners: [{ name: a, port: 81, rules: [{ respond: {} }] }]", "port", "write `bind: \":80\"`"),
            ("listeners: [{ name: a, listen: 81, rules: [{ respond: {} }] }]", "listen", "write `bind: "),
            ("listeners: [{ name: a, bind: 1, rule: [{ drop: true }] }]", "rule", "did you mean `rules`?"),
            ("https_config: { port: 443 }", "https_config", "with `tls` under `listeners`"),
            ("upstreams: { a: { servers: ['a:1'] } }", "servers", "write `targets: ["),
            ("upstreams: { a: { target: 'a:1' } }", "target", "did you mean `targets`?"),
        ] {
            let errors = errors(text);
            assert_eq!(errors.matches("error: ").count(), 1, "{text}: {errors}");
            assert!(errors.contains(&format!("`{key}` is not a key of ")), "{text}: {errors}");
            assert!(errors.contains(hint), "{text}: {errors}");
        }
        for (rule, key, hint) in [
            ("reverse_proxy: 'a:1'", "reverse_proxy", "a rule has `target: "),
            ("proxy_pass: 'http://a:1'", "proxy_pass", "a rule has `target: "),
            ("upstreams: x", "upstreams", "did you mean `upstream`?"),
            ("redirect: { url: 'https://a' }", "url", "write `to: "),
            ("redirect: { to: 'https://a', code: 301 }", "code", "write `status`"),
        ] {
            let errors = errors(&format!("http_config: {{ port: 1 }}\nhttp_routes: [{{ {rule} }}]\n"));
            assert_eq!(errors.matches("error: ").count(), 1, "{rule}: {errors}");
            assert!(errors.contains(&format!("`{key}` is not a key of ")), "{rule}: {errors}");
            assert!(errors.contains(hint), "{rule}: {errors}");
        }
        for (tls, hint) in [
            ("{ certFile: a, keyFile: b }", "write `certificates: [{ cert: FILE, key: FILE }]`"),
            ("{ cert: a, key: b }", "write `certificates: [{ cert: FILE, key: FILE }]`"),
            ("{ certresolver: le }", "certificates are read from files"),
            ("{ certificates: { certFile: a, key: b } }", "write `cert: FILE`"),
        ] {
            let errors = errors(&format!("http_config: {{ port: 1, tls: {tls} }}\n"));
            assert!(errors.contains(hint), "{tls}: {errors}");
        }
    }
}
