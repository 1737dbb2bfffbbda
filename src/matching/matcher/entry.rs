//! A ticket in the house: how old it is, what it insists on, and whom it may meet.

use super::shelves::{Label, Place, Pool, Shelf, Tongue};
use super::{Bounds, ReservationId, Ticket};
use crate::domain::{UserId, matching::MatchStage};

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) ticket: Ticket,
    pub(super) place: Place,
    pub(super) since_ms: u64,
    pub(super) stage: MatchStage,
    pub(super) standing: Standing,
    /// The numbers of its interests, in order.
    pub(super) interests: Vec<u32>,
    /// Partners whom it does not meet again, and until when.
    pub(super) met: Vec<(UserId, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// To be found.
    Waiting,
    /// Its owner is away: it grows older and is not to be found.
    Held,
    /// In a reservation.
    Reserved(ReservationId),
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: Vec<Option<Entry>>,
    /// Indexes that nobody uses.
    free: Vec<u32>,
    last_number: u64,
}

impl Entries {
    /// The place of the next entry.
    pub(super) fn next_place(&mut self) -> Place {
        self.last_number += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            u32::try_from(self.all.len() - 1).expect("there are fewer tickets than that")
        });
        Place { number: self.last_number, index }
    }

    pub(super) fn put(&mut self, entry: Entry) {
        let index = entry.place.index as usize;
        self.all[index] = Some(entry);
    }

    pub(super) fn take(&mut self, place: Place) -> Entry {
        self.free.push(place.index);
        self.all[place.index as usize].take().expect(KEPT)
    }

    pub(super) fn at(&self, place: Place) -> &Entry {
        self.all[place.index as usize].as_ref().expect(KEPT)
    }

    pub(super) fn at_mut(&mut self, place: Place) -> &mut Entry {
        self.all[place.index as usize].as_mut().expect(KEPT)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.all.iter().all(Option::is_none)
    }
}

/// Why a place has its entry.
const KEPT: &str = "whatever names a place is cleared before its entry goes";

impl Entry {
    /// The age at which it ends.
    pub(super) fn limit_ms(&self, bounds: &Bounds) -> u64 {
        if self.ticket.fallback { bounds.fallback_ms } else { bounds.language_ms }
    }

    /// When it climbs or ends, as long as its stage is what it is.
    pub(super) fn next_change_ms(&self, bounds: &Bounds) -> u64 {
        let age_ms = match self.stage {
            MatchStage::Strict => bounds.strict_ms,
            MatchStage::Interests => bounds.interests_ms,
            MatchStage::Language => bounds.language_ms,
            MatchStage::Fallback => bounds.fallback_ms,
        };
        self.since_ms + age_ms
    }

    /// Its stage by its age. `None`: it is too old.
    pub(super) fn stage_at(&self, now_ms: u64, bounds: &Bounds) -> Option<MatchStage> {
        let age_ms = now_ms.saturating_sub(self.since_ms);
        match age_ms {
            _ if age_ms >= self.limit_ms(bounds) => None,
            _ if self.ticket.fallback => Some(MatchStage::Fallback),
            _ if age_ms >= bounds.interests_ms => Some(MatchStage::Language),
            _ if age_ms >= bounds.strict_ms => Some(MatchStage::Interests),
            _ => Some(MatchStage::Strict),
        }
    }

    /// The interests that both name, in order.
    pub(super) fn shared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = u32> + 'a {
        self.interests.iter().copied().filter(|number| other.interests.binary_search(number).is_ok())
    }

    pub(super) fn pool(&self) -> Pool {
        let Ticket { mode, band, cluster, low_trust, .. } = self.ticket;
        Pool { mode, band, cluster, low_trust }
    }

    /// Where those are whose language fits.
    pub(super) fn tongues_it_seeks(&self) -> [Option<Tongue>; 2] {
        match self.ticket.language {
            Some(language) => [Some(Tongue::Of(language)), Some(Tongue::Unnamed)],
            None => [Some(Tongue::Any), None],
        }
    }

    pub(super) fn may_meet(&self, other: &Entry, now_ms: u64) -> bool {
        let has_met = |one: &Entry, user| one.met.iter().any(|(met, until_ms)| *met == user && *until_ms > now_ms);
        self.place != other.place
            && !self.ticket.blocked.contains(&other.ticket.user)
            && !other.ticket.blocked.contains(&self.ticket.user)
            && !has_met(self, other.ticket.user)
            && !has_met(other, self.ticket.user)
    }

    /// The shelves that it stands on; those alone that it did not stand on `before`, if that is given.
    pub(super) fn each_shelf(&self, before: Option<MatchStage>, mut each: impl FnMut(Shelf)) {
        let pool = self.pool();
        let own = self.ticket.language.map_or(Tongue::Unnamed, Tongue::Of);
        let reaches = |stage| self.stage >= stage && before.is_none_or(|before| before < stage);
        for tongue in [Tongue::Any, own] {
            let mut put = |label| each(Shelf { pool, tongue, label });
            if before.is_none() {
                put(Label::Everybody);
                if self.interests.is_empty() {
                    put(Label::NoInterests);
                }
                self.interests.iter().for_each(|interest| put(Label::Interest(*interest)));
            }
            if reaches(MatchStage::Interests) {
                put(Label::WithoutInterests);
            }
        }
        if reaches(MatchStage::Language) {
            each(Shelf { pool, tongue: Tongue::Any, label: Label::WithoutLanguage });
        }
    }
}
