//! What happens without a request: time passes, sockets are lost and come back, people leave rooms.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Matching;
use super::desk::Doing;
use super::meeting::{Act, After};
use crate::domain::{SessionChange, room::LeftReason};
use crate::rooms::Leaving;

/// How often it is looked at least whether there is something to forget.
const AT_LEAST: Duration = Duration::from_secs(30);

impl Matching {
    /// Follows what becomes of sessions, and of rooms of strangers, until both channels close.
    pub async fn follow(
        self,
        mut sessions: mpsc::UnboundedReceiver<SessionChange>,
        mut leavings: mpsc::UnboundedReceiver<Leaving>,
    ) {
        loop {
            let due = self.next_due(&self.desk()).unwrap_or(AT_LEAST).min(AT_LEAST);
            tokio::select! {
                // Rooms know why somebody is gone, which the end of a session, told after it, does not say.
                biased;
                Some(leaving) = leavings.recv() => self.left(leaving),
                Some(change) = sessions.recv() => self.session_changed(change),
                () = self.0.stirred.notified() => {}
                () = sleep(due) => self.pass_time(),
                else => return,
            }
        }
    }

    fn pass_time(&self) {
        self.0.store.forget_closed_rooms();
        let (now_ms, mut desk) = (self.now_ms(), self.desk());
        while let Some(id) = desk.due(now_ms) {
            self.look_after(&mut desk, id);
        }
        self.turn(&mut desk);
    }

    fn left(&self, leaving: Leaving) {
        let mut desk = self.desk();
        let Some(id) = desk.rooms.get(&leaving.room).copied() else { return };
        let act = match leaving.reason {
            LeftReason::Left => Act::Left,
            LeftReason::Lost => Act::Lost,
            LeftReason::Removed => Act::Violation,
        };
        self.part(&mut desk, id, leaving.user, act, After::Stops);
        self.turn(&mut desk);
    }

    fn session_changed(&self, change: SessionChange) {
        let mut desk = self.desk();
        match change {
            SessionChange::Lost(session) => {
                desk.lost.insert(session);
                if let Some((_, person)) = desk.person_of(session)
                    && let Doing::Searching(ticket) = person.doing
                {
                    // Nobody is to meet somebody who is not there.
                    desk.matcher.hold(ticket);
                }
            }
            SessionChange::Resumed(session) => {
                desk.lost.remove(&session);
                let doing = desk.person_of(session).map(|(user, person)| (user, person.doing.clone()));
                match doing {
                    Some((user, Doing::Searching(ticket))) => {
                        desk.matcher.release(ticket);
                        self.tell_searching(&desk, user, None);
                    }
                    Some((user, Doing::Meeting(id))) => self.tell_found(&desk, id, user),
                    Some((user, Doing::Over(news))) => self.finish(&mut desk, user, news),
                    None => {}
                }
            }
            SessionChange::Ended(session) => {
                let act = if desk.lost.remove(&session) { Act::Lost } else { Act::Left };
                let doing = desk.person_of(session).map(|(user, person)| (user, person.doing.clone()));
                match doing {
                    Some((user, Doing::Meeting(id))) => self.part(&mut desk, id, user, act, After::Stops),
                    Some((user, Doing::Searching(_) | Doing::Over(_))) => desk.dismiss(user),
                    None => {}
                }
            }
        }
        self.turn(&mut desk);
    }
}
