use super::*;
use crate::domain::{
    CallRecording, Origin, RecordingId,
    call::{RecordingPhase, StopReason},
    matching::MatchMode,
    recording::RecordingStop,
};

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

impl House {
    /// A room for two strangers, who are both in it.
    async fn strangers(&mut self) -> (Arc<Session>, Arc<Session>, RoomId, CallId) {
        let (ada, ben) = (self.person("ada").await, self.person("ben").await);
        let both = [&ada, &ben].map(|person| person.caller.user.id);
        let (id, call) = self.rooms.create_match(MatchMode::Video, both).await.unwrap();
        for person in [&ada, &ben] {
            self.enter(person, id).await.unwrap();
            self.told().await;
        }
        (ada, ben, id, call)
    }

    async fn told_stopped(&mut self, session: SessionId) -> (TrackId, TrackSource, StopReason) {
        match self.told().await {
            (Audience::Session(to), Fact::TrackStopped { track, source, reason, .. }) if to == session => {
                (track, source, reason)
            }
            other => panic!("that a track is stopped was to be told, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_has_its_place_among_what_is_told() {
    let (mut house, _, ben, room) = call().await;
    let (seat, request) = (house.seat(&ben, room), Some("7".to_owned()));
    let answer = house.rooms.offer(&seat, offer(OFFER, sources()), request.clone()).await.unwrap();
    house.rooms.leave_call(&seat).unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let Some(News::Event(event)) = house.told.next().await else { panic!("events") };
        told.push(event);
    }
    let origin = Origin { session: ben.id, request };
    let expected = Event::to_session(room, ben.id, Fact::CallAnswer(answer));
    assert_eq!(told[1], Event { origin: Some(origin), ..expected });
    assert!(
        matches!(told[0].fact, Fact::CallParticipant(_)) && matches!(told[2].fact, Fact::CallParticipantLeft { .. })
    );
}

fn muted(participant: &Participant) -> Vec<bool> {
    participant.tracks.iter().map(|track| track.muted_by_host).collect()
}

#[tokio::test]
async fn what_moderation_stops_stays_stopped() {
    let (mut house, ada, ben, room) = call().await;
    let (host, guest) = (house.seat(&ada, room), house.seat(&ben, room));
    let answer = house.offer(&guest).await.unwrap();
    house.told().await;
    let (call, camera) = (answer.call_id, answer.tracks[1].track_id);
    assert!(!house.rooms.stop_track(call, TrackId::new()));
    assert!(!house.rooms.stop_track(CallId::new(), camera));
    house.is_quiet().await;

    assert!(house.rooms.stop_track(call, camera));
    assert_eq!(muted(&house.told_participant().await), [false, true, false], "the camera and nothing else");
    assert_eq!(house.told_stopped(ben.id).await, (camera, TrackSource::Camera, StopReason::Moderation));
    // The host may think what they like …
    let forbidden = Err(Refusal::Forbidden { action: Action::MuteTrack });
    assert_eq!(house.rooms.mute_track(&host, camera, false), forbidden);
    assert_eq!(house.rooms.mute_track(&host, camera, true), Ok(()));
    assert_eq!(house.rooms.mute_track(&host, camera, false), forbidden);
    house.is_quiet().await;
    // … and so may the publisher: leave, come back, bring another browser, mute and unmute.
    house.rooms.leave_call(&guest).unwrap();
    house.told().await;
    let again = house.offer(&guest).await.unwrap();
    assert_eq!(muted(&house.told_participant().await), [false, true, false]);
    let stopped = (again.tracks[1].track_id, TrackSource::Camera, StopReason::Moderation);
    assert_eq!(house.told_stopped(ben.id).await, stopped, "and is told why");
    house.rooms.mute(&guest, again.tracks[1].track_id, false).unwrap();
    assert_eq!(muted(&house.told_participant().await), [false, true, false]);
    house.rooms.offer(&guest, offer(&super::calls::another_offer(), sources()), None).await.unwrap();
    assert_eq!(muted(&house.told_participant().await), [false, true, false]);
    house.told_stopped(ben.id).await;
    // Whoever resumes a lost socket may have missed it.
    let then = house.enter(&ben, room).await.unwrap().then;
    assert!(matches!(&then[..], [Event { fact: Fact::TrackStopped { reason: StopReason::Moderation, .. }, .. }]));
    let tab = Arc::new(session(ben.caller.clone()));
    house.enter(&tab, room).await.unwrap();
    house.offer(&house.seat(&tab, room)).await.unwrap();
    assert_eq!(muted(&house.told_participant().await), [false, true, false]);
    house.told_stopped(tab.id).await;
    // Not even an empty room forgets.
    for session in [&ada, &ben, &tab] {
        house.rooms.leave(session, room).unwrap();
    }
    assert!(house.rooms.lobby().rooms.is_empty());
    house.enter(&ben, room).await.unwrap();
    let back = house.offer(&house.seat(&ben, room)).await.unwrap();
    assert_eq!(muted(&back.participants[0]), [false, true, false]);
    // It concerns nobody else.
    house.enter(&ada, room).await.unwrap();
    let other = house.offer(&house.seat(&ada, room)).await.unwrap();
    assert_eq!(muted(&other.participants[1]), [false, false, false]);
}

#[tokio::test]
async fn who_has_left_comes_back_stopped() {
    let (mut house, ada, ben, room) = call().await;
    let answer = house.offer(&house.seat(&ben, room)).await.unwrap();
    house.rooms.leave(&ben, room).unwrap();
    house.rooms.leave(&ada, room).unwrap();
    assert!(!house.rooms.stop_track(answer.call_id, answer.tracks[1].track_id));
    house.rooms.stop_source(answer.call_id, ben.caller.user.id, TrackSource::Camera);
    house.enter(&ben, room).await.unwrap();
    for _ in 0..5 {
        house.told().await;
    }
    let back = house.offer(&house.seat(&ben, room)).await.unwrap();
    assert_eq!(muted(&house.told_participant().await), [false, true, false]);
    let stopped = (back.tracks[1].track_id, TrackSource::Camera, StopReason::Moderation);
    assert_eq!(house.told_stopped(ben.id).await, stopped);
    // What is there is stopped at once.
    house.rooms.stop_source(answer.call_id, ben.caller.user.id, TrackSource::Screen);
    assert_eq!(muted(&house.told_participant().await), [false, true, true]);
    assert_eq!(house.told_stopped(ben.id).await.1, TrackSource::Screen);
}

#[tokio::test]
async fn a_stop_reaches_every_tab() {
    let (mut house, _, ben, room) = call().await;
    let tab = Arc::new(session(ben.caller.clone()));
    house.enter(&tab, room).await.unwrap();
    let mut screens = Vec::new();
    for session in [&ben, &tab] {
        let answer = house.offer(&house.seat(session, room)).await.unwrap();
        screens.push((session.id, answer.call_id, answer.tracks[2].track_id));
        house.told().await;
    }
    assert!(house.rooms.stop_track(screens[1].1, screens[1].2));
    for (session, _, screen) in screens {
        assert_eq!(muted(&house.told_participant().await), [false, false, true]);
        assert_eq!(house.told_stopped(session).await, (screen, TrackSource::Screen, StopReason::Moderation));
    }
}

#[tokio::test]
async fn whose_track_it_is_can_be_asked() {
    let (house, _, ben, room) = call().await;
    let answer = house.offer(&house.seat(&ben, room)).await.unwrap();
    let (call, user) = (answer.call_id, ben.caller.user.id);
    let of = |place: usize, source| Published {
        call,
        room,
        kind: RoomKind::Call,
        user,
        nickname: "ben".to_owned(),
        participant: answer.participant_id,
        track: answer.tracks[place].track_id,
        source,
    };
    let (camera, screen) = (of(1, TrackSource::Camera), of(2, TrackSource::Screen));
    assert_eq!(house.rooms.published(call, camera.track), Some(camera.clone()));
    assert_eq!(
        house.rooms.published(call, of(0, TrackSource::Microphone).track).unwrap().source,
        TrackSource::Microphone
    );
    assert_eq!(house.rooms.published(CallId::new(), camera.track), None);
    assert_eq!(house.rooms.published(call, TrackId::new()), None);
    assert_eq!(house.rooms.tracks_of(user), [camera.clone(), screen]);
    assert_eq!(house.rooms.tracks_of(UserId::new()), []);
    assert_eq!(house.rooms.participants(call), answer.participants);
    house.rooms.leave_call(&house.seat(&ben, room)).unwrap();
    assert_eq!((house.rooms.published(call, camera.track), house.rooms.tracks_of(user)), (None, vec![]));
    assert_eq!(house.rooms.participants(call), []);
    assert_eq!(house.rooms.participants(CallId::new()), []);
}

#[tokio::test]
async fn a_strangers_picture_is_not_seen_before_it_is_cleared() {
    let mut house = House::new().await;
    let (ada, _, room, call) = house.strangers().await;
    assert_eq!(house.rooms.call_id(&ada.caller, room).await, Ok(call));
    let seat = house.seat(&ada, room);
    let answer = house.offer(&seat).await.unwrap();
    assert_eq!(answer.call_id, call);
    let cleared = |participant: Participant| participant.tracks.iter().map(|it| it.cleared).collect::<Vec<_>>();
    assert_eq!(cleared(house.told_participant().await), [true, false, false]);
    let camera = answer.tracks[1].track_id;
    house.rooms.clear_track(call, camera, true);
    assert_eq!(cleared(house.told_participant().await), [true, true, false]);
    house.rooms.clear_track(call, camera, true);
    house.rooms.clear_track(call, TrackId::new(), true);
    house.rooms.clear_track(CallId::new(), camera, false);
    house.is_quiet().await;
    // More slots of the same connection change nothing; another connection has to be looked at anew.
    house.offer(&seat).await.unwrap();
    assert_eq!(cleared(house.told_participant().await), [true, true, false]);
    house.rooms.offer(&seat, offer(&super::calls::another_offer(), sources()), None).await.unwrap();
    assert_eq!(cleared(house.told_participant().await), [true, false, false]);
    house.rooms.clear_track(call, camera, true);
    house.told().await;
    house.rooms.clear_track(call, camera, false);
    assert_eq!(cleared(house.told_participant().await), [true, false, false], "and it may cease to be");
}

#[tokio::test]
async fn where_nobody_looks_nothing_waits_to_be_seen() {
    let mut house = House::with(Config { sampled: false, ..Config::default() }).await;
    let (ada, _, room, _) = house.strangers().await;
    let answer = house.offer(&house.seat(&ada, room)).await.unwrap();
    assert!(answer.participants[0].tracks.iter().all(|track| track.cleared));
}

fn recording(house: &Arc<Session>) -> CallRecording {
    CallRecording {
        recording_id: RecordingId::new(),
        state: RecordingPhase::Starting,
        started_at: None,
        started_by: house.caller.user.id,
    }
}

#[tokio::test]
async fn who_comes_to_a_recorded_call_agrees_first() {
    let (mut house, ada, ben, room) = call().await;
    let (host, guest) = (house.seat(&ada, room), house.seat(&ben, room));
    let call = house.offer(&host).await.unwrap().call_id;
    house.told().await;
    let starting = recording(&ada);
    let id = starting.recording_id;
    house.rooms.set_recording(call, Some(starting.clone()));
    house
        .rooms
        .tell_call(call, Fact::RecordingStarting { recording: id, starts_in_ms: 3_000, by: starting.started_by });
    assert!(matches!(house.told().await, (Audience::Everyone, Fact::RecordingStarting { .. })));
    house.rooms.tell_call(CallId::new(), Fact::RecordingStopped { recording: id, reason: RecordingStop::Stopped });
    house.is_quiet().await;
    let running = CallRecording { state: RecordingPhase::Running, started_at: Some(Time::now()), ..starting };
    house.rooms.set_recording(call, Some(running.clone()));
    let shown = house.enter(&ben, room).await.unwrap().call.unwrap();
    assert_eq!(shown.recording, Some(running.clone()));
    assert_eq!(house.rooms.call(&ben.caller, call).await.unwrap().1.recording, Some(running.clone()));

    let offer = async |house: &House, seat: &Seat, agrees| {
        let offer = Offer { accepts_recording: agrees, ..super::offer(OFFER, sources()) };
        house.rooms.offer(seat, offer, None).await.map(|answer| answer.participants.len())
    };
    // Who was there when it was announced has heard of it: not asked for more slots, nor when they come back.
    assert_eq!(offer(&house, &host, false).await, Ok(1));
    assert_eq!(offer(&house, &guest, false).await, Err(Refusal::RecordingConsent));
    assert_eq!(house.rooms.participants(call).len(), 1, "nothing of them is there before");
    assert_eq!(house.rooms.ready(&guest), Err(Refusal::NotInCall));
    assert_eq!(offer(&house, &guest, true).await, Ok(2));
    assert_eq!(offer(&house, &guest, false).await, Ok(2));
    house.rooms.leave_call(&guest).unwrap();
    house.rooms.leave_call(&host).unwrap();
    assert_eq!(offer(&house, &guest, false).await, Ok(1));
    assert_eq!(offer(&house, &host, false).await, Ok(2));

    // An empty room does not forget that it is recorded, as long as nobody says that it is over.
    for session in [&ada, &ben] {
        house.rooms.leave(session, room).unwrap();
    }
    let eve = house.person("eve").await;
    assert_eq!(house.enter(&eve, room).await.unwrap().call.unwrap().recording, Some(running));
    let seat = house.seat(&eve, room);
    assert_eq!(offer(&house, &seat, false).await, Err(Refusal::RecordingConsent));
    house.rooms.set_recording(call, None);
    assert_eq!(offer(&house, &seat, false).await, Ok(1));
    assert!(house.rooms.lobby().orders.len() == 0);
    // Another recording is another question: to those who are not there.
    house.rooms.set_recording(call, Some(recording(&ada)));
    assert_eq!(offer(&house, &seat, false).await, Ok(1));
    house.enter(&ben, room).await.unwrap();
    assert_eq!(offer(&house, &house.seat(&ben, room), false).await, Err(Refusal::RecordingConsent));
}

#[tokio::test]
async fn moderation_puts_people_out_without_a_seat() {
    let (mut house, ada, ben, room) = call().await;
    let guard = house.person("guard").await;
    let (by, user) = (guard.caller.user.id, ben.caller.user.id);
    let put_out = async |house: &House, room, user, by, reason: &str| {
        house.rooms.put_out(room, user, by, Some(reason.to_owned())).await
    };
    let forbidden = Err(Refusal::Forbidden { action: Action::RemoveMember });
    assert_eq!(put_out(&house, room, user, by, "").await, forbidden, "no moderator");
    let store = house.rooms.0.store.clone();
    store.set_site_role(by, SiteRole::Moderator).await.unwrap();
    assert_eq!(put_out(&house, RoomId::new(), user, by, "").await, Err(Refusal::NotFound));
    assert_eq!(put_out(&house, room, UserId::new(), by, "").await, Err(Refusal::NotFound));
    assert!(matches!(put_out(&house, room, user, by, &"x".repeat(501)).await, Err(Refusal::BadRequest { .. })));
    store.set_site_role(user, SiteRole::Moderator).await.unwrap();
    assert_eq!(put_out(&house, room, user, by, "").await, forbidden, "a peer");
    store.set_site_role(user, SiteRole::Member).await.unwrap();
    house.is_quiet().await;
    put_out(&house, room, user, by, "nudity").await.unwrap();
    assert_eq!(house.told().await, (Audience::User(user), Fact::Removed { reason: Some("nudity".to_owned()) }));
    house.told_left(user, LeftReason::Removed).await;
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::Removed));
    // The owner too, and whoever is not there.
    put_out(&house, room, ada.caller.user.id, by, "").await.unwrap();
    put_out(&house, room, ada.caller.user.id, by, "").await.unwrap();
    assert_eq!(house.enter(&ada, room).await, Err(Refusal::Removed));
}

#[tokio::test]
async fn moderation_puts_strangers_apart() {
    let mut house = House::new().await;
    let (ada, ben, room, _) = house.strangers().await;
    let guard = house.person("guard").await;
    let (by, user) = (guard.caller.user.id, ben.caller.user.id);
    house.rooms.0.store.set_site_role(by, SiteRole::Moderator).await.unwrap();
    house.rooms.put_out(room, user, by, Some("nudity".to_owned())).await.unwrap();
    assert_eq!(house.told().await, (Audience::User(user), Fact::Removed { reason: Some("nudity".to_owned()) }));
    house.told_left(user, LeftReason::Removed).await;
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::Removed));
    assert!(house.rooms.seat(&ada, room).is_ok());
}
