//! What peers send: connectivity checks, handshakes, media. A packet is authenticated before it changes anything.

use std::time::Instant;

use crate::audio::Heard;
use crate::codec;
use crate::drop::Drop;
use crate::event::Event;
use crate::fault::Step;
use crate::ice;
use crate::layer::Layer;
use crate::outbox::{Address, Path};
use crate::peer::{Inbound, MOST_ADDRESSES, MOST_INBOUND};
use crate::ring::Packet;
use crate::rtp::Header;
use crate::shard::Shard;
use crate::srtp::{Opener, RolloverWindow, Sealer};
use crate::track::{Codec, Kind, PeerKey};

/// An address stays its owner's for this long after the last check: twice the interval of consent checks.
const ADDRESS_HELD_US: u64 = 5_000_000;
/// A payload longer than this did not come in one piece, and could not be sent on in one.
const MOST_PAYLOAD: usize = 1_400;
/// A layer may begin anew under another SSRC this often at most.
const LAYER_LASTS_US: u64 = 1_000_000;
/// Who has ended the connection may offer another one for this long before the seat is given up.
pub(crate) const CLOSED_KEPT_US: u64 = 15_000_000;

impl Shard {
    pub(crate) fn on_stun(&mut self, now_us: u64, path: Path, bytes: &[u8]) -> Result<(), Drop> {
        let (from, address) = (path.remote, path.address());
        self.scratch.clear();
        let Some(ufrag) = ice::local_ufrag(bytes) else {
            // No credentials asked: a plain STUN request learns its own address and nothing else.
            if !ice::plain_binding_response(from, bytes, &mut self.scratch) {
                return Err(Drop::StunMalformed);
            }
            self.out.datagram(path, &self.scratch);
            return Ok(());
        };
        let key = *self.by_ufrag.get(ufrag).ok_or(Drop::StunUnknownUfrag)?;
        self.work_for_peer(key, Step::Packet);
        if self.is_taken(address, key, now_us) {
            return Err(Drop::AddressTaken);
        }
        let peer = &mut *self.peers[key];
        let current = peer.ice.local_ufrag == ufrag;
        let agent = if current { Some(&peer.ice) } else { peer.old_ice.as_ref() };
        let check = agent.ok_or(Drop::StunUnknownUfrag)?.handle(from, bytes, &mut self.scratch)?;
        self.out.datagram(path, &self.scratch);
        if !check.accepted {
            return Ok(());
        }
        if current && let Some(old) = peer.old_ice.take() {
            self.by_ufrag.remove(&old.local_ufrag);
        }
        peer.checked_us = now_us;
        peer.addresses.retain(|(known, _)| *known != address);
        if peer.addresses.len() == MOST_ADDRESSES {
            let selected = peer.addr.map(|path| path.address());
            let oldest = peer.addresses.iter().position(|(known, _)| Some(*known) != selected).unwrap_or(0);
            let (oldest, _) = peer.addresses.remove(oldest);
            if self.by_address.get(&oldest) == Some(&key) {
                self.by_address.remove(&oldest);
            }
        }
        peer.addresses.push((address, now_us));
        self.by_address.insert(address, key);
        if check.nominated || peer.addr.is_none() {
            peer.addr = Some(path);
        }
        Ok(())
    }

    /// Whether an address belongs to somebody else who has just shown it. Behind one NAT it may change hands, but not at once.
    fn is_taken(&self, address: Address, key: PeerKey, now_us: u64) -> bool {
        let owner =
            self.by_address.get(&address).filter(|owner| **owner != key).and_then(|owner| self.peers.get(*owner));
        owner.is_some_and(|owner| {
            owner.addresses.iter().any(|(known, shown_us)| *known == address && now_us < shown_us + ADDRESS_HELD_US)
        })
    }

    fn peer_at(&self, from: Address) -> Result<PeerKey, Drop> {
        self.by_address.get(&from).copied().ok_or(Drop::UnknownAddress)
    }

    pub(crate) fn on_dtls(&mut self, now: Instant, now_us: u64, from: Path, bytes: &[u8]) -> Result<(), Drop> {
        let key = self.peer_at(from.address())?;
        self.work_for_peer(key, Step::Packet);
        // The pair that the client shakes hands on is the one that it has chosen, whichever was checked first.
        if !self.peers[key].connected {
            self.peers[key].addr = Some(from);
        }
        let dtls = self.peers[key].dtls.as_mut().ok_or(Drop::DtlsClosed)?;
        let result = dtls.handle(now, bytes);
        self.after_dtls(key, now_us);
        result
    }

