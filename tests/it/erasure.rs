//! Having everything deleted, and taking everything along.

use std::time::Duration;

use parlor::domain::{
    FamilyId, PasskeyId, Time, UserId, Visibility,
    message::{ForwardedFrom, System},
    user::{AgeLevel, Username},
};
use parlor::store::{Config, NewAccount, NewMessage, PasskeyRecord, Store, Trace};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::accounts::register;
use crate::harness::{Person, Server};
use crate::rooms_store::{until_somebody_waits, writing_in};
use crate::store::{Database, edit, on_both_databases, person, room, send};

on_both_databases!(
    a_name_is_one_accounts_alone,
    codes_are_used_up,
    what_is_somebodys_goes,
    what_was_told_of_somebody_goes,
    a_proof_is_spent_once,
);

const PASSWORD: &str = "correct horse battery";

async fn erase(person: &Person, body: Option<Value>) -> crate::harness::Answer {
    person.ask(Method::DELETE, "/auth/me", body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_leaves_nothing_but_a_receipt() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let bea = server.enter("bea").await;
    let room = ada.create_room("group", "public").await;
    let (mut reader, _) = bea.connect_to(&room).await;
    let (mut writer, _) = ada.connect_to(&room).await;
    let message = writer.say(&room, "1", "a word that nobody is to find").await;
    reader.next_of("new_message").await;
    erase(&ada, None).await.refused(401, "bad_credentials");
    erase(&ada, Some(json!({"password": "wrong wrong"}))).await.refused(401, "bad_credentials");
    let signed = erase(&ada, Some(json!({"password": PASSWORD}))).await.expect(StatusCode::OK);
    let receipt = &signed["receipt"];
    assert_eq!((&receipt["deleted"]["messages"], &receipt["deleted"]["account"]), (&json!(1), &json!(true)));
    assert_eq!((&receipt["deleted"]["roomsArchived"], &receipt["kept"]["evidence"]), (&json!(1), &json!(0)));
    let said: Value = serde_json::from_str(signed["signed"].as_str().unwrap()).unwrap();
    assert_eq!(&said, receipt);
    let key = server.anonymous().get("/api/v1/auth/receipt-key").await.expect(StatusCode::OK);
    assert_eq!(key["publicKey"], signed["publicKey"]);
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, unhex(&key["publicKey"]));
    key.verify(signed["signed"].as_str().unwrap().as_bytes(), &unhex(&signed["signature"])).unwrap();
    let gone = reader.next_of("message_deleted").await;
    assert_eq!(gone["data"]["messageId"], message["data"]["message"]["id"]);
    assert_eq!(writer.closed().await.0, 4401);
    ada.get("/auth/me").await.refused(401, "token_invalid");
    let login = json!({"username": "ada", "password": PASSWORD});
    server.anonymous().post("/auth/login", login).await.refused(401, "bad_credentials");
    let history = bea.get(&format!("/rooms/{room}/messages")).await.expect(StatusCode::OK).to_string();
    assert!(!history.contains("nobody is to find") && !history.contains("\"ada\""), "{history}");
    register(&server, "ada").await;
    server
        .anonymous()
        .post("/auth/anonymous", json!({"nickname": "Ada", "birthYear": 1990, "adult": true}))
        .await
        .refused(409, "username_taken");
    let folder = server.stop().await;
    let rows = texts_in(&folder.path().join("data/parlor.db")).await;
    assert!(!rows.iter().any(|text| text.contains("\"ada\"")), "{rows:?}");
    assert!(!rows.iter().any(|text| text.contains("nobody is to find")), "{rows:?}");
}

