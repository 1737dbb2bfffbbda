//! Accounts: making one, logging in with one, and becoming one.

use super::{
    Access, Auth, Entered, Entry, Whence, hash_of,
    keys::hex,
    passwords::{self, Match},
    second::Waiting,
};
use crate::domain::{
    Caller, LoginChange, Refusal, SiteRole, Time, User, UserId,
    account::Proof,
    cluster::ClusterId,
    user::{AgeLevel, Username},
};
use crate::limit::{Rule, network};
use crate::store::{Account, Bound, NewAccount};

/// The longest e-mail address (RFC 5321, section 4.5.3.1.3, with room for the brackets).
const LONGEST_EMAIL: usize = 254;

/// A name and a password, as somebody wants them.
#[derive(Clone)]
pub struct NewPassword {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
    /// Where letters go.
    pub email: Option<String>,
}

/// A name and a password, as somebody says them.
#[derive(Clone)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
    /// A code at once, of an app or for recovery.
    pub code: Option<String>,
    /// That a riddle is solved.
    pub proof: Option<Proof>,
}

/// An account, as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Who.
    pub user: User,
    /// What they are on the site, once this login has passed a second factor.
    pub withheld: Option<SiteRole>,
    /// By what their age is known.
    pub age_level: AgeLevel,
    /// Their account, if they have one.
    pub account: Option<AccountView>,
}

/// What an owner sees of the account itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountView {
    /// The name to log in with.
    pub username: String,
    /// Where letters go.
    pub email: Option<String>,
    /// Codes of an app are in force.
    pub totp: bool,
    /// Recovery codes that are left.
    pub recovery_codes_left: u64,
    /// How many passkeys there are.
    pub passkeys: u64,
}

impl Auth {
    /// Makes an account for somebody new.
    ///
    /// # Errors
    /// `rate_limited`, `not_found` (no cluster at this host), `geo_blocked`, `proof_required`, `underage` (nothing is stored then), `bad_request` (`username`, `email`, `birthYear`),
    /// `password_weak`, `username_taken`, `banned`, `unavailable`, `internal`.
    pub async fn register(&self, new: NewPassword, entry: Entry, from: Whence<'_>) -> Result<Entered, Refusal> {
        self.0.limits.check_address(Rule::Register, from.address)?;
        let now = Time::now();
        let cluster = self.cluster_to_enter(from)?;
        entry.check_age(now, cluster.min_age)?;
        let username = Username::parse(&new.username)?;
        self.refuse_banned(from, now).await?;
        self.admit(from.address, entry.proof.as_ref()).await?;
        let id = UserId::new();
        self.keep_account(id, &username, &new, Some(&cluster.id)).await?;
        let user = User { id, nickname: username.as_str().to_owned(), role: SiteRole::Member, bot: false };
        self.begin_login(user, true, false, from).await
    }

    /// Gives somebody who entered without an account one: they stay who they are.
    ///
    /// # Errors
    /// `rate_limited`, `bad_request` (`username`, `email`), `password_weak`, `username_taken`, `conflict` (they have one),
    /// `unavailable`, `internal`.
    pub async fn upgrade(&self, caller: &Caller, new: NewPassword) -> Result<User, Refusal> {
        self.0.limits.check(Rule::Refresh, caller)?;
        let username = Username::parse(&new.username)?;
        if self.0.store.account(caller.user.id).await?.is_some() {
            return Err(Refusal::Taken("You have an account already."));
        }
        self.keep_account(caller.user.id, &username, &new, None).await?;
        self.0.store.prolong_login(caller.family, Time::now(), self.0.idle.account).await?;
        Ok(User { nickname: username.as_str().to_owned(), ..caller.user.clone() })
    }

    /// Logs in. The same time passes for a name that nobody has.
    ///
    /// # Errors
    /// `rate_limited` (by name and address together, and by address), `not_found` (no cluster at this host), `geo_blocked`, `proof_required` (also of whoever wants a name that many try), `bad_credentials`, `mfa_required` (with a ticket), `banned`,
    /// `unavailable`, `internal`.
    pub async fn log_in(&self, said: Credentials, from: Whence<'_>) -> Result<Entered, Refusal> {
        let key = Username::parse(&said.username).map(|name| name.key()).unwrap_or_default();
        let here = format!("{key} from {}", network(from.address));
        self.0.limits.check_user(Rule::Login, stand_in(&here), from.address)?;
        self.cluster_to_enter(from)?;
        self.admit_login(from.address, said.proof.as_ref()).await?;
        self.admit_name(stand_in(&key), from.address, said.proof.as_ref()).await?;
        let account = if key.is_empty() { None } else { self.0.store.account_of_name(&key).await? };
        let hash = account.as_ref().map(|account| account.password_hash.clone());
        let compared = self.0.passwords.compare(&said.password, hash).await?;
        let Some(account) = account.filter(|_| compared != Match::Wrong) else {
            self.suspect(from.address);
            return Err(Refusal::BadCredentials);
        };
        if compared == Match::Stale {
            self.rehash(&account, &said.password).await?;
        }
        let person = self.0.store.user(account.user).await?.ok_or(Refusal::BadCredentials)?;
        self.refuse_elsewhere(&person, from)?;
        self.refuse_banned_person(account.user, from, Time::now()).await?;
        let methods = self.methods(&account).await?;
        if methods.is_empty() {
            return self.begin_login(person.user, true, false, from).await;
        }
        let Some(code) = said.code else {
            return Err(self.ask_second_factor(Waiting { user: account.user, tries: 0 }, methods));
        };
        self.take_code(&account, &code, from.address).await?;
        self.begin_login(person.user, true, true, from).await
    }

