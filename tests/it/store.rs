//! The store, the same tests on both databases.

use std::time::Duration;

use parlor::domain::{
    CallId, Door, Epoch, Event, Fact, FamilyId, MessageId, Position, Refusal, Role, Room, RoomId, RoomKind, SiteRole,
    Time, UserId, Visibility,
    message::{Author, Mentions},
    user::Nickname,
};
use parlor::store::{
    self, Committed, Config, EditOf, Membership, NewMessage, Recovery, Redeemed, RoomRecord, STATE_MESSAGES, Store,
    Trace,
};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use crate::postgres::database;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A database of one test.
pub(crate) struct Database {
    pub(crate) config: Config,
    _folder: Option<TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("parlor.db").to_str().unwrap().to_owned();
        Self { config: Config { url, ..Config::default() }, _folder: Some(folder) }
    }

    pub(crate) async fn postgres() -> Self {
        let config = Config { url: database().await, ..Config::default() };
        Self { config, _folder: None }
    }

    pub(crate) async fn open(&self) -> (Store, Receiver<Event>) {
        Store::open(&self.config).await.unwrap()
    }
}

/// Each test runs as `store::sqlite::NAME` and `store::postgres::NAME`.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Database::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::Database::postgres().await).await;
            })*
        }
    };
}

pub(crate) use on_both_databases;

on_both_databases!(
    what_is_stored_survives_a_restart,
    sending_again_changes_nothing,
    offsets_have_no_gap_under_many_senders,
    a_bad_row_fails_alone,
    only_the_author_edits_and_deletes,
    a_deleted_text_is_told_no_more,
    a_text_deleted_at_once_is_told_no_more,
    a_resume_gets_what_was_missed_or_a_fresh_state,
    history_goes_back_page_by_page,
    a_refresh_token_is_good_once,
    two_refreshes_at_once_end_the_login,
    a_claim_is_good_once_and_while_nobody_is_administrator,
    members_have_roles_and_the_removed_stay_out,
    public_rooms_are_listed_newest_first,
);

pub(crate) async fn person(store: &Store, name: &str) -> Author {
    let id = UserId::new();
    let nickname = Nickname::parse(name).unwrap();
    store.create_user(id, &nickname, SiteRole::Member, Time::now()).await.unwrap();
    Author { id, nickname: name.to_owned() }
}

pub(crate) async fn room(store: &Store, owner: &Author, visibility: Visibility) -> RoomId {
    let room = Room::new(RoomKind::Call, "Friday".to_owned(), visibility, 50);
    let record = RoomRecord { room, call: CallId::new(), created_by: owner.id, door: Door::default() };
    store.create_room(&record).await.unwrap();
    assert_eq!(store.room(record.room.id).await.unwrap(), Some(record.clone()));
    record.room.id
}

pub(crate) async fn house(database: &Database) -> (Store, Receiver<Event>, Author, RoomId) {
    let (store, events) = database.open().await;
    let ada = person(&store, "ada").await;
    let room = room(&store, &ada, Visibility::Public).await;
    (store, events, ada, room)
}

pub(crate) fn message(room: RoomId, sender: &Author, client_id: &str, text: &str) -> NewMessage {
    NewMessage::plain(room, sender.clone(), client_id, text)
}

pub(crate) fn edit(message: MessageId, by: UserId, text: &str) -> EditOf {
    EditOf { message, by, text: text.to_owned(), mentions: Mentions::default(), hashtags: Vec::new(), seen: None }
}

pub(crate) async fn send(
    store: &Store,
    room: RoomId,
    sender: &Author,
    client_id: &str,
    text: &str,
) -> (MessageId, Position) {
    let message = message(room, sender, client_id, text);
    match store.send_message(message.clone(), None).await.unwrap() {
        Committed::Fresh(position, _) => (message.id, position),
        Committed::Already(_) => panic!("{client_id} is new"),
    }
}

pub(crate) async fn recover(store: &Store, room: RoomId, known: Option<Position>) -> Recovery {
    store.recover(room, known).await.unwrap().unwrap()
}

async fn what_is_stored_survives_a_restart(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let (id, position) = send(&store, room, &ada, "c-1", "hëllo 👋").await;
    assert_eq!(position.offset, 1);
    assert_eq!(events.recv().await.unwrap().position, Some(position));
    store.close().await;
    assert!(events.recv().await.is_none(), "the writer has stopped");

    store::reach(&database.config).await.unwrap();
    store::migrate(&database.config).await.unwrap();
    let (store, _events) = database.open().await;
    let found = recover(&store, room, None).await;
    assert_eq!((found.position, found.recovered), (position, None));
    assert_eq!(found.messages.len(), 1);
    assert_eq!((found.messages[0].id, found.messages[0].content.text.as_str()), (id, "hëllo 👋"));
    assert_eq!(send(&store, room, &ada, "c-2", "again").await.1.offset, 2);
}

