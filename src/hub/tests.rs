use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::bus::Bus;
use crate::domain::{
    Epoch, Fact, Member, Message, MessageId, Origin, Position, Role, Room, RoomKind, SiteRole, Time, Told, User,
    Visibility,
    message::{Author, Content},
    room::LeftReason,
};

struct House {
    bus: Bus,
    hub: Hub,
    changes: UnboundedReceiver<SessionChange>,
    room: RoomId,
    epoch: Epoch,
}

impl House {
    fn new() -> Self {
        let bus = Bus::local();
        let (hub, changes) = Hub::start(&Config::default(), bus.subscribe());
        Self { bus, hub, changes, room: RoomId::new(), epoch: Epoch::new() }
    }

    fn at(&self, offset: u64) -> Position {
        Position { epoch: self.epoch, offset }
    }

    /// A message at a place of the stream; `origin` is who asked for it.
    fn message(&self, offset: u64, origin: Option<Origin>) -> Event {
        let message = Message {
            id: MessageId::new(),
            room_id: self.room,
            sender: Author { id: UserId::new(), nickname: "ben".to_owned() },
            client_id: format!("c-{offset}"),
            content: Content::text("hello"),
            reply_to: None,
            created_at: Time::now(),
            edited_at: None,
            deleted: false,
            reactions: std::collections::BTreeMap::new(),
            pinned_at: None,
            thread: None,
            expires_at: None,
        };
        let position = Some(self.at(offset));
        Event { position, origin, ..Event::ephemeral(self.room, Fact::MessageSent(Box::new(message))) }
    }

    async fn publish(&self, event: Event) {
        self.bus.publish_durable(event).await;
    }

    /// The room as somebody finds it whose state goes up to `offset`; `known` is where they say they are.
    fn found(&self, offset: u64, known: Option<u64>) -> Entered {
        let room = Room { id: self.room, ..Room::new(RoomKind::Call, "Friday".to_owned(), Visibility::Public, 50) };
        let missed = known.map_or(Vec::new(), |known| (known + 1..=offset).map(|it| self.message(it, None)).collect());
        Entered {
            room,
            role: Role::Member,
            members: Vec::new(),
            online: 1,
            call: None,
            position: self.at(offset),
            recovered: known.map(|_| true),
            messages: Vec::new(),
            missed,
            then: Vec::new(),
            unread: None,
            stay: 1,
        }
    }

    async fn join(&self, opened: &Opened, offset: u64) {
        let found = self.found(offset, None);
        self.hub.join(&opened.session, Some("j".to_owned()), self.room, async { Ok(found) }).await.unwrap();
    }
}

fn caller(user: UserId) -> Caller {
    let user = User { id: user, nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
    Caller {
        user,
        known_since: Time::now(),
        family: FamilyId::new(),
        address: [127, 0, 0, 1].into(),
        cluster: Default::default(),
    }
}

async fn bytes(opened: &mut Opened) -> Bytes {
    match opened.outbox.next().await {
        Outgoing::Frame(frame) => frame,
        Outgoing::Close(code) => panic!("closed with {code:?}"),
    }
}

async fn frame(opened: &mut Opened) -> Value {
    serde_json::from_slice(&bytes(opened).await).unwrap()
}

async fn offset(opened: &mut Opened) -> u64 {
    frame(opened).await["offset"].as_u64().unwrap()
}

#[tokio::test]
async fn an_event_is_encoded_once_and_the_senders_copy_has_the_request() {
    let house = House::new();
    let mut people: Vec<_> = (0..3).map(|_| house.hub.open(caller(UserId::new()), None)).collect();
    for person in &mut people {
        house.join(person, 0).await;
        assert_eq!(frame(person).await["type"], "room_state");
    }
    let origin = Origin { session: people[0].session.id, request: Some("7".to_owned()) };
    house.publish(house.message(1, Some(origin))).await;
    let (one, two) = (bytes(&mut people[1]).await, bytes(&mut people[2]).await);
    assert_eq!(one.as_ptr(), two.as_ptr(), "the same bytes");
    let (own, other): (Value, Value) = (frame(&mut people[0]).await, serde_json::from_slice(&one).unwrap());
    assert_eq!((&own["id"], &other["id"]), (&Value::from("7"), &Value::Null));
    assert_eq!(own["data"], other["data"]);
}

#[tokio::test]
async fn what_happens_while_the_state_is_fetched_comes_after_it_once() {
    let house = House::new();
    let mut ada = house.hub.open(caller(UserId::new()), None);
    let mut ben = house.hub.open(caller(UserId::new()), None);
    house.join(&ben, 0).await;
    frame(&mut ben).await;
    let session = ada.session.id;
    let enter = async {
        // Two before the state is read, two after; ben has them all, so the hub has told them all.
        for number in 1..=4 {
            let origin = Origin { session, request: Some(format!("m-{number}")) };
            house.publish(house.message(number, Some(origin))).await;
        }
        house.bus.publish(&Event::ephemeral(
            house.room,
            Fact::MemberLeft { user: UserId::new(), reason: LeftReason::Left, stay: 1 },
        ));
        for _ in 0..5 {
            frame(&mut ben).await;
        }
        Ok(house.found(2, None))
    };
    house.hub.join(&ada.session.clone(), Some("j".to_owned()), house.room, enter).await.unwrap();
    let state = frame(&mut ada).await;
    assert_eq!((&state["type"], &state["id"], &state["offset"]), (&"room_state".into(), &"j".into(), &2.into()));
    // What the state contains is only acknowledged, without a place in the stream.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let frame = frame(&mut ada).await;
        seen.push((frame["type"].as_str().unwrap().to_owned(), frame["id"].clone(), frame["offset"].as_u64()));
    }
    let message = |id: &str, offset| ("new_message".to_owned(), Value::from(id), offset);
    let mut durable: Vec<_> = seen.iter().filter(|it| it.0 == "new_message").cloned().collect();
    durable.sort_by_key(|it| it.1.to_string());
    assert_eq!(durable, [message("m-1", None), message("m-2", None), message("m-3", Some(3)), message("m-4", Some(4))]);
    assert_eq!(seen.iter().filter(|it| it.0 == "member_left").count(), 1);
}

