//! One example of every frame of the server, pinned.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::domain::{
    Controls, Epoch, Event, Fact, HostAct, Member, Message, Notice, Origin, Position, Refusal, Role, Room, RoomKind,
    SiteRole, Time, Told, User, Visibility,
    call::{
        Answer, AnsweredTrack, Call, CallRecording, EndReason, Participant, ParticipantState, RecordingPhase, Slot,
        SlotKind, Speaker, StopReason, Track, TrackSource,
    },
    case::Named,
    controls::{MutedAll, Waiter, Waiting},
    direct::{Direct, DirectMessage, DirectPerson},
    invite::JoinRequest,
    matching::{
        MatchEnd, MatchEnded, MatchFound, MatchMode, MatchNews, MatchReady, MatchSearching, MatchStage, MatchTimeout,
        Stranger,
    },
    message::{Author, Content, ContentType, ForwardedFrom, Mentions, Poll, PollOption, System, Thread},
    presence::{Seen, Shown},
    quality::{Direction, Level, Quality, Rated, Reason},
    reading::{NotifyLevel, Receipt, Unread},
    recording::{Composed, ComposedState, RecordingStop},
    ring::{CallInvite, CallOutcome, CallRecord, CallType, RingState, Rung},
    room::LeftReason,
    webhook::DisabledReason,
};

/// Types that a server's frame may have.
const TYPES: usize = 60;

/// The n-th id of these examples, of whatever kind is wanted.
fn id<T: From<u128>>(number: u128) -> T {
    T::from(0x0193_8a5c_0000_7000_8000_0000_0000_0000 + number)
}

fn at() -> Time {
    "2026-01-31T09:30:00.123Z".parse().unwrap()
}

fn message(text: &str) -> Message {
    Message {
        id: id(10),
        room_id: id(1),
        sender: Author { id: id(2), nickname: "ada".to_owned() },
        client_id: "c-1".to_owned(),
        content: Content::text(text),
        reply_to: None,
        created_at: at(),
        edited_at: None,
        deleted: false,
        reactions: BTreeMap::new(),
        pinned_at: None,
        thread: None,
        expires_at: None,
    }
}

/// A message with all that it may have.
fn rich() -> Message {
    let poll = Poll {
        question: "When?".to_owned(),
        options: [("now", 2), ("later", 0)].map(|(text, votes)| PollOption { text: text.to_owned(), votes }).to_vec(),
        multiple: false,
        closes_at: Some(at()),
        voters: 2,
    };
    let forwarded_from = ForwardedFrom {
        sender: Author { id: id(8), nickname: "bob".to_owned() },
        created_at: at(),
        room_id: Some(id(4)),
        message_id: Some(id(11)),
    };
    Message {
        content: Content {
            kind: ContentType::Poll,
            mentions: Mentions { users: vec![id(8)], here: true, room: false },
            hashtags: vec!["friday".to_owned()],
            poll: Some(poll),
            forwarded_from: Some(forwarded_from),
            thread_id: Some(id(12)),
            system: Some(System::Pinned { message_id: id(10) }),
            ..Content::text("When? #friday")
        },
        reactions: BTreeMap::from([("👍".to_owned(), 3)]),
        pinned_at: Some(at()),
        thread: Some(Thread { replies: 2, last_reply_at: Some(at()), locked: true }),
        expires_at: Some(at()),
        ..message("")
    }
}

fn participant() -> Participant {
    let track = Track {
        track_id: id(6),
        source: TrackSource::Camera,
        active: true,
        muted: false,
        muted_by_host: false,
        cleared: true,
    };
    Participant {
        participant_id: id(5),
        user_id: id(2),
        nickname: "ada".to_owned(),
        state: ParticipantState::Connected,
        tracks: vec![track],
        disabled: vec![TrackSource::Screen],
        quality: Some(quality()),
    }
}

fn quality() -> Quality {
    Quality { level: Level::Poor, reason: Some(Reason::Loss), direction: Some(Direction::Up) }
}

fn controls() -> Controls {
    Controls {
        locked: true,
        waiting_room: true,
        spotlight: Some(id(5)),
        muted_all: Some(MutedAll { may_unmute: true }),
        disabled: vec![TrackSource::Camera],
    }
}

fn member() -> Member {
    Member { user_id: id(2), nickname: "ada".to_owned(), role: Role::Owner }
}

