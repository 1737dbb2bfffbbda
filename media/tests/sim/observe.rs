//! The laws, looked at wherever something leaves the server, and several times a second for what it holds.

use std::time::Duration;

use parlor_media::rtcp::{self, Part};
use parlor_media::rtp::Header;

use crate::law::Sent;
use crate::world::{ICE_TIMEOUT, World};

/// How much later than it must a thing may happen that is looked after four times a second.
const LATE: Duration = Duration::from_millis(600);
/// Key frame requests that a publisher gets in a second, and in ten, for one of its three lines: more would be a storm.
const MOST_PLIS: (usize, usize) = (4 * 3, 26 * 3);
/// How often the server asks for one packet.
const MOST_ASKED: u8 = 8;

impl World {
    /// The laws of a datagram that leaves the server, opened with its receiver's keys.
    pub fn observe(&mut self, place: usize, bytes: &[u8]) {
        self.account.print = self.account.print.wrapping_mul(31).wrapping_add(place as u64);
        if bytes.first().is_none_or(|first| *first < 128) {
            return;
        }
        self.account.print = self.account.print.wrapping_mul(31).wrapping_add(bytes.len() as u64);
        if self.guests[place].opener.is_none() {
            let keys = self.guests[place].client.keys().map(parlor_media::srtp::Opener::new);
            self.guests[place].opener = keys;
        }
        if self.guests[place].opener.is_none() {
            return;
        }
        let broken = if (192..=223).contains(&bytes[1]) {
            self.observe_rtcp(place, bytes)
        } else {
            self.observe_rtp(place, bytes)
        };
        if let Err(what) = broken {
            self.fail(&format!("to guest {place}: {what}"));
        }
    }

    fn observe_rtp(&mut self, place: usize, bytes: &[u8]) -> Result<(), String> {
        let guest = &mut self.guests[place];
        let Some(opener) = guest.opener.as_mut() else { return Ok(()) };
        let header = Header::parse(bytes).map_err(|_| "no RTP packet")?;
        let law = guest
            .laws
            .values_mut()
            .find(|law| law.ssrc == header.ssrc || law.rtx_ssrc == Some(header.ssrc))
            .ok_or("a stream of no slot")?;
        let index = law.index(&header).ok_or("a stream of no slot")?;
        let mut packet = bytes.to_vec();
        let len = opener.open_rtp(&mut packet, header.len, index).map_err(|_| "it cannot be opened")?;
        let payload = header.payload(&packet[..len]).map_err(|_| "padding that lies")?;
        let ssrc = law.ssrc;
        if self.traced {
            let read = crate::content::Content::read(payload, law.is_video);
            println!(
                "{:>6} to {place}: {ssrc} {index} {} {read:?}",
                (self.now - self.begun).as_millis(),
                header.ssrc == ssrc
            );
        }
        let Some(sent) = law.note(self.now, &header, index, payload, &self.arrived)? else { return Ok(()) };
        self.account.forwarded += u64::from(!sent.again);
        self.account.resent += u64::from(sent.again);
        self.observe_content(place, header.ssrc, &sent)
    }

    fn observe_content(&mut self, place: usize, ssrc: u32, sent: &Sent) -> Result<(), String> {
        let Some(content) = sent.content else { return Ok(()) };
        let me = &self.guests[place];
        let (who, line) = (usize::from(content.stream.who), content.stream.line);
        if usize::from(content.call) != me.call {
            return Err(format!("a packet of another call: {content:?}"));
        }
        if who == place {
            return Err(format!("its own packet: {content:?}"));
        }
        let publisher = self.guests.get(who).ok_or("a packet of nobody")?;
        let has_just_gone = !self.spokes.is_empty() && self.just_gone.contains(&who);
        if publisher.seat.is_none() && !has_just_gone || publisher.life != content.stream.life {
            return Err(format!("a packet of somebody who is gone: {content:?}"));
        }
        let track = publisher.tracks[usize::from(line)];
        if let Some(since) = self.muted.get(&track) {
            return Err(format!("a packet of a track that is muted since {:?}: {content:?}", self.now - *since));
        }
        if !sent.again {
            self.to_be_told.push((place, ssrc, who, line));
        }
        Ok(())
    }

    /// Slots say what flows in them.
    pub fn look_at_what_was_told(&mut self) {
        let flowed = std::mem::take(&mut self.to_be_told);
        for (place, ssrc, who, line) in flowed {
            let Some(&track) = self.guests[who].tracks.get(usize::from(line)) else { continue };
            let source = (self.guests[who].id, track);
            if !self.guests[place].told_at(ssrc, self.now).any(|told| told == Some(source)) {
                let told: Vec<_> = self.guests[place].told_at(ssrc, self.now).collect();
                self.fail(&format!("guest {place} gets {source:?} in a slot that was told to carry {told:?}"));
            }
        }
    }

    fn observe_rtcp(&mut self, place: usize, bytes: &[u8]) -> Result<(), String> {
        let guest = &mut self.guests[place];
        let Some(opener) = guest.opener.as_mut() else { return Ok(()) };
        let mut compound = Vec::new();
        opener.open_rtcp(bytes, &mut compound).map_err(|_| "RTCP that cannot be opened")?;
        let (mut asked, mut plis) = (Vec::new(), 0);
        rtcp::read(&compound, |part| match part {
            Part::KeyframeRequest { .. } => plis += 1,
            Part::Nack { ssrc, pairs } => asked.extend(rtcp::sequences(pairs).map(|sequence| (ssrc, sequence))),
            _ => {}
        })
        .map_err(|_| "RTCP that lies")?;
        for _ in 0..plis {
            guest.plis_got += 1;
            guest.plis.push_back(self.now);
        }
        let now = self.now;
        guest.plis.retain(|at| now < *at + Duration::from_secs(10));
        let of_late = guest.plis.iter().filter(|at| now < **at + Duration::from_secs(1)).count();
        if of_late > MOST_PLIS.0 || guest.plis.len() > MOST_PLIS.1 {
            return Err(format!("{of_late} key frames are asked for in a second, {} in ten", guest.plis.len()));
        }
        for name in asked {
            guest.nacks_got += 1;
            let Some((stream, number)) = guest.sent.get(&name) else {
                return Err(format!("{name:?} is asked for, but was never sent"));
            };
            if self.arrived.has(self.now, *stream, *number) {
                return Err(format!("{name:?} is asked for, but is there"));
            }
            let times = guest.asked.entry(name).or_default();
            *times += 1;
            if *times > MOST_ASKED {
                return Err(format!("{name:?} is asked for {times} times"));
            }
        }
        Ok(())
    }

    /// Who has a seat here has one there, and nobody stays who is not heard.
    pub fn look_at_seats(&mut self) {
        let seats = self.guests.iter().filter(|guest| guest.seat.is_some()).count() as u64;
        let participants: u64 = self.shards().map(|shard| shard.stats().participants).sum();
        if participants != seats {
            self.fail(&format!("{participants} participants where {seats} have seats"));
        }
        for (place, guest) in self.guests.iter().enumerate() {
            let Some(seat) = &guest.seat else { continue };
            let due = match (seat.closed_at, seat.connected_at) {
                (Some(closed_at), _) => closed_at + Duration::from_secs(16) + ICE_TIMEOUT,
                (None, Some(_)) => seat.heard_at + ICE_TIMEOUT,
                (None, None) => seat.joined_at + Duration::from_secs(30),
            };
            if self.now > due + LATE {
                self.fail(&format!("guest {place} outlives its time by {:?}: {seat:?}", self.now - due));
            }
        }
    }
}
