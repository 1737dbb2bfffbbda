//! How good a participant's line is, in a word that people understand, and why it is not better.
//!
//! What happens on the line is counted as it comes, in slices of [`SLICE_US`]; the last two of them are the window that is judged.
//! Sound and pictures are scored apart, in each direction, on the scale of the E-model (ITU-T G.107), and the worst of the four
//! scores is the line's. Only what the server sees counts: a decoder that cannot go on says so by asking for a key frame.

mod measure;
mod score;

use self::score::{AWAY_COST, BEST, Count, NARROW_COST, PAUSED_COST, Passed, level_of, pictures, sound};
use crate::track::Kind;

/// How long one slice is; two of them are judged at once.
pub const SLICE_US: u64 = 2_500_000;
/// A report is made at each so many slices, whether or not anything changed: every ten seconds.
const REGULAR_SLICES: u32 = 4;
/// Someone who sends sound or pictures and is not heard for this long has a poor line: an encoder's pauses are 400 ms …
const FALTERS_US: u64 = 3_000_000;
/// … and whoever is not heard for this long is lost: who sends nothing else sends a check every 5 s ± 20 % (RFC 7675 §5.1).
const LOST_US: u64 = 7_000_000;

/// A level falls at once when the score is this much below it; by less, in two windows in a row.
const CLEARLY: f64 = 5.0;
/// A level rises when the score is this much above it in two windows in a row.
const SURELY: f64 = 3.0;
/// So many windows in a row.
const IN_A_ROW: u8 = 2;

/// How good a line is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is heard of the participant.
    Lost,
    /// Others notice, or the participant does.
    Poor,
    /// Not everything that was asked for, but nobody is disturbed.
    Good,
    /// Nothing is wrong.
    Excellent,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Packets are lost.
    Loss,
    /// Packets come unevenly.
    Jitter,
    /// The way there and back takes long.
    Rtt,
    /// Pictures stand still: what was lost of them could not be repaired.
    Freezes,
    /// The line bears less than what is asked for.
    Bandwidth,
    /// Nothing is heard.
    Silent,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the participant to the server.
    Up,
    /// From the server to the participant.
    Down,
}

/// What one direction of a line was like in the last window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Of all packets, those that were lost on their first way, in thousandths; `None`: nothing was sent.
    pub loss_pm: Option<u16>,
    /// The worst interarrival jitter of its streams (RFC 3550 §6.4.1), ms.
    pub jitter_ms: u16,
    /// Times that a picture could not go on, since the last regular report.
    pub freezes: u16,
}

/// What there is to say of a participant's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How good it is.
    pub level: Level,
    /// What costs most, and which way; `None` while the level is [`Level::Excellent`].
    pub cause: Option<(Reason, Direction)>,
    /// The score of the last window, 0–93; what the level follows calmly.
    pub score: u8,
    /// There and back, ms, once anything has been sent to the participant and reported.
    pub rtt_ms: Option<u16>,
    /// Toward the server.
    pub up: Flow,
    /// Toward the participant.
    pub down: Flow,
    /// What the line bears of what the tiles ask for, in percent, where it is estimated.
    pub share_pct: Option<u8>,
    /// It is one of those that come every ten seconds.
    pub regular: bool,
}

/// What was counted in one slice: 100 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    up: Passed,
    down: Passed,
    share_pct: Option<u8>,
    paused: bool,
    away: u8,
}

/// What the line of one participant is like: two slices and a verdict.
#[derive(Debug)]
pub(crate) struct Quality {
    now: Slice,
    before: Slice,
    /// Slices since it began, or since the participant was heard again.
    slices: u32,
    due_us: u64,
    rtt_ms: Option<f32>,
    level: Option<Level>,
    cause: Option<(Reason, Direction)>,
    falling: u8,
    rising: u8,
    /// Slices until the next regular report.
    rests: u32,
    /// Freezes since the last one, up and down.
    freezes: [u16; 2],
}

impl Quality {
    /// Nothing is known yet; the first verdict comes after two slices.
    pub fn new(now_us: u64) -> Quality {
        Quality {
            now: Slice::default(),
            before: Slice::default(),
            slices: 0,
            due_us: now_us + SLICE_US,
            rtt_ms: None,
            level: None,
            cause: None,
            falling: 0,
            rising: 0,
            rests: REGULAR_SLICES,
            freezes: [0; 2],
        }
    }

