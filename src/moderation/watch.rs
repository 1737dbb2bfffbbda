//! Takes the frames that the media side samples, lets them be looked at, and does what follows from what was seen.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::clerk::{Clerk, Finding};
use super::frames::{FORGOTTEN, Frame, Frames, GRACE};
use super::health::{Health, Troubles};
use super::policy::Policy;
use super::queue::{Job, Queue};
use super::verdict::{Rules, Sight, Track, Verdict};
use super::vision::{Coding, Seen};
use super::workers::{About, Blindness, LookFailed, Told};
use crate::domain::case::{Measure, Named, Place};
use crate::domain::evidence::{Label, Scores};
use crate::domain::{CallId, RoomKind, Time, TrackId, UserId};
use crate::metrics::{SAMPLE_SECONDS, SAMPLES};
use crate::rooms::{Published, Rooms};
use crate::sfu::{Codec, Sampled, Sfu};

/// How often it is looked at how everything fares.
const TICK: Duration = Duration::from_secs(1);
/// How long an overload, and cases that could not be written, are told after the last time.
const REMEMBERED: Duration = Duration::from_secs(30);

/// What the desk tells the watch. Each costs a moderator's act or a limited request, so there are few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A case about a track is decided: about that label, or (`None`) about its being unsampled.
    Decided {
        /// Which track.
        track: TrackId,
        /// About what.
        label: Option<Label>,
        /// What was decided.
        measure: Measure,
    },
    /// Somebody is reported so gravely that strangers are not to see them (`true`), or that is decided (`false`).
    Reported(UserId, bool),
}

/// What the watch listens to.
pub(super) struct Ears {
    pub(super) samples: mpsc::Receiver<Sampled>,
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) orders: mpsc::UnboundedReceiver<Order>,
}

/// The watch.
pub(super) struct Watch {
    pub(super) rooms: Rooms,
    pub(super) sfu: Sfu,
    pub(super) policy: Policy,
    pub(super) clerk: Clerk,
    pub(super) frames: Frames,
    pub(super) queue: Arc<Queue>,
    pub(super) health: Health,
    pub(super) known: Known,
}

/// What the watch remembers.
#[derive(Default)]
pub(super) struct Known {
    off: bool,
    tracks: HashMap<TrackId, Watched>,
    reported: HashSet<UserId>,
    rules: Option<Rules>,
    about: Option<Arc<About>>,
    /// Why each worker that is blind is, by its number.
    blind: HashMap<usize, Blindness>,
    ready: HashSet<usize>,
    overloaded_at: Option<Instant>,
}

struct Watched {
    call: CallId,
    subject: Named,
    place: Place,
    state: Track,
    heard_at: Time,
    ended_at: Option<Time>,
}

