//! How a match ends, and what holds after it.

use parlor::domain::{Time, UserId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Stranger, fast, on_paper, store, text, together};
use crate::harness::{Server, until};

#[tokio::test]
async fn next_searches_again_and_never_finds_the_same_one_soon() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let searching = ada.socket.ask("match.next", json!({})).await;
    assert_eq!((&searching["type"], &searching["data"]["stage"]), (&json!("match.searching"), &json!("strict")));
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("next", "partner_next"));
    ben.socket.refused("match.next", json!({}), "not_in_match").await;
    // Both search, and there is nobody else, yet they do not meet.
    ben.search_again(text(&[])).await;
    let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
    assert_eq!((cleo.find().await.as_str(), ada.find().await.as_str()), ("ada", "cleo"), "who waited longest");
    // After a restart too, once it is on paper.
    let kept = store(&server).await;
    let both = async || (kept.recent_matches(Time::from_ms(0)).await.unwrap().len() == 2).then_some(());
    until("both matches are on paper", both).await;
    kept.close().await;
    let folder = server.stop().await;
    let server = Server::start_in(folder, |_| {}).await;
    let mut people = Vec::new();
    for old in [&ada, &cleo, &ben] {
        let person = old.person.at(&server.base);
        let mut stranger = Stranger { socket: person.connect().await, person, found: Value::Null };
        stranger.search_again(text(&[])).await;
        people.push(stranger);
    }
    assert_eq!((people[1].find().await.as_str(), people[2].find().await.as_str()), ("ben", "cleo"));
}

#[tokio::test]
async fn each_way_to_leave_has_its_reasons() {
    let server = Server::start_with(|config| config.hub.seat_kept_ms = 300).await;
    let store = store(&server).await;
    // What the one does, what the other one is told, and what is kept.
    let ways = [
        ("stop", "partner_left", "stopped"),
        ("start", "partner_left", "stopped"),
        ("leave", "partner_left", "left"),
        ("quit", "partner_left", "left"),
        ("close", "partner_left", "left"),
        ("lose", "partner_lost", "lost"),
    ];
    for (way, other, paper) in ways {
        let (mut ada, mut ben) = together(&server, "text").await;
        let (by, id) = (ada.person.id.clone(), ada.found["matchId"].clone());
        match way {
            "stop" => ada.done("match.stop", json!({})).await,
            "start" => assert_eq!(ada.search_again(text(&["opera"])).await["stage"], "strict"),
            "leave" => {
                let room = json!({"roomId": ada.room()});
                ada.done("leave_room", room).await;
            }
            "quit" => {
                let path = format!("/rooms/{}/leave", ada.room());
                ada.person.post(&path, json!({})).await.expect(StatusCode::NO_CONTENT);
            }
            _ => {}
        }
        match way {
            "close" => ada.socket.close().await,
            "lose" => ada.socket.lose(),
            _ => {
                assert_eq!(ada.ended().await, "stopped", "{way}");
                ada.done("match.stop", json!({})).await;
            }
        }
        assert_eq!(ben.ended().await, other, "{way}");
        assert_eq!(on_paper(&store, &id).await, (paper.to_owned(), Some(by)), "{way}");
    }
}

#[tokio::test]
async fn a_moderator_ends_it_for_both() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let admin = server.enter("admin").await;
    let secret = server.running().admin_link.clone().unwrap().rsplit('/').next().unwrap().to_owned();
    admin.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    let path = format!("/rooms/{}/members/{}?reason=spam", ada.room(), ada.person.id);
    admin.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("violation", "violation"));
}

