//! Who gets how much of a receiver's line: what is most important first, in the layer that its tile asks for, as far as it goes.
//!
//! Each slot brings the ladder of what it could show, cheapest first, up to what its tile asks for. First everybody gets the
//! lowest rung, in order of importance; whom the line cannot carry shows nothing. Then those of the first rank climb together,
//! a rung at a time, then those of the next. Climbing needs some air above and a while since the last fall, falling needs
//! neither: a picture that changes its size all the time is worse than a small one.

/// Share of the line, in percent, that must carry an allocation before a slot climbs in it.
const AIR_PCT: u64 = 90;
/// Share of the line that must carry it where a slot climbs while it rests.
const ROOM_PCT: u64 = 60;
/// After a fall a slot stays where it is for this long, unless there is far more room.
pub(crate) const REST_AFTER_FALL_US: u64 = 3_000_000;

/// How important a slot is: ranks climb one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// A shared screen.
    Screen,
    /// Who speaks, or what the client named first.
    First,
    /// Everybody else.
    Other,
}

/// One rung of a slot's ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Rung {
    /// The simulcast layer.
    pub layer: u8,
    /// The highest spatial layer in it (SVC); 0 where there is one only.
    pub spatial: u8,
    /// The highest temporal layer in it.
    pub temporal: u8,
    /// What it costs.
    pub bps: u32,
}

/// What one slot asks for.
#[derive(Debug, Clone)]
pub(crate) struct Demand<'a> {
    pub rank: Rank,
    /// Cheapest first; the last one is what the tile asks for.
    pub ladder: &'a [Rung],
    /// Where the slot stands now, if anywhere.
    pub stands: Option<usize>,
    /// It fell a moment ago.
    pub resting: bool,
    /// It stands nowhere because nothing was left for it, not because it is new.
    pub returns: bool,
}

