//! Checks that no two sockets listen on one address.

use std::collections::HashMap;

use crate::config::diagnostics::Report;
use crate::config::plan::{Bind, InternalBind};
use crate::config::source::ListenerSource;

/// Reports every address that an earlier listener or the internal API has taken.
pub(super) fn check(
    listeners: &[ListenerSource],
    internal: &InternalBind,
    internal_place: &str,
    report: &mut Report,
) {
    // Addresses by port, because only those of one port can clash. Port 0 is a new port each time.
    let mut taken: HashMap<u16, Vec<(Bind, String)>> = HashMap::new();
    if let InternalBind::Tcp(bind) = internal {
        let who = format!("the internal API listens on `{bind}` ({internal_place})");
        taken.entry(bind.port()).or_default().push((*bind, who));
    }
    for bind in listeners.iter().flat_map(|listener| &listener.binds).filter(|bind| bind.value.port() != 0) {
        let on_port = taken.entry(bind.value.port()).or_default();
        if let Some((other, who)) = on_port.iter().find(|(other, _)| other.overlaps(bind.value)) {
            let message = if *other == bind.value {
                format!("`{}` is taken already", bind.value)
            } else {
                format!("`{}` overlaps with `{other}`", bind.value)
            };
            report.error_hint(bind.span, message, who.clone());
        } else {
            let place = report.place(bind.span);
            on_port.push((bind.value, format!("`{}` is written at {place}", bind.value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::values::target::bind;

    #[test]
    fn overlaps() {
        for (a, b, expected) in [
            (":80", "127.0.0.1:80", true),
            (":80", "[::1]:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("0.0.0.0:80", "[::1]:80", false),
            (":80", ":81", false),
        ] {
            let (a, b) = (bind(a).expect("an address"), bind(b).expect("an address"));
            assert_eq!((a.overlaps(b), b.overlaps(a)), (expected, expected), "{a} {b}");
        }
    }
}
