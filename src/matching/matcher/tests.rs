use super::*;

mod world;

/// The n-th ticket and person of these tests.
fn ticket(number: u128, language: &str, interests: &[&str]) -> Ticket {
    Ticket {
        id: TicketId::from(number),
        user: UserId::from(number),
        mode: MatchMode::Video,
        band: AgeBand::Adult,
        cluster: 0,
        low_trust: false,
        language: (!language.is_empty()).then(|| Language::parse(language).unwrap()),
        interests: interests.iter().map(|it| (*it).to_owned()).collect(),
        fallback: false,
        blocked: HashSet::new(),
    }
}

fn matcher(tickets: impl IntoIterator<Item = Ticket>) -> Matcher {
    let mut matcher = Matcher::new(Bounds::default());
    tickets.into_iter().for_each(|ticket| matcher.add(ticket, 0).unwrap());
    matcher
}

/// Those whom this tick puts together.
fn pairs(matcher: &mut Matcher, now_ms: u64) -> Vec<(u128, u128)> {
    reserved(matcher, now_ms).into_iter().map(|(_, one, other)| (one, other)).collect()
}

fn reserved(matcher: &mut Matcher, now_ms: u64) -> Vec<(ReservationId, u128, u128)> {
    let pair = |outcome| match outcome {
        Outcome::Reserved { reservation, tickets: [one, other], .. } => {
            Some((reservation, one.as_u128(), other.as_u128()))
        }
        _ => None,
    };
    matcher.tick(now_ms).into_iter().filter_map(pair).collect()
}

#[test]
fn a_wish_that_is_not_named_is_no_wish() {
    let meet = |one: Ticket, other: Ticket| pairs(&mut matcher([one, other]), 0) == [(1, 2)];
    assert!(meet(ticket(1, "en", &["chess"]), ticket(2, "en", &["go", "chess"])));
    assert!(meet(ticket(1, "en", &[]), ticket(2, "en", &["chess"])));
    assert!(meet(ticket(1, "", &["chess"]), ticket(2, "en", &["chess"])));
    assert!(meet(ticket(1, "", &[]), ticket(2, "", &[])));
    assert!(!meet(ticket(1, "en", &["chess"]), ticket(2, "en", &["go"])));
    assert!(!meet(ticket(1, "en", &["chess"]), ticket(2, "de", &["chess"])));
    assert!(!meet(ticket(1, "en", &[]), ticket(2, "de", &[])));
}

#[test]
fn each_gives_up_their_own_wishes_when_it_is_their_time() {
    let mut matcher = matcher([ticket(1, "en", &["chess"])]);
    matcher.tick(4_000);
    matcher.add(ticket(2, "en", &["go"]), 4_000).unwrap();
    let stage = |matcher: &Matcher, number| matcher.progress(TicketId::from(number)).unwrap();
    assert_eq!(matcher.tick(4_999), []);
    let climbed = |number, stage| Outcome::Climbed { ticket: TicketId::from(number), stage };
    assert_eq!(matcher.tick(8_999), [climbed(1, MatchStage::Interests)], "the other one still insists");
    assert_eq!(
        (stage(&matcher, 1), stage(&matcher, 2)),
        ((MatchStage::Interests, 11_001), (MatchStage::Strict, 15_001))
    );
    assert_eq!(pairs(&mut matcher, 9_000), [(2, 1)], "now both take anybody of their language");

    let mut matcher = super::tests::matcher([ticket(1, "en", &[]), ticket(2, "de", &[])]);
    assert_eq!(pairs(&mut matcher, 11_999), []);
    assert_eq!(pairs(&mut matcher, 12_000), [(1, 2)]);
}

#[test]
fn a_search_without_success_ends_and_a_fallback_waits_for_anybody() {
    let fallback = Ticket { fallback: true, ..ticket(3, "fr", &["opera"]) };
    let mut matcher = matcher([ticket(1, "en", &["chess"]), fallback]);
    assert_eq!(pairs(&mut matcher, 11_999), [], "who insists is not given away");
    assert_eq!(matcher.progress(TicketId::from(3)), Some((MatchStage::Fallback, 288_001)));
    assert_eq!(pairs(&mut matcher, 12_000), [(1, 3)]);

    let mut matcher = super::tests::matcher([ticket(1, "en", &["chess"])]);
    matcher.tick(19_999);
    assert_eq!(matcher.tick(20_000), [Outcome::TimedOut { ticket: TicketId::from(1) }]);
    assert_eq!((matcher.next_due_ms(), matcher.searching(MatchMode::Video)), (None, 0));
    matcher.add(Ticket { fallback: true, ..ticket(2, "en", &[]) }, 20_000).unwrap();
    matcher.tick(319_999);
    assert_eq!(matcher.tick(320_000), [Outcome::TimedOut { ticket: TicketId::from(2) }]);
}

