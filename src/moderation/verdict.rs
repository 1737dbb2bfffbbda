//! What follows from what was seen of one track: a pure function of samples and time.
//!
//! A label is found when enough of the last samples were hits. What is over a threshold once makes the track suspected: it is
//! looked at more often, and strangers see it blurred, until it is clean by a margin.

use std::time::Duration;

use super::policy::{OnHit, Policy};
use crate::domain::Time;
use crate::domain::case::Measure;
use crate::domain::evidence::{Label, Scores};

/// Frames in a row that cannot be decoded before the track counts as unsampled.
const UNDECODABLE_LIMIT: u8 = 3;
/// Samples in a row that we missed ourselves before strangers, or an audience, see the track blurred.
const MISSED_LIMIT: u8 = 3;
/// How often a label that is still seen is told again, so that its case gets a later frame.
const AGAIN_EVERY: Duration = Duration::from_secs(10);
const LABELS: usize = Label::ALL.len();

/// The policy, with the thresholds that hold for the model in use.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    thresholds: [Option<f32>; LABELS],
    hits: u32,
    window: u16,
    hysteresis: f32,
    cooldown: Duration,
    strangers: OnHit,
    others: OnHit,
}

/// What became of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sight {
    /// The classifier says this.
    Seen(Scores),
    /// The frame is none that can be decoded.
    Undecodable,
    /// The publisher gave no frame, though asked three times.
    Withheld,
    /// Our own side could not look: overloaded, or without a model.
    Missed,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Labels that are found now, or still: a case each.
    pub(super) found: Vec<Label>,
    /// The track has just become unsampled by its publisher's doing.
    pub(super) unsampled: bool,
    /// Another frame is wanted at once.
    pub(super) again: bool,
    /// The track is looked at more often from now on, or no more.
    pub(super) suspected: Option<bool>,
    /// Whether others may see it, where that is now known.
    pub(super) cleared: Option<bool>,
    /// The track is to be dropped.
    pub(super) stop: bool,
}

/// What is known of one track.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Track {
    /// In a match room: nobody sees it before it was looked at.
    strangers: bool,
    /// In a live room: nobody sees it while nobody has looked at it for a while.
    audience: bool,
    /// It was shown, and is not any more, because nobody looked.
    unseen: bool,
    /// Whether each of the last samples was a hit, the last in the lowest bit; by label.
    seen: [u16; LABELS],
    /// Until when a label makes no case, because somebody has decided.
    quiet_until: [Time; LABELS],
    told_at: [Option<Time>; LABELS],
    /// Labels whose case keeps the picture blurred.
    held: [bool; LABELS],
    /// Somebody reported something critical: blurred until that is decided.
    reported: bool,
    suspected: bool,
    undecodable: u8,
    missed: u8,
    withheld: bool,
    withheld_quiet_until: Time,
    /// At least one sample succeeded.
    sampled: bool,
}

impl Rules {
    /// `of_model`: the thresholds that the model's manifest names, for a policy that names none.
    pub(super) fn new(policy: &Policy, of_model: impl Fn(Label) -> Option<f32>) -> Self {
        let mut thresholds = [None; LABELS];
        for label in Label::ALL {
            thresholds[*label as usize] = match &policy.labels {
                Some(named) => named.get(label).copied(),
                None => of_model(*label),
            };
        }
        Self {
            thresholds,
            hits: policy.hits.into(),
            window: (1 << policy.of) - 1,
            hysteresis: policy.hysteresis,
            cooldown: policy.cooldown(),
            strangers: policy.on_hit(true),
            others: policy.on_hit(false),
        }
    }

    /// From which probability on a label counts.
    pub(super) fn threshold(&self, label: Label) -> Option<f32> {
        self.thresholds[label as usize]
    }

    /// What happens on a hit.
    pub(super) fn on_hit(&self, strangers: bool) -> OnHit {
        if strangers { self.strangers } else { self.others }
    }
}

impl Track {
    /// A track of which nothing is known.
    pub(super) fn new(strangers: bool) -> Self {
        let long_ago = Time::from_ms(i64::MIN);
        Self {
            strangers,
            audience: false,
            unseen: false,
            seen: [0; LABELS],
            quiet_until: [long_ago; LABELS],
            told_at: [None; LABELS],
            held: [false; LABELS],
            reported: false,
            suspected: false,
            undecodable: 0,
            missed: 0,
            withheld: false,
            withheld_quiet_until: long_ago,
            sampled: false,
        }
    }

    /// The same, of what an audience sees.
    pub(super) fn before_an_audience() -> Self {
        Self { audience: true, ..Self::new(false) }
    }

    /// Whether strangers share the room.
    pub(super) fn is_among_strangers(&self) -> bool {
        self.strangers
    }

