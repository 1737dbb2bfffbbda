//! Two who have found each other: until both have accepted, while they are together, and how it ends.

use tokio::task::JoinHandle;

use super::desk::{Desk, Doing};
use super::skips::SKIP_MS;
use super::{Matching, Refusal};
use crate::domain::{
    CallId, MatchId, RoomId, Time, UserId,
    matching::{MatchEnd, MatchEnded, MatchFound, MatchMode, MatchNews, Stranger},
};
use crate::store::{self, Ending};

/// A match.
pub(super) struct Meeting {
    pub(super) users: [UserId; 2],
    pub(super) mode: MatchMode,
    pub(super) shared: Vec<String>,
    /// When the two were told of each other, or of their room.
    pub(super) found_ms: u64,
    pub(super) phase: Phase,
    /// When it is looked whether both have accepted, or have come; its key in the desk's list.
    pub(super) deadline_ms: Option<u64>,
}

pub(super) enum Phase {
    /// At least one of them wants to be asked.
    Confirming { accepted: [bool; 2] },
    /// Both have accepted; their room is being made.
    Preparing,
    /// They are together.
    Together { room: RoomId, call: CallId, started_at: Time },
}

/// What somebody does that ends their match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Next,
    Stopped,
    /// Left the room, or closed the page.
    Left,
    /// Was away for too long.
    Lost,
    /// Did not come into the room.
    Absent,
    Replaced,
    Blocked,
    Reported,
    /// A moderator did it to them.
    Violation,
    Declined,
    /// Did not answer in time.
    Silent,
}

/// What somebody does after it.
pub(super) enum After {
    Stops,
    /// Told with the id of that request.
    SearchesOn(Option<String>),
}

impl Act {
    /// As the one is told who did it.
    fn own(self) -> MatchEnd {
        match self {
            Act::Next => MatchEnd::Next,
            Act::Stopped | Act::Left | Act::Lost => MatchEnd::Stopped,
            Act::Replaced => MatchEnd::Replaced,
            Act::Blocked => MatchEnd::Blocked,
            Act::Reported => MatchEnd::Reported,
            Act::Violation => MatchEnd::Violation,
            Act::Declined => MatchEnd::Declined,
            Act::Silent | Act::Absent => MatchEnd::Unconfirmed,
        }
    }

    /// As the other one is told. A block or a report is nobody's business but the moderators'.
    fn others(self) -> MatchEnd {
        match self {
            Act::Next => MatchEnd::PartnerNext,
            Act::Stopped | Act::Left | Act::Replaced | Act::Blocked | Act::Reported => MatchEnd::PartnerLeft,
            Act::Lost | Act::Absent => MatchEnd::PartnerLost,
            Act::Violation => MatchEnd::Violation,
            Act::Declined => MatchEnd::Declined,
            Act::Silent => MatchEnd::Unconfirmed,
        }
    }

    /// As the other one is told who waits for an answer: that there is none is all that it means.
    fn others_in_doubt(self) -> MatchEnd {
        match self {
            Act::Lost | Act::Silent => MatchEnd::Unconfirmed,
            _ => MatchEnd::Declined,
        }
    }

    /// Whether it passes over a stranger, if it comes soon.
    fn may_skip(self) -> bool {
        matches!(self, Act::Next | Act::Stopped | Act::Left | Act::Declined | Act::Replaced)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Act::Next => "next",
            Act::Stopped => "stopped",
            Act::Left => "left",
            Act::Lost => "lost",
            Act::Absent => "absent",
            Act::Replaced => "replaced",
            Act::Blocked => "blocked",
            Act::Reported => "reported",
            Act::Violation => "violation",
            Act::Declined => "declined",
            Act::Silent => "silent",
        }
    }
}

impl Meeting {
    pub(super) fn side(&self, user: UserId) -> usize {
        usize::from(self.users[0] != user)
    }

    pub(super) fn other(&self, user: UserId) -> UserId {
        self.users[1 - self.side(user)]
    }

    /// What is kept of it, once they are together.
    pub(super) fn record(&self, id: MatchId) -> Option<store::Meeting> {
        let Phase::Together { room, started_at, .. } = self.phase else { return None };
        Some(store::Meeting { id, mode: self.mode, users: self.users, room, started_at })
    }
}

impl Matching {
    /// Somebody ends their match. Whoever had not yet been answered searches on.
    pub(super) fn part(&self, desk: &mut Desk, id: MatchId, user: UserId, act: Act, after: After) {
        let Some(meeting) = desk.meetings.get(&id) else { return };
        let other = meeting.other(user);
        if act.may_skip() && self.now_ms() - meeting.found_ms < SKIP_MS {
            desk.skips.count(user, self.now_ms());
        }
        let (reason, then) = match meeting.phase {
            Phase::Together { .. } => (act.others(), After::Stops),
            Phase::Confirming { .. } | Phase::Preparing => (act.others_in_doubt(), After::SearchesOn(None)),
        };
        self.end(desk, id, [(user, act.own(), after), (other, reason, then)], act, Some(user));
    }

