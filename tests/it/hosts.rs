//! What hosts do to a call, seen by those in it: packets really cease, and doors are really shut.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket};
use crate::moderation::promote;
use crate::peer::{Caller, Kind, Peer, meet};

/// The owner and a guest in a call.
async fn call_of_two(server: &Server) -> (Caller, Caller) {
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 5).await;
    let ada = Caller::join(&server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    (olga, ada)
}

/// The listener sees them, and hears nothing of them.
async fn seen_unheard(listener: &Caller, other: &Peer) {
    listener.peer.receives_kind(Kind::Video, other).await;
    listener.peer.misses(Kind::Audio, other).await;
}

/// The listener hears them, and sees nothing of them.
async fn heard_unseen(listener: &Caller, other: &Peer) {
    listener.peer.receives_kind(Kind::Audio, other).await;
    listener.peer.misses(Kind::Video, other).await;
}

fn in_room(room: &str) -> Value {
    json!({"roomId": room})
}

/// A socket that asked to come in and has to wait.
async fn waiting(person: &Person, room: &str) -> Socket {
    let mut socket = person.connect().await;
    socket.refused("join_room", in_room(room), "waiting").await;
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn mute_all_silences_all_but_hosts_whatever_they_do() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let cleo = Caller::join(&server.enter("cleo").await, &olga.room, 3, 2).await;
    cleo.peer.receives(&ada.peer).await;
    let (of_ada, voice) = (ada.participant().to_owned(), ada.track(Kind::Audio).to_owned());

    olga.done("call.mute_all", json!({"muted": true, "mayUnmute": false})).await;
    let stopped = ada.event("track.stopped", |_| true).await;
    let by = json!(olga.person.id);
    let expected =
        json!({"trackId": voice, "source": "microphone", "reason": "muted_by_host", "by": by, "mayUnmute": false});
    assert_eq!(stopped, expected);
    let told = ada.event("call.controls", |_| true).await;
    let controls = json!({"locked": false, "waitingRoom": false, "spotlight": null, "mutedAll": {"mayUnmute": false}, "disabled": []});
    assert_eq!(
        told,
        json!({"controls": controls, "by": by, "act": {"type": "mute_all", "muted": true, "mayUnmute": false}})
    );
    olga.sees(&of_ada, |it| it["tracks"][0]["mutedByHost"] == true && it["tracks"][0]["muted"] == true).await;
    seen_unheard(&olga, &ada.peer).await;
    seen_unheard(&ada, &cleo.peer).await;
    ada.peer.receives(&olga.peer).await;

    // Her own switch opens nothing, nor do new credentials, a new connection, coming again, or another tab.
    ada.socket
        .refused("call.mute", json!({"roomId": ada.room, "trackId": voice, "muted": false}), "muted_by_host")
        .await;
    ada.peer.restart_ice().await;
    ada.offer().await;
    seen_unheard(&olga, &ada.peer).await;
    ada.connect_anew(4, 2).await;
    seen_unheard(&olga, &ada.peer).await;
    ada.done("leave_room", json!({})).await;
    let (person, room) = (ada.person.clone(), ada.room.clone());
    let mut ada = Caller::join(&person, &room, 5, 2).await;
    assert_eq!(ada.answer["controls"]["mutedAll"]["mayUnmute"], false);
    seen_unheard(&olga, &ada.peer).await;
    let tab = Caller::join(&person, &room, 6, 2).await;
    seen_unheard(&olga, &tab.peer).await;
    for tag in 4..=6 {
        assert!(olga.peer.arrivals(Kind::Audio, tag).is_empty(), "not one word of connection {tag} slipped through");
    }
    // Who comes now begins muted too.
    let dora = Caller::join(&server.enter("dora").await, &room, 7, 4).await;
    seen_unheard(&olga, &dora.peer).await;

    // The host lets them speak again: whoever wants to opens their own microphone.
    olga.done("call.mute_all", json!({"muted": true})).await;
    let voice = ada.track(Kind::Audio).to_owned();
    seen_unheard(&olga, &ada.peer).await;
    ada.done("call.mute", json!({"trackId": voice, "muted": false})).await;
    olga.peer.receives(&ada.peer).await;
    seen_unheard(&olga, &dora.peer).await;
    olga.done("call.mute_all", json!({"muted": false})).await;
    seen_unheard(&olga, &dora.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_camera_is_gone_whatever_its_owner_does() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let (of_ada, camera) = (ada.participant().to_owned(), ada.track(Kind::Video).to_owned());
    let disable =
        |disabled: bool| json!({"target": {"userId": ada.person.id}, "source": "camera", "disabled": disabled});
    let (off, on) = (disable(true), disable(false));
    olga.done("call.disable", off.clone()).await;
    let stopped = ada.event("track.stopped", |_| true).await;
    assert_eq!((&stopped["trackId"], &stopped["reason"]), (&json!(camera), &json!("disabled_by_host")));
    olga.sees(&of_ada, |it| it["disabled"] == json!(["camera"]) && it["tracks"][1]["mutedByHost"] == true).await;
    heard_unseen(&olga, &ada.peer).await;
    let open = json!({"roomId": ada.room, "trackId": camera, "muted": false});
    ada.socket.refused("call.mute", open, "disabled_by_host").await;
    olga.done("call.mute_track", json!({"trackId": camera, "muted": false})).await;
    ada.connect_anew(3, 2).await;
    heard_unseen(&olga, &ada.peer).await;
    // As a screen on another line it is a screen: that is for the host to disable too.
    ada.done("call.leave", json!({})).await;
    ada.connect_anew(4, 2).await;
    heard_unseen(&olga, &ada.peer).await;
    // A lost socket that comes back is told again.
    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    ada.socket = ada.person.resume(&token).await;
    ada.socket.join(&olga.room).await;
    let again = ada.event("track.stopped", |_| true).await;
    assert_eq!((&again["reason"], &again["by"]), (&json!("disabled_by_host"), &json!(olga.person.id)));
    let (person, room) = (ada.person.clone(), ada.room.clone());
    let tab = Caller::join(&person, &room, 5, 2).await;
    heard_unseen(&olga, &tab.peer).await;
    for tag in 3..=5 {
        assert!(olga.peer.arrivals(Kind::Video, tag).is_empty(), "not one picture of connection {tag} slipped through");
    }
    olga.done("call.disable", on).await;
    olga.peer.receives_kind(Kind::Video, &ada.peer).await;

    // For everybody, but for hosts.
    olga.done("call.disable", json!({"target": "everybody", "source": "camera", "disabled": true})).await;
    heard_unseen(&olga, &ada.peer).await;
    ada.peer.receives(&olga.peer).await;
    let dora = Caller::join(&server.enter("dora").await, &room, 6, 4).await;
    assert_eq!(dora.answer["controls"]["disabled"], json!(["camera"]));
    heard_unseen(&olga, &dora.peer).await;
    assert!(olga.peer.arrivals(Kind::Video, 6).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spotlit_come_first_for_who_says_nothing() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    // Everybody has one slot for pictures: who is seen in it is the server's choice.
    let mut olga = Caller::join(&olga, &room, 1, 1).await;
    let mut ada = Caller::join(&server.enter("ada").await, &room, 2, 1).await;
    let ben = Caller::join(&server.enter("ben").await, &room, 3, 1).await;
    let dora = Caller::join(&server.enter("dora").await, &room, 4, 1).await;
    for spotlit in [&ben, &dora] {
        let participant_id = spotlit.participant().to_owned();
        olga.done("call.spotlight", json!({"participantId": participant_id})).await;
        let told = ada.event("call.controls", |data| data["controls"]["spotlight"] == participant_id.as_str()).await;
        assert_eq!(told["by"], json!(olga.person.id));
        olga.peer.receives_kind(Kind::Video, &spotlit.peer).await;
        ada.peer.receives_kind(Kind::Video, &spotlit.peer).await;
    }
    // Who comes later sees it in the room's state; with the spotlit one it ends.
    let (_, state) = server.enter("eve").await.connect_to(&room).await;
    assert_eq!(state["data"]["call"]["controls"]["spotlight"], dora.participant());
    dora.close().await;
    let told = ada.event("call.controls", |data| data["controls"]["spotlight"].is_null()).await;
    assert_eq!((&told["by"], &told["act"]), (&Value::Null, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_keeps_newcomers_out_and_lets_the_lost_resume() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let room = olga.room.clone();
    let locked = olga.person.post(&format!("/rooms/{room}/call/lock"), json!({"locked": true})).await;
    locked.expect(StatusCode::NO_CONTENT);
    ada.event("call.controls", |data| data["controls"]["locked"] == true).await;
    let cleo = server.enter("cleo").await;
    cleo.connect().await.refused("join_room", in_room(&room), "room_locked").await;

    let token = ada.socket.resume_token().to_owned();
    ada.socket.lose();
    ada.socket = ada.person.resume(&token).await;
    assert_eq!(ada.socket.join(&room).await["data"]["call"]["controls"]["locked"], true);
    ada.connect_anew(3, 2).await;
    meet(&olga, &ada).await;
    // The owner always comes in; a guest who leaves does not come back.
    olga.done("leave_room", json!({})).await;
    let mut olga = Caller::join(&olga.person.clone(), &room, 4, 2).await;
    ada.done("leave_room", json!({})).await;
    ada.socket.refused("join_room", in_room(&room), "room_locked").await;
    olga.done("call.lock", json!({"locked": false})).await;
    ada.socket.join(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gets_nothing_until_a_host_lets_them_in() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let (room, call) = (olga.room.clone(), olga.answer["callId"].as_str().unwrap().to_owned());
    olga.done("call.waiting_room", json!({"enabled": true})).await;
    let cleo = server.enter("cleo").await;
    let mut socket = waiting(&cleo, &room).await;
    let told = olga.event("call.waiting", |_| true).await;
    let (one, since) = (&told["waiting"][0], &told["waiting"][0]["since"]);
    assert_eq!(*one, json!({"userId": cleo.id, "nickname": "cleo", "since": since}));
    let listed = olga.person.get(&format!("/rooms/{room}/call/waiting")).await.expect(StatusCode::OK);
    assert_eq!(listed["waiting"], told["waiting"]);
    assert_eq!((&told["whole"], &told["gone"], &told["count"]), (&json!(false), &json!([]), &json!(1)));
    ada.person.get(&format!("/rooms/{room}/call/waiting")).await.refused(403, "forbidden");

    // Nothing by REST, nothing by the other frames, and nothing by itself.
    cleo.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    for path in [format!("/rooms/{room}/messages"), format!("/rooms/{room}/members"), format!("/calls/{call}")] {
        cleo.get(&path).await.refused(409, "waiting");
    }
    let hello = json!({"clientId": "c-1", "content": {"text": "hello"}});
    cleo.post(&format!("/rooms/{room}/messages"), hello).await.refused(409, "waiting");
    let offer = json!({"roomId": room, "sdp": "v=0", "tracks": []});
    socket.refused("call.offer", offer, "not_in_room").await;
    ada.socket.say(&room, "c-1", "not for her").await;
    ada.done("call.mute", json!({"trackId": ada.track(Kind::Video), "muted": true})).await;

    // The wait survives the socket.
    let token = socket.resume_token().to_owned();
    socket.lose();
    let mut socket = cleo.resume(&token).await;
    socket.refused("join_room", in_room(&room), "waiting").await;
    let still = olga.person.get(&format!("/rooms/{room}/call/waiting")).await.expect(StatusCode::OK);
    assert_eq!(still, listed, "she has kept her place");

    ada.socket.refused("call.admit", json!({"roomId": room, "target": {"userId": cleo.id}}), "forbidden").await;
    olga.done("call.admit", json!({"target": {"userId": cleo.id}})).await;
    // It is the very first thing that she hears: nobody told her anything before.
    let admitted = socket.next().await;
    assert_eq!(admitted, json!({"type": "call.admitted", "roomId": room, "data": {}}));
    let state = socket.join(&room).await;
    assert_eq!(state["data"]["call"]["participants"].as_array().map(Vec::len), Some(2));
    let gone = json!({"whole": false, "waiting": [], "gone": [cleo.id], "count": 0});
    assert_eq!(olga.event("call.waiting", |_| true).await, gone);
    // Once admitted is admitted.
    socket.ask("leave_room", in_room(&room)).await;
    socket.join(&room).await;
    cleo.get(&format!("/rooms/{room}/members")).await.expect(StatusCode::OK);

    // Who leaves waits no more; who is denied is told when to knock again.
    let (dora, eve) = (server.enter("dora").await, server.enter("eve").await);
    let mut doras = waiting(&dora, &room).await;
    let mut eves = waiting(&eve, &room).await;
    olga.event("call.waiting", |data| data["count"] == 2 && data["waiting"][0]["userId"] == eve.id.as_str()).await;
    let left = doras.ask("leave_room", in_room(&room)).await;
    assert_eq!(left["type"], "ok", "{left}");
    olga.event("call.waiting", |data| data["count"] == 1 && data["gone"] == json!([dora.id])).await;
    let deny = olga.person.post(&format!("/rooms/{room}/call/deny"), json!({"userId": eve.id})).await;
    deny.expect(StatusCode::NO_CONTENT);
    let denied = eves.next_of("call.denied").await;
    assert_eq!(denied["data"], json!({"retryAfterMs": 60_000}));
    let refused = eves.refused("join_room", in_room(&room), "denied").await;
    assert!(refused["retryAfterMs"].as_u64().is_some_and(|wait| wait <= 60_000));
    doras.refused("join_room", in_room(&room), "waiting").await;
    olga.done("call.waiting_room", json!({"enabled": false})).await;
    doras.next_of("call.admitted").await;
    doras.join(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_removed_may_come_back_unless_it_is_for_good() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let (room, of_ada) = (olga.room.clone(), ada.participant().to_owned());
    olga.done("call.remove", json!({"userId": ada.person.id})).await;
    let ended = ada.event("call.ended", |_| true).await;
    assert_eq!(ended, json!({"reason": "removed_by_host", "by": olga.person.id}));
    assert_eq!(olga.sees_leave(&of_ada).await, "removed");
    olga.peer.misses(Kind::Audio, &ada.peer).await;
    ada.socket.refused("call.ready", in_room(&room), "not_in_room").await;
    let ada = Caller::join(&ada.person.clone(), &room, 3, 2).await;
    meet(&olga, &ada).await;
    let good = json!({"userId": ada.person.id, "forGood": true, "reason": "enough"});
    let gone = olga.person.post(&format!("/rooms/{room}/call/remove"), good).await;
    gone.expect(StatusCode::NO_CONTENT);
    let mut socket = ada.person.connect().await;
    socket.refused("join_room", in_room(&room), "removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_for_all_is_the_end_for_all() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let room = olga.room.clone();
    ada.person.post(&format!("/rooms/{room}/call/end"), json!({})).await.refused(403, "forbidden");
    olga.done("call.end", json!({})).await;
    let by = olga.person.id.clone();
    for caller in [&mut olga, &mut ada] {
        let ended = caller.event("call.ended", |_| true).await;
        assert_eq!(ended, json!({"reason": "ended_by_host", "by": by}));
    }
    olga.peer.misses(Kind::Audio, &ada.peer).await;
    ada.peer.misses(Kind::Video, &olga.peer).await;
    // They are in the room still, and may begin anew.
    ada.socket.say(&room, "c-1", "that was short").await;
    ada.connect_anew(3, 2).await;
    olga.connect_anew(4, 2).await;
    meet(&olga, &ada).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_may_do_what_the_table_says_over_the_socket() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let (owner, ben) = (olga.person.id.clone(), server.enter("ben").await);
    let (_bens, _) = ben.connect_to(&olga.room).await;
    let participant = ada.participant().to_owned();
    let frames = [
        ("call.mute_all", json!({"muted": true}), "muteTrack"),
        ("call.disable", json!({"target": {"userId": ben.id}, "source": "screen", "disabled": true}), "hostCall"),
        ("call.spotlight", json!({"participantId": participant}), "hostCall"),
        ("call.lock", json!({"locked": true}), "hostCall"),
        ("call.waiting_room", json!({"enabled": true}), "hostCall"),
        ("call.admit", json!({"target": "everybody"}), "hostCall"),
        ("call.deny", json!({"userId": ben.id}), "hostCall"),
        ("call.end", json!({}), "endCall"),
    ];
    let above = [
        ("call.disable", json!({"target": {"userId": owner}, "source": "camera", "disabled": true}), "hostCall"),
        ("call.remove", json!({"userId": owner}), "hostCall"),
        ("call.remove", json!({"userId": owner, "forGood": true}), "removeMember"),
    ];
    for role in ["member", "trusted", "moderator", "admin"] {
        olga.done("set_member_role", json!({"userId": ada.person.id, "role": role})).await;
        for (kind, data, action) in &frames {
            let may = match role {
                "admin" => true,
                "moderator" => *action != "endCall",
                _ => false,
            };
            let reply = ada.ask(kind, data.clone()).await;
            match may {
                true => assert_eq!(reply["type"], "ok", "{role} {kind}: {reply}"),
                false => assert_eq!(reply["data"]["detail"]["action"], *action, "{role} {kind}: {reply}"),
            }
        }
        for (kind, data, action) in &above {
            let reply = ada.ask(kind, data.clone()).await;
            assert_eq!(reply["data"]["code"], "forbidden", "{role} {kind}: {reply}");
            assert_eq!(reply["data"]["detail"]["action"], *action, "{role} {kind}: {reply}");
        }
    }
    // Ids that name nobody.
    let nobody = json!({"participantId": olga.room});
    assert_eq!(olga.ask("call.spotlight", nobody).await["data"]["code"], "not_found");
    let nobody = json!({"target": {"userId": olga.room}, "source": "camera", "disabled": true});
    assert_eq!(olga.ask("call.disable", nobody).await["data"]["code"], "not_found");
    assert_eq!(olga.ask("call.remove", json!({"userId": olga.room})).await["data"]["code"], "not_found");
    assert_eq!(olga.ask("call.remove", json!({"userId": owner})).await["data"]["code"], "bad_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_befalls_everybody_because_a_field_was_forgotten() {
    let server = Server::start().await;
    let (mut olga, ada) = call_of_two(&server).await;
    let calls = format!("/rooms/{}/call", olga.room);
    let disable = json!({"source": "camera", "disabled": true});
    let of_old = json!({"userId": null, "source": "camera", "disabled": true});
    for (frame, path, data) in [
        ("call.disable", "disable", disable),
        ("call.disable", "disable", of_old),
        ("call.admit", "admit", json!({})),
        ("call.admit", "admit", json!({"userId": null})),
    ] {
        let reply = olga.ask(frame, data.clone()).await;
        let error = &reply["data"];
        assert_eq!((&error["code"], &error["detail"]["field"]), (&json!("bad_request"), &json!("target")), "{reply}");
        let problem = olga.person.post(&format!("{calls}/{path}"), data).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], "target", "{problem}");
    }
    let (_, state) = ada.person.connect_to(&olga.room).await;
    assert_eq!(state["data"]["call"]["controls"]["disabled"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_on_the_site_holds_for_open_sockets_at_once() {
    let server = Server::start().await;
    let (olga, _ada) = call_of_two(&server).await;
    let (guard, admin, room) = (server.enter("guard").await, server.administrator("admin").await, &olga.room);
    let (mut socket, _) = guard.connect_to(room).await;
    let lock = |locked: bool| json!({"roomId": room, "locked": locked});
    socket.refused("call.lock", lock(true), "forbidden").await;
    promote(&admin, &guard).await;
    assert_eq!(socket.next_of("site_role").await["data"], json!({"role": "moderator"}));
    assert_eq!(socket.ask("call.lock", lock(true)).await["type"], "ok");
    // Where they were not either: they go past the lock.
    socket.ask("leave_room", in_room(room)).await;
    socket.join(room).await;
    socket.ask("leave_room", in_room(room)).await;
    let role = format!("/users/{}/role", guard.id);
    let demoted = admin.ask(Method::PUT, &role, Some(json!({"role": "member"}))).await;
    demoted.expect(StatusCode::OK);
    assert_eq!(socket.next_of("site_role").await["data"], json!({"role": "member"}));
    socket.refused("join_room", in_room(room), "room_locked").await;
    let unlocked = olga.person.post(&format!("/rooms/{room}/call/lock"), json!({"locked": false})).await;
    unlocked.expect(StatusCode::NO_CONTENT);
    socket.join(room).await;
    socket.refused("call.lock", lock(true), "forbidden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_stays_as_it_was_left() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let (mut socket, _) = olga.connect_to(&room).await;
    assert_eq!(socket.ask("call.lock", json!({"roomId": room, "locked": true})).await["type"], "ok");
    let enabled = json!({"roomId": room, "enabled": true});
    assert_eq!(socket.ask("call.waiting_room", enabled).await["type"], "ok");
    // Nobody is there any more, and the server begins anew.
    drop(socket);
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let (olga, ada) = (olga.at(&server.base), server.enter("ada").await);
    let mut socket = ada.connect().await;
    socket.refused("join_room", in_room(&room), "room_locked").await;
    let lock = olga.post(&format!("/rooms/{room}/call/lock"), json!({"locked": false})).await;
    lock.expect(StatusCode::NO_CONTENT);
    socket.refused("join_room", in_room(&room), "waiting").await;
    let (mut host, state) = olga.connect_to(&room).await;
    let controls = &state["data"]["call"]["controls"];
    assert_eq!((&controls["locked"], &controls["waitingRoom"]), (&json!(false), &json!(true)), "{state}");
    // Who comes in as a host is told all who wait.
    let waiting = host.next_of("call.waiting").await;
    assert_eq!((&waiting["data"]["whole"], &waiting["data"]["count"]), (&json!(true), &json!(1)), "{waiting}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_moderators_are_hosts_everywhere() {
    let server = Server::start().await;
    let (mut olga, ada) = call_of_two(&server).await;
    let guard = server.enter("guard").await;
    let room = olga.room.clone();
    guard.post(&format!("/rooms/{room}/call/mute-all"), json!({"muted": true})).await.refused(409, "not_in_room");
    promote(&server.administrator("admin").await, &guard).await;
    // Without a seat in it, and on the owner too.
    let mute = json!({"target": {"userId": olga.person.id}, "source": "microphone", "disabled": true});
    guard.post(&format!("/rooms/{room}/call/disable"), mute).await.expect(StatusCode::NO_CONTENT);
    let stopped = olga.event("track.stopped", |_| true).await;
    assert_eq!((&stopped["reason"], &stopped["by"]), (&json!("disabled_by_host"), &json!(guard.id)));
    ada.peer.misses(Kind::Audio, &olga.peer).await;
    let lift = json!({"target": {"userId": olga.person.id}, "source": "microphone", "disabled": false});
    assert_eq!(olga.ask("call.disable", lift).await["data"]["code"], "forbidden", "the owner does not lift it");
    guard
        .post(&format!("/rooms/{room}/call/waiting-room"), json!({"enabled": true}))
        .await
        .expect(StatusCode::NO_CONTENT);
    guard.connect().await.join(&room).await;
    guard.post(&format!("/rooms/{room}/call/end"), json!({})).await.expect(StatusCode::NO_CONTENT);
    olga.event("call.ended", |_| true).await;
}
