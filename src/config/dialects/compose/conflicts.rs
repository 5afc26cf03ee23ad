//! Conflicts between routes of one host. A connection is passed on before a request is seen. So if one route
//! passes a host on, no other route can serve it or send it elsewhere.

use std::collections::{HashMap, HashSet};

use super::route::{Destination, Host, Route, ServiceId};
use crate::config::diagnostics::{Report, Span};

/// Removes every route that conflicts with an earlier one, and reports both places. Returns the services of the
/// removed routes.
pub(super) fn reject(routes: &mut [Route], report: &mut Report) -> HashSet<ServiceId> {
    let mut wanted: HashMap<Host, (bool, Span)> = HashMap::new();
    let mut rejected = HashSet::new();
    for route in routes {
        let passes = match route.destination {
            Destination::Passthrough { .. } => true,
            Destination::Target { .. } => false,
            Destination::Unavailable(_) => continue,
        };
        let own = std::iter::once((route.host.clone(), passes, route.span));
        let others = route.redirect_from.iter().map(|from| (Some(from.value.clone()), false, from.span));
        let mut all = own.chain(others);
        let clash = all.find_map(|(host, passes, span)| {
            let (before, first) = *wanted.entry(host.clone()).or_insert((passes, span));
            (before != passes).then_some((host, span, first))
        });
        let Some((host, span, first)) = clash else { continue };
        let host = host.map_or_else(|| "`*`".to_owned(), |host| format!("`{host}`"));
        let why = format!("{host} is passed on by one route and not by another");
        let message = format!("{} is not served: {why}", route.what);
        let hint = format!("the other one is at {}; leave one of them out", report.place(first));
        report.rejection(span, &message, hint);
        rejected.insert(route.service);
        route.destination = Destination::Unavailable(message);
        route.redirect_from.clear();
    }
    rejected
}
