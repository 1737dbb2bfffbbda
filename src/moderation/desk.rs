//! The review desk: what a moderator sees of a case, and what they do about it.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::Moderation;
use super::clerk::{key_of, sha256};
use super::health::Status;
use super::watch::Order;
use crate::auth::NewBan;
use crate::domain::ban::Ban;
use crate::domain::case::{Case, CaseFilter, CaseSource, CaseStatus, Measure, Report, Taken};
use crate::domain::deed::Logged;
use crate::domain::evidence::{Evidence, Label};
use crate::domain::{
    Action, Caller, CaseId, Deed, EvidenceId, LogEntry, LogId, Refusal, SiteRole, Standing, Time, can,
};
use crate::store::NewDecision;

/// Cases, or lines of the log, that one page has at most.
pub const LIST_LIMIT: u32 = 100;
/// For how long a case is one moderator's.
const LEASE: Duration = Duration::from_secs(5 * 60);
/// The longest ban that ends, in seconds: ten years. Whoever means longer means for good.
const LONGEST_BAN_S: u64 = 10 * 365 * 24 * 3600;
/// The longest reason, in characters.
const REASON_LIMIT: usize = 500;
/// Earlier cases, and bans, of a person that a case shows.
const HISTORY_LIMIT: u32 = 20;
/// Reports and lines of the log that a case shows.
const DETAILS_LIMIT: u32 = 200;

/// All that is known of a case.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Details {
    /// The case.
    #[serde(flatten)]
    pub case: Case,
    /// What it rests on, oldest first.
    pub evidence: Vec<Evidence>,
    /// Who reported it, oldest first.
    pub reports: Vec<Report>,
    /// What was done, oldest first.
    pub events: Vec<Logged>,
    /// What else is known of the person.
    pub history: History,
}

/// What is known of a person, beside one case.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// Since when the server knows them.
    pub first_seen_at: Option<Time>,
    /// Other cases about them, newest first.
    pub cases: Vec<Case>,
    /// Their bans, newest first, those that were lifted too.
    pub bans: Vec<Ban>,
    /// How often they were reported.
    pub reports_against: u64,
    /// How often they reported others.
    pub reports_made: u64,
}

/// What a moderator does about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub action: Measure,
    /// Why.
    pub reason: String,
    /// For how long, in seconds: for a ban that ends.
    pub duration_s: Option<u64>,
}

impl Moderation {
    /// A page of cases, what presses most first, and how many wait for a decision in all.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`, `before`), `internal`.
    pub async fn cases(
        &self,
        caller: &Caller,
        filter: CaseFilter,
        limit: u32,
        before: Option<CaseId>,
    ) -> Result<(Vec<Case>, u64), Refusal> {
        permit(caller)?;
        check_limit(limit)?;
        let store = &self.0.books.store;
        let page = store.cases(filter, limit, before, Time::now()).await?;
        let page = page.ok_or_else(|| Refusal::bad_request("before", "There is no such case to page on from."))?;
        Ok((page.into_iter().map(|case| self.seen_live(case)).collect(), store.waiting_cases().await?))
    }

    /// A case with all that is known of it.
    ///
    /// # Errors
    /// `forbidden` (also for a case about oneself), `not_found`, `internal`.
    pub async fn case(&self, caller: &Caller, id: CaseId) -> Result<Details, Refusal> {
        permit(caller)?;
        let (store, now) = (&self.0.books.store, Time::now());
        let case = self.find(id).await?;
        // It names who reported.
        not_oneself(caller, &case)?;
        let user = case.subject.user_id;
        let mut cases = store.cases_about(user, HISTORY_LIMIT + 1, now).await?;
        cases.retain(|other| other.case_id != id);
        cases.truncate(HISTORY_LIMIT as usize);
        let (reports_against, reports_made) = store.report_counts(user).await?;
        Ok(Details {
            case,
            evidence: store.evidence_of(id).await?,
            reports: store.reports_of(id, DETAILS_LIMIT).await?,
            events: store.log_of_case(id, DETAILS_LIMIT).await?,
            history: History {
                first_seen_at: store.user(user).await?.map(|person| person.known_since),
                cases: cases.into_iter().map(|case| self.seen_live(case)).collect(),
                bans: store.bans_of(user, HISTORY_LIMIT).await?,
                reports_against,
                reports_made,
            },
        })
    }