async fn sending_again_changes_nothing(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let (id, first) = send(&store, room, &ada, "c-1", "hello").await;
    let again = |text: &str| store.send_message(message(room, &ada, "c-1", text), None);
    let Committed::Already(Some(same)) = again("hello").await.unwrap() else { panic!("it was sent before") };
    assert_eq!((same.id, same.content.text.as_str()), (id, "hello"));
    assert_eq!(again("other").await, Err(Refusal::Conflict));
    let reply = NewMessage { reply_to: Some(id), ..message(room, &ada, "c-1", "hello") };
    assert_eq!(store.send_message(reply, None).await, Err(Refusal::Conflict), "a reply is other content");

    // After an edit the name still belongs to what was sent under it.
    store.edit_message(room, edit(id, ada.id, "hullo"), None).await.unwrap();
    let Committed::Already(Some(same)) = again("hello").await.unwrap() else { panic!("it was sent before") };
    assert_eq!((same.id, same.content.text.as_str()), (id, "hullo"));
    assert_eq!(again("hullo").await, Err(Refusal::Conflict));

    // The same name of another person, and in another room, is another message.
    send(&store, room, &ben, "c-1", "hello").await;
    let elsewhere = super::store::room(&store, &ada, Visibility::Private).await;
    send(&store, elsewhere, &ada, "c-1", "hello").await;

    // Many at once, as a client that lost its socket over and over: one is new.
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (store, message) = (store.clone(), message(room, &ada, "c-2", "once"));
        tries.spawn(async move { store.send_message(message, None).await.unwrap() });
    }
    let tries = tries.join_all().await;
    assert_eq!(tries.iter().filter(|it| matches!(it, Committed::Fresh(..))).count(), 1);

    let offset = recover(&store, room, None).await.position.offset;
    assert_eq!(offset, 4, "sent, edited, ben's, once");
    store.close().await;
    let mut told = Vec::new();
    while let Some(event) = events.recv().await {
        told.extend((event.room == room).then_some(event.position.unwrap().offset));
    }
    assert_eq!((told, first.offset), (vec![1, 2, 3, 4], 1));
}

async fn offsets_have_no_gap_under_many_senders(database: Database) {
    const SENDERS: usize = 64;
    const EACH: usize = 10;
    let (store, mut events, ada, first) = house(&database).await;
    let rooms = [first, room(&store, &ada, Visibility::Public).await, room(&store, &ada, Visibility::Public).await];
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..SENDERS {
        let sender = person(&store, &format!("sender-{number}")).await;
        let (store, room) = (store.clone(), rooms[number % rooms.len()]);
        senders.spawn(async move {
            let mut acks = Vec::new();
            for count in 0..EACH {
                acks.push(send(&store, room, &sender, &format!("c-{count}"), "hello").await.1);
            }
            assert!(acks.is_sorted_by_key(|it| it.offset), "a sender's messages keep their order");
            (room, acks)
        });
    }
    let reader = tokio::spawn(async move {
        let mut told = Vec::new();
        while told.len() < SENDERS * EACH {
            told.push(events.recv().await.unwrap());
        }
        told
    });
    let acks = senders.join_all().await;
    let told = reader.await.unwrap();
    for room in rooms {
        let mut acked: Vec<u64> =
            acks.iter().filter(|it| it.0 == room).flat_map(|it| &it.1).map(|it| it.offset).collect();
        acked.sort_unstable();
        let last = acked.len() as u64;
        assert_eq!(acked, (1..=last).collect::<Vec<_>>(), "every offset once");
        let told: Vec<u64> = told.iter().filter(|it| it.room == room).map(|it| it.position.unwrap().offset).collect();
        assert_eq!(told, (1..=last).collect::<Vec<_>>(), "told in order");
        let epoch = recover(&store, room, None).await.position.epoch;
        let missed = recover(&store, room, Some(Position { epoch, offset: 0 })).await.missed;
        assert_eq!(missed.len() as u64, last, "and kept");
    }
}

