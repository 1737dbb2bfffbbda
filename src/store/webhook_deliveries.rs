//! Table `webhook_deliveries`: events that were given up, and what came of them.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Due, Error, Store,
    pool::{execute, execute_now, on_pool},
    webhooks::GO_ON,
};
use crate::domain::{
    DeliveryId, RoomId, Time, WebhookId,
    webhook::{Delivery, DeliveryState, WebhookEvent},
};

#[derive(FromRow)]
struct DeliveryRow {
    id: Uuid,
    room_id: Uuid,
    event_offset: i64,
    kind: String,
    state: String,
    attempts: i64,
    status: Option<i64>,
    error: Option<String>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = Error;

    fn try_from(row: DeliveryRow) -> Result<Self, Error> {
        Ok(Self {
            id: DeliveryId::from_uuid(row.id),
            room: RoomId::from_uuid(row.room_id),
            offset: row.event_offset.cast_unsigned(),
            event: WebhookEvent::parse(&row.kind).ok_or(Error::Unreadable(row.kind))?,
            state: DeliveryState::parse(&row.state).ok_or(Error::Unreadable(row.state))?,
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            status: row.status.and_then(|status| u16::try_from(status).ok()),
            error: row.error,
            created_at: Time::from_ms(row.created_at),
            updated_at: Time::from_ms(row.updated_at),
        })
    }
}

impl Store {
    /// Gives an event up, and goes on behind it; in one transaction, so that none is lost between.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bury_delivery(&self, due: &Due, dead: &Delivery) -> Result<(), Error> {
        const SQL: &str = "insert into webhook_deliveries \
            (id, webhook_id, room_id, event_offset, kind, state, attempts, status, error, created_at, updated_at) \
            select $1, w.id, r.id, $4, $5, $6, $7, $8, $9, $10, $10 from webhooks w, rooms r \
            where w.id = $2 and r.id = $3 on conflict do nothing";
        let (webhook, room, offset) = (due.webhook.as_uuid(), due.room.as_uuid(), dead.offset.cast_signed());
        let mut tx = self.write.begin().await?;
        execute!(
            &mut tx,
            sqlx::query(SQL)
                .bind(dead.id.as_uuid())
                .bind(webhook)
                .bind(room)
                .bind(offset)
                .bind(dead.event.as_str())
                .bind(dead.state.as_str())
                .bind(i64::from(dead.attempts))
                .bind(dead.status.map(i64::from))
                .bind(dead.error.as_deref())
                .bind(dead.created_at.as_ms())
        )?;
        execute!(&mut tx, sqlx::query(GO_ON).bind(webhook).bind(room).bind(offset))?;
        tx.commit().await?;
        Ok(())
    }

    /// Events of a webhook that were given up, the latest first, behind one of them; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deliveries(
        &self,
        webhook: WebhookId,
        state: DeliveryState,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, Error> {
        const SQL: &str = "select * from webhook_deliveries where webhook_id = $1 and state = $2 and id < $3 \
            order by id desc limit $4";
        let before = before.map_or(Uuid::max(), DeliveryId::as_uuid);
        let rows: Vec<DeliveryRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(webhook.as_uuid()).bind(state.as_str()).bind(before).bind(i64::from(limit)).fetch_all(db))?;
        rows.into_iter().map(Delivery::try_from).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delivery(&self, webhook: WebhookId, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        const SQL: &str = "select * from webhook_deliveries where webhook_id = $1 and id = $2";
        let row: Option<DeliveryRow> = on_pool!(&self.read, db => sqlx::query_as(SQL)
            .bind(webhook.as_uuid()).bind(id.as_uuid()).fetch_optional(db))?;
        row.map(Delivery::try_from).transpose()
    }

    /// Keeps what came of another try.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_delivery(&self, delivery: &Delivery) -> Result<(), Error> {
        const SQL: &str = "update webhook_deliveries set state = $2, attempts = $3, status = $4, error = $5, \
            updated_at = $6 where id = $1";
        execute_now!(
            &self.write,
            sqlx::query(SQL)
                .bind(delivery.id.as_uuid())
                .bind(delivery.state.as_str())
                .bind(i64::from(delivery.attempts))
                .bind(delivery.status.map(i64::from))
                .bind(delivery.error.as_deref())
                .bind(delivery.updated_at.as_ms())
        )?;
        Ok(())
    }

    /// Forgets what was given up before then. How many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_deliveries(&self, before: Time) -> Result<u64, Error> {
        const SQL: &str = "delete from webhook_deliveries where created_at < $1";
        Ok(execute_now!(&self.write, sqlx::query(SQL).bind(before.as_ms()))?)
    }
}
