//! Whose call the core works for, so that a panic ends that call and no other.
//!
//! Everything the core does is a step for one call: a packet, a command, a peer's share of a timer, a receiver's share of a tick.
//! The call is noted when the step begins. Whoever drives the core catches a panic, asks for the culprit and has it
//! broken off: the call's peers and tracks are removed, and every index is made anew of what remains. What the panic
//! interrupted for others in the same tick is lost, as a packet may be.

use crate::event::Event;
use crate::id::{CallId, ParticipantId};
use crate::peer::Peer;
use crate::shard::Shard;
use crate::track::{Kind, PeerKey, TrackKey};

/// What is being done for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A datagram of a peer.
    Packet,
    /// A command of the layers above.
    Command,
    /// A peer's share of a tick: repairs and feedback.
    Repair,
    /// A peer's or a call's share of what is looked after some times a second.
    LookAfter,
    /// One receiver's packets of a tick.
    Forward,
    /// Mapping tracks onto one peer's slots, and telling it.
    Settle,
}

/// Whose step it is.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// The place of the call that is worked for now; none between steps.
    now: Option<usize>,
    /// The place of the call that the last step was for.
    last: Option<usize>,
    /// What is going on is for several calls.
    several: bool,
    #[cfg(feature = "faults")]
    planned: Option<planned::Fault>,
}

impl Shard {
    /// A step for the call at this place begins.
    #[inline]
    pub(crate) fn work_for(&mut self, call: usize, step: Step) {
        let before = self.work.now.replace(call);
        self.work.several |= before.is_some_and(|before| before != call);
        #[cfg(feature = "faults")]
        self.strike(call, step);
        #[cfg(not(feature = "faults"))]
        let _ = step;
    }

    /// A step for a peer's call begins.
    #[inline]
    pub(crate) fn work_for_peer(&mut self, key: PeerKey, step: Step) {
        if let Some(peer) = self.peers.get(key) {
            let call = peer.call;
            self.work_for(call, step);
            if !matches!(step, Step::Repair | Step::LookAfter | Step::Forward)
                && let Some(until_us) = self.calm_until_us.get_mut(key)
            {
                *until_us = 0;
            }
        }
    }

    /// A step for a track's call begins.
    pub(crate) fn work_for_track(&mut self, key: TrackKey, step: Step) {
        if let Some(track) = self.tracks.get(key) {
            let call = track.call;
            self.work_for(call, step);
        }
    }

    /// The step is over. [`Shard::handle`] and [`Shard::poll`] do this themselves; call it after a command.
    #[inline]
    pub fn rest(&mut self) {
        if let Some(call) = self.work.now.take() {
            self.work.last = Some(call).filter(|_| !self.work.several);
            self.work.several = false;
        }
    }

    /// The call that the last of [`Shard::handle`], [`Shard::poll`] or a command worked for, once; `None` when it was several of them,
    /// or none.
    pub fn worked_for(&mut self) -> Option<CallId> {
        let call = self.work.last.take()?;
        self.calls.get(call).map(|call| call.id)
    }

    /// After a panic: the call that was worked for. `None` when nobody knows.
    #[must_use]
    pub fn culprit(&self) -> Option<CallId> {
        self.calls.get(self.work.now?).map(|call| call.id)
    }

    /// Ends a call at once, whatever condition it is in, and answers who was in it, with their connections. Packets that wait to
    /// be sent are dropped, those of other calls too: nobody knows which of them was half written.
    pub fn break_off(&mut self, id: CallId) -> Vec<(ParticipantId, u64)> {
        (self.work.now, self.work.last, self.work.several) = (None, None, false);
        let Some(call) = self.calls.iter().find(|(_, call)| call.id == id).map(|(key, _)| key) else {
            self.make_indexes_anew();
            return Vec::new();
        };
        let keys: Vec<PeerKey> = self.peers.iter().filter(|(_, peer)| peer.call == call).map(|(key, _)| key).collect();
        let gone: Vec<(ParticipantId, u64)> = keys
            .into_iter()
            .map(|key| {
                let peer = self.peers.remove(key);
                (peer.participant, peer.connection)
            })
            .collect();
        self.say_farewell(call);
        self.links.retain(|_, link| link.call != call);
        let ended = self.calls.remove(call);
        let (recorded, is_hub) = (ended.recorded, ended.hub.is_none());
        let orphans: Vec<TrackKey> =
            self.tracks.iter().filter(|(_, track)| track.call == call).map(|(key, _)| key).collect();
        for key in orphans {
            let track = self.tracks.remove(key);
            // Of a call that goes on elsewhere, its hub tells.
            if track.source.kind() == Kind::Video && is_hub {
                self.events.push_back(Event::Ended { call: id, track: track.id });
            }
            if recorded {
                self.end_recording(id, track.id);
            }
        }
        self.make_indexes_anew();
        gone
    }

