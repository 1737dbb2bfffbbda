//! REST: every resource by example, and what it says to those who may not.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Server, answer};

#[tokio::test]
async fn entering_gives_a_login() {
    let server = Server::start().await;
    let entrance = json!({"nickname": "ada", "birthYear": 1990, "adult": true});
    let entered = server.anonymous().post("/auth/anonymous", entrance).await;
    let body = entered.expect(StatusCode::CREATED);
    assert_eq!(body["expiresInS"], 900);
    assert_eq!((&body["user"]["nickname"], &body["user"]["role"]), (&json!("ada"), &json!("member")));
    assert!(body["refreshToken"].is_string() && !entered.header("set-cookie").contains("parlor_refresh"));
    let ada = server.enter("ada").await;
    let me = ada.get("/auth/me").await.expect(StatusCode::OK);
    assert_eq!(
        me,
        json!({"id": ada.id, "nickname": "ada", "role": "member", "ageLevel": "selfDeclared", "account": null})
    );
}

#[tokio::test]
async fn the_young_are_turned_away() {
    let server = Server::start().await;
    let this_year = parlor::domain::Time::now().year();
    for entrance in [
        json!({"nickname": "kid", "birthYear": this_year - 17, "adult": true}),
        json!({"nickname": "kid", "birthYear": 1990, "adult": false}),
        json!({"nickname": "kid", "birthYear": 1990}),
    ] {
        server.anonymous().post("/auth/anonymous", entrance).await.refused(403, "underage");
    }
}

#[tokio::test]
async fn a_bad_nickname_is_named() {
    let server = Server::start().await;
    for nickname in ["", "a", "a b", "ä", &"x".repeat(51)] {
        let entrance = json!({"nickname": nickname, "birthYear": 1990, "adult": true});
        let problem = server.anonymous().post("/auth/anonymous", entrance).await.refused(400, "bad_request");
        assert_eq!(problem["extra"]["field"], "nickname");
    }
}

#[tokio::test]
async fn a_refresh_token_works_once() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let refresh = async |token: &str| server.anonymous().post("/auth/refresh", json!({"refreshToken": token})).await;
    let second = refresh(&ada.refresh_token).await.expect(StatusCode::OK);
    let second = second["refreshToken"].as_str().unwrap();
    refresh(&ada.refresh_token).await.refused(401, "token_reused");
    // The thief and the owner cannot be told apart: the whole family is gone.
    refresh(second).await.refused(401, "token_invalid");
    refresh("nonsense").await.refused(401, "token_invalid");
    server.anonymous().post("/auth/refresh", json!({})).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn pages_keep_the_refresh_token_in_a_cookie() {
    let server = Server::start().await;
    let entrance = json!({"nickname": "ada", "birthYear": 1990, "adult": true, "cookie": true});
    let entered = server.anonymous().post("/auth/anonymous", entrance).await;
    assert_eq!(entered.expect(StatusCode::CREATED)["refreshToken"], Value::Null);
    let cookie = entered.header("set-cookie").to_owned();
    for part in ["parlor_refresh=", "HttpOnly", "SameSite=Strict", "Path=/api", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "over plain http it would never come back: {cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let send = async |method: Method, path: &str, cookie: &str| {
        answer(server.anonymous().request(method, path).header("cookie", cookie)).await
    };
    let refreshed = send(Method::POST, "/api/v1/auth/refresh", &pair).await;
    let body = refreshed.expect(StatusCode::OK);
    assert!(body["accessToken"].is_string() && body["refreshToken"].is_null());
    let next = refreshed.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_ne!(next, pair);
    let left = send(Method::DELETE, "/api/v1/auth/logout", &next).await;
    assert_eq!(left.status, StatusCode::NO_CONTENT);
    assert!(left.header("set-cookie").contains("Max-Age=0"));
    let after = send(Method::POST, "/api/v1/auth/refresh", &next).await;
    after.refused(401, "token_invalid");
    assert!(after.header("set-cookie").contains("Max-Age=0"), "a dead cookie is taken back");
}

#[tokio::test]
async fn cookies_are_secure_where_the_page_is() {
    let server = Server::start_with(|config| config.public_url = Some("https://parlor.example".into())).await;
    let entrance = json!({"nickname": "ada", "birthYear": 1990, "adult": true, "cookie": true});
    let entered = server.anonymous().post("/auth/anonymous", entrance).await;
    assert!(entered.header("set-cookie").contains("Secure"));
}

