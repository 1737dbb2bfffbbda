//! Table `cases`: what a moderator has to decide.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    modlog::insert_entry,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{
    CallId, CaseId, LogEntry, MessageId, ParticipantId, RoomId, Time, TrackId, TrackSource, UserId,
    case::{Case, CaseFilter, CaseSource, CaseStatus, Claim, Decision, Measure, Named, Place, Priority},
    evidence::Label,
};

/// A case that is to begin, unless one with the same key waits already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCase {
    /// The id that it will have.
    pub id: CaseId,
    /// Who brings it.
    pub source: CaseSource,
    /// What makes two findings one case.
    pub key: CaseKey,
    /// What was seen or reported.
    pub label: Option<String>,
    /// How much it presses.
    pub priority: Priority,
    /// Whom it is about.
    pub subject: Named,
    /// Where it happened.
    pub place: Place,
    /// When.
    pub at: Time,
}

/// What makes two findings one case while that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaseKey {
    /// The classifier saw the same in the same track.
    Seen(TrackId, Label),
    /// The same track yields no pictures.
    Unsampled(TrackId),
    /// The same person is reported.
    Person(UserId),
    /// The same message is reported.
    Message(MessageId),
}

/// What somebody decides about a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDecision {
    /// Who.
    pub by: UserId,
    /// What.
    pub action: Measure,
    /// Why.
    pub reason: String,
    /// For how long, in seconds.
    pub duration_s: Option<u64>,
    /// When.
    pub at: Time,
    /// Whether a case that waits for an administrator may be decided too.
    pub escalated_too: bool,
}

#[derive(FromRow)]
struct CaseRow {
    id: Uuid,
    source: String,
    label: Option<String>,
    priority: i64,
    status: String,
    user_id: Uuid,
    nickname: String,
    room_id: Option<Uuid>,
    room_name: Option<String>,
    call_id: Option<Uuid>,
    participant_id: Option<Uuid>,
    track_id: Option<Uuid>,
    track_source: Option<String>,
    message_id: Option<Uuid>,
    report_count: i64,
    created_at: i64,
    updated_at: i64,
    claimed_by: Option<Uuid>,
    claimed_name: Option<String>,
    claimed_until: Option<i64>,
    action: Option<String>,
    reason: Option<String>,
    duration_s: Option<i64>,
    decided_by: Option<Uuid>,
    decided_name: Option<String>,
    decided_at: Option<i64>,
}

/// Every column, with the names that stand elsewhere.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select c.*, r.name as room_name, k.nickname as claimed_name, d.nickname as decided_name from cases c \
             left join rooms r on r.id = c.room_id left join users k on k.id = c.claimed_by \
             left join users d on d.id = c.decided_by ",
            $rest
        )
    };
}

impl CaseKey {
    fn text(&self) -> String {
        match self {
            Self::Seen(track, label) => format!("seen:{track}:{}", label.as_str()),
            Self::Unsampled(track) => format!("unsampled:{track}"),
            Self::Person(user) => format!("user:{user}"),
            Self::Message(message) => format!("message:{message}"),
        }
    }
}

impl CaseRow {
    /// The case at that moment: a claim whose time is over is none.
    fn read(self, now: Time) -> Result<Case, Error> {
        let unreadable = |name: &str| Error::Unreadable(name.to_owned());
        let named = |id: Option<Uuid>, name: Option<String>| {
            id.map(|id| Named { user_id: UserId::from_uuid(id), nickname: name.unwrap_or_default() })
        };
        let until = self.claimed_until.map(Time::from_ms).filter(|until| *until > now);
        let claimed_by = named(self.claimed_by, self.claimed_name).zip(until).map(|(by, until)| Claim { by, until });
        let mut status = CaseStatus::parse(&self.status).ok_or_else(|| unreadable(&self.status))?;
        if status == CaseStatus::Pending && claimed_by.is_some() {
            status = CaseStatus::Reviewing;
        }
        let decision = match (&self.action, named(self.decided_by, self.decided_name), self.decided_at) {
            (Some(action), Some(by), Some(at)) => Some(Decision {
                action: Measure::parse(action).ok_or_else(|| unreadable(action))?,
                reason: self.reason.unwrap_or_default(),
                by,
                at: Time::from_ms(at),
                duration_s: self.duration_s.map(i64::cast_unsigned),
            }),
            _ => None,
        };
        let source = |name: &String| TrackSource::parse(name).ok_or_else(|| unreadable(name));
        Ok(Case {
            case_id: CaseId::from_uuid(self.id),
            status,
            priority: priority_of(self.priority)?,
            source: CaseSource::parse(&self.source).ok_or_else(|| unreadable(&self.source))?,
            label: self.label,
            subject: Named { user_id: UserId::from_uuid(self.user_id), nickname: self.nickname },
            place: Place {
                room_id: self.room_id.map(RoomId::from_uuid),
                call_id: self.call_id.map(CallId::from_uuid),
                participant_id: self.participant_id.map(ParticipantId::from_uuid),
                track_id: self.track_id.map(TrackId::from_uuid),
                track_source: self.track_source.as_ref().map(source).transpose()?,
                message_id: self.message_id.map(MessageId::from_uuid),
            },
            room_name: self.room_name,
            live: false,
            report_count: u32::try_from(self.report_count).unwrap_or(u32::MAX),
            created_at: Time::from_ms(self.created_at),
            updated_at: Time::from_ms(self.updated_at),
            claimed_by,
            decision,
        })
    }
}

