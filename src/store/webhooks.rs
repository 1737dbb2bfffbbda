//! Tables `webhooks` and `webhook_places`: where events are sent to, and up to where they have arrived there.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute, execute_now, on_pool, on_tx},
};
use crate::domain::{
    Epoch, Event, Fact, Position, RoomId, Time, UserId, WebhookId,
    webhook::{Disabled, DisabledReason, Webhook, WebhookEvent},
};

/// Webhooks that one room can have, and as many that are for all rooms: each event goes to each.
pub const WEBHOOKS: usize = 10;
/// Rooms whose events may leave: none in which only those who write may read.
const ROOM: &str = "r.kind not in ('dm', 'groupDm', 'match')";
/// Rooms whose events leave now: none that keeps nothing.
const OPEN: &str = "r.kind not in ('dm', 'groupDm', 'match') and r.retention <> 'none'";

/// Moves the place of a webhook in a room on, never back.
pub(super) const GO_ON: &str = "insert into webhook_places (webhook_id, room_id, event_offset) \
    select w.id, r.id, $3 from webhooks w, rooms r where w.id = $1 and r.id = $2 \
    on conflict (webhook_id, room_id) do update set event_offset = excluded.event_offset, attempts = 0, \
    tried_first_at = null, next_at = 0 where webhook_places.event_offset < excluded.event_offset";

#[derive(FromRow)]
struct WebhookRow {
    id: Uuid,
    room_id: Option<Uuid>,
    created_by: Uuid,
    url: String,
    events: String,
    secret: Vec<u8>,
    former_secret: Option<Vec<u8>>,
    former_until: Option<i64>,
    created_at: i64,
    failing_since: Option<i64>,
    disabled_at: Option<i64>,
    disabled_reason: Option<String>,
    revision: i64,
}

/// A webhook with what its events are signed with, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// With this.
    pub secret: Vec<u8>,
    /// And until then with this as well.
    pub former: Option<(Vec<u8>, Time)>,
}

/// A room in which something is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// To which webhook.
    pub webhook: WebhookId,
    /// Of which room.
    pub room: RoomId,
    /// The last event that has arrived there.
    pub offset: u64,
    /// How often the one behind it was tried.
    pub attempts: u32,
    /// When it was tried first.
    pub tried_first_at: Option<Time>,
    /// Who made the webhook.
    pub maker: UserId,
    /// What was sent to it last did not arrive.
    pub failing: bool,
}

impl Due {
    /// All up to there has arrived, or need not.
    pub fn pass(&mut self, offset: u64) {
        *self = Self { offset, attempts: 0, tried_first_at: None, ..*self };
    }
}

#[derive(FromRow)]
struct DueRow {
    webhook_id: Uuid,
    room_id: Uuid,
    event_offset: i64,
    attempts: i64,
    tried_first_at: Option<i64>,
    created_by: Uuid,
    failing_since: Option<i64>,
}

impl From<WebhookRow> for SealedWebhook {
    fn from(row: WebhookRow) -> Self {
        let reason = row.disabled_reason.as_deref().and_then(DisabledReason::parse).unwrap_or(DisabledReason::Wanted);
        let webhook = Webhook {
            id: WebhookId::from_uuid(row.id),
            room: row.room_id.map(RoomId::from_uuid),
            created_by: UserId::from_uuid(row.created_by),
            url: row.url,
            events: row.events.split(' ').filter_map(WebhookEvent::parse).collect(),
            created_at: Time::from_ms(row.created_at),
            failing_since: row.failing_since.map(Time::from_ms),
            disabled: row.disabled_at.map(|at| Disabled { at: Time::from_ms(at), reason }),
            revision: row.revision.cast_unsigned(),
        };
        Self { webhook, secret: row.secret, former: row.former_secret.zip(row.former_until.map(Time::from_ms)) }
    }
}

