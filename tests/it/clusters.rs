//! Clusters: their people and rooms are strangers to each other, each has its theme, level, age and countries; and features that are
//! off.

use std::net::Ipv4Addr;

use parlor::check::findings;
use parlor::config::Config;
use parlor::domain::feature::{Feature, Features};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Server, answer, settings};
use crate::postgres;

/// A server's own address is one cluster, `localhost` the other.
const TWO: &str = r##"
[[clusters]]
id = "lounge"
name = "The Lounge"
hosts = ["127.0.0.1"]
theme = { accent = "#FF0050", logo = "/brand/lounge.svg" }

[[clusters]]
id = "cellar"
hosts = ["localhost"]
max_content_level = "mature"
moderation_level = "strict"
min_age = 21
features = { forums = false }
"##;

fn write(folder: &std::path::Path, name: &str, bytes: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn server(file: &str, change: impl FnOnce(&mut Config)) -> Server {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "clusters.toml", file);
    Server::start_in(folder, |config| {
        config.clusters_file = Some(path);
        change(config);
    })
    .await
}

fn other_door(server: &Server) -> String {
    server.base.replace("127.0.0.1", "localhost")
}

fn ids(page: &Value, list: &str) -> Vec<String> {
    page[list].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

async fn strangers_to_each_other(url: Option<String>) {
    let server = server(TWO, |config| config.database_url = url).await;
    let (ada, ann) = (server.enter("ada").await, server.enter("ann").await);
    let (ben, bob) =
        (Person::enter(&other_door(&server), "ben").await, Person::enter(&other_door(&server), "bob").await);
    let lounge = ada.create_room("group", "public").await;
    let cellar = ben.create_room("group", "public").await;
    assert_eq!(ids(&ann.get("/rooms").await.expect(StatusCode::OK), "rooms"), std::slice::from_ref(&lounge));
    assert_eq!(ids(&bob.get("/rooms").await.expect(StatusCode::OK), "rooms"), std::slice::from_ref(&cellar));
    // Whoever knows the id is no better off, by whatever door.
    let mut socket = ben.connect().await;
    for door in [&server.base, &other_door(&server)] {
        let ben = ben.at(door);
        ben.get(&format!("/rooms/{lounge}")).await.refused(404, "not_found");
        ben.post(&format!("/rooms/{lounge}/join"), json!({})).await.refused(404, "not_found");
        ben.get(&format!("/rooms/{lounge}/members")).await.refused(404, "not_found");
        ben.get(&format!("/rooms/{lounge}/messages")).await.refused(404, "not_found");
        ben.post("/dms", json!({"userId": ada.id})).await.refused(404, "not_found");
        ben.post("/dms/groups", json!({"userIds": [ada.id, bob.id]})).await.refused(404, "not_found");
        ben.ask(Method::PUT, &format!("/users/{}/block", ada.id), None).await.refused(404, "not_found");
        ben.get(&format!("/users/{}/presence", ada.id)).await.refused(404, "not_found");
    }
    socket.refused("join_room", json!({"roomId": lounge}), "not_found").await;
    // An invitation is no way over either.
    let invite = ada.post(&format!("/rooms/{lounge}/invites"), json!({})).await.expect(StatusCode::CREATED);
    let code = invite["code"].as_str().unwrap();
    ben.post(&format!("/invites/{code}/accept"), json!({})).await.refused(404, "not_found");
    ann.post(&format!("/invites/{code}/accept"), json!({})).await.expect(StatusCode::OK);
    // Those of one cluster find each other as ever.
    bob.post(&format!("/rooms/{cellar}/join"), json!({})).await.expect(StatusCode::OK);
    bob.post("/dms", json!({"userId": ben.id})).await.expect(StatusCode::CREATED);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_of_one_cluster_neither_see_nor_enter_anothers_rooms() {
    strangers_to_each_other(None).await;
    strangers_to_each_other(Some(postgres::database().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_of_two_clusters_never_meet() {
    let server = server(TWO, |_| {}).await;
    let wanted = json!({"mode": "text", "interests": [], "fallback": true});
    let mut sockets = Vec::new();
    for (door, name) in [(server.base.clone(), "ada"), (other_door(&server), "ben"), (server.base.clone(), "ann")] {
        let mut socket = Person::enter(&door, name).await.connect().await;
        assert_eq!(socket.ask("match.start", wanted.clone()).await["type"], "match.searching");
        sockets.push(socket);
    }
    let found = sockets[2].next_of("match.found").await;
    assert_eq!(found["data"]["partner"]["nickname"], "ada");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_logs_in_at_the_door_of_its_own_cluster() {
    let server = server(TWO, |_| {}).await;
    let at = |host: &'static str, path: &str, body: Value| {
        answer(server.anonymous().request(Method::POST, &format!("/api/v1{path}")).header("host", host).json(&body))
    };
    let login = json!({"username": "ada", "password": "correct horse battery"});
    let mut new = login.clone();
    new["birthYear"] = json!(1990);
    new["adult"] = json!(true);
    at("127.0.0.1", "/auth/register", new).await.expect(StatusCode::CREATED);
    at("localhost:1", "/auth/login", login.clone()).await.refused(401, "bad_credentials");
    at("nobody.example", "/auth/login", login.clone()).await.refused(404, "not_found");
    at("127.0.0.1", "/auth/login", login).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_cluster_has_its_theme_its_level_and_its_age() {
    let server = server(TWO, |_| {}).await;
    let anonymous = server.anonymous();
    let at = |host: &'static str, path: &str| {
        answer(anonymous.request(Method::GET, &format!("/api/v1{path}")).header("host", host))
    };
    let lounge = at("127.0.0.1:443", "/cluster").await.expect(StatusCode::OK);
    assert_eq!((&lounge["id"], &lounge["name"]), (&json!("lounge"), &json!("The Lounge")));
    let theme = json!({"accent": "#ff0050", "background": null, "text": null, "logo": "/brand/lounge.svg"});
    assert_eq!((&lounge["theme"], &lounge["minAge"]), (&theme, &json!(18)));
    let cellar = at("localhost", "/cluster").await.expect(StatusCode::OK);
    let said = ["id", "name", "maxContentLevel", "moderationLevel", "minAge"].map(|field| cellar[field].clone());
    assert_eq!(said, [json!("cellar"), json!("cellar"), json!("mature"), json!("strict"), json!(21)]);
    assert_eq!((&cellar["features"]["forums"], &cellar["features"]["matching"]), (&json!(false), &json!(true)));
    let features = at("localhost", "/features").await.expect(StatusCode::OK);
    assert_eq!(features["features"], cellar["features"]);
    at("nobody.example", "/cluster").await.refused(404, "not_found");

    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    let enter = |host: &'static str, age: i16| {
        let body = json!({"nickname": "young", "birthYear": year - age, "adult": true});
        answer(anonymous.request(Method::POST, "/api/v1/auth/anonymous").header("host", host).json(&body))
    };
    assert_eq!(enter("localhost", 20).await.refused(403, "underage")["extra"]["minAge"], 21);
    enter("localhost", 21).await.expect(StatusCode::CREATED);
    enter("127.0.0.1", 20).await.expect(StatusCode::CREATED);

    let ben = Person::enter(&other_door(&server), "ben").await;
    let forum = json!({"kind": "forum", "name": "f", "visibility": "public"});
    assert_eq!(ben.post("/rooms", forum).await.refused(403, "feature_off")["extra"]["feature"], "forums");
    let mature = json!({"kind": "group", "name": "m", "visibility": "public", "settings": {"contentLevel": "mature"}});
    ben.create(mature).await;
    let adult = json!({"kind": "group", "name": "a", "visibility": "public", "settings": {"contentLevel": "adult"}});
    assert_eq!(ben.post("/rooms", adult).await.refused(400, "bad_request")["extra"]["field"], "contentLevel");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_above_the_level_is_there_no_more() {
    for url in [None, Some(postgres::database().await)] {
        let level = |most: &str| format!("[[clusters]]\nid = \"default\"\nmax_content_level = \"{most}\"\n");
        let first = server(&level("mature"), |config| config.database_url.clone_from(&url)).await;
        let ada = first.enter("ada").await;
        let room = ada
            .create(
                json!({"kind": "group", "name": "m", "visibility": "public", "settings": {"contentLevel": "mature"}}),
            )
            .await;
        assert_eq!(ids(&ada.get("/rooms").await.expect(StatusCode::OK), "rooms"), std::slice::from_ref(&room));
        let (mut socket, _) = ada.connect_to(&room).await;
        let said = socket.say(&room, "1", "a ripe word").await["data"]["message"]["id"].clone();
        let message = format!("/rooms/{room}/messages/{}", said.as_str().unwrap());
        let found = async |ada: &Person| {
            ada.get("/search?q=ripe").await.expect(StatusCode::OK)["items"].as_array().unwrap().len()
        };
        assert_eq!(found(&ada).await, 1);
        let folder = first.stop().await;
        let path = write(folder.path(), "clusters.toml", level("general"));
        let second = Server::start_in(folder, |config| {
            config.clusters_file = Some(path);
            config.database_url = url;
        })
        .await;
        let ada = ada.at(&second.base);
        assert_eq!(ids(&ada.get("/rooms").await.expect(StatusCode::OK), "rooms"), [""; 0]);
        ada.get(&format!("/rooms/{room}")).await.refused(404, "not_found");
        ada.connect().await.refused("join_room", json!({"roomId": room}), "not_found").await;
        // Nor is what was written there, for those who belong to it.
        ada.get(&format!("/rooms/{room}/messages")).await.refused(404, "not_found");
        ada.get(&message).await.refused(404, "not_found");
        assert_eq!(found(&ada).await, 0);
        second.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn countries_are_let_in_by_the_operators_list() {
    const RULES: &str = r#"
[[clusters]]
id = "alps"
hosts = ["alps.example"]
geo = { allow = ["DE", "AT"], unknown = "deny" }

[[clusters]]
id = "rest"
geo = { deny = ["US"] }
"#;
    let atlas = tempfile::tempdir().unwrap();
    let countries = [([81, 2, 69, 0], 24, "DE"), ([89, 160, 0, 0], 16, "US"), ([175, 16, 199, 64], 26, "CN")];
    let database = write(atlas.path(), "countries.mmdb", mmdb(&countries));
    let server = server(RULES, |config| {
        config.geo.database = Some(database);
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let anonymous = server.anonymous();
    let ask = |path: &'static str, host: &'static str, address: &'static str, body: Value| {
        let request = anonymous.request(Method::POST, &format!("/api/v1/auth/{path}"));
        answer(request.header("host", host).header("x-forwarded-for", address).json(&body))
    };
    let enter = async |host, address| -> Answer {
        ask("anonymous", host, address, json!({"nickname": "ada", "birthYear": 1990, "adult": true})).await
    };
    for (host, address, comes_in) in [
        ("alps.example", "81.2.69.142", true),
        ("alps.example", "89.160.20.112", false),
        ("alps.example", "175.16.199.64", false),
        ("alps.example", "198.51.100.7", false),
        ("rest.example", "81.2.69.142", true),
        ("rest.example", "89.160.20.112", false),
        ("rest.example", "175.16.199.127", true),
        ("rest.example", "175.16.199.128", true),
        ("rest.example", "198.51.100.7", true),
    ] {
        let answer = enter(host, address).await;
        if comes_in {
            answer.expect(StatusCode::CREATED);
        } else {
            answer.refused(451, "geo_blocked");
        }
    }
    let credentials = json!({"username": "kim", "password": "correct horse battery"});
    let mut new = credentials.clone();
    new["birthYear"] = json!(1990);
    new["adult"] = json!(true);
    ask("register", "alps.example", "89.160.20.112", new.clone()).await.refused(451, "geo_blocked");
    ask("register", "alps.example", "81.2.69.142", new).await.expect(StatusCode::CREATED);
    ask("login", "alps.example", "89.160.20.112", credentials.clone()).await.refused(451, "geo_blocked");
    ask("login", "alps.example", "81.2.69.142", credentials).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_wrote_wrong_is_told_before_anybody_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "clusters.toml", "[[clusters]]\nid = \"a\"\nmin_age = 12\n");
    let mut config = settings(&folder);
    config.clusters_file = Some(path.clone());
    let said: Vec<_> = findings(&config).await.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|it| it.contains("line 3: people have to be 18 to 99 years old")), "{said:?}");
    let refused = parlor::serve(config.clone()).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("clusters.toml") && refused.contains("line 3"), "{refused}");

    config.clusters_file = None;
    config.geo.database = Some(path.clone());
    let refused = parlor::serve(config.clone()).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("PARLOR_GEO__DATABASE"), "{refused}");

    config.geo.database = None;
    config.features = Features::default().with(Feature::Tips, true);
    let refused = parlor::serve(config.clone()).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(refused.contains("this version has no tips"), "{refused}");

    // Who entered before there was a file is told of, and so are countries that nobody can tell.
    config.features = Features::default();
    let server = Server::start_in(folder, |own| *own = config.clone()).await;
    server.enter("ada").await;
    let folder = server.stop().await;
    let lists =
        [("geo = { deny = [\"US\"] }", "PARLOR_GEO__DATABASE"), ("", "1 people belong to the cluster \"default\"")];
    for (more, hint) in lists {
        std::fs::write(&path, format!("[[clusters]]\nid = \"a\"\n{more}\n")).unwrap();
        config.clusters_file = Some(path.clone());
        let said: Vec<_> = findings(&config).await.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|it| it.starts_with("Hint: ") && it.contains(hint)), "{said:?}");
    }
    drop(folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_off_says_so_wherever_it_is_used() {
    let server = Server::start_with(|config| {
        let off = Feature::ALL.into_iter().filter(|it| !matches!(it, Feature::Voice | Feature::Video));
        config.features = off.fold(Features::default(), |all, it| all.with(it, false)).with(Feature::Video, false);
        config.previews.enabled = true;
    })
    .await;
    let said = server.anonymous().get("/api/v1/features").await.expect(StatusCode::OK);
    let on: Vec<_> = said["features"].as_object().unwrap().iter().filter(|(_, on)| **on == json!(true)).collect();
    assert_eq!(on.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["voice"]);

    let (ada, ben) = (server.enter("ada").await, server.enter("ben").await);
    let room = ada.create_room("call", "public").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    ben.connect_to(&room).await;
    let call = ada.get(&format!("/rooms/{room}/call")).await.expect(StatusCode::OK)["callId"].clone();
    let off = |answer: Answer, feature: &str| {
        assert_eq!(answer.refused(403, "feature_off")["extra"]["feature"], feature);
    };
    off(ada.post("/rooms", json!({"kind": "forum", "name": "f", "visibility": "public"})).await, "forums");
    off(ada.post("/dms", json!({"userId": ben.id})).await, "directMessages");
    off(ada.post("/dms/groups", json!({"userIds": [ben.id]})).await, "directMessages");
    off(ada.get("/dms").await, "directMessages");
    off(ada.get(&format!("/dms/{room}")).await, "directMessages");
    off(ada.ask(Method::PATCH, &format!("/dms/{room}"), Some(json!({"name": "us"}))).await, "directMessages");
    off(ada.ask(Method::POST, &format!("/dms/requests/{room}/accept"), None).await, "directMessages");
    off(ada.get("/previews?url=https://example.org/").await, "previews");
    off(ada.ask(Method::POST, &format!("/calls/{}/recording", call.as_str().unwrap()), None).await, "recording");
    let report = json!({"targetType": "user", "targetId": ben.id, "roomId": room, "reason": "spam"});
    off(ada.post("/reports", report).await, "moderation");
    let upload = ada.request(Method::POST, "/uploads").header("tus-resumable", "1.0.0").header("upload-length", "5");
    off(answer(upload).await, "files");

    // The same by the socket; a call without pictures takes voices.
    let offer = |source: &str| {
        json!({"roomId": room, "sdp": include_str!("../../media/fixtures/offers/chromium-call.sdp"),
            "tracks": [{"mid": "0", "source": source}]})
    };
    for (source, feature) in [("camera", "video"), ("screen", "share"), ("screenAudio", "share")] {
        let refused = socket.refused("call.offer", offer(source), "feature_off").await;
        assert_eq!(refused["detail"]["feature"], feature);
    }
    assert_eq!(socket.ask("call.offer", offer("microphone")).await["type"], "call.answer");
    let refused = socket
        .refused("start_call", json!({"roomId": room, "type": "video", "participants": [ben.id]}), "feature_off")
        .await;
    assert_eq!(refused["detail"]["feature"], "video");
    assert_eq!(
        socket.ask("start_call", json!({"roomId": room, "type": "voice", "participants": [ben.id]})).await["type"],
        "call.ring"
    );
    let search = json!({"mode": "text", "interests": []});
    assert_eq!(socket.refused("match.start", search, "feature_off").await["detail"]["feature"], "matching");
    for kind in ["gift", "tip"] {
        let message = json!({"roomId": room, "clientId": kind, "content": {"type": kind, "text": "x"}});
        socket.refused("send_message", message, "feature_off").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_meet_by_video_where_there_is_none() {
    let server = Server::start_with(|config| config.features = Features::default().with(Feature::Video, false)).await;
    let mut socket = server.enter("ada").await.connect().await;
    let wanted = |mode: &str| json!({"mode": mode, "interests": []});
    assert_eq!(socket.refused("match.start", wanted("video"), "feature_off").await["detail"]["feature"], "video");
    assert_eq!(socket.ask("match.start", wanted("text")).await["type"], "match.searching");
}

/// A database of countries in MaxMind's format (version 2.0), of IPv4 networks that do not overlap.
fn mmdb(networks: &[([u8; 4], u32, &str)]) -> Vec<u8> {
    const NOTHING: u32 = u32::MAX;
    let text = |text: &str| [&[0b010_00000 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let map = |entries: &[(&str, Vec<u8>)]| {
        let entries_bytes: Vec<u8> =
            entries.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
        [vec![0b111_00000 | u8::try_from(entries.len()).unwrap()], entries_bytes].concat()
    };
    let u16_of = |number: u16| [&[0b101_00010], &number.to_be_bytes()[..]].concat();
    let u32_of = |number: u32| [&[0b110_00100], &number.to_be_bytes()[..]].concat();
    // Extended types: their number less 7 stands in a byte of its own.
    let u64_of = |number: u64| [&[0b000_01000, 2], &number.to_be_bytes()[..]].concat();
    let (mut data, mut nodes) = (Vec::new(), vec![[NOTHING; 2]]);
    let mut leaves = Vec::new();
    for (address, length, country) in networks {
        let place = u32::try_from(data.len()).unwrap();
        data.extend(map(&[("country", map(&[("iso_code", text(country))]))]));
        let bits = u32::from(Ipv4Addr::from(*address));
        let mut at = 0_usize;
        for depth in 0..*length {
            let side = usize::from(bits >> (31 - depth) & 1 == 1);
            if depth + 1 == *length {
                leaves.push((at, side, place));
            } else if nodes[at][side] == NOTHING {
                nodes[at][side] = u32::try_from(nodes.len()).unwrap();
                nodes.push([NOTHING; 2]);
                at = nodes.len() - 1;
            } else {
                at = nodes[at][side] as usize;
            }
        }
    }
    let count = u32::try_from(nodes.len()).unwrap();
    for (at, side, place) in leaves {
        nodes[at][side] = count + 16 + place;
    }
    let record = |record: u32| (if record == NOTHING { count } else { record }).to_be_bytes()[1..].to_vec();
    let mut bytes: Vec<u8> = nodes.iter().flatten().flat_map(|it| record(*it)).collect();
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.extend(map(&[
        ("binary_format_major_version", u16_of(2)),
        ("binary_format_minor_version", u16_of(0)),
        ("build_epoch", u64_of(1_700_000_000)),
        ("database_type", text("Test-Country")),
        ("description", map(&[])),
        ("ip_version", u16_of(4)),
        ("languages", vec![0, 4]),
        ("node_count", u32_of(count)),
        ("record_size", u16_of(24)),
    ]));
    bytes
}
