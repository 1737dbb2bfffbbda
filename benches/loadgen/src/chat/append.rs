//! The store's append: what it is worth that messages share a commit, and what a long history costs.
//!
//! The store is the server's own, in this process. Sixty-four people write, each the next message when their last one is
//! stored. To commit singly is the same code with batches of one: on SQLite, which has one writer, one message after the
//! other; on PostgreSQL sixty-four stores with a connection each, which wait for nobody but the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parlor::domain::message::Author;
use parlor::domain::user::Nickname;
use parlor::domain::{CallId, Door, Room, RoomId, RoomKind, SiteRole, Time, UserId, Visibility};
use parlor::store::{Config, NewMessage, RoomRecord, Store};
use tokio::sync::Mutex;

use super::postgres::Postgres;
use crate::bench::{Figure, Options};
use crate::forward::median;
use crate::process::cpu_time;
use crate::signal::Signal;

const SENDERS: usize = 64;
/// Before a window begins.
const WARM_UP: Duration = Duration::from_secs(1);
/// Rounds of both, by turns; the medians count.
const MOST_ROUNDS: usize = 3;
/// Messages that are sent to learn what one costs.
const SENT: u64 = 20_000;
/// People who load a history: more than wait at once anywhere else, so that it is done soon.
const LOADERS: u64 = 512;

/// `commits_per_message`, `group_commit_vs_single_sqlite`.
pub(crate) fn measure_sqlite(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    signal.runtime.block_on(async {
        let counts = Counts::start()?;
        let (mut grouped, mut single, mut per_message) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=options.runs.min(MOST_ROUNDS) {
            let house = House::on_file().await?;
            let before = counts.commits();
            let (together, stored) = house.rate(options.window(), None).await?;
            per_message.push((counts.commits() - before) / stored);
            let (alone, _) = House::on_file().await?.rate(options.window(), Some(Arc::default())).await?;
            eprintln!("append, SQLite, round {round}: {together:.0} messages/s together, {alone:.0} singly");
            grouped.push(together);
            single.push(alone);
        }
        let (grouped, single) = (median(grouped), median(single));
        Ok(vec![
            Figure::new("commits_per_message", median(per_message), "1"),
            Figure::new("group_commit_vs_single_sqlite", grouped / single, "x"),
            Figure::new("append_sqlite_per_s", grouped, "1/s"),
        ])
    })
}

/// `group_commit_vs_single_postgres`.
pub(crate) fn measure_postgres(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    let (mut grouped, mut single) = (Vec::new(), Vec::new());
    for round in 1..=options.runs.min(MOST_ROUNDS) {
        let postgres = Postgres::start()?;
        signal.runtime.block_on(async {
            let house = House::on(&postgres.url(), 1).await?;
            let (together, _) = house.rate(options.window(), None).await?;
            house.close().await;
            let house = House::on(&postgres.url(), SENDERS).await?;
            let (alone, _) = house.rate(options.window(), None).await?;
            house.close().await;
            eprintln!("append, PostgreSQL, round {round}: {together:.0} messages/s together, {alone:.0} singly");
            grouped.push(together);
            single.push(alone);
            anyhow::Ok(())
        })?;
    }
    let (grouped, single) = (median(grouped), median(single));
    Ok(vec![
        Figure::new("group_commit_vs_single_postgres", grouped / single, "x"),
        Figure::new("append_postgres_per_s", grouped, "1/s"),
    ])
}

/// `send_cost_1m_vs_1k`: CPU time of a message in a room with a long history ÷ in one with a short one.
pub(crate) fn measure_history(options: &Options, signal: &Signal) -> anyhow::Result<Vec<Figure>> {
    signal.runtime.block_on(async {
        let (short, long) = (House::on_file().await?, House::on_file().await?);
        short.load(1_000).await?;
        let started = Instant::now();
        long.load(1_000_000).await?;
        eprintln!("append: a million messages stored in {:?}", started.elapsed());
        let (mut with_short, mut with_long) = (Vec::new(), Vec::new());
        for _ in 0..options.runs {
            with_short.push(short.cost_us().await?);
            with_long.push(long.cost_us().await?);
        }
        let (with_short, with_long) = (median(with_short), median(with_long));
        Ok(vec![
            Figure::new("send_cost_1m_vs_1k", with_long / with_short, "x"),
            Figure::new("send_us_1k", with_short, "us"),
            Figure::new("send_us_1m", with_long, "us"),
        ])
    })
}

/// Stores of one database, and a room for each sender: nobody waits for another one's room.
struct House {
    stores: Vec<Store>,
    rooms: Vec<(RoomId, Author)>,
    /// Goes when the house does.
    folder: Option<tempfile::TempDir>,
    /// Names the messages.
    number: AtomicU64,
}

