//! One participant's transport and what it negotiated: credentials, keys, the streams it sends and the slots it receives.

use crate::drop::Drop;
use crate::dtls::Dtls;
use crate::ice::Agent;
use crate::id::{ParticipantId, TrackId};
use crate::line::Line;
use crate::outbox::{Address, Path};
use crate::quality::Quality;
use crate::rtp::Header;
use crate::sdp::Extensions;
use crate::shard::TICK_US;
use crate::slots::Slot;
use crate::srtp::{Opener, RolloverWindow, Sealer};
use crate::track::{Kind, TrackKey};
use crate::twcc::Arrivals;

/// Streams that one peer may send: two pictures in three layers with their retransmissions, two sounds, and some to spare.
pub(crate) const MOST_INBOUND: usize = 32;
/// Addresses that one peer may show: a browser tries a handful of pairs.
pub(crate) const MOST_ADDRESSES: usize = 8;

/// A send section of the peer's offer.
#[derive(Debug)]
pub(crate) struct Section {
    pub mid: String,
    pub track: TrackKey,
    pub kind: Kind,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    /// Redundant audio (RFC 2198).
    pub red_payload_type: Option<u8>,
    /// The client repeats packets that are asked for.
    pub nack: bool,
    pub extensions: Extensions,
    /// Simulcast rids, lowest layer first; empty for a single layer.
    pub rids: Vec<String>,
    /// SSRCs that the offer declares, and its pairs of media and retransmission SSRC.
    pub ssrcs: Vec<u32>,
    pub fid: Vec<(u32, u32)>,
}

/// One stream that the peer sends.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub ssrc: u32,
    pub window: RolloverWindow,
    pub track: TrackKey,
    pub section: usize,
    pub layer: u8,
    /// It carries retransmissions of its layer.
    pub rtx: bool,
}

/// What a peer wants to see of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The track.
    pub track: TrackId,
    /// The width of its tile in device pixels.
    pub width: u16,
    /// Whether the tile is on screen.
    pub visible: bool,
}

/// One participant as the shard knows it.
pub(crate) struct Peer {
    pub participant: ParticipantId,
    pub call: usize,
    pub ice: Agent,
    /// The credentials before a restart: they hold until the first check under the new ones.
    pub old_ice: Option<Agent>,
    /// Tells this connection from an earlier one of the same participant.
    pub connection: u64,
    /// The session id of its offers, constant for a connection (RFC 8829 §5.2.1).
    pub session: String,
    /// When the client ended the connection.
    pub closed_us: Option<u64>,
    /// Packets that may be sent again, and since when that is so.
    pub resend_credit: u64,
    pub credited_us: u64,
    pub fingerprint: crate::dtls::Fingerprint,
    /// Where to send: the address of the last nominated check.
    pub addr: Option<Path>,
    /// Every address that has shown the credentials, and when it last did, the latest last.
    pub addresses: Vec<(Address, u64)>,
    pub joined_us: u64,
    pub checked_us: u64,
    /// When its last RTCP came.
    pub told_us: u64,
    /// What its line is like.
    pub quality: Quality,
    pub dtls: Option<Box<Dtls>>,
    pub opener: Option<Opener>,
    pub sealer: Option<Sealer>,
    pub connected: bool,
    /// The client has said that it can take media.
    pub ready: bool,
    pub sections: Vec<Section>,
    pub inbound: Vec<Inbound>,
    pub slots: Vec<Slot>,
    /// What its line bears, where it says what arrives.
    pub line: Option<Box<Line>>,
    pub view: Option<Vec<View>>,
    pub arrivals: Arrivals,
    pub twcc_us: u64,
    /// The SSRC under which the server reports to this peer.
    pub reporter_ssrc: u32,
    /// From the publisher's NTP clock to the shard's, µs, once a sender report has come.
    pub clock_shift_us: Option<i64>,
    pub rtt_us: u64,
    pub reported_us: u64,
    /// Answers given so far: the version of the session description.
    pub answers: u64,
}

/// Packets that may be sent again to one peer: so many at once, and so many more in each tick of 10 ms. 3,200 a second is more
/// than anybody can lose and still watch, and too little to do harm with.
pub(crate) const MOST_RESEND_CREDIT: u64 = 512;
const RESEND_CREDIT_PER_TICK: u64 = 32;