async fn a_bad_row_fails_alone(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let nobody = Author { id: UserId::new(), nickname: "nobody".to_owned() };
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..100 {
        // Whom the database does not know, it does not let write.
        let sender = if number % 10 == 3 { nobody.clone() } else { ada.clone() };
        let (store, message) = (store.clone(), message(room, &sender, &format!("c-{number}"), "hello"));
        sends.spawn(async move { store.send_message(message, None).await });
    }
    let answers = sends.join_all().await;
    assert_eq!(answers.iter().filter(|it| matches!(it, Ok(Committed::Fresh(..)))).count(), 90);
    assert_eq!(answers.iter().filter(|it| matches!(it, Err(Refusal::Internal(_)))).count(), 10);
    assert_eq!(recover(&store, room, None).await.position.offset, 90);
    let elsewhere = message(RoomId::new(), &ada, "c", "hello");
    assert_eq!(store.send_message(elsewhere, None).await, Err(Refusal::NotFound));
}

async fn only_the_author_edits_and_deletes(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
    let edit_by = |by: UserId, text: &str| store.edit_message(room, edit(id, by, text), None);
    assert_eq!(edit_by(ben.id, "mine").await, Err(Refusal::NotFound));
    let Committed::Fresh(position, _) = edit_by(ada.id, "hullo").await.unwrap() else { panic!("an edit is an event") };
    assert_eq!(position.offset, 2);
    let message = store.message(room, id).await.unwrap().unwrap();
    assert_eq!(message.content.text, "hullo");
    assert!(message.edited_at.is_some());
    let elsewhere = super::store::room(&store, &ada, Visibility::Public).await;
    assert_eq!(store.edit_message(elsewhere, edit(id, ada.id, "x"), None).await, Err(Refusal::NotFound));

    let delete = |by: UserId, anybodys| store.delete_message(room, id, by, anybodys, None);
    assert_eq!(delete(ben.id, false).await, Err(Refusal::NotFound));
    assert!(matches!(delete(ben.id, true).await, Ok(Committed::Fresh(Position { offset: 3, .. }, _))));
    assert_eq!(delete(ada.id, false).await, Ok(Committed::Already(None)));
    assert_eq!(
        store.edit_message(room, edit(id, ada.id, "back"), None).await,
        Err(Refusal::NotFound),
        "what is gone is gone"
    );
}

async fn a_deleted_text_is_told_no_more(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (id, first) = send(&store, room, &ada, "c-1", "a secret").await;
    store.edit_message(room, edit(id, ada.id, "a secret still"), None).await.unwrap();
    store.delete_message(room, id, ada.id, false, None).await.unwrap();
    let before = Position { offset: 0, ..first };
    let missed = recover(&store, room, Some(before)).await.missed;
    let facts: Vec<_> = missed.into_iter().map(|event| event.fact).collect();
    let [Fact::MessageSent(sent), Fact::MessageEdited(edited), Fact::MessageDeleted { message, by }] = &facts[..]
    else {
        panic!("three events: {facts:?}")
    };
    assert_eq!((*message, *by), (id, ada.id));
    for told in [sent, edited, &recover(&store, room, None).await.messages[0]] {
        assert_eq!((told.id, told.content.text.as_str(), told.deleted), (id, "", true));
    }
}

async fn a_resume_gets_what_was_missed_or_a_fresh_state(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    assert_eq!(recover(&store, room, None).await.position.offset, 0);
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..305 {
        let (store, message) = (store.clone(), message(room, &ada, &format!("c-{number}"), "hello"));
        sends.spawn(async move { store.send_message(message, None).await.unwrap() });
    }
    sends.join_all().await;
    let now = recover(&store, room, None).await;
    assert_eq!((now.position.offset, now.recovered, now.messages.len()), (305, None, STATE_MESSAGES as usize));

    for (offset, missed) in [(305, 0), (304, 1), (5, 300)] {
        let found = recover(&store, room, Some(Position { offset, ..now.position })).await;
        assert_eq!((found.recovered, found.position, found.messages.len()), (Some(true), now.position, 0));
        let offsets: Vec<_> = found.missed.iter().map(|it| it.position.unwrap().offset).collect();
        assert_eq!(offsets, (offset + 1..=305).collect::<Vec<_>>());
        assert_eq!(offsets.len(), missed);
    }
    let other = Position { epoch: Epoch::new(), offset: 304 };
    for lost in [Position { offset: 4, ..now.position }, Position { offset: 306, ..now.position }, other] {
        let found = recover(&store, room, Some(lost)).await;
        assert_eq!((found.recovered, found.missed.len()), (Some(false), 0));
        assert_eq!(found.messages, now.messages);
    }
    assert!(store.recover(RoomId::new(), None).await.unwrap().is_none());
}