    /// Sends what the handshake has to say and takes its keys once it is done.
    pub(crate) fn after_dtls(&mut self, key: PeerKey, now_us: u64) {
        let peer = &mut *self.peers[key];
        let (Some(dtls), Some(to)) = (peer.dtls.as_mut(), peer.addr) else { return };
        while let Some(datagram) = dtls.poll_transmit() {
            self.out.datagram(to, &datagram);
        }
        if dtls.is_closed() {
            // A page that reconnects ends the old connection before it offers the new one: the seat waits.
            (peer.dtls, peer.opener, peer.sealer) = (None, None, None);
            (peer.connected, peer.ready, peer.closed_us) = (false, false, Some(now_us));
            let (participant, connection, call) = (peer.participant, peer.connection, self.calls[peer.call].id);
            self.events.push_back(Event::Closed { call, participant, connection });
            return;
        }
        if let Some(keys) = dtls.take_keys() {
            peer.opener = Some(Opener::new(&keys));
            peer.sealer = Some(Sealer::new(&keys));
            peer.connected = true;
            peer.checked_us = now_us;
            let (participant, connection, call) = (peer.participant, peer.connection, self.calls[peer.call].id);
            self.events.push_back(Event::Connected { call, participant, connection });
        }
    }

    pub(crate) fn on_rtp(&mut self, now_us: u64, from: Address, bytes: &mut [u8]) -> Result<(), Drop> {
        let key = self.peer_at(from)?;
        self.work_for_peer(key, Step::Packet);
        let header = Header::parse(bytes)?;
        let peer = &mut *self.peers[key];
        let known = peer.inbound.iter().position(|inbound| inbound.ssrc == header.ssrc);
        let at = match known {
            Some(at) => {
                let opener = peer.opener.as_mut().ok_or(Drop::NoKeys)?;
                let window = &mut peer.inbound[at].window;
                let index = window.estimate(header.sequence);
                window.check(index)?;
                let len = opener.open_rtp(bytes, header.len, index)?;
                window.accept(index);
                return self.accepted(key, at, &header, index, &bytes[..len], now_us);
            }
            None => self.introduce(key, &header, bytes, now_us)?,
        };
        let inbound = &self.peers[key].inbound[at.0];
        let index = inbound.window.highest().unwrap_or(u64::from(header.sequence));
        self.accepted(key, at.0, &header, index, &bytes[..at.1], now_us)
    }

    /// The first packet of a stream: it must authenticate before the stream exists. Answers its place and the packet's length.
    fn introduce(
        &mut self,
        key: PeerKey,
        header: &Header,
        bytes: &mut [u8],
        now_us: u64,
    ) -> Result<(usize, usize), Drop> {
        let peer = &mut *self.peers[key];
        let (section, layer, rtx) = peer.resolve(bytes, header)?;
        let opener: &mut Opener = peer.opener.as_mut().ok_or(Drop::NoKeys)?;
        let mut window = RolloverWindow::default();
        let index = window.estimate(header.sequence);
        let len = opener.open_rtp(bytes, header.len, index)?;
        window.accept(index);
        let track_key = peer.sections[section].track;
        // A publisher that starts a layer anew (a replaced encoder) does it under a new SSRC: the old stream is over.
        let replaced =
            peer.inbound.iter().position(|known| (known.track, known.layer, known.rtx) == (track_key, layer, rtx));
        if replaced.is_none() && peer.inbound.len() == MOST_INBOUND {
            return Err(Drop::TooManySsrcs);
        }
        let inbound = Inbound { ssrc: header.ssrc, window, track: track_key, section, layer, rtx };
        if !rtx {
            let track = &mut self.tracks[track_key];
            let track_layer = &mut track.layers[usize::from(layer)];
            if replaced.is_some() {
                if now_us < track_layer.begun_us + LAYER_LASTS_US {
                    return Err(Drop::TooManySsrcs);
                }
                self.epochs += 1;
                track_layer.restart(self.epochs);
                track.fresh.retain(|fresh| fresh.layer != layer);
            }
            (track_layer.ssrc, track_layer.begun_us) = (Some(header.ssrc), now_us);
        }
        let at = match replaced {
            Some(at) => {
                peer.inbound[at] = inbound;
                at
            }
            None => {
                peer.inbound.push(inbound);
                peer.inbound.len() - 1
            }
        };
        Ok((at, len))
    }

