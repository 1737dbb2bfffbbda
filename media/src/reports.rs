//! What the server sends of its own accord: repair requests, key frame requests, congestion feedback, reports; and who is given up.

use std::time::Instant;

use crate::event::Event;
use crate::fault::Step;
use crate::inbound::CLOSED_KEPT_US;
use crate::layer::us_to_ntp;
use crate::line::CALM_TICK_US;
use crate::quality::Direction;
use crate::shard::{SECOND_US, Shard};
use crate::track::{Origin, PeerKey, Track};

/// Congestion feedback goes to a publisher this often (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.3 suggests 50–250 ms).
const FEEDBACK_US: u64 = 50_000;
/// The shard's NTP clock starts here, µs: any value that leaves room before it.
const NTP_ORIGIN_US: i64 = 2_000_000_000_000_000;
/// A participant that has not got its keys after this long is given up.
const JOIN_US: u64 = 30 * SECOND_US;
/// A sender report older than this, by its own clock, is not extrapolated from.
const MOST_REPORT_AGE_US: u64 = 60 * SECOND_US;
/// A compound is sent when it has grown to this many bytes: with the seal around it, it must fit a datagram.
const FULL_COMPOUND: usize = 1_100;
/// Report blocks in one receiver report.
const MOST_BLOCKS: usize = 31;

/// The shard's clock in NTP's 32.32 format.
pub(crate) fn ntp_at(now_us: u64) -> u64 {
    us_to_ntp(NTP_ORIGIN_US + now_us as i64)
}

impl Shard {
    /// Each tick: whatever repairs pictures soonest.
    pub(crate) fn repair(&mut self, now: Instant, now_us: u64) {
        self.calm_until_us.resize(self.peers.capacity(), 0);
        for key in 0..self.peers.capacity() {
            // Hundreds of receivers for whom there is nothing to do cost a glance each.
            if self.calm_until_us[key] > now_us {
                continue;
            }
            self.work_for_peer(key, Step::Repair);
            let Some(peer) = self.peers.get_mut(key) else { continue };
            if !peer.connected {
                if let Some(dtls) = peer.dtls.as_mut()
                    && dtls.poll_timeout().is_some_and(|due| due <= now)
                {
                    dtls.handle_timeout(now);
                    self.after_dtls(key, now_us);
                }
                continue;
            }
            if peer.line.as_ref().is_some_and(|line| line.is_due(now_us)) {
                self.look_after_line(key, now_us);
            }
            let peer = &self.peers[key];
            if peer.sections.is_empty() {
                self.calm_until_us[key] = peer.line.as_ref().map_or(now_us + CALM_TICK_US, |line| line.calm_until_us());
                continue;
            }
            self.scratch.clear();
            self.ask_publisher(key, now_us);
            if self.scratch.len() > FULL_COMPOUND / 2 {
                self.send_rtcp(key);
                self.scratch.clear();
            }
            self.feed_back(key, now_us);
            self.send_rtcp(key);
        }
    }

    /// NACKs and key frame requests for everything the peer publishes.
    fn ask_publisher(&mut self, key: PeerKey, now_us: u64) {
        let peer = &*self.peers[key];
        let (reporter, rtt_us) = (peer.reporter_ssrc, peer.rtt_us);
        let mut broke = false;
        for section in &peer.sections {
            let track = &mut self.tracks[section.track];
            if track.muted {
                continue;
            }
            for (at, layer) in track.layers.iter_mut().enumerate() {
                let Some(ssrc) = layer.ssrc else { continue };
                // Audio conceals what is lost sooner than it could be repaired, and not everybody repeats.
                if !section.nack || layer.nacks.is_idle() {
                    continue;
                }
                let (out, stats) = (&mut self.scratch, &mut self.stats);
                let start = out.len();
                let given_up = layer.nacks.due(now_us, rtt_us, |sequence| {
                    if out.len() == start {
                        feedback_header(out, 205, 1, reporter, ssrc);
                    }
                    push_nack(out, start, sequence);
                    stats.nacks_out += 1;
                });
                finish(out, start);
                if given_up && section.kind == crate::track::Kind::Video {
                    track.keyframes.want(at);
                    layer.broke_us = now_us;
                    broke = true;
                }
            }
            for at in 0..track.layers.len() {
                // Browsers stop layers without a word; nobody would ever answer for one that is not sent.
                if !track.is_sent(at) {
                    track.keyframes.forget(at);
                }
            }
            for (at, asked) in track.keyframes.due(now_us).into_iter().enumerate() {
                let Some(ssrc) = track.layers.get(at).and_then(|layer| layer.ssrc).filter(|_| asked) else { continue };
                let start = self.scratch.len();
                feedback_header(&mut self.scratch, 206, 1, reporter, ssrc);
                finish(&mut self.scratch, start);
                self.stats.plis_out += 1;
            }
        }
        if broke {
            self.stats.freezes[0] += 1;
            self.peers[key].quality.froze(Direction::Up);
        }
    }

