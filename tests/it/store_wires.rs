//! The store on PostgreSQL when things go wrong between nodes and wires.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parlor::domain::{Fact, Refusal, Visibility};
use parlor::store::{Committed, Config, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::store::{Database, house, message, person, recover, room, send};

/// Two nodes on one PostgreSQL write into the same rooms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_one_stream() {
    let database = Database::postgres().await;
    let (one, mut events, ada, first) = house(&database).await;
    let (other, mut other_events) = database.open().await;
    let second = room(&one, &ada, Visibility::Public).await;
    let mut sends = tokio::task::JoinSet::new();
    for number in 0..400 {
        let store = if number % 2 == 0 { one.clone() } else { other.clone() };
        // The rooms in both orders: writers that locked them so would wait for each other.
        let room = if number % 4 < 2 { first } else { second };
        let message = message(room, &ada, &format!("c-{}", number / 3), "hello");
        sends.spawn(async move { store.send_message(message, None).await.unwrap() });
    }
    sends.join_all().await;
    one.close().await;
    let mut told = HashSet::new();
    while let Some(event) = events.recv().await {
        assert!(told.insert((event.room, event.position.unwrap().offset)));
    }
    let (last_first, last_second) =
        (recover(&other, first, None).await.position.offset, recover(&other, second, None).await.position.offset);
    other.close().await;
    while let Some(event) = other_events.recv().await {
        assert!(told.insert((event.room, event.position.unwrap().offset)), "each offset is one node's");
    }
    let all = (1..=last_first).map(|it| (first, it)).chain((1..=last_second).map(|it| (second, it)));
    assert_eq!(told, all.collect::<HashSet<_>>());
}

/// The connection breaks after the commit was sent and before its answer came: whoever asked cannot know, but what is stored is
/// told to the room, once, and asking again is safe.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_lost_is_told_all_the_same() {
    let database = Database::postgres().await;
    let proxy = CuttingProxy::start(&database.config.url).await;
    let (store, mut events) = Store::open(&Config { url: proxy.url.clone(), ..Config::default() }).await.unwrap();
    let ada = person(&store, "ada").await;
    let room = room(&store, &ada, Visibility::Public).await;
    send(&store, room, &ada, "c-1", "hello").await;
    assert_eq!(events.recv().await.unwrap().position.unwrap().offset, 1);
    proxy.cut_next_commit.store(true, Ordering::SeqCst);
    let refused = store.send_message(message(room, &ada, "c-2", "was it heard?"), None).await;
    assert!(matches!(refused, Err(Refusal::Internal(_))), "{refused:?}");
    let told = events.recv().await.unwrap();
    assert_eq!(told.position.unwrap().offset, 2);
    let Fact::MessageSent(stored) = told.fact else { panic!("a message") };
    let again = store.send_message(message(room, &ada, "c-2", "was it heard?"), None).await.unwrap();
    assert_eq!(again, Committed::Already(Some(stored)));
    assert_eq!(send(&store, room, &ada, "c-3", "next").await.1.offset, 3);
    assert_eq!(events.recv().await.unwrap().position.unwrap().offset, 3);
}

/// A way to PostgreSQL that can break in the worst moment.
struct CuttingProxy {
    url: String,
    cut_next_commit: Arc<AtomicBool>,
}

impl CuttingProxy {
    async fn start(url: &str) -> Self {
        let socket = url.split("host=").nth(1).unwrap().split('&').next().unwrap();
        let path = format!("{socket}/.s.PGSQL.5432");
        let name = url.split(['/', '?']).nth(3).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let cut_next_commit = Arc::new(AtomicBool::new(false));
        let cut = cut_next_commit.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = UnixStream::connect(&path).await.unwrap();
                tokio::spawn(carry(client, server, cut.clone()));
            }
        });
        let url = format!("postgres://parlor@127.0.0.1:{port}/{name}?sslmode=disable");
        Self { url, cut_next_commit }
    }
}

/// Carries both ways; a commit is still carried there, but its answer is not.
async fn carry(mut client: TcpStream, mut server: UnixStream, cut: Arc<AtomicBool>) {
    let (mut question, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            asked = client.read(&mut question) => {
                let Ok(count @ 1..) = asked else { return };
                server.write_all(&question[..count]).await.unwrap();
                let commits = question[..count].windows(6).any(|word| word.eq_ignore_ascii_case(b"commit"));
                if commits && cut.swap(false, Ordering::SeqCst) {
                    // PostgreSQL has answered: the commit took place.
                    assert!(server.read(&mut answer).await.unwrap() > 0);
                    return;
                }
            }
            answered = server.read(&mut answer) => {
                let Ok(count @ 1..) = answered else { return };
                if client.write_all(&answer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}
