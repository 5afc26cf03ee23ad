//! The choice among several CAs, without I/O.

/// The wait of a name at one CA.
#[derive(Clone, Copy, Debug)]
pub(in crate::acme) struct Wait {
    /// The earliest time of an order.
    pub(in crate::acme) until: u64,
    /// Whether the next CA is asked until then.
    pub(in crate::acme) is_out: bool,
    /// Whether an order was cut off there.
    pub(in crate::acme) goes_on: bool,
}

/// The CA to order from, and the earliest time. An order that was cut off goes on where it is. Else it is the first CA that
/// is free, or has to be waited for; if all are in trouble, the one that is free first.
pub(in crate::acme) fn choose(waits: &[Wait], now: u64) -> (usize, u64) {
    let is_free = |wait: &Wait| wait.until <= now;
    let under_way = waits.iter().position(|wait| wait.goes_on && is_free(wait));
    let first = || waits.iter().position(|wait| is_free(wait) || !wait.is_out);
    let soonest = || (0..waits.len()).min_by_key(|index| waits[*index].until);
    let chosen = under_way.or_else(first).or_else(soonest).unwrap_or_default();
    (chosen, waits.get(chosen).map_or(now, |wait| wait.until.max(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(until: u64, is_out: bool) -> Wait {
        Wait { until, is_out, goes_on: false }
    }

    #[test]
    fn the_first_is_asked_as_long_as_it_is_not_out() {
        assert_eq!(choose(&[wait(0, false), wait(0, false)], 10), (0, 10));
        assert_eq!(choose(&[wait(70, false), wait(0, false)], 10), (0, 70), "a name that failed waits");
        assert_eq!(choose(&[wait(70, true), wait(0, false)], 10), (1, 10), "a CA in trouble does not");
        assert_eq!(
            choose(&[wait(10, true), wait(0, false)], 10),
            (0, 10),
            "it is tried again after its wait"
        );
        assert_eq!(choose(&[wait(70, true), wait(60, false), wait(0, false)], 10), (1, 60));
        assert_eq!(choose(&[wait(70, true), wait(60, true), wait(65, true)], 10), (1, 60));
    }

    #[test]
    fn an_order_that_was_cut_off_goes_on_where_it_is() {
        let cut_off = Wait { until: 10, is_out: false, goes_on: true };
        assert_eq!(choose(&[wait(0, false), cut_off], 10), (1, 10));
        assert_eq!(choose(&[wait(0, false), Wait { until: 20, ..cut_off }], 10), (0, 10));
    }
}
