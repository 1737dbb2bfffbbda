//! Who speaks: ranks the microphones of a call by their loudness (RFC 6464), calmly enough to be looked at.

/// The weight of one packet's level in the running mean, as a power of two: about 16 packets, 0.3 s of Opus.
const SMOOTHING: i32 = 4;
/// Someone new takes a place only when this much louder (dB, scaled by 256) than who holds it.
const LEAD: i32 = 6 * 256;
/// Below this loudness (dB above the floor of −127 dBov, scaled by 256) nobody counts as speaking: −60 dBov.
const SILENCE: i32 = 67 * 256;
/// The order is looked at this often.
pub const INTERVAL_US: u64 = 250_000;

#[derive(Debug, Clone, Copy)]
struct Speaker<K> {
    key: K,
    /// Loudness in dB above −127 dBov, scaled by 256.
    loudness: i32,
    heard_us: u64,
}

/// The microphones of one call, loudest first.
#[derive(Debug)]
pub struct Speakers<K> {
    order: Vec<Speaker<K>>,
    ranked_us: u64,
}

impl<K> Default for Speakers<K> {
    fn default() -> Self {
        Speakers { order: Vec::new(), ranked_us: 0 }
    }
}

impl<K: Copy + PartialEq> Speakers<K> {
    /// A microphone joins, as the last in order.
    pub fn join(&mut self, key: K) {
        if !self.order.iter().any(|speaker| speaker.key == key) {
            self.order.push(Speaker { key, loudness: 0, heard_us: 0 });
        }
    }

    /// A microphone is gone.
    pub fn leave(&mut self, key: K) {
        self.order.retain(|speaker| speaker.key != key);
    }

    /// One packet's level in −dBov, as the header extension carries it: 0 is the loudest, 127 silence.
    pub fn heard(&mut self, key: K, minus_dbov: u8, now_us: u64) {
        if let Some(speaker) = self.order.iter_mut().find(|speaker| speaker.key == key) {
            let loudness = (127 - i32::from(minus_dbov.min(127))) * 256;
            speaker.loudness += (loudness - speaker.loudness) >> SMOOTHING;
            speaker.heard_us = now_us;
        }
    }

    /// Orders anew when it is time; answers whether the order, or who speaks, changed.
    pub fn rank(&mut self, now_us: u64) -> bool {
        if now_us < self.ranked_us + INTERVAL_US {
            return false;
        }
        self.ranked_us = now_us;
        let mut changed = false;
        for speaker in &mut self.order {
            // A microphone that sends nothing is silent: its mean would otherwise stand still.
            if now_us > speaker.heard_us + 2 * INTERVAL_US {
                changed |= speaker.loudness >= SILENCE;
                speaker.loudness = 0;
            }
        }
        // Insertion by lead: whoever stands ahead keeps the place until clearly outspoken.
        for at in 1..self.order.len() {
            let mut place = at;
            while place > 0 {
                let (ahead, behind) = (self.order[place - 1], self.order[place]);
                if behind.loudness < SILENCE || behind.loudness < ahead.loudness + LEAD && ahead.loudness >= SILENCE {
                    break;
                }
                if behind.loudness <= ahead.loudness {
                    break;
                }
                self.order.swap(place - 1, place);
                changed = true;
                place -= 1;
            }
        }
        changed
    }

    /// All microphones, loudest first.
    pub fn order(&self) -> impl Iterator<Item = K> + '_ {
        self.order.iter().map(|speaker| speaker.key)
    }

    /// Those who speak now, loudest first, with their level in dBov.
    pub fn speaking(&self) -> impl Iterator<Item = (K, i8)> + '_ {
        self.order
            .iter()
            .filter(|speaker| speaker.loudness >= SILENCE)
            .map(|speaker| (speaker.key, i8::try_from(speaker.loudness / 256 - 127).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speak(speakers: &mut Speakers<char>, from_us: u64, levels: &[(char, u8)]) -> u64 {
        let mut now_us = from_us;
        for _ in 0..50 {
            now_us += 20_000;
            for (key, level) in levels {
                speakers.heard(*key, *level, now_us);
            }
            speakers.rank(now_us);
        }
        now_us
    }

    #[test]
    fn the_loudest_comes_first_and_a_little_louder_changes_nothing() {
        let mut speakers = Speakers::default();
        for key in ['a', 'b', 'c'] {
            speakers.join(key);
        }
        let now_us = speak(&mut speakers, 0, &[('a', 127), ('b', 30), ('c', 127)]);
        assert_eq!(speakers.order().collect::<String>(), "bac");
        let now_us = speak(&mut speakers, now_us, &[('a', 127), ('b', 30), ('c', 27)]);
        assert_eq!(speakers.order().next(), Some('b'));
        let now_us = speak(&mut speakers, now_us, &[('a', 127), ('b', 60), ('c', 20)]);
        assert_eq!(speakers.order().next(), Some('c'));
        speak(&mut speakers, now_us, &[('a', 127), ('b', 127), ('c', 127)]);
        assert_eq!(speakers.speaking().count(), 0);
    }
}
