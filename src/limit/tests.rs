use super::*;
use crate::domain::{FamilyId, SiteRole, Time, User};

const S: u64 = 1_000_000_000;

fn caller(role: SiteRole, address: &str) -> Caller {
    let user = User { id: UserId::new(), nickname: "ada".to_owned(), role, bot: false };
    Caller {
        user,
        known_since: Time::now(),
        family: FamilyId::new(),
        address: address.parse().unwrap(),
        cluster: Default::default(),
    }
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
    for (role, address) in
        [(SiteRole::Moderator, "192.0.2.1"), (SiteRole::Member, "127.0.0.9"), (SiteRole::Member, "::ffff:127.0.0.9")]
    {
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

#[test]
fn codes_are_counted_by_the_day() {
    let limits = Limits::new(Config::default());
    let (who, from) = (UserId::new(), "192.0.2.1".parse().unwrap());
    for _ in 0..CODES.burst {
        limits.check_person(Rule::Code, who, from).unwrap();
    }
    let refused = limits.check_person(Rule::Code, who, "192.0.2.2".parse().unwrap());
    let Err(Refusal::RateLimited { retry_after_ms, .. }) = refused else { panic!("{refused:?}") };
    assert!(retry_after_ms > 40 * 60 * 1000, "{retry_after_ms}");
    limits.check_person(Rule::Code, UserId::new(), from).unwrap();
}
