//! Whose clock says what: from a publisher's capture times to the recording's own time.
//!
//! A publisher dates all its tracks by one clock. [`PublisherClock`] puts that clock beside the server's by the packets that travelled
//! fastest, so that camera and microphone stay in step and different people nearly so. Within a track the RTP timestamps count;
//! [`VideoClock`] and [`AudioClock`] steer them slowly toward what the publisher's clock says.
//!
//! All times are µs; those without another name are of the recording, which begins at 0.

/// The first packets of a publisher are looked at for so long before its clock is trusted: one of them travelled well.
const SETTLE_US: i64 = 500_000;
/// A packet this much earlier than it can be, or this much later, has another clock: the publisher's was set anew.
const EARLY_US: i64 = 500_000;
const LATE_US: i64 = 5_000_000;
/// Clocks of one publisher that are remembered: its tracks learn of a change seconds apart.
const MOST_EPOCHS: usize = 4;
/// How far the clocks have drifted apart is seen from the fastest packet of so long a time …
const WINDOW_US: i64 = 10_000_000;
/// … and made good by so much a second: nobody sees that.
const FOLLOW_US: i64 = 2_000;
/// A difference that is not worth following.
const NEAR_US: i64 = 5_000;

/// A track that is this far from where it should be jumps there; otherwise it glides.
const SNAP_US: i64 = 500_000;
/// Pictures of one track are at least this far apart: the file counts milliseconds.
const PICTURE_STEP_US: i64 = 1_000;

/// Sound is moved when it is this far off, and until it is within a quarter of it.
const SOUND_OFF_US: i64 = 8_000;
/// Sound is moved by so much at a time, which nobody hears: once in this time, which is faster than any clock drifts …
const SOUND_STEP_US: i64 = 1_000;
const SOUND_STEP_EVERY_US: i64 = 250_000;
/// … when it is further off than this, once in a tenth of a second …
const SOUND_FAR_US: i64 = 20_000;
const SOUND_HURRY_EVERY_US: i64 = 100_000;
/// … and with each usual packet when it comes later than it should by more than this. Sound that would come that much too early jumps
/// instead: its publisher was too busy to capture any, and there was a silence.
const SOUND_GAP_US: i64 = 80_000;
const SOUND_RUSH_EVERY_US: i64 = 15_000;
/// How far sound is off is averaged over this time: sender reports tremble by some milliseconds.
const SOUND_AVERAGE_US: i64 = 2_000_000;
/// Sound that overlaps what is there by up to this is put behind it; what overlaps more is dropped.
const SOUND_OVERLAP_US: i64 = 10_000;

/// A publisher's clock beside the server's.
#[derive(Debug, Default)]
pub struct PublisherClock {
    epochs: Vec<Epoch>,
}

/// From one setting of the publisher's clock to the next.
#[derive(Debug)]
struct Epoch {
    /// What to add to the publisher's time.
    offset_us: i64,
    first_us: i64,
    /// The fastest packet since `window_us`, against the offset.
    least_us: i64,
    window_us: i64,
    /// What is still to be made good, and when some of it was.
    behind_us: i64,
    followed_us: i64,
}

impl PublisherClock {
    /// A packet that came just now was captured then, by the publisher's clock.
    pub fn note(&mut self, arrived_us: i64, captured_us: i64) {
        let travelled_us = arrived_us.saturating_sub(captured_us);
        let Some(at) = self.epoch(arrived_us, captured_us) else {
            if self.epochs.len() == MOST_EPOCHS {
                self.epochs.remove(0);
            }
            self.epochs.push(Epoch::new(arrived_us, travelled_us));
            return;
        };
        let is_only = self.epochs.len() == 1;
        self.epochs[at].note(arrived_us, travelled_us, is_only);
    }

    /// Whether enough packets have been seen.
    pub fn is_settled(&self, now_us: i64) -> bool {
        self.epochs.first().is_some_and(|epoch| now_us >= epoch.first_us + SETTLE_US)
    }

    /// The recording's time of a capture, told by a packet that came then. It is not before [`PublisherClock::note`] was.
    pub fn place(&self, arrived_us: i64, captured_us: i64) -> Option<i64> {
        self.epoch(arrived_us, captured_us).map(|at| captured_us.saturating_add(self.epochs[at].offset_us))
    }

    /// The latest setting of the clock that makes sense of a packet.
    fn epoch(&self, arrived_us: i64, captured_us: i64) -> Option<usize> {
        self.epochs.iter().rposition(|epoch| {
            let late_us = arrived_us.saturating_sub(captured_us.saturating_add(epoch.offset_us));
            (-EARLY_US..=LATE_US).contains(&late_us)
        })
    }
}

impl Epoch {
    fn new(arrived_us: i64, offset_us: i64) -> Epoch {
        let (first_us, window_us, followed_us) = (arrived_us, arrived_us, arrived_us);
        Epoch { offset_us, first_us, least_us: i64::MAX, window_us, behind_us: 0, followed_us }
    }

