//! Extensible priorities (RFC 9218): the `priority` field and PRIORITY_UPDATE.

/// The order in which responses are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// From 0, the most urgent, to 7.
    pub urgency: u8,
    /// Whether parts of the response are of use, so that responses of this urgency take turns.
    pub incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Priority { urgency: 3, incremental: false }
    }
}

impl Priority {
    /// The priority of a response for which the client has told none. Such responses take turns, because any of them may
    /// be the one for which the client waits.
    pub const UNKNOWN: Priority = Priority { urgency: 3, incremental: true };

    /// Reads a value, which is a dictionary (RFC 8941, section 3.2). Unknown members and values outside their
    /// range are ignored (RFC 9218, section 4), and a member that comes again counts as it comes last.
    pub fn parse(value: &[u8]) -> Priority {
        let mut priority = Priority::default();
        for member in value.split(|&byte| byte == b',') {
            // Parameters of a member have no meaning here.
            let member = member.split(|&byte| byte == b';').next().unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', digit @ b'0'..=b'7'] => priority.urgency = digit - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_urgency_and_turns() {
        for (value, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i,u=2", 2, true),
            ("i=?1", 3, true),
            ("i, i=?0", 3, false),
            ("u=1;x=2 , i;y", 1, true),
            ("u=1, u=4", 4, false),
            ("u=8", 3, false),
            ("u=-1", 3, false),
            ("u=10", 3, false),
            ("u=1.0", 3, false),
            ("U=1", 3, false),
            ("i=1", 3, false),
            ("x=5, u=5", 5, false),
            (",,u=5,", 5, false),
        ] {
            assert_eq!(Priority::parse(value.as_bytes()), Priority { urgency, incremental }, "{value}");
        }
    }
}
