//! Searching: the ladder, the limits, and what a ticket cannot say.

use parlor::domain::{UserId, matching::AgeBand};
use parlor::limit::Rate;
use serde_json::{Value, json};

use super::{Stranger, fast, store, text};
use crate::harness::{Server, Socket, until};

#[tokio::test]
async fn the_ladder_is_told_and_has_an_end() {
    let server = Server::start_with(fast).await;
    let person = server.enter("ada").await;
    let mut ada = Stranger { socket: person.connect().await, person, found: Value::Null };
    let searching = ada.search_again(text(&["chess"])).await;
    assert_eq!((&searching["stage"], &searching["estimatedWaitMs"]), (&json!("strict"), &Value::Null));
    assert!((1..=200).contains(&searching["expiresInMs"].as_u64().unwrap()), "{searching}");
    for stage in ["interests", "language"] {
        let climbed = ada.told("match.searching").await;
        assert_eq!((&climbed["stage"], &climbed["ticketId"]), (&json!(stage), &searching["ticketId"]));
    }
    assert_eq!(ada.told("match.timeout").await, json!({"ticketId": searching["ticketId"]}));
    ada.socket.refused("match.next", json!({}), "not_in_match").await;
    let anybody = json!({"mode": "text", "interests": ["chess"], "language": "fr", "fallback": true});
    let searching = ada.search_again(anybody).await;
    assert_eq!(searching["stage"], "fallback");
    assert!(searching["expiresInMs"].as_u64().unwrap() > 200, "{searching}");
    let mut ben = Stranger::search(&server, "ben", text(&["go"])).await;
    assert_eq!((ben.find().await.as_str(), ada.find().await.as_str()), ("ada", "ben"), "once ben insists on nothing");
    // The next one is told what this one waited.
    let mut cleo = Stranger { person: ben.person.clone(), socket: ben.person.connect().await, found: Value::Null };
    assert!(cleo.search_again(text(&[])).await["estimatedWaitMs"].is_u64());
}

