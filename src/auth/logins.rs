//! A person's logins: each device sees them all, and ends those that it does not know.

use super::{Auth, Entered, Entry, Whence, agent::device_name, hash_of, is_secret, new_secret};
use crate::domain::{
    Action, Caller, FamilyId, LoginChange, Refusal, SiteRole, Time, User, UserId, can,
    cluster::Cluster,
    deed::{Deed, LogEntry},
    user::AgeLevel,
    user::is_adult,
};
use crate::store::{LoginRecord, Person, Trace};

/// Nobody alive is older.
const OLDEST_YEARS: i16 = 120;
/// Logins that a list names, the latest first. Older ones are ended with all others.
const LISTED: u32 = 100;

impl Entry {
    /// Refuses whoever is too young, or cannot be so old.
    pub(super) fn check_age(&self, now: Time, min_age: u8) -> Result<(), Refusal> {
        if !self.adult || !is_adult(self.birth_year, now.year()) {
            return Err(Refusal::Underage);
        }
        if i32::from(now.year()) - i32::from(self.birth_year) < i32::from(min_age) {
            return Err(Refusal::TooYoung { years: min_age });
        }
        if self.birth_year < now.year() - OLDEST_YEARS {
            return Err(Refusal::bad_request("birthYear", "This year of birth cannot be right."));
        }
        Ok(())
    }
}

impl Auth {
    /// The cluster that somebody comes to, if it lets them in from there.
    ///
    /// # Errors
    /// `not_found` (no cluster at this host), `geo_blocked`.
    pub(super) fn cluster_to_enter(&self, from: Whence<'_>) -> Result<&Cluster, Refusal> {
        let cluster = self.0.clusters.at(from.host).ok_or(Refusal::NotFound)?;
        self.0.clusters.check_country(cluster, from.address)?;
        Ok(cluster)
    }

    /// Refuses (`bad_credentials`) somebody at the door of another cluster: their name is nobody's there.
    pub(super) fn refuse_elsewhere(&self, person: &Person, from: Whence<'_>) -> Result<(), Refusal> {
        let cluster = self.cluster_to_enter(from)?;
        if person.cluster == cluster.id { Ok(()) } else { Err(Refusal::BadCredentials) }
    }

    /// Somebody's logins that hold, the latest first, up to 100.
    ///
    /// # Errors
    /// `internal`.
    pub async fn logins(&self, caller: &Caller) -> Result<Vec<LoginRecord>, Refusal> {
        Ok(self.0.store.logins(caller.user.id, Time::now(), LISTED).await?)
    }

    /// Ends one of them, with all that it opened.
    ///
    /// # Errors
    /// `not_found`, `internal`.
    pub async fn end_login(&self, caller: &Caller, id: FamilyId) -> Result<(), Refusal> {
        if !self.0.store.revoke_login(caller.user.id, id, Time::now()).await? {
            return Err(Refusal::NotFound);
        }
        self.changed(LoginChange::Revoked(id));
        Ok(())
    }

    /// Ends all but this one.
    ///
    /// # Errors
    /// `internal`.
    pub async fn end_other_logins(&self, caller: &Caller) -> Result<(), Refusal> {
        self.end_logins(caller.user.id, Some(caller.family), Time::now()).await
    }

    /// Says by what somebody's age is known. Moderators of the site.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `internal`.
    pub async fn set_age_level(&self, by: &Caller, user: UserId, level: AgeLevel) -> Result<(), Refusal> {
        if !can(by.standing(), Action::VerifyAge) {
            return Err(Refusal::Forbidden { action: Action::VerifyAge });
        }
        if !self.0.store.set_age_level(user, level).await? {
            return Err(Refusal::NotFound);
        }
        let entry = LogEntry::by(by.user.id, Deed::SetAgeLevel).about(user).because(level.as_str());
        Ok(self.0.store.log(&entry).await?)
    }

    /// Begins a login of somebody who has shown who they are.
    ///
    /// # Errors
    /// `banned`, `internal`.
    pub(super) async fn begin_login(
        &self,
        user: User,
        is_account: bool,
        second_factor: bool,
        from: Whence<'_>,
    ) -> Result<Entered, Refusal> {
        let (now, store) = (Time::now(), &self.0.store);
        let (family, refresh_token) = (FamilyId::new(), new_secret());
        let device = from.device.filter(|device| is_secret(device)).map_or_else(new_secret, str::to_owned);
        let (hash, device_hash, address) =
            (hash_of(&refresh_token), hash_of(&device), self.0.addresses.hash(from.address));
        let trace = Trace { device: Some(&device_hash), address: address.as_deref() };
        store.create_family(family, user.id, &hash, trace, now, self.0.idle.of(is_account)).await?;
        store.name_login(family, &device_name(from.agent)).await?;
        if second_factor {
            store.pass_second_factor(family, now).await?;
        }
        // Once more: a ban that began meanwhile has either ended this login or is seen here.
        let banned = if is_account {
            self.refuse_banned_person(user.id, from, now).await
        } else {
            self.refuse_banned(from, now).await
        };
        if let Err(refusal) = banned {
            store.revoke_family(family, now).await?;
            return Err(refusal);
        }
        let reused = if is_account { store.take_reuses(user.id, now).await? } else { Vec::new() };
        let wrong_codes = if is_account { self.wrong_codes(user.id).await? } else { None };
        let (user, withheld) = self.acting(user, is_account, second_factor);
        Ok(Entered {
            device: Some(device),
            reused,
            wrong_codes,
            withheld,
            ..self.entered(user, family, refresh_token, is_account)
        })
    }

    /// What somebody is on the site by this login, and what rests until it has passed a second factor. People without an account are
    /// bound to their device, and have none.
    pub(super) fn acting(&self, user: User, is_account: bool, second_factor: bool) -> (User, Option<SiteRole>) {
        if !self.0.require_mfa || !is_account || second_factor || user.role == SiteRole::Member {
            return (user, None);
        }
        let withheld = Some(user.role);
        (User { role: SiteRole::Member, ..user }, withheld)
    }
}
