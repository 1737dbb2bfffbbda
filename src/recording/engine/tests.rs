//! People who send camera and microphone over a bad network, on a clock that the tests turn; and readers of what is written.

mod files;
mod order;
mod repair;
mod sync;

use std::collections::HashMap;

use super::ebml;
use super::opus;
use super::reel::Step;
use super::take::Take;
use super::webm::{AUDIO, HEAD_BYTES, Head, VIDEO};
use crate::domain::{CallId, FileId, ParticipantId, TrackId, TrackSource};
use crate::sfu::{Codec, Recorded, RecordedEvent, RecordedPacket};

/// When recordings of tests begin, µs since 1970.
pub(super) const ZERO_US: i64 = 1_700_000_000_000_000;
/// Opus in CELT, 20 ms, stereo, one frame (RFC 6716 table 2).
const CELT_20_MS: u8 = 31 << 3 | 4;

/// A seeded dice (xorshift64*).
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to, but not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What happens to packets on their way.
#[derive(Clone, Copy)]
pub(super) struct Network {
    /// The way, and what may come on top, in µs.
    pub delay_us: i64,
    pub jitter_us: u64,
    /// Of a hundred packets, so many are lost; of a hundred of those, so many come later after all.
    pub lost: u64,
    pub recovered: u64,
    /// A recovered packet comes so much later at most.
    pub recovery_us: u64,
    /// Of a hundred packets, so many come twice.
    pub twice: u64,
}

pub(super) const CALM: Network =
    Network { delay_us: 20_000, jitter_us: 4_000, lost: 0, recovered: 100, recovery_us: 300_000, twice: 0 };

/// A track as its publisher sends it.
#[derive(Clone)]
pub(super) struct Line {
    pub participant: ParticipantId,
    pub track: TrackId,
    pub source: TrackSource,
    pub codec: Codec,
    pub stream: u64,
    /// The publisher's clock minus the server's.
    pub clock_off_us: i64,
    /// How much faster its timestamps run than they should.
    pub drift_ppm: i64,
    pub first_timestamp: u32,
    pub first_index: u64,
    /// Sender reports begin then, and come at this interval; `None`: never.
    pub reports_from_us: Option<i64>,
    pub report_every_us: i64,
    /// Reports tremble by so much.
    pub tremble_us: u64,
}

impl Line {
    pub fn new(participant: ParticipantId, source: TrackSource) -> Line {
        Line {
            participant,
            track: TrackId::new(),
            source,
            codec: if source.is_picture() { Codec::Vp8 } else { Codec::Opus },
            stream: 1,
            clock_off_us: 0,
            drift_ppm: 0,
            first_timestamp: 0,
            first_index: 100,
            reports_from_us: Some(-1_000_000),
            report_every_us: 1_000_000,
            tremble_us: 0,
        }
    }

    pub fn hz(&self) -> i64 {
        if self.codec == Codec::Opus { 48_000 } else { 90_000 }
    }

    /// Timestamp of a capture, on the server's clock.
    pub fn ticks(&self, captured_us: i64) -> u32 {
        let us = captured_us + captured_us * self.drift_ppm / 1_000_000;
        (self.first_timestamp).wrapping_add((us * self.hz() / 1_000_000) as u32)
    }

    /// What the media side makes of a timestamp at this moment: the latest report and the difference to it.
    fn captured_us(&self, timestamp: u32, now_us: i64) -> Option<i64> {
        let from_us = self.reports_from_us.filter(|from_us| now_us >= *from_us)?;
        let reported_us = from_us + (now_us - from_us) / self.report_every_us * self.report_every_us;
        let mut dice = Dice::new(reported_us as u64 ^ self.first_timestamp as u64);
        let tremble_us =
            if self.tremble_us == 0 { 0 } else { dice.below(2 * self.tremble_us) as i64 - self.tremble_us as i64 };
        let since = i64::from(timestamp.wrapping_sub(self.ticks(reported_us)) as i32);
        Some(reported_us + self.clock_off_us + tremble_us + since * 1_000_000 / self.hz())
    }
}

/// A packet on its way.
pub(super) struct Sent {
    pub packet: RecordedPacket,
    pub payload: Vec<u8>,
}

/// A frame that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub captured_us: i64,
    pub key: bool,
    pub bytes: Vec<u8>,
    /// All its packets arrive, one or another time; the last one then.
    pub arrived_us: Option<i64>,
}

/// Sends 50 sounds a second, each with its number inside.
pub(super) fn sounds(
    line: &Line,
    from_us: i64,
    count: usize,
    network: Network,
    dice: &mut Dice,
) -> (Vec<Sent>, Vec<Original>) {
    let (mut sent, mut originals) = (Vec::new(), Vec::new());
    for at in 0..count {
        let captured_us = from_us + at as i64 * 20_000;
        let mut bytes = vec![CELT_20_MS];
        bytes.extend_from_slice(&(at as u32).to_be_bytes());
        let arrived_us =
            deliver(line, captured_us, line.first_index + at as u64, true, false, &bytes, network, dice, &mut sent);
        originals.push(Original { captured_us, key: true, bytes, arrived_us });
    }
    (sent, originals)
}

