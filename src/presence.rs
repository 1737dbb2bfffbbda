//! Who is there, and as what they are seen.
//!
//! A device is there while its session is; what a person's devices here come to is what this node announces, and what all nodes
//! announce is merged ([`merge`]). Others are told of changes only if they share a small room: in a large one there are too many,
//! and only a number is shown. Who is invisible is not there, for anybody but themselves.

mod merge;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

pub use merge::{LIVES, merge};

use crate::bus::Bus;
use crate::domain::{
    Caller, NodeId, Notice, Refusal, Session, SessionChange, SessionId, SiteRole, Time, Told, UserId,
    peer::PeerWord,
    presence::{Announcement, LastSeen, Seen, Shown, Status, Wish},
};
use crate::limit::{Limits, Rule};
use crate::store::Store;

/// The longest text that somebody says of themselves, in characters.
pub const TEXT_LIMIT: usize = 100;
/// In rooms with more members nobody is told of anybody's presence.
const SMALL_ROOM: u32 = 100;
/// People who are told of one change at most.
const TOLD: u32 = 500;
/// How often what other nodes said is looked through for what is too old.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const DAY_MS: i64 = 24 * 3600 * 1000;

/// The people who are there. Clones share them.
#[derive(Clone)]
pub struct Presence(Arc<Inner>);

struct Inner {
    node: NodeId,
    store: Store,
    bus: Bus,
    limits: Limits,
    people: Mutex<People>,
    /// Somebody has changed.
    changed: Notify,
}

#[derive(Default)]
struct People {
    all: HashMap<UserId, Person>,
    owners: HashMap<SessionId, UserId>,
    /// Whose acquaintances are still to be told. No longer than the list of people.
    untold: BTreeSet<UserId>,
    /// Counts the wishes that were heard of: whoever applies one that they read before must see that none came in between.
    wishes: u64,
}

#[derive(Default)]
struct Person {
    wish: Wish,
    devices: HashMap<SessionId, Status>,
    /// When the last device here went, as other nodes were told.
    left: Option<Time>,
    /// What other nodes said last.
    elsewhere: HashMap<NodeId, Announcement>,
    /// What their acquaintances know by this node. `None`: that they are not there, or another node tells of them.
    told: Option<Shown>,
    /// Whether they were to be seen when that was looked at last, whoever told it.
    was_seen: bool,
}

/// A change that their acquaintances are to know.
struct News {
    shown: Shown,
    was_seen: bool,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new(node: NodeId, store: Store, bus: Bus, limits: Limits) -> Self {
        let (people, changed) = (Mutex::default(), Notify::new());
        Self(Arc::new(Inner { node, store, bus, limits, people, changed }))
    }

    /// A session has been opened or taken up again. Whether its owner is invisible.
    ///
    /// # Errors
    /// `internal`.
    pub async fn arrive(&self, session: &Session) -> Result<bool, Refusal> {
        let user = session.caller.user.id;
        let (kept, mut people) = loop {
            let heard = self.people().wishes;
            let kept = self.0.store.presence(user).await?;
            let people = self.people();
            if people.wishes == heard {
                break (kept, people);
            }
        };
        if session.is_over() {
            // Its end was told already, and would not be told again.
            return Ok(kept.wish.status == Status::Invisible);
        }
        people.owners.insert(session.id, user);
        let person = people.all.entry(user).or_default();
        if person.devices.is_empty() {
            // Otherwise what is known here is no older.
            person.wish = kept.wish;
        }
        person.devices.entry(session.id).or_insert(Status::Online);
        let is_invisible = person.status(Time::now()) == Some(Status::Invisible);
        self.announce(&mut people, user);
        Ok(is_invisible)
    }

