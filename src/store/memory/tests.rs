use super::*;
use crate::domain::{
    Epoch,
    message::{Author, Mentions},
};
use crate::store::{EditOf, NewMessage};

struct House {
    memory: Memory,
    told: mpsc::Receiver<Event>,
    room: RoomId,
    ada: Author,
    ben: Author,
}

impl House {
    fn new() -> Self {
        let (committed, told) = mpsc::channel(1_000);
        let (memory, room) = (Memory::new(committed), RoomId::new());
        memory.open(room);
        let person = |nickname: &str| Author { id: UserId::new(), nickname: nickname.to_owned() };
        Self { memory, told, room, ada: person("ada"), ben: person("ben") }
    }

    async fn change(&self, change: Change) -> Written {
        self.memory.change(self.room, None, &change).await.expect("it is in memory")
    }

    async fn send(&self, sender: &Author, client_id: &str, text: &str) -> Written {
        self.change(Change::Send(Box::new(self.new_message(sender, client_id, text)))).await
    }

    fn new_message(&self, sender: &Author, client_id: &str, text: &str) -> NewMessage {
        NewMessage::plain(self.room, sender.clone(), client_id, text)
    }

    async fn said(&self, sender: &Author, client_id: &str, text: &str) -> (MessageId, Position) {
        let new = self.new_message(sender, client_id, text);
        match self.change(Change::Send(Box::new(new.clone()))).await {
            Ok(Committed::Fresh(position, _)) => (new.id, position),
            other => panic!("{client_id} is new, not {other:?}"),
        }
    }

    async fn edit(&self, id: MessageId, by: &Author, text: &str) -> Written {
        let (mentions, hashtags) = (Mentions::default(), Vec::new());
        self.change(Change::Edit(EditOf {
            message: id,
            by: by.id,
            text: text.to_owned(),
            mentions,
            hashtags,
            seen: None,
        }))
        .await
    }

    async fn delete(&self, id: MessageId, by: &Author) -> Written {
        self.change(Change::Delete { message: id, by: by.id, anybodys: false, erase: false }).await
    }

    fn recover(&self, known: Option<Position>) -> Recovery {
        self.memory.recover(self.room, known).expect("it is in memory")
    }

    fn texts(&self) -> Vec<String> {
        self.recover(None).messages.into_iter().map(|message| message.content.text).collect()
    }
}

#[tokio::test]
async fn the_rules_are_those_of_stored_rooms() {
    let mut house = House::new();
    let (ada, ben) = (house.ada.clone(), house.ben.clone());
    let (id, first) = house.said(&ada, "c-1", "hello").await;
    assert_eq!(first.offset, 1);
    let Ok(Committed::Already(Some(again))) = house.send(&ada, "c-1", "hello").await else { panic!("it was sent") };
    assert_eq!((again.id, again.content.text.as_str()), (id, "hello"));
    assert_eq!(house.send(&ada, "c-1", "other").await, Err(Refusal::Conflict));
    let (other, _) = house.said(&ben, "c-1", "hello").await;
    assert_eq!(house.edit(id, &ben, "no").await, Err(Refusal::NotFound));
    assert_eq!(house.delete(id, &ben).await, Err(Refusal::NotFound));
    assert_eq!(house.edit(MessageId::new(), &ada, "no").await, Err(Refusal::NotFound));
    house.edit(id, &ada, "hullo").await.unwrap();
    let Ok(Committed::Already(Some(again))) = house.send(&ada, "c-1", "hello").await else { panic!("it was sent") };
    assert_eq!(again.content.text, "hullo", "the name belongs to what was sent under it");
    assert_eq!(house.send(&ada, "c-1", "hullo").await, Err(Refusal::Conflict));
    house.delete(other, &ben).await.unwrap();
    assert_eq!(house.delete(other, &ben).await, Ok(Committed::Already(None)));
    assert_eq!(house.edit(other, &ben, "back").await, Err(Refusal::NotFound));
    assert_eq!(
        house.change(Change::Role { user: ada.id, role: crate::domain::Role::Owner }).await,
        Err(Refusal::NotFound)
    );
    assert_eq!(house.texts(), ["hullo", ""]);
    let offsets: Vec<_> =
        std::iter::from_fn(|| house.told.try_recv().ok()).map(|event| event.position.unwrap().offset).collect();
    assert_eq!(offsets, [1, 2, 3, 4], "what was refused has no place");
}

#[tokio::test]
async fn a_deleted_text_is_told_no_more_but_can_be_judged() {
    let house = House::new();
    let ada = house.ada.clone();
    let (_, before) = house.said(&ada, "c-0", "before").await;
    let (id, _) = house.said(&ada, "c-1", "secret").await;
    house.edit(id, &ada, "still secret").await.unwrap();
    house.delete(id, &ada).await.unwrap();
    house.said(&ada, "c-2", "after").await;
    let missed = house.recover(Some(before)).missed;
    assert_eq!(missed.len(), 4);
    assert!(!format!("{missed:?}").contains("secret"), "{missed:?}");
    let listed = house.memory.messages(house.room, 10, Stretch::Newest, None).unwrap().unwrap();
    assert!(!format!("{listed:?}").contains("secret"));
    let judged = house.memory.around(house.room, id, 1).unwrap();
    let texts: Vec<_> = judged.iter().map(|it| (it.content.text.as_str(), it.deleted)).collect();
    assert_eq!(texts, [("before", false), ("still secret", true), ("after", false)]);
}

