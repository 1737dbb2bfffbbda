use super::*;
use crate::domain::{Controls, HostAct, Standing, Whom, call::StopReason, can, controls::MutedAll};
use crate::rooms::hosted::{Host, Hosted, Overruled};
use crate::rooms::orders::Orders;

const MICROPHONE: TrackSource = TrackSource::Microphone;
const CAMERA: TrackSource = TrackSource::Camera;

/// A host and a guest in a room; both take part in its call.
pub(super) async fn call() -> (House, Arc<Session>, Arc<Session>, RoomId) {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = house.room(&ada, Visibility::Public).await;
    for person in [&ada, &ben] {
        house.enter(person, room).await.unwrap();
        house.offer(&house.seat(person, room)).await.unwrap();
    }
    (house, ada, ben, room)
}

impl House {
    pub(super) async fn act(&self, by: &Arc<Session>, room: RoomId, act: HostAct) -> Result<(), Refusal> {
        self.rooms.host(&self.seat(by, room), act).await
    }

    /// What everybody sees of somebody's track.
    async fn track(&self, of: &Arc<Session>, room: RoomId, source: TrackSource) -> crate::domain::call::Track {
        let mut lobby = self.rooms.lobby();
        let joined = lobby.rooms.get_mut(&room).unwrap().call.of_session(of.id).unwrap();
        joined.participant.tracks.iter().find(|it| it.source == source).unwrap().clone()
    }

    async fn flags(&self, of: &Arc<Session>, room: RoomId, source: TrackSource) -> (bool, bool) {
        let track = self.track(of, room, source).await;
        (track.muted, track.muted_by_host)
    }

    /// Another tab of somebody, in the room.
    pub(super) async fn tab(&self, of: &Arc<Session>, room: RoomId) -> Arc<Session> {
        let tab = Arc::new(session(of.caller.clone()));
        self.enter(&tab, room).await.unwrap();
        tab
    }

    pub(super) fn controls(&self, room: RoomId) -> Controls {
        let lobby = self.rooms.lobby();
        lobby.controls(lobby.rooms[&room].record.call)
    }

    /// All that has been told so far.
    pub(super) async fn all_told(&mut self) -> Vec<News> {
        let mark = Event::ephemeral(RoomId::new(), Fact::Removed { reason: None });
        self.rooms.0.bus.publish(&mark);
        let mut all = Vec::new();
        loop {
            match self.told.next().await.unwrap() {
                News::Event(event) if event == mark => return all,
                news => all.push(news),
            }
        }
    }
}

pub(super) fn facts(news: &[News]) -> Vec<(Audience, Fact)> {
    let fact = |it: &News| match it {
        News::Event(event) => Some((event.to, event.fact.clone())),
        News::Notice(_) => None,
    };
    news.iter().filter_map(fact).collect()
}

const fn mute_all(muted: bool, may_unmute: bool) -> HostAct {
    HostAct::MuteAll { muted, may_unmute }
}

fn disable(user: Option<UserId>, source: TrackSource, disabled: bool) -> HostAct {
    HostAct::Disable { target: user.map_or(Whom::Everybody, Whom::UserId), source, disabled }
}

