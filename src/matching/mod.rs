//! Putting strangers together: searches, matches, and who does not want to meet whom.
//!
//! Whoever searches has a ticket in the [`matcher`], which is pure; the [`desk`] knows whose it is and what became of it. Everything
//! here is in memory: a server that stops ends all searches and matches, and says so to the clients.

mod blocks;
mod desk;
mod following;
pub mod matcher;
mod meeting;
mod opening;
mod skips;
mod wishes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bus::Bus;
use crate::domain::{
    Action, Caller, MatchId, Refusal, Session, Time, UserId, can,
    feature::Feature,
    matching::{MatchEnd, MatchEnded, MatchMode, MatchNews},
    peer::PeerWord,
};
use crate::limit::{Limits, Rule};
use crate::rooms::Rooms;
use crate::store::{self, Store};
use desk::{Desk, Doing, Person};
use matcher::{Bounds, Matcher, PARTNERS_FOR_MS};
use meeting::{Act, After, Phase};
use wishes::{Standing, Wishes};

pub use wishes::{INTEREST_LENGTH, INTERESTS, Wanted};

/// How long whoever finds the house full is to wait.
const CROWDED_MS: u64 = 2_000;
/// How long matches are kept on paper: as long as evidence is.
const MATCHES_KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How long the empty rooms of matches are kept: recordings and reports may still ask who was there.
const ROOMS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How strangers are put together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// For how long a search insists on language and interests, in milliseconds.
    pub strict_ms: u64,
    /// The age up to which it insists on the language.
    pub interests_ms: u64,
    /// The age at which it ends.
    pub search_ms: u64,
    /// The age at which a search ends that takes anybody.
    pub fallback_ms: u64,
    /// How long there is to accept a stranger, where one is asked.
    pub confirm_ms: u64,
    /// How long there is to come into the room of a match.
    pub come_ms: u64,
    /// People who search at once.
    pub max_searching: usize,
}

impl Default for Config {
    fn default() -> Self {
        let bounds = Bounds::default();
        Self {
            strict_ms: bounds.strict_ms,
            interests_ms: bounds.interests_ms,
            search_ms: bounds.language_ms,
            fallback_ms: bounds.fallback_ms,
            confirm_ms: 15_000,
            // A page asks for the camera before it comes, and people look for their glasses.
            come_ms: 60_000,
            max_searching: bounds.tickets,
        }
    }
}

/// Strangers. Clones share them.
#[derive(Clone)]
pub struct Matching(Arc<Inner>);

struct Inner {
    config: Config,
    store: Store,
    bus: Bus,
    rooms: Rooms,
    limits: Limits,
    started: Instant,
    desk: Mutex<Desk>,
    /// Told when there may be something to do before the next moment that was waited for.
    stirred: Notify,
}

