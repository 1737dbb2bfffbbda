//! What the site's moderation and a recording do to a call, seen by those in it.

use parlor::domain::call::{CallRecording, RecordingPhase};
use parlor::domain::{Fact, RecordingId, recording::RecordingStop};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::peer::{Caller, Kind, Peer, meet};

/// Two people in a call.
async fn call_of_two(server: &Server) -> (Caller, Caller) {
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let olga = Caller::join(&olga, &room, 1, 2).await;
    let ada = Caller::join(&server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    (olga, ada)
}

fn call_of<T: std::str::FromStr<Err: std::fmt::Debug>>(caller: &Caller) -> T {
    caller.answer["callId"].as_str().unwrap().parse().unwrap()
}

/// The listener hears them, and sees nothing of them.
async fn heard_unseen(listener: &Caller, other: &Peer) {
    listener.peer.receives_kind(Kind::Audio, other).await;
    listener.peer.misses(Kind::Video, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_track_is_gone_whatever_its_publisher_does() {
    let server = Server::start().await;
    let (mut olga, mut ada) = call_of_two(&server).await;
    let rooms = &server.running().core().rooms;
    let (of_ada, camera) = (ada.participant().to_owned(), ada.track(Kind::Video).to_owned());
    assert!(rooms.stop_track(call_of(&ada), camera.parse().unwrap()));
    let stopped = ada.event("track.stopped", |_| true).await;
    assert_eq!(
        stopped,
        json!({"trackId": camera, "source": "camera", "reason": "moderation", "by": null, "mayUnmute": false})
    );
    olga.sees(&of_ada, |it| it["tracks"][1]["mutedByHost"] == true && it["tracks"][0]["mutedByHost"] == false).await;
    heard_unseen(&olga, &ada.peer).await;

    // Neither the host …
    let undo = json!({"trackId": camera, "muted": false});
    let refused = olga.ask("call.mute_track", undo.clone()).await;
    assert_eq!(refused["data"]["code"], "forbidden", "{refused}");
    assert_eq!(refused["data"]["detail"]["action"], "muteTrack", "{refused}");
    // … nor she herself opens it again: by her own switch, by new credentials, by another connection, …
    ada.done("call.mute", undo).await;
    heard_unseen(&olga, &ada.peer).await;
    ada.peer.restart_ice().await;
    ada.offer().await;
    heard_unseen(&olga, &ada.peer).await;
    ada.connect_anew(3, 2).await;
    heard_unseen(&olga, &ada.peer).await;
    // … by leaving the call or the room, …
    ada.done("call.leave", json!({})).await;
    ada.connect_anew(4, 2).await;
    let again = ada.track(Kind::Video).to_owned();
    let stopped = ada.event("track.stopped", |data| data["trackId"] == again).await;
    assert_eq!(stopped["reason"], "moderation", "and is told why");
    heard_unseen(&olga, &ada.peer).await;
    ada.done("leave_room", json!({})).await;
    let (person, room) = (ada.person.clone(), ada.room.clone());
    let ada = Caller::join(&person, &room, 5, 2).await;
    heard_unseen(&olga, &ada.peer).await;
    // … or from another tab.
    let tab = Caller::join(&person, &room, 6, 2).await;
    heard_unseen(&olga, &tab.peer).await;
    for tag in 3..=6 {
        assert!(olga.peer.arrivals(Kind::Video, tag).is_empty(), "not one picture of connection {tag} slipped through");
    }
    // The rest of the call runs.
    ada.peer.receives(&olga.peer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_to_a_recorded_call_agrees_first() {
    let server = Server::start().await;
    let (mut olga, ada) = call_of_two(&server).await;
    let rooms = &server.running().core().rooms;
    let (call, recording_id) = (call_of(&olga), RecordingId::new());
    let by = olga.person.id.parse().unwrap();
    let recording = |state| CallRecording { recording_id, state, started_at: None, started_by: by };
    rooms.set_recording(call, Some(recording(RecordingPhase::Starting)));
    rooms.tell_call(call, Fact::RecordingStarting { recording: recording_id, starts_in_ms: 3_000, by });
    let told = olga.event("recording.starting", |_| true).await;
    assert_eq!(told, json!({"recordingId": recording_id, "startsInMs": 3_000, "startedBy": by}));
    rooms.set_recording(call, Some(recording(RecordingPhase::Running)));

    let (mut socket, state) = server.enter("cleo").await.connect_to(&olga.room).await;
    let shown = json!({"recordingId": recording_id, "state": "running", "startedAt": null, "startedBy": by});
    assert_eq!(state["data"]["call"]["recording"], shown);
    let seen = olga.person.get(&format!("/calls/{call}")).await;
    assert_eq!(seen.json()["recording"], shown);
    let mut peer = Peer::new(3, 2).await;
    let sdp = peer.offer().await;
    let [microphone, camera] = peer.mids().await;
    let offer = |agrees: Option<bool>| {
        let tracks = json!([{"mid": microphone, "source": "microphone"}, {"mid": camera, "source": "camera"}]);
        let mut data = json!({"roomId": olga.room, "sdp": sdp, "tracks": tracks});
        if let Some(agrees) = agrees {
            data["acceptRecording"] = Value::Bool(agrees);
        }
        data
    };
    socket.refused("call.offer", offer(None), "recording_consent").await;
    socket.refused("call.offer", offer(Some(false)), "recording_consent").await;
    let answer = socket.ask("call.offer", offer(Some(true))).await;
    assert_eq!(answer["type"], "call.answer", "{answer}");
    assert_eq!(answer["data"]["participants"].as_array().map(Vec::len), Some(3));
    peer.accept(answer["data"]["sdp"].as_str().unwrap()).await;
    peer.connected().await;
    socket.ask("call.ready", json!({"roomId": olga.room})).await;
    peer.publish();
    olga.peer.receives(&peer).await;

    // Those who were there when it was announced are not asked, whatever becomes of their connections.
    olga.peer.restart_ice().await;
    olga.offer().await;
    olga.connect_anew(4, 2).await;
    meet(&olga, &ada).await;
    rooms.set_recording(call, None);
    rooms.tell_call(call, Fact::RecordingStopped { recording: recording_id, reason: RecordingStop::Stopped });
    let told = olga.event("recording.stopped", |_| true).await;
    assert_eq!(told, json!({"recordingId": recording_id, "reason": "stopped"}));
    let dora = Caller::join(&server.enter("dora").await, &olga.room, 5, 4).await;
    dora.peer.receives(&olga.peer).await;
}
