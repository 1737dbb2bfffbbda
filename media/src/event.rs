//! What a shard tells the layers above.

use crate::id::{CallId, ParticipantId, TrackId};
use crate::quality::Report;
use crate::track::{Codec, Kind};

/// What a slot carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// The section of the offer that the slot is.
    pub mid: String,
    /// Audio or video.
    pub kind: Kind,
    /// Whose track, if any.
    pub source: Option<(ParticipantId, TrackId)>,
    /// The simulcast layer that flows, lowest is 0; none until the first packet, and for audio.
    pub layer: Option<u8>,
    /// RTP timestamp of the track's first frame in this slot, once it has been sent.
    pub rtp_timestamp: Option<u32>,
    /// The receiver's line does not carry the track now.
    pub paused: bool,
}

/// What a shard has to tell the layers above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The participant's keys are agreed.
    Connected {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which of its connections.
        connection: u64,
    },
    /// The participant's client has ended its connection. It may offer another one; else [`Event::Lost`] follows.
    Closed {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which of its connections.
        connection: u64,
    },
    /// The participant's connection is given up; the shard has forgotten it.
    Lost {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which of its connections.
        connection: u64,
    },
    /// The shard that has the call's hub ended it, or is gone: the participant's connection here is over.
    Broke {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// Which of its connections.
        connection: u64,
    },
    /// Slots of the participant that carry something else than before.
    Slots {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// The slots that changed.
        slots: Vec<SlotState>,
    },
    /// Which simulcast layers of a track anybody watches, lowest first: its publisher need not send the others.
    Watched {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
        /// A layer each.
        layers: Vec<bool>,
    },
    /// Packets of a track began to arrive, or ceased.
    Track {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
        /// Whether packets arrive.
        active: bool,
    },
    /// A key frame of a camera or screen, to be looked at.
    Sampled {
        /// The call.
        call: CallId,
        /// Who publishes it.
        participant: ParticipantId,
        /// The track.
        track: TrackId,
        /// The simulcast layer that it is of, lowest is 0.
        layer: u8,
        /// What the frame is.
        codec: Codec,
        /// The frame: VP8's bitstream, or H.264 in Annex B with its parameter sets. Nobody has looked into it yet.
        frame: Vec<u8>,
    },
    /// A camera or screen gave no key frame, however often it was asked.
    Unsampled {
        /// The call.
        call: CallId,
        /// Who publishes it.
        participant: ParticipantId,
        /// The track.
        track: TrackId,
    },
    /// A camera or screen is over.
    Ended {
        /// The call.
        call: CallId,
        /// The track.
        track: TrackId,
    },
    /// What a participant's line is like: when that changes, and every ten seconds.
    Quality {
        /// The call.
        call: CallId,
        /// The participant.
        participant: ParticipantId,
        /// All there is to say.
        report: Report,
    },
    /// Who speaks now, loudest first, with the level in dBov.
    Speakers {
        /// The call.
        call: CallId,
        /// Participants and levels.
        speakers: Vec<(ParticipantId, i8)>,
    },
}