    fn passed(&mut self, direction: Direction) -> &mut Passed {
        match direction {
            Direction::Up => &mut self.now.up,
            Direction::Down => &mut self.now.down,
        }
    }

    /// So many packets should have come, and of them so many did not, or only when they were asked for again.
    pub fn counted(&mut self, direction: Direction, kind: Kind, expected: u32, (lost, repaired): (u32, u32)) {
        self.passed(direction).packets[place_of(kind)].add(Count { expected, lost, repaired });
    }

    /// One of the streams comes that unevenly.
    pub fn jittered(&mut self, direction: Direction, kind: Kind, jitter_us: u64) {
        let jitter_ms = &mut self.passed(direction).jitter_ms[place_of(kind)];
        *jitter_ms = (*jitter_ms).max((jitter_us / 1_000).min(10_000) as u16);
    }

    /// A picture cannot go on without a key frame.
    pub fn froze(&mut self, direction: Direction) {
        let freezes = &mut self.passed(direction).freezes;
        *freezes = freezes.saturating_add(1);
    }

    /// What the line bears of what the tiles ask for, where that is known, and whether a picture is left out for it.
    pub fn bears(&mut self, share_pct: Option<u8>, paused: bool) {
        (self.now.share_pct, self.now.paused) = (share_pct, paused);
    }

    /// A size of a picture that came before does not come when it is asked for.
    pub fn stays_away(&mut self) {
        self.now.away = self.now.away.saturating_add(1);
    }

    /// A round trip was measured.
    pub fn returned(&mut self, rtt_us: u64) {
        let rtt_ms = rtt_us as f32 / 1_000.0;
        self.rtt_ms = Some(self.rtt_ms.map_or(rtt_ms, |before| (3.0 * before + rtt_ms) / 4.0));
    }

    pub fn is_due(&self, now_us: u64) -> bool {
        now_us >= self.due_us
    }

    /// Ends a slice, and judges the window. `silent_us`: how long the participant has not been heard; `talks`: they send sound or
    /// pictures. Answers what is to be told, if anything.
    pub fn judge(&mut self, now_us: u64, silent_us: u64, talks: bool) -> Option<Report> {
        self.due_us = now_us + SLICE_US;
        let before = (self.level, self.cause);
        let was_lost = self.level == Some(Level::Lost);
        let (score, cause) = match silent_us {
            LOST_US.. => {
                self.fall_to(Level::Lost);
                (0.0, Some((Reason::Silent, Direction::Up)))
            }
            _ if was_lost => {
                // Heard again: what it is like now, the next windows will tell.
                (self.now, self.before, self.slices) = (Slice::default(), Slice::default(), 0);
                self.fall_to(Level::Poor);
                (0.0, Some((Reason::Silent, Direction::Up)))
            }
            FALTERS_US.. if talks => {
                self.fall_to(Level::Poor);
                (0.0, Some((Reason::Silent, Direction::Up)))
            }
            _ => {
                self.slices += 1;
                let (score, cause) = self.score();
                if self.slices > 1 {
                    self.settle(score);
                }
                (score, Some(cause))
            }
        };
        self.rests -= 1;
        let regular = self.rests == 0;
        let (mut up, mut down) = (self.before.up.with(self.now.up).flow(), self.before.down.with(self.now.down).flow());
        for (sum, passed) in self.freezes.iter_mut().zip([self.now.up, self.now.down]) {
            *sum = sum.saturating_add(passed.freezes);
        }
        [up.freezes, down.freezes] = self.freezes;
        if regular {
            (self.rests, self.freezes) = (REGULAR_SLICES, [0; 2]);
        }
        self.before = std::mem::take(&mut self.now);
        let level = self.level?;
        // What a level that lingers came of is still its reason.
        if Some(level) != before.0 || regular && level_of(score) <= level {
            self.cause = cause.filter(|_| level != Level::Excellent);
        }
        let report = Report {
            level,
            cause: self.cause,
            score: score.clamp(0.0, 100.0) as u8,
            rtt_ms: self.rtt_ms.map(|rtt_ms| rtt_ms.min(60_000.0) as u16),
            up,
            down,
            share_pct: self.before.share_pct,
            regular,
        };
        (regular || (self.level, self.cause) != before).then_some(report)
    }

