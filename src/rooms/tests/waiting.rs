use super::hosting::{call, facts};
use super::*;
use crate::domain::{Addressee, HostAct, Notice, Told, Waiter, Waiting, Whom};
use crate::rooms::hosted::{DENIED_FOR, Hosted, WAITING_LIMIT};

fn notices(news: &[News]) -> Vec<(SessionId, Told)> {
    let notice = |it: &News| match it {
        News::Notice(Notice { to: Addressee::Session(session), told }) => Some((*session, told.clone())),
        _ => None,
    };
    news.iter().filter_map(notice).collect()
}

fn names(waiting: &[Waiter]) -> Vec<&str> {
    waiting.iter().map(|it| it.nickname.as_str()).collect()
}

#[tokio::test]
async fn who_waits_gets_nothing_of_the_call_until_admitted() {
    let (mut house, ada, ben, room) = call().await;
    house.all_told().await;
    house.act(&ada, room, HostAct::WaitingRoom { enabled: true }).await.unwrap();
    let call = house.rooms.call_id(&ada.caller, room).await.unwrap();
    let (cleo, dora) = (house.person("cleo").await, house.person("dora").await);
    house.all_told().await;
    for person in [&cleo, &dora] {
        assert_eq!(house.enter(person, room).await, Err(Refusal::Waiting));
    }
    // The hosts hear of it, and nobody else.
    let told = facts(&house.all_told().await);
    let hosts = Audience::User(ada.caller.user.id);
    let changes = told.iter().map(|(to, fact)| match fact {
        Fact::CallWaiting(Waiting { whole: false, waiting, gone, count }) if gone.is_empty() => {
            (*to, names(waiting), *count)
        }
        other => panic!("{other:?}"),
    });
    let changes = changes.collect::<Vec<_>>();
    assert_eq!(changes, [(hosts, vec!["cleo"], 1), (hosts, vec!["dora"], 2)]);
    // REST is no way around it, nor is membership.
    house.rooms.join(&cleo.caller, room).await.unwrap();
    assert_eq!(house.rooms.visit(&cleo.caller, room).await.unwrap_err(), Refusal::Waiting);
    assert_eq!(house.rooms.members(&cleo.caller, room).await, Err(Refusal::Waiting));
    assert_eq!(house.rooms.call(&cleo.caller, call).await, Err(Refusal::Waiting));
    assert_eq!(house.enter(&cleo, room).await, Err(Refusal::Waiting), "asking again changes nothing");
    house.is_quiet().await;
    // Those who were there stay, and come again.
    house.rooms.leave(&ben, room).unwrap();
    house.enter(&ben, room).await.unwrap();
    // A host who comes later is told who waits.
    house.rooms.set_member_role(&house.seat(&ada, room), ben.caller.user.id, Role::Moderator).await.unwrap();
    let then = house.enter(&ben, room).await.unwrap().then;
    assert!(then.iter().any(|it| matches!(&it.fact, Fact::CallWaiting(it) if it.whole && it.waiting.len() == 2)));
    let seat = house.seat(&ben, room);
    assert_eq!(names(&house.rooms.waiters(&seat).await.unwrap()), ["cleo", "dora"]);

    house.all_told().await;
    let user = cleo.caller.user.id;
    house.act(&ben, room, HostAct::Admit { target: Whom::UserId(user) }).await.unwrap();
    let told = house.all_told().await;
    assert_eq!(notices(&told), [(cleo.id, Told::Admitted { room })]);
    assert!(facts(&told).iter().all(|(to, _)| *to != Audience::Everyone), "who was let in is for hosts: {told:?}");
    house.enter(&cleo, room).await.unwrap();
    house.offer(&house.seat(&cleo, room)).await.unwrap();
    // Once admitted is admitted: after leaving, in another tab.
    house.rooms.leave(&cleo, room).unwrap();
    house.enter(&cleo, room).await.unwrap();
    // Switched off, it lets everybody in.
    house.all_told().await;
    house.act(&ada, room, HostAct::WaitingRoom { enabled: false }).await.unwrap();
    assert_eq!(notices(&house.all_told().await), [(dora.id, Told::Admitted { room })]);
    house.enter(&dora, room).await.unwrap();
}

#[tokio::test]
async fn waiting_ends_by_leaving_by_denial_and_with_the_session() {
    let (mut house, ada, _, room) = call().await;
    house.act(&ada, room, HostAct::WaitingRoom { enabled: true }).await.unwrap();
    let (cleo, dora) = (house.person("cleo").await, house.person("dora").await);
    let tab = Arc::new(session(cleo.caller.clone()));
    for person in [&cleo, &tab, &dora] {
        assert_eq!(house.enter(person, room).await, Err(Refusal::Waiting));
    }
    let seat = house.seat(&ada, room);
    let rooms = house.rooms.clone();
    let waiting = async || rooms.waiters(&seat).await.unwrap();
    assert_eq!(names(&waiting().await), ["cleo", "dora"]);
    house.rooms.leave(&cleo, room).unwrap();
    assert_eq!(names(&waiting().await), ["cleo", "dora"], "her other tab still waits");
    assert_eq!(house.rooms.leave(&cleo, room), Err(Refusal::NotInRoom));
    // A lost socket keeps its place; the session's end does not.
    house.rooms.session_changed(SessionChange::Lost(tab.id));
    house.rooms.session_changed(SessionChange::Resumed(tab.id));
    assert_eq!(house.enter(&tab, room).await, Err(Refusal::Waiting));
    assert_eq!(names(&waiting().await), ["cleo", "dora"]);
    house.rooms.session_changed(SessionChange::Lost(tab.id));
    house.rooms.session_changed(SessionChange::Ended(tab.id));
    assert_eq!(names(&waiting().await), ["dora"]);

    house.all_told().await;
    let user_id = dora.caller.user.id;
    house.act(&ada, room, HostAct::Deny { user_id }).await.unwrap();
    let denied = Told::Denied { room, retry_after_ms: 60_000 };
    assert_eq!(notices(&house.all_told().await), [(dora.id, denied)]);
    assert!(matches!(house.enter(&dora, room).await, Err(Refusal::Denied { retry_after_ms: 50_000..=60_000 })));
    assert!(waiting().await.is_empty() && house.rooms.lobby().waits.is_empty());
    house.act(&ada, room, HostAct::Deny { user_id }).await.unwrap();
    house.is_quiet().await;
}

