//! What all peers of a run count into: read every second for people, and at the end for the result.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use crate::tally::{Counts, Durations};

/// Different sentences of failures that are kept. What comes later is counted with the last one.
const MOST_SENTENCES: usize = 20;

/// One run's counts. Peers' threads write, the run reads.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Readings>);

/// A moment's counts.
#[derive(Clone, Default)]
pub(crate) struct Readings {
    pub counts: Counts,
    /// From the publisher's send call to the return of the reader's read call: packets that cheap peers opened.
    pub delays: Durations,
    /// The same of real peers, to where they hand a packet to the application: they keep packets in order, and wait for lost ones.
    pub real_delays: Durations,
    /// From `call.ready` to the first packet.
    pub first_packets: Durations,
    /// From the first request to `call.ready`.
    pub joins: Durations,
    /// There and back again by a bare echo.
    pub echoes: Durations,
    pub left: u64,
    pub failures: BTreeMap<String, u64>,
}

/// Something that went wrong, and how often.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    pub what: String,
    pub count: u64,
}

impl Meter {
    fn with<T>(&self, change: impl FnOnce(&mut Readings) -> T) -> T {
        change(&mut self.0.lock().expect("nobody panics with it"))
    }

    pub(crate) fn read(&self) -> Readings {
        self.with(|readings| readings.clone())
    }

    pub(crate) fn joined(&self) -> u64 {
        self.with(|readings| readings.joins.count())
    }

    pub(crate) fn failed(&self) -> u64 {
        self.with(|readings| readings.failures.values().sum())
    }

    /// The window opens: delays from before do not count.
    pub(crate) fn forget_delays(&self) {
        self.with(|readings| {
            readings.delays = Durations::default();
            readings.real_delays = Durations::default();
            readings.echoes = Durations::default();
        });
    }

    pub(crate) fn add(&self, counts: Counts, delays_ns: &[u64], echoes_ns: &[u64]) {
        self.with(|readings| {
            readings.counts = readings.counts.plus(counts);
            delays_ns.iter().for_each(|ns| readings.delays.add_ns(*ns));
            echoes_ns.iter().for_each(|ns| readings.echoes.add_ns(*ns));
        });
    }

    pub(crate) fn real_delay(&self, ns: u64) {
        self.with(|readings| readings.real_delays.add_ns(ns));
    }

    pub(crate) fn first_packet(&self, after: Duration) {
        self.with(|readings| readings.first_packets.add(after));
    }

    pub(crate) fn join(&self, took: Duration) {
        self.with(|readings| readings.joins.add(took));
    }

    pub(crate) fn leave(&self) {
        self.with(|readings| readings.left += 1);
    }

    pub(crate) fn fail(&self, error: &anyhow::Error) {
        self.with(|readings| {
            let mut what = format!("{error:#}");
            if readings.failures.len() >= MOST_SENTENCES && !readings.failures.contains_key(&what) {
                what = "and others".to_owned();
            }
            *readings.failures.entry(what).or_default() += 1;
        });
    }
}

impl Readings {
    /// The most frequent first.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let failure = |(what, count): (&String, &u64)| Failure { what: what.clone(), count: *count };
        let mut failures: Vec<Failure> = self.failures.iter().map(failure).collect();
        failures.sort_by_key(|failure| std::cmp::Reverse(failure.count));
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn failures_are_counted_by_what_they_say() {
        let meter = Meter::default();
        meter.fail(&anyhow!("once"));
        meter.fail(&anyhow!("twice"));
        meter.fail(&anyhow!("twice"));
        let failures = meter.read().failures();
        assert_eq!((failures[0].what.as_str(), failures[0].count, failures.len()), ("twice", 2, 2));
        (0..100).for_each(|at| meter.fail(&anyhow!("number {at}")));
        assert!(meter.read().failures().len() <= MOST_SENTENCES + 1, "memory has an end");
        assert_eq!(meter.failed(), 103);
    }

    #[test]
    fn a_window_forgets_the_delays_before_it() {
        let meter = Meter::default();
        meter.add(Counts { received: 3, ..Counts::default() }, &[5, 6], &[7]);
        meter.forget_delays();
        meter.add(Counts { received: 4, ..Counts::default() }, &[9], &[]);
        let readings = meter.read();
        assert_eq!((readings.counts.received, readings.delays.count(), readings.echoes.count()), (7, 1, 0));
    }
}