#[tokio::test]
async fn a_resume_counts_on_from_the_clients_position() {
    let house = House::new();
    let mut ada = house.hub.open(caller(UserId::new()), None);
    let found = house.found(44, Some(41));
    house.hub.join(&ada.session, None, house.room, async { Ok(found) }).await.unwrap();
    let state = frame(&mut ada).await;
    assert_eq!((&state["offset"], &state["data"]["recovered"]), (&41.into(), &true.into()));
    for number in 42..=44 {
        assert_eq!(offset(&mut ada).await, number);
    }
    house.publish(house.message(45, None)).await;
    assert_eq!(offset(&mut ada).await, 45);
}

#[tokio::test]
async fn a_refused_entrance_hears_nothing() {
    let house = House::new();
    let mut ada = house.hub.open(caller(UserId::new()), None);
    let refused = house.hub.join(&ada.session, None, house.room, async { Err(Refusal::RoomPrivate) }).await;
    assert_eq!(refused, Err(Refusal::RoomPrivate));
    let mut ben = house.hub.open(caller(UserId::new()), None);
    house.join(&ben, 0).await;
    frame(&mut ben).await;
    house.publish(house.message(1, None)).await;
    assert_eq!(offset(&mut ben).await, 1);
    house.hub.reply(&ada.session, ServerFrame::ok(None));
    assert_eq!(frame(&mut ada).await["type"], "ok", "and nothing before it");
    assert!(house.hub.rooms().contains_key(&house.room));
    house.hub.end(&ben.session);
    assert!(house.hub.rooms().is_empty(), "a room without ears is forgotten");
}

#[tokio::test]
async fn nobody_is_told_of_their_own_coming_but_their_other_tab_is() {
    let house = House::new();
    let user = UserId::new();
    let (mut one, mut other) = (house.hub.open(caller(user), None), house.hub.open(caller(user), None));
    for tab in [&mut one, &mut other] {
        house.join(tab, 0).await;
        frame(tab).await;
    }
    let member = Member { user_id: user, nickname: "ada".to_owned(), role: Role::Member };
    let origin = Some(Origin { session: one.session.id, request: None });
    house.bus.publish(&Event { origin, ..Event::ephemeral(house.room, Fact::MemberJoined(member)) });
    assert_eq!(frame(&mut other).await["type"], "member_joined");
    // To leave by REST is to leave with all tabs: both are told, and hear no more.
    house.bus.publish(&Event::ephemeral(house.room, Fact::MemberLeft { user, reason: LeftReason::Left, stay: 1 }));
    for tab in [&mut one, &mut other] {
        assert_eq!(frame(tab).await["type"], "member_left");
    }
    assert!(house.hub.rooms().get(&house.room).is_none_or(|fan| fan.lock().unwrap().is_empty()));
}

