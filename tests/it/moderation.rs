//! The review desk over REST: who has a case, who decides it, what then happens, and what is written down.

use parlor::domain::case::{CaseSource, Measure, Named, Place, Priority};
use parlor::domain::{CaseId, TrackId};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, settings};

/// Somebody's message was reported: a case, and who may decide it.
pub(crate) struct Desk {
    pub(crate) server: Server,
    /// The administrator.
    pub(crate) olga: Person,
    /// Moderators.
    pub(crate) mo: Person,
    pub(crate) max: Person,
    /// The room's owner, who reports.
    pub(crate) ada: Person,
    /// Who wrote something.
    pub(crate) bob: Person,
    pub(crate) room: String,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        Self::of(Server::start().await).await
    }

    pub(crate) async fn of(server: Server) -> Self {
        let [olga, mo, max, ada, bob] = ["olga", "mo", "max", "ada", "bob"].map(|name| server.enter(name));
        let (olga, mo, max, ada, bob) = (olga.await, mo.await, max.await, ada.await, bob.await);
        let link = server.running().admin_link.clone().unwrap();
        olga.post("/auth/claim", json!({"secret": link.rsplit('/').next()})).await.expect(StatusCode::OK);
        for person in [&mo, &max] {
            promote(&olga, person).await;
        }
        let room = ada.create_room("call", "public").await;
        bob.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
        Self { server, olga, mo, max, ada, bob, room }
    }

    /// Somebody writes; the message's id.
    pub(crate) async fn write(&self, by: &Person, text: &str) -> String {
        let message = json!({"clientId": format!("{text:.50}"), "content": {"text": text}});
        let written = by.post(&format!("/rooms/{}/messages", self.room), message).await.expect(StatusCode::CREATED);
        written["id"].as_str().unwrap().to_owned()
    }

    /// What `POST /reports` takes.
    pub(crate) fn about_message(&self, message: &str, reason: &str) -> Value {
        json!({"targetType": "message", "targetId": message, "roomId": self.room, "reason": reason})
    }

    pub(crate) fn about(&self, person: &Person, reason: &str) -> Value {
        json!({"targetType": "user", "targetId": person.id, "roomId": self.room, "reason": reason})
    }

    /// The newest case, with the path to it.
    pub(crate) async fn case(&self) -> (String, Value) {
        let list = self.olga.get("/moderation/cases?status=open").await.expect(StatusCode::OK);
        let cases = list["cases"].as_array().unwrap();
        let newest = cases.iter().max_by_key(|case| case["caseId"].as_str()).expect("there is a case");
        (format!("/moderation/cases/{}", newest["caseId"].as_str().unwrap()), newest.clone())
    }

    /// Bob writes something and is reported for it.
    pub(crate) async fn reported(&self) -> (String, Value) {
        let message = self.write(&self.bob, "buy this").await;
        self.ada.post("/reports", self.about_message(&message, "spam")).await.expect(StatusCode::CREATED);
        self.case().await
    }
}

pub(crate) async fn promote(olga: &Person, person: &Person) {
    let role = json!({"role": "moderator"});
    olga.ask(Method::PUT, &format!("/users/{}/role", person.id), Some(role)).await.expect(StatusCode::OK);
}

pub(crate) fn act(action: &str) -> Value {
    json!({"action": action, "reason": "seen it"})
}