#[tokio::test]
async fn admitted_past_a_lock_once() {
    let (house, ada, _, room) = call().await;
    house.act(&ada, room, HostAct::WaitingRoom { enabled: true }).await.unwrap();
    let (cleo, dora) = (house.person("cleo").await, house.person("dora").await);
    assert_eq!(house.enter(&cleo, room).await, Err(Refusal::Waiting));
    house.act(&ada, room, HostAct::Lock { locked: true }).await.unwrap();
    assert_eq!(house.enter(&dora, room).await, Err(Refusal::RoomLocked), "nobody even waits before a locked door");
    house.act(&ada, room, HostAct::Admit { target: Whom::Everybody }).await.unwrap();
    house.enter(&cleo, room).await.unwrap();
    house.offer(&house.seat(&cleo, room)).await.unwrap();
    house.rooms.leave(&cleo, room).unwrap();
    assert_eq!(house.enter(&cleo, room).await, Err(Refusal::RoomLocked));
}

#[tokio::test]
async fn the_removed_are_out_with_all_their_tabs_and_wait_again() {
    let (mut house, ada, ben, room) = call().await;
    let tab = house.tab(&ben, room).await;
    house.act(&ada, room, HostAct::WaitingRoom { enabled: true }).await.unwrap();
    house.all_told().await;
    let user_id = ben.caller.user.id;
    house.act(&ada, room, HostAct::Remove { user_id, for_good: false, reason: None }).await.unwrap();
    let told = facts(&house.all_told().await);
    let by = Some(ada.caller.user.id);
    assert_eq!(told[0], (Audience::Session(ben.id), Fact::CallEnded { reason: EndReason::RemovedByHost, by }));
    let removed = LeftReason::Removed;
    assert!(matches!(&told[1].1, Fact::CallParticipantLeft { reason, .. } if *reason == removed));
    assert!(matches!(&told[2].1, Fact::MemberLeft { user, reason, .. } if (*user, *reason) == (user_id, removed)));
    for session in [&ben, &tab] {
        assert_eq!(house.rooms.seat(session, room).unwrap_err(), Refusal::NotInRoom);
        assert_eq!(house.enter(session, room).await, Err(Refusal::Waiting), "what admitted him does so no more");
    }
    house.act(&ada, room, HostAct::WaitingRoom { enabled: false }).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    house.act(&ada, room, HostAct::Remove { user_id, for_good: true, reason: None }).await.unwrap();
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::Removed));
}

#[test]
fn a_waiting_room_holds_so_many() {
    let (mut hosted, now) = (Hosted::default(), std::time::Instant::now());
    hosted.set_waiting_room(true, std::iter::empty());
    let user = |name: &str| User { id: UserId::new(), nickname: name.to_owned(), role: SiteRole::Member, bot: false };
    for _ in 0..WAITING_LIMIT {
        hosted.knock(&user("guest"), SessionId::new(), now).unwrap();
    }
    let refusal = hosted.knock(&user("late"), SessionId::new(), now).unwrap_err();
    assert_eq!(refusal, Refusal::WaitingRoomFull { limit: WAITING_LIMIT as u32 });
    let (first, session) = (hosted.waiters()[0].user_id, SessionId::new());
    hosted.deny(first, now);
    let again = User { id: first, ..user("guest") };
    assert!(matches!(hosted.knock(&again, session, now), Err(Refusal::Denied { .. })));
    let later = now + DENIED_FOR;
    assert!(matches!(hosted.knock(&again, session, later), Ok(Some(_))), "after a minute one may ask again");
}

#[test]
fn a_flood_of_knocks_is_slowed_down() {
    let (mut hosted, begun) = (Hosted::default(), std::time::Instant::now());
    hosted.set_waiting_room(true, std::iter::empty());
    let user = User { id: UserId::new(), nickname: "guest".to_owned(), role: SiteRole::Member, bot: false };
    // Somebody who comes and goes as fast as the wire bears it.
    let knock = |hosted: &mut Hosted, now| {
        let session = SessionId::new();
        let told = hosted.knock(&user, session, now);
        assert_eq!(told.is_ok(), hosted.give_up(session).is_some());
        told
    };
    let told = (0..1_000).filter(|_| knock(&mut hosted, begun).is_ok()).count();
    assert_eq!(told, 200, "so many at once");
    let refused = knock(&mut hosted, begun).unwrap_err();
    assert!(matches!(refused, Refusal::RateLimited { limit: "knock", retry_after_ms: 1..=500 }), "{refused:?}");
    let told = (0..6_000_u64).filter(|ms| {
        let now = begun + std::time::Duration::from_millis(ms * 10);
        knock(&mut hosted, now).is_ok()
    });
    assert_eq!(told.count(), 119, "and then two a second");
}
