//! Chat logs: a JSON object in each line.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Read as _};

use anyhow::Context as _;
use ring::digest;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

use super::{Line, Outcome, Report, user_of};
use crate::domain::{
    MessageId, Refusal, RoomId, RoomKind, SiteRole, Time, message::Author, settings::Retention, user::Nickname,
};
use crate::store::{Committed, NewMessage, Store};

/// Messages that are on their way to the database at once: as many as one commit takes.
const BATCH: usize = 256;
/// The longest line, in bytes.
const LINE_BYTES: u64 = 1024 * 1024;
/// The longest name of somebody there, in characters: four times as long as any that people have here.
const NAME_LIMIT: usize = 200;
/// The names that who wrote goes by, and what, and when.
const WHO: [&str; 4] = ["user", "username", "from", "nickname"];
const WHAT: [&str; 4] = ["message", "text", "content", "msg"];
const WHEN: [&str; 4] = ["ts", "timestamp", "time", "created_at"];

/// A message that is to be kept, and where it stood.
struct Found {
    line: u64,
    new: NewMessage,
}

/// The way into one room.
struct Way<'a> {
    store: &'a Store,
    room: RoomId,
    kind: RoomKind,
    /// Who wrote, by their names there; `None`: they had everything deleted here.
    authors: HashMap<String, Option<Author>>,
    /// How often the same was said at the same time, so far.
    said: HashMap<[u8; 20], u64>,
    /// What has been found in a dry run.
    dry: HashSet<String>,
}

/// Takes over files, one after the other.
pub(super) async fn take<R: BufRead>(
    store: &Store,
    room: RoomId,
    files: Vec<(String, R)>,
    report: &mut Report<'_>,
) -> anyhow::Result<()> {
    let record = store.room(room).await?.context("there is no such room")?;
    let kind = record.room.kind;
    let keeps = record.room.settings.retention != Retention::None && !kind.is_direct() && kind != RoomKind::Match;
    anyhow::ensure!(keeps, "this room takes no logs: it is a conversation, or keeps no messages");
    let mut way = Way { store, room, kind, authors: HashMap::new(), said: HashMap::new(), dry: HashSet::new() };
    for (name, file) in files {
        way.take_file(&name, file, report).await?;
    }
    Ok(())
}

