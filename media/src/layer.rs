//! One inbound layer: one encoding of a track as its publisher sends it, with what it takes to forward, repair and report it.

use std::collections::VecDeque;

use crate::codec::Structure;
use crate::nack::Nacks;
use crate::rate::Rates;
use crate::ring::{Packet, Ring};

/// Packets that may overtake a stream's very first one.
const REORDERED_START: u64 = 16;

/// Runs of packets without content that are remembered: what a second brings, and a pause while the track was muted.
const MOST_RUNS: usize = 32;

/// What a sender report said (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct SenderReport {
    /// The publisher's clock in NTP's 32.32 format.
    pub ntp: u64,
    /// The layer's timestamp at that moment.
    pub timestamp: u32,
    /// When the report came, µs of the shard's clock.
    pub arrived_us: u64,
}

/// The figures of one reception report (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reception {
    pub fraction_lost: u8,
    pub total_lost: u32,
    pub highest: u32,
    pub jitter: u32,
    pub last_report: u32,
    pub delay: u32,
}

/// One encoding of a published track.
#[derive(Debug)]
pub(crate) struct Layer {
    /// The stream's name among all that the shard ever had: places of tracks are used again, and SSRCs are the publisher's to choose.
    pub epoch: u64,
    /// When the stream began.
    pub begun_us: u64,
    /// The stream's SSRC, once a packet has shown it.
    pub ssrc: Option<u32>,
    pub ring: Ring,
    pub nacks: Nacks,
    pub report: Option<SenderReport>,
    /// The stream's spatial and temporal layers.
    pub structure: Structure,
    /// Picture width in pixels as of the last key frame; 0 before it and for audio.
    pub width: u16,
    /// When the last packet came.
    pub last_us: u64,
    pub packets: u64,
    pub bytes: u64,
    /// What it sends, by its inner layers.
    pub rates: Rates,
    /// Packets that came when they were asked for.
    pub repaired: u64,
    /// When a packet was last given up, and the picture with it; 0 for never.
    pub broke_us: u64,
    clock_hz: u32,
    first: Option<u64>,
    /// Which packets came that had overtaken the first one: a bit for each distance.
    started: u32,
    highest: u64,
    /// First and last of each run of packets without content, the latest last.
    empty: VecDeque<(u64, u64)>,
    expected_prior: u64,
    received_prior: u64,
    /// Packets expected, lost and repaired as of the last judgement of the line.
    judged: [u64; 3],
    transit: i64,
    /// Interarrival jitter in timestamp units, scaled by 16.
    jitter: u64,
}

impl Layer {
    pub fn new(clock_hz: u32, epoch: u64) -> Layer {
        Layer {
            epoch,
            begun_us: 0,
            ssrc: None,
            ring: Ring::default(),
            nacks: Nacks::default(),
            report: None,
            structure: Structure::default(),
            width: 0,
            last_us: 0,
            packets: 0,
            bytes: 0,
            rates: Rates::default(),
            repaired: 0,
            broke_us: 0,
            clock_hz,
            first: None,
            started: 0,
            highest: 0,
            empty: VecDeque::new(),
            expected_prior: 0,
            received_prior: 0,
            judged: [0; 3],
            transit: 0,
            jitter: 0,
        }
    }

    /// Forgets the stream: its publisher sends it under a new SSRC.
    pub fn restart(&mut self, epoch: u64) {
        let width = self.width;
        *self = Layer { width, ..Layer::new(self.clock_hz, epoch) };
    }

    /// Whether a retransmission with this index fills something: it never leads, for what it names may be of a stream that is over.
    pub fn lacks(&self, index: u64) -> bool {
        self.awaits(index) && index <= self.highest + REORDERED_START
    }

    /// Whether a packet with this index is news: ahead of the others, or missing. Each index is taken once, however it comes.
    pub fn awaits(&self, index: u64) -> bool {
        let Some(first) = self.first else { return true };
        let late_start = index < first
            && first - index < REORDERED_START
            && self.highest <= first + REORDERED_START
            && self.started >> (first - index) & 1 == 0;
        index > self.highest || self.nacks.is_missing(index) || late_start
    }

    /// The highest index so far.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// The index that a retransmission's original sequence number stands for.
    pub fn index_of(&self, sequence: u16) -> Option<u64> {
        self.first?;
        self.highest.checked_add_signed(i64::from(sequence.wrapping_sub(self.highest as u16) as i16))
    }

    /// Keeps a packet that belongs to the layer.
    pub fn receive(&mut self, packet: Packet, payload: &[u8]) {
        self.receive_with(packet, &[], payload);
    }

    /// The same with the dependency descriptor that the packet had among its header extensions; empty: none.
    pub fn receive_with(&mut self, packet: Packet, dependency: &[u8], payload: &[u8]) {
        let now_us = packet.arrived_us;
        if self.first.is_none() {
            (self.first, self.highest) = (Some(packet.index), packet.index);
        }
        if let Some(early @ 1..REORDERED_START) = self.first.and_then(|first| first.checked_sub(packet.index)) {
            self.started |= 1 << early;
        }
        if packet.index >= self.highest {
            self.measure_jitter(packet.timestamp, now_us);
            self.highest = packet.index;
        }
        self.rates.took(&packet.frame, payload.len());
        self.note(packet.index, payload.len(), now_us);
        if let Some((width, _)) = packet.frame.dimensions {
            self.width = width;
        }
        self.ring.push_with(packet, dependency, payload);
    }