async fn history_goes_back_page_by_page(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(send(&store, room, &ada, &format!("c-{number}"), "hello").await.0);
    }
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = store.messages(room, 10, before).await.unwrap().unwrap();
        let Some(oldest) = page.last() else { break };
        before = Some(oldest.id);
        found.extend(page.iter().map(|it| it.id));
    }
    found.reverse();
    assert_eq!(found, ids);
    assert!(store.messages(room, 10, Some(MessageId::new())).await.unwrap().is_none());
}

async fn a_refresh_token_is_good_once(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let (family, now) = (FamilyId::new(), Time::now());
    store.create_family(family, ada.id, b"first", Trace::default(), now, DAY).await.unwrap();
    let redeem = |hash: &'static [u8], next: &'static [u8], at| store.redeem_refresh_token(hash, next, None, at, DAY);
    assert_eq!(redeem(b"none", b"x", now).await.unwrap(), Redeemed::Unknown);
    assert_eq!(redeem(b"first", b"x", now.after(DAY)).await.unwrap(), Redeemed::Expired);
    let Redeemed::Good(refreshed) = redeem(b"first", b"second", now).await.unwrap() else { panic!("it is good") };
    assert_eq!((refreshed.family, refreshed.person.user.id), (family, ada.id));
    let later = now.after(DAY / 2);
    assert!(matches!(redeem(b"second", b"third", later).await.unwrap(), Redeemed::Good(_)));
    assert!(store.family(family).await.unwrap().is_some());

    assert_eq!(redeem(b"second", b"stolen", later).await.unwrap(), Redeemed::Reused(family));
    assert!(store.family(family).await.unwrap().is_none(), "the login is over for the thief and the owner");
    assert_eq!(redeem(b"third", b"x", later).await.unwrap(), Redeemed::Revoked(family));
    assert_eq!(redeem(b"stolen", b"x", later).await.unwrap(), Redeemed::Unknown, "it never came to be");

    let other = FamilyId::new();
    store.create_family(other, ada.id, b"other", Trace::default(), now, DAY).await.unwrap();
    assert_eq!(store.revoke_family_of_token(b"other", now).await.unwrap(), Some(other));
    assert_eq!(store.revoke_family_of_token(b"nothing", now).await.unwrap(), None);
    assert_eq!(redeem(b"other", b"x", now).await.unwrap(), Redeemed::Revoked(other));
    assert_eq!(store.sweep_families(now).await.unwrap(), []);
    assert_eq!(store.sweep_families(now.after(2 * DAY)).await.unwrap().len(), 2);
}

async fn two_refreshes_at_once_end_the_login(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let now = Time::now();
    for round in 0..10 {
        let (family, token) = (FamilyId::new(), format!("token-{round}"));
        store.create_family(family, ada.id, token.as_bytes(), Trace::default(), now, DAY).await.unwrap();
        let (one, other) = (format!("one-{round}"), format!("other-{round}"));
        let (one, other) = tokio::join!(
            store.redeem_refresh_token(token.as_bytes(), one.as_bytes(), None, now, DAY),
            store.redeem_refresh_token(token.as_bytes(), other.as_bytes(), None, now, DAY),
        );
        let outcomes = [one.unwrap(), other.unwrap()];
        assert_eq!(outcomes.iter().filter(|it| matches!(it, Redeemed::Good(_))).count(), 1, "{outcomes:?}");
        assert!(outcomes.contains(&Redeemed::Reused(family)), "{outcomes:?}");
        assert!(store.family(family).await.unwrap().is_none());
    }
}

async fn a_claim_is_good_once_and_while_nobody_is_administrator(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, ben) = (person(&store, "ada").await, person(&store, "ben").await);
    assert!(store.replace_claim(b"old", Time::now()).await.unwrap());
    assert!(store.replace_claim(b"new", Time::now()).await.unwrap());
    assert!(!store.use_claim(b"old", ada.id).await.unwrap(), "a restart makes a new one");
    let (one, other) = tokio::join!(store.use_claim(b"new", ada.id), store.use_claim(b"new", ben.id));
    assert!(one.unwrap() ^ other.unwrap(), "one of both");
    let role = async |id| store.user(id).await.unwrap().unwrap().user.role;
    let administrators =
        [role(ada.id).await, role(ben.id).await].iter().filter(|it| **it == SiteRole::Administrator).count();
    assert_eq!(administrators, 1);
    // An administrator without a login that still lives is locked out, and needs another way in.
    let (now, family) = (Time::now(), FamilyId::new());
    assert!(store.replace_claim(b"more", now).await.unwrap());
    for (user, family) in [(ada.id, family), (ben.id, FamilyId::new())] {
        store.create_family(family, user, user.to_string().as_bytes(), Trace::default(), now, DAY).await.unwrap();
    }
    assert!(!store.replace_claim(b"others", now).await.unwrap());
    assert!(!store.use_claim(b"more", ben.id).await.unwrap() && !store.use_claim(b"others", ben.id).await.unwrap());
    assert!(store.replace_claim(b"late", now.after(2 * DAY)).await.unwrap());
    assert!(store.set_site_role(ben.id, SiteRole::Moderator).await.unwrap());
    assert_eq!(role(ben.id).await, SiteRole::Moderator);
    assert!(!store.set_site_role(UserId::new(), SiteRole::Moderator).await.unwrap());
}

