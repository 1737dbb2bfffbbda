//! What keeping order does to those who are there: mutes, roles, kicks, age, and who sees whom.

use super::hosting::call;
use super::*;
use crate::domain::{ContentLevel, ring::CallType, user::AgeLevel};

async fn room_of(house: &House, owner: &Session, kind: RoomKind) -> RoomId {
    let new = NewRoom { kind, name: "Friday".to_owned(), visibility: Visibility::Public, max_participants: None };
    house.rooms.create(&owner.caller, new).await.unwrap().id
}

fn online(found: Vec<(store::Belonging, bool)>) -> Vec<(String, bool)> {
    found.into_iter().map(|(it, online)| (it.nickname, online)).collect()
}

#[tokio::test]
async fn a_mute_of_another_node_ends_the_call() {
    let (house, _, ben, room) = call().await;
    let (user, id) = (ben.caller.user.id, house.rooms.call_id(&ben.caller, room).await.unwrap());
    assert_eq!(house.rooms.participants(id).len(), 2);
    let until = Time::now().after(std::time::Duration::from_secs(3_600));
    house.rooms.0.store.mute_member(room, user, Some(until), None).await.unwrap();
    house.rooms.settle_role(room, user).await.unwrap();
    assert_eq!(house.seat(&ben, room).muted_until, Some(until));
    assert_eq!(house.rooms.participants(id).len(), 1);
}

#[tokio::test]
async fn a_mute_outlives_membership() {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = room_of(&house, &ada, RoomKind::Group).await;
    house.enter(&ada, room).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    let until = Time::now().after(std::time::Duration::from_secs(3_600));
    house.rooms.mute_member(&house.seat(&ada, room), ben.caller.user.id, Some(until)).await.unwrap();
    house.rooms.quit(&ben.caller, room).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    let muted = Err(Refusal::Muted { until });
    assert_eq!(house.seat(&ben, room).permit(Action::SendMessage), muted);
    assert_eq!(house.rooms.visit(&ben.caller, room).await.unwrap().permit(Action::SendMessage), muted);
    house.rooms.mute_member(&house.seat(&ada, room), ben.caller.user.id, None).await.unwrap();
    house.rooms.quit(&ben.caller, room).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    assert_eq!(house.seat(&ben, room).permit(Action::SendMessage), Ok(()));
}

#[tokio::test]
async fn of_an_audience_only_those_who_keep_order_see_more_than_that() {
    let house = House::new().await;
    let (ada, ben, cleo) = (house.person("ada").await, house.person("ben").await, house.person("cleo").await);
    let room = room_of(&house, &ada, RoomKind::Live).await;
    for session in [&ada, &ben, &cleo] {
        house.enter(session, room).await.unwrap();
    }
    house.rooms.hide(cleo.caller.user.id, true);
    let seen = async |by: &Arc<Session>| online(house.rooms.roster(&house.seat(by, room), None, 100).await.unwrap());
    let ada_is_there = ("ada".to_owned(), true);
    assert_eq!(seen(&ben).await, std::slice::from_ref(&ada_is_there));
    assert_eq!(seen(&ada).await, [ada_is_there, ("ben".to_owned(), true), ("cleo".to_owned(), false)]);
}

#[tokio::test]
async fn a_room_that_is_for_adults_now_keeps_none_but_them() {
    let mut house = House::new().await;
    let (ada, ben, guard) = (house.person("ada").await, house.person("ben").await, house.moderator("guard").await);
    let store = house.rooms.0.store.clone();
    store.set_age_level(ada.caller.user.id, AgeLevel::Verified).await.unwrap();
    let room = room_of(&house, &ada, RoomKind::Group).await;
    for session in [&ada, &ben, &guard] {
        house.enter(session, room).await.unwrap();
        house.told().await;
    }
    let change = RoomChange { content_level: Some(ContentLevel::Adult), ..RoomChange::default() };
    house.rooms.edit(&house.seat(&ada, room), 1, change).await.unwrap();
    let user = ben.caller.user.id;
    assert!(matches!(house.told().await, (Audience::User(whom), Fact::Removed { .. }) if whom == user));
    house.told_left(user, LeftReason::Removed).await;
    house.is_quiet().await;
    assert_eq!(house.rooms.visit(&ben.caller, room).await.unwrap_err(), Refusal::AgeUnverified);
    assert_eq!(house.enter(&ben, room).await.unwrap_err(), Refusal::AgeUnverified);
    store.set_age_level(user, AgeLevel::Verified).await.unwrap();
    house.enter(&ben, room).await.unwrap();
}

#[tokio::test]
async fn whoever_goes_is_not_rung_and_does_not_ring() {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = room_of(&house, &ada, RoomKind::Group).await;
    let (one, other) = (ada.caller.user.id, ben.caller.user.id);
    let calling = |whom| Calling { room, kind: CallType::Voice, participants: Some(vec![whom]) };
    house.enter(&ada, room).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    house.rooms.start_call(&ada, calling(other)).await.unwrap();
    house.rooms.kick(&house.seat(&ada, room), other, None).await.unwrap();
    assert!(house.rooms.0.rings.all().is_empty());
    house.enter(&ben, room).await.unwrap();
    house.rooms.start_call(&ben, calling(one)).await.unwrap();
    house.rooms.quit(&ben.caller, room).await.unwrap();
    assert!(house.rooms.0.rings.all().is_empty());
}

#[tokio::test]
async fn a_room_that_is_given_away_has_its_owner_at_once() {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = room_of(&house, &ada, RoomKind::Group).await;
    house.enter(&ada, room).await.unwrap();
    house.enter(&ben, room).await.unwrap();
    house.rooms.transfer(&house.seat(&ada, room), ben.caller.user.id).await.unwrap();
    let roles = [&ada, &ben].map(|it| house.seat(it, room).role);
    assert_eq!(roles, [Some(Role::Admin), Some(Role::Owner)]);
}

#[tokio::test]
async fn among_those_who_write_to_each_other_nobody_keeps_order() {
    let house = House::new().await;
    let (ada, ben, guard) = (house.person("ada").await, house.person("ben").await, house.moderator("guard").await);
    let user = ben.caller.user.id;
    let room = house.rooms.create_group(&ada.caller, None, vec![user]).await.unwrap().room.id;
    let seat = house.rooms.visit(&guard.caller, room).await.unwrap();
    let refused = |action| Err(Refusal::Forbidden { action });
    assert_eq!(house.rooms.kick(&seat, user, None).await, refused(Action::KickMember));
    assert_eq!(house.rooms.mute_member(&seat, user, None).await, refused(Action::MuteMember));
    assert_eq!(house.rooms.remove_member(&seat, user, None).await, refused(Action::RemoveMember));
}