impl House {
    async fn on_file() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("parlor.db");
        let mut house = Self::on(file.to_str().context("a folder with a name that is no text")?, 1).await?;
        house.folder = Some(folder);
        Ok(house)
    }

    async fn on(url: &str, stores: usize) -> anyhow::Result<Self> {
        let config = Config { url: url.to_owned(), ..Config::default() };
        let mut opened = Vec::new();
        for _ in 0..stores {
            let (store, mut committed) = Store::open(&config).await?;
            // Somebody takes the events, as the bus does.
            tokio::spawn(async move { while committed.recv().await.is_some() {} });
            opened.push(store);
        }
        let mut rooms = Vec::new();
        for number in 0..SENDERS {
            let (id, name) = (UserId::new(), format!("sender-{number}"));
            let nickname = Nickname::parse(&name).map_err(|refusal| anyhow!("{refusal}"))?;
            opened[0].create_user(id, &nickname, SiteRole::Member, Time::now()).await?;
            let room = Room::new(RoomKind::Call, name.clone(), Visibility::Public, 50);
            let record = RoomRecord { room, call: CallId::new(), created_by: id, door: Door::default() };
            opened[0].create_room(&record).await?;
            rooms.push((record.room.id, Author { id, nickname: name }));
        }
        Ok(Self { stores: opened, rooms, folder: None, number: AtomicU64::new(0) })
    }

    async fn send(&self, sender: usize) -> anyhow::Result<()> {
        let (room, author) = &self.rooms[sender % SENDERS];
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let text = format!("Message {number}: so many words are what people say on average.");
        let message = NewMessage::plain(*room, author.clone(), &format!("c-{number}"), &text);
        let store = &self.stores[sender % self.stores.len()];
        store.send_message(message, None).await.map(drop).map_err(|refusal| anyhow!("{refusal}"))
    }

    /// Messages a second, and how many that were. With `turns`, one is stored after the other.
    async fn rate(&self, window: Duration, turns: Option<Arc<Mutex<()>>>) -> anyhow::Result<(f64, f64)> {
        let over = AtomicBool::new(false);
        let stored = AtomicU64::new(0);
        let send = async |sender: usize| {
            while !over.load(Ordering::Relaxed) {
                let turn = match &turns {
                    Some(turns) => Some(turns.lock().await),
                    None => None,
                };
                self.send(sender).await?;
                drop(turn);
                stored.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        };
        let clock = async {
            tokio::time::sleep(WARM_UP).await;
            let (start, before) = (Instant::now(), stored.load(Ordering::Relaxed));
            tokio::time::sleep(window).await;
            let (count, seconds) = (stored.load(Ordering::Relaxed) - before, start.elapsed().as_secs_f64());
            over.store(true, Ordering::Relaxed);
            count as f64 / seconds
        };
        let senders = futures_util::future::try_join_all((0..SENDERS).map(send));
        let (rate, sent) = tokio::join!(clock, senders);
        sent?;
        Ok((rate, stored.load(Ordering::Relaxed) as f64))
    }

    /// Stores that many messages.
    async fn load(&self, count: u64) -> anyhow::Result<()> {
        let left = AtomicU64::new(count);
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let loader = async |_: u64| {
            while take() {
                // All in one room: that is the one whose history is long.
                self.send(0).await?;
            }
            anyhow::Ok(())
        };
        futures_util::future::try_join_all((0..LOADERS).map(loader)).await.map(drop)
    }

    /// CPU time of this process for a message, in µs.
    async fn cost_us(&self) -> anyhow::Result<f64> {
        let pid = std::process::id();
        let left = AtomicU64::new(SENT);
        let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let before = cpu_time(pid)?;
        let sender = async |_: usize| {
            while take() {
                self.send(0).await?;
            }
            anyhow::Ok(())
        };
        futures_util::future::try_join_all((0..SENDERS).map(sender)).await?;
        Ok(cpu_time(pid)?.saturating_sub(before).as_secs_f64() * 1e6 / SENT as f64)
    }

    async fn close(self) {
        for store in &self.stores {
            store.close().await;
        }
    }
}

/// What the store counts of itself.
struct Counts(PrometheusHandle);

impl Counts {
    fn start() -> anyhow::Result<Self> {
        Ok(Self(PrometheusBuilder::new().install_recorder().context("somebody counts already")?))
    }

    /// Transactions so far.
    fn commits(&self) -> f64 {
        let page = self.0.render();
        let count = page.lines().find_map(|line| line.strip_prefix("parlor_commit_rows_count "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_write_at_once_share_commits() -> anyhow::Result<()> {
        let house = House::on_file().await?;
        house.load(2_000).await?;
        let cost_us = house.cost_us().await?;
        anyhow::ensure!(cost_us > 1.0, "{cost_us}");
        Ok(())
    }
}