impl Watch {
    /// Watches until the media side ends.
    pub(super) async fn keep(mut self, mut ears: Ears) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                sampled = ears.samples.recv() => match sampled {
                    Some(sampled) => self.sampled(sampled),
                    None => return,
                },
                Some(told) = ears.told.recv() => self.told(told),
                Some(order) = ears.orders.recv() => self.order(order),
                _ = ticks.tick() => self.tick(Time::now()),
            }
        }
    }

    fn sampled(&mut self, sampled: Sampled) {
        match sampled {
            Sampled::Frame { call, track, codec, taken_at, frame, .. } => {
                let coding = match codec {
                    Codec::Vp8 => Coding::Vp8,
                    Codec::H264 => Coding::H264,
                    // Sound is not looked at, and where pictures are these are not taken.
                    Codec::Opus | Codec::Vp9 | Codec::Av1 => return,
                };
                self.frame(call, track, coding, taken_at, frame.into());
            }
            Sampled::Unsampled { call, track, .. } => {
                count("withheld");
                if self.meet(call, track).is_some() {
                    self.judge(track, Sight::Withheld, None);
                }
            }
            Sampled::Missed { call, track } => {
                count("overloaded");
                self.known.overloaded_at = Some(Instant::now());
                if self.meet(call, track).is_some() {
                    self.judge(track, Sight::Missed, None);
                }
            }
            Sampled::Ended { track, .. } => {
                let now = Time::now();
                self.frames.end(track, now);
                if let Some(watched) = self.known.tracks.get_mut(&track) {
                    watched.ended_at = Some(now);
                }
            }
        }
    }

    fn frame(&mut self, call: CallId, track: TrackId, coding: Coding, taken_at: Time, bytes: bytes::Bytes) {
        let Some(watched) = self.meet(call, track) else {
            count("gone");
            return;
        };
        let user = watched.subject.user_id;
        let frame = Frame { user, place: watched.place, taken_at, coding, bytes, scores: None };
        let number = self.frames.keep(track, frame.clone());
        if self.known.is_blind() {
            count("blind");
            self.judge(track, Sight::Missed, None);
            return;
        }
        let gone = self.queue.push(Job { track, number, frame });
        if !gone.is_empty() {
            self.known.overloaded_at = Some(Instant::now());
        }
        self.missed("overloaded", gone);
    }

    /// What is known of a track, as long as it is published.
    fn meet(&mut self, call: CallId, track: TrackId) -> Option<&Watched> {
        let published = self.rooms.published(call, track)?;
        let Known { tracks, reported, .. } = &mut self.known;
        let watched = tracks.entry(track).or_insert_with(|| Watched::new(published, reported));
        watched.heard_at = Time::now();
        Some(watched)
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Ready { worker, about } => {
                tracing::debug!(worker, model = about.model.name, "a sampler is ready");
                self.known.blind.remove(&worker);
                self.known.ready.insert(worker);
                let of_model = |label| about.thresholds.get(&label).copied();
                self.known.rules = Some(Rules::new(&self.policy, of_model));
                self.known.about = Some(Arc::new(about));
            }
            Told::Blind { worker, why } => {
                let (Blindness::Model(error), true) = (&why, self.known.blind.get(&worker) != Some(&why)) else {
                    self.blinded(worker, why);
                    return;
                };
                tracing::warn!(worker, %error, "a sampler cannot work");
                self.blinded(worker, why);
            }
            Told::Looked { job, result, took } => {
                metrics::histogram!(SAMPLE_SECONDS).record(took.as_secs_f64());
                self.looked(&job, result);
            }
        }
    }

    fn blinded(&mut self, worker: usize, why: Blindness) {
        self.known.ready.remove(&worker);
        self.known.blind.insert(worker, why);
        if self.known.is_blind() {
            let waiting = self.queue.drain();
            self.missed("blind", waiting);
        }
    }

    fn looked(&mut self, job: &Job, result: Result<Seen, LookFailed>) {
        match result {
            Ok(seen) => {
                self.frames.saw(job.track, job.number, seen.scores);
                count(if self.known.is_hit(&seen.scores) { "hit" } else { "clean" });
                let frame = Frame { scores: Some(seen.scores), ..job.frame.clone() };
                self.judge(job.track, Sight::Seen(seen.scores), Some(&frame));
            }
            Err(LookFailed::Frame) => {
                count("undecodable");
                self.judge(job.track, Sight::Undecodable, None);
            }
            Err(LookFailed::Eye) => {
                count("failed");
                self.judge(job.track, Sight::Missed, None);
            }
        }
    }

    /// Frames at which nobody will look.
    fn missed(&mut self, result: &'static str, jobs: Vec<Job>) {
        for job in jobs {
            count(result);
            self.judge(job.track, Sight::Missed, None);
        }
    }

    fn judge(&mut self, track: TrackId, sight: Sight, frame: Option<&Frame>) {
        // Without a model nothing is over a threshold; everything else holds all the same.
        let rules = self.known.rules.get_or_insert_with(|| Rules::new(&self.policy, |_| None));
        let Some(watched) = self.known.tracks.get_mut(&track) else { return };
        let verdict = watched.state.judge(rules, Time::now(), sight);
        if verdict != Verdict::default() {
            self.follow(track, &verdict, frame);
        }
    }

    /// Does what follows.
    fn follow(&self, track: TrackId, verdict: &Verdict, frame: Option<&Frame>) {
        let Some(watched) = self.known.tracks.get(&track) else { return };
        let (call, strangers) = (watched.call, watched.state.is_among_strangers());
        if verdict.again {
            self.sfu.sample_now(call, track);
        }
        if let Some(suspected) = verdict.suspected {
            self.sfu.sample_every(call, track, suspected.then(|| self.policy.suspected_every()));
        }
        if let Some(cleared) = verdict.cleared {
            self.rooms.clear_track(call, track, cleared);
        }
        if verdict.stop {
            self.rooms.stop_track(call, track);
        }
        // Strangers who show nothing are blurred, which is enough; elsewhere somebody has to look into it.
        if verdict.unsampled && !strangers {
            self.clerk.note(Finding::Unsampled { subject: watched.subject.clone(), place: watched.place });
        }
        let (Some(frame), Some(rules)) = (frame, &self.known.rules) else { return };
        for label in &verdict.found {
            self.clerk.note(Finding::Seen {
                label: *label,
                threshold: rules.threshold(*label),
                subject: watched.subject.clone(),
                frame: frame.clone(),
                model: self.known.about.as_ref().map(|about| about.model.clone()),
                strangers,
                on_hit: rules.on_hit(strangers),
            });
        }
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Decided { track, label, measure } => {
                let (Some(watched), Some(rules)) = (self.known.tracks.get_mut(&track), &self.known.rules) else {
                    return;
                };
                let cleared = watched.state.decided(rules, Time::now(), label, measure);
                if let Some(cleared) = cleared {
                    self.rooms.clear_track(watched.call, track, cleared);
                }
            }
            Order::Reported(user, reported) => {
                if reported {
                    self.known.reported.insert(user);
                } else {
                    self.known.reported.remove(&user);
                }
                let theirs = self.known.tracks.iter_mut().filter(|(_, it)| it.subject.user_id == user);
                for (track, watched) in theirs.filter(|(_, it)| it.state.is_among_strangers()) {
                    if let Some(cleared) = watched.state.report(reported) {
                        self.rooms.clear_track(watched.call, *track, cleared);
                    }
                }
            }
        }
    }

    fn tick(&mut self, now: Time) {
        self.frames.sweep(now);
        self.known.tracks.retain(|_, it| {
            it.ended_at.is_none_or(|ended| now < ended.after(GRACE)) && now < it.heard_at.after(FORGOTTEN)
        });
        let recently = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < REMEMBERED);
        let troubles = Troubles {
            off: self.known.off,
            blind: self.known.is_blind().then(|| self.known.blind.values().next().cloned()).flatten(),
            overloaded: recently(self.known.overloaded_at),
            unwritten: recently(self.clerk.failed_at()),
        };
        let live = || self.known.tracks.values().filter(|it| it.ended_at.is_none());
        let sampled = live().filter(|it| it.state.is_sampled()).count() as u64;
        let unsampled = live().filter(|it| it.state.is_unsampled()).count() as u64;
        let model = self.known.about.as_ref().filter(|_| !self.known.is_blind()).map(|about| about.model.clone());
        self.health.note(&troubles, model, sampled, unsampled);
    }
}