    /// Makes everything that points at peers, tracks and calls anew of what is there.
    fn make_indexes_anew(&mut self) {
        self.by_call = self.calls.iter().map(|(key, call)| (call.id, key)).collect();
        self.by_participant = self.peers.iter().map(|(key, peer)| (peer.participant, key)).collect();
        self.by_track = self.tracks.iter().map(|(key, track)| (track.id, key)).collect();
        self.by_ufrag = self
            .peers
            .iter()
            .flat_map(|(key, peer)| {
                let agents = [Some(&peer.ice), peer.old_ice.as_ref()].into_iter().flatten();
                agents.map(move |agent| (agent.local_ufrag.clone(), key))
            })
            .collect();
        // An address that two have shown belongs to who showed it last.
        let mut shown: Vec<_> = self
            .peers
            .iter()
            .flat_map(|(key, peer)| peer.addresses.iter().map(move |(address, at_us)| (*at_us, *address, key)))
            .collect();
        shown.sort_by_key(|(at_us, ..)| *at_us);
        self.by_address = shown.into_iter().map(|(_, address, key)| (address, key)).collect();
        self.mend_links();
        let (peers, tracks) = (&mut self.peers, &mut self.tracks);
        for (_, call) in &mut self.calls {
            call.peers.retain(|key| peers.contains(*key));
            call.tracks.retain(|key| tracks.contains(*key));
            call.told.retain(|key| tracks.contains(*key));
        }
        for (_, peer) in peers.iter_mut() {
            for slot in &mut peer.slots {
                if slot.track.is_some_and(|track| !tracks.contains(track)) {
                    (slot.track, slot.first_timestamp) = (None, None);
                    slot.stream.stop();
                }
            }
        }
        for (key, track) in tracks.iter_mut() {
            track.subscribers.retain(|(peer, place)| {
                let slot = peers.get(*peer).and_then(|peer| peer.slots.get(usize::from(*place)));
                slot.is_some_and(|slot| slot.track == Some(key))
            });
            for (among, (peer, place)) in track.subscribers.iter().enumerate() {
                peers[*peer].slots[usize::from(*place)].among = among;
            }
        }
        let last = self.dirty.last();
        self.dirty.retain(|key| tracks.contains(key));
        if self.dirty.last() != last {
            self.cursor = 0;
        }
        self.calm_until_us.clear();
        self.unsettled.retain(|key| peers.contains(key));
        self.untold.retain(|key| peers.contains(key));
        // Whose turn it was in the midst of them is not known.
        let waits = |peer: &Peer| peer.slots.iter().any(|slot| slot.stream.is_waiting());
        peers.iter().filter(|(_, peer)| waits(peer)).for_each(|(key, _)| self.pacing.note(key));
        self.pace_us = self.now_us;
        self.out.discard();
    }
}

/// Faults to order, for tests: an application-defined RTCP part (RFC 3550 §6.7) makes a later step of its sender's call panic, or
/// take its time.
#[cfg(feature = "faults")]
mod planned {
    use super::Step;
    use crate::drop::Drop;
    use crate::shard::Shard;
    use crate::track::PeerKey;

    const APPLICATION_DEFINED: u8 = 204;
    const NAME: [u8; 4] = *b"FALT";
    const STEPS: [Step; 6] = [Step::Packet, Step::Command, Step::Repair, Step::LookAfter, Step::Forward, Step::Settle];

    /// What is to happen at a call's next step of a kind.
    #[derive(Debug, Clone, Copy)]
    pub(crate) struct Fault {
        call: usize,
        step: Step,
        /// Turns of a loop, in millions; 0 for a panic.
        turns: u32,
    }

    impl Shard {
        /// Plans the fault that a compound orders, if it does.
        pub(crate) fn plan_fault(&mut self, key: PeerKey, compound: &[u8]) -> Result<(), Drop> {
            if compound.len() >= 16 && compound[1] == APPLICATION_DEFINED && compound[8..12] == NAME {
                let step = *STEPS.get(usize::from(compound[12])).ok_or(Drop::RtcpMalformed)?;
                let turns = u32::from_be_bytes([0, 0, compound[14], compound[15]]);
                self.work.planned = Some(Fault { call: self.peers[key].call, step, turns });
            }
            Ok(())
        }

        /// Forgets what was ordered.
        pub fn forget_faults(&mut self) {
            self.work.planned = None;
        }

        pub(super) fn strike(&mut self, call: usize, step: Step) {
            let Some(fault) = self.work.planned.filter(|fault| fault.call == call && fault.step == step) else {
                return;
            };
            self.work.planned = None;
            if fault.turns == 0 {
                panic!("a fault that a test ordered, in step {step:?}");
            }
            for turn in 0..u64::from(fault.turns) * 1_000_000 {
                std::hint::black_box(turn);
            }
        }
    }
}