/// Sends pictures at this interval, each in some packets, with its stream and number inside.
pub(super) fn pictures(
    line: &Line,
    (from_us, every_us): (i64, i64),
    count: usize,
    key_every: usize,
    network: Network,
    dice: &mut Dice,
) -> (Vec<Sent>, Vec<Original>) {
    let (mut sent, mut originals, mut index) = (Vec::new(), Vec::new(), line.first_index);
    for at in 0..count {
        let captured_us = from_us + at as i64 * every_us;
        let key = at % key_every == 0;
        let mut bytes = vec![if key { 0x10 } else { 0x11 }, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];
        let parts = 1 + dice.below(4) as usize + if key { 3 } else { 0 };
        bytes.resize(parts * 100, at as u8);
        bytes[10..14].copy_from_slice(&(at as u32).to_be_bytes());
        bytes[14] = line.stream as u8;
        let mut arrived_us = Some(i64::MIN);
        for (number, part) in bytes.chunks(100).enumerate() {
            let descriptor = if number == 0 { 0x10 } else { 0 };
            let payload = [&[descriptor][..], part].concat();
            let (marker, starts) = (number + 1 == parts, key && number == 0);
            let came_us = deliver(line, captured_us, index, marker, starts, &payload, network, dice, &mut sent);
            arrived_us = arrived_us.and_then(|latest_us| Some(latest_us.max(came_us?)));
            index += 1;
        }
        originals.push(Original { captured_us, key, bytes, arrived_us });
    }
    (sent, originals)
}

/// Sends a packet; answers when it came first, if it does.
#[expect(clippy::too_many_arguments, reason = "a packet has as many facts")]
fn deliver(
    line: &Line,
    captured_us: i64,
    index: u64,
    marker: bool,
    keyframe_start: bool,
    payload: &[u8],
    network: Network,
    dice: &mut Dice,
    sent: &mut Vec<Sent>,
) -> Option<i64> {
    let mut arrivals = Vec::new();
    let way_us = network.delay_us + dice.below(network.jitter_us.max(1)) as i64;
    if !dice.chance(network.lost) {
        arrivals.push(captured_us + way_us);
    } else if dice.chance(network.recovered) {
        arrivals.push(captured_us + way_us + 40_000 + dice.below(network.recovery_us) as i64);
    }
    if dice.chance(network.twice)
        && let Some(first_us) = arrivals.first()
    {
        arrivals.push(first_us + dice.below(100_000) as i64);
    }
    for arrived_us in &arrivals {
        let timestamp = line.ticks(captured_us);
        let packet = RecordedPacket {
            participant: line.participant,
            track: line.track,
            source: line.source,
            codec: line.codec,
            stream: line.stream,
            index,
            timestamp,
            marker,
            keyframe_start,
            arrived_us: ZERO_US + arrived_us,
            captured_us: line.captured_us(timestamp, *arrived_us).map(|us| us + ZERO_US),
            payload: 0..0,
        };
        sent.push(Sent { packet, payload: payload.to_vec() });
    }
    arrivals.first().copied()
}

/// A stream of pictures begins with the first packet of a key frame; those that have overtaken it follow at once.
fn begin_with_key_frames(sent: &mut Vec<Sent>) {
    let mut begins: HashMap<(TrackId, u64), (i64, u64)> = HashMap::new();
    for Sent { packet, .. } in sent.iter().filter(|sent| sent.packet.keyframe_start) {
        let here = (packet.arrived_us, packet.index);
        let begin = begins.entry((packet.track, packet.stream)).or_insert(here);
        *begin = here.min(*begin);
    }
    sent.retain_mut(|Sent { packet, .. }| {
        let Some(&(begins_us, first)) = begins.get(&(packet.track, packet.stream)) else { return true };
        packet.arrived_us = packet.arrived_us.max(begins_us);
        packet.index >= first
    });
}

/// Batches of 50 ms, as the media side hands them over.
pub(super) fn batches(mut sent: Vec<Sent>) -> Vec<Recorded> {
    begin_with_key_frames(&mut sent);
    sent.sort_by_key(|sent| (sent.packet.arrived_us, !sent.packet.keyframe_start));
    let mut batches: Vec<Recorded> = Vec::new();
    let (call, mut slot) = (CallId::new(), None);
    for Sent { mut packet, payload } in sent {
        let here = packet.arrived_us / 50_000;
        if slot != Some(here) {
            batches.push(Recorded { call, events: Vec::new(), bytes: Vec::new() });
            slot = Some(here);
        }
        let batch = batches.last_mut().unwrap();
        packet.payload = batch.bytes.len()..batch.bytes.len() + payload.len();
        batch.bytes.extend_from_slice(&payload);
        batch.events.push(RecordedEvent::Packet(packet));
    }
    batches
}

