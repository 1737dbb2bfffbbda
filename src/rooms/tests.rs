use std::net::{IpAddr, Ipv4Addr};

use tempfile::TempDir;

use super::*;
use crate::bus::{News, Subscription};
use crate::domain::{
    Action, Audience, Event, Fact, FamilyId, LoginChange, Member, ParticipantId, Seat, Session, SessionId, SiteRole,
    Time, TrackId, TrackSource, User, UserId,
    call::{Answer, EndReason, OfferedSource, Participant, ParticipantState, SlotKind},
    can,
    room::{Entered, LeftReason},
    user::Nickname,
};
use crate::limit;
use crate::sfu::{self, SlotState};
use crate::store;

const OFFER: &str = include_str!("../../media/fixtures/offers/chromium-call.sdp");
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct House {
    rooms: Rooms,
    told: Subscription,
    _folder: TempDir,
}

impl House {
    async fn new() -> Self {
        Self::with(Config::default()).await
    }

    async fn with(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = folder.path().join("parlor.db").to_str().unwrap().to_owned();
        let (store, _) = Store::open(&store::Config { url, ..store::Config::default() }).await.unwrap();
        let bus = Bus::local();
        let told = bus.subscribe();
        let shards = sfu::Config { shards: 1, ..sfu::Config::default() };
        let (sfu, ..) = Sfu::start(0, &[LOCALHOST], &shards).unwrap();
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let limits = Limits::new(limit::Config { exempt, ..limit::Config::default() });
        Self { rooms: Rooms::new(config, store, bus, sfu, limits), told, _folder: folder }
    }

    async fn caller(&self, name: &str) -> Caller {
        let user = User { id: UserId::new(), nickname: name.to_owned(), role: SiteRole::Member, bot: false };
        let nickname = Nickname::parse(name).unwrap();
        self.rooms.0.store.create_user(user.id, &nickname, user.role, Time::now()).await.unwrap();
        Caller {
            user,
            known_since: Time::now(),
            family: FamilyId::new(),
            address: LOCALHOST,
            cluster: Default::default(),
        }
    }

    async fn person(&self, name: &str) -> Arc<Session> {
        Arc::new(session(self.caller(name).await))
    }

    /// A moderator of the site.
    async fn moderator(&self, name: &str) -> Arc<Session> {
        let caller = self.caller(name).await;
        self.rooms.0.store.set_site_role(caller.user.id, SiteRole::Moderator).await.unwrap();
        let user = User { role: SiteRole::Moderator, ..caller.user.clone() };
        Arc::new(session(Caller { user, ..caller }))
    }

    async fn room(&self, owner: &Session, visibility: Visibility) -> RoomId {
        let new = NewRoom { kind: RoomKind::Call, name: "Friday".to_owned(), visibility, max_participants: None };
        self.rooms.create(&owner.caller, new).await.unwrap().id
    }

    async fn enter(&self, session: &Arc<Session>, room: RoomId) -> Result<Entered, Refusal> {
        self.rooms.enter(session.clone(), room, None).await
    }

    fn seat(&self, session: &Arc<Session>, room: RoomId) -> Seat {
        self.rooms.seat(session, room).unwrap()
    }

    async fn offer(&self, seat: &Seat) -> Result<Answer, Refusal> {
        self.rooms.offer(seat, offer(OFFER, sources()), None).await
    }

    async fn told_event(&mut self) -> Event {
        loop {
            match self.told.next().await {
                // The tests have it already.
                Some(News::Event(Event { fact: Fact::CallAnswer(_), .. })) => {}
                Some(News::Event(event)) => return event,
                other => panic!("an event was to be told, not {other:?}"),
            }
        }
    }

    /// The next thing that anybody is told.
    async fn told(&mut self) -> (Audience, Fact) {
        let event = self.told_event().await;
        (event.to, event.fact)
    }

    async fn told_participant(&mut self) -> Participant {
        match self.told().await {
            (Audience::Everyone, Fact::CallParticipant(participant)) => participant,
            other => panic!("a participant was to be told, not {other:?}"),
        }
    }

