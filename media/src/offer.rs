//! Joining a call: an offer in, an answer out. The same connection may offer again for more slots; a new connection of the
//! same participant replaces the old one.

use crate::allocate::Rank;
use crate::call::Call;
use crate::fault::Step;
use crate::forward::{Extensions, Format, Formats, Seeds, Stream};
use crate::ice::{self, Agent};
use crate::id::{CallId, ParticipantId, TrackId};
use crate::line::Line;
use crate::peer::{FIRST_RTT_US, MOST_RESEND_CREDIT, Peer, Section, low_to_high};
use crate::quality::Quality;
use crate::sdp::{self, Answer, Offer, OfferedMedia, SdpError, SlotLine};
use crate::shard::Shard;
use crate::slots::{Requests, Slot, Told};
use crate::track::{Codec, Kind, MOST_LAYERS, Origin, PeerKey, Source, Track};
use crate::twcc::Arrivals;

/// Slots that one peer may have: four pages of tiles.
const MOST_SLOTS: usize = 60;
/// Tracks that one peer may publish: microphone, camera, screen, and some to spare.
const MOST_TRACKS: usize = 6;
/// Characters of ICE credentials (RFC 8445 §5.3 asks for 4 and 22 at least), of which the first names the shard.
const UFRAG_LEN: usize = 8;
const PWD_LEN: usize = 24;

/// What a send section of an offer carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedTrack {
    /// The section.
    pub mid: String,
    /// What it shows.
    pub source: Source,
    /// Its name from now on. Ignored for a section that the connection offered before.
    pub track: TrackId,
    /// It begins muted ([`Shard::mute`]): not one packet of it passes. Ignored like the name.
    pub muted: bool,
}

/// An offer's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The description.
    pub sdp: String,
    /// Which of the shard's connections this is. The same number: the connection goes on.
    pub connection: u64,
    /// The connection begins with this answer; an earlier one of the participant, with its tracks, is gone.
    pub fresh: bool,
}

/// Why an offer gets no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The description itself.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// The call has as many participants as it may.
    #[error("the call is full: {0} participants")]
    Full(usize),
}

impl Shard {
    /// Answers a participant's offer; the call begins with its first participant.
    ///
    /// # Errors
    /// When the offer cannot be answered; nothing has changed then.
    pub fn offer(
        &mut self,
        now: std::time::Instant,
        call: CallId,
        participant: ParticipantId,
        sdp: &str,
        tracks: &[OfferedTrack],
    ) -> Result<Answered, OfferError> {
        let now_us = self.us(now);
        let offer = Offer::parse(sdp)?;
        let offer = offer.allowing(&self.config.codecs)?;
        if offer.senders().count() > MOST_TRACKS || offer.slots().count() > MOST_SLOTS {
            return Err(SdpError::TooManyMedia.into());
        }
        let known = self.by_participant.get(&participant).copied();
        let goes_on = known.filter(|key| self.peers[*key].goes_on_with(&offer));
        let key = match goes_on {
            Some(key) => {
                self.restart_ice(key, &offer);
                key
            }
            None => {
                let in_call = self.by_call.get(&call).map_or(0, |call| self.calls[*call].peers.len());
                if known.is_none() && in_call >= self.config.most_participants {
                    return Err(OfferError::Full(self.config.most_participants));
                }
                if let Some(old) = known {
                    self.remove(old);
                }
                self.admit(call, participant, &offer, now_us)
            }
        };
        self.work_for_peer(key, Step::Command);
        for (_, media) in offer.senders() {
            self.publish(key, media, tracks);
        }
        for (_, media) in offer.slots() {
            self.add_slot(key, media);
        }
        self.unsettle(key);
        let sdp = offer.answer(&self.answer(key, &offer));
        Ok(Answered { sdp, connection: self.peers[key].connection, fresh: goes_on.is_none() })
    }

