//! Those who wait at a door and have shown nothing yet. They take nobody's place: there are so many at most, and when one more
//! comes, whoever has waited longest of the address that has most has to go.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Newcomers by their number, which grows: a lower one has waited longer.
pub(super) struct Crowd<T> {
    most: usize,
    per_address: usize,
    waiting: BTreeMap<usize, (IpAddr, T)>,
    of_address: HashMap<IpAddr, usize>,
}

impl<T> Crowd<T> {
    pub fn new(most: usize, per_address: usize) -> Self {
        Self { most, per_address, waiting: BTreeMap::new(), of_address: HashMap::new() }
    }

    /// One more; answers who had to go for it.
    pub fn admit(&mut self, number: usize, address: IpAddr, newcomer: T) -> Option<T> {
        let gone = self.too_many(address).and_then(|number| self.remove(number));
        *self.of_address.entry(address).or_default() += 1;
        self.waiting.insert(number, (address, newcomer));
        gone
    }

    pub fn newcomer(&mut self, number: usize) -> Option<&mut T> {
        self.waiting.get_mut(&number).map(|(_, newcomer)| newcomer)
    }

    pub fn remove(&mut self, number: usize) -> Option<T> {
        let (address, newcomer) = self.waiting.remove(&number)?;
        if let Some(here) = self.of_address.get_mut(&address) {
            *here -= 1;
            if *here == 0 {
                self.of_address.remove(&address);
            }
        }
        Some(newcomer)
    }

    /// Takes out, longest waiting first, those for whom it is too late; answers how many.
    pub fn remove_while(&mut self, is_late: impl Fn(&T) -> bool) -> u64 {
        let mut late = 0;
        while let Some((number, (_, newcomer))) = self.waiting.first_key_value()
            && is_late(newcomer)
        {
            let number = *number;
            self.remove(number);
            late += 1;
        }
        late
    }

    /// Who has to go before somebody of that address can come.
    fn too_many(&self, address: IpAddr) -> Option<usize> {
        let here = |address: &IpAddr| self.of_address.get(address).copied().unwrap_or(0);
        if here(&address) >= self.per_address {
            return self.waiting.iter().find(|(_, (of, _))| *of == address).map(|(number, _)| *number);
        }
        if self.waiting.len() < self.most {
            return None;
        }
        // A walk over a thousand, and only while somebody floods the door.
        let greatest = self.waiting.iter().max_by_key(|(number, (of, _))| (here(of), Reverse(**number)));
        greatest.map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn the_oldest_of_the_greatest_goes_first() {
        let mut crowd = Crowd::new(6, 4);
        for number in 0..4 {
            assert_eq!(crowd.admit(number, address(1), number), None);
        }
        assert_eq!(crowd.admit(4, address(1), 4), Some(0), "an address has its bound");
        assert_eq!((crowd.admit(5, address(2), 5), crowd.admit(6, address(3), 6)), (None, None));
        // All places are taken: those who have most of them lose one each time.
        assert_eq!(crowd.admit(7, address(4), 7), Some(1));
        assert_eq!(crowd.admit(8, address(5), 8), Some(2));
        assert_eq!(crowd.admit(9, address(6), 9), Some(3));
        // Everybody has one: now it is whoever has waited longest.
        assert_eq!(crowd.admit(10, address(7), 10), Some(4));
        assert_eq!(crowd.admit(11, address(8), 11), Some(5));
    }

    #[test]
    fn places_come_free_again() {
        let mut crowd = Crowd::new(2, 1);
        crowd.admit(0, address(1), 0);
        assert_eq!((crowd.remove(0), crowd.remove(0)), (Some(0), None));
        assert_eq!(crowd.admit(1, address(1), 1), None);
        assert_eq!(crowd.admit(2, address(2), 2), None);
        *crowd.newcomer(2).unwrap() = 20;
        assert_eq!(crowd.remove_while(|number| *number < 10), 1);
        assert_eq!((crowd.remove(1), crowd.remove(2)), (None, Some(20)));
        assert!(crowd.of_address.is_empty());
    }
}
