//! A connection is passed on before a request is seen: a host cannot be passed on by one route and be
//! served, or sent elsewhere, by another.

use std::collections::{HashMap, HashSet};

use super::routes::{Destination, Route, ServiceId};
use crate::config::diagnostics::{Report, Span};
use crate::config::plan::HostPattern;

/// Takes out every route that wants a host otherwise than one before it does, with a report that names
/// both places. The services of those that were taken out.
pub(super) fn reject(routes: &mut [Route], report: &mut Report) -> HashSet<ServiceId> {
    let mut wanted: HashMap<HostPattern, (bool, Span)> = HashMap::new();
    let mut rejected = HashSet::new();
    for route in routes {
        let passes = match route.destination {
            Destination::Passthrough { .. } => true,
            Destination::Target { .. } => false,
            Destination::Unavailable(_) => continue,
        };
        let own = std::iter::once((&route.host, passes, route.span));
        let others = route.redirect_from.iter().map(|from| (&from.value, false, from.span));
        let mut all = own.chain(others);
        let clash = all.find_map(|(host, passes, span)| {
            let (before, first) = *wanted.entry(host.clone()).or_insert((passes, span));
            (before != passes).then_some((host, span, first))
        });
        let Some((host, span, first)) = clash else { continue };
        let why = format!("`{host}` is passed on by one route and not by another");
        let message = format!("{} is not served: {why}", route.what);
        let hint = format!("the other one is at {}; leave one of them out", report.place(first));
        report.rejection(span, &message, hint);
        rejected.insert(route.service);
        route.destination = Destination::Unavailable(message);
        route.redirect_from.clear();
    }
    rejected
}