#[tokio::test]
async fn one_search_a_person() {
    let server = Server::start().await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    let again = ada.search_again(text(&["chess"])).await;
    let mut tab = Stranger { person: ada.person.clone(), socket: ada.person.connect().await, found: Value::Null };
    let other = tab.search_again(text(&[])).await;
    assert_ne!(again["ticketId"], other["ticketId"]);
    assert_eq!(ada.told("match.ended").await, json!({"matchId": null, "reason": "replaced"}));
    ada.done("match.stop", json!({})).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    assert_eq!((tab.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"), "the first tab stopped nothing");
    // Once more from the first tab: now it ends a match.
    ada.search_again(text(&["chess"])).await;
    assert_eq!((tab.ended().await.as_str(), ben.ended().await.as_str()), ("replaced", "partner_left"));
}

#[tokio::test]
async fn a_lost_socket_keeps_the_search_and_is_not_met_meanwhile() {
    let server = Server::start().await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    let online = async || (server.running().core().hub.sockets() == 0).then_some(());
    until("the server sees it", online).await;
    // Whoever comes meanwhile meets each other, though ada has waited for longer.
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
    assert_eq!((ben.find().await.as_str(), cleo.find().await.as_str()), ("cleo", "ben"));
    let mut dora = Stranger::search(&server, "dora", text(&[])).await;
    ada.socket = ada.person.resume(&token).await;
    assert_eq!(ada.socket.login["resumed"], true);
    ada.told("match.searching").await;
    assert_eq!((ada.find().await.as_str(), dora.find().await.as_str()), ("dora", "ada"));
}

#[tokio::test]
async fn what_a_ticket_says_of_age_changes_nothing() {
    let server = Server::start().await;
    let store = store(&server).await;
    let lies = json!({"mode": "text", "language": "en", "age": 15, "birthYear": 2015, "ageBand": "minor",
        "band": "minor", "lowTrust": true, "userId": UserId::new()});
    let mut ada = Stranger::search(&server, "ada", lies).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    assert_eq!((ada.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"));

    // What the server has recorded does.
    let claims = json!({"mode": "text", "language": "en", "ageBand": "adult", "age": 40});
    let kim = server.enter("kim").await;
    store.set_age_band(kim.id.parse().unwrap(), AgeBand::Minor).await.unwrap();
    let mut kim = Stranger { socket: kim.connect().await, person: kim, found: Value::Null };
    kim.search_again(claims).await;
    let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
    let mut dora = Stranger::search(&server, "dora", text(&[])).await;
    assert_eq!((cleo.find().await.as_str(), dora.find().await.as_str()), ("dora", "cleo"), "though kim came first");
    let lou = server.enter("lou").await;
    store.set_age_band(lou.id.parse().unwrap(), AgeBand::Minor).await.unwrap();
    let mut lou = Stranger { socket: lou.connect().await, person: lou, found: Value::Null };
    lou.search_again(text(&[])).await;
    assert_eq!((kim.find().await.as_str(), lou.find().await.as_str()), ("lou", "kim"));
}

#[tokio::test]
async fn bad_tickets_are_refused() {
    let server = Server::start().await;
    let mut socket = server.enter("ada").await.connect().await;
    let field = async |socket: &mut Socket, data: Value| {
        socket.refused("match.start", data, "bad_request").await["detail"]["field"].as_str().unwrap().to_owned()
    };
    let many: Vec<_> = (0..11).map(|number| number.to_string()).collect();
    assert_eq!(field(&mut socket, json!({"mode": "text", "interests": many})).await, "interests");
    assert_eq!(field(&mut socket, json!({"mode": "text", "interests": ["x".repeat(33)]})).await, "interests");
    assert_eq!(field(&mut socket, json!({"mode": "text", "language": "en-GB"})).await, "language");
    for bad in [json!({}), json!({"mode": "smell"}), json!({"mode": "text", "interests": "chess"})] {
        socket.refused("match.start", bad, "bad_frame").await;
    }
    socket.refused("match.confirm", json!({"matchId": "x", "accept": true}), "bad_frame").await;
    socket.refused("match.confirm", json!({"matchId": UserId::new(), "accept": true}), "not_in_match").await;
    socket.refused("match.next", json!({}), "not_in_match").await;
    assert_eq!(socket.ask("match.stop", json!({})).await["type"], "ok", "nothing to stop is stopped");
}

#[tokio::test]
async fn floods_are_slowed_down() {
    let server = Server::start_with(|config| config.limit_exempt.clear()).await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    for _ in 0..4 {
        ada.search_again(text(&[])).await;
    }
    let refused = ada.socket.refused("match.start", text(&[]), "rate_limited").await;
    assert_eq!(refused["detail"]["limit"], "match");
    assert!((1..=2_000).contains(&refused["retryAfterMs"].as_u64().unwrap()), "{refused}");
}

#[tokio::test]
async fn who_passes_over_everybody_waits() {
    let server = Server::start_with(|config| {
        config.limit_exempt.clear();
        config.limit.search = Rate { per_minute: 600, burst: 60 };
    })
    .await;
    let mut ada = Stranger::search(&server, "ada", text(&[])).await;
    for number in 0..3 {
        let mut other = Stranger::search(&server, &format!("other-{number}"), text(&[])).await;
        ada.find().await;
        other.find().await;
        if number < 2 {
            assert_eq!(ada.socket.ask("match.next", json!({})).await["type"], "match.searching", "a few are free");
        }
    }
    let last = server.enter("last").await;
    let mut last = Stranger { socket: last.connect().await, person: last, found: Value::Null };
    // The third in a row is still done, and costs a moment: the next search has to wait for it.
    assert_eq!(ada.socket.ask("match.next", json!({})).await["type"], "match.searching");
    let refused = ada.socket.refused("match.start", text(&[]), "rate_limited").await;
    assert_eq!(refused["detail"]["limit"], "skip");
    assert!((1..=2_000).contains(&refused["retryAfterMs"].as_u64().unwrap()), "{refused}");
    last.search_again(text(&[])).await;
    ada.find().await;
    last.find().await;
    ada.socket.refused("match.next", json!({}), "rate_limited").await;
    last.join().await;
    ada.join().await;
    let room = ada.room();
    assert_eq!(ada.socket.say(&room, "c-1", "then we talk").await["type"], "new_message", "a refusal changes nothing");
}

#[tokio::test]
async fn a_full_house_says_when_to_come_back() {
    let server = Server::start_with(|config| config.matching.max_searching = 1).await;
    let mut ada = Stranger::search(&server, "ada", text(&["chess"])).await;
    let mut ben = server.enter("ben").await.connect().await;
    let refused = ben.refused("match.start", text(&["go"]), "unavailable").await;
    assert!(refused["retryAfterMs"].as_u64().unwrap() > 0, "{refused}");
    ada.search_again(text(&["go"])).await;
    ada.done("match.stop", json!({})).await;
    assert_eq!(ben.ask("match.start", text(&["go"])).await["type"], "match.searching");
}

#[tokio::test]
async fn a_closed_page_searches_no_more() {
    let server = Server::start().await;
    let ada = Stranger::search(&server, "ada", text(&[])).await;
    ada.socket.close().await;
    until("the server sees it", async || (server.running().core().hub.sockets() == 0).then_some(())).await;
    let mut ben = Stranger::search(&server, "ben", text(&[])).await;
    let mut cleo = Stranger::search(&server, "cleo", text(&[])).await;
    assert_eq!((ben.find().await.as_str(), cleo.find().await.as_str()), ("cleo", "ben"));
}