impl Way<'_> {
    async fn take_file<R: BufRead>(&mut self, name: &str, mut file: R, report: &mut Report<'_>) -> anyhow::Result<()> {
        let (mut number, mut batch) = (0, Vec::with_capacity(BATCH));
        loop {
            let mut line = Vec::new();
            let read = (&mut file).take(LINE_BYTES).read_until(b'\n', &mut line);
            if read.with_context(|| format!("{name} breaks off after line {number}"))? == 0 {
                break;
            }
            number += 1;
            let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LINE_BYTES;
            let parsed = if is_whole {
                self.message(&line).await?
            } else {
                skip_line(&mut file)?;
                Err(format!("the line is longer than {LINE_BYTES} bytes"))
            };
            match parsed {
                Ok(None) => {}
                Ok(Some(new)) => batch.push(Found { line: number, new }),
                Err(why) => {
                    let (file, line) = (Some(name), Some(number));
                    report.tell(&Line { file, line, user: None, result: Outcome::Skipped, why: Some(why) })?;
                }
            }
            if batch.len() == BATCH {
                self.keep(name, std::mem::take(&mut batch), report).await?;
            }
        }
        self.keep(name, batch, report).await
    }

    /// The message of a line; `None`: it is empty. An inner error says why it is left out.
    async fn message(&mut self, line: &[u8]) -> anyhow::Result<Result<Option<NewMessage>, String>> {
        let Ok(text) = std::str::from_utf8(line) else { return Ok(Err("the line is not UTF-8".to_owned())) };
        if text.trim().is_empty() {
            return Ok(Ok(None));
        }
        let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) else {
            return Ok(Err("the line is no JSON object".to_owned()));
        };
        if fields.get("type").and_then(Value::as_str).is_some_and(|kind| !matches!(kind, "chat" | "message")) {
            return Ok(Err("the line is no chat message".to_owned()));
        }
        let named = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).cloned();
        let Some(Value::String(who)) = named(&WHO) else { return Ok(Err("nobody is named who wrote it".to_owned())) };
        if who.chars().count() > NAME_LIMIT {
            return Ok(Err(format!("the name of who wrote it is longer than {NAME_LIMIT} characters")));
        }
        let Some(Value::String(what)) = named(&WHAT) else { return Ok(Err("it has no text".to_owned())) };
        let Some(at) = named(&WHEN).as_ref().and_then(time_of) else {
            return Ok(Err("it does not say when it was written".to_owned()));
        };
        // What is swept by its age is swept in the order of the room: one line of the future would keep all behind it.
        if at > Time::now() {
            return Ok(Err("it was written in the future".to_owned()));
        }
        let what: String = what.nfc().collect();
        let (length, limit) = (what.chars().count(), self.kind.message_limit());
        if what.trim().is_empty() || what.contains('\0') {
            return Ok(Err("the text is empty, or has the character U+0000".to_owned()));
        }
        if length > limit {
            return Ok(Err(format!("the text has {length} characters; this room takes {limit}")));
        }
        let Some(author) = self.author(&who).await? else {
            return Ok(Err("whoever wrote it has had everything deleted here".to_owned()));
        };
        let own_id = ["id", "message_id"].iter().find_map(|name| fields.get(*name).filter(|id| is_id(id)));
        let own_id = own_id.map(Value::to_string);
        let hash = self.name_of(own_id.as_deref(), &who, at, &what);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let plain = NewMessage::plain(self.room, author, &format!("import:{hex}"), &what);
        Ok(Ok(Some(NewMessage { id: id_of(at, self.room, &hash), at, ..plain })))
    }

    /// By what a message is known again: its id there, or else what was said by whom and when, and the how-manieth time.
    fn name_of(&mut self, own_id: Option<&str>, who: &str, at: Time, what: &str) -> [u8; 20] {
        let hashed = |text: String| -> [u8; 20] {
            let hash = digest::digest(&digest::SHA256, text.as_bytes());
            hash.as_ref()[..20].try_into().expect("SHA-256 has 32 bytes")
        };
        if let Some(own_id) = own_id {
            return hashed(format!("id\0{own_id}"));
        }
        let first = hashed(format!("said\0{who}\0{}\0{what}", at.as_ms()));
        let count = self.said.entry(first).or_default();
        *count += 1;
        if *count == 1 { first } else { hashed(format!("said\0{who}\0{}\0{what}\0{count}", at.as_ms())) }
    }

    /// Who is known here for who wrote there: the account that was taken over, or somebody of that name who cannot log in.
    async fn author(&mut self, name: &str) -> anyhow::Result<Option<Author>> {
        if let Some(known) = self.authors.get(name) {
            return Ok(known.clone());
        }
        let id = user_of(name);
        let author = match self.store.user(id).await? {
            Some(_) if self.store.is_erased(id).await? => None,
            Some(person) => Some(Author { id, nickname: person.user.nickname }),
            None => Some(Author { id, nickname: nickname_of(name).as_str().to_owned() }),
        };
        self.authors.insert(name.to_owned(), author.clone());
        Ok(author)
    }

    /// Keeps messages in their order.
    async fn keep(&mut self, file: &str, batch: Vec<Found>, report: &mut Report<'_>) -> anyhow::Result<()> {
        if report.dry {
            for Found { new, .. } in batch {
                let known = self.store.sent_before(&new).await?.is_some() || !self.dry.insert(new.client_id);
                report.count(if known { Outcome::Already } else { Outcome::WouldBeTaken });
            }
            return Ok(());
        }
        for Found { new, .. } in &batch {
            self.make(&new.sender, new.at).await?;
        }
        let lines: Vec<u64> = batch.iter().map(|found| found.line).collect();
        let written = self.store.send_messages(batch.into_iter().map(|found| found.new).collect()).await;
        for (line, written) in lines.into_iter().zip(written) {
            let (result, why) = match written {
                Ok(Committed::Fresh(..)) => (Outcome::Taken, None),
                Ok(Committed::Already(_)) => (Outcome::Already, None),
                Err(Refusal::Conflict) => {
                    (Outcome::Skipped, Some("a message of the same id says something else".to_owned()))
                }
                Err(refusal) => anyhow::bail!("{file}, line {line}: {refusal:?}; run it again once that is mended"),
            };
            match why {
                None => report.count(result),
                Some(_) => report.tell(&Line { file: Some(file), line: Some(line), user: None, result, why })?,
            }
        }
        Ok(())
    }

    /// Makes somebody who has written and is not here yet.
    async fn make(&self, author: &Author, at: Time) -> anyhow::Result<()> {
        if self.store.user(author.id).await?.is_none() {
            let nickname = nickname_of(&author.nickname);
            self.store.create_user(author.id, &nickname, SiteRole::Member, at).await?;
        }
        Ok(())
    }
}

