//! The result of a run: one JSON object. `docs/loadgen.md` names its keys.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::meter::{Failure, Readings};
use crate::process::{cpu_time, receive_drops, resident_bytes};
use crate::run::{Plan, Window};
use crate::session::Server;
use crate::tally::{Durations, Summary};

/// What a run found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Outcome {
    pub scenario: String,
    pub seed: u64,
    /// The measured window; what follows was counted in it, unless its comment says otherwise.
    pub duration_s: f64,
    pub people: People,
    pub joins: Joins,
    pub packets: Packets,
    /// From the publisher's send call to the return of the reader's read call; packets that cheap peers opened.
    pub latency_us: Summary,
    /// The same to where a real peer hands a packet to the application.
    pub real_latency_us: Summary,
    /// From `call.ready` to the first packet, of the whole run.
    pub first_packet_us: Summary,
    /// There and back again by a bare echo, where there is one.
    pub echo_us: Option<Summary>,
    pub server: ServerSide,
    /// Of the whole run, the most frequent first.
    pub failures: Vec<Failure>,
}

/// Who was there.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct People {
    pub rooms: usize,
    pub real: usize,
    pub cheap: usize,
}

/// Of the whole run.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Joins {
    pub done: u64,
    pub failed: u64,
    /// Those who left as they should.
    pub left: u64,
    /// From the first request to `call.ready`.
    pub took_us: Summary,
}

/// Packets of all people.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Packets {
    pub sent: u64,
    pub sent_per_s: f64,
    pub received: u64,
    pub received_per_s: f64,
    pub expected: u64,
    pub lost: u64,
    pub loss_percent: f64,
    pub sound_loss_percent: f64,
    pub picture_loss_percent: f64,
    pub recovered: u64,
    pub asked_again: u64,
    pub keyframe_requests: u64,
    pub opened: u64,
    pub forged: u64,
    pub received_mbps: f64,
    /// This machine's own sockets were full.
    pub dropped_here: u64,
}

/// What is known of the server; `null` without its process id.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerSide {
    pub cpu_us_per_packet: Option<f64>,
    pub cpu_percent: Option<f64>,
    pub memory_kb_before: Option<f64>,
    pub memory_kb: Option<f64>,
    /// Growth since before the first one came, by people who stay.
    pub memory_kb_per_peer: Option<f64>,
    /// Datagrams that came while its sockets were full.
    pub receive_queue_drops: Option<u64>,
    /// Of the whole run, by its own count (`/metrics`, a few seconds old): what it dropped, by reason.
    pub drops: BTreeMap<String, u64>,
}

/// The server at a moment, from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    process: Option<Process>,
    drops: BTreeMap<String, u64>,
    dropped_here: u64,
}

#[derive(Clone, Copy, Debug)]
struct Process {
    cpu: Duration,
    resident_bytes: u64,
    receive_drops: u64,
}

impl Watched {
    /// Looks at the process, if it is here, and at what the server tells of itself.
    pub(crate) async fn read(server: &Server, pid: Option<u32>) -> anyhow::Result<Self> {
        let look = |pid| -> anyhow::Result<Process> {
            Ok(Process {
                cpu: cpu_time(pid)?,
                resident_bytes: resident_bytes(pid)?,
                receive_drops: receive_drops(pid)?,
            })
        };
        let process = pid.map(look).transpose()?;
        // A server may keep its figures to itself.
        let metrics = server.text("/metrics").await.unwrap_or_default();
        let dropped_here = receive_drops(std::process::id())?;
        Ok(Self { process, drops: labelled(&metrics, "parlor_media_drops_total", "reason"), dropped_here })
    }
}

impl Watched {
    /// The server's own counts, and its sockets', as they were a little later.
    pub(crate) fn count_later(&mut self, later: Self) {
        self.drops = later.drops;
        if let (Some(process), Some(later)) = (&mut self.process, later.process) {
            process.receive_drops = later.receive_drops;
        }
    }
}

/// The values of one figure of `/metrics`, by one of its labels. Zeros are left out.
fn labelled(metrics: &str, name: &str, label: &str) -> BTreeMap<String, u64> {
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "));
    let values = lines.filter_map(|(labels, value)| {
        let named = labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix("=\""))?;
        let value = value.parse::<f64>().ok()? as u64;
        (value > 0).then(|| (named.trim_end_matches('"').to_owned(), value))
    });
    values.collect()
}