    /// Takes a case for five minutes, or keeps it for five more.
    ///
    /// # Errors
    /// `forbidden` (also for a case about oneself), `not_found`, `conflict` (somebody else has it, or it is decided), `internal`.
    pub async fn claim(&self, caller: &Caller, id: CaseId) -> Result<Case, Refusal> {
        permit(caller)?;
        let case = self.find(id).await?;
        let (store, by, now) = (&self.0.books.store, caller.user.id, Time::now());
        not_oneself(caller, &case)?;
        let entry = LogEntry::by(by, Deed::Claimed).in_case(id).about(case.subject.user_id);
        if store.claim_case(id, by, now, LEASE, &entry).await? {
            self.find(id).await
        } else {
            Err(self.taken(id).await)
        }
    }

    /// Gives a case back.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `conflict` (one does not have it), `internal`.
    pub async fn release(&self, caller: &Caller, id: CaseId) -> Result<Case, Refusal> {
        permit(caller)?;
        let case = self.find(id).await?;
        let by = caller.user.id;
        let entry = LogEntry::by(by, Deed::Released).in_case(id).about(case.subject.user_id);
        if self.0.books.store.release_case(id, by, Time::now(), &entry).await? {
            self.find(id).await
        } else {
            Err(self.taken(id).await)
        }
    }

    /// Decides a case and does what was decided.
    ///
    /// # Errors
    /// `forbidden` (also for a case about oneself or about whom one does not outrank, which one may only escalate, and for one that
    /// waits for an administrator), `bad_request` (`reason`, `durationS`), `not_found`, `conflict` (somebody else has it or has
    /// decided it), `internal`.
    pub async fn act(&self, caller: &Caller, id: CaseId, act: Act) -> Result<Case, Refusal> {
        permit(caller)?;
        let reason = act.reason.trim().to_owned();
        if !(1..=REASON_LIMIT).contains(&reason.chars().count()) || reason.contains('\0') {
            return Err(Refusal::bad_request("reason", format!("A reason has 1 to {REASON_LIMIT} characters.")));
        }
        let fits = |seconds: u64| act.action == Measure::Ban && (1..=LONGEST_BAN_S).contains(&seconds);
        if !act.duration_s.is_none_or(fits) {
            let why = format!("Only a ban has a duration, of 1 to {LONGEST_BAN_S} seconds.");
            return Err(Refusal::bad_request("durationS", why));
        }
        let case = self.find(id).await?;
        self.permit_on(caller, &case, act.action).await?;
        // To its end even if the moderator goes: what is decided is done.
        let (moderation, caller, act) = (self.clone(), caller.clone(), Act { reason, ..act });
        let acting = tokio::spawn(async move { moderation.decide(&caller, &case, act).await });
        acting.await.unwrap_or_else(|error| Err(Refusal::Internal(error.to_string())))
    }

