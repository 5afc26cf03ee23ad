//! The rules of compose files find their listener: the one named `http`.

use crate::config::compose::ComposeSource;
use crate::config::plan::Bind;
use crate::config::report::{At, Report};
use crate::config::source::{HttpSource, LimitsSource, ListenerSource, ProtocolSource};

/// The listener of compose files, and its port where nobody says another.
const LISTENER: &str = "http";
const PORT: u16 = 80;

/// Puts the rules behind those of the listener named `http`, which is made when no file has it.
pub(super) fn add(listeners: &mut Vec<ListenerSource>, compose: ComposeSource, report: &mut Report) {
    let spot = compose.spot;
    let bind = compose.bind.map(|value| At { value, spot });
    let is_ours =
        |listener: &&mut ListenerSource| listener.name.as_ref().is_some_and(|name| &*name.value == LISTENER);
    match listeners.iter_mut().find(is_ours) {
        Some(ListenerSource { protocol: ProtocolSource::Http(http), binds, tls, .. }) => {
            http.rules.extend(compose.into_rules(tls.is_some()));
            // The environment comes before the file.
            if let Some(bind) = bind {
                *binds = vec![bind];
            }
        }
        Some(listener) => {
            let message = "the listener `http` speaks TCP, and the labels of compose files need one for HTTP";
            report.error_hint(listener.spot, message, "give this one another name");
        }
        None => {
            let bind = bind.unwrap_or(At { value: Bind::Any(PORT), spot });
            let http = HttpSource {
                rules: compose.into_rules(false),
                header_timeout: None,
                idle_timeout: None,
                head_bytes_max: None,
                head_fields_max: None,
                target_bytes_max: None,
                trusted_proxies: Vec::new(),
                limits: LimitsSource::default(),
                redirect_to_https: None,
            };
            listeners.push(ListenerSource {
                spot,
                name: Some(At { value: LISTENER.into(), spot }),
                binds: vec![bind],
                shutdown_timeout: None,
                tls: None,
                protocol: ProtocolSource::Http(http),
            });
        }
    }
}
