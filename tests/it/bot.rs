//! The example bot, as its documentation says to start it: Node runs it against a server.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{Server, until};

/// A program that is ended when it is dropped.
struct Bot(Child);

impl Drop for Bot {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_answers_and_reads_webhooks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = root.join("web/node_modules");
    assert!(packages.join("ws").exists(), "the bot needs the package ws: npm --prefix web ci");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root.join("examples/bot/bot.js"), folder.path().join("bot.mjs")).unwrap();
    std::os::unix::fs::symlink(packages, folder.path().join("node_modules")).unwrap();

    let server = Server::start_with(|config| {
        config.webhooks.own_networks = vec!["127.0.0.0/8".parse().unwrap()];
        config.webhooks.own_networks_for_all = true;
        config.webhooks.retry_ms = vec![50; 200];
    })
    .await;
    let chief = server.enter("chief").await;
    let link = server.running().admin_link.clone().unwrap();
    chief.post("/auth/claim", json!({"secret": link.rsplit('/').next().unwrap()})).await.expect(StatusCode::OK);
    let bot = chief.post("/bots", json!({"nickname": "pinger"})).await.expect(StatusCode::CREATED);
    let scopes = ["rooms:read", "rooms:write", "messages:read", "messages:write"];
    let wanted = json!({"name": "example", "scopes": scopes, "userId": bot["id"]});
    let key = chief.post("/api-keys", wanted).await.expect(StatusCode::CREATED);
    let ada = server.enter("ada").await;
    let room = ada.create_room("group", "public").await;
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let hook = json!({"roomId": room, "url": url, "events": ["message.sent"]});
    let hook = ada.post("/webhooks", hook).await.expect(StatusCode::CREATED);

    let said = folder.path().join("said");
    let out = Stdio::from(std::fs::File::create(&said).unwrap());
    let node = Command::new("node")
        .arg("bot.mjs")
        .current_dir(folder.path())
        .env("PARLOR_URL", &server.base)
        .env("PARLOR_KEY", key["secret"].as_str().unwrap())
        .env("PARLOR_ROOM", &room)
        .env("WEBHOOK_PORT", port.to_string())
        .env("WEBHOOK_SECRET", hook["secret"].as_str().unwrap())
        .stdout(out)
        .spawn()
        .expect("Node runs");
    let _bot = Bot(node);
    let told = async |what: &str| {
        until(what, async || std::fs::read_to_string(&said).unwrap().contains(what).then_some(())).await;
    };
    told("ready").await;
    let (mut socket, _) = ada.connect_to(&room).await;
    let asked = socket.say(&room, "1", "!ping").await;
    let answer = loop {
        let frame = socket.next_of("new_message").await;
        if frame["data"]["message"]["sender"]["id"] == bot["id"] {
            break frame;
        }
    };
    assert_eq!(answer["data"]["message"]["content"]["text"], "pong");
    assert_eq!(answer["data"]["message"]["replyTo"], asked["data"]["message"]["id"]);
    told("webhook message.sent evt_").await;
}