#[tokio::test]
async fn mute_all_mutes_everybody_but_hosts_and_those_to_come() {
    let (mut house, ada, ben, room) = call().await;
    house.all_told().await;
    house.act(&ada, room, mute_all(true, true)).await.unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (true, true));
    assert_eq!(house.flags(&ben, room, CAMERA).await, (false, false));
    assert_eq!(house.flags(&ada, room, MICROPHONE).await, (false, false), "not a host's own");
    let told = facts(&house.all_told().await);
    let [(_, Fact::CallParticipant(shown)), stopped, controls] = &told[..] else { panic!("{told:?}") };
    assert!(shown.user_id == ben.caller.user.id && shown.tracks[0].muted);
    let by = Some(ada.caller.user.id);
    let (track, reason) = (shown.tracks[0].track_id, StopReason::MutedByHost);
    let expected = Fact::TrackStopped { track, source: MICROPHONE, reason, by, may_unmute: true };
    assert_eq!(*stopped, (Audience::Session(ben.id), expected));
    let now = Controls { muted_all: Some(MutedAll { may_unmute: true }), ..Controls::default() };
    let act = Some(mute_all(true, true));
    assert_eq!(*controls, (Audience::Everyone, Fact::CallControls { controls: now.clone(), by, act }));
    // The same once more is no news.
    house.act(&ada, room, mute_all(true, true)).await.unwrap();
    house.is_quiet().await;

    // Who comes later begins muted, and is told so.
    let cleo = house.person("cleo").await;
    let entered = house.enter(&cleo, room).await.unwrap();
    assert_eq!(entered.call.unwrap().controls, now);
    let answer = house.offer(&house.seat(&cleo, room)).await.unwrap();
    assert_eq!(answer.controls, now);
    assert_eq!(house.flags(&cleo, room, MICROPHONE).await, (true, true));
    let told = facts(&house.all_told().await);
    assert!(told.iter().any(|(to, fact)| {
        *to == Audience::Session(cleo.id) && matches!(fact, Fact::TrackStopped { may_unmute: true, .. })
    }));
}

#[tokio::test]
async fn who_was_muted_with_all_may_unmute_unless_the_host_says_otherwise() {
    let (mut house, ada, ben, room) = call().await;
    let guest = house.seat(&ben, room);
    house.act(&ada, room, mute_all(true, true)).await.unwrap();
    let voice = house.track(&ben, room, MICROPHONE).await.track_id;
    house.rooms.mute(&guest, voice, false).unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (false, false));
    // They keep that: in another tab, and from a new connection.
    let tab = house.tab(&ben, room).await;
    house.offer(&house.seat(&tab, room)).await.unwrap();
    assert_eq!(house.flags(&tab, room, MICROPHONE).await, (false, false));
    // Until they are all muted again.
    house.act(&ada, room, mute_all(true, false)).await.unwrap();
    for session in [&ben, &tab] {
        assert_eq!(house.flags(session, room, MICROPHONE).await, (true, true));
    }
    assert_eq!(house.rooms.mute(&guest, voice, false), Err(Refusal::MutedByHost));
    assert_eq!(house.rooms.mute(&guest, voice, true), Ok(()));
    // Leaving, coming back and a new connection change nothing.
    house.rooms.leave(&tab, room).unwrap();
    house.rooms.leave(&ben, room).unwrap();
    house.enter(&ben, room).await.unwrap();
    house.offer(&house.seat(&ben, room)).await.unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (true, true));
    let guest = house.seat(&ben, room);
    house.rooms.offer(&guest, offer(&super::calls::another_offer(), sources()), None).await.unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (true, true));
    // A host lets one speak; the microphone is theirs to open.
    let voice = house.track(&ben, room, MICROPHONE).await.track_id;
    house.rooms.mute_track(&house.seat(&ada, room), voice, false).unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (true, false));
    house.rooms.mute(&guest, voice, false).unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (false, false));
    // The end of it opens nobody's microphone.
    house.act(&ada, room, mute_all(true, false)).await.unwrap();
    house.act(&ada, room, mute_all(false, true)).await.unwrap();
    assert_eq!(house.flags(&ben, room, MICROPHONE).await, (true, false));
    assert_eq!(house.controls(room), Controls::default());
    house.all_told().await;
    house.act(&ada, room, mute_all(false, true)).await.unwrap();
    house.is_quiet().await;
}

