//! What a node says that was taken for dead, and whoever is over and was not said to be.

use parlor::domain::peer::{Errand, PeerWord, Visitor};
use parlor::domain::{Caller, NodeId, SessionId};
use parlor::store::Store;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{House, node};
use crate::harness::{Person, Socket, until};
use crate::postgres;
use crate::redis::Redis;

/// A call that lives on the first node, and somebody who has come into its room by the other one.
struct Place {
    house: House,
    store: Store,
    room: String,
    /// Where the call lives.
    owner: NodeId,
    other: NodeId,
    olga: Person,
    host: Socket,
}

impl Place {
    async fn new() -> Self {
        let (url, redis) = (postgres::database().await, Redis::start().await);
        let (a, b) = (node(&url, &redis, &|_| {}).await, node(&url, &redis, &|_| {}).await);
        let house = House { a, b, redis };
        house.until_they_hear().await;
        let olga = house.a.enter("olga").await;
        let room = olga.create_room("call", "public").await;
        let (mut host, _) = olga.connect_to(&room).await;
        let done = host.ask("call.mute_all", json!({"roomId": room, "muted": true})).await;
        assert_eq!(done["type"], "ok", "the call lives here from now on: {done}");
        let config = parlor::store::Config { url, ..Default::default() };
        let (store, _events) = Store::open(&config).await.unwrap();
        let (mut nodes, thing) = (store.nodes().await.unwrap(), format!("call:{room}"));
        assert_eq!(nodes.len(), 2);
        if !store.things_of(nodes[0]).await.unwrap().contains(&thing) {
            nodes.swap(0, 1);
        }
        Self { house, store, room, owner: nodes[0], other: nodes[1], olga, host }
    }

    /// Says something as a node does.
    async fn say(&self, from: NodeId, word: &PeerWord) {
        let to = word.addressee().expect("it is for one node");
        let client = ::redis::Client::open(self.house.redis.url()).unwrap();
        let mut line = client.get_multiplexed_async_connection().await.unwrap();
        let said = json!({"from": from, "word": {"peer": word}}).to_string();
        let heard: u64 =
            ::redis::cmd("PUBLISH").arg(format!("parlor:{to}")).arg(said).query_async(&mut line).await.unwrap();
        assert_eq!(heard, 1, "it listens there");
    }
}

fn caller(person: &Person, nickname: &str) -> Caller {
    let caller = json!({
        "user": {"id": person.id, "nickname": nickname, "role": "member"},
        "known_since": "2026-11-21T00:00:00.000Z",
        "family": SessionId::new(),
        "address": "127.0.0.1",
    });
    serde_json::from_value(caller).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_whose_end_nobody_was_told_does_not_stay() {
    let mut place = Place::new().await;
    let cleo = place.house.b.enter("cleo").await;
    cleo.post(&format!("/rooms/{}/join", place.room), json!({})).await.expect(StatusCode::OK);
    // The last that the owner hears of a session, which its own node has forgotten.
    let visitor = Visitor { session: SessionId::new(), caller: caller(&cleo, "cleo") };
    let room = place.room.parse().unwrap();
    let text = json!({"type": "view", "data": {"roomId": place.room, "tracks": []}}).to_string();
    let errand = Box::new(Errand::Frame { visitor, call_of: Some(room), text });
    place.say(place.other, &PeerWord::Errand { to: place.owner, number: u64::MAX, errand }).await;
    for kind in ["member_joined", "member_left"] {
        let concerns = |frame: &Value| {
            let data = &frame["data"];
            [&data["userId"], &data["member"]["userId"]].contains(&&json!(cleo.id))
        };
        while !concerns(&place.host.next_of(kind).await) {}
    }
    until("she is counted no more", async || (super::online(&place.olga, &place.room).await == 1).then_some(())).await;
    place.store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_that_was_taken_for_dead_disturbs_nobody() {
    let place = Place::new().await;
    let ben = place.house.b.enter("ben").await;
    let (mut socket, _) = ben.connect_to(&place.room).await;
    // He has had no part there, or has none any more.
    let session: SessionId = socket.login["sessionId"].as_str().unwrap().parse().unwrap();
    for before in [0, 7, 3] {
        let frames = vec![json!({"type": "pong", "id": "strange", "data": {}}).to_string()];
        place.say(NodeId::new(), &PeerWord::Frames { to: place.other, session, before, frames }).await;
    }
    // By the node of the call and back, behind them.
    for _ in 0..2 {
        let left = socket.ask("call.leave", json!({"roomId": place.room})).await;
        assert_ne!(left["data"]["code"], "node_unavailable", "{left}");
    }
    let pong = socket.ask("ping", json!({})).await;
    assert_eq!((&pong["type"], pong["id"] == "strange"), (&json!("pong"), false), "{pong}");
    place.store.close().await;
}
