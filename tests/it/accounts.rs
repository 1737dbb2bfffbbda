//! Accounts over REST: registering, logging in, becoming one, second factors, logins by device, riddles.

use parlor::auth::AskProof;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Anonymous, Answer, Person, Server, answer};

pub(crate) const PASSWORD: &str = "correct horse battery";

fn registration(username: &str) -> Value {
    json!({"username": username, "password": PASSWORD, "birthYear": 1990, "adult": true})
}

/// Somebody with a fresh account.
pub(crate) async fn register(server: &Server, username: &str) -> Person {
    let body = server.anonymous().post("/auth/register", registration(username)).await.expect(StatusCode::CREATED);
    person(server, username, &body).await
}

/// Somebody as an answer with tokens has them.
pub(crate) async fn person(server: &Server, nickname: &str, body: &Value) -> Person {
    let mut person = server.enter("stand-in").await;
    person.id = body["user"]["id"].as_str().unwrap().to_owned();
    person.nickname = nickname.to_owned();
    person.token = body["accessToken"].as_str().unwrap().to_owned();
    person.refresh_token = body["refreshToken"].as_str().unwrap_or_default().to_owned();
    person
}

async fn log_in(anybody: &Anonymous, username: &str, password: &str) -> Answer {
    anybody.post("/auth/login", json!({"username": username, "password": password})).await
}

/// A code of an app now, or of a later step: each is good once.
fn code(secret: &str, steps_on: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    totp.generate(now + 30 * steps_on).to_string()
}

