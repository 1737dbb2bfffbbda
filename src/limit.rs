//! How fast anybody may do anything: GCRA ("leaky bucket as a meter") per person and per address.
//!
//! One number per key, changed under one lock: no window edges, no lost updates. Every refusal says when to try again.

mod cells;
mod shared;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::domain::{Action, Caller, Refusal, RoomId, RoomKind, Seat, Trust, UserId, can, peer::Spent};

/// Locks that share the keys, so that cores seldom wait for each other.
const SHARDS: usize = 16;
/// Keys of one shard before the idle ones are swept out; 100 bytes each, so at most about 100 MB in all.
const SHARD_KEYS: usize = 65_536;

const MINUTE_NS: u64 = 60_000_000_000;

/// Codes of an app, by the day: guessing one of a million needs years then. See [`Rule::period_ns`].
const CODES: Rate = Rate { per_minute: 30, burst: 30 };
/// Exports and deletions, by the hour. See [`Rule::period_ns`].
const EVERYTHING: Rate = Rate { per_minute: 6, burst: 3 };

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Rule {
    /// Messages, and changes of them.
    Message(Trust),
    /// The same in live rooms, where all are in a hurry.
    MessageLive,
    /// The same between two strangers.
    MessageMatch,
    /// Messages in a room with slow mode. By person and room alone.
    SlowMode,
    /// Reactions and votes. By person and room: each is an event that everybody there is told.
    Mark,
    /// Typing signs.
    Typing,
    /// Coming into rooms.
    JoinRoom,
    /// Making rooms.
    CreateRoom,
    /// Entering the site. By address alone: nobody is known yet.
    Register,
    /// Entering the site without a proof of work, where many come from. By address alone.
    FreeEntry,
    /// Logging in to one account, by name, and showing second factors.
    Login,
    /// Wrong passwords before an address is under suspicion. By address alone.
    WrongPassword,
    /// Codes of an app that somebody shows, by the day: they are short, and each try is a guess.
    Code,
    /// Taking along, or having deleted, all that is one's own, by the hour: each reads all of it.
    Everything,
    /// Refreshing a login.
    Refresh,
    /// Offers of a call.
    Offer,
    /// What somebody wants to see of a call: told at each change of their layout.
    View,
    /// Stream keys that nobody made. By address alone: nobody is known by them.
    StreamKey,
    /// PINs of rooms, and codes of invitations that nobody made.
    Pin,
    /// Making invitations.
    Invite,
    /// Reports that are not critical.
    Report,
    /// Searches for strangers.
    Match,
    /// Files, by the hour.
    Upload,
    /// Parts of files whose upload goes on.
    UploadPart,
    /// Files of messages, as they are fetched: a page of a room shows dozens.
    Download,
    /// Looks at what a link leads to.
    Preview,
    /// Frames and requests of any kind, before anything is looked up for them.
    Frame,
    /// Everything else.
    Request,
}

/// So many a minute on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// On average, per minute.
    pub per_minute: u32,
    /// At once, after a pause.
    pub burst: u32,
}

/// So many an hour on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hourly {
    /// On average, per hour.
    pub per_hour: u32,
    /// At once, after a pause.
    pub burst: u32,
}

