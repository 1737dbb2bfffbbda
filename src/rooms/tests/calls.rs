use super::*;
use crate::domain::HostAct;
use crate::rooms::calls::Answered;

async fn call() -> (House, Arc<Session>, Arc<Session>, RoomId) {
    let mut house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = house.room(&ada, Visibility::Public).await;
    for person in [&ada, &ben] {
        house.enter(person, room).await.unwrap();
        house.told().await;
    }
    (house, ada, ben, room)
}

fn track(answer: &Answer, place: usize) -> TrackId {
    answer.tracks[place].track_id
}

/// The number that the media side gave to a participant's connection.
fn connection(house: &House, room: RoomId, answer: &Answer) -> u64 {
    let mut lobby = house.rooms.lobby();
    let joined = lobby.rooms.get_mut(&room).unwrap().call.of_participant(answer.participant_id).unwrap();
    joined.connection.unwrap()
}

/// The offer of another connection of the same browser.
pub(super) fn another_offer() -> String {
    let line = |line: &str| match line.split_once(':') {
        Some((name @ "a=ice-ufrag", _)) => format!("{name}:othr"),
        Some((name @ "a=ice-pwd", _)) => format!("{name}:anotherpasswordofthesame"),
        _ if line.starts_with("o=") => "o=- 42 2 IN IP4 127.0.0.1".to_owned(),
        _ => line.to_owned(),
    };
    OFFER.lines().map(|it| line(it) + "\r\n").collect()
}

#[tokio::test]
async fn an_offer_is_answered_and_everybody_sees_who_is_there() {
    let (mut house, ada, ben, room) = call().await;
    let answer = house.offer(&house.seat(&ada, room)).await.unwrap();
    assert!(answer.sdp.starts_with("v=0"));
    assert_eq!(answer.tracks.iter().map(|it| it.mid.as_str()).collect::<Vec<_>>(), ["0", "1", "2"]);
    let shown = house.told_participant().await;
    assert_eq!((shown.participant_id, shown.state), (answer.participant_id, ParticipantState::Joining));
    assert_eq!(
        shown.tracks.iter().map(|it| it.source).collect::<Vec<_>>(),
        sources().iter().map(|it| it.source).collect::<Vec<_>>()
    );
    let other = house.offer(&house.seat(&ben, room)).await.unwrap();
    assert_eq!(other.participants.len(), 2);
    assert_eq!(other.call_id, house.rooms.call_id(&ben.caller, room).await.unwrap());
    let seen = house.rooms.call(&ben.caller, other.call_id).await.unwrap();
    assert_eq!((seen.0, &seen.1.participants), (room, &other.participants));
    house.told().await;

    // The same connection offers again, for more slots: the same participant, the same tracks.
    let again = house.offer(&house.seat(&ada, room)).await.unwrap();
    assert_eq!((again.participant_id, &again.tracks), (answer.participant_id, &answer.tracks));
}

#[tokio::test]
async fn a_bad_offer_has_its_code_and_leaves_no_trace() {
    let (mut house, ada, _, room) = call().await;
    let seat = house.seat(&ada, room);
    let offer = async |sdp: &str, sources: Vec<OfferedSource>| {
        house.rooms.offer(&seat, super::offer(sdp, sources), None).await.unwrap_err()
    };
    assert!(matches!(offer("garbage", sources()).await, Refusal::BadSdp(_)));
    let without = |line: &str| OFFER.lines().filter(|it| !it.starts_with(line)).collect::<Vec<_>>().join("\r\n");
    assert_eq!(offer(&without("a=ice-"), sources()).await, Refusal::NoIce);
    assert_eq!(offer(&without("a=fingerprint"), sources()).await, Refusal::NoFingerprint);
    let twice = vec![sources()[0].clone(), sources()[0].clone()];
    let many: Vec<_> = (0..4).flat_map(|_| sources()).collect();
    let nameless = vec![OfferedSource { mid: String::new(), source: TrackSource::Camera }];
    for wrong in [twice, many, nameless] {
        assert!(matches!(offer(OFFER, wrong).await, Refusal::BadRequest { field: "tracks", .. }));
    }
    assert_eq!(house.rooms.ready(&seat), Err(Refusal::NotInCall));
    assert_eq!(house.enter(&ada, room).await.unwrap().call.unwrap().participants, []);
    house.is_quiet().await;

    let new = NewRoom {
        kind: RoomKind::Broadcast,
        name: "no calls".to_owned(),
        visibility: Visibility::Public,
        max_participants: None,
    };
    let group = house.rooms.create(&ada.caller, new).await.unwrap().id;
    assert_eq!(house.enter(&ada, group).await.unwrap().call, None);
    let refusal = house.offer(&house.seat(&ada, group)).await.unwrap_err();
    assert!(matches!(refusal, Refusal::BadRequest { field: "roomId", .. }));
}

