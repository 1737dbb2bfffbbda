//! What the frames of a logged-in socket ask for: one verb each, and its reply into the session's queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::access::verify;
use super::client::Client;
use super::error::body_of;
use super::scopes;
use super::writing::answer_to;
use super::ws::{PING_EVERY, code_of};
use crate::auth::Access;
use crate::domain::{Position, Refusal, Scope, Session, Time, api_key::Scopes, ring::RingAct};
use crate::hub::{Opened, Outbox};
use crate::limit::Rule;
use crate::metrics::FRAMES_IN;
use crate::proto::{
    Authenticate, Authenticated, ClientBody, ClientFrame, CloseCode, Empty, JoinRoom, ServerBody, ServerFrame,
    TokenExpiring,
};
use crate::rooms::{FoundCall, Offer};

/// How long before its end a client is asked for a new token.
const ASK_BEFORE: Duration = Duration::from_secs(60);
/// How long a socket stays open after its token's end.
const GRACE: Duration = Duration::from_secs(30);

/// A logged-in socket's side of the hub.
pub(super) struct Conversation {
    pub(super) shared: Shared,
    client: Client,
    pub(super) session: Arc<Session>,
    resume_token: String,
    token: Token,
    /// What a key is for that opened it.
    scopes: Option<Scopes>,
    /// Whether the socket is at another node: what it asks for is done here.
    pub(super) is_guest: bool,
}

/// When the access token ends, on tokio's clock.
struct Token {
    ends: Instant,
    asked: bool,
}

/// Whether the socket goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Frame,
    Over,
}

impl Token {
    fn of(access: &Access) -> Self {
        let left_ms = access.expires_at.as_ms() - Time::now().as_ms();
        Self { ends: Instant::now() + Duration::from_millis(u64::try_from(left_ms).unwrap_or(0)), asked: false }
    }
}

impl Conversation {
    /// Opens (or takes up) the session and greets the client.
    pub(super) fn open(
        shared: Shared,
        client: Client,
        access: Access,
        id: Option<String>,
        resume: Option<&str>,
    ) -> (Self, Outbox) {
        let (token, scopes) = (Token::of(&access), access.scopes);
        let Opened { session, outbox, resume_token, resumed } = shared.hub.open(access.caller, resume);
        let talk = Self { shared, client, session, resume_token, token, scopes, is_guest: false };
        talk.greet(id, resumed);
        (talk, outbox)
    }

    /// What is done here for a session of another node.
    pub(super) fn of_guest(shared: Shared, session: Arc<Session>) -> Self {
        // Its own node knows its token, and how the client came.
        let (client, token) = (Client::of_guest(&session.caller), Token { ends: Instant::now(), asked: true });
        // What a key is for was asked there.
        Self { shared, client, session, resume_token: String::new(), token, scopes: None, is_guest: true }
    }

    /// Closes the session again if its login ended while it was opened: who ended it has not found it.
    pub(super) async fn confirm(&self) {
        if let Err(refusal) = self.settle().await {
            self.reply(ServerFrame::error(None, body_of(&refusal)));
            self.close(code_of(&refusal));
        }
    }

    /// What the database says of the session's owner, before anything is asked for in their name: who is invisible is so from the
    /// first frame on.
    async fn settle(&self) -> Result<(), Refusal> {
        let role = self.shared.auth.confirm(&self.session.caller).await?;
        self.shared.hub.confirm(&self.session, role);
        let hidden = self.shared.presence.arrive(&self.session).await?;
        self.shared.rooms.hide(self.session.caller.user.id, hidden);
        self.tell_rings().await;
        Ok(())
    }

    fn greet(&self, id: Option<String>, resumed: bool) {
        let greeting = Authenticated {
            user: self.session.caller.user.clone(),
            session_id: self.session.id,
            resume_token: self.resume_token.clone(),
            resumed,
            server_time: Time::now(),
            ping_every_ms: u64::try_from(PING_EVERY.as_millis()).expect("it is seconds"),
        };
        self.reply(ServerFrame::reply(id, ServerBody::Authenticated(greeting)));
    }

    /// Puts a frame into the session's queue, behind what is there.
    pub(super) fn reply(&self, frame: ServerFrame) {
        self.shared.hub.reply(&self.session, frame);
    }

    /// Closes after what is queued. The session waits for a resume where the code lets it.
    pub(super) fn close(&self, code: CloseCode) {
        self.shared.hub.close(&self.session, code);
    }

