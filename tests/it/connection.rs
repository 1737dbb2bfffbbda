//! Connections that end, break off, move or go another way than most.

use serde_json::json;
use webrtc::peer_connection::RTCPeerConnectionState;

use crate::call::continuous;
use crate::harness::Server;
use crate::peer::{Caller, Kind, Mischief, Way, meet};

/// Two people in a call; the second one's packets go that way.
async fn call_of_two(server: &Server, way: Way) -> (Caller, Caller) {
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let ada = Caller::join_by(way, &server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    (olga, ada)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_off_ends_and_can_be_made_again() {
    let server = Server::start_with(|config| config.sfu.ice_timeout_ms = 5_000).await;
    let (mut olga, mut ada) = call_of_two(&server, Way::through(Mischief::Loses(0))).await;
    let of_ada = ada.participant().to_owned();
    ada.peer.cut_off();
    assert_eq!(ada.event("call.ended", |_| true).await, json!({"reason": "ice_timeout", "by": null}));
    assert_eq!(olga.sees_leave(&of_ada).await, "lost");
    ada.socket.refused("call.ready", json!({"roomId": ada.room}), "not_in_call").await;
    ada.connect_anew(3, 2).await;
    assert_ne!(ada.participant(), of_ada);
    meet(&olga, &ada).await;
    assert_eq!(olga.peer.state(), RTCPeerConnectionState::Connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_keeps_its_place_for_the_next_one() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server, Way::direct()).await;
    let (of_ada, camera) = (ada.participant().to_owned(), ada.track(Kind::Video).to_owned());
    ada.peer.close().await;
    // Nothing arrives any more, and still nobody has left: a page that is loaded again comes back.
    olga.sees(&of_ada, |it| it["tracks"][0]["active"] == false && it["tracks"][1]["active"] == false).await;
    ada.connect_anew(3, 2).await;
    assert_eq!((ada.participant(), ada.track(Kind::Video)), (of_ada.as_str(), camera.as_str()));
    meet(&olga, &ada).await;
    olga.sees(&of_ada, |it| it["tracks"][1]["active"] == true).await;
    assert!(olga.told.iter().all(|frame| frame["type"] != "call.participant_left"), "{:?}", olga.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_ice_credentials_keep_the_participant_and_its_slots() {
    let server = Server::start().await;
    let (olga, mut ada) = call_of_two(&server, Way::direct()).await;
    let (participant, before) = (ada.participant().to_owned(), ada.peer.ice_ufrag().await);
    ada.peer.restart_ice().await;
    ada.offer().await;
    assert_ne!(ada.peer.ice_ufrag().await, before);
    assert_eq!(ada.participant(), participant);
    meet(&olga, &ada).await;
    // `webrtc` itself neither sends nor takes anything until the new checks have found their pair.
    for kind in [Kind::Audio, Kind::Video] {
        continuous(&ada.peer.arrivals(kind, 1));
        continuous(&olga.peer.arrivals(kind, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_meet_over_both_families() {
    let both = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    let server = Server::start_with(|config| config.announced_address = both).await;
    let (olga, ada) = call_of_two(&server, Way { from: "[::1]:0", ..Way::direct() }).await;
    assert_eq!(olga.peer.selected().await.address, "127.0.0.1");
    assert_eq!(ada.peer.selected().await.address, "::1");
}
