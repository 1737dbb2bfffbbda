//! Keeping people out of the site: their account, the device that they used, and for a day its address.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use ring::hmac;

use super::{Auth, hash_of};
use crate::domain::{
    Action, BanId, Caller, CaseId, FamilyId, LoginChange, Refusal, Standing, Time, UserId,
    ban::{Ban, Sentence},
    can,
    deed::{Deed, LogEntry},
};
use crate::store;

/// Bans that one page of the list has at most.
pub const LIST_LIMIT: u32 = 100;
/// The longest reason, in characters.
const REASON_LIMIT: usize = 500;
/// The longest ban that ends. Whoever means longer means for good.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// What the key of the addresses is derived from, so that it is no other key that grows out of the same secret.
const ADDRESS_KEY: &[u8] = b"parlor: addresses of bans";

/// A ban that a moderator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBan {
    /// Of whom.
    pub user: UserId,
    /// Why: they are told.
    pub reason: String,
    /// For how long; `None`: for good.
    pub duration: Option<Duration>,
    /// In which case. What was decided about a case is logged with the case, a ban without one here.
    pub case: Option<CaseId>,
}

/// From where somebody comes who wants to enter.
#[derive(Clone, Copy, Debug)]
pub struct Whence<'a> {
    /// The address, as the edge saw it.
    pub address: IpAddr,
    /// What the device's cookie says, if it has one.
    pub device: Option<&'a str>,
    /// What the device says of itself (`User-Agent`).
    pub agent: Option<&'a str>,
    /// The host that they ask for: it says to which cluster they come.
    pub host: Option<&'a str>,
}

/// Turns addresses into what may be kept of them: a keyed hash, from which nobody finds the address without the server's secret.
pub(super) struct Addresses {
    key: hmac::Key,
    shared: Vec<IpNet>,
}

impl Addresses {
    pub(super) fn new(secret: &[u8], shared: Vec<IpNet>) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), ADDRESS_KEY);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()), shared }
    }

    /// The hash of an IPv4 address or of an IPv6 /64 network, which is what one household has. `None`: many people come from
    /// there, and are not to answer for one; nor is this machine, where a proxy may be that nobody declared.
    pub(super) fn hash(&self, address: IpAddr) -> Option<Vec<u8>> {
        let address = address.to_canonical();
        if address.is_loopback() || self.shared.iter().any(|network| network.contains(&address)) {
            return None;
        }
        let tag = match address {
            IpAddr::V4(address) => hmac::sign(&self.key, &address.octets()),
            IpAddr::V6(address) => hmac::sign(&self.key, &address.octets()[..8]),
        };
        Some(tag.as_ref().to_vec())
    }
}