impl Window {
    /// The result: `before` is from before anybody came, `all` from after everybody had gone.
    pub(crate) fn outcome(&self, plan: &Plan, before: &Watched, all: &Readings) -> Outcome {
        let people = plan.scenario.people;
        let counts = self.end.0.counts.since(self.start.0.counts);
        let length = self.length.as_secs_f64();
        let per_s = |count: u64| round(count as f64 / length);
        let (sound_loss_percent, picture_loss_percent) = counts.loss_percents();
        let packets = Packets {
            sent: counts.sent,
            sent_per_s: per_s(counts.sent),
            received: counts.received,
            received_per_s: per_s(counts.received),
            expected: counts.expected,
            lost: counts.lost(),
            loss_percent: 100.0 * counts.lost() as f64 / counts.expected.max(1) as f64,
            sound_loss_percent,
            picture_loss_percent,
            recovered: counts.recovered,
            asked_again: counts.asked_again,
            keyframe_requests: counts.keyframe_requests,
            opened: counts.opened,
            forged: counts.forged,
            received_mbps: round(counts.bytes_received as f64 * 8.0 / length / 1e6),
            dropped_here: self.end.1.dropped_here.saturating_sub(self.start.1.dropped_here),
        };
        let (joins, failed) = (&all.joins, all.failures.values().sum());
        Outcome {
            scenario: plan.name.clone(),
            seed: plan.seed,
            duration_s: round(length),
            people: People { rooms: people.rooms, real: people.real, cheap: people.cheap },
            joins: Joins { done: joins.count(), failed, left: all.left, took_us: joins.summary() },
            packets,
            latency_us: self.end.0.delays.summary(),
            real_latency_us: self.end.0.real_delays.summary(),
            first_packet_us: all.first_packets.summary(),
            echo_us: plan.echo.map(|_| Durations::summary(&self.end.0.echoes)),
            server: self.server(plan, before, counts.received),
            failures: all.failures(),
        }
    }

    fn server(&self, plan: &Plan, before: &Watched, received: u64) -> ServerSide {
        let (start, end) = (self.start.1.process, self.end.1.process);
        let cpu = start.zip(end).map(|(start, end)| end.cpu.saturating_sub(start.cpu));
        let people = plan.scenario.participants() * plan.scenario.people.rooms;
        let kb = |process: Option<Process>| process.map(|process| round(process.resident_bytes as f64 / 1000.0));
        let grown =
            before.process.zip(end).map(|(before, end)| end.resident_bytes.saturating_sub(before.resident_bytes));
        let new = |(reason, count): (&String, &u64)| {
            let count = count.saturating_sub(before.drops.get(reason).copied().unwrap_or(0));
            (count > 0).then(|| (reason.clone(), count))
        };
        ServerSide {
            cpu_us_per_packet: cpu.filter(|_| received > 0).map(|cpu| cpu.as_secs_f64() * 1e6 / received as f64),
            cpu_percent: cpu.map(|cpu| round(100.0 * cpu.as_secs_f64() / self.length.as_secs_f64())),
            memory_kb_before: kb(before.process),
            memory_kb: kb(end),
            memory_kb_per_peer: grown.map(|bytes| round(bytes as f64 / people as f64 / 1000.0)),
            receive_queue_drops: start
                .zip(end)
                .map(|(start, end)| end.receive_drops.saturating_sub(start.receive_drops)),
            drops: self.end.1.drops.iter().filter_map(new).collect(),
        }
    }
}

/// Two places: more would be noise.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_by_their_label() {
        let metrics = "# HELP parlor_media_drops_total x\nparlor_media_drops_total{reason=\"rtp_malformed\"} 3\n\
                       parlor_media_drops_total{reason=\"srtp_auth\"} 0\nparlor_media_nacks_total{direction=\"in\"} 7\n";
        let drops = labelled(metrics, "parlor_media_drops_total", "reason");
        assert_eq!(drops, BTreeMap::from([("rtp_malformed".to_owned(), 3)]));
        assert_eq!(labelled(metrics, "parlor_media_nacks_total", "direction")["in"], 7);
    }
}
