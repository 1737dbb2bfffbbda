//! Passkeys (WebAuthn): as second factor, and in the place of name and password.

use webauthn_rs::prelude::{
    DiscoverableAuthentication, DiscoverableKey, Passkey, PasskeyAuthentication, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Url, Webauthn, WebauthnBuilder, WebauthnError,
};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Access, Auth, Entered, Whence, second::recovery_codes};
use crate::domain::{Caller, PasskeyId, Refusal, Time, UserId};
use crate::limit::Rule;
use crate::store::{PASSKEYS, PasskeyRecord};

/// Characters that the name of a passkey has at most.
const NAME_LIMIT: usize = 50;

/// Where the page is, as browsers bind passkeys to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The host without a port: the relying party's id.
    pub host: String,
    /// The page's origin.
    pub origin: String,
}

/// What a browser is asked, and by what its answer is found again.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceremony {
    /// A secret, good once and for 5 minutes.
    pub challenge_id: String,
    /// The argument of `navigator.credentials.create` or `.get` (WebAuthn's JSON).
    pub options: Value,
}

/// A passkey, as its owner sees it.
pub type PasskeyView = PasskeyRecord;

/// What an answer is compared with.
pub(super) enum Asked {
    Register(UserId, Box<PasskeyRegistration>),
    Second(UserId, Box<PasskeyAuthentication>),
    Alone(Box<DiscoverableAuthentication>),
}

impl Auth {
    /// Asks a browser to make a passkey.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `not_found` (no account), `mfa_required`, `too_many`, `bad_request` (`host`: browsers know
    /// no passkeys there), `internal`.
    pub async fn want_passkey(&self, access: &Access, password: &str, site: &Site) -> Result<Ceremony, Refusal> {
        let account = self.account_to_change(access, password).await?;
        let known = self.0.store.passkeys(account.user).await?;
        if known.len() >= PASSKEYS {
            return Err(Refusal::TooMany { what: "passkeys", limit: PASSKEYS as u32 });
        }
        let known = passkeys(&known)?.into_iter().map(|passkey: Passkey| passkey.cred_id().clone()).collect();
        let name = &account.username;
        let (options, asked) = webauthn(site)?
            .start_passkey_registration(account.user.as_uuid(), name, name, Some(known))
            .map_err(|error| broken(&error))?;
        let mut options = as_json(&options)?;
        // Found without a name later, where the device can.
        options["publicKey"]["authenticatorSelection"]["residentKey"] = json!("preferred");
        let challenge_id = self.0.asked.keep(Asked::Register(account.user, Box::new(asked)));
        Ok(Ceremony { challenge_id, options })
    }

    /// Keeps the passkey that a browser made. This login has shown a second factor by it; with the first one, the others end, and it
    /// comes with recovery codes, which nobody sees again.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (the challenge), `bad_credentials`, `bad_request` (`name`, `credential`), `conflict` (it is known),
    /// `not_found` (no account), `internal`.
    pub async fn add_passkey(
        &self,
        caller: &Caller,
        challenge: &str,
        name: &str,
        credential: Value,
        site: &Site,
    ) -> Result<(PasskeyView, Vec<String>), Refusal> {
        self.0.limits.check_user(Rule::Login, caller.user.id, caller.address)?;
        let name = name.trim();
        if !(1..=NAME_LIMIT).contains(&name.chars().count()) || name.contains('\0') {
            return Err(Refusal::bad_request("name", format!("A name has 1 to {NAME_LIMIT} characters.")));
        }
        let credential: RegisterPublicKeyCredential = parsed(credential)?;
        let Some((Asked::Register(user, asked), _)) = self.0.asked.take(challenge) else {
            return Err(Refusal::TokenInvalid);
        };
        if user != caller.user.id {
            return Err(Refusal::TokenInvalid);
        }
        let passkey =
            webauthn(site)?.finish_passkey_registration(&credential, &asked).map_err(|_| Refusal::BadCredentials)?;
        let is_first = match self.0.store.account(user).await? {
            Some(account) => self.methods(&account).await?.is_empty(),
            None => return Err(Refusal::NotFound),
        };
        let now = Time::now();
        let record = PasskeyRecord {
            id: PasskeyId::new(),
            user,
            credential_id: passkey.cred_id().to_vec(),
            name: name.to_owned(),
            credential: as_json(&passkey)?.to_string(),
            created_at: now,
            last_used_at: None,
        };
        if !self.0.store.add_passkey(&record).await? {
            return Err(Refusal::Taken("This passkey is known already."));
        }
        self.0.store.pass_second_factor(caller.family, now).await?;
        if is_first {
            self.end_logins(user, Some(caller.family), now).await?;
        }
        let mut codes = Vec::new();
        if is_first {
            // The device may be lost as an app may.
            let hashes;
            (codes, hashes) = recovery_codes();
            self.0.store.replace_recovery_codes(user, &hashes).await?;
        }
        Ok((record, codes))
    }

    /// Somebody's passkeys, the oldest first.
    ///
    /// # Errors
    /// `internal`.
    pub async fn passkeys(&self, caller: &Caller) -> Result<Vec<PasskeyView>, Refusal> {
        Ok(self.0.store.passkeys(caller.user.id).await?)
    }

