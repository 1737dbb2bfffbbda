//! Who speaks, and who is heard: ranks the microphones of a call by their loudness (RFC 6464) and chooses the few that everybody
//! gets, calmly enough to be looked at and listened to.
//!
//! A microphone speaks once it has had voice for [`ENTERS_AFTER`], so that no cough counts, and until it has had none for
//! [`PAUSE_US`], so that a breath changes nothing. Who speaks is chosen at once: in a free place, else in the place of whoever has
//! been quiet for longest, else of one who is clearly quieter. The choice is one for the call; nobody gets its own voice.

/// The weight of one packet's level in the running mean, as a power of two: about 16 packets, 0.3 s of Opus.
const SMOOTHING: i32 = 4;
/// Someone comes before who speaks already only when this much louder (dB, scaled by 256).
const LEAD: i32 = 6 * 256;
/// Below this loudness (dB above the floor of −127 dBov, scaled by 256) there is no voice: −60 dBov.
const VOICE: i32 = 67 * 256;
/// Voice that makes a speaker, in samples at 48 kHz: 160 ms. A cough is shorter.
const ENTERS_AFTER: u32 = 48 * 160;
/// A speaker without voice for this long has stopped: words and sentences have shorter gaps.
const PAUSE_US: u64 = 800_000;
/// Voice is counted anew after a gap in what arrives: what an encoder pauses for (DTX) does not add up.
const GAP_US: u64 = 200_000;
/// Who has a place keeps it for this long against louder ones, while it speaks.
const HOLD_US: u64 = 2_000_000;
/// The order is looked at this often.
pub const INTERVAL_US: u64 = 250_000;

#[derive(Debug, Clone, Copy)]
struct Microphone<K> {
    key: K,
    /// Of its voice, in dB above −127 dBov, scaled by 256.
    loudness: i32,
    /// Recent voice, less half of the time without, in samples at 48 kHz.
    voice: u32,
    /// When the last packet came, and the last with voice; 0 for never.
    heard_us: u64,
    voiced_us: u64,
    speaks: bool,
    /// Since when everybody gets it.
    chosen_us: Option<u64>,
}

/// The microphones of one call, loudest speaker first.
#[derive(Debug)]
pub struct Speakers<K> {
    order: Vec<Microphone<K>>,
    /// How many are chosen at most.
    places: usize,
    ranked_us: u64,
}

impl<K: Copy + PartialEq> Speakers<K> {
    /// Nobody yet; as many as `places` will be heard at once.
    #[must_use]
    pub fn new(places: usize) -> Speakers<K> {
        Speakers { order: Vec::new(), places, ranked_us: 0 }
    }

    /// A microphone is gone, or muted: who speaks next takes its place.
    pub fn leave(&mut self, key: K) {
        let Some(at) = self.order.iter().position(|microphone| microphone.key == key) else { return };
        let Some(since_us) = self.order.remove(at).chosen_us else { return };
        let waiting = self.order.iter_mut().rev().filter(|waiting| waiting.chosen_us.is_none());
        if let Some(next) = waiting.max_by_key(|waiting| (waiting.speaks, waiting.voiced_us)) {
            next.chosen_us = Some(since_us.max(next.heard_us));
        }
    }

    /// One packet of `samples` at 48 kHz, its level in −dBov as the header extension carries it: 0 is the loudest, 127 silence.
    /// Answers whether others are chosen than before. A microphone that was not here joins.
    pub fn heard(&mut self, key: K, minus_dbov: u8, samples: u32, now_us: u64) -> bool {
        let known = self.order.iter().position(|microphone| microphone.key == key);
        let (at, joined) = match known {
            Some(at) => (at, false),
            None => (self.order.len(), self.join(key, now_us)),
        };
        let microphone = &mut self.order[at];
        let loudness = (127 - i32::from(minus_dbov.min(127))) * 256;
        if now_us > microphone.heard_us + GAP_US && !microphone.speaks {
            microphone.voice = 0;
        }
        microphone.heard_us = now_us;
        if loudness < VOICE {
            microphone.voice = microphone.voice.saturating_sub(samples / 2);
            return joined;
        }
        let before = if microphone.voice == 0 && !microphone.speaks { loudness } else { microphone.loudness };
        microphone.loudness = before + ((loudness - before) >> SMOOTHING);
        microphone.voice = (microphone.voice + samples).min(ENTERS_AFTER);
        microphone.voiced_us = now_us;
        if microphone.speaks || microphone.voice < ENTERS_AFTER {
            return joined;
        }
        microphone.speaks = true;
        self.choose(at, now_us) || joined
    }

    /// A microphone begins to send: while there are places, it is heard from its first packet on.
    fn join(&mut self, key: K, now_us: u64) -> bool {
        let chosen = self.order.iter().filter(|known| known.chosen_us.is_some()).count() < self.places;
        let chosen_us = chosen.then_some(now_us);
        self.order.push(Microphone {
            key,
            loudness: 0,
            voice: 0,
            heard_us: now_us,
            voiced_us: 0,
            speaks: false,
            chosen_us,
        });
        chosen
    }

