//! Search, on both databases: the same is found, by those who may read it, and by no operator.

use parlor::domain::message::{Author, Content, ContentType, Mentions};
use parlor::domain::search::Query;
use parlor::domain::{Role, RoomId, Time, Visibility};
use parlor::store::{EditOf, NewMessage, Sender, Sought, Store};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::store::{Database, house, on_both_databases, person, room};

on_both_databases!(
    words_are_found_without_case_and_accents,
    filters_narrow_what_is_found,
    edits_and_deletions_are_followed,
    pages_go_back_without_a_gap,
    nothing_that_is_written_is_an_operator,
    a_ban_that_is_over_hides_nothing,
);

struct Library {
    store: Store,
    ada: Author,
    room: RoomId,
    number: std::cell::Cell<u32>,
}

impl Library {
    async fn open(database: &Database) -> Self {
        let (store, mut events, ada, room) = house(database).await;
        tokio::spawn(async move { while events.recv().await.is_some() {} });
        Self { store, ada, room, number: std::cell::Cell::new(0) }
    }

    async fn write(&self, content: Content) -> NewMessage {
        self.write_as(&self.ada, self.room, content).await
    }

    async fn write_as(&self, by: &Author, room: RoomId, content: Content) -> NewMessage {
        self.number.set(self.number.get() + 1);
        let new =
            NewMessage { content, ..NewMessage::plain(room, by.clone(), &format!("c-{}", self.number.get()), "") };
        self.store.send_message(new.clone(), None).await.unwrap();
        new
    }

    /// The texts that are found, newest first.
    async fn find(&self, sought: &Sought) -> Vec<String> {
        let mut texts = Vec::new();
        for found in self.store.search(sought, i64::MAX, 50).await.unwrap().expect("it does not take long") {
            texts.push(self.store.message(found.room, found.message).await.unwrap().unwrap().content.text);
        }
        texts
    }

    fn sought(&self, query: &str) -> Sought {
        let query = Query::parse(query).unwrap();
        let Query { terms, has, before, after, .. } = query;
        Sought { rooms: vec![self.room], terms, has, before, after, ..Sought::default() }
    }

    async fn search(&self, query: &str) -> Vec<String> {
        self.find(&self.sought(query)).await
    }
}

async fn words_are_found_without_case_and_accents(database: Database) {
    let library = Library::open(&database).await;
    for text in
        ["The Crème Brûlée is good", "a brulee, please", "東京タワー", "Привет, мир", "it costs $5.00 (or more)"]
    {
        library.write(Content::text(text)).await;
    }
    assert_eq!(library.search("BRULEE").await, ["a brulee, please", "The Crème Brûlée is good"]);
    assert_eq!(library.search("\"crème brûlée\"").await, ["The Crème Brûlée is good"]);
    assert_eq!(library.search("\"brulee creme\"").await, [""; 0], "a phrase has an order");
    assert_eq!(library.search("bru*").await.len(), 2);
    assert_eq!(library.search("bru").await.len(), 0);
    assert_eq!(library.search("brulee please").await, ["a brulee, please"], "all words");
    assert_eq!(library.search("京タ").await, ["東京タワー"]);
    assert_eq!(library.search("привет").await, ["Привет, мир"]);
    assert_eq!(library.search("5.00").await, ["it costs $5.00 (or more)"]);
}

async fn filters_narrow_what_is_found(database: Database) {
    let library = Library::open(&database).await;
    let ben = person(&library.store, "Ben_2").await;
    let elsewhere = room(&library.store, &library.ada, Visibility::Private).await;
    library.write(Content::text("see https://example.org now")).await;
    library.write(Content { kind: ContentType::Image, ..Content::text("a picture") }).await;
    let mentions = Mentions { users: vec![ben.id], ..Mentions::default() };
    library.write(Content { mentions, ..Content::text("come, ben") }).await;
    library
        .write(Content { mentions: Mentions { room: true, ..Mentions::default() }, ..Content::text("come, all") })
        .await;
    library.write_as(&ben, library.room, Content::text("I come")).await;
    library.write_as(&library.ada, elsewhere, Content::text("come in secret")).await;

    let rooms = vec![library.room];
    let here = Sought { rooms: rooms.clone(), ..Sought::default() };
    let by = |sender| Sought { from: vec![sender], ..here.clone() };
    assert_eq!(library.search("has:link").await, ["see https://example.org now"]);
    assert_eq!(library.search("has:image").await, ["a picture"]);
    assert_eq!(library.find(&by(Sender::Nickname("ben_2".to_owned()))).await, ["I come"]);
    assert_eq!(library.find(&by(Sender::User(ben.id))).await, ["I come"]);
    let mentioned = Sought { mentions: Some(ben.id), ..here.clone() };
    assert_eq!(library.find(&mentioned).await, ["come, all", "come, ben"]);
    assert_eq!(library.search("come").await, ["I come", "come, all", "come, ben"], "the other room is not searched");
    assert_eq!(library.find(&Sought { rooms: vec![elsewhere, library.room], ..library.sought("come") }).await.len(), 4);
    assert_eq!(library.find(&Sought { rooms: Vec::new(), ..library.sought("come") }).await.len(), 0);
    let tomorrow = Time::from_ms(Time::now().as_ms() + 86_400_000);
    assert_eq!(library.find(&Sought { after: Some(tomorrow), ..here.clone() }).await.len(), 0);
    assert_eq!(library.find(&Sought { before: Some(tomorrow), ..here }).await.len(), 5);
    let rooms = library.store.searched_rooms(library.ada.id, false, 10).await.unwrap();
    assert_eq!(rooms.len(), 2);
    assert_eq!(library.store.searched_rooms(ben.id, false, 10).await.unwrap(), [], "he is a member of none");
}

