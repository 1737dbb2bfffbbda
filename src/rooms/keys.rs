//! Stream keys: what lets a program publish into a room's call, or watch it, in the name of the host who made it.

use std::net::IpAddr;

use ring::{
    digest,
    rand::{SecureRandom as _, SystemRandom},
};

use super::Rooms;
use crate::domain::{
    Action, Caller, FamilyId, Refusal, Seat, SessionId, StreamKey, StreamKeyId, StreamKind, Time, can, case::Named,
};
use crate::limit::Rule;
use crate::store::STREAM_KEYS;

/// What every secret begins with, so that it is known for what it is wherever it turns up.
pub const STREAM_KEY_PREFIX: &str = "stream_";
/// The longest name of a key, in characters: it is what a participant is called.
const NAME_LIMIT: usize = 50;

/// A key that a host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStreamKey {
    /// What its publisher is called.
    pub name: String,
    /// What it lets do.
    pub kind: StreamKind,
    /// Until when; `None`: until it is revoked.
    pub expires_at: Option<Time>,
}

/// Who takes part without a socket: by a login, or by a key in the name of its maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streamer {
    /// Who answers for it.
    pub caller: Caller,
    /// The key that they brought.
    pub(super) key: Option<StreamKey>,
}

impl Streamer {
    /// Somebody who is logged in.
    pub fn of_login(caller: Caller) -> Self {
        Self { caller, key: None }
    }

    /// Whether they came by a login, and not by a key.
    pub fn is_login(&self) -> bool {
        self.key.is_none()
    }

    /// What a relay calls them. Who comes by a key has a name of their own there: what a relay gives each user is no share of the
    /// maker's, nor of others' by the same key.
    pub fn relayed_as(&self, session: SessionId) -> String {
        self.key.as_ref().map_or_else(|| self.caller.user.id.to_string(), |key| format!("{}.{session}", key.key_id))
    }
}

