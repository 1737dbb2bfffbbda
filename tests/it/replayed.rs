//! What a client makes of the events is what a fresh state says, whatever happened in which order, in stored rooms and in those that
//! are in memory alone. And counts are those of the rows.

use std::collections::BTreeMap;

use parlor::domain::{
    CallId, Door, Event, Fact, Message, MessageId, Position, Refusal, Role, Room, RoomId, RoomKind, Time, Visibility,
    message::{Author, Content, ContentType, Poll, PollOption},
};
use parlor::store::{NewMessage, RoomRecord, STATE_MESSAGES, Store};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::store::{Database, edit, person, recover, room};

mod shared;

/// When the first message is written; each one comes a millisecond after the one before.
const BEGINNING_MS: i64 = 4_102_444_800_000;

/// What one client knows: the messages, by the rules of `docs/protocol.md`.
#[derive(Default)]
struct View {
    messages: Vec<Message>,
    at: Option<Position>,
}

impl View {
    fn apply(&mut self, event: Event) {
        let position = event.position.expect("what comes here is durable");
        if let Some(at) = self.at {
            assert_eq!((position.epoch, position.offset), (at.epoch, at.offset + 1), "no gap, nothing twice");
        }
        self.at = Some(position);
        match event.fact {
            Fact::MessageSent(message) => self.messages.push(*message),
            Fact::MessageEdited(message) => self.change(message.id, |it| *it = *message),
            Fact::MessageDeleted { message, .. } => self.change(message, |it| *it = it.clone().emptied()),
            Fact::MessageReacted { message, emoji, count, .. } => self.change(message, |it| {
                if count == 0 {
                    it.reactions.remove(&emoji);
                } else {
                    it.reactions.insert(emoji, count);
                }
            }),
            Fact::MessagePinned { message, pinned_at, .. } => self.change(message, |it| it.pinned_at = pinned_at),
            Fact::PollVoted { message, votes, voters } => self.change(message, |it| {
                // A replay may tell the votes of a poll that is deleted later: it shows no poll.
                let Some(poll) = &mut it.content.poll else { return };
                poll.voters = voters;
                for (option, votes) in poll.options.iter_mut().zip(votes) {
                    option.votes = votes;
                }
            }),
            Fact::ThreadChanged { message, thread } => self.change(message, |it| it.thread = thread),
            Fact::MemberRole { .. } => {}
            other => panic!("{other:?} has an offset"),
        }
    }

    fn change(&mut self, id: MessageId, change: impl FnOnce(&mut Message)) {
        change(self.messages.iter_mut().find(|it| it.id == id).expect("events come after what they are about"));
    }

    fn last(&self, count: usize) -> &[Message] {
        &self.messages[self.messages.len().saturating_sub(count)..]
    }
}

/// One thing that somebody does; `of` counts the messages that are there at its beginning.
#[derive(Clone, Debug)]
enum Step {
    Send { by: usize, asks: bool, thread: Option<usize>, expires: bool },
    Edit { by: usize, of: usize },
    Delete { by: usize, of: usize, anybodys: bool },
    React { by: usize, of: usize, with: usize, on: bool },
    Pin { by: usize, of: usize, on: bool },
    Vote { by: usize, of: usize, choices: Vec<u32> },
    Lock { of: usize, on: bool },
    Join { who: usize, role: Role },
    Kick { who: usize },
}

const PEOPLE: usize = 3;
const EMOJI: [&str; 3] = ["👍", "❤️", ":party:"];

fn step() -> impl Strategy<Value = Step> {
    let (by, of) = (0..PEOPLE, 0..40_usize);
    let sent = (by.clone(), any::<bool>(), prop::option::weighted(0.4, of.clone()), prop::bool::weighted(0.1));
    let role = prop::sample::select(vec![Role::Member, Role::Trusted, Role::Moderator]);
    let choices = prop::collection::vec(0..4_u32, 0..3);
    prop_oneof![
        4 => sent.prop_map(|(by, asks, thread, expires)| Step::Send { by, asks, thread, expires }),
        2 => (by.clone(), of.clone()).prop_map(|(by, of)| Step::Edit { by, of }),
        1 => (by.clone(), of.clone(), any::<bool>()).prop_map(|(by, of, anybodys)| Step::Delete { by, of, anybodys }),
        4 => (by.clone(), of.clone(), 0..EMOJI.len(), prop::bool::weighted(0.7))
            .prop_map(|(by, of, with, on)| Step::React { by, of, with, on }),
        1 => (by.clone(), of.clone(), any::<bool>()).prop_map(|(by, of, on)| Step::Pin { by, of, on }),
        3 => (by.clone(), of.clone(), choices).prop_map(|(by, of, choices)| Step::Vote { by, of, choices }),
        1 => (of, any::<bool>()).prop_map(|(of, on)| Step::Lock { of, on }),
        1 => (by.clone(), role).prop_map(|(who, role)| Step::Join { who, role }),
        1 => by.prop_map(|who| Step::Kick { who }),
    ]
}

