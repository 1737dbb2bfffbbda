use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const STEP: Duration = Duration::from_millis(1_500);

fn policy() -> Policy {
    let labels = BTreeMap::from([(Label::Porn, 0.8), (Label::Drawing, 0.5)]);
    Policy { labels: Some(labels), ..Policy::default() }
}

fn rules() -> Rules {
    Rules::new(&policy(), |_| None)
}

/// That much of it, and the rest neutral.
fn seen(label: Label, score: f32) -> Sight {
    let mut scores = [0.0; 5];
    scores[Label::Neutral as usize] = 1.0 - score;
    scores[label as usize] += score;
    Sight::Seen(Scores::checked(scores).unwrap())
}

const fn porn() -> Label {
    Label::Porn
}

/// Samples come one step after the other.
struct Watched {
    track: Track,
    rules: Rules,
    now: Time,
}

impl Watched {
    fn new(strangers: bool) -> Self {
        Self::by(rules(), strangers)
    }

    fn by(rules: Rules, strangers: bool) -> Self {
        Self { track: Track::new(strangers), rules, now: Time::from_ms(1_000_000) }
    }

    fn sees(&mut self, sight: Sight) -> Verdict {
        self.now = self.now.after(STEP);
        self.track.judge(&self.rules, self.now, sight)
    }

    fn hit(&mut self) -> Verdict {
        self.sees(seen(porn(), 0.9))
    }

    fn clean(&mut self) -> Verdict {
        self.sees(seen(porn(), 0.0))
    }

    fn passes(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }
}

#[test]
fn two_hits_of_three_make_a_case() {
    let mut one = Watched::new(false);
    let first = one.hit();
    assert_eq!((first.found, first.suspected), (vec![], Some(true)), "once is a suspicion");
    assert_eq!(one.clean(), Verdict::default());
    assert_eq!(one.hit().found, [porn()], "two of three");
    let mut other = Watched::new(false);
    other.hit();
    other.clean();
    assert_eq!(other.clean().suspected, None);
    assert_eq!(other.clean().suspected, Some(false), "the hit is forgotten");
    assert_eq!(other.hit().found, vec![], "two of five are none of three");
}

#[test]
fn labels_count_by_themselves_and_by_their_own_thresholds() {
    let mut one = Watched::new(false);
    one.sees(seen(Label::Drawing, 0.6));
    assert_eq!(one.sees(seen(porn(), 0.81)).found, vec![], "one hit of each");
    assert_eq!(one.sees(seen(Label::Drawing, 0.6)).found, [Label::Drawing]);
    let mut other = Watched::new(false);
    for _ in 0..5 {
        assert_eq!(other.sees(seen(porn(), 0.79)), Verdict::default(), "below the threshold");
        assert_eq!(other.sees(seen(Label::Hentai, 1.0)), Verdict::default(), "not in the policy");
    }
}

#[test]
fn without_labels_in_the_policy_the_model_says_what_counts() {
    let manifest = |label| (label == Label::Hentai).then_some(0.85);
    let rules = Rules::new(&Policy::default(), manifest);
    assert_eq!((rules.threshold(Label::Hentai), rules.threshold(Label::Porn)), (Some(0.85), None));
    let named = Rules::new(&policy(), manifest);
    assert_eq!((named.threshold(Label::Hentai), named.threshold(Label::Porn)), (None, Some(0.8)));
}

#[test]
fn a_suspected_track_is_clean_again_by_a_margin() {
    let mut watched = Watched::new(true);
    assert_eq!(watched.hit().cleared, Some(false));
    for _ in 0..5 {
        let near = watched.sees(seen(porn(), 0.75));
        assert_eq!((near.cleared, near.suspected), (Some(false), None), "not over it, but not clean either");
    }
    let clean = watched.sees(seen(porn(), 0.65));
    assert_eq!((clean.cleared, clean.suspected), (Some(true), Some(false)));
    assert_eq!(watched.sees(seen(porn(), 0.75)).cleared, Some(true), "who was never suspected needs no margin");
}

#[test]
fn strangers_see_nothing_before_it_was_looked_at() {
    let mut watched = Watched::new(true);
    assert_eq!(watched.clean().cleared, Some(true));
    assert_eq!(watched.hit().cleared, Some(false), "one hit blurs");
    assert_eq!(watched.clean().cleared, Some(true), "and one clean look shows");
    watched.hit();
    assert_eq!(watched.clean().cleared, Some(false), "a case keeps it blurred");
    watched.track.decided(&watched.rules, watched.now, Some(porn()), Measure::Dismiss);
    assert_eq!(watched.clean().cleared, Some(true));
    assert_eq!(Watched::new(false).hit().cleared, None, "elsewhere a suspicion changes nothing");
}