    /// Changes the password. All other logins end.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `mfa_required`, `password_weak`, `not_found` (no account), `unavailable`, `internal`.
    pub async fn change_password(&self, access: &Access, old: &str, new: &str) -> Result<(), Refusal> {
        let (account, caller) = (self.account_to_change(access, old).await?, &access.caller);
        passwords::check(new, &account.username)?;
        let hash = self.0.passwords.hash(new).await?;
        let now = Time::now();
        if !self.0.store.set_password(account.user, &account.password_hash, &hash, now).await? {
            return Err(Refusal::Conflict);
        }
        self.end_logins(account.user, Some(caller.family), now).await
    }

    /// Who somebody is, as they themselves see it.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn profile(&self, access: &Access) -> Result<Profile, Refusal> {
        let user = access.caller.user.clone();
        let store = &self.0.store;
        let age_level = store.age_level(user.id).await?.ok_or(Refusal::NotFound)?;
        let account = match store.account(user.id).await? {
            None => None,
            Some(account) => Some(AccountView {
                username: account.username,
                email: account.email,
                totp: account.totp_since.is_some(),
                recovery_codes_left: store.recovery_codes_left(user.id).await?,
                passkeys: store.passkeys(user.id).await?.len() as u64,
            }),
        };
        Ok(Profile { user, withheld: access.withheld, age_level, account })
    }

    /// Refuses (`rate_limited`, `bad_credentials`) unless that is the account's password.
    pub(super) async fn check_password(
        &self,
        account: &Account,
        password: &str,
        caller: &Caller,
    ) -> Result<(), Refusal> {
        self.0.limits.check_user(Rule::Login, account.user, caller.address)?;
        match self.0.passwords.compare(password, Some(account.password_hash.clone())).await? {
            Match::Wrong => {
                self.suspect(caller.address);
                Err(Refusal::BadCredentials)
            }
            Match::Right | Match::Stale => Ok(()),
        }
    }

    /// Keeps an account of somebody new in a cluster; without one it is of somebody who is known.
    async fn keep_account(
        &self,
        user: UserId,
        username: &Username,
        new: &NewPassword,
        cluster: Option<&ClusterId>,
    ) -> Result<(), Refusal> {
        let email = new.email.as_deref().map(str::trim).filter(|email| !email.is_empty());
        if email.is_some_and(|email| !is_email(email)) {
            return Err(Refusal::bad_request("email", "This is no e-mail address."));
        }
        passwords::check(&new.password, username.as_str())?;
        // Before the work of a hash, and once more by the table itself.
        if self.0.store.account_of_name(&username.key()).await?.is_some() {
            return Err(Refusal::UsernameTaken);
        }
        let hash = self.0.passwords.hash(&new.password).await?;
        let upgraded = cluster.is_none();
        let new = NewAccount { user, username, password_hash: &hash, email, upgraded, at: Time::now() };
        let kept = match cluster {
            Some(cluster) => self.0.store.create_account_in(&new, cluster).await?,
            None => self.0.store.create_account(&new).await?,
        };
        if kept { Ok(()) } else { Err(Refusal::UsernameTaken) }
    }

    /// Puts a hash of ours in the place of an import's.
    async fn rehash(&self, account: &Account, password: &str) -> Result<(), Refusal> {
        let hash = self.0.passwords.hash(password).await?;
        // Somebody may have changed the password meanwhile: then theirs stands.
        self.0.store.set_password(account.user, &account.password_hash, &hash, Time::now()).await?;
        Ok(())
    }

    /// Refuses (`banned`) somebody who is kept out, and whoever comes from where somebody is.
    pub(super) async fn refuse_banned_person(&self, user: UserId, from: Whence<'_>, now: Time) -> Result<(), Refusal> {
        let device = from.device.map(hash_of);
        let bound = Bound { user: Some(user), device: device.as_deref(), address: None };
        match self.0.store.sentence(bound, now).await? {
            Some(sentence) => Err(Refusal::Banned { reason: sentence.reason, until: sentence.until }),
            None => Ok(()),
        }
    }

    /// Ends all logins of somebody's but that one, with what they opened.
    pub(super) async fn end_logins(
        &self,
        user: UserId,
        but: Option<crate::domain::FamilyId>,
        now: Time,
    ) -> Result<(), Refusal> {
        for family in self.0.store.revoke_logins(user, but, now).await? {
            self.changed(LoginChange::Revoked(family));
        }
        Ok(())
    }
}

/// By whom tries of a name are counted, whether somebody has it or not.
fn stand_in(key: &str) -> UserId {
    let hash = hash_of(&format!("login of {}", hex(key.as_bytes())));
    let half: [u8; 16] = hash[..16].try_into().expect("SHA-256 has 32 bytes");
    UserId::from(u128::from_be_bytes(half))
}

/// Whether letters might arrive there: the rest is the post's to say.
fn is_email(text: &str) -> bool {
    let plain = text.len() <= LONGEST_EMAIL && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_to_addresses() {
        for good in ["ada@example.org", "a.b+c@mail.example.org"] {
            assert!(is_email(good), "{good}");
        }
        for bad in ["ada", "@example.org", "ada@example", "a b@example.org", "a@b@example.org", "a\0@example.org"] {
            assert!(!is_email(bad), "{bad}");
        }
        assert!(!is_email(&format!("{}@example.org", "x".repeat(250))));
    }

    #[test]
    fn each_name_is_counted_for_itself() {
        assert_eq!(stand_in("ada"), stand_in("ada"));
        assert_ne!(stand_in("ada"), stand_in("bea"));
    }
}