#[tokio::test]
async fn what_is_disabled_stays_so_until_a_host_lifts_it() {
    let (mut house, ada, ben, room) = call().await;
    let user = ben.caller.user.id;
    house.all_told().await;
    house.act(&ada, room, disable(Some(user), CAMERA, true)).await.unwrap();
    let told = facts(&house.all_told().await);
    let (Audience::Everyone, Fact::CallParticipant(shown)) = &told[0] else { panic!("{told:?}") };
    assert_eq!((&shown.disabled[..], shown.tracks[1].muted_by_host), (&[CAMERA][..], true));
    let by = Some(ada.caller.user.id);
    let (track, reason) = (shown.tracks[1].track_id, StopReason::DisabledByHost);
    let stopped = Fact::TrackStopped { track, source: CAMERA, reason, by, may_unmute: false };
    assert_eq!(told[1], (Audience::Session(ben.id), stopped));
    assert!(matches!(&told[2], (Audience::Everyone, Fact::CallControls { by: told_by, .. }) if *told_by == by));
    house.act(&ada, room, disable(Some(user), CAMERA, true)).await.unwrap();
    house.is_quiet().await;

    let guest = house.seat(&ben, room);
    assert_eq!(house.rooms.mute(&guest, track, false), Err(Refusal::DisabledByHost));
    // By leaving, from another tab, by the host's other switch: no way around it.
    house.rooms.leave_call(&guest).unwrap();
    house.offer(&guest).await.unwrap();
    assert!(house.flags(&ben, room, CAMERA).await.1);
    let tab = house.tab(&ben, room).await;
    let answer = house.offer(&house.seat(&tab, room)).await.unwrap();
    let own = answer.participants.iter().find(|it| it.participant_id == answer.participant_id).unwrap();
    assert_eq!((&own.disabled[..], own.tracks[1].muted_by_host), (&[CAMERA][..], true));
    let camera = house.track(&ben, room, CAMERA).await.track_id;
    house.rooms.mute_track(&house.seat(&ada, room), camera, true).unwrap();
    house.rooms.mute_track(&house.seat(&ada, room), camera, false).unwrap();
    assert!(house.flags(&ben, room, CAMERA).await.1);
    // Whoever resumes is told again.
    let then = house.enter(&ben, room).await.unwrap().then;
    assert!(then.iter().any(|event| matches!(event.fact, Fact::TrackStopped { source: CAMERA, .. })));

    house.act(&ada, room, disable(Some(user), CAMERA, false)).await.unwrap();
    for session in [&ben, &tab] {
        assert_eq!(house.flags(session, room, CAMERA).await, (false, false));
    }
    let nobody = disable(Some(UserId::new()), CAMERA, true);
    assert_eq!(house.act(&ada, room, nobody).await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn what_is_disabled_for_all_does_not_hold_for_hosts() {
    let (house, ada, ben, room) = call().await;
    for source in [CAMERA, TrackSource::Screen] {
        house.act(&ada, room, disable(None, source, true)).await.unwrap();
        assert!(house.flags(&ben, room, source).await.1 && !house.flags(&ada, room, source).await.1);
    }
    assert_eq!(house.controls(room).disabled, [CAMERA, TrackSource::Screen]);
    // Who becomes a host may, and who is one no more may not.
    let user = ben.caller.user.id;
    house.rooms.set_member_role(&house.seat(&ada, room), user, Role::Moderator).await.unwrap();
    assert!(!house.flags(&ben, room, CAMERA).await.1);
    house.rooms.set_member_role(&house.seat(&ada, room), user, Role::Member).await.unwrap();
    assert!(house.flags(&ben, room, CAMERA).await.1);
    house.rooms.login_changed(&LoginChange::SiteRole(user, SiteRole::Moderator));
    assert!(!house.flags(&ben, room, CAMERA).await.1);
    house.rooms.login_changed(&LoginChange::SiteRole(user, SiteRole::Member));
    for source in [CAMERA, TrackSource::Screen] {
        house.act(&ada, room, disable(None, source, false)).await.unwrap();
    }
    assert!(!house.flags(&ben, room, CAMERA).await.1);
    assert!(house.rooms.lobby().orders.len() == 0, "what is over is forgotten");
}

#[tokio::test]
async fn nobody_acts_on_those_above_nor_undoes_what_they_did() {
    let (house, ada, ben, room) = call().await;
    let (owner, moderator) = (ada.caller.user.id, ben.caller.user.id);
    house.rooms.set_member_role(&house.seat(&ada, room), moderator, Role::Moderator).await.unwrap();
    let cleo = house.person("cleo").await;
    house.enter(&cleo, room).await.unwrap();
    house.offer(&house.seat(&cleo, room)).await.unwrap();
    let guest = cleo.caller.user.id;
    let forbidden = Err(Refusal::Forbidden { action: Action::HostCall });
    let remove = |user_id| HostAct::Remove { user_id, for_good: false, reason: None };
    assert_eq!(house.act(&ben, room, disable(Some(owner), CAMERA, true)).await, forbidden);
    assert_eq!(house.act(&ben, room, remove(owner)).await, forbidden);
    let oneself = house.act(&ben, room, remove(moderator)).await;
    assert!(matches!(oneself, Err(Refusal::BadRequest { field: "userId", .. })));
    assert_eq!(house.act(&ben, room, HostAct::End).await, Err(Refusal::Forbidden { action: Action::EndCall }));
    // Neither of a third person, nor of oneself.
    let voice = house.track(&ben, room, MICROPHONE).await.track_id;
    house.rooms.mute_track(&house.seat(&ada, room), voice, true).unwrap();
    let not_theirs = Err(Refusal::Forbidden { action: Action::MuteTrack });
    assert_eq!(house.rooms.mute_track(&house.seat(&ben, room), voice, false), not_theirs);
    house.act(&ada, room, disable(Some(guest), CAMERA, true)).await.unwrap();
    assert_eq!(house.act(&ben, room, disable(Some(guest), CAMERA, true)).await, Ok(()));
    assert_eq!(house.act(&ben, room, disable(Some(guest), CAMERA, false)).await, forbidden);
    house.act(&ada, room, disable(Some(guest), CAMERA, false)).await.unwrap();
    assert!(!house.flags(&cleo, room, CAMERA).await.1);
}

#[tokio::test]
async fn a_spotlight_ends_when_its_participant_leaves() {
    let (mut house, ada, ben, room) = call().await;
    let spotlight = |participant_id| HostAct::Spotlight { participant_id };
    let nobody = house.act(&ada, room, spotlight(Some(ParticipantId::new()))).await;
    assert_eq!(nobody, Err(Refusal::NotFound));
    let participant = {
        let mut lobby = house.rooms.lobby();
        lobby.rooms.get_mut(&room).unwrap().call.of_session(ben.id).unwrap().participant.participant_id
    };
    house.all_told().await;
    house.act(&ada, room, spotlight(Some(participant))).await.unwrap();
    assert_eq!(house.controls(room).spotlight, Some(participant));
    assert!(matches!(&facts(&house.all_told().await)[..], [(Audience::Everyone, Fact::CallControls { .. })]));
    // A lost socket keeps it, like the seat.
    house.rooms.session_changed(SessionChange::Lost(ben.id));
    house.rooms.session_changed(SessionChange::Resumed(ben.id));
    assert_eq!(house.controls(room).spotlight, Some(participant));
    house.all_told().await;
    house.rooms.leave_call(&house.seat(&ben, room)).unwrap();
    let ended = Fact::CallControls { controls: Controls::default(), by: None, act: None };
    assert!(facts(&house.all_told().await).contains(&(Audience::Everyone, ended)));
}

#[tokio::test]
async fn a_locked_room_takes_nobody_new() {
    let (house, ada, ben, room) = call().await;
    let (cleo, dora) = (house.person("cleo").await, house.person("dora").await);
    house.enter(&dora, room).await.unwrap();
    house.act(&ada, room, HostAct::Lock { locked: true }).await.unwrap();
    assert_eq!(house.enter(&cleo, room).await, Err(Refusal::RoomLocked));
    // Dora is in the room, but was not in the call.
    assert_eq!(house.offer(&house.seat(&dora, room)).await, Err(Refusal::RoomLocked));
    // Ben is in it: from another tab, over a lost socket, with a new connection.
    house.rooms.session_changed(SessionChange::Lost(ben.id));
    house.rooms.session_changed(SessionChange::Resumed(ben.id));
    house.enter(&ben, room).await.unwrap();
    let tab = house.tab(&ben, room).await;
    house.offer(&house.seat(&tab, room)).await.unwrap();
    house.rooms.leave_call(&house.seat(&tab, room)).unwrap();
    let guest = house.seat(&ben, room);
    house.rooms.offer(&guest, offer(&super::calls::another_offer(), sources()), None).await.unwrap();
    // Until he leaves it.
    house.rooms.leave_call(&guest).unwrap();
    assert_eq!(house.offer(&guest).await, Err(Refusal::RoomLocked));
    // Hosts always may.
    house.rooms.leave(&ada, room).unwrap();
    house.enter(&ada, room).await.unwrap();
    house.offer(&house.seat(&ada, room)).await.unwrap();
    let guard = house.moderator("guard").await;
    house.enter(&guard, room).await.unwrap();
    house.act(&guard, room, HostAct::Lock { locked: false }).await.unwrap();
    house.enter(&cleo, room).await.unwrap();
    house.offer(&guest).await.unwrap();
}

#[tokio::test]
async fn the_end_for_all_ends_everybodys_part() {
    let (mut house, ada, ben, room) = call().await;
    house.all_told().await;
    house.act(&ada, room, HostAct::End).await.unwrap();
    let told = facts(&house.all_told().await);
    let ended = Fact::CallEnded { reason: EndReason::EndedByHost, by: Some(ada.caller.user.id) };
    for session in [&ada, &ben] {
        assert!(told.contains(&(Audience::Session(session.id), ended.clone())));
        assert_eq!(house.rooms.ready(&house.seat(session, room)), Err(Refusal::NotInCall));
    }
    assert_eq!(told.iter().filter(|it| matches!(it.1, Fact::CallParticipantLeft { .. })).count(), 2);
    house.act(&ada, room, HostAct::End).await.unwrap();
    house.is_quiet().await;
    house.offer(&house.seat(&ben, room)).await.unwrap();
}

#[tokio::test]
async fn every_role_does_what_the_table_allows() {
    let (house, ada, ben, room) = call().await;
    let user = ben.caller.user.id;
    let waiter = house.person("cleo").await;
    let acts = [
        (Action::MuteTrack, mute_all(true, true)),
        (Action::HostCall, disable(None, CAMERA, true)),
        (Action::HostCall, HostAct::Spotlight { participant_id: None }),
        (Action::HostCall, HostAct::Lock { locked: false }),
        (Action::HostCall, HostAct::WaitingRoom { enabled: true }),
        (Action::HostCall, HostAct::Admit { target: Whom::Everybody }),
        (Action::HostCall, HostAct::Deny { user_id: waiter.caller.user.id }),
        (Action::EndCall, HostAct::End),
    ];
    let site = [SiteRole::Member, SiteRole::Moderator, SiteRole::Administrator];
    let roles = [Role::Member, Role::Trusted, Role::Moderator, Role::Admin].map(|role| (role, SiteRole::Member));
    for (role, site) in roles.into_iter().chain(site.map(|site| (Role::Member, site))) {
        house.rooms.login_changed(&LoginChange::SiteRole(user, site));
        house.rooms.set_member_role(&house.seat(&ada, room), user, role).await.ok();
        let seat = house.seat(&ben, room);
        let standing = Standing::of(Some(seat.role.unwrap()), site);
        for (action, act) in &acts {
            let expected = if can(standing, *action) { Ok(()) } else { Err(Refusal::Forbidden { action: *action }) };
            assert_eq!(house.rooms.host(&seat, act.clone()).await, expected, "{standing:?} {act:?}");
        }
    }
    // Where there is no call, there is nothing to do to it.
    let new = NewRoom {
        kind: RoomKind::Broadcast,
        name: "no calls".to_owned(),
        visibility: Visibility::Public,
        max_participants: None,
    };
    let group = house.rooms.create(&ada.caller, new).await.unwrap().id;
    house.enter(&ada, group).await.unwrap();
    let refusal = house.act(&ada, group, HostAct::Lock { locked: true }).await;
    assert!(matches!(refusal, Err(Refusal::BadRequest { field: "roomId", .. })));
}

fn host(room: Role) -> Host {
    Host { user: UserId::new(), standing: Standing::of(Some(room), SiteRole::Member) }
}

#[test]
fn the_sound_of_a_screen_is_no_way_around() {
    let (mut hosted, user, sound) = (Hosted::default(), UserId::new(), TrackSource::ScreenAudio);
    hosted.mute_all(UserId::new(), Some(MutedAll { may_unmute: true }));
    assert!(hosted.held(user, sound, false).is_some() && hosted.held(user, sound, true).is_none());
    assert!(!hosted.shuts(user, sound, false), "it comes back with the voice");
    hosted.may_speak(user);
    assert_eq!(hosted.held(user, sound, false), None);
    hosted.disable(user, TrackSource::Screen, host(Role::Owner), true).unwrap();
    assert_eq!(hosted.held(user, sound, true).unwrap().reason, StopReason::DisabledByHost);
    // Nor around what holds for this one microphone.
    let (mut hosted, owner) = (Hosted::default(), host(Role::Owner));
    hosted.mute(user, MICROPHONE, owner, true).unwrap();
    assert_eq!(hosted.held(user, sound, false).unwrap().reason, StopReason::MutedByHost);
    hosted.mute(user, MICROPHONE, owner, false).unwrap();
    assert_eq!(hosted.held(user, sound, false), None);
    hosted.disable(user, MICROPHONE, owner, true).unwrap();
    assert_eq!(hosted.held(user, sound, false).unwrap().reason, StopReason::DisabledByHost);
}

#[test]
fn the_higher_hosts_word_stands() {
    let (mut hosted, user) = (Hosted::default(), UserId::new());
    let (owner, moderator) = (host(Role::Owner), host(Role::Moderator));
    hosted.mute(user, MICROPHONE, moderator, true).unwrap();
    hosted.mute(user, MICROPHONE, owner, true).unwrap();
    assert_eq!(hosted.mute(user, MICROPHONE, moderator, false), Err(Overruled));
    hosted.mute(user, MICROPHONE, moderator, true).unwrap();
    assert_eq!(hosted.held(user, MICROPHONE, false).unwrap().by, Some(owner.user));
    hosted.mute(user, MICROPHONE, owner, false).unwrap();
    assert!(hosted.is_empty());
}

#[test]
fn what_hosts_settled_outlives_an_empty_room_for_a_while() {
    let (mut orders, begun) = (Orders::default(), std::time::Instant::now());
    let minutes = |number: u64| begun + std::time::Duration::from_secs(60 * number);
    orders.hosted.mute_all(UserId::new(), Some(MutedAll { may_unmute: false }));
    orders.set_empty(true, begun);
    orders.expire(minutes(9));
    assert!(!orders.is_empty());
    orders.set_empty(false, minutes(9));
    orders.expire(minutes(60));
    assert!(!orders.is_empty(), "somebody is there");
    orders.set_empty(true, minutes(60));
    orders.expire(minutes(70));
    assert!(orders.is_empty());
}
