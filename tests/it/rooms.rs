//! Rooms as people make, settle, find, enter and leave them, over REST and the socket.

use parlor::domain::{Action, Permits, Role, RoomKind, SiteRole, Standing, Time, permit};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, Socket, answer};

/// Makes somebody older and more talkative than a test has time for.
async fn grow(server: &Server, person: &Person, days: i64, messages: i64) {
    let file = server.folder().join("data").join("parlor.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let database = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let id: uuid::Uuid = person.id.parse().unwrap();
    let since = Time::now().as_ms() - days * 24 * 3_600_000;
    sqlx::query("update users set created_at = $2, message_count = $3 where id = $1")
        .bind(id)
        .bind(since)
        .bind(messages)
        .execute(&database)
        .await
        .unwrap();
    database.close().await;
}

/// Changes a room as it is now.
async fn change(person: &Person, room: &str, body: Value) -> Answer {
    let tag = person.get(&format!("/rooms/{room}")).await.header("etag").to_owned();
    change_as(person, room, &tag, body).await
}

async fn change_as(person: &Person, room: &str, tag: &str, body: Value) -> Answer {
    answer(person.request(Method::PATCH, &format!("/rooms/{room}")).header("if-match", tag).json(&body)).await
}

fn hence(seconds: u64) -> String {
    Time::now().after(std::time::Duration::from_secs(seconds)).to_string()
}

#[tokio::test]
async fn settings_change_for_who_looked_and_everybody_is_told() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut socket, _) = ben.connect_to(&room).await;
    let path = format!("/rooms/{room}");
    ada.ask(Method::PATCH, &path, Some(json!({"name": "Saturday"}))).await.refused(428, "precondition_required");
    let body = json!({"name": "Saturday", "slug": "saturday", "category": "music", "slowModeS": 5, "retention": "days(7)",
        "permits": {"post": "moderator"}});
    let changed = change(&ada, &room, body.clone()).await;
    let after = changed.expect(StatusCode::OK);
    assert_eq!((changed.header("etag"), &after["settings"]["retention"]), ("\"2\"", &json!("days(7)")));
    let told = socket.next_of("room_updated").await;
    assert_eq!((&told["data"]["room"], &told["offset"]), (&after, &json!(2)));
    socket
        .refused("send_message", json!({"roomId": room, "clientId": "c-1", "content": {"text": "hi"}}), "forbidden")
        .await;
    change_as(&ada, &room, "\"1\"", body).await.refused(412, "precondition_failed");
    change(&ben, &room, json!({"name": "Mine"})).await.refused(403, "forbidden");
    for (field, bad) in [
        ("slug", json!("A b")),
        ("category", json!("nonsense")),
        ("slowModeS", json!(21_601)),
        ("retention", json!("none")),
        ("contentLevel", json!("adult")),
        ("pin", json!("12")),
        ("name", json!("")),
    ] {
        let problem = change(&ada, &room, json!({field: bad})).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], field);
    }
    let wide = change(&ada, &room, json!({"permits": {"record": "member"}})).await.refused(400, "bad_request");
    assert_eq!(wide["extra"]["field"], "permits.record");
    change(&ada, &room, json!({"slug": null})).await.expect(StatusCode::OK);
    assert_eq!(ada.get(&path).await.json()["slug"], Value::Null);
}

#[tokio::test]
async fn trust_is_earned_shown_and_explained() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let forum = json!({"kind": "forum", "name": "Agora", "visibility": "public"});
    let problem = ada.post("/rooms", forum.clone()).await.refused(403, "trust_too_low");
    assert_eq!(problem["extra"]["needed"], json!({"level": "established", "ageDays": 7, "messages": 10}));
    assert_eq!(problem["extra"]["have"]["next"]["messages"], 10);
    grow(&server, &ada, 8, 9).await;
    let room = ada.create_room("group", "public").await;
    ada.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-1", "content": {"text": "the tenth"}})).await;
    let shown = ada.get("/users/me/trust").await.expect(StatusCode::OK);
    assert_eq!(
        (&shown["level"], &shown["messages"], &shown["ageDays"]),
        (&json!("established"), &json!(10), &json!(8))
    );
    assert_eq!(shown["next"], json!({"level": "trusted", "days": 22, "messages": 190, "cleanAt": null}));
    let forum = ada.create(forum).await;
    change(&ada, &forum, json!({"minTrustToPost": "established"})).await.expect(StatusCode::OK);
    let (mut socket, _) = ben.connect_to(&forum).await;
    let message = json!({"roomId": forum, "clientId": "c-1", "content": {"text": "hi"}});
    socket.refused("send_message", message.clone(), "trust_too_low").await;
    ada.ask(Method::PUT, &format!("/rooms/{forum}/members/{}/role", ben.id), Some(json!({"role": "trusted"}))).await;
    assert_eq!(socket.ask("send_message", message).await["type"], "new_message");
    change(&ada, &forum, json!({"minTrustToJoin": "established"})).await.expect(StatusCode::OK);
    let cleo = server.enter("cleo").await;
    cleo.post(&format!("/rooms/{forum}/join"), json!({})).await.refused(403, "trust_too_low");
}

