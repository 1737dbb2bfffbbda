//! Tables `nodes` and `seats_of_nodes`: who serves this database, and what lives on which node.

use std::time::Duration;

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{Pool, execute_now, on_pool},
};
use crate::domain::{Epoch, NodeId, Position, RoomId, Time};

/// Rooms that one look at the positions of streams asks for.
const POSITIONS: usize = 500;
/// The database's clock, in milliseconds: the clocks of nodes may differ.
const NOW_SQLITE: &str = "cast((julianday('now') - 2440587.5) * 86400000 as integer)";
const NOW_POSTGRES: &str = "cast(extract(epoch from clock_timestamp()) * 1000 as bigint)";

#[derive(FromRow)]
struct PositionRow {
    room_id: Uuid,
    epoch: Uuid,
    last_offset: i64,
}

impl Store {
    /// Says that a node lives, for that long from now on; who has said so last when is known by the database's clock alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn renew_node(&self, node: NodeId, address: &str, lease: Duration) -> Result<(), Error> {
        let now = self.now();
        let sql = format!(
            "insert into nodes (id, address, started_at, lease_until) values ($1, $2, $3, {now} + $4) \
             on conflict (id) do update set lease_until = {now} + $4"
        );
        let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 4);
        let query = || sqlx::AssertSqlSafe(sql.clone());
        execute_now!(
            &self.write,
            sqlx::query(query()).bind(node.as_uuid()).bind(address).bind(Time::now().as_ms()).bind(lease_ms)
        )?;
        Ok(())
    }

    /// A node stops: whatever lives there is anybody's from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_node(&self, node: NodeId) -> Result<(), Error> {
        // What lived there is remembered for a while: others tell their people.
        const SQL: &str = "update nodes set lease_until = 0 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(node.as_uuid()))?;
        Ok(())
    }

    /// The nodes that live now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nodes(&self) -> Result<Vec<NodeId>, Error> {
        let sql = format!("select id from nodes where lease_until > {} order by id", self.now());
        let query = || sqlx::AssertSqlSafe(sql.clone());
        let ids: Vec<Uuid> = on_pool!(&self.read, db => sqlx::query_scalar(query()).fetch_all(db))?;
        Ok(ids.into_iter().map(NodeId::from_uuid).collect())
    }

    /// Forgets nodes whose lease has been over for long.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_nodes(&self, over_for: Duration) -> Result<u64, Error> {
        let over_ms = i64::try_from(over_for.as_millis()).unwrap_or(i64::MAX / 4);
        const EMPTY: &str = "delete from seats_of_nodes where node_id not in (select id from nodes)";
        let sql = format!("delete from nodes where lease_until < {} - $1", self.now());
        let query = || sqlx::AssertSqlSafe(sql.clone());
        let swept = execute_now!(&self.write, sqlx::query(query()).bind(over_ms))?;
        execute_now!(&self.write, sqlx::query(EMPTY))?;
        Ok(swept)
    }

    /// The node on which something lives: `node` from now on, if it lives on none that is alive.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_seat_of(&self, thing: &str, node: NodeId) -> Result<NodeId, Error> {
        const OWNER: &str = "select node_id from seats_of_nodes where thing = $1";
        let now = self.now();
        let sql = format!(
            "insert into seats_of_nodes (thing, node_id, taken_at) values ($1, $2, {now}) \
             on conflict (thing) do update set node_id = $2, taken_at = {now} \
             where seats_of_nodes.node_id not in (select id from nodes where lease_until > {now})"
        );
        let query = || sqlx::AssertSqlSafe(sql.clone());
        execute_now!(&self.write, sqlx::query(query()).bind(thing).bind(node.as_uuid()))?;
        let owner: Option<Uuid> =
            on_pool!(&self.write, db => sqlx::query_scalar(OWNER).bind(thing).fetch_optional(db))?;
        Ok(owner.map_or(node, NodeId::from_uuid))
    }

    /// The node on which something lives, if that is alive.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn seat_of(&self, thing: &str) -> Result<Option<NodeId>, Error> {
        let sql = format!(
            "select node_id from seats_of_nodes where thing = $1 \
             and node_id in (select id from nodes where lease_until > {})",
            self.now()
        );
        let query = || sqlx::AssertSqlSafe(sql.clone());
        // Whoever has just taken a seat must find it: not from a copy.
        let owner: Option<Uuid> =
            on_pool!(&self.write, db => sqlx::query_scalar(query()).bind(thing).fetch_optional(db))?;
        Ok(owner.map(NodeId::from_uuid))
    }

    /// What lives on a node, or did when it died.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn things_of(&self, node: NodeId) -> Result<Vec<String>, Error> {
        const SQL: &str = "select thing from seats_of_nodes where node_id = $1";
        Ok(on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(node.as_uuid()).fetch_all(db))?)
    }

    /// Something lives on this node no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leave_seat_of(&self, thing: &str, node: NodeId) -> Result<(), Error> {
        const SQL: &str = "delete from seats_of_nodes where thing = $1 and node_id = $2";
        execute_now!(&self.write, sqlx::query(SQL).bind(thing).bind(node.as_uuid()))?;
        Ok(())
    }

    /// Up to where the streams of these rooms go. Rooms that are not stored are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn positions(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Position)>, Error> {
        let mut found = Vec::with_capacity(rooms.len());
        for part in rooms.chunks(POSITIONS) {
            let rows: Vec<PositionRow> = on_pool!(&self.read, db => {
                let mut query =
                    QueryBuilder::new("select room_id, epoch, last_offset from room_streams where room_id in (");
                let mut list = query.separated(", ");
                for room in part {
                    list.push_bind(room.as_uuid());
                }
                query.push(")");
                async move { query.build_query_as().fetch_all(db).await }
            })?;
            found.extend(rows.into_iter().map(|row| {
                let (epoch, offset) = (Epoch::from_uuid(row.epoch), row.last_offset.cast_unsigned());
                (RoomId::from_uuid(row.room_id), Position { epoch, offset })
            }));
        }
        Ok(found)
    }

    fn now(&self) -> &'static str {
        match self.write {
            Pool::Sqlite(_) => NOW_SQLITE,
            Pool::Postgres(_) => NOW_POSTGRES,
        }
    }
}
