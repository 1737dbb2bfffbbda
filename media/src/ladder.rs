//! What a track has to offer to a tile: its levels (simulcast layers, or the spatial layers of one stream), how wide each is and
//! what it costs, down to fewer frames a second.

use crate::allocate::Rung;
use crate::codec::MOST_TEMPORAL;
use crate::track::{Origin, Source, Track};

/// Rungs of one ladder: three levels with up to three frame rates each.
pub(crate) const MOST_RUNGS: usize = 9;
/// A level is wide enough for a tile when it has this many percent of the tile's pixels across.
const WIDE_ENOUGH_PCT: u32 = 75;
/// What levels are taken to cost until they have been measured, bit/s: what browsers make of 180p, 360p and 720p.
const NOMINAL_BPS: [u32; 3] = [150_000, 500_000, 1_700_000];
/// A lower frame rate of a level is taken to cost this share, in percent, until it has been measured.
const SLOWER_PCT: u32 = 60;

/// What a tile could show of a track, cheapest first; the last rung is what it asks for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ladder {
    rungs: [Rung; MOST_RUNGS],
    len: usize,
}

impl Ladder {
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs[..self.len]
    }

    /// A rung must cost more than those below it: what costs as much and shows less is none.
    fn push(&mut self, rung: Rung) {
        while self.len > 0 && self.rungs[self.len - 1].bps >= rung.bps {
            self.len -= 1;
        }
        if self.len < MOST_RUNGS {
            self.rungs[self.len] = rung;
            self.len += 1;
        }
    }

    /// The rung that shows what this one did, or the next one below it.
    pub fn place_of(&self, rung: Rung) -> Option<usize> {
        let height = |rung: &Rung| (rung.layer, rung.spatial, rung.temporal);
        self.rungs().iter().rposition(|known| height(known) <= height(&rung))
    }
}

impl Track {
    /// How many sizes the track can be had in.
    pub fn levels(&self) -> u8 {
        match self.layers.as_slice() {
            [single] => single.structure.spatial_layers.max(1),
            layers => layers.len() as u8,
        }
    }

    /// Whether the levels are streams of their own.
    pub fn is_simulcast(&self) -> bool {
        self.layers.len() > 1
    }

    /// The width of a level in pixels; 0 when it is not known.
    fn width_of(&self, level: u8) -> u32 {
        let known = |level: u8| match self.layers.as_slice() {
            [single] => {
                let (width, _) = single.structure.sizes.get(usize::from(level)).copied().unwrap_or((0, 0));
                // The only level is as wide as the last key frame said.
                if width == 0 && self.levels() == 1 { single.width } else { width }
            }
            layers => layers.get(usize::from(level)).map_or(0, |layer| layer.width),
        };
        match known(level) {
            // Encoders for calls halve the size from level to level.
            0 => (0..self.levels())
                .find_map(|other| match u32::from(known(other)) {
                    0 => None,
                    width if other < level => Some(width << (level - other)),
                    width => Some(width >> (other - level)),
                })
                .unwrap_or(0),
            width => u32::from(width),
        }
    }

    /// Whether a level comes, or would if it were asked for.
    pub fn offers(&self, level: u8) -> bool {
        if let Origin::Link(elsewhere) = &self.origin {
            return !self.is_simulcast() || elsewhere.offered >> level & 1 == 1;
        }
        !self.is_simulcast() || self.is_sent(usize::from(level)) || self.watch.could_come(level)
    }

    /// The level for a tile that many device pixels wide: the lowest that is wide enough, else the highest that there is.
    pub fn level_for(&self, width: u16) -> Option<u8> {
        let mut best = None;
        for level in (0..self.levels()).filter(|level| self.offers(*level)) {
            best = Some(level);
            let across = self.width_of(level);
            if across > 0 && across * 100 >= u32::from(width) * WIDE_ENOUGH_PCT {
                break;
            }
        }
        best
    }

    /// The temporal layers of a level.
    fn temporal_layers(&self, level: u8) -> u8 {
        let layer = if self.is_simulcast() { usize::from(level) } else { 0 };
        self.layers.get(layer).map_or(1, |layer| layer.structure.temporal_layers.max(1))
    }

    fn rung(&self, level: u8, temporal: u8) -> Rung {
        let (layer, spatial) = if self.is_simulcast() { (level, 0) } else { (0, level) };
        let measured = self.layers.get(usize::from(layer)).map_or(0, |layer| layer.rates.up_to(spatial, temporal));
        let slower = temporal + 1 < self.temporal_layers(level);
        let nominal = NOMINAL_BPS[usize::from(level).min(NOMINAL_BPS.len() - 1)];
        let bps = match measured {
            0 if slower => nominal * SLOWER_PCT / 100,
            0 => nominal,
            measured => measured,
        };
        // Who gets all of a level's frames gets those too of which nobody knows yet.
        let temporal = if slower { temporal } else { MOST_TEMPORAL - 1 };
        Rung { layer, spatial, temporal, bps }
    }