fn unread() -> Unread {
    Unread {
        room_id: id(1),
        unread: 12,
        mentions: 1,
        read_up_to: Some(id(9)),
        level: NotifyLevel::Mentions,
        muted_until: None,
    }
}

fn shown() -> Shown {
    let text = Some("in a meeting".to_owned());
    Shown { user_id: id(8), status: Seen::Busy, text, text_until: Some(at()), last_seen: None }
}

/// What happens in rooms, as the hub tells it.
fn events() -> Vec<Event> {
    let durable = |fact| Event {
        position: Some(Position { epoch: Epoch::from_uuid(uuid::Uuid::nil()), offset: 42 }),
        origin: Some(Origin { session: id(3), request: None }),
        ..Event::ephemeral(id(1), fact)
    };
    let ephemeral = |fact| Event::ephemeral(id(1), fact);
    let slot = |mid: &str, kind, shown: bool| Slot {
        mid: mid.to_owned(),
        kind,
        participant_id: shown.then(|| id(5)),
        track_id: shown.then(|| id(6)),
        layer: shown.then_some(2),
        rtp_timestamp: shown.then_some(90_000),
        paused: false,
    };
    vec![
        durable(Fact::MessageSent(Box::new(message("hello")))),
        durable(Fact::MessageSent(Box::new(rich()))),
        durable(Fact::MessageEdited(Box::new(Message { edited_at: Some(at()), ..message("hullo") }))),
        durable(Fact::MessageDeleted { message: id(10), by: id(2) }),
        durable(Fact::MessageReacted { message: id(10), emoji: "👍".to_owned(), user: id(2), added: true, count: 3 }),
        durable(Fact::MessagePinned { message: id(10), pinned_at: Some(at()), by: id(2) }),
        durable(Fact::PollVoted { message: id(10), votes: vec![2, 0], voters: 2 }),
        durable(Fact::ThreadChanged {
            message: id(10),
            thread: Some(Thread { replies: 3, last_reply_at: Some(at()), locked: false }),
        }),
        durable(Fact::MemberRole { user: id(2), role: Role::Moderator }),
        durable(Fact::MemberMuted { user: id(2), until: Some(at()) }),
        durable(Fact::RoomUpdated(Box::new(Room {
            id: id(1),
            created_at: at(),
            ..Room::new(RoomKind::Forum, "Friday".to_owned(), Visibility::Public, 50)
        }))),
        durable(Fact::RoomOwner { user: id(2), former: Some(id(3)) }),
        ephemeral(Fact::MemberJoined(member())),
        ephemeral(Fact::MemberLeft { user: id(2), reason: LeftReason::Lost, stay: 1 }),
        ephemeral(Fact::Typing { user: id(2), nickname: "ada".to_owned(), typing: true }),
        ephemeral(Fact::Receipts(vec![Receipt { user_id: id(8), message_id: id(10), at: at() }])),
        ephemeral(Fact::Removed { reason: Some("spam".to_owned()) }),
        ephemeral(Fact::CallParticipant(participant())),
        ephemeral(Fact::CallParticipantLeft { participant: id(5), user: id(2), reason: LeftReason::Left }),
        ephemeral(Fact::CallSlots(vec![slot("3", SlotKind::Audio, false), slot("8", SlotKind::Video, true)])),
        ephemeral(Fact::CallLayers { track: id(6), layers: vec![true, false, false] }),
        ephemeral(Fact::CallQuality(vec![Rated { participant_id: id(5), quality: quality() }])),
        ephemeral(Fact::CallSpeakers(vec![Speaker { participant_id: id(5), level: -31 }])),
        ephemeral(Fact::CallViewers(1_204)),
        ephemeral(Fact::TrackStopped {
            track: id(6),
            source: TrackSource::Camera,
            reason: StopReason::MutedByHost,
            by: Some(id(2)),
            may_unmute: true,
        }),
        ephemeral(Fact::CallEnded { reason: EndReason::IceTimeout, by: None }),
        ephemeral(Fact::CallControls {
            controls: controls(),
            by: Some(id(2)),
            act: Some(HostAct::Lock { locked: true }),
        }),
        ephemeral(Fact::CallWaiting(Waiting {
            whole: false,
            waiting: vec![Waiter { user_id: id(8), nickname: "bob".to_owned(), since: at() }],
            gone: vec![id(9)],
            count: 3,
        })),
        ephemeral(Fact::RecordingStarting { recording: id(20), starts_in_ms: 3_000, by: id(2) }),
        ephemeral(Fact::RecordingStarted { recording: id(20), at: at() }),
        ephemeral(Fact::RecordingStopped { recording: id(20), reason: RecordingStop::Stopped }),
    ]
}

