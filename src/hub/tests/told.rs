//! Whom an event in a room is brought to.

use super::*;
use crate::domain::Audience;

/// What the sessions of these are told, by the texts of notices about typing.
async fn typed(opened: &mut Opened) -> String {
    frame(opened).await["data"]["nickname"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_concerns_one_session_or_one_person_reaches_nobody_else() {
    let house = House::new();
    let user = UserId::new();
    let mut tabs = [house.hub.open(caller(user), None), house.hub.open(caller(user), None)];
    let mut stranger = house.hub.open(caller(UserId::new()), None);
    for opened in [&mut tabs[0], &mut stranger] {
        house.join(opened, 0).await;
        frame(opened).await;
    }
    let tell = |to, text: &str| {
        let fact = Fact::Typing { user: UserId::new(), nickname: text.to_owned(), typing: true };
        house.bus.publish(&Event { to, ..Event::ephemeral(house.room, fact) });
    };
    let mark = || tell(Audience::Everyone, "mark");
    // The second tab is just coming in: what concerns it or its owner waits for it, and nothing else does.
    let found = house.found(0, None);
    let second = tabs[1].session.clone();
    let enter = async {
        tell(Audience::Session(stranger.session.id), "stranger");
        tell(Audience::Session(second.id), "second");
        tell(Audience::User(user), "owner");
        tell(Audience::Session(SessionId::new()), "nobody");
        tell(Audience::User(UserId::new()), "nobody");
        mark();
        assert_eq!(
            (typed(&mut stranger).await, typed(&mut stranger).await),
            ("stranger".to_owned(), "mark".to_owned())
        );
        Ok(found)
    };
    house.hub.join(&second, None, house.room, enter).await.unwrap();
    assert_eq!((typed(&mut tabs[0]).await, typed(&mut tabs[0]).await), ("owner".to_owned(), "mark".to_owned()));
    assert_eq!(frame(&mut tabs[1]).await["type"], "room_state");
    for text in ["second", "owner", "mark"] {
        assert_eq!(typed(&mut tabs[1]).await, text);
    }
    // Who has left is told no more, neither as themselves nor as their owner; their other tab is.
    house.hub.leave(&tabs[0].session, house.room);
    tell(Audience::Session(tabs[0].session.id), "left");
    tell(Audience::User(user), "owner");
    assert_eq!(typed(&mut tabs[1]).await, "owner");
    house.join(&tabs[0], 0).await;
    assert_eq!(frame(&mut tabs[0]).await["type"], "room_state");
    tell(Audience::User(user), "back");
    assert_eq!((typed(&mut tabs[0]).await, typed(&mut tabs[1]).await), ("back".to_owned(), "back".to_owned()));
    // Whoever the room is over for by such an event hears no more of it, and nothing of them stays.
    let fan = house.hub.rooms()[&house.room].clone();
    let over = Fact::MemberLeft { user, reason: LeftReason::Removed, stay: 1 };
    house.bus.publish(&Event::to_user(house.room, user, over));
    mark();
    assert_eq!(typed(&mut stranger).await, "mark");
    for tab in &mut tabs {
        assert_eq!(frame(tab).await["type"], "member_left");
    }
    assert_eq!(fan.lock().unwrap().people(), 1, "the stranger");
    house.hub.leave(&stranger.session, house.room);
    assert_eq!(fan.lock().unwrap().people(), 0);
}

#[tokio::test]
async fn who_is_put_out_while_they_come_in_hears_nothing_of_what_came_after() {
    let house = House::new();
    let user = UserId::new();
    let (mut ada, mut ben) = (house.hub.open(caller(user), None), house.hub.open(caller(UserId::new()), None));
    house.join(&ben, 0).await;
    frame(&mut ben).await;
    let found = house.found(0, None);
    let enter = async {
        house.bus.publish(&Event::to_user(house.room, user, Fact::Removed { reason: None }));
        // Messages have a lane of their own: this one is sent when the hub has heard of the removal.
        let fact = Fact::Typing { user: UserId::new(), nickname: "mark".to_owned(), typing: true };
        house.bus.publish(&Event::ephemeral(house.room, fact));
        assert_eq!(typed(&mut ben).await, "mark");
        house.publish(house.message(1, None)).await;
        assert_eq!(offset(&mut ben).await, 1);
        Ok(found)
    };
    house.hub.join(&ada.session.clone(), None, house.room, enter).await.unwrap();
    assert_eq!(frame(&mut ada).await["type"], "room_state");
    assert_eq!(frame(&mut ada).await["type"], "removed");
    house.hub.reply(&ada.session, ServerFrame::ok(None));
    assert_eq!(frame(&mut ada).await["type"], "ok");
}
