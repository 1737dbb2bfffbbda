//! Offers that cannot be answered: each is told why, and the call notices nothing.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::peer::{Caller, Kind, Peer, Way, meet};

/// The lines of an offer that are as wanted.
fn only(sdp: &str, wanted: impl Fn(&str) -> bool) -> String {
    sdp.lines().filter(|line| wanted(line)).map(|line| format!("{line}\r\n")).collect()
}

/// 200 sections like the first.
fn far_too_long(sdp: &str) -> String {
    let (session, media) = sdp.split_once("m=").expect("an offer has media");
    let first = media.split("m=").next().expect("the first of them");
    let copies = (0..200).map(|mid| format!("m={}", first.replace("a=mid:0", &format!("a=mid:{mid}"))));
    session.to_owned() + &copies.collect::<String>()
}

/// Offers that are refused, each with its code.
fn bad_offers(good: &str) -> Vec<(&'static str, String)> {
    vec![
        ("bad_sdp", "garbage".to_owned()),
        ("bad_sdp", String::new()),
        ("bad_sdp", good.replace("m=audio", "m=")),
        ("bad_sdp", "\0".repeat(30_000)),
        ("no_ice", only(good, |line| !line.starts_with("a=ice-ufrag"))),
        ("no_ice", only(good, |line| !line.starts_with("a=ice-pwd"))),
        ("no_fingerprint", only(good, |line| !line.starts_with("a=fingerprint"))),
        ("too_many_media", far_too_long(good)),
        ("unsupported_codecs", good.replace("opus/48000/2", "PCMU/8000").replace("VP8/90000", "H264/90000")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_offer_is_told_why_and_disturbs_nobody() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 2).await;
    let ada = Caller::join(&server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;

    let mallory = server.enter("mallory").await;
    let (mut socket, _) = mallory.connect_to(&room).await;
    let peer = Peer::new(3, 2).await;
    let good = peer.offer().await;
    for (code, sdp) in bad_offers(&good) {
        let frame = json!({"roomId": room, "sdp": sdp, "tracks": [{"mid": "0", "source": "microphone"}]});
        let error = socket.refused("call.offer", frame, code).await;
        assert!(error["message"].as_str().is_some_and(|text| text.ends_with('.')), "{error}");
    }
    socket.refused("call.ready", json!({"roomId": room}), "not_in_call").await;
    for tracks in [
        json!([{"mid": "0", "source": "microphone"}, {"mid": "0", "source": "camera"}]),
        json!([{"mid": "0", "source": "camera"}, {"mid": "1", "source": "camera"}]),
        json!([{"mid": "", "source": "camera"}]),
    ] {
        let error =
            socket.refused("call.offer", json!({"roomId": room, "sdp": good, "tracks": tracks}), "bad_request").await;
        assert_eq!(error["detail"]["field"], "tracks", "{error}");
    }
    let unknown = json!({"roomId": room, "sdp": good, "tracks": [{"mid": "0", "source": "desktop"}]});
    socket.refused("call.offer", unknown, "bad_frame").await;

    // A failed offer is nobody's participant, and a good one is answered after all of them.
    let state = server.enter("cleo").await.connect_to(&room).await.1;
    assert_eq!(state["data"]["call"]["participants"].as_array().map(Vec::len), Some(2), "{state}");
    let mallory = Caller::call(Way::direct(), &mallory, socket, &room, 4, 2).await;
    meet(&olga, &mallory).await;
    undisturbed(&mut olga, &ada).await;
}

/// The call of two goes on, without a gap.
async fn undisturbed(olga: &mut Caller, ada: &Caller) {
    meet(olga, ada).await;
    for (peer, other) in [(&olga.peer, 2), (&ada.peer, 1)] {
        let counters = peer.arrivals(Kind::Audio, other).into_iter().map(|arrival| arrival.counter).collect::<Vec<_>>();
        assert!(counters.windows(2).all(|pair| pair[1] == pair[0] + 1), "sound has a gap: {counters:?}");
    }
    let pong = olga.socket.ask("ping", json!({})).await;
    assert_eq!(pong["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_over_its_limit_closes_the_socket() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (mut socket, _) = olga.connect_to(&room).await;
    let good = Peer::new(1, 1).await.offer().await;
    let long = |letters: usize| {
        let sdp = good.clone() + &"a=nothing\r\n".repeat(letters / 11);
        json!({"type": "call.offer", "id": "long", "data": {"roomId": room, "sdp": sdp, "tracks": []}})
    };
    // As much as other frames may have, four times over, is read to its end.
    socket.send_json(&long(200_000)).await;
    let answer = loop {
        let frame = socket.next().await;
        if frame["id"] == "long" {
            break frame;
        }
    };
    assert_eq!(answer["type"], "call.answer", "{answer}");
    socket.send_json(&long(300_000)).await;
    assert_eq!(socket.closed().await.0, 1009);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_in_the_room_or_the_call_is_told() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (mut inside, _) = olga.connect_to(&room).await;
    let mut outside = server.enter("ada").await.connect().await;
    let sdp = Peer::new(1, 1).await.offer().await;
    let frames: [(&str, Value); 6] = [
        ("call.offer", json!({"roomId": room, "sdp": sdp, "tracks": []})),
        ("call.ready", json!({"roomId": room})),
        ("call.leave", json!({"roomId": room})),
        ("view", json!({"roomId": room, "tracks": []})),
        ("call.mute", json!({"roomId": room, "trackId": room, "muted": true})),
        ("call.mute_track", json!({"roomId": room, "trackId": room, "muted": true})),
    ];
    for (kind, data) in &frames {
        outside.refused(kind, data.clone(), "not_in_room").await;
    }
    for (kind, data) in &frames[1..5] {
        inside.refused(kind, data.clone(), "not_in_call").await;
    }
    inside.refused("call.mute_track", frames[5].1.clone(), "not_found").await;
    // A room for writing alone has no calls.
    let broadcast = olga.create_room("broadcast", "public").await;
    inside.join(&broadcast).await;
    let error =
        inside.refused("call.offer", json!({"roomId": broadcast, "sdp": sdp, "tracks": []}), "bad_request").await;
    assert_eq!(error["detail"]["field"], "roomId", "{error}");
}
