//! Table `reports`: what people say about people.

use std::time::Duration;

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, NewCase, Store,
    cases::open_case,
    pool::{Tx, execute, on_pool, on_tx},
};
use crate::domain::{
    CaseId, ReportId, RoomId, Time, UserId,
    case::{Named, Priority, Report, ReportReason},
};

/// From how much weight on, in hundredths of an ordinary person's word, a case goes before others.
const HIGH_WEIGHT: i64 = 300;
/// How long two reports count against somebody's trust.
const REPORTS_COUNT_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a decision counts against somebody's trust.
const DECISIONS_COUNT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A report that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReport {
    /// The id that it will have.
    pub id: ReportId,
    /// By whom.
    pub reporter: Named,
    /// Why.
    pub reason: ReportReason,
    /// In their words.
    pub description: Option<String>,
    /// What their word weighs, in hundredths of an ordinary person's.
    pub weight: u32,
    /// When.
    pub at: Time,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its id, or that of the same person's first one.
    pub report: ReportId,
    /// The case that it belongs to.
    pub case: CaseId,
    /// Whether that began with it.
    pub is_new_case: bool,
    /// Whether the same person had reported the same before.
    pub again: bool,
    /// How much the case presses now.
    pub priority: Priority,
    /// Whether so many people say so that it is to be believed until somebody has decided.
    pub is_weighty: bool,
}

/// What became of somebody's earlier reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reputation {
    /// Something was done.
    pub upheld: u64,
    /// There was nothing to do.
    pub dismissed: u64,
}

#[derive(FromRow)]
struct ReportRow {
    id: Uuid,
    reporter_id: Uuid,
    reporter_nickname: String,
    reason: String,
    description: Option<String>,
    created_at: i64,
}

#[derive(FromRow)]
struct Pair {
    one: i64,
    other: i64,
}

impl TryFrom<ReportRow> for Report {
    type Error = Error;

    fn try_from(row: ReportRow) -> Result<Self, Error> {
        Ok(Self {
            report_id: ReportId::from_uuid(row.id),
            reporter: Named { user_id: UserId::from_uuid(row.reporter_id), nickname: row.reporter_nickname },
            reason: ReportReason::parse(&row.reason).ok_or(Error::Unreadable(row.reason))?,
            description: row.description,
            at: Time::from_ms(row.created_at),
        })
    }
}

impl Store {
    /// Keeps a report in the case that waits for the same subject, or begins that. A person counts once in a case; of their reasons
    /// the gravest is kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_report(&self, case: &NewCase, new: &NewReport) -> Result<Filed, Error> {
        let mut tx = self.write.begin().await?;
        // It locks the case: whoever else reports the same counts after us.
        let (id, is_new_case) = open_case(&mut tx, case).await?;
        let known = report_of(&mut tx, id, new.reporter.user_id).await?;
        let report = match &known {
            Some(known) => {
                if new.reason.priority() > known.reason.priority() {
                    aggravate(&mut tx, known.report_id, new).await?;
                }
                known.report_id
            }
            None => {
                insert_report(&mut tx, id, case.subject.user_id, new).await?;
                new.id
            }
        };
        let (priority, is_weighty) = weigh(&mut tx, id, new.reason).await?;
        tx.commit().await?;
        Ok(Filed { report, case: id, is_new_case, again: known.is_some(), priority, is_weighty })
    }

    /// The reports of a case, oldest first, up to `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reports_of(&self, case: CaseId, limit: u32) -> Result<Vec<Report>, Error> {
        const SQL: &str = "select * from reports where case_id = $1 order by id limit $2";
        let rows: Vec<ReportRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(case.as_uuid()).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(Report::try_from).collect()
    }

    /// How many reports there are about somebody, and how many they made themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report_counts(&self, user: UserId) -> Result<(u64, u64), Error> {
        const SQL: &str = "select (select count(*) from reports where user_id = $1) as one, \
            (select count(*) from reports where reporter_id = $1) as other";
        let row: Pair = on_pool!(&self.read, db => sqlx::query_as(SQL).bind(user.as_uuid()).fetch_one(db))?;
        Ok((row.one.cast_unsigned(), row.other.cast_unsigned()))
    }

    /// What became of the reports that somebody made since then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reputation(&self, reporter: UserId, since: Time) -> Result<Reputation, Error> {
        const SQL: &str = "select \
            coalesce(cast(sum(case when c.action in ('stopTrack', 'remove', 'ban') then 1 else 0 end) as bigint), 0) as one, \
            coalesce(cast(sum(case when c.action = 'dismiss' then 1 else 0 end) as bigint), 0) as other \
            from reports r join cases c on c.id = r.case_id where r.reporter_id = $1 and r.created_at > $2";
        let row: Pair = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(reporter.as_uuid()).bind(since.as_ms()).fetch_one(db))?;
        Ok(Reputation { upheld: row.one.cast_unsigned(), dismissed: row.other.cast_unsigned() })
    }

    /// Whether somebody is to meet only others of whom the same is true: two people reported them within a day and it was not
    /// dismissed, or a case about them was decided against them within 30 days.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_low_trust(&self, user: UserId, now: Time) -> Result<bool, Error> {
        const SQL: &str = "select (select count(distinct r.reporter_id) from reports r join cases c on c.id = r.case_id \
            where r.user_id = $1 and r.created_at > $2 and c.status <> 'dismissed') as one, \
            (select count(*) from cases where user_id = $1 and decided_at > $3 \
            and action in ('stopTrack', 'remove', 'ban')) as other";
        let ago = |span: Duration| now.as_ms().saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX));
        let row: Pair = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(user.as_uuid()).bind(ago(REPORTS_COUNT_FOR)).bind(ago(DECISIONS_COUNT_FOR)).fetch_one(db))?;
        Ok(row.one >= 2 || row.other > 0)
    }

    /// Whether somebody is or was in a room: they belong to it, were put out of it, or wrote something there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_been_in(&self, room: RoomId, user: UserId) -> Result<bool, Error> {
        const SQL: &str = "select (select count(*) from members where room_id = $1 and user_id = $2) \
            + (select count(*) from removals where room_id = $1 and user_id = $2) \
            + (select count(*) from direct_people where room_id = $1 and user_id = $2) as one, \
            (select count(*) from messages where room_id = $1 and sender_id = $2) as other";
        let row: Pair = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(user.as_uuid()).fetch_one(db))?;
        Ok(row.one > 0 || row.other > 0)
    }

    /// Whether a report about somebody waits for a decision that is critical, or that many say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_gravely_reported(&self, user: UserId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from cases where user_id = $1 and source = 'report' \
            and status in ('pending', 'escalated') and priority >= $2";
        let waiting: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(user.as_uuid()).bind(Priority::High as i64).fetch_one(db))?;
        Ok(waiting > 0)
    }

    /// A room that both belong to: the one that the other joined last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn common_room(&self, one: UserId, other: UserId) -> Result<Option<RoomId>, Error> {
        const SQL: &str = "select o.room_id from members o join members m on m.room_id = o.room_id \
            where m.user_id = $1 and o.user_id = $2 order by o.joined_at desc limit 1";
        let room: Option<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(SQL)
            .bind(one.as_uuid()).bind(other.as_uuid()).fetch_optional(db))?;
        Ok(room.map(RoomId::from_uuid))
    }
}