#[tokio::test]
async fn what_the_media_side_finds_is_told() {
    let (mut house, ada, ben, room) = call().await;
    let (one, two) =
        (house.offer(&house.seat(&ada, room)).await.unwrap(), house.offer(&house.seat(&ben, room)).await.unwrap());
    let call = one.call_id;
    house.told().await;
    house.told().await;
    house.rooms.ready(&house.seat(&ada, room)).unwrap();
    house.rooms.view(&house.seat(&ada, room), Vec::new()).unwrap();
    house.rooms.call_changed(CallEvent::Connected {
        call,
        participant: one.participant_id,
        connection: connection(&house, room, &one),
    });
    assert_eq!(house.told_participant().await.state, ParticipantState::Connected);
    house.rooms.call_changed(CallEvent::Track { call, track: track(&one, 1), active: true });
    assert!(house.told_participant().await.tracks[1].active);
    house.rooms.call_changed(CallEvent::Speakers { call, speakers: vec![(two.participant_id, -31)] });
    let (_, Fact::CallSpeakers(speakers)) = house.told().await else { panic!("speakers") };
    assert_eq!((speakers[0].participant_id, speakers[0].level), (two.participant_id, -31));
    // Only the publisher can let layers rest.
    let layers = vec![true, false, false];
    house.rooms.call_changed(CallEvent::Watched { call, track: track(&one, 1), layers: layers.clone() });
    let told = house.told().await;
    assert_eq!(told, (Audience::Session(ada.id), Fact::CallLayers { track: track(&one, 1), layers }));

    let state = |mid: &str, source| SlotState {
        mid: mid.to_owned(),
        audio: false,
        source,
        layer: Some(1),
        rtp_timestamp: None,
        paused: false,
    };
    let shown = (one.participant_id, track(&one, 1));
    for slots in [vec![state("8", None), state("9", None)], vec![state("8", Some(shown))]] {
        house.rooms.call_changed(CallEvent::Slots { call, participant: two.participant_id, slots });
        let (Audience::Session(session), Fact::CallSlots(_)) = house.told().await else { panic!("slots") };
        assert_eq!(session, ben.id);
    }
    // Whoever comes back is told of all slots, after the state of the room.
    let then = house.enter(&ben, room).await.unwrap().then;
    let [Event { to: Audience::Session(_), fact: Fact::CallSlots(slots), .. }] = &then[..] else { panic!("{then:?}") };
    assert_eq!(
        slots.iter().map(|it| (it.mid.as_str(), it.kind, it.track_id)).collect::<Vec<_>>(),
        [("8", SlotKind::Video, Some(track(&one, 1))), ("9", SlotKind::Video, None)]
    );
    let nobody = ParticipantId::new();
    house.rooms.call_changed(CallEvent::Connected { call, participant: nobody, connection: 1 });
    house.rooms.call_changed(CallEvent::Lost { call: CallId::new(), participant: nobody, connection: 1 });
    house.is_quiet().await;

    let current = connection(&house, room, &two);
    let lost = |connection| CallEvent::Lost { call, participant: two.participant_id, connection };
    house.rooms.call_changed(lost(current + 1_000));
    house.is_quiet().await;
    house.rooms.call_changed(lost(current));
    assert_eq!(
        house.told().await,
        (Audience::Session(ben.id), Fact::CallEnded { reason: EndReason::IceTimeout, by: None })
    );
    let (participant, user, reason) = (two.participant_id, ben.caller.user.id, LeftReason::Lost);
    assert_eq!(house.told().await.1, Fact::CallParticipantLeft { participant, user, reason });
    assert_eq!(house.rooms.ready(&house.seat(&ben, room)), Err(Refusal::NotInCall));
    assert_ne!(house.offer(&house.seat(&ben, room)).await.unwrap().participant_id, two.participant_id);
}

