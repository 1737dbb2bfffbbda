//! How fast anybody may do anything: GCRA ("leaky bucket as a meter") per person and per address.
//!
//! One number per key, changed under one lock: no window edges, no lost updates. Every refusal says when to try again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use ipnet::IpNet;
use serde::Deserialize;

use crate::domain::{Action, Caller, Refusal, UserId, can, user::Trust};

/// Locks that share the keys, so that cores seldom wait for each other.
const SHARDS: usize = 16;
/// Keys of one shard before the idle ones are swept out; 100 bytes each, so at most about 100 MB in all.
const SHARD_KEYS: usize = 65_536;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Messages, and changes of them.
    Message(Trust),
    /// Typing signs.
    Typing,
    /// Coming into rooms.
    JoinRoom,
    /// Making rooms.
    CreateRoom,
    /// Entering the site. By address alone: nobody is known yet.
    Register,
    /// Refreshing a login.
    Refresh,
    /// Offers of a call.
    Offer,
    /// What somebody wants to see of a call: told at each change of their layout.
    View,
    /// Stream keys that nobody made. By address alone: nobody is known by them.
    StreamKey,
    /// Reports that are not critical.
    Report,
    /// Searches for strangers.
    Match,
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
    /// Typing signs.
    pub typing: Rate,
    /// Coming into rooms.
    pub join_room: Rate,
    /// Making rooms.
    pub create_room: Rate,
    /// Entering the site, per address.
    pub register: Rate,
    /// Refreshing a login.
    pub refresh: Rate,
    /// Offers of a call.
    pub offer: Rate,
    /// What somebody wants to see of a call.
    pub view: Rate,
    /// Stream keys that nobody made, per address.
    pub stream_key: Rate,
    /// Reports that are not critical.
    pub report: Rate,
    /// Searches for strangers.
    pub search: Rate,
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
            typing: rate(60, 10),
            join_room: rate(60, 20),
            create_room: rate(20, 5),
            register: rate(60, 20),
            refresh: rate(10, 5),
            offer: rate(30, 10),
            view: rate(300, 60),
            stream_key: rate(20, 10),
            report: rate(5, 5),
            search: rate(30, 5),
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
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    rule: Rule,
    who: Who,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Who {
    User(UserId),
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
        let mut rate = self.rate(rule);
        if !matches!(rule, Rule::Register | Rule::StreamKey) {
            rate.per_minute = rate.per_minute.saturating_mul(self.0.config.address_factor);
            rate.burst = rate.burst.saturating_mul(self.0.config.address_factor);
        }
        self.take(rule, Who::Address(network(address)), rate, now_ns)
    }

    fn take(&self, rule: Rule, who: Who, rate: Rate, now_ns: u64) -> Result<(), Refusal> {
        let key = Key { rule, who };
        let shard = &self.0.shards[self.0.hasher.hash_one(key) as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let due_ns = shard.get(&key).copied().unwrap_or(0);
        match rate.take(due_ns, now_ns) {
            Ok(due_ns) => {
                if shard.len() >= SHARD_KEYS && !shard.contains_key(&key) {
                    sweep(&mut shard, now_ns);
                }
                shard.insert(key, due_ns);
                Ok(())
            }
            Err(wait_ns) => {
                Err(Refusal::RateLimited { limit: rule.name(), retry_after_ms: wait_ns.div_ceil(1_000_000) })
            }
        }
    }

    fn rate(&self, rule: Rule) -> Rate {
        let config = &self.0.config;
        match rule {
            Rule::Message(Trust::New) => config.message_new,
            Rule::Message(Trust::Established) => config.message_established,
            Rule::Message(Trust::Trusted) => config.message_trusted,
            Rule::Typing => config.typing,
            Rule::JoinRoom => config.join_room,
            Rule::CreateRoom => config.create_room,
            Rule::Register => config.register,
            Rule::Refresh => config.refresh,
            Rule::Offer => config.offer,
            Rule::View => config.view,
            Rule::StreamKey => config.stream_key,
            Rule::Report => config.report,
            Rule::Match => config.search,
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
    /// The name that refusals tell.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::Message(_) => "message",
            Rule::Typing => "typing",
            Rule::JoinRoom => "joinRoom",
            Rule::CreateRoom => "createRoom",
            Rule::Register => "register",
            Rule::Refresh => "refresh",
            Rule::Offer => "offer",
            Rule::View => "view",
            Rule::StreamKey => "streamKey",
            Rule::Report => "report",
            Rule::Match => "match",
            Rule::Frame => "frame",
            Rule::Request => "request",
        }
    }
}

