//! The names of all figures that the server measures, in one list, so that dashboards can rely on them.

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name in `/metrics`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// The labels that it is split by.
    pub labels: &'static [&'static str],
    /// What it says, unit included.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// Every figure.
        pub const ALL: &[Metric] =
            &[$(Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help }),*];
    };
}

metrics! {
    SOCKETS = Gauge "parlor_sockets" [] "Sockets that are logged in now.";
    SESSIONS_LOST = Gauge "parlor_sessions_lost" [] "Sessions that wait for their socket to come back.";
    SOCKETS_CLOSED = Counter "parlor_sockets_closed_total" ["code"] "Sockets that the server closed, by close code.";
    FRAMES_IN = Counter "parlor_frames_in_total" ["type"] "Frames from clients, by type.";
    FRAMES_OUT = Counter "parlor_frames_out_total" [] "Frames queued to clients.";
    MESSAGES = Counter "parlor_messages_total" [] "Messages committed.";
    COMMIT_ROWS = Histogram "parlor_commit_rows" [] "Events that one transaction committed.";
    COMMIT_SECONDS = Histogram "parlor_commit_seconds" [] "Time of one transaction of the writer, in seconds.";
    BUS_LOST = Counter "parlor_bus_lost_total" [] "Events dropped because the bus was full, or Redis away: durable ones are found in the database.";
    BUS_CONNECTED = Gauge "parlor_bus_connected" [] "1 while the other nodes can be heard over Redis, else 0. Not told by an only node.";
    BUS_SENT = Counter "parlor_bus_sent_total" [] "Words sent to the other nodes.";
    BUS_RECEIVED = Counter "parlor_bus_received_total" [] "Words heard of other nodes.";
    BUS_MENDED = Counter "parlor_bus_mended_total" [] "Durable events that the bus did not bring and the database did.";
    ROOMS = Gauge "parlor_rooms" [] "Rooms with somebody inside.";
    SEATS = Gauge "parlor_seats" [] "People in rooms, each room counted.";
    PARTICIPANTS = Gauge "parlor_participants" [] "Participants of calls.";
    STREAMS = Gauge "parlor_streams" ["kind"] "Publishers (WHIP) and players (WHEP) that take part by HTTP now.";
    STREAMS_STARTED = Counter "parlor_streams_started_total" ["kind"] "Publishers and players that came by HTTP.";
    REFUSALS = Counter "parlor_refusals_total" ["code"] "Requests refused, by error code.";
    HTTP_REQUESTS = Counter "parlor_http_requests_total" ["method" "path" "status"] "HTTP requests answered.";
    HTTP_SECONDS = Histogram "parlor_http_seconds" ["method" "path"] "Time to answer an HTTP request, in seconds.";
    TRACKS = Gauge "parlor_tracks" ["layer"] "Tracks and layers that packets arrive on, by layer.";
    MEDIA_PACKETS = Counter "parlor_media_packets_total" ["direction"] "Media packets, in and out.";
    MEDIA_BYTES = Counter "parlor_media_bytes_total" ["direction"] "Bytes of media datagrams, in and out.";
    MEDIA_DROPS = Counter "parlor_media_drops_total" ["reason"] "Datagrams and packets dropped, by reason.";
    MEDIA_NACKS = Counter "parlor_media_nacks_total" ["direction"] "Packets asked for again, by us (out) and of us (in).";
    MEDIA_PLIS = Counter "parlor_media_plis_total" ["direction"] "Keyframes asked for, by us (out) and of us (in).";
    MEDIA_TCP = Gauge "parlor_media_tcp_connections" [] "Peers whose media comes over TCP.";
    MEDIA_TCP_REFUSED = Counter "parlor_media_tcp_refused_total" ["reason"] "Connections to the TCP port of media that were sent away: no place (full), nothing shown in time (silent) or before too many others came (crowded), something else shown (strange).";
    MEDIA_TCP_DROPPED = Counter "parlor_media_tcp_dropped_total" [] "Packets that a connection over TCP had no room for.";
    MEDIA_HANDED_OVER = Counter "parlor_media_handed_over_total" ["result"] "Datagrams that landed on another shard of the same port: handed over, lost because nobody had room, or refused because too many came.";
    MEDIA_RELAYED = Counter "parlor_media_relay_packets_total" ["direction"] "Media packets between the shards of one call, in and out: a packet to n shards counted n times.";
    MEDIA_RELAY_DROPPED = Counter "parlor_media_relay_dropped_total" [] "Media packets between shards that found no room.";
    MEDIA_RELAY_LOST = Counter "parlor_media_relay_batches_lost_total" [] "Batches of other shards that did not arrive: what they said is told again.";
    MEDIA_LANES = Gauge "parlor_media_lanes" [] "Peers with a socket of their own on the port that all shards share.";
    MEDIA_LANES_REFUSED = Counter "parlor_media_lanes_refused_total" [] "Peers that got no socket of their own there.";
    MEDIA_SAMPLES = Counter "parlor_media_samples_total" ["result"] "Key frames taken out to be looked at: handed over, or lost because nobody had room.";
    MEDIA_RECORDED = Counter "parlor_media_recorded_packets_total" ["result"] "Packets copied for recordings: handed over, or lost because nobody had room.";
    RECORDINGS = Gauge "parlor_recordings" ["state"] "Recordings: those that are written now, and those whose files wait to be brought away.";
    RECORDING_BYTES = Counter "parlor_recording_bytes_total" [] "Bytes written to recorded files.";
    RECORDING_PACKETS = Counter "parlor_recording_packets_total" ["result"] "Recorded packets: put in order, late, or lost.";
    RECORDING_FRAMES = Counter "parlor_recording_frames_total" ["result"] "Recorded frames: written, or come to nothing.";
    COMPOSED = Counter "parlor_composed_total" ["result"] "Composed files, by how their making ended.";
    MEDIA_CALLS_BROKEN = Counter "parlor_media_calls_broken_total" [] "Calls that were ended because a step for them panicked, or stalled its shard again and again.";
    MEDIA_STALLS = Counter "parlor_media_stalls_total" [] "Steps of a shard that took longer than 100 ms.";
    SHARD_LAG_SECONDS = Gauge "parlor_shard_lag_seconds" ["shard"] "Longest round of a shard's loop since the last reading.";
    CALL_QUALITY_SCORE = Histogram "parlor_call_quality_score" [] "Scores of participants' lines (E-model, 0 to 93), every ten seconds: 80 and more is excellent, below 60 poor.";
    CALL_RTT_SECONDS = Histogram "parlor_call_rtt_seconds" [] "Round trips to participants, every ten seconds of each.";
    CALL_JITTER_SECONDS = Histogram "parlor_call_jitter_seconds" ["direction"] "Interarrival jitter of participants' worst stream, toward the server (up) and from it (down), every ten seconds of each.";
    CALL_LOSS_RATIO = Histogram "parlor_call_loss_ratio" ["direction"] "Share of packets lost on their first way, up and down, every ten seconds of each participant.";
    CALL_QUALITY_CHANGES = Counter "parlor_call_quality_changes_total" ["level" "reason"] "Times that a participant's line was another than before, by what it became and why.";
    CALL_FREEZES = Counter "parlor_call_freezes_total" ["direction"] "Times that a picture could not go on without a key frame: by its publisher's line (up), or by its receiver's (down).";
    SAMPLES = Counter "parlor_samples_total" ["result"] "Sampled frames, by what became of them.";
    SAMPLE_SECONDS = Histogram "parlor_sample_seconds" [] "Time to decode and classify one frame, in seconds.";
    TRACKS_UNSAMPLED = Gauge "parlor_tracks_unsampled" [] "Tracks of which nobody knows what they show.";
    UPLOADS = Counter "parlor_uploads_total" ["state"] "Files that people sent, by what they came to: begun (uploading), all there (scanning), clean, infected or failed.";
    PREVIEWS = Counter "parlor_previews_total" ["result"] "Links asked about: found, nothing to say of them (nothing), remembered (known), or too many at a time (busy).";
    WEBHOOKS_SENT = Counter "parlor_webhooks_sent_total" ["result"] "Tries to tell a webhook of an event: arrived, failed, refused for good (gone), and events that were given up (dead).";
    WEBHOOK_SECONDS = Histogram "parlor_webhook_seconds" [] "Time that receivers of webhooks took, in seconds.";
    CASES = Counter "parlor_cases_total" ["source"] "Cases that began, by who brought them.";
    MODERATION_DEGRADED = Gauge "parlor_moderation_degraded" [] "1 while not everything is looked at, else 0.";
    MATCH_WAITING = Gauge "parlor_match_waiting" ["mode"] "People who search for a stranger.";
    MATCHES = Counter "parlor_matches_total" ["mode"] "Strangers put together, in pairs.";
    MATCH_WAIT_SECONDS = Histogram "parlor_match_wait_seconds" ["mode"] "Time that somebody searched who was found, in seconds.";
    STUN_ANSWERED = Counter "parlor_stun_answered_total" [] "STUN requests that the responder answered.";
    STUN_DROPS = Counter "parlor_stun_drops_total" ["reason"] "What the STUN and TURN server dropped, by reason: datagrams, messages and connections.";
    TURN_ALLOCATIONS = Gauge "parlor_turn_allocations" [] "Relay ports in use.";
    TURN_ALLOCATED = Counter "parlor_turn_allocated_total" ["line"] "Relay ports given out, over UDP and over streams (TCP, TLS).";
    TURN_CONNECTIONS = Gauge "parlor_turn_connections" ["line"] "Connections to the relay, over TCP and TLS.";
    TURN_REFUSALS = Counter "parlor_turn_refusals_total" ["code"] "Requests to the relay that were refused, by STUN error code. Each login begins with a 401.";
    TURN_PACKETS = Counter "parlor_turn_packets_total" ["direction"] "Datagrams relayed, to peers and to clients.";
    TURN_BYTES = Counter "parlor_turn_bytes_total" ["direction"] "Bytes relayed, to peers and to clients, without the relay's framing.";
}

/// Tells the recorder what each figure says. Call once, after the recorder is installed.
pub fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_figures() {
        let line = |it: &Metric| format!("{} {:?} {:?}\n    {}", it.name, it.kind, it.labels, it.help);
        insta::assert_snapshot!(ALL.iter().map(line).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn counters_end_in_total_and_nothing_else_does() {
        for metric in ALL {
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}