#[tokio::test]
async fn a_lost_socket_is_shown_and_keeps_its_part() {
    let (mut house, ada, _, room) = call().await;
    let answer = house.offer(&house.seat(&ada, room)).await.unwrap();
    let (call, participant) = (answer.call_id, answer.participant_id);
    house.rooms.call_changed(CallEvent::Connected { call, participant, connection: connection(&house, room, &answer) });
    house.rooms.session_changed(SessionChange::Lost(ada.id));
    house.rooms.session_changed(SessionChange::Resumed(ada.id));
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(house.told_participant().await.state);
    }
    use ParticipantState::{Connected, Joining, Lost};
    assert_eq!(states, [Joining, Connected, Lost, Connected]);
    house.rooms.session_changed(SessionChange::Lost(ada.id));
    house.rooms.session_changed(SessionChange::Ended(ada.id));
    house.told().await;
    let (user, reason) = (ada.caller.user.id, LeftReason::Lost);
    assert_eq!(house.told().await.1, Fact::CallParticipantLeft { participant, user, reason });
    house.told_left(user, reason).await;
}

#[tokio::test]
async fn a_hosts_mute_survives_leaving_and_coming_back() {
    let (mut house, ada, ben, room) = call().await;
    let (host, guest) = (house.seat(&ada, room), house.seat(&ben, room));
    let (hosts, guests) = (house.offer(&host).await.unwrap(), house.offer(&guest).await.unwrap());
    house.told().await;
    house.told().await;
    let microphone = track(&guests, 0);
    let forbidden = Err(Refusal::Forbidden { action: Action::MuteTrack });
    assert_eq!(house.rooms.mute_track(&guest, track(&hosts, 0), true), forbidden);
    assert_eq!(house.rooms.mute(&host, microphone, true), Err(Refusal::NotFound), "not one's own");
    assert_eq!(house.rooms.mute_track(&host, TrackId::new(), true), Err(Refusal::NotFound));
    house.is_quiet().await;

    house.rooms.mute_track(&host, microphone, true).unwrap();
    let shown = house.told_participant().await.tracks[0].clone();
    assert!(shown.muted_by_host && !shown.muted);
    let (to, stopped) = house.told().await;
    assert_eq!(to, Audience::Session(ben.id));
    assert!(
        matches!(stopped, Fact::TrackStopped { track, source: TrackSource::Microphone, .. } if track == microphone)
    );
    assert_eq!(house.rooms.mute(&guest, microphone, false), Err(Refusal::MutedByHost), "one cannot undo it oneself");
    house.is_quiet().await;

    house.rooms.leave_call(&guest).unwrap();
    assert_eq!(house.rooms.leave_call(&guest), Err(Refusal::NotInCall));
    house.told().await;
    let again = house.offer(&guest).await.unwrap();
    assert_ne!(track(&again, 0), microphone);
    assert!(house.told_participant().await.tracks[0].muted_by_host, "nor by leaving");
    assert!(matches!(house.told().await, (Audience::Session(to), Fact::TrackStopped { .. }) if to == ben.id));
    house.rooms.mute_track(&host, track(&again, 0), false).unwrap();
    assert!(!house.told_participant().await.tracks[0].muted_by_host);
    house.is_quiet().await;
}

#[tokio::test]
async fn the_removed_leave_the_call_too() {
    let (mut house, ada, ben, room) = call().await;
    let answer = house.offer(&house.seat(&ben, room)).await.unwrap();
    house.told().await;
    house.rooms.remove_member(&house.seat(&ada, room), ben.caller.user.id, None).await.unwrap();
    assert!(matches!(house.told().await, (Audience::User(_), Fact::Removed { .. })));
    let (participant, user, reason) = (answer.participant_id, ben.caller.user.id, LeftReason::Removed);
    assert_eq!(house.told().await.1, Fact::CallParticipantLeft { participant, user, reason });
    house.told_left(user, reason).await;
}

#[tokio::test]
async fn a_connection_that_goes_on_keeps_its_tracks_and_their_mutes() {
    let (mut house, ada, ben, room) = call().await;
    let (host, guest) = (house.seat(&ada, room), house.seat(&ben, room));
    let first = house.offer(&guest).await.unwrap();
    house.told().await;
    house.rooms.mute_track(&host, track(&first, 0), true).unwrap();
    house.told().await;
    house.told().await;
    // Nothing is taken back by naming nothing …
    let again = house.rooms.offer(&guest, offer(OFFER, Vec::new()), None).await.unwrap();
    assert_eq!((again.participant_id, &again.tracks), (first.participant_id, &first.tracks));
    let shown = house.told_participant().await;
    assert!(shown.tracks.len() == 3 && shown.tracks[0].muted_by_host);
    house.told().await;
    // … and nothing by naming it otherwise.
    let of = |mid: &str, source| OfferedSource { mid: mid.to_owned(), source };
    let swapped = vec![of("0", TrackSource::Screen), of("2", TrackSource::Microphone)];
    let moved = vec![of("7", TrackSource::Microphone)];
    for wrong in [swapped, moved] {
        let refusal = house.rooms.offer(&guest, offer(OFFER, wrong), None).await.unwrap_err();
        assert!(matches!(refusal, Refusal::BadRequest { field: "tracks", .. }), "{refusal:?}");
    }
    house.is_quiet().await;
    assert_eq!(house.rooms.call(&ben.caller, first.call_id).await.unwrap().1.participants, [shown]);
}

