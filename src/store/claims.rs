//! Table `claims`: the secret of the administrator's link.

use super::{
    Error, Store,
    pool::{execute, on_tx},
};
use crate::domain::{SiteRole, Time, UserId};

impl Store {
    /// Puts the hash of a new secret in the place of the last one, unless somebody is administrator who can still log in. Whether
    /// it did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_claim(&self, hash: &[u8], at: Time) -> Result<bool, Error> {
        // People without an account lose their login when they stay away: an administrator who did is none.
        // With one they log in again.
        const LIVING: &str = "select 1 from users u where u.site_role = $1 and (\
            exists (select 1 from accounts a where a.user_id = u.id) or exists (select 1 from families f \
            where f.user_id = u.id and f.revoked_at is null and f.expires_at > $2)) limit 1";
        let mut tx = self.write.begin().await?;
        execute!(&mut tx, sqlx::query("delete from claims"))?;
        let administrator: Option<i32> = on_tx!(&mut tx, db => sqlx::query_scalar(LIVING)
            .bind(SiteRole::Administrator.as_str()).bind(at.as_ms()).fetch_optional(db))?;
        if administrator.is_none() {
            execute!(
                &mut tx,
                sqlx::query("insert into claims (hash, created_at) values ($1, $2)").bind(hash).bind(at.as_ms())
            )?;
        }
        tx.commit().await?;
        Ok(administrator.is_none())
    }

    /// Uses up the secret of that hash and makes the person administrator. `false`: it is not the secret, or is used up.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_claim(&self, hash: &[u8], user: UserId) -> Result<bool, Error> {
        let mut tx = self.write.begin().await?;
        let used: Option<i64> = on_tx!(&mut tx, db => sqlx::query_scalar(
            "delete from claims where hash = $1 returning created_at").bind(hash).fetch_optional(db))?;
        if used.is_some() {
            execute!(
                &mut tx,
                sqlx::query("update users set site_role = $2 where id = $1")
                    .bind(user.as_uuid())
                    .bind(SiteRole::Administrator.as_str())
            )?;
        }
        tx.commit().await?;
        Ok(used.is_some())
    }
}
