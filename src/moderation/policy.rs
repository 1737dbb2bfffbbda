//! What the operator wants to be done about what is seen: a TOML file (`PARLOR_POLICY_FILE`), or [`Policy::default`].
//!
//! ```toml
//! # A label counts from this probability on; labels that are not named never do. Without this table: what the model's manifest says.
//! [labels]
//! Porn = 0.8
//! Hentai = 0.85
//!
//! # These stand above the table, and are the defaults.
//! # hits = 2                   # so many hits …
//! # of = 3                     # … in so many samples in a row make a case
//! # hysteresis = 0.1           # a suspected track is clean again this far below the threshold
//! # on_hit = "flag"            # outside of match rooms: "flag" makes a case, "hold" also blurs, "stop" also drops the track
//! # on_hit_match = "hold"      # in match rooms; unset, `on_hit` if that is set, else "hold"
//! # cooldown_s = 600           # so long a decided label makes no new case for the same track
//! # suspected_every_ms = 1500  # how often a suspected track is looked at
//! # evidence_days = 90         # how long evidence is kept
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::domain::evidence::Label;

/// Samples in a row that a policy may look back on: what a track's memory holds.
pub const MOST_SAMPLES: u8 = 10;

/// What the operator wants.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// From which probability on a label counts. `None`: as the model's manifest says.
    pub labels: Option<BTreeMap<Label, f32>>,
    /// So many hits …
    pub hits: u8,
    /// … in so many samples in a row make a case.
    pub of: u8,
    /// How far below the threshold a suspected track is clean again.
    pub hysteresis: f32,
    /// What happens on a hit outside of match rooms; in those too, unless `on_hit_match` is set. `None`: `flag`.
    pub on_hit: Option<OnHit>,
    /// What happens on a hit in a match room. `None`: as `on_hit` says, else `hold`.
    pub on_hit_match: Option<OnHit>,
    /// How long a label that was decided about makes no new case for the same track, in seconds.
    pub cooldown_s: u64,
    /// How often a suspected track is looked at, in milliseconds.
    pub suspected_every_ms: u64,
    /// How long evidence is kept, in days.
    pub evidence_days: u64,
}

/// What happens on a hit, beside the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnHit {
    /// Nothing: people decide.
    Flag,
    /// The picture is blurred until somebody has decided.
    Hold,
    /// The track is dropped at once.
    Stop,
}

/// A policy that cannot be used; the text is for people.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("the policy {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no TOML, or says what no policy can say: an unknown label, an unknown setting.
    #[error("the policy {} cannot be understood: {error}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A number is out of range.
    #[error("the policy {} cannot be used: {why}", path.display())]
    OutOfRange {
        /// Which file.
        path: PathBuf,
        /// What would be right.
        why: String,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            labels: None,
            hits: 2,
            of: 3,
            hysteresis: 0.1,
            on_hit: None,
            on_hit_match: None,
            cooldown_s: 600,
            suspected_every_ms: 1_500,
            evidence_days: 90,
        }
    }
}