    fn feed_back(&mut self, key: PeerKey, now_us: u64) {
        let peer = &mut *self.peers[key];
        if peer.arrivals.is_empty() || now_us < peer.twcc_us + FEEDBACK_US {
            return;
        }
        peer.twcc_us = now_us;
        let media_ssrc = peer.inbound.first().map_or(0, |inbound| inbound.ssrc);
        peer.arrivals.feedback(peer.reporter_ssrc, media_ssrc, &mut self.scratch);
    }

    /// Seals the compound in `scratch`, if there is one, and sends it.
    fn send_rtcp(&mut self, key: PeerKey) {
        if self.scratch.is_empty() {
            return;
        }
        let peer = &mut *self.peers[key];
        if let (Some(to), Some(sealer)) = (peer.addr, peer.sealer.as_mut()) {
            self.sealed.clear();
            sealer.seal_rtcp(&self.scratch, &mut self.sealed);
            self.out.datagram(to, &self.sealed);
        }
    }

    /// Several times a second: reports that are due, connections that are over, calls.
    pub(crate) fn look_after(&mut self, now_us: u64) {
        let timeout_us = self.config.ice_timeout.as_micros() as u64;
        for key in 0..self.peers.capacity() {
            self.work_for_peer(key, Step::LookAfter);
            let Some(peer) = self.peers.get_mut(key) else { continue };
            let over = match peer.closed_us {
                Some(closed_us) => now_us > closed_us + CLOSED_KEPT_US,
                None if peer.connected => now_us > peer.checked_us + timeout_us,
                None => now_us > peer.joined_us + JOIN_US,
            };
            if over {
                self.give_up(key);
                continue;
            }
            if peer.connected && now_us >= peer.reported_us + SECOND_US {
                peer.reported_us = now_us;
                self.report(key, now_us);
            }
            self.look_after_quality(key, now_us);
        }
        self.look_after_links(now_us);
        self.look_after_calls(now_us);
    }

    /// Sender reports for the slots, a receiver report for what the peer publishes (RFC 3550 §6.4).
    fn report(&mut self, key: PeerKey, now_us: u64) {
        self.scratch.clear();
        for place in 0..self.peers[key].slots.len() {
            if self.scratch.len() > FULL_COMPOUND {
                self.send_rtcp(key);
                self.scratch.clear();
            }
            let slot = &self.peers[key].slots[place];
            let Some(source) = slot.stream.current() else { continue };
            let Some(track) = self.tracks.get(source.track) else { continue };
            let report = track.layers[usize::from(source.layer)].report;
            let shift_us = self.clock_shift_us(track);
            // The publisher's own report, moved to the shard's clock and to this moment, keeps a participant's tracks in step.
            let timestamp = report.zip(shift_us).and_then(|(report, shift_us)| {
                let elapsed_us = now_us as i64 - crate::layer::ntp_to_us(report.ntp) - shift_us;
                // A clock that was set, or that lies, dates nothing.
                if elapsed_us.unsigned_abs() > MOST_REPORT_AGE_US {
                    return None;
                }
                let ticks = elapsed_us * i64::from(slot.kind.clock_hz()) / 1_000_000;
                Some(slot.stream.rewritten(report.timestamp).wrapping_add(ticks as u32))
            });
            let Some(timestamp) = timestamp.or_else(|| slot.stream.timestamp_at(now_us)) else { continue };
            let (packets, octets) = (slot.stream.packets, slot.stream.octets);
            push_sender_report(&mut self.scratch, slot.stream.ssrc, ntp_at(now_us), timestamp, packets, octets);
        }
        if self.scratch.len() > FULL_COMPOUND / 2 {
            self.send_rtcp(key);
            self.scratch.clear();
        }
        let peer = &*self.peers[key];
        let start = self.scratch.len();
        let mut blocks = 0;
        self.scratch.extend_from_slice(&[0x80, 201, 0, 0]);
        self.scratch.extend_from_slice(&peer.reporter_ssrc.to_be_bytes());
        for section in &peer.sections {
            for layer in &mut self.tracks[section.track].layers {
                let Some(ssrc) = layer.ssrc.filter(|_| blocks < MOST_BLOCKS) else { continue };
                let Some(reception) = layer.reception(now_us) else { continue };
                push_block(&mut self.scratch, ssrc, &reception);
                blocks += 1;
            }
        }
        self.scratch[start] |= blocks as u8;
        finish(&mut self.scratch, start);
        push_cname(&mut self.scratch, peer.reporter_ssrc);
        self.send_rtcp(key);
    }

