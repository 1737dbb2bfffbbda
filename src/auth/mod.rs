//! Who somebody is: entering, access tokens, refreshing with reuse detection, tickets, roles on the site, and bans.

mod bans;
mod claim;
mod jwt;
mod tickets;

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::domain::{
    Caller, FamilyId, LoginChange, Refusal, SiteRole, Time, User, UserId,
    user::{Nickname, is_adult},
};
use crate::limit::{Limits, Rule};
use crate::store::{Person, Redeemed, Store, Trace};
use bans::Addresses;
pub use bans::{LIST_LIMIT, NewBan, Whence};
use jwt::Tokens;
use tickets::Tickets;

/// Nobody alive is older.
const OLDEST_YEARS: i16 = 120;

/// How long logins last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The life of an access token, in seconds.
    pub access_token_s: u64,
    /// The life of an unused refresh token, in seconds.
    pub refresh_idle_s: u64,
    /// The life of a socket ticket, in seconds.
    pub ticket_s: u64,
    /// Addresses that many people share, so that no ban binds them (`PARLOR_TRUSTED_PROXIES`, `PARLOR_LIMIT_EXEMPT`).
    #[serde(skip)]
    pub shared: Vec<IpNet>,
}

impl Default for Config {
    fn default() -> Self {
        Self { access_token_s: 15 * 60, refresh_idle_s: 24 * 3600, ticket_s: 60, shared: Vec::new() }
    }
}

/// The way in. Clones share it.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    store: Store,
    limits: Limits,
    tokens: Tokens,
    tickets: Tickets,
    addresses: Addresses,
    /// Unbounded, yet each change costs somebody a request that is limited.
    changes: mpsc::UnboundedSender<LoginChange>,
    access_life: Duration,
    refresh_idle: Duration,
}

/// What somebody says who wants to enter without an account.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name they choose.
    pub nickname: String,
    /// The year they were born in.
    pub birth_year: i16,
    /// Whether they attest to be 18 or older.
    pub adult: bool,
}

/// A login, begun or gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Proves who they are, for a while.
    pub access_token: String,
    /// For how long, in seconds.
    pub expires_in_s: u64,
    /// Gives the next pair, once.
    pub refresh_token: String,
    /// For how long that may wait, in seconds.
    pub refresh_expires_in_s: u64,
    /// What their device is to be known by from now on; `None`: as before.
    pub device: Option<String>,
    /// Who they are.
    pub user: User,
}

/// What an access token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who, by which login, and from where.
    pub caller: Caller,
    /// Until when.
    pub expires_at: Time,
}