impl Policy {
    /// Reads the policy of a file; the default without one.
    ///
    /// # Errors
    /// When the file cannot be read, understood, or used.
    pub fn read(path: Option<&Path>) -> Result<Self, PolicyError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let own = || path.to_owned();
        let text = std::fs::read_to_string(path).map_err(|error| PolicyError::Unreadable { path: own(), error })?;
        let policy: Self =
            toml::from_str(&text).map_err(|error| PolicyError::Malformed { path: own(), error: Box::new(error) })?;
        policy.check().map_err(|why| PolicyError::OutOfRange { path: own(), why })?;
        Ok(policy)
    }

    /// What happens on a hit, in match rooms or elsewhere.
    pub fn on_hit(&self, strangers: bool) -> OnHit {
        if strangers {
            self.on_hit_match.or(self.on_hit).unwrap_or(OnHit::Hold)
        } else {
            self.on_hit.unwrap_or(OnHit::Flag)
        }
    }

    /// How long a label that was decided about makes no new case for the same track.
    pub fn cooldown(&self) -> Duration {
        Duration::from_secs(self.cooldown_s)
    }

    /// How often a suspected track is looked at.
    pub fn suspected_every(&self) -> Duration {
        Duration::from_millis(self.suspected_every_ms)
    }

    /// How long evidence is kept.
    pub fn evidence_life(&self) -> Duration {
        Duration::from_secs(self.evidence_days * 24 * 3600)
    }

    fn check(&self) -> Result<(), String> {
        for (label, threshold) in self.labels.iter().flatten() {
            // 0 would make every picture a hit, and NaN is in no range.
            if !(f32::MIN_POSITIVE..=1.0).contains(threshold) {
                return Err(format!("the threshold of {} is above 0 and at most 1, not {threshold}", label.as_str()));
            }
        }
        if !(1..=MOST_SAMPLES).contains(&self.of) {
            return Err(format!("`of` is 1 to {MOST_SAMPLES}, not {}", self.of));
        }
        if !(1..=self.of).contains(&self.hits) {
            return Err(format!("`hits` is 1 to `of` ({}), not {}", self.of, self.hits));
        }
        if !(0.0..=0.5).contains(&self.hysteresis) {
            return Err(format!("`hysteresis` is 0 to 0.5, not {}", self.hysteresis));
        }
        if self.cooldown_s > 7 * 24 * 3600 {
            return Err(format!("`cooldown_s` is at most a week, not {}", self.cooldown_s));
        }
        if !(250..=60_000).contains(&self.suspected_every_ms) {
            return Err(format!("`suspected_every_ms` is 250 to 60000, not {}", self.suspected_every_ms));
        }
        if !(1..=3_650).contains(&self.evidence_days) {
            return Err(format!("`evidence_days` is 1 to 3650, not {}", self.evidence_days));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policy, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, text).unwrap();
        Policy::read(Some(&path)).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_the_default() {
        assert_eq!(Policy::read(None).unwrap(), Policy::default());
        assert_eq!(read("").unwrap(), Policy::default());
        let policy = read("hits = 1\nof = 1\n[labels]\nDrawing = 0.5\n").unwrap();
        assert_eq!(policy.labels, Some(BTreeMap::from([(Label::Drawing, 0.5)])));
        assert_eq!((policy.hits, policy.of, policy.evidence_days), (1, 1, 90));
    }

    #[test]
    fn a_hit_is_held_among_strangers_and_flagged_elsewhere() {
        let both = |text: &str| read(text).map(|policy| (policy.on_hit(true), policy.on_hit(false))).unwrap();
        assert_eq!(both(""), (OnHit::Hold, OnHit::Flag));
        assert_eq!(both("on_hit = 'stop'"), (OnHit::Stop, OnHit::Stop));
        assert_eq!(both("on_hit = 'stop'\non_hit_match = 'flag'"), (OnHit::Flag, OnHit::Stop));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = [
            ("[labels]\nDrowning = 0.5", "Drowning"),
            ("[labels]\nPorn = 1.5", "threshold of Porn"),
            ("[labels]\nPorn = 0.0", "threshold of Porn"),
            ("[labels]\nPorn = nan", "threshold of Porn"),
            ("[labels]\nPorn = 'much'", "Porn"),
            ("hits = 4", "`hits`"),
            ("hits = 0", "`hits`"),
            ("of = 11", "`of`"),
            ("of = 300", "of = 300"),
            ("hysteresis = 0.9", "`hysteresis`"),
            ("suspected_every_ms = 10", "`suspected_every_ms`"),
            ("cooldown_s = 9999999", "`cooldown_s`"),
            ("evidence_days = 0", "`evidence_days`"),
            ("on_hit = 'shoot'", "on_hit"),
            ("onhit = 'flag'", "onhit"),
            ("hits = ", "hits"),
        ];
        for (text, named) in wrong {
            let error = read(text).expect_err(text);
            assert!(error.contains(named), "{text}: {error}");
        }
        let missing = Policy::read(Some(Path::new("/nowhere/policy.toml"))).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/policy.toml"), "{missing}");
    }
}