impl Auth {
    /// Keeps somebody out: their account and the devices that they used, and for a day at most the addresses that they came from.
    /// Their logins are over, and so are the logins of others from these devices.
    ///
    /// # Errors
    /// `forbidden` (also for whom one does not outrank), `bad_request` (`userId`: oneself; `reason`; `durationS`), `not_found`,
    /// `internal`.
    pub async fn ban(&self, by: &Caller, new: NewBan) -> Result<Ban, Refusal> {
        const ACTION: Action = Action::Ban;
        let reason = checked(by, &new.reason)?;
        if new.user == by.user.id {
            return Err(Refusal::bad_request("userId", "You cannot ban yourself."));
        }
        if new.duration.is_some_and(|it| it < Duration::from_secs(1) || it > LONGEST) {
            let most = LONGEST.as_secs();
            return Err(Refusal::bad_request("durationS", format!("A ban lasts 1 to {most} seconds, or for good.")));
        }
        let person = self.0.store.user(new.user).await?.ok_or(Refusal::NotFound)?;
        if !by.standing().outranks(Standing::of(None, person.user.role)) {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let auth = self.clone();
        let (by, reason) = (by.user.id, reason.to_owned());
        // To its end even if the moderator goes: what is stored is enforced.
        let banning = tokio::spawn(async move { auth.begin_ban(by, new, reason).await });
        banning.await.unwrap_or_else(|error| Err(Refusal::Internal(error.to_string())))
    }

    async fn begin_ban(&self, by: UserId, new: NewBan, reason: String) -> Result<Ban, Refusal> {
        let at = Time::now();
        let until = new.duration.map(|duration| at.after(duration));
        let (user, case) = (new.user, new.case);
        let entry =
            LogEntry::by(by, Deed::Ban).about(user).because(&reason).lasting(new.duration.map(|it| it.as_secs()));
        let record = store::NewBan { id: BanId::new(), user, reason: reason.clone(), case, by, at, until };
        let reached = self.0.store.ban(&record, case.is_none().then_some(&entry)).await?;
        self.changed(LoginChange::Banned { user, reason, until });
        for family in reached.logins {
            self.changed(LoginChange::Revoked(family));
        }
        for user in reached.people {
            self.changed(LoginChange::Reached(user));
        }
        tracing::info!(%user, %by, ban = %record.id, "somebody is banned");
        self.0.store.ban_of_id(record.id).await?.ok_or(Refusal::NotFound)
    }

    /// Ends a ban before its time.
    ///
    /// # Errors
    /// `forbidden` (also when somebody of a higher rank decided it), `bad_request` (`reason`), `not_found` (no such ban in force),
    /// `internal`.
    pub async fn lift_ban(&self, by: &Caller, id: BanId, reason: &str) -> Result<Ban, Refusal> {
        const ACTION: Action = Action::Ban;
        let reason = checked(by, reason)?;
        let store = &self.0.store;
        let ban = store.ban_of_id(id).await?.ok_or(Refusal::NotFound)?;
        let banner = store.user(ban.by.user_id).await?.ok_or(Refusal::NotFound)?;
        if banner.user.role > by.user.role {
            return Err(Refusal::Forbidden { action: ACTION });
        }
        let entry = LogEntry::by(by.user.id, Deed::LiftBan).about(ban.user.user_id).because(reason);
        let entry = LogEntry { case: ban.case_id, ..entry };
        if !store.lift_ban(id, by.user.id, reason, &entry).await? {
            return Err(Refusal::NotFound);
        }
        tracing::info!(user = %ban.user.user_id, by = %by.user.id, ban = %id, "a ban is lifted");
        store.ban_of_id(id).await?.ok_or(Refusal::NotFound)
    }

    /// The bans in force, newest first; those before `before`, if it is given. `limit` is at most [`LIST_LIMIT`].
    ///
    /// # Errors
    /// `forbidden`, `bad_request` (`limit`), `internal`.
    pub async fn bans(&self, caller: &Caller, limit: u32, before: Option<BanId>) -> Result<Vec<Ban>, Refusal> {
        if !can(caller.standing(), Action::Ban) {
            return Err(Refusal::Forbidden { action: Action::Ban });
        }
        if !(1..=LIST_LIMIT).contains(&limit) {
            return Err(Refusal::bad_request("limit", format!("A page has 1 to {LIST_LIMIT} bans.")));
        }
        Ok(self.0.store.bans_in_force(Time::now(), limit, before).await?)
    }

    /// Refuses (`banned`) whoever comes from a device or an address that is bound.
    pub(super) async fn refuse_banned(&self, whence: Whence<'_>, now: Time) -> Result<(), Refusal> {
        let device = whence.device.map(hash_of);
        let address = self.0.addresses.hash(whence.address);
        let bound = store::Bound { user: None, device: device.as_deref(), address: address.as_deref() };
        self.0.store.sentence(bound, now).await?.map_or(Ok(()), |sentence| Err(refusal_of(sentence)))
    }

    /// Why a login that is over is refused: a ban says so, everything else is `token_invalid`.
    pub(super) async fn refusal_of_login(&self, family: FamilyId) -> Refusal {
        match self.0.store.sentence_of_login(family, Time::now()).await {
            Ok(sentence) => sentence.map_or(Refusal::TokenInvalid, refusal_of),
            Err(error) => error.into(),
        }
    }
}

fn refusal_of(sentence: Sentence) -> Refusal {
    let Sentence { reason, until } = sentence;
    Refusal::Banned { reason, until }
}

/// The reason, if it is one, and this person may keep people out.
fn checked<'a>(by: &Caller, reason: &'a str) -> Result<&'a str, Refusal> {
    if !can(by.standing(), Action::Ban) {
        return Err(Refusal::Forbidden { action: Action::Ban });
    }
    let reason = reason.trim();
    if !(1..=REASON_LIMIT).contains(&reason.chars().count()) || reason.contains('\0') {
        return Err(Refusal::bad_request("reason", format!("A reason has 1 to {REASON_LIMIT} characters.")));
    }
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_keyed_hash_of_it_or_of_its_network() {
        let addresses = Addresses::new(b"secret", vec!["10.0.0.0/8".parse().unwrap()]);
        let hash = |address: &str| addresses.hash(address.parse().unwrap());
        assert!(hash("192.0.2.1").is_some() && hash("192.0.2.1") != hash("192.0.2.2"));
        assert_eq!(hash("192.0.2.1"), hash("::ffff:192.0.2.1"));
        assert_eq!(hash("2001:db8:0:1::1"), hash("2001:db8:0:1:ffff::2"));
        assert_ne!(hash("2001:db8:0:1::1"), hash("2001:db8:0:2::1"));
        assert_eq!((hash("10.1.2.3"), hash("127.0.0.1"), hash("::1")), (None, None, None), "many share them");
        let other = Addresses::new(b"another secret", Vec::new());
        assert_ne!(other.hash("192.0.2.1".parse().unwrap()), hash("192.0.2.1"));
        let plain = ring::digest::digest(&ring::digest::SHA256, &[192, 0, 2, 1]);
        assert_ne!(hash("192.0.2.1").as_deref(), Some(plain.as_ref()));
    }
}
