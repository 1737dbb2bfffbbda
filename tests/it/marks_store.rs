//! Reactions, pins, threads, polls, versions and messages that go by themselves, on both databases.

use std::time::Duration;

use parlor::domain::{
    Deed, Event, Fact, MessageId, Refusal, RoomId, Time,
    message::{Author, Content, ContentType, Poll, PollOption, System, Thread},
};
use parlor::store::{Committed, NewMessage, PINS, REACTION_KINDS, Store, Stretch};
use tokio::sync::mpsc::Receiver;

use crate::store::{Database, edit, house, on_both_databases, person, recover, send};

on_both_databases!(
    a_reaction_counts_once_for_each_person,
    a_message_takes_so_many_kinds_of_reactions,
    who_reacted_is_told_page_by_page,
    pins_are_bounded,
    a_thread_counts_its_replies_and_can_be_locked,
    a_vote_takes_the_place_of_the_one_before,
    what_a_message_has_said_is_kept,
    a_message_goes_when_its_time_is_over,
    pages_go_both_ways_and_around,
    what_a_moderator_takes_away_is_logged,
    messages_are_counted_for_trust,
    whoever_goes_takes_their_marks_back,
);

fn facts(events: &mut Receiver<Event>) -> Vec<Fact> {
    std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.fact).collect()
}

fn is_fresh(written: &Result<Committed, Refusal>) -> bool {
    matches!(written, Ok(Committed::Fresh(..)))
}

async fn a_reaction_counts_once_for_each_person(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
    let react = |by: &Author, on| store.react(room, id, by.id, "👍".to_owned(), on, None);
    assert!(is_fresh(&react(&ada, true).await) && is_fresh(&react(&ben, true).await));
    assert_eq!(react(&ben, true).await, Ok(Committed::Already(None)), "once each");
    assert_eq!(store.message(room, id).await.unwrap().unwrap().reactions["👍"], 2);
    assert!(is_fresh(&react(&ada, false).await));
    assert_eq!(react(&ada, false).await, Ok(Committed::Already(None)));
    let told: Vec<_> = facts(&mut events)
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::MessageReacted { user, added, count, .. } => Some((user, added, count)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(ada.id, true, 1), (ben.id, true, 2), (ada.id, false, 1)]);

    // Many at once: the count is that of the people.
    let mut all = tokio::task::JoinSet::new();
    for number in 0..40 {
        let user = person(&store, &format!("p-{number}")).await.id;
        let store = store.clone();
        all.spawn(async move { store.react(room, id, user, "❤️".to_owned(), true, None).await.unwrap() });
    }
    all.join_all().await;
    assert_eq!(store.message(room, id).await.unwrap().unwrap().reactions["❤️"], 40);

    store.delete_message(room, id, ada.id, false, None).await.unwrap();
    assert!(store.message(room, id).await.unwrap().unwrap().reactions.is_empty());
    assert_eq!(react(&ada, true).await, Err(Refusal::NotFound));
    assert!(store.reactors(room, id, "👍", None, 10).await.unwrap().is_empty());
}

async fn a_message_takes_so_many_kinds_of_reactions(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
    let react = |by: &Author, kind: usize, on| store.react(room, id, by.id, format!(":k{kind}:"), on, None);
    for kind in 0..REACTION_KINDS {
        assert!(is_fresh(&react(&ada, kind, true).await));
    }
    let too_many = react(&ben, REACTION_KINDS, true).await;
    assert!(matches!(too_many, Err(Refusal::TooMany { limit: 20, .. })), "{too_many:?}");
    assert!(is_fresh(&react(&ben, 0, true).await), "one more of a kind that is there");
    assert!(is_fresh(&react(&ada, 1, false).await), "and one kind less makes room");
    assert!(is_fresh(&react(&ben, REACTION_KINDS, true).await));
}

async fn who_reacted_is_told_page_by_page(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (id, _) = send(&store, room, &ada, "c-1", "hello").await;
    for name in ["cleo", "ben", "dan"] {
        let user = person(&store, name).await.id;
        store.react(room, id, user, "👍".to_owned(), true, None).await.unwrap();
    }
    let page = |after| store.reactors(room, id, "👍", after, 2);
    let first = page(None).await.unwrap();
    assert_eq!(first.iter().map(|it| it.nickname.as_str()).collect::<Vec<_>>(), ["cleo", "ben"]);
    let second = page(Some(first[1].id)).await.unwrap();
    assert_eq!(second.iter().map(|it| it.nickname.as_str()).collect::<Vec<_>>(), ["dan"]);
    assert!(page(Some(second[0].id)).await.unwrap().is_empty());
}

