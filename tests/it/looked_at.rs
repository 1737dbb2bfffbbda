//! What becomes of a drawn picture, from the wire to the moderator's desk and back to the media core.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::film::Film;
use crate::harness::{Person, Server, until};
use crate::projector::{Projector, Show};

/// A drawn person, harmless, and a drawing beyond doubt.
pub(crate) const DRAWING: &str = "tests/it/fixtures/drawing.png";
/// Something that is none.
const BLUR: &str = "gradients=size=320x180:speed=0.005:seed=7:nb_colors=4";

/// A server that looks often and takes drawings for what must not be shown.
pub(crate) async fn server() -> Server {
    Server::start_with(|config| {
        let policy = config.data_dir.with_file_name("policy.toml");
        std::fs::write(&policy, "suspected_every_ms = 300\n[labels]\nDrawing = 0.9\n").expect("the folder is there");
        config.policy_file = Some(policy);
        config.sample_every_ms = 400;
        config.models_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    })
    .await
}

/// Somebody who reviews.
pub(crate) async fn moderator(server: &Server) -> Person {
    let person = server.enter("olga").await;
    let link = server.running().admin_link.clone().expect("nobody is administrator yet");
    let secret = link.rsplit('/').next().expect("a link ends with its secret");
    person.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    person
}

pub(crate) fn picture(source: &str, is_h264: bool) -> Show {
    let make = if is_h264 { Film::h264 } else { Film::vp8 };
    Show { picture: Some(make(source, 15, 4, 15)), is_h264, ..Show::default() }
}

/// The first case about somebody that waits for a decision.
pub(crate) async fn case_about(olga: &Person, user: &str) -> Value {
    until("there is a case", async || {
        let cases = olga.get("/moderation/cases").await.expect(StatusCode::OK);
        cases["cases"].as_array().into_iter().flatten().find(|case| case["subject"]["userId"] == user).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawing_becomes_a_case_with_its_evidence_and_is_stopped() {
    for (is_h264, media_type, magic) in [(false, "image/webp", &b"RIFF"[..]), (true, "image/jpeg", &[0xff, 0xd8][..])] {
        let server = server().await;
        let (olga, ada, bob) = (moderator(&server).await, server.enter("ada").await, server.enter("bob").await);
        let room = bob.create_room("call", "public").await;
        let mut drawn = Projector::start(&ada, &room, picture(DRAWING, is_h264)).await;
        let _plain = Projector::start(&bob, &room, picture(BLUR, false)).await;

        let case = case_about(&olga, &ada.id).await;
        assert_eq!(
            (&case["source"], &case["label"], &case["live"]),
            (&json!("sampler"), &json!("Drawing"), &json!(true))
        );
        assert_eq!((&case["roomId"], &case["trackId"]), (&json!(room), &json!(drawn.track(0))));
        assert_eq!(case["trackSource"], "camera");
        let path = format!("/moderation/cases/{}", case["caseId"].as_str().expect("it has an id"));
        // The case is there before its picture is kept.
        let (evidence, looked) = until("its evidence is kept", async || {
            let details = olga.get(&path).await.expect(StatusCode::OK);
            let evidence = details["evidence"][0].clone();
            let looked = olga.fetch(&format!("/moderation/evidence/{}", evidence["evidenceId"].as_str()?), &[]).await;
            (looked.status() == StatusCode::OK).then_some((evidence, looked))
        })
        .await;
        assert!(evidence["scores"]["Drawing"].as_f64().is_some_and(|score| score >= 0.9), "{evidence}");
        assert_eq!(evidence["scores"].as_object().map(|scores| scores.len()), Some(5));
        assert_eq!(evidence["model"]["sha256"].as_str().map(str::len), Some(64));
        assert_eq!((&evidence["width"], &evidence["height"]), (&json!(320), &json!(180)));
        assert_eq!(looked.headers()["content-type"], media_type);
        assert!(looked.bytes().await.expect("it has a body").starts_with(magic));

        // Nobody else sees any of it.
        bob.get(&path).await.refused(403, "forbidden");
        let picture = format!("/moderation/evidence/{}", evidence["evidenceId"].as_str().expect("it has an id"));
        bob.get(&picture).await.refused(403, "forbidden");

        let act = json!({"action": "stopTrack", "reason": "a drawing"});
        let decided = olga.post(&format!("{path}/actions"), act).await.expect(StatusCode::OK);
        assert_eq!((&decided["status"], &decided["decision"]["action"]), (&json!("resolved"), &json!("stopTrack")));
        let stopped = drawn.socket.next_of("track.stopped").await["data"].clone();
        assert_eq!((&stopped["trackId"], &stopped["reason"]), (&json!(drawn.track(0)), &json!("moderation")));
        // Its packets are dropped, and no host brings it back.
        let unmute = json!({"roomId": room, "trackId": drawn.track(0), "muted": false});
        let (mut socket, _) = bob.connect_to(&room).await;
        socket.refused("call.mute_track", unmute, "forbidden").await;
        // The one that is none makes no case.
        let all = olga.get("/moderation/cases?status=open").await.expect(StatusCode::OK);
        assert_eq!(all["cases"], json!([]), "{all}");
        // A machine that is busy may have missed frames; it has not for long.
        until("everything is looked at", async || {
            let status = olga.get("/moderation/status").await.expect(StatusCode::OK);
            (status["state"] == "ok").then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_no_key_frames_becomes_a_case() {
    let server = server().await;
    let (olga, ada) = (moderator(&server).await, server.enter("ada").await);
    let room = ada.create_room("call", "public").await;
    // One key frame, and no other for half a minute, whatever is asked.
    let show = Show { picture: Some(Film::vp8("testsrc2=size=160x90", 10, 30, 600)), ..Show::default() };
    let _ada = Projector::start(&ada, &room, show).await;
    let case = case_about(&olga, &ada.id).await;
    assert_eq!((&case["source"], &case["live"]), (&json!("unsampled"), &json!(true)), "{case}");
    until("it is counted", async || {
        let status = olga.get("/moderation/status").await.expect(StatusCode::OK);
        (status["unsampledTracks"] == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_without_a_model_and_the_server_says_so() {
    let server = Server::start_with(|config| {
        config.models_dir = "/nonexistent".into();
        config.sample_every_ms = 300;
    })
    .await;
    let (olga, ada) = (moderator(&server).await, server.enter("ada").await);
    let room = ada.create_room("call", "public").await;
    let _ada = Projector::start(&ada, &room, picture(DRAWING, false)).await;
    let status = until("the track goes unsampled", async || {
        let status = olga.get("/moderation/status").await.expect(StatusCode::OK);
        (status["unsampledTracks"] == 1).then_some(status)
    })
    .await;
    assert_eq!(status["state"], "degraded");
    assert!(status["reasons"].as_array().is_some_and(|reasons| !reasons.is_empty()), "{status}");
    let ready = server.anonymous().get("/ready").await;
    assert_eq!(ready.status, StatusCode::OK, "calls do not depend on it");
    assert_eq!(ready.json()["moderation"]["state"], "degraded");
    let bob = server.enter("bob").await;
    let mut seen = Projector::start(&bob, &room, Show::default()).await;
    let slots = tokio::time::timeout(Duration::from_secs(10), seen.socket.next_of("slots")).await;
    assert!(slots.is_ok(), "the picture is forwarded all the same");
}
