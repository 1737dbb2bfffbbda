//! Who waits for a turn: places of a slab, each of them once, however often it is noted.

/// Places that wait; the one that was noted last has its turn first.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    places: Vec<usize>,
    /// Whether a place is among them: a look at each of thousands would cost thousands of times that.
    noted: Vec<bool>,
}

impl Agenda {
    /// The place waits from now on.
    pub fn note(&mut self, place: usize) {
        if place >= self.noted.len() {
            self.noted.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.noted[place], true) {
            self.places.push(place);
        }
    }

    /// Whose turn it is.
    pub fn last(&self) -> Option<usize> {
        self.places.last().copied()
    }

    /// Whose turn it is; it waits no more.
    pub fn pop(&mut self) -> Option<usize> {
        let place = self.places.pop()?;
        self.noted[place] = false;
        Some(place)
    }

    /// All that wait, in the order in which they were noted; nobody waits any more.
    pub fn take(&mut self) -> Vec<usize> {
        self.noted.clear();
        std::mem::take(&mut self.places)
    }

    /// Only those wait on of which this holds.
    pub fn retain(&mut self, holds: impl Fn(usize) -> bool) {
        for place in self.take() {
            if holds(place) {
                self.note(place);
            }
        }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_one_turn() {
        let mut agenda = Agenda::default();
        for place in [3, 900, 3, 0, 900] {
            agenda.note(place);
        }
        assert_eq!((agenda.len(), agenda.last()), (3, Some(0)));
        assert_eq!((agenda.pop(), agenda.pop()), (Some(0), Some(900)));
        agenda.note(900);
        agenda.note(3);
        agenda.retain(|place| place != 3);
        assert_eq!((agenda.take(), agenda.is_empty()), (vec![900], true));
        agenda.note(900);
        assert_eq!((agenda.pop(), agenda.pop()), (Some(900), None));
    }
}