    async fn decide(&self, caller: &Caller, case: &Case, act: Act) -> Result<Case, Refusal> {
        let (store, id, now) = (&self.0.books.store, case.case_id, Time::now());
        let decision = NewDecision {
            by: caller.user.id,
            action: act.action,
            reason: act.reason.clone(),
            duration_s: act.duration_s,
            at: now,
            escalated_too: case.status == CaseStatus::Escalated && act.action != Measure::Escalate,
        };
        let entry = LogEntry::by(caller.user.id, act.action.into())
            .in_case(id)
            .about(case.subject.user_id)
            .in_room(case.place.room_id)
            .because(act.reason.clone())
            .lasting(act.duration_s);
        if !store.decide_case(id, &decision, &entry).await? {
            return Err(self.taken(id).await);
        }
        tracing::info!(case = %id, by = %caller.user.id, action = act.action.as_str(), "a case is decided");
        // Whether it was live is told as it was when it was decided: afterwards nothing is.
        let live = self.seen_live(case.clone()).live;
        if let Err(refusal) = self.carry_out(caller, case, &act).await {
            let entry = LogEntry::by_server(Deed::Reopened).in_case(id).about(case.subject.user_id);
            store.reopen_case(id, Time::now(), &entry.because("what was decided could not be done")).await?;
            return Err(refusal);
        }
        store.applied_case(id, Time::now()).await?;
        Ok(Case { live, ..self.find(id).await? })
    }

    /// Does what was decided. What is over already needs nothing.
    async fn carry_out(&self, caller: &Caller, case: &Case, act: &Act) -> Result<(), Refusal> {
        let (user, place) = (case.subject.user_id, &case.place);
        let done = match act.action {
            Measure::Dismiss | Measure::Escalate => Ok(()),
            Measure::StopTrack => {
                self.stop_tracks(case);
                Ok(())
            }
            Measure::Remove => match place.room_id {
                Some(room) => self.0.rooms.put_out(room, user, caller.user.id, Some(act.reason.clone())).await,
                None => Ok(()),
            },
            Measure::Ban => {
                let duration = act.duration_s.map(Duration::from_secs);
                let (reason, case) = (act.reason.clone(), Some(case.case_id));
                self.0.auth.ban(caller, NewBan { user, reason, duration, case }).await.map(drop)
            }
        };
        match done {
            Ok(()) | Err(Refusal::NotFound) => {}
            Err(refusal) => return Err(refusal),
        }
        self.tell_watch(case, act.action).await?;
        Ok(())
    }

    /// Drops what the case is about: its track, or whatever the person sends from the same source there now; of a report, all
    /// pictures of the person in that room.
    fn stop_tracks(&self, case: &Case) {
        let place = &case.place;
        if let (Some(call), Some(source)) = (place.call_id, place.track_source) {
            // Also when its publisher has left meanwhile: it holds when they come back.
            self.0.rooms.stop_source(call, case.subject.user_id, source);
        }
        if case.source != CaseSource::Report {
            return;
        }
        for theirs in self.0.rooms.tracks_of(case.subject.user_id) {
            if place.room_id.is_none_or(|room| room == theirs.room) {
                self.0.rooms.stop_track(theirs.call, theirs.track);
            }
        }
    }

    async fn tell_watch(&self, case: &Case, measure: Measure) -> Result<(), Refusal> {
        let order = match (case.source, case.place.track_id) {
            (CaseSource::Report, _) if measure != Measure::Escalate => {
                let user = case.subject.user_id;
                if self.0.books.store.is_gravely_reported(user).await? {
                    // Another case keeps them from strangers.
                    return Ok(());
                }
                Order::Reported(user, false)
            }
            (CaseSource::Sampler, Some(track)) => {
                let label = case.label.as_deref().and_then(Label::parse);
                Order::Decided { track, label, measure }
            }
            (CaseSource::Unsampled, Some(track)) => Order::Decided { track, label: None, measure },
            _ => return Ok(()),
        };
        // Without a watch nothing is held.
        let _ = self.0.orders.send(order);
        Ok(())
    }