    /// Forgets a passkey.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `mfa_required`, `not_found`, `internal`.
    pub async fn remove_passkey(&self, access: &Access, password: &str, id: PasskeyId) -> Result<(), Refusal> {
        let account = self.account_to_change(access, password).await?;
        let removed = self.0.store.remove_passkey(account.user, id).await?;
        if removed { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// Asks a browser for a passkey: with a login's ticket as its second factor, without one for whoever it is of.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (the ticket), `not_found` (no passkey), `bad_request` (`host`), `internal`.
    pub async fn ask_passkey(&self, ticket: Option<&str>, site: &Site, from: Whence<'_>) -> Result<Ceremony, Refusal> {
        self.0.limits.check_address(Rule::Refresh, from.address)?;
        let webauthn = webauthn(site)?;
        let (options, asked) = if let Some(ticket) = ticket {
            let (waiting, _) = self.0.waiting.take(ticket).ok_or(Refusal::TokenInvalid)?;
            let known = passkeys(&self.0.store.passkeys(waiting.user).await?)?;
            if known.is_empty() {
                return Err(Refusal::NotFound);
            }
            let (options, asked) = webauthn.start_passkey_authentication(&known).map_err(|error| broken(&error))?;
            (as_json(&options)?, Asked::Second(waiting.user, Box::new(asked)))
        } else {
            let (options, asked) = webauthn.start_discoverable_authentication().map_err(|error| broken(&error))?;
            (as_json(&options)?, Asked::Alone(Box::new(asked)))
        };
        Ok(Ceremony { challenge_id: self.0.asked.keep(asked), options })
    }

    /// Logs in by a passkey. It counts as a second factor: its device has asked for a finger or a PIN.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (the challenge), `bad_credentials`, `bad_request` (`credential`), `banned`, `internal`.
    pub async fn log_in_by_passkey(
        &self,
        challenge: &str,
        credential: Value,
        site: &Site,
        from: Whence<'_>,
    ) -> Result<Entered, Refusal> {
        self.0.limits.check_address(Rule::Refresh, from.address)?;
        let credential: PublicKeyCredential = parsed(credential)?;
        let (asked, _) = self.0.asked.take(challenge).ok_or(Refusal::TokenInvalid)?;
        let webauthn = webauthn(site)?;
        let wrong = |_: WebauthnError| Refusal::BadCredentials;
        let user = match &asked {
            Asked::Register(..) => return Err(Refusal::TokenInvalid),
            Asked::Second(user, _) => *user,
            Asked::Alone(_) => {
                let (user, _) = webauthn.identify_discoverable_authentication(&credential).map_err(wrong)?;
                UserId::from_uuid(user)
            }
        };
        let known = self.0.store.passkeys(user).await?;
        let shown = credential.get_credential_id();
        // It may have been forgotten meanwhile.
        let used = known.into_iter().find(|record| record.credential_id == shown).ok_or(Refusal::BadCredentials)?;
        let result = match asked {
            Asked::Second(_, asked) => webauthn.finish_passkey_authentication(&credential, &asked).map_err(wrong)?,
            Asked::Alone(asked) => {
                let key = DiscoverableKey::from(stored(&used)?);
                webauthn.finish_discoverable_authentication_v2(&credential, *asked, &key).map_err(wrong)?
            }
            Asked::Register(..) => return Err(Refusal::TokenInvalid),
        };
        let mut passkey: Passkey = stored(&used)?;
        passkey.update_credential(&result);
        self.0.store.used_passkey(used.id, &as_json(&passkey)?.to_string(), Time::now()).await?;
        let person = self.0.store.user(user).await?.ok_or(Refusal::BadCredentials)?;
        self.refuse_elsewhere(&person, from)?;
        self.refuse_banned_person(user, from, Time::now()).await?;
        self.begin_login(person.user, true, true, from).await
    }
}

fn webauthn(site: &Site) -> Result<Webauthn, Refusal> {
    let nowhere = || Refusal::bad_request("host", "Passkeys need a name: browsers know none for a bare address.");
    let origin = Url::parse(&site.origin).map_err(|_| nowhere())?;
    let builder = WebauthnBuilder::new(&site.host, &origin).map_err(|_| nowhere())?;
    builder.rp_name("Parlor").build().map_err(|error| broken(&error))
}

fn passkeys(records: &[PasskeyRecord]) -> Result<Vec<Passkey>, Refusal> {
    records.iter().map(stored).collect()
}

fn stored(record: &PasskeyRecord) -> Result<Passkey, Refusal> {
    serde_json::from_str(&record.credential).map_err(|error| Refusal::Internal(format!("a passkey: {error}")))
}

fn parsed<T: DeserializeOwned>(credential: Value) -> Result<T, Refusal> {
    serde_json::from_value(credential)
        .map_err(|error| Refusal::bad_request("credential", format!("This is no answer of a browser: {error}.")))
}

fn as_json(value: &impl serde::Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(value).map_err(|error| Refusal::Internal(error.to_string()))
}

fn broken(error: &WebauthnError) -> Refusal {
    Refusal::Internal(format!("WebAuthn: {error}"))
}
