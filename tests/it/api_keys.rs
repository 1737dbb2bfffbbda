//! Keys for programs: what they let do, what they never do, and what ends them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

const PASSWORD: &str = "correct horse battery";

/// Somebody with an account.
async fn register(server: &Server, name: &str) -> Person {
    let person = server.enter(name).await;
    person.post("/auth/upgrade", json!({"username": name, "password": PASSWORD})).await.expect(StatusCode::OK);
    person
}

/// The administrator, by the link that the server printed.
async fn chief(server: &Server) -> Person {
    let chief = server.enter("chief").await;
    let link = server.running().admin_link.clone().expect("nobody has claimed it");
    let secret = link.rsplit('/').next().expect("it ends in its secret");
    chief.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    chief
}

/// Makes a key: what was told of it.
async fn key(owner: &Person, scopes: &[&str], bot: Option<&str>) -> Value {
    let wanted = json!({"name": "a program", "scopes": scopes, "userId": bot});
    owner.post("/api-keys", wanted).await.expect(StatusCode::CREATED)
}

/// Who acts by that key.
fn program(owner: &Person, key: &Value) -> Person {
    let mut program = owner.clone();
    program.token = key["secret"].as_str().expect("a new key tells its secret").to_owned();
    program.id = key["userId"].as_str().expect("a key is somebody's").to_owned();
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_does_what_its_scopes_name_and_nothing_of_the_account() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let room = ada.create_room("group", "public").await;
    let made = key(&ada, &["messages:write", "rooms:read"], None).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("prl_") && secret.starts_with(made["prefix"].as_str().unwrap()));
    assert_eq!((made["scopes"].clone(), &made["lastUsedAt"]), (json!(["rooms:read", "messages:write"]), &Value::Null));
    let bot = program(&ada, &made);
    assert_eq!(bot.get("/auth/me").await.expect(StatusCode::OK)["id"], ada.id.as_str());
    let said = json!({"clientId": "c1", "content": {"text": "It rains."}});
    let path = format!("/rooms/{room}/messages");
    bot.post(&path, said).await.expect(StatusCode::CREATED);
    let problem = bot.get(&path).await.refused(403, "scope_missing");
    assert_eq!(problem["extra"]["scope"], "messages:read");
    bot.ask(Method::PATCH, &format!("/rooms/{room}"), Some(json!({"name": "mine"})))
        .await
        .refused(403, "scope_missing");
    let another = json!({"name": "another", "scopes": ["rooms:read"]});
    for (method, path, body) in [
        (Method::POST, "/api-keys", Some(another)),
        (Method::GET, "/api-keys", None),
        (Method::DELETE, "/auth/sessions", None),
        (Method::DELETE, "/auth/logout", None),
        (Method::GET, "/auth/me/export", None),
        (Method::PUT, "/auth/password", Some(json!({"password": PASSWORD, "newPassword": "another horse battery"}))),
        (Method::DELETE, "/auth/me", Some(json!({"password": PASSWORD}))),
    ] {
        let problem = bot.ask(method, path, body).await.refused(403, "scope_missing");
        assert_eq!(problem["extra"]["scope"], "account", "{path}");
    }
    // Nothing of the secret is ever told again, and its use is.
    let list = ada.get("/api-keys").await.expect(StatusCode::OK);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(list["items"][0]["lastUsedAt"].is_string() && !list.to_string().contains(secret));
    assert_eq!(ada.get("/auth/sessions").await.json()["sessions"].as_array().unwrap().len(), 1, "a key is no device");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_by_a_key_keeps_to_its_scopes() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let room = ada.create_room("group", "public").await;
    let writer = program(&ada, &key(&ada, &["messages:write"], None).await);
    let mut refused = Socket::open(&server.base, "/ws").await;
    refused.send_json(&json!({"type": "authenticate", "id": "1", "data": {"token": writer.token}})).await;
    let (code, error) = refused.closed().await;
    assert_eq!((code, error.unwrap()["detail"]["scope"].clone()), (4401, json!("messages:read")));

    let reader = program(&ada, &key(&ada, &["messages:read"], None).await);
    let (mut socket, _) = reader.connect_to(&room).await;
    let said = json!({"roomId": room, "clientId": "c1", "content": {"text": "hi"}});
    let error = socket.refused("send_message", said, "scope_missing").await;
    assert_eq!(error["detail"]["scope"], "messages:write");
    socket.refused("match.start", json!({"mode": "text"}), "scope_missing").await;
    let (mut own, _) = ada.connect_to(&room).await;
    own.say(&room, "c2", "hello").await;
    assert_eq!(socket.next_of("new_message").await["data"]["message"]["content"]["text"], "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_login_ends_a_key() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let bea = register(&server, "bea").await;
    let scopes = ["messages:read"];
    // Its owner revokes it; nobody else does.
    let made = key(&ada, &scopes, None).await;
    let bot = program(&ada, &made);
    let mut socket = bot.connect().await;
    let path = format!("/api-keys/{}", made["keyId"].as_str().unwrap());
    bea.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    ada.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(socket.closed().await.0, 4401);
    bot.get("/auth/me").await.refused(401, "token_invalid");
    ada.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    assert_eq!(ada.get("/api-keys").await.json()["items"], json!([]));
    // So does ending all other logins.
    let bot = program(&ada, &key(&ada, &scopes, None).await);
    ada.ask(Method::DELETE, "/auth/sessions", None).await.expect(StatusCode::NO_CONTENT);
    bot.get("/unread").await.refused(401, "token_invalid");
    // And its time, and the end of the account.
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(1_500);
    let wanted = json!({"name": "short", "scopes": scopes, "expiresAt": soon.to_string()});
    let short = program(&ada, &ada.post("/api-keys", wanted).await.expect(StatusCode::CREATED));
    until("the key ends", async || {
        let answer = short.get("/unread").await;
        (answer.status == StatusCode::UNAUTHORIZED).then_some(answer)
    })
    .await
    .refused(401, "token_expired");
    let bot = program(&ada, &key(&ada, &scopes, None).await);
    ada.ask(Method::DELETE, "/auth/me", Some(json!({"password": PASSWORD}))).await.expect(StatusCode::OK);
    bot.get("/unread").await.refused(401, "token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn administrators_make_bots_which_come_by_keys_alone() {
    let server = Server::start().await;
    let chief = chief(&server).await;
    let ada = register(&server, "ada").await;
    ada.post("/bots", json!({"nickname": "weather"})).await.refused(403, "forbidden");
    chief.post("/bots", json!({"nickname": "ada"})).await.refused(409, "username_taken");
    let bot = chief.post("/bots", json!({"nickname": "weather"})).await.expect(StatusCode::CREATED);
    assert_eq!((&bot["nickname"], &bot["bot"]), (&json!("weather"), &json!(true)));
    let id = bot["id"].as_str().unwrap();
    let wanted = json!({"name": "n", "scopes": ["rooms:read"], "userId": id});
    ada.post("/api-keys", wanted).await.refused(403, "forbidden");
    let of_ada = json!({"name": "n", "scopes": ["rooms:read"], "userId": ada.id});
    chief.post("/api-keys", of_ada).await.refused(400, "bad_request");
    let made = key(&chief, &["rooms:read", "rooms:write", "messages:read", "messages:write"], Some(id)).await;
    assert_eq!(made["userId"], id);
    let weather = program(&chief, &made);
    assert_eq!(weather.get("/auth/me").await.expect(StatusCode::OK)["bot"], true);
    let room = ada.create_room("group", "public").await;
    weather.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let mut socket = weather.connect().await;
    assert_eq!(socket.login["user"]["bot"], true);
    socket.join(&room).await;
    let sent = socket.say(&room, "c1", "It is dry.").await;
    assert_eq!(sent["data"]["message"]["sender"]["nickname"], "weather");
    assert_eq!(chief.get("/bots").await.json()["items"][0]["userId"], id);
    let keys = chief.get(&format!("/api-keys?userId={id}")).await.expect(StatusCode::OK);
    assert_eq!(keys["items"][0]["keyId"], made["keyId"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_for_accounts_and_have_a_name_and_a_purpose() {
    let server = Server::start().await;
    let guest = server.enter("guest").await;
    let wanted = |name: &str, scopes: Value| json!({"name": name, "scopes": scopes});
    guest.post("/api-keys", wanted("n", json!(["rooms:read"]))).await.refused(409, "conflict");
    let ada = register(&server, "ada").await;
    for (name, scopes) in
        [("", json!(["rooms:read"])), ("n", json!([])), ("n", json!(["account"])), ("n", json!(["all"]))]
    {
        ada.post("/api-keys", wanted(name, scopes)).await.refused(400, "bad_request");
    }
    let over = json!({"name": "n", "scopes": ["rooms:read"], "expiresAt": "2020-01-01T00:00:00Z"});
    ada.post("/api-keys", over).await.refused(400, "bad_request");
    for _ in 0..50 {
        key(&ada, &["rooms:read"], None).await;
    }
    ada.post("/api-keys", wanted("n", json!(["rooms:read"]))).await.refused(409, "too_many");
    let mut stranger = ada.clone();
    stranger.token = format!("prl_{}", "0".repeat(64));
    stranger.get("/auth/me").await.refused(401, "token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_only_reads_makes_nobody_a_member_over_the_socket() {
    let server = Server::start().await;
    let (ada, bea) = (register(&server, "ada").await, server.enter("bea").await);
    let (own, open) = (ada.create_room("group", "public").await, bea.create_room("group", "public").await);
    let reader = program(&ada, &key(&ada, &["messages:read"], None).await);
    let mut socket = reader.connect().await;
    socket.join(&own).await;
    let error = socket.refused("join_room", json!({"roomId": open}), "scope_missing").await;
    assert_eq!(error["detail"]["scope"], "rooms:write");
    ada.get(&format!("/rooms/{open}/messages")).await.refused(409, "not_in_room");
    // Somebody who belongs there may look in by it.
    ada.post(&format!("/rooms/{open}/join"), json!({})).await.expect(StatusCode::OK);
    socket.join(&open).await;
}