/// What the server says to one session.
fn replies() -> Vec<ServerFrame> {
    let request = || Some("7".to_owned());
    let reply = |body| ServerFrame::reply(request(), body);
    let user = User { id: id(2), nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
    let authenticated = Authenticated {
        user,
        session_id: id(3),
        resume_token: "R".to_owned(),
        resumed: false,
        server_time: at(),
        ping_every_ms: 25_000,
    };
    let room =
        Room { id: id(1), created_at: at(), ..Room::new(RoomKind::Call, "Friday".to_owned(), Visibility::Public, 50) };
    let recording = CallRecording {
        recording_id: id(7),
        state: RecordingPhase::Running,
        started_at: Some(at()),
        started_by: id(2),
    };
    let state = RoomState {
        room,
        you: You { role: Role::Owner },
        members: vec![member()],
        online: 1,
        messages: vec![message("hello"), Message { reply_to: Some(id(9)), ..message("secret").emptied() }],
        recovered: None,
        call: Some(Call {
            call_id: id(4),
            participants: vec![participant()],
            viewers: 0,
            recording: Some(recording),
            controls: controls(),
        }),
        unread: None,
    };
    let answer = Answer {
        call_id: id(4),
        participant_id: id(5),
        sdp: "v=0…".to_owned(),
        tracks: vec![AnsweredTrack { mid: "1".to_owned(), track_id: id(6) }],
        participants: vec![participant()],
        controls: Controls::default(),
    };
    let position = Position { epoch: Epoch::from_uuid(uuid::Uuid::nil()), offset: 41 };
    let limited = Refusal::RateLimited { limit: "message", retry_after_ms: 3_000 };
    vec![
        reply(ServerBody::Authenticated(authenticated)),
        ServerFrame::new(ServerBody::TokenExpiring(TokenExpiring { grace_ms: 90_000 })),
        reply(ServerBody::Pong(Empty {})),
        ServerFrame::ok(request()),
        ServerFrame::error(request(), &limited),
        reply(ServerBody::RoomState(state)).in_room(id(1)).at(position),
        reply(ServerBody::CallAnswer(answer)).in_room(id(1)),
        ServerFrame::new(ServerBody::GoAway(GoAway { reconnect_after_ms: 1_200, reason: "restart".to_owned() })),
    ]
}

/// What concerns a person outside of any room.
fn notices() -> Vec<Notice> {
    let news = |news| Notice::to_session(id(3), Told::Match(news));
    let searching = MatchSearching {
        ticket_id: id(30),
        stage: MatchStage::Strict,
        expires_in_ms: 20_000,
        estimated_wait_ms: Some(3_000),
    };
    let found = MatchFound {
        match_id: id(31),
        mode: MatchMode::Video,
        partner: Stranger { user_id: id(2), nickname: "ada".to_owned() },
        shared_interests: vec!["chess".to_owned()],
        room_id: Some(id(1)),
        call_id: Some(id(4)),
        confirm_within_ms: None,
    };
    let composed = Composed { state: ComposedState::Running, progress: 0.42, error: None };
    vec![
        Notice::to_user(id(2), Told::Banned { reason: "spam".to_owned(), until: None }),
        Notice::to_user(id(2), Told::RecordingComposed { recording: id(20), composed }),
        Notice::to_user(id(2), Told::LoginReused { device: Some("Firefox on Linux".to_owned()) }),
        Notice::to_user(id(2), Told::CodesGuessed { count: 3 }),
        Notice::to_user(
            id(2),
            Told::WebhookDisabled { webhook: id(40), room: Some(id(1)), reason: DisabledReason::Failing },
        ),
        Notice::to_user(id(2), Told::File(Box::new(attachment()))),
        Notice::to_user(id(2), Told::SiteRole { role: SiteRole::Moderator }),
        Notice::to_session(id(3), Told::Admitted { room: id(1) }),
        Notice::to_session(id(3), Told::Denied { room: id(1), retry_after_ms: 60_000 }),
        Notice::to_user(id(2), Told::JoinRequest { room: id(1), request: Box::new(asking()) }),
        Notice::to_user(id(2), Told::JoinAnswered { room: id(1), user: id(8), by: id(2), lets_in: true }),
        Notice::to_user(id(2), Told::Unread(unread())),
        Notice::to_user(id(2), Told::Presence(shown())),
        news(MatchNews::Searching(Some("7".to_owned()), searching)),
        news(MatchNews::Found(found)),
        news(MatchNews::Ready(MatchReady { match_id: id(31), room_id: id(1), call_id: id(4) })),
        news(MatchNews::Ended(MatchEnded { match_id: Some(id(31)), reason: MatchEnd::PartnerNext })),
        news(MatchNews::Timeout(MatchTimeout { ticket_id: id(30) })),
        Notice::to_user(id(2), Told::Direct(Box::new(direct()))),
        Notice::to_user(id(2), Told::DirectMessage(Box::new(direct_message()))),
        Notice::to_user(id(2), Told::Block { user: id(8), blocked: true }),
        Notice::to_user(id(8), Told::CallInvite(Box::new(invite()))),
        Notice::to_user(id(2), Told::CallRing(Box::new(ringing()))),
    ]
}

fn asking() -> JoinRequest {
    let user = Named { user_id: id(8), nickname: "bob".to_owned() };
    JoinRequest { user, note: Some("It is me, bob".to_owned()), created_at: at() }
}

fn direct() -> Direct {
    let person = |number, nickname: &str, accepted| DirectPerson {
        user_id: id(number),
        nickname: nickname.to_owned(),
        accepted,
    };
    Direct {
        room: Room { id: id(1), created_at: at(), ..Room::new(RoomKind::Dm, String::new(), Visibility::Private, 2) },
        people: vec![person(2, "ada", true), person(8, "bob", false)],
        request: false,
        last_message: Some(message("hello")),
        stirred_at: at(),
    }
}

fn direct_message() -> DirectMessage {
    DirectMessage { room_id: id(1), kind: RoomKind::Dm, request: true, message: message("hello") }
}

fn ringing() -> CallRecord {
    CallRecord {
        call_id: id(40),
        room_id: id(1),
        initiator: Author { id: id(2), nickname: "ada".to_owned() },
        kind: CallType::Video,
        participants: vec![Rung { user_id: id(8), nickname: "bob".to_owned(), state: RingState::Declined }],
        started_at: at(),
        answered_at: None,
        ended_at: Some(at()),
        outcome: Some(CallOutcome::Declined),
    }
}

fn invite() -> CallInvite {
    let CallRecord { call_id, room_id, initiator, kind, mut participants, .. } = ringing();
    participants[0].state = RingState::Ringing;
    CallInvite { call_id, room_id, initiator, kind, participants, expires_in_ms: 45_000 }
}

#[test]
fn every_frame_of_the_server() {
    let frames: Vec<_> = replies()
        .into_iter()
        .chain(events().iter().map(ServerFrame::from))
        .chain(notices().iter().map(ServerFrame::from))
        .collect();
    let mut page = Vec::new();
    let mut types = BTreeSet::new();
    for frame in &frames {
        let text = frame.encode();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(serde_json::from_value::<ServerFrame>(value.clone()).unwrap(), *frame, "frames are read as written");
        types.insert(value["type"].as_str().unwrap().to_owned());
        page.push(serde_json::to_string_pretty(&value).unwrap());
    }
    assert_eq!(types.len(), TYPES);
    insta::assert_snapshot!(page.join("\n"));
}

fn attachment() -> crate::domain::attachment::Attachment {
    use crate::domain::attachment::{AttachmentKind, AttachmentState};
    crate::domain::attachment::Attachment {
        file_id: id(21),
        kind: AttachmentKind::Image,
        name: "cat.jpg".to_owned(),
        media_type: "image/jpeg".to_owned(),
        size_bytes: 48_213,
        state: AttachmentState::Clean,
        fault: None,
        sha256: Some("ab".repeat(32)),
        width: Some(1_280),
        height: Some(960),
        duration_ms: None,
        thumbnail: true,
        created_at: Time::from_ms(0),
    }
}