impl Rate {
    /// The generic cell rate algorithm (ITU-T I.371): `due_ns` is when the key is at rest again. Gives its next value, or
    /// how long to wait.
    fn take(self, due_ns: u64, now_ns: u64) -> Result<u64, u64> {
        const MINUTE_NS: u64 = 60_000_000_000;
        if self.per_minute == 0 || self.burst == 0 {
            return Err(MINUTE_NS);
        }
        let each_ns = MINUTE_NS / u64::from(self.per_minute);
        let ahead_ns = each_ns * u64::from(self.burst - 1);
        let due_ns = due_ns.max(now_ns);
        match (due_ns - now_ns).checked_sub(ahead_ns) {
            None | Some(0) => Ok(due_ns + each_ns),
            Some(wait_ns) => Err(wait_ns),
        }
    }
}

/// Makes room in a full shard: keys at rest say nothing and go. If all are busy (an attack from very many addresses), the
/// half that is closest to rest goes, since forgetting it gives away least.
fn sweep(shard: &mut HashMap<Key, u64>, now_ns: u64) {
    shard.retain(|_, due_ns| *due_ns > now_ns);
    if shard.len() >= SHARD_KEYS {
        let mut dues: Vec<u64> = shard.values().copied().collect();
        let middle = dues.len() / 2;
        let (_, &mut median, _) = dues.select_nth_unstable(middle);
        shard.retain(|_, due_ns| *due_ns > median);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FamilyId, SiteRole, Time, User};

    const S: u64 = 1_000_000_000;

    fn caller(role: SiteRole, address: &str) -> Caller {
        let user = User { id: UserId::new(), nickname: "ada".to_owned(), role };
        Caller { user, known_since: Time::now(), family: FamilyId::new(), address: address.parse().unwrap() }
    }

    #[test]
    fn a_burst_passes_and_then_one_by_one() {
        let rate = Rate { per_minute: 30, burst: 3 };
        let mut due = 0;
        for _ in 0..3 {
            due = rate.take(due, 100 * S).unwrap();
        }
        assert_eq!(rate.take(due, 100 * S), Err(2 * S), "the fourth waits for its turn");
        assert_eq!(rate.take(due, 101 * S), Err(S));
        due = rate.take(due, 102 * S).unwrap();
        assert_eq!(rate.take(due, 102 * S), Err(2 * S));
        assert_eq!(rate.take(due, 102 * S), Err(2 * S), "a refusal costs nothing");
        // Any minute lets through the rate and one burst at the most: no window has an edge to jump.
        let (mut due, mut passed) = (0, 0);
        for tenth in 0..600 {
            if let Ok(next) = rate.take(due, 1000 * S + tenth * S / 10) {
                (due, passed) = (next, passed + 1);
            }
        }
        assert_eq!(passed, 30 + 2);
    }

    #[test]
    fn a_person_and_an_address_have_their_own_meters() {
        let config = Config { request: Rate { per_minute: 1, burst: 1 }, address_factor: 2, ..Config::default() };
        let limits = Limits::new(config);
        let (one, two, three) = (
            caller(SiteRole::Member, "2001:db8::1"),
            caller(SiteRole::Member, "2001:db8::2"),
            caller(SiteRole::Member, "2001:db8::ffff:0:0:3"),
        );
        limits.check(Rule::Request, &one).unwrap();
        let refusal = limits.check(Rule::Request, &one).unwrap_err();
        assert!(matches!(refusal, Refusal::RateLimited { limit: "request", retry_after_ms: 59_000..=60_000 }));
        limits.check(Rule::Request, &two).unwrap();
        assert!(limits.check(Rule::Request, &three).is_err(), "their common /64 has had its two");
        limits.check(Rule::Request, &caller(SiteRole::Member, "2001:db8:0:1::1")).unwrap();
        limits.check(Rule::Typing, &one).unwrap();
    }

    #[test]
    fn moderators_and_exempt_addresses_pass() {
        let none = Rate { per_minute: 1, burst: 1 };
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let limits = Limits::new(Config { request: none, exempt, ..Config::default() });
        for (role, address) in [
            (SiteRole::Moderator, "192.0.2.1"),
            (SiteRole::Member, "127.0.0.9"),
            (SiteRole::Member, "::ffff:127.0.0.9"),
        ] {
            let caller = caller(role, address);
            for _ in 0..10 {
                limits.check(Rule::Request, &caller).unwrap();
            }
        }
    }

    #[test]
    fn a_full_shard_forgets_who_is_at_rest_first() {
        let key = |n: u32| Key { rule: Rule::Request, who: Who::Address(IpAddr::V4(n.into())) };
        let mut shard: HashMap<_, _> = (0..SHARD_KEYS as u32).map(|n| (key(n), u64::from(n))).collect();
        sweep(&mut shard, 1000);
        assert_eq!(shard.len(), SHARD_KEYS - 1001);
        let mut shard: HashMap<_, _> = (0..SHARD_KEYS as u32).map(|n| (key(n), u64::from(n) + 5)).collect();
        sweep(&mut shard, 0);
        assert_eq!(shard.len(), SHARD_KEYS / 2 - 1);
        assert!(shard.contains_key(&key(SHARD_KEYS as u32 - 1)), "the busiest is still known");
    }
}
