//! What the store keeps of rooms: settings, ways in, who has no voice, who stays out, whose it is.

use std::time::Duration;

use parlor::domain::{
    CallId, ContentLevel, Door, Fact, InviteId, Refusal, Retention, Role, Room, RoomId, RoomKind, Time, Trust,
    Visibility, case::Named, invite::Invite, message::Author,
};
use parlor::store::{Accepted, Asked, Config, Membership, Pin, RoomRecord, Store, Wanted};
use sqlx::{Connection as _, PgConnection};

use crate::harness::until;
use crate::store::{Database, house, on_both_databases, person, room};

const HOUR: Duration = Duration::from_secs(3600);

on_both_databases!(
    settings_are_kept_and_one_of_two_editors_is_first,
    a_slug_names_one_room,
    a_link_is_good_for_as_many_as_it_says,
    who_was_denied_asks_again_later,
    a_ban_ends_and_a_mute_is_told,
    a_room_has_one_owner_and_an_heir,
    the_directory_finds_public_rooms,
    a_room_goes_with_all_that_is_in_it,
);

async fn made(store: &Store, owner: &Author, kind: RoomKind, name: &str) -> RoomId {
    let room = Room::new(kind, name.to_owned(), Visibility::Public, 50);
    let record = RoomRecord { room, call: CallId::new(), created_by: owner.id, door: Door::default() };
    store.create_room(&record).await.unwrap();
    assert_eq!(store.room(record.room.id).await.unwrap().as_ref(), Some(&record));
    record.room.id
}

async fn settings_are_kept_and_one_of_two_editors_is_first(database: Database) {
    let (store, mut events, _, id) = house(&database).await;
    let mut room = store.room(id).await.unwrap().unwrap().room;
    room.name = "Saturday".to_owned();
    room.slug = Some("saturday".to_owned());
    let settings = &mut room.settings;
    settings.description = "A day later".to_owned();
    settings.category = Some("music".to_owned());
    settings.content_level = ContentLevel::Mature;
    settings.retention = Retention::Days(30);
    settings.slow_mode_s = 7;
    (settings.min_trust_to_join, settings.min_trust_to_post) = (Trust::Established, Trust::Trusted);
    settings.join_requests = true;
    settings.permits.post = Role::Trusted;
    store.settle_room(room.clone(), Pin::New("h".to_owned()), None).await.unwrap();
    room.revision += 1;
    room.settings.has_pin = true;
    assert_eq!(store.room(id).await.unwrap().unwrap().room, room);
    assert_eq!(events.recv().await.unwrap().fact, Fact::RoomUpdated(Box::new(room.clone())));
    let stale = Room { revision: 1, ..room.clone() };
    assert_eq!(store.settle_room(stale, Pin::Same, None).await, Err(Refusal::Outdated));
    assert_eq!(store.pin_hash(id).await.unwrap().as_deref(), Some("h"));
    store.settle_room(room.clone(), Pin::Gone, None).await.unwrap();
    assert_eq!(store.pin_hash(id).await.unwrap(), None);
    store.archive_room(id, Some(Time::from_ms(9)), None).await.unwrap();
    assert_eq!(store.room(id).await.unwrap().unwrap().room.archived_at, Some(Time::from_ms(9)));
}

async fn a_slug_names_one_room(database: Database) {
    let (store, _events, ada, id) = house(&database).await;
    let mut room = store.room(id).await.unwrap().unwrap().room;
    room.slug = Some("friday".to_owned());
    store.settle_room(room.clone(), Pin::Same, None).await.unwrap();
    let other = made(&store, &ada, RoomKind::Group, "Other").await;
    let mut other = store.room(other).await.unwrap().unwrap().room;
    other.slug = Some("friday".to_owned());
    assert!(matches!(store.settle_room(other.clone(), Pin::Same, None).await, Err(Refusal::Taken(_))));
    let record = RoomRecord {
        room: Room { id: RoomId::new(), ..other },
        call: CallId::new(),
        created_by: ada.id,
        door: Door::default(),
    };
    assert!(!store.create_room_with(&record, Pin::Same).await.unwrap());
    assert_eq!(store.room(record.room.id).await.unwrap(), None);
}

