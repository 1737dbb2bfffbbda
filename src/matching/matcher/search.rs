//! Finding the best partner.

use std::cmp::Reverse;

use super::Matcher;
use super::shelves::{Label, Place, Shelf, Tongue};
use crate::domain::matching::MatchStage;

/// Candidates of one shelf among whom the one with most shared interests is chosen: enough that better ones are rare, few
/// enough that a popular interest costs no more than a rare one.
const WINDOW: usize = 16;
/// Places of one shelf that are looked at for a better partner whom language does not bind. Most there are not free for everybody.
const GLANCE: usize = 64;

impl Matcher {
    /// The best partner for a ticket: who shares most interests with it, and then the oldest.
    pub(super) fn partner_of(&self, place: Place) -> Option<Place> {
        let seeker = self.entries.at(place);
        let tongues = seeker.tongues_it_seeks();
        let shelf = |tongue, label| self.shelves.on(Shelf { pool: seeker.pool(), tongue, label });
        let free = |other: &Place| seeker.may_meet(self.entries.at(*other), self.now_ms);
        let mut best: Option<(Reverse<usize>, Place)> = None;
        let mut consider = |candidate: Place| {
            let shared = seeker.shared(self.entries.at(candidate)).count();
            let rated = (Reverse(shared), candidate);
            best = Some(best.map_or(rated, |best| best.min(rated)));
        };
        for interest in &seeker.interests {
            let label = Label::Interest(*interest);
            for tongue in tongues.into_iter().flatten() {
                shelf(tongue, label).filter(free).take(WINDOW).for_each(&mut consider);
            }
            if seeker.stage >= MatchStage::Language {
                let unbound = |it: &Place| self.entries.at(*it).stage >= MatchStage::Language;
                let glance = shelf(Tongue::Any, label).take(GLANCE);
                glance.filter(unbound).filter(free).take(WINDOW).for_each(&mut consider);
            }
        }
        if let Some((_, partner)) = best {
            return Some(partner);
        }
        let label = if seeker.interests.is_empty() { Label::Everybody } else { Label::NoInterests };
        let mut oldest = None;
        let mut look = |tongue, label| {
            let found = shelf(tongue, label).find(free);
            oldest = [oldest, found].into_iter().flatten().min();
        };
        for tongue in tongues.into_iter().flatten() {
            look(tongue, label);
            if seeker.stage >= MatchStage::Interests {
                look(tongue, Label::WithoutInterests);
            }
        }
        if seeker.stage >= MatchStage::Language {
            look(Tongue::Any, Label::WithoutLanguage);
        }
        oldest
    }
}
