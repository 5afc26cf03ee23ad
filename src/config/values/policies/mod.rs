//! Values of policies.

pub(crate) mod jwt;
pub(crate) mod pages;
pub(crate) mod password;

use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::{ValueError, scalar};
use crate::config::plan::{BitRate, OriginPattern, RateKey, Scheme, SpeedGroup};
use crate::config::values::{header, target};
use crate::http::{idn, is_token};

/// An origin as browsers send it (Fetch standard, "serializing a request origin"), or a pattern for origins.
pub(crate) fn origin(text: &str) -> Result<OriginPattern, ValueError> {
    const FORM: &str = "write for example \"https://app.example.com\" or \"https://*.example.com\"";
    match text {
        "*" => return Ok(OriginPattern::Any),
        "null" => return Ok(OriginPattern::Exact("null".into())),
        _ => {}
    }
    let lower = text.to_ascii_lowercase();
    let Some((scheme, authority)) = lower.split_once("://") else {
        return Err(ValueError::hint("is not an origin", FORM));
    };
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if scheme.is_empty() || !scheme.bytes().all(is_scheme) || authority.contains(['/', '?', '#', '@']) {
        return Err(ValueError::hint("is not an origin: it is a scheme, a host and a port", FORM));
    }
    let (is_below, authority) = match authority.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, authority),
    };
    if authority.contains('*') {
        return Err(ValueError::hint("has a `*` that is no whole label at the front", FORM));
    }
    target::host_and_port(authority)?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host = idn::to_ascii(host).filter(|_| !host.is_ascii()).unwrap_or_else(|| host.to_owned());
    // Browsers leave the port of the scheme out.
    let usual = match scheme {
        "https" => Some("443"),
        "http" => Some("80"),
        _ => None,
    };
    let port = port.filter(|port| Some(*port) != usual).map(|port| format!(":{port}")).unwrap_or_default();
    Ok(match is_below {
        true => OriginPattern::Below {
            scheme: format!("{scheme}://").into(),
            end: format!(".{host}{port}").into(),
        },
        false => OriginPattern::Exact(format!("{scheme}://{host}{port}").into()),
    })
}

/// The name of a method or of a header field.
pub(crate) fn token(text: &str) -> Result<Arc<str>, ValueError> {
    if is_token(text.as_bytes()) {
        Ok(text.into())
    } else {
        Err(ValueError::hint("is no token", "write one name, such as GET or X-Total"))
    }
}

/// `100/1m`: requests, and the time in which they may come.
pub(crate) fn rate(text: &str) -> Result<(u32, Duration), ValueError> {
    const FORM: ValueError = ValueError::hint("is not a rate", "write for example \"100/1m\" or \"20/1s\"");
    let (requests, per) = text.split_once('/').ok_or(FORM)?;
    Ok((requests_in_time(requests.trim()).map_err(|_| FORM)?, rate_time(per.trim()).map_err(|_| FORM)?))
}

/// The time of a rate.
pub(crate) fn rate_time(text: &str) -> Result<Duration, ValueError> {
    let per = scalar::timeout(text)?;
    let is_short = per <= Duration::from_secs(24 * 3_600);
    if is_short { Ok(per) } else { Err(ValueError::new("is longer than a day")) }
}

/// The requests of a rate.
pub(crate) fn requests_in_time(text: &str) -> Result<u32, ValueError> {
    number(text, 1, 1_000_000, "is not a number between 1 and 1000000")
}

/// Keys that are remembered.
pub(crate) fn remembered_keys(text: &str) -> Result<usize, ValueError> {
    number(text, 64, 16_777_216, "is not a number between 64 and 16777216").map(|keys| keys as usize)
}

/// Leading bits of an IPv6 address.
pub(crate) fn ipv6_prefix(text: &str) -> Result<u8, ValueError> {
    number(text, 1, 128, "is not a number between 1 and 128").map(|bits| bits as u8)
}

/// The status of a refused request.
pub(crate) fn refusal_status(text: &str) -> Result<u16, ValueError> {
    number(text, 400, 599, "is not a status between 400 and 599").map(|status| status as u16)
}

/// Requests that are open at once.
pub(crate) fn open_requests(text: &str) -> Result<usize, ValueError> {
    number(text, 1, 10_000_000, "is not a number between 1 and 10000000").map(|requests| requests as usize)
}