#[test]
fn some_never_meet() {
    let meet = |other: Ticket| pairs(&mut matcher([ticket(1, "", &[]), other]), 15_000) == [(1, 2)];
    let other = ticket(2, "", &[]);
    assert!(meet(other.clone()));
    assert!(!meet(Ticket { mode: MatchMode::Text, ..other.clone() }));
    assert!(!meet(Ticket { band: AgeBand::Minor, ..other.clone() }));
    assert!(!meet(Ticket { cluster: 1, ..other.clone() }));
    assert!(!meet(Ticket { low_trust: true, ..other.clone() }));
    assert!(!meet(Ticket { blocked: [UserId::from(1)].into(), ..other.clone() }));
    let blocks = Ticket { blocked: [UserId::from(2)].into(), ..ticket(1, "", &[]) };
    assert_eq!(pairs(&mut matcher([blocks, other]), 15_000), []);
    let low = |number| Ticket { low_trust: true, ..ticket(number, "", &[]) };
    assert_eq!(pairs(&mut matcher([low(1), low(2)]), 0), [(1, 2)]);
}

#[test]
fn nobody_meets_themselves_and_a_second_ticket_takes_the_place_of_the_first() {
    let again = Ticket { id: TicketId::from(9), ..ticket(1, "en", &[]) };
    let mut matcher = matcher([ticket(1, "en", &[]), again]);
    assert_eq!(pairs(&mut matcher, 15_000), []);
    assert_eq!(matcher.searching(MatchMode::Video), 1);
    assert!(!matcher.remove(TicketId::from(1)) && matcher.remove(TicketId::from(9)));
}

#[test]
fn the_oldest_is_served_first_and_gets_whoever_shares_most() {
    let mut matcher = matcher([
        ticket(1, "en", &["chess", "go", "tea"]),
        ticket(2, "en", &["chess"]),
        ticket(3, "en", &["tea", "chess"]),
        ticket(4, "en", &["chess"]),
    ]);
    let outcomes = matcher.tick(0);
    let [Outcome::Reserved { tickets, shared, .. }, Outcome::Reserved { tickets: rest, .. }] = &outcomes[..] else {
        panic!("two pairs, not {outcomes:?}")
    };
    assert_eq!(tickets, &[1, 3].map(TicketId::from));
    assert_eq!(shared, &["chess", "tea"]);
    assert_eq!(rest, &[2, 4].map(TicketId::from));
}

#[test]
fn a_reservation_that_nobody_commits_gives_both_back() {
    let mut matcher = matcher([ticket(1, "en", &["chess"]), ticket(2, "en", &["chess"])]);
    let [(reservation, ..)] = reserved(&mut matcher, 0)[..] else { panic!("a pair") };
    // Nobody finds them meanwhile.
    matcher.add(ticket(3, "en", &["chess"]), 1_000).unwrap();
    assert_eq!(pairs(&mut matcher, 4_999), []);
    // Whoever was to commit it is dead.
    let again = reserved(&mut matcher, 5_000);
    assert_eq!((again.len(), again[0].1, again[0].2), (1, 1, 2), "as old as they are, they come first");
    assert_eq!(matcher.commit(reservation), None, "too late");
    let pair = matcher.commit(again[0].0).unwrap();
    assert_eq!(pair, Pair { tickets: [1, 2].map(TicketId::from), waited_ms: [5_000, 5_000] });
    assert_eq!(matcher.commit(again[0].0), None, "once");
    assert_eq!((matcher.searching(MatchMode::Video), matcher.estimated_wait_ms(MatchMode::Video)), (1, Some(5_000)));
    assert_eq!(matcher.estimated_wait_ms(MatchMode::Text), None);
}

#[test]
fn who_goes_back_too_late_has_timed_out() {
    let mut matcher = matcher([ticket(1, "en", &[]), ticket(2, "de", &[])]);
    let [(reservation, ..)] = reserved(&mut matcher, 18_000)[..] else { panic!("a pair") };
    matcher.tick(21_000);
    matcher.roll_back(reservation);
    let ended = [1, 2].map(|number| Outcome::TimedOut { ticket: TicketId::from(number) });
    assert_eq!(matcher.tick(21_000), ended);
}