async fn pins_are_bounded(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut ids = Vec::new();
    for number in 0..=PINS {
        ids.push(send(&store, room, &ada, &format!("c-{number}"), "hello").await.0);
    }
    let pin = |id: MessageId, on| store.pin(room, id, ada.id, on, None);
    for id in &ids[..PINS as usize] {
        assert!(is_fresh(&pin(*id, true).await));
    }
    let last = ids[PINS as usize];
    assert!(matches!(pin(last, true).await, Err(Refusal::TooMany { limit: PINS, .. })));
    assert_eq!(pin(ids[0], true).await, Ok(Committed::Already(None)));
    assert!(is_fresh(&pin(ids[0], false).await) && is_fresh(&pin(last, true).await));
    store.delete_message(room, ids[1], ada.id, false, None).await.unwrap();
    let pinned = store.pinned_messages(room).await.unwrap();
    assert_eq!(pinned.len(), PINS as usize - 1, "what is deleted is pinned no more");
    assert!(
        pinned.iter().all(|it| it.pinned_at.is_some()) && pinned.is_sorted_by_key(|it| std::cmp::Reverse(it.pinned_at))
    );
}

fn in_thread(room: RoomId, by: &Author, client_id: &str, root: MessageId) -> NewMessage {
    let new = NewMessage::plain(room, by.clone(), client_id, "in it");
    let content = Content { thread_id: Some(root), ..new.content.clone() };
    NewMessage { content, ..new }
}

async fn a_thread_counts_its_replies_and_can_be_locked(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let (root, _) = send(&store, room, &ada, "c-1", "hello").await;
    send(&store, room, &ada, "c-2", "beside it").await;
    let reply = |client_id: &str| store.send_message(in_thread(room, &ada, client_id, root), None);
    let Ok(Committed::Fresh(position, _)) = reply("c-3").await else { panic!("it is new") };
    assert_eq!(position.offset, 3, "the place of the message; the thread's follows");
    assert!(is_fresh(&reply("c-4").await));
    assert!(matches!(reply("c-4").await, Ok(Committed::Already(Some(_)))), "and it counts once");
    let thread = async || store.message(room, root).await.unwrap().unwrap().thread;
    let replies = store.stretch(room, 10, Stretch::Newest, Some(root)).await.unwrap().unwrap();
    assert_eq!(replies.len(), 2);
    let Some(Thread { replies: 2, last_reply_at, locked: false }) = thread().await else { panic!("two of them") };
    assert_eq!(last_reply_at, Some(replies[0].created_at));
    let deeper = store.send_message(in_thread(room, &ada, "c-5", replies[0].id), None).await;
    assert!(matches!(deeper, Err(Refusal::BadRequest { field: "content.threadId", .. })), "threads have no threads");
    let nowhere = store.send_message(in_thread(room, &ada, "c-5", MessageId::new()), None).await;
    assert!(matches!(nowhere, Err(Refusal::BadRequest { .. })));

    store.lock_thread(room, root, true, None).await.unwrap();
    assert_eq!(store.lock_thread(room, root, true, None).await, Ok(Committed::Already(None)));
    assert_eq!(reply("c-6").await, Err(Refusal::ThreadLocked));
    assert!(matches!(reply("c-4").await, Ok(Committed::Already(Some(_)))), "what was sent was sent");
    let opener = NewMessage { opens_locks: true, ..in_thread(room, &ada, "c-7", root) };
    assert!(is_fresh(&store.send_message(opener, None).await));
    store.delete_message(room, replies[1].id, ada.id, false, None).await.unwrap();
    assert_eq!(thread().await.map(|it| (it.replies, it.locked)), Some((2, true)));
    store.lock_thread(room, root, false, None).await.unwrap();
    let counts: Vec<_> = facts(&mut events)
        .into_iter()
        .filter_map(|fact| match fact {
            Fact::ThreadChanged { message, thread: Some(thread) } if message == root => {
                Some((thread.replies, thread.locked))
            }
            _ => None,
        })
        .collect();
    assert_eq!(counts, [(1, false), (2, false), (2, true), (3, true), (2, true), (2, false)]);
    assert_eq!(recover(&store, room, None).await.position.offset, 6 + 1 + 2 + 2 + 1);
}