/// The rates. `exempt` names the addresses that no limit holds for (load tools).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages of people the server has known for less than a week.
    pub message_new: Rate,
    /// Messages of people it has known for longer, and of everybody in calls.
    pub message_established: Rate,
    /// Messages of people whom the room trusts.
    pub message_trusted: Rate,
    /// Messages in live rooms.
    pub message_live: Rate,
    /// Messages between two strangers.
    pub message_match: Rate,
    /// Reactions and votes, in each room.
    pub mark: Rate,
    /// Typing signs.
    pub typing: Rate,
    /// Coming into rooms.
    pub join_room: Rate,
    /// Making rooms.
    pub create_room: Rate,
    /// Entering the site, per address.
    pub register: Rate,
    /// Entering the site without a proof of work, per address.
    pub free_entry: Rate,
    /// Logging in to one account.
    pub login: Rate,
    /// Wrong passwords before an address is under suspicion, per address.
    pub wrong_password: Rate,
    /// Refreshing a login.
    pub refresh: Rate,
    /// Offers of a call.
    pub offer: Rate,
    /// What somebody wants to see of a call.
    pub view: Rate,
    /// Stream keys that nobody made, per address.
    pub stream_key: Rate,
    /// PINs of rooms, and codes of invitations that nobody made; per address as well, and no more.
    pub pin: Rate,
    /// Making invitations.
    pub invite: Rate,
    /// Reports that are not critical.
    pub report: Rate,
    /// Searches for strangers.
    pub search: Rate,
    /// Files.
    pub upload: Hourly,
    /// Parts of files whose upload goes on.
    pub upload_part: Rate,
    /// Files of messages, as they are fetched.
    pub download: Rate,
    /// Looks at what a link leads to.
    pub preview: Rate,
    /// Frames and requests of any kind.
    pub frame: Rate,
    /// Everything else.
    pub request: Rate,
    /// How many times as much an address may do as a person: offices share one.
    pub address_factor: u32,
    /// Addresses without limits (`PARLOR_LIMIT_EXEMPT`).
    #[serde(skip)]
    pub exempt: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        let rate = |per_minute, burst| Rate { per_minute, burst };
        Self {
            message_new: rate(10, 5),
            message_established: rate(30, 10),
            message_trusted: rate(100, 20),
            message_live: rate(30, 1),
            message_match: rate(30, 5),
            mark: rate(60, 20),
            typing: rate(60, 10),
            join_room: rate(60, 20),
            create_room: rate(20, 5),
            register: rate(60, 20),
            free_entry: rate(5, 5),
            login: rate(10, 10),
            wrong_password: rate(5, 10),
            refresh: rate(10, 5),
            offer: rate(30, 10),
            view: rate(300, 60),
            stream_key: rate(20, 10),
            pin: rate(5, 5),
            invite: rate(20, 10),
            report: rate(5, 5),
            search: rate(30, 5),
            upload: Hourly { per_hour: 20, burst: 20 },
            upload_part: rate(600, 100),
            download: rate(600, 200),
            preview: rate(30, 10),
            frame: rate(600, 200),
            request: rate(100, 50),
            address_factor: 20,
            exempt: Vec::new(),
        }
    }
}