impl Store {
    /// Keeps a new webhook: it is told of what happens from now on. `false`: there are too many already, or events of this room do not
    /// leave.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_webhook(&self, webhook: &Webhook, secret: &[u8]) -> Result<bool, Error> {
        const COUNT_OF_ROOM: &str = "select count(*) from webhooks where room_id = $1";
        const COUNT_OF_ALL: &str = "select count(*) from webhooks where room_id is null";
        const SQL: &str = "insert into webhooks (id, room_id, created_by, url, events, secret, created_at) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        let places = format!(
            "insert into webhook_places (webhook_id, room_id, event_offset) select $1, s.room_id, s.last_offset \
             from room_streams s join rooms r on r.id = s.room_id where {ROOM}"
        );
        let places_of_room = format!("{places} and r.retention <> 'none' and r.id = $2");
        let mut tx = self.write.begin().await?;
        let count: i64 = match webhook.room {
            Some(room) => on_tx!(&mut tx, db => sqlx::query_scalar(COUNT_OF_ROOM).bind(room.as_uuid()).fetch_one(db))?,
            None => on_tx!(&mut tx, db => sqlx::query_scalar(COUNT_OF_ALL).fetch_one(db))?,
        };
        if count >= WEBHOOKS as i64 {
            return Ok(false);
        }
        execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(webhook.id.as_uuid())
                .bind(webhook.room.map(RoomId::as_uuid))
                .bind(webhook.created_by.as_uuid())
                .bind(&webhook.url)
                .bind(named(&webhook.events))
                .bind(secret)
                .bind(webhook.created_at.as_ms())
        )?;
        let id = webhook.id.as_uuid();
        let placed = match webhook.room {
            Some(room) => execute!(
                &mut tx,
                sqlx::query(sqlx::AssertSqlSafe(places_of_room.clone())).bind(id).bind(room.as_uuid())
            )?,
            None => execute!(&mut tx, sqlx::query(sqlx::AssertSqlSafe(places.clone())).bind(id))?,
        };
        if webhook.room.is_some() && placed == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The webhooks of a room, or those of all rooms; oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhooks(&self, room: Option<RoomId>) -> Result<Vec<Webhook>, Error> {
        const OF_ROOM: &str = "select * from webhooks where room_id = $1 order by id limit $2";
        const OF_ALL: &str = "select * from webhooks where room_id is null order by id limit $1";
        let limit = 2 * WEBHOOKS as i64;
        let rows: Vec<WebhookRow> = match room {
            Some(room) => on_pool!(&self.read, db => sqlx::query_as(OF_ROOM)
                .bind(room.as_uuid()).bind(limit).fetch_all(db))?,
            None => on_pool!(&self.read, db => sqlx::query_as(OF_ALL).bind(limit).fetch_all(db))?,
        };
        Ok(rows.into_iter().map(|row| SealedWebhook::from(row).webhook).collect())
    }

    /// One webhook, with its secrets as they are kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn webhook(&self, id: WebhookId) -> Result<Option<SealedWebhook>, Error> {
        const SQL: &str = "select * from webhooks where id = $1";
        let row: Option<WebhookRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        Ok(row.map(SealedWebhook::from))
    }

    /// Keeps what has changed of a webhook: who answers for it, where to, which events, and whether anything is sent. What was to be tried again later is tried
    /// at once. `false`: it is gone, or another than `revision` by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn change_webhook(&self, webhook: &Webhook, revision: u64) -> Result<bool, Error> {
        const SQL: &str = "update webhooks set url = $2, events = $3, failing_since = $4, disabled_at = $5, \
            disabled_reason = $6, created_by = $8, revision = revision + 1 where id = $1 and revision = $7";
        const AT_ONCE: &str = "update webhook_places set next_at = 0 where webhook_id = $1 and next_at <> 0";
        let mut tx = self.write.begin().await?;
        let changed = execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(webhook.id.as_uuid())
                .bind(&webhook.url)
                .bind(named(&webhook.events))
                .bind(webhook.failing_since.map(Time::as_ms))
                .bind(webhook.disabled.map(|it| it.at.as_ms()))
                .bind(webhook.disabled.map(|it| it.reason.as_str()))
                .bind(revision.cast_signed())
                .bind(webhook.created_by.as_uuid())
        )?;
        if changed == 0 {
            return Ok(false);
        }
        execute!(&mut tx, sqlx::query(AT_ONCE).bind(webhook.id.as_uuid()))?;
        tx.commit().await?;
        Ok(true)
    }

    /// Puts another secret in the place of a webhook's; the former is good until then. `false`: there is no such webhook.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rotate_webhook(&self, id: WebhookId, secret: &[u8], former_until: Time) -> Result<bool, Error> {
        const SQL: &str = "update webhooks set former_secret = secret, former_until = $3, secret = $2, \
            revision = revision + 1 where id = $1";
        let done =
            execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(secret).bind(former_until.as_ms()))?;
        Ok(done > 0)
    }

    /// Forgets a webhook. `false`: there is no such one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_webhook(&self, id: WebhookId) -> Result<bool, Error> {
        const SQL: &str = "delete from webhooks where id = $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()))? > 0)
    }

    /// Stops sending to a webhook. `false`: it was stopped before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn disable_webhook(&self, id: WebhookId, why: Disabled) -> Result<bool, Error> {
        const SQL: &str = "update webhooks set disabled_at = $2, disabled_reason = $3, revision = revision + 1 \
            where id = $1 and disabled_at is null";
        let (at, reason) = (why.at.as_ms(), why.reason.as_str());
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(at).bind(reason))? > 0)
    }

    /// Whether anything is to be sent anywhere at all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_webhooks(&self) -> Result<bool, Error> {
        const SQL: &str = "select 1 from webhooks where disabled_at is null limit 1";
        let found: Option<i32> = on_pool!(&self.read, db => sqlx::query_scalar(SQL).fetch_optional(db))?;
        Ok(found.is_some())
    }

    /// Rooms in which something has not arrived and is to be tried now, at most `limit`: a room of each webhook, then the next of each, those
    /// that have waited longest first. So none is held up by the many rooms of another; webhooks where the last one did not arrive come
    /// behind the others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn due_webhooks(&self, now: Time, limit: u32) -> Result<Vec<Due>, Error> {
        let of = |join: &str| {
            format!(
                "select w.id as webhook_id, s.room_id, coalesce(p.event_offset, 0) as event_offset, \
                 coalesce(p.attempts, 0) as attempts, p.tried_first_at, coalesce(p.next_at, 0) as next_at, \
                 w.created_by, w.failing_since \
                 from webhooks w join room_streams s on {join} join rooms r on r.id = s.room_id \
                 left join webhook_places p on p.webhook_id = w.id and p.room_id = s.room_id \
                 where w.disabled_at is null and {OPEN} and s.last_offset > coalesce(p.event_offset, 0) \
                 and coalesce(p.next_at, 0) <= $1"
            )
        };
        let (one, all) = (of("s.room_id = w.room_id"), of("w.room_id is null"));
        let sql = format!(
            "select webhook_id, room_id, event_offset, attempts, tried_first_at, created_by, failing_since from \
             (select d.*, row_number() over (partition by webhook_id order by next_at, room_id) as turn \
             from ({one} union all {all}) d) t \
             order by case when failing_since is null then 0 else 1 end, turn, next_at, webhook_id limit $2"
        );
        let query = || sqlx::AssertSqlSafe(sql.clone());
        let rows: Vec<DueRow> = on_pool!(&self.read, db => sqlx::query_as(query())
            .bind(now.as_ms()).bind(i64::from(limit)).fetch_all(db))?;
        Ok(rows
            .into_iter()
            .map(|row| Due {
                webhook: WebhookId::from_uuid(row.webhook_id),
                room: RoomId::from_uuid(row.room_id),
                offset: row.event_offset.cast_unsigned(),
                attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
                tried_first_at: row.tried_first_at.map(Time::from_ms),
                maker: UserId::from_uuid(row.created_by),
                failing: row.failing_since.is_some(),
            })
            .collect())
    }

    /// The events of a room's stream behind an offset, in order; at most `limit`. What the room's stream has no more is left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_after(&self, room: RoomId, offset: u64, limit: u32) -> Result<Vec<Event>, Error> {
        const SQL: &str = "select s.epoch, e.event_offset, e.body from events e \
            join room_streams s on s.room_id = e.room_id \
            where e.room_id = $1 and e.event_offset > $2 order by e.event_offset limit $3";
        let rows: Vec<(Uuid, i64, String)> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(room.as_uuid()).bind(offset.cast_signed()).bind(i64::from(limit)).fetch_all(db))?;
        let event = |(epoch, offset, body): (Uuid, i64, String)| {
            let fact: Fact = serde_json::from_str(&body).map_err(|error| Error::Unreadable(error.to_string()))?;
            let position = Position { epoch: Epoch::from_uuid(epoch), offset: offset.cast_unsigned() };
            Ok(Event { position: Some(position), ..Event::ephemeral(room, fact) })
        };
        rows.into_iter().map(event).collect()
    }

    /// All up to there has arrived, or need not; `arrived`: the last of it has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn place_webhook(&self, due: &Due, offset: u64, arrived: bool) -> Result<(), Error> {
        const WELL: &str = "update webhooks set failing_since = null where id = $1 and failing_since is not null";
        let mut tx = self.write.begin().await?;
        let (webhook, room) = (due.webhook.as_uuid(), due.room.as_uuid());
        execute!(&mut tx, sqlx::query(GO_ON).bind(webhook).bind(room).bind(offset.cast_signed()))?;
        if arrived {
            execute!(&mut tx, sqlx::query(WELL).bind(webhook))?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// The event behind `due` has not arrived; it is tried again then. Since when nothing has arrived there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fail_webhook(&self, due: &Due, first_at: Time, now: Time, next_at: Time) -> Result<Time, Error> {
        const SQL: &str = "insert into webhook_places \
            (webhook_id, room_id, event_offset, attempts, tried_first_at, next_at) \
            select w.id, r.id, $3, $4, $5, $6 from webhooks w, rooms r where w.id = $1 and r.id = $2 \
            on conflict (webhook_id, room_id) do update set attempts = excluded.attempts, \
            tried_first_at = excluded.tried_first_at, next_at = excluded.next_at \
            where webhook_places.event_offset = excluded.event_offset";
        const ILL: &str = "update webhooks set failing_since = coalesce(failing_since, $2) where id = $1 \
            returning failing_since";
        let mut tx = self.write.begin().await?;
        execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(due.webhook.as_uuid())
                .bind(due.room.as_uuid())
                .bind(due.offset.cast_signed())
                .bind(i64::from(due.attempts) + 1)
                .bind(first_at.as_ms())
                .bind(next_at.as_ms())
        )?;
        let since: Option<i64> = on_tx!(&mut tx, db => sqlx::query_scalar(ILL)
            .bind(due.webhook.as_uuid()).bind(now.as_ms()).fetch_optional(db))?;
        tx.commit().await?;
        Ok(since.map_or(now, Time::from_ms))
    }
}

fn named(events: &[WebhookEvent]) -> String {
    events.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(" ")
}