async fn a_vote_takes_the_place_of_the_one_before(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let ask = async |client_id: &str, multiple, closes_at| {
        let options = ["a", "b", "c"].map(|text| PollOption { text: text.to_owned(), votes: 0 }).to_vec();
        let poll = Some(Poll { question: "Which?".to_owned(), options, multiple, closes_at, voters: 0 });
        let new = NewMessage::plain(room, ada.clone(), client_id, "Which?");
        let content = Content { kind: ContentType::Poll, poll, ..new.content.clone() };
        store.send_message(NewMessage { content, ..new.clone() }, None).await.unwrap();
        new.id
    };
    let votes = async |id| {
        let poll = store.message(room, id).await.unwrap().unwrap().content.poll.unwrap();
        (poll.options.iter().map(|option| option.votes).collect::<Vec<_>>(), poll.voters)
    };
    let one = ask("c-1", false, None).await;
    let vote = |id, by: &Author, choices: &[u32]| store.vote(room, id, by.id, choices.to_vec(), None);
    assert!(is_fresh(&vote(one, &ada, &[0]).await) && is_fresh(&vote(one, &ben, &[0]).await));
    assert_eq!(vote(one, &ben, &[0]).await, Ok(Committed::Already(None)));
    assert!(is_fresh(&vote(one, &ben, &[2]).await));
    assert_eq!(votes(one).await, (vec![1, 0, 1], 2));
    assert!(is_fresh(&vote(one, &ada, &[]).await));
    assert_eq!(votes(one).await, (vec![0, 0, 1], 1));
    assert!(matches!(vote(one, &ada, &[0, 1]).await, Err(Refusal::BadRequest { field: "options", .. })));
    assert!(matches!(vote(one, &ada, &[3]).await, Err(Refusal::BadRequest { field: "options", .. })));

    let many = ask("c-2", true, None).await;
    assert!(is_fresh(&vote(many, &ada, &[2, 0, 2]).await));
    assert_eq!(store.choices(room, many, ada.id).await.unwrap(), [0, 2]);
    assert_eq!(votes(many).await, (vec![1, 0, 1], 1));

    let closed = ask("c-3", false, Some(Time::from_ms(1))).await;
    assert!(matches!(vote(closed, &ada, &[0]).await, Err(Refusal::Taken(_))));
    let (text, _) = send(&store, room, &ada, "c-4", "no poll").await;
    assert!(matches!(vote(text, &ada, &[0]).await, Err(Refusal::BadRequest { field: "messageId", .. })));
}

async fn what_a_message_has_said_is_kept(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let (id, _) = send(&store, room, &ada, "c-1", "v-0").await;
    for number in 1..=60 {
        assert!(is_fresh(&store.edit_message(room, edit(id, ada.id, &format!("v-{number}")), None).await));
    }
    let again = store.edit_message(room, edit(id, ada.id, "v-60"), None).await;
    assert!(matches!(again, Ok(Committed::Already(Some(_)))), "it says that already");
    let texts = async || {
        let versions = store.versions(room, id).await.unwrap().unwrap();
        versions.into_iter().map(|it| it.text).collect::<Vec<_>>()
    };
    let said = texts().await;
    assert_eq!((said.len(), said[0].as_str(), said[1].as_str(), said[50].as_str()), (51, "v-0", "v-11", "v-60"));
    store.delete_message(room, id, ada.id, false, None).await.unwrap();
    assert_eq!(texts().await, said, "for those who have to judge it");
    assert_eq!(store.versions(room, MessageId::new()).await.unwrap(), None);
    // What the server says is nobody's to change.
    let told = NewMessage::system(room, ada.clone(), System::Joined);
    store.send_message(told.clone(), None).await.unwrap();
    assert_eq!(store.edit_message(room, edit(told.id, ada.id, "no"), None).await, Err(Refusal::NotFound));
    assert_eq!(store.delete_message(room, told.id, ada.id, false, None).await, Err(Refusal::NotFound));
}

async fn a_message_goes_when_its_time_is_over(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let past = Time::from_ms(Time::now().as_ms() - 10_000);
    let short = |client_id: &str, expires_in_s| NewMessage {
        expires_in_s: Some(expires_in_s),
        at: past,
        ..NewMessage::plain(room, ada.clone(), client_id, "a secret")
    };
    let (soon, later) = (short("c-1", 5), short("c-2", 3600));
    store.send_message(soon.clone(), None).await.unwrap();
    store.send_message(later.clone(), None).await.unwrap();
    store.edit_message(room, edit(soon.id, ada.id, "a secret still"), None).await.unwrap();
    store.close().await;

    let (store, _events) = database.open().await;
    assert_eq!(store.next_expiry().await.unwrap(), Some(past.after(Duration::from_secs(5))));
    let due = store.expired_messages(Time::now(), 10).await.unwrap();
    assert_eq!(due, [(room, soon.id, ada.id)]);
    assert!(is_fresh(&store.expire_message(room, soon.id, ada.id).await));
    assert!(store.expired_messages(Time::now(), 10).await.unwrap().is_empty());
    assert_eq!(store.next_expiry().await.unwrap(), later.expires_at());
    let gone = store.message(room, soon.id).await.unwrap().unwrap();
    assert_eq!((gone.deleted, gone.content.text.as_str()), (true, ""));
    let versions = store.versions(room, soon.id).await.unwrap().unwrap();
    assert!(versions.iter().all(|it| it.text.is_empty()), "nothing of it is kept: {versions:?}");
}

