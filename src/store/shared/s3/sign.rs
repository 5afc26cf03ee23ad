//! Signatures of requests: AWS Signature Version 4. Bytes in, bytes out.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// The name of the algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parts of a signature that all requests of one second share.
pub(super) struct Signer<'a> {
    pub(super) user: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// The time, as `20130524T000000Z`.
    pub(super) time: &'a str,
}

/// A request as it is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// The path as it is sent.
    pub(super) path: &'a str,
    /// Names and values, not yet encoded.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Fields with names in lower case, in any order.
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// The digest of the body in hexadecimal.
    pub(super) digest: &'a str,
}

impl Signer<'_> {
    /// The value of `Authorization`.
    pub(super) fn authorization(&self, request: &Signed<'_>) -> String {
        let mut fields = request.fields.to_vec();
        fields.sort_unstable();
        let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut text = format!("{}\n{}\n{}\n", request.method, request.path, query(request.query));
        for (name, value) in &fields {
            let value: Vec<&str> = value.split_ascii_whitespace().collect();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}:{}", value.join(" "));
        }
        let _ = write!(text, "\n{names}\n{}", request.digest);
        let Self { user, region, service, time, .. } = self;
        let scope = format!("{}/{region}/{service}/aws4_request", self.date());
        let signed = format!("{ALGORITHM}\n{time}\n{scope}\n{}", sha256(text.as_bytes()));
        let signature = hex(sign(&self.key(), signed.as_bytes()).as_ref());
        format!("{ALGORITHM} Credential={user}/{scope}, SignedHeaders={names}, Signature={signature}")
    }

    fn date(&self) -> &str {
        self.time.split('T').next().unwrap_or_default()
    }

    /// The key of this day, region and service.
    fn key(&self) -> Key {
        let first = Key::new(HMAC_SHA256, format!("AWS4{}", self.secret).as_bytes());
        let parts = [self.date(), self.region, self.service, "aws4_request"];
        parts.iter().fold(first, |key, part| Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref()))
    }
}

/// A query, sorted and encoded.
pub(super) fn query(parts: &[(&str, &str)]) -> String {
    let mut parts: Vec<String> =
        parts.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    parts.sort_unstable();
    parts.join("&")
}

/// The digest of a body in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Percent-encoding of everything but unreserved characters (RFC 3986, section 2.3).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "sign_tests.rs"]
mod tests;