    /// Takes note of a packet without content: it is not missing, and nothing more.
    pub fn receive_padding(&mut self, index: u64, now_us: u64) {
        if self.first.is_none() {
            (self.first, self.highest) = (Some(index), index);
        }
        self.highest = self.highest.max(index);
        match self.empty.back_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => {
                if self.empty.len() == MOST_RUNS {
                    self.empty.pop_front();
                }
                self.empty.push_back((index, index));
            }
        }
        self.note(index, 0, now_us);
    }

    /// Whether this packet came without content.
    pub fn is_padding(&self, index: u64) -> bool {
        self.empty.iter().rev().any(|(first, last)| (*first..=*last).contains(&index))
    }

    fn note(&mut self, index: u64, bytes: usize, now_us: u64) {
        self.nacks.arrived(index, now_us);
        self.last_us = now_us;
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    fn measure_jitter(&mut self, timestamp: u32, now_us: u64) {
        let arrival = (now_us as u128 * u128::from(self.clock_hz) / 1_000_000) as i64;
        let transit = arrival - i64::from(timestamp);
        if self.packets > 0 {
            let difference = u64::from((transit.wrapping_sub(self.transit) as i32).unsigned_abs());
            self.jitter = (self.jitter + difference).saturating_sub((self.jitter + 8) >> 4);
        }
        self.transit = transit;
    }

    /// The figures since the last call, for a receiver report.
    pub fn reception(&mut self, now_us: u64) -> Option<Reception> {
        let expected = self.highest - self.first? + 1;
        let (expected_now, received_now) = (expected - self.expected_prior, self.packets - self.received_prior);
        (self.expected_prior, self.received_prior) = (expected, self.packets);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction_lost = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255) as u8;
        let (last_report, delay) = self.report.map_or((0, 0), |report| {
            let delay = (now_us - report.arrived_us) as u128 * 65_536 / 1_000_000;
            ((report.ntp >> 16) as u32, delay as u32)
        });
        Some(Reception {
            fraction_lost,
            total_lost: expected.saturating_sub(self.packets).min(0x7f_ffff) as u32,
            highest: self.highest as u32,
            jitter: (self.jitter >> 4) as u32,
            last_report,
            delay,
        })
    }

    /// Packets that should have come since the last call, those of them that are lost for good, and those that were repaired. What may
    /// still come counts later.
    pub fn progress(&mut self, now_us: u64) -> (u32, u32, u32) {
        let Some(first) = self.first else { return (0, 0, 0) };
        let expected = self.highest - first + 1;
        let lost = expected.saturating_sub(self.packets + self.nacks.pending(now_us));
        let now = [expected, lost, self.repaired];
        let before = std::mem::replace(&mut self.judged, now);
        let since = |at: usize| now[at].saturating_sub(before[at]).min(u64::from(u32::MAX)) as u32;
        (since(0), since(1), since(2))
    }

    /// The interarrival jitter (RFC 3550 §6.4.1), µs.
    pub fn jitter_us(&self) -> u64 {
        (self.jitter >> 4) * 1_000_000 / u64::from(self.clock_hz)
    }

    /// When the frame with this timestamp was captured, in µs of the publisher's clock; needs a sender report.
    pub fn captured_us(&self, timestamp: u32) -> Option<i64> {
        let report = self.report?;
        let ticks = i64::from(timestamp.wrapping_sub(report.timestamp) as i32);
        Some(ntp_to_us(report.ntp) + ticks * 1_000_000 / i64::from(self.clock_hz))
    }
}

/// NTP's 32.32 seconds in µs.
pub(crate) fn ntp_to_us(ntp: u64) -> i64 {
    ((u128::from(ntp) * 1_000_000) >> 32) as i64
}

/// µs in NTP's 32.32 seconds.
pub(crate) fn us_to_ntp(us: i64) -> u64 {
    (((us.max(0) as u128) << 32) / 1_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Descriptor;

    #[test]
    fn reports_loss_and_jitter() {
        let mut layer = Layer::new(90_000, 1);
        for index in 0..100u64 {
            if index % 10 != 3 {
                let packet = Packet::new(index, index as u32 * 3_000, true, Descriptor::EMPTY, index * 33_333);
                layer.receive(packet, &[0; 10]);
            }
        }
        let reception = layer.reception(4_000_000).expect("packets came");
        assert_eq!((reception.total_lost, reception.fraction_lost, reception.highest), (10, 25, 99));
        assert!(reception.jitter < 5, "an even stream has no jitter, got {}", reception.jitter);
        assert_eq!(layer.reception(4_000_000).expect("still").fraction_lost, 0);
    }

    #[test]
    fn what_may_still_come_is_not_lost_yet() {
        let mut layer = Layer::new(90_000, 1);
        let packet = |index: u64| Packet::new(index, index as u32 * 3_000, true, Descriptor::EMPTY, index * 10_000);
        for index in (0..100u64).filter(|index| index % 10 != 8) {
            layer.receive(packet(index), &[0; 10]);
        }
        // Ten are missing, all for less than a second.
        assert_eq!(layer.progress(990_000), (100, 0, 0));
        layer.receive(packet(48), &[0; 10]);
        layer.repaired += 1;
        assert_eq!(layer.progress(3_000_000), (0, 9, 1));
        assert_eq!(layer.progress(3_000_000), (0, 0, 0));
    }

    #[test]
    fn a_sender_report_dates_frames() {
        let mut layer = Layer::new(90_000, 1);
        assert_eq!(layer.captured_us(0), None);
        layer.report = Some(SenderReport { ntp: us_to_ntp(5_000_000), timestamp: 1_000, arrived_us: 0 });
        let captured_us = layer.captured_us(1_000 + 9_000).expect("a report is there");
        assert!((captured_us - 5_100_000).abs() <= 1);
        let captured_us = layer.captured_us(1_000u32.wrapping_sub(90_000)).expect("a report is there");
        assert!((captured_us - 4_000_000).abs() <= 1);
    }
}
