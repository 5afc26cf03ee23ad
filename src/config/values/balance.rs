//! Values of the keys that choose among the endpoints of an upstream.

use std::sync::Arc;
use std::time::Duration;

use super::target;
use crate::config::keys::{ValueError, scalar};
use crate::config::plan::{Balance, HashKey};
use crate::http::is_token;

/// `balance`, without `hash`.
pub(crate) fn balance(text: &str) -> Result<Balance, ValueError> {
    match text {
        "round_robin" => Ok(Balance::RoundRobin),
        "strict_round_robin" => Ok(Balance::StrictRoundRobin),
        "least_requests" => Ok(Balance::LeastRequests),
        "random" => Ok(Balance::Random),
        _ => Err(ValueError::hint(
            "is not a balance",
            "write round_robin, least_requests, random, strict_round_robin or `{ hash: client }`",
        )),
    }
}

/// `hash` of `balance`.
pub(crate) fn hash_key(text: &str) -> Result<HashKey, ValueError> {
    match (text, text.split_once('.')) {
        ("client", _) => Ok(HashKey::Client),
        ("path", _) => Ok(HashKey::Path),
        ("host", _) => Ok(HashKey::Host),
        ("sni", _) => Ok(HashKey::Sni),
        (_, Some(("header", name))) => Ok(HashKey::Header(token(name)?.to_ascii_lowercase().into())),
        (_, Some(("cookie", name))) => Ok(HashKey::Cookie(token(name)?.into())),
        _ => Err(ValueError::hint(
            "is not a key to hash",
            "write client, header.NAME, cookie.NAME, path, host or sni",
        )),
    }
}

/// The name of a field or of a cookie.
fn token(text: &str) -> Result<&str, ValueError> {
    if is_token(text.as_bytes()) { Ok(text) } else { Err(ValueError::new("has a name that is no token")) }
}

/// The name of a cookie.
pub(crate) fn cookie(text: &str) -> Result<Arc<str>, ValueError> {
    token(text).map(Into::into)
}

/// `bound` of `balance`, in per cent.
pub(crate) fn bound(text: &str) -> Result<u32, ValueError> {
    number(text, 100..=10_000, "is not a number of per cent between 100 and 10000")
}

/// `weight` of a target.
pub(crate) fn weight(text: &str) -> Result<u16, ValueError> {
    number(text, 1..=256, "is not a weight between 1 and 256")
}

/// `max_age` of `sticky`, in whole seconds.
pub(crate) fn max_age(text: &str) -> Result<Duration, ValueError> {
    let time = scalar::timeout(text)?;
    if time.subsec_nanos() > 0 {
        return Err(ValueError::new("is no number of whole seconds, which a cookie needs"));
    }
    Ok(time)
}

/// `failures` of `eject`.
pub(crate) fn failures(text: &str) -> Result<u32, ValueError> {
    number(text, 1..=1_000, "is not a number between 1 and 1000")
}

/// A status of a response.
pub(crate) fn status(text: &str) -> Result<u16, ValueError> {
    number(text, 400..=599, "is not a status between 400 and 599")
}

/// A status that a health check expects.
pub(crate) fn any_status(text: &str) -> Result<u16, ValueError> {
    number(text, 200..=599, "is not a status between 200 and 599")
}

/// The value of `Host`.
pub(crate) fn host(text: &str) -> Result<Arc<str>, ValueError> {
    target::host_and_port(text).map(|_| text.to_ascii_lowercase().into())
}

fn number<T: std::str::FromStr + PartialOrd>(
    text: &str,
    range: std::ops::RangeInclusive<T>,
    problem: &'static str,
) -> Result<T, ValueError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number)).ok_or(ValueError::new(problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_to_hash() {
        for text in ["client", "path", "host", "sni", "header.x-user", "cookie.Id"] {
            assert_eq!(hash_key(text).map(|key| key.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(hash_key("header.X-User"), hash_key("header.x-user"));
        for text in ["", "ip", "header", "header.", "header.a b", "cookie.", "cookie.a=b", "client."] {
            assert!(hash_key(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!((weight("1"), weight("256"), bound("125")), (Ok(1), Ok(256), Ok(125)));
        for text in ["0", "257", "-1", "+1", "", "1.5", "99999999999"] {
            assert!(weight(text).is_err(), "{text}");
        }
        assert!(bound("99").is_err() && failures("0").is_err() && status("399").is_err());
    }
}
