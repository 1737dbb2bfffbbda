//! A reader of bits, highest first, that ends where the bytes end.

/// What is left to read.
#[derive(Debug, Clone)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0 }
    }

    /// The next `count` bits as a number, 32 at most; `None` when there are not so many.
    pub fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0u64;
        let mut left = count as usize;
        while left > 0 {
            let byte = u64::from(*self.bytes.get(self.at / 8)?);
            let here = (8 - self.at % 8).min(left);
            let bits = byte >> (8 - self.at % 8 - here) & ((1 << here) - 1);
            value = value << here | bits;
            self.at += here;
            left -= here;
        }
        Some(value as u32)
    }

    pub fn flag(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// `ns(n)` of the AV1 specification §4.10.7: a number below `n`, which is 1 at least.
    pub fn below(&mut self, n: u32) -> Option<u32> {
        let width = n.ilog2() + 1;
        let short = (1u32 << width) - n;
        let value = self.take(width - 1)?;
        if value < short { Some(value) } else { Some((value << 1) - short + self.take(1)?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_over_the_borders_of_bytes() {
        let mut bits = Bits::new(&[0b1010_0101, 0xff, 0x00, 0x12, 0x34]);
        assert_eq!((bits.take(3), bits.take(7), bits.flag()), (Some(0b101), Some(0b001_0111), Some(true)));
        assert_eq!((bits.take(5), bits.take(0), bits.take(24)), (Some(0b1_1111), Some(0), Some(0x00_12_34)));
        assert_eq!((bits.take(1), bits.flag()), (None, None));
        assert_eq!(Bits::new(&[0xde, 0xad, 0xbe, 0xef]).take(32), Some(0xdead_beef));
    }

    #[test]
    fn reads_numbers_below_another() {
        // §4.10.7 for n = 5: 00, 01, 10, 110, 111.
        let mut bits = Bits::new(&[0b0001_1011, 0b0111_0000]);
        assert_eq!([(); 5].map(|()| bits.below(5)), [0, 1, 2, 3, 4].map(Some));
        assert_eq!(Bits::new(&[]).below(1), Some(0), "there is only one such number");
    }
}
