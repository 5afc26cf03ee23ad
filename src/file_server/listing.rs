//! The page that lists a folder, for browsers and for programs.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use httpdate::HttpDate;
use serde::Serialize;

use super::file_path::FilePath;
use super::find::Entry;

/// The policy that goes with a page: no script, nothing from elsewhere.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

const STYLE: &str =
    "body{font:1em/1.5 system-ui,sans-serif;margin:2em}td{padding:0 1.5em 0 0}td+td{text-align:right}";

/// The page in HTML. Names are escaped as text and as URLs. `is_cut` tells that there are more entries.
pub fn html(path: &FilePath, entries: &[Entry], is_cut: bool) -> String {
    let title = escaped(&format!("/{}", String::from_utf8_lossy(path.as_bytes())));
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>\n<table>\n"
    );
    if !path.as_bytes().is_empty() {
        page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
    }
    for Entry { name, is_folder, length, modified } in entries {
        let slash = if *is_folder { "/" } else { "" };
        let shown = escaped(&String::from_utf8_lossy(name));
        let length = if *is_folder { String::new() } else { size(*length) };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{}{slash}\">{shown}{slash}</a></td><td>{length}</td><td>{}</td></tr>",
            encoded(name),
            time(*modified),
        );
    }
    page += "</table>\n";
    if is_cut {
        page += "<p>There are more entries.</p>\n";
    }
    page
}

/// The entries in JSON. Bytes of a name that are no text are replaced.
pub fn json(entries: &[Entry], is_cut: bool) -> String {
    #[derive(Serialize)]
    struct Row {
        name: String,
        folder: bool,
        size: u64,
        modified: i64,
    }
    #[derive(Serialize)]
    struct Page {
        entries: Vec<Row>,
        more: bool,
    }
    let row = |entry: &Entry| Row {
        name: String::from_utf8_lossy(&entry.name).into_owned(),
        folder: entry.is_folder,
        size: entry.length,
        modified: entry.modified,
    };
    let page = Page { entries: entries.iter().map(row).collect(), more: is_cut };
    serde_json::to_string(&page).expect("invariant: these types have only string keys") + "\n"
}

/// Text for HTML, also between quotes. Control characters would break a line or hide what follows.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            char if char.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            char => out.push(char),
        }
    }
    out
}

/// A name as a segment of a URL. All but unreserved bytes are escaped (RFC 3986, section 2.3).
fn encoded(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name {
        match byte {
            b'-' | b'.' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                out.push(char::from(*byte))
            }
            byte => _ = write!(out, "%{byte:02X}"),
        }
    }
    out
}

/// Bytes in a short form.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    match unit {
        0 => format!("{bytes} B"),
        unit => format!("{:.1} {}", bytes as f64 / f64::powi(1024.0, unit as i32), units[unit]),
    }
}

/// A time as `2026-11-30 15:07`; empty if it is none that HTTP can say.
fn time(seconds: i64) -> String {
    // The year 9999.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds <= LAST);
    let date = seconds.map(|seconds| HttpDate::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)));
    date.map(|date| date.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8]) -> Entry {
        Entry { name: name.to_vec(), is_folder: false, length: 1536, modified: 784_111_777 }
    }

    #[test]
    fn a_name_is_text_and_never_markup() {
        let page = html(
            &FilePath::decode(b"/a%3Cb%3E/").unwrap(),
            &[
                entry(b"<script>alert(1)</script>"),
                entry(b"\"onclick='x'&.html"),
                entry(b"a\r\nb: c"),
                entry(b"\xff"),
            ],
            false,
        );
        assert!(page.contains("<h1>/a&lt;b&gt;</h1>"), "{page}");
        assert!(!page.contains("<script") && !page.contains("'x'") && !page.contains('\r'), "{page}");
        assert!(page.contains("href=\"./%3Cscript%3Ealert%281%29%3C%2Fscript%3E\""), "{page}");
        assert!(
            page.contains("href=\"./%22onclick%3D%27x%27%26.html\">&quot;onclick=&#39;x&#39;&amp;.html</a>"),
            "{page}"
        );
        assert!(page.contains("href=\"./a%0D%0Ab%3A%20c\""), "{page}");
        assert!(page.contains("href=\"./%FF\""), "{page}");
    }

    #[test]
    fn a_folder_has_a_slash_and_a_way_up() {
        let folder = Entry { is_folder: true, ..entry(b"javascript:x") };
        let root = FilePath::decode(b"/").unwrap();
        let page = html(&root, &[folder, entry(b"b")], true);
        assert!(page.contains("<a href=\"./javascript%3Ax/\">javascript:x/</a>"), "{page}");
        assert!(!page.contains("../") && page.contains("more entries"), "{page}");
        assert!(page.contains("<td>1.5 KiB</td><td>Sun, 06 Nov 1994 08:49:37 GMT</td>"), "{page}");
    }

    #[test]
    fn programs_get_json() {
        assert_eq!(
            json(&[entry(b"a\"\n")], false),
            "{\"entries\":[{\"name\":\"a\\\"\\n\",\"folder\":false,\"size\":1536,\"modified\":784111777}],\"more\":false}\n"
        );
    }

    #[test]
    fn sizes_and_times_at_their_ends() {
        assert_eq!((size(0), size(1023), size(u64::MAX)), ("0 B".into(), "1023 B".into(), "16.0 EiB".into()));
        assert_eq!((time(-1), time(i64::MAX)), (String::new(), String::new()));
    }
}