struct House {
    store: Store,
    events: Receiver<Event>,
    people: Vec<Author>,
    room: RoomId,
    sent: u32,
}

impl House {
    async fn stored(database: &Database) -> Self {
        let (store, events) = database.open().await;
        let people = people(&store).await;
        let room = room(&store, &people[0], Visibility::Public).await;
        Self { store, events, people, room, sent: 0 }
    }

    async fn in_memory(database: &Database) -> Self {
        let (store, events) = database.open().await;
        let people = people(&store).await;
        let room = Room::new(RoomKind::Match, "text".to_owned(), Visibility::Private, 2);
        let record = RoomRecord { room, call: CallId::new(), created_by: people[0].id, door: Door::default() };
        store.create_match_room(&record, [people[0].id, people[1].id]).await.unwrap();
        Self { store, events, people, room: record.room.id, sent: 0 }
    }

    /// All of them at once; what is refused is refused.
    async fn play(&mut self, steps: Vec<Step>, known: &[MessageId]) {
        let mut all = JoinSet::new();
        for step in steps {
            self.sent += 1;
            let (store, people, room, number) = (self.store.clone(), self.people.clone(), self.room, self.sent);
            let known = known.to_vec();
            all.spawn(async move { take(&store, &people, room, number, &known, step).await });
        }
        for refusal in all.join_all().await.into_iter().flatten() {
            let expected = matches!(
                refusal,
                Refusal::NotFound | Refusal::BadRequest { .. } | Refusal::ThreadLocked | Refusal::TooMany { .. }
            );
            assert!(expected, "{refusal:?}");
        }
    }

    /// Applies what has been told up to where the stream is.
    async fn follow(&mut self, view: &mut View) {
        for event in self.told_since(view).await {
            view.apply(event);
        }
    }

    /// What has been told up to where the stream is, and is not in a view.
    async fn told_since(&mut self, view: &View) -> Vec<Event> {
        let last = recover(&self.store, self.room, None).await.position.offset;
        let (mut at, mut told) = (view.at.map_or(0, |at| at.offset), Vec::new());
        while at < last {
            let event = self.events.recv().await.unwrap();
            if event.room == self.room {
                at += 1;
                told.push(event);
            }
        }
        told
    }
}

async fn people(store: &Store) -> Vec<Author> {
    let mut people = Vec::new();
    for name in ["ada", "ben", "cleo"] {
        people.push(person(store, name).await);
    }
    people
}

/// Does one step; says why not, if it is refused.
async fn take(
    store: &Store,
    people: &[Author],
    room: RoomId,
    number: u32,
    known: &[MessageId],
    step: Step,
) -> Option<Refusal> {
    let id = |of: usize| known.get(of % known.len().max(1)).copied().unwrap_or_else(MessageId::new);
    let written = match step {
        Step::Send { by, asks, thread, expires } => {
            let new = NewMessage::plain(room, people[by].clone(), &format!("c-{number}"), "hello");
            let poll = asks.then(|| Poll {
                question: "When?".to_owned(),
                options: ["now", "later", "never"].map(|it| PollOption { text: it.to_owned(), votes: 0 }).to_vec(),
                multiple: number.is_multiple_of(2),
                closes_at: None,
                voters: 0,
            });
            let kind = if asks { ContentType::Poll } else { ContentType::Text };
            let thread_id = thread.filter(|_| !known.is_empty()).map(id);
            let content = Content { kind, poll, thread_id, ..new.content };
            let id = MessageId::from_uuid(Uuid::from_u128((7 << 76) | (1 << 63) | u128::from(number)));
            let at = Time::from_ms(BEGINNING_MS + i64::from(number));
            store.send_message(NewMessage { id, at, content, expires_in_s: expires.then_some(3600), ..new }, None).await
        }
        Step::Edit { by, of } => {
            store.edit_message(room, edit(id(of), people[by].id, &format!("{number}")), None).await
        }
        Step::Delete { by, of, anybodys } => store.delete_message(room, id(of), people[by].id, anybodys, None).await,
        Step::React { by, of, with, on } => {
            store.react(room, id(of), people[by].id, EMOJI[with].to_owned(), on, None).await
        }
        Step::Pin { by, of, on } => store.pin(room, id(of), people[by].id, on, None).await,
        Step::Vote { by, of, choices } => store.vote(room, id(of), people[by].id, choices, None).await,
        Step::Lock { of, on } => store.lock_thread(room, id(of), on, None).await,
        Step::Join { who, role } => {
            store.add_member(room, people[who].id, Role::Member, Time::now()).await.unwrap();
            store.set_member_role(room, people[who].id, role, None).await
        }
        Step::Kick { who } => {
            store.end_membership(room, people[who].id).await.unwrap();
            return None;
        }
    };
    written.err()
}