#[tokio::test]
async fn the_removed_are_told_and_hear_no_more() {
    let house = House::new();
    let user = UserId::new();
    let (mut ada, mut ben) = (house.hub.open(caller(user), None), house.hub.open(caller(UserId::new()), None));
    for person in [&mut ada, &mut ben] {
        house.join(person, 0).await;
        frame(person).await;
    }
    house.bus.publish(&Event::to_user(house.room, user, Fact::Removed { reason: Some("spam".to_owned()) }));
    house.bus.publish(&Event::ephemeral(house.room, Fact::MemberLeft { user, reason: LeftReason::Removed, stay: 1 }));
    assert_eq!(frame(&mut ada).await["data"]["reason"], "spam");
    assert_eq!(frame(&mut ben).await["data"]["reason"], "removed");
    house.hub.reply(&ada.session, ServerFrame::ok(None));
    assert_eq!(frame(&mut ada).await["type"], "ok");
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_and_others_are_not() {
    let house = House::new();
    let (mut slow, mut quick) =
        (house.hub.open(caller(UserId::new()), None), house.hub.open(caller(UserId::new()), None));
    for person in [&mut slow, &mut quick] {
        house.join(person, 0).await;
    }
    frame(&mut quick).await;
    for number in 1..=1_100 {
        house.publish(house.message(number, None)).await;
        assert_eq!(offset(&mut quick).await, number);
    }
    assert_eq!(slow.outbox.next().await, Outgoing::Close(CloseCode::TooSlow), "what was queued is not worth sending");
    assert_eq!(slow.outbox.next().await, Outgoing::Close(CloseCode::TooSlow));
    let resumed = house.hub.open(caller(slow.session.caller.user.id), Some(&slow.resume_token));
    assert!(resumed.resumed, "and may come back");
}

#[tokio::test(start_paused = true)]
async fn a_session_waits_fifteen_seconds_for_its_socket() {
    let mut house = House::new();
    let user = UserId::new();
    let first = house.hub.open(caller(user), None);
    let (session, token) = (first.session.id, first.resume_token.clone());
    assert_eq!(house.hub.sockets(), 1);
    drop(first);
    assert_eq!(house.changes.recv().await, Some(SessionChange::Lost(session)));
    assert_eq!(house.hub.sockets(), 0);

    let thief = house.hub.open(caller(UserId::new()), Some(&token));
    assert!(!thief.resumed && thief.session.id != session, "the token is nobody else's");
    tokio::time::sleep(Duration::from_millis(14_900)).await;
    let second = house.hub.open(caller(user), Some(&token));
    assert!(second.resumed && second.session.id == session);
    assert_eq!(house.changes.recv().await, Some(SessionChange::Resumed(session)));
    let again = house.hub.open(caller(user), Some(&token));
    assert!(!again.resumed, "a token is good once");

    // The first loss's time is over now, but the session is alive.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let token = second.resume_token.clone();
    drop(second);
    assert_eq!(house.changes.recv().await, Some(SessionChange::Lost(session)));
    assert_eq!(house.changes.recv().await, Some(SessionChange::Ended(session)));
    assert!(!house.hub.open(caller(user), Some(&token)).resumed);
}

#[tokio::test]
async fn a_second_socket_replaces_the_first() {
    let mut house = House::new();
    let user = UserId::new();
    let mut first = house.hub.open(caller(user), None);
    house.join(&first, 0).await;
    let mut second = house.hub.open(caller(user), Some(&first.resume_token));
    assert!(second.resumed && second.session.id == first.session.id);
    assert_eq!(first.outbox.next().await, Outgoing::Close(CloseCode::Replaced));
    drop(first);
    assert_eq!(house.changes.recv().await, Some(SessionChange::Resumed(second.session.id)));
    assert_eq!(house.hub.sockets(), 1, "the old socket's end changes nothing");
    house.join(&second, 5).await;
    assert_eq!(frame(&mut second).await["offset"], 5);
    house.publish(house.message(6, None)).await;
    assert_eq!(offset(&mut second).await, 6);
}

#[tokio::test]
async fn closing_for_good_ends_the_session_and_other_closes_keep_it() {
    let mut house = House::new();
    let user = UserId::new();
    let mut gone = house.hub.open(caller(user), None);
    house.hub.reply(&gone.session, ServerFrame::ok(None));
    house.hub.close(&gone.session, CloseCode::Removed);
    assert_eq!(frame(&mut gone).await["type"], "ok", "what was said before is sent");
    assert_eq!(gone.outbox.next().await, Outgoing::Close(CloseCode::Removed));
    assert_eq!(house.changes.recv().await, Some(SessionChange::Ended(gone.session.id)));
    assert!(!house.hub.open(caller(user), Some(&gone.resume_token)).resumed);

    let mut kept = house.hub.open(caller(user), None);
    house.hub.close(&kept.session, CloseCode::TokenExpired);
    assert_eq!(kept.outbox.next().await, Outgoing::Close(CloseCode::TokenExpired));
    assert!(house.hub.open(caller(user), Some(&kept.resume_token)).resumed);
}

#[tokio::test]
async fn going_away_tells_everybody_another_time() {
    let house = House::new();
    let mut people: Vec<_> = (0..10).map(|_| house.hub.open(caller(UserId::new()), None)).collect();
    house.hub.go_away("restart");
    let mut delays = BTreeMap::new();
    for person in &mut people {
        let frame = frame(person).await;
        assert_eq!((&frame["type"], &frame["data"]["reason"]), (&"go_away".into(), &"restart".into()));
        *delays.entry(frame["data"]["reconnectAfterMs"].as_u64().unwrap()).or_insert(0) += 1;
        assert_eq!(person.outbox.next().await, Outgoing::Close(CloseCode::GoingAway));
    }
    assert_eq!(delays.into_iter().collect::<Vec<_>>(), (0..10).map(|it| (500 + it * 100, 1)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stale_end_does_not_silence_who_is_back() {
    let house = House::new();
    let user = UserId::new();
    let mut ada = house.hub.open(caller(user), None);
    house.join(&ada, 0).await;
    frame(&mut ada).await;
    let left = |stay| Event::ephemeral(house.room, Fact::MemberLeft { user, reason: LeftReason::Left, stay });
    // They left and came back at once; that they had left is told only now, once before and once after they are in.
    house.hub.leave(&ada.session, house.room);
    let session = ada.session.clone();
    let back = async {
        house.bus.publish(&left(1));
        Ok(Entered { stay: 2, ..house.found(0, None) })
    };
    house.hub.join(&session, None, house.room, back).await.unwrap();
    house.bus.publish(&left(1));
    house.publish(house.message(1, None)).await;
    assert_eq!(frame(&mut ada).await["type"], "room_state");
    assert_eq!(offset(&mut ada).await, 1, "they hear on, and nothing of their own past");
    house.bus.publish(&left(2));
    assert_eq!(frame(&mut ada).await["type"], "member_left");
    house.publish(house.message(2, None)).await;
    house.hub.reply(&session, ServerFrame::ok(None));
    assert_eq!(frame(&mut ada).await["type"], "ok");
}

#[tokio::test]
async fn a_failed_rejoin_goes_on_where_it_was() {
    let house = House::new();
    let mut ada = house.hub.open(caller(UserId::new()), None);
    let mut ben = house.hub.open(caller(UserId::new()), None);
    for person in [&mut ada, &mut ben] {
        house.join(person, 0).await;
        frame(person).await;
    }
    let session = ada.session.clone();
    for number in 1..=2 {
        let refused = async {
            house.publish(house.message(number, None)).await;
            assert_eq!(offset(&mut ben).await, number);
            Err(Refusal::RateLimited { limit: "joinRoom", retry_after_ms: 1 })
        };
        assert!(house.hub.join(&session, None, house.room, refused).await.is_err());
        assert_eq!(offset(&mut ada).await, number);
    }
    let removed = async { Err(Refusal::Removed) };
    assert!(house.hub.join(&session, None, house.room, removed).await.is_err());
    house.publish(house.message(3, None)).await;
    assert_eq!(offset(&mut ben).await, 3);
    house.hub.reply(&session, ServerFrame::ok(None));
    assert_eq!(frame(&mut ada).await["type"], "ok", "the removed hear no more");
}

#[tokio::test]
async fn what_an_old_socket_still_does_does_not_befall_the_new_one() {
    let mut house = House::new();
    let user = UserId::new();
    let first = house.hub.open(caller(user), None);
    let mut second = house.hub.open(caller(user), Some(&first.resume_token));
    assert_eq!(house.changes.recv().await, Some(SessionChange::Resumed(first.session.id)));
    house.join(&second, 0).await;
    frame(&mut second).await;
    let (old, room) = (first.session.clone(), house.room);
    house.hub.reply(&old, ServerFrame::ok(None));
    house.hub.leave(&old, room);
    house.hub.close(&old, CloseCode::BadClient);
    house.hub.end(&old);
    let refused = house.hub.join(&old, None, room, async { unreachable!("nobody comes in there") }).await;
    assert_eq!(refused, Err(Refusal::NotFound));
    house.publish(house.message(1, None)).await;
    assert_eq!(offset(&mut second).await, 1);
    assert!(!second.session.is_over());
    house.hub.end(&second.session);
    assert!(old.is_over(), "the session is one, whatever its sockets");
}

#[tokio::test]
async fn a_revoked_login_takes_its_sessions_with_it() {
    let mut house = House::new();
    let (ada, other) = (caller(UserId::new()), caller(UserId::new()));
    let mut tabs = [house.hub.open(ada.clone(), None), house.hub.open(ada.clone(), None)];
    let mut stranger = house.hub.open(other, None);
    house.hub.login_changed(&LoginChange::Revoked(ada.family));
    for tab in &mut tabs {
        assert_eq!(tab.outbox.next().await, Outgoing::Close(CloseCode::Unauthenticated));
        assert!(tab.session.is_over() && !house.hub.open(ada.clone(), Some(&tab.resume_token)).resumed);
        assert!(matches!(house.changes.recv().await, Some(SessionChange::Ended(_))));
    }
    house.hub.reply(&stranger.session, ServerFrame::ok(None));
    assert_eq!(frame(&mut stranger).await["type"], "ok");

    // A renewed socket belongs to the login of its new token.
    let renewed = house.hub.open(ada.clone(), None);
    let fresh = Caller { family: FamilyId::new(), ..ada.clone() };
    let session = house.hub.renew(&renewed.session, fresh.clone());
    house.hub.login_changed(&LoginChange::Revoked(ada.family));
    assert!(!session.is_over());
    house.hub.login_changed(&LoginChange::Revoked(fresh.family));
    assert!(session.is_over());
}

#[tokio::test]
async fn a_notice_reaches_a_session_or_all_of_a_person_wherever_they_are() {
    let house = House::new();
    let user = UserId::new();
    let mut tabs = [house.hub.open(caller(user), None), house.hub.open(caller(user), None)];
    let mut stranger = house.hub.open(caller(UserId::new()), None);
    // In one order with what happens in rooms.
    house.join(&tabs[0], 0).await;
    frame(&mut tabs[0]).await;
    let typing = |typing| Fact::Typing { user: UserId::new(), nickname: "ben".to_owned(), typing };
    let notice = |to, reason: &str| Notice { to, told: Told::Banned { reason: reason.to_owned(), until: None } };
    house.bus.publish(&Event::ephemeral(house.room, typing(true)));
    house.bus.notify(&notice(Addressee::User(user), "all"));
    house.bus.publish(&Event::ephemeral(house.room, typing(false)));
    house.bus.notify(&notice(Addressee::Session(tabs[1].session.id), "one"));
    house.bus.notify(&notice(Addressee::Session(stranger.session.id), "other"));
    let mut types = Vec::new();
    for _ in 0..3 {
        types.push(frame(&mut tabs[0]).await["type"].clone());
    }
    assert_eq!(types, ["typing", "error", "typing"]);
    for reason in ["all", "one"] {
        assert_eq!(frame(&mut tabs[1]).await["data"]["detail"]["reason"], reason);
    }
    assert_eq!(frame(&mut stranger).await["data"]["detail"]["reason"], "other");

    // Whoever is lost is not told later, and whoever is gone not at all.
    let [kept, lost] = tabs;
    let (session, token) = (lost.session.id, lost.resume_token.clone());
    drop(lost);
    house.hub.end(&kept.session);
    house.bus.notify(&notice(Addressee::User(user), "late"));
    house.bus.notify(&notice(Addressee::Session(stranger.session.id), "mark"));
    assert_eq!(frame(&mut stranger).await["data"]["detail"]["reason"], "mark");
    let mut back = house.hub.open(caller(user), Some(&token));
    assert_eq!(back.session.id, session);
    house.bus.notify(&notice(Addressee::User(user), "again"));
    assert_eq!(frame(&mut back).await["data"]["detail"]["reason"], "again");
    house.hub.end(&back.session);
    assert!(!house.hub.sessions().of_users.contains_key(&user));
}

mod sessions;
mod told;
