//! What the frames about messages ask for.

use super::frames::Conversation;
use crate::chat::{Done, Draft, Sent};
use crate::domain::{Message, Refusal, RoomId};
use crate::proto::{EditMessage, MessageBody, SendMessage, ServerBody, ServerFrame};

impl Conversation {
    /// Writes. `None`: the event that everybody gets carries the request's id for us.
    pub(super) async fn send(&self, it: SendMessage, id: Option<String>) -> Result<Option<ServerFrame>, Refusal> {
        let SendMessage { room_id, client_id, content, reply_to, forward, expires_in_s } = it;
        let seat = self.shared.rooms.seat(&self.session, room_id)?;
        if let Some(forward) = forward {
            // Who has to wait at the door of a call reads nothing of what is said in it.
            self.shared.rooms.visit(&self.session.caller, forward.room_id).await?;
        }
        let draft = Draft { client_id, content, reply_to, forward, expires_in_s };
        Ok(match self.shared.chat.send(&seat, draft, id).await? {
            Sent::Fresh(_) => None,
            Sent::Again(message) => {
                let body = ServerBody::NewMessage(MessageBody { message: *message });
                Some(ServerFrame::new(body).in_room(room_id))
            }
        })
    }

    /// Changes a message of one's own.
    pub(super) async fn edit(&self, it: EditMessage, id: Option<String>) -> Result<Option<ServerFrame>, Refusal> {
        let EditMessage { room_id, message_id, content } = it;
        let seat = self.shared.rooms.seat(&self.session, room_id)?;
        let same = self.shared.chat.edit(&seat, message_id, content, None, id).await?;
        Ok(same.map(|message| edited(room_id, message)))
    }
}

/// To who edits again what says that already: no event, so no place in the stream.
fn edited(room: RoomId, message: Message) -> ServerFrame {
    ServerFrame::new(ServerBody::MessageEdited(MessageBody { message })).in_room(room)
}

/// To a change: nothing if it comes as an event, else `ok` to whoever waits for it.
pub(super) fn answer_to(done: Done, id: Option<String>) -> Option<ServerFrame> {
    match done {
        Done::Now => None,
        Done::Already => id.map(|id| ServerFrame::ok(Some(id))),
    }
}
