//! How the sampling fares, for operators and the review page.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::workers::Blindness;
use crate::domain::evidence::Model;
use crate::metrics::{MODERATION_DEGRADED, TRACKS_UNSAMPLED};

/// How the sampling fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ModerationStatus)]
pub struct Status {
    /// In one word.
    pub state: Condition,
    /// Why it is not `ok`: sentences for people.
    pub reasons: Vec<String>,
    /// Which classifier looks, if one does.
    pub model: Option<Model>,
    /// Tracks that are looked at.
    pub sampled_tracks: u64,
    /// Tracks that nobody knows what they show.
    pub unsampled_tracks: u64,
}

/// How the sampling fares, in one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Everything is looked at.
    #[default]
    Ok,
    /// Calls go on, but not everything is looked at.
    Degraded,
    /// The operator has switched it off.
    Off,
}

/// What is wrong. A sentence each, without paths: `/ready` tells them to anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles {
    /// The operator does not want any sampling.
    pub(super) off: bool,
    /// Why nobody looks.
    pub(super) blind: Option<Blindness>,
    /// Frames were dropped because they came too fast.
    pub(super) overloaded: bool,
    /// Cases could not be written.
    pub(super) unwritten: bool,
}

/// The last finding. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Health(Arc<Mutex<Status>>);

impl Health {
    pub(super) fn status(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes down how it fares now; a line in the log when that changed.
    pub(super) fn note(&self, troubles: &Troubles, model: Option<Model>, sampled_tracks: u64, unsampled_tracks: u64) {
        let reasons = troubles.reasons(unsampled_tracks);
        let state = match (troubles.off, reasons.is_empty()) {
            (true, _) => Condition::Off,
            (false, true) => Condition::Ok,
            (false, false) => Condition::Degraded,
        };
        metrics::gauge!(MODERATION_DEGRADED).set(if state == Condition::Degraded { 1.0 } else { 0.0 });
        metrics::gauge!(TRACKS_UNSAMPLED).set(unsampled_tracks as f64);
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if (last.state, &last.reasons) != (state, &reasons) {
            let why = reasons.join(" ");
            match state {
                Condition::Ok => tracing::info!("moderation looks at everything"),
                Condition::Off => tracing::warn!(why, "moderation is off"),
                Condition::Degraded => tracing::warn!(why, "moderation is degraded"),
            }
        }
        *last = Status { state, reasons, model, sampled_tracks, unsampled_tracks };
    }
}

impl Troubles {
    fn reasons(&self, unsampled_tracks: u64) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.off {
            reasons.push("The operator has switched sampling off (PARLOR_SAMPLE_EVERY_MS=0).".to_owned());
        }
        if let Some(blind) = &self.blind {
            reasons.push(sentence(blind));
        }
        if self.overloaded {
            reasons.push("Pictures come faster than they can be looked at.".to_owned());
        }
        if self.unwritten {
            reasons.push("Cases cannot be stored.".to_owned());
        }
        match unsampled_tracks {
            0 => {}
            1 => reasons.push("One track is not looked at.".to_owned()),
            many => reasons.push(format!("{many} tracks are not looked at.")),
        }
        reasons
    }
}

fn sentence(blind: &Blindness) -> String {
    let why = match blind {
        Blindness::Model(error) => error.reason(),
        Blindness::Panicked => "the classifier breaks down",
    };
    let mut letters = why.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moderation::vision::ModelError;

    #[test]
    fn what_is_wrong_is_said_in_sentences() {
        let health = Health::default();
        assert_eq!(health.status().state, Condition::Ok);
        let why = "/secret/place is on fire".to_owned();
        let broken = Blindness::Model(ModelError::Runtime(why));
        let mut troubles = Troubles { blind: Some(broken), overloaded: true, ..Troubles::default() };
        health.note(&troubles, None, 1, 2);
        let status = health.status();
        assert_eq!((status.state, status.sampled_tracks, status.unsampled_tracks), (Condition::Degraded, 1, 2));
        assert_eq!(status.reasons.len(), 3);
        assert!(status.reasons.iter().all(|it| it.ends_with('.') && !it.contains("/secret")), "{:?}", status.reasons);
        troubles = Troubles { off: true, ..Troubles::default() };
        health.note(&troubles, None, 0, 0);
        assert_eq!((health.status().state, health.status().reasons.len()), (Condition::Off, 1));
        health.note(&Troubles::default(), None, 3, 0);
        assert_eq!((health.status().state, health.status().reasons), (Condition::Ok, Vec::new()));
    }
}
