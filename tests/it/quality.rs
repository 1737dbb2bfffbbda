//! What people's lines are like: told to the call, kept for its hosts, and counted.

use serde_json::{Value, json};

use crate::figures::figure;
use crate::harness::{Server, until};
use crate::peer::{Caller, Mischief, Way, meet};

/// What was said last of a participant's line, once it is as wanted.
async fn line(caller: &mut Caller, participant: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let find = |data: &Value| {
        let rated = data["participants"].as_array().into_iter().flatten();
        rated.filter(|it| it["participantId"] == participant).map(|it| it["quality"].clone()).find(|it| wanted(it))
    };
    let told = caller.event("call.quality", |data| find(data).is_some()).await;
    find(&told).expect("it was found before")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_line_is_told_to_all_and_kept_for_hosts() {
    let server = Server::start().await;
    let olga = server.enter("olga").await;
    let room = olga.create_room("call", "public").await;
    let mut olga = Caller::join(&olga, &room, 1, 2).await;
    let way = Way::through(Mischief::Loses(25));
    let mut ada = Caller::join_by(way, &server.enter("ada").await, &room, 2, 2).await;
    meet(&olga, &ada).await;
    let (of_olga, of_ada) = (olga.participant().to_owned(), ada.participant().to_owned());

    let good = line(&mut olga, &of_olga, |_| true).await;
    assert_eq!(good, json!({"level": "excellent", "reason": null, "direction": null}));
    let bad = line(&mut olga, &of_ada, |it| it["level"] == "poor").await;
    assert!(["loss", "freezes"].contains(&bad["reason"].as_str().expect("a reason")), "{bad}");
    // She is told the same of herself, and who comes in sees it.
    line(&mut ada, &of_ada, |it| it["level"] == "poor").await;
    let (_, state) = server.enter("cleo").await.connect_to(&room).await;
    let seen = state["data"]["call"]["participants"].as_array().expect("participants");
    let qualities: Vec<_> = seen.iter().map(|it| (&it["nickname"], &it["quality"]["level"])).collect();
    assert_eq!(qualities, [(&json!("olga"), &json!("excellent")), (&json!("ada"), &json!("poor"))]);

    let call = olga.answer["callId"].as_str().expect("the answer names the call").to_owned();
    let path = format!("/calls/{call}/quality");
    let whole = async || {
        let history = olga.person.get(&path).await.expect(reqwest::StatusCode::OK);
        let lines = history["participants"].as_array().expect("participants").clone();
        lines.iter().all(|line| line["points"].as_array().is_some_and(|points| points.len() > 1)).then_some(lines)
    };
    let lines = until("two points of each", whole).await;
    assert_eq!(lines.iter().map(|it| &it["participantId"]).collect::<Vec<_>>(), [&of_olga, &of_ada]);
    assert_eq!((&lines[1]["nickname"], &lines[1]["everyS"]), (&json!("ada"), &json!(10)));
    let point = lines[1]["points"].as_array().expect("points").last().expect("two").clone();
    assert_eq!(point["level"], "poor", "{point}");
    for way in ["up", "down"] {
        assert!(point[way]["lossPerMille"].as_u64().is_some_and(|loss| loss > 100), "{point}");
    }
    assert!(point["rttMs"].is_u64() && point["score"].is_u64() && point["up"]["jitterMs"].is_u64(), "{point}");
    assert_eq!(lines[0]["points"][0]["level"], "excellent", "{}", lines[0]);

    // Others see their own line, or none.
    let own = ada.person.get(&path).await.expect(reqwest::StatusCode::OK);
    assert_eq!(own["participants"].as_array().map(Vec::len), Some(1));
    assert_eq!(own["participants"][0]["participantId"], json!(of_ada));
    let of = |participant: &str| format!("{path}?participantId={participant}");
    ada.person.get(&of(&of_olga)).await.refused(403, "forbidden");
    server.enter("dora").await.get(&path).await.refused(403, "forbidden");
    let at = point["at"].as_str().expect("a time");
    let later = olga.person.get(&format!("{}&since={at}", of(&of_ada))).await.expect(reqwest::StatusCode::OK);
    let later = later["participants"][0]["points"].as_array().expect("points").clone();
    assert!(later.iter().all(|it| it["at"].as_str() > Some(at)), "{later:?}");
    olga.person.get(&format!("{path}?since=yesterday")).await.refused(400, "bad_request");
    let unknown = format!("/calls/{of_ada}/quality");
    olga.person.get(&unknown).await.refused(404, "not_found");
    server.anonymous().get(&format!("/api/v1{path}")).await.refused(401, "unauthenticated");

    for name in [
        "parlor_call_quality_score_count",
        "parlor_call_rtt_seconds_count",
        "parlor_call_jitter_seconds_count{direction=\"down\"}",
        "parlor_call_loss_ratio_count{direction=\"up\"}",
        "parlor_call_quality_changes_total{level=\"excellent\",reason=\"none\"}",
    ] {
        until(name, async || (figure(&server.base, name).await? >= 1.0).then_some(())).await;
    }
    ada.close().await;
    // It is known after she has left.
    assert_eq!(
        olga.person.get(&of(&of_ada)).await.expect(reqwest::StatusCode::OK)["participants"][0]["nickname"],
        "ada"
    );
    olga.close().await;
}