async fn edits_and_deletions_are_followed(database: Database) {
    let library = Library::open(&database).await;
    let new = library.write(Content::text("an old word")).await;
    let kept = library.write(Content::text("another old word")).await;
    let edit = EditOf {
        message: new.id,
        by: library.ada.id,
        text: "a new word".to_owned(),
        mentions: Mentions::default(),
        hashtags: Vec::new(),
        seen: None,
    };
    library.store.edit_message(library.room, edit, None).await.unwrap();
    assert_eq!(library.search("old").await, ["another old word"]);
    assert_eq!(library.search("new").await, ["a new word"]);
    library.store.delete_message(library.room, new.id, library.ada.id, false, None).await.unwrap();
    assert_eq!(library.search("new").await, [""; 0]);
    library.store.delete_message(library.room, kept.id, library.ada.id, false, None).await.unwrap();
    assert_eq!(library.search("word").await, [""; 0]);
    library.write(Content::text("a word again")).await;
    assert_eq!(library.search("word").await, ["a word again"], "its place in the index is its own");
}

async fn pages_go_back_without_a_gap(database: Database) {
    let library = Library::open(&database).await;
    for number in 0..10 {
        library.write(Content::text(format!("word {number}"))).await;
    }
    let (sought, mut below, mut texts) = (library.sought("word"), i64::MAX, Vec::new());
    loop {
        let page = library.store.search(&sought, below, 3).await.unwrap().unwrap();
        let Some(last) = page.last() else { break };
        below = last.place;
        for found in page {
            texts.push(library.store.message(found.room, found.message).await.unwrap().unwrap().content.text);
        }
    }
    assert_eq!(texts, (0..10).rev().map(|number| format!("word {number}")).collect::<Vec<_>>());
}

async fn nothing_that_is_written_is_an_operator(database: Database) {
    let library = Library::open(&database).await;
    let mut runner = TestRunner::deterministic();
    let odd = r#"[a-zA-Z0-9é東"' :*()^+\-{}\[\]&|!<>@%_\\;,.]{1,40}"#;
    for _ in 0..100 {
        let text: String = odd.new_tree(&mut runner).unwrap().current();
        // As a message and as a query: neither breaks anything.
        library.write(Content::text(text.clone())).await;
        if let Ok(query) = Query::parse(&text) {
            let sought = Sought { rooms: vec![library.room], terms: query.terms, ..Sought::default() };
            assert!(library.store.search(&sought, i64::MAX, 50).await.unwrap().is_some(), "{text:?}");
        }
    }
    for text in
        ["NEAR(a b)", "words:x", "a OR b", "a:*", "\"a\" AND NOT \"b\"", "'; drop table messages; --", "\\", "a & !b"]
    {
        let query = Query::parse(text).map(|query| query.terms).unwrap_or_default();
        let sought = Sought { rooms: vec![library.room], terms: query, ..Sought::default() };
        assert!(library.store.search(&sought, i64::MAX, 50).await.unwrap().is_some(), "{text:?}");
    }
}

async fn a_ban_that_is_over_hides_nothing(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let rooms =
        async || store.searched_rooms(ben.id, false, 10).await.unwrap().into_iter().map(|it| it.0).collect::<Vec<_>>();
    let now = Time::now();
    for (until, found) in [(now.after(std::time::Duration::from_secs(60)), vec![]), (now, vec![room])] {
        store.ban_member(room, ben.id, ada.id, None, now, Some(until)).await.unwrap();
        store.add_member(room, ben.id, Role::Member, now).await.unwrap();
        assert_eq!(rooms().await, found);
    }
}