fn priority_of(number: i64) -> Result<Priority, Error> {
    let found = usize::try_from(number).ok().and_then(|at| Priority::ALL.get(at).copied());
    found.ok_or_else(|| Error::Unreadable(format!("priority {number}")))
}

impl Store {
    /// Begins a case, or finds the one that waits under the same key. Its id, and whether it is new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_case(&self, new: &NewCase) -> Result<(CaseId, bool), Error> {
        let mut tx = self.write.begin().await?;
        let opened = open_case(&mut tx, new).await?;
        tx.commit().await?;
        Ok(opened)
    }

    /// The case of that id, as it is at that moment. Whether anything of it is live is not known here.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn case(&self, id: CaseId, now: Time) -> Result<Option<Case>, Error> {
        const SQL: &str = select!("where c.id = $1");
        let row: Option<CaseRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        row.map(|row| row.read(now)).transpose()
    }

    /// A page of cases: what presses most comes first, then what has waited longest. `None`: there is no case `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cases(
        &self,
        filter: CaseFilter,
        limit: u32,
        before: Option<CaseId>,
        now: Time,
    ) -> Result<Option<Vec<Case>>, Error> {
        // Of those that wait, `$2` says which: 0 the free ones, 1 the taken ones, 2 both.
        const SQL: &str = select!(
            "where c.status = $1 and ($2 = 2 or $2 = case when c.claimed_until > $3 then 1 else 0 end) \
             and (c.priority < $4 or (c.priority = $4 and c.id > $5)) order by c.priority desc, c.id limit $6"
        );
        let (status, taken) = match filter {
            CaseFilter::Open => (CaseStatus::Pending, 2_i64),
            CaseFilter::Pending => (CaseStatus::Pending, 0),
            CaseFilter::Reviewing => (CaseStatus::Pending, 1),
            CaseFilter::Resolved => (CaseStatus::Resolved, 2),
            CaseFilter::Dismissed => (CaseStatus::Dismissed, 2),
            CaseFilter::Escalated => (CaseStatus::Escalated, 2),
        };
        let mut place = (i64::MAX, Uuid::nil());
        if let Some(before) = before {
            let priority: Option<i64> = on_pool!(&self.read, db => sqlx::query_scalar(
                "select priority from cases where id = $1").bind(before.as_uuid()).fetch_optional(db))?;
            let Some(priority) = priority else { return Ok(None) };
            place = (priority, before.as_uuid());
        }
        let rows: Vec<CaseRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(status.as_str()).bind(taken).bind(now.as_ms()).bind(place.0).bind(place.1)
            .bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(|row| row.read(now)).collect::<Result<_, _>>().map(Some)
    }

    /// How many cases wait for a decision, taken or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_cases(&self) -> Result<u64, Error> {
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(
            "select count(*) from cases where status = 'pending'").fetch_one(db))?;
        Ok(count.cast_unsigned())
    }

    /// Cases about somebody, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cases_about(&self, user: UserId, limit: u32, now: Time) -> Result<Vec<Case>, Error> {
        const SQL: &str = select!("where c.user_id = $1 order by c.id desc limit $2");
        let rows: Vec<CaseRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(|row| row.read(now)).collect()
    }

    /// Gives somebody a case that nobody else has and nobody has decided. `false`: somebody has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_case(
        &self,
        id: CaseId,
        by: UserId,
        at: Time,
        lease: Duration,
        entry: &LogEntry,
    ) -> Result<bool, Error> {
        const SQL: &str = "update cases set claimed_by = $2, claimed_until = $4, updated_at = $3 \
            where id = $1 and status in ('pending', 'escalated') \
            and (claimed_by is null or claimed_by = $2 or claimed_until <= $3)";
        let mut tx = self.write.begin().await?;
        let claimed = execute!(
            &mut tx,
            sqlx::query(SQL).bind(id.as_uuid()).bind(by.as_uuid()).bind(at.as_ms()).bind(at.after(lease).as_ms())
        )?;
        commit_with(tx, claimed > 0, entry).await
    }

    /// Takes a case back from somebody. `false`: they do not have it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release_case(&self, id: CaseId, by: UserId, at: Time, entry: &LogEntry) -> Result<bool, Error> {
        const SQL: &str = "update cases set claimed_by = null, claimed_until = null, updated_at = $3 \
            where id = $1 and claimed_by = $2 and claimed_until > $3";
        let mut tx = self.write.begin().await?;
        let released = execute!(&mut tx, sqlx::query(SQL).bind(id.as_uuid()).bind(by.as_uuid()).bind(at.as_ms()))?;
        commit_with(tx, released > 0, entry).await
    }

    /// Decides a case, unless somebody else has it or has decided it: of two at once, one. `false`: somebody else did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decide_case(&self, id: CaseId, new: &NewDecision, entry: &LogEntry) -> Result<bool, Error> {
        const SQL: &str = "update cases set status = $3, action = $4, reason = $5, duration_s = $6, decided_by = $2, \
            decided_at = $7, updated_at = $7, applied_at = null, claimed_by = null, claimed_until = null \
            where id = $1 and status in ('pending', $8) \
            and (claimed_by is null or claimed_by = $2 or claimed_until <= $7)";
        let also = if new.escalated_too { CaseStatus::Escalated } else { CaseStatus::Pending };
        let mut tx = self.write.begin().await?;
        let decided = execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(id.as_uuid())
                .bind(new.by.as_uuid())
                .bind(new.action.outcome().as_str())
                .bind(new.action.as_str())
                .bind(&new.reason)
                .bind(new.duration_s.map(u64::cast_signed))
                .bind(new.at.as_ms())
                .bind(also.as_str())
        )?;
        commit_with(tx, decided > 0, entry).await
    }

    /// What was decided about a case has been done.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn applied_case(&self, id: CaseId, at: Time) -> Result<(), Error> {
        const SQL: &str = "update cases set applied_at = $2 where id = $1";
        on_pool!(&self.write, db => async {
            sqlx::query(SQL).bind(id.as_uuid()).bind(at.as_ms()).execute(db).await.map(|_| ())
        })?;
        Ok(())
    }

    /// Lets a case wait again whose decision could not be carried out. `false`: it was, or another one waits in its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reopen_case(&self, id: CaseId, at: Time, entry: &LogEntry) -> Result<bool, Error> {
        const SQL: &str = "update cases set status = 'pending', action = null, reason = null, duration_s = null, \
            decided_by = null, decided_at = null, updated_at = $2 where id = $1 and status <> 'pending' and applied_at is null \
            and not exists (select 1 from cases o where o.subject_key = cases.subject_key and o.status = 'pending')";
        let mut tx = self.write.begin().await?;
        let reopened = execute!(&mut tx, sqlx::query(SQL).bind(id.as_uuid()).bind(at.as_ms()))?;
        commit_with(tx, reopened > 0, entry).await
    }

    /// Cases that were decided before that moment and whose decisions were never carried out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unapplied_cases(&self, before: Time) -> Result<Vec<CaseId>, Error> {
        const SQL: &str = "select id from cases where decided_at < $1 and applied_at is null";
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(before.as_ms()).fetch_all(db))?;
        Ok(ids.into_iter().map(CaseId::from_uuid).collect())
    }
}

