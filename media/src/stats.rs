//! What a shard counts.

use crate::drop::Drop;

/// What a shard has counted since it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams that came.
    pub packets_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Media packets forwarded, a packet to n receivers counted n times.
    pub packets_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Packets that subscribers asked for again.
    pub nacks_in: u64,
    /// Packets sent again to subscribers.
    pub resent: u64,
    /// Packets asked for again of publishers.
    pub nacks_out: u64,
    /// Packets that publishers sent again and that were missing.
    pub repaired: u64,
    /// Key frame requests of subscribers.
    pub plis_in: u64,
    /// Key frame requests to publishers.
    pub plis_out: u64,
    /// Dropped packets by reason, in the order of [`Drop::ALL`].
    pub drops: [u64; Drop::ALL.len()],
    /// Bytes sent to find out what lines bear.
    pub probed: u64,
    /// Times that more waited for a line than it could carry in time.
    pub overruns: u64,
    /// Times that a picture could not go on without a key frame: of publishers (up), and of receivers (down).
    pub freezes: [u64; 2],
    /// Key frames told for looking at.
    pub sampled: u64,
    /// Packets copied for recorders.
    pub recorded: u64,
    /// Media packets that came from other shards, and those sent to them: a packet to n shards counted n times.
    pub relayed_in: u64,
    /// See [`Stats::relayed_in`].
    pub relayed_out: u64,
    /// Batches of other shards that were lost on the way.
    pub relay_lost: u64,
    /// Media packets that found no room on their way to other shards.
    pub relay_dropped: u64,
    /// Calls now whose hub is here.
    pub calls: u64,
    /// Participants now.
    pub participants: u64,
    /// Tracks that arrive now: microphones, then video by its number of layers sent (1, 2, 3).
    pub tracks: [u64; 4],
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            packets_in: 0,
            bytes_in: 0,
            packets_out: 0,
            bytes_out: 0,
            nacks_in: 0,
            resent: 0,
            nacks_out: 0,
            repaired: 0,
            plis_in: 0,
            plis_out: 0,
            probed: 0,
            overruns: 0,
            freezes: [0; 2],
            sampled: 0,
            recorded: 0,
            relayed_in: 0,
            relayed_out: 0,
            relay_lost: 0,
            relay_dropped: 0,
            drops: [0; Drop::ALL.len()],
            calls: 0,
            participants: 0,
            tracks: [0; 4],
        }
    }
}
