//! What the core tells, in the names of the layers above.

use parlor_media::Event;

use super::quality::report_of;
use super::tap::{Sampled, codec_of};
use super::{CallEvent, SlotState};
use crate::domain::{CallId, ParticipantId, Time, TrackId};

/// Whom an event of the core concerns.
pub(super) enum Told {
    Call(CallEvent),
    Sample(Sampled),
}

/// The core's event in the names of the layers above.
pub(super) fn told(event: Event) -> Told {
    let call_of = |call: parlor_media::CallId| CallId::from(call.0);
    let participant_of = |participant: parlor_media::ParticipantId| ParticipantId::from(participant.0);
    let track_of = |track: parlor_media::TrackId| TrackId::from(track.0);
    Told::Call(match event {
        Event::Connected { call, participant, connection } => {
            CallEvent::Connected { call: call_of(call), participant: participant_of(participant), connection }
        }
        Event::Closed { call, participant, connection } => {
            CallEvent::Closed { call: call_of(call), participant: participant_of(participant), connection }
        }
        Event::Lost { call, participant, connection } => {
            CallEvent::Lost { call: call_of(call), participant: participant_of(participant), connection }
        }
        Event::Broke { call, participant, connection } => {
            CallEvent::Broke { call: call_of(call), participant: participant_of(participant), connection }
        }
        Event::Slots { call, participant, slots } => {
            let slots = slots.into_iter().map(|slot| SlotState {
                mid: slot.mid,
                audio: slot.kind == parlor_media::Kind::Audio,
                source: slot.source.map(|(participant, track)| (participant_of(participant), track_of(track))),
                layer: slot.layer,
                rtp_timestamp: slot.rtp_timestamp,
                paused: slot.paused,
            });
            CallEvent::Slots { call: call_of(call), participant: participant_of(participant), slots: slots.collect() }
        }
        Event::Watched { call, track, layers } => {
            CallEvent::Watched { call: call_of(call), track: track_of(track), layers }
        }
        Event::Track { call, track, active } => {
            CallEvent::Track { call: call_of(call), track: track_of(track), active }
        }
        Event::Quality { call, participant, report } => {
            let (call, participant, report) = (call_of(call), participant_of(participant), report_of(report));
            CallEvent::Quality { call, participant, report }
        }
        Event::Speakers { call, speakers } => {
            let speakers =
                speakers.into_iter().map(|(participant, level)| (participant_of(participant), level)).collect();
            CallEvent::Speakers { call: call_of(call), speakers }
        }
        Event::Sampled { call, participant, track, layer, codec, frame } => {
            return Told::Sample(Sampled::Frame {
                call: call_of(call),
                participant: participant_of(participant),
                track: track_of(track),
                layer,
                codec: codec_of(codec),
                taken_at: Time::now(),
                frame,
            });
        }
        Event::Unsampled { call, participant, track } => {
            let (call, participant, track) = (call_of(call), participant_of(participant), track_of(track));
            return Told::Sample(Sampled::Unsampled { call, participant, track });
        }
        Event::Ended { call, track } => {
            return Told::Sample(Sampled::Ended { call: call_of(call), track: track_of(track) });
        }
    })
}