/// Gives each slot a rung of its ladder, or none. `demands` are in order of importance, ranks first.
pub(crate) fn allocate(budget_bps: u64, demands: &[Demand<'_>], given: &mut Vec<Option<usize>>) {
    share(budget_bps, demands, given);
    let climbs = |(demand, given): (&Demand<'_>, &Option<usize>)| {
        *given > demand.stands && (demand.stands.is_some() || demand.returns)
    };
    if !demands.iter().zip(given.iter()).any(climbs) {
        return;
    }
    let (mut with_air, mut with_room) = (Vec::with_capacity(demands.len()), Vec::with_capacity(demands.len()));
    share(budget_bps / 100 * AIR_PCT, demands, &mut with_air);
    share(budget_bps / 100 * ROOM_PCT, demands, &mut with_room);
    for (((demand, given), with_air), with_room) in demands.iter().zip(given.iter_mut()).zip(with_air).zip(with_room) {
        if climbs((demand, given)) {
            // A line that bears far more than was thought, as at its start, lets everybody climb without a rest.
            let most = if demand.resting { with_room } else { with_air };
            // `None` is below all rungs: who stands does not fall for want of air alone.
            *given = most.max(demand.stands).min(*given);
        }
    }
}

fn share(budget_bps: u64, demands: &[Demand<'_>], given: &mut Vec<Option<usize>>) {
    given.clear();
    let mut left_bps = budget_bps;
    for demand in demands {
        let lowest = demand.ladder.first().filter(|rung| u64::from(rung.bps) <= left_bps);
        left_bps -= lowest.map_or(0, |rung| u64::from(rung.bps));
        given.push(lowest.map(|_| 0));
    }
    for rank in [Rank::Screen, Rank::First, Rank::Other] {
        loop {
            let mut climbed = false;
            for (demand, at) in demands.iter().zip(given.iter_mut()).filter(|(demand, _)| demand.rank == rank) {
                let Some(now) = *at else { continue };
                let Some(next) = demand.ladder.get(now + 1) else { continue };
                let more_bps = u64::from(next.bps.saturating_sub(demand.ladder[now].bps));
                if more_bps <= left_bps {
                    left_bps -= more_bps;
                    *at = Some(now + 1);
                    climbed = true;
                }
            }
            if !climbed {
                break;
            }
        }
    }
}

/// What all rungs cost together.
pub(crate) fn cost_bps(demands: &[Demand<'_>], given: &[Option<usize>]) -> u64 {
    let cost = |(demand, at): (&Demand<'_>, &Option<usize>)| at.map_or(0, |at| u64::from(demand.ladder[at].bps));
    demands.iter().zip(given).map(cost).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rung(bps: u32) -> Rung {
        Rung { bps, ..Rung::default() }
    }

    fn given(budget_bps: u64, demands: &[Demand<'_>]) -> Vec<Option<usize>> {
        let mut given = Vec::new();
        allocate(budget_bps, demands, &mut given);
        given
    }

    #[test]
    fn everybody_gets_something_before_anybody_gets_much() {
        let ladder = [rung(100), rung(500), rung(1_500)];
        let demand = |rank| Demand { rank, ladder: &ladder, stands: None, resting: false, returns: false };
        let demands = [demand(Rank::First), demand(Rank::Other), demand(Rank::Other)];
        assert_eq!(given(99, &demands), [None; 3]);
        assert_eq!(given(250, &demands), [Some(0), Some(0), None]);
        assert_eq!(given(700, &demands), [Some(1), Some(0), Some(0)]);
        // The others climb together once the first is where it wants to be.
        assert_eq!(given(2_500, &demands), [Some(2), Some(1), Some(1)]);
        assert_eq!(given(10_000, &demands), [Some(2); 3]);
    }

    #[test]
    fn screens_come_before_speakers() {
        let (screen, face) = ([rung(300), rung(900)], [rung(100), rung(500)]);
        let demands = [
            Demand { rank: Rank::Screen, ladder: &screen, stands: None, resting: false, returns: false },
            Demand { rank: Rank::First, ladder: &face, stands: None, resting: false, returns: false },
        ];
        assert_eq!(given(1_000, &demands), [Some(1), Some(0)]);
        assert_eq!(given(350, &demands), [Some(0), None]);
    }

    #[test]
    fn climbing_takes_air_and_time_and_falling_takes_none() {
        let ladder = [rung(100), rung(500)];
        let demand = |stands, resting| [Demand { rank: Rank::Other, ladder: &ladder, stands, resting, returns: false }];
        assert_eq!(given(500, &demand(Some(0), false)), [Some(0)]);
        assert_eq!(given(600, &demand(Some(0), false)), [Some(1)]);
        assert_eq!(given(800, &demand(Some(0), true)), [Some(0)]);
        assert_eq!(given(900, &demand(Some(0), true)), [Some(1)]);
        assert_eq!(given(500, &demand(Some(1), true)), [Some(1)]);
        assert_eq!(given(499, &demand(Some(1), true)), [Some(0)]);
        // Who is new begins without a rest, and who was paused comes back with one, and with air.
        assert_eq!(given(500, &demand(None, true)), [Some(1)]);
        let returns = |resting| [Demand { returns: true, ..demand(None, resting)[0].clone() }];
        assert_eq!(given(100, &returns(true)), [None]);
        assert_eq!(given(900, &returns(true)), [Some(1)]);
        assert_eq!(given(100, &returns(false)), [None]);
        assert_eq!(given(500, &returns(false)), [Some(0)]);
    }

    proptest! {
        /// Whatever is asked for: what is given fits, or is less than stood before; and nobody gets what is not on the ladder.
        #[test]
        fn what_is_given_fits(
            budget in 0u64..5_000,
            asked in proptest::collection::vec((0u8..3, proptest::collection::vec(1u32..900, 0..5), any::<bool>(), 0usize..6), 0..30),
        ) {
            let ladders: Vec<Vec<Rung>> = asked.iter().map(|(_, steps, ..)| {
                let mut bps = 0;
                steps.iter().map(|step| { bps += step; rung(bps) }).collect()
            }).collect();
            let mut demands: Vec<Demand<'_>> = asked.iter().zip(&ladders).map(|((rank, _, resting, stands), ladder)| Demand {
                rank: [Rank::Screen, Rank::First, Rank::Other][usize::from(*rank)],
                ladder,
                stands: stands.checked_sub(1).filter(|at| *at < ladder.len()),
                returns: ladder.len() % 2 == 0,
                resting: *resting,
            }).collect();
            demands.sort_by_key(|demand| demand.rank);
            let given = given(budget, &demands);
            prop_assert_eq!(given.len(), demands.len());
            for (demand, at) in demands.iter().zip(&given) {
                prop_assert!(at.is_none_or(|at| at < demand.ladder.len()));
            }
            prop_assert!(cost_bps(&demands, &given) <= budget);
        }
    }
}