    /// A packet that authenticated: feedback, unwrapping of retransmissions, and into its layer.
    fn accepted(
        &mut self,
        key: PeerKey,
        at: usize,
        header: &Header,
        index: u64,
        packet: &[u8],
        now_us: u64,
    ) -> Result<(), Drop> {
        let peer = &mut *self.peers[key];
        let inbound = &peer.inbound[at];
        let section = &peer.sections[inbound.section];
        let (track_key, layer, rtx, kind) = (inbound.track, inbound.layer, inbound.rtx, section.kind);
        let call = peer.call;
        let extension = |id: Option<u8>| id.and_then(|id| header.extension(packet, id));
        if let Some(&[high, low]) = extension(section.extensions.transport_cc) {
            peer.arrivals.record(u16::from_be_bytes([high, low]), now_us);
        }
        let track = &mut self.tracks[track_key];
        let place = usize::from(layer);
        let payload = header.payload(packet)?;
        if track.muted {
            // It arrived all the same: neither lost, nor to be asked for again.
            let index = if rtx { original(&track.layers[place], payload)?.0 } else { index };
            track.layers[place].receive_padding(index, now_us);
            return Err(Drop::Muted);
        }
        let (index, payload) = if rtx {
            original(&track.layers[place], payload)?
        } else if track.layers[place].awaits(index) {
            (index, payload)
        } else {
            return Err(Drop::Duplicate);
        };
        if payload.len() > MOST_PAYLOAD {
            return Err(Drop::Payload);
        }
        if payload.is_empty() {
            if !rtx {
                track.layers[place].receive_padding(index, now_us);
                track.fresh.push(crate::track::Fresh { layer, padding: true, index });
                if self.calls[call].recorded {
                    let padding = Packet::new(index, header.timestamp, false, codec::Descriptor::EMPTY, now_us);
                    self.copy_padding(track_key, place, &padding);
                }
                self.mark(track_key);
            }
            return Err(Drop::Padding);
        }
        if kind == Kind::Audio {
            let level = extension(section.extensions.audio_level).and_then(|level| level.first());
            let (timestamp, marker, payload_type) = (header.timestamp, header.marker, section.payload_type);
            let red = section.red_payload_type == Some(header.payload_type);
            let level = level.map(|level| level & 0x7f);
            let heard = Heard { index, timestamp, marker, payload, red, payload_type, level };
            self.hear(track_key, heard, now_us)?;
            self.mark(track_key);
            return Ok(());
        }
        let dependency = section.extensions.dependency_descriptor.filter(|_| track.codec == Codec::Av1);
        let dependency = extension(dependency).unwrap_or_default();
        let structure = &mut track.layers[place].structure;
        let frame = codec::describe(track.codec, header.marker, payload, dependency, structure).ok_or(Drop::Payload)?;
        self.stats.repaired += u64::from(rtx);
        if rtx {
            track.layers[place].repaired += 1;
            track.layers[place].nacks.answered(index);
        }
        let packet = Packet::new(index, header.timestamp, header.marker, frame, now_us);
        track.receive_with(place, packet, dependency, payload);
        if !track.active {
            self.begin_track(track_key);
        }
        self.sample(track_key, place, index, now_us);
        if self.calls[call].recorded {
            self.copy(track_key, place, index);
        }
        self.mark(track_key);
        Ok(())
    }

    fn mark(&mut self, track: usize) {
        self.dirty.note(track);
    }
}

/// What a retransmission carries: the index of its original, which must be missing, and the payload (RFC 4588 §4).
fn original<'a>(layer: &Layer, payload: &'a [u8]) -> Result<(u64, &'a [u8]), Drop> {
    let (original, payload) = payload.split_at_checked(2).ok_or(Drop::Padding)?;
    let index = layer.index_of(u16::from_be_bytes([original[0], original[1]]));
    Ok((index.filter(|index| layer.lacks(*index)).ok_or(Drop::UselessRtx)?, payload))
}