async fn report_of(tx: &mut Tx, case: CaseId, reporter: UserId) -> Result<Option<Report>, Error> {
    const SQL: &str = "select * from reports where case_id = $1 and reporter_id = $2";
    let row: Option<ReportRow> = on_tx!(tx, db => sqlx::query_as(SQL)
        .bind(case.as_uuid()).bind(reporter.as_uuid()).fetch_optional(db))?;
    row.map(Report::try_from).transpose()
}

async fn insert_report(tx: &mut Tx, case: CaseId, subject: UserId, new: &NewReport) -> Result<(), Error> {
    const SQL: &str = "insert into reports \
        (id, case_id, reporter_id, reporter_nickname, user_id, reason, description, weight, created_at) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    execute!(
        tx,
        sqlx::query(SQL)
            .bind(new.id.as_uuid())
            .bind(case.as_uuid())
            .bind(new.reporter.user_id.as_uuid())
            .bind(&new.reporter.nickname)
            .bind(subject.as_uuid())
            .bind(new.reason.as_str())
            .bind(&new.description)
            .bind(i64::from(new.weight))
            .bind(new.at.as_ms())
    )?;
    Ok(())
}

/// Puts a graver reason in the place of the one that the same person gave first.
async fn aggravate(tx: &mut Tx, report: ReportId, new: &NewReport) -> Result<(), Error> {
    const SQL: &str = "update reports set reason = $2, description = coalesce($3, description) where id = $1";
    execute!(tx, sqlx::query(SQL).bind(report.as_uuid()).bind(new.reason.as_str()).bind(&new.description))?;
    Ok(())
}

/// Counts a case's reports anew, and what they weigh; it never presses less than before.
async fn weigh(tx: &mut Tx, case: CaseId, reason: ReportReason) -> Result<(Priority, bool), Error> {
    const WEIGH: &str =
        "select count(*) as one, coalesce(cast(sum(weight) as bigint), 0) as other from reports where case_id = $1";
    const SQL: &str = "update cases set report_count = $2, \
        label = case when $3 > priority then $4 else label end, \
        priority = case when $5 > priority then $5 else priority end where id = $1 returning priority";
    let row: Pair = on_tx!(tx, db => sqlx::query_as(WEIGH).bind(case.as_uuid()).fetch_one(db))?;
    let own = reason.priority();
    let is_weighty = row.other >= HIGH_WEIGHT;
    let weighed = if is_weighty { own.max(Priority::High) } else { own };
    let priority: i64 = on_tx!(tx, db => sqlx::query_scalar(SQL)
        .bind(case.as_uuid()).bind(row.one).bind(own as i64).bind(reason.as_str()).bind(weighed as i64).fetch_one(db))?;
    let priority = usize::try_from(priority).ok().and_then(|at| Priority::ALL.get(at).copied()).unwrap_or(weighed);
    Ok((priority, is_weighty))
}