    fn note(&mut self, arrived_us: i64, travelled_us: i64, is_only: bool) {
        if is_only && arrived_us < self.first_us + SETTLE_US {
            self.offset_us = self.offset_us.min(travelled_us);
            return;
        }
        self.least_us = self.least_us.min(travelled_us.saturating_sub(self.offset_us));
        if arrived_us >= self.window_us + WINDOW_US {
            self.behind_us = if self.least_us.abs() > NEAR_US { self.least_us } else { 0 };
            (self.least_us, self.window_us) = (i64::MAX, arrived_us);
        }
        if self.behind_us != 0 && arrived_us >= self.followed_us + 1_000_000 {
            let step_us = self.behind_us.clamp(-FOLLOW_US, FOLLOW_US);
            self.offset_us += step_us;
            self.behind_us -= step_us;
            self.followed_us = arrived_us;
            self.least_us = self.least_us.saturating_sub(step_us);
        }
    }
}

/// Times of a track's pictures.
#[derive(Debug, Default)]
pub struct VideoClock {
    anchor: Option<Anchor>,
    /// No picture may be earlier.
    free_us: i64,
}

/// An RTP timestamp and its time.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    ticks: i64,
    time_us: i64,
}

impl Anchor {
    fn time_of(&self, ticks: i64, clock_hz: i64) -> i64 {
        self.time_us.saturating_add(ticks.wrapping_sub(self.ticks).saturating_mul(1_000_000) / clock_hz)
    }
}

impl VideoClock {
    /// The time of the picture with this timestamp (rollovers counted), which should be `aim_us`.
    pub fn place(&mut self, ticks: i64, clock_hz: i64, aim_us: i64) -> i64 {
        let counted_us = self.anchor.map_or(aim_us, |anchor| anchor.time_of(ticks, clock_hz));
        let off_us = aim_us.saturating_sub(counted_us);
        let glide_us = counted_us.saturating_sub(self.free_us).max(0) / 2;
        let time_us =
            if off_us.abs() > SNAP_US { aim_us } else { counted_us.saturating_add(off_us.clamp(-glide_us, glide_us)) };
        let time_us = time_us.max(self.free_us);
        self.anchor = Some(Anchor { ticks, time_us });
        self.free_us = time_us + PICTURE_STEP_US;
        time_us
    }

    /// Another stream with timestamps of its own goes on here.
    pub fn rejoin(&mut self) {
        self.anchor = None;
    }
}

/// Times of a track's sound: packets that follow one another in timestamps do so in time, to the microsecond.
#[derive(Debug, Default)]
pub struct AudioClock {
    anchor: Option<Anchor>,
    /// Where the last packet ends.
    end_us: i64,
    /// How far the sound is from where it should be, averaged.
    off_us: i64,
    moving: bool,
    moved_us: i64,
}

impl AudioClock {
    /// The time of the packet with this timestamp (rollovers counted), which should be `aim_us`. `is_news`: from now on the aim comes
    /// from a better source. `None`: the time is taken.
    pub fn place(&mut self, ticks: i64, clock_hz: i64, duration_us: i64, aim_us: i64, is_news: bool) -> Option<i64> {
        let counted_us = self.anchor.map_or(aim_us, |anchor| anchor.time_of(ticks, clock_hz));
        let off_us = aim_us.saturating_sub(counted_us);
        let mut time_us = counted_us;
        if self.anchor.is_none() || !(-SNAP_US..=SOUND_GAP_US).contains(&off_us) {
            time_us = aim_us;
            (self.off_us, self.moving) = (0, false);
        } else if is_news {
            self.off_us = off_us;
        } else {
            let weight = duration_us.min(SOUND_AVERAGE_US);
            self.off_us += (off_us - self.off_us) * weight / SOUND_AVERAGE_US;
        }
        if time_us < self.end_us - SOUND_OVERLAP_US {
            self.anchor = Some(Anchor { ticks, time_us });
            return None;
        }
        let silence_us = (time_us - self.end_us).max(0);
        time_us += self.correction(silence_us, time_us);
        if silence_us == 0 && time_us < self.end_us - SOUND_STEP_US {
            self.off_us -= self.end_us - time_us;
            time_us = self.end_us;
        }
        self.anchor = Some(Anchor { ticks, time_us });
        self.end_us = time_us + duration_us;
        Some(time_us)
    }

