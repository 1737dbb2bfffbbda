//! What happens in rooms and to people, as frames.

use super::*;
use crate::domain::{Event, Fact, Notice, Refusal, Told};

impl From<&Event> for ServerFrame {
    fn from(event: &Event) -> Self {
        let frame = Self::new(body_of(event)).in_room(event.room);
        match event.position {
            Some(position) => frame.at(position),
            None => frame,
        }
    }
}

impl From<&Notice> for ServerFrame {
    fn from(notice: &Notice) -> Self {
        match notice.told.clone() {
            Told::Banned { reason, until } => Self::error(None, &Refusal::Banned { reason, until }),
            Told::LoginReused { device } => Self::new(ServerBody::LoginReused(LoginReused { device })),
            Told::CodesGuessed { count } => Self::new(ServerBody::CodesGuessed(CodesGuessed { count })),
            Told::RecordingComposed { recording: recording_id, composed } => {
                Self::new(ServerBody::RecordingComposed(RecordingComposed { recording_id, composed }))
            }
            Told::File(attachment) => Self::new(ServerBody::FileChecked(*attachment)),
            Told::SiteRole { role } => Self::new(ServerBody::SiteRole(SiteRoleChanged { role })),
            Told::Admitted { room } => Self::new(ServerBody::CallAdmitted(Empty {})).in_room(room),
            Told::Denied { room, retry_after_ms } => {
                Self::new(ServerBody::CallDenied(Denied { retry_after_ms })).in_room(room)
            }
            Told::JoinRequest { room, request } => {
                Self::new(ServerBody::JoinRequest(JoinAsked { request: *request })).in_room(room)
            }
            Told::JoinAnswered { room, user: user_id, by, lets_in } => {
                Self::new(ServerBody::JoinAnswered(JoinAnswered { user_id, by, lets_in })).in_room(room)
            }
            Told::WebhookDisabled { webhook: webhook_id, room, reason } => {
                let body = ServerBody::WebhookDisabled(WebhookDisabled { webhook_id, reason });
                Self { room_id: room, ..Self::new(body) }
            }
            Told::Unread(unread) => Self::new(ServerBody::Unread(unread)),
            Told::Presence(shown) => Self::new(ServerBody::Presence(shown)),
            Told::Match(news) => news.into(),
            told @ (Told::Direct(_)
            | Told::DirectMessage(_)
            | Told::Block { .. }
            | Told::CallInvite(_)
            | Told::CallRing(_)) => Self::of_direct(&told).expect("these are its own"),
        }
    }
}

fn body_of(event: &Event) -> ServerBody {
    match event.fact.clone() {
        Fact::MessageSent(message) => ServerBody::NewMessage(MessageBody { message: *message }),
        Fact::MessageEdited(message) => ServerBody::MessageEdited(MessageBody { message: *message }),
        Fact::MessageDeleted { message: message_id, by } => ServerBody::MessageDeleted(Deleted { message_id, by }),
        Fact::MessageReacted { message: message_id, emoji, user: user_id, added, count } => {
            ServerBody::Reaction(Reaction { message_id, emoji, user_id, added, count })
        }
        Fact::MessagePinned { message: message_id, pinned_at, by } => {
            ServerBody::MessagePinned(MessagePinned { message_id, pinned_at, by })
        }
        Fact::PollVoted { message: message_id, votes, voters } => {
            ServerBody::PollVoted(PollVoted { message_id, votes, voters })
        }
        Fact::ThreadChanged { message: message_id, thread } => {
            ServerBody::ThreadChanged(ThreadChanged { message_id, thread })
        }
        Fact::MemberMuted { user: user_id, until } => ServerBody::MemberMuted(MemberMuted { user_id, until }),
        Fact::RoomUpdated(room) => ServerBody::RoomUpdated(RoomUpdated { room }),
        Fact::RoomOwner { user: user_id, former: former_id } => ServerBody::RoomOwner(RoomOwner { user_id, former_id }),
        Fact::MemberRole { user: user_id, role } => ServerBody::MemberRole(RoleChanged { user_id, role }),
        Fact::MemberJoined(member) => ServerBody::MemberJoined(MemberChanged { member }),
        Fact::MemberLeft { user: user_id, reason, .. } => ServerBody::MemberLeft(Left { user_id, reason }),
        Fact::Typing { user: user_id, nickname, typing } => ServerBody::Typing(Typist { user_id, nickname, typing }),
        Fact::Receipts(receipts) => ServerBody::Receipts(Receipts { receipts }),
        Fact::Removed { reason } => ServerBody::Removed(Removed { room_id: event.room, reason }),
        Fact::CallParticipant(participant) => ServerBody::CallParticipant(ParticipantBody { participant }),
        Fact::CallParticipantLeft { participant: participant_id, user: user_id, reason } => {
            ServerBody::CallParticipantLeft(ParticipantLeft { participant_id, user_id, reason })
        }
        Fact::CallAnswer(answer) => ServerBody::CallAnswer(answer),
        Fact::CallSlots(slots) => ServerBody::Slots(Slots { slots }),
        Fact::CallLayers { track: track_id, layers } => ServerBody::CallLayers(Layers { track_id, layers }),
        Fact::CallViewers(viewers) => ServerBody::CallViewers(Viewers { viewers }),
        Fact::CallQuality(participants) => ServerBody::CallQuality(QualityChanged { participants }),
        Fact::CallSpeakers(speakers) => ServerBody::CallSpeakers(Speakers { speakers }),
        Fact::TrackStopped { track: track_id, source, reason, by, may_unmute } => {
            ServerBody::TrackStopped(TrackStopped { track_id, source, reason, by, may_unmute })
        }
        Fact::CallEnded { reason, by } => ServerBody::CallEnded(CallEnded { reason, by }),
        Fact::CallControls { controls, by, act } => ServerBody::CallControls(ControlsChanged { controls, by, act }),
        Fact::CallWaiting(waiting) => ServerBody::CallWaiting(waiting),
        Fact::RecordingStarting { recording: recording_id, starts_in_ms, by: started_by } => {
            ServerBody::RecordingStarting(RecordingStarting { recording_id, starts_in_ms, started_by })
        }
        Fact::RecordingStarted { recording: recording_id, at: started_at } => {
            ServerBody::RecordingStarted(RecordingStarted { recording_id, started_at })
        }
        Fact::RecordingStopped { recording: recording_id, reason } => {
            ServerBody::RecordingStopped(RecordingStopped { recording_id, reason })
        }
    }
}
