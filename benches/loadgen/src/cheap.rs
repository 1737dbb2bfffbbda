//! A small peer: the media core's own client. It sends what its sources make, counts what arrives by its header, opens a few
//! packets of a hundred, and answers as a browser would: reports, requests for what is missing, and (by the client itself)
//! transport-wide feedback.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parlor_media::client::{Client, Event};
use parlor_media::drop::Drop as Dropped;
use parlor_media::rtcp::{self, Part};
use parlor_media::rtp::Header;
use parlor_media::sdp::Kind;
use tokio::sync::mpsc::UnboundedSender;

use crate::drain::clock_ns;
use crate::meter::Meter;
use crate::publisher::STAMP;
use crate::sources::Source;
use crate::tally::{Arrived, Counts, Sequence};

/// How often a subscriber reports what it received (RFC 3550 section 6.2).
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A packet that is missing is asked for again after this.
const ASK_AGAIN: Duration = Duration::from_millis(120);
/// Blocks of one receiver report (RFC 3550 section 6.4: five bits).
const MOST_BLOCKS: usize = 31;
/// A stamp that is older than this is none of ours.
const MOST_DELAY_NS: u64 = 60_000_000_000;

/// What a peer tells whoever speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Connected,
    /// The server has hung up.
    Closed,
}

/// What the peers of a thread have seen since it was last told to the meter.
#[derive(Default)]
pub(crate) struct Seen {
    pub counts: Counts,
    pub delays_ns: Vec<u64>,
    pub echoes_ns: Vec<u64>,
}

/// One of them.
pub(crate) struct Cheap {
    pub client: Client,
    pub sources: Vec<Source>,
    tell: UnboundedSender<Told>,
    ready_at: Option<Instant>,
    got_first: bool,
    /// By SSRC: its slots, and whose retransmissions an SSRC carries.
    streams: HashMap<u32, Stream>,
    repairs: HashMap<u32, u32>,
    report_due: Instant,
    /// What is due at once: numbers of packets that are asked for again.
    is_missing: bool,
}

#[derive(Default)]
struct Stream {
    is_sound: bool,
    sequence: Sequence,
    counts: Counts,
    reported: Counts,
    /// The middle of the last sender report's time, and when it came.
    last_report: Option<(u32, Instant)>,
}

impl Cheap {
    pub(crate) fn new(client: Client, sources: Vec<Source>, tell: UnboundedSender<Told>, now: Instant) -> Self {
        let mut streams = HashMap::new();
        let mut repairs = HashMap::new();
        for slot in client.slots() {
            let is_sound = slot.kind == Kind::Audio;
            streams.insert(slot.ssrc, Stream { is_sound, ..Stream::default() });
            repairs.extend(slot.rtx_ssrc.map(|rtx| (rtx, slot.ssrc)));
        }
        Self {
            client,
            sources,
            tell,
            ready_at: None,
            got_first: false,
            streams,
            repairs,
            report_due: now + REPORT_EVERY,
            is_missing: false,
        }
    }

    /// The server knows that it is ready: what comes from now on counts.
    pub(crate) fn ready(&mut self, now: Instant) {
        self.ready_at = Some(now);
    }

    /// Takes one datagram.
    pub(crate) fn take(&mut self, now: Instant, datagram: &mut [u8], seen: &mut Seen, meter: &Meter) {
        let (header, opened) = match self.client.handle(now, datagram) {
            Ok(Some(Event::Sealed { header, .. })) => (header, None),
            Ok(Some(Event::Rtp { header, packet })) => (header, Some(packet.len())),
            Ok(Some(Event::Rtcp(compound))) => {
                let compound = compound.to_vec();
                self.answer(&compound, now, seen);
                return;
            }
            Ok(Some(Event::Connected)) => return self.say(Told::Connected),
            Ok(Some(Event::Closed)) => return self.say(Told::Closed),
            Ok(None) => return,
            Err(dropped) => {
                seen.counts.forged += u64::from(dropped == Dropped::SrtpAuth);
                return;
            }
        };
        seen.counts.bytes_received += datagram.len() as u64;
        if let Some(&repaired) = self.repairs.get(&header.ssrc) {
            self.take_repair(repaired, &header, opened, datagram, now, seen);
            return;
        }
        let Some(stream) = self.streams.get_mut(&header.ssrc) else { return };
        if let Some(len) = opened {
            seen.counts.opened += 1;
            seen.delays_ns.extend(delay_ns(&datagram[header.len..len]));
        }
        if let (false, Some(ready_at)) = (self.got_first, self.ready_at) {
            self.got_first = true;
            meter.first_packet(now - ready_at);
        }
        match stream.sequence.take(header.sequence, now) {
            Arrived::New(expected) => {
                stream.count(&mut seen.counts, expected, 1);
                self.is_missing |= expected > 1;
            }
            Arrived::Late => stream.count(&mut seen.counts, 0, 1),
            Arrived::Known => {}
        }
    }

