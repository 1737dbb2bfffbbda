//! Sound and pictures that are none: packets of the right sizes at the right times, with the headers that a forwarder looks at
//! and the time of their sending.

use std::time::{Duration, Instant};

use parlor_media::client::Frame;

use crate::drain::clock_ns;
use crate::publisher::STAMP;
use crate::scenario::{Microphone, Pictures};

const PACKET_OF_SOUND: Duration = Duration::from_millis(20);
/// What Opus sends in silence, so that the line is known to live.
const PACKET_OF_SILENCE: Duration = Duration::from_millis(400);
const SOUND_HZ: f64 = 48_000.0;
const PICTURE_HZ: f64 = 90_000.0;
/// Opus at 32 kbit/s.
const SOUND_BYTES: usize = 80;
/// How many times as many packets a key frame has as another frame.
const KEY_FACTOR: usize = 3;
/// A source that is late by more than this leaves out what it has missed.
const MOST_LATE: Duration = Duration::from_secs(1);

/// SplitMix64, as the client has it: equal seeds make equal runs.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// At least 0, less than 1.
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Between half of it and one and a half.
    pub(crate) fn about(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(0.5 + self.share())
    }
}

/// One send line of a peer.
pub(crate) struct Source {
    /// Its number among the peer's lines.
    pub line: usize,
    due: Instant,
    start: Instant,
    random: Random,
    what: What,
}

enum What {
    Voice { microphone: Microphone, speaks: bool, until: Instant, began: bool },
    Picture(Picture),
}

struct Picture {
    gap: Duration,
    layers: Vec<Encoding>,
    /// Frames so far: every second one is of the upper temporal layer.
    frame: u64,
}

struct Encoding {
    size: (u16, u16),
    packets_per_frame: f64,
    /// Packets that the frames so far have left over.
    owed: f64,
    payload_bytes: usize,
    picture: u16,
    tl0: u8,
    wants_key: bool,
    is_on: bool,
}

impl Source {
    /// A microphone that begins some time within the next 20 ms, in speech or in silence.
    pub(crate) fn voice(line: usize, microphone: Microphone, now: Instant, seed: u64) -> Self {
        let mut random = Random(seed);
        let whole = (microphone.speech_ms + microphone.silence_ms).max(1) as f64;
        let speaks = random.share() < microphone.speech_ms as f64 / whole;
        let start = now + PACKET_OF_SOUND.mul_f64(random.share());
        let mut source = Self {
            line,
            due: start,
            start,
            random,
            what: What::Voice { microphone, speaks, until: start, began: true },
        };
        source.turn(start, speaks);
        source
    }

    /// A camera or a screen that begins some time within its first frame.
    pub(crate) fn pictures(line: usize, pictures: &Pictures, now: Instant, seed: u64) -> Self {
        let mut random = Random(seed);
        let gap = Duration::from_secs_f64(1.0 / pictures.frames_per_s);
        let top = pictures.layers.len() - 1;
        let encoding = |(at, layer): (usize, &crate::scenario::Layer)| Encoding {
            size: (1280 >> (top - at), 720 >> (top - at)),
            packets_per_frame: layer.packets_per_s / pictures.frames_per_s,
            owed: 0.0,
            payload_bytes: layer.payload_bytes,
            picture: 0,
            tl0: 0,
            wants_key: true,
            is_on: true,
        };
        let layers = pictures.layers.iter().enumerate().map(encoding).collect();
        let start = now + gap.mul_f64(random.share());
        Self { line, due: start, start, random, what: What::Picture(Picture { gap, layers, frame: 0 }) }
    }

    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// Somebody cannot decode: an encoder answers on all layers.
    pub(crate) fn make_key(&mut self) {
        if let What::Picture(picture) = &mut self.what {
            picture.layers.iter_mut().for_each(|layer| layer.wants_key = true);
        }
    }

    /// Which layers anybody watches, lowest first. One that is switched on again begins with a key frame.
    pub(crate) fn switch(&mut self, on: &[bool]) {
        if let What::Picture(picture) = &mut self.what {
            for (layer, on) in picture.layers.iter_mut().zip(on) {
                layer.wants_key |= *on && !layer.is_on;
                layer.is_on = *on;
            }
        }
    }