#[test]
fn what_happens_on_a_hit_is_the_policys() {
    let by =
        |on_hit, strangers| Watched::by(Rules::new(&Policy { on_hit: Some(on_hit), ..policy() }, |_| None), strangers);
    let twice = |mut watched: Watched| {
        watched.hit();
        let verdict = watched.hit();
        assert_eq!(verdict.found, [porn()]);
        (verdict.cleared, verdict.stop)
    };
    assert_eq!(twice(by(OnHit::Flag, true)), (Some(true), false));
    assert_eq!(twice(by(OnHit::Hold, true)), (Some(false), false));
    assert_eq!(twice(by(OnHit::Stop, true)), (Some(false), true));
    assert_eq!(twice(by(OnHit::Flag, false)), (None, false));
    assert_eq!(twice(by(OnHit::Hold, false)), (Some(false), false));
    assert_eq!(twice(by(OnHit::Stop, false)), (Some(false), true));
    let mut held = by(OnHit::Hold, false);
    held.hit();
    held.hit();
    assert_eq!(held.clean().cleared, Some(false), "clean or not: people decide");
    let other = held.track.decided(&held.rules, held.now, Some(Label::Drawing), Measure::Dismiss);
    assert_eq!(other, None, "that was another case");
    assert_eq!(held.track.decided(&held.rules, held.now, Some(porn()), Measure::Dismiss), Some(true));
    assert_eq!(held.clean().cleared, None);
}

#[test]
fn a_case_is_told_now_and_then_and_rests_after_a_decision() {
    let mut watched = Watched::new(false);
    watched.hit();
    assert_eq!(watched.hit().found, [porn()]);
    let later = (0..7).filter(|_| !watched.hit().found.is_empty()).count();
    assert_eq!(later, 1, "a frame every ten seconds is enough");
    watched.track.decided(&watched.rules, watched.now, Some(porn()), Measure::Dismiss);
    for _ in 0..20 {
        let verdict = watched.hit();
        assert_eq!((verdict.found, verdict.cleared), (vec![], None), "somebody has decided");
    }
    watched.passes(policy().cooldown());
    let again = (0..3).filter(|_| !watched.hit().found.is_empty()).count();
    assert_eq!(again, 1, "for a while only");
}

#[test]
fn three_bad_frames_in_a_row_are_none() {
    for strangers in [false, true] {
        let mut watched = Watched::new(strangers);
        assert!(watched.sees(Sight::Undecodable).again);
        assert!(watched.sees(Sight::Undecodable).again);
        watched.clean();
        assert!(watched.sees(Sight::Undecodable).again && watched.sees(Sight::Undecodable).again);
        assert!(!watched.track.is_unsampled());
        let third = watched.sees(Sight::Undecodable);
        assert_eq!((third.unsampled, third.again), (true, false));
        assert_eq!(third.cleared, strangers.then_some(false));
        assert!(watched.track.is_unsampled() && !watched.track.is_sampled());
        assert!(!watched.sees(Sight::Undecodable).unsampled, "told once");
        watched.clean();
        assert!(watched.track.is_sampled());
        assert!(watched.sees(Sight::Withheld).unsampled, "and again after a success");
        watched.track.decided(&watched.rules, watched.now, None, Measure::Dismiss);
        watched.clean();
        let excused = watched.sees(Sight::Withheld);
        assert_eq!((excused.unsampled, excused.cleared), (false, strangers.then_some(false)), "blurred all the same");
    }
}

#[test]
fn what_we_miss_is_nobodys_case() {
    let mut watched = Watched::new(true);
    watched.clean();
    assert_eq!(watched.sees(Sight::Missed), Verdict::default());
    assert!(watched.track.is_unsampled());
    watched.sees(Sight::Missed);
    assert_eq!(watched.sees(Sight::Missed).cleared, Some(false), "but strangers are not left unseen for long");
    assert_eq!(watched.clean().cleared, Some(true));
    assert!(!watched.track.is_unsampled());
}

