//! What other nodes ask for is done here: for one session one after the other, as it was asked, and no more at once than is bearable.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::sync::Semaphore;

use super::Shared;
use super::frames::Conversation;
use super::relay;
use crate::domain::{
    SessionId,
    peer::{Errand, Outcome},
};
use crate::nodes::{Job, Neighbours};

/// Sessions and requests for which something is done at once; the others wait. Most of it waits for the database, which has fewer
/// connections.
const AT_ONCE: usize = 512;
/// Errands that wait for one session. Its socket has one at a time, and a word behind it that nobody waits for; beyond, they are lost.
const OF_ONE: usize = 64;

/// Begins to do what other nodes ask for, should there be any.
pub(super) fn serve(shared: &Shared, router: &Router) {
    let Some(neighbours) = shared.neighbours.clone() else { return };
    let Some(mut jobs) = neighbours.jobs() else { return };
    let (shared, router, stop) = (shared.clone(), router.clone(), shared.stop.clone());
    tokio::spawn(async move {
        let (room, lines) = (Arc::new(Semaphore::new(AT_ONCE)), Lines::default());
        while let Some(Some(job)) = stop.run_until_cancelled(jobs.recv()).await {
            let Some(job) = lines.join(job) else { continue };
            let Ok(place) = room.clone().acquire_owned().await else { return };
            let (shared, router, neighbours, lines) =
                (shared.clone(), router.clone(), neighbours.clone(), lines.clone());
            tokio::spawn(async move {
                let (whose, mut next) = (job.errand.session(), Some(job));
                while let Some(job) = next {
                    // A bug in one errand ends that one, and not those behind it.
                    let done = tokio::spawn(do_job(shared.clone(), router.clone(), neighbours.clone(), job)).await;
                    if done.is_err() {
                        tracing::error!("an errand of another node was not done");
                    }
                    next = whose.and_then(|session| lines.next(session));
                }
                drop(place);
            });
        }
    });
}

/// What waits for each session for which something is being done.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<HashMap<SessionId, VecDeque<Job>>>>);

impl Lines {
    /// Puts an errand behind those of its session. `Some`: there are none, and it is to be done now.
    fn join(&self, job: Job) -> Option<Job> {
        let Some(session) = job.errand.session() else { return Some(job) };
        match self.all().entry(session) {
            Entry::Vacant(line) => {
                line.insert(VecDeque::new());
                Some(job)
            }
            Entry::Occupied(mut line) => {
                if line.get().len() < OF_ONE {
                    line.get_mut().push_back(job);
                }
                None
            }
        }
    }

    /// What is to be done next for a session for which something has been done.
    fn next(&self, session: SessionId) -> Option<Job> {
        let mut all = self.all();
        let next = all.get_mut(&session)?.pop_front();
        if next.is_none() {
            all.remove(&session);
        }
        next
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, VecDeque<Job>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn do_job(shared: Shared, router: Router, neighbours: Neighbours, job: Job) {
    if job.is_late() {
        return;
    }
    let Job { from, number, errand, .. } = job;
    let outcome = match errand {
        Errand::Frame { visitor, call_of, text } => {
            let talk = neighbours.welcome(from, visitor).map(|session| Conversation::of_guest(shared, session));
            match talk {
                Some(talk) => talk.take_of_guest(&neighbours, call_of, &text).await,
                None => Outcome::Elsewhere,
            }
        }
        Errand::Knock { visitor, room, request } => {
            let talk = neighbours.welcome(from, visitor).map(|session| Conversation::of_guest(shared, session));
            match talk {
                Some(talk) => talk.open_to_guest(room, request).await,
                None => Outcome::Elsewhere,
            }
        }
        Errand::Request(asked) => relay::answer_here(router, asked).await,
    };
    neighbours.report(from, number, outcome);
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::time::Instant;

    use super::*;
    use crate::domain::{Caller, FamilyId, NodeId, SiteRole, Time, User, UserId, cluster::Tenant, peer::Visitor};

    fn job(session: SessionId, number: u64) -> Job {
        let user = User { id: UserId::new(), nickname: "ada".to_owned(), role: SiteRole::Member, bot: false };
        let caller = Caller {
            user,
            known_since: Time::now(),
            family: FamilyId::new(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            cluster: Tenant::default(),
        };
        let errand = Errand::Frame { visitor: Visitor { session, caller }, call_of: None, text: String::new() };
        Job { since: Instant::now(), from: NodeId::new(), number, errand }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_one_session_is_done_in_its_order() {
        let (lines, one, other) = (Lines::default(), SessionId::new(), SessionId::new());
        assert_eq!(lines.join(job(one, 1)).map(|job| job.number), Some(1), "it is done at once");
        assert!(lines.join(job(one, 2)).is_none() && lines.join(job(one, 3)).is_none(), "behind the first");
        assert_eq!(lines.join(job(other, 4)).map(|job| job.number), Some(4), "nobody waits for somebody else");
        for expected in [Some(2), Some(3), None, None] {
            assert_eq!(lines.next(one).map(|job| job.number), expected);
        }
        assert!(lines.next(other).is_none() && lines.all().is_empty(), "who has nothing to be done has no line");
        // A session cannot have as much wait here as it likes.
        for number in 0..1_000 {
            let _ = lines.join(job(one, number));
        }
        assert_eq!(lines.all()[&one].len(), OF_ONE);
        // Whoever asked has been told that it was not done.
        let late = job(other, 5);
        assert!(!late.is_late());
        tokio::time::advance(std::time::Duration::from_secs(4)).await;
        assert!(late.is_late());
    }
}
