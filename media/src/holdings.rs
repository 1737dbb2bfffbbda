//! What a shard holds: for those who look for what is left when everybody has gone.

use crate::shard::Shard;

/// How much of everything a shard holds now. All of it is 0 when nobody is here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Participants, tracks and calls.
    pub places: usize,
    /// Entries of the indexes that find them.
    pub names: usize,
    /// What waits to be looked at, forwarded or told.
    pub waiting: usize,
    /// Packets that wait to be taken by recorders, in bytes.
    pub recorded_bytes: usize,
    /// Bytes of the layers' rings.
    pub ring_bytes: usize,
}

impl Shard {
    /// What is held now. It walks over everything: not for every packet.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let layers = self.tracks.iter().flat_map(|(_, track)| track.layers.iter());
        Holdings {
            places: self.peers.len() + self.tracks.len() + self.calls.len() + self.links.len(),
            names: self.by_call.len()
                + self.by_participant.len()
                + self.by_ufrag.len()
                + self.by_address.len()
                + self.by_track.len(),
            waiting: self.dirty.len() + self.unsettled.len() + self.untold.len() + self.events.len(),
            recorded_bytes: self.recorded_bytes().unwrap_or(0),
            ring_bytes: layers.map(|layer| layer.ring.size()).sum(),
        }
    }
}
