//! All SQL, one file per table, written once for SQLite and PostgreSQL.
//!
//! Whatever belongs to a room's stream goes through the one writer ([`writer`]), which gives out what it committed in the
//! order of the offsets.

mod accounts;
mod api_keys;
mod attachments;
mod backfill;
mod bans;
mod blocks;
mod calls;
mod cases;
mod changes;
mod claims;
mod direct;
mod directory;
mod erasure;
mod evidence;
mod expiring;
mod families;
mod house;
mod invites;
mod logins;
mod matches;
mod members;
mod memory;
mod messages;
mod modlog;
mod nodes;
mod once;
mod passkeys;
mod pieces;
mod polls;
mod pool;
mod presence;
mod reactions;
mod receipts;
mod recordings;
mod reports;
mod retention;
mod rooms;
mod search;
mod stream_keys;
mod streams;
mod subjects;
mod users;
mod versions;
mod webhook_deliveries;
mod webhooks;
mod writer;

pub use accounts::{Account, NewAccount};
pub use api_keys::API_KEYS;
pub use attachments::{NewUpload, Quota, Reserved, Seen};
pub use bans::{ADDRESS_KEPT, Bound, NewBan, Reached};
pub use blocks::{BLOCKS, Block};
pub use cases::{CaseKey, NewCase, NewDecision};
pub use changes::PINS;
pub use direct::Invited;
pub use directory::{After, Belonging, Outcast, Wanted};
pub use erasure::{Belongings, ID_STAYS, OwnMessage, OwnRoom};
pub use evidence::Found;
pub use families::{Idle, Login, LoginRecord, Redeemed, Refreshed, Reuse, Trace};
pub use house::Pin;
pub use invites::{Accepted, Asked, INVITES};
pub use matches::{Ending, Meeting};
pub use members::{Footing, Membership};
pub use messages::{NewMessage, Stretch};
pub use once::{ONCE, OnceFound, OnceRow};
pub use passkeys::{PASSKEYS, PasskeyRecord};
pub use presence::Kept;
pub use reactions::REACTION_KINDS;
pub use recordings::Sight;
pub use reports::{Filed, NewReport, Reputation};
pub use retention::Stale;
pub use rooms::RoomRecord;
pub use search::{FoundAt, Sender, Sought};
pub use stream_keys::STREAM_KEYS;
pub use streams::{RESUME_LIMIT, Recovery, STATE_MESSAGES};
pub use users::Person;
pub use webhooks::{Due, SealedWebhook, WEBHOOKS};
pub use writer::{Committed, EditOf, Written};

use serde::Deserialize;
use tokio::sync::mpsc;

use crate::domain::{Event, Refusal};
use memory::Memory;
use pool::Pool;
use writer::Writer;

/// Where and how to store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://…`, or the path of an SQLite file (`sqlite:` in front is allowed). From `PARLOR_DATABASE_URL`.
    #[serde(skip)]
    pub url: String,
    /// What SQLite waits for before it says that something is stored.
    pub synchronous: Synchronous,
}

/// What SQLite waits for before it says that something is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// For the disk: nothing acknowledged is lost when the power fails.
    #[default]
    Full,
    /// For the operating system: a power failure may cost the last moments.
    Normal,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: "data/parlor.db".to_owned(), synchronous: Synchronous::Full }
    }
}

/// The database did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query failed.
    #[error("the database failed: {0}")]
    Query(#[from] sqlx::Error),
    /// The tables could not be brought up to date.
    #[error("the database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this program never writes.
    #[error("the database holds something unreadable: {0}")]
    Unreadable(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Internal(error.to_string())
    }
}

/// The database. Clones share it.
#[derive(Clone)]
pub struct Store {
    write: Pool,
    read: Pool,
    writer: Writer,
    memory: Memory,
    marks: receipts::Marker,
}

impl Store {
    /// Connects, migrates, and starts the writer. The receiver gives every event of every room's stream after its commit, per
    /// room in the order of offsets; the writer waits when nobody takes them.
    ///
    /// # Errors
    /// When the database cannot be reached, opened or migrated.
    pub async fn open(config: &Config) -> Result<(Self, mpsc::Receiver<Event>), Error> {
        let (write, read) = pool::connect(config).await?;
        write.migrate().await?;
        let (committed, receiver) = mpsc::channel(writer::COMMITTED);
        let writer = Writer::start(write.clone(), committed.clone());
        let marks = receipts::Marker::start(write.clone());
        Ok((Self { write, read, writer, memory: Memory::new(committed), marks }, receiver))
    }

    /// Writes what is queued and closes the connections.
    pub async fn close(&self) {
        self.writer.stop().await;
        self.memory.stop();
        self.read.close().await;
        self.write.close().await;
    }

    /// Whether the database answers now.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        let _: i32 = pool::on_pool!(&self.read, db => sqlx::query_scalar("select 1").fetch_one(db))?;
        Ok(())
    }
}

/// Whether the database can be reached. Changes nothing and creates nothing.
///
/// # Errors
/// When it cannot.
pub async fn reach(config: &Config) -> Result<(), Error> {
    let pool = pool::connect_to_read(config).await?;
    let answer: Result<i32, sqlx::Error> = pool::on_pool!(&pool, db => sqlx::query_scalar("select 1").fetch_one(db));
    pool.close().await;
    answer?;
    Ok(())
}

/// How many people belong to each cluster. Changes nothing and creates nothing.
///
/// # Errors
/// When the database cannot be reached, or is of an older version.
pub async fn people_of_clusters(config: &Config) -> Result<Vec<(String, u64)>, Error> {
    const SQL: &str = "select cluster_id, count(*) from users where erased_at is null group by cluster_id order by 1";
    let pool = pool::connect_to_read(config).await?;
    let rows: Result<Vec<(String, i64)>, sqlx::Error> = pool::on_pool!(&pool, db => sqlx::query_as(SQL).fetch_all(db));
    pool.close().await;
    Ok(rows?.into_iter().map(|(id, count)| (id, u64::try_from(count).unwrap_or(0))).collect())
}

/// Brings the tables up to date and does nothing else.
///
/// # Errors
/// When the database cannot be reached, opened or migrated.
pub async fn migrate(config: &Config) -> Result<(), Error> {
    let (write, read) = pool::connect(config).await?;
    let done = write.migrate().await;
    read.close().await;
    write.close().await;
    done
}