/// Puts codes in force; the secret and the recovery codes.
async fn begin_totp(person: &Person) -> (String, Vec<String>) {
    let wanted = person.post("/auth/totp", json!({"password": PASSWORD})).await.expect(StatusCode::OK);
    let secret = wanted["secret"].as_str().unwrap().to_owned();
    assert!(wanted["url"].as_str().unwrap().starts_with("otpauth://totp/Parlor:"));
    person.post("/auth/totp/confirm", json!({"code": "000000x"})).await.refused(401, "bad_credentials");
    let begun = person.post("/auth/totp/confirm", json!({"code": code(&secret, 0)})).await.expect(StatusCode::OK);
    let codes = begun["recoveryCodes"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned());
    (secret, codes.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_made_and_logged_in_to() {
    let server = Server::start().await;
    let anybody = server.anonymous();
    let ada = register(&server, "Ada").await;
    let me = ada.get("/auth/me").await.expect(StatusCode::OK);
    assert_eq!((&me["id"], &me["nickname"], &me["ageLevel"]), (&json!(ada.id), &json!("Ada"), &json!("selfDeclared")));
    assert_eq!(me["account"]["username"], "Ada");
    for taken in ["ada", "ADA", "ａda"] {
        anybody.post("/auth/register", registration(taken)).await.refused(409, "username_taken");
    }
    let again = log_in(&anybody, "aDa", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(again["user"]["id"], json!(ada.id));
    for (name, password) in [("ada", "wrong wrong wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("ada", "")] {
        log_in(&anybody, name, password).await.refused(401, "bad_credentials");
    }
    let weak = |password: &str| json!({"username": "bea", "password": password, "birthYear": 1990, "adult": true});
    for password in ["short", "password123", "bea12345"] {
        anybody.post("/auth/register", weak(password)).await.refused(422, "password_weak");
    }
    let young = json!({"username": "bea", "password": PASSWORD, "birthYear": 2020, "adult": true});
    anybody.post("/auth/register", young).await.refused(403, "underage");
    let email = json!({"username": "bea", "password": PASSWORD, "email": "bea", "birthYear": 1990, "adult": true});
    anybody.post("/auth/register", email).await.refused(400, "bad_request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_an_account_becomes_one_and_stays_who_they_are() {
    let server = Server::start().await;
    let ada = server.enter("ada").await;
    let room = ada.create_room("call", "public").await;
    assert_eq!(ada.get("/auth/me").await.json()["account"], Value::Null);
    let wanted = json!({"username": "Countess", "password": PASSWORD, "email": "ada@example.org"});
    let user = ada.post("/auth/upgrade", wanted.clone()).await.expect(StatusCode::OK);
    assert_eq!((&user["id"], &user["nickname"]), (&json!(ada.id), &json!("Countess")));
    ada.post("/auth/upgrade", wanted).await.refused(409, "conflict");
    let body = log_in(&server.anonymous(), "countess", PASSWORD).await.expect(StatusCode::OK);
    let again = person(&server, "Countess", &body).await;
    assert_eq!(again.id, ada.id);
    let (_socket, state) = again.connect_to(&room).await;
    assert_eq!(state["data"]["you"]["role"], "owner");
    let other = server.enter("ada").await;
    assert_ne!(other.id, ada.id, "a fresh identity is another person");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_password_ends_the_other_logins() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let body = log_in(&server.anonymous(), "ada", PASSWORD).await.expect(StatusCode::OK);
    let elsewhere = person(&server, "ada", &body).await;
    let mut socket = elsewhere.connect().await;
    let change = |old: &str, new: &str| json!({"password": old, "newPassword": new});
    let put = async |body| ada.ask(Method::PUT, "/auth/password", Some(body)).await;
    put(change("wrong wrong wrong", "another horse")).await.refused(401, "bad_credentials");
    put(change(PASSWORD, "short")).await.refused(422, "password_weak");
    put(change(PASSWORD, "another horse")).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(socket.closed().await.0, 4401);
    elsewhere.get("/auth/me").await.refused(401, "token_invalid");
    ada.get("/auth/me").await.expect(StatusCode::OK);
    log_in(&server.anonymous(), "ada", PASSWORD).await.refused(401, "bad_credentials");
    log_in(&server.anonymous(), "ada", "another horse").await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_goes_on_by_a_code_that_works_once() {
    let server = Server::start().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    ada.post("/auth/totp", json!({"password": "wrong wrong"})).await.refused(401, "bad_credentials");
    let elsewhere = log_in(&anybody, "ada", PASSWORD).await.expect(StatusCode::OK);
    let elsewhere = person(&server, "ada", &elsewhere).await;
    let (secret, recovery) = begin_totp(&ada).await;
    elsewhere.get("/auth/me").await.refused(401, "token_invalid");
    assert_eq!(recovery.len(), 10);
    ada.post("/auth/totp", json!({"password": PASSWORD})).await.refused(409, "conflict");
    let asked = log_in(&anybody, "ada", PASSWORD).await.refused(403, "mfa_required");
    assert_eq!(asked["extra"]["methods"], json!(["totp", "recoveryCode"]));
    let ticket = asked["extra"]["ticket"].as_str().unwrap();
    let go_on = async |ticket: &str, code: &str| {
        anybody.post("/auth/login/code", json!({"ticket": ticket, "code": code})).await
    };
    go_on("no ticket", &code(&secret, 1)).await.refused(401, "token_invalid");
    go_on(ticket, &code(&secret, 0)).await.refused(401, "bad_credentials");
    let good = code(&secret, 1);
    go_on(ticket, &good).await.expect(StatusCode::OK);
    go_on(ticket, &good).await.refused(401, "token_invalid");
    let at_once = |code: &str| json!({"username": "ada", "password": PASSWORD, "code": code});
    anybody.post("/auth/login", at_once(&good)).await.refused(401, "bad_credentials");
    anybody.post("/auth/login", at_once(&recovery[0])).await.expect(StatusCode::OK);
    anybody.post("/auth/login", at_once(&recovery[0])).await.refused(401, "bad_credentials");
    assert_eq!(ada.get("/auth/me").await.json()["account"]["recoveryCodesLeft"], 9);
    ada.ask(Method::DELETE, "/auth/totp", Some(json!({"password": PASSWORD}))).await.expect(StatusCode::NO_CONTENT);
    log_in(&anybody, "ada", PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_bears_few_wrong_codes() {
    let server = Server::start().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    let (secret, _) = begin_totp(&ada).await;
    let asked = log_in(&anybody, "ada", PASSWORD).await.refused(403, "mfa_required");
    let go_on = |code: &str| json!({"ticket": asked["extra"]["ticket"], "code": code});
    for _ in 0..5 {
        anybody.post("/auth/login/code", go_on("abcdefgh")).await.refused(401, "bad_credentials");
    }
    anybody.post("/auth/login/code", go_on(&code(&secret, 1))).await.refused(401, "token_invalid");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_at_codes_is_told_of() {
    let server = Server::start().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    let (_, recovery) = begin_totp(&ada).await;
    let mut device = ada.connect().await;
    let with = |code: &str| json!({"username": "ada", "password": PASSWORD, "code": code});
    for count in 1..=4 {
        anybody.post("/auth/login", with("000000")).await.refused(401, "bad_credentials");
        if count == 3 {
            assert_eq!(device.next_of("codes_guessed").await["data"], json!({"count": 3}));
        }
    }
    let told = anybody.post("/auth/login", with(&recovery[0])).await.expect(StatusCode::OK);
    assert_eq!(told["wrongCodes"]["count"], 4);
    anybody.post("/auth/login", with("slip")).await.refused(401, "bad_credentials");
    let again = anybody.post("/auth/login", with(&recovery[1])).await.expect(StatusCode::OK);
    assert_eq!(again["wrongCodes"], Value::Null, "told once, and of no slip");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_for_an_app_waits_ten_minutes() {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    ada.post("/auth/totp/confirm", json!({"code": "123456"})).await.refused(404, "not_found");
    let wanted = ada.post("/auth/totp", json!({"password": PASSWORD})).await.expect(StatusCode::OK);
    let secret = wanted["secret"].as_str().unwrap();
    let mut db = SqliteConnectOptions::new().filename(server.folder().join("data/parlor.db")).connect().await.unwrap();
    sqlx::query("update accounts set totp_wanted_at = totp_wanted_at - 600000").execute(&mut db).await.unwrap();
    ada.post("/auth/totp/confirm", json!({"code": code(secret, 0)})).await.refused(404, "not_found");
    begin_totp(&ada).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_of_an_account_rests_until_a_second_factor() {
    let server = Server::start().await;
    let chief = server.enter("chief").await;
    let link = server.running().admin_link.clone().unwrap();
    let secret = link.rsplit('/').next().unwrap();
    let claimed = chief.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
    assert_eq!(claimed["user"]["role"], "administrator");
    chief.get("/moderation/cases").await.expect(StatusCode::OK);
    let mo = register(&server, "mo").await;
    let path = format!("/users/{}/role", mo.id);
    chief.ask(Method::PUT, &path, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);
    let me = mo.get("/auth/me").await.json();
    assert_eq!((&me["role"], &me["withheldRole"]), (&json!("member"), &json!("moderator")));
    mo.get("/moderation/cases").await.refused(403, "mfa_required");
    let age = json!({"ageLevel": "verified"});
    let verify =
        async |who: &Person| who.ask(Method::PUT, &format!("/users/{}/age-level", chief.id), Some(age.clone())).await;
    verify(&mo).await.refused(403, "mfa_required");
    let (secret, _) = begin_totp(&mo).await;
    mo.get("/moderation/cases").await.expect(StatusCode::OK);
    verify(&mo).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(chief.get("/auth/me").await.json()["ageLevel"], "verified");
    verify(&server.enter("anybody").await).await.refused(403, "forbidden");
    let login = json!({"username": "mo", "password": PASSWORD, "code": code(&secret, 1)});
    let body = server.anonymous().post("/auth/login", login).await.expect(StatusCode::OK);
    assert_eq!(body["user"]["role"], "moderator");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_are_listed_by_device_and_ended() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let agent = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
    let request = server.anonymous().request(Method::POST, "/api/v1/auth/login").header("user-agent", agent);
    let body = answer(request.json(&json!({"username": "ada", "password": PASSWORD}))).await.expect(StatusCode::OK);
    let elsewhere = person(&server, "ada", &body).await;
    let list = ada.get("/auth/sessions").await.expect(StatusCode::OK);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!((&sessions[0]["device"], &sessions[0]["current"]), (&json!("Firefox on Linux"), &json!(false)));
    assert_eq!(sessions[1]["current"], true);
    let other = server.enter("other").await;
    let path = format!("/auth/sessions/{}", sessions[0]["sessionId"].as_str().unwrap());
    other.ask(Method::DELETE, &path, None).await.refused(404, "not_found");
    let mut socket = elsewhere.connect().await;
    ada.ask(Method::DELETE, &path, None).await.expect(StatusCode::NO_CONTENT);
    assert_eq!(socket.closed().await.0, 4401);
    elsewhere.get("/auth/me").await.refused(401, "token_invalid");
    let third = log_in(&server.anonymous(), "ada", PASSWORD).await.expect(StatusCode::OK);
    let third = person(&server, "ada", &third).await;
    ada.ask(Method::DELETE, "/auth/sessions", None).await.expect(StatusCode::NO_CONTENT);
    third.get("/auth/me").await.refused(401, "token_invalid");
    ada.get("/auth/me").await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_comes_twice_ends_its_login_and_is_told() {
    let server = Server::start().await;
    let anybody = server.anonymous();
    let ada = register(&server, "ada").await;
    let body = log_in(&anybody, "ada", PASSWORD).await.expect(StatusCode::OK);
    let stolen = body["refreshToken"].clone();
    let mut socket = ada.connect().await;
    anybody.post("/auth/refresh", json!({"refreshToken": stolen})).await.expect(StatusCode::OK);
    anybody.post("/auth/refresh", json!({"refreshToken": stolen})).await.refused(401, "token_reused");
    let told = socket.next_of("login_reused").await;
    assert_eq!(told["data"]["device"], "An unknown device");
    let next = log_in(&anybody, "ada", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(next["reusedLogins"].as_array().unwrap().len(), 1);
    let later = log_in(&anybody, "ada", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(later["reusedLogins"], Value::Null, "it is told once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_enters_solves_a_riddle_once() {
    let server = Server::start_with(|config| {
        config.auth.ask_proof = AskProof::Always;
        config.auth.proof_max_number = 500;
    })
    .await;
    let anybody = server.anonymous();
    let entrance = |proof: Value| json!({"nickname": "ada", "birthYear": 1990, "adult": true, "proof": proof});
    let asked = anybody.post("/auth/anonymous", entrance(Value::Null)).await.refused(403, "proof_required");
    let solved = solve(&asked["extra"]["challenge"]);
    anybody.post("/auth/anonymous", entrance(solved.clone())).await.expect(StatusCode::CREATED);
    anybody.post("/auth/anonymous", entrance(solved.clone())).await.refused(403, "proof_required");
    let fresh = anybody.get("/api/v1/auth/challenge").await.expect(StatusCode::OK);
    assert_eq!((&fresh["algorithm"], &fresh["maxnumber"]), (&json!("SHA-256"), &json!(500)));
    let mut forged = solve(&fresh);
    forged["signature"] = solved["signature"].clone();
    anybody.post("/auth/anonymous", entrance(forged)).await.refused(403, "proof_required");
    let mut registration = registration("ada");
    registration["proof"] = solve(&fresh);
    anybody.post("/auth/register", registration).await.expect(StatusCode::CREATED);
}

fn solve(challenge: &Value) -> Value {
    let text = |name: &str| challenge[name].as_str().unwrap().to_owned();
    let hash = |number: u64| {
        let text = format!("{}{number}", text("salt"));
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let most = challenge["maxnumber"].as_u64().unwrap();
    let number = (0..=most).find(|number| hash(*number) == text("challenge")).unwrap();
    json!({"challenge": text("challenge"), "salt": text("salt"), "signature": text("signature"), "number": number})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_by_name_and_asks_for_riddles() {
    let server = Server::start_with(|config| {
        config.limit_exempt = Vec::new();
        config.limit.login.burst = 12;
        config.limit.wrong_password.burst = 2;
        config.auth.proof_max_number = 500;
    })
    .await;
    let anybody = server.anonymous();
    register_alone(&anybody, "ada").await;
    for _ in 0..3 {
        log_in(&anybody, "ada", "wrong wrong wrong").await.refused(401, "bad_credentials");
    }
    let asked = log_in(&anybody, "ada", PASSWORD).await.refused(403, "proof_required");
    let proof = solve(&asked["extra"]["challenge"]);
    let said = json!({"username": "ada", "password": PASSWORD, "proof": proof});
    anybody.post("/auth/login", said).await.expect(StatusCode::OK);
    let mut last = log_in(&anybody, "ada", PASSWORD).await;
    for _ in 0..12 {
        last = log_in(&anybody, "ADA", PASSWORD).await;
    }
    assert_eq!(last.refused(429, "rate_limited")["extra"]["limit"], "login");
}

async fn register_alone(anybody: &Anonymous, username: &str) {
    anybody.post("/auth/register", registration(username)).await.expect(StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_holds_a_few_identities() {
    let server = Server::start_with(|config| config.auth.identities_per_device = 2).await;
    let enter = async |device: Option<&str>| {
        let request = server.anonymous().request(Method::POST, "/api/v1/auth/anonymous");
        let request = request.json(&json!({"nickname": "ada", "birthYear": 1990, "adult": true}));
        answer(match device {
            Some(device) => request.header("cookie", device),
            None => request,
        })
        .await
    };
    let first = enter(None).await;
    first.expect(StatusCode::CREATED);
    let device = first.header("set-cookie").split(';').next().unwrap().to_owned();
    assert!(device.starts_with("parlor_device="));
    enter(Some(&device)).await.expect(StatusCode::CREATED);
    enter(Some(&device)).await.refused(409, "too_many");
    enter(None).await.expect(StatusCode::CREATED);
}