/// Commits what was done together with its line in the log; or nothing, when nothing was done.
async fn commit_with(mut tx: Tx, done: bool, entry: &LogEntry) -> Result<bool, Error> {
    if done {
        insert_entry(&mut tx, entry).await?;
        tx.commit().await?;
    }
    Ok(done)
}

/// Begins a case in this transaction, or locks the one that waits under the same key.
pub(super) async fn open_case(tx: &mut Tx, new: &NewCase) -> Result<(CaseId, bool), Error> {
    const INSERT: &str = "insert into cases (id, source, subject_key, label, priority, status, user_id, nickname, room_id, \
        call_id, participant_id, track_id, track_source, message_id, report_count, created_at, updated_at) \
        values ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, $10, $11, $12, $13, 0, $14, $14) \
        on conflict (subject_key) where status = 'pending' do nothing";
    const LOCK: &str = "update cases set updated_at = $2 where subject_key = $1 and status = 'pending' returning id";
    let (key, place) = (new.key.text(), &new.place);
    // Whoever decides the waiting case between the two statements makes room for a new one.
    for _ in 0..3 {
        let inserted = execute!(
            tx,
            sqlx::query(INSERT)
                .bind(new.id.as_uuid())
                .bind(new.source.as_str())
                .bind(&key)
                .bind(&new.label)
                .bind(new.priority as i64)
                .bind(new.subject.user_id.as_uuid())
                .bind(&new.subject.nickname)
                .bind(place.room_id.map(RoomId::as_uuid))
                .bind(place.call_id.map(CallId::as_uuid))
                .bind(place.participant_id.map(ParticipantId::as_uuid))
                .bind(place.track_id.map(TrackId::as_uuid))
                .bind(place.track_source.map(TrackSource::as_str))
                .bind(place.message_id.map(MessageId::as_uuid))
                .bind(new.at.as_ms())
        )?;
        if inserted > 0 {
            let entry = LogEntry::by_server(crate::domain::Deed::Opened);
            let entry =
                LogEntry { at: new.at, ..entry.in_case(new.id).about(new.subject.user_id).in_room(place.room_id) };
            insert_entry(tx, &entry).await?;
            return Ok((new.id, true));
        }
        let known: Option<Uuid> =
            on_tx!(tx, db => sqlx::query_scalar(LOCK).bind(&key).bind(new.at.as_ms()).fetch_optional(db))?;
        if let Some(known) = known {
            return Ok((CaseId::from_uuid(known), false));
        }
    }
    Err(Error::Unreadable(format!("the case {key} neither waits nor can begin")))
}