#[tokio::test]
async fn cookies_do_not_work_for_other_origins() {
    let server = Server::start().await;
    let request =
        server.anonymous().request(Method::POST, "/api/v1/auth/refresh").header("origin", "https://evil.example");
    answer(request).await.refused(403, "forbidden");
}

#[tokio::test]
async fn logging_out_ends_the_login() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    assert_eq!(ada.ask(Method::DELETE, "/auth/logout", None).await.status, StatusCode::NO_CONTENT);
    let body = json!({"refreshToken": ada.refresh_token});
    server.anonymous().post("/auth/refresh", body).await.refused(401, "token_invalid");
    ada.get("/auth/me").await.refused(401, "token_invalid");
}

#[tokio::test]
async fn logging_out_needs_no_living_access_token() {
    let server = Server::start_with(|config| config.auth.access_token_s = 1).await;
    let ada = server.enter("ada").await;
    ada.until_expired().await;
    let body = json!({"refreshToken": ada.refresh_token});
    assert_eq!(ada.ask(Method::DELETE, "/auth/logout", Some(body.clone())).await.status, StatusCode::NO_CONTENT);
    server.anonymous().post("/auth/refresh", body).await.refused(401, "token_invalid");
}

#[tokio::test]
async fn tokens_of_others_and_none_at_all_are_refused() {
    let server = Server::start().await;
    let elsewhere = Server::start().await;
    let mut ada = elsewhere.enter("ada").await;
    server.anonymous().get("/api/v1/auth/me").await.refused(401, "unauthenticated");
    let stranger = server.anonymous().request(Method::GET, "/api/v1/auth/me").bearer_auth(&ada.token);
    let refused = answer(stranger).await;
    refused.refused(401, "token_invalid");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    ada.token.insert(20, 'x');
    ada.get("/auth/me").await.refused(401, "token_invalid");
    let short = Server::start_with(|config| config.auth.access_token_s = 1).await;
    short.enter("bob").await.until_expired().await.refused(401, "token_expired");
}

#[tokio::test]
async fn the_administrators_link_works_once() {
    let server = Server::start().await;
    let link = server.running().admin_link.clone().expect("nobody is administrator yet");
    let (page, secret) = link.split_once("/claim/").unwrap();
    assert_eq!(page, server.base.replace("127.0.0.1", "localhost"));
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    assert_eq!(bob.post("/auth/claim", json!({"secret": "guess"})).await.status, StatusCode::NOT_FOUND);
    let claimed = ada.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    assert_eq!(claimed["user"]["role"], "administrator");
    assert_eq!(ada.get("/auth/me").await.json()["role"], "administrator");
    assert_eq!(bob.post("/auth/claim", json!({"secret": secret})).await.status, StatusCode::NOT_FOUND);
    // She can give roles on the site; he cannot.
    let path = format!("/users/{}/role", bob.id);
    bob.ask(Method::PUT, &path, Some(json!({"role": "moderator"}))).await.refused(403, "forbidden");
    let role = ada.ask(Method::PUT, &path, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);
    assert_eq!(role["role"], "moderator");
    // The next start prints no link.
    let folder = server.stop().await;
    let again = Server::start_in(folder, |_| {}).await;
    assert_eq!(again.running().admin_link, None);
    assert_eq!(ada.nickname, "ada");
}

#[tokio::test]
async fn an_unused_link_is_replaced_at_the_next_start() {
    let server = Server::start().await;
    let first = server.running().admin_link.clone().unwrap();
    let server = Server::start_in(server.stop().await, |_| {}).await;
    let second = server.running().admin_link.clone().unwrap();
    let secret = |link: &str| link.rsplit('/').next().unwrap().to_owned();
    let ada = server.enter("ada").await;
    assert_eq!(ada.post("/auth/claim", json!({"secret": secret(&first)})).await.status, StatusCode::NOT_FOUND);
    ada.post("/auth/claim", json!({"secret": secret(&second)})).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_second_start_keeps_everything() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    ada.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-1", "content": {"text": "hello"}}))
        .await
        .expect(StatusCode::CREATED);
    let server = Server::start_in(server.stop().await, |_| {}).await;
    // The same token: the secret was kept.
    let request =
        |path: &str| server.anonymous().request(Method::GET, &format!("/api/v1{path}")).bearer_auth(&ada.token);
    let messages = answer(request(&format!("/rooms/{room}/messages"))).await.expect(StatusCode::OK);
    assert_eq!(messages["messages"][0]["content"]["text"], "hello");
}

