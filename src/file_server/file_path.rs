//! The path of a request, decoded for the file system.

use crate::http::escape;

/// A path below a root: segments joined by `/`, none of which is empty, `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePath {
    /// Without a slash at either end. Empty for the root.
    bytes: Vec<u8>,
    /// Whether the path of the request ended with a slash.
    is_folder: bool,
}

impl FilePath {
    /// Decodes the path of a request, from its first slash on, once. `None`: no file has such a path. An empty path is
    /// that of the root, without its slash.
    ///
    /// An escaped `/` is no separator, and no file system can hold it in a name. An empty segment is refused, because
    /// others join it with its neighbours.
    pub fn decode(path: &[u8]) -> Option<FilePath> {
        if matches!(path, b"" | b"/") {
            return Some(FilePath { bytes: Vec::new(), is_folder: !path.is_empty() });
        }
        let path = path.strip_prefix(b"/")?;
        let folder = path.strip_suffix(b"/");
        let path = folder.unwrap_or(path);
        let mut bytes = Vec::with_capacity(path.len());
        for segment in path.split(|byte| *byte == b'/') {
            if !bytes.is_empty() {
                bytes.push(b'/');
            }
            decode_segment(segment, &mut bytes)?;
        }
        Some(FilePath { bytes, is_folder: folder.is_some() })
    }

    /// The path without a slash at either end. Empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the path of the request ended with a slash.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The segments. The root has none.
    pub fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
    }

    /// The path of `name` in this folder.
    pub fn child(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.bytes.len() + 1 + name.len());
        path.extend_from_slice(&self.bytes);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

/// Appends a segment without its escapes. `None` if it is none that a file can have.
fn decode_segment(segment: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let start = out.len();
    let mut rest = segment;
    while let Some((&first, behind)) = rest.split_first() {
        let byte = match first {
            b'%' => escape(rest)?,
            _ => first,
        };
        if matches!(byte, 0 | b'/') {
            return None;
        }
        out.push(byte);
        rest = if first == b'%' { &rest[3..] } else { behind };
    }
    (!matches!(&out[start..], b"" | b"." | b"..")).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        for (path, decoded, is_folder) in [
            ("/", "", true),
            ("", "", false),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("/a/b.html", "a/b.html", false),
            ("/%61/b%20c", "a/b c", false),
            ("/%252e%252e/x", "%2e%2e/x", false),
            ("/a;b", "a;b", false),
            ("/..;/x", "..;/x", false),
            ("/a%5Cb", "a\\b", false),
            ("/a%0Ab", "a\nb", false),
            ("/...", "...", false),
        ] {
            let file = FilePath::decode(path.as_bytes()).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((file.as_bytes(), file.is_folder()), (decoded.as_bytes(), is_folder), "{path}");
        }
    }

    #[test]
    fn a_path_that_no_file_has_is_refused() {
        for path in [
            "*",
            "a",
            "//",
            "//etc",
            "/a//b",
            "/a//",
            "///",
            "/..",
            "/../etc/passwd",
            "/a/..",
            "/a/../b",
            "/.",
            "/./a",
            "/%2e%2e/x",
            "/.%2E/x",
            "/a%2fb",
            "/..%2fx",
            "/a%00.html",
            "/%",
            "/%2",
            "/%zz",
            "/%2fetc",
            "/a/%2e",
        ] {
            assert_eq!(FilePath::decode(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn bytes_need_not_be_text() {
        let file = FilePath::decode(b"/%ff\xfe").unwrap();
        assert_eq!(file.as_bytes(), b"\xff\xfe");
        assert_eq!(file.child(b"x"), b"\xff\xfe/x");
        assert_eq!(FilePath::decode(b"/").unwrap().child(b"x"), b"x");
    }
}