    /// Gives a speaker a place, if it has none and one can be had.
    fn choose(&mut self, at: usize, now_us: u64) -> bool {
        let speaker = self.order[at];
        if speaker.chosen_us.is_some() {
            return false;
        }
        let chosen = || self.order.iter().enumerate().filter(|(_, known)| known.chosen_us.is_some());
        if chosen().count() >= self.places {
            // Whoever stopped first; while all speak, the quietest.
            let rank = |known: &Microphone<K>| match known.speaks {
                false => (false, known.voiced_us, 0),
                true => (true, 0, known.loudness),
            };
            let Some((place, last)) = chosen().min_by_key(|(_, known)| rank(known)) else { return false };
            let held = last.chosen_us.is_some_and(|since_us| now_us < since_us + HOLD_US);
            if last.speaks && (held || speaker.loudness < last.loudness + LEAD) {
                return false;
            }
            self.order[place].chosen_us = None;
        }
        self.order[at].chosen_us = Some(now_us);
        true
    }

    /// Looks anew when it is time; answers whether the order, the choice, or who speaks changed.
    pub fn rank(&mut self, now_us: u64) -> bool {
        if now_us < self.ranked_us + INTERVAL_US {
            return false;
        }
        self.ranked_us = now_us;
        let mut changed = false;
        for microphone in &mut self.order {
            if microphone.speaks && now_us > microphone.voiced_us + PAUSE_US {
                (microphone.speaks, microphone.voice) = (false, 0);
                changed = true;
            }
        }
        // Insertion by lead: whoever stands ahead keeps the place until clearly outspoken.
        for at in 1..self.order.len() {
            let mut place = at;
            while place > 0 {
                let (ahead, behind) = (self.order[place - 1], self.order[place]);
                if !behind.speaks || ahead.speaks && behind.loudness < ahead.loudness + LEAD {
                    break;
                }
                self.order.swap(place - 1, place);
                changed = true;
                place -= 1;
            }
        }
        for at in 0..self.order.len() {
            if self.order[at].speaks {
                changed |= self.choose(at, now_us);
            }
        }
        changed
    }

