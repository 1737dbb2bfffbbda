//! What is done on other nodes for whoever is connected here, and here for whoever is connected there.

use serde_json::Value;

use super::error::body_of;
use super::frames::Conversation;
use crate::domain::{
    NodeId, Refusal, RoomId,
    peer::{Errand, Outcome, Visitor},
};
use crate::nodes::{Home, Neighbours, Trip};
use crate::proto::{ClientBody, ClientFrame, Empty, JoinRoom, ServerFrame};
use crate::rooms::FoundCall;

/// When whoever asked the wrong node is to ask again, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Where a frame is answered.
enum Way {
    Here,
    /// On another node; in that room's call.
    To(NodeId, Option<RoomId>),
}

impl Conversation {
    /// Answers a frame, or has it answered by the node where what it is about lives.
    pub(super) async fn answer_anywhere(
        &self,
        body: ClientBody,
        id: Option<String>,
    ) -> Result<Option<ServerFrame>, Refusal> {
        let Some(neighbours) = self.shared.neighbours.clone().filter(|_| !self.is_guest) else {
            return self.answer(body, id).await;
        };
        if let ClientBody::JoinRoom(join) = body {
            return self.join_anywhere(&neighbours, join, id).await;
        }
        match self.way_of(&neighbours, &body).await? {
            Way::Here => self.answer(body, id).await,
            Way::To(node, call_of) => {
                self.forward(&neighbours, node, call_of, &body, id.as_deref()).await.map(|()| None)
            }
        }
    }

    async fn way_of(&self, neighbours: &Neighbours, body: &ClientBody) -> Result<Way, Refusal> {
        let session = self.session.id;
        match body {
            ClientBody::CallOffer(it) => self.way_to_call(neighbours, it.room_id).await,
            ClientBody::CallMuteTrack(it) => self.way_to_call(neighbours, it.room_id).await,
            ClientBody::CallMuteAll(_)
            | ClientBody::CallDisable(_)
            | ClientBody::CallSpotlight(_)
            | ClientBody::CallLock(_)
            | ClientBody::CallWaitingRoom(_)
            | ClientBody::CallAdmit(_)
            | ClientBody::CallDeny(_)
            | ClientBody::CallRemove(_)
            | ClientBody::CallEnd(_) => match body.host_act()? {
                Some((room, _)) => self.way_to_call(neighbours, room).await,
                None => Ok(Way::Here),
            },
            ClientBody::LeaveRoom(it) => Ok(match neighbours.come_back(session, it.room_id) {
                Some(Trip::Room(node)) => Way::To(node, None),
                // It waits there at the door.
                Some(Trip::Call(node)) if self.shared.rooms.seat(&self.session, it.room_id).is_err() => {
                    Way::To(node, None)
                }
                Some(Trip::Call(node)) => {
                    // The seat there goes with the one here, whether the other node answers or not.
                    neighbours.send_off(node, self.errand(None, body, None));
                    Way::Here
                }
                None => Way::Here,
            }),
            ClientBody::MatchStart(_) => self.way_to_matcher(neighbours).await,
            ClientBody::MatchNext(_) | ClientBody::MatchConfirm(_) | ClientBody::MatchStop(_) => {
                Ok(neighbours.matcher_of(session).map_or(Way::Here, |node| Way::To(node, None)))
            }
            _ => Ok(self.way_of_trip(neighbours, body)),
        }
    }

    /// The way to where strangers are put together. A search where they were before is over: nobody is to be found twice.
    async fn way_to_matcher(&self, neighbours: &Neighbours) -> Result<Way, Refusal> {
        let (session, before) = (self.session.id, neighbours.matcher_of(self.session.id));
        let home = neighbours.claim_matcher().await?;
        match (before, home) {
            (Some(before), home) if home != Home::At(before) => {
                neighbours.send_off(before, self.errand(None, &ClientBody::MatchStop(Empty {}), None));
            }
            (None, Home::At(_)) => self.shared.matching.stop(&self.session),
            _ => {}
        }
        match home {
            Home::At(node) => {
                neighbours.set_matcher_of(session, Some(node));
                Ok(Way::To(node, None))
            }
            Home::Here => {
                neighbours.set_matcher_of(session, None);
                Ok(Way::Here)
            }
        }
    }

    /// The way of a frame about a room in which the session may have a part elsewhere.
    fn way_of_trip(&self, neighbours: &Neighbours, body: &ClientBody) -> Way {
        if !neighbours.travels(self.session.id) {
            return Way::Here;
        }
        let Some(room) = room_of(body) else { return Way::Here };
        let of_call = matches!(
            body,
            ClientBody::CallReady(_) | ClientBody::View(_) | ClientBody::CallMute(_) | ClientBody::CallLeave(_)
        );
        match neighbours.trip(self.session.id, room) {
            Some(Trip::Room(node)) => Way::To(node, None),
            // Who is not in the room waits at its door, and nothing but the door brings them in.
            Some(Trip::Call(node)) if of_call && self.shared.rooms.seat(&self.session, room).is_ok() => {
                Way::To(node, Some(room))
            }
            Some(Trip::Call(_)) | None => Way::Here,
        }
    }

