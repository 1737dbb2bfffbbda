//! Second factors by code: an app's (TOTP, RFC 6238) and those for recovery.

use std::net::IpAddr;

use ring::rand::{SecureRandom, SystemRandom};
use totp_rs::{Builder, Secret, Totp};

use super::{Access, Auth, Entered, Whence, hash_of};
use crate::domain::{
    Caller, LoginChange, Refusal, Time, UserId,
    account::{MfaTicket, SecondFactor},
};
use crate::limit::Rule;
use crate::store::Account;

/// Of an app's secret, in bytes (RFC 4226, section 4: 160 bits).
const SECRET_BYTES: usize = 20;
/// Recovery codes that one gets.
const RECOVERY_CODES: usize = 10;
/// Wrong codes on one ticket; then the password is asked for again.
const TRIES: u8 = 5;
/// How long a secret waits for its first code, in milliseconds: long enough to find the phone.
const WANTED_FOR_MS: i64 = 10 * 60 * 1000;
/// Wrong codes since the last login of which the account's owner is told: who knows the password and guesses at the rest is hardly
/// them. Fewer are slips.
const TELLING: u64 = 3;
/// Who issues the codes, as apps show it.
const ISSUER: &str = "Parlor";

/// A login whose password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) user: UserId,
    pub(super) tries: u8,
}

/// Wrong codes since the last login, of which the account's owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongCodes {
    /// How many.
    pub count: u64,
    /// When the last was tried.
    pub last_at: Time,
}

/// What an app needs to make codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpSecret {
    /// To be typed: base32.
    pub secret: String,
    /// To be shown as a picture: `otpauth://…`.
    pub url: String,
}

impl Auth {
    /// Goes on with a login by a code. A ticket is good for one login, and for few wrong codes.
    ///
    /// # Errors
    /// `rate_limited`, `token_invalid` (the ticket), `bad_credentials`, `banned`, `internal`.
    pub async fn second_factor(&self, ticket: &str, code: &str, from: Whence<'_>) -> Result<Entered, Refusal> {
        let (waiting, until) = self.0.waiting.take(ticket).ok_or(Refusal::TokenInvalid)?;
        let account = self.0.store.account(waiting.user).await?.ok_or(Refusal::TokenInvalid)?;
        if let Err(refusal) = self.take_code(&account, code, from.address).await {
            if waiting.tries + 1 < TRIES {
                let again = Waiting { tries: waiting.tries + 1, ..waiting };
                self.0.waiting.keep_until(ticket.to_owned(), again, until);
            }
            return Err(refusal);
        }
        let person = self.0.store.user(account.user).await?.ok_or(Refusal::TokenInvalid)?;
        self.refuse_elsewhere(&person, from)?;
        self.refuse_banned_person(account.user, from, Time::now()).await?;
        self.begin_login(person.user, true, true, from).await
    }

    /// Shows a second factor for a login that has begun without: the role on the site holds from the next request on.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `not_found` (no account), `internal`.
    pub async fn step_up(&self, caller: &Caller, code: &str) -> Result<(), Refusal> {
        let account = self.0.store.account(caller.user.id).await?.ok_or(Refusal::NotFound)?;
        self.take_code(&account, code, caller.address).await?;
        Ok(self.0.store.pass_second_factor(caller.family, Time::now()).await?)
    }

    /// A secret for an app. Codes are in force once the first is shown, within ten minutes.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `not_found` (no account), `mfa_required`, `conflict` (codes are in force), `internal`.
    pub async fn want_totp(&self, access: &Access, password: &str) -> Result<TotpSecret, Refusal> {
        let account = self.account_to_change(access, password).await?;
        let mut secret = [0; SECRET_BYTES];
        SystemRandom::new().fill(&mut secret).expect("the operating system has randomness");
        let sealed = self.0.keys.seal(account.user, &secret);
        if !self.0.store.want_totp(account.user, &sealed, Time::now()).await? {
            return Err(Refusal::Taken("Codes are in force already."));
        }
        let secret = Secret::from(secret.to_vec()).to_base32();
        let (name, issuer) = (&account.username, ISSUER);
        let url = format!("otpauth://totp/{issuer}:{name}?secret={secret}&issuer={issuer}");
        Ok(TotpSecret { secret, url })
    }

    /// Puts the codes in force, of which one is shown. The recovery codes: nobody sees them again. Other logins, which have shown no second
    /// factor, end.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `mfa_required`, `not_found` (no account, or no secret was asked for in the last ten minutes), `conflict`, `internal`.
    pub async fn begin_totp(&self, access: &Access, code: &str) -> Result<Vec<String>, Refusal> {
        let caller = &access.caller;
        let account = self.0.store.account(caller.user.id).await?.ok_or(Refusal::NotFound)?;
        self.0.limits.check_user(Rule::Login, account.user, caller.address)?;
        let is_first = self.methods(&account).await?.is_empty();
        if !access.second_factor && !is_first {
            return Err(Refusal::MfaRequired { ticket: None });
        }
        let now = Time::now();
        let is_over = |at: Time| at.as_ms() + WANTED_FOR_MS <= now.as_ms();
        if account.totp_since.is_none() && account.totp_wanted_at.is_none_or(is_over) {
            // Nobody asked, or too long ago: who finds the secret on a screen later has no use for it.
            return Err(Refusal::NotFound);
        }
        let step = self.step_of(&account, code)?.ok_or(Refusal::BadCredentials)?;
        let (codes, hashes) = recovery_codes();
        if !self.0.store.begin_totp(account.user, step, &hashes, now).await? {
            return Err(Refusal::Taken("Codes are in force already."));
        }
        self.0.store.pass_second_factor(caller.family, now).await?;
        if is_first {
            self.end_logins(account.user, Some(caller.family), now).await?;
        }
        Ok(codes)
    }

