//! Table `users`.

use std::collections::BTreeMap;

use sqlx::{FromRow, QueryBuilder};
use uuid::Uuid;

use super::{
    Error, NewMessage, Store,
    pool::{Tx, execute_now, on_pool, on_tx},
};
use crate::domain::{RoomId, SiteRole, Time, User, UserId, cluster::ClusterId, user::Nickname};

/// A person, and since when the server knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// Since when.
    pub known_since: Time,
    /// The cluster that they belong to.
    pub cluster: ClusterId,
}

#[derive(FromRow)]
pub(super) struct PersonRow {
    user_id: Uuid,
    nickname: String,
    site_role: String,
    created_at: i64,
    /// Not asked for where nobody is told.
    #[sqlx(default)]
    bot: bool,
    cluster_id: String,
}

impl TryFrom<PersonRow> for Person {
    type Error = Error;

    fn try_from(row: PersonRow) -> Result<Self, Error> {
        let role = SiteRole::parse(&row.site_role).ok_or(Error::Unreadable(row.site_role))?;
        let user = User { id: UserId::from_uuid(row.user_id), nickname: row.nickname, role, bot: row.bot };
        let cluster = ClusterId::parse(&row.cluster_id).ok_or(Error::Unreadable(row.cluster_id))?;
        Ok(Self { user, known_since: Time::from_ms(row.created_at), cluster })
    }
}

impl Store {
    /// Keeps a new person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create_user(&self, id: UserId, nickname: &Nickname, role: SiteRole, at: Time) -> Result<(), Error> {
        const SQL: &str = "insert into users (id, nickname, site_role, created_at) values ($1, $2, $3, $4)";
        execute_now!(
            &self.write,
            sqlx::query(SQL).bind(id.as_uuid()).bind(nickname.as_str()).bind(role.as_str()).bind(at.as_ms())
        )?;
        Ok(())
    }

    /// The person of that id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<Person>, Error> {
        const SQL: &str =
            "select id as user_id, nickname, site_role, created_at, bot, cluster_id from users where id = $1";
        let row: Option<PersonRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        row.map(Person::try_from).transpose()
    }

    /// Makes somebody new one of a cluster's people. Before anything is theirs: what they make belongs to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn assign_cluster(&self, id: UserId, cluster: &ClusterId) -> Result<(), Error> {
        const SQL: &str = "update users set cluster_id = $2 where id = $1";
        execute_now!(&self.write, sqlx::query(SQL).bind(id.as_uuid()).bind(cluster.as_str()))?;
        Ok(())
    }

    /// The cluster of a room: that of whoever made it. `None`: no such room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_of_room(&self, room: RoomId) -> Result<Option<ClusterId>, Error> {
        const SQL: &str = "select u.cluster_id from rooms r join users u on u.id = r.created_by where r.id = $1";
        let id: Option<String> =
            on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(room.as_uuid()).fetch_optional(db))?;
        id.map(|id| ClusterId::parse(&id).ok_or(Error::Unreadable(id))).transpose()
    }

    /// Whether somebody has had everything deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_erased(&self, id: UserId) -> Result<bool, Error> {
        const SQL: &str = "select count(*) from users where id = $1 and erased_at is not null";
        let count: i64 = on_pool!(&self.read, db => sqlx::query_scalar(SQL).bind(id.as_uuid()).fetch_one(db))?;
        Ok(count > 0)
    }

    /// Gives a person a role on the site. `false`: no such person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_site_role(&self, id: UserId, role: SiteRole) -> Result<bool, Error> {
        const SQL: &str = "update users set site_role = $2 where id = $1 returning id";
        let row: Option<Uuid> = on_pool!(&self.write, db => sqlx::query_scalar(SQL)
            .bind(id.as_uuid()).bind(role.as_str()).fetch_optional(db))?;
        Ok(row.is_some())
    }
}

/// Counts what people have written, which trust is computed from. What the server says in their name is none of theirs.
pub(super) async fn count_messages(tx: &mut Tx, new: &[(NewMessage, i64)]) -> Result<(), sqlx::Error> {
    let mut counts: BTreeMap<UserId, i64> = BTreeMap::new();
    for (message, _) in new.iter().filter(|(message, _)| message.content.system.is_none()) {
        *counts.entry(message.sender.id).or_default() += 1;
    }
    lock_users(tx, counts.keys()).await?;
    let mut alike: BTreeMap<i64, Vec<UserId>> = BTreeMap::new();
    for (user, count) in counts {
        alike.entry(count).or_default().push(user);
    }
    for (count, users) in alike {
        on_tx!(tx, db => {
            let mut query = QueryBuilder::new("update users set message_count = message_count + ");
            query.push_bind(count).push(" where id in (");
            let mut ids = query.separated(", ");
            for user in &users {
                ids.push_bind(user.as_uuid());
            }
            query.push(")");
            async move { query.build().execute(db).await.map(|_| ()) }
        })?;
    }
    Ok(())
}

/// Locks the rows of people in the order of their ids, so that the writers of two nodes never wait for each other in a circle. SQLite has
/// one writer. It is the lock of an update, which does not wait for the messages that others have stored for the same people.
async fn lock_users(tx: &mut Tx, users: impl ExactSizeIterator<Item = &UserId>) -> Result<(), sqlx::Error> {
    let Tx::Postgres(tx) = tx else { return Ok(()) };
    if users.len() < 2 {
        return Ok(());
    }
    let mut query = QueryBuilder::new("select id from users where id in (");
    let mut ids = query.separated(", ");
    for user in users {
        ids.push_bind(user.as_uuid());
    }
    query.push(") order by id for no key update");
    query.build().execute(&mut **tx).await.map(|_| ())
}
