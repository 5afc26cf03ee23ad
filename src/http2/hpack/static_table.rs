//! The static table of RFC 7541, appendix A.

use crate::http::Name;

/// A row of the static table. The name is classified once, here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) known: Name,
}

const fn row(name: &'static str, value: &'static str, known: Name) -> Row {
    Row { name, value, known }
}

/// The rows. The first row has the index 1.
pub(super) static ROWS: [Row; 61] = [
    row(":authority", "", Name::Other),
    row(":method", "GET", Name::Other),
    row(":method", "POST", Name::Other),
    row(":path", "/", Name::Other),
    row(":path", "/index.html", Name::Other),
    row(":scheme", "http", Name::Other),
    row(":scheme", "https", Name::Other),
    row(":status", "200", Name::Other),
    row(":status", "204", Name::Other),
    row(":status", "206", Name::Other),
    row(":status", "304", Name::Other),
    row(":status", "400", Name::Other),
    row(":status", "404", Name::Other),
    row(":status", "500", Name::Other),
    row("accept-charset", "", Name::Other),
    row("accept-encoding", "gzip, deflate", Name::Other),
    row("accept-language", "", Name::Other),
    row("accept-ranges", "", Name::Other),
    row("accept", "", Name::Accept),
    row("access-control-allow-origin", "", Name::Other),
    row("age", "", Name::Age),
    row("allow", "", Name::Other),
    row("authorization", "", Name::Authorization),
    row("cache-control", "", Name::CacheControl),
    row("content-disposition", "", Name::ContentDisposition),
    row("content-encoding", "", Name::ContentEncoding),
    row("content-language", "", Name::Other),
    row("content-length", "", Name::ContentLength),
    row("content-location", "", Name::Other),
    row("content-range", "", Name::ContentRange),
    row("content-type", "", Name::ContentType),
    row("cookie", "", Name::Cookie),
    row("date", "", Name::Date),
    row("etag", "", Name::Other),
    row("expect", "", Name::Expect),
    row("expires", "", Name::Expires),
    row("from", "", Name::Other),
    row("host", "", Name::Host),
    row("if-match", "", Name::IfMatch),
    row("if-modified-since", "", Name::IfModifiedSince),
    row("if-none-match", "", Name::IfNoneMatch),
    row("if-range", "", Name::IfRange),
    row("if-unmodified-since", "", Name::IfUnmodifiedSince),
    row("last-modified", "", Name::Other),
    row("link", "", Name::Other),
    row("location", "", Name::Location),
    row("max-forwards", "", Name::MaxForwards),
    row("proxy-authenticate", "", Name::ProxyAuthenticate),
    row("proxy-authorization", "", Name::ProxyAuthorization),
    row("range", "", Name::Range),
    row("referer", "", Name::Referer),
    row("refresh", "", Name::Other),
    row("retry-after", "", Name::RetryAfter),
    row("server", "", Name::Server),
    row("set-cookie", "", Name::SetCookie),
    row("strict-transport-security", "", Name::StrictTransportSecurity),
    row("transfer-encoding", "", Name::TransferEncoding),
    row("user-agent", "", Name::UserAgent),
    row("vary", "", Name::Vary),
    row("via", "", Name::Via),
    row("www-authenticate", "", Name::WwwAuthenticate),
];

/// Bytes of the longest name.
const LONGEST: usize = 27;

/// The first row of each name that is there several times, and every other row, by the length of the name:
/// the rows of length `n` stand in `BY_LENGTH.1` from `BY_LENGTH.0[n]` to `BY_LENGTH.0[n + 1]`.
static BY_LENGTH: ([u8; LONGEST + 2], [u8; ROWS.len()]) = {
    let (mut starts, mut rows) = ([0; LONGEST + 2], [0; ROWS.len()]);
    let (mut at, mut length) = (0, 0);
    while length <= LONGEST {
        starts[length] = at as u8;
        let mut row = 0;
        while row < ROWS.len() {
            if ROWS[row].name.len() == length && !repeats(row) {
                rows[at] = row as u8;
                at += 1;
            }
            row += 1;
        }
        length += 1;
    }
    starts[length] = at as u8;
    (starts, rows)
};

/// Whether the row before this one has the same name. Only pseudo fields have several rows, side by side, and no
/// two neighbours of different names agree in length and second byte.
const fn repeats(row: usize) -> bool {
    if row == 0 {
        return false;
    }
    let (name, before) = (ROWS[row].name.as_bytes(), ROWS[row - 1].name.as_bytes());
    name[0] == b':' && name.len() == before.len() && name[1] == before[1] && name[2] == before[2]
}

/// The index of the first row with this name, which is in lower case.
pub(super) fn index_of(name: &[u8]) -> Option<usize> {
    let (starts, rows) = &BY_LENGTH;
    let end = usize::from(*starts.get(name.len() + 1)?);
    let rows = &rows[usize::from(starts[name.len()])..end];
    let row = rows.iter().find(|&&row| ROWS[usize::from(row)].name.as_bytes() == name)?;
    Some(usize::from(*row) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_classified_as_its_name_is_and_found_by_it() {
        for (row, Row { name, known, .. }) in ROWS.iter().enumerate() {
            if !name.starts_with(':') {
                assert_eq!(Name::classify(name.as_bytes()), *known, "{name}");
            }
            let first = ROWS.iter().position(|other| other.name == *name).unwrap();
            assert_eq!(index_of(name.as_bytes()), Some(first + 1), "{name} in row {row}");
            assert!(name.len() <= LONGEST);
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for name in ["", "x", ":proto", "Host", "dates", "access-control-allow-origin2", ":methods"] {
            assert_eq!(index_of(name.as_bytes()), None, "{name}");
        }
        assert_eq!(index_of(&[b'a'; 300]), None);
    }
}