/// Requests that wait.
pub(crate) fn waiting_requests(text: &str) -> Result<usize, ValueError> {
    number(text, 0, 100_000, "is not a number between 0 and 100000").map(|requests| requests as usize)
}

/// The key by which requests are counted.
pub(crate) fn rate_key(text: &str) -> Result<RateKey, ValueError> {
    match (text, text.split_once('.')) {
        ("client", _) => Ok(RateKey::Client),
        ("host", _) => Ok(RateKey::Host),
        ("user", _) => Ok(RateKey::User),
        ("all", _) => Ok(RateKey::All),
        (_, Some(("header", name))) => {
            token(name).map(|name| RateKey::Header(name.to_ascii_lowercase().into()))
        }
        (_, Some(("cookie", name))) => token(name).map(RateKey::Cookie),
        (_, Some(("claim", name))) => token(name).map(RateKey::Claim),
        _ => Err(ValueError::hint(
            "is not a key by which requests are counted",
            "write client, header.NAME, cookie.NAME, user, claim.NAME, host or all",
        )),
    }
}

/// The URL of a server that is asked about requests.
pub(crate) fn server_url(text: &str) -> Result<Arc<str>, ValueError> {
    let target = target::target(text)?;
    match target.scheme {
        Some(Scheme::Http | Scheme::Https) => Ok(text.into()),
        _ => Err(ValueError::hint(
            "is no URL of a server",
            "write for example \"http://authelia:9091/api/authz/forward-auth\"",
        )),
    }
}

/// The path of a question at an upstream, with a query if there is one.
pub(crate) fn server_path(text: &str) -> Result<Arc<str>, ValueError> {
    let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    match is_path {
        true => Ok(text.into()),
        false => Err(ValueError::hint("is no path", "write for example \"/api/authz/forward-auth\"")),
    }
}

/// How long an answer of a server holds.
pub(crate) fn answer_time(text: &str) -> Result<Duration, ValueError> {
    match scalar::duration(text)? {
        time if time <= Duration::from_secs(3_600) => Ok(time),
        _ => Err(ValueError::hint(
            "is longer than an hour",
            "after a sign-out, the session gets in for that long",
        )),
    }
}

/// A speed in bits per second: `50Mbit`, `800kbit`.
pub(crate) fn bit_rate(text: &str) -> Result<BitRate, ValueError> {
    const FORM: ValueError = ValueError::hint(
        "is no speed",
        "the units are bit, kbit, Mbit and Gbit, for a second each: \"50Mbit\"",
    );
    let unit = text.find(|char: char| !char.is_ascii_digit()).ok_or(FORM)?;
    let (number, unit) = text.split_at(unit);
    let number: u64 = number.parse().map_err(|_| FORM)?;
    let bits = BitRate::unit(unit.trim_start()).ok_or(FORM)?;
    match number.checked_mul(bits) {
        Some(rate @ 8_000..=1_000_000_000_000) => Ok(BitRate(rate)),
        _ => Err(ValueError::new("is not between 8kbit and 1000Gbit")),
    }
}

/// Whether connections share a speed, or the name under which they do.
pub(crate) fn speed_group(text: &str) -> Result<Option<SpeedGroup>, ValueError> {
    match text {
        "false" => Ok(None),
        "true" => Ok(Some(SpeedGroup::OfPlace)),
        // The names that lowering gives have those of a listener and a rule in them.
        name if (1..=1_024).contains(&name.len()) && !name.contains(char::is_control) => {
            scalar::no_flag(name).map(|()| Some(SpeedGroup::Named(name.into())))
        }
        _ => Err(ValueError::hint(
            "is no name of connections",
            "write true, or a name without control characters",
        )),
    }
}

/// A field that the target gets from the answer of a server, with `*` at its end or not.
pub(crate) fn copied_field(text: &str) -> Result<Arc<str>, ValueError> {
    let start = text.strip_suffix('*').unwrap_or(text);
    header::field_name(start).map_err(|_| {
        ValueError::hint(
            "is no field that the target may get",
            "write for example \"Remote-User\" or \"Remote-*\"; no field of the connection or of the framing",
        )
    })?;
    Ok(text.to_ascii_lowercase().into())
}