#[tokio::test]
async fn a_new_connection_begins_anew_but_stays_muted() {
    let (mut house, ada, ben, room) = call().await;
    let (host, guest) = (house.seat(&ada, room), house.seat(&ben, room));
    let first = house.offer(&guest).await.unwrap();
    let (call, participant) = (first.call_id, first.participant_id);
    let old = connection(&house, room, &first);
    house.rooms.call_changed(CallEvent::Connected { call, participant, connection: old });
    house.rooms.call_changed(CallEvent::Track { call, track: track(&first, 0), active: true });
    house.rooms.mute_track(&host, track(&first, 0), true).unwrap();
    house.rooms.mute(&guest, track(&first, 1), true).unwrap();
    for _ in 0..6 {
        house.told().await;
    }
    let sources = vec![sources()[1].clone(), sources()[0].clone()];
    let second = house.rooms.offer(&guest, offer(&another_offer(), sources), None).await.unwrap();
    assert_eq!(second.participant_id, participant);
    assert_ne!(connection(&house, room, &second), old);
    let shown = house.told_participant().await;
    assert_eq!(shown.state, ParticipantState::Joining);
    let [camera, microphone] = &shown.tracks[..] else { panic!("two tracks: {shown:?}") };
    assert!(camera.muted && !camera.muted_by_host && !camera.active);
    assert!(microphone.muted_by_host && !microphone.muted && !microphone.active);
    house.told().await;
    // What is still told of the old connection means nothing any more.
    house.rooms.call_changed(CallEvent::Lost { call, participant, connection: old });
    house.rooms.call_changed(CallEvent::Connected { call, participant, connection: old });
    house.is_quiet().await;
}

#[tokio::test]
async fn one_person_takes_part_from_three_places() {
    let (house, ada, ben, room) = call().await;
    let mut answers = Vec::new();
    for place in 0..4 {
        let tab = Arc::new(session(ben.caller.clone()));
        house.enter(&tab, room).await.unwrap();
        let answer = house.offer(&house.seat(&tab, room)).await;
        match place {
            0..3 => answers.push(answer.unwrap()),
            _ => assert!(matches!(answer, Err(Refusal::BadRequest { field: "roomId", .. }))),
        }
    }
    // A mute is of the person: it holds in all places.
    house.rooms.mute_track(&house.seat(&ada, room), track(&answers[0], 0), true).unwrap();
    let (_, seen) = house.rooms.call(&ada.caller, answers[0].call_id).await.unwrap();
    assert!(seen.participants.iter().all(|it| it.tracks[0].muted_by_host));
}