    fn admit(&mut self, id: CallId, participant: ParticipantId, offer: &Offer, now_us: u64) -> PeerKey {
        let call = match self.by_call.get(&id) {
            Some(call) => *call,
            None => {
                let call = self.calls.insert(Call::new(id, self.is_recorded(id), self.config.audio_speakers));
                self.by_call.insert(id, call);
                call
            }
        };
        let (ufrag, pwd) = self.new_credentials();
        let reporter_ssrc = self.random_u32();
        self.epochs += 1;
        let peer = Peer {
            participant,
            call,
            ice: Agent::new(ufrag.clone(), pwd, offer.ice_ufrag.clone()),
            old_ice: None,
            connection: self.epochs,
            session: offer.session.clone(),
            closed_us: None,
            resend_credit: MOST_RESEND_CREDIT,
            credited_us: now_us,
            fingerprint: offer.fingerprint,
            addr: None,
            addresses: Vec::new(),
            joined_us: now_us,
            checked_us: now_us,
            told_us: now_us,
            quality: Quality::new(now_us),
            dtls: Some(Box::new(crate::dtls::Dtls::new(&self.certificate, offer.fingerprint))),
            opener: None,
            sealer: None,
            connected: false,
            ready: false,
            sections: Vec::new(),
            inbound: Vec::new(),
            slots: Vec::new(),
            line: None,
            view: None,
            arrivals: Arrivals::default(),
            twcc_us: 0,
            reporter_ssrc,
            clock_shift_us: None,
            rtt_us: FIRST_RTT_US,
            reported_us: now_us,
            answers: 0,
        };
        let key = self.peers.insert(Box::new(peer));
        self.calls[call].peers.push(key);
        self.by_participant.insert(participant, key);
        self.by_ufrag.insert(ufrag, key);
        key
    }

    /// New remote credentials on a known connection: ours change with them (RFC 8445 §9), addresses stay until checks name others.
    fn restart_ice(&mut self, key: PeerKey, offer: &Offer) {
        if self.peers[key].ice.remote_ufrag == offer.ice_ufrag {
            return;
        }
        let (ufrag, pwd) = self.new_credentials();
        let peer = &mut self.peers[key];
        let before = std::mem::replace(&mut peer.ice, Agent::new(ufrag.clone(), pwd, offer.ice_ufrag.clone()));
        // The working path goes on under the old credentials until the answer has reached the client.
        if let Some(older) = peer.old_ice.replace(before) {
            self.by_ufrag.remove(&older.local_ufrag);
        }
        self.by_ufrag.insert(ufrag, key);
    }

    fn publish(&mut self, key: PeerKey, media: &OfferedMedia, tracks: &[OfferedTrack]) {
        let peer = &self.peers[key];
        let Some(offered) = tracks.iter().find(|track| track.mid == media.mid) else { return };
        let Some(codec) = media.codec() else { return };
        if peer.sections.len() == MOST_TRACKS
            || peer.sections.iter().any(|section| section.mid == media.mid)
            || self.by_track.get(&offered.track).is_some_and(|known| self.tracks[*known].link().is_none())
            || offered.source.kind() != kind_of(media)
        {
            return;
        }
        // Its publisher was elsewhere until now.
        if let Some(&moved) = self.by_track.get(&offered.track) {
            self.forget_track(moved);
        }
        let peer = &self.peers[key];
        let rids = low_to_high(media.send_rids.clone());
        let (participant, call) = (peer.participant, peer.call);
        let epoch = self.epochs + 1;
        self.epochs += MOST_LAYERS as u64;
        let coded = codec_of(codec.name);
        let track =
            Track::new(offered.track, participant, (call, Origin::Peer(key)), offered.source, coded, rids.len(), epoch);
        let track = self.tracks.insert(Track { muted: offered.muted, ..track });
        self.by_track.insert(offered.track, track);
        self.calls[call].tracks.push(track);
        self.peers[key].sections.push(Section {
            mid: media.mid.clone(),
            track,
            kind: kind_of(media),
            payload_type: codec.payload_type,
            rtx_payload_type: codec.rtx_payload_type,
            red_payload_type: codec.red_payload_type,
            nack: codec.feedback.nack,
            extensions: media.extensions,
            rids,
            ssrcs: media.ssrcs.clone(),
            fid: media.fid.clone(),
        });
        self.announce(track);
    }