    /// Ends a match: both are told once, nobody is in its room any more, and it is kept on paper.
    pub(super) fn end(
        &self,
        desk: &mut Desk,
        id: MatchId,
        ends: [(UserId, MatchEnd, After); 2],
        act: Act,
        by: Option<UserId>,
    ) {
        desk.set_deadline(id, None);
        let Some(meeting) = desk.meetings.remove(&id) else { return };
        for (user, reason, after) in ends {
            let ended = MatchNews::Ended(MatchEnded { match_id: Some(id), reason });
            match after {
                After::Stops => self.finish(desk, user, ended),
                After::SearchesOn(request) => {
                    self.tell(desk, user, ended);
                    self.search(desk, user, request);
                }
            }
        }
        if let Phase::Together { room, call, .. } = meeting.phase {
            desk.rooms.remove(&room);
            self.0.rooms.close_match(room, call, meeting.users);
        }
        if let Some(record) = meeting.record(id) {
            let ending = Ending { at: Time::now(), reason: act.as_str(), by };
            let store = self.0.store.clone();
            keep(async move { store.end_match(&record, ending).await });
        }
    }

    /// The time to accept is over, or to come.
    pub(super) fn look_after(&self, desk: &mut Desk, id: MatchId) {
        let Some(meeting) = desk.meetings.get(&id) else { return };
        let users = meeting.users;
        match meeting.phase {
            Phase::Confirming { accepted } => {
                let end = |side: usize| {
                    let after = if accepted[side] { After::SearchesOn(None) } else { After::Stops };
                    (users[side], MatchEnd::Unconfirmed, after)
                };
                self.end(desk, id, [end(0), end(1)], Act::Silent, None);
            }
            Phase::Preparing => {}
            Phase::Together { room, .. } => {
                let came = users.map(|user| self.0.rooms.is_in(room, user));
                let end = |side: usize| {
                    let reason = if came[side] { Act::Absent.others() } else { Act::Absent.own() };
                    (users[side], reason, After::Stops)
                };
                if came != [true, true] {
                    self.end(desk, id, [end(0), end(1)], Act::Absent, None);
                }
            }
        }
    }

    /// Tells somebody of the stranger that was found for them, as it is now.
    pub(super) fn tell_found(&self, desk: &Desk, id: MatchId, user: UserId) {
        let Some(meeting) = desk.meetings.get(&id) else { return };
        let other = meeting.other(user);
        let Some(nickname) = desk.people.get(&other).map(|person| person.nickname.clone()) else { return };
        let (room_id, call_id, confirm_within_ms) = match meeting.phase {
            Phase::Confirming { .. } => {
                let until_ms = meeting.deadline_ms.unwrap_or_default();
                (None, None, Some(until_ms.saturating_sub(self.now_ms())))
            }
            // Nothing is left to do for them; it is a matter of moments.
            Phase::Preparing => (None, None, Some(self.0.config.confirm_ms)),
            Phase::Together { room, call, .. } => (Some(room), Some(call), None),
        };
        let found = MatchFound {
            match_id: id,
            mode: meeting.mode,
            partner: Stranger { user_id: other, nickname },
            shared_interests: meeting.shared.clone(),
            room_id,
            call_id,
            confirm_within_ms,
        };
        self.tell(desk, user, MatchNews::Found(found));
    }

    /// Puts two together whose tickets are gone; both are told.
    pub(super) fn introduce(&self, desk: &mut Desk, id: MatchId, meeting: Meeting) {
        let users = meeting.users;
        for user in users {
            if let Some(person) = desk.people.get_mut(&user) {
                person.doing = Doing::Meeting(id);
            }
        }
        let room = match meeting.phase {
            Phase::Together { room, .. } => Some(room),
            Phase::Confirming { .. } | Phase::Preparing => None,
        };
        desk.meetings.insert(id, meeting);
        match room {
            Some(room) => self.together(desk, id, room),
            None => desk.set_deadline(id, Some(self.now_ms() + self.0.config.confirm_ms)),
        }
        for user in users {
            self.tell_found(desk, id, user);
        }
    }

    /// Two have their room from now on.
    pub(super) fn together(&self, desk: &mut Desk, id: MatchId, room: RoomId) {
        desk.rooms.insert(room, id);
        desk.set_deadline(id, Some(self.now_ms() + self.0.config.come_ms));
        if let Some(record) = desk.meetings.get(&id).and_then(|meeting| meeting.record(id)) {
            let store = self.0.store.clone();
            keep(async move { store.begin_match(&record).await });
        }
    }
}

/// Writes something down that nobody waits for.
fn keep(writing: impl Future<Output = Result<(), store::Error>> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        if let Err(error) = writing.await {
            let refusal = Refusal::from(error);
            tracing::warn!(?refusal, "a match could not be written down");
        }
    })
}
