use super::*;
use crate::domain::quality::{Direction, Flow, Level, Quality, Rated, Reason, Report};

const EXCELLENT: Quality = Quality { level: Level::Excellent, reason: None, direction: None };
const LOSSY: Quality = Quality { level: Level::Poor, reason: Some(Reason::Loss), direction: Some(Direction::Up) };

fn report(quality: Quality, regular: bool) -> Report {
    let lost = if quality == EXCELLENT { 0 } else { 150 };
    let up = Flow { loss_per_mille: Some(lost), jitter_ms: 4, freezes: 0 };
    let score = if quality == EXCELLENT { 92 } else { 50 };
    Report { quality, score, rtt_ms: Some(40), up, down: Flow::default(), share_pct: Some(100), regular }
}

/// A room with its owner and a guest in the call, and nothing left to be told.
async fn call() -> (House, [(Arc<Session>, Answer); 2], RoomId) {
    let mut house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = house.room(&ada, Visibility::Public).await;
    let mut people = Vec::new();
    for person in [ada, ben] {
        house.enter(&person, room).await.unwrap();
        let answer = house.offer(&house.seat(&person, room)).await.unwrap();
        people.push((person, answer));
        house.told().await;
        house.told().await;
    }
    (house, people.try_into().unwrap(), room)
}

impl House {
    fn reports(&self, answer: &Answer, quality: Quality, regular: bool) {
        let (call, participant, report) = (answer.call_id, answer.participant_id, report(quality, regular));
        self.rooms.call_changed(CallEvent::Quality { call, participant, report });
    }
}

fn rated(answer: &Answer, quality: Quality) -> Rated {
    Rated { participant_id: answer.participant_id, quality }
}

#[tokio::test]
async fn everybody_in_a_small_call_is_told_of_what_changed_once_a_second() {
    let (mut house, [(_, ada), (ben, other)], room) = call().await;
    house.rooms.tell_quality();
    house.is_quiet().await;
    house.reports(&ada, EXCELLENT, false);
    house.reports(&other, EXCELLENT, false);
    house.reports(&ada, LOSSY, false);
    house.is_quiet().await;
    house.rooms.tell_quality();
    let (to, fact) = house.told().await;
    let Fact::CallQuality(mut told) = fact else { panic!("{fact:?}") };
    told.sort_by_key(|rated| rated.participant_id);
    let mut wanted = vec![rated(&ada, LOSSY), rated(&other, EXCELLENT)];
    wanted.sort_by_key(|rated| rated.participant_id);
    assert_eq!((to, told), (Audience::Everyone, wanted));
    // What is as it was is not told again.
    house.reports(&ada, LOSSY, true);
    house.rooms.tell_quality();
    house.is_quiet().await;
    // Whoever comes sees it with the participant.
    let state = house.enter(&ben, room).await.unwrap().call.unwrap();
    assert_eq!(state.participants.iter().map(|it| it.quality).collect::<Vec<_>>(), [Some(LOSSY), Some(EXCELLENT)]);
}

#[tokio::test]
async fn another_connection_is_measured_anew() {
    let (mut house, [(ada, answer), _], room) = call().await;
    house.reports(&answer, LOSSY, false);
    house.rooms.tell_quality();
    house.told().await;
    let seat = house.seat(&ada, room);
    house.rooms.offer(&seat, offer(&super::calls::another_offer(), sources()), None).await.unwrap();
    assert_eq!(house.told_participant().await.quality, None);
}

#[tokio::test]
async fn in_a_large_call_each_is_told_of_their_own_line_and_hosts_of_all() {
    let mut house = House::with(Config { max_participants: 60, ..Config::default() }).await;
    let owner = house.person("owner").await;
    let room = house.room(&owner, Visibility::Public).await;
    let mut people = Vec::new();
    for number in 0..51 {
        let person = if number == 0 { owner.clone() } else { house.person(&format!("guest-{number}")).await };
        house.enter(&person, room).await.unwrap();
        let answer = house.offer(&house.seat(&person, room)).await.unwrap();
        people.push((person, answer));
        house.told().await;
        house.told().await;
    }
    let (guest, answer) = &people[7];
    house.reports(answer, LOSSY, false);
    house.rooms.tell_quality();
    let told = || Fact::CallQuality(vec![rated(answer, LOSSY)]);
    assert_eq!(house.told().await, (Audience::Session(guest.id), told()));
    assert_eq!(house.told().await, (Audience::User(owner.caller.user.id), told()));
    house.is_quiet().await;
}

#[tokio::test]
async fn hosts_see_all_lines_and_others_their_own() {
    let (house, [(ada, first), (ben, second)], room) = call().await;
    let call = first.call_id;
    for answer in [&first, &second] {
        house.reports(answer, EXCELLENT, true);
        house.reports(answer, LOSSY, false);
        house.reports(answer, EXCELLENT, true);
    }
    let seen = async |who: &Session, of| house.rooms.quality(&who.caller, call, of, None).await;
    let all = seen(&ada, None).await.unwrap();
    assert_eq!(
        all.participants.iter().map(|line| line.participant_id).collect::<Vec<_>>(),
        [first.participant_id, second.participant_id]
    );
    // A point is the worst of its ten seconds.
    let line = &all.participants[0];
    assert_eq!((line.every_s, line.nickname.as_str()), (10, "ada"));
    assert_eq!(line.points.iter().map(|it| it.quality).collect::<Vec<_>>(), [EXCELLENT, LOSSY]);
    assert_eq!(
        (line.points[1].score, line.points[1].up.loss_per_mille, line.points[1].rtt_ms),
        (50, Some(150), Some(40))
    );
    assert_eq!(seen(&ada, Some(second.participant_id)).await.unwrap().participants, all.participants[1..]);

    let own = seen(&ben, None).await.unwrap();
    assert_eq!(own.participants, all.participants[1..]);
    assert_eq!(seen(&ben, Some(second.participant_id)).await.unwrap().participants, own.participants);
    let forbidden = Refusal::Forbidden { action: Action::SeeQuality };
    assert_eq!(seen(&ben, Some(first.participant_id)).await, Err(forbidden.clone()));
    let stranger = house.person("carl").await;
    assert_eq!(seen(&stranger, None).await, Err(forbidden));
    let moderator = house.moderator("mona").await;
    assert_eq!(seen(&moderator, None).await.unwrap(), all);
    let missing = house.rooms.quality(&ada.caller, CallId::new(), None, None).await;
    assert_eq!(missing, Err(Refusal::NotFound));

    let since = Some(line.points[1].at);
    let later = house.rooms.quality(&ada.caller, call, None, since).await.unwrap();
    assert!(later.participants.iter().all(|line| line.points.is_empty() || Some(line.points[0].at) > since));

    // It is there after everybody has left.
    house.rooms.leave(&ada, room).unwrap();
    house.rooms.leave(&ben, room).unwrap();
    assert_eq!(seen(&ada, None).await.unwrap(), all);
    assert_eq!(seen(&ben, None).await.unwrap(), own);
}
