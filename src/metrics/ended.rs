//! The counts of workers that have ended. Each `?restart=true` starts new ones; their sets must not pile up.

use std::sync::Arc;

use super::counter::{Counter, Histogram, WaitCounters};
use super::series::{EndpointCounters, ListenerCounters, UpstreamCounters};
use super::worker_set::{Names, WorkerSet, lock};

impl WorkerSet {
    /// Adds up the sets of workers that have ended and removes them from the list. The caller holds the
    /// list's lock, so this set has one writer at a time. A set that is being read stays until the next call,
    /// because its reader would count it twice.
    pub(super) fn take_over(&self, sets: &mut Vec<Arc<WorkerSet>>) {
        sets.retain_mut(|set| {
            let ended = Arc::get_mut(set).is_some_and(WorkerSet::is_final);
            if ended {
                self.add(set);
            }
            !ended
        });
    }

    /// Whether all handles are gone. A worker drops its handles one by one when it ends.
    fn is_final(&mut self) -> bool {
        self.listeners.are_final()
            && self.upstreams.are_final()
            && self.endpoints.are_final()
            && lock(&self.series).values_mut().all(|count| Arc::get_mut(count).is_some())
    }

    fn add(&self, ended: &WorkerSet) {
        for (name, one) in ended.listeners.all() {
            let make = || ListenerCounters { protocol: one.protocol, ..ListenerCounters::default() };
            self.listeners.get(&name, |known| known.protocol == one.protocol, make).add(&one);
        }
        for (name, one) in ended.upstreams.all() {
            self.upstreams.get(&name, |_| true, UpstreamCounters::default).add(&one);
        }
        for (name, one) in ended.endpoints.all() {
            let sum = self.endpoints.get(&name, |_| true, EndpointCounters::default);
            // First `begun`, so that `ended` is never the larger one.
            sum.begun.add(one.begun.get());
            sum.ended.add(one.ended.get());
        }
        let mut series = lock(&self.series);
        for (key, count) in lock(&ended.series).iter() {
            series.entry(key.clone()).or_default().add(count.get());
        }
        add_each(&self.reasons, &ended.reasons);
    }
}

impl<T> Names<T> {
    fn are_final(&mut self) -> bool {
        lock(&self.0).iter_mut().all(|(_, counters)| Arc::get_mut(counters).is_some())
    }
}

impl ListenerCounters {
    fn add(&self, ended: &Self) {
        let Self {
            opened,
            closed,
            bytes_in,
            bytes_out,
            requests,
            duration,
            accept_errors,
            streams,
            streams_refused,
            handshakes,
            tunnels_begun,
            tunnels_ended,
            ends_tls,
            protocol: _,
        } = ended;
        // Add `opened` before `closed`, so that `closed` is never the larger one.
        self.opened.add(opened.get());
        self.closed.add(closed.get());
        self.bytes_in.add(bytes_in.get());
        self.bytes_out.add(bytes_out.get());
        self.requests.add(requests.get());
        self.streams.add(streams.get());
        self.streams_refused.add(streams_refused.get());
        self.duration.add(duration);
        self.accept_errors.add(accept_errors.get());
        add_each(&self.handshakes, handshakes);
        self.tunnels_begun.add(tunnels_begun.get());
        add_each(&self.tunnels_ended, tunnels_ended);
        self.ends_tls.add(ends_tls.get());
    }
}

impl UpstreamCounters {
    fn add(&self, ended: &Self) {
        let Self { opened, reused, failed, retries, waits, holds, response, mirrored } = ended;
        self.opened.add(opened.get());
        self.reused.add(reused.get());
        self.failed.add(failed.get());
        add_each(&self.retries, retries);
        self.waits.add(waits);
        self.holds.add(holds);
        self.response.add(response);
        self.mirrored.sent.add(mirrored.sent.get());
        self.mirrored.dropped.add(mirrored.dropped.get());
    }
}

