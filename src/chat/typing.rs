//! Who types. Never stored, and over after five seconds unless it is said again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::unread::Reading;
use crate::domain::{Action, Event, Fact, Origin, Refusal, RoomId, RoomKind, Seat, UserId};
use crate::limit::Rule;

/// With more people than this nobody is told who types.
const ROOM_LIMIT: u32 = 100;
/// How long a sign lives.
const LIVES: Duration = Duration::from_secs(5);
/// A sign that is said again before that is not told again.
const COALESCED: Duration = Duration::from_secs(3);
/// Signs that are remembered; beyond, those whose life is over are forgotten, and then all.
const SIGNS: usize = 16_384;

/// Who was told to type, and when that was last told.
#[derive(Default)]
pub(super) struct Typists(Mutex<HashMap<(RoomId, UserId), Instant>>);

impl Typists {
    /// Whether a sign is worth telling.
    fn is_news(&self, room: RoomId, user: UserId, typing: bool, now: Instant) -> bool {
        let mut signs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let age = signs.get(&(room, user)).map(|at| now.saturating_duration_since(*at));
        if !typing {
            signs.remove(&(room, user));
            return age.is_some_and(|age| age < LIVES);
        }
        if age.is_some_and(|age| age < COALESCED) {
            return false;
        }
        if signs.len() >= SIGNS {
            signs.retain(|_, at| now.saturating_duration_since(*at) < LIVES);
        }
        if signs.len() >= SIGNS {
            signs.clear();
        }
        signs.insert((room, user), now);
        true
    }
}

impl Reading {
    /// Shows the room that somebody types, or stopped. Nobody is told where too many are to care, and of nobody who is invisible;
    /// where people know each other, nobody between whom and them there is a block.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `internal`.
    pub async fn typing(&self, seat: &Seat, typing: bool) -> Result<(), Refusal> {
        seat.permit(Action::Type)?;
        self.0.limits.check(Rule::Typing, &seat.session.caller)?;
        let user = seat.user();
        let is_shown =
            seat.online <= ROOM_LIMIT && seat.kind != RoomKind::Live && !self.0.presence.is_invisible(user.id);
        if is_shown && self.0.typists.is_news(seat.room, user.id, typing, Instant::now()) {
            let fact = Fact::Typing { user: user.id, nickname: user.nickname.clone(), typing };
            let origin = Some(Origin { session: seat.session.id, request: None });
            let unseen_by = if is_among_acquaintances(seat.kind) {
                self.0.store.blocked_in(seat.room, user.id).await?
            } else {
                Vec::new()
            };
            self.0.bus.publish(&Event { origin, unseen_by, ..Event::ephemeral(seat.room, fact) });
        }
        Ok(())
    }
}

/// Whether people are in such a room to meet those who are members of it, and not whoever comes.
fn is_among_acquaintances(kind: RoomKind) -> bool {
    matches!(kind, RoomKind::Dm | RoomKind::GroupDm | RoomKind::Group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_told_once_while_it_lives() {
        let (typists, room, user) = (Typists::default(), RoomId::new(), UserId::new());
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        assert!(!typists.is_news(room, user, false, at(0)), "nobody typed");
        assert!(typists.is_news(room, user, true, at(0)));
        assert!(!typists.is_news(room, user, true, at(2_999)), "they are known to type");
        assert!(typists.is_news(room, user, true, at(3_000)), "the sign would end soon");
        assert!(typists.is_news(room, UserId::new(), true, at(3_000)), "somebody else");
        assert!(typists.is_news(room, user, false, at(4_000)));
        assert!(!typists.is_news(room, user, false, at(4_001)));
        assert!(typists.is_news(room, user, true, at(5_000)));
        assert!(!typists.is_news(room, user, false, at(10_000)), "the sign was over by itself");
    }

    #[test]
    fn signs_take_no_more_than_their_place() {
        let (typists, room, now) = (Typists::default(), RoomId::new(), Instant::now());
        for _ in 0..2 * SIGNS {
            typists.is_news(room, UserId::new(), true, now);
        }
        assert!(typists.0.lock().unwrap().len() <= SIGNS);
    }
}