async fn pages_go_both_ways_and_around(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(send(&store, room, &ada, &format!("c-{number}"), "hello").await.0);
    }
    let page = async |limit, stretch| {
        let found = store.stretch(room, limit, stretch, None).await.unwrap().unwrap();
        found.iter().map(|it| ids.iter().position(|id| *id == it.id).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(page(3, Stretch::Newest).await, [19, 18, 17]);
    assert_eq!(page(3, Stretch::Before(ids[10])).await, [9, 8, 7]);
    assert_eq!(page(3, Stretch::After(ids[10])).await, [13, 12, 11]);
    assert_eq!(page(5, Stretch::Around(ids[10])).await, [12, 11, 10, 9, 8]);
    assert_eq!(page(5, Stretch::Around(ids[19])).await, [19, 18, 17, 16, 15]);
    assert_eq!(page(5, Stretch::Around(ids[0])).await, [2, 1, 0]);
    assert!(page(5, Stretch::After(ids[19])).await.is_empty());
    assert_eq!(store.stretch(room, 5, Stretch::After(MessageId::new()), None).await.unwrap(), None);
}

async fn what_a_moderator_takes_away_is_logged(database: Database) {
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let (bens, _) = send(&store, room, &ben, "c-1", "spam").await;
    let (own, _) = send(&store, room, &ada, "c-2", "mine").await;
    store.delete_message(room, bens, ada.id, true, None).await.unwrap();
    store.delete_message(room, own, ada.id, true, None).await.unwrap();
    let log = store.log_entries(10, None).await.unwrap();
    let lines: Vec<_> = log.iter().filter(|line| line.action == Deed::DeleteMessage).collect();
    assert_eq!(lines.len(), 1, "one's own is one's own");
    assert_eq!(lines[0].subject.as_ref().map(|it| it.user_id), Some(ben.id));
    assert_eq!((lines[0].by.as_ref().map(|it| it.user_id), lines[0].room_id), (Some(ada.id), Some(room)));
}

async fn messages_are_counted_for_trust(database: Database) {
    async fn count(store: &Store, user: &Author) -> u64 {
        store.conduct(user.id).await.unwrap().unwrap().messages
    }
    let (store, _events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let mut all = tokio::task::JoinSet::new();
    for number in 0..30 {
        let by = if number % 3 == 0 { ben.clone() } else { ada.clone() };
        let new = NewMessage::plain(room, by, &format!("c-{number}"), "hello");
        let store = store.clone();
        all.spawn(async move { store.send_message(new, None).await.unwrap() });
    }
    all.join_all().await;
    send(&store, room, &ben, "c-again", "hello").await;
    store.send_message(NewMessage::plain(room, ben.clone(), "c-again", "hello"), None).await.unwrap();
    store.send_message(NewMessage::system(room, ben.clone(), System::Joined), None).await.unwrap();
    assert_eq!((count(&store, &ada).await, count(&store, &ben).await), (20, 11));
}

async fn whoever_goes_takes_their_marks_back(database: Database) {
    let (store, mut events, ada, room) = house(&database).await;
    let ben = person(&store, "ben").await;
    let answers = ["yes", "no"].map(|text| PollOption { text: text.to_owned(), votes: 0 }).into();
    let poll = Poll { question: "Now?".to_owned(), options: answers, multiple: false, closes_at: None, voters: 0 };
    let content = Content { kind: ContentType::Poll, poll: Some(poll), ..Content::default() };
    let asked = NewMessage { content, ..NewMessage::plain(room, ada.clone(), "c-1", "") };
    let id = asked.id;
    store.send_message(asked, None).await.unwrap();
    for who in [&ada, &ben] {
        for emoji in ["👍", "❤️"] {
            store.react(room, id, who.id, emoji.to_owned(), true, None).await.unwrap();
        }
        store.vote(room, id, who.id, vec![0], None).await.unwrap();
    }
    facts(&mut events);
    store.take_marks_back(ben.id).await.unwrap();
    let message = store.message(room, id).await.unwrap().unwrap();
    assert_eq!(message.reactions.into_values().collect::<Vec<_>>(), [1, 1]);
    let poll = message.content.poll.unwrap();
    assert_eq!((poll.voters, poll.options[0].votes), (1, 1));
    assert_eq!(facts(&mut events).len(), 3, "those who are there are told");
}