async fn deeds(person: &Person) -> Vec<Value> {
    let log = person.get("/moderation/log?limit=100").await.expect(StatusCode::OK);
    log["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn of_two_moderators_the_second_gets_conflict() {
    let desk = Desk::open().await;
    let (path, case) = desk.reported().await;
    assert_eq!((&case["status"], &case["claimedBy"]), (&json!("pending"), &Value::Null));
    let claimed = desk.mo.post(&format!("{path}/claim"), json!({})).await.expect(StatusCode::OK);
    assert_eq!((&claimed["status"], &claimed["claimedBy"]["nickname"]), (&json!("reviewing"), &json!("mo")));
    desk.mo.post(&format!("{path}/claim"), json!({})).await.expect(StatusCode::OK);
    let problem = desk.max.post(&format!("{path}/claim"), json!({})).await.refused(409, "conflict");
    assert_eq!(problem["extra"]["claimedBy"]["userId"], desk.mo.id.as_str());
    desk.max.post(&format!("{path}/actions"), act("dismiss")).await.refused(409, "conflict");
    desk.max.ask(Method::DELETE, &format!("{path}/claim"), None).await.refused(409, "conflict");
    let decided = desk.mo.post(&format!("{path}/actions"), act("dismiss")).await.expect(StatusCode::OK);
    assert_eq!((&decided["status"], &decided["decision"]["by"]["nickname"]), (&json!("dismissed"), &json!("mo")));
    let problem = desk.max.post(&format!("{path}/actions"), act("ban")).await.refused(409, "conflict");
    assert_eq!(problem["extra"]["decision"]["action"], "dismiss");
    desk.bob.get("/auth/me").await.expect(StatusCode::OK);

    // Many at once: one decides.
    let (path, _) = desk.reported_again().await;
    let path = format!("{path}/actions");
    let (one, two, three, four) = tokio::join!(
        desk.mo.post(&path, act("dismiss")),
        desk.max.post(&path, act("escalate")),
        desk.mo.post(&path, act("escalate")),
        desk.max.post(&path, act("dismiss"))
    );
    let statuses = [one, two, three, four].map(|it| it.status.as_u16());
    assert_eq!(statuses.iter().filter(|it| **it == 200).count(), 1, "{statuses:?}");
}

impl Desk {
    async fn reported_again(&self) -> (String, Value) {
        let message = self.write(&self.bob, "buy that").await;
        self.ada.post("/reports", self.about_message(&message, "spam")).await.expect(StatusCode::CREATED);
        self.case().await
    }
}

#[tokio::test]
async fn a_claim_can_be_given_back() {
    let desk = Desk::open().await;
    let (path, _) = desk.reported().await;
    let claim = format!("{path}/claim");
    desk.mo.ask(Method::DELETE, &claim, None).await.refused(409, "conflict");
    desk.mo.post(&claim, json!({})).await.expect(StatusCode::OK);
    let given = desk.mo.ask(Method::DELETE, &claim, None).await.expect(StatusCode::OK);
    assert_eq!((&given["status"], &given["claimedBy"]), (&json!("pending"), &Value::Null));
    desk.max.post(&claim, json!({})).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn each_look_at_evidence_is_logged() {
    let desk = Desk::open().await;
    let (path, _) = desk.reported().await;
    let details = desk.mo.get(&path).await.expect(StatusCode::OK);
    let evidence = &details["evidence"][0];
    assert_eq!((&evidence["kind"], &evidence["mediaType"]), (&json!("messages"), &json!("application/json")));
    let look = format!("/moderation/evidence/{}", evidence["evidenceId"].as_str().unwrap());
    let seen = desk.mo.get(&look).await;
    assert_eq!(seen.header("cache-control"), "no-store");
    assert_eq!(seen.expect(StatusCode::OK)["messages"][0]["content"]["text"], "buy this");
    desk.max.get(&look).await.expect(StatusCode::OK);
    let looks: Vec<_> = deeds(&desk.olga).await.into_iter().filter(|it| it["action"] == "evidenceViewed").collect();
    let by: Vec<_> = looks.iter().map(|it| it["by"]["nickname"].as_str().unwrap()).collect();
    assert_eq!(by, ["max", "mo"], "newest first");
    assert!(looks.iter().all(|it| it["evidenceId"] == evidence["evidenceId"] && it["subject"]["nickname"] == "bob"));
    desk.ada.get(&look).await.refused(403, "forbidden");
    let nowhere = "/moderation/evidence/01938a5c-0000-7000-8000-000000000001";
    desk.mo.get(nowhere).await.refused(404, "not_found");
    assert_eq!(deeds(&desk.olga).await.iter().filter(|it| it["action"] == "evidenceViewed").count(), 2);

    // What is not what was kept is not shown.
    let file = desk.server.folder().join("data/files/evidence").join(evidence["evidenceId"].as_str().unwrap());
    std::fs::write(file, "{}").unwrap();
    desk.mo.get(&look).await.refused(500, "internal");
}

#[tokio::test]
async fn nobody_judges_themselves_or_whom_they_do_not_outrank() {
    let desk = Desk::open().await;
    desk.max.post(&format!("/rooms/{}/join", desk.room), json!({})).await.expect(StatusCode::OK);
    desk.ada.post("/reports", desk.about(&desk.max, "harassment")).await.expect(StatusCode::CREATED);
    let (path, _) = desk.case().await;
    let actions = format!("{path}/actions");
    desk.max.post(&format!("{path}/claim"), json!({})).await.refused(403, "forbidden");
    for action in ["dismiss", "escalate"] {
        desk.max.post(&actions, act(action)).await.refused(403, "forbidden");
    }
    for action in ["dismiss", "remove", "ban"] {
        desk.mo.post(&actions, act(action)).await.refused(403, "forbidden");
    }
    let escalated = desk.mo.post(&actions, act("escalate")).await.expect(StatusCode::OK);
    assert_eq!(escalated["status"], "escalated");
    let problem = desk.mo.post(&actions, act("dismiss")).await.refused(403, "forbidden");
    assert_eq!(problem["extra"]["action"], "decideEscalated");
    let decided = desk.olga.post(&actions, act("remove")).await.expect(StatusCode::OK);
    assert_eq!(decided["status"], "resolved");
    let join = desk.max.post(&format!("/rooms/{}/join", desk.room), json!({})).await;
    join.refused(403, "removed");
}

#[tokio::test]
async fn what_is_decided_is_done_and_written_down() {
    let desk = Desk::open().await;
    let mut socket = desk.bob.connect().await;
    let (path, _) = desk.reported().await;
    let actions = format!("{path}/actions");
    for (bad, field) in [
        (json!({"action": "ban", "reason": "  "}), "reason"),
        (json!({"action": "ban", "reason": "x".repeat(501)}), "reason"),
        (json!({"action": "dismiss", "reason": "no", "durationS": 60}), "durationS"),
        (json!({"action": "ban", "reason": "no", "durationS": 0}), "durationS"),
        (json!({"action": "ban", "reason": "no", "durationS": 400_000_000}), "durationS"),
    ] {
        let problem = desk.mo.post(&actions, bad).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], field);
    }
    desk.mo.post(&actions, json!({"action": "shoot", "reason": "no"})).await.refused(400, "bad_request");
    desk.mo.post(&actions, json!({"action": "ban"})).await.refused(400, "bad_request");

    let ban = json!({"action": "ban", "reason": "spam, again", "durationS": 3600});
    let decided = desk.mo.post(&actions, ban).await.expect(StatusCode::OK);
    let decision = &decided["decision"];
    assert_eq!((&decision["action"], &decision["durationS"]), (&json!("ban"), &json!(3600)));
    assert_eq!(socket.closed().await.0, 4403);
    desk.bob.get("/auth/me").await.refused(403, "banned");
    let details = desk.mo.get(&path).await.expect(StatusCode::OK);
    assert_eq!(details["history"]["bans"][0]["reason"], "spam, again");
    assert_eq!(details["history"]["reportsAgainst"], 1);
    let events: Vec<_> =
        details["events"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(events, ["opened", "ban"]);
    let bans: Vec<_> = deeds(&desk.mo).await.into_iter().filter(|it| it["action"] == "ban").collect();
    assert_eq!(bans.len(), 1, "a ban is written down once: {bans:?}");
    assert_eq!((&bans[0]["by"]["nickname"], &bans[0]["reason"]), (&json!("mo"), &json!("spam, again")));
    assert_eq!(bans[0]["caseId"], decided["caseId"]);
}

#[tokio::test]
async fn a_track_that_is_gone_is_stopped_all_the_same() {
    let desk = Desk::open().await;
    let (path, _) = desk.reported().await;
    let decided = desk.mo.post(&format!("{path}/actions"), act("stopTrack")).await.expect(StatusCode::OK);
    assert_eq!((&decided["status"], &decided["live"]), (&json!("resolved"), &json!(false)));
}

#[tokio::test]
async fn the_desk_is_for_moderators() {
    let desk = Desk::open().await;
    let (path, _) = desk.reported().await;
    for path in ["/moderation/cases", "/moderation/log", "/moderation/status", path.as_str()] {
        desk.ada.get(path).await.refused(403, "forbidden");
        desk.server.anonymous().get(&format!("/api/v1{path}")).await.refused(401, "unauthenticated");
    }
    desk.ada.post(&format!("{path}/claim"), json!({})).await.refused(403, "forbidden");
    desk.ada.post(&format!("{path}/actions"), act("dismiss")).await.refused(403, "forbidden");
    desk.mo.get("/moderation/cases/01938a5c-0000-7000-8000-000000000001").await.refused(404, "not_found");
    desk.mo.get("/moderation/cases?status=lost").await.refused(400, "bad_request");
    for bad in ["/moderation/cases?limit=0", "/moderation/cases?limit=101", "/moderation/log?limit=0"] {
        desk.mo.get(bad).await.refused(400, "bad_request");
    }
    let status = desk.mo.get("/moderation/status").await.expect(StatusCode::OK);
    assert!(status["sampledTracks"] == 0 && status["unsampledTracks"] == 0);
}

#[tokio::test]
async fn the_list_goes_on_page_by_page() {
    let desk = Desk::open().await;
    for number in 0..5 {
        let message = desk.write(&desk.bob, &format!("text {number}")).await;
        let reason = if number == 3 { "csam" } else { "spam" };
        desk.ada.post("/reports", desk.about_message(&message, reason)).await.expect(StatusCode::CREATED);
    }
    let (mut found, mut before) = (Vec::new(), String::new());
    loop {
        let page = desk.mo.get(&format!("/moderation/cases?limit=2{before}")).await.expect(StatusCode::OK);
        assert_eq!(page["open"], 5);
        let cases = page["cases"].as_array().unwrap().clone();
        let Some(last) = cases.last() else { break };
        before = format!("&before={}", last["caseId"].as_str().unwrap());
        found.extend(cases);
    }
    let labels: Vec<_> = found.iter().map(|it| it["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["csam", "spam", "spam", "spam", "spam"]);
    let created: Vec<_> = found[1..].iter().map(|it| it["createdAt"].as_str().unwrap()).collect();
    assert!(created.is_sorted(), "{created:?}");
    assert!(found.iter().all(|it| it["roomName"] == "ada's call" && it["messageId"].is_string()));
    desk.mo.get("/moderation/cases?before=01938a5c-0000-7000-8000-000000000001").await.refused(400, "bad_request");
}

#[tokio::test]
async fn a_policy_that_cannot_be_used_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    for (text, named) in
        [("[labels]\nDrowning = 0.5\n", "Drowning"), ("hits = 9\n", "`hits`"), ("[labels", "policy.toml")]
    {
        std::fs::write(&path, text).unwrap();
        let mut config = settings(&folder);
        config.policy_file = Some(path.clone());
        let error = parlor::serve(config.clone()).await.err().expect("it does not start").to_string();
        assert!(error.contains(named), "{error}");
        let found = parlor::check::findings(&config).await;
        assert!(found.iter().any(|it| it.to_string().contains(named)), "{found:?}");
    }
}

/// What the wire says is what the types say: a case of the sampler, with all that is known of it.
#[test]
fn a_case_is_written_flat() {
    let nobody = Named { user_id: parlor::domain::UserId::new(), nickname: "bob".to_owned() };
    let place = Place { track_id: Some(TrackId::new()), ..Place::default() };
    let at = parlor::domain::Time::from_ms(0);
    let case = parlor::domain::case::Case {
        case_id: CaseId::new(),
        status: parlor::domain::case::CaseStatus::Resolved,
        priority: Priority::High,
        source: CaseSource::Sampler,
        label: Some("Drawing".to_owned()),
        subject: nobody.clone(),
        place,
        room_name: None,
        live: true,
        report_count: 0,
        created_at: at,
        updated_at: at,
        claimed_by: Some(parlor::domain::case::Claim { by: nobody.clone(), until: at }),
        decision: Some(parlor::domain::case::Decision {
            action: Measure::StopTrack,
            reason: "seen it".to_owned(),
            by: nobody,
            at,
            duration_s: None,
        }),
    };
    let json = serde_json::to_value(&case).unwrap();
    assert!(json["trackId"].is_string() && json["roomId"].is_null() && json["claimedBy"]["userId"].is_string());
    assert_eq!((&json["decision"]["action"], &json["priority"]), (&json!("stopTrack"), &json!("high")));
}
