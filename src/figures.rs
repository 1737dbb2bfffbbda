//! Figures that somebody has to fetch: the media side's and the relay's counts, read every few seconds.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parlor_turn::{Counts, DropReason, Refusal, TurnServer};
use std::sync::OnceLock;

use crate::metrics::{
    CALL_FREEZES, CALL_JITTER_SECONDS, CALL_LOSS_RATIO, CALL_QUALITY_SCORE, CALL_RTT_SECONDS, MEDIA_BYTES,
    MEDIA_CALLS_BROKEN, MEDIA_DROPS, MEDIA_HANDED_OVER, MEDIA_LANES, MEDIA_LANES_REFUSED, MEDIA_NACKS, MEDIA_PACKETS,
    MEDIA_PLIS, MEDIA_RECORDED, MEDIA_RELAY_DROPPED, MEDIA_RELAY_LOST, MEDIA_RELAYED, MEDIA_SAMPLES, MEDIA_STALLS,
    MEDIA_TCP, MEDIA_TCP_DROPPED, MEDIA_TCP_REFUSED, SHARD_LAG_SECONDS, STUN_ANSWERED, STUN_DROPS, TRACKS,
    TURN_ALLOCATED, TURN_ALLOCATIONS, TURN_BYTES, TURN_CONNECTIONS, TURN_PACKETS, TURN_REFUSALS, describe,
};
use crate::sfu::{Sfu, ShardStats};