    /// By how much to move the packet: as far as a silence before it allows, else a step at a time.
    fn correction(&mut self, silence_us: i64, now_us: i64) -> i64 {
        let off_us = self.off_us;
        let step_us = if silence_us > 0 {
            if off_us.abs() > SOUND_OFF_US / 4 { off_us.clamp(-silence_us, silence_us) } else { 0 }
        } else {
            self.moving = off_us.abs() > if self.moving { SOUND_OFF_US / 4 } else { SOUND_OFF_US };
            let every_us = if off_us.abs() <= SOUND_FAR_US {
                SOUND_STEP_EVERY_US
            } else if off_us.abs() <= SOUND_GAP_US {
                SOUND_HURRY_EVERY_US
            } else {
                SOUND_RUSH_EVERY_US
            };
            if self.moving && now_us >= self.moved_us + every_us { off_us.signum() * SOUND_STEP_US } else { 0 }
        };
        if step_us != 0 {
            self.off_us -= step_us;
            self.moved_us = now_us;
        }
        step_us
    }

    /// Another stream with timestamps of its own goes on here.
    pub fn rejoin(&mut self) {
        self.anchor = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: i64 = 48_000;

    /// When packets of 20 ms are placed that should come that much later than they are counted.
    fn placed(off_us: i64, packets: i64) -> Vec<i64> {
        let mut clock = AudioClock::default();
        let aim_us = |at: i64| 1_000_000 + at * 20_000 + if at == 0 { 0 } else { off_us };
        (0..packets).filter_map(|at| clock.place(at * 960, HZ, 20_000, aim_us(at), at == 1)).collect()
    }

    /// How many packets come between corrections.
    fn corrections(times: &[i64]) -> Vec<usize> {
        let odd = |at: &usize| times[at + 1] - times[*at] != 20_000;
        let at: Vec<_> = (0..times.len() - 1).filter(odd).collect();
        at.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn sound_is_moved_by_a_millisecond_at_a_time() {
        for off_us in [-15_000, 15_000] {
            let times = placed(off_us, 2_000);
            assert!(times.windows(2).all(|pair| (pair[1] - pair[0] - 20_000).abs() <= 1_000));
            let every = corrections(&times);
            assert!(every.len() >= 10 && every.iter().all(|packets| *packets >= 12), "{every:?}");
            assert!((times[1_999] - 1_000_000 - 1_999 * 20_000 - off_us).abs() <= 2_000);
        }
        // What is near enough stays.
        assert!(corrections(&placed(7_000, 500)).is_empty());
    }

    #[test]
    fn sound_that_is_far_off_hurries_or_jumps() {
        let hurried = placed(-60_000, 1_000);
        assert!(corrections(&hurried).iter().all(|packets| *packets >= 4));
        assert!((hurried[999] - 1_000_000 - 999 * 20_000 + 60_000).abs() <= 3_000);
        // Too late by more: with each packet.
        let rushed = placed(-200_000, 300);
        assert!((rushed[299] - 1_000_000 - 299 * 20_000 + 200_000).abs() <= 60_000);
        assert!(rushed.windows(2).all(|pair| pair[1] - pair[0] >= 19_000));
        // Too early by as much: there was a silence.
        assert_eq!(placed(200_000, 3)[1], 1_000_000 + 20_000 + 200_000);
        // Too late by so much that gliding would take minutes: some is left out.
        let dropped = placed(-2_000_000, 200);
        assert_eq!(dropped.len(), 100);
        assert!(dropped.windows(2).all(|pair| pair[1] - pair[0] >= 20_000));
    }

    #[test]
    fn a_publishers_clock_is_found_by_its_fastest_packet() {
        let mut clock = PublisherClock::default();
        for (arrived_us, way_us) in [(0, 90_000), (100_000, 30_000), (200_000, 50_000), (600_000, 60_000)] {
            clock.note(arrived_us, arrived_us - way_us + 77_000_000);
        }
        assert!(!clock.is_settled(400_000) && clock.is_settled(500_000));
        assert_eq!(clock.place(700_000, 77_640_000), Some(640_000 + 30_000));
        // It runs too slowly: over a minute a thousandth of it is followed.
        for at in 1..2_400 {
            let arrived_us = 700_000 + at * 50_000;
            clock.note(arrived_us, arrived_us - 30_000 + 77_000_000 - (arrived_us - 700_000) / 10_000);
        }
        let late_us = 120_650_000 - clock.place(120_650_000, 120_650_000 - 30_000 + 77_000_000 - 12_000).unwrap();
        assert!(late_us.abs() <= 8_000, "{late_us} µs late");
    }

    #[test]
    fn pictures_glide_and_never_go_back() {
        let mut clock = VideoClock::default();
        let mut last_us = -1;
        for at in 0..100 {
            // After a second the aim is 300 ms earlier, after two it is 2 s later.
            let aim_us = at * 33_333
                + match at {
                    0..30 => 1_000_000,
                    30..60 => 700_000,
                    _ => 3_000_000,
                };
            let time_us = clock.place(at * 3_000, 90_000, aim_us);
            assert!(time_us > last_us);
            if [29, 59, 99].contains(&at) {
                assert!((time_us - aim_us).abs() <= 2_000, "picture {at} is {} µs off", time_us - aim_us);
            }
            last_us = time_us;
        }
    }
}