async fn members_have_roles_and_the_removed_stay_out(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let membership = async |user: &Author| store.membership(room, user.id).await.unwrap();
    assert_eq!(membership(&ada).await, Membership::Member(Role::Owner));
    assert_eq!(membership(&ben).await, Membership::None);
    let set = |role| store.set_member_role(room, ben.id, role, None);
    assert_eq!(set(Role::Moderator).await, Err(Refusal::NotFound));
    for _ in 0..2 {
        store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    }
    assert!(matches!(set(Role::Moderator).await, Ok(Committed::Fresh(Position { offset: 1, .. }, _))));
    let told = events.recv().await.unwrap().fact;
    assert_eq!(told, Fact::MemberRole { user: ben.id, role: Role::Moderator });
    store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    assert_eq!(membership(&ben).await, Membership::Member(Role::Moderator), "joining again takes nothing away");
    for _ in 0..2 {
        store.remove_member(room, ben.id, ada.id, Some("spam"), Time::now()).await.unwrap();
    }
    assert_eq!(membership(&ben).await, Membership::Removed);
    store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    assert_eq!(membership(&ben).await, Membership::Removed);
}

async fn public_rooms_are_listed_newest_first(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let mut public = Vec::new();
    for visibility in [Visibility::Public, Visibility::Private, Visibility::Public, Visibility::Unlisted] {
        let id = room(&store, &ada, visibility).await;
        public.extend((visibility == Visibility::Public).then_some(id));
    }
    public.reverse();
    let list = async |before, limit| -> Vec<RoomId> {
        let wanted = store::Wanted { before, ..store::Wanted::default() };
        store.directory(&wanted, limit).await.unwrap().iter().map(|(room, _)| room.id).collect()
    };
    assert_eq!(list(None, 10).await, public);
    assert_eq!(list(None, 1).await, public[..1]);
    assert_eq!(list(Some(public[0]), 10).await, public[1..]);
    assert!(store.room(RoomId::new()).await.unwrap().is_none());
}

/// An edit and the deletion that follows it share a transaction as often as not.
async fn a_text_deleted_at_once_is_told_no_more(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    for number in 0..20 {
        let (id, _) = send(&store, room, &ada, &format!("c-{number}"), "a secret").await;
        let (edited, deleted) = tokio::join!(
            store.edit_message(room, edit(id, ada.id, "a secret still"), None),
            store.delete_message(room, id, ada.id, false, None)
        );
        assert!(matches!(deleted, Ok(Committed::Fresh(..))) && matches!(edited, Ok(_) | Err(Refusal::NotFound)));
    }
    let found = recover(&store, room, None).await;
    let all = recover(&store, room, Some(Position { offset: 0, ..found.position })).await.missed;
    let told = all.iter().filter_map(|event| match &event.fact {
        Fact::MessageSent(message) | Fact::MessageEdited(message) => Some(&message.content.text),
        _ => None,
    });
    assert!(told.chain(found.messages.iter().map(|it| &it.content.text)).all(|text| text.is_empty()));
}

/// The file is there, complete and readable, the moment that a message is acknowledged.
#[tokio::test]
async fn sqlite_waits_for_the_disk() {
    let database = Database::sqlite();
    let (store, _events, ada, room) = house(&database).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&database.config.url).read_only(true);
    let other = sqlx::SqlitePool::connect_with(options).await.unwrap();
    send(&store, room, &ada, "c-1", "hello").await;
    let count: i64 = sqlx::query_scalar("select count(*) from messages").fetch_one(&other).await.unwrap();
    assert_eq!(count, 1);
    let mode: String = sqlx::query_scalar("pragma journal_mode").fetch_one(&other).await.unwrap();
    assert_eq!(mode, "wal");
}