    /// Codes are asked for no more.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `mfa_required`, `not_found` (no account), `internal`.
    pub async fn end_totp(&self, access: &Access, password: &str) -> Result<(), Refusal> {
        let account = self.account_to_change(access, password).await?;
        Ok(self.0.store.end_totp(account.user).await?)
    }

    /// By what an account's login is to go on after the password; by nothing, if the list is empty.
    pub(super) async fn methods(&self, account: &Account) -> Result<Vec<SecondFactor>, Refusal> {
        let mut methods = Vec::new();
        if account.totp_since.is_some() {
            methods.push(SecondFactor::Totp);
        }
        if !self.0.store.passkeys(account.user).await?.is_empty() {
            methods.push(SecondFactor::Passkey);
        }
        if !methods.is_empty() && self.0.store.recovery_codes_left(account.user).await? > 0 {
            methods.push(SecondFactor::RecoveryCode);
        }
        Ok(methods)
    }

    pub(super) fn ask_second_factor(&self, waiting: Waiting, methods: Vec<SecondFactor>) -> Refusal {
        let expires_in_s = self.0.waiting.life().as_secs();
        let ticket = MfaTicket { ticket: self.0.waiting.keep(waiting), methods, expires_in_s };
        Refusal::MfaRequired { ticket: Some(Box::new(ticket)) }
    }

    /// Uses up a code of an app, or one for recovery.
    ///
    /// # Errors
    /// `rate_limited`, `bad_credentials`, `internal`.
    pub(super) async fn take_code(&self, account: &Account, code: &str, from: IpAddr) -> Result<(), Refusal> {
        self.0.limits.check_user(Rule::Login, account.user, from)?;
        let code: String = code.chars().filter(|letter| letter.is_ascii_alphanumeric()).take(64).collect();
        let good = if code.len() == 6 {
            self.0.limits.check_person(Rule::Code, account.user, from)?;
            match self.step_of(account, &code)? {
                Some(step) if account.totp_since.is_some() => self.0.store.use_totp(account.user, step).await?,
                _ => false,
            }
        } else {
            self.0.store.use_recovery_code(account.user, &hash_of(&code.to_ascii_lowercase()), Time::now()).await?
        };
        if good {
            return Ok(());
        }
        self.suspect(from);
        let count = self.0.store.count_wrong_code(account.user, Time::now()).await?;
        if count > 0 && count.is_multiple_of(TELLING) {
            self.changed(LoginChange::Guessed { user: account.user, count });
        }
        Err(Refusal::BadCredentials)
    }

    /// Wrong codes since the last login, if they are more than slips. Told once.
    pub(super) async fn wrong_codes(&self, user: UserId) -> Result<Option<WrongCodes>, Refusal> {
        let wrong = self.0.store.take_wrong_codes(user).await?;
        Ok(wrong.filter(|(count, _)| *count >= TELLING).map(|(count, last_at)| WrongCodes { count, last_at }))
    }

    /// Forgets secrets whose codes nobody put in force in time. How many.
    pub(super) async fn sweep_wanted(&self, now: Time) -> Result<u64, Refusal> {
        Ok(self.0.store.sweep_wanted_totp(Time::from_ms(now.as_ms() - WANTED_FOR_MS)).await?)
    }

    /// The account, for somebody who may change by what it is entered: they know the password, and where there is a second factor,
    /// this login has shown it.
    pub(super) async fn account_to_change(&self, access: &Access, password: &str) -> Result<Account, Refusal> {
        let account = self.0.store.account(access.caller.user.id).await?.ok_or(Refusal::NotFound)?;
        self.check_password(&account, password, &access.caller).await?;
        if !access.second_factor && !self.methods(&account).await?.is_empty() {
            return Err(Refusal::MfaRequired { ticket: None });
        }
        Ok(account)
    }

    /// The step of a code, now or one step off: clocks differ.
    fn step_of(&self, account: &Account, code: &str) -> Result<Option<u64>, Refusal> {
        let Some(sealed) = &account.totp_secret else { return Ok(None) };
        let totp = totp(self.0.keys.open(account.user, sealed)?)?;
        Ok(totp.check(code, u64::try_from(Time::now().as_s()).unwrap_or(0)))
    }
}

fn totp(secret: Vec<u8>) -> Result<Totp, Refusal> {
    Builder::new().with_secret(secret).build().map_err(|error| Refusal::Internal(error.to_string()))
}

/// Fresh recovery codes, and what the database keeps of them.
pub(super) fn recovery_codes() -> (Vec<String>, Vec<Vec<u8>>) {
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
    let hashes = codes.iter().map(|code| hash_of(code)).collect();
    (codes, hashes)
}

/// 80 random bits in hexadecimal: too many to be guessed, few enough to be written down.
fn recovery_code() -> String {
    let mut code = super::new_secret();
    code.truncate(20);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, shortened to six digits.
        let totp = totp(b"12345678901234567890".to_vec()).unwrap();
        for (time, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            assert_eq!(totp.check(code, time), Some(time / 30));
        }
        assert_eq!(totp.check("287082", 59 + 30), Some(1), "a clock may be a step off");
        assert_eq!(totp.check("287082", 59 + 60), None);
    }
}