impl Known {
    /// Nothing yet; `off`: the operator wants nothing to be known.
    pub(super) fn nothing(off: bool) -> Self {
        Self { off, ..Self::default() }
    }

    /// Whether nobody looks. While the first eye is made, frames wait.
    fn is_blind(&self) -> bool {
        self.ready.is_empty() && !self.blind.is_empty()
    }

    fn is_hit(&self, scores: &Scores) -> bool {
        let over = |rules: &Rules, label| rules.threshold(label).is_some_and(|least| scores.of(label) >= least);
        self.rules.as_ref().is_some_and(|rules| Label::ALL.iter().any(|label| over(rules, *label)))
    }
}

impl Watched {
    fn new(published: Published, reported: &HashSet<UserId>) -> Self {
        let strangers = published.kind == RoomKind::Match;
        let is_live = published.kind.is_for_an_audience();
        let mut state = if is_live { Track::before_an_audience() } else { Track::new(strangers) };
        if strangers && reported.contains(&published.user) {
            // It is not cleared yet, and will not be.
            state.report(true);
        }
        Self {
            call: published.call,
            subject: Named { user_id: published.user, nickname: published.nickname },
            place: Place {
                room_id: Some(published.room),
                call_id: Some(published.call),
                participant_id: Some(published.participant),
                track_id: Some(published.track),
                track_source: Some(published.source),
                message_id: None,
            },
            state,
            heard_at: Time::now(),
            ended_at: None,
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!(SAMPLES, "result" => result).increment(1);
}
