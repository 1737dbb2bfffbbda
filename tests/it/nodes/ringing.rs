//! Calls that ring, wherever their people are connected.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::House;
use crate::harness::{Person, Socket, until};

async fn ring(socket: &mut Socket, room: &str, whom: &[&Person]) -> Value {
    let whom: Vec<_> = whom.iter().map(|person| &person.id).collect();
    let reply = socket.ask("start_call", json!({"roomId": room, "type": "voice", "participants": whom})).await;
    assert_eq!(reply["type"], "call.ring", "{reply}");
    reply["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_rings_on_one_node_is_not_rung_by_another() {
    let house = House::new().await;
    let (ada, ben, cleo) = (house.a.enter("ada").await, house.b.enter("ben").await, house.b.enter("cleo").await);
    let (room, elsewhere) = (ada.create_room("group", "public").await, ada.create_room("group", "public").await);
    for person in [&ben, &cleo] {
        for room in [&room, &elsewhere] {
            person.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
        }
    }
    let (mut hers, mut his, mut third) = (ada.connect().await, ben.connect().await, cleo.connect().await);
    let call = ring(&mut hers, &room, &[&ben]).await;
    assert_eq!(his.next_of("call_invite").await["data"]["callId"], call["callId"]);
    until("it is written down", async || {
        let page = ben.get(&format!("/users/{}/calls", ben.id)).await.expect(StatusCode::OK);
        page["items"].as_array().is_some_and(|items| !items.is_empty()).then_some(())
    })
    .await;
    third.refused("start_call", json!({"roomId": room, "type": "voice", "participants": [ben.id]}), "conflict").await;
    let busy = ring(&mut third, &elsewhere, &[&ben, &ada]).await;
    let states: Vec<_> = busy["participants"].as_array().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert_eq!((states, &busy["outcome"]), (vec![json!("busy"), json!("busy")], &json!("busy")), "{busy}");
    // He calls her while she calls him: that is a yes.
    let answered = ring(&mut his, &room, &[&ada]).await;
    assert_eq!(answered["callId"], call["callId"]);
    while hers.next_of("call.ring").await["data"]["participants"][0]["state"] != "accepted" {}
}
