//! Calls through the server, between participants made of an implementation that is not ours.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use webrtc::peer_connection::{RTCPeerConnectionState, RTCSignalingState};

use crate::harness::Server;
use crate::peer::{Arrival, Caller, Kind, Peer, meet};

/// An offer of a browser; nobody connects by it.
const OFFER: &str = include_str!("../../media/fixtures/offers/chromium-call.sdp");

const BOTH: [Kind; 2] = [Kind::Audio, Kind::Video];

/// A room for a call and its owner in it.
async fn host(server: &Server, slots: usize) -> Caller {
    let owner = server.enter("olga").await;
    let room = owner.create_room("call", "public").await;
    Caller::join(&owner, &room, 1, slots).await
}

/// Somebody else in the same call.
async fn guest(server: &Server, nickname: &str, room: &str, tag: u32, slots: usize) -> Caller {
    let person = server.enter(nickname).await;
    Caller::join(&person, room, tag, slots).await
}

/// Not one packet between the first and the last is missing or double, and the receiver saw one stream.
#[track_caller]
pub(crate) fn whole(arrivals: &[Arrival]) {
    let mut counters: Vec<u32> = arrivals.iter().map(|arrival| arrival.counter).collect();
    counters.sort_unstable();
    let all: Vec<u32> = (counters[0]..).take(counters.len()).collect();
    assert_eq!(counters, all, "packets are missing or double");
    continuous(arrivals);
}

/// The receiver saw one stream, in which missing packets are gaps of the right size.
#[track_caller]
pub(crate) fn continuous(arrivals: &[Arrival]) {
    let first = arrivals.first().expect("something has arrived");
    for arrival in arrivals {
        let since = arrival.counter.wrapping_sub(first.counter);
        let ticks = match arrival.kind {
            Kind::Audio => since.wrapping_mul(960),
            Kind::Video => (arrival.counter / 2).wrapping_sub(first.counter / 2).wrapping_mul(3600),
        };
        assert_eq!((&arrival.mid, arrival.ssrc), (&first.mid, first.ssrc));
        assert_eq!(arrival.sequence, first.sequence.wrapping_add(since as u16), "{arrival:?}, {first:?}");
        assert_eq!(arrival.timestamp, first.timestamp.wrapping_add(ticks), "{arrival:?}, {first:?}");
    }
}

fn negotiated(peer: &Peer, times: usize) {
    let once = [RTCSignalingState::HaveLocalOffer, RTCSignalingState::Stable];
    assert_eq!(peer.signaling(), once.repeat(times));
    assert_eq!(peer.state(), RTCPeerConnectionState::Connected);
}