/// The URL where a browser signs in.
pub(crate) fn sign_in(text: &str) -> Result<Arc<str>, ValueError> {
    let plain = text.replacen("{url}", "x", 1);
    header::location(&plain).map_err(|_| {
        ValueError::hint(
            "is no URL of a sign-in",
            "write for example \"https://auth.example.com/start?rd={url}\"",
        )
    })?;
    Ok(text.into())
}

/// The level of compression.
pub(crate) fn compression_level(text: &str) -> Result<u32, ValueError> {
    number(text, 1, 9, "is not a level between 1 and 9")
}

/// A media type, or a pattern for media types.
pub(crate) fn media_types(text: &str) -> Result<Arc<str>, ValueError> {
    let pair = text.split_once('/');
    let is_fine = pair.is_some_and(|(main, sub)| match (main, sub.strip_prefix("*+")) {
        ("*", Some(suffix)) => is_token(suffix.as_bytes()) && !suffix.contains('*'),
        _ => is_token(main.as_bytes()) && !main.contains('*') && (sub == "*" || is_subtype(sub)),
    });
    if is_fine {
        return Ok(text.to_ascii_lowercase().into());
    }
    const FORM: &str = "write for example \"application/json\", \"text/*\" or \"*/*+json\"";
    Err(ValueError::hint("is no media type", FORM))
}

fn is_subtype(text: &str) -> bool {
    is_token(text.as_bytes()) && !text.contains('*')
}

fn number(text: &str, least: u32, most: u32, problem: &'static str) -> Result<u32, ValueError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| digits && (least..=most).contains(number));
    number.ok_or(ValueError::new(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        for (text, shown) in [
            ("https://App.Example.com", "https://app.example.com"),
            ("https://a.example:443", "https://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("http://a.example:80", "http://a.example"),
            ("https://*.example.com:8443", "https://*.example.com:8443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("http://[::1]:81", "http://[::1]:81"),
            ("null", "null"),
            ("*", "*"),
        ] {
            assert_eq!(origin(text).map(|origin| origin.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            "app.example.com",
            "https://a/",
            "https://",
            "https://a.*.b",
            "https://u@a",
            "https://*a.b",
            "://a",
        ] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn speeds() {
        for (text, bits) in
            [("8kbit", 8_000), ("50Mbit", 50_000_000), ("50 Mbit", 50_000_000), ("8000bit", 8_000)]
        {
            assert_eq!(bit_rate(text), Ok(BitRate(bits)), "{text}");
        }
        for text in [
            "",
            "50",
            "Mbit",
            "7999bit",
            "0Mbit",
            "50MB",
            "50mbit",
            "1001Gbit",
            "-1Mbit",
            "1.5Mbit",
            "99999999999Gbit",
        ] {
            assert!(bit_rate(text).is_err(), "{text}");
        }
        assert_eq!(speed_group("false"), Ok(None));
        for text in ["a\nb", "", "yes", "No", "on", "True"] {
            assert!(speed_group(text).is_err(), "{text}");
        }
        assert_eq!(speed_group("all").unwrap().unwrap().to_string(), "\"all\"");
    }

    #[test]
    fn media_types_and_patterns() {
        for text in ["text/html", "Text/*", "*/*+json", "application/vnd.a-b+json"] {
            assert_eq!(media_types(text).as_deref(), Ok(&*text.to_ascii_lowercase()), "{text}");
        }
        for text in ["", "text", "*/*", "*", "*/html", "text/h*", "te*t/*", "a/b; c=d", "*/*+", "*/*+*"] {
            assert!(media_types(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(rate("100/1m"), Ok((100, Duration::from_secs(60))));
        assert_eq!(rate("20 / 1s"), Ok((20, Duration::from_secs(1))));
        for text in ["", "100", "0/1s", "100/0s", "100/", "/1s", "100/m", "-1/1s", "1/2d", "1/1s/1s"] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["client", "host", "all", "user", "header.x-key", "cookie.Id", "claim.org"] {
            assert_eq!(rate_key(text).map(|key| key.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "ip", "header.", "header.a b", "cookie.a=b", "users", "claim."] {
            assert!(rate_key(text).is_err(), "{text}");
        }
    }
}