    /// The client closed for good: no seat is kept.
    pub(super) fn end(&self) {
        self.shared.hub.end(&self.session);
    }

    /// The socket is gone; the seat waits for another.
    pub(super) fn gone(&self, outbox: &Outbox) {
        self.shared.hub.detach(outbox);
    }

    /// When [`Self::token_is_due`] wants to be asked next.
    pub(super) fn token_deadline(&self) -> Instant {
        if self.token.asked {
            self.token.ends + GRACE
        } else {
            self.token.ends.checked_sub(ASK_BEFORE).unwrap_or(self.token.ends)
        }
    }

    /// Asks for a new token, or closes when none came. Says whether the socket goes on.
    pub(super) fn token_is_due(&mut self) -> bool {
        if self.token.asked {
            self.close(CloseCode::TokenExpired);
            return false;
        }
        self.token.asked = true;
        let left = (self.token.ends + GRACE).saturating_duration_since(Instant::now());
        let grace_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        self.reply(ServerFrame::new(ServerBody::TokenExpiring(TokenExpiring { grace_ms })));
        true
    }

    /// Does what a frame asks for, to its end.
    pub(super) async fn take(&mut self, frame: ClientFrame) -> Next {
        let ClientFrame { id, body } = frame;
        // What the site says of its owner may have changed since the last one.
        self.session = self.shared.hub.current(&self.session);
        metrics::counter!(FRAMES_IN, "type" => kind(&body)).increment(1);
        let renews = matches!(body, ClientBody::Authenticate(_));
        let result = match body {
            ClientBody::Authenticate(renewal) => self.renew(renewal, id.clone()).await.map(|()| None),
            body => match self.permitted(&body).await {
                Ok(()) => self.answer_anywhere(body, id.clone()).await,
                Err(refusal) => Err(refusal),
            },
        };
        match result {
            Ok(Some(frame)) => self.reply(ServerFrame { id, ..frame }),
            Ok(None) => {}
            Err(refusal) => {
                self.reply(ServerFrame::error(id, body_of(&refusal)));
                let is_over = matches!(refusal, Refusal::TokenInvalid | Refusal::TokenReused | Refusal::Banned { .. });
                if renews && is_over {
                    self.close(code_of(&refusal));
                    return Next::Over;
                }
            }
        }
        Next::Frame
    }

    /// A new access token for the live socket. It must be the same person's.
    async fn renew(&mut self, renewal: Authenticate, id: Option<String>) -> Result<(), Refusal> {
        let access = verify(&renewal.token, &self.client, &self.shared).await?;
        if access.caller.user.id != self.session.caller.user.id {
            return Err(Refusal::TokenInvalid);
        }
        access.permit(Scope::MessagesRead)?;
        (self.token, self.scopes) = (Token::of(&access), access.scopes);
        self.session = self.shared.hub.renew(&self.session, access.caller);
        let role = self.shared.auth.confirm(&self.session.caller).await?;
        self.shared.hub.confirm(&self.session, role);
        self.session = self.shared.hub.current(&self.session);
        self.shared.rooms.renew(self.session.caller.user.id).await?;
        self.greet(id, true);
        Ok(())
    }