    fn fall_to(&mut self, level: Level) {
        (self.level, self.falling, self.rising) = (Some(level), 0, 0);
    }

    /// The level follows the score: down at once when it is clearly worse, else when it is in two windows in a row.
    fn settle(&mut self, score: f64) {
        let (plain, surely, at_best) = (level_of(score), level_of(score - SURELY), level_of(score + CLEARLY));
        let Some(level) = self.level else {
            self.level = Some(plain);
            return;
        };
        self.falling = if plain < level { self.falling + 1 } else { 0 };
        self.rising = if surely > level { self.rising + 1 } else { 0 };
        if at_best < level || self.falling == IN_A_ROW {
            self.fall_to(plain);
        } else if self.rising == IN_A_ROW {
            self.fall_to(surely);
        }
    }

    /// The worst score of sound and pictures in both directions, and what costs most of it.
    fn score(&self) -> (f64, (Reason, Direction)) {
        let (up, down) = (self.before.up.with(self.now.up), self.before.down.with(self.now.down));
        let rtt_ms = self.rtt_ms.map_or(0.0, f64::from);
        let shares = [self.before.share_pct, self.now.share_pct].into_iter().flatten();
        let (sum, slices) = shares.fold((0.0, 0.0), |(sum, slices), pct| (sum + f64::from(pct), slices + 1.0));
        let lacking = if slices == 0.0 { 0.0 } else { 1.0 - sum / slices / 100.0 };
        let narrow = NARROW_COST * lacking.max(0.0) + if self.now.paused { PAUSED_COST } else { 0.0 };
        let away = AWAY_COST * f64::from(self.now.away);
        let of = |direction, passed: &Passed, rtt_ms, narrow| {
            [sound(passed, rtt_ms), pictures(passed, rtt_ms, narrow)].map(|costs| (direction, costs))
        };
        // The round trip is measured with what is sent to the participant, and told there.
        let all = [of(Direction::Up, &up, 0.0, away), of(Direction::Down, &down, rtt_ms, narrow)];
        let mut worst = (BEST, (Reason::Loss, Direction::Up));
        for (direction, costs) in all.into_iter().flatten() {
            let score = BEST - costs.iter().map(|(_, cost)| cost).sum::<f64>();
            if score < worst.0 {
                let first = costs.into_iter().max_by(|one, other| one.1.total_cmp(&other.1));
                worst = (score, (first.map_or(Reason::Loss, |(reason, _)| reason), direction));
            }
        }
        worst
    }
}