    /// What a device shows from now on. Whether its owner is invisible.
    ///
    /// # Errors
    /// `rate_limited`.
    pub fn show(&self, session: &Session, status: Status) -> Result<bool, Refusal> {
        self.0.limits.check(Rule::Request, &session.caller)?;
        let user = session.caller.user.id;
        let mut people = self.people();
        let Some(person) = people.all.get_mut(&user) else { return Ok(status == Status::Invisible) };
        if let Some(device) = person.devices.get_mut(&session.id) {
            *device = status;
        }
        let is_invisible = person.status(Time::now()) == Some(Status::Invisible);
        self.announce(&mut people, user);
        Ok(is_invisible)
    }

    /// What somebody wants to be seen as, on all their devices and from now on. `seen`: what they wanted until now, as far as they know;
    /// `None`: whatever it was. Whether they are invisible.
    ///
    /// # Errors
    /// `bad_request` (`text`, `textUntil`), `precondition_failed` (it was something else), `internal`.
    pub async fn wish(&self, caller: &Caller, wish: Wish, seen: Option<&Wish>) -> Result<bool, Refusal> {
        let text = wish.text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_LIMIT || text.chars().any(char::is_control)) {
            return Err(Refusal::bad_request("text", format!("Such a text has up to {TEXT_LIMIT} characters.")));
        }
        if wish.text_until.is_some_and(|until| until <= Time::now()) {
            return Err(Refusal::bad_request("textUntil", "This moment has passed."));
        }
        let text_until = wish.text_until.filter(|_| text.is_some());
        let wish = Wish { status: wish.status, text, text_until };
        let user = caller.user.id;
        match seen {
            None => self.0.store.keep_wish(user, &wish).await?,
            Some(seen) if self.0.store.replace_wish(user, seen, &wish).await? => {}
            Some(_) => return Err(Refusal::Outdated),
        }
        // Their devices may all be at other nodes, where nothing else says so.
        self.0.bus.tell_nodes(|| PeerWord::Wished(user));
        Ok(self.take_wish(user, wish))
    }

    /// Somebody's wish was changed by another node, perhaps. Whether they are invisible; `None`: nothing has changed here.
    ///
    /// # Errors
    /// `internal`.
    pub async fn learn_wish(&self, user: UserId) -> Result<Option<bool>, Refusal> {
        let is_here = {
            let mut people = self.people();
            people.wishes += 1;
            people.all.contains_key(&user)
        };
        if !is_here {
            return Ok(None);
        }
        let wish = self.0.store.presence(user).await?.wish;
        let is_known = self.people().all.get(&user).is_none_or(|person| person.wish == wish);
        Ok((!is_known).then(|| self.take_wish(user, wish)))
    }

    /// Whether they are invisible by this wish, or by what one of their devices shows.
    fn take_wish(&self, user: UserId, wish: Wish) -> bool {
        let wants_to_be = wish.status == Status::Invisible;
        let mut people = self.people();
        people.wishes += 1;
        let Some(person) = people.all.get_mut(&user) else { return wants_to_be };
        person.wish = wish;
        // Of devices that are elsewhere, their nodes say what they come to by the new wish; until they do, it says so itself.
        let is_invisible = wants_to_be || person.status(Time::now()) == Some(Status::Invisible);
        if person.devices.is_empty() {
            self.tell_soon(&mut people, user);
        } else {
            self.announce(&mut people, user);
        }
        is_invisible
    }

    /// What somebody sees of somebody, themselves included; of themselves what they wish, too.
    ///
    /// # Errors
    /// `not_found` (nobody of that id, or nobody with whom they share a room), `internal`.
    pub async fn look(&self, caller: &Caller, user: UserId) -> Result<(Shown, Option<Wish>), Refusal> {
        let is_self = caller.user.id == user;
        let may_look = is_self
            || caller.user.role >= SiteRole::Moderator
            || self.0.store.know_each_other(caller.user.id, user).await?;
        if !may_look || self.0.store.user(user).await?.is_none() {
            return Err(Refusal::NotFound);
        }
        let (kept, now) = (self.0.store.presence(user).await?, Time::now());
        // What they wish is read from the database: the node of their devices may not have learnt it yet.
        let status = self.people().all.get(&user).and_then(|person| person.status(now));
        let status = status.map(|devices| chosen(&kept.wish, devices));
        let shown = shown(user, status, &kept.wish, now);
        let last_seen = kept.last_seen.filter(|_| shown.status == Seen::Offline);
        let shown = Shown { last_seen: last_seen.map(|at| LastSeen::of(at, now)), ..shown };
        Ok((shown, is_self.then_some(kept.wish)))
    }

    /// Whether somebody is there and nobody is to know.
    pub fn is_invisible(&self, user: UserId) -> bool {
        self.people().all.get(&user).and_then(|person| person.status(Time::now())) == Some(Status::Invisible)
    }

    /// What this node says of the people who are here, for other nodes: at each change, and again before it is too old.
    pub fn announcements(&self) -> Vec<Announcement> {
        let (node, at) = (self.0.node, Time::now());
        let people = self.people();
        let here = people.all.iter().filter(|(_, person)| !person.devices.is_empty());
        here.map(|(user, person)| Announcement { at, status: person.here(), node, user: *user }).collect()
    }

    /// Who is here, by whatever device.
    pub fn here(&self) -> Vec<UserId> {
        let people = self.people();
        people.all.iter().filter(|(_, person)| !person.devices.is_empty()).map(|(user, _)| *user).collect()
    }

    /// What another node says of somebody. Whether they are invisible now.
    pub fn hear(&self, announcement: Announcement) -> bool {
        if announcement.node == self.0.node {
            return self.is_invisible(announcement.user);
        }
        let mut people = self.people();
        let person = people.all.entry(announcement.user).or_default();
        let before = person.elsewhere.insert(announcement.node, announcement);
        let latest = before.map_or(announcement, |before| before.max(announcement));
        person.elsewhere.insert(announcement.node, latest);
        let is_invisible = person.status(Time::now()) == Some(Status::Invisible);
        self.tell_soon(&mut people, announcement.user);
        is_invisible
    }

    /// Follows what becomes of sessions, and tells what changes by it, until the channel closes.
    pub async fn follow(self, mut sessions: mpsc::UnboundedReceiver<SessionChange>) {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        loop {
            tokio::select! {
                change = sessions.recv() => match change {
                    Some(SessionChange::Ended(session)) => self.gone(session),
                    Some(SessionChange::Lost(_) | SessionChange::Resumed(_)) => {}
                    None => return,
                },
                () = self.0.changed.notified() => self.tell().await,
                _ = sweep.tick() => self.sweep(),
            }
        }
    }

    fn gone(&self, session: SessionId) {
        let mut people = self.people();
        let Some(user) = people.owners.remove(&session) else { return };
        if let Some(person) = people.all.get_mut(&user) {
            person.devices.remove(&session);
        }
        self.announce(&mut people, user);
    }

    /// Forgets what other nodes said too long ago.
    fn sweep(&self) {
        let now = Time::now();
        let mut people = self.people();
        let mut changed = Vec::new();
        for (user, person) in &mut people.all {
            let before = person.elsewhere.len();
            person.elsewhere.retain(|_, it| merge::is_alive(it, now));
            if person.elsewhere.len() != before {
                changed.push(*user);
            }
        }
        for user in changed {
            self.tell_soon(&mut people, user);
        }
    }

    /// Somebody has changed here: other nodes are told at once, acquaintances soon.
    fn announce(&self, people: &mut People, user: UserId) {
        let (at, person) = (Time::now(), people.all.get_mut(&user));
        let status = person.as_ref().and_then(|person| person.here());
        if let Some(person) = person.filter(|_| status.is_none()) {
            person.left = Some(at);
        }
        let announcement = Announcement { at, status, node: self.0.node, user };
        self.0.bus.tell_nodes(|| PeerWord::Shown(vec![announcement]));
        self.tell_soon(people, user);
    }

    fn tell_soon(&self, people: &mut People, user: UserId) {
        people.untold.insert(user);
        self.0.changed.notify_one();
    }

    /// Tells the acquaintances of whoever has changed, one by one: what changes back meanwhile is not told.
    async fn tell(&self) {
        loop {
            let (user, news) = {
                let (mut people, now) = (self.people(), Time::now());
                let Some(user) = people.untold.pop_first() else { return };
                let Some(person) = people.all.get_mut(&user) else { continue };
                let news = person.news(user, self.0.node, now);
                if person.devices.is_empty() && person.elsewhere.is_empty() {
                    people.all.remove(&user);
                }
                (user, news)
            };
            let Some(news) = news else { continue };
            if let Err(error) = self.tell_acquaintances(user, news).await {
                tracing::warn!(?error, "a change of presence was not told");
            }
        }
    }

    async fn tell_acquaintances(&self, user: UserId, news: News) -> Result<(), Refusal> {
        let News { shown, was_seen } = news;
        let store = &self.0.store;
        let last_seen = if shown.status == Seen::Offline && was_seen {
            let today = Time::now().as_ms() / DAY_MS * DAY_MS;
            store.keep_last_seen(user, Time::from_ms(today)).await?;
            Some(LastSeen::Recently)
        } else {
            None
        };
        let shown = Shown { last_seen, ..shown };
        for other in store.acquaintances(user, SMALL_ROOM, TOLD).await? {
            self.0.bus.notify(&Notice::to_user(other, Told::Presence(shown.clone())));
        }
        Ok(())
    }

    fn people(&self) -> MutexGuard<'_, People> {
        self.0.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Person {
    /// What their devices here come to.
    fn here(&self) -> Option<Status> {
        Some(chosen(&self.wish, merge::merge_devices(self.devices.values().copied())?))
    }

    fn status(&self, now: Time) -> Option<Status> {
        let all = self.here().max(merge(self.elsewhere.values(), now))?;
        // Where they have devices, what they want to be seen as is known before other nodes have learnt it.
        Some(if self.devices.is_empty() { all } else { chosen(&self.wish, all) })
    }

    /// What is to be told of them by this node; they are looked at.
    fn news(&mut self, user: UserId, node: NodeId, now: Time) -> Option<News> {
        let shown = shown(user, self.status(now), &self.wish, now);
        let is_seen = shown.status != Seen::Offline;
        let was_seen = std::mem::replace(&mut self.was_seen, is_seen);
        if !self.is_told_by(node, now) {
            self.told = None;
            return None;
        }
        let is_gone = was_seen && !is_seen;
        let is_new = is_gone || self.told.as_ref() != is_seen.then_some(&shown);
        self.told = is_seen.then(|| shown.clone());
        is_new.then_some(News { shown, was_seen })
    }

    /// Whether a node is the one to tell of them: the first of those where they have devices, for it knows what they say of
    /// themselves; once they have none, the one where they had the last. Of whom no node said that they went, every node tells:
    /// theirs may be gone.
    fn is_told_by(&self, node: NodeId, now: Time) -> bool {
        let alive = || self.elsewhere.values().filter(|it| merge::is_alive(it, now));
        let there = alive().filter(|it| it.status.is_some()).map(|it| it.node).min();
        match there {
            Some(first) => !self.devices.is_empty() && node < first,
            None if !self.devices.is_empty() => true,
            None => {
                let last = alive().map(|it| (it.at, it.node)).max();
                last.is_none_or(|last| self.left.is_some_and(|left| (left, node) > last))
            }
        }
    }
}

/// What somebody chose in the place of what their devices come to. One that hides them does so whatever they chose.
fn chosen(wish: &Wish, devices: Status) -> Status {
    match wish.status {
        Status::Online => devices,
        _ if devices == Status::Invisible => devices,
        chosen => chosen,
    }
}

/// Somebody as others see them who is there as `status`.
fn shown(user: UserId, status: Option<Status>, wish: &Wish, now: Time) -> Shown {
    let status = status.map_or(Seen::Offline, Status::seen);
    let says = status != Seen::Offline && wish.text_until.is_none_or(|until| until > now);
    let text = wish.text.clone().filter(|_| says);
    Shown { user_id: user, status, text_until: wish.text_until.filter(|_| text.is_some()), text, last_seen: None }
}
