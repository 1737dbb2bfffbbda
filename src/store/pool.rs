//! The two databases as one: SQL is written once and sent to whichever is there.

use std::{fs::File, path::Path, str::FromStr, time::Duration};

use sqlx::{
    PgPool, Postgres, Sqlite, SqlitePool, Transaction,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Config, Error, Synchronous};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");
/// What the two cannot share: the index of words.
static OF_SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
static OF_POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");

/// Readers of SQLite: each is a thread that waits for the disk, so a few more than cores.
const SQLITE_READERS: u32 = 8;
/// What the writer of SQLite keeps of the file, in KiB: the ends of its indexes, which every batch touches in as many places as there are
/// rooms. SQLite's own 2 MiB spills in the middle of a large batch.
const WRITER_CACHE_KIB: u32 = 16 * 1024;
/// Pages of 4 KiB in the log before they are copied into the file. Busy pages are written again by every batch; SQLite's own 1,000 would
/// copy each of them thirty times in a second.
const LOG_PAGES: u32 = 4_000;
/// Connections to PostgreSQL. Its own default limit is 100 for all nodes together.
const POSTGRES_CONNECTIONS: u32 = 16;

/// Connections to the database.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A transaction.
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// Runs a query on whichever pool it is: `on_pool!(&pool, db => query.fetch_one(db))`.
macro_rules! on_pool {
    ($pool:expr, $db:ident => $query:expr) => {
        match $pool {
            $crate::store::pool::Pool::Sqlite($db) => $query.await,
            $crate::store::pool::Pool::Postgres($db) => $query.await,
        }
    };
}

/// Runs a query in whichever transaction it is: `on_tx!(tx, db => query.fetch_one(db))`.
macro_rules! on_tx {
    ($tx:expr, $db:ident => $query:expr) => {
        match $tx {
            $crate::store::pool::Tx::Sqlite(tx) => {
                let $db = &mut **tx;
                $query.await
            }
            $crate::store::pool::Tx::Postgres(tx) => {
                let $db = &mut **tx;
                $query.await
            }
        }
    };
}

/// Executes a statement in a transaction and gives the number of rows it touched.
macro_rules! execute {
    ($tx:expr, $query:expr) => {
        $crate::store::pool::on_tx!($tx, db => async { $query.execute(db).await.map(|done| done.rows_affected()) })
    };
}

/// The same outside of any transaction.
macro_rules! execute_now {
    ($pool:expr, $query:expr) => {
        $crate::store::pool::on_pool!($pool, db => async { $query.execute(db).await.map(|done| done.rows_affected()) })
    };
}

pub(super) use {execute, execute_now, on_pool, on_tx};

/// The pool that writes and the one that reads. PostgreSQL needs no such difference.
pub(super) async fn connect(config: &Config) -> Result<(Pool, Pool), Error> {
    if is_postgres(&config.url) {
        let pool = connect_to_read(config).await?;
        return Ok((pool.clone(), pool));
    }
    // SQLite has one writer. A pool of one connection makes the rest wait their turn here, in order, not by trial and error.
    let one = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let options = sqlite_options(config)
        .create_if_missing(true)
        // A negative size is in KiB.
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .pragma("wal_autocheckpoint", LOG_PAGES.to_string());
    let write = one.connect_with(options).await?;
    Ok((Pool::Sqlite(write), connect_to_read(config).await?))
}

/// The pool that reads. A missing SQLite file is an error, not a new database.
pub(super) async fn connect_to_read(config: &Config) -> Result<Pool, Error> {
    if is_postgres(&config.url) {
        let pool = PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(PgConnectOptions::from_str(&config.url)?);
        return Ok(Pool::Postgres(pool.await?));
    }
    let many = SqlitePoolOptions::new().max_connections(SQLITE_READERS);
    Ok(Pool::Sqlite(many.connect_with(sqlite_options(config).read_only(true)).await?))
}

fn sqlite_options(config: &Config) -> SqliteConnectOptions {
    let path = config.url.strip_prefix("sqlite:").unwrap_or(&config.url);
    SqliteConnectOptions::new()
        .filename(Path::new(path.strip_prefix("//").unwrap_or(path)))
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match config.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        })
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true)
}

/// Waits until no other program holds the folder of that file. The lock goes with what is returned; a system without such locks has one
/// program at a time as well.
async fn lock_folder_of(db: &SqlitePool) -> Option<File> {
    let options = db.connect_options();
    let folder =
        options.get_filename().parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let lock = move || File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
    match tokio::task::spawn_blocking(lock).await {
        Ok(Ok(folder)) => Some(folder),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the folder of the database cannot be locked");
            None
        }
        Err(_) => None,
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

impl Pool {
    /// Brings the tables up to date. Of programs that start at once one does it, and the others wait: PostgreSQL has a lock for that,
    /// and for SQLite it is one on the folder of the file.
    pub(super) async fn migrate(&self) -> Result<(), Error> {
        let _alone = match self {
            Pool::Sqlite(db) => lock_folder_of(db).await,
            Pool::Postgres(_) => None,
        };
        let own = match self {
            Pool::Sqlite(_) => &OF_SQLITE,
            Pool::Postgres(_) => &OF_POSTGRES,
        };
        let all = Migrator::with_migrations(MIGRATIONS.iter().chain(own.iter()).cloned().collect());
        on_pool!(self, db => all.run(db))?;
        Ok(())
    }

    pub(super) async fn begin(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Pool::Sqlite(db) => Tx::Sqlite(db.begin_with("begin immediate").await?),
            Pool::Postgres(db) => Tx::Postgres(db.begin().await?),
        })
    }

    /// A transaction whose queries all see the same moment.
    pub(super) async fn snapshot(&self) -> Result<Tx, sqlx::Error> {
        Ok(match self {
            Pool::Sqlite(db) => Tx::Sqlite(db.begin().await?),
            Pool::Postgres(db) => Tx::Postgres(db.begin_with("begin isolation level repeatable read read only").await?),
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Pool::Sqlite(db) => db.close().await,
            Pool::Postgres(db) => db.close().await,
        }
    }
}

impl Tx {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await,
            Tx::Postgres(tx) => tx.commit().await,
        }
    }
}
