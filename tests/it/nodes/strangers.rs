//! Strangers on two nodes: one node puts them together, and their room lives there.

use serde_json::{Value, json};

use super::House;
use crate::harness::{Person, Server, Socket};

async fn search(server: &Server, nickname: &str) -> (Person, Socket) {
    let person = server.enter(nickname).await;
    let mut socket = person.connect().await;
    again(&mut socket).await;
    (person, socket)
}

async fn again(socket: &mut Socket) {
    let wishes = json!({"mode": "text", "interests": ["chess"], "language": "en"});
    let reply = socket.ask("match.start", wishes).await;
    assert_eq!(reply["type"], "match.searching", "{reply}");
}

async fn found(socket: &mut Socket, nickname: &str) -> (String, Value) {
    let found = socket.next_of("match.found").await["data"].clone();
    assert_eq!(found["partner"]["nickname"], nickname);
    (found["roomId"].as_str().unwrap().to_owned(), found)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_strangers_on_two_nodes_meet_and_chat() {
    let house = House::new().await;
    let (ada, mut one) = search(&house.a, "ada").await;
    let (ben, mut other) = search(&house.b, "ben").await;
    let (room, _) = found(&mut one, "ben").await;
    assert_eq!(found(&mut other, "ada").await.0, room);
    for socket in [&mut one, &mut other] {
        let state = socket.join(&room).await;
        assert_eq!(state["type"], "room_state", "{state}");
    }
    assert_eq!(one.next_of("member_joined").await["data"]["member"]["userId"], ben.id.as_str());
    let (first, second) = (one.say(&room, "c-1", "hello").await, other.say(&room, "c-2", "good evening").await);
    assert_eq!((&first["type"], &second["type"]), (&json!("new_message"), &json!("new_message")), "{first} {second}");
    assert_eq!(other.next_of("new_message").await["data"]["message"]["clientId"], "c-1");
    assert_eq!(one.next_of("new_message").await["data"]["message"]["clientId"], "c-2");
    other.send_json(&json!({"type": "typing", "data": {"roomId": room, "typing": true}})).await;
    assert_eq!(one.next_of("typing").await["data"]["nickname"], "ben");
    // What was written is in the memory of one node; the other asks there.
    for person in [&ada, &ben] {
        let page = person.get(&format!("/rooms/{room}/messages")).await.json();
        assert_eq!(page["messages"].as_array().map(Vec::len), Some(2), "{page}");
    }
    // Who comes back in time has missed nothing.
    let resume = other.resume_token().to_owned();
    other.lose();
    one.say(&room, "c-3", "still there?").await;
    let mut other = ben.resume(&resume).await;
    let state = other.join(&room).await;
    let said = state["data"]["messages"].as_array().unwrap();
    assert!(said.iter().any(|message| message["clientId"] == "c-3"), "{state}");

    let reply = other.ask("match.next", json!({})).await;
    assert_eq!(reply["type"], "match.searching", "{reply}");
    assert_eq!(one.next_of("match.ended").await["data"]["reason"], "partner_next");
    assert_eq!(other.ask("match.stop", json!({})).await["type"], "ok");
    ada.get(&format!("/rooms/{room}/messages")).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_on_one_node_ends_a_match_of_another() {
    let house = House::new().await;
    let (ada, mut one) = search(&house.a, "ada").await;
    let (ben, mut other) = search(&house.b, "ben").await;
    found(&mut one, "ben").await;
    found(&mut other, "ada").await;
    let path = format!("/users/{}/block", ada.id);
    let blocked = ben.ask(reqwest::Method::PUT, &path, None).await;
    assert!(blocked.status.is_success(), "{}", blocked.text);
    one.next_of("match.ended").await;
    other.next_of("match.ended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_node_that_puts_strangers_together_stops_another_one_does() {
    let house = House::new().await;
    let (_ada, _one) = search(&house.a, "ada").await;
    let ben = house.b.enter("ben").await;
    let mut other = ben.connect().await;
    let wishes = json!({"mode": "video", "interests": [], "language": "en"});
    assert_eq!(other.ask("match.start", wishes).await["type"], "match.searching");
    let House { a, b, redis } = house;
    let stopped = tokio::spawn(a.stop());
    // The session begins anew, by which its client knows that its search is over, and searches again.
    assert_eq!(other.closed().await.0, 4429);
    let mut other = ben.resume(other.resume_token()).await;
    assert_eq!(other.login["resumed"], false);
    again(&mut other).await;
    let (_, mut third) = search(&b, "cleo").await;
    found(&mut third, "ben").await;
    found(&mut other, "cleo").await;
    stopped.await.unwrap();
    drop((b, redis));
}