/// Every text that the tables of rooms still hold.
async fn texts_in(file: &std::path::Path) -> Vec<String> {
    use sqlx::{ConnectOptions as _, sqlite::SqliteConnectOptions};
    let mut connection = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let sql = "select text from messages union all select body from events union all select text from message_versions";
    sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap()
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_goes_to_its_next_admin() {
    let server = Server::start().await;
    let (ada, bea) = (server.enter("ada").await, server.enter("bea").await);
    let room = ada.create_room("group", "public").await;
    bea.connect_to(&room).await.0.close().await;
    let path = format!("/rooms/{room}/members/{}/role", bea.id);
    ada.ask(Method::PUT, &path, Some(json!({"role": "admin"}))).await.expect(StatusCode::NO_CONTENT);
    let signed = erase(&ada, None).await.expect(StatusCode::OK);
    assert_eq!(signed["receipt"]["deleted"]["roomsPassedOn"], 1);
    let (_socket, state) = bea.connect_to(&room).await;
    assert_eq!(state["data"]["you"]["role"], "owner");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_can_be_taken_along() {
    let server = Server::start().await;
    let ada = register(&server, "ada").await;
    let room = ada.create_room("group", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    for number in 0..3 {
        socket.say(&room, &number.to_string(), &format!("word {number}, \"quoted\"")).await;
    }
    let all = ada.get("/auth/me/export").await;
    assert!(all.header("content-disposition").starts_with("attachment"));
    let pressed = ada.fetch("/auth/me/export", &[("accept-encoding", "gzip")]).await;
    assert_eq!(pressed.headers()["content-encoding"], "gzip");
    assert!(pressed.bytes().await.is_ok_and(|bytes| !bytes.is_empty()), "it comes to its end, as browsers ask for it");
    let all = all.expect(StatusCode::OK);
    assert_eq!((&all["user"]["id"], &all["account"]["username"]), (&json!(ada.id), &json!("ada")));
    assert_eq!((&all["rooms"][0]["roomId"], &all["rooms"][0]["role"]), (&json!(room), &json!("owner")));
    let texts: Vec<_> = all["messages"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["word 0, \"quoted\"", "word 1, \"quoted\"", "word 2, \"quoted\""]);
    assert_eq!((all["sessions"].as_array().unwrap().len(), &all["blocks"]), (1, &json!([])));
    assert_eq!(all["files"], json!([]));
    // What a message has said before, and what came with it.
    let file = crate::uploads::uploaded(&server, &ada, "notes.txt", b"what ada noted").await;
    let content = json!({"text": "as promised", "attachments": [{"fileId": file["fileId"]}]});
    let said = socket.ask("send_message", json!({"roomId": room, "clientId": "f", "content": content})).await;
    for text in ["as I said", "as you know"] {
        let edit = json!({"roomId": room, "messageId": said["data"]["message"]["id"], "content": {"text": text}});
        assert_eq!(socket.ask("edit_message", edit).await["type"], "message_edited");
    }
    let all = ada.get("/auth/me/export").await.expect(StatusCode::OK);
    let last = &all["messages"][3];
    assert_eq!((&last["text"], &last["files"]), (&json!("as you know"), &json!([file["fileId"]])));
    let versions: Vec<_> = last["versions"].as_array().unwrap().iter().map(|it| &it["text"]).collect();
    assert_eq!(versions, ["as promised", "as I said"]);
    assert_eq!(all["files"].as_array().unwrap().len(), 1);
    let kept = &all["files"][0];
    assert_eq!((&kept["name"], &kept["messageId"]), (&json!("notes.txt"), &last["messageId"]));
    let fetched = ada.fetch(kept["path"].as_str().unwrap().strip_prefix("/api/v1").unwrap(), &[]).await;
    assert_eq!(fetched.text().await.unwrap(), "what ada noted");
    let fresh = server.enter("bea").await.get("/auth/me/export").await.expect(StatusCode::OK);
    assert_eq!((&fresh["messages"], &fresh["account"]), (&json!([]), &Value::Null));
}

fn account<'a>(user: UserId, username: &'a Username, upgraded: bool) -> NewAccount<'a> {
    NewAccount { user, username, password_hash: "$argon2id$", email: None, upgraded, at: Time::now() }
}

async fn a_name_is_one_accounts_alone(database: Database) {
    let (store, _events) = database.open().await;
    let name = |name: &str| Username::parse(name).unwrap();
    let (ada, other) = (UserId::new(), UserId::new());
    assert!(store.create_account(&account(ada, &name("Ada"), false)).await.unwrap());
    assert!(!store.create_account(&account(other, &name("aDA"), false)).await.unwrap());
    assert!(store.user(other).await.unwrap().is_none(), "nothing is kept of who did not get the name");
    let found = store.account_of_name(&name("ADA").key()).await.unwrap().unwrap();
    assert_eq!((found.user, found.username.as_str()), (ada, "Ada"));
    let bea = person(&store, "bea").await;
    assert!(!store.create_account(&account(bea.id, &name("ada"), true)).await.unwrap());
    assert!(store.create_account(&account(bea.id, &name("queen"), true)).await.unwrap());
    assert_eq!(store.user(bea.id).await.unwrap().unwrap().user.nickname, "queen");
    assert!(!store.create_account(&account(bea.id, &name("second"), true)).await.unwrap());
    assert!(store.set_password(ada, "$argon2id$", "other", Time::now()).await.unwrap());
    assert!(!store.set_password(ada, "$argon2id$", "third", Time::now()).await.unwrap());
    assert_eq!(store.age_level(ada).await.unwrap(), Some(AgeLevel::SelfDeclared));
    assert!(store.set_age_level(ada, AgeLevel::Verified).await.unwrap());
    assert_eq!(store.age_level(ada).await.unwrap(), Some(AgeLevel::Verified));
    store.close().await;
}

async fn codes_are_used_up(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, name) = (UserId::new(), Username::parse("ada").unwrap());
    store.create_account(&account(ada, &name, false)).await.unwrap();
    assert!(!store.begin_totp(ada, 5, &[], Time::now()).await.unwrap(), "there is no secret");
    assert!(store.want_totp(ada, b"sealed", Time::now()).await.unwrap());
    assert!(!store.use_totp(ada, 5).await.unwrap(), "codes are not in force");
    assert_eq!(store.sweep_wanted_totp(Time::from_ms(0)).await.unwrap(), 0);
    assert_eq!(store.sweep_wanted_totp(Time::now().after(Duration::from_secs(1))).await.unwrap(), 1);
    assert!(!store.begin_totp(ada, 5, &[], Time::now()).await.unwrap(), "the secret has run out");
    assert!(store.want_totp(ada, b"sealed", Time::now()).await.unwrap());
    assert!(store.begin_totp(ada, 5, &[vec![1], vec![2]], Time::now()).await.unwrap());
    assert!(!store.want_totp(ada, b"another", Time::now()).await.unwrap());
    assert!(!store.use_totp(ada, 5).await.unwrap() && !store.use_totp(ada, 4).await.unwrap());
    assert!(store.use_totp(ada, 6).await.unwrap() && !store.use_totp(ada, 6).await.unwrap());
    assert!(store.use_recovery_code(ada, &[1], Time::now()).await.unwrap());
    assert!(!store.use_recovery_code(ada, &[1], Time::now()).await.unwrap());
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1);
    let passkey = PasskeyRecord {
        id: PasskeyId::new(),
        user: ada,
        credential_id: vec![7],
        name: "key".to_owned(),
        credential: "{}".to_owned(),
        created_at: Time::now(),
        last_used_at: None,
    };
    assert!(store.add_passkey(&passkey).await.unwrap());
    store.end_totp(ada).await.unwrap();
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 1, "a passkey may be lost as well");
    assert!(store.remove_passkey(ada, passkey.id).await.unwrap());
    assert_eq!(store.recovery_codes_left(ada).await.unwrap(), 0);
    store.close().await;
}

