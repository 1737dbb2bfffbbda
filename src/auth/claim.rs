//! Roles on the site, and how the first administrator comes to theirs.

use super::{Auth, hash_of, new_secret};
use crate::domain::{Action, Caller, LoginChange, Refusal, SiteRole, Time, User, UserId, can};
use crate::limit::Rule;

impl Auth {
    /// A new secret for the administrator's link, as long as nobody is administrator who could still log in. The last one is void
    /// then.
    ///
    /// # Errors
    /// `internal`.
    pub async fn new_claim(&self) -> Result<Option<String>, Refusal> {
        let secret = new_secret();
        let is_open = self.0.store.replace_claim(&hash_of(&secret), Time::now()).await?;
        Ok(is_open.then_some(secret))
    }

    /// Makes whoever brings the secret administrator. It is used up by this.
    ///
    /// # Errors
    /// `rate_limited`, `not_found` (it is not the secret, or is used up), `internal`.
    pub async fn claim(&self, caller: &Caller, secret: &str) -> Result<User, Refusal> {
        self.0.limits.check(Rule::Refresh, caller)?;
        if !self.0.store.use_claim(&hash_of(secret), caller.user.id).await? {
            return Err(Refusal::NotFound);
        }
        self.tell_role(caller.user.id, SiteRole::Administrator).await?;
        tracing::info!(user = %caller.user.id, "the administrator's link was used");
        Ok(User { role: SiteRole::Administrator, ..caller.user.clone() })
    }

    /// Gives somebody else a role on the site.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (one's own role), `not_found`, `internal`.
    pub async fn set_site_role(&self, caller: &Caller, user: UserId, role: SiteRole) -> Result<User, Refusal> {
        if !can(caller.standing(), Action::SetSiteRole) {
            return Err(Refusal::Forbidden { action: Action::SetSiteRole });
        }
        if user == caller.user.id {
            // The site would be without an administrator.
            return Err(Refusal::bad_request("id", "Your own role can only be changed by another administrator."));
        }
        if !self.0.store.set_site_role(user, role).await? {
            return Err(Refusal::NotFound);
        }
        self.tell_role(user, role).await?;
        let person = self.0.store.user(user).await?.ok_or(Refusal::NotFound)?;
        Ok(person.user)
    }

    /// A role holds on open sockets at once; one that a login has to pass a second factor for, from that login's next token on.
    async fn tell_role(&self, user: UserId, role: SiteRole) -> Result<(), Refusal> {
        let rests = self.0.require_mfa && role > SiteRole::Member && self.0.store.account(user).await?.is_some();
        let role = if rests { SiteRole::Member } else { role };
        self.changed(LoginChange::SiteRole(user, role));
        Ok(())
    }
}
