//! Who somebody is: entering, accounts, second factors, access tokens, refreshing with reuse detection, logins by device, tickets,
//! roles on the site, bans, and having everything deleted.

mod accounts;
mod agent;
mod api_keys;
mod bans;
mod claim;
mod erasure;
mod export;
mod jwt;
mod keys;
mod logins;
mod once;
mod passkeys;
mod passwords;
mod pending;
mod proof;
mod second;
mod tickets;

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::clusters::Clusters;
use crate::domain::{
    Caller, FamilyId, LoginChange, Refusal, SiteRole, Time, User, UserId,
    account::Proof,
    api_key::{API_KEY_PREFIX, Scopes},
    user::{Nickname, Username},
};
use crate::limit::{Limits, Rule};
use crate::store::{Idle, Login, Redeemed, Reuse, Store};
pub use accounts::{AccountView, Credentials, NewPassword, Profile};
pub use api_keys::{BOTS_LIMIT, NewApiKey};
use bans::Addresses;
pub use bans::{LIST_LIMIT, NewBan, Whence};
pub use erasure::{Again, Deleted, Kept, Receipt, SignedReceipt};
use jwt::Tokens;
use keys::Keys;
pub use once::{Begun, Once};
use passkeys::Asked;
pub use passkeys::{Ceremony, PasskeyView, Site};
use passwords::Passwords;
use pending::Pending;
pub use proof::AskProof;
use proof::Suspects;
use second::Waiting;
pub use second::{TotpSecret, WrongCodes};
use tickets::Tickets;

/// How long a login waits for its second factor, and a browser's answer for its challenge.
const ANSWER_WITHIN: Duration = Duration::from_secs(5 * 60);

/// How long logins last.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The life of an access token, in seconds.
    pub access_token_s: u64,
    /// The life of an unused refresh token of somebody without an account, in seconds.
    pub refresh_idle_s: u64,
    /// The life of an unused refresh token of an account, in seconds.
    pub account_idle_s: u64,
    /// Accounts that keep order act as members until their login has passed a second factor.
    pub require_mfa: bool,
    /// Passwords that are hashed at once: each takes a core for 50 ms, and 19 MiB.
    pub hashes_at_once: usize,
    /// People without an account who may be logged in on one device at once.
    pub identities_per_device: u64,
    /// When a proof of work is asked for: `never`, `whenBusy` or `always`.
    pub ask_proof: AskProof,
    /// How hard it is: half as many hashes as this are tried on average.
    pub proof_max_number: u64,
    /// The life of a socket ticket, in seconds.
    pub ticket_s: u64,
    /// Addresses that many people share, so that no ban binds them (`PARLOR_TRUSTED_PROXIES`, `PARLOR_LIMIT_EXEMPT`).
    #[serde(skip)]
    pub shared: Vec<IpNet>,
    /// To which cluster whoever enters comes (`PARLOR_CLUSTERS_FILE`).
    #[serde(skip)]
    pub clusters: Clusters,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            access_token_s: 15 * 60,
            refresh_idle_s: 24 * 3600,
            account_idle_s: 30 * 24 * 3600,
            require_mfa: true,
            hashes_at_once: 2,
            identities_per_device: 20,
            ask_proof: AskProof::default(),
            proof_max_number: 100_000,
            ticket_s: 60,
            shared: Vec::new(),
            clusters: Clusters::default(),
        }
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
    keys: Keys,
    passwords: Passwords,
    waiting: Pending<Waiting>,
    asked: Pending<Asked>,
    suspects: Suspects,
    ask_proof: AskProof,
    proof_max_number: u64,
    identities_per_device: u64,
    clusters: Clusters,
    require_mfa: bool,
    access_life: Duration,
    idle: Idle,
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
    /// That a riddle is solved, where one was asked for.
    pub proof: Option<Proof>,
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
    /// What they are on the site once this login has passed a second factor; `None`: what `user` says.
    pub withheld: Option<SiteRole>,
    /// Logins of theirs that ended because a token came twice, of which they are told now.
    pub reused: Vec<Reuse>,
    /// Codes that were wrong since the last login, if they are many: somebody may know the password.
    pub wrong_codes: Option<WrongCodes>,
}