#[test]
fn an_audience_sees_nothing_while_nobody_looks() {
    let live = |on_hit| {
        let rules = Rules::new(&Policy { on_hit: Some(on_hit), ..policy() }, |_| None);
        Watched { track: Track::before_an_audience(), ..Watched::by(rules, false) }
    };
    for on_hit in [OnHit::Flag, OnHit::Hold] {
        let mut watched = live(on_hit);
        assert_eq!(watched.clean().cleared, None, "it begins cleared");
        assert_eq!([watched.sees(Sight::Missed).cleared, watched.sees(Sight::Missed).cleared], [None, None]);
        assert_eq!(watched.sees(Sight::Missed).cleared, Some(false));
        assert_eq!(watched.sees(Sight::Missed).cleared, Some(false));
        let hit = watched.hit().cleared;
        assert_eq!(hit, Some(on_hit == OnHit::Flag), "what was seen is for people to decide, or is no clean look");
        let clean = watched.clean().cleared;
        assert_eq!(clean, (on_hit == OnHit::Hold).then_some(true), "told once");
        assert_eq!(watched.clean().cleared, None);
    }
    // A decision shows nothing that nobody has looked at since.
    let mut held = live(OnHit::Hold);
    held.hit();
    held.hit();
    for _ in 0..MISSED_LIMIT {
        held.sees(Sight::Missed);
    }
    assert_eq!(held.track.decided(&held.rules, held.now, Some(porn()), Measure::Dismiss), None);
    assert_eq!(held.clean().cleared, Some(true));
}

#[test]
fn a_grave_report_blurs_until_it_is_decided() {
    let mut watched = Watched::new(true);
    watched.clean();
    assert_eq!(watched.track.report(true), Some(false));
    assert_eq!(watched.clean().cleared, Some(false));
    assert_eq!(watched.track.report(false), None);
    assert_eq!(watched.clean().cleared, Some(true));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Sees(f32),
    Undecodable,
    Withheld,
    Missed,
    Waits,
    Dismissed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0.0..=1.0_f32).prop_map(Step::Sees),
        1 => Just(Step::Undecodable),
        1 => Just(Step::Withheld),
        1 => Just(Step::Missed),
        1 => Just(Step::Waits),
        1 => Just(Step::Dismissed),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn whatever_is_shown(
        steps in steps(), hits in 1..=4_u8, more in 0..=4_u8, strangers: bool, on_hit in 0..3_usize
    ) {
        let on_hit = [OnHit::Flag, OnHit::Hold, OnHit::Stop][on_hit];
        let policy = Policy { hits, of: hits + more, on_hit: Some(on_hit), ..policy() };
        let mut watched = Watched::by(Rules::new(&policy, |_| None), strangers);
        // Hits since the last dismissal, of samples that succeeded; and until when there is to be none.
        let (mut last, mut quiet_until, mut told_at) = (Vec::new(), Time::from_ms(0), None);
        let mut held = false;
        for step in steps {
            let sight = match step {
                Step::Sees(score) => seen(porn(), score),
                Step::Undecodable => Sight::Undecodable,
                Step::Withheld => Sight::Withheld,
                Step::Missed => Sight::Missed,
                Step::Waits => { watched.passes(Duration::from_secs(120)); continue }
                Step::Dismissed => {
                    watched.track.decided(&watched.rules, watched.now, Some(porn()), Measure::Dismiss);
                    (quiet_until, told_at, held) = (watched.now.after(policy.cooldown()), None, false);
                    last.clear();
                    continue;
                }
            };
            let verdict = watched.sees(sight);
            let Step::Sees(score) = step else {
                prop_assert!(verdict.found.is_empty() && !verdict.stop && verdict.cleared != Some(true));
                prop_assert!(watched.track.is_unsampled() || verdict.again);
                continue;
            };
            let hit = score >= 0.8;
            last.push(hit);
            let window = &last[last.len().saturating_sub(policy.of.into())..];
            let enough = window.iter().filter(|it| **it).count() >= hits.into();
            let rests = watched.now < quiet_until || told_at.is_some_and(|at: Time| watched.now < at.after(AGAIN_EVERY));
            let due = hit && enough && !rests;
            prop_assert_eq!(!verdict.found.is_empty(), due, "enough hits make a case, and nothing else does");
            prop_assert_eq!(verdict.stop, due && on_hit == OnHit::Stop);
            if due {
                told_at = Some(watched.now);
                held |= on_hit != OnHit::Flag;
            }
            prop_assert!(!verdict.unsampled && !watched.track.is_unsampled());
            if held {
                prop_assert_eq!(verdict.cleared, Some(false), "until somebody decides");
            } else if strangers {
                prop_assert!(verdict.cleared.is_some(), "a look always says whether strangers may see it");
                let shown = on_hit != OnHit::Flag && hit && watched.now >= quiet_until;
                prop_assert!(!shown || verdict.cleared == Some(false), "nobody sees a hit");
                prop_assert!(score >= 0.7 || verdict.cleared == Some(true), "and a clean picture is shown");
            }
        }
    }
}