async fn a_link_is_good_for_as_many_as_it_says(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let invite = |max_uses, expires_at| Invite {
        invite_id: InviteId::new(),
        room_id: room,
        created_by: Named { user_id: ada.id, nickname: ada.nickname.clone() },
        created_at: Time::from_ms(1),
        expires_at,
        max_uses,
        uses: 0,
    };
    assert!(store.add_invite(&invite(Some(3), None), b"three").await.unwrap());
    let mut guests = Vec::new();
    for number in 0..8 {
        guests.push(person(&store, &format!("guest{number}")).await);
    }
    let come = |guest: &Author| {
        let (store, guest) = (store.clone(), guest.id);
        tokio::spawn(async move { store.accept_invite(b"three", room, guest, Time::now()).await.unwrap() })
    };
    let mut joined = 0;
    for coming in guests.iter().map(come).collect::<Vec<_>>() {
        joined += u32::from(coming.await.unwrap() == Accepted::Joined);
    }
    assert_eq!(joined, 3);
    let mut members = 0;
    for guest in &guests {
        members += u32::from(store.membership(room, guest.id).await.unwrap() != Membership::None);
    }
    assert_eq!((members, store.invites(room, None).await.unwrap()[0].uses), (3, 3));
    assert_eq!(store.accept_invite(b"three", room, ada.id, Time::now()).await.unwrap(), Accepted::Already);
    assert!(store.add_invite(&invite(None, Some(Time::from_ms(5))), b"old").await.unwrap());
    let late = person(&store, "late").await;
    assert_eq!(store.accept_invite(b"old", room, late.id, Time::from_ms(6)).await.unwrap(), Accepted::Over);
    assert_eq!(store.membership(room, late.id).await.unwrap(), Membership::None);
    let ids: Vec<_> = store.invites(room, Some(ada.id)).await.unwrap().iter().map(|it| it.invite_id).collect();
    assert!(!store.remove_invite(room, ids[0], Some(late.id)).await.unwrap());
    assert!(store.remove_invite(room, ids[0], Some(ada.id)).await.unwrap());
    assert_eq!(store.invited_to(b"three").await.unwrap().is_some(), ids.len() == 2);
}

async fn who_was_denied_asks_again_later(database: Database) {
    let (store, _events, _, room) = house(&database).await;
    let (ben, cleo) = (person(&store, "ben").await, person(&store, "cleo").await);
    let at = Time::from_ms;
    let ask = async |user: &Author, now: i64| {
        store.ask_to_join(room, user.id, Some("please"), at(now), at(now - 100)).await.unwrap()
    };
    assert_eq!((ask(&ben, 1_000).await, ask(&ben, 1_001).await), (Asked::Waits, Asked::StillWaits));
    assert_eq!(ask(&cleo, 1_002).await, Asked::Waits);
    let waiting = store.join_requests(room, None, 10).await.unwrap();
    let names: Vec<_> = waiting.iter().map(|it| it.user.nickname.as_str()).collect();
    assert_eq!(names, ["ben", "cleo"]);
    let after = Some((waiting[0].created_at, waiting[0].user.user_id));
    assert_eq!(store.join_requests(room, after, 10).await.unwrap().len(), 1);
    assert!(store.answer_request(room, ben.id, false, at(1_010)).await.unwrap());
    assert!(!store.answer_request(room, ben.id, true, at(1_011)).await.unwrap());
    assert_eq!(ask(&ben, 1_050).await, Asked::Denied(at(1_010)));
    assert_eq!(ask(&ben, 1_110).await, Asked::Waits);
    assert!(store.answer_request(room, ben.id, true, at(1_111)).await.unwrap());
    assert_eq!(store.membership(room, ben.id).await.unwrap(), Membership::Member(Role::Member));
}

