//! Where tickets stand, so that whoever searches looks at those alone who may fit.

use std::collections::{BTreeSet, HashMap, btree_set};

use crate::domain::matching::{AgeBand, Language, MatchMode};

/// A ticket's place. Older tickets have lower numbers, so places sort by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) index: u32,
}

/// Those who may meet at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pool {
    pub(super) mode: MatchMode,
    pub(super) band: AgeBand,
    pub(super) cluster: u16,
    pub(super) low_trust: bool,
}

/// Tickets that have something in common, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shelf {
    pub(super) pool: Pool,
    pub(super) tongue: Tongue,
    pub(super) label: Label,
}

/// By language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Tongue {
    /// Whatever their language.
    Any,
    /// Who names none.
    Unnamed,
    /// Who names this one.
    Of(Language),
}

/// By what they name or insist on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Label {
    /// Everybody.
    Everybody,
    /// Who names no interest.
    NoInterests,
    /// Who names this one.
    Interest(u32),
    /// Who insists on no interest any more.
    WithoutInterests,
    /// Who insists on no language any more.
    WithoutLanguage,
}

/// All shelves with somebody on them.
#[derive(Debug, Default)]
pub(super) struct Shelves(HashMap<Shelf, BTreeSet<Place>>);

impl Shelves {
    pub(super) fn put(&mut self, shelf: Shelf, place: Place) {
        self.0.entry(shelf).or_default().insert(place);
    }

    pub(super) fn take(&mut self, shelf: Shelf, place: Place) {
        if let Some(places) = self.0.get_mut(&shelf) {
            places.remove(&place);
            if places.is_empty() {
                self.0.remove(&shelf);
            }
        }
    }

    /// Who stands there, oldest first.
    pub(super) fn on(&self, shelf: Shelf) -> impl Iterator<Item = Place> + '_ {
        self.0.get(&shelf).map(BTreeSet::iter).into_iter().flat_map(btree_set::Iter::copied)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Numbers for the interests that somebody names now. An interest that nobody names any more is forgotten, so there are never more
/// than tickets name.
#[derive(Debug, Default)]
pub(super) struct Interests {
    numbers: HashMap<String, u32>,
    named: Vec<(String, usize)>,
    free: Vec<u32>,
}

impl Interests {
    /// The numbers of these names, in order.
    pub(super) fn enter(&mut self, names: &[String]) -> Vec<u32> {
        let mut numbers: Vec<_> = names.iter().map(|name| self.number(name)).collect();
        numbers.sort_unstable();
        numbers
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            self.named[*number as usize].1 += 1;
            return *number;
        }
        let named = (name.to_owned(), 1);
        let number = match self.free.pop() {
            Some(number) => {
                self.named[number as usize] = named;
                number
            }
            None => {
                self.named.push(named);
                u32::try_from(self.named.len() - 1).expect("tickets name fewer than that")
            }
        };
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// Somebody names these no more.
    pub(super) fn leave(&mut self, numbers: &[u32]) {
        for number in numbers {
            let (name, count) = &mut self.named[*number as usize];
            *count -= 1;
            if *count == 0 {
                self.numbers.remove(&std::mem::take(name));
                self.free.push(*number);
            }
        }
    }

    pub(super) fn name(&self, number: u32) -> &str {
        &self.named[number as usize].0
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}