impl Histogram {
    fn add(&self, ended: &Self) {
        add_each(&self.buckets, &ended.buckets);
        self.nanos.add(ended.nanos.get());
    }
}

impl WaitCounters {
    fn add(&self, ended: &Self) {
        let Self { used, begun, left, ended: ends, refused } = ended;
        self.used.add(used.get());
        // First `begun`, so that `left` is never the larger one.
        self.begun.add(begun.get());
        self.left.add(left.get());
        self.ended.iter().zip(ends).for_each(|(sum, count)| sum.add(count.get()));
        self.refused.add(refused.get());
    }
}

fn add_each(sums: &[Counter], counts: &[Counter]) {
    sums.iter().zip(counts).for_each(|(sum, count)| sum.add(count.get()));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::series::MirrorCounters;
    use super::super::{Counters, Handshake, ListenerCounters, TUNNEL_ENDS, UpstreamCounters, WaitEnd};
    use crate::reason::Reason;

    #[test]
    fn ended_workers_leave_one_set_with_all_their_counts() {
        let counters = Counters::new();
        let mut page = String::new();
        for _ in 0..50 {
            let worker = counters.worker();
            let web = worker.listener(&"web".into(), "http");
            let ListenerCounters {
                opened,
                closed,
                bytes_in,
                bytes_out,
                requests,
                duration: _,
                accept_errors,
                streams,
                streams_refused,
                handshakes: _,
                tunnels_begun,
                tunnels_ended: _,
                ends_tls,
                protocol: _,
            } = &*web;
            for count in [opened, closed, bytes_in, bytes_out, requests, accept_errors, ends_tls] {
                count.add(7);
            }
            [streams, streams_refused].into_iter().for_each(|count| count.add(7));
            tunnels_begun.add(TUNNEL_ENDS.len() as u64);
            TUNNEL_ENDS.iter().for_each(|end| web.tunnel_ended(*end));
            Handshake::ALL.iter().for_each(|end| web.handshake(*end));
            web.duration.observe(Duration::from_millis(3));
            worker.listener(&"web".into(), "tcp").opened.add(1);
            let upstream = worker.upstream(&"api".into());
            let UpstreamCounters {
                opened,
                reused,
                failed,
                retries: [made, refused],
                waits,
                holds,
                response,
                mirrored: MirrorCounters { sent, dropped },
            } = &*upstream;
            for count in [opened, reused, failed, made, refused, sent, dropped] {
                count.add(3);
            }
            for wait in [waits, holds] {
                wait.is_used(true);
                wait.begin();
                wait.leave();
                wait.end(WaitEnd::TimedOut);
                wait.refuse();
            }
            response.observe(Duration::from_millis(3));
            worker.local_reply(Reason::NoRule);
            worker.rule(&"web".into(), &"all".into()).exchange("GET", 200);
            // Sets of running workers stay as they are. After the workers end, the page stays equal.
            page = counters.render(None);
            assert_eq!(counters.sets().len(), 2);
        }
        assert_eq!(counters.render(None), page);
        assert_eq!(counters.sets().len(), 1);
        assert!(page.contains("smolgate_connections_total{listener=\"web\"} 400\n"), "{page}");
    }

    #[test]
    fn a_worker_with_a_handle_left_has_not_ended() {
        let counters = Counters::new();
        let worker = counters.worker();
        let (web, api) = (worker.listener(&"web".into(), "http"), worker.upstream(&"api".into()));
        let rule = worker.rule(&"web".into(), &"all".into());
        rule.exchange("GET", 200);
        drop(worker);
        assert_eq!(counters.sets().len(), 2);
        drop(rule);
        assert_eq!(counters.sets().len(), 2);
        drop(web);
        assert_eq!(counters.sets().len(), 2);
        api.opened.add(1);
        drop(api);
        assert_eq!(counters.sets().len(), 1);
        assert!(
            counters
                .render(None)
                .contains("smolgate_upstream_connections_opened_total{upstream=\"api\"} 1\n")
        );
    }
}