async fn a_ban_ends_and_a_mute_is_told(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    let until = Time::now().after(HOUR);
    store.mute_member(room, ben.id, Some(until), None).await.unwrap();
    assert_eq!(events.recv().await.unwrap().fact, Fact::MemberMuted { user: ben.id, until: Some(until) });
    assert_eq!(store.footing(room, ben.id).await.unwrap().muted_until, Some(until));
    assert_eq!(store.roster(room, None, 10).await.unwrap()[1].muted_until, Some(until));
    let ban = |until| store.ban_member(room, ben.id, ada.id, Some("spam"), Time::now(), until);
    ban(Some(until)).await.unwrap();
    assert_eq!(store.membership(room, ben.id).await.unwrap(), Membership::Removed);
    assert_eq!(store.outcasts(room, None, 10).await.unwrap()[0].until, Some(until));
    ban(Some(Time::from_ms(1))).await.unwrap();
    assert_eq!(store.membership(room, ben.id).await.unwrap(), Membership::None, "it is over");
    assert_eq!(store.outcasts(room, None, 10).await.unwrap(), []);
    store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    assert_eq!(store.footing(room, ben.id).await.unwrap().muted_until, Some(until), "the mute goes on");
    assert_eq!(store.roster(room, None, 10).await.unwrap()[1].muted_until, Some(until));
    assert_eq!(store.keepers(room, None, 10).await.unwrap().len(), 1);
    store.end_membership(room, ben.id).await.unwrap();
    assert_eq!(store.footing(room, ben.id).await.unwrap().muted_until, Some(until), "whether they belong or not");
    store.add_member(room, ben.id, Role::Member, Time::now()).await.unwrap();
    store.mute_member(room, ben.id, None, None).await.unwrap();
    assert_eq!(store.footing(room, ben.id).await.unwrap().muted_until, None);
    ban(None).await.unwrap();
    assert!(store.readmit(room, ben.id).await.unwrap() && !store.readmit(room, ben.id).await.unwrap());
    assert_eq!(store.membership(room, ben.id).await.unwrap(), Membership::None);
}

async fn a_room_has_one_owner_and_an_heir(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    assert_eq!(store.heirs(ada.id).await.unwrap(), [(room, None)]);
    let (ben, cleo) = (person(&store, "ben").await, person(&store, "cleo").await);
    store.add_member(room, ben.id, Role::Member, Time::from_ms(1)).await.unwrap();
    store.add_member(room, cleo.id, Role::Moderator, Time::from_ms(2)).await.unwrap();
    assert_eq!(store.heirs(ada.id).await.unwrap(), [(room, Some(cleo.id))]);
    store.give_room(room, ben.id, None).await.unwrap();
    assert_eq!(events.recv().await.unwrap().fact, Fact::RoomOwner { user: ben.id, former: Some(ada.id) });
    let roles: Vec<_> = store.roster(room, None, 10).await.unwrap().iter().map(|it| (it.user, it.role)).collect();
    assert!(roles.contains(&(ben.id, Role::Owner)) && roles.contains(&(ada.id, Role::Admin)), "{roles:?}");
    let stranger = person(&store, "dan").await;
    assert_eq!(store.give_room(room, stranger.id, None).await, Err(Refusal::NotFound));
    assert_eq!(store.membership(room, ben.id).await.unwrap(), Membership::Member(Role::Owner));
}

async fn the_directory_finds_public_rooms(database: Database) {
    let (store, _events) = database.open().await;
    let ada = person(&store, "ada").await;
    let mut rooms = Vec::new();
    for (kind, name) in [(RoomKind::Group, "50% Jazz"), (RoomKind::Forum, "jazz_talk"), (RoomKind::Group, "Chess")] {
        rooms.push(made(&store, &ada, kind, name).await);
    }
    let find = async |wanted: Wanted| -> Vec<RoomId> {
        store.directory(&wanted, 10).await.unwrap().iter().map(|(room, _)| room.id).collect()
    };
    let query = |text: &str| Wanted { query: Some(text.to_owned()), ..Wanted::default() };
    assert_eq!(find(Wanted::default()).await, [rooms[2], rooms[1], rooms[0]]);
    assert_eq!(find(query("JAZZ")).await, [rooms[1], rooms[0]]);
    assert_eq!(find(query("%")).await, [rooms[0]], "a sign is a sign");
    assert_eq!(find(query("z_t")).await, [rooms[1]]);
    assert_eq!(find(Wanted { kind: Some(RoomKind::Forum), ..Wanted::default() }).await, [rooms[1]]);
    assert_eq!(find(Wanted { before: Some(rooms[1]), ..Wanted::default() }).await, [rooms[0]]);
    let ben = person(&store, "ben").await;
    store.add_member(rooms[2], ben.id, Role::Member, Time::now()).await.unwrap();
    assert_eq!(store.directory(&query("chess"), 10).await.unwrap()[0].1, 2);
    let mine = store.rooms_of(ben.id, None, 10).await.unwrap();
    assert_eq!((mine.len(), mine[0].0.id, mine[0].1, mine[0].2), (1, rooms[2], Role::Member, 2));
    store.archive_room(rooms[2], Some(Time::now()), None).await.unwrap();
    assert_eq!(find(query("chess")).await, []);
    assert_eq!(store.rooms_of(ben.id, None, 10).await.unwrap().len(), 1);
}