/// How often the counts are read. Prometheus asks every 15 s or more seldom.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Bounds of histograms of seconds: a commit or a request takes from a fraction of a millisecond to seconds.
const SECONDS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];
/// Bounds of what lines are like: from a good one to one that nobody can speak over.
const LINE_SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];
const LOSS_RATIOS: [f64; 9] = [0.001, 0.002_5, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
const SCORES: [f64; 8] = [20.0, 40.0, 50.0, 60.0, 70.0, 80.0, 85.0, 90.0];
/// Bounds of histograms of numbers.
const NUMBERS: [f64; 7] = [1.0, 2.0, 5.0, 10.0, 50.0, 200.0, 1000.0];

/// The process's recorder. A process has one, however many servers a test starts in it.
pub(crate) fn recorder() -> PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(suffix("seconds"), &SECONDS)
            .and_then(|builder| builder.set_buckets_for_metric(suffix("rows"), &NUMBERS))
            .and_then(|builder| builder.set_buckets_for_metric(full(CALL_RTT_SECONDS), &LINE_SECONDS))
            .and_then(|builder| builder.set_buckets_for_metric(full(CALL_JITTER_SECONDS), &LINE_SECONDS))
            .and_then(|builder| builder.set_buckets_for_metric(full(CALL_LOSS_RATIO), &LOSS_RATIOS))
            .and_then(|builder| builder.set_buckets_for_metric(full(CALL_QUALITY_SCORE), &SCORES))
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        // Somebody else's recorder (a program that embeds this library) stays; ours is then empty.
        if metrics::set_global_recorder(recorder).is_ok() {
            describe();
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
}

fn suffix(text: &str) -> metrics_exporter_prometheus::Matcher {
    metrics_exporter_prometheus::Matcher::Suffix(text.to_owned())
}

fn full(name: &str) -> metrics_exporter_prometheus::Matcher {
    metrics_exporter_prometheus::Matcher::Full(name.to_owned())
}

/// Reads for as long as it is polled.
pub(crate) async fn keep_reading(sfu: Sfu, turn: Option<TurnServer>, recorder: PrometheusHandle) {
    let mut turns = tokio::time::interval(READ_EVERY);
    loop {
        turns.tick().await;
        media(&sfu.stats().await);
        for (reason, count) in sfu.sent_away() {
            metrics::counter!(MEDIA_TCP_REFUSED, "reason" => reason).absolute(count);
        }
        if let Some(turn) = &turn {
            relay(&turn.counts());
        }
        // Without it the histograms' samples would wait in memory for somebody to ask.
        recorder.run_upkeep();
    }
}

fn relay(counts: &Counts) {
    metrics::counter!(STUN_ANSWERED).absolute(counts.answered);
    for reason in DropReason::ALL {
        metrics::counter!(STUN_DROPS, "reason" => reason.name()).absolute(counts.dropped(reason));
    }
    for refusal in Refusal::ALL {
        metrics::counter!(TURN_REFUSALS, "code" => refusal.name()).absolute(counts.refused(refusal));
    }
    for (direction, flow) in [("to_peers", counts.to_peers), ("to_clients", counts.to_clients)] {
        metrics::counter!(TURN_PACKETS, "direction" => direction).absolute(flow.packets);
        metrics::counter!(TURN_BYTES, "direction" => direction).absolute(flow.bytes);
    }
    for (line, made) in ["udp", "stream"].into_iter().zip(counts.allocated) {
        metrics::counter!(TURN_ALLOCATED, "line" => line).absolute(made);
    }
    metrics::gauge!(TURN_ALLOCATIONS).set(counts.allocations as f64);
    metrics::gauge!(TURN_CONNECTIONS, "line" => "tcp").set((counts.connections - counts.tls_connections) as f64);
    metrics::gauge!(TURN_CONNECTIONS, "line" => "tls").set(counts.tls_connections as f64);
}

fn media(shards: &[ShardStats]) {
    let sum = |of: fn(&ShardStats) -> u64| shards.iter().map(of).sum();
    let both = |name: &'static str, inward: u64, outward: u64| {
        metrics::counter!(name, "direction" => "in").absolute(inward);
        metrics::counter!(name, "direction" => "out").absolute(outward);
    };
    both(MEDIA_PACKETS, sum(|s| s.media.packets_in), sum(|s| s.media.packets_out));
    both(MEDIA_BYTES, sum(|s| s.media.bytes_in), sum(|s| s.media.bytes_out));
    both(MEDIA_NACKS, sum(|s| s.media.nacks_in), sum(|s| s.media.nacks_out));
    both(MEDIA_PLIS, sum(|s| s.media.plis_in), sum(|s| s.media.plis_out));
    metrics::gauge!(MEDIA_TCP).set(shards.iter().map(|shard| shard.tcp_connections).sum::<usize>() as f64);
    metrics::counter!(MEDIA_TCP_DROPPED).absolute(sum(|s| s.tcp_dropped));
    both(MEDIA_RELAYED, sum(|s| s.media.relayed_in), sum(|s| s.media.relayed_out));
    metrics::counter!(MEDIA_RELAY_DROPPED).absolute(sum(|s| s.relay_lost + s.media.relay_dropped));
    metrics::counter!(MEDIA_RELAY_LOST).absolute(sum(|s| s.media.relay_lost));
    metrics::counter!(MEDIA_HANDED_OVER, "result" => "handed_over").absolute(sum(|s| s.handed_over[0]));
    metrics::counter!(MEDIA_HANDED_OVER, "result" => "lost").absolute(sum(|s| s.handed_over[1]));
    metrics::counter!(MEDIA_HANDED_OVER, "result" => "refused").absolute(sum(|s| s.handed_over[2]));
    metrics::gauge!(MEDIA_LANES).set(shards.iter().map(|shard| shard.lanes.0).sum::<usize>() as f64);
    metrics::counter!(MEDIA_LANES_REFUSED).absolute(sum(|s| s.lanes.1));
    for (name, copied, lost) in [
        (MEDIA_SAMPLES, sum(|s| s.media.sampled), sum(|s| s.samples_lost)),
        (MEDIA_RECORDED, sum(|s| s.media.recorded), sum(|s| s.recorded_lost)),
    ] {
        metrics::counter!(name, "result" => "handed_over").absolute(copied.saturating_sub(lost));
        metrics::counter!(name, "result" => "lost").absolute(lost);
    }
    for (index, layer) in ["audio", "one", "two", "three"].into_iter().enumerate() {
        let tracks: u64 = shards.iter().map(|shard| shard.media.tracks[index]).sum();
        metrics::gauge!(TRACKS, "layer" => layer).set(tracks as f64);
    }
    let mut drops = std::collections::BTreeMap::<&str, u64>::new();
    for (reason, count) in shards.iter().flat_map(ShardStats::drops) {
        *drops.entry(reason).or_default() += count;
    }
    // Runs of packets that the system took none of, for good.
    drops.insert("send_refused", shards.iter().map(|shard| shard.send_errors).sum());
    for (reason, count) in drops {
        metrics::counter!(MEDIA_DROPS, "reason" => reason).absolute(count);
    }
    for (direction, freezes) in [("up", sum(|s| s.media.freezes[0])), ("down", sum(|s| s.media.freezes[1]))] {
        metrics::counter!(CALL_FREEZES, "direction" => direction).absolute(freezes);
    }
    metrics::counter!(MEDIA_CALLS_BROKEN).absolute(sum(|s| s.broken_calls));
    metrics::counter!(MEDIA_STALLS).absolute(sum(|s| s.stalls));
    for (number, shard) in shards.iter().enumerate() {
        metrics::gauge!(SHARD_LAG_SECONDS, "shard" => number.to_string()).set(shard.loop_lag.as_secs_f64());
    }
}