/// When something happened: seconds since 1970 (with a fraction), milliseconds, or RFC 3339.
pub(super) fn time_of(value: &Value) -> Option<Time> {
    /// Larger numbers are milliseconds: as seconds they would be in the year 5138.
    const SECONDS: f64 = 1e11;
    let ms = match value {
        Value::Number(number) => {
            let number = number.as_f64().filter(|number| *number > 0.0 && *number < 1e14)?;
            if number < SECONDS { number * 1000.0 } else { number }
        }
        Value::String(text) => {
            let text = text.trim();
            let at: jiff::Timestamp =
                text.parse().or_else(|_| format!("{}Z", text.replacen(' ', "T", 1)).parse()).ok()?;
            return u64::try_from(at.as_millisecond()).ok().map(|ms| Time::from_ms(ms.cast_signed()));
        }
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is below 1e14")]
    let ms = ms.round() as i64;
    Some(Time::from_ms(ms))
}

/// A name that people can have here, as like the one there as can be.
fn nickname_of(name: &str) -> Nickname {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let plain: String = name.nfkc().map(fits).take(50).collect();
    Nickname::parse(&plain)
        .or_else(|_| Nickname::parse(&format!("{plain}_")))
        .unwrap_or_else(|_| Nickname::parse("somebody").expect("it has eight letters"))
}

/// Whether it names one message: nothing, or an object, names none.
fn is_id(value: &Value) -> bool {
    value.is_number() || value.as_str().is_some_and(|text| !text.is_empty())
}

/// The id of a message: of the time when it was written, and always the same in one room.
fn id_of(at: Time, room: RoomId, hash: &[u8; 20]) -> MessageId {
    let hash = digest::digest(&digest::SHA256, &[&room.as_uuid().as_bytes()[..], hash].concat());
    let chance = hash.as_ref()[..10].try_into().expect("there are 32");
    let ms = u64::try_from(at.as_ms()).unwrap_or_default();
    MessageId::from_uuid(uuid::Builder::from_unix_timestamp_millis(ms, chance).into_uuid())
}

/// Goes on behind the end of a line.
fn skip_line<R: BufRead>(file: &mut R) -> std::io::Result<()> {
    loop {
        let mut rest = Vec::new();
        let read = (&mut *file).take(LINE_BYTES).read_until(b'\n', &mut rest)?;
        if read == 0 || rest.ends_with(b"\n") {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_come_in_several_forms() {
        let noon = Some(Time::from_ms(1_717_243_200_500));
        for said in [
            json!(1_717_243_200.5),
            json!(1_717_243_200_500_u64),
            json!("2024-06-01T12:00:00.5Z"),
            json!("2024-06-01T14:00:00.5+02:00"),
            json!("2024-06-01T12:00:00.500"),
            json!("2024-06-01 12:00:00.5"),
        ] {
            assert_eq!(time_of(&said), noon, "{said}");
        }
        for bad in [json!(null), json!("yesterday"), json!(-5), json!(1e300), json!("1960-01-01T00:00:00Z")] {
            assert_eq!(time_of(&bad), None, "{bad}");
        }
    }

    #[test]
    fn names_become_names_that_people_can_have() {
        for (name, here) in [("ada", "ada"), ("Zoë X", "Zo__X"), ("x", "x_"), ("", "somebody")] {
            assert_eq!(nickname_of(name).as_str(), here, "{name}");
        }
        assert_eq!(nickname_of(&"y".repeat(80)).as_str().len(), 50);
    }
}