async fn a_room_goes_with_all_that_is_in_it(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    crate::store::send(&store, room, &ada, "c-1", "hello").await;
    assert!(store.delete_room(room).await.unwrap());
    assert_eq!(store.room(room).await.unwrap(), None);
    assert_eq!(store.membership(room, ada.id).await.unwrap(), Membership::None);
    assert_eq!(store.conduct(ada.id).await.unwrap().unwrap().messages, 1, "what was written counts");
}

/// Begins a transaction that has a room's stream, as whoever writes there; and another connection, to look from.
pub(crate) async fn writing_in(url: &str, room: RoomId) -> (PgConnection, PgConnection) {
    let mut writer = PgConnection::connect(url).await.unwrap();
    sqlx::query("begin").execute(&mut writer).await.unwrap();
    let lock = "select 1 from room_streams where room_id = $1 for no key update";
    sqlx::query(lock).bind(room.as_uuid()).execute(&mut writer).await.unwrap();
    (writer, PgConnection::connect(url).await.unwrap())
}

/// Returns once somebody waits for what somebody else has locked.
pub(crate) async fn until_somebody_waits(looker: &mut PgConnection) {
    let waiting =
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    until("somebody waits", async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *looker).await.unwrap();
        (count > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_deletes_a_room_and_who_writes_there_never_wait_in_a_circle() {
    let url = crate::postgres::database().await;
    let (store, _events) = Store::open(&Config { url: url.clone(), ..Config::default() }).await.unwrap();
    let ada = person(&store, "ada").await;
    let room = room(&store, &ada, Visibility::Public).await;
    let (mut writer, mut looker) = writing_in(&url, room).await;
    let deletion = tokio::spawn({
        let store = store.clone();
        async move { store.delete_room(room).await.unwrap() }
    });
    until_somebody_waits(&mut looker).await;
    // What the foreign key of a message asks for.
    let key = "select 1 from rooms where id = $1 for key share nowait";
    sqlx::query(key).bind(room.as_uuid()).execute(&mut writer).await.unwrap();
    sqlx::query("commit").execute(&mut writer).await.unwrap();
    assert!(deletion.await.unwrap());
    assert_eq!(store.room(room).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_waited_in_a_circle_is_written_after_all() {
    let url = crate::postgres::database().await;
    let (store, _events) = Store::open(&Config { url: url.clone(), ..Config::default() }).await.unwrap();
    let ada = person(&store, "ada").await;
    let room = room(&store, &ada, Visibility::Public).await;
    let (mut other, mut looker) =
        (PgConnection::connect(&url).await.unwrap(), PgConnection::connect(&url).await.unwrap());
    // It is not this one that notices the circle.
    for sql in ["set deadlock_timeout = '1h'", "begin", "select 1 from users for update"] {
        sqlx::query(sql).execute(&mut other).await.unwrap();
    }
    let sending = tokio::spawn({
        let store = store.clone();
        async move { crate::store::send(&store, room, &ada, "c-1", "hello").await }
    });
    until_somebody_waits(&mut looker).await;
    sqlx::query("select 1 from room_streams for update").execute(&mut other).await.unwrap();
    sqlx::query("commit").execute(&mut other).await.unwrap();
    assert_eq!(sending.await.unwrap().1.offset, 1);
}