/// The meter of the whole process.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    config: Config,
    started: Instant,
    hasher: RandomState,
    shards: [Mutex<HashMap<Key, u64>>; SHARDS],
    /// Where to tell what was let through, if other nodes count it too.
    told: OnceLock<mpsc::Sender<Spent>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Key {
    rule: Rule,
    who: Who,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Who {
    User(UserId),
    UserIn(UserId, RoomId),
    /// An IPv4 address, or the /64 of an IPv6 one: that much everybody gets from their provider.
    Address(IpAddr),
}

impl Limits {
    /// A meter at rest.
    pub fn new(config: Config) -> Self {
        Self(Arc::new(Inner {
            config,
            started: Instant::now(),
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            told: OnceLock::new(),
        }))
    }

    /// Counts one deed of somebody, for them and for their address.
    ///
    /// # Errors
    /// `rate_limited`; then nothing is to be done.
    pub fn check(&self, rule: Rule, caller: &Caller) -> Result<(), Refusal> {
        if can(caller.standing(), Action::PassLimits) {
            return Ok(());
        }
        self.check_user(rule, caller.user.id, caller.address)
    }

    /// The same for somebody of whom no more is known than who they are.
    ///
    /// # Errors
    /// `rate_limited`; then nothing is to be done.
    pub fn check_user(&self, rule: Rule, user: UserId, address: IpAddr) -> Result<(), Refusal> {
        let now_ns = self.now_ns();
        if self.is_exempt(address) {
            return Ok(());
        }
        self.take(rule, Who::User(user), self.rate(rule), now_ns)?;
        self.take_for_address(rule, address, now_ns)
    }

    /// Counts one deed for a person alone, whose address is counted otherwise.
    ///
    /// # Errors
    /// `rate_limited`; then nothing is to be done.
    pub fn check_person(&self, rule: Rule, user: UserId, address: IpAddr) -> Result<(), Refusal> {
        if self.is_exempt(address) { Ok(()) } else { self.take(rule, Who::User(user), self.rate(rule), self.now_ns()) }
    }

    /// Counts one message of somebody in a room with slow mode: the room says how many seconds lie between two. Who is trusted there, or
    /// more, is exempt.
    ///
    /// # Errors
    /// `rate_limited` (`slowMode`); then nothing is to be done.
    pub fn check_slow(&self, seat: &Seat) -> Result<(), Refusal> {
        if seat.rules.slow_mode_s == 0 || seat.is_exempt() {
            return Ok(());
        }
        let each_ns = u64::from(seat.rules.slow_mode_s) * 1_000_000_000;
        self.meter(Rule::SlowMode, Who::UserIn(seat.user().id, seat.room), self.now_ns(), |due_ns, now_ns| {
            Rate::spaced(each_ns, 1, due_ns, now_ns)
        })
    }

    /// Counts one deed of somebody in the room where they sit, besides what they do elsewhere.
    ///
    /// # Errors
    /// `rate_limited`; then nothing is to be done.
    pub fn check_here(&self, rule: Rule, seat: &Seat) -> Result<(), Refusal> {
        if self.are_not_for(&seat.session.caller) {
            return Ok(());
        }
        self.take(rule, Who::UserIn(seat.user().id, seat.room), self.rate(rule), self.now_ns())
    }

    /// Whether no limit holds for somebody.
    pub fn are_not_for(&self, caller: &Caller) -> bool {
        can(caller.standing(), Action::PassLimits) || self.is_exempt(caller.address)
    }

    /// Counts one deed of an address of which it is not known who is behind it.
    ///
    /// # Errors
    /// `rate_limited`; then nothing is to be done.
    pub fn check_address(&self, rule: Rule, address: IpAddr) -> Result<(), Refusal> {
        if self.is_exempt(address) { Ok(()) } else { self.take_for_address(rule, address, self.now_ns()) }
    }

    fn take_for_address(&self, rule: Rule, address: IpAddr, now_ns: u64) -> Result<(), Refusal> {
        self.take(rule, Who::Address(network(address)), self.rate_of_address(rule), now_ns)
    }

    fn rate_of_address(&self, rule: Rule) -> Rate {
        let Rate { per_minute, burst } = self.rate(rule);
        let factor = if rule.is_of_addresses() { 1 } else { self.0.config.address_factor };
        Rate { per_minute: per_minute.saturating_mul(factor), burst: burst.saturating_mul(factor) }
    }

    fn take(&self, rule: Rule, who: Who, rate: Rate, now_ns: u64) -> Result<(), Refusal> {
        self.meter(rule, who, now_ns, |due_ns, now_ns| rate.take_each(rule.period_ns(), due_ns, now_ns))
    }

    fn meter(
        &self,
        rule: Rule,
        who: Who,
        now_ns: u64,
        take: impl FnOnce(u64, u64) -> Result<u64, u64>,
    ) -> Result<(), Refusal> {
        let key = Key { rule, who };
        let mut shard = self.shard_of(&key);
        let before_ns = shard.get(&key).copied().unwrap_or(0);
        match take(before_ns, now_ns) {
            Ok(due_ns) => {
                put(&mut shard, key, due_ns, now_ns);
                drop(shard);
                self.tell_spent(key, due_ns.saturating_sub(before_ns.max(now_ns)));
                Ok(())
            }
            Err(wait_ns) => {
                Err(Refusal::RateLimited { limit: rule.name(), retry_after_ms: wait_ns.div_ceil(1_000_000) })
            }
        }
    }

    fn shard_of(&self, key: &Key) -> MutexGuard<'_, HashMap<Key, u64>> {
        let shard = &self.0.shards[self.0.hasher.hash_one(key) as usize % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rate(&self, rule: Rule) -> Rate {
        let config = &self.0.config;
        match rule {
            Rule::Message(Trust::New) => config.message_new,
            Rule::Message(Trust::Established) => config.message_established,
            Rule::Message(Trust::Trusted) => config.message_trusted,
            Rule::MessageLive => config.message_live,
            Rule::MessageMatch => config.message_match,
            // The room says how slow: see `Limits::check_slow`.
            Rule::SlowMode => config.message_trusted,
            Rule::Mark => config.mark,
            Rule::Typing => config.typing,
            Rule::JoinRoom => config.join_room,
            Rule::CreateRoom => config.create_room,
            Rule::Register => config.register,
            Rule::FreeEntry => config.free_entry,
            Rule::Login => config.login,
            Rule::WrongPassword => config.wrong_password,
            Rule::Code => CODES,
            Rule::Everything => EVERYTHING,
            Rule::Refresh => config.refresh,
            Rule::Offer => config.offer,
            Rule::View => config.view,
            Rule::StreamKey => config.stream_key,
            Rule::Pin => config.pin,
            Rule::Invite => config.invite,
            Rule::Report => config.report,
            Rule::Match => config.search,
            // See `Rule::period_ns`.
            Rule::Upload => Rate { per_minute: config.upload.per_hour, burst: config.upload.burst },
            Rule::UploadPart => config.upload_part,
            Rule::Download => config.download,
            Rule::Preview => config.preview,
            Rule::Frame => config.frame,
            Rule::Request => config.request,
        }
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.config.exempt.iter().any(|net| net.contains(&address))
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.0.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Rule {
    /// The one that messages of this person in this room go by. People in a call talk faster than strangers who have just come to a
    /// forum.
    pub fn of_message(seat: &Seat) -> Self {
        match seat.kind {
            RoomKind::Live => Rule::MessageLive,
            RoomKind::Match => Rule::MessageMatch,
            RoomKind::Call => Rule::Message(seat.trust().max(Trust::Established)),
            _ => Rule::Message(seat.trust()),
        }
    }

    /// The time that its rate is counted in.
    const fn period_ns(self) -> u64 {
        match self {
            Rule::Upload | Rule::Everything => 60 * MINUTE_NS,
            Rule::Code => 24 * 60 * MINUTE_NS,
            _ => MINUTE_NS,
        }
    }

    /// The name that refusals tell.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Message(_) | Rule::MessageLive | Rule::MessageMatch => "message",
            Rule::SlowMode => "slowMode",
            Rule::Mark => "mark",
            Rule::Typing => "typing",
            Rule::JoinRoom => "joinRoom",
            Rule::CreateRoom => "createRoom",
            Rule::Register => "register",
            Rule::FreeEntry => "freeEntry",
            Rule::Login => "login",
            Rule::WrongPassword => "wrongPassword",
            Rule::Code => "code",
            Rule::Everything => "everything",
            Rule::Refresh => "refresh",
            Rule::Offer => "offer",
            Rule::View => "view",
            Rule::StreamKey => "streamKey",
            Rule::Pin => "pin",
            Rule::Invite => "invite",
            Rule::Report => "report",
            Rule::Match => "match",
            Rule::Upload => "upload",
            Rule::UploadPart => "uploadPart",
            Rule::Download => "download",
            Rule::Preview => "preview",
            Rule::Frame => "frame",
            Rule::Request => "request",
        }
    }
}

/// Makes room in a full shard: keys at rest say nothing and go. If all are busy (an attack from very many addresses), the
/// half that is closest to rest goes, since forgetting it gives away least.
fn put(shard: &mut HashMap<Key, u64>, key: Key, due_ns: u64, now_ns: u64) {
    if shard.len() >= SHARD_KEYS && !shard.contains_key(&key) {
        sweep(shard, now_ns);
    }
    shard.insert(key, due_ns);
}

fn sweep(shard: &mut HashMap<Key, u64>, now_ns: u64) {
    shard.retain(|_, due_ns| *due_ns > now_ns);
    if shard.len() >= SHARD_KEYS {
        let mut dues: Vec<u64> = shard.values().copied().collect();
        let middle = dues.len() / 2;
        let (_, &mut median, _) = dues.select_nth_unstable(middle);
        shard.retain(|_, due_ns| *due_ns > median);
    }
}

/// What one customer of a provider has: an IPv4 address, or the /64 of an IPv6 one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
pub(crate) mod tests;