/// What an access token proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who, by which login, and from where.
    pub caller: Caller,
    /// Until when.
    pub expires_at: Time,
    /// The login has passed a second factor.
    pub second_factor: bool,
    /// The role on the site that rests until it has.
    pub withheld: Option<SiteRole>,
    /// What a key is for; `None`: no key came, but a person.
    pub scopes: Option<Scopes>,
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
            keys: Keys::new(secret),
            passwords: Passwords::new(config.hashes_at_once),
            waiting: Pending::new(ANSWER_WITHIN),
            asked: Pending::new(ANSWER_WITHIN),
            suspects: Suspects::default(),
            ask_proof: config.ask_proof,
            proof_max_number: config.proof_max_number,
            identities_per_device: config.identities_per_device,
            clusters: config.clusters.clone(),
            require_mfa: config.require_mfa,
            access_life: Duration::from_secs(config.access_token_s),
            idle: Idle {
                anonymous: Duration::from_secs(config.refresh_idle_s),
                account: Duration::from_secs(config.account_idle_s),
            },
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Lets somebody in without an account.
    ///
    /// # Errors
    /// `rate_limited`, `not_found` (no cluster at this host), `geo_blocked`, `underage` (nothing is stored then), `bad_request` (`nickname`, `birthYear`), `banned`, `proof_required`,
    /// `username_taken` (the name of an account), `too_many` (identities of this device), `internal`.
    pub async fn enter_anonymous(&self, entry: Entry, from: Whence<'_>) -> Result<Entered, Refusal> {
        self.0.limits.check_address(Rule::Register, from.address)?;
        let now = Time::now();
        let cluster = self.cluster_to_enter(from)?;
        entry.check_age(now, cluster.min_age)?;
        let nickname = Nickname::parse(&entry.nickname)?;
        self.refuse_banned(from, now).await?;
        self.admit(from.address, entry.proof.as_ref()).await?;
        if let Ok(name) = Username::parse(nickname.as_str())
            && self.0.store.account_of_name(&name.key()).await?.is_some()
        {
            return Err(Refusal::UsernameTaken);
        }
        if let Some(device) = from.device.filter(|device| is_secret(device)) {
            let limit = self.0.identities_per_device;
            if self.0.store.identities_of_device(&hash_of(device), now).await? >= limit {
                return Err(Refusal::TooMany {
                    what: "people on this device",
                    limit: u32::try_from(limit).unwrap_or(u32::MAX),
                });
            }
        }
        let user =
            User { id: UserId::new(), nickname: nickname.as_str().to_owned(), role: SiteRole::Member, bot: false };
        self.0.store.create_user(user.id, &nickname, user.role, now).await?;
        self.0.store.assign_cluster(user.id, &cluster.id).await?;
        self.begin_login(user, false, false, from).await
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
        let idle = self.0.idle;
        match self.0.store.redeem_refresh_token(&hash, &next_hash, address.as_deref(), now, idle).await? {
            Redeemed::Good(good) => {
                let (user, withheld) = self.acting(good.person.user, good.is_account, good.second_factor);
                Ok(Entered { withheld, ..self.entered(user, good.family, next, good.is_account) })
            }
            Redeemed::Unknown => Err(Refusal::TokenInvalid),
            Redeemed::Revoked(family) => Err(self.refusal_of_login(family).await),
            Redeemed::Expired => Err(Refusal::TokenExpired),
            Redeemed::Reused(family) => {
                self.changed(LoginChange::Revoked(family));
                if let Some((user, device)) = self.0.store.owner_of_login(family).await? {
                    self.changed(LoginChange::Reused { user, device });
                }
                self.suspect(from);
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
        if access_token.starts_with(API_KEY_PREFIX) {
            return self.verify_key(access_token, from).await;
        }
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
        let Access { caller, expires_at, scopes, .. } = self.0.tickets.take(ticket).ok_or(Refusal::TokenInvalid)?;
        let access = self.access(caller.user.id, caller.family, expires_at, from).await?;
        Ok(Access { scopes, ..access })
    }

    /// Looks once more whether a login holds, now that something is open by it: whoever ended it meanwhile has either closed that or
    /// is seen here. What its owner is on the site now.
    ///
    /// # Errors
    /// `token_invalid`, `banned`, `internal`.
    pub async fn confirm(&self, caller: &Caller) -> Result<SiteRole, Refusal> {
        match self.0.store.login(caller.family).await? {
            Some(login) => Ok(self.acting(login.person.user, login.is_account, login.second_factor).0.role),
            None => Err(self.refusal_of_login(caller.family).await),
        }
    }

    /// Forgets logins that ended, with what they opened, and where people came from a day ago. How many.
    ///
    /// # Errors
    /// `internal`.
    pub async fn sweep(&self) -> Result<u64, Refusal> {
        self.sweep_at(Time::now()).await
    }

    /// The same as if it were then.
    ///
    /// # Errors
    /// `internal`.
    pub async fn sweep_at(&self, now: Time) -> Result<u64, Refusal> {
        let forgotten = self.0.store.forget_addresses(now).await? + self.0.store.sweep_proofs(now).await?;
        let forgotten = forgotten + self.sweep_wanted(now).await?;
        let swept = self.0.store.sweep_families(now).await?;
        let ended = swept.len() as u64;
        for family in swept {
            // A stream outlives its access token: it ends with the login.
            self.changed(LoginChange::Revoked(family));
        }
        self.finish_erasures(now).await?;
        self.sweep_once(now).await?;
        Ok(ended + forgotten)
    }

    async fn access(
        &self,
        user: UserId,
        family: FamilyId,
        expires_at: Time,
        address: IpAddr,
    ) -> Result<Access, Refusal> {
        match self.0.store.login(family).await? {
            Some(Login { person, is_account, second_factor }) if person.user.id == user => {
                let (user, withheld) = self.acting(person.user, is_account, second_factor);
                // Its cluster may have gone from the operator's file.
                let cluster = self.0.clusters.of(&person.cluster).ok_or(Refusal::TokenInvalid)?.tenant();
                let caller = Caller { user, known_since: person.known_since, family, address, cluster };
                Ok(Access { caller, expires_at, second_factor, withheld, scopes: None })
            }
            Some(_) => Err(Refusal::TokenInvalid),
            None => Err(self.refusal_of_login(family).await),
        }
    }

    fn changed(&self, change: LoginChange) {
        // Without a receiver nothing is open that could go on.
        let _ = self.0.changes.send(change);
    }

    fn entered(&self, user: User, family: FamilyId, refresh_token: String, is_account: bool) -> Entered {
        Entered {
            access_token: self.0.tokens.make(user.id, family, Time::now(), self.0.access_life),
            expires_in_s: self.0.access_life.as_secs(),
            refresh_token,
            refresh_expires_in_s: self.0.idle.of(is_account).as_secs(),
            device: None,
            user,
            withheld: None,
            reused: Vec::new(),
            wrong_codes: None,
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
