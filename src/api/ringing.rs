//! Calls that ring, over the socket.

use super::frames::Conversation;
use crate::domain::{
    Notice, Refusal,
    ring::{CallRecord, RingAct},
};
use crate::limit::Rule;
use crate::proto::{OfCall, ServerBody, ServerFrame, StartCall};
use crate::rooms::Calling;

impl Conversation {
    /// What rings or goes on: who comes, or comes back, is told all of it, and knows by that what rings no more.
    pub(super) async fn tell_rings(&self) {
        let user = self.session.caller.user.id;
        match self.shared.rooms.rings_for(user).await {
            Ok(rings) => {
                for told in rings {
                    self.reply(ServerFrame::from(&Notice::to_user(user, told)));
                }
            }
            // Whoever calls hears that nobody answers.
            Err(refusal) => tracing::error!(?refusal, "somebody was not told what rings for them"),
        }
    }

    pub(super) async fn start_call(&self, start: StartCall) -> Result<ServerFrame, Refusal> {
        self.shared.limits.check(Rule::Request, &self.session.caller)?;
        let StartCall { room_id: room, kind, participants } = start;
        let record: CallRecord =
            self.shared.rooms.start_call(&self.session, Calling { room, kind, participants }).await?;
        Ok(ServerFrame::new(ServerBody::CallRing(record)))
    }

    pub(super) async fn act_on_call(&self, it: &OfCall, act: RingAct) -> Result<(), Refusal> {
        self.shared.limits.check(Rule::Request, &self.session.caller)?;
        self.shared.rooms.act_on_call(self.session.caller.user.id, it.call_id, act).await
    }
}