impl Matching {
    /// Nobody searches; who met lately is known from the store.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(
        config: Config,
        store: Store,
        bus: Bus,
        rooms: Rooms,
        limits: Limits,
    ) -> Result<Self, store::Error> {
        let now = Time::now();
        store.end_lost_matches(now).await?;
        let half_an_hour_ms = PARTNERS_FOR_MS.cast_signed();
        let recent = store.recent_matches(Time::from_ms(now.as_ms() - half_an_hour_ms)).await?;
        let bounds = Bounds {
            strict_ms: config.strict_ms,
            interests_ms: config.interests_ms,
            language_ms: config.search_ms,
            fallback_ms: config.fallback_ms,
            tickets: config.max_searching,
            ..Bounds::default()
        };
        let mut matcher = Matcher::new(bounds);
        for ([one, other], at) in recent {
            let age_ms = (now.as_ms() - at.as_ms()).clamp(0, half_an_hour_ms).cast_unsigned();
            matcher.remember(one, other, PARTNERS_FOR_MS - age_ms);
        }
        let (desk, started) = (Mutex::new(Desk::new(matcher)), Instant::now());
        let stirred = Notify::new();
        Ok(Self(Arc::new(Inner { config, store, bus, rooms, limits, started, desk, stirred })))
    }

    /// Searches for a stranger, by the session's person, whose other search or match this ends. They are told, with the id of
    /// the request.
    ///
    /// # Errors
    /// `forbidden`, `feature_off`, `rate_limited`, `bad_request` (`interests`, `language`), `unavailable` (too many search), `internal`.
    pub async fn start(&self, session: &Session, wanted: &Wanted, request: Option<String>) -> Result<(), Refusal> {
        let (caller, user) = (&session.caller, user_of(session));
        self.permit(caller)?;
        if wanted.mode == MatchMode::Video {
            caller.demand(Feature::Video)?;
        }
        let wishes = Wishes::parse(wanted)?;
        let standing = self.standing(&session.caller).await?;
        let mut desk = self.desk();
        if session.is_over() {
            // Its end has been told already, and would not be told again.
            return Err(Refusal::NotFound);
        }
        let replaces = desk.people.get(&user).map(|person| (person.session == session.id, person.doing.clone()));
        if !matches!(replaces, Some((_, Doing::Searching(_)))) && !desk.matcher.has_room() {
            return Err(Refusal::Crowded { retry_after_ms: CROWDED_MS });
        }
        match replaces {
            Some((_, Doing::Meeting(id))) => {
                let same = desk.people.get(&user).is_some_and(|person| person.session == session.id);
                self.part(&mut desk, id, user, if same { Act::Stopped } else { Act::Replaced }, After::Stops);
            }
            Some((false, Doing::Searching(_))) => {
                let ended = MatchEnded { match_id: None, reason: MatchEnd::Replaced };
                self.tell(&desk, user, MatchNews::Ended(ended));
            }
            Some(_) | None => {}
        }
        desk.dismiss(user);
        let nickname = caller.user.nickname.clone();
        desk.admit(user, Person::new(session.id, nickname, wishes, standing));
        self.search(&mut desk, user, request);
        self.turn(&mut desk);
        Ok(())
    }

    /// Leaves this stranger and searches for the next one, with the same wishes. They are told, with the id of the request.
    ///
    /// # Errors
    /// `forbidden`, `rate_limited`, `not_in_match`, `unavailable` (too many search), `internal`.
    pub async fn next(&self, session: &Session, request: Option<String>) -> Result<(), Refusal> {
        let user = user_of(session);
        let meeting = self.desk().meeting_of(session).ok_or(Refusal::NotInMatch)?;
        self.permit(&session.caller)?;
        let standing = self.standing(&session.caller).await?;
        let mut desk = self.desk();
        if desk.meeting_of(session) != Some(meeting) {
            return Err(Refusal::NotInMatch);
        }
        if !desk.matcher.has_room() {
            return Err(Refusal::Crowded { retry_after_ms: CROWDED_MS });
        }
        if let Some(person) = desk.people.get_mut(&user) {
            person.standing = standing;
        }
        self.part(&mut desk, meeting, user, Act::Next, After::SearchesOn(request));
        self.turn(&mut desk);
        Ok(())
    }

    /// Ends the session's match or search; without either there is nothing to do.
    pub fn stop(&self, session: &Session) {
        let user = user_of(session);
        let mut desk = self.desk();
        match desk.doing_of(session) {
            Some(Doing::Meeting(id)) => self.part(&mut desk, id, user, Act::Stopped, After::Stops),
            Some(Doing::Searching(_) | Doing::Over(_)) => desk.dismiss(user),
            None => {}
        }
        self.turn(&mut desk);
    }

    /// Says yes or no to a stranger that was found.
    ///
    /// # Errors
    /// `not_in_match` (also when both have said yes already).
    pub fn confirm(&self, session: &Session, id: MatchId, accept: bool) -> Result<(), Refusal> {
        let user = user_of(session);
        let (mut guard, mut all_said_yes) = (self.desk(), false);
        let desk = &mut *guard;
        if desk.meeting_of(session) != Some(id) {
            return Err(Refusal::NotInMatch);
        }
        let meeting = desk.meetings.get_mut(&id).ok_or(Refusal::NotInMatch)?;
        let side = meeting.side(user);
        let Phase::Confirming { accepted } = &mut meeting.phase else { return Err(Refusal::NotInMatch) };
        if accept {
            accepted[side] = true;
            all_said_yes = *accepted == [true; 2];
        } else {
            self.part(desk, id, user, Act::Declined, After::Stops);
        }
        if all_said_yes {
            desk.set_deadline(id, None);
            if let Some(meeting) = desk.meetings.get_mut(&id) {
                meeting.phase = Phase::Preparing;
            }
            tokio::spawn(self.clone().prepare(id));
        }
        self.turn(desk);
        Ok(())
    }

    /// Somebody reported somebody else: should the two be in a match, it is over.
    pub fn reported(&self, by: UserId, target: UserId) {
        self.0.bus.tell_nodes(|| PeerWord::Apart { by, whom: target, blocked: false });
        self.part_reported(by, target);
    }

    fn part_reported(&self, by: UserId, target: UserId) {
        let mut desk = self.desk();
        if let Some(id) = desk.meeting_between(by, target) {
            self.part(&mut desk, id, by, Act::Reported, After::Stops);
            self.turn(&mut desk);
        }
    }

    /// Forgets matches that are too old.
    ///
    /// # Errors
    /// `internal`.
    pub async fn sweep(&self) -> Result<u64, Refusal> {
        let before = |kept: Duration| Time::from_ms(Time::now().as_ms() - i64::try_from(kept.as_millis()).unwrap_or(0));
        Ok(self.0.store.sweep_matches(before(MATCHES_KEPT), before(ROOMS_KEPT)).await?)
    }

    /// Permission first, then the limits.
    fn permit(&self, caller: &Caller) -> Result<(), Refusal> {
        if !can(caller.standing(), Action::MeetStrangers) {
            return Err(Refusal::Forbidden { action: Action::MeetStrangers });
        }
        caller.demand(Feature::Matching)?;
        if !self.0.limits.are_not_for(caller) {
            self.desk().skips.check(caller.user.id, self.now_ms())?;
        }
        self.0.limits.check(Rule::Match, caller)
    }

    /// What the server knows of somebody. Nothing of it comes from them.
    async fn standing(&self, caller: &Caller) -> Result<Standing, Refusal> {
        let (store, user) = (&self.0.store, caller.user.id);
        let band = store.age_band(user).await?.ok_or(Refusal::NotFound)?;
        let low_trust = store.has_low_trust(user, Time::now()).await?;
        let blocked = store.blocked_either_way(user).await?.into_iter().collect();
        Ok(Standing { band, cluster: caller.cluster.number, low_trust, blocked })
    }

    /// Milliseconds of a clock that does not go back. It begins late enough that what was half an hour ago has a time on it.
    fn now_ms(&self) -> u64 {
        PARTNERS_FOR_MS + u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX / 2)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.0.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn user_of(session: &Session) -> UserId {
    session.caller.user.id
}
