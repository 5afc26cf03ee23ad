//! Counters of the exchanges of one rule on one worker.

use std::cell::RefCell;
use std::sync::Arc;

use super::counter::Counter;
use super::registry::WorkerCounters;
use super::series::{OTHER, SeriesKey};

/// Series of `smolgate_requests_total` that one worker keeps of one rule; further ones count under method and
/// code `other`. An upstream may send any of 900 codes to nine methods.
pub const RULE_SERIES_MAX: usize = 64;

impl WorkerCounters {
    /// A handle that counts exchanges of one rule. Creates no series before the first exchange.
    pub fn rule(&self, listener: &Arc<str>, rule: &Arc<str>) -> RuleCounters {
        RuleCounters {
            worker: self.clone(),
            listener: listener.clone(),
            rule: rule.clone(),
            met: RefCell::default(),
            rest: RefCell::default(),
        }
    }
}

/// Counts the exchanges of one rule on one worker.
#[derive(Debug)]
pub struct RuleCounters {
    worker: WorkerCounters,
    listener: Arc<str>,
    rule: Arc<str>,
    /// At most [`RULE_SERIES_MAX`]; a handful in practice, so a scan is faster than a hash.
    met: RefCell<Vec<(&'static str, u16, Arc<Counter>)>>,
    /// The counter of all further series.
    rest: RefCell<Option<Arc<Counter>>>,
}

impl RuleCounters {
    /// Counts an exchange. `method` is a method's label.
    pub fn exchange(&self, method: &'static str, status: u16) {
        let mut met = self.met.borrow_mut();
        if let Some((.., count)) = met.iter().find(|(known, code, _)| *code == status && *known == method) {
            count.add(1);
        } else if met.len() < RULE_SERIES_MAX {
            let count = self.series(method, status);
            count.add(1);
            met.push((method, status, count));
        } else {
            self.rest.borrow_mut().get_or_insert_with(|| self.series(OTHER, 0)).add(1);
        }
    }

    fn series(&self, method: &'static str, code: u16) -> Arc<Counter> {
        let (listener, rule) = (self.listener.clone(), self.rule.clone());
        self.worker.series(SeriesKey { listener, rule, method, code })
    }
}