async fn what_is_somebodys_goes(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, bea) = (person(&store, "ada").await, person(&store, "bea").await);
    let place = room(&store, &ada, Visibility::Public).await;
    send(&store, place, &ada, "1", "hello").await;
    let family = FamilyId::new();
    let idle = Duration::from_secs(60);
    store.create_family(family, ada.id, b"hash", Trace::default(), Time::now(), idle).await.unwrap();
    store.block(bea.id, ada.id, Time::now()).await.unwrap();
    let (early, _) = send(&store, place, &ada, "2", "said early").await;
    store.edit_message(place, edit(early, ada.id, "said anew"), None).await.unwrap();
    store.delete_message(place, early, ada.id, false, None).await.unwrap();
    assert_eq!(store.versions(place, early).await.unwrap().unwrap().len(), 2);
    let messages = store.own_messages(ada.id, None, 10).await.unwrap();
    assert_eq!((messages.len(), store.own_rooms(ada.id, None, 10).await.unwrap().len()), (1, 1));
    let begun = Time::now();
    assert_eq!(store.begin_erasure(ada.id, begun).await.unwrap(), [family]);
    let later = Time::from_ms(begun.as_ms() + 1);
    assert_eq!(store.unfinished_erasures(later, 10).await.unwrap(), [ada.id]);
    store.expire_message(place, messages[0].id, ada.id).await.unwrap();
    store.empty_messages(ada.id).await.unwrap();
    let gone = store.erase_belongings(ada.id).await.unwrap();
    let left = store.versions(place, early).await.unwrap().unwrap();
    assert_eq!(
        left.iter().map(|version| version.text.as_str()).collect::<Vec<_>>(),
        [""],
        "deleted before, and gone now"
    );
    assert_eq!((gone.logins, gone.blocks, gone.memberships, gone.account), (1, 1, 1, false));
    let (logins, until) = store.ended_logins_of(ada.id).await.unwrap();
    assert!(logins == 1 && until.is_some_and(|until| until > begun), "a ban to come binds the device");
    let again = store.create_family(FamilyId::new(), ada.id, b"again", Trace::default(), Time::now(), idle).await;
    assert!(again.is_err(), "nobody logs in who is gone");
    let name = Username::parse("ada").unwrap();
    assert!(!store.create_account(&account(ada.id, &name, true)).await.unwrap());
    store.end_erasure(ada.id, Time::now()).await.unwrap();
    assert_eq!(store.unfinished_erasures(later, 10).await.unwrap(), []);
    assert_eq!(store.user(ada.id).await.unwrap().unwrap().user.nickname, "deleted");
    assert_eq!(store.own_messages(ada.id, None, 10).await.unwrap(), []);
    store.close().await;
}