impl Rooms {
    /// Makes a key of a room. The secret is told now and never again.
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`roomId`: no room for streams; `name`, `expiresAt`), `conflict` (too many), `internal`;
    /// `room_private` for a site moderator who is no member of a private room.
    pub async fn create_stream_key(&self, seat: &Seat, new: NewStreamKey) -> Result<(StreamKey, String), Refusal> {
        permit(seat)?;
        if !seat.kind.takes_streams() {
            return Err(Refusal::bad_request("roomId", "This room takes no streams."));
        }
        // Who comes by it comes as its maker: from outside of a private room they would be refused.
        self.admit(&seat.session.caller, seat.room).await?;
        let name = new.name.trim();
        if !(1..=NAME_LIMIT).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Refusal::bad_request("name", format!("A key's name has 1 to {NAME_LIMIT} characters.")));
        }
        let now = Time::now();
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(Refusal::bad_request("expiresAt", "This time is over already."));
        }
        let maker = seat.user();
        let key = StreamKey {
            key_id: StreamKeyId::new(),
            room_id: seat.room,
            name: name.to_owned(),
            kind: new.kind,
            created_by: Named { user_id: maker.id, nickname: maker.nickname.clone() },
            created_at: now,
            expires_at: new.expires_at,
        };
        let secret = new_secret()?;
        if !self.0.store.add_stream_key(&key, &hash_of(&secret)).await? {
            return Err(Refusal::Taken("This room has as many stream keys as a room can have: revoke one first."));
        }
        tracing::info!(room = %seat.room, key = %key.key_id, by = %maker.id, most = STREAM_KEYS, "a stream key is made");
        Ok((key, secret))
    }

    /// The keys of a room, oldest first, and how many take part by each now.
    ///
    /// # Errors
    /// `forbidden`, `internal`.
    pub async fn stream_keys(&self, seat: &Seat) -> Result<Vec<(StreamKey, u32)>, Refusal> {
        permit(seat)?;
        let keys = self.0.store.stream_keys(seat.room).await?;
        let lobby = self.lobby();
        let is_of = |key: &StreamKey, used: &Option<StreamKey>| used.as_ref().is_some_and(|it| it.key_id == key.key_id);
        let in_use = |key: &StreamKey| lobby.streams.values().filter(|stream| is_of(key, &stream.key)).count();
        Ok(keys
            .into_iter()
            .map(|key| (u32::try_from(in_use(&key)).unwrap_or(u32::MAX), key))
            .map(|(n, k)| (k, n))
            .collect())
    }

    /// Revokes a key; whoever came by it goes.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `internal`.
    pub async fn revoke_stream_key(&self, seat: &Seat, id: StreamKeyId) -> Result<(), Refusal> {
        permit(seat)?;
        if !self.0.store.remove_stream_key(seat.room, id).await? {
            return Err(Refusal::NotFound);
        }
        tracing::info!(room = %seat.room, key = %id, by = %seat.user().id, "a stream key is revoked");
        self.end_streams_of_key(id);
        Ok(())
    }

    /// Who stands behind a key's secret. Attempts count for the address, and more so those that fail.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (no such key), `token_expired`, `banned` (its maker, or a device of theirs), `internal`.
    pub async fn holder(&self, secret: &str, address: IpAddr) -> Result<Streamer, Refusal> {
        self.0.limits.check_address(Rule::Request, address)?;
        let found = self.0.store.stream_key(&hash_of(secret)).await?;
        let Some(key) = found else {
            self.0.limits.check_address(Rule::StreamKey, address)?;
            return Err(Refusal::TokenInvalid);
        };
        if key.is_over(Time::now()) {
            return Err(Refusal::TokenExpired);
        }
        let maker = self.0.store.user(key.created_by.user_id).await?.ok_or(Refusal::TokenInvalid)?;
        // No login is behind it: a family that nobody can revoke.
        let cluster = self.0.config.clusters.of(&maker.cluster).ok_or(Refusal::TokenInvalid)?.tenant();
        let (user, known_since, family) = (maker.user, maker.known_since, FamilyId::new());
        let caller = Caller { user, known_since, family, address, cluster };
        let streamer = Streamer { caller, key: Some(key) };
        self.confirm(&streamer).await?;
        Ok(streamer)
    }

    /// Looks whether a key and its maker still may. A login is looked at by whoever knows of logins.
    pub(super) async fn confirm(&self, by: &Streamer) -> Result<(), Refusal> {
        let Some(key) = &by.key else { return Ok(()) };
        if let Some(sentence) = self.0.store.sentence_of_maker(by.caller.user.id, Time::now()).await? {
            return Err(Refusal::Banned { reason: sentence.reason, until: sentence.until });
        }
        if self.0.store.has_stream_key(key.key_id).await? { Ok(()) } else { Err(Refusal::TokenInvalid) }
    }

    /// Counts a deed: for who is logged in, or for the address of who came by a key, which many may share.
    pub(super) fn limit_streamer(&self, by: &Streamer, rule: Rule) -> Result<(), Refusal> {
        match &by.key {
            Some(_) => self.0.limits.check_address(rule, by.caller.address),
            None => self.0.limits.check(rule, &by.caller),
        }
    }
}

fn permit(seat: &Seat) -> Result<(), Refusal> {
    const ACTION: Action = Action::StreamKeys;
    if can(seat.standing(), ACTION) { Ok(()) } else { Err(Refusal::Forbidden { action: ACTION }) }
}

/// 256 random bits in hexadecimal behind the prefix.
fn new_secret() -> Result<String, Refusal> {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Refusal::Internal("no random numbers".to_owned()))?;
    let mut secret = STREAM_KEY_PREFIX.to_owned();
    for byte in bytes {
        write!(secret, "{byte:02x}").expect("a String takes all text");
    }
    Ok(secret)
}

/// What the database keeps of a secret. The secrets are random, so a fast hash is enough.
fn hash_of(secret: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, secret.as_bytes()).as_ref().to_vec()
}
