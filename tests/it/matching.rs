//! Strangers over real sockets: how they are found, how they meet, how it ends, and what remains of it.

mod meeting;
mod parting;
mod reporting;
mod searching;
mod unwritten;

use parlor::config::Config;
use parlor::store::{self, Store};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Person, Server, Socket, until};

/// Somebody who searches, or has found somebody.
struct Stranger {
    person: Person,
    socket: Socket,
    /// The data of the last `match.found`.
    found: Value,
}

impl Stranger {
    /// Enters and searches.
    async fn search(server: &Server, nickname: &str, wishes: Value) -> Self {
        Self::search_at(&server.base, nickname, wishes).await
    }

    /// The same on a server at that address.
    async fn search_at(base: &str, nickname: &str, wishes: Value) -> Self {
        let person = Person::enter(base, nickname).await;
        let mut stranger = Self { socket: person.connect().await, person, found: Value::Null };
        stranger.search_again(wishes).await;
        stranger
    }

    /// Searches; the data of the reply.
    async fn search_again(&mut self, wishes: Value) -> Value {
        let reply = self.socket.ask("match.start", wishes).await;
        assert_eq!(reply["type"], "match.searching", "{reply}");
        reply["data"].clone()
    }

    /// Waits until somebody is found; who.
    async fn find(&mut self) -> String {
        self.found = self.told("match.found").await;
        self.found["partner"]["nickname"].as_str().expect("a partner has a name").to_owned()
    }

    async fn told(&mut self, kind: &str) -> Value {
        self.socket.next_of(kind).await["data"].clone()
    }

    /// Waits until the match is over; why.
    async fn ended(&mut self) -> String {
        let ended = self.told("match.ended").await;
        assert_eq!(ended["matchId"], self.found["matchId"]);
        ended["reason"].as_str().expect("an end has a reason").to_owned()
    }

    fn room(&self) -> String {
        self.found["roomId"].as_str().expect("they have a room").to_owned()
    }

    async fn join(&mut self) -> Value {
        let room = self.room();
        self.socket.join(&room).await
    }

    async fn done(&mut self, kind: &str, data: Value) {
        let reply = self.socket.ask(kind, data).await;
        assert_eq!(reply["type"], "ok", "{reply}");
    }

    async fn confirm(&mut self, accept: bool) {
        let data = json!({"matchId": self.found["matchId"], "accept": accept});
        self.done("match.confirm", data).await;
    }

    async fn block(&self, other: &Person) {
        self.ask_block(Method::PUT, other).await;
    }

    async fn ask_block(&self, method: Method, other: &Person) {
        let path = format!("/users/{}/block", other.id);
        self.person.ask(method, &path, None).await.expect(StatusCode::NO_CONTENT);
    }
}

fn text(interests: &[&str]) -> Value {
    json!({"mode": "text", "interests": interests, "language": "en"})
}

/// Two who have found each other and are in their room.
async fn together(server: &Server, mode: &str) -> (Stranger, Stranger) {
    together_at(&server.base, mode).await
}

async fn together_at(base: &str, mode: &str) -> (Stranger, Stranger) {
    let wishes = json!({"mode": mode, "interests": [], "language": "en"});
    let mut ada = Stranger::search_at(base, "ada", wishes.clone()).await;
    let mut ben = Stranger::search_at(base, "ben", wishes).await;
    assert_eq!((ada.find().await.as_str(), ben.find().await.as_str()), ("ben", "ada"));
    ada.join().await;
    ben.join().await;
    (ada, ben)
}

/// Like the default, only a hundred times as fast.
fn fast(config: &mut Config) {
    config.matching.strict_ms = 50;
    config.matching.interests_ms = 120;
    config.matching.search_ms = 200;
}

/// How the last match of somebody ended, once that is on paper.
async fn on_paper(store: &Store, id: &Value) -> (String, Option<String>) {
    let id = id.as_str().unwrap().parse().unwrap();
    let (reason, by) = until("the end is on paper", async || store.match_ending(id).await.unwrap()).await;
    (reason, by.map(|by| by.to_string()))
}

/// The server's own database, from outside.
async fn store(server: &Server) -> Store {
    let url = server.folder().join("data/parlor.db").to_str().unwrap().to_owned();
    Store::open(&store::Config { url, ..store::Config::default() }).await.unwrap().0
}