    /// The microphones that everybody gets, loudest speaker first.
    pub fn chosen(&self) -> impl Iterator<Item = K> + '_ {
        self.order.iter().filter(|microphone| microphone.chosen_us.is_some()).map(|microphone| microphone.key)
    }

    /// Those who speak now, loudest first, with their level in dBov.
    pub fn speaking(&self) -> impl Iterator<Item = (K, i8)> + '_ {
        self.order
            .iter()
            .filter(|microphone| microphone.speaks)
            .map(|microphone| (microphone.key, i8::try_from(microphone.loudness / 256 - 127).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PACKET: u32 = 960;
    const PACKET_US: u64 = 20_000;

    /// A second of these levels from everybody; answers how often the choice changed.
    fn speak(speakers: &mut Speakers<char>, now_us: &mut u64, packets: u32, levels: &[(char, u8)]) -> u32 {
        let mut changes = 0;
        for _ in 0..packets {
            *now_us += PACKET_US;
            for (key, level) in levels {
                let before: Vec<char> = sorted(speakers);
                speakers.heard(*key, *level, PACKET, *now_us);
                changes += u32::from(before != sorted(speakers));
            }
            let before = sorted(speakers);
            speakers.rank(*now_us);
            changes += u32::from(before != sorted(speakers));
        }
        changes
    }

    fn sorted(speakers: &Speakers<char>) -> Vec<char> {
        let mut chosen: Vec<char> = speakers.chosen().collect();
        chosen.sort_unstable();
        chosen
    }

    /// So many who are silent, of whom two are heard.
    fn silent(count: u8) -> (Speakers<char>, u64, Vec<(char, u8)>) {
        let (mut speakers, mut now_us) = (Speakers::new(2), 0);
        let levels: Vec<(char, u8)> = (0..count).map(|at| (char::from(b'a' + at), 90)).collect();
        speak(&mut speakers, &mut now_us, 50, &levels);
        (speakers, now_us, levels)
    }

    #[test]
    fn the_loudest_comes_first_and_a_little_louder_changes_nothing() {
        let (mut speakers, mut now_us) = (Speakers::new(3), 0);
        speak(&mut speakers, &mut now_us, 50, &[('a', 127), ('b', 30), ('c', 127)]);
        assert_eq!(speakers.speaking().collect::<Vec<_>>(), [('b', -30)]);
        speak(&mut speakers, &mut now_us, 50, &[('a', 127), ('b', 30), ('c', 27)]);
        assert_eq!(speakers.chosen().next(), Some('b'));
        speak(&mut speakers, &mut now_us, 50, &[('a', 127), ('b', 55), ('c', 20)]);
        assert_eq!(speakers.chosen().next(), Some('c'));
        speak(&mut speakers, &mut now_us, 60, &[('a', 127), ('b', 127), ('c', 127)]);
        assert_eq!(speakers.speaking().count(), 0);
    }

    #[test]
    fn a_newcomer_is_heard_in_time_and_a_cough_is_not() {
        let (mut speakers, mut now_us, mut levels) = silent(5);
        assert_eq!(sorted(&speakers), ['a', 'b'], "who came first is heard while nobody speaks");
        levels[3].1 = 15;
        assert_eq!(speak(&mut speakers, &mut now_us, 7, &levels), 0, "140 ms are a cough");
        levels[3].1 = 90;
        speak(&mut speakers, &mut now_us, 50, &levels);
        levels[3].1 = 35;
        assert_eq!(speak(&mut speakers, &mut now_us, 15, &levels), 1, "300 ms are speech");
        assert!(sorted(&speakers).contains(&'d'));
    }

    #[test]
    fn who_was_quiet_for_longest_makes_room() {
        let (mut speakers, mut now_us, mut levels) = silent(4);
        for (who, expected) in [(2, "ac"), (3, "cd"), (0, "ad"), (2, "ac")] {
            levels.iter_mut().for_each(|(_, level)| *level = 90);
            levels[who].1 = 30;
            let mut changes = speak(&mut speakers, &mut now_us, 50, &levels);
            changes += speak(&mut speakers, &mut now_us, 1, &levels);
            // 'a' and 'b' have never spoken: either may go first.
            let chosen = sorted(&speakers);
            assert!(changes == 1 && chosen.contains(&levels[who].0), "{expected}: {chosen:?}, {changes} changes");
        }
        assert_eq!(sorted(&speakers), ['a', 'c'], "the two who spoke last");
    }

    #[test]
    fn while_all_places_speak_only_a_clearly_louder_one_gets_in() {
        let (mut speakers, mut now_us, mut levels) = silent(3);
        (levels[0].1, levels[1].1, levels[2].1) = (30, 34, 31);
        speak(&mut speakers, &mut now_us, 250, &levels);
        assert_eq!(sorted(&speakers), ['a', 'b']);
        levels[2].1 = 18;
        assert_eq!(speak(&mut speakers, &mut now_us, 50, &levels), 1);
        assert_eq!(sorted(&speakers), ['a', 'c']);
    }

    #[test]
    fn a_sentence_with_pauses_is_one_sentence() {
        let (mut speakers, mut now_us, mut levels) = silent(6);
        let mut told = Vec::new();
        for word in 0..40 {
            levels[4].1 = if word % 2 == 0 { 32 } else { 95 };
            speak(&mut speakers, &mut now_us, 20, &levels);
            told.push(speakers.speaking().map(|(key, _)| key).collect::<String>());
        }
        assert!(told.iter().all(|speaking| speaking == "e"), "{told:?}");
    }

    #[test]
    fn who_leaves_makes_room_for_who_speaks() {
        let (mut speakers, mut now_us, mut levels) = silent(4);
        (levels[0].1, levels[1].1, levels[3].1) = (30, 30, 30);
        speak(&mut speakers, &mut now_us, 50, &levels);
        assert_eq!(sorted(&speakers), ['a', 'b']);
        speakers.leave('a');
        assert_eq!(sorted(&speakers), ['b', 'd']);
        levels.remove(0);
        assert_eq!(speak(&mut speakers, &mut now_us, 50, &levels), 0);
    }

    proptest! {
        /// Whatever is heard, the choice is no larger than it may be, holds nobody twice, and is full while it can be.
        #[test]
        fn the_choice_is_always_in_order(
            places in 0usize..6,
            steps in proptest::collection::vec((0u8..12, 0u8..=140, 0u32..6_000, 0u64..300_000, 0u8..20), 1..400),
        ) {
            let (mut speakers, mut now_us) = (Speakers::new(places), 0);
            let mut here = std::collections::HashSet::new();
            for (key, level, samples, later_us, action) in steps {
                now_us += later_us;
                let before = sorted_keys(&speakers);
                let mut told = true;
                if action == 0 {
                    speakers.leave(key);
                    here.remove(&key);
                } else {
                    told = speakers.heard(key, level, samples, now_us);
                    here.insert(key);
                    told |= speakers.rank(now_us);
                }
                let chosen = sorted_keys(&speakers);
                prop_assert!(told || chosen == before, "a change is told");
                prop_assert_eq!(chosen.len(), places.min(here.len()));
                prop_assert!(chosen.windows(2).all(|pair| pair[0] != pair[1]));
                prop_assert!(chosen.iter().all(|key| here.contains(key)));
            }
        }
    }

    fn sorted_keys(speakers: &Speakers<u8>) -> Vec<u8> {
        let mut chosen: Vec<u8> = speakers.chosen().collect();
        chosen.sort_unstable();
        chosen
    }
}
