//! Table `users`.

use sqlx::FromRow;
use uuid::Uuid;

use super::{
    Error, Store,
    pool::{execute_now, on_pool},
};
use crate::domain::{SiteRole, Time, User, UserId, user::Nickname};

/// A person, and since when the server knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: User,
    /// Since when.
    pub known_since: Time,
}

#[derive(FromRow)]
pub(super) struct PersonRow {
    user_id: Uuid,
    nickname: String,
    site_role: String,
    created_at: i64,
}

impl TryFrom<PersonRow> for Person {
    type Error = Error;

    fn try_from(row: PersonRow) -> Result<Self, Error> {
        let role = SiteRole::parse(&row.site_role).ok_or(Error::Unreadable(row.site_role))?;
        let user = User { id: UserId::from_uuid(row.user_id), nickname: row.nickname, role };
        Ok(Self { user, known_since: Time::from_ms(row.created_at) })
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
        const SQL: &str = "select id as user_id, nickname, site_role, created_at from users where id = $1";
        let row: Option<PersonRow> =
            on_pool!(&self.read, db => sqlx::query_as(SQL).bind(id.as_uuid()).fetch_optional(db))?;
        row.map(Person::try_from).transpose()
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