    /// That somebody left is told next.
    async fn told_left(&mut self, who: UserId, why: LeftReason) {
        match self.told().await {
            (Audience::Everyone, Fact::MemberLeft { user, reason, .. }) => assert_eq!((user, reason), (who, why)),
            other => panic!("that somebody left was to be told, not {other:?}"),
        }
    }

    /// Nothing has been told since.
    async fn is_quiet(&mut self) {
        let mark = Event::ephemeral(RoomId::new(), Fact::Removed { reason: None });
        self.rooms.0.bus.publish(&mark);
        assert_eq!(self.told_event().await, mark);
    }
}

fn sources() -> Vec<OfferedSource> {
    let of = |(mid, source): (&str, TrackSource)| OfferedSource { mid: mid.to_owned(), source };
    [("0", TrackSource::Microphone), ("1", TrackSource::Camera), ("2", TrackSource::Screen)].map(of).to_vec()
}

fn offer(sdp: &str, sources: Vec<OfferedSource>) -> Offer {
    Offer { sdp: sdp.to_owned(), sources, accepts_recording: false }
}

fn session(caller: Caller) -> Session {
    Session::new(SessionId::new(), 1, caller, Arc::default())
}

#[tokio::test]
async fn a_room_is_refused_for_what_is_wrong_with_it() {
    let house = House::with(Config { max_participants: 10, max_present: 20, ..Config::default() }).await;
    let ada = house.caller("ada").await;
    let good = NewRoom {
        kind: RoomKind::Call,
        name: "  Friday ".to_owned(),
        visibility: Visibility::Unlisted,
        max_participants: None,
    };
    let room = house.rooms.create(&ada, good.clone()).await.unwrap();
    assert_eq!((room.name.as_str(), room.max_participants), ("Friday", 10));
    let bad = [
        ("kind", NewRoom { kind: RoomKind::Match, ..good.clone() }),
        ("name", NewRoom { name: " ".to_owned(), ..good.clone() }),
        ("name", NewRoom { name: "x".repeat(101), ..good.clone() }),
        ("name", NewRoom { name: "a\nb".to_owned(), ..good.clone() }),
        ("maxParticipants", NewRoom { max_participants: Some(0), ..good.clone() }),
        ("maxParticipants", NewRoom { max_participants: Some(11), ..good.clone() }),
    ];
    for (wrong, new) in bad {
        let refusal = house.rooms.create(&ada, new).await.unwrap_err();
        assert!(matches!(refusal, Refusal::BadRequest { field, .. } if field == wrong), "{wrong}: {refusal:?}");
    }
    let broadcast = NewRoom { kind: RoomKind::Broadcast, max_participants: Some(20), ..good };
    let broadcast = house.rooms.create(&ada, broadcast).await.unwrap();
    assert_eq!(house.rooms.call_id(&ada, broadcast.id).await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn the_fifty_first_finds_no_seat() {
    let house = House::new().await;
    let owner = house.person("owner").await;
    let room = house.room(&owner, Visibility::Public).await;
    let mut people = Vec::new();
    for number in 0..50 {
        let person = house.person(&format!("guest-{number}")).await;
        assert_eq!(house.enter(&person, room).await.unwrap().online, number + 1);
        people.push(person);
    }
    assert_eq!(house.enter(&owner, room).await, Err(Refusal::RoomFull { limit: 50 }));
    // Another tab of somebody who is there takes no seat.
    let tab = Arc::new(session(people[0].caller.clone()));
    assert_eq!(house.enter(&tab, room).await.unwrap().online, 50);
    house.rooms.leave(&people[1], room).unwrap();
    let entered = house.enter(&owner, room).await.unwrap();
    assert_eq!((entered.online, entered.role, entered.members.len()), (50, Role::Owner, 50));
}

#[tokio::test]
async fn a_private_room_is_for_its_members() {
    let house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let private = house.room(&ada, Visibility::Private).await;
    let unlisted = house.room(&ada, Visibility::Unlisted).await;
    let public = house.room(&ada, Visibility::Public).await;
    assert_eq!(house.enter(&ben, private).await, Err(Refusal::RoomPrivate));
    assert_eq!(house.rooms.join(&ben.caller, private).await.unwrap_err(), Refusal::RoomPrivate);
    assert_eq!(house.rooms.look(&ben.caller, private).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(house.rooms.visit(&ben.caller, private).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(house.rooms.visit(&ben.caller, unlisted).await.unwrap_err(), Refusal::NotInRoom);
    assert!(house.enter(&ada, private).await.is_ok());
    assert_eq!(house.rooms.look(&ada.caller, private).await.unwrap().online, 1);
    assert_eq!(house.rooms.join(&ben.caller, unlisted).await.unwrap().online, 0);
    assert_eq!(house.rooms.visit(&ben.caller, unlisted).await.unwrap().role, Some(Role::Member));
    let listed: Vec<_> = house
        .rooms
        .directory(&ada.caller, Wanted::default(), 50)
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.room.id)
        .collect();
    assert_eq!(listed, [public]);
    assert_eq!(house.enter(&ben, RoomId::new()).await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn coming_and_going_is_news_once_for_each_person() {
    let mut house = House::new().await;
    let ada = house.person("ada").await;
    let tab = Arc::new(session(ada.caller.clone()));
    let room = house.room(&ada, Visibility::Public).await;
    house.enter(&ada, room).await.unwrap();
    let member = Member { user_id: ada.caller.user.id, nickname: "ada".to_owned(), role: Role::Owner };
    let event = house.told_event().await;
    assert_eq!(event.fact, Fact::MemberJoined(member));
    assert_eq!(event.origin.unwrap().session, ada.id);
    house.enter(&ada, room).await.unwrap();
    house.enter(&tab, room).await.unwrap();
    house.rooms.leave(&ada, room).unwrap();
    assert_eq!(house.rooms.leave(&ada, room), Err(Refusal::NotInRoom));
    assert_eq!(house.rooms.seat(&ada, room).unwrap_err(), Refusal::NotInRoom);
    house.is_quiet().await;
    house.rooms.leave(&tab, room).unwrap();
    house.told_left(ada.caller.user.id, LeftReason::Left).await;
    assert!(house.rooms.lobby().rooms.is_empty() && house.rooms.lobby().seats.is_empty());
}

#[tokio::test]
async fn a_lost_session_keeps_its_seat_until_it_ends() {
    let mut house = House::new().await;
    let (ada, ben) = (house.person("ada").await, house.person("ben").await);
    let room = house.room(&ada, Visibility::Public).await;
    for person in [&ada, &ben] {
        house.enter(person, room).await.unwrap();
        house.told().await;
    }
    house.rooms.session_changed(SessionChange::Lost(ada.id));
    house.rooms.session_changed(SessionChange::Resumed(ada.id));
    house.rooms.session_changed(SessionChange::Lost(ada.id));
    assert_eq!(house.rooms.look(&ada.caller, room).await.unwrap().online, 2);
    house.is_quiet().await;
    house.rooms.session_changed(SessionChange::Ended(ada.id));
    house.told_left(ada.caller.user.id, LeftReason::Lost).await;
    house.rooms.session_changed(SessionChange::Ended(ben.id));
    house.told_left(ben.caller.user.id, LeftReason::Left).await;
    assert!(house.rooms.lobby().lost.is_empty());
}

#[tokio::test]
async fn the_removed_are_out_and_stay_out() {
    let mut house = House::new().await;
    let (owner, ada, ben) = (house.person("owner").await, house.person("ada").await, house.person("ben").await);
    let room = house.room(&owner, Visibility::Public).await;
    for person in [&owner, &ada, &ben] {
        house.enter(person, room).await.unwrap();
        house.told().await;
    }
    let (seat, user) = (house.seat(&owner, room), ada.caller.user.id);
    let rooms = house.rooms.clone();
    let remove = async |seat: Seat, user, reason: &str| rooms.remove_member(&seat, user, Some(reason.to_owned())).await;
    let forbidden = Refusal::Forbidden { action: Action::RemoveMember };
    assert_eq!(remove(house.seat(&ben, room), user, "").await, Err(forbidden));
    assert!(matches!(remove(seat.clone(), seat.user().id, "").await, Err(Refusal::BadRequest { field: "userId", .. })));
    assert!(matches!(remove(seat.clone(), user, &"x".repeat(501)).await, Err(Refusal::BadRequest { .. })));
    assert_eq!(remove(seat.clone(), UserId::new(), "").await, Err(Refusal::NotFound));
    house.is_quiet().await;
    remove(seat.clone(), user, "spam").await.unwrap();
    assert_eq!(house.told().await, (Audience::User(user), Fact::Removed { reason: Some("spam".to_owned()) }));
    house.told_left(user, LeftReason::Removed).await;
    assert_eq!(house.rooms.seat(&ada, room).unwrap_err(), Refusal::NotInRoom);
    assert_eq!(house.enter(&ada, room).await, Err(Refusal::Removed));
    assert_eq!(house.rooms.join(&ada.caller, room).await.unwrap_err(), Refusal::Removed);
    assert_eq!(house.rooms.visit(&ada.caller, room).await.unwrap_err(), Refusal::Removed);
    assert_eq!(remove(seat.clone(), user, "again").await, Err(Refusal::NotFound));

    // Quitting at the last moment is no way around it.
    house.rooms.quit(&ben.caller, room).await.unwrap();
    remove(seat, ben.caller.user.id, "too").await.unwrap();
    assert_eq!(house.enter(&ben, room).await, Err(Refusal::Removed));
}

#[tokio::test]
async fn a_removal_is_done_even_if_the_moderator_is_gone() {
    let house = House::new().await;
    let (owner, ada) = (house.person("owner").await, house.person("ada").await);
    let room = house.room(&owner, Visibility::Public).await;
    for person in [&owner, &ada] {
        house.enter(person, room).await.unwrap();
    }
    let (seat, user) = (house.seat(&owner, room), ada.caller.user.id);
    // Dropped at each point where it waits, until it waits no more.
    for polls in 0.. {
        let mut removal = Box::pin(house.rooms.remove_member(&seat, user, None));
        for _ in 0..polls {
            if futures_util::poll!(&mut removal).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(removal);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
        let stored = || async { house.rooms.0.store.membership(room, user).await.unwrap() == Membership::Removed };
        // What is stored is true in the lobby too, a moment later at most.
        while stored().await && house.rooms.seat(&ada, room).is_ok() {
            assert!(tokio::time::Instant::now() < deadline, "the lobby was never told");
            tokio::task::yield_now().await;
        }
        if stored().await {
            return;
        }
    }
}

#[tokio::test]
async fn whoever_is_over_gets_no_seat() {
    let house = House::new().await;
    let ada = house.person("ada").await;
    let room = house.room(&ada, Visibility::Public).await;
    let over = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let late = Arc::new(Session::new(SessionId::new(), 1, ada.caller.clone(), over));
    assert_eq!(house.enter(&late, room).await, Err(Refusal::NotFound));
    assert!(house.rooms.lobby().seats.is_empty());
}

#[tokio::test]
async fn a_role_given_while_somebody_comes_in_holds() {
    let house = House::new().await;
    let owner = house.person("owner").await;
    let room = house.room(&owner, Visibility::Public).await;
    house.enter(&owner, room).await.unwrap();
    let seat = house.seat(&owner, room);
    for _ in 0..20 {
        let guest = house.person("guest").await;
        house.rooms.join(&guest.caller, room).await.unwrap();
        let (entered, given) = tokio::join!(
            house.enter(&guest, room),
            house.rooms.set_member_role(&seat, guest.caller.user.id, Role::Moderator)
        );
        entered.unwrap();
        given.unwrap();
        assert_eq!(house.seat(&guest, room).role, Some(Role::Moderator));
        let (entered, ()) =
            tokio::join!(house.enter(&guest, room), async { house.rooms.quit(&guest.caller, room).await.unwrap() });
        assert!(entered.is_ok_and(|it| it.role != Role::Owner) || house.rooms.seat(&guest, room).is_err());
    }
}

#[tokio::test]
async fn a_removal_while_somebody_comes_in_wins() {
    let house = House::new().await;
    let (owner, ada) = (house.person("owner").await, house.person("ada").await);
    let room = house.room(&owner, Visibility::Public).await;
    house.enter(&owner, room).await.unwrap();
    let seat = house.seat(&owner, room);
    for _ in 0..20 {
        let guest = house.person("guest").await;
        house.rooms.join(&guest.caller, room).await.unwrap();
        let (entered, removed) =
            tokio::join!(house.enter(&guest, room), house.rooms.remove_member(&seat, guest.caller.user.id, None));
        removed.unwrap();
        // They may have been inside for a moment; they are not now.
        assert!(matches!(entered, Ok(_) | Err(Refusal::Removed)), "{entered:?}");
        assert_eq!(house.rooms.seat(&guest, room).unwrap_err(), Refusal::NotInRoom);
    }
    house.enter(&ada, room).await.unwrap();
    assert_eq!(house.rooms.look(&ada.caller, room).await.unwrap().online, 2);
}

#[tokio::test]
async fn roles_are_given_downwards() {
    let house = House::new().await;
    let (owner, ada, ben) = (house.person("owner").await, house.person("ada").await, house.person("ben").await);
    let room = house.room(&owner, Visibility::Public).await;
    for person in [&owner, &ada, &ben] {
        house.enter(person, room).await.unwrap();
    }
    let id = |person: &Arc<Session>| person.caller.user.id;
    let give =
        async |who: &Arc<Session>, whom, role| house.rooms.set_member_role(&house.seat(who, room), whom, role).await;
    let forbidden = Err(Refusal::Forbidden { action: Action::SetMemberRole });
    assert_eq!(give(&ada, id(&ben), Role::Trusted).await, forbidden);
    give(&owner, id(&ada), Role::Admin).await.unwrap();
    assert_eq!(house.seat(&ada, room).role, Some(Role::Admin), "at once");
    give(&ada, id(&ben), Role::Moderator).await.unwrap();
    assert_eq!(give(&ada, id(&ben), Role::Admin).await, forbidden, "not as high as oneself");
    assert_eq!(give(&ada, id(&owner), Role::Member).await, forbidden);
    assert_eq!(give(&ben, id(&ada), Role::Member).await, forbidden);
    assert!(matches!(give(&owner, id(&ada), Role::Owner).await, Err(Refusal::BadRequest { field: "role", .. })));
    assert!(matches!(give(&owner, id(&owner), Role::Member).await, Err(Refusal::BadRequest { field: "userId", .. })));
    assert_eq!(give(&owner, UserId::new(), Role::Member).await, Err(Refusal::NotFound));
    // A moderator removes a member, but nobody at or above their own rank.
    let (moderator, remove) = (house.seat(&ben, room), |user| (user, Action::RemoveMember));
    for (user, action) in [remove(id(&ada)), remove(id(&owner))] {
        let refused = house.rooms.remove_member(&moderator, user, None).await;
        assert_eq!(refused, Err(Refusal::Forbidden { action }));
    }
    house.rooms.leave(&ben, room).unwrap();
    assert_eq!(house.enter(&ben, room).await.unwrap().role, Role::Moderator, "and keeps the role");
    house.rooms.quit(&ben.caller, room).await.unwrap();
    assert_eq!(house.enter(&ben, room).await.unwrap().role, Role::Member, "until they quit");
    house.rooms.quit(&owner.caller, room).await.unwrap();
    assert_eq!(house.enter(&owner, room).await.unwrap().role, Role::Owner);
}

#[tokio::test]
async fn a_site_moderator_keeps_order_without_being_a_member() {
    let house = House::new().await;
    let (owner, guard) = (house.person("owner").await, house.person("guard").await);
    let room = house.room(&owner, Visibility::Private).await;
    house.enter(&owner, room).await.unwrap();
    house.rooms.0.store.set_site_role(guard.caller.user.id, SiteRole::Moderator).await.unwrap();
    let user = User { role: SiteRole::Moderator, ..guard.caller.user.clone() };
    let seat = house.rooms.visit(&Caller { user, ..guard.caller.clone() }, room).await.unwrap();
    assert_eq!(seat.role, None);
    assert!(!can(seat.standing(), Action::SendMessage));
    house.rooms.remove_member(&seat, owner.caller.user.id, None).await.unwrap();
    assert_eq!(house.enter(&owner, room).await, Err(Refusal::Removed));
}

mod calls;
mod doors;
mod elsewhere;
mod hosting;
mod keeping;
mod quality;
mod ring;
mod roles;
mod waiting;
mod watched;