async fn what_was_told_of_somebody_goes(database: Database) {
    let (store, _events) = database.open().await;
    let (ada, bea) = (person(&store, "ada").await, person(&store, "bea").await);
    let place = room(&store, &bea, Visibility::Public).await;
    let mut told = Vec::new();
    for system in [System::Kicked { user: ada.clone() }, System::Banned { user: ada.clone() }] {
        let new = NewMessage::system(place, bea.clone(), system);
        told.push(new.id);
        store.send_message(new, None).await.unwrap();
    }
    // One was taken away before, and kept for who judges that; the other one is told while the deletion goes on.
    store.delete_message(place, told[0], bea.id, true, None).await.unwrap();
    store.erase_belongings(ada.id).await.unwrap();
    let left = store.versions(place, told[0]).await.unwrap().unwrap();
    assert_eq!(left.iter().map(|version| version.text.as_str()).collect::<Vec<_>>(), [""]);
    let about: Vec<_> = store.messages_about(ada.id, None, 10).await.unwrap().iter().map(|it| it.id).collect();
    assert_eq!(about, [told[1]], "it is still to be deleted");
    store.end_erasure(ada.id, Time::now()).await.unwrap();
    assert_eq!(store.messages_about(ada.id, None, 10).await.unwrap(), []);
}

/// A forwarded message is deleted while the name of whoever said it first is taken out of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_deleted_meanwhile_is_not_told_again() {
    let url = crate::postgres::database().await;
    let (store, _events) = Store::open(&Config { url: url.clone(), ..Config::default() }).await.unwrap();
    let (ada, bea) = (person(&store, "ada").await, person(&store, "bea").await);
    let place = room(&store, &bea, Visibility::Public).await;
    let mut new = NewMessage::plain(place, bea, "1", "a secret");
    let (id, at) = (new.id, Time::now());
    new.content.forwarded_from =
        Some(ForwardedFrom { sender: ada.clone(), created_at: at, room_id: None, message_id: None });
    store.send_message(new, None).await.unwrap();
    let (mut writer, mut looker) = writing_in(&url, place).await;
    let erasure = tokio::spawn({
        let store = store.clone();
        async move { store.unname_forwards(ada.id).await.unwrap() }
    });
    until_somebody_waits(&mut looker).await;
    for sql in [
        "update messages set deleted_at = 1 where id = $1",
        "update events set body = replace(body, 'a secret', '') where message_id = $1",
    ] {
        sqlx::query(sql).bind(id.as_uuid()).execute(&mut writer).await.unwrap();
    }
    sqlx::query("commit").execute(&mut writer).await.unwrap();
    erasure.await.unwrap();
    let telling = "select count(*) from events where body like '%secret%' or body like '%\"ada\"%'";
    let count: i64 = sqlx::query_scalar(telling).fetch_one(&mut looker).await.unwrap();
    assert_eq!(count, 0);
}

async fn a_proof_is_spent_once(database: Database) {
    let (store, _events) = database.open().await;
    let until = Time::now().after(Duration::from_secs(60));
    assert!(store.spend_proof(b"one", until).await.unwrap());
    assert!(!store.spend_proof(b"one", until).await.unwrap());
    assert!(store.spend_proof(b"two", until).await.unwrap());
    assert_eq!(store.sweep_proofs(Time::now()).await.unwrap(), 0);
    assert_eq!(store.sweep_proofs(until.after(Duration::from_secs(1))).await.unwrap(), 2);
    store.close().await;
}