#[tokio::test]
async fn the_last_fifty_are_remembered() {
    let house = House::new();
    let ada = house.ada.clone();
    let mut positions = Vec::new();
    for number in 1..=60 {
        positions.push(house.said(&ada, &format!("c-{number}"), &format!("m-{number}")).await.1);
    }
    let (last, all) = (positions[59], house.texts());
    assert_eq!((all.len(), all[0].as_str(), all[49].as_str()), (50, "m-11", "m-60"));
    let missed = house.recover(Some(positions[9]));
    assert_eq!((missed.recovered, missed.missed.len(), missed.messages.len()), (Some(true), 50, 0));
    assert_eq!(missed.missed[0].position, Some(positions[10]));
    let too_much = house.recover(Some(positions[8]));
    assert_eq!((too_much.recovered, too_much.missed.len(), too_much.messages.len()), (Some(false), 0, 50));
    assert_eq!(house.recover(Some(last)).missed, []);
    let ahead = Position { offset: last.offset + 1, ..last };
    assert_eq!(house.recover(Some(ahead)).recovered, Some(false));
    let elsewhere = Position { epoch: Epoch::new(), ..last };
    assert_eq!(house.recover(Some(elsewhere)).recovered, Some(false));

    let page = |before: Option<MessageId>| {
        let stretch = before.map_or(Stretch::Newest, Stretch::Before);
        house.memory.messages(house.room, 3, stretch, None).unwrap()
    };
    let texts =
        |page: Option<Vec<Message>>| page.map(|page| page.into_iter().map(|it| it.content.text).collect::<Vec<_>>());
    let newest = page(None).unwrap();
    assert_eq!(texts(Some(newest.clone())).unwrap(), ["m-60", "m-59", "m-58"]);
    assert_eq!(texts(page(Some(newest[2].id))).unwrap(), ["m-57", "m-56", "m-55"]);
    assert_eq!(page(Some(MessageId::new())), None);
}

#[tokio::test]
async fn a_room_remembers_no_more_text_than_it_may() {
    let house = House::new();
    let (ada, text) = (house.ada.clone(), "👍".repeat(1_000));
    let mut id = house.said(&ada, "c-0", "small").await.0;
    for number in 1..=40 {
        id = house.said(&ada, &format!("c-{number}"), &text).await.0;
    }
    for number in 0..40 {
        house.edit(id, &ada, &format!("{number}{text}")).await.unwrap();
    }
    let rooms = house.memory.rooms();
    let stream = &rooms.open[&house.room];
    assert_eq!(stream.counted(), stream.recounted());
    assert!(stream.counted() <= super::stream::BYTES, "{} bytes", stream.counted());
    assert_eq!(stream.messages.back().unwrap().message.id, id);
}

#[tokio::test(start_paused = true)]
async fn a_room_that_is_over_can_be_reported_for_a_moment() {
    let mut house = House::new();
    let ada = house.ada.clone();
    let (id, known) = house.said(&ada, "c-1", "hello").await;
    house.memory.close(house.room);
    assert!(!house.memory.is_open(house.room) && house.memory.recover(house.room, Some(known)).is_none());
    assert!(
        house.memory.messages(house.room, 10, Stretch::Newest, None).is_none()
            && house.memory.message(house.room, id).is_none()
    );
    assert!(
        house
            .memory
            .change(house.room, None, &Change::Send(Box::new(house.new_message(&ada, "c-2", "x"))))
            .await
            .is_none()
    );
    tokio::time::advance(AFTERWARDS - Duration::from_millis(1)).await;
    assert_eq!(house.memory.around(house.room, id, 10).unwrap().len(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(house.memory.around(house.room, id, 10), None);
    assert!(house.memory.rooms().over.is_empty());

    house.told.try_recv().unwrap();
    house.memory.stop();
    assert!(house.told.recv().await.is_none(), "whoever listens comes to an end");
    house.memory.open(house.room);
    assert!(matches!(house.send(&ada, "c-3", "x").await, Err(Refusal::Internal(_))));
}

#[tokio::test]
async fn many_at_once_leave_in_the_order_of_their_offsets() {
    let mut house = House::new();
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (memory, room) = (house.memory.clone(), house.room);
        let new = house.new_message(&house.ada, &format!("c-{}", number % 20), "hello");
        senders.spawn(async move { memory.change(room, None, &Change::Send(Box::new(new))).await.unwrap().unwrap() });
    }
    let fresh = senders.join_all().await.iter().filter(|it| matches!(it, Committed::Fresh(..))).count();
    assert_eq!(fresh, 20, "each client id once");
    for offset in 1..=20 {
        assert_eq!(house.told.recv().await.unwrap().position.unwrap().offset, offset);
    }
    assert!(house.told.try_recv().is_err());
}
