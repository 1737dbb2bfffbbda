//! Reports among strangers: they end the match, reach back a little, and decide about whom one meets.

use reqwest::StatusCode;
use serde_json::json;

use super::{Stranger, on_paper, store, text, together};
use crate::harness::{Person, Server};

/// Reports a person, from wherever.
async fn report(by: &Person, whom: &Person, room: &str) {
    let report = json!({"targetType": "user", "targetId": whom.id, "roomId": room, "reason": "harassment"});
    by.post("/reports", report).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_report_ends_the_match_and_reaches_back() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let (room, id) = (ada.room(), ada.found["matchId"].clone());
    let said = ben.socket.say(&room, "c-1", "something vile").await["data"]["message"]["id"].clone();
    report(&ada.person, &ben.person, &room).await;
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("reported", "partner_left"));
    assert_eq!(on_paper(&store(&server).await, &id).await, ("reported".to_owned(), Some(ada.person.id.clone())));
    // The room is gone; what was said in it can still be reported, by whoever was there.
    let message = json!({"targetType": "message", "targetId": said, "roomId": room, "reason": "harassment"});
    ada.person.post("/reports", message.clone()).await.expect(StatusCode::CREATED);
    server.enter("cleo").await.post("/reports", message).await.refused(404, "not_found");
}

#[tokio::test]
async fn those_who_were_reported_meet_each_other() {
    let server = Server::start().await;
    let mut reported = Vec::new();
    for nickname in ["vic", "wes"] {
        let person = server.enter(nickname).await;
        let room = person.create_room("call", "public").await;
        let (_socket, _) = person.connect_to(&room).await;
        for number in 0..2 {
            let witness = server.enter(&format!("witness-{number}")).await;
            let (_socket, _) = witness.connect_to(&room).await;
            report(&witness, &person, &room).await;
        }
        reported.push(person);
    }
    let wes = reported.pop().unwrap();
    let vic = reported.pop().unwrap();
    let mut vic = Stranger { socket: vic.connect().await, person: vic, found: json!(null) };
    vic.search_again(text(&[])).await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    assert_eq!((ada.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"), "though vic came first");
    let mut wes = Stranger { socket: wes.connect().await, person: wes, found: json!(null) };
    wes.search_again(text(&[])).await;
    assert_eq!((vic.find().await.as_str(), wes.find().await.as_str()), ("wes", "vic"));
}