    /// A retransmission (RFC 4588 section 4) is always opened: the number of what it repairs is inside.
    fn take_repair(
        &mut self,
        repaired: u32,
        header: &Header,
        opened: Option<usize>,
        datagram: &mut [u8],
        now: Instant,
        seen: &mut Seen,
    ) {
        let len = match opened {
            Some(len) => len,
            None => match self.client.open_rtp(datagram) {
                Ok((_, len)) => len,
                Err(_) => {
                    seen.counts.forged += 1;
                    return;
                }
            },
        };
        let (Ok(payload), Some(stream)) = (header.payload(&datagram[..len]), self.streams.get_mut(&repaired)) else {
            return;
        };
        let Some(original) = payload.first_chunk::<2>() else { return };
        // What comes before the stream itself, or once more, is for probing the line.
        if !stream.sequence.is_new() && stream.sequence.take(u16::from_be_bytes(*original), now) == Arrived::Late {
            stream.count(&mut seen.counts, 0, 1);
            seen.counts.recovered += 1;
        }
    }

    /// What the server asks of a publisher, and its reports.
    fn answer(&mut self, compound: &[u8], now: Instant, seen: &mut Seen) {
        let (mut keys, mut asked) = (Vec::new(), Vec::new());
        // A part that lies about its length ends the reading; those before it count.
        let _ = rtcp::read(compound, |part| match part {
            Part::KeyframeRequest { ssrc } => keys.push(ssrc),
            Part::Nack { ssrc, pairs } => asked.extend(rtcp::sequences(pairs).map(|sequence| (ssrc, sequence))),
            Part::SenderReport { ssrc, ntp, .. } => {
                if let Some(stream) = self.streams.get_mut(&ssrc) {
                    stream.last_report = Some(((ntp >> 16) as u32, now));
                }
            }
            _ => {}
        });
        for ssrc in keys {
            seen.counts.keyframe_requests += 1;
            if let Some((line, _)) = self.client.find(ssrc) {
                self.sources.iter_mut().filter(|source| source.line == line).for_each(Source::make_key);
            }
        }
        for (ssrc, sequence) in asked {
            if let Some((line, layer)) = self.client.find(ssrc) {
                self.client.resend(line, layer, sequence);
            }
        }
    }

    /// Sends what a source has due.
    pub(crate) fn fire(&mut self, source: usize, now: Instant, seen: &mut Seen) {
        let (client, source) = (&mut self.client, &mut self.sources[source]);
        let line = source.line;
        source.fire(now, |layer, frame| {
            seen.counts.sent += u64::from(client.send_rtp(line, layer, frame).is_some());
        });
    }

    /// Does what is due: checks of consent and feedback by the client, reports, and asking again.
    pub(crate) fn tick(&mut self, now: Instant, seen: &mut Seen) {
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        if !self.client.is_connected() {
            return;
        }
        if now >= self.report_due {
            self.report_due = now + REPORT_EVERY;
            self.report(now);
        }
        if self.is_missing {
            self.is_missing = false;
            for (ssrc, stream) in &mut self.streams {
                let asks = stream.sequence.ask(now, ASK_AGAIN);
                self.is_missing |= stream.sequence.has_gaps();
                if !asks.is_empty() {
                    seen.counts.asked_again += asks.len() as u64;
                    self.client.send_rtcp(&nack(*ssrc, &asks));
                }
            }
        }
    }