fn tracks(participant: &Value, flag: &str) -> Vec<bool> {
    let tracks = participant["tracks"].as_array().expect("a participant has tracks");
    tracks.iter().map(|track| track[flag].as_bool().expect("a flag")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_see_and_hear_each_other() {
    let server = Server::start().await;
    let mut olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    assert_ne!(olga.participant(), ada.participant());
    assert_eq!(olga.answer["callId"], ada.answer["callId"]);
    assert_eq!(ada.answer["participants"][0]["nickname"], "olga");
    assert_eq!(ada.answer["participants"][1]["participantId"], ada.participant());

    let (of_ada, of_olga) = (ada.participant().to_owned(), olga.participant().to_owned());
    let seen = olga.sees(&of_ada, |it| it["state"] == "connected" && tracks(it, "active") == [true, true]).await;
    assert_eq!((&seen["nickname"], &seen["userId"]), (&json!("ada"), &json!(ada.person.id)));
    for (caller, other, participant) in [(&mut ada, 1, of_olga), (&mut olga, 2, of_ada)] {
        for kind in BOTH {
            let arrivals = caller.peer.arrivals(kind, other);
            whole(&arrivals);
            assert_eq!(arrivals[0].keyframe, kind == Kind::Video, "a picture begins with a key frame");
            // A slot is told when it is given away, and again with the time stamp of the first frame in it.
            let mid = json!(arrivals[0].mid);
            let first = |slot: &Value| slot["mid"] == mid && slot["rtpTimestamp"] == arrivals[0].timestamp;
            let slot = caller.slot(first).await;
            assert_eq!(slot["participantId"], participant, "{slot}");
            assert_eq!(slot["kind"], if kind == Kind::Audio { "audio" } else { "video" });
            assert!(caller.peer.arrivals(kind, caller.peer.tag).is_empty(), "nobody gets what they sent");
        }
        negotiated(&caller.peer, 1);
        assert!(caller.peer.keyframe_requests() > 0, "the server asked for the key frame that a slot begins with");
    }
    ada.close().await;
    olga.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_come_and_go_without_a_word_to_those_who_stay() {
    let server = Server::start().await;
    let mut olga = host(&server, 3).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 3).await;
    let mut cleo = guest(&server, "cleo", &olga.room, 3, 3).await;
    meet(&olga, &cleo).await;
    meet(&olga, &ada).await;

    let of_cleo = cleo.participant().to_owned();
    cleo.done("call.leave", json!({})).await;
    assert_eq!(olga.sees_leave(&of_cleo).await, "left");
    assert_eq!(ada.sees_leave(&of_cleo).await, "left");
    cleo.socket.refused("call.ready", json!({"roomId": cleo.room}), "not_in_call").await;
    olga.peer.misses(Kind::Audio, &cleo.peer).await;

    let mut dora = guest(&server, "dora", &olga.room, 4, 3).await;
    let of_dora = dora.participant().to_owned();
    olga.sees(&of_dora, |it| it["state"] == "connected").await;
    meet(&olga, &dora).await;
    meet(&ada, &dora).await;
    // She stayed in the room: the call takes her back, from a new connection.
    cleo.connect_anew(5, 3).await;
    assert_ne!(cleo.participant(), of_cleo);
    meet(&cleo, &dora).await;
    meet(&cleo, &olga).await;

    meet(&olga, &ada).await;
    for (caller, other) in [(&olga, 2), (&ada, 1)] {
        negotiated(&caller.peer, 1);
        for kind in BOTH {
            whole(&caller.peer.arrivals(kind, other));
        }
    }
    let of_ada = ada.participant().to_owned();
    ada.done("leave_room", json!({})).await;
    assert_eq!(dora.sees_leave(&of_ada).await, "left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_takes_the_place_of_the_old_one() {
    let server = Server::start().await;
    let olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let (participant, track) = (ada.participant().to_owned(), ada.track(Kind::Video).to_owned());
    ada.connect_anew(3, 2).await;
    assert_eq!((ada.participant(), ada.track(Kind::Video)), (&*participant, &*track));
    meet(&olga, &ada).await;
    negotiated(&olga.peer, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_mutes_a_track_and_nobody_else_does() {
    let server = Server::start().await;
    let mut olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    let mut cleo = guest(&server, "cleo", &olga.room, 3, 2).await;
    meet(&olga, &ada).await;
    meet(&cleo, &ada).await;
    let (of_ada, voice) = (ada.participant().to_owned(), ada.track(Kind::Audio).to_owned());
    let mute = |muted: bool| json!({"trackId": voice, "muted": muted});

    let refused = cleo.ask("call.mute_track", mute(true)).await;
    assert_eq!(refused["data"]["code"], "forbidden", "{refused}");
    assert_eq!(refused["data"]["detail"]["action"], "muteTrack", "{refused}");
    let not_hers = cleo.ask("call.mute", mute(true)).await;
    assert_eq!(not_hers["data"]["code"], "not_found", "{not_hers}");

    olga.done("call.mute_track", mute(true)).await;
    let stopped = ada.event("track.stopped", |_| true).await;
    assert_eq!(
        stopped,
        json!({"trackId": voice, "source": "microphone", "reason": "muted_by_host", "by": olga.person.id, "mayUnmute": false})
    );
    let seen = cleo.sees(&of_ada, |it| tracks(it, "mutedByHost") == [true, false]).await;
    assert_eq!(tracks(&seen, "muted"), [false, false]);
    for listener in [&olga, &cleo] {
        listener.peer.misses(Kind::Audio, &ada.peer).await;
        listener.peer.receives_kind(Kind::Video, &ada.peer).await;
    }
    // Her own switch opens nothing that the host closed.
    let refused = ada.ask("call.mute", mute(false)).await;
    assert_eq!(refused["data"]["code"], "muted_by_host", "{refused}");
    olga.peer.misses(Kind::Audio, &ada.peer).await;

    let silent_until = ada.peer.sent(Kind::Audio);
    olga.done("call.mute_track", mute(false)).await;
    cleo.sees(&of_ada, |it| tracks(it, "mutedByHost") == [false, false]).await;
    for listener in [&olga, &cleo] {
        listener.peer.receives(&ada.peer).await;
        let arrivals = listener.peer.arrivals(Kind::Audio, 2);
        let leap = arrivals.windows(2).find(|pair| pair[1].counter > pair[0].counter + 1).expect("there was a silence");
        assert!(leap[1].counter >= silent_until, "nothing slipped through: {leap:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_mute_themselves() {
    let server = Server::start().await;
    let mut olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let (of_ada, camera) = (ada.participant().to_owned(), ada.track(Kind::Video).to_owned());
    ada.done("call.mute", json!({"trackId": camera, "muted": true})).await;
    olga.sees(&of_ada, |it| tracks(it, "muted") == [false, true] && tracks(it, "mutedByHost") == [false, false]).await;
    olga.peer.misses(Kind::Video, &ada.peer).await;
    olga.peer.receives_kind(Kind::Audio, &ada.peer).await;
    ada.done("call.mute", json!({"trackId": camera, "muted": false})).await;
    olga.peer.receives(&ada.peer).await;
    let arrivals = olga.peer.arrivals(Kind::Video, 2);
    let leap = arrivals.windows(2).find(|pair| pair[1].counter > pair[0].counter + 1).expect("there was a break");
    assert!(leap[1].keyframe, "a picture goes on with a key frame: {leap:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_socket_keeps_its_seat_and_its_media() {
    let server = Server::start().await;
    let mut olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let of_ada = ada.participant().to_owned();
    olga.sees(&of_ada, |it| it["state"] == "connected").await;

    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    olga.sees(&of_ada, |it| it["state"] == "lost").await;
    meet_peers(&olga.peer, &ada.peer).await;

    ada.socket = ada.person.resume(&token).await;
    assert_eq!(ada.socket.login["resumed"], true, "{}", ada.socket.login);
    olga.sees(&of_ada, |it| it["state"] == "connected").await;
    let state = ada.socket.join(&olga.room).await;
    let participants = state["data"]["call"]["participants"].as_array().expect("the call is there").clone();
    assert_eq!(participants.len(), 2, "{state}");
    // All slots are told again: what was said meanwhile is lost.
    let faces = [olga.track(Kind::Audio), olga.track(Kind::Video)];
    let shows = |data: &Value, face| data["slots"].as_array().into_iter().flatten().any(|slot| slot["trackId"] == face);
    ada.event("slots", |data| faces.iter().all(|face| shows(data, *face))).await;
    // The seat is hers: she speaks for the same participant.
    let camera = ada.track(Kind::Video).to_owned();
    let muted = ada.socket.ask("call.mute", json!({"roomId": olga.room, "trackId": camera, "muted": true})).await;
    assert_eq!(muted["type"], "ok", "{muted}");
    let unmuted = ada.socket.ask("call.mute", json!({"roomId": olga.room, "trackId": camera, "muted": false})).await;
    assert_eq!(unmuted["type"], "ok", "{unmuted}");
    meet_peers(&olga.peer, &ada.peer).await;
    whole(&olga.peer.arrivals(Kind::Audio, 2));
    whole(&ada.peer.arrivals(Kind::Audio, 1));
    whole(&ada.peer.arrivals(Kind::Video, 1));
    negotiated(&ada.peer, 1);
}

async fn meet_peers(one: &Peer, other: &Peer) {
    one.receives(other).await;
    other.receives(one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_stays_away_loses_its_seat() {
    let server = Server::start_with(|config| config.hub.seat_kept_ms = 1_000).await;
    let mut olga = host(&server, 2).await;
    let ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let of_ada = ada.participant().to_owned();
    ada.socket.lose();
    olga.sees(&of_ada, |it| it["state"] == "lost").await;
    assert_eq!(olga.sees_leave(&of_ada).await, "lost");
    let left = olga.socket.next_of("member_left").await;
    assert_eq!(left["data"], json!({"userId": ada.person.id, "reason": "lost"}));
    olga.peer.misses(Kind::Audio, &ada.peer).await;
    ada.peer.misses(Kind::Audio, &olga.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_slots_by_a_second_offer_interrupt_nothing() {
    let server = Server::start().await;
    let mut olga = host(&server, 1).await;
    let ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let cleo = guest(&server, "cleo", &olga.room, 3, 2).await;
    meet(&ada, &cleo).await;
    assert!(olga.peer.arrivals(Kind::Video, 3).is_empty(), "there is one slot, and ada was first");

    let (participant, camera) = (olga.participant().to_owned(), olga.track(Kind::Video).to_owned());
    olga.peer.add_slots(1).await;
    olga.offer().await;
    assert_eq!((olga.participant(), olga.track(Kind::Video)), (&*participant, &*camera));
    meet(&olga, &cleo).await;
    meet(&olga, &ada).await;
    negotiated(&olga.peer, 2);
    negotiated(&ada.peer, 1);
    whole(&olga.peer.arrivals(Kind::Video, 2));
    for kind in BOTH {
        whole(&ada.peer.arrivals(kind, 1));
        whole(&cleo.peer.arrivals(kind, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_chooses_what_the_slots_show() {
    let server = Server::start().await;
    let mut olga = host(&server, 1).await;
    let ada = guest(&server, "ada", &olga.room, 2, 1).await;
    let cleo = guest(&server, "cleo", &olga.room, 3, 1).await;
    for other in [&ada, &cleo] {
        let track = other.track(Kind::Video).to_owned();
        olga.done("view", json!({"tracks": [{"trackId": track, "width": 320, "visible": true}]})).await;
        olga.slot(|slot| slot["trackId"] == *track).await;
        olga.peer.receives_kind(Kind::Video, &other.peer).await;
    }
    olga.peer.misses(Kind::Video, &ada.peer).await;
    let (before, after) = (olga.peer.arrivals(Kind::Video, 2), olga.peer.arrivals(Kind::Video, 3));
    assert_eq!(before[0].ssrc, after[0].ssrc, "the slot is one stream, whoever is in it");
    assert!(after[0].keyframe, "and begins with a key frame: {:?}", after[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_member_is_out_of_the_call() {
    let server = Server::start().await;
    let mut olga = host(&server, 2).await;
    let mut ada = guest(&server, "ada", &olga.room, 2, 2).await;
    meet(&olga, &ada).await;
    let of_ada = ada.participant().to_owned();
    olga.done("remove_member", json!({"userId": ada.person.id, "reason": "too loud"})).await;
    let removed = ada.event("removed", |_| true).await;
    assert_eq!(removed, json!({"roomId": olga.room, "reason": "too loud"}));
    assert_eq!(olga.sees_leave(&of_ada).await, "removed");
    for kind in BOTH {
        olga.peer.misses(kind, &ada.peer).await;
        ada.peer.misses(kind, &olga.peer).await;
    }
    let offer = Peer::new(3, 1).await.offer().await;
    ada.socket.refused("call.offer", json!({"roomId": olga.room, "sdp": offer, "tracks": []}), "not_in_room").await;
    ada.socket.refused("join_room", json!({"roomId": olga.room}), "removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_has_as_many_seats_as_it_says() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let wanted = json!({"kind": "call", "name": "for two", "visibility": "public", "maxParticipants": 2});
    let room = olga.create(wanted).await;
    let olga = Caller::join(&olga, &room, 1, 1).await;
    let mut ada = guest(&server, "ada", &room, 2, 1).await;
    let cleo = server.enter("cleo").await;
    let mut socket = cleo.connect().await;
    let error = socket.refused("join_room", json!({"roomId": room}), "room_full").await;
    assert_eq!(error["detail"]["limit"], 2, "{error}");
    ada.done("leave_room", json!({})).await;
    socket.join(&room).await;
    let cleo = Caller::call(crate::peer::Way::direct(), &cleo, socket, &room, 3, 1).await;
    meet(&olga, &cleo).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fifty_first_finds_the_room_full() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let tracks = json!([{"mid": "0", "source": "microphone"}, {"mid": "1", "source": "camera"}]);
    let offer = json!({"roomId": room, "sdp": OFFER, "tracks": tracks});
    let mut sockets = vec![olga.connect_to(&room).await.0];
    for guest in 1..50 {
        sockets.push(server.enter(&format!("guest-{guest}")).await.connect_to(&room).await.0);
    }
    // They are in the call, not in the room alone.
    for socket in &mut sockets {
        assert_eq!(socket.ask("call.offer", offer.clone()).await["type"], "call.answer");
    }
    // Another tab of somebody takes no seat: people are counted.
    let (mut tab, _) = olga.connect_to(&room).await;
    let answer = tab.ask("call.offer", offer.clone()).await;
    assert_eq!(answer["data"]["participants"].as_array().map(Vec::len), Some(51), "{answer}");
    let mut last = server.enter("last").await.connect().await;
    let error = last.refused("join_room", json!({"roomId": room}), "room_full").await;
    assert_eq!(error["detail"]["limit"], 50, "{error}");
    // Who leaves frees their seat at once, whatever becomes of their connection.
    let left = sockets[7].ask("leave_room", json!({"roomId": room})).await;
    assert_eq!(left["type"], "ok", "{left}");
    last.join(&room).await;
    assert_eq!(last.ask("call.offer", offer).await["type"], "call.answer");
    sockets[7].refused("join_room", json!({"roomId": room}), "room_full").await;
}

#[tokio::test]
async fn calls_are_found_and_shown() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let (_socket, state) = ada.connect_to(&room).await;
    let call = ada.get(&format!("/rooms/{room}/call")).await.expect(StatusCode::OK);
    let id = call["callId"].as_str().unwrap();
    assert_eq!(state["data"]["call"]["callId"], id);
    let shown = ada.get(&format!("/calls/{id}")).await.expect(StatusCode::OK);
    let controls = json!({"locked": false, "waitingRoom": false, "spotlight": null, "mutedAll": null, "disabled": []});
    let empty = json!({"callId": id, "participants": [], "viewers": 0, "recording": null, "record": null, "controls": controls});
    assert_eq!(shown, empty);
    ada.get("/calls/01938a5c-0000-7000-8000-000000000001").await.refused(404, "not_found");
    let track = format!("/calls/{id}/tracks/01938a5c-0000-7000-8000-000000000001/muted");
    ada.ask(Method::PUT, &track, Some(json!({"muted": true}))).await.refused(404, "not_found");
    let broadcast = ada.create_room("broadcast", "public").await;
    ada.get(&format!("/rooms/{broadcast}/call")).await.refused(404, "not_found");
}
