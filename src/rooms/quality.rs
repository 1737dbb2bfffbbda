//! How good the lines of a call are: who is told of it, and what is remembered for the call's life.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::{Duration, Instant};

use super::{Rooms, lobby::Lobby};
use crate::domain::{
    Action, CallId, Caller, Event, Fact, ParticipantId, Refusal, Standing, Time, UserId, can,
    quality::{Flow, History, Line, Point, Rated, Report},
};
use crate::metrics::{
    CALL_JITTER_SECONDS, CALL_LOSS_RATIO, CALL_QUALITY_CHANGES, CALL_QUALITY_SCORE, CALL_RTT_SECONDS,
};

/// What has changed is told this often, all of it at once.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(1);
/// In calls of more participants than this, each is told of their own line and hosts of all: else what is said would grow with the
/// square of the call.
const TOLD_TO_ALL: usize = 50;
/// Changes of one call that are told at once; the others wait for the next time.
const MOST_TOLD: usize = 200;
/// The media side reports so often, in seconds, and a point stands for so long at first.
const REPORTED_EVERY_S: u32 = 10;
/// Points of one participant: 42 minutes of ten seconds each, 85 of twenty, and so on. A point has about 40 bytes.
const MOST_EACH: usize = 256;
/// Points of one call. Where many take part, each of them has fewer: of 4,096 people 8 each.
const MOST_POINTS: usize = 32_768;
/// Participants of one call that are remembered. For one more, somebody is forgotten who has left, or who only watches when the one
/// more publishes; else the one more is not remembered.
const MOST_PEOPLE: usize = 4_096;
/// Who was not reported for this long has left: three reports.
const GONE: Duration = Duration::from_secs(30);
/// Where nobody could be forgotten it is not tried again for somebody who only watches before this: it means looking at all.
const CROWDED: Duration = Duration::from_secs(10);
/// What is remembered of a call goes this long after the last report of anybody in it: with the call's life.
const KEPT: Duration = Duration::from_secs(600);
/// Calls that are remembered. For one more, the oldest of them is forgotten.
const MOST_CALLS: usize = 10_000;
/// How often it is looked for what may be forgotten.
const SWEPT_EVERY: Duration = Duration::from_secs(60);

/// What is known of all calls' lines.
#[derive(Default)]
pub(super) struct Qualities {
    calls: HashMap<CallId, Course>,
    /// Whose line is another than they were told.
    changed: HashMap<CallId, Changed>,
    swept: Option<Instant>,
}

/// Those of one call whose line is another than they were told.
#[derive(Default)]
struct Changed {
    who: BTreeSet<ParticipantId>,
    /// Who was told last: the next time goes on behind.
    last: Option<ParticipantId>,
}

/// Who is reported.
#[derive(Clone, Copy)]
struct Reported<'a> {
    participant: ParticipantId,
    user: UserId,
    nickname: &'a str,
    /// The others see it: not one of an audience.
    listed: bool,
}

/// What is remembered of one call.
struct Course {
    people: HashMap<ParticipantId, Trace>,
    /// How many were ever measured.
    measured: u64,
    reported: Instant,
    /// Until then nobody can be forgotten.
    crowded: Option<Instant>,
}

/// What is remembered of one participant.
struct Trace {
    user: UserId,
    nickname: String,
    /// Which one this is of all that were measured in the call.
    number: u64,
    listed: bool,
    reported: Instant,
    points: Vec<Point>,
    /// Reports for each point.
    step: u32,
    /// What the next point is made of, and how many regular reports are in it.
    gathered: Option<(Point, u32)>,
    /// Whether the last report was a regular one: the next one begins a stretch of its own.
    begins: bool,
}

impl Qualities {
    fn note(&mut self, call: CallId, who: Reported<'_>, report: &Report, at: Time, now: Instant) {
        if self.calls.len() >= MOST_CALLS && !self.calls.contains_key(&call) {
            let oldest = self.calls.iter().min_by_key(|(_, course)| course.reported).map(|(call, _)| *call);
            oldest.and_then(|oldest| self.calls.remove(&oldest));
        }
        let begin = || Course { people: HashMap::new(), measured: 0, reported: now, crowded: None };
        self.calls.entry(call).or_insert_with(begin).note(who, report, at, now);
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEPT_EVERY) {
            self.swept = Some(now);
            self.calls.retain(|_, course| !course.is_over(now));
        }
    }

    /// Those whose line has changed, by call; as many of each as are told at once.
    fn take_changed(&mut self) -> Vec<(CallId, Vec<ParticipantId>)> {
        let mut taken = Vec::with_capacity(self.changed.len());
        for (call, changed) in &mut self.changed {
            taken.push((*call, changed.take(MOST_TOLD)));
        }
        self.changed.retain(|_, changed| !changed.who.is_empty());
        taken
    }

    /// What is remembered of a call, of those that `may` be seen and from `since` on.
    fn history(&self, call: CallId, since: Option<Time>, may: impl Fn(ParticipantId, UserId) -> bool) -> Vec<Line> {
        let course = self.calls.get(&call).filter(|course| !course.is_over(Instant::now()));
        let people = course.into_iter().flat_map(|course| &course.people);
        let mut seen: Vec<_> = people.filter(|(participant, trace)| may(**participant, trace.user)).collect();
        seen.sort_by_key(|(_, trace)| trace.number);
        seen.into_iter().map(|(participant, trace)| trace.line(*participant, since)).collect()
    }
}