    /// A receiver report with a block for each stream on which anything came (RFC 3550 section 6.4.2).
    fn report(&mut self, now: Instant) {
        let mut report = vec![0x80, 201, 0, 0, 0, 0, 0, 1];
        let live = self.streams.iter_mut().filter(|(_, stream)| stream.counts != stream.reported);
        for (count, (ssrc, stream)) in live.take(MOST_BLOCKS).enumerate() {
            report[0] = 0x81 + count as u8;
            stream.block(*ssrc, now, &mut report);
        }
        let words = (report.len() / 4 - 1) as u16;
        report[2..4].copy_from_slice(&words.to_be_bytes());
        self.client.send_rtcp(&report);
    }

    fn say(&self, told: Told) {
        // Nobody listens any more: they have left.
        let _ = self.tell.send(told);
    }
}

impl Stream {
    fn count(&mut self, all: &mut Counts, expected: u64, received: u64) {
        for counts in [all, &mut self.counts] {
            counts.came(self.is_sound, expected, received);
        }
    }

    fn block(&mut self, ssrc: u32, now: Instant, out: &mut Vec<u8>) {
        let window = self.counts.since(self.reported);
        self.reported = self.counts;
        let fraction = (window.lost() * 256).checked_div(window.expected).unwrap_or(0).min(255) as u32;
        let lost = self.counts.lost().min(0x7f_ffff) as u32;
        let (last, since) = self.last_report.map_or((0, 0), |(middle, at)| {
            let units = (now - at).as_secs_f64() * 65_536.0;
            (middle, units as u32)
        });
        let highest = self.sequence.highest().unwrap_or(0) as u32;
        for word in [ssrc, fraction << 24 | lost, highest, 0, last, since] {
            out.extend_from_slice(&word.to_be_bytes());
        }
    }
}

/// How long ago the time in a payload is, if it is a time.
pub(crate) fn delay_ns(payload: &[u8]) -> Option<u64> {
    let stamp = payload.get(STAMP)?.try_into().ok()?;
    let delay = clock_ns().checked_sub(u64::from_be_bytes(stamp))?;
    (delay < MOST_DELAY_NS).then_some(delay)
}

/// A generic NACK (RFC 4585 section 6.2.1): pairs of a number and a mask of the sixteen behind it. `missing` is in order.
fn nack(ssrc: u32, missing: &[u16]) -> Vec<u8> {
    let mut out = vec![0x81, 205, 0, 0, 0, 0, 0, 1];
    out.extend_from_slice(&ssrc.to_be_bytes());
    let mut rest = missing;
    while let [first, more @ ..] = rest {
        let near = more.iter().take_while(|sequence| (1..=16).contains(&sequence.wrapping_sub(*first))).count();
        let mask = more[..near].iter().fold(0_u16, |mask, sequence| mask | 1 << (sequence.wrapping_sub(*first) - 1));
        out.extend_from_slice(&first.to_be_bytes());
        out.extend_from_slice(&mask.to_be_bytes());
        rest = &more[near..];
    }
    let words = (out.len() / 4 - 1) as u16;
    out[2..4].copy_from_slice(&words.to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let missing = [65_530, 65_531, 2, 20, 36];
        let compound = nack(7, &missing);
        let mut read = Vec::new();
        rtcp::read(&compound, |part| match part {
            Part::Nack { ssrc: 7, pairs } => read.extend(rtcp::sequences(pairs)),
            part => panic!("{part:?}"),
        })
        .unwrap();
        assert_eq!(read, missing);
    }

    #[test]
    fn a_report_says_what_was_lost() {
        let mut stream = Stream::default();
        let mut all = Counts::default();
        stream.sequence.take(10, Instant::now());
        stream.count(&mut all, 8, 6);
        let mut report = vec![0x81, 201, 0, 7, 0, 0, 0, 1];
        stream.block(9, Instant::now(), &mut report);
        let mut fractions = Vec::new();
        rtcp::read(&report, |part| {
            if let Part::Block { ssrc: 9, fraction_lost, .. } = part {
                fractions.push(fraction_lost);
            }
        })
        .unwrap();
        assert_eq!(fractions, [64], "a quarter");
        assert_eq!(stream.counts, stream.reported);
        assert_eq!(all.lost(), 2);
    }
}
