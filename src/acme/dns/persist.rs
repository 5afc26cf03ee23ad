//! A record that a person writes once, and that stays (draft-ietf-acme-dns-persist).

/// The label of the record.
const LABEL: &str = "_validation-persist";

/// The name of the record for a host.
pub(in crate::acme) fn name(host: &str) -> String {
    format!("{LABEL}.{host}")
}

/// The text of the record.
pub(in crate::acme) fn text(issuer: &str, account: &str, is_wildcard: bool) -> String {
    let policy = if is_wildcard { "; policy=wildcard" } else { "" };
    format!("{issuer}; accounturi={account}{policy}")
}

/// Whether a record lets the account have certificates for the host, and for the names below it if that is asked for.
pub(super) fn allows(text: &[u8], issuer: &str, account: &str, is_wildcard: bool) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut parts = text.split(';').map(str::trim);
    let is_issuer = parts.next().is_some_and(|first| first.eq_ignore_ascii_case(issuer));
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let has = |name: &str, value: &str| {
        parameters.iter().any(|(has, is)| has.trim().eq_ignore_ascii_case(name) && is.trim() == value)
    };
    is_issuer && has("accounturi", account) && (!is_wildcard || has("policy", "wildcard"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_allows_its_account_at_its_ca() {
        let account = "https://ca.example/acct/1";
        let plain = text("ca.example", account, false);
        assert_eq!(
            (&*name("a.example"), &*plain),
            ("_validation-persist.a.example", "ca.example; accounturi=https://ca.example/acct/1")
        );
        let wild = text("ca.example", account, true);
        let allows =
            |text: &str, issuer, account, wildcard| allows(text.as_bytes(), issuer, account, wildcard);
        assert!(allows(&plain, "ca.example", account, false) && !allows(&plain, "ca.example", account, true));
        assert!(allows(&wild, "ca.example", account, false) && allows(&wild, "ca.example", account, true));
        assert!(!allows(&plain, "other.example", account, false));
        assert!(!allows(&plain, "ca.example", "https://ca.example/acct/2", false));
        assert!(allows("CA.example;policy=wildcard;accounturi=x;persistUntil=1", "ca.example", "x", true));
        assert!(
            !allows("", "ca.example", account, false) && !allows("ca.example", "ca.example", account, false)
        );
    }
}
