//! What an Opus payload says of itself (RFC 6716 §3.1), and when its silence need not be sent on.

/// Payloads up to this length carry no sound: the encoder is in its pauses (RFC 7587 §3.1.3), the decoder makes comfort noise.
const LONGEST_PAUSE: usize = 2;
/// From this level on (−dBov) nothing is there: the mean of 16-bit sound is below a tenth of its smallest step.
const NOTHING_BELOW: u8 = 110;
/// Digital silence is passed on for this long (48 kHz), so that the end of a word fades as it was recorded.
const FADES_FOR: u32 = 48_000 / 5;
/// Without a level, a payload of at most so many bytes for each 20 ms counts as silence: an encoder of variable rate has nothing to say.
const SILENT_BYTES: u32 = 12;
/// The level (−dBov) of a microphone that tells none and sends something: heard where there is room, behind who is louder.
const UNSAID_LEVEL: u8 = 45;
/// The level of silence (RFC 6464 §3).
pub(crate) const SILENCE: u8 = 127;

/// One packet's worth of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sound {
    /// In −dBov: 0 is the loudest, 127 silence.
    pub level: u8,
    /// Duration at 48 kHz.
    pub samples: u32,
    /// The sender tells levels: silence is known, not guessed.
    told: bool,
}

impl Sound {
    /// What a payload is, with the level that its packet carries, if any.
    pub fn of(payload: &[u8], level: Option<u8>) -> Sound {
        let samples = samples(payload);
        let guess = || {
            let silent = is_pause(payload) || payload.len() as u32 * 960 <= SILENT_BYTES * samples;
            if silent { SILENCE } else { UNSAID_LEVEL }
        };
        Sound { level: level.unwrap_or_else(guess).min(SILENCE), samples, told: level.is_some() }
    }

    /// What makes a decoder fade out after this payload, and the payload's duration; `None` when it has done so already.
    pub fn ending(payload: &[u8]) -> Option<([u8; 1], u32)> {
        (!is_pause(payload)).then(|| (pause(payload[0]), samples(payload)))
    }
}

/// The encoder pauses.
fn is_pause(payload: &[u8]) -> bool {
    payload.len() <= LONGEST_PAUSE
}

/// A packet's duration at 48 kHz: 120 ms at most.
fn samples(payload: &[u8]) -> u32 {
    let Some(&head) = payload.first() else { return 0 };
    let frame = match head >> 3 {
        silk @ 0..12 => [480, 960, 1_920, 2_880][usize::from(silk & 3)],
        hybrid @ 12..16 => [480, 960][usize::from(hybrid & 1)],
        celt => [120, 240, 480, 960][usize::from(celt & 3)],
    };
    let frames = match head & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => payload.get(1).map_or(1, |count| u32::from(count & 0x3f)),
    };
    (frame * frames).min(5_760)
}

/// A frame of nothing in the manner of the frame that begins with `head`: its decoder makes comfort noise until the next one.
pub(crate) fn pause(head: u8) -> [u8; 1] {
    // The same mode, bandwidth and channels, one frame, no bytes.
    [head & !3]
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Send it on; `resumes`: the first one after a silence.
    Whole { resumes: bool },
    /// Send a [`pause`] in its place: the silence begins.
    Pause,
    /// Leave it out.
    Nothing,
}

/// Holds the digital silence of one track back: a muted or idle device that sends on all the same.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Silence so far, in samples at 48 kHz.
    silent: u32,
    closed: bool,
}

impl Gate {
    /// Judges the next packet.
    pub fn pass(&mut self, sound: Sound) -> Passing {
        if !sound.told || sound.level < NOTHING_BELOW {
            self.silent = 0;
            return Passing::Whole { resumes: std::mem::take(&mut self.closed) };
        }
        if self.closed {
            return Passing::Nothing;
        }
        self.silent += sound.samples;
        if self.silent < FADES_FOR {
            return Passing::Whole { resumes: false };
        }
        self.closed = true;
        Passing::Pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_as_the_standard_says() {
        for (payload, duration) in [
            (&[0x08, 1, 1][..], 960),
            (&[0x18][..], 2_880),
            (&[0x60][..], 480),
            (&[0x78, 9][..], 960),
            (&[0xe0][..], 120),
            (&[0xf9, 1][..], 1_920),
            (&[0xfb, 3, 0][..], 2_880),
            (&[0x1b, 0x3f][..], 5_760),
            (&[][..], 0),
        ] {
            assert_eq!(samples(payload), duration, "{payload:?}");
        }
    }

    #[test]
    fn silence_passes_for_a_moment_then_a_pause_then_nothing() {
        let mut gate = Gate::default();
        let sound = |level| Sound::of(&[0x78, 1, 2, 3], Some(level));
        assert_eq!(gate.pass(sound(30)), Passing::Whole { resumes: false });
        for _ in 0..9 {
            assert_eq!(gate.pass(sound(127)), Passing::Whole { resumes: false });
        }
        assert_eq!(gate.pass(sound(127)), Passing::Pause);
        assert_eq!(gate.pass(sound(127)), Passing::Nothing);
        assert_eq!(gate.pass(sound(80)), Passing::Whole { resumes: true }, "a quiet room is no digital silence");
        assert_eq!(gate.pass(sound(80)), Passing::Whole { resumes: false });
    }

    #[test]
    fn who_tells_no_level_is_never_held_back() {
        let mut gate = Gate::default();
        for _ in 0..100 {
            assert_eq!(gate.pass(Sound::of(&[0x78, 1], None)), Passing::Whole { resumes: false });
        }
    }

    #[test]
    fn a_level_is_guessed_from_the_size() {
        assert_eq!(Sound::of(&[0x78; 60], None).level, UNSAID_LEVEL);
        assert_eq!(Sound::of(&[0x78; 8], None).level, SILENCE);
        assert_eq!(Sound::of(&[0x78], None).level, SILENCE);
        assert_eq!(Sound::of(&[0x78; 8], Some(20)).level, 20);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8), level in proptest::option::of(any::<u8>())) {
            let sound = Sound::of(&bytes, level);
            prop_assert!(sound.samples <= 5_760 && sound.level <= SILENCE);
        }
    }
}