#[tokio::test]
async fn rooms_are_made_listed_and_shown() {
    let server = Server::start().await;
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    let made = ada.post("/rooms", json!({"kind": "call", "name": "Friday", "visibility": "public"})).await;
    let room = made.expect(StatusCode::CREATED);
    let id = room["id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/api/v1/rooms/{id}"));
    assert_eq!((&room["kind"], &room["maxParticipants"]), (&json!("call"), &json!(50)));
    let unlisted = ada.create_room("call", "unlisted").await;
    let private = ada.create_room("call", "private").await;
    let listed = bob.get("/rooms").await.expect(StatusCode::OK);
    let ids: Vec<_> = listed["rooms"].as_array().unwrap().iter().map(|room| room["id"].clone()).collect();
    assert_eq!(ids, [json!(id)]);
    assert_eq!(bob.get(&format!("/rooms/{id}")).await.json()["online"], 0);
    bob.get(&format!("/rooms/{unlisted}")).await.expect(StatusCode::OK);
    bob.get(&format!("/rooms/{private}")).await.refused(404, "not_found");
    ada.get(&format!("/rooms/{private}")).await.expect(StatusCode::OK);
    // The list goes on from a room.
    let next = bob.get(&format!("/rooms?limit=1&before={id}")).await.expect(StatusCode::OK);
    assert_eq!(next["rooms"], json!([]));
    for limit in [0, 101] {
        bob.get(&format!("/rooms?limit={limit}")).await.refused(400, "bad_request");
        bob.get(&format!("/rooms/{id}/messages?limit={limit}")).await.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn bad_rooms_are_not_made() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let good = json!({"kind": "call", "name": "Friday", "visibility": "public"});
    for (field, value) in [
        ("kind", json!("castle")),
        ("visibility", json!("secret")),
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("maxParticipants", json!(1_000)),
        ("maxParticipants", json!(0)),
    ] {
        let mut wanted = good.clone();
        wanted[field] = value;
        ada.post("/rooms", wanted).await.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn people_join_and_leave_over_rest() {
    let server = Server::start().await;
    let (ada, bob) = (server.enter("ada").await, server.enter("bob").await);
    let room = ada.create_room("call", "public").await;
    bob.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    let written =
        bob.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-1", "content": {"text": "hi"}})).await;
    written.expect(StatusCode::CREATED);
    assert_eq!(bob.post(&format!("/rooms/{room}/leave"), json!({})).await.status, StatusCode::NO_CONTENT);
    let after =
        bob.post(&format!("/rooms/{room}/messages"), json!({"clientId": "c-2", "content": {"text": "hi"}})).await;
    after.refused(409, "not_in_room");
    let private = ada.create_room("call", "private").await;
    bob.post(&format!("/rooms/{private}/join"), json!({})).await.refused(403, "room_private");
}

#[tokio::test]
async fn messages_over_rest_reach_the_sockets() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    let path = format!("/rooms/{room}/messages");
    let draft = json!({"clientId": "c-1", "content": {"text": "hello"}});
    let message = ada.post(&path, draft.clone()).await.expect(StatusCode::CREATED);
    let event = socket.next_of("new_message").await;
    assert_eq!(event["data"]["message"], message);
    // Again: the same message, and nobody is told twice. Other content: a conflict.
    assert_eq!(ada.post(&path, draft).await.expect(StatusCode::OK), message);
    ada.post(&path, json!({"clientId": "c-1", "content": {"text": "other"}})).await.refused(409, "conflict");
    let one = format!("{path}/{}", message["id"].as_str().unwrap());
    let edited = ada.ask(Method::PATCH, &one, Some(json!({"content": {"text": "hullo"}}))).await;
    assert_eq!(edited.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("message_edited").await["data"]["message"]["content"]["text"], "hullo");
    let bob = server.enter("bob").await;
    bob.post(&format!("/rooms/{room}/join"), json!({})).await.expect(StatusCode::OK);
    bob.ask(Method::PATCH, &one, Some(json!({"content": {"text": "mine"}}))).await.refused(404, "not_found");
    bob.ask(Method::DELETE, &one, None).await.refused(404, "not_found");
    assert_eq!(ada.ask(Method::DELETE, &one, None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(socket.next_of("message_deleted").await["data"]["messageId"], message["id"]);
}

#[tokio::test]
async fn history_is_paged_backwards() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let path = format!("/rooms/{room}/messages");
    for n in 0..5 {
        let draft = json!({"clientId": format!("c-{n}"), "content": {"text": n.to_string()}});
        ada.post(&path, draft).await.expect(StatusCode::CREATED);
    }
    let texts = |page: &Value| -> Vec<String> {
        page["messages"].as_array().unwrap().iter().map(|m| m["content"]["text"].as_str().unwrap().to_owned()).collect()
    };
    let first = ada.get(&format!("{path}?limit=2")).await.expect(StatusCode::OK);
    assert_eq!(texts(&first), ["4", "3"]);
    let before = first["messages"][1]["id"].as_str().unwrap();
    let second = ada.get(&format!("{path}?limit=10&before={before}")).await.expect(StatusCode::OK);
    assert_eq!(texts(&second), ["2", "1", "0"]);
    let bob = server.enter("bob").await;
    let stranger = bob.get(&path).await;
    assert!(stranger.status.is_client_error(), "history is for members: {}", stranger.text);
}

#[tokio::test]
async fn the_host_gives_roles_and_removes() {
    let server = Server::start().await;
    let (ada, bob, cyd) = (server.enter("ada").await, server.enter("bob").await, server.enter("cyd").await);
    let room = ada.create_room("call", "public").await;
    let (_host, _) = ada.connect_to(&room).await;
    let (mut seat, _) = bob.connect_to(&room).await;
    let (_third, _) = cyd.connect_to(&room).await;
    let members = format!("/rooms/{room}/members");
    let names: Vec<_> = ada.get(&members).await.expect(StatusCode::OK)["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["nickname"].clone(), m["role"].clone()))
        .collect();
    assert!(
        names.contains(&(json!("ada"), json!("owner"))) && names.contains(&(json!("bob"), json!("member"))),
        "{names:?}"
    );
    bob.ask(Method::DELETE, &format!("{members}/{}", cyd.id), None).await.refused(403, "forbidden");
    let role = format!("{members}/{}/role", bob.id);
    assert_eq!(ada.ask(Method::PUT, &role, Some(json!({"role": "moderator"}))).await.status, StatusCode::NO_CONTENT);
    let removed = bob.ask(Method::DELETE, &format!("{members}/{}?reason=rude", cyd.id), None).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    bob.ask(Method::DELETE, &format!("{members}/{}", ada.id), None).await.refused(403, "forbidden");
    ada.ask(Method::DELETE, &format!("{members}/{}", bob.id), None).await;
    assert_eq!(seat.next_of("removed").await["data"]["roomId"], room.as_str());
    bob.post(&format!("/rooms/{room}/join"), json!({})).await.refused(403, "removed");
}

#[tokio::test]
async fn ice_servers_come_with_credentials_for_a_while() {
    let server = Server::start_with(|config| {
        config.turn.turn_urls = vec!["turn:turn.example:3478".into()];
        config.turn.turn_secret = Some("north".to_owned().into());
        config.turn.stun_urls = vec!["stun:stun.example:3478".into()];
    })
    .await;
    let ada = server.enter("ada").await;
    let list = ada.get("/webrtc/ice-servers").await.expect(StatusCode::OK);
    assert_eq!(list["iceServers"][0], json!({"urls": ["stun:stun.example:3478"]}));
    let turn = &list["iceServers"][1];
    assert!(turn["username"].as_str().unwrap().ends_with(&format!(":{}", ada.id)) && turn["credential"].is_string());
    assert_eq!(list["ttlS"], 3600);
    server.anonymous().get("/api/v1/webrtc/ice-servers").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn api_is_the_same_router() {
    let server = Server::start().await;
    let entrance = json!({"nickname": "ada", "birthYear": 1990, "adult": true});
    let request = server.anonymous().request(Method::POST, "/api/auth/anonymous").json(&entrance);
    answer(request).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_document() {
    let server = Server::start().await;
    for path in ["/api", "/api/v1/castles", "/api/v1/rooms/1/2/3/4", "/api/v9/rooms", "/ws/x"] {
        server.anonymous().get(path).await.refused(404, "not_found");
    }
    let ada = server.enter("ada").await;
    ada.get("/rooms/not-an-id").await.refused(404, "not_found");
    ada.ask(Method::PUT, "/rooms", None).await.refused(404, "not_found");
}

#[tokio::test]
async fn unreadable_bodies_are_told() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let send = async |kind: &str, body: String| {
        let request = server.anonymous().request(Method::POST, "/api/v1/rooms").bearer_auth(&ada.token);
        answer(request.header("content-type", kind).body(body)).await
    };
    send("application/json", "{".into()).await.refused(400, "bad_json");
    send("application/json", "{}".into()).await.refused(400, "bad_request");
    send("text/plain", "{}".into()).await.refused(400, "bad_request");
    send("application/json", format!("\"{}\"", "x".repeat(200_000))).await.refused(413, "too_large");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start_with(|config| config.http.body_timeout_ms = 100).await;
    let mut stream = tokio::net::TcpStream::connect(server.running().address).await.unwrap();
    let head = "POST /api/v1/auth/anonymous HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

#[tokio::test]
async fn too_much_is_refused_with_the_time_to_wait() {
    let server = Server::start_with(|config| config.limit_exempt.clear()).await;
    let ada = server.enter("ada").await;
    let mut refused = None;
    for _ in 0..500 {
        let answer = ada.get("/auth/me").await;
        if answer.status != StatusCode::OK {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is a limit");
    let problem = refused.refused(429, "rate_limited");
    assert!(problem["retryAfterMs"].as_u64().unwrap() > 0);
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn operators_see_how_the_server_is() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    socket.say(&room, "c-1", "hello").await;
    let anyone = server.anonymous();
    assert_eq!(anyone.get("/health").await.expect(StatusCode::OK)["status"], "ok");
    assert_eq!(anyone.get("/ready").await.expect(StatusCode::OK)["status"], "ok");
    let metrics = anyone.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    for figure in [
        "parlor_sockets ",
        "parlor_messages_total ",
        "parlor_frames_in_total{type=\"send_message\"}",
        "parlor_http_requests_total{",
    ] {
        assert!(metrics.text.contains(figure), "{figure} is missing in\n{}", metrics.text);
    }
    assert!(!metrics.text.contains(&room), "a label with an id would grow without bound");
}

#[tokio::test]
async fn figures_are_for_operators() {
    let server = Server::start_with(|config| config.metrics_from.clear()).await;
    // A proxy on this machine that nobody declared: its strangers do not come from here.
    let ask = async |token: Option<&str>| {
        let request = server.anonymous().request(Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.1");
        answer(if let Some(token) = token { request.bearer_auth(token) } else { request }).await
    };
    ask(None).await.refused(401, "unauthenticated");
    let ada = server.enter("ada").await;
    ask(Some(&ada.token)).await.refused(403, "forbidden");
    let secret = server.running().admin_link.clone().unwrap().rsplit('/').next().unwrap().to_owned();
    ada.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    ask(Some(&ada.token)).await.expect(StatusCode::OK);
    let open = Server::start_with(|config| config.metrics_from = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let request = open.anonymous().request(Method::GET, "/metrics").header("x-forwarded-for", "192.0.2.1");
    answer(request).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn invented_methods_make_no_figures() {
    let server = Server::start().await;
    let brew = Method::from_bytes(b"BREWCOFFEE").unwrap();
    answer(server.anonymous().request(brew, "/api/v1/rooms")).await.refused(404, "not_found");
    let metrics = server.anonymous().get("/metrics").await.text;
    assert!(metrics.contains("method=\"other\"") && !metrics.contains("BREW"));
}

#[tokio::test]
async fn the_description_lists_every_route() {
    let server = Server::start().await;
    let document = server.anonymous().get("/api/v1/openapi.json").await.expect(StatusCode::OK);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut routes: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |m| format!("{} {path}", m.to_uppercase()))
        })
        .collect();
    routes.sort_by_key(|route| route.split(' ').map(str::to_owned).rev().collect::<Vec<_>>());
    insta::assert_snapshot!(routes.join("\n"));
    assert_eq!(document, serde_json::from_str::<Value>(&parlor::api::openapi()).unwrap());
}
