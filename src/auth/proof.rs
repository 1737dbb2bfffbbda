//! Proof of work in the place of a CAPTCHA, as ALTCHA has it: made and checked here, and nobody is shown a picture.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ring::{
    digest, hmac,
    rand::{SecureRandom, SystemRandom},
};
use serde::Deserialize;

use super::{Auth, hash_of, keys::hex};
use crate::domain::{
    Refusal, Time, UserId,
    account::{Proof, ProofChallenge},
};
use crate::limit::{Rule, network};

/// How long a riddle is good. A slow telephone needs some seconds; whoever fills a form, minutes.
const LIFE: Duration = Duration::from_secs(10 * 60);
/// How long an address stays under suspicion.
const SUSPECTED: Duration = Duration::from_secs(10 * 60);
/// Addresses under suspicion. More at once are an attack from everywhere, against which this is not the means.
const MOST_SUSPECTS: usize = 16_384;
/// The longest salt that is looked at: ours are shorter.
const LONGEST_SALT: usize = 128;

/// When a proof of work is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AskProof {
    /// Never.
    Never,
    /// Of an address from which many enter, or that guesses passwords.
    #[default]
    WhenBusy,
    /// Of everybody who enters.
    Always,
}

/// Addresses from which somebody guessed, of IPv6 the /64: that much everybody gets from their provider.
#[derive(Default)]
pub(super) struct Suspects(Mutex<HashMap<IpAddr, Instant>>);

impl Suspects {
    fn add(&self, address: IpAddr) {
        let now = Instant::now();
        let mut suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if suspects.len() >= MOST_SUSPECTS {
            suspects.retain(|_, until| *until > now);
        }
        if suspects.len() < MOST_SUSPECTS {
            suspects.insert(network(address), now + SUSPECTED);
        }
    }

    fn contain(&self, address: IpAddr) -> bool {
        let suspects = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        suspects.get(&network(address)).is_some_and(|until| *until > Instant::now())
    }
}

impl Auth {
    /// A riddle, signed: nothing is kept of it.
    pub fn challenge(&self) -> ProofChallenge {
        let most = self.0.proof_max_number.max(1);
        let mut bytes = [0; 20];
        SystemRandom::new().fill(&mut bytes).expect("the operating system has randomness");
        let (salt, number) = bytes.split_at(12);
        let number = u64::from_be_bytes(number.try_into().expect("8 bytes")) % (most + 1);
        // The end makes "12" and 3 another text than "1" and 23.
        let salt = format!("{}?expires={}&", hex(salt), Time::now().after(LIFE).as_s());
        let challenge = answer(&salt, number);
        let signature = hex(hmac::sign(&self.0.keys.proof, challenge.as_bytes()).as_ref());
        ProofChallenge { algorithm: "SHA-256", challenge, salt, maxnumber: most, signature }
    }

    /// Lets somebody go on who wants to enter, or asks them for a proof.
    ///
    /// # Errors
    /// `proof_required` (with a fresh riddle; also when the proof is none), `internal`.
    pub(super) async fn admit(&self, address: IpAddr, proof: Option<&Proof>) -> Result<(), Refusal> {
        let asked = match self.0.ask_proof {
            AskProof::Never => false,
            AskProof::WhenBusy => {
                self.0.limits.check_address(Rule::FreeEntry, address).is_err() || self.0.suspects.contain(address)
            }
            AskProof::Always => true,
        };
        if asked { self.take_proof(proof).await } else { Ok(()) }
    }

    /// The same for somebody who wants to log in: only whoever guessed before has to prove anything.
    ///
    /// # Errors
    /// As [`Auth::admit`].
    pub(super) async fn admit_login(&self, address: IpAddr, proof: Option<&Proof>) -> Result<(), Refusal> {
        let asked = self.0.ask_proof != AskProof::Never && self.0.suspects.contain(address);
        if asked { self.take_proof(proof).await } else { Ok(()) }
    }

    /// Counts a login by its name, wherever it comes from: beyond the rate a proof is asked for. Nobody is locked out by what others try.
    ///
    /// # Errors
    /// As [`Auth::admit`]; `rate_limited`, where no proof is ever asked for.
    pub(super) async fn admit_name(&self, name: UserId, address: IpAddr, proof: Option<&Proof>) -> Result<(), Refusal> {
        match self.0.limits.check_person(Rule::Login, name, address) {
            Err(refusal) if self.0.ask_proof == AskProof::Never => Err(refusal),
            // A proof is good once: whoever is under suspicion has shown theirs already.
            Err(_) if !self.0.suspects.contain(address) => self.take_proof(proof).await,
            _ => Ok(()),
        }
    }

    /// Somebody at that address gave a wrong password, or brought a token that was used.
    pub(super) fn suspect(&self, address: IpAddr) {
        if self.0.limits.check_address(Rule::WrongPassword, address).is_err() {
            self.0.suspects.add(address);
        }
    }

    async fn take_proof(&self, proof: Option<&Proof>) -> Result<(), Refusal> {
        let required = || Refusal::ProofRequired { challenge: Box::new(self.challenge()) };
        let proof = proof.ok_or_else(required)?;
        let expires_at = self.solved(proof, Time::now()).ok_or_else(required)?;
        let fresh = self.0.store.spend_proof(&hash_of(&proof.challenge), expires_at).await?;
        if fresh { Ok(()) } else { Err(required()) }
    }

    /// Until when the riddle was good, if it is ours, is good, and is solved.
    fn solved(&self, proof: &Proof, now: Time) -> Option<Time> {
        if proof.salt.len() > LONGEST_SALT || answer(&proof.salt, proof.number) != proof.challenge {
            return None;
        }
        let signature = unhex(&proof.signature)?;
        hmac::verify(&self.0.keys.proof, proof.challenge.as_bytes(), &signature).ok()?;
        let (_, expires_s) = proof.salt.strip_suffix('&')?.split_once("?expires=")?;
        let expires_at = Time::from_ms(expires_s.parse::<i64>().ok()?.checked_mul(1000)?);
        (expires_at > now).then_some(expires_at)
    }
}

/// What a number makes of a salt.
fn answer(salt: &str, number: u64) -> String {
    hex(digest::digest(&digest::SHA256, format!("{salt}{number}").as_bytes()).as_ref())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_is_of_one_address_and_ends() {
        let suspects = Suspects::default();
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        suspects.add(one);
        assert!(suspects.contain(one) && !suspects.contain(other));
        suspects.add("2001:db8::1".parse().unwrap());
        let (near, far) = ("2001:db8::ffff:2".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        assert!(suspects.contain(near) && !suspects.contain(far), "one customer has a whole network");
        suspects.0.lock().unwrap().insert(one, Instant::now());
        assert!(!suspects.contain(one));
    }

    #[test]
    fn hexadecimal_comes_back() {
        let bytes: Vec<u8> = (0..32).map(|n| n * 8).collect();
        assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        assert_eq!(unhex(&"é".repeat(32)), None);
        assert_eq!(unhex("00"), None);
    }
}