impl Changed {
    /// As many as `most`, each in its turn.
    fn take(&mut self, most: usize) -> Vec<ParticipantId> {
        let behind = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let turn = self.who.range((behind, Bound::Unbounded));
        let again = self.last.into_iter().flat_map(|last| self.who.range(..=last));
        let taken: Vec<ParticipantId> = turn.chain(again).copied().take(most).collect();
        for participant in &taken {
            self.who.remove(participant);
        }
        self.last = taken.last().copied();
        taken
    }
}

impl Course {
    fn note(&mut self, who: Reported<'_>, report: &Report, at: Time, now: Instant) {
        self.reported = now;
        let Reported { participant, user, nickname, listed } = who;
        let full = self.people.len() >= MOST_PEOPLE && !self.people.contains_key(&participant);
        if full && !self.make_room(listed, now) {
            return;
        }
        let most = (MOST_POINTS / (self.people.len() + 1)).min(MOST_EACH);
        let measured = &mut self.measured;
        let trace = self.people.entry(participant).or_insert_with(|| {
            *measured += 1;
            Trace {
                user,
                nickname: nickname.to_owned(),
                number: *measured,
                listed,
                reported: now,
                points: Vec::new(),
                step: 1,
                gathered: None,
                begins: false,
            }
        });
        (trace.reported, trace.listed) = (now, listed);
        trace.note(report, at, most);
    }

    /// Forgets somebody for one more. False: everybody is there, and nobody matters less.
    fn make_room(&mut self, listed: bool, now: Instant) -> bool {
        if !listed && self.crowded.is_some_and(|until| now < until) {
            return false;
        }
        let may_go = |trace: &Trace| {
            let gone = now.saturating_duration_since(trace.reported) >= GONE;
            if listed { gone || !trace.listed } else { gone && !trace.listed }
        };
        let people = self.people.iter().filter(|(_, trace)| may_go(trace));
        let oldest = people.min_by_key(|(_, trace)| trace.reported).map(|(who, _)| *who);
        self.crowded = if oldest.is_none() { Some(now + CROWDED) } else { None };
        oldest.and_then(|oldest| self.people.remove(&oldest)).is_some()
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.reported) >= KEPT
    }
}

impl Trace {
    fn note(&mut self, report: &Report, at: Time, most: usize) {
        let point = Point::new(at, report);
        let (gathered, reports) = match self.gathered.take() {
            Some((before, reports)) if self.begins => (before.and(point), reports),
            Some((before, reports)) => (before.or_worse(point), reports),
            None => (point, 0),
        };
        self.begins = report.regular;
        let reports = reports + u32::from(report.regular);
        if reports < self.step {
            self.gathered = Some((gathered, reports));
        } else {
            self.points.push(gathered);
        }
        while self.points.len() > most.max(1) {
            let pairs = self.points.chunks(2).map(|pair| pair.iter().copied().reduce(Point::and));
            self.points = pairs.flatten().collect();
            self.step = self.step.saturating_mul(2);
        }
    }

    fn line(&self, participant: ParticipantId, since: Option<Time>) -> Line {
        let points = self.points.iter().copied().chain(self.gathered.map(|(point, _)| point));
        Line {
            participant_id: participant,
            user_id: self.user,
            nickname: self.nickname.clone(),
            every_s: self.step.saturating_mul(REPORTED_EVERY_S),
            points: points.filter(|point| since.is_none_or(|since| point.at > since)).collect(),
        }
    }
}