#[tokio::test]
async fn a_block_holds_and_is_not_told() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let id = ada.found["matchId"].clone();
    ada.block(&ben.person).await;
    assert_eq!((ada.ended().await.as_str(), ben.ended().await.as_str()), ("blocked", "partner_left"));
    assert_eq!(on_paper(&store(&server).await, &id).await, ("blocked".to_owned(), Some(ada.person.id.clone())));
    let blocks = ada.person.get("/users/me/blocks").await.json();
    assert_eq!(
        (&blocks["blocks"][0]["userId"], &blocks["blocks"][0]["nickname"]),
        (&json!(ben.person.id), &json!("ben"))
    );
    assert!(blocks["blocks"][0]["at"].is_string());
    assert_eq!(ben.person.get("/users/me/blocks").await.json(), json!({"blocks": []}));

    // People who have never met: whoever blocks whom, they do not.
    let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
    let dora = server.enter("dora").await;
    let path = format!("/users/{}/block", cleo.person.id);
    dora.ask(Method::PUT, &path, None).await.expect(StatusCode::NO_CONTENT);
    let mut dora = Stranger { socket: dora.connect().await, person: dora, found: Value::Null };
    dora.search_again(text(&[])).await;
    let mut emil = Stranger::search(&server, "emil", text(&[])).await;
    assert_eq!((emil.find().await.as_str(), cleo.find().await.as_str()), ("cleo", "emil"), "cleo waited longest");
    let mut finn = Stranger::search(&server, "finn", text(&[])).await;
    assert_eq!((finn.find().await.as_str(), dora.find().await.as_str()), ("dora", "finn"));

    // Taken back while both search, it is over at once.
    cleo.done("match.stop", json!({})).await;
    dora.done("match.stop", json!({})).await;
    cleo.search_again(text(&[])).await;
    dora.search_again(text(&[])).await;
    dora.ask_block(Method::DELETE, &cleo.person).await;
    assert_eq!((dora.find().await.as_str(), cleo.find().await.as_str()), ("cleo", "dora"));

    let own = format!("/users/{}/block", ada.person.id);
    ada.person.ask(Method::PUT, &own, None).await.refused(400, "bad_request");
    let nobody = format!("/users/{}/block", UserId::new());
    ada.person.ask(Method::PUT, &nobody, None).await.refused(404, "not_found");
    ada.person.ask(Method::DELETE, &nobody, None).await.expect(StatusCode::NO_CONTENT);
    server.anonymous().get("/api/v1/users/me/blocks").await.refused(401, "unauthenticated");
}

/// The block is there before the two are put together, and nobody has told the matcher: another node, say.
#[tokio::test]
async fn a_block_in_the_last_moment_holds() {
    let server = Server::start_with(|config| {
        fast(config);
        config.matching.strict_ms = 1_000;
        config.matching.interests_ms = 1_500;
        config.matching.search_ms = 2_000;
    })
    .await;
    let mut ada = Stranger::search(&server, "ada", text(&["chess"])).await;
    let mut ben = Stranger::search(&server, "ben", text(&["go"])).await;
    let [one, other] = [&ada, &ben].map(|stranger| stranger.person.id.parse().unwrap());
    store(&server).await.block(one, other, Time::now()).await.unwrap();
    for stranger in [&mut ada, &mut ben] {
        assert_eq!(stranger.told("match.searching").await["stage"], "interests", "now they would meet");
        assert!(stranger.told("match.timeout").await["ticketId"].is_string());
    }
}

#[tokio::test]
async fn a_lost_socket_keeps_the_match_and_hears_what_it_missed() {
    let server = Server::start().await;
    let (mut ada, mut ben) = together(&server, "text").await;
    let (room, id) = (ada.room(), ada.found["matchId"].clone());
    let said = ben.socket.say(&room, "c-1", "are you there?").await;
    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    until("the server sees it", async || (server.running().core().hub.sockets() == 1).then_some(())).await;
    ada.socket = ada.person.resume(&token).await;
    assert_eq!(ada.find().await, "ben");
    assert_eq!((&ada.found["matchId"], ada.room()), (&id, room.clone()));
    let position = json!({"roomId": room, "epoch": said["epoch"], "offset": 0});
    assert_eq!(ada.socket.ask("join_room", position).await["data"]["recovered"], true);
    assert_eq!(ada.told("new_message").await["message"]["content"]["text"], "are you there?");

    // It ends while she is away: she is told when she is back.
    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    until("the server sees it", async || (server.running().core().hub.sockets() == 1).then_some(())).await;
    ben.done("match.stop", json!({})).await;
    ada.socket = ada.person.resume(&token).await;
    assert_eq!(ada.ended().await, "partner_left");
    ada.socket.refused("match.next", json!({}), "not_in_match").await;
}
