//! What a deployment, or one cluster of it, offers.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Refusal, RoomKind, TrackSource, call::OfferedSource};

/// Something that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Feature {
    /// Microphones in calls, and calls by voice.
    Voice,
    /// Cameras in calls, and calls by video.
    Video,
    /// Screens in calls, with what is heard of them.
    Share,
    /// Recording calls.
    Recording,
    /// Files in messages.
    Files,
    /// Gifts.
    Gifts,
    /// Tips.
    Tips,
    /// End-to-end encryption.
    Encryption,
    /// Reports, and the desk that they lie on.
    Moderation,
    /// Meeting strangers.
    Matching,
    /// Forums.
    Forums,
    /// Conversations of two or a few people.
    #[serde(alias = "direct_messages")]
    DirectMessages,
    /// What links lead to.
    Previews,
}

impl Feature {
    /// Every feature, in the order in which they are told.
    pub const ALL: [Feature; 13] = [
        Feature::Voice,
        Feature::Video,
        Feature::Share,
        Feature::Recording,
        Feature::Files,
        Feature::Gifts,
        Feature::Tips,
        Feature::Encryption,
        Feature::Moderation,
        Feature::Matching,
        Feature::Forums,
        Feature::DirectMessages,
        Feature::Previews,
    ];
    /// Those that this version does not have. To switch one on is a mistake that the start tells.
    pub const UNBUILT: [Feature; 3] = [Feature::Gifts, Feature::Tips, Feature::Encryption];

    /// The name that settings and the wire use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Feature::Voice => "voice",
            Feature::Video => "video",
            Feature::Share => "share",
            Feature::Recording => "recording",
            Feature::Files => "files",
            Feature::Gifts => "gifts",
            Feature::Tips => "tips",
            Feature::Encryption => "encryption",
            Feature::Moderation => "moderation",
            Feature::Matching => "matching",
            Feature::Forums => "forums",
            Feature::DirectMessages => "directMessages",
            Feature::Previews => "previews",
        }
    }

    /// What rooms of that kind are an instance of, if it can be switched off.
    pub const fn of_kind(kind: RoomKind) -> Option<Feature> {
        match kind {
            RoomKind::Dm | RoomKind::GroupDm => Some(Feature::DirectMessages),
            RoomKind::Forum => Some(Feature::Forums),
            RoomKind::Match => Some(Feature::Matching),
            RoomKind::Group | RoomKind::Broadcast | RoomKind::Live | RoomKind::Call => None,
        }
    }

    /// What a track of that source is an instance of.
    pub const fn of_source(source: TrackSource) -> Feature {
        match source {
            TrackSource::Microphone => Feature::Voice,
            TrackSource::Camera => Feature::Video,
            TrackSource::Screen | TrackSource::ScreenAudio => Feature::Share,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Which features are on. All that this version has, unless something else is said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Features(u16);

impl Default for Features {
    fn default() -> Self {
        let all = Feature::ALL.into_iter().fold(Self(0), |all, it| all.with(it, true));
        Feature::UNBUILT.into_iter().fold(all, |all, it| all.with(it, false))
    }
}

impl Features {
    /// Whether one is on.
    pub const fn is_on(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// The same with one on or off.
    #[must_use]
    pub const fn with(self, feature: Feature, on: bool) -> Self {
        Self(if on { self.0 | feature.bit() } else { self.0 & !feature.bit() })
    }

    /// What is on in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Refuses (`feature_off`) what is off.
    ///
    /// # Errors
    /// `feature_off`.
    pub const fn demand(self, feature: Feature) -> Result<(), Refusal> {
        if self.is_on(feature) { Ok(()) } else { Err(Refusal::FeatureOff { feature: feature.as_str() }) }
    }

    /// Refuses (`feature_off`) what happens in rooms of a kind that is off.
    ///
    /// # Errors
    /// `feature_off`.
    pub fn demand_kind(self, kind: RoomKind) -> Result<(), Refusal> {
        Feature::of_kind(kind).map_or(Ok(()), |feature| self.demand(feature))
    }

    /// Refuses (`feature_off`) an offer with a source that is off.
    ///
    /// # Errors
    /// `feature_off`.
    pub fn demand_sources(self, sources: &[OfferedSource]) -> Result<(), Refusal> {
        sources.iter().try_for_each(|it| self.demand(Feature::of_source(it.source)))
    }

    /// Every feature by its name, and whether it is on.
    pub fn by_name(self) -> BTreeMap<&'static str, bool> {
        Feature::ALL.into_iter().map(|it| (it.as_str(), self.is_on(it))).collect()
    }

    /// The first that is on and that this version does not have.
    pub fn unbuilt(self) -> Option<Feature> {
        Feature::UNBUILT.into_iter().find(|it| self.is_on(*it))
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(Feature::ALL.into_iter().map(|it| (it.as_str(), self.is_on(it)))).finish()
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_name().serialize(serializer)
    }
}

/// Only what differs from the default is written.
impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let said = BTreeMap::<Feature, bool>::deserialize(from)?;
        Ok(said.into_iter().fold(Self::default(), |all, (feature, on)| all.with(feature, on)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_wire() {
        for feature in Feature::ALL {
            assert_eq!(serde_json::to_string(&feature).unwrap(), format!("\"{}\"", feature.as_str()));
        }
    }

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let said: Features = serde_json::from_str(r#"{"video": false, "direct_messages": false}"#).unwrap();
        assert!(!said.is_on(Feature::Video) && !said.is_on(Feature::DirectMessages) && !said.is_on(Feature::Gifts));
        assert!(said.is_on(Feature::Voice) && said.is_on(Feature::Previews));
        assert_eq!(said.demand(Feature::Video), Err(Refusal::FeatureOff { feature: "video" }));
        assert_eq!(said.demand_kind(RoomKind::Dm), Err(Refusal::FeatureOff { feature: "directMessages" }));
        assert_eq!(said.demand_kind(RoomKind::Group), Ok(()));
        assert!(serde_json::from_str::<Features>(r#"{"vidoe": false}"#).is_err());
    }
}