    /// A piece of evidence and its bytes. That it was looked at is in the log before anybody sees it.
    ///
    /// # Errors
    /// `forbidden` (also for evidence about oneself), `not_found`, `unavailable`, `internal` (it is not what was kept).
    pub async fn look(&self, caller: &Caller, id: EvidenceId) -> Result<(Evidence, Bytes), Refusal> {
        permit(caller)?;
        let found = self.0.books.store.evidence(id).await?.ok_or(Refusal::NotFound)?;
        if found.user == caller.user.id {
            return Err(Refusal::Forbidden { action: Action::ReviewCases });
        }
        let bytes = self.0.books.files.bytes(key_of(id)).await?;
        if sha256(&bytes) != found.evidence.sha256 {
            return Err(Refusal::Internal(format!("the evidence {id} is not what was kept")));
        }
        let entry = LogEntry::by(caller.user.id, Deed::EvidenceViewed).in_case(found.case).about(found.user).with(id);
        self.0.books.store.log(&entry).await?;
        Ok((found.evidence, bytes))
    }

    /// A page of the log, newest first.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`), `internal`.
    pub async fn log(&self, caller: &Caller, limit: u32, before: Option<LogId>) -> Result<Vec<Logged>, Refusal> {
        permit(caller)?;
        check_limit(limit)?;
        Ok(self.0.books.store.log_entries(limit, before).await?)
    }

    /// How the sampling fares, for whoever reviews.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn status_for(&self, caller: &Caller) -> Result<Status, Refusal> {
        permit(caller)?;
        Ok(self.status())
    }

    async fn find(&self, id: CaseId) -> Result<Case, Refusal> {
        let case = self.0.books.store.case(id, Time::now()).await?.ok_or(Refusal::NotFound)?;
        Ok(self.seen_live(case))
    }

    fn seen_live(&self, case: Case) -> Case {
        let (rooms, place) = (&self.0.rooms, &case.place);
        let live = match (place.call_id, place.track_id) {
            (Some(call), Some(track)) => rooms.published(call, track).is_some(),
            _ => {
                let theirs = rooms.tracks_of(case.subject.user_id);
                theirs.iter().any(|it| place.room_id.is_none_or(|room| room == it.room))
            }
        };
        Case { live, ..case }
    }

    /// Why one's claim or decision of a case was not taken.
    async fn taken(&self, id: CaseId) -> Refusal {
        match self.find(id).await {
            Ok(Case { claimed_by: Some(claim), .. }) => Refusal::CaseTaken { by: Box::new(Taken::Claimed(claim)) },
            Ok(Case { decision: Some(decision), .. }) => Refusal::CaseTaken { by: Box::new(Taken::Decided(decision)) },
            Ok(_) => Refusal::Taken("You have not taken this case, or no longer."),
            Err(refusal) => refusal,
        }
    }

    /// Nobody judges themselves, nor whom they do not outrank; but they may leave that to an administrator.
    async fn permit_on(&self, caller: &Caller, case: &Case, measure: Measure) -> Result<(), Refusal> {
        not_oneself(caller, case)?;
        if case.status == CaseStatus::Escalated && !can(caller.standing(), Action::DecideEscalated) {
            return Err(Refusal::Forbidden { action: Action::DecideEscalated });
        }
        if measure == Measure::Escalate {
            return Ok(());
        }
        let subject = self.0.books.store.user(case.subject.user_id).await?;
        let site = subject.map_or(SiteRole::Member, |person| person.user.role);
        if caller.standing().outranks(Standing::of(None, site)) {
            Ok(())
        } else {
            Err(Refusal::Forbidden { action: Action::ReviewCases })
        }
    }
}

fn permit(caller: &Caller) -> Result<(), Refusal> {
    const ACTION: Action = Action::ReviewCases;
    if can(caller.standing(), ACTION) { Ok(()) } else { Err(Refusal::Forbidden { action: ACTION }) }
}

fn not_oneself(caller: &Caller, case: &Case) -> Result<(), Refusal> {
    if case.subject.user_id == caller.user.id {
        return Err(Refusal::Forbidden { action: Action::ReviewCases });
    }
    Ok(())
}

fn check_limit(limit: u32) -> Result<(), Refusal> {
    if (1..=LIST_LIMIT).contains(&limit) {
        return Ok(());
    }
    Err(Refusal::bad_request("limit", format!("A page has 1 to {LIST_LIMIT} entries.")))
}
