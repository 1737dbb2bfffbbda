//! What the `match.*` frames ask for.

use super::frames::Conversation;
use crate::domain::Refusal;
use crate::matching::Wanted;
use crate::proto::{MatchConfirm, MatchStart};

impl Conversation {
    /// The reply is told like all that follows it, so that it comes first.
    pub(super) async fn match_start(&self, start: MatchStart, id: Option<String>) -> Result<(), Refusal> {
        let MatchStart { mode, interests, language, confirm, fallback } = start;
        let wanted = Wanted { mode, interests, language, confirm, fallback };
        self.shared.matching.start(&self.session, &wanted, id).await
    }

    pub(super) async fn match_next(&self, id: Option<String>) -> Result<(), Refusal> {
        self.shared.matching.next(&self.session, id).await
    }

    pub(super) fn match_confirm(&self, MatchConfirm { match_id, accept }: &MatchConfirm) -> Result<(), Refusal> {
        self.shared.matching.confirm(&self.session, *match_id, *accept)
    }

    pub(super) fn match_stop(&self) {
        self.shared.matching.stop(&self.session);
    }
}