    /// The way to a room's call, which lives here from now on if it lives nowhere.
    async fn way_to_call(&self, neighbours: &Neighbours, room: RoomId) -> Result<Way, Refusal> {
        let session = self.session.id;
        if let Some(Trip::Room(node)) = neighbours.trip(session, room) {
            return Ok(Way::To(node, None));
        }
        if !self.shared.rooms.seat(&self.session, room)?.kind.has_calls() {
            return Ok(Way::Here);
        }
        match neighbours.claim_call(room).await? {
            Home::Here => {
                neighbours.come_back(session, room);
                Ok(Way::Here)
            }
            Home::At(node) => {
                neighbours.set_out(session, room, Trip::Call(node));
                Ok(Way::To(node, Some(room)))
            }
        }
    }

    async fn join_anywhere(
        &self,
        neighbours: &Neighbours,
        join: JoinRoom,
        id: Option<String>,
    ) -> Result<Option<ServerFrame>, Refusal> {
        let room = join.room_id;
        if let Home::At(node) = neighbours.home_of_stream(room).await? {
            neighbours.set_out(self.session.id, room, Trip::Room(node));
            let body = ClientBody::JoinRoom(join);
            return self.forward(neighbours, node, None, &body, id.as_deref()).await.map(|()| None);
        }
        let known = neighbours.home_of_call(room).await?;
        if let Home::At(node) = known {
            return self.join_through(neighbours, node, join, id).await;
        }
        match self.join_by(join.clone(), id.clone(), None).await {
            // Hosts hear of whoever waits from the one node where the call lives.
            Err(Refusal::Waiting) => match neighbours.claim_call(room).await? {
                Home::At(node) => self.join_through(neighbours, node, join, id).await,
                Home::Here => Err(Refusal::Waiting),
            },
            done => done.map(|()| None),
        }
    }

    /// Comes into a room whose call lives on another node, if that lets the session in.
    async fn join_through(
        &self,
        neighbours: &Neighbours,
        node: NodeId,
        join: JoinRoom,
        id: Option<String>,
    ) -> Result<Option<ServerFrame>, Refusal> {
        let (room, session) = (join.room_id, self.session.id);
        let knock = Errand::Knock { visitor: self.visitor(), room, request: id.clone() };
        neighbours.set_out(session, room, Trip::Call(node));
        let found = match neighbours.send(node, knock).await {
            Ok(Outcome::Open { call, then }) => Some(FoundCall { call: *call, then }),
            // They have been told why not.
            Ok(Outcome::Done) => return Ok(None),
            // What is written there goes on without the call.
            Ok(_) | Err(_) => None,
        };
        self.join_by(join, id, found).await.map(|()| None)
    }

    async fn forward(
        &self,
        neighbours: &Neighbours,
        node: NodeId,
        call_of: Option<RoomId>,
        body: &ClientBody,
        id: Option<&str>,
    ) -> Result<(), Refusal> {
        match neighbours.send(node, self.errand(call_of, body, id)).await? {
            Outcome::Done => Ok(()),
            _ => Err(Refusal::NodeUnavailable { retry_after_ms: AGAIN_MS }),
        }
    }

    fn errand(&self, call_of: Option<RoomId>, body: &ClientBody, id: Option<&str>) -> Errand {
        let mut frame = serde_json::to_value(body).expect("frames have string keys");
        if let Some(id) = id {
            frame["id"] = id.into();
        }
        Errand::Frame { visitor: self.visitor(), call_of, text: frame.to_string() }
    }

    fn visitor(&self) -> Visitor {
        Visitor { session: self.session.id, caller: self.session.caller.clone() }
    }

    /// Does what a frame of a guest asks for.
    pub(super) async fn take_of_guest(
        mut self,
        neighbours: &Neighbours,
        call_of: Option<RoomId>,
        text: &str,
    ) -> Outcome {
        let frame = match ClientFrame::parse(text, true) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::warn!(?error, "a frame that another node has read cannot be read here");
                return Outcome::Elsewhere;
            }
        };
        if let Some(room) = call_of {
            let seated = match neighbours.has_call(room).await {
                Ok(true) => self.shared.rooms.seat_guest(&self.session, room).await,
                Ok(false) => return Outcome::Elsewhere,
                Err(refusal) => Err(refusal),
            };
            if let Err(refusal) = seated {
                self.reply(ServerFrame::error(frame.id, body_of(&refusal)));
                return Outcome::Done;
            }
        }
        self.take(frame).await;
        Outcome::Done
    }

    /// Lets a guest into a room whose call lives here, or tells them why not.
    pub(super) async fn open_to_guest(self, room: RoomId, request: Option<String>) -> Outcome {
        match self.shared.rooms.open_call_to(&self.session, room).await {
            Ok(FoundCall { call, then }) => Outcome::Open { call: Box::new(call), then },
            Err(refusal) => {
                self.reply(ServerFrame::error(request, body_of(&refusal)));
                Outcome::Done
            }
        }
    }
}

/// The room that a frame is about.
fn room_of(body: &ClientBody) -> Option<RoomId> {
    let frame = serde_json::to_value(body).ok()?;
    frame.get("data")?.get("roomId").and_then(Value::as_str)?.parse().ok()
}