#[test]
fn who_leaves_a_reservation_sets_the_other_free() {
    let mut matcher = matcher([ticket(1, "en", &[]), ticket(2, "en", &[]), ticket(3, "en", &[])]);
    let [(reservation, ..)] = reserved(&mut matcher, 0)[..] else { panic!("a pair") };
    assert!(matcher.remove(TicketId::from(1)));
    assert_eq!(matcher.commit(reservation), None);
    let [(reservation, 2, 3)] = reserved(&mut matcher, 0)[..] else { panic!("the next pair") };
    // Away for a moment: not to be found, and as old as before when back.
    matcher.hold(TicketId::from(2));
    assert_eq!(matcher.commit(reservation), None);
    assert_eq!(pairs(&mut matcher, 4_000), []);
    matcher.release(TicketId::from(2));
    assert_eq!(matcher.progress(TicketId::from(2)), Some((MatchStage::Strict, 16_000)));
    let [(reservation, 2, 3)] = reserved(&mut matcher, 4_000)[..] else { panic!("the same pair") };
    // A block in the last moment.
    matcher.forbid(UserId::from(3), UserId::from(2));
    assert_eq!(matcher.commit(reservation), None);
    assert_eq!(pairs(&mut matcher, 15_000), []);
    matcher.permit(UserId::from(2), UserId::from(3));
    assert_eq!(pairs(&mut matcher, 15_000), [(2, 3)]);
}

#[test]
fn the_last_partners_are_not_met_again_for_half_an_hour() {
    let mut matcher = Matcher::new(Bounds::default());
    let mut now_ms = 0;
    let mut meet = |matcher: &mut Matcher, other: u128, after_ms: u64| {
        now_ms += after_ms;
        matcher.add(ticket(1, "en", &[]), now_ms).unwrap();
        matcher.add(ticket(other, "en", &[]), now_ms).unwrap();
        let found = reserved(matcher, now_ms);
        found.iter().for_each(|(reservation, ..)| assert!(matcher.commit(*reservation).is_some()));
        matcher.remove(TicketId::from(other));
        !found.is_empty()
    };
    assert!(meet(&mut matcher, 2, 0) && !meet(&mut matcher, 2, 1_000));
    assert!((3..=11).all(|other| meet(&mut matcher, other, 1_000)));
    assert!(!meet(&mut matcher, 2, 1_000), "the tenth last");
    assert!(meet(&mut matcher, 12, 1_000));
    assert!(!meet(&mut matcher, 2, 1_000), "for the other one it was the last");
    assert!(!meet(&mut matcher, 3, 1_000));
    assert!(meet(&mut matcher, 2, PARTNERS_FOR_MS) && meet(&mut matcher, 3, 0));
}

#[test]
fn two_who_wait_meet_as_soon_as_their_last_meeting_is_old_enough() {
    let mut matcher = Matcher::new(Bounds::default());
    matcher.remember(UserId::from(1), UserId::from(2), 0);
    let patient = |number| Ticket { fallback: true, ..ticket(number, "en", &[]) };
    matcher.add(patient(1), PARTNERS_FOR_MS - 60_000).unwrap();
    matcher.add(patient(2), PARTNERS_FOR_MS - 60_000).unwrap();
    assert_eq!(pairs(&mut matcher, PARTNERS_FOR_MS - 1), []);
    assert_eq!(matcher.next_due_ms(), Some(PARTNERS_FOR_MS));
    assert_eq!(pairs(&mut matcher, PARTNERS_FOR_MS), [(1, 2)]);
}

#[test]
fn a_full_house_says_so() {
    let mut matcher = Matcher::new(Bounds { tickets: 2, ..Bounds::default() });
    let no = |number: u128| ticket(number, "en", &[if number == 1 { "chess" } else { "go" }]);
    matcher.add(no(1), 0).unwrap();
    matcher.add(no(2), 0).unwrap();
    assert!(!matcher.has_room());
    assert_eq!(matcher.add(no(3), 0), Err(Full));
    matcher.add(Ticket { id: TicketId::from(9), ..no(2) }, 0).unwrap();
    matcher.tick(20_000);
    assert!(matcher.has_room());
}

#[test]
fn a_flood_is_served_in_portions() {
    let crowd = (1..=3_000).map(|number| ticket(number, "en", &[]));
    let mut matcher = matcher([]);
    crowd.for_each(|ticket| matcher.add(ticket, 0).unwrap());
    let first = reserved(&mut matcher, 0);
    assert_eq!(first.len(), Bounds::default().reservations, "the rest waits for those to be made");
    assert_eq!(matcher.next_due_ms(), Some(5_000));
    first.iter().for_each(|(reservation, ..)| assert!(matcher.commit(*reservation).is_some()));
    assert_eq!(matcher.next_due_ms(), Some(0));
    assert_eq!(reserved(&mut matcher, 0).len(), Bounds::default().reservations);
}