/// What a take wants to be done, done in memory.
#[derive(Default)]
pub(super) struct Files {
    pub order: Vec<FileId>,
    pub bytes: HashMap<FileId, Vec<u8>>,
    pub closed: Vec<FileId>,
    pub wanted: Vec<TrackId>,
    look: i64,
}

/// A block as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub track: u8,
    pub time_ms: i64,
    pub key: bool,
    pub frame: Vec<u8>,
}

impl Files {
    /// One more batch, and a look at it as often as the engine does.
    pub fn take_in(&mut self, take: &mut Take, batch: &Recorded, steps: &mut Vec<Step>) {
        take.push(batch);
        let look = take.heard_us() / 200_000;
        if look != self.look {
            self.look = look;
            take.tick(take.heard_us(), steps);
            self.carry_out(steps);
        }
    }

    pub fn carry_out(&mut self, steps: &mut Vec<Step>) {
        for step in steps.drain(..) {
            match step {
                Step::Open { file, head } => {
                    self.order.push(file);
                    assert!(self.bytes.insert(file, head.encode(None)).is_none(), "a file is opened twice");
                }
                Step::Redo { file, head } => {
                    self.bytes.get_mut(&file).unwrap()[..HEAD_BYTES].copy_from_slice(&head.encode(None));
                }
                Step::Append { file, bytes, .. } => self.bytes.get_mut(&file).unwrap().extend(bytes),
                Step::Close { file } => self.closed.push(file),
                Step::Keyframe(track) => self.wanted.push(track),
            }
        }
    }

    /// The only file's blocks.
    pub fn blocks(&self) -> Vec<Block> {
        assert_eq!(self.order.len(), 1, "one file");
        blocks(&self.bytes[&self.order[0]])
    }

    pub fn head(&self, at: usize) -> Head {
        Head::parse(&self.bytes[&self.order[at]]).unwrap()
    }
}

/// The blocks behind a file's head, as any reader of EBML finds them.
pub(super) fn blocks(file: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    for cluster in ebml::elements(&file[HEAD_BYTES..]) {
        let (id, content) = cluster.unwrap();
        if id != 0x1f43_b675 {
            assert_eq!(id, 0x1c53_bb6b, "clusters, then cues");
            continue;
        }
        let begins_ms = ebml::as_uint(ebml::find(0xe7, content).unwrap()).unwrap() as i64;
        let (mut first_ms, mut last_ms) = (i64::MAX, i64::MIN);
        for block in ebml::elements(content).map(Option::unwrap).filter(|(id, _)| *id == 0xa3) {
            let time_ms = begins_ms + i64::from(i16::from_be_bytes([block.1[1], block.1[2]]));
            (first_ms, last_ms) = (first_ms.min(time_ms), last_ms.max(time_ms));
            let (track, key, frame) = (block.1[0] & 0x7f, block.1[3] & 0x80 != 0, block.1[4..].to_vec());
            found.push(Block { track, time_ms, key, frame });
        }
        assert!(first_ms == begins_ms && last_ms - first_ms <= 1_000, "a cluster of at most a second");
    }
    found
}

pub(super) fn of(track: u8, blocks: &[Block]) -> Vec<Block> {
    blocks.iter().filter(|block| block.track == track).cloned().collect()
}

/// Records everything to its end.
pub(super) fn record(sent: Vec<Sent>) -> Files {
    let (mut take, mut files, mut steps) = (Take::new(ZERO_US), Files::default(), Vec::new());
    for batch in batches(sent) {
        files.take_in(&mut take, &batch, &mut steps);
    }
    take.end(&mut steps);
    files.carry_out(&mut steps);
    files
}

/// Sounds follow one another to the millisecond, but for corrections of one and where packets never came.
pub(super) fn assert_gap_free(sounds: &[Block], corrections: usize) {
    let mut corrected = 0;
    for pair in sounds.windows(2) {
        let number = |block: &Block| i64::from(u32::from_be_bytes(block.frame[1..5].try_into().unwrap()));
        let (steps, spaced_ms) = (number(&pair[1]) - number(&pair[0]), pair[1].time_ms - pair[0].time_ms);
        if steps == 1 && spaced_ms != 20 {
            assert!((19..=21).contains(&spaced_ms), "{spaced_ms} ms between sounds");
            corrected += 1;
        }
    }
    assert!(corrected <= corrections, "{corrected} corrections");
}

/// The time of the block that carries an original, if it was written.
pub(super) fn time_of(original: &Original, blocks: &[Block]) -> Option<i64> {
    blocks.iter().find(|block| block.frame == original.bytes).map(|block| block.time_ms)
}

#[test]
fn a_sound_of_the_tests_lasts_20_ms() {
    assert_eq!(opus::duration_us(&[CELT_20_MS]), Some(20_000));
    assert_eq!((VIDEO, AUDIO), (1, 2));
}