async fn check(mut house: House, steps: Vec<Step>) {
    let (mut view, mut back) = (View::default(), View::default());
    for (round, steps) in steps.chunks(6).enumerate() {
        let known: Vec<MessageId> = view.messages.iter().map(|it| it.id).collect();
        house.play(steps.to_vec(), &known).await;
        house.follow(&mut view).await;
        // Somebody else's socket was lost for two rounds at a time.
        if round % 2 == 1 {
            resume(&house, &mut back).await;
        }
    }
    resume(&house, &mut back).await;
    let fresh = recover(&house.store, house.room, None).await;
    assert_eq!(view.at.map_or(0, |at| at.offset), fresh.position.offset);
    assert!(fresh.messages.len() <= STATE_MESSAGES as usize);
    assert_eq!(view.last(fresh.messages.len()), fresh.messages, "by events");
    assert_eq!(back.last(fresh.messages.len()), fresh.messages, "by events, and by resuming");
    count_again(&house, &fresh.messages).await;
}

/// Brings a view up to date as a client does that comes back.
async fn resume(house: &House, view: &mut View) {
    let found = recover(&house.store, house.room, view.at).await;
    if found.recovered != Some(true) {
        view.messages = found.messages;
        view.at = Some(found.position);
        return;
    }
    for event in found.missed {
        view.apply(event);
    }
}

/// The counts that messages carry are those of who reacted and voted.
async fn count_again(house: &House, messages: &[Message]) {
    let House { store, people, room, .. } = house;
    for message in messages {
        let mut counts = BTreeMap::new();
        for emoji in EMOJI {
            let who = store.reactors(*room, message.id, emoji, None, 100).await.unwrap();
            if !who.is_empty() {
                counts.insert(emoji.to_owned(), u32::try_from(who.len()).unwrap());
            }
        }
        assert_eq!(counts, message.reactions);
        let Some(poll) = &message.content.poll else { continue };
        let (mut votes, mut voters) = (vec![0; poll.options.len()], 0);
        for person in people {
            let choices = store.choices(*room, message.id, person.id).await.unwrap();
            voters += u32::from(!choices.is_empty());
            for choice in choices {
                votes[choice as usize] += 1;
            }
        }
        let told: Vec<u32> = poll.options.iter().map(|option| option.votes).collect();
        assert_eq!((told, poll.voters), (votes, voters));
        let replies = messages.iter().filter(|it| it.content.thread_id == Some(message.id) && !it.deleted).count();
        if messages.len() < STATE_MESSAGES as usize {
            assert_eq!(message.thread.map_or(0, |thread| thread.replies as usize), replies);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/it/replayed.seeds"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn stored_rooms_tell_what_they_are(steps in prop::collection::vec(step(), 1..90)) {
        runtime().block_on(async {
            let database = Database::sqlite();
            check(House::stored(&database).await, steps).await;
        });
    }

    #[test]
    fn rooms_in_memory_tell_what_they_are(steps in prop::collection::vec(step(), 1..90)) {
        runtime().block_on(async {
            let database = Database::sqlite();
            check(House::in_memory(&database).await, steps).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_tells_what_it_is() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..3 {
        let steps = prop::collection::vec(step(), 60..90).new_tree(&mut runner).unwrap().current();
        let database = Database::postgres().await;
        check(House::stored(&database).await, steps).await;
    }
}
