//! Keys with which programs act in somebody's name, and the bots that have nothing else.
//!
//! A key is a login of its own that nobody refreshes: what ends logins (a ban, the end of the account, another password, ending all other
//! logins) ends keys, and closes what they have opened.

use std::net::IpAddr;

use super::{Access, Auth, hash_of, new_secret};
use crate::domain::{
    Action, ApiKeyId, FamilyId, LoginChange, Refusal, Scope, SiteRole, Time, User, UserId,
    api_key::{API_KEY_PREFIX, ApiKey, Scopes},
    can,
    user::{Nickname, Username},
};
use crate::limit::Rule;
use crate::store::API_KEYS;

/// The longest name of a key, in characters.
const NAME_LIMIT: usize = 50;
/// Characters of a secret that are told later, its beginning included: 2^32 keys look different.
const SHOWN: usize = API_KEY_PREFIX.len() + 8;
/// Bots that a list names at once.
pub const BOTS_LIMIT: u32 = 100;
/// How long an access by a key is good before it is looked at again, in milliseconds: a socket asks for a token then.
const ACCESS_MS: i64 = 24 * 3600 * 1000;

/// A key, as somebody wants it.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What they call it.
    pub name: String,
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// Until when; `None`: until it is revoked.
    pub expires_at: Option<Time>,
    /// For which bot; `None`: for themselves.
    pub bot: Option<UserId>,
}

impl Access {
    /// Whether a program may do what needs that scope; a person may.
    ///
    /// # Errors
    /// `scope_missing`.
    pub fn permit(&self, scope: Scope) -> Result<(), Refusal> {
        match self.scopes {
            Some(scopes) if !scopes.has(scope) => Err(Refusal::ScopeMissing { scope }),
            _ => Ok(()),
        }
    }
}

