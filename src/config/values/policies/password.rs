//! Users and hashes of their passwords.

use std::sync::Arc;

use crate::config::keys::{ValueError, is_withheld};

/// The hint of a hash that is refused.
const MAKE: &str = "`smolgate hash` and `htpasswd -nB NAME` make a hash";

/// Why a kind of hash is refused, by its beginning.
const REFUSED: [(&str, &str); 8] = [
    ("$apr1$", "has a hash of MD5, which is guessed too fast"),
    ("$1$", "has a hash of MD5, which is guessed too fast"),
    ("{SHA}", "has a hash of SHA-1, which is guessed too fast"),
    ("$5$", "has a hash of crypt, and bcrypt or argon2id is needed"),
    ("$6$", "has a hash of crypt, and bcrypt or argon2id is needed"),
    ("$y$", "has a hash of crypt, and bcrypt or argon2id is needed"),
    ("$argon2i$", "has a hash of argon2i, and argon2id is needed"),
    ("$argon2d$", "has a hash of argon2d, and argon2id is needed"),
];

/// `name:hash`, as in a file of `htpasswd`.
pub(crate) fn user(text: &str) -> Result<(Arc<str>, Arc<str>), ValueError> {
    let (name, rest) = text.split_once(':').ok_or(ValueError::hint("is no user: it is NAME:HASH", MAKE))?;
    // Further parts are comments.
    let hash = rest.split(':').next().unwrap_or_default();
    Ok((user_name(name)?, password_hash(hash)?))
}

/// The name of a user. It may go to targets in a field.
pub(crate) fn user_name(name: &str) -> Result<Arc<str>, ValueError> {
    let is_fine = !name.is_empty() && name.len() <= 255 && name.trim() == name;
    if is_fine && !name.chars().any(|char| char.is_control() || char == ':') {
        Ok(name.into())
    } else {
        Err(ValueError::hint(
            "has a name that is empty, too long, or has a colon or a control character",
            "write a name of up to 255 bytes without spaces around it",
        ))
    }
}

/// The hash of a password. Costs are bounded, since each wrong password has them.
pub(crate) fn password_hash(hash: &str) -> Result<Arc<str>, ValueError> {
    if !cfg!(feature = "auth") {
        return Err(ValueError::new("has a password, and this program was built without the feature `auth`"));
    }
    // No password fits it.
    if is_withheld(hash) {
        return Ok(hash.into());
    }
    if let Some((_, why)) = REFUSED.iter().find(|(start, _)| hash.starts_with(start)) {
        return Err(ValueError::hint(why, MAKE));
    }
    let rest = ["$2a$", "$2b$", "$2y$"].iter().find_map(|start| hash.strip_prefix(start));
    match rest.map(is_bcrypt).or_else(|| Some(is_argon2id(hash.strip_prefix("$argon2id$v=19$")?))) {
        Some(Ok(true)) => Ok(hash.into()),
        Some(Ok(false)) => Err(ValueError::hint(
            "has a hash that costs too much: bcrypt up to 14, argon2id up to 256 MiB and 10 passes",
            MAKE,
        )),
        Some(Err(())) => Err(ValueError::hint("has a hash that is cut off or has other characters", MAKE)),
        None => Err(ValueError::hint("has no hash of bcrypt or argon2id", MAKE)),
    }
}

/// `12$` with 53 characters behind it. Whether the cost is allowed.
fn is_bcrypt(rest: &str) -> Result<bool, ()> {
    let (cost, hash) = rest.split_once('$').ok_or(())?;
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    let cost: u32 = cost.parse().ok().filter(|_| cost.len() == 2).ok_or(())?;
    let is_whole = hash.len() == 53 && hash.bytes().all(is_digit) && cost >= 4;
    is_whole.then_some(cost <= 14).ok_or(())
}

/// `m=19456,t=2,p=1$SALT$HASH`. Whether the cost is allowed.
fn is_argon2id(rest: &str) -> Result<bool, ()> {
    let [costs, salt, hash] = <[&str; 3]>::try_from(rest.split('$').collect::<Vec<_>>()).map_err(drop)?;
    let is_text = |text: &str, least| {
        let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        (least..=128).contains(&text.len()) && text.bytes().all(is_digit)
    };
    let mut costs = costs.split(',');
    let mut cost = |key: &str| -> Result<u32, ()> {
        costs.next().and_then(|cost| cost.strip_prefix(key)?.parse().ok()).ok_or(())
    };
    let (memory, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
    if !is_text(salt, 11) || !is_text(hash, 16) || memory < 8 * lanes.max(1) || passes == 0 || lanes == 0 {
        return Err(());
    }
    Ok(memory <= 256 << 10 && passes <= 10 && lanes <= 16)
}

/// The realm of a rule, which stands between quotes in a field.
pub(crate) fn realm(text: &str) -> Result<Arc<str>, ValueError> {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if !text.is_empty() && text.len() <= 255 && text.bytes().all(is_plain) {
        Ok(text.into())
    } else {
        Err(ValueError::new("is not a realm: it has visible ASCII characters without quotes and backslashes"))
    }
}

#[cfg(all(test, feature = "auth"))]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O";
    const ARGON2ID: &str =
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";

    #[test]
    fn users() {
        for hash in [BCRYPT, ARGON2ID] {
            assert_eq!(user(&format!("ann:{hash}")), Ok(("ann".into(), hash.into())));
            assert_eq!(user(&format!("ann:{hash}:a comment")), Ok(("ann".into(), hash.into())));
            assert!(user(&format!(":{hash}")).is_err() && user(&format!("a\tb:{hash}")).is_err());
        }
    }

    #[test]
    fn kinds_that_are_refused_are_named() {
        for (hash, word) in [
            ("$apr1$ACD62IJc$nzbGhxoTw7IWKaxja/KGI1", "MD5"),
            ("$1$ACD62IJc$nzbGhxoTw7IWKaxja/KGI1", "MD5"),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "SHA-1"),
            ("$6$UcvFKZr07CxFpUPH$quoKQxv7DWbAvYOxur90WwplQkIqtRhbIZrvgxeMnb0", "crypt"),
            ("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW", "argon2i,"),
            ("sesame", "no hash"),
            ("", "no hash"),
            (&BCRYPT.replace("$05$", "$15$"), "costs too much"),
            (&BCRYPT.replace("$05$", "$31$"), "costs too much"),
            (&ARGON2ID.replace("m=256", "m=262145"), "costs too much"),
            (&ARGON2ID.replace("t=2", "t=11"), "costs too much"),
            (&BCRYPT[..59], "cut off"),
            (&BCRYPT.replace("$05$", "$5$"), "cut off"),
            (&ARGON2ID[..40], "cut off"),
            (&ARGON2ID.replace("m=256", "m=1"), "cut off"),
        ] {
            let problem = password_hash(hash).unwrap_err().problem;
            assert!(problem.contains(word), "{hash}: {problem}");
        }
    }
}