/// The round trip assumed before the first report, µs.
pub(crate) const FIRST_RTT_US: u64 = 100_000;

impl Peer {
    /// Credit for packets that are sent again grows with time.
    pub fn renew_credit(&mut self, now_us: u64) {
        let ticks = now_us.saturating_sub(self.credited_us) / TICK_US;
        self.credited_us += ticks * TICK_US;
        self.resend_credit = MOST_RESEND_CREDIT.min(self.resend_credit + ticks * RESEND_CREDIT_PER_TICK);
    }

    /// Whether an offer is this connection's next one, rather than the first of another one.
    pub fn goes_on_with(&self, offer: &crate::sdp::Offer) -> bool {
        self.closed_us.is_none() && self.fingerprint == offer.fingerprint && self.session == offer.session
    }
    /// Where an unknown SSRC belongs, by what its packet carries and the offer declared: section, layer, retransmission.
    ///
    /// # Errors
    /// `UnknownSsrc` when nothing names a section, `Payload` when the payload type is not the section's.
    pub fn resolve(&self, packet: &[u8], header: &Header) -> Result<(usize, u8, bool), Drop> {
        let declared = self.sections.iter().position(|section| {
            section.ssrcs.contains(&header.ssrc) || section.fid.iter().any(|(_, rtx)| *rtx == header.ssrc)
        });
        let section = match self.section_by_mid(packet, header) {
            Some(found) => found,
            None => declared.or_else(|| self.section_by_payload_type(header.payload_type)).ok_or(Drop::UnknownSsrc)?,
        };
        let negotiated = &self.sections[section];
        let rtx = negotiated.rtx_payload_type == Some(header.payload_type);
        let red = negotiated.red_payload_type == Some(header.payload_type);
        if !rtx && !red && negotiated.payload_type != header.payload_type {
            return Err(Drop::Payload);
        }
        if negotiated.rids.is_empty() {
            return Ok((section, 0, rtx));
        }
        let id = if rtx { negotiated.extensions.repaired_rid } else { negotiated.extensions.rid };
        let rid = id.and_then(|id| header.extension(packet, id)).ok_or(Drop::UnknownSsrc)?;
        let layer = negotiated.rids.iter().position(|known| known.as_bytes() == rid).ok_or(Drop::UnknownSsrc)?;
        Ok((section, layer as u8, rtx))
    }

    fn section_by_mid(&self, packet: &[u8], header: &Header) -> Option<usize> {
        let id = self.sections.iter().find_map(|section| section.extensions.mid)?;
        let mid = header.extension(packet, id)?;
        self.sections.iter().position(|section| section.mid.as_bytes() == mid)
    }

    /// The one section that uses a payload type, when only one does.
    fn section_by_payload_type(&self, payload_type: u8) -> Option<usize> {
        let mut found = self.sections.iter().enumerate().filter(|(_, section)| {
            section.payload_type == payload_type || section.rtx_payload_type == Some(payload_type)
        });
        // A layer whose first packets, which name it, were lost must not pass for the other section's single stream.
        let (first, section) = found.next()?;
        (found.next().is_none() && section.rids.is_empty()).then_some(first)
    }
}

/// Orders rids from the lowest layer to the highest: by the names in common use, else as offered.
pub(crate) fn low_to_high(mut rids: Vec<String>) -> Vec<String> {
    const NAMES: [[&str; 3]; 4] = [["q", "h", "f"], ["l", "m", "h"], ["0", "1", "2"], ["low", "mid", "high"]];
    rids.truncate(crate::track::MOST_LAYERS);
    if let Some(names) = NAMES.iter().find(|names| rids.iter().all(|rid| names.contains(&rid.as_str()))) {
        rids.sort_by_key(|rid| names.iter().position(|name| name == rid));
    }
    rids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rids_are_ordered_by_their_common_names() {
        let order = |rids: &[&str]| low_to_high(rids.iter().map(|rid| (*rid).to_owned()).collect()).join("");
        assert_eq!(order(&["f", "h", "q"]), "qhf");
        assert_eq!(order(&["h", "m", "l"]), "lmh");
        assert_eq!(order(&["2", "0", "1"]), "012");
        assert_eq!(order(&["b", "a"]), "ba");
    }
}