    fn add_slot(&mut self, key: PeerKey, media: &OfferedMedia) {
        let kind = kind_of(media);
        let slots = &self.peers[key].slots;
        if slots.len() == MOST_SLOTS || slots.iter().any(|slot| slot.mid == media.mid) {
            return;
        }
        let number = slots.iter().filter(|slot| slot.kind == kind).count();
        let ssrc = self.random_u32();
        let rtx_ssrc = media.codecs.iter().any(|codec| codec.rtx_payload_type.is_some()).then(|| self.random_u32());
        let formats = media.codecs.iter().map(|codec| Format {
            codec: codec_of(codec.name),
            payload_type: codec.payload_type,
            rtx_payload_type: codec.rtx_payload_type,
            red_payload_type: codec.red_payload_type,
        });
        let Some(formats) = Formats::new(formats.collect()) else { return };
        let offered = &media.extensions;
        let feeds_back = media.codecs.iter().any(|codec| codec.feedback.transport_cc) && offered.transport_cc.is_some();
        let extensions = Extensions {
            transport_cc: offered.transport_cc.filter(|_| feeds_back),
            dependency: offered.dependency_descriptor,
        };
        let tells = feeds_back || media.codecs.iter().any(|codec| codec.feedback.remb);
        if tells && kind == Kind::Video && self.config.estimation && self.peers[key].line.is_none() {
            self.peers[key].line = Some(Box::new(Line::new(self.config.pacing, feeds_back)));
        }
        let random = self.random_u32();
        let seeds =
            Seeds { sequence: random as u16, rtx_sequence: (random >> 16) as u16, timestamp: self.random_u32() };
        self.peers[key].slots.push(Slot {
            mid: media.mid.clone(),
            kind,
            number,
            stream: Stream::new(kind, (ssrc, rtx_ssrc), formats, extensions, seeds),
            track: None,
            among: 0,
            target: None,
            given: None,
            paused: false,
            requests: Requests::default(),
            fell_us: 0,
            rank: (Rank::Other, 0),
            width: 0,
            told: Told::default(),
            first_timestamp: None,
            reported: None,
        });
    }

    fn answer(&mut self, key: PeerKey, offer: &Offer) -> Answer {
        let peer = &mut self.peers[key];
        peer.answers += 1;
        let slots = offer.slots().filter_map(|(_, media)| peer.slots.iter().find(|slot| slot.mid == media.mid));
        let slots = slots.map(|slot| {
            let kind = match slot.kind {
                Kind::Audio => "audio",
                Kind::Video => "video",
            };
            SlotLine {
                ssrc: slot.stream.ssrc,
                rtx_ssrc: slot.stream.rtx_ssrc,
                // Audio slot n and video slot n are one stream to the browser, which plays them in step.
                stream: format!("slot{}", slot.number),
                track: format!("{kind}{}", slot.number),
            }
        });
        Answer {
            version: peer.answers,
            ice_ufrag: peer.ice.local_ufrag.clone(),
            ice_pwd: peer.ice.local_pwd.clone(),
            fingerprint: self.certificate.fingerprint(),
            candidates: self.config.candidates.clone(),
            tcp_candidates: self.config.tcp_candidates.clone(),
            slots: slots.collect(),
        }
    }

    /// Forgets a peer, its tracks and its place in everybody's slots.
    pub(crate) fn remove(&mut self, key: PeerKey) {
        let peer = self.peers.remove(key);
        self.by_participant.remove(&peer.participant);
        self.by_ufrag.remove(&peer.ice.local_ufrag);
        if let Some(old) = &peer.old_ice {
            self.by_ufrag.remove(&old.local_ufrag);
        }
        for (address, _) in &peer.addresses {
            // An address may have gone over to somebody else behind the same NAT.
            if self.by_address.get(address) == Some(&key) {
                self.by_address.remove(address);
            }
        }
        for slot in &peer.slots {
            if let Some(track) = slot.track {
                self.unsubscribe(track, slot.among);
            }
        }
        self.calls[peer.call].peers.retain(|member| *member != key);
        for section in &peer.sections {
            self.forget_track(section.track);
        }
        self.end_if_empty(peer.call);
    }

    /// A user name whose first letter says which shard it is of, and a password.
    fn new_credentials(&mut self) -> (String, String) {
        let shard = ice::LETTERS[usize::from(self.config.number) % ice::LETTERS.len()] as char;
        (format!("{shard}{}", self.random_text(UFRAG_LEN - 1)), self.random_text(PWD_LEN))
    }

    fn random_text(&mut self, len: usize) -> String {
        (0..len).map(|_| ice::LETTERS[(self.random_u32() >> 26) as usize] as char).collect()
    }
}

fn codec_of(name: sdp::CodecName) -> Codec {
    match name {
        sdp::CodecName::Opus => Codec::Opus,
        sdp::CodecName::Vp8 => Codec::Vp8,
        sdp::CodecName::Vp9 => Codec::Vp9,
        sdp::CodecName::H264 => Codec::H264,
        sdp::CodecName::Av1 => Codec::Av1,
    }
}

fn kind_of(media: &OfferedMedia) -> Kind {
    match media.kind {
        sdp::Kind::Video => Kind::Video,
        _ => Kind::Audio,
    }
}