impl Rooms {
    /// Takes note of what the media side says of somebody's line.
    pub(super) fn quality_reported(
        &self,
        lobby: &mut Lobby,
        call: CallId,
        participant: ParticipantId,
        report: &Report,
    ) {
        let Some(id) = lobby.calls.get(&call) else { return };
        let Some(room) = lobby.rooms.get_mut(id) else { return };
        let Some(joined) = room.call.of_participant(participant) else { return };
        let listed = joined.is_listed();
        let known = &mut joined.participant;
        if known.quality.replace(report.quality) != Some(report.quality) {
            lobby.qualities.changed.entry(call).or_default().who.insert(participant);
            let (level, reason) = (report.quality.level, report.quality.reason);
            let reason = reason.map_or("none", |reason| reason.as_str());
            metrics::counter!(CALL_QUALITY_CHANGES, "level" => level.as_str(), "reason" => reason).increment(1);
        }
        let who = Reported { participant, user: known.user_id, nickname: &known.nickname, listed };
        lobby.qualities.note(call, who, report, Time::now(), Instant::now());
        if report.regular {
            measure(report);
        }
    }

    /// Tells what has changed since the last time, and forgets what is over.
    pub(super) fn tell_quality(&self) {
        let mut lobby = self.lobby();
        for (call, changed) in lobby.qualities.take_changed() {
            let Some((id, room)) = lobby.room_of_call(call) else { continue };
            let to_all = room.call.joined.len() <= TOLD_TO_ALL;
            let mut listed = Vec::with_capacity(changed.len());
            for participant_id in changed {
                let Some(joined) = room.call.of_participant(participant_id) else { continue };
                let Some(quality) = joined.participant.quality else { continue };
                let rated = Rated { participant_id, quality };
                if joined.is_listed() {
                    listed.push(rated);
                }
                // Those of an audience are nobody's business but their own.
                if !to_all || !joined.is_listed() {
                    let fact = Fact::CallQuality(vec![rated]);
                    self.0.bus.publish(&Event::to_session(id, joined.session, fact));
                }
            }
            if listed.is_empty() {
                continue;
            }
            if to_all {
                self.0.bus.publish(&Event::ephemeral(id, Fact::CallQuality(listed)));
                continue;
            }
            for host in lobby.hosts_of(id) {
                self.0.bus.publish(&Event::to_user(id, host, Fact::CallQuality(listed.clone())));
            }
        }
        lobby.qualities.sweep(Instant::now());
    }

