//! Keeping people out: the account, the device, the address; and letting them in again.

use std::net::IpAddr;
use std::time::Duration;

use parlor::auth::NewBan;
use parlor::config::Config;
use parlor::domain::ban::{Ban, Sentence};
use parlor::domain::deed::{Deed, LogEntry};
use parlor::domain::{BanId, Caller, FamilyId, Refusal, SiteRole, Time, UserId, message::Author};
use parlor::store::{self, Bound, Reached, Redeemed, Store, Trace};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, Socket, answer, until};
use crate::store::{Database, on_both_databases, person};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Strangers come through a proxy that says where they are.
fn behind_a_proxy(config: &mut Config) {
    config.limit_exempt.clear();
    config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
}

impl Server {
    /// Somebody wants to enter from an address and with a device's cookie, or without.
    pub(crate) async fn knock(&self, nickname: &str, from: Option<&str>, device: Option<&str>) -> Answer {
        let entrance = json!({"nickname": nickname, "birthYear": 1990, "adult": true});
        let mut request = self.anonymous().request(Method::POST, "/api/v1/auth/anonymous").json(&entrance);
        if let Some(address) = from {
            request = request.header("x-forwarded-for", address);
        }
        if let Some(device) = device {
            request = request.header("cookie", device);
        }
        answer(request).await
    }

    /// Somebody enters as the administrator.
    pub(crate) async fn administrator(&self, nickname: &str) -> Person {
        let admin = self.enter(nickname).await;
        let secret = self.running().admin_link.clone().unwrap().rsplit('/').next().unwrap().to_owned();
        admin.post("/auth/claim", json!({"secret": secret})).await.expect(StatusCode::OK);
        admin
    }

    async fn caller(&self, person: &Person) -> Caller {
        let here = IpAddr::from([127, 0, 0, 1]);
        self.running().core().auth.verify(&person.token, here).await.unwrap().caller
    }

    pub(crate) async fn ban(&self, by: &Person, user: &str, duration: Option<Duration>) -> Result<Ban, Refusal> {
        let new = NewBan { user: user.parse().unwrap(), reason: "spam".to_owned(), duration, case: None };
        self.running().core().auth.ban(&self.caller(by).await, new).await
    }

    async fn lift(&self, by: &Person, ban: &Ban) -> Answer {
        let path = format!("/moderation/bans/{}", ban.ban_id);
        by.ask(Method::DELETE, &path, Some(json!({"reason": "a mistake"}))).await
    }
}

/// The device's cookie that an answer sets, as a browser sends it back.
pub(crate) fn device_of(answer: &Answer) -> String {
    let cookies = answer.headers.get_all("set-cookie").into_iter().map(|it| it.to_str().unwrap());
    let device = cookies.filter(|cookie| cookie.starts_with("parlor_device=")).collect::<Vec<_>>();
    let [device] = device[..] else { panic!("one device: {device:?}") };
    device.split(';').next().unwrap().to_owned()
}