fn place_of(kind: Kind) -> usize {
    match kind {
        Kind::Audio => 0,
        Kind::Video => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line that is looked at slice by slice.
    struct Looked {
        quality: Quality,
        now_us: u64,
    }

    impl Looked {
        fn new() -> Looked {
            Looked { quality: Quality::new(0), now_us: 0 }
        }

        fn slice(&mut self, happens: impl Fn(&mut Quality)) -> Option<Report> {
            happens(&mut self.quality);
            self.now_us += SLICE_US;
            assert!(self.quality.is_due(self.now_us) && !self.quality.is_due(self.now_us - 1));
            self.quality.judge(self.now_us, 0, true)
        }

        fn silent(&mut self, silent_us: u64) -> Option<Report> {
            self.now_us += SLICE_US;
            self.quality.judge(self.now_us, silent_us, true)
        }

        fn level(&self) -> Option<Level> {
            self.quality.level
        }
    }

    /// A slice of sound of which so many packets of 125 were lost.
    fn lost(packets: u32) -> impl Fn(&mut Quality) {
        move |quality| quality.counted(Direction::Down, Kind::Audio, 125, (packets, 0))
    }

    #[test]
    fn what_costs_most_is_the_reason() {
        let cause = |happens: &dyn Fn(&mut Quality)| {
            let mut line = Looked::new();
            line.slice(happens);
            let report = line.slice(happens).expect("the first verdict is told");
            (report.level, report.cause)
        };
        let because = |level, reason, direction| (level, Some((reason, direction)));
        assert_eq!(cause(&|_| {}), (Level::Excellent, None));
        assert_eq!(cause(&|it| it.returned(500_000)), because(Level::Good, Reason::Rtt, Direction::Down));
        let (up, down) = (Direction::Up, Direction::Down);
        assert_eq!(cause(&|it| it.jittered(up, Kind::Audio, 200_000)), because(Level::Poor, Reason::Jitter, up));
        assert_eq!(cause(&|it| it.froze(down)), because(Level::Poor, Reason::Freezes, down));
        assert_eq!(cause(&|it| it.counted(up, Kind::Video, 500, (0, 75))), because(Level::Good, Reason::Loss, up));
        assert_eq!(cause(&|it| it.counted(up, Kind::Video, 500, (25, 0))), because(Level::Poor, Reason::Loss, up));
        assert_eq!(cause(&|it| it.bears(Some(30), false)), because(Level::Good, Reason::Bandwidth, down));
        assert_eq!(cause(&|it| it.bears(Some(60), false)), (Level::Excellent, None));
        assert_eq!(cause(&|it| it.bears(Some(60), true)), because(Level::Poor, Reason::Bandwidth, down));
        assert_eq!(cause(&|it| it.stays_away()), because(Level::Good, Reason::Bandwidth, up));
    }

    #[test]
    fn a_level_falls_at_once_when_it_is_clear_and_rises_after_two_windows() {
        let mut line = Looked::new();
        for _ in 0..3 {
            line.slice(lost(0));
        }
        assert_eq!(line.level(), Some(Level::Excellent));
        // 16 of 125 make 6.4 % of the window: a score of 74.
        assert_eq!(line.slice(lost(16)).map(|report| report.level), Some(Level::Good));
        let report = line.slice(lost(60)).expect("told at once");
        assert_eq!((report.level, report.cause), (Level::Poor, Some((Reason::Loss, Direction::Down))));
        assert_eq!(report.down.loss_pm, Some(304));
        line.slice(lost(0));
        line.slice(lost(0));
        assert_eq!(line.level(), Some(Level::Poor), "one good window is no promise");
        assert_eq!(line.slice(lost(0)).map(|report| (report.level, report.cause)), Some((Level::Excellent, None)));
    }

    #[test]
    fn a_score_at_the_border_does_not_make_it_flap() {
        let (mut line, mut changes) = (Looked::new(), 0);
        for round in 0..100u32 {
            let before = line.level();
            // 3.2 % and 4.8 %, by turns: 82 and 78, on both sides of the border.
            line.slice(lost(if round / 2 % 2 == 0 { 4 } else { 6 }));
            changes += u32::from(before.is_some() && line.level() != before);
        }
        assert!(changes <= 1, "{changes} changes");
    }

    #[test]
    fn a_few_lost_of_a_few_packets_say_nothing() {
        let mut line = Looked::new();
        for _ in 0..4 {
            line.slice(|quality| quality.counted(Direction::Up, Kind::Audio, 6, (1, 0)));
        }
        assert_eq!(line.level(), Some(Level::Excellent));
    }

    #[test]
    fn who_is_not_heard_falters_is_lost_and_comes_back() {
        let mut line = Looked::new();
        line.slice(lost(0));
        line.slice(lost(0));
        assert_eq!(line.silent(2_500_000), None);
        let told = |report: Option<Report>| report.map(|report| (report.level, report.cause));
        let silent = |level| Some((level, Some((Reason::Silent, Direction::Up))));
        assert_eq!(told(line.silent(5_000_000)), silent(Level::Poor));
        assert_eq!(told(line.silent(7_500_000)), silent(Level::Lost));
        assert_eq!(told(line.silent(10_000_000)), None, "told once");
        assert_eq!(told(line.slice(lost(0))), silent(Level::Poor));
        let rest: Vec<_> = (0..4).filter_map(|_| told(line.slice(lost(0)))).collect();
        assert_eq!(rest.last(), Some(&(Level::Excellent, None)));
        assert!(rest.iter().all(|(level, cause)| (*level == Level::Poor) == cause.is_some()), "{rest:?}");
    }

    #[test]
    fn every_ten_seconds_is_reported_whatever_happens() {
        let mut line = Looked::new();
        let told: Vec<bool> = (0..12).map(|_| line.slice(lost(0)).is_some_and(|report| report.regular)).collect();
        assert_eq!(told.iter().filter(|regular| **regular).count(), 3);
        assert!(told[3] && told[7] && told[11]);
        assert!(size_of::<Quality>() <= 256, "{} bytes for each participant", size_of::<Quality>());
    }
}