    /// One verb per frame. `None`: the reply comes as an event that carries the request's id, or none is due.
    pub(super) async fn answer(&self, body: ClientBody, id: Option<String>) -> Result<Option<ServerFrame>, Refusal> {
        let (rooms, chat) = (&self.shared.rooms, &self.shared.chat);
        let seat = |room| rooms.seat(&self.session, room);
        match body {
            ClientBody::Authenticate(_) => unreachable!("it is taken before"),
            ClientBody::Ping => return Ok(Some(ServerFrame::new(ServerBody::Pong(Empty {})))),
            ClientBody::JoinRoom(join) => return self.join(join, id).await.map(|()| None),
            ClientBody::LeaveRoom(it) => {
                self.shared.hub.leave(&self.session, it.room_id);
                rooms.leave(&self.session, it.room_id)?;
            }
            ClientBody::SendMessage(it) => return self.send(it, id).await,
            ClientBody::EditMessage(it) => return self.edit(it, id).await,
            ClientBody::DeleteMessage(it) => {
                return chat
                    .delete(&seat(it.room_id)?, it.message_id, id.clone())
                    .await
                    .map(|done| answer_to(done, id));
            }
            ClientBody::React(it) => {
                let done = chat.react(&seat(it.room_id)?, it.message_id, &it.emoji, it.on, id.clone()).await?;
                return Ok(answer_to(done, id));
            }
            ClientBody::Vote(it) => {
                let done = chat.vote(&seat(it.room_id)?, it.message_id, it.options, id.clone()).await?;
                return Ok(answer_to(done, id));
            }
            ClientBody::PinMessage(it) => {
                let done = chat.pin(&seat(it.room_id)?, it.message_id, it.pinned, id.clone()).await?;
                return Ok(answer_to(done, id));
            }
            ClientBody::LockThread(it) => {
                let done = chat.lock_thread(&seat(it.room_id)?, it.message_id, it.locked, id.clone()).await?;
                return Ok(answer_to(done, id));
            }
            ClientBody::Typing(it) => self.shared.reading.typing(&seat(it.room_id)?, it.typing).await?,
            ClientBody::RemoveMember(it) => {
                self.count(Rule::Request)?;
                rooms.remove_member(&seat(it.room_id)?, it.user_id, it.reason).await?;
            }
            ClientBody::SetMemberRole(it) => {
                self.count(Rule::Request)?;
                rooms.set_member_role(&seat(it.room_id)?, it.user_id, it.role).await?;
            }
            ClientBody::CallOffer(it) => {
                let offer = Offer { sdp: it.sdp, sources: it.tracks, accepts_recording: it.accept_recording };
                return rooms.offer(&seat(it.room_id)?, offer, id).await.map(|_| None);
            }
            ClientBody::CallReady(it) => {
                self.count(Rule::Request)?;
                rooms.ready(&seat(it.room_id)?)?;
            }
            ClientBody::View(it) => {
                self.count(Rule::View)?;
                rooms.view(&seat(it.room_id)?, it.tracks)?;
            }
            ClientBody::CallMute(it) => {
                self.count(Rule::Request)?;
                rooms.mute(&seat(it.room_id)?, it.track_id, it.muted)?;
            }
            ClientBody::CallMuteTrack(it) => {
                self.count(Rule::Request)?;
                rooms.mute_track(&seat(it.room_id)?, it.track_id, it.muted)?;
            }
            ref act @ (ClientBody::CallMuteAll(_)
            | ClientBody::CallDisable(_)
            | ClientBody::CallSpotlight(_)
            | ClientBody::CallLock(_)
            | ClientBody::CallWaitingRoom(_)
            | ClientBody::CallAdmit(_)
            | ClientBody::CallDeny(_)
            | ClientBody::CallRemove(_)
            | ClientBody::CallEnd(_)) => {
                self.count(Rule::Request)?;
                let (room, act) = act.host_act()?.expect("these are the hosts' frames");
                rooms.host(&seat(room)?, act).await?;
            }
            ClientBody::CallLeave(it) => rooms.leave_call(&seat(it.room_id)?)?,
            ClientBody::StartCall(it) => return self.start_call(it).await.map(Some),
            ClientBody::CallAccept(it) => self.act_on_call(&it, RingAct::Accept).await?,
            ClientBody::CallDecline(it) => self.act_on_call(&it, RingAct::Decline).await?,
            ClientBody::CallCancel(it) => self.act_on_call(&it, RingAct::Cancel).await?,
            ClientBody::MatchStart(it) => return self.match_start(it, id).await.map(|()| None),
            ClientBody::MatchNext(_) => return self.match_next(id).await.map(|()| None),
            ClientBody::MatchConfirm(it) => self.match_confirm(&it)?,
            ClientBody::MatchStop(_) => self.match_stop(),
            ClientBody::MarkRead(it) => {
                self.shared.reading.mark_read(&seat(it.room_id)?, it.message_id).await?;
            }
            ClientBody::MarkUnread(it) => {
                self.shared.reading.mark_unread(&seat(it.room_id)?, it.message_id).await?;
            }
            ClientBody::Presence(it) => {
                let hidden = self.shared.presence.show(&self.session, it.status)?;
                rooms.hide(self.session.caller.user.id, hidden);
            }
        }
        // Nobody waits for the reply to a request without a name.
        Ok(id.map(|id| ServerFrame::ok(Some(id))))
    }

    async fn join(&self, join: JoinRoom, id: Option<String>) -> Result<(), Refusal> {
        self.join_by(join, id, None).await
    }

