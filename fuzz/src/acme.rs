//! Answers of certificate authorities, and requests to them: what is taken over is plain and bounded, and what is signed is
//! what was meant.

use smolgate::acme::Readings;

/// Characters of a token, and of the text of a problem.
const TOKEN_MAX: usize = 128;
const TEXT_MAX: usize = 700;
/// Authorizations of one order.
const AUTHORIZATIONS_MAX: usize = 32;

/// Checks an answer, and a request with these bytes.
pub fn holds(bytes: &[u8]) {
    let read = Readings::of(bytes);
    assert!(read.authorizations.unwrap_or_default() <= AUTHORIZATIONS_MAX);
    for token in &read.tokens {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        assert!((1..=TOKEN_MAX).contains(&token.len()) && token.bytes().all(is_plain), "{token:?}");
    }
    if let Some(issuer) = &read.issuer {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        assert!(!issuer.is_empty() && issuer.bytes().all(is_plain), "{issuer:?}");
    }
    assert!(!read.problem.chars().any(char::is_control), "{:?}", read.problem);
    assert!(read.problem.chars().count() <= TEXT_MAX, "{}", read.problem.len());
    if let Some([start, end, look]) = read.window {
        assert!(start < end && (60..=86_400).contains(&look), "{start} {end} {look}");
    }
    if let Some(decoded) = &read.decoded {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let same = Readings::of(Readings::encoded(decoded).as_bytes()).decoded;
        assert_eq!(same.as_ref(), Some(decoded), "{text}");
    }
    assert_eq!(Readings::of(Readings::encoded(bytes).as_bytes()).decoded.as_deref(), Some(bytes));
    if bytes.len() < 64 {
        check_signed(&String::from_utf8_lossy(bytes));
    }
}

/// Any nonce, URL and payload stand in a request as they are, and add no member to it.
fn check_signed(text: &str) {
    let Some(request) = Readings::signed(text, text, text) else { return };
    let is_digit = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let parts: Vec<&str> = request.split('"').collect();
    // Three members: six quoted words between seven pieces, and twelve quotes.
    assert_eq!(parts.len(), 13, "{request}");
    for value in [parts[3], parts[7], parts[11]] {
        assert!(value.chars().all(is_digit), "{request}");
    }
    let protected = Readings::of(parts[7].as_bytes()).decoded.expect("base64");
    let kept = String::from_utf8_lossy(&protected).matches("\"url\":").count();
    assert!(kept >= 1, "{request}");
}

/// One of each, as a CA sends it.
pub fn seeds() -> Vec<Vec<u8>> {
    let seeds = [
        r#"{"newNonce":"https://a/n","newAccount":"https://a/a","newOrder":"https://a/o","renewalInfo":"https://a/i","meta":{"profiles":{"x":"y"},"caaIdentities":["a"],"externalAccountRequired":true}}"#,
        r#"{"status":"pending","authorizations":["https://a/z/1"],"finalize":"https://a/f","error":null}"#,
        r#"{"status":"valid","finalize":"https://a/f","certificate":"https://a/c"}"#,
        r#"{"status":"pending","identifier":{"type":"dns","value":"a.example"},"challenges":[{"type":"http-01","url":"https://a/h","status":"pending","token":"abc-_9"}]}"#,
        r#"{"status":"pending","identifier":{"value":"a"},"challenges":[{"type":"dns-persist-01","url":"https://a/p","status":"pending","issuer-domain-names":["ca.example"]}]}"#,
        r#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many","status":429}"#,
        r#"{"suggestedWindow":{"start":"2026-01-03T00:00:00Z","end":"2026-01-07T00:00:00.5+01:00"}}"#,
        "eyJhbGciOiJFUzI1NiJ9",
        "<html>503</html>",
        "",
    ];
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}