#[tokio::test]
async fn links_requests_and_pins_lead_in() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let (cleo, dan) = (server.enter("cleo").await, server.enter("dan").await);
    let room = ada.create_room("group", "private").await;
    let (join, invites) = (format!("/rooms/{room}/join"), format!("/rooms/{room}/invites"));
    ben.post(&join, json!({})).await.refused(403, "room_private");
    let made = ada.post(&invites, json!({"maxUses": 1, "expiresAt": hence(60)})).await.expect(StatusCode::CREATED);
    let code = made["code"].as_str().unwrap();
    assert!(!ada.get(&invites).await.text.contains(code), "a code is told once");
    let accept = format!("/invites/{code}/accept");
    for _ in 0..2 {
        ben.post(&accept, json!({})).await.expect(StatusCode::OK);
    }
    cleo.post(&accept, json!({})).await.refused(410, "invite_over");
    cleo.post("/invites/nothing/accept", json!({})).await.refused(404, "not_found");
    let revoke = format!("{invites}/{}", made["inviteId"].as_str().unwrap());
    ben.ask(Method::DELETE, &revoke, None).await.refused(404, "not_found");
    assert_eq!(ada.ask(Method::DELETE, &revoke, None).await.status, StatusCode::NO_CONTENT);
    // Asking.
    let requests = format!("/rooms/{room}/requests");
    cleo.post(&requests, json!({})).await.refused(403, "room_private");
    change(&ada, &room, json!({"joinRequests": true})).await.expect(StatusCode::OK);
    cleo.post(&join, json!({})).await.refused(403, "approval_required");
    assert_eq!(cleo.post(&requests, json!({"note": "me too"})).await.status, StatusCode::ACCEPTED);
    ben.get(&requests).await.refused(403, "forbidden");
    assert_eq!(ada.get(&requests).await.json()["items"][0]["note"], "me too");
    let mut waiting = cleo.connect().await;
    assert_eq!(ada.post(&format!("{requests}/{}/approve", cleo.id), json!({})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(waiting.next_of("call.admitted").await["roomId"], room.as_str());
    waiting.join(&room).await;
    // The PIN, and what it is not.
    let open = ada.create_room("broadcast", "public").await;
    change(&ada, &open, json!({"pin": "2468"})).await.expect(StatusCode::OK);
    let join = format!("/rooms/{open}/join");
    dan.post(&join, json!({})).await.refused(403, "pin_required");
    dan.post(&join, json!({"pin": "1357"})).await.refused(403, "pin_wrong");
    dan.connect().await.refused("join_room", json!({"roomId": open}), "pin_required").await;
    dan.post(&join, json!({"pin": "2468"})).await.expect(StatusCode::OK);
    dan.connect_to(&open).await;
    assert!(!dan.get(&format!("/rooms/{open}")).await.text.contains("2468"));
}

#[tokio::test]
async fn order_is_kept_by_kicks_mutes_and_bans_that_end() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let (mut socket, _) = ben.connect_to(&room).await;
    let member = format!("/rooms/{room}/members/{}", ben.id);
    let mute =
        async |until: Value| ada.ask(Method::PUT, &format!("{member}/mute"), Some(json!({"until": until}))).await;
    mute(json!("2020-01-01T00:00:00.000Z")).await.refused(400, "bad_request");
    assert_eq!(mute(json!(hence(3_600))).await.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("member_muted").await["data"]["userId"], ben.id.as_str());
    let hi = json!({"roomId": room, "clientId": "c-1", "content": {"text": "hi"}});
    socket.refused("send_message", hi.clone(), "muted").await;
    ben.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-1", "content": {"text": "hi"}}))
        .await
        .refused(403, "muted");
    assert_eq!(mute(Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.ask("send_message", hi).await["type"], "new_message");
    let roster = ben.get(&format!("/rooms/{room}/roster?limit=1")).await.expect(StatusCode::OK);
    assert_eq!(roster["items"][0]["role"], "owner");
    let next = roster["next"].as_str().unwrap();
    let rest = ben.get(&format!("/rooms/{room}/roster?cursor={next}")).await.json();
    assert_eq!((&rest["items"][0]["userId"], &rest["items"][0]["online"]), (&json!(ben.id), &json!(true)));
    ben.post(&format!("/rooms/{room}/members/{}/kick", ada.id), json!({})).await.refused(403, "forbidden");
    assert_eq!(ada.post(&format!("{member}/kick"), json!({"reason": "enough"})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("removed").await["data"]["reason"], "enough");
    socket.join(&room).await;
    let bans = format!("/rooms/{room}/bans");
    let ban = format!("{bans}/{}", ben.id);
    let until = hence(3_600);
    let kept_out = ada.ask(Method::PUT, &ban, Some(json!({"until": until, "reason": "spam"}))).await;
    assert_eq!(kept_out.status, StatusCode::NO_CONTENT);
    socket.next_of("removed").await;
    socket.refused("join_room", json!({"roomId": room}), "removed").await;
    assert_eq!(ada.get(&bans).await.json()["items"][0]["until"], until);
    assert_eq!(ada.ask(Method::DELETE, &ban, None).await.status, StatusCode::NO_CONTENT);
    ada.ask(Method::DELETE, &ban, None).await.refused(404, "not_found");
    socket.join(&room).await;
}

#[tokio::test]
async fn a_room_is_given_away_put_away_and_deleted() {
    let server = Server::start().await;
    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("group", "public").await;
    let path = format!("/rooms/{room}");
    let give = json!({"userId": ben.id});
    ada.ask(Method::PUT, &format!("{path}/owner"), Some(give.clone())).await.refused(404, "not_found");
    let (mut socket, _) = ben.connect_to(&room).await;
    assert_eq!(ada.ask(Method::PUT, &format!("{path}/owner"), Some(give)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("room_owner").await["data"], json!({"userId": ben.id, "formerId": ada.id}));
    ada.ask(Method::DELETE, &path, None).await.refused(403, "forbidden");
    let archive = async |archived: bool| {
        ben.ask(Method::PUT, &format!("{path}/archived"), Some(json!({"archived": archived}))).await
    };
    archive(true).await.expect(StatusCode::OK);
    let hi = json!({"roomId": room, "clientId": "c-1", "content": {"text": "hi"}});
    socket.refused("send_message", hi.clone(), "room_archived").await;
    assert_eq!(ada.get("/rooms").await.json()["rooms"], json!([]));
    assert_eq!(ada.get("/rooms/mine").await.json()["items"][0]["role"], "admin");
    ada.get(&format!("{path}/messages")).await.expect(StatusCode::OK);
    archive(true).await.refused(409, "conflict");
    archive(false).await.expect(StatusCode::OK);
    assert_eq!(socket.ask("send_message", hi).await["type"], "new_message");
    assert_eq!(ben.ask(Method::DELETE, &path, None).await.status, StatusCode::NO_CONTENT);
    socket.next_of("removed").await;
    ada.get(&path).await.refused(404, "not_found");
}

/// One person per effective role in one room.
struct Cast(Vec<(&'static str, Option<Role>, Person)>);

impl Cast {
    async fn of(server: &Server, owner: &Person, room: &str) -> Self {
        let mut cast = vec![("owner", Some(Role::Owner), owner.clone())];
        for name in ["admin", "moderator", "trusted", "member", "muted", "banned"] {
            let person = server.enter(name).await;
            person.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
            let at = format!("/rooms/{room}/members/{}", person.id);
            let role = Role::parse(name);
            let done = match name {
                "member" => StatusCode::NO_CONTENT,
                "muted" => {
                    let mute = json!({"until": hence(3_600)});
                    owner.ask(Method::PUT, &format!("{at}/mute"), Some(mute)).await.status
                }
                "banned" => owner.ask(Method::DELETE, &at, None).await.status,
                role => owner.ask(Method::PUT, &format!("{at}/role"), Some(json!({"role": role}))).await.status,
            };
            assert_eq!(done, StatusCode::NO_CONTENT, "{name}");
            cast.push((name, role.or((name == "muted").then_some(Role::Member)), person));
        }
        Self(cast)
    }
}

/// What is asked to see whether an action is allowed: nothing that changes what is asked next.
const BY_REST: &[(Action, Method, &str, &str)] = &[
    (Action::ReadHistory, Method::GET, "messages", ""),
    (Action::ListMembers, Method::GET, "roster", ""),
    (Action::SendMessage, Method::POST, "messages", r#"{"clientId": "ID", "content": {"text": "hi"}}"#),
    (Action::Invite, Method::POST, "invites", r#"{"maxUses": 0}"#),
    (Action::AnswerRequests, Method::GET, "requests", ""),
    (Action::KickMember, Method::POST, "members/NOBODY/kick", "{}"),
    (Action::MuteMember, Method::PUT, "members/NOBODY/mute", r#"{"until": null}"#),
    (Action::RemoveMember, Method::GET, "bans", ""),
    (Action::SetMemberRole, Method::PUT, "members/NOBODY/role", r#"{"role": "member"}"#),
    (Action::EditRoom, Method::PATCH, "", "{}"),
    (Action::TransferRoom, Method::PUT, "owner", r#"{"userId": "NOBODY"}"#),
    (Action::ArchiveRoom, Method::PUT, "archived", r#"{"archived": false}"#),
    (Action::StreamKeys, Method::GET, "stream-keys", ""),
    (Action::HostCall, Method::GET, "call/waiting", ""),
    (Action::MuteTrack, Method::POST, "call/mute-all", r#"{"muted": false}"#),
    (Action::EndCall, Method::POST, "call/end", "{}"),
];

const BY_FRAME: &[(Action, &str, &str)] = &[
    (Action::SendMessage, "send_message", r#"{"clientId": "ID", "content": {"text": "hi"}}"#),
    (Action::Type, "typing", r#"{"typing": true}"#),
    (Action::RemoveMember, "remove_member", r#"{"userId": "NOBODY"}"#),
    (Action::SetMemberRole, "set_member_role", r#"{"userId": "NOBODY", "role": "member"}"#),
    (Action::JoinCall, "call.offer", r#"{"sdp": "nonsense", "tracks": []}"#),
    (Action::MuteTrack, "call.mute_all", r#"{"muted": false}"#),
    (Action::HostCall, "call.lock", r#"{"locked": false}"#),
    (Action::EndCall, "call.end", "{}"),
];

/// Whether a code says that the person may not, whatever it is that they ask.
fn is_no(code: &str) -> bool {
    matches!(code, "forbidden" | "muted" | "removed" | "not_in_room")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_may_in_every_kind_of_room_what_the_table_says() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    grow(&server, &ada, 100, 1_000).await;
    for kind in RoomKind::ALL.into_iter().filter(|kind| kind.is_made_by_people()) {
        let room = ada.create_room(kind.as_str(), "public").await;
        let cast = Cast::of(&server, &ada, &room).await;
        for (name, role, person) in &cast.0 {
            let muted_until = (*name == "muted").then(|| Time::now().after(std::time::Duration::from_secs(60)));
            let standing = Standing { muted_until, ..Standing::of(*role, SiteRole::Member) };
            let may = |action| permit(standing, action, Permits::of(kind)).is_ok();
            let filled = |body: &str, id: &str| -> Value {
                let nobody = uuid::Uuid::now_v7().to_string();
                serde_json::from_str(&body.replace("NOBODY", &nobody).replace("ID", id)).unwrap_or(Value::Null)
            };
            for (action, method, path, body) in BY_REST {
                let nobody = uuid::Uuid::now_v7().to_string();
                let path = format!("/rooms/{room}/{}", path.replace("NOBODY", &nobody));
                let request = person.request(method.clone(), path.trim_end_matches('/')).header("if-match", "\"0\"");
                let body = filled(body, &format!("rest-{name}"));
                let said = answer(if body.is_null() { request } else { request.json(&body) }).await;
                let code = said.json()["code"].as_str().unwrap_or("done").to_owned();
                assert_eq!(
                    !is_no(&code),
                    may(*action),
                    "{name} in a {} by REST: {action:?}: {}",
                    kind.as_str(),
                    said.text
                );
            }
            let mut socket = person.connect().await;
            if role.is_none() {
                socket.refused("join_room", json!({"roomId": room}), "removed").await;
                continue;
            }
            socket.join(&room).await;
            for (action, frame, data) in BY_FRAME {
                let mut data = filled(data, &format!("frame-{name}"));
                data["roomId"] = json!(room);
                let said = ask(&mut socket, frame, data).await;
                assert_eq!(!is_no(&said), may(*action), "{name} in a {} by {frame}: {said}", kind.as_str());
            }
        }
        for (name, role, person) in cast.0.iter().rev() {
            let gone = person.ask(Method::DELETE, &format!("/rooms/{room}"), None).await.status;
            let may = permit(Standing::of(*role, SiteRole::Member), Action::DeleteRoom, Permits::of(kind)).is_ok();
            let expected = if may { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
            assert_eq!(gone, expected, "{name} deletes a {}", kind.as_str());
        }
    }
}

/// Asks; the code of the refusal, or `done`.
async fn ask(socket: &mut Socket, frame: &str, data: Value) -> String {
    let reply = socket.ask(frame, data).await;
    if reply["type"] == "error" { reply["data"]["code"].as_str().unwrap().to_owned() } else { "done".to_owned() }
}
