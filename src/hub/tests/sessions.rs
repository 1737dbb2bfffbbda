//! What a session's owner is, a session that is taken up at the last moment, and how the banned go.

use super::*;
use crate::proto::{ErrorBody, ErrorCode};

fn moderator(user: UserId) -> Caller {
    let caller = caller(user);
    Caller { user: User { role: SiteRole::Moderator, ..caller.user }, ..caller }
}

#[tokio::test]
async fn a_role_on_the_site_holds_for_open_sessions_at_once() {
    let house = House::new();
    let user = UserId::new();
    let (mut ada, tab, ben) = (
        house.hub.open(caller(user), None),
        house.hub.open(caller(user), None),
        house.hub.open(caller(UserId::new()), None),
    );
    let role = |opened: &Opened| house.hub.current(&opened.session).caller.user.role;
    assert!(Arc::ptr_eq(&house.hub.current(&ada.session), &ada.session), "what is so already costs nothing");
    house.hub.login_changed(&LoginChange::SiteRole(user, SiteRole::Moderator));
    assert_eq!([role(&ada), role(&tab), role(&ben)], [SiteRole::Moderator, SiteRole::Moderator, SiteRole::Member]);
    assert_eq!(frame(&mut ada).await["data"]["role"], "moderator");
    // Who has read the database before that knows less.
    house.hub.confirm(&ada.session, SiteRole::Member);
    assert_eq!(role(&ada), SiteRole::Moderator);
    house.hub.login_changed(&LoginChange::SiteRole(user, SiteRole::Member));
    assert_eq!(role(&ada), SiteRole::Member);
}

#[tokio::test]
async fn a_role_that_goes_while_a_session_is_opened_is_gone() {
    let house = House::new();
    let user = UserId::new();
    // The login was read, then the role was taken, then the session was opened: nobody has found it to tell.
    house.hub.login_changed(&LoginChange::SiteRole(user, SiteRole::Member));
    let guard = house.hub.open(moderator(user), None);
    assert_eq!(house.hub.current(&guard.session).caller.user.role, SiteRole::Moderator);
    house.hub.confirm(&guard.session, SiteRole::Member);
    assert_eq!(house.hub.current(&guard.session).caller.user.role, SiteRole::Member);
    // The same with a fresh token.
    let renewed = house.hub.renew(&guard.session, moderator(user));
    house.hub.confirm(&renewed, SiteRole::Member);
    assert_eq!(house.hub.current(&renewed).caller.user.role, SiteRole::Member);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_taken_up_at_the_last_moment_lives_once_or_not_at_all() {
    let bus = Bus::local();
    let (hub, mut changes) = Hub::start(&Config { seat_kept_ms: 2 }, bus.subscribe());
    let (mut resumed, mut ended) = (0, 0);
    for attempt in 0..200_u64 {
        let user = UserId::new();
        let first = hub.open(caller(user), None);
        let (session, token) = (first.session.clone(), first.resume_token.clone());
        drop(first);
        assert_eq!(changes.recv().await, Some(SessionChange::Lost(session.id)));
        // Around the moment in which the seat is given up.
        tokio::time::sleep(Duration::from_micros(1_500 + attempt * 10)).await;
        let second = hub.open(caller(user), Some(&token));
        if second.resumed {
            resumed += 1;
            assert!(second.session.id == session.id && !session.is_over());
            assert_eq!(changes.recv().await, Some(SessionChange::Resumed(session.id)));
        } else {
            ended += 1;
            assert!(second.session.id != session.id && session.is_over());
            assert_eq!(changes.recv().await, Some(SessionChange::Ended(session.id)));
        }
        assert!(changes.try_recv().is_err(), "and nothing else becomes of it");
        hub.end(&second.session);
        assert_eq!(changes.recv().await, Some(SessionChange::Ended(second.session.id)));
    }
    println!("{resumed} were in time, {ended} were not");
}

#[tokio::test]
async fn the_banned_are_told_and_closed_wherever_they_are() {
    let mut house = House::new();
    let user = UserId::new();
    let mut tabs = [house.hub.open(caller(user), None), house.hub.open(caller(user), None)];
    let lost = house.hub.open(caller(user), None);
    let (waiting, token) = (lost.session.clone(), lost.resume_token.clone());
    drop(lost);
    assert_eq!(house.changes.recv().await, Some(SessionChange::Lost(waiting.id)));
    let mut stranger = house.hub.open(caller(UserId::new()), None);
    house.hub.login_changed(&LoginChange::Banned { user, reason: "spam".to_owned(), until: None });
    for tab in &mut tabs {
        let frame = frame(tab).await;
        assert_eq!((&frame["type"], &frame["data"]["code"]), (&"error".into(), &"banned".into()));
        assert_eq!(tab.outbox.next().await, Outgoing::Close(CloseCode::Removed));
        assert!(tab.session.is_over() && !house.hub.open(caller(user), Some(&tab.resume_token)).resumed);
    }
    assert!(waiting.is_over() && !house.hub.open(caller(user), Some(&token)).resumed, "nor does a kept seat help");
    house.hub.reply(&stranger.session, ServerFrame::ok(None));
    assert_eq!(frame(&mut stranger).await["type"], "ok");
}

#[tokio::test]
async fn what_waits_for_a_socket_is_bounded_in_bytes_too() {
    let house = House::new();
    let mut slow = house.hub.open(caller(UserId::new()), None);
    let long = "x".repeat(1024 * 1024);
    let frame = || ServerFrame::error(None, ErrorBody::new(ErrorCode::Internal, long.clone()));
    for _ in 0..7 {
        house.hub.reply(&slow.session, frame());
    }
    assert!(matches!(slow.outbox.next().await, Outgoing::Frame(_)), "that much may wait");
    for _ in 0..2 {
        house.hub.reply(&slow.session, frame());
    }
    assert_eq!(slow.outbox.next().await, Outgoing::Close(CloseCode::TooSlow));
    house.hub.reply(&slow.session, ServerFrame::ok(None));
    assert_eq!(slow.outbox.next().await, Outgoing::Close(CloseCode::TooSlow), "nothing follows a close");
    assert!(house.hub.open(caller(slow.session.caller.user.id), Some(&slow.resume_token)).resumed);
}