fn id(entered: &Value) -> &str {
    entered["user"]["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_ban_closes_the_socket_and_every_way_back() {
    let server = Server::start().await;
    let (admin, ada) = (server.administrator("admin").await, server.enter("ada").await);
    let room = ada.create_room("call", "public").await;
    let (mut watching, _) = ada.connect_to(&room).await;
    let eve = server.enter("eve").await;
    let (mut socket, _) = eve.connect_to(&room).await;
    let ticket = eve.post("/auth/ticket", json!({})).await.expect(StatusCode::CREATED)["ticket"].clone();
    let resume = socket.resume_token().to_owned();
    let ban = server.ban(&admin, &eve.id, None).await.unwrap();

    let (code, error) = socket.closed().await;
    let error = error.expect("they are told why");
    assert_eq!((code, &error["code"]), (4403, &json!("banned")));
    assert_eq!(error["detail"], json!({"reason": "spam", "until": null}));
    let left = watching.next_of("member_left").await;
    assert_eq!(left["data"], json!({"userId": eve.id, "reason": "removed"}));

    let refused = eve.get("/auth/me").await.refused(403, "banned");
    assert_eq!(refused["extra"], json!({"reason": "spam", "until": null}));
    let refresh = json!({"refreshToken": eve.refresh_token});
    server.anonymous().post("/auth/refresh", refresh.clone()).await.refused(403, "banned");
    let mut again = server.socket().await;
    again.send_json(&json!({"type": "authenticate", "data": {"token": eve.token, "resume": resume}})).await;
    let (code, error) = again.closed().await;
    assert_eq!((code, &error.unwrap()["code"]), (4403, &json!("banned")));
    let mut by_ticket = Socket::open(&server.base, &format!("/ws?ticket={}", ticket.as_str().unwrap())).await;
    let (code, error) = by_ticket.closed().await;
    assert_eq!((code, &error.unwrap()["code"]), (4403, &json!("banned")));

    // Lifted, the old login stays dead, but it is no ban any more that says so.
    server.lift(&admin, &ban).await.expect(StatusCode::OK);
    eve.get("/auth/me").await.refused(401, "token_invalid");
    server.anonymous().post("/auth/refresh", refresh).await.refused(401, "token_invalid");
}

#[tokio::test]
async fn a_ban_binds_the_device_whatever_its_owner_calls_themselves() {
    let server = Server::start().await;
    let admin = server.administrator("admin").await;
    let entered = server.knock("eve", None, None).await;
    let cookie = device_of(&entered);
    let user = entered.expect(StatusCode::CREATED);
    let ban = server.ban(&admin, id(&user), None).await.unwrap();
    let refused = server.knock("honest", None, Some(&cookie)).await;
    assert_eq!(refused.refused(403, "banned")["extra"], json!({"reason": "spam", "until": null}));
    assert_eq!(refused.header("set-cookie"), "");
    // The address of these tests is one that many share (`limit_exempt`): nobody else answers for eve.
    server.knock("ada", None, None).await.expect(StatusCode::CREATED);
    server.lift(&admin, &ban).await.expect(StatusCode::OK);
    let back = server.knock("honest", None, Some(&cookie)).await;
    back.expect(StatusCode::CREATED);
    assert_eq!(device_of(&back), cookie, "it is still the same device");
}

#[tokio::test]
async fn the_devices_cookie_is_for_the_server_alone() {
    let server = Server::start().await;
    let entered = server.knock("ada", None, None).await;
    let set = entered.header("set-cookie");
    for part in ["parlor_device=", "HttpOnly", "SameSite=Strict", "Path=/api", "Max-Age=31536000"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure"), "over plain http it would never come back: {set}");
    let known = device_of(&entered);
    assert_eq!(device_of(&server.knock("ada", None, Some(&known)).await), known);
    for nonsense in ["parlor_device=", "parlor_device=me", &format!("parlor_device={}", "x".repeat(64))] {
        let fresh = device_of(&server.knock("ada", None, Some(nonsense)).await);
        assert!(fresh != known && fresh.len() == known.len(), "{fresh}");
    }
    let secure = Server::start_with(|config| config.public_url = Some("https://parlor.example".into())).await;
    assert!(secure.knock("ada", None, None).await.header("set-cookie").contains("Secure"));
}

#[tokio::test]
async fn a_ban_binds_the_address_for_a_day() {
    let server = Server::start_with(behind_a_proxy).await;
    let admin = server.administrator("admin").await;
    for (theirs, same, others) in [
        ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
        ("2001:db8:0:7::1", "2001:db8:0:7:ffff::2", "2001:db8:0:8::1"),
    ] {
        let eve = server.knock("eve", Some(theirs), None).await.expect(StatusCode::CREATED);
        let ban = server.ban(&admin, id(&eve), None).await.unwrap();
        let refused = server.knock("honest", Some(same), None).await.refused(403, "banned");
        let until: Time = refused["extra"]["until"].as_str().expect("an address is bound for a while").parse().unwrap();
        assert_eq!((refused["extra"]["reason"].as_str(), until), (Some("spam"), ban.at.after(DAY)));
        server.knock("ada", Some(others), None).await.expect(StatusCode::CREATED);
        // The proxy itself is everybody.
        server.knock("ada", None, None).await.expect(StatusCode::CREATED);
        server.lift(&admin, &ban).await.expect(StatusCode::OK);
        server.knock("honest", Some(same), None).await.expect(StatusCode::CREATED);
    }
    // What comes from the proxy without a word of where it was before binds nobody.
    let eve = server.knock("eve", None, None).await.expect(StatusCode::CREATED);
    server.ban(&admin, id(&eve), None).await.unwrap();
    server.knock("ada", None, None).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_refresh_says_where_somebody_is_now() {
    let server = Server::start_with(behind_a_proxy).await;
    let admin = server.administrator("admin").await;
    let eve = server.knock("eve", Some("198.51.100.7"), None).await.expect(StatusCode::CREATED);
    let refresh = server.anonymous().request(Method::POST, "/api/v1/auth/refresh");
    let refresh = refresh.header("x-forwarded-for", "203.0.113.9").json(&json!({"refreshToken": eve["refreshToken"]}));
    answer(refresh).await.expect(StatusCode::OK);
    server.ban(&admin, id(&eve), None).await.unwrap();
    server.knock("honest", Some("203.0.113.9"), None).await.refused(403, "banned");
    server.knock("ada", Some("198.51.100.7"), None).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_ban_ends_by_itself() {
    let server = Server::start().await;
    let admin = server.administrator("admin").await;
    let entered = server.knock("eve", None, None).await;
    let cookie = device_of(&entered);
    let user = entered.expect(StatusCode::CREATED);
    let ban = server.ban(&admin, id(&user), Some(Duration::from_secs(2))).await.unwrap();
    assert_eq!(ban.until, Some(ban.at.after(Duration::from_secs(2))));
    let refused = server.knock("eve", None, Some(&cookie)).await.refused(403, "banned");
    assert_eq!(refused["extra"]["until"], json!(ban.until));
    until("the ban is over", async || {
        let back = server.knock("eve", None, Some(&cookie)).await;
        (back.status == StatusCode::CREATED).then_some(())
    })
    .await;
    assert!(Time::now() >= ban.until.unwrap());
    assert_eq!(admin.get("/moderation/bans").await.expect(StatusCode::OK)["bans"], json!([]));
    server.lift(&admin, &ban).await.refused(404, "not_found");
}

#[tokio::test]
async fn others_from_the_same_device_are_out_too_but_for_those_who_keep_order() {
    let server = Server::start().await;
    let admin = server.administrator("admin").await;
    let entered = server.knock("eve", None, None).await;
    let cookie = device_of(&entered);
    let eve = entered.expect(StatusCode::CREATED);
    let second = server.knock("second", None, Some(&cookie)).await.expect(StatusCode::CREATED);
    let guard = server.knock("guard", None, Some(&cookie)).await.expect(StatusCode::CREATED);
    let role = format!("/users/{}/role", id(&guard));
    admin.ask(Method::PUT, &role, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);
    let connect = async |login: &Value| {
        let mut socket = server.socket().await;
        socket.log_in(login["accessToken"].as_str().unwrap(), None).await;
        socket
    };
    let (mut theirs, mut guards) = (connect(&second).await, connect(&guard).await);
    server.ban(&admin, id(&eve), None).await.unwrap();
    assert_eq!(theirs.closed().await.0, 4401);
    let refresh = async |login: &Value| {
        server.anonymous().post("/auth/refresh", json!({"refreshToken": login["refreshToken"]})).await
    };
    refresh(&second).await.refused(403, "banned");
    refresh(&guard).await.expect(StatusCode::OK);
    assert_eq!(guards.ask("ping", json!({})).await["type"], "pong");
}

#[tokio::test]
async fn nobody_bans_whom_they_do_not_outrank() {
    let server = Server::start().await;
    let (admin, ada) = (server.administrator("admin").await, server.enter("ada").await);
    let (guard, other) = (server.enter("guard").await, server.enter("other").await);
    for moderator in [&guard, &other] {
        let role = format!("/users/{}/role", moderator.id);
        admin.ask(Method::PUT, &role, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);
    }
    let eve = server.enter("eve").await;
    for (by, whom) in [(&ada, &eve), (&guard, &admin), (&guard, &other)] {
        let refused = server.ban(by, &whom.id, None).await;
        assert!(matches!(refused, Err(Refusal::Forbidden { .. })), "{refused:?}");
    }
    assert!(matches!(server.ban(&guard, &guard.id, None).await, Err(Refusal::BadRequest { field: "userId", .. })));
    assert_eq!(server.ban(&guard, &UserId::new().to_string(), None).await, Err(Refusal::NotFound));
    for wrong in [Duration::ZERO, Duration::from_secs(u64::MAX)] {
        let refused = server.ban(&guard, &eve.id, Some(wrong)).await;
        assert!(matches!(refused, Err(Refusal::BadRequest { field: "durationS", .. })), "{refused:?}");
    }
    for wrong in [" ", "a\0b", &"x".repeat(501)] {
        let new = NewBan { user: eve.id.parse().unwrap(), reason: wrong.to_owned(), duration: None, case: None };
        let refused = server.running().core().auth.ban(&server.caller(&guard).await, new).await;
        assert!(matches!(refused, Err(Refusal::BadRequest { field: "reason", .. })), "{refused:?}");
    }
    eve.get("/auth/me").await.expect(StatusCode::OK);
    server.ban(&admin, &other.id, None).await.unwrap();
    other.get("/auth/me").await.refused(403, "banned");
}

#[tokio::test]
async fn bans_are_listed_and_lifted_by_moderators() {
    let server = Server::start().await;
    let (admin, ada) = (server.administrator("admin").await, server.enter("ada").await);
    let guard = server.enter("guard").await;
    let role = format!("/users/{}/role", guard.id);
    admin.ask(Method::PUT, &role, Some(json!({"role": "moderator"}))).await.expect(StatusCode::OK);
    let mut bans = Vec::new();
    for (name, by) in [("eve", &admin), ("mallory", &guard), ("trudy", &guard)] {
        let person = server.enter(name).await;
        bans.push(server.ban(by, &person.id, Some(DAY)).await.unwrap());
    }
    ada.get("/moderation/bans").await.refused(403, "forbidden");
    server.anonymous().get("/api/v1/moderation/bans").await.refused(401, "unauthenticated");
    let listed = guard.get("/moderation/bans?limit=2").await.expect(StatusCode::OK);
    let names = |page: &Value| {
        let bans = page["bans"].as_array().unwrap().iter();
        bans.map(|ban| ban["user"]["nickname"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&listed), ["trudy", "mallory"]);
    let trudy = &listed["bans"][0];
    assert_eq!(trudy, &serde_json::to_value(&bans[2]).unwrap());
    assert_eq!(
        (&trudy["by"]["nickname"], &trudy["reason"], &trudy["caseId"], &trudy["liftedAt"]),
        (&json!("guard"), &json!("spam"), &Value::Null, &Value::Null)
    );
    let next = format!("/moderation/bans?limit=2&before={}", bans[1].ban_id);
    assert_eq!(names(&guard.get(&next).await.expect(StatusCode::OK)), ["eve"]);
    guard.get("/moderation/bans?limit=101").await.refused(400, "bad_request");
    guard.get("/moderation/bans?before=x").await.refused(400, "bad_request");

    server.lift(&ada, &bans[2]).await.refused(403, "forbidden");
    server.lift(&guard, &bans[0]).await.refused(403, "forbidden");
    let path = format!("/moderation/bans/{}", bans[2].ban_id);
    guard.ask(Method::DELETE, &path, Some(json!({"reason": " "}))).await.refused(400, "bad_request");
    guard.ask(Method::DELETE, &path, None).await.refused(400, "bad_request");
    let unknown = format!("/moderation/bans/{}", BanId::new());
    guard.ask(Method::DELETE, &unknown, Some(json!({"reason": "x"}))).await.refused(404, "not_found");
    let lifted = server.lift(&guard, &bans[2]).await.expect(StatusCode::OK);
    assert!(lifted["liftedAt"].is_string());
    server.lift(&admin, &bans[2]).await.refused(404, "not_found");
    server.lift(&admin, &bans[1]).await.expect(StatusCode::OK);
    assert_eq!(names(&guard.get("/moderation/bans").await.expect(StatusCode::OK)), ["eve"]);
}

on_both_databases!(
    a_ban_binds_what_the_logins_came_from,
    a_ban_is_for_a_while_or_for_good,
    a_ban_and_its_end_are_in_the_log,
    addresses_are_forgotten_after_a_day,
);

async fn login(store: &Store, user: &Author, token: &[u8], device: &[u8], address: &[u8], at: Time) -> FamilyId {
    let (family, trace) = (FamilyId::new(), Trace { device: Some(device), address: Some(address) });
    store.create_family(family, user.id, token, trace, at, 30 * DAY).await.unwrap();
    family
}

fn ban(user: &Author, by: &Author, at: Time, until: Option<Time>) -> store::NewBan {
    let reason = "spam".to_owned();
    store::NewBan { id: BanId::new(), user: user.id, reason, case: None, by: by.id, at, until }
}

fn device(hash: &[u8]) -> Bound<'_> {
    Bound { device: Some(hash), ..Bound::default() }
}

fn address(hash: &[u8]) -> Bound<'_> {
    Bound { address: Some(hash), ..Bound::default() }
}

async fn a_ban_binds_what_the_logins_came_from(database: Database) {
    let (store, _events) = database.open().await;
    let (eve, ada, guard) = (person(&store, "eve").await, person(&store, "ada").await, person(&store, "guard").await);
    store.set_site_role(guard.id, SiteRole::Moderator).await.unwrap();
    let now = Time::now();
    let yesterday = Time::from_ms(now.as_ms() - 25 * 3_600_000);
    let old = login(&store, &eve, b"old", b"laptop", b"home", yesterday).await;
    let new = login(&store, &eve, b"new", b"phone", b"train", now).await;
    let elsewhere = login(&store, &ada, b"elsewhere", b"her own", b"train", now).await;
    let together = login(&store, &ada, b"together", b"phone", b"train", now).await;
    let keeping = login(&store, &guard, b"keeping", b"phone", b"train", now).await;
    let ban = ban(&eve, &guard, now, None);
    let reached = Reached { logins: vec![together], people: vec![ada.id] };
    assert_eq!(store.ban(&ban, None).await.unwrap(), reached);
    for (maker, is_kept_out) in [(&eve, true), (&ada, true), (&guard, false)] {
        let sentence = store.sentence_of_maker(maker.id, now).await.unwrap();
        assert_eq!(sentence.is_some(), is_kept_out, "{}", maker.nickname);
    }
    for (family, holds) in [(old, false), (new, false), (together, false), (elsewhere, true), (keeping, true)] {
        assert_eq!(store.family(family).await.unwrap().is_some(), holds);
    }
    assert_eq!(store.redeem_refresh_token(b"new", b"x", None, now, DAY).await.unwrap(), Redeemed::Revoked(new));
    let forever = Some(Sentence { reason: "spam".to_owned(), until: None });
    let for_a_day = Some(Sentence { reason: "spam".to_owned(), until: Some(now.after(DAY)) });
    let later = now.after(Duration::from_secs(1));
    let account = Bound { user: Some(eve.id), ..Bound::default() };
    for (bound, expected) in [
        (account, &forever),
        (device(b"laptop"), &forever),
        (device(b"phone"), &forever),
        (device(b"her own"), &None),
        (address(b"train"), &for_a_day),
        (address(b"home"), &None),
        (Bound { user: Some(ada.id), ..address(b"train") }, &for_a_day),
        (Bound { user: Some(ada.id), device: Some(b"phone"), address: Some(b"train") }, &forever),
        (Bound::default(), &None),
    ] {
        assert_eq!(store.sentence(bound, later).await.unwrap(), *expected, "{bound:?}");
    }
    assert_eq!(store.sentence(address(b"train"), now.after(DAY)).await.unwrap(), None);
    assert_eq!(store.sentence_of_login(new, later).await.unwrap(), forever);
    assert_eq!(store.sentence_of_login(together, later).await.unwrap(), forever);
    assert_eq!(store.sentence_of_login(elsewhere, later).await.unwrap(), None);
    assert_eq!(store.sentence_of_login(FamilyId::new(), later).await.unwrap(), None);
}

async fn a_ban_is_for_a_while_or_for_good(database: Database) {
    let (store, _events) = database.open().await;
    let (eve, guard) = (person(&store, "eve").await, person(&store, "guard").await);
    let now = Time::now();
    login(&store, &eve, b"one", b"phone", b"train", now).await;
    let hour = Duration::from_secs(3600);
    let short = ban(&eve, &guard, now, Some(now.after(hour)));
    let long = ban(&eve, &guard, now.after(Duration::from_millis(1)), Some(now.after(3 * DAY)));
    for ban in [&short, &long] {
        store.ban(ban, None).await.unwrap();
    }
    let ids = |bans: Vec<Ban>| bans.into_iter().map(|ban| ban.ban_id).collect::<Vec<_>>();
    let until = async |bound, at| store.sentence(bound, at).await.unwrap().and_then(|sentence| sentence.until);
    assert_eq!(until(device(b"phone"), now.after(hour / 2)).await, long.until, "the longest counts");
    let entry = LogEntry { at: now.after(hour / 2), ..LogEntry::by(guard.id, Deed::LiftBan) };
    assert!(store.lift_ban(long.id, guard.id, "a mistake", &entry).await.unwrap());
    assert!(!store.lift_ban(long.id, guard.id, "again", &entry).await.unwrap());
    assert_eq!(until(device(b"phone"), now.after(hour / 2)).await, short.until);
    assert_eq!(until(address(b"train"), now.after(hour / 2)).await, short.until, "no longer than the ban");
    assert_eq!(ids(store.bans_in_force(now, 10, None).await.unwrap()), [short.id]);
    assert_eq!(until(device(b"phone"), now.after(hour)).await, None);
    assert_eq!(until(address(b"train"), now.after(hour)).await, None);
    assert_eq!(ids(store.bans_in_force(now.after(hour), 10, None).await.unwrap()), []);
    let entry = LogEntry { at: now.after(hour), ..entry };
    assert!(!store.lift_ban(short.id, guard.id, "too late", &entry).await.unwrap());
    assert_eq!(ids(store.bans_of(eve.id, 10).await.unwrap()), [long.id, short.id], "its history stays");
    assert_eq!(ids(store.bans_of(guard.id, 10).await.unwrap()), []);
    let kept = store.ban_of_id(long.id).await.unwrap().unwrap();
    assert_eq!((kept.lifted_at, kept.by.nickname.as_str()), (Some(now.after(hour / 2)), "guard"));
    assert_eq!(store.ban_of_id(BanId::new()).await.unwrap(), None);
}

async fn a_ban_and_its_end_are_in_the_log(database: Database) {
    let (store, _events) = database.open().await;
    let (eve, guard) = (person(&store, "eve").await, person(&store, "guard").await);
    let ban = ban(&eve, &guard, Time::now(), None);
    let entry = |deed| LogEntry::by(guard.id, deed).about(eve.id).because("spam");
    store.ban(&ban, Some(&entry(Deed::Ban))).await.unwrap();
    // What is refused is not logged.
    assert!(store.ban(&ban, Some(&entry(Deed::Ban))).await.is_err());
    store.lift_ban(ban.id, guard.id, "spam", &entry(Deed::LiftBan)).await.unwrap();
    store.lift_ban(ban.id, guard.id, "spam", &entry(Deed::LiftBan)).await.unwrap();
    let log = store.log_entries(10, None).await.unwrap();
    assert_eq!(log.iter().map(|line| line.action).collect::<Vec<_>>(), [Deed::LiftBan, Deed::Ban]);
    for line in log {
        let (by, subject) = (line.by.unwrap(), line.subject.unwrap());
        assert_eq!((by.user_id, subject.user_id, line.reason.as_deref()), (guard.id, eve.id, Some("spam")));
    }
}

async fn addresses_are_forgotten_after_a_day(database: Database) {
    let (store, _events) = database.open().await;
    let (eve, ada, guard) = (person(&store, "eve").await, person(&store, "ada").await, person(&store, "guard").await);
    let now = Time::now();
    login(&store, &eve, b"one", b"phone", b"train", now).await;
    login(&store, &ada, b"two", b"laptop", b"home", now).await;
    store.ban(&ban(&eve, &guard, now, None), None).await.unwrap();
    let almost = now.after(DAY - Duration::from_millis(1));
    assert_eq!(store.forget_addresses(almost).await.unwrap(), 0);
    assert_eq!(store.forget_addresses(now.after(DAY)).await.unwrap(), 3, "two logins and what is bound");
    assert_eq!(store.forget_addresses(now.after(DAY)).await.unwrap(), 0);
    assert_eq!(store.sentence(address(b"train"), almost).await.unwrap(), None);
    assert!(store.sentence(device(b"phone"), almost).await.unwrap().is_some(), "the device is known for longer");
    // A refresh says where they are now.
    store.redeem_refresh_token(b"two", b"three", Some(b"office"), almost, DAY).await.unwrap();
    store.ban(&ban(&ada, &guard, almost, None), None).await.unwrap();
    assert!(store.sentence(address(b"office"), almost).await.unwrap().is_some());
    assert_eq!(store.sentence(address(b"home"), almost).await.unwrap(), None);
}
