//! A person in a call: the socket that sets it up, and the media.

use serde_json::{Value, json};

use super::{Kind, Peer, Way};
use crate::harness::{Person, Socket};

/// A person in a room's call.
pub(crate) struct Caller {
    pub(crate) person: Person,
    pub(crate) room: String,
    pub(crate) peer: Peer,
    pub(crate) socket: Socket,
    /// The data of the last `call.answer`.
    pub(crate) answer: Value,
    /// Events that were waited for, and those that came before them.
    pub(crate) told: Vec<Value>,
}

impl Caller {
    /// Comes into the room and its call, and waits until media is connected. `tag` is the number in all that it publishes.
    pub(crate) async fn join(person: &Person, room: &str, tag: u32, slots: usize) -> Self {
        Self::join_by(Way::direct(), person, room, tag, slots).await
    }

    /// The same, by some way.
    pub(crate) async fn join_by(way: Way, person: &Person, room: &str, tag: u32, slots: usize) -> Self {
        let (socket, _) = person.connect_to(room).await;
        Self::call(way, person, socket, room, tag, slots).await
    }

    /// Comes into the call of a room that the socket is in.
    pub(crate) async fn call(way: Way, person: &Person, socket: Socket, room: &str, tag: u32, slots: usize) -> Self {
        let peer = Peer::by(way, tag, slots).await;
        let (person, room) = (person.clone(), room.to_owned());
        let mut caller = Self { person, room, peer, socket, answer: Value::Null, told: Vec::new() };
        caller.offer().await;
        caller.connect().await;
        caller
    }

    /// Makes an offer, and takes the answer.
    pub(crate) async fn offer(&mut self) {
        let sdp = self.peer.offer().await;
        let [microphone, camera] = self.peer.mids().await;
        let tracks = json!([{"mid": microphone, "source": "microphone"}, {"mid": camera, "source": "camera"}]);
        let answer = self.ask("call.offer", json!({"sdp": sdp, "tracks": tracks})).await;
        assert_eq!(answer["type"], "call.answer", "{answer}");
        assert_eq!(answer["roomId"], self.room);
        self.answer = answer["data"].clone();
        self.peer.accept(self.answer["sdp"].as_str().expect("an answer has SDP")).await;
    }

    /// Waits for the connection, says so, and publishes.
    async fn connect(&mut self) {
        self.peer.connected().await;
        self.done("call.ready", json!({})).await;
        self.peer.publish();
    }

    /// The same session and participant from a new connection, as after a reload: publishes under another tag.
    pub(crate) async fn connect_anew(&mut self, tag: u32, slots: usize) {
        self.peer = Peer::new(tag, slots).await;
        self.offer().await;
        self.connect().await;
    }

    /// Its name in the call.
    pub(crate) fn participant(&self) -> &str {
        self.answer["participantId"].as_str().expect("an answer names the participant")
    }

    /// The name of its track of a kind.
    pub(crate) fn track(&self, kind: Kind) -> &str {
        self.answer["tracks"][kind as usize]["trackId"].as_str().expect("an answer names the tracks")
    }

    /// Asks for something in the room.
    pub(crate) async fn ask(&mut self, kind: &str, mut data: Value) -> Value {
        data["roomId"] = json!(self.room);
        self.socket.ask(kind, data).await
    }

    /// Asks for something in the room that is answered by `ok`.
    pub(crate) async fn done(&mut self, kind: &str, data: Value) {
        let reply = self.ask(kind, data).await;
        assert_eq!(reply["type"], "ok", "{kind}: {reply}");
    }

    /// Waits for an event of that type that is as wanted; its data. Others before it are passed over.
    pub(crate) async fn event(&mut self, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let frame = self.socket.next().await;
            self.told.push(frame.clone());
            if frame["type"] == kind && wanted(&frame["data"]) {
                return frame["data"].clone();
            }
        }
    }

    /// Waits until a slot has been told to be as wanted, unless it has been already.
    pub(crate) async fn slot(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let find = |data: &Value| data["slots"].as_array().into_iter().flatten().find(|slot| wanted(slot)).cloned();
        let mut told = self.told.iter().filter(|frame| frame["type"] == "slots");
        match told.find_map(|frame| find(&frame["data"])) {
            Some(slot) => slot,
            None => {
                let told = self.event("slots", |data| find(data).is_some()).await;
                find(&told).expect("it was found before")
            }
        }
    }

    /// Waits until somebody in the call is as wanted.
    pub(crate) async fn sees(&mut self, participant: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let is_it = |data: &Value| data["participant"]["participantId"] == participant && wanted(&data["participant"]);
        self.event("call.participant", is_it).await["participant"].clone()
    }

    /// Waits until somebody has left the call; the reason.
    pub(crate) async fn sees_leave(&mut self, participant: &str) -> Value {
        let left = self.event("call.participant_left", |data| data["participantId"] == participant).await;
        left["reason"].clone()
    }

    /// Leaves the room as well as the call, and ends the connection.
    pub(crate) async fn close(mut self) {
        self.peer.close().await;
        self.socket.close().await;
    }
}

/// Two people who each hear and see the other.
pub(crate) async fn meet(one: &Caller, other: &Caller) {
    one.peer.receives(&other.peer).await;
    other.peer.receives(&one.peer).await;
}