    /// Hands what is due now to `send`, with its layer: a packet of sound, or a frame of each layer.
    pub(crate) fn fire(&mut self, now: Instant, mut send: impl FnMut(usize, Frame<'_>)) {
        if now.saturating_duration_since(self.due) > MOST_LATE {
            self.due = now;
        }
        let elapsed = self.due.saturating_duration_since(self.start).as_secs_f64();
        match &mut self.what {
            What::Voice { .. } => self.speak(elapsed, send),
            What::Picture(picture) => {
                picture.fire((elapsed * PICTURE_HZ) as u64 as u32, &mut send);
                self.due += picture.gap;
            }
        }
    }

    fn speak(&mut self, elapsed: f64, mut send: impl FnMut(usize, Frame<'_>)) {
        let due = self.due;
        let What::Voice { microphone, speaks, until, began } = &mut self.what else { return };
        let timestamp = (elapsed * SOUND_HZ) as u64 as u32;
        let marker = std::mem::take(began) && *speaks;
        let mut payload = [0x55; SOUND_BYTES];
        payload[0] = 0xf8;
        payload[STAMP].copy_from_slice(&clock_ns().to_be_bytes());
        let dtx = microphone.dtx && !*speaks;
        // RFC 6464: speech lies some way below the loudest, silence is 127.
        let level = if *speaks { (20 + (self.random.next() % 20) as u8, true) } else { (127, false) };
        let payload = if dtx { &payload[..2] } else { &payload[..] };
        send(0, Frame { timestamp, marker, audio_level: Some(level), payload, ..Frame::default() });
        self.due += if dtx { PACKET_OF_SILENCE } else { PACKET_OF_SOUND };
        let (speaks, until, never_silent) = (*speaks, *until, microphone.silence_ms == 0);
        if due >= until && !never_silent {
            self.turn(due, !speaks);
            self.due = due + PACKET_OF_SOUND;
        } else if self.due > until && !never_silent {
            // Speech does not wait for silence's next packet.
            self.due = until.max(due + PACKET_OF_SOUND);
        }
    }

    /// Speech begins, or silence.
    fn turn(&mut self, now: Instant, to_speech: bool) {
        if let What::Voice { microphone, speaks, until, began } = &mut self.what {
            let mean_ms = if to_speech { microphone.speech_ms } else { microphone.silence_ms };
            (*speaks, *began) = (to_speech, true);
            *until = now + self.random.about(Duration::from_millis(mean_ms));
        }
    }
}

impl Picture {
    fn fire(&mut self, timestamp: u32, send: &mut impl FnMut(usize, Frame<'_>)) {
        let is_upper = self.frame % 2 == 1;
        self.frame += 1;
        for (at, layer) in self.layers.iter_mut().enumerate() {
            if layer.is_on {
                layer.fire(timestamp, is_upper, |frame| send(at, frame));
            }
        }
    }
}

impl Encoding {
    fn fire(&mut self, timestamp: u32, is_upper: bool, mut send: impl FnMut(Frame<'_>)) {
        self.owed += self.packets_per_frame;
        let packets = self.owed.floor().max(1.0);
        self.owed -= packets;
        let key = std::mem::take(&mut self.wants_key);
        let packets = packets as usize * if key { KEY_FACTOR } else { 1 };
        let upper = is_upper && !key;
        if !upper {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        self.picture = (self.picture + 1) & 0x7fff;
        let mut payload = [0; 1500];
        for packet in 0..packets {
            self.write(&mut payload[..STAMP.start], packet == 0, key, upper);
            payload[STAMP].copy_from_slice(&clock_ns().to_be_bytes());
            let (marker, payload) = (packet + 1 == packets, &payload[..self.payload_bytes]);
            send(Frame { timestamp, marker, payload, ..Frame::default() });
        }
    }

    /// The payload descriptor with 15-bit picture id, TL0PICIDX and temporal layer (RFC 7741 section 4.2) and, on a picture's first
    /// packet, the frame header (RFC 6386 section 9.1).
    fn write(&self, payload: &mut [u8], first: bool, key: bool, upper: bool) {
        const EXTENDED: u8 = 0x80;
        const START_OF_PARTITION: u8 = 0x10;
        const HAS_ALL: u8 = 0xf0;
        const SYNC: u8 = 0x20;
        payload.fill(0);
        let [high, low] = self.picture.to_be_bytes();
        let start = if first { START_OF_PARTITION } else { 0 };
        // The upper layer refers to the base alone, so one may go up at any of its frames.
        let temporal = if upper { 1 << 6 | SYNC } else { 0 };
        payload[..6].copy_from_slice(&[EXTENDED | start, HAS_ALL, 0x80 | high, low, self.tl0, temporal]);
        if first {
            const SHOWN: u8 = 0x10;
            const INTER: u8 = 0x01;
            payload[6] = SHOWN | if key { 0 } else { INTER };
            if key {
                payload[9..12].copy_from_slice(&[0x9d, 0x01, 0x2a]);
                payload[12..14].copy_from_slice(&self.size.0.to_le_bytes());
                payload[14..16].copy_from_slice(&self.size.1.to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Layer;

    /// Layer, timestamp, marker, payload, level.
    type Packet = (usize, u32, bool, Vec<u8>, Option<(u8, bool)>);

    fn run(source: &mut Source, length: Duration) -> Vec<Packet> {
        let end = source.due() + length;
        let mut packets = Vec::new();
        while source.due() < end {
            let now = source.due();
            source.fire(now, |layer, frame| {
                packets.push((layer, frame.timestamp, frame.marker, frame.payload.to_vec(), frame.audio_level));
            });
        }
        packets
    }

    fn camera() -> Pictures {
        let layer = |packets_per_s, payload_bytes| Layer { packets_per_s, payload_bytes };
        Pictures { publishers: None, frames_per_s: 30.0, layers: vec![layer(30.0, 300), layer(187.0, 1000)] }
    }

    #[test]
    fn a_camera_sends_at_its_rate() {
        let mut camera = Source::pictures(1, &camera(), Instant::now(), 7);
        let packets = run(&mut camera, Duration::from_secs(10));
        let of = |layer| packets.iter().filter(move |(it, ..)| *it == layer);
        assert!((300..=305).contains(&of(0).count()), "{}", of(0).count());
        assert!((1868..=1900).contains(&of(1).count()), "{}, a key frame among them", of(1).count());
        assert!((300..=301).contains(&of(1).filter(|(_, _, marker, ..)| *marker).count()));
        assert_eq!(of(1).filter(|(.., payload, _)| payload[9..12] == [0x9d, 0x01, 0x2a]).count(), 1);
        assert_eq!(of(1).next_back().unwrap().3.len(), 1000);
        let upper = of(1).filter(|(.., payload, _)| payload[5] >> 6 == 1).count();
        assert!((900..970).contains(&upper), "{upper} packets of the upper temporal layer");
    }

    #[test]
    fn a_key_frame_comes_when_it_is_asked_for_and_when_a_layer_comes_back() {
        let is_key = |payload: &[u8]| payload[0] & 0x10 != 0 && payload[6] & 1 == 0;
        let mut camera = Source::pictures(1, &camera(), Instant::now(), 7);
        let keys = |source: &mut Source| {
            let packets = run(source, Duration::from_millis(100));
            [0, 1].map(|layer| packets.iter().filter(|(it, .., payload, _)| *it == layer && is_key(payload)).count())
        };
        assert_eq!(keys(&mut camera), [1, 1]);
        assert_eq!(keys(&mut camera), [0, 0]);
        camera.make_key();
        assert_eq!(keys(&mut camera), [1, 1]);
        camera.switch(&[true, false]);
        assert!(run(&mut camera, Duration::from_secs(1)).iter().all(|(layer, ..)| *layer == 0));
        camera.switch(&[true, true]);
        assert_eq!(keys(&mut camera), [0, 1]);
    }

    #[test]
    fn a_microphone_is_silent_most_of_the_time() {
        let microphone = Microphone { publishers: None, speech_ms: 1000, silence_ms: 4000, dtx: true };
        let mut voice = Source::voice(0, microphone, Instant::now(), 3);
        let packets = run(&mut voice, Duration::from_secs(1000));
        let spoken = packets.iter().filter(|(.., level)| level.unwrap().1).count();
        let silent = packets.len() - spoken;
        assert!((8_000..12_000).contains(&spoken), "{spoken} packets of speech, 10,000 wanted");
        assert!((1_800..2_600).contains(&silent), "{silent} packets of silence, 2,000 wanted");
        assert!(packets.iter().all(|(.., payload, level)| (payload.len() == 2) != level.unwrap().1));
        assert!(packets.windows(2).all(|pair| pair[0].1 < pair[1].1), "time goes on");
        let begins = packets.iter().filter(|(_, _, marker, ..)| *marker).count();
        assert!((170..240).contains(&begins), "{begins} beginnings of speech");
    }

    #[test]
    fn a_stamp_can_be_read_behind_the_headers() {
        let before = clock_ns();
        let mut camera = Source::pictures(1, &camera(), Instant::now(), 7);
        for (.., payload, _) in run(&mut camera, Duration::from_millis(100)) {
            let stamp = u64::from_be_bytes(payload[STAMP].try_into().unwrap());
            assert!((before..=clock_ns()).contains(&stamp));
        }
    }
}
