//! Writing in direct rooms: what a block and an unanswered request let through, and who hears of it wherever they are.

use std::collections::HashSet;

use super::Chat;
use crate::domain::{
    Message, Notice, Refusal, RoomKind, Seat, Told,
    direct::{DirectMessage, DirectStanding, REQUEST_MESSAGES},
};

impl Chat {
    /// Whether somebody may write this into a direct room now. `is_plain`: it is text and nothing else.
    ///
    /// # Errors
    /// `not_found` (a block stands between the two), `request_pending` (nobody else has accepted yet), `internal`.
    pub(super) async fn permit_direct(&self, seat: &Seat, client_id: &str, is_plain: bool) -> Result<(), Refusal> {
        let (store, user) = (&self.0.store, seat.user().id);
        self.check_pair(seat).await?;
        if store.is_request_of(seat.room, user).await? {
            let pending = Refusal::RequestPending { limit: REQUEST_MESSAGES };
            // What was sent before may be sent again: it is the same message.
            let written = store.count_messages_of(seat.room, user, client_id, REQUEST_MESSAGES).await?;
            if !is_plain || written >= REQUEST_MESSAGES {
                return Err(pending);
            }
        }
        Ok(())
    }

    /// Refuses (`not_found`) what reaches the other one of two between whom a block stands.
    pub(super) async fn check_pair(&self, seat: &Seat) -> Result<(), Refusal> {
        if seat.kind != RoomKind::Dm {
            return Ok(());
        }
        let (store, user) = (&self.0.store, seat.user().id);
        for (person, _) in store.direct_people(seat.room).await? {
            if person.user_id != user && store.are_blocked(user, person.user_id).await? {
                return Err(Refusal::NotFound);
            }
        }
        Ok(())
    }

    /// Tells all whom a direct message concerns, on all their devices: the room need not be open there. It is for a badge; the message
    /// itself comes by the room's stream, and whoever has no socket now finds it in the list.
    pub(super) async fn tell_direct(&self, seat: &Seat, message: &Message) {
        let store = &self.0.store;
        let concerned = async {
            let blocked: HashSet<_> = store.blocked_either_way(seat.user().id).await?.into_iter().collect();
            Ok::<_, Refusal>((store.direct_people(seat.room).await?, blocked))
        };
        let (people, blocked) = match concerned.await {
            Ok(found) => found,
            // The message stands.
            Err(refusal) => return tracing::error!(?refusal, "nobody was told of a direct message"),
        };
        for (person, standing) in people {
            if standing == DirectStanding::Declined || blocked.contains(&person.user_id) {
                continue;
            }
            let told = DirectMessage {
                room_id: seat.room,
                kind: seat.kind,
                request: standing == DirectStanding::Pending,
                message: message.clone(),
            };
            self.0.bus.notify(&Notice::to_user(person.user_id, Told::DirectMessage(Box::new(told))));
        }
    }
}