    /// What the lines of a call were like, from `since` on: everybody's for hosts, for others their own; of one participant, if one
    /// is named. It is known while the call runs and for ten minutes after.
    ///
    /// # Errors
    /// `not_found` (no such call, or one in a private room of others), `removed`, `waiting`, `forbidden` (somebody else's line),
    /// `internal`.
    pub async fn quality(
        &self,
        caller: &Caller,
        call: CallId,
        of: Option<ParticipantId>,
        since: Option<Time>,
    ) -> Result<History, Refusal> {
        const ACTION: Action = Action::SeeQuality;
        let record = self.0.store.room_of_call(call).await?.ok_or(Refusal::NotFound)?;
        let (record, role) = self.found(caller, record.room.id).await?;
        self.look_in(caller, &record, role)?;
        let sees_all = can(Standing::of(role, caller.user.role), ACTION);
        let may =
            |participant, user: UserId| of.is_none_or(|of| of == participant) && (sees_all || user == caller.user.id);
        let participants = self.lobby().qualities.history(call, since, may);
        if participants.is_empty() && !sees_all {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        Ok(History { call_id: call, participants })
    }
}

/// The figures of one report: nobody's in particular.
fn measure(report: &Report) {
    metrics::histogram!(CALL_QUALITY_SCORE).record(f64::from(report.score));
    if let Some(rtt_ms) = report.rtt_ms {
        metrics::histogram!(CALL_RTT_SECONDS).record(f64::from(rtt_ms) / 1_000.0);
    }
    for (direction, Flow { loss_per_mille, jitter_ms, .. }) in [("up", report.up), ("down", report.down)] {
        // Where nothing was sent, nothing was measured.
        let Some(loss) = loss_per_mille else { continue };
        metrics::histogram!(CALL_LOSS_RATIO, "direction" => direction).record(f64::from(loss) / 1_000.0);
        metrics::histogram!(CALL_JITTER_SECONDS, "direction" => direction).record(f64::from(jitter_ms) / 1_000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quality::{Level, Quality, Reason};

    fn report(level: Level, regular: bool) -> Report {
        let quality = Quality { level, reason: (level != Level::Excellent).then_some(Reason::Loss), direction: None };
        let flow = Flow { loss_per_mille: Some(1), jitter_ms: 1, freezes: 1 };
        Report { quality, score: 92, rtt_ms: None, up: flow, down: flow, share_pct: None, regular }
    }

    fn reported(participant: ParticipantId, user: UserId, listed: bool) -> Reported<'static> {
        Reported { participant, user, nickname: "ada", listed }
    }

    #[test]
    fn everybody_has_their_turn_to_be_told() {
        let mut changed = Changed::default();
        let people: Vec<ParticipantId> = (1..=10u128).map(ParticipantId::from).collect();
        let mut told = Vec::new();
        for _ in 0..6 {
            // The first ones change all the time.
            changed.who.extend(people.iter().copied());
            told.extend(changed.take(3));
        }
        assert!(people.iter().all(|who| told.contains(who)), "{told:?}");
        assert_eq!(told[..10], people);
    }

    fn at(seconds: u64) -> Time {
        Time::from_ms(1_000 * seconds as i64)
    }

    fn seen(known: &Qualities, call: CallId, now: Instant) -> Vec<Line> {
        let course = known.calls.get(&call).filter(|course| !course.is_over(now));
        course.map_or(Vec::new(), |_| known.history(call, None, |_, _| true))
    }

    #[test]
    fn a_long_call_is_remembered_whole_in_coarser_steps() {
        let (mut known, call, who, now) = (Qualities::default(), CallId::new(), ParticipantId::new(), Instant::now());
        let user = UserId::new();
        // Ten hours, with ten poor seconds in the first of them.
        for ten in 0..3_600u64 {
            let level = if ten == 100 { Level::Poor } else { Level::Excellent };
            known.note(call, reported(who, user, true), &report(level, true), at(10 * ten), now);
        }
        let lines = seen(&known, call, now);
        let line = &lines[0];
        assert!((MOST_EACH / 2..=MOST_EACH + 1).contains(&line.points.len()), "{} points", line.points.len());
        assert_eq!(line.every_s, 160);
        assert_eq!(
            line.points.iter().filter(|point| point.quality.level == Level::Poor).count(),
            1,
            "it is still there"
        );
        assert_eq!(line.points.iter().map(|point| u32::from(point.up.freezes)).sum::<u32>(), 3_600);
        assert!(line.points.is_sorted_by_key(|point| point.at));
    }

    #[test]
    fn a_call_of_thousands_stays_within_bounds() {
        let (mut known, call, now) = (Qualities::default(), CallId::new(), Instant::now());
        let people: Vec<_> = (0..MOST_PEOPLE + 300).map(|_| (ParticipantId::new(), UserId::new())).collect();
        for ten in 0..40u64 {
            for (number, (who, user)) in people.iter().enumerate() {
                // The first hundred are gone after a while, two hundred find no room; of those a hundred publish in the end.
                let is_there = number >= 100 || ten < 5;
                let listed = number >= MOST_PEOPLE + 200 && ten >= 30;
                if is_there {
                    let now = now + Duration::from_secs(10 * ten);
                    known.note(call, reported(*who, *user, listed), &report(Level::Good, true), at(10 * ten), now);
                }
            }
        }
        let lines = known.history(call, None, |_, _| true);
        assert_eq!(lines.len(), MOST_PEOPLE);
        let kept = |range: std::ops::Range<usize>| {
            people[range].iter().filter(|(who, _)| lines.iter().any(|line| line.participant_id == *who)).count()
        };
        assert_eq!(kept(0..100), 0, "who has left makes room");
        assert_eq!(kept(MOST_PEOPLE + 200..people.len()), 100, "who publishes comes before who only watches");
        assert!(
            kept(100..MOST_PEOPLE) >= MOST_PEOPLE - 200,
            "nobody is thrown out by who comes: {}",
            kept(100..MOST_PEOPLE)
        );
        assert!(lines.iter().filter(|line| line.points.len() > 4).count() > MOST_PEOPLE / 2, "they have their history");
        let points: usize = lines.iter().map(|line| line.points.len()).sum();
        assert!(points <= MOST_POINTS + MOST_PEOPLE, "{points} points");
    }

    #[test]
    fn what_is_remembered_goes_with_the_calls_life() {
        let (mut known, call, now) = (Qualities::default(), CallId::new(), Instant::now());
        let who = reported(ParticipantId::new(), UserId::new(), true);
        known.note(call, who, &report(Level::Good, false), at(0), now);
        let later = now + KEPT - Duration::from_secs(1);
        known.sweep(later);
        assert_eq!(seen(&known, call, later).len(), 1);
        known.sweep(later + SWEPT_EVERY);
        assert!(known.calls.is_empty());
        for _ in 0..MOST_CALLS + 5 {
            known.note(CallId::new(), who, &report(Level::Good, true), at(0), now);
        }
        assert_eq!(known.calls.len(), MOST_CALLS);
    }
}