    /// What a tile of that width could show. A camera gets smaller before it gets slower; a screen must stay readable, and gets
    /// slower first.
    pub fn ladder(&self, width: u16) -> Ladder {
        let mut ladder = Ladder::default();
        let Some(top) = self.level_for(width) else { return ladder };
        let fastest = self.temporal_layers(top) - 1;
        if self.source == Source::Screen {
            if top > 0 {
                ladder.push(self.rung(0, 0));
            }
            (0..=fastest).for_each(|temporal| ladder.push(self.rung(top, temporal)));
            return ladder;
        }
        for level in (0..=top).filter(|level| self.offers(*level)) {
            let fastest = self.temporal_layers(level) - 1;
            // The smallest size also in its lowest frame rate; the others not below half.
            let slowest = if level == 0 { 0 } else { fastest.saturating_sub(1) };
            (slowest..=fastest).for_each(|temporal| ladder.push(self.rung(level, temporal)));
        }
        ladder
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Descriptor;
    use crate::id::{ParticipantId, TrackId};
    use crate::ring::Packet;
    use crate::track::Codec;

    /// A track whose layers are that wide and send that many bit/s in each temporal layer.
    fn track(source: Source, layers: &[(u16, &[u32])]) -> Track {
        let mut track =
            Track::new(TrackId(1), ParticipantId(1), (0, Origin::Peer(0)), source, Codec::Vp8, layers.len(), 1);
        for (at, (width, rates)) in layers.iter().enumerate() {
            track.receive(at, Packet::new(1, 0, true, Descriptor::EMPTY, 9), &[0]);
            let layer = &mut track.layers[at];
            layer.width = *width;
            layer.structure.temporal_layers = rates.len() as u8;
            let mut sum = 0;
            for temporal in 0..4 {
                sum += rates.get(temporal).copied().unwrap_or(0);
                layer.rates.pretend(0, temporal as u8, sum);
            }
        }
        track
    }

    fn shown(ladder: &Ladder) -> Vec<(u8, u8, u32)> {
        ladder.rungs().iter().map(|rung| (rung.layer, rung.temporal, rung.bps / 1_000)).collect()
    }

    #[test]
    fn a_camera_gets_smaller_and_a_screen_slower() {
        let three: &[(u16, &[u32])] = &[
            (320, &[50_000, 30_000, 40_000]),
            (640, &[200_000, 100_000, 150_000]),
            (1280, &[700_000, 300_000, 500_000]),
        ];
        let camera = track(Source::Camera, three).ladder(1280);
        let want = [(0, 0, 50), (0, 1, 80), (0, 3, 120), (1, 1, 300), (1, 3, 450), (2, 1, 1_000), (2, 3, 1_500)];
        assert_eq!(shown(&camera), want);
        assert_eq!(shown(&track(Source::Camera, three).ladder(300)), want[..3]);
        let screen = track(Source::Screen, &[(1920, &[800_000, 400_000])]).ladder(1920);
        assert_eq!(shown(&screen), [(0, 0, 800), (0, 3, 1_200)]);
    }

    #[test]
    fn what_costs_more_and_shows_less_is_no_rung() {
        let ladder = track(Source::Camera, &[(320, &[400_000]), (640, &[300_000])]).ladder(640);
        assert_eq!(shown(&ladder), [(1, 3, 300)]);
        let stood = Rung { layer: 0, spatial: 0, temporal: 0, bps: 400_000 };
        assert_eq!(ladder.place_of(stood), None);
        assert_eq!(ladder.place_of(Rung { layer: 2, ..stood }), Some(0));
    }

    fn sent(layers: &[(u16, u64)]) -> Track {
        let mut track =
            Track::new(TrackId(1), ParticipantId(1), (0, Origin::Peer(0)), Source::Camera, Codec::Vp8, layers.len(), 1);
        for (at, (width, last_us)) in layers.iter().enumerate().filter(|(_, (width, _))| *width > 0) {
            track.receive(at, Packet::new(1, 0, true, Descriptor::EMPTY, *last_us), &[0]);
            track.layers[at].width = *width;
        }
        track
    }

    #[test]
    fn a_tile_gets_the_lowest_level_that_fills_it() {
        let track = sent(&[(320, 9), (640, 9), (1280, 9)]);
        let widths = [(300, 0), (420, 0), (640, 1), (4_000, 2)];
        assert!(widths.iter().all(|(width, level)| track.level_for(*width) == Some(*level)));
    }

    #[test]
    fn a_layer_that_is_not_sent_is_not_chosen() {
        assert_eq!(sent(&[(320, 9), (640, 9), (0, 0)]).level_for(1280), Some(1));
        assert_eq!(sent(&[(320, 5_000_000), (640, 5_000_000), (1280, 1)]).level_for(1280), Some(1));
        assert_eq!(sent(&[(0, 0), (0, 0), (0, 0)]).level_for(1280), None);
        assert_eq!(sent(&[(0, 0), (640, 9), (0, 0)]).level_for(10), Some(1));
    }

    #[test]
    fn a_layer_that_only_waits_to_be_asked_for_is_chosen() {
        let mut track = sent(&[(320, 5_000_000), (640, 5_000_000), (1280, 1)]);
        track.watch.note(0b011, 0b111, 3, 1_000_000);
        track.watch.note(0b011, 0b011, 3, 5_000_000);
        assert_eq!(track.level_for(1280), Some(2));
    }

    #[test]
    fn spatial_layers_of_one_stream_are_levels() {
        let mut track = track(Source::Camera, &[(1280, &[100_000])]);
        let layer = &mut track.layers[0];
        layer.structure.spatial_layers = 3;
        layer.structure.sizes[2] = (1280, 720);
        assert_eq!((track.level_for(320), track.level_for(600), track.level_for(2_000)), (Some(0), Some(1), Some(2)));
        let ladder = track.ladder(1280);
        assert_eq!(ladder.rungs().last().map(|rung| (rung.layer, rung.spatial)), Some((0, 2)));
    }
}