    /// From the clock of a track's publisher to the shard's, once it is known.
    pub(crate) fn clock_shift_us(&self, track: &Track) -> Option<i64> {
        match &track.origin {
            Origin::Peer(publisher) => self.peers.get(*publisher)?.clock_shift_us,
            Origin::Link(elsewhere) => elsewhere.shift_us,
        }
    }

    pub(crate) fn give_up(&mut self, key: PeerKey) {
        let peer = &self.peers[key];
        let (participant, connection, call) = (peer.participant, peer.connection, self.calls[peer.call].id);
        self.events.push_back(Event::Lost { call, participant, connection });
        self.remove(key);
    }
}

fn feedback_header(out: &mut Vec<u8>, packet_type: u8, format: u8, sender_ssrc: u32, media_ssrc: u32) {
    out.extend_from_slice(&[0x80 | format, packet_type, 0, 0]);
    out.extend_from_slice(&sender_ssrc.to_be_bytes());
    out.extend_from_slice(&media_ssrc.to_be_bytes());
}

/// Adds a sequence number to the NACK that begins at `start`, into the mask of the last pair where it fits.
fn push_nack(out: &mut Vec<u8>, start: usize, sequence: u16) {
    if out.len() >= start + 16 {
        let at = out.len() - 4;
        let first = u16::from_be_bytes([out[at], out[at + 1]]);
        let distance = sequence.wrapping_sub(first);
        if (1..=16).contains(&distance) {
            let mask = u16::from_be_bytes([out[at + 2], out[at + 3]]) | 1 << (distance - 1);
            out[at + 2..].copy_from_slice(&mask.to_be_bytes());
            return;
        }
    }
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Writes the length of the part that begins at `start`, if there is one.
fn finish(out: &mut [u8], start: usize) {
    if out.len() > start {
        let words = ((out.len() - start) / 4 - 1) as u16;
        out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

fn push_sender_report(out: &mut Vec<u8>, ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32) {
    out.extend_from_slice(&[0x80, 200, 0, 6]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&ntp.to_be_bytes());
    for word in [timestamp, packets, octets] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn push_block(out: &mut Vec<u8>, ssrc: u32, reception: &crate::layer::Reception) {
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.push(reception.fraction_lost);
    out.extend_from_slice(&reception.total_lost.to_be_bytes()[1..]);
    for word in [reception.highest, reception.jitter, reception.last_report, reception.delay] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

/// The source description that every compound must have (RFC 3550 §6.5): one chunk, CNAME "parlor".
fn push_cname(out: &mut Vec<u8>, ssrc: u32) {
    out.extend_from_slice(&[0x81, 202, 0, 4]);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(b"\x01\x06parlor\0\0\0\0");
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_rtcp::source_description::SourceDescription;
    use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

    #[test]
    fn another_implementation_reads_our_parts() {
        let mut out = Vec::new();
        feedback_header(&mut out, 205, 1, 1, 2);
        for sequence in [5, 6, 21, 22, 65_535] {
            push_nack(&mut out, 0, sequence);
        }
        finish(&mut out, 0);
        let start = out.len();
        push_sender_report(&mut out, 9, 77 << 32, 3, 4, 5);
        assert_eq!(out.len() - start, 28);
        push_cname(&mut out, 3);
        let parts = rtc_rtcp::packet::unmarshal(&mut &out[..]).expect("a good compound");
        let nack = parts[0].as_any().downcast_ref::<TransportLayerNack>().expect("a NACK");
        let asked: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        assert_eq!(asked, [5, 6, 21, 22, 65_535]);
        let description = parts[2].as_any().downcast_ref::<SourceDescription>().expect("a source description");
        assert_eq!(&description.chunks[0].items[0].text[..], b"parlor");
    }
}
