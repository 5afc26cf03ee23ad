//! TCP routers that pass TLS on become routes with `passthrough`.

use super::router;
use super::rule::{self, Read};
use super::table::{Item, Kind, Table};
use crate::config::dialects::compose::foreign::adapted::{Adapted, Route, To};
use crate::config::dialects::compose::foreign::source::Written;

/// Adds the routes of a TCP router.
pub(super) fn adapt(table: &Table<'_>, written: &Written, router: &Item<'_>, adapted: &mut Adapted) {
    let Some(rule) = router.entry("rule") else { return };
    if router.get("tls.passthrough") != Some("true") {
        let why = "labels are for HTTP, and for TLS that is passed on; see `protocol: tcp` in a native file";
        return adapted.note(&rule.name, &rule.value, why);
    }
    // The matcher of names under TLS reads as that of hosts.
    let Read { requests, without } = rule::read(&rule.value.replace("HostSNI(", "Host("));
    if let Some(why) = without {
        return adapted.note(&rule.name, &rule.value, why);
    }
    let (target, missing) = match router::target(table, written, router, Kind::TcpService) {
        Ok(target) => (target, None),
        Err(why) => (To::default(), Some(why)),
    };
    for one in requests {
        let mut route = Route {
            name: router.name.to_owned(),
            hosts: one.hosts,
            target: target.clone(),
            passthrough: true,
            withheld: missing.clone().into_iter().chain(router::unusual_entry_point(router)).collect(),
            differs: vec![
                "in the clear, the host goes to the same port; `smolgate.port.http` names another".to_owned(),
            ],
            ..Route::default()
        };
        if route.withheld.is_empty() {
            route.check_port();
        }
        adapted.routes.push(route);
    }
}
