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

/// Every one. [`place`] keeps it whole.
pub(crate) const RULES: [Rule; 30] = [
    Rule::Message(Trust::New),
    Rule::Message(Trust::Established),
    Rule::Message(Trust::Trusted),
    Rule::MessageLive,
    Rule::MessageMatch,
    Rule::SlowMode,
    Rule::Mark,
    Rule::Typing,
    Rule::JoinRoom,
    Rule::CreateRoom,
    Rule::Register,
    Rule::FreeEntry,
    Rule::Login,
    Rule::WrongPassword,
    Rule::Code,
    Rule::Everything,
    Rule::Refresh,
    Rule::Offer,
    Rule::View,
    Rule::StreamKey,
    Rule::Pin,
    Rule::Invite,
    Rule::Report,
    Rule::Match,
    Rule::Upload,
    Rule::UploadPart,
    Rule::Download,
    Rule::Preview,
    Rule::Frame,
    Rule::Request,
];

/// Where a rule stands among [`RULES`]. Whoever adds one says it here.
const fn place(rule: Rule) -> usize {
    match rule {
        Rule::Message(Trust::New) => 0,
        Rule::Message(Trust::Established) => 1,
        Rule::Message(Trust::Trusted) => 2,
        Rule::MessageLive => 3,
        Rule::MessageMatch => 4,
        Rule::SlowMode => 5,
        Rule::Mark => 6,
        Rule::Typing => 7,
        Rule::JoinRoom => 8,
        Rule::CreateRoom => 9,
        Rule::Register => 10,
        Rule::FreeEntry => 11,
        Rule::Login => 12,
        Rule::WrongPassword => 13,
        Rule::Code => 14,
        Rule::Everything => 15,
        Rule::Refresh => 16,
        Rule::Offer => 17,
        Rule::View => 18,
        Rule::StreamKey => 19,
        Rule::Pin => 20,
        Rule::Invite => 21,
        Rule::Report => 22,
        Rule::Match => 23,
        Rule::Upload => 24,
        Rule::UploadPart => 25,
        Rule::Download => 26,
        Rule::Preview => 27,
        Rule::Frame => 28,
        Rule::Request => 29,
    }
}

/// So many in such a time, and so many at once.
fn told(rate: Rate, rule: Rule) -> String {
    let period = match rule.period_ns() / MINUTE_NS {
        1 => "a minute",
        60 => "an hour",
        _ => "a day",
    };
    format!("{} {period}, {} at once", rate.per_minute, rate.burst)
}

#[test]
fn every_limit_has_a_name_and_a_rate() {
    let limits = Limits::new(Config::default());
    let mut page = Vec::new();
    for (at, rule) in RULES.into_iter().enumerate() {
        assert_eq!(place(rule), at, "{rule:?}");
        let of_address = told(limits.rate_of_address(rule), rule);
        let of_person = match rule {
            Rule::Register | Rule::FreeEntry | Rule::WrongPassword | Rule::StreamKey => "-".to_owned(),
            Rule::SlowMode => "as the room says".to_owned(),
            rule => told(limits.rate(rule), rule),
        };
        let of_address = if matches!(rule, Rule::SlowMode | Rule::Mark | Rule::Code) { "-" } else { &of_address };
        page.push(format!("{:13} {:22} | {of_person:28} | {of_address}", rule.name(), format!("{rule:?}")));
    }
    let head = format!("{:13} {:22} | {:28} | an address", "limit", "rule", "a person");
    page.insert(0, head);
    insta::assert_snapshot!(page.join("\n"));
}