    /// Comes into a room. `found`: its call lives on another node, which lets the session in.
    pub(super) async fn join_by(
        &self,
        join: JoinRoom,
        id: Option<String>,
        found: Option<FoundCall>,
    ) -> Result<(), Refusal> {
        let JoinRoom { room_id, epoch, offset } = join;
        let since = epoch.zip(offset).map(|(epoch, offset)| Position { epoch, offset });
        let enter = async {
            let mut entered = self.shared.rooms.enter_by(Arc::clone(&self.session), room_id, since, found).await?;
            // Not worth a refusal: the room is entered, and the client can ask.
            entered.unread = self.shared.reading.unread(room_id, self.session.caller.user.id).await.ok().flatten();
            Ok(entered)
        };
        self.shared.hub.join(&self.session, id, room_id, enter).await
    }

    /// Counts a frame, and refuses what the key is not for that opened this socket.
    async fn permitted(&self, body: &ClientBody) -> Result<(), Refusal> {
        self.count(Rule::Frame)?;
        let Some(scopes) = self.scopes else { return Ok(()) };
        match (scopes::of_frame(body), body) {
            (Some(scope), _) if !scopes.has(scope) => Err(Refusal::ScopeMissing { scope }),
            // Whoever comes into a room that is open to them belongs to it from then on.
            (_, ClientBody::JoinRoom(join)) if !scopes.has(Scope::RoomsWrite) => {
                let missing = Refusal::ScopeMissing { scope: Scope::RoomsWrite };
                match self.shared.rooms.visit(&self.session.caller, join.room_id).await {
                    Ok(seat) if seat.role.is_none() => Err(missing),
                    Err(Refusal::NotInRoom) => Err(missing),
                    // All else is for the join to say.
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn count(&self, rule: Rule) -> Result<(), Refusal> {
        self.shared.limits.check(rule, &self.session.caller)
    }
}

/// The type of a frame, for the figures.
fn kind(body: &ClientBody) -> &'static str {
    match body {
        ClientBody::Authenticate(_) => "authenticate",
        ClientBody::Ping => "ping",
        ClientBody::JoinRoom(_) => "join_room",
        ClientBody::LeaveRoom(_) => "leave_room",
        ClientBody::SendMessage(_) => "send_message",
        ClientBody::EditMessage(_) => "edit_message",
        ClientBody::DeleteMessage(_) => "delete_message",
        ClientBody::React(_) => "react",
        ClientBody::Vote(_) => "vote",
        ClientBody::PinMessage(_) => "pin_message",
        ClientBody::LockThread(_) => "lock_thread",
        ClientBody::Typing(_) => "typing",
        ClientBody::RemoveMember(_) => "remove_member",
        ClientBody::SetMemberRole(_) => "set_member_role",
        ClientBody::CallOffer(_) => "call.offer",
        ClientBody::CallReady(_) => "call.ready",
        ClientBody::View(_) => "view",
        ClientBody::CallMute(_) => "call.mute",
        ClientBody::CallMuteTrack(_) => "call.mute_track",
        ClientBody::CallLeave(_) => "call.leave",
        ClientBody::CallMuteAll(_) => "call.mute_all",
        ClientBody::CallDisable(_) => "call.disable",
        ClientBody::CallSpotlight(_) => "call.spotlight",
        ClientBody::CallLock(_) => "call.lock",
        ClientBody::CallWaitingRoom(_) => "call.waiting_room",
        ClientBody::CallAdmit(_) => "call.admit",
        ClientBody::CallDeny(_) => "call.deny",
        ClientBody::CallRemove(_) => "call.remove",
        ClientBody::CallEnd(_) => "call.end",
        ClientBody::StartCall(_) => "start_call",
        ClientBody::CallAccept(_) => "call.accept",
        ClientBody::CallDecline(_) => "call.decline",
        ClientBody::CallCancel(_) => "call.cancel",
        ClientBody::MatchStart(_) => "match.start",
        ClientBody::MatchConfirm(_) => "match.confirm",
        ClientBody::MatchNext(_) => "match.next",
        ClientBody::MatchStop(_) => "match.stop",
        ClientBody::MarkRead(_) => "mark_read",
        ClientBody::MarkUnread(_) => "mark_unread",
        ClientBody::Presence(_) => "presence",
    }
}
