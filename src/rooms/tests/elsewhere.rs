//! What other nodes tell of rooms.

use super::*;
use crate::domain::{NodeId, peer::PeerWord};

fn member(session: &Session) -> Member {
    let user = &session.caller.user;
    Member { user_id: user.id, nickname: user.nickname.clone(), role: Role::Member }
}

#[tokio::test]
async fn whoever_is_there_by_two_nodes_is_counted_once() {
    let house = House::new().await;
    let ada = house.person("ada").await;
    let room = house.room(&ada, Visibility::Public).await;
    let mut people = vec![ada];
    for name in ["ben", "cleo", "dan"] {
        people.push(house.person(name).await);
    }
    let nodes = [NodeId::new(), NodeId::new()];
    let (mut dice, mut most_twice) = (1_u64, 0);
    for step in 0..2_000 {
        // Knuth's generator (The Art of Computer Programming, 3.3.4): the same steps each time.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(dice >> 33).unwrap();
        let (who, node) = (&people[number % 4], nodes[number / 4 % 2]);
        let user = who.caller.user.id;
        match number / 8 % 12 {
            0..3 => {
                house.enter(who, room).await.unwrap();
            }
            3..5 => drop(house.rooms.leave(who, room)),
            5..8 => house.rooms.heard(node, PeerWord::Came { room, member: member(who) }),
            8..11 => house.rooms.heard(node, PeerWord::Went { room, user, reason: LeftReason::Left }),
            _ => house.rooms.heard(node, PeerWord::Stopping),
        }
        let lobby = house.rooms.lobby();
        let here = lobby.rooms.get(&room);
        let besides = lobby.elsewhere.besides(room, here).count();
        assert_eq!(lobby.elsewhere.number_besides(room, here), besides, "after {step} steps");
        assert_eq!(lobby.online(room) as usize, here.map_or(0, |here| here.people.len()) + besides);
        most_twice = most_twice.max(here.map_or(0, |here| here.twice));
    }
    assert!(most_twice >= 3, "{most_twice}");
}

#[tokio::test]
async fn a_room_that_another_node_deleted_is_over_here_too() {
    let mut house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = house.room(&ada, Visibility::Public).await;
    house.enter(&ben, room).await.unwrap();
    house.told().await;
    house.rooms.0.store.delete_room(room).await.unwrap();
    house.rooms.heard(NodeId::new(), PeerWord::Door(room));
    let user = ben.caller.user.id;
    assert!(matches!(house.told().await, (Audience::User(whom), Fact::Removed { .. }) if whom == user));
    house.told_left(user, LeftReason::Removed).await;
    assert_eq!(house.rooms.seat(&ben, room).unwrap_err(), Refusal::NotInRoom);
}