    /// Whether nobody knows what it shows now, by its publisher's doing or by ours.
    pub(super) fn is_unsampled(&self) -> bool {
        self.withheld || self.missed > 0
    }

    /// Whether it was looked at, and still is.
    pub(super) fn is_sampled(&self) -> bool {
        self.sampled && !self.is_unsampled()
    }

    /// What follows from one more sample.
    pub(super) fn judge(&mut self, rules: &Rules, now: Time, sight: Sight) -> Verdict {
        match sight {
            Sight::Seen(scores) => self.judge_seen(rules, now, &scores),
            Sight::Undecodable => {
                self.undecodable = self.undecodable.saturating_add(1);
                if self.undecodable < UNDECODABLE_LIMIT {
                    return Verdict { again: true, ..Verdict::default() };
                }
                self.judge_withheld(now)
            }
            Sight::Withheld => self.judge_withheld(now),
            Sight::Missed => {
                self.missed = self.missed.saturating_add(1);
                let blurred = (self.strangers || self.audience) && self.missed >= MISSED_LIMIT;
                self.unseen |= blurred;
                Verdict { cleared: blurred.then_some(false), ..Verdict::default() }
            }
        }
    }

    /// Somebody has decided a case about this track: about that label, or (`None`) about its being unsampled. Whether others may
    /// see it, where that is known at once; strangers see it after the next look.
    pub(super) fn decided(&mut self, rules: &Rules, now: Time, label: Option<Label>, measure: Measure) -> Option<bool> {
        let (until, was_held) = (now.after(rules.cooldown), self.is_held());
        let Some(label) = label else {
            self.withheld_quiet_until = until;
            return None;
        };
        let label = label as usize;
        self.quiet_until[label] = until;
        self.told_at[label] = None;
        if measure == Measure::Dismiss {
            self.held[label] = false;
            self.seen[label] = 0;
        }
        (was_held && !self.is_held() && !self.strangers && !self.unseen).then_some(true)
    }

    /// Somebody reported its publisher for something critical (`true`), or that is decided (`false`). Whether others may see it,
    /// where that is known at once.
    pub(super) fn report(&mut self, reported: bool) -> Option<bool> {
        self.reported = reported;
        reported.then_some(false)
    }

    fn judge_seen(&mut self, rules: &Rules, now: Time, scores: &Scores) -> Verdict {
        (self.undecodable, self.missed, self.withheld, self.sampled) = (0, 0, false, true);
        let (mut over, mut near, mut remembered) = (false, false, false);
        let mut found = Vec::new();
        for label in Label::ALL {
            let at = *label as usize;
            let Some(threshold) = rules.thresholds[at] else { continue };
            let hit = scores.of(*label) >= threshold;
            self.seen[at] = (self.seen[at] << 1 | u16::from(hit)) & rules.window;
            if now < self.quiet_until[at] {
                continue;
            }
            over |= hit;
            near |= scores.of(*label) >= threshold - rules.hysteresis;
            remembered |= self.seen[at] != 0;
            if hit && self.seen[at].count_ones() >= rules.hits && self.is_to_be_told(at, now) {
                self.told_at[at] = Some(now);
                found.push(*label);
            }
        }
        let on_hit = rules.on_hit(self.strangers);
        if on_hit != OnHit::Flag {
            for label in &found {
                self.held[*label as usize] = true;
            }
        }
        let suspected = over || remembered || (self.suspected && near);
        let changed = suspected != self.suspected;
        let doubtful = over || (self.suspected && near);
        self.suspected = suspected;
        Verdict {
            stop: on_hit == OnHit::Stop && !found.is_empty(),
            cleared: self.cleared(on_hit, doubtful),
            suspected: changed.then_some(suspected),
            found,
            ..Verdict::default()
        }
    }

    fn judge_withheld(&mut self, now: Time) -> Verdict {
        let is_new = !self.withheld && now >= self.withheld_quiet_until;
        self.withheld = true;
        Verdict { unsampled: is_new, cleared: self.strangers.then_some(false), ..Verdict::default() }
    }

    fn cleared(&mut self, on_hit: OnHit, doubtful: bool) -> Option<bool> {
        if self.is_held() {
            return Some(false);
        }
        let was_unseen = self.unseen;
        self.unseen &= doubtful && on_hit != OnHit::Flag;
        match (self.strangers || was_unseen, on_hit) {
            // Looked at is cleared: what was seen is for people to decide.
            (true, OnHit::Flag) => Some(true),
            (true, _) => Some(!doubtful),
            (false, _) => None,
        }
    }

    fn is_held(&self) -> bool {
        self.reported || self.held.contains(&true)
    }

    fn is_to_be_told(&self, label: usize, now: Time) -> bool {
        self.told_at[label].is_none_or(|told| now >= told.after(AGAIN_EVERY))
    }
}

#[cfg(test)]
mod tests;
