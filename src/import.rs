//! `parlor import`: people and chat logs of SafeStream, as its files hold them. Whatever is left out is told, with the reason; a second run
//! changes nothing.

mod logs;
mod people;

use std::fs::File;
use std::io::{self, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use ring::digest;
use serde::Serialize;

use crate::config::Config;
use crate::domain::{RoomId, UserId};
use crate::store::Store;

/// The largest file of people, in bytes: a hundred thousand of them.
const PEOPLE_BYTES: u64 = 64 * 1024 * 1024;

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Taken over now; in a dry run, those that would be.
    pub taken: u64,
    /// Taken over before.
    pub already: u64,
    /// Left out: a line says which, and why.
    pub skipped: u64,
}

/// What became of an entry, as a line of the report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    result: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Taken,
    WouldBeTaken,
    Already,
    Skipped,
}

/// Who reads the report, and what is in it so far.
struct Report<'a> {
    out: &'a mut dyn Write,
    tally: Tally,
    dry: bool,
}

impl Report<'_> {
    fn count(&mut self, result: Outcome) {
        match result {
            Outcome::Taken | Outcome::WouldBeTaken => self.tally.taken += 1,
            Outcome::Already => self.tally.already += 1,
            Outcome::Skipped => self.tally.skipped += 1,
        }
    }

    fn taken(&self) -> Outcome {
        if self.dry { Outcome::WouldBeTaken } else { Outcome::Taken }
    }

    fn tell(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.count(line.result);
        self.write(line)
    }

    fn write(&mut self, what: &impl Serialize) -> io::Result<()> {
        let line = serde_json::to_string(what)?;
        writeln!(self.out, "{line}")
    }
}

/// Takes over the accounts of a `users.json`. In a dry run nothing is kept.
///
/// # Errors
/// When the file cannot be read, the database fails, or nobody takes the report.
pub async fn users(config: &Config, file: &Path, dry: bool, out: &mut dyn Write) -> anyhow::Result<Tally> {
    let mut text = String::new();
    let unreadable = || format!("{} cannot be read", file.display());
    let opened = File::open(file).with_context(unreadable)?;
    let length = opened.take(PEOPLE_BYTES + 1).read_to_string(&mut text).with_context(unreadable)?;
    anyhow::ensure!(length as u64 <= PEOPLE_BYTES, "{} is larger than {PEOPLE_BYTES} bytes", file.display());
    let entries = people::read(&text).with_context(|| format!("{} is no list of people", file.display()))?;
    let store = open(config).await?;
    let mut report = Report { out, tally: Tally::default(), dry };
    let done = people::take(&store, entries, &mut report).await;
    store.close().await;
    done?;
    report.write(&Total { total: report.tally })?;
    Ok(report.tally)
}

/// Takes over chat logs into a room, one file after the other, each in its order. In a dry run nothing is kept.
///
/// # Errors
/// When a file cannot be read, there is no such room or it keeps no messages, the database fails, or nobody takes the report.
pub async fn messages(
    config: &Config,
    room: RoomId,
    files: &[PathBuf],
    dry: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Tally> {
    // All of them first: a name that is misspelt is not to be found after half of the work.
    let mut opened = Vec::with_capacity(files.len());
    for file in files {
        let handle = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        opened.push((file.display().to_string(), BufReader::new(handle)));
    }
    let store = open(config).await?;
    let mut report = Report { out, tally: Tally::default(), dry };
    let done = logs::take(&store, room, opened, &mut report).await;
    store.close().await;
    done?;
    report.write(&Total { total: report.tally })?;
    Ok(report.tally)
}

/// The last line of a report.
#[derive(Serialize)]
struct Total {
    total: Tally,
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    // Nobody is told of what is written: clients of a server that runs see a gap, and repair it.
    let (store, _) = Store::open(&config.store()).await.context("the database cannot be used")?;
    Ok(store)
}

/// Who somebody of SafeStream is here: always the same, by their name there (RFC 9562, section 5.8).
fn user_of(name: &str) -> UserId {
    let hash = digest::digest(&digest::SHA256, format!("safestream user {name}").as_bytes());
    let bytes = hash.as_ref()[..16].try_into().expect("SHA-256 has 32 bytes");
    UserId::from_uuid(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}
