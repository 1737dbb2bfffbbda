use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Access, new_secret};

/// Tickets that wait at most. Requests are limited per person and address, so only an attack by very many comes here; then all
/// are forgotten, and honest clients ask again.
const MOST: usize = 65_536;

/// One-time tickets. In memory: a restart costs a client one more request.
pub(super) struct Tickets {
    life: Duration,
    waiting: Mutex<HashMap<String, (Access, Instant)>>,
}

impl Tickets {
    pub(super) fn new(life: Duration) -> Self {
        Self { life, waiting: Mutex::default() }
    }

    pub(super) fn make(&self, access: &Access) -> String {
        let (ticket, now) = (new_secret(), Instant::now());
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST {
            waiting.retain(|_, (_, until)| *until > now);
            if waiting.len() >= MOST {
                waiting.clear();
            }
        }
        waiting.insert(ticket.clone(), (access.clone(), now + self.life));
        ticket
    }

    pub(super) fn take(&self, ticket: &str) -> Option<Access> {
        let (access, until) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(ticket)?;
        (until > Instant::now()).then_some(access)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Caller, FamilyId, SiteRole, Time, User, UserId};

    fn access() -> Access {
        let user = User { id: UserId::new(), nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
        let address = [127, 0, 0, 1].into();
        let caller =
            Caller { user, known_since: Time::now(), family: FamilyId::new(), address, cluster: Default::default() };
        Access { caller, expires_at: Time::now(), second_factor: false, withheld: None, scopes: None }
    }

    #[test]
    fn a_ticket_is_good_once_and_soon() {
        let tickets = Tickets::new(Duration::from_secs(60));
        let ticket = tickets.make(&access());
        assert!(tickets.take("another").is_none());
        assert!(tickets.take(&ticket).is_some());
        assert!(tickets.take(&ticket).is_none());
        let late = Tickets::new(Duration::ZERO);
        let ticket = late.make(&access());
        assert!(late.take(&ticket).is_none());
    }
}
