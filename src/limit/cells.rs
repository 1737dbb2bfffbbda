//! The arithmetic of a meter.

#[cfg(test)]
use super::MINUTE_NS;
use super::{Rate, Rule};

impl Rate {
    /// The generic cell rate algorithm (ITU-T I.371): `due_ns` is when the key is at rest again. Gives its next value, or
    /// how long to wait.
    pub(super) fn take_each(self, period_ns: u64, due_ns: u64, now_ns: u64) -> Result<u64, u64> {
        if self.per_minute == 0 || self.burst == 0 {
            return Err(period_ns);
        }
        Self::spaced(period_ns / u64::from(self.per_minute), self.burst, due_ns, now_ns)
    }

    #[cfg(test)]
    pub(super) fn take(self, due_ns: u64, now_ns: u64) -> Result<u64, u64> {
        self.take_each(MINUTE_NS, due_ns, now_ns)
    }

    /// The same, by the time between two.
    pub(super) fn spaced(each_ns: u64, burst: u32, due_ns: u64, now_ns: u64) -> Result<u64, u64> {
        let ahead_ns = each_ns * u64::from(burst - 1);
        let due_ns = due_ns.max(now_ns);
        match (due_ns - now_ns).checked_sub(ahead_ns) {
            None | Some(0) => Ok(due_ns + each_ns),
            Some(wait_ns) => Err(wait_ns),
        }
    }
}

impl Rule {
    /// Whether an address may do no more of it than a person: who is behind it is not known, or it is a guess.
    pub(super) const fn is_of_addresses(self) -> bool {
        matches!(self, Rule::Register | Rule::FreeEntry | Rule::WrongPassword | Rule::StreamKey | Rule::Pin)
    }
}