impl Auth {
    /// `secret` signs the access tokens: 32 random bytes or more, the same on every node. The receiver gives what becomes of
    /// logins.
    pub fn new(
        store: Store,
        limits: Limits,
        config: &Config,
        secret: &[u8],
    ) -> (Self, mpsc::UnboundedReceiver<LoginChange>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        let inner = Inner {
            store,
            limits,
            tokens: Tokens::new(secret),
            tickets: Tickets::new(Duration::from_secs(config.ticket_s)),
            addresses: Addresses::new(secret, config.shared.clone()),
            changes,
            access_life: Duration::from_secs(config.access_token_s),
            refresh_idle: Duration::from_secs(config.refresh_idle_s),
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Lets somebody in without an account.
    ///
    /// # Errors
    /// `rate_limited`, `underage` (nothing is stored then), `bad_request` (`nickname`, `birthYear`), `banned`, `internal`.
    pub async fn enter_anonymous(&self, entry: Entry, from: Whence<'_>) -> Result<Entered, Refusal> {
        self.0.limits.check_address(Rule::Register, from.address)?;
        let now = Time::now();
        if !entry.adult || !is_adult(entry.birth_year, now.year()) {
            return Err(Refusal::Underage);
        }
        if entry.birth_year < now.year() - OLDEST_YEARS {
            return Err(Refusal::bad_request("birthYear", "This year of birth cannot be right."));
        }
        let nickname = Nickname::parse(&entry.nickname)?;
        self.refuse_banned(from, now).await?;
        let user = User { id: UserId::new(), nickname: nickname.as_str().to_owned(), role: SiteRole::Member };
        self.0.store.create_user(user.id, &nickname, user.role, now).await?;
        let (family, refresh_token) = (FamilyId::new(), new_secret());
        let device = from.device.filter(|device| is_secret(device)).map_or_else(new_secret, str::to_owned);
        let (hash, device_hash, address) =
            (hash_of(&refresh_token), hash_of(&device), self.0.addresses.hash(from.address));
        let trace = Trace { device: Some(&device_hash), address: address.as_deref() };
        self.0.store.create_family(family, user.id, &hash, trace, now, self.0.refresh_idle).await?;
        // Once more: a ban that began meanwhile has either ended this login or is seen here.
        if let Err(refusal) = self.refuse_banned(from, now).await {
            self.0.store.revoke_family(family, now).await?;
            return Err(refusal);
        }
        Ok(Entered { device: Some(device), ..self.entered(user, family, refresh_token, now) })
    }

    /// Goes on with a login. A token that comes a second time ends the login for everybody who holds a part of it.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid`, `token_expired`, `token_reused`, `banned`, `internal`.
    pub async fn refresh(&self, refresh_token: &str, from: IpAddr) -> Result<Entered, Refusal> {
        self.0.limits.check_address(Rule::Refresh, from)?;
        let (now, next) = (Time::now(), new_secret());
        let (hash, next_hash) = (hash_of(refresh_token), hash_of(&next));
        let address = self.0.addresses.hash(from);
        let idle = self.0.refresh_idle;
        match self.0.store.redeem_refresh_token(&hash, &next_hash, address.as_deref(), now, idle).await? {
            Redeemed::Good(refreshed) => Ok(self.entered(refreshed.person.user, refreshed.family, next, now)),
            Redeemed::Unknown => Err(Refusal::TokenInvalid),
            Redeemed::Revoked(family) => Err(self.refusal_of_login(family).await),
            Redeemed::Expired => Err(Refusal::TokenExpired),
            Redeemed::Reused(family) => {
                self.changed(LoginChange::Revoked(family));
                Err(Refusal::TokenReused)
            }
        }
    }

    /// What an access token proves about whoever brings it from `from`. A revoked login is refused at once; roles are those
    /// of this moment.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`, `banned`, `internal`.
    pub async fn verify(&self, access_token: &str, from: IpAddr) -> Result<Access, Refusal> {
        let claims = self.0.tokens.read(access_token)?;
        self.access(claims.sub, claims.sid, Time::from_ms(claims.exp.saturating_mul(1000)), from).await
    }

    /// Whose a token says it is, by its signature and time alone: enough to count what they do before anything is looked up.
    ///
    /// # Errors
    /// `token_invalid`, `token_expired`.
    pub fn claimed(&self, access_token: &str) -> Result<UserId, Refusal> {
        Ok(self.0.tokens.read(access_token)?.sub)
    }

    /// Ends the login that this access belongs to.
    ///
    /// # Errors
    /// `internal`.
    pub async fn logout(&self, access: &Access) -> Result<(), Refusal> {
        let family = access.caller.family;
        self.0.store.revoke_family(family, Time::now()).await?;
        self.changed(LoginChange::Revoked(family));
        Ok(())
    }

    /// Ends the login of a refresh token; an unknown one changes nothing.
    ///
    /// # Errors
    /// `internal`.
    pub async fn logout_by_refresh(&self, refresh_token: &str) -> Result<(), Refusal> {
        if let Some(family) = self.0.store.revoke_family_of_token(&hash_of(refresh_token), Time::now()).await? {
            self.changed(LoginChange::Revoked(family));
        }
        Ok(())
    }

    /// Something that opens one socket, once and soon, for clients that must log in by the address.
    pub fn ticket(&self, access: &Access) -> String {
        self.0.tickets.make(access)
    }

    /// What a ticket proves. It is used up by this.
    ///
    /// # Errors
    /// `token_invalid` (unknown, used or too old), `banned`, `internal`.
    pub async fn redeem(&self, ticket: &str, from: IpAddr) -> Result<Access, Refusal> {
        let access = self.0.tickets.take(ticket).ok_or(Refusal::TokenInvalid)?;
        self.access(access.caller.user.id, access.caller.family, access.expires_at, from).await
    }

    /// Looks once more whether a login holds, now that something is open by it: whoever ended it meanwhile has either closed that or
    /// is seen here. What its owner is on the site now.
    ///
    /// # Errors
    /// `token_invalid`, `banned`, `internal`.
    pub async fn confirm(&self, caller: &Caller) -> Result<SiteRole, Refusal> {
        match self.0.store.family(caller.family).await? {
            Some(person) => Ok(person.user.role),
            None => Err(self.refusal_of_login(caller.family).await),
        }
    }

    /// Forgets logins that ended, with what they opened, and where people came from a day ago. How many.
    ///
    /// # Errors
    /// `internal`.
    pub async fn sweep(&self) -> Result<u64, Refusal> {
        let now = Time::now();
        let forgotten = self.0.store.forget_addresses(now).await?;
        let swept = self.0.store.sweep_families(now).await?;
        let ended = swept.len() as u64;
        for family in swept {
            // A stream outlives its access token: it ends with the login.
            self.changed(LoginChange::Revoked(family));
        }
        Ok(ended + forgotten)
    }

    async fn access(
        &self,
        user: UserId,
        family: FamilyId,
        expires_at: Time,
        address: IpAddr,
    ) -> Result<Access, Refusal> {
        match self.0.store.family(family).await? {
            Some(Person { user: owner, known_since }) if owner.id == user => {
                Ok(Access { caller: Caller { user: owner, known_since, family, address }, expires_at })
            }
            Some(_) => Err(Refusal::TokenInvalid),
            None => Err(self.refusal_of_login(family).await),
        }
    }

    fn changed(&self, change: LoginChange) {
        // Without a receiver nothing is open that could go on.
        let _ = self.0.changes.send(change);
    }

    fn entered(&self, user: User, family: FamilyId, refresh_token: String, at: Time) -> Entered {
        Entered {
            access_token: self.0.tokens.make(user.id, family, at, self.0.access_life),
            expires_in_s: self.0.access_life.as_secs(),
            refresh_token,
            refresh_expires_in_s: self.0.refresh_idle.as_secs(),
            device: None,
            user,
        }
    }
}

/// 256 random bits in hexadecimal.
fn new_secret() -> String {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has randomness");
    let (high, low) = bytes.split_at(16);
    let number = |half: &[u8]| u128::from_be_bytes(half.try_into().expect("16 bytes"));
    format!("{:032x}{:032x}", number(high), number(low))
}

/// Whether a text may be what [`new_secret`] made.
fn is_secret(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What the database keeps of a secret. The secrets are random, so a fast hash is enough.
fn hash_of(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}