#[test]
fn an_offer_that_is_refused_leaves_nothing_unknown_behind() {
    let mut seats = crate::rooms::call::CallSeats::default();
    let (session, user) = (SessionId::new(), UserId::new());
    let user = User { id: user, nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
    let of = |mid: &str, source| OfferedSource { mid: mid.to_owned(), source };
    let begins = |_, _| crate::rooms::call::Beginning { held: None, muted: false, cleared: true };
    let newcomer = crate::rooms::call::Newcomer { session, user: &user, key: None, sends: true };
    let first = seats.join(newcomer, 50).unwrap().begin_offer(&[of("0", TrackSource::Microphone)], |_| false);
    seats.publish(session, &first, true, begins).unwrap();
    // One line lies, the other two do not; the media side may have taken all.
    let lines = [of("0", TrackSource::Screen), of("5", TrackSource::Camera)];
    let second = seats.of_session(session).unwrap().begin_offer(&lines, |_| false);
    let strange = seats.publish(session, &second, false, begins).unwrap_err();
    assert_eq!(strange, second.iter().map(|it| it.track).collect::<Vec<_>>());
    let lines = [of("0", TrackSource::Microphone), of("5", TrackSource::Camera), of("5", TrackSource::Screen)];
    let third = seats.of_session(session).unwrap().begin_offer(&lines[..2], |_| false);
    assert!(seats.publish(session, &third, false, begins).is_ok());
    let fourth = seats.of_session(session).unwrap().begin_offer(&[lines[0].clone(), lines[2].clone()], |_| false);
    assert_eq!(seats.publish(session, &fourth, false, begins).unwrap_err(), [fourth[1].track], "what is known goes on");
}

#[tokio::test]
async fn who_closes_a_connection_is_shown_as_lost_until_the_next() {
    let (mut house, _, ben, room) = super::hosting::call().await;
    let (call, seat) = (house.rooms.call_id(&ben.caller, room).await.unwrap(), house.seat(&ben, room));
    let (participant, connection) = {
        let mut lobby = house.rooms.lobby();
        let joined = lobby.rooms.get_mut(&room).unwrap().call.of_session(ben.id).unwrap();
        (joined.participant.participant_id, joined.connection.unwrap())
    };
    house.all_told().await;
    house.rooms.call_changed(CallEvent::Connected { call, participant, connection });
    assert_eq!(house.told_participant().await.state, ParticipantState::Connected);
    house.rooms.call_changed(CallEvent::Closed { call, participant, connection });
    assert_eq!(house.told_participant().await.state, ParticipantState::Lost);
    // The next connection is the same participant's, and what is told of the old one counts no more.
    let answer = house.rooms.offer(&seat, offer(&another_offer(), sources()), None).await.unwrap();
    assert_eq!((answer.participant_id, answer.participants.len()), (participant, 2), "no duplicate");
    assert_eq!(house.told_participant().await.state, ParticipantState::Joining);
    house.rooms.call_changed(CallEvent::Closed { call, participant, connection });
    house.rooms.call_changed(CallEvent::Lost { call, participant, connection });
    house.is_quiet().await;
}

#[tokio::test]
async fn what_is_held_begins_muted() {
    let (house, ada, ben, room) = super::hosting::call().await;
    let seat = house.seat(&ben, room);
    let begun = |house: &House| {
        let (.., offered) = house.rooms.begin_call(&seat, &sources(), false).unwrap();
        offered.iter().filter(|it| it.muted).map(|it| it.source).collect::<Vec<_>>()
    };
    assert_eq!(begun(&house), []);
    let camera = house.offer(&seat).await.unwrap().tracks[1].track_id;
    house.rooms.mute(&seat, camera, true).unwrap();
    house.act(&ada, room, HostAct::MuteAll { muted: true, may_unmute: true }).await.unwrap();
    assert_eq!(begun(&house), [TrackSource::Microphone, TrackSource::Camera]);
    house.rooms.mute(&seat, camera, false).unwrap();
    house.act(&ada, room, HostAct::MuteAll { muted: false, may_unmute: true }).await.unwrap();
    // The end of it opens no microphone.
    assert_eq!(begun(&house), [TrackSource::Microphone]);
}

#[test]
fn a_full_call_tells_how_many_it_has() {
    let full = crate::sfu::OfferError::Full(4_096);
    assert_eq!(crate::rooms::calls::refusal_of(full), Refusal::RoomFull { limit: 4_096 });
}

#[tokio::test]
async fn who_is_made_something_else_while_they_are_answered_does_not_publish() {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let name = "a show".to_owned();
    let new = NewRoom { kind: RoomKind::Live, name, visibility: Visibility::Public, max_participants: None };
    let room = house.rooms.create(&ada.caller, new).await.unwrap().id;
    for session in [&ada, &ben] {
        house.enter(session, room).await.unwrap();
    }
    let make =
        async |role| house.rooms.set_member_role(&house.seat(&ada, room), ben.caller.user.id, role).await.unwrap();
    make(Role::Moderator).await;
    let seat = house.seat(&ben, room);
    let (call, participant, offered) = house.rooms.begin_call(&seat, &sources(), false).unwrap();
    let answer = house.rooms.0.sfu.offer(call, participant, OFFER.to_owned(), offered.clone()).await;
    make(Role::Member).await;
    let answered = Answered { call, participant, sources: sources(), offered, answer };
    let taken = house.rooms.take_answer(&seat, answered, None);
    assert_eq!(taken, Err(Refusal::Forbidden { action: Action::PublishLive }));
    assert_eq!(house.rooms.participants(call), []);
}