impl Auth {
    /// Makes a key; and its secret, which nobody is told again. For oneself, with an account; for a bot, as an administrator.
    ///
    /// # Errors
    /// `scope_missing` (a key makes no keys), `forbidden`, `bad_request` (`name`, `scopes`, `expiresAt`, `userId`), `conflict` (no
    /// account), `too_many`, `internal`.
    pub async fn create_api_key(&self, access: &Access, new: NewApiKey) -> Result<(ApiKey, String), Refusal> {
        access.permit(Scope::Account)?;
        let (caller, now) = (&access.caller, Time::now());
        let name = new.name.trim();
        if !(1..=NAME_LIMIT).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Refusal::bad_request("name", "A key's name has 1 to 50 characters."));
        }
        if new.scopes.contains(&Scope::Account) {
            return Err(Refusal::bad_request("scopes", "No key has the scope account."));
        }
        let scopes: Scopes = new.scopes.into_iter().collect();
        if scopes == Scopes::default() {
            return Err(Refusal::bad_request("scopes", "Name at least one scope."));
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::bad_request("expiresAt", "This moment is over already."));
        }
        let user = self.keeper(access, new.bot).await?;
        let secret = format!("{API_KEY_PREFIX}{}", new_secret());
        let key = ApiKey {
            id: ApiKeyId::new(),
            user,
            name: name.to_owned(),
            prefix: secret[..SHOWN].to_owned(),
            scopes,
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        // A bot's role never rests: it has none on the site.
        let passed = access.second_factor && new.bot.is_none();
        if !self.0.store.add_api_key(&key, &hash_of(&secret), caller.user.id, passed).await? {
            let limit = u32::try_from(API_KEYS).expect("it is a small number");
            return Err(Refusal::TooMany { what: "keys", limit });
        }
        tracing::info!(key = %key.id, %user, by = %caller.user.id, scopes = %key.scopes, "an API key is made");
        Ok((key, secret))
    }

    /// The keys that hold, oldest first: one's own, or those of a bot, for administrators.
    ///
    /// # Errors
    /// `scope_missing`, `forbidden`, `bad_request` (`userId`), `internal`.
    pub async fn api_keys(&self, access: &Access, bot: Option<UserId>) -> Result<Vec<ApiKey>, Refusal> {
        access.permit(Scope::Account)?;
        let user = match bot {
            Some(_) => self.keeper(access, bot).await?,
            None => access.caller.user.id,
        };
        Ok(self.0.store.api_keys(user).await?)
    }

    /// Ends a key of one's own, or of a bot, with all that it has opened.
    ///
    /// # Errors
    /// `scope_missing`, `not_found`, `internal`.
    pub async fn revoke_api_key(&self, access: &Access, id: ApiKeyId) -> Result<(), Refusal> {
        access.permit(Scope::Account)?;
        let key = self.0.store.api_key(id).await?.ok_or(Refusal::NotFound)?;
        if key.user != access.caller.user.id {
            self.keeper(access, Some(key.user)).await.map_err(|refusal| match refusal {
                Refusal::Internal(_) => refusal,
                _ => Refusal::NotFound,
            })?;
        }
        if !self.0.store.revoke_api_key(id, Time::now()).await? {
            return Err(Refusal::NotFound);
        }
        tracing::info!(key = %id, user = %key.user, by = %access.caller.user.id, "an API key is revoked");
        self.changed(LoginChange::Revoked(family_of(id)));
        Ok(())
    }

    /// Makes a bot: somebody who is no person, and comes by keys alone. Administrators.
    ///
    /// # Errors
    /// `scope_missing`, `forbidden`, `bad_request` (`nickname`), `username_taken`, `internal`.
    pub async fn create_bot(&self, access: &Access, nickname: &str) -> Result<User, Refusal> {
        permit_bots(access)?;
        let nickname = Nickname::parse(nickname)?;
        if let Ok(name) = Username::parse(nickname.as_str())
            && self.0.store.account_of_name(&name.key()).await?.is_some()
        {
            return Err(Refusal::UsernameTaken);
        }
        let id = UserId::new();
        self.0.store.create_bot(id, &nickname, Time::now()).await?;
        self.0.store.assign_cluster(id, &access.caller.cluster.id).await?;
        tracing::info!(bot = %id, by = %access.caller.user.id, "a bot is made");
        Ok(User { id, nickname: nickname.as_str().to_owned(), role: SiteRole::Member, bot: true })
    }

    /// The bots, oldest first, behind one of them: id, name and since when. Administrators.
    ///
    /// # Errors
    /// `scope_missing`, `forbidden`, `internal`.
    pub async fn bots(
        &self,
        access: &Access,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<(UserId, String, Time)>, Refusal> {
        permit_bots(access)?;
        Ok(self.0.store.bots(after, limit.clamp(1, BOTS_LIMIT)).await?)
    }

    /// What a key proves about whoever brings it from `address`. Each try counts for the address, and more so one that fails.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (no such key, or revoked), `token_expired`, `banned`, `internal`.
    pub async fn verify_key(&self, secret: &str, address: IpAddr) -> Result<Access, Refusal> {
        self.0.limits.check_address(Rule::Frame, address)?;
        let Some(key) = self.0.store.api_key_of(&hash_of(secret)).await? else {
            self.0.limits.check_address(Rule::StreamKey, address)?;
            return Err(Refusal::TokenInvalid);
        };
        let now = Time::now();
        if key.expires_at.is_some_and(|end| end <= now) {
            return Err(Refusal::TokenExpired);
        }
        let soon = Time::from_ms(now.as_ms() + ACCESS_MS);
        let until = key.expires_at.map_or(soon, |end| end.min(soon));
        let access = self.access(key.user, family_of(key.id), until, address).await?;
        self.0.store.use_api_key(&key, now).await?;
        Ok(Access { scopes: Some(key.scopes), ..access })
    }

    /// In whose name a key may be made by somebody: their own, or a bot's.
    async fn keeper(&self, access: &Access, bot: Option<UserId>) -> Result<UserId, Refusal> {
        let Some(bot) = bot else {
            let user = access.caller.user.id;
            let has_account = self.0.store.account(user).await?.is_some();
            return if has_account {
                Ok(user)
            } else {
                Err(Refusal::Taken("Make an account first: keys are for accounts."))
            };
        };
        permit_bots(access)?;
        let person = self.0.store.user(bot).await?.filter(|person| person.user.bot);
        person.map(|person| person.user.id).ok_or_else(|| Refusal::bad_request("userId", "There is no such bot."))
    }
}

fn permit_bots(access: &Access) -> Result<(), Refusal> {
    access.permit(Scope::Account)?;
    const ACTION: Action = Action::ManageBots;
    if can(access.caller.standing(), ACTION) { Ok(()) } else { Err(Refusal::Forbidden { action: ACTION }) }
}

/// The login that a key is.
fn family_of(key: ApiKeyId) -> FamilyId {
    FamilyId::from_uuid(key.as_uuid())
}
